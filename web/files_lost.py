"""A receipted bid file that nobody has any more (文件无法取回): two persons say so, and the opening goes on without it."""

import hashlib

from aiohttp.web import Request, Response, RouteTableDef

from node.domain.duties import DUTIES
from node.domain.incident import RecordIncident
from node.domain.lot import LotState
from node.domain.opening import OpenBid
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.unsealing import GiveUpFile
from node.node import Node
from node.receipts import Receipt
from web.binding import Binding, conclude, filled, foot_of
from web.desk import lot_of
from web.desk_act import REASON
from web.forms import FieldErrors, FormState, command_id_of, parse
from web.keys import NODE
from web.render import new_command_id, page
from web.second import SECOND, asked_here, role_and_no, second_person
from web.security import for_roles, read_form, signed_in

routes = RouteTableDef()
_FIELDS = (REASON, *SECOND)
_NOTE = (
    "只有各处都没有这份文件时才办理：先接通邻机和上级，查看移动存储。办理后按平台原因记为未解密，视为撤回投标文件，"
    "不能更改；两人的人员号和理由写入异常记录。由保管人保管密钥的标段，办理后解密仪式可以开始；仪式开始前文件取回的，照常解密。"
)
_BUTTON = "确认无法取回"


def _form(request: Request, state: LotState, form: FormState, status: int = 200) -> Response:
    return page(
        request,
        "desk/form.html",
        status=status,
        title_prefix="错误：" if form.errors else "",
        form=form,
        title=f"文件无法取回：{request.app[NODE].attachments.next_away(state)}",
        back=f"/desk/lots/{state.lot_code}",
        note=_NOTE,
    )


def _next_away(node: Node, state: LotState) -> str:
    ref = node.attachments.next_away(state)
    if not ref:
        raise Refused("file-here", rule="receipted-files-are-opened", value=state.opening.next_to_open)
    return ref


@routes.get("/desk/lots/{lot}/files/lost")
@for_roles(*DUTIES[OpenBid])
async def lost_form(request: Request) -> Response:
    """Show the form."""
    state = await lot_of(request)
    _next_away(request.app[NODE], state)
    url = f"/desk/lots/{state.lot_code}/files/lost"
    fields = asked_here(request.app[NODE], _FIELDS)
    form = FormState(url, fields, {}, command_id=new_command_id(), button=_BUTTON)
    form.foot = foot_of(request, RecordIncident, binds=True)
    return _form(request, state, form)


@routes.post("/desk/lots/{lot}/files/lost")
@for_roles(*DUTIES[OpenBid])
async def lost(request: Request) -> Response:
    """Record who says so and why, then the outcome; lead to its receipt."""
    node, state, data = request.app[NODE], await lot_of(request), await read_form(request)
    url = f"/desk/lots/{state.lot_code}/files/lost"
    fields = asked_here(node, _FIELDS)
    form = FormState.returned(url, fields, data, _BUTTON)
    form.foot = foot_of(request, RecordIncident, binds=True)
    try:
        command_id, values = command_id_of(data), parse(fields, data)
        second = second_person(request, values)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, state, form, 422)
    actor = signed_in(request).actor
    ref = _next_away(node, state)
    text = f"投标文件 {ref} 各处均无法取回，第二人 {role_and_no(second)}：{values['reason']}"
    said = RecordIncident("other", text, node.clock.now().at_ms, (state.lot_code,))
    before = hashlib.sha256(b"erhai-file-lost-v1\n" + command_id).digest()[:16]
    gives_up = state.terms.appointed is not None

    async def do() -> Receipt:
        await node.submit(f"room/{node.settings.node}", said, command_id=before, actor=actor)
        if not gives_up:
            return await node.open_bid(state.lot_code, ref, command_id=command_id, actor=actor, lost=True)
        command = GiveUpFile(ref, role_and_no(second), values["reason"])
        return await node.submit(lot_stream(state.lot_code), command, command_id=command_id, actor=actor)

    lines, about = filled(fields, data)
    return await conclude(
        request,
        Binding(
            command=GiveUpFile if gives_up else RecordIncident,
            binds=True,
            title="文件无法取回",
            stream=lot_stream(state.lot_code),
            command_id=command_id,
            back=f"/desk/lots/{state.lot_code}",
            do=do,
            lines={"投标人编号": ref, **lines},
            about=about,
            second=second,
        ),
    )
