"""Signing at a seat (席位签名): the page asks, the person's token agent signs, the page shows the outcome. No script is needed.

An act for two is signed by the second person too, at that person's own agent, before anything is recorded. Where the list
of revocations has run out within its grace, a second person is named on the page and attests (four states, offline).
"""

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain.guards import SECOND_ROLES
from node.node import Node
from node.people import Person
from node.person_trust import PersonTrust
from node.signatures import Signature
from sync.acts import ActRefused, act_text
from sync.anchors import AnchorsRefused
from sync.gm import GmFault
from sync.revocation_rule import Purpose, Verdict
from web.keys import NODE, SIGNING
from web.pending import PendingAct, SeatDesk, Stage, station_of
from web.render import page
from web.security import read_form, see_other, signed_in

routes = RouteTableDef()
logger = logging.getLogger("erhai.signing")
Record = Callable[[tuple[Signature, ...]], Awaitable[str]]
AGAIN_S = 3
ATTEST = "吊销名单过期时的第二人见证"
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
    "other-person": "签名证书不是该人员的证书",
    "one-card": "两人的签名出自同一人的证书，须由另一人用本人的证书签名",
    "no-holder": "该人员的账户没有登记证书",
    "second-busy": "第二人正有其他事项待签，请稍后重新提交",
    "anchors": "本机的信任锚清单不可用",
    "declined": "签名人在签名器上选择了不签",
    "machine": "本机不支持该证书的算法",
    "fault": "本机办理时出现意外错误，没有确认写入记录；请先返回查看，未写入的再重新提交",
    "node": "本机暂时不能写入记录，请稍后重新签名",
    "rule": "",
}


class Signing:
    """A node that takes persons' certificates: its trust and its seats."""

    def __init__(self, trust: PersonTrust) -> None:
        """Nothing is pending."""
        self.trust, self.desk = trust, SeatDesk()

    @classmethod
    def of(cls, node: Node) -> "Signing | None":
        """Return it where the settings name the prefecture's keys. Raises Malformed."""
        trust = PersonTrust.of(node.settings)
        return None if trust is None else cls(trust)

    async def check(
        self, node: Node, person: Person, text: bytes, cms: bytes, purpose: Purpose
    ) -> tuple[Signature, Verdict]:
        """Return a person's signature under these words, and what follows from its state. Raises NotSigned."""
        place, at_ms = station_of(person), node.clock.now().at_ms
        if not person.holder:
            raise NotSigned("no-holder")
        try:
            signed = await asyncio.to_thread(
                self.trust.verify, text, cms, at_ms=at_ms, purpose=purpose, source=f"seat {place}"
            )
        except ActRefused as refused:
            logger.warning("signature refused at seat %s: %s", place, refused)
            raise NotSigned(refused.why) from refused
        except (AnchorsRefused, OSError) as refused:
            logger.warning("no anchors: %s", refused)
            raise NotSigned("anchors") from refused
        except GmFault as fault:
            raise NotSigned("machine") from fault
        if signed.person != person.holder:
            raise NotSigned("other-person")
        return Signature.of(f"{person.role}:{person.no}", text, cms, signed), signed.state.verdict


class NotSigned(Exception):
    """A signature came and does not count; `why` is a word of WHY."""

    def __init__(self, why: str) -> None:
        """Keep the word."""
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """What is to be signed (待签事项): the words, by whom besides, where the page goes back to, what is done when all have."""

    text: bytes
    back: str
    record: Record
    second: Person | None = None


def ask_at_seat(request: Request, matter: Matter) -> Response:
    """Put words before this person's agent, and lead to the page that waits."""
    signing, node, person = request.app[SIGNING], request.app[NODE], signed_in(request).person
    if signing is None:
        raise TypeError(matter.back)
    desk = signing.desk

    def ask_second(own: Signature, other: Person, text: bytes) -> None:
        place = station_of(other)
        if other.holder == own.by.holder:
            raise NotSigned("one-card")
        if desk.waiting(place) is not None:
            raise NotSigned("second-busy")

        async def finish(cms: bytes) -> str:
            theirs, _verdict = await signing.check(node, other, text, cms, Purpose.SIGN)
            if theirs.by.holder == own.by.holder:  # the accounts may have changed meanwhile
                raise NotSigned("one-card")
            act.leads = await matter.record((own, theirs))
            act.stage = Stage.SIGNED
            return act.leads

        act.second, act.stage = desk.ask(place, other.no, text, finish), Stage.SECOND

    async def finish(cms: bytes) -> str:
        own, verdict = await signing.check(node, person, matter.text, cms, Purpose.SIGN)
        if matter.second is not None:
            ask_second(own, matter.second, matter.text)
            return ""
        if verdict is Verdict.SECOND_PERSON:
            words = _attestation(person, matter.text, cms)
            act.name_second, act.stage = lambda other: ask_second(own, other, words), Stage.GRACE
            return ""
        return await matter.record((own,))

    act = desk.ask(station_of(person), person.no, matter.text, finish)
    return see_other(f"/signing?next={matter.back}")


