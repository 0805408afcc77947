"""Recorded and not witnessed (已记录，未存证): where an answer waits for the neighbour, and how a room goes on without one."""

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain.incident import RelaxWitness
from node.domain.values import Role
from node.receipts import number_of, seq_of_command
from node.witness import REQUIRED
from web.binding import Binding, conclude, filled, foot_of
from web.desk import desk_only
from web.forms import Field, FieldErrors, FormState, command_id_of, parse
from web.keys import NODE
from web.render import new_command_id, page
from web.second import SECOND, asked_here, role_and_no, second_person
from web.security import for_roles, not_found, read_form, signed_in
from web.status import notices

routes = RouteTableDef()
URL = "/desk/witness"
_RELAX = (Field("reason", "原因", "area", longest=2_000, hint="例如：B 机断电，预计两小时"), *SECOND)
AGAIN_S = 3


def waiting(request: Request, command_id: bytes) -> Response:
    """Return the page of an answer that waits: it asks again by itself, and leads to the receipt once there is one."""
    address = f"/recorded/{command_id.hex()}"
    answer = page(request, "frame/recorded.html", status=202, address=address)
    answer.headers["Refresh"] = f"{AGAIN_S}; url={address}"
    return answer


@routes.get("/recorded/{command_id}")
async def recorded(request: Request) -> Response:
    """Lead to a command's receipt, or go on waiting."""
    signed_in(request)
    node = request.app[NODE]
    try:
        command_id = command_id_of({"command_id": request.match_info["command_id"]})
    except FieldErrors:
        return not_found()
    seq = await node.read(lambda db: seq_of_command(db, node.settings.origin, command_id))
    if seq is None:
        return not_found()
    if not await node.witness.covered_whole(seq, await node.relaxed_seq()):
        return waiting(request, command_id)
    raise HTTPSeeOther(f"/receipts/{number_of(node.settings.origin, seq)}")


@routes.get(URL)
@desk_only
async def show(request: Request) -> Response:
    """Show whether answers wait for a neighbour, and how far it has come."""
    node = request.app[NODE]
    relaxed = node.witness.relaxed(await node.relaxed_seq())
    return page(
        request,
        "desk/witness.html",
        live="log",
        required=node.witness.mode == REQUIRED,
        relaxed=relaxed,
        held=node.witness.held,
        low=next((one for one in notices(node) if one.cause == "disk-low"), None),
        size=node.recorder.size,
        may_relax=signed_in(request).person.role is Role.OPERATOR and not relaxed,
    )


@routes.get(f"{URL}/relax")
@for_roles(Role.OPERATOR)
async def relax_form(request: Request) -> Response:
    """Show the form of the switch."""
    fields = asked_here(request.app[NODE], _RELAX)
    form = FormState(f"{URL}/relax", fields, {}, command_id=new_command_id(), button="改为单机记录")
    form.foot = foot_of(request, RelaxWitness)
    return _form(request, form)


def _form(request: Request, form: FormState, status: int = 200) -> Response:
    note = "此后的回执只以本机记录为据，直到邻机恢复并存证。邻机恢复后自动改回，不需要办理。"
    prefix = "错误：" if form.errors else ""
    return page(
        request,
        "desk/form.html",
        status=status,
        title_prefix=prefix,
        form=form,
        title="改为单机记录",
        back="/desk",
        note=note,
    )


@routes.post(f"{URL}/relax")
@for_roles(Role.OPERATOR)
async def relax(request: Request) -> Response:
    """Switch, and lead to the receipt."""
    node, data = request.app[NODE], await read_form(request)
    fields = asked_here(node, _RELAX)
    form = FormState.returned(f"{URL}/relax", fields, data, "改为单机记录")
    form.foot = foot_of(request, RelaxWitness)
    try:
        number, values = command_id_of(data), parse(fields, data)
        second = second_person(request, values)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, 422)
    lines, about = filled(fields, data)
    actor, beside = signed_in(request).actor, role_and_no(second)
    return await conclude(
        request,
        Binding(
            command=RelaxWitness,
            title="改为单机记录",
            stream=f"room/{node.settings.node}",
            command_id=number,
            back=URL,
            do=lambda: node.relax_witness(values["reason"], beside, command_id=number, actor=actor),
            lines=lines,
            about=about,
            second=second,
        ),
    )
