"""The ceremony's files at the desk: request out, releases and bidders' halves in; the notice file for anybody (解密仪式)."""

from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node import export
from node.ceremony_files import MAX_FILE, CeremonyFileRefused
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.values import Role
from node.node import Node
from node.notice_export import write_notice
from node.opening_desk import ceremony_request, give_half, release_shares
from node.receipts import Receipt
from node.successions import known_successions
from web import words
from web.forms import Field, FieldErrors, FormState, command_id_of
from web.keys import NODE
from web.render import new_command_id, page
from web.security import for_roles, not_found, signed_in
from web.uploads import receive_file

routes = RouteTableDef()
_Take = Callable[..., Awaitable[Receipt]]
_TAKE: dict[str, tuple[str, str, str, _Take]] = {
    "release": ("接收保管人的释放文件", "接收释放文件", "由保管人工具（erhai share release）生成", release_shares),
    "half": ("接收投标人的解密文件", "接收解密文件", "由投标人工具（erhai bid open）生成", give_half),
}
_DESK = (Role.AGENCY, Role.OPERATOR)


async def _lot(request: Request) -> LotState:
    state = await request.app[NODE].state(lot_stream(request.match_info["lot"]))
    if not isinstance(state, LotState) or state.project.lot is None:
        return not_found()  # type: ignore[return-value]
    return state


def _file(data: bytes, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(body=data, content_type="application/json", headers=headers)


@routes.get("/desk/lots/{lot}/ceremony-request.json")
@for_roles(*_DESK, Role.TENDERER, Role.SUPERVISOR, Role.WITNESS)
async def request_file(request: Request) -> Response:
    """Hand out the request that trustees and bidders answer."""
    lot = await _lot(request)
    data = await ceremony_request(request.app[NODE], lot.lot_code)
    return _file(data, f"{lot.lot_code}-request.json")


@routes.get("/public/lots/{lot}/notice.json")
async def notice_file(request: Request) -> Response:
    """Hand out the signed tender notice, from which the bidder's tool takes trustees and terms."""
    node, lot = request.app[NODE], await _lot(request)
    if lot.notice.published is None or lot.terms.appointed is None:
        return not_found()
    return _file(await notice_bytes(node, lot.lot_code), f"{lot.lot_code}-notice.json")


async def notice_bytes(node: Node, lot_code: str) -> bytes:
    """Return a lot's notice file."""
    origin = await node.origin_of(lot_stream(lot_code))
    public = node.keys.public()

    def write(db: Any) -> bytes:
        known = known_successions(db)
        policy = export.policy_of(node.settings, public.log_vkey, public.cosigner_vkey, origin, known)
        return write_notice(db, lot_code, policy)

    return await node.read(write)


def _form(request: Request, lot_code: str, what: str, errors: dict[str, str] | None = None) -> Response:
    title, button, hint, _ = _TAKE[what]
    form = FormState(
        f"/desk/lots/{lot_code}/ceremony/{what}",
        (Field("file", "文件", "file", hint=hint),),
        {},
        errors or {},
        new_command_id(),
        button=button,
        multipart=True,
    )
    return page(
        request,
        "desk/form.html",
        status=422 if errors else 200,
        title_prefix="错误：" if errors else "",
        form=form,
        title=title,
        back=f"/desk/lots/{lot_code}",
        note="文件内的密钥份额只有本次解密仪式能读。",
    )


@routes.get("/desk/lots/{lot}/ceremony/{what:release|half}")
@for_roles(*_DESK)
async def take_form(request: Request) -> Response:
    """Show the form that takes a release or a half."""
    lot = await _lot(request)
    return _form(request, lot.lot_code, request.match_info["what"])


@routes.post("/desk/lots/{lot}/ceremony/{what:release|half}")
@for_roles(*_DESK)
async def take(request: Request) -> Response:
    """Take a release or a half, judge it, record it; the file stays as evidence."""
    node, lot, what = request.app[NODE], await _lot(request), request.match_info["what"]
    upload = await receive_file(request, node.blobs, MAX_FILE)
    errors = dict(upload.errors)
    command_id = b""
    try:
        command_id = command_id_of(upload.data)
    except FieldErrors as wrong:
        errors |= wrong.errors
    if errors:
        upload.forget(node.blobs)
        return _form(request, lot.lot_code, what, errors)
    try:
        receipt = await _TAKE[what][3](
            node,
            lot.lot_code,
            node.blobs.get(upload.sha256),
            command_id=command_id,
            actor=signed_in(request).actor,
        )
    except CeremonyFileRefused as refused:
        upload.forget(node.blobs)
        return _form(request, lot.lot_code, what, {"file": words.CEREMONY_FILES[refused.why]})
    except Refused:
        upload.forget(node.blobs)
        raise
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next=/desk/lots/{lot.lot_code}")
