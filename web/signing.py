"""Signing at a seat (席位签名): the page asks, the seat's token agent signs, the page shows the outcome. No script is needed.

The agent dials out to these addresses: `POST /agent/pair`, `GET /agent/pending`, `POST /agent/acts/<id>[/declined]`.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable

from aiohttp.web import HTTPForbidden, HTTPSeeOther, Request, Response, RouteTableDef, json_response

from node.domain.refused import Refused
from node.node import Node
from node.person_trust import PersonTrust
from node.places import ROOM_KEY
from node.recorder import NodeFault
from node.room_key import RoomKey, load_room_key
from node.store import StoreFault
from node.witness import NotWitnessed
from sync.acts import MAX_CMS, ActRefused, Signed
from sync.anchors import AnchorsRefused
from sync.gm import GmFault
from sync.revocation_rule import Purpose, Verdict
from web.keys import NODE, SIGNING
from web.messages import sentence
from web.pending import PendingAct, SeatDesk, Stage
from web.render import page
from web.security import read_form, see_other, signed_in

routes = RouteTableDef()
logger = logging.getLogger("erhai.signing")
Record = Callable[[bytes, Signed], Awaitable[str]]
WHY = {
    "malformed": "签名数据不完整",
    "one-signer": "签名须由一人作出",
    "not-detached": "签名中夹带了原文",
    "other-words": "签名所对应的文字不是本页所示",
    "attributes": "签名缺少必要的属性，或未写明签名证书",
    "algorithm": "签名算法不在接受范围内",
    "signature": "签名验证不通过",
    "certificate": "签名证书不被接受",
    "not-now": "签名证书已吊销，或其吊销状态目前无法确认",
    "other-person": "签名证书不是本席人员的证书",
    "second-person": "签名证书的吊销名单已过期，须补充新名单后再签",
    "anchors": "本机的信任锚清单不可用",
    "declined": "签名人在签名器上选择了不签",
    "machine": "本机不支持该证书的算法",
    "node": "本机暂时不能写入记录，请稍后重新签名",
    "rule": "",
}


class Signing:
    """A node that takes persons' certificates: its trust, its room key, its seats."""

    def __init__(self, trust: PersonTrust, room: RoomKey) -> None:
        """Nothing is pending."""
        self.trust, self.room, self.desk = trust, room, SeatDesk()

    @classmethod
    def of(cls, node: Node) -> "Signing | None":
        """Return it where the settings name the prefecture's keys. Raises Malformed, KeyFault."""
        trust = PersonTrust.of(node.settings)
        return None if trust is None else cls(trust, load_room_key(node.settings.data / ROOM_KEY))


class NotSigned(Exception):
    """A signature came and does not count; `why` is a word of WHY."""

    def __init__(self, why: str) -> None:
        """Keep the word."""
        super().__init__(why)
        self.why = why


def ask_at_seat(request: Request, text: bytes, record: Record, *, back: str) -> Response:
    """Put words before the agent of this person's seat and lead to the page that waits. `record` records what was verified."""
    signing, node, person = request.app[SIGNING], request.app[NODE], signed_in(request).person
    if signing is None:
        raise TypeError(back)

    async def finish(cms: bytes) -> str:
        at_ms = node.clock.now().at_ms
        check = signing.trust.verify
        try:
            signed = await asyncio.to_thread(
                check, text, cms, at_ms=at_ms, purpose=Purpose.SIGN, source=f"seat {person.seat}"
            )
        except ActRefused as refused:
            logger.warning("signature refused at seat %s: %s", person.seat, refused)
            raise NotSigned(refused.why) from refused
        except (AnchorsRefused, OSError) as refused:
            logger.warning("no anchors: %s", refused)
            raise NotSigned("anchors") from refused
        except GmFault as fault:
            raise NotSigned("machine") from fault
        if not person.holder or signed.person != person.holder:
            raise NotSigned("other-person")
        if signed.state.verdict is Verdict.SECOND_PERSON:
            raise NotSigned("second-person")
        return await record(cms, signed)

    signing.desk.ask(person.seat, person.no, text, finish)
    return see_other(f"/signing?next={back}")