def _attestation(person: Person, text: bytes, cms: bytes) -> bytes:
    """Return what a second person signs beside a signature under a list that has run out. It shows none of the act's words."""
    kind = text.decode().split("\n")[1]
    lines = {
        "签名人": person.no,
        "事项": kind,
        "声明": "签名人的证书吊销名单已过期，尚在宽限期内；本人在场，见证签名人亲自签名。",
    }
    return act_text(ATTEST, lines, hashlib.sha256(cms).digest())


@routes.get("/signing")
async def wait_here(request: Request) -> Response:
    """Show the words that wait, how to pair, or the outcome; the page comes again by itself."""
    signing, person = request.app[SIGNING], signed_in(request).person
    if signing is None:
        raise HTTPSeeOther("/")
    back = request.query.get("next", "/")
    back = back if back.startswith(("/expert/", "/desk/")) and "//" not in back and "\\" not in back else "/"
    act = _own(signing, person)
    if act is None:
        paired = signing.desk.paired(station_of(person))
        return coming_again(page(request, "frame/signing-none.html", paired=paired, back=back))
    if act.stage is Stage.SIGNED:
        raise HTTPSeeOther(f"{act.leads}?next={back}" if act.leads.startswith("/receipts/") else act.leads)
    return _page(request, signing, act, back)


def _own(signing: Signing, person: Person) -> PendingAct | None:
    act = signing.desk.pending(station_of(person))
    return act if act is not None and act.person == person.no else None


def _page(request: Request, signing: Signing, act: PendingAct, back: str, error: str = "") -> Response:
    other = act.second
    if other is not None:
        signing.desk.pending(other.seat)  # so that one that waits too long is late
    stage = act.stage
    if stage is Stage.SECOND and other is not None and other.stage in {Stage.REFUSED, Stage.LATE}:
        stage = other.stage
    going = stage in {Stage.WAITING, Stage.CHECKING, Stage.SECOND}
    answer = page(
        request,
        "frame/signing.html",
        status=422 if error else 200,
        stage=str(stage),
        going=going,
        why=act.why or (other.why if other else ""),
        second=other.person if other else "",
        second_paired=bool(other) and signing.desk.paired(other.seat if other else ""),
        text=act.text.decode(),
        paired=signing.desk.paired(act.seat),
        back=back,
        error=error,
    )
    return coming_again(answer) if going else answer


def coming_again(answer: Response) -> Response:
    """Let a page ask again by itself, without script."""
    answer.headers["Refresh"] = str(AGAIN_S)
    return answer


@routes.post("/signing/second")
async def name_second(request: Request) -> Response:
    """Take the number of the person who attests a signature under a list that has run out."""
    data = await read_form(request)
    signing, node, person = request.app[SIGNING], request.app[NODE], signed_in(request).person
    act = None if signing is None else _own(signing, person)
    back = str(data.get("back", "/"))
    if signing is None or act is None or act.stage is not Stage.GRACE or act.name_second is None:
        raise HTTPSeeOther("/signing")
    other = node.people.get(str(data.get("second", "")).strip())
    if other is None or other.no == person.no or other.role not in SECOND_ROLES or not other.holder:
        error = "请填写另一位交易中心工作人员、行政监督人员或见证人的人员号，其账户须登记证书"
        return _page(request, signing, act, back, error)
    try:
        act.name_second(other)
    except NotSigned as refused:
        return _page(request, signing, act, back, WHY[refused.why])
    return see_other(f"/signing?next={back}")


@routes.post("/signing/pair")
async def make_code(request: Request) -> Response:
    """Make a one-time code that pairs an agent with this person's place, and lead to it."""
    await read_form(request)
    signing, person = request.app[SIGNING], signed_in(request).person
    if signing is None:
        raise HTTPSeeOther("/")
    signing.desk.code_for(station_of(person))
    return see_other("/signing/pair")


@routes.get("/signing/pair")
async def code(request: Request) -> Response:
    """Show the code while it lives."""
    signing, person = request.app[SIGNING], signed_in(request).person
    found = "" if signing is None else signing.desk.code_of(station_of(person))
    if not found:
        raise HTTPSeeOther("/signing")
    return page(request, "frame/pairing.html", code=found, seat=person.seat or f"人员 {person.no}", back="/signing")
