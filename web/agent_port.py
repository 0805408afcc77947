"""The token agent's side of signing (签名器端口): it dials out to `POST /agent/pair`, `GET /agent/pending`,
`POST /agent/acts/<id>[/declined]`. No session: the agent's own token says whose it is.
"""

import json

from aiohttp.web import HTTPForbidden, Request, Response, RouteTableDef, json_response

from node.domain.refused import Refused
from node.recorder import NodeFault
from node.store import StoreFault
from sync.acts import MAX_CMS
from web.keys import SIGNING
from web.messages import sentence
from web.pending import PendingAct, Stage
from web.signing import WHY, NotSigned, Signing

routes = RouteTableDef()


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
    found = signing.desk.pair(str(code), request.remote or "") if signing is not None else None
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
    if act.stage is not Stage.WAITING:  # another request was quicker
        return json_response({"error": "over"}, status=409)
    act.stage = Stage.CHECKING
    try:
        act.leads = await act.finish(cms)
        if act.leads:
            act.stage = Stage.SIGNED
    except NotSigned as refused:
        act.stage, act.why = Stage.REFUSED, WHY[refused.why]
        return json_response({"error": refused.why}, status=422)
    except Refused as refused:
        act.stage, act.why = Stage.REFUSED, sentence(refused).title
        return json_response({"error": "rule"}, status=409)
    except (NodeFault, StoreFault):
        act.stage, act.why = Stage.REFUSED, WHY["node"]
        return json_response({"error": "node"}, status=503)
    finally:
        if act.stage is Stage.CHECKING:  # an error that nobody foresaw goes on, and the person is not left to wait
            act.stage, act.why = Stage.REFUSED, WHY["fault"]
    if not act.leads:
        return json_response({"waiting": "second"}, status=202)
    return json_response({"receipt": act.leads.rpartition("/")[2]})