@routes.get("/signing")
async def wait_here(request: Request) -> Response:
    """Show the words that wait, how to pair, or the outcome; the page comes again by itself."""
    signing, person = request.app[SIGNING], signed_in(request).person
    act = None if signing is None else signing.desk.pending(person.seat)
    if signing is None or act is None or act.person != person.no:
        raise HTTPSeeOther("/")
    back = request.query.get("next", "/")
    back = back if back.startswith("/expert/") and "//" not in back and "\\" not in back else "/"
    if act.stage is Stage.SIGNED:
        raise HTTPSeeOther(f"/receipts/{act.receipt}?next={back}")
    return page(
        request,
        "frame/signing.html",
        waiting=act.stage is Stage.WAITING,
        late=act.stage is Stage.LATE,
        why=act.why,
        text=act.text.decode(),
        paired=signing.desk.paired(person.seat),
        back=back,
        code="",
    )


@routes.post("/signing/pair")
async def show_code(request: Request) -> Response:
    """Show a one-time code that pairs an agent with this person's seat."""
    await read_form(request)
    signing, person = request.app[SIGNING], signed_in(request).person
    if signing is None or not person.seat:
        raise HTTPSeeOther("/")
    return page(request, "frame/pairing.html", code=signing.desk.code_for(person.seat), seat=person.seat)


# -- the agent's side --------------------------------------------------------------------------------------------------


def _act_of(request: Request) -> tuple[Signing, PendingAct | None]:
    signing = request.app[SIGNING]
    token = request.headers.get("Authorization", "").removeprefix("Bearer ")
    seat = signing.desk.seat_of(token) if signing is not None else None
    if signing is None or seat is None:
        raise HTTPForbidden
    return signing, signing.desk.waiting(seat)


@routes.post("/agent/pair")
async def pair(request: Request) -> Response:
    """Give an agent its token for a code."""
    signing = request.app[SIGNING]
    try:
        code = json.loads((await request.content.read(257))[:256]).get("code", "")
    except (ValueError, AttributeError):
        code = ""
    found = signing.desk.pair(str(code)) if signing is not None else None
    if found is None:
        return json_response({"error": "code"}, status=403)
    return json_response({"seat": found[0], "token": found[1]})


@routes.get("/agent/pending")
async def pending(request: Request) -> Response:
    """Answer with the act that waits at the agent's seat, or 204."""
    _, act = _act_of(request)
    if act is None:
        return Response(status=204)
    return json_response({"id": act.id, "text": act.text.decode()})


@routes.post("/agent/acts/{id}/declined")
async def declined(request: Request) -> Response:
    """The person does not sign."""
    _, act = _act_of(request)
    if act is None or act.id != request.match_info["id"]:
        return json_response({"error": "over"}, status=409)
    act.stage, act.why = Stage.REFUSED, WHY["declined"]
    return json_response({"ok": True})


@routes.post("/agent/acts/{id}")
async def signed(request: Request) -> Response:
    """Take a CMS, verify it, hand it to the command. The outcome is on the page and in the answer."""
    _, act = _act_of(request)
    if act is None or act.id != request.match_info["id"]:
        return json_response({"error": "over"}, status=409)
    cms = await request.content.read(MAX_CMS + 1)
    while not request.content.at_eof() and len(cms) <= MAX_CMS:
        cms += await request.content.read(MAX_CMS + 1 - len(cms))
    try:
        act.receipt = await act.finish(cms)
    except NotSigned as refused:
        act.stage, act.why = Stage.REFUSED, WHY[refused.why]
        return json_response({"error": refused.why}, status=422)
    except Refused as refused:
        act.stage, act.why = Stage.REFUSED, sentence(refused).title
        return json_response({"error": "rule"}, status=409)
    except (NodeFault, StoreFault):
        act.stage, act.why = Stage.REFUSED, WHY["node"]
        return json_response({"error": "node"}, status=503)
    except NotWitnessed as alone:
        act.receipt = alone.receipt.number
    act.stage = Stage.SIGNED
    return json_response({"receipt": act.receipt})
