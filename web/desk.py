"""The desk: tenderer, agency, operator, supervisor, witness. Today, lots, acts, opening, monitor, incidents (工作台)."""

from typing import Any

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain import incident, project, review
from node.domain.bidding import SubmitBid
from node.domain.duties import DUTIES
from node.domain.lot import LotState, blocked
from node.domain.opening import OpenBid
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.unsealing import ReleaseShares
from node.domain.values import Role
from node.node import Node
from node.opening_desk import submit_bid
from node.views import custody as custody_view
from node.views import incident as incident_view
from node.views import lot_page
from node.views import project as project_view
from node.views import review as review_view
from node.views import signed as signed_view
from node.views.ceremony_page import ceremony_page
from web import words
from web.binding import Binding, conclude, filled, foot_of
from web.desk_act import Act
from web.desk_acts import BY_SLUG, acts_for
from web.forms import Field, FieldErrors, FormState, command_id_of, parse, revision_of, typed
from web.keys import NODE
from web.render import new_command_id, page
from web.second import asked_here, confirm
from web.security import for_roles, not_found, read_form, signed_in
from web.uploads import receive_file

routes = RouteTableDef()
DESK = (Role.TENDERER, Role.AGENCY, Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS)
desk_only = for_roles(*DESK, Role.TECHNICIAN)
PROFILE = "works-2"  # the newest version of the procedure: every new lot runs by it
BID_MOST = 200 * 1024 * 1024

_REGISTER = (
    Field("project_name", "项目名称"),
    Field("lot_name", "标段名称"),
    Field("project_code", "项目编号（17 位）", longest=17),
    Field("tender_project_code", "招标项目编号（20 位）", longest=20),
    Field("lot_code", "标段编号（23 位）", longest=23),
    Field("deal_code", "统一交易标识码", longest=40),
    Field("tenderer_name", "招标人"),
    Field("tenderer_uscc", "招标人统一社会信用代码", longest=18),
    Field("agency_name", "招标代理机构", required=False),
    Field("agency_uscc", "招标代理机构统一社会信用代码", longest=18, required=False),
    Field("region", "行政区划代码", longest=6, value="532924"),
    Field("trade_class", "交易分类", longest=6, value="A01"),
    Field("category", "类别", "choice", choices=(("works", "工程"), ("goods", "货物"), ("services", "服务"))),
    Field("method", "招标方式", "choice", choices=(("open", "公开招标"), ("invited", "邀请招标"))),
    Field("state_funds", "国有资金占控股或者主导地位", "flag", required=False),
    Field("estimate", "标段估算价（元）", "yuan"),
    Field("approval_ref", "项目审批、核准或备案文件"),
    Field("funds_ref", "资金落实文件"),
    Field("agency_contract_ref", "委托代理合同", required=False),
    Field("warnings_confirmed_by", "代码校验警告的复核人（人员号）", required=False, longest=20),
    Field("warnings_pin", "复核人的口令", "pin", required=False, longest=40, hint="由复核人本人输入，不能是登记人"),
)
_INCIDENT = (
    Field("kind", "类别", "choice", choices=tuple(words.INCIDENTS.items())),
    Field("text", "情况", "area", longest=2_000),
    Field("began_at", "发生时间", "time"),
    Field("lots", "涉及标段编号", "words", required=False, longest=2_000, hint="一行一个"),
)
_INCIDENT_END = (Field("text", "处理结果", "area", longest=2_000), Field("ended_at", "结束时间", "time"))
_BID = (
    Field("ref", "投标人编号", longest=12),
    Field("file", "加密投标文件", "file", hint="由投标人工具生成，最大 200 MB"),
)


async def revision(node: Node, stream: str) -> int:
    """Return how many entries a stream has: what a page was made from."""
    return await node.read(lambda db: len(custody_view.of_stream(db, stream)))


async def stale(node: Node, stream: str, data: Any) -> bool:
    """Whether a form's page is older than its stream, unless its command is recorded already."""
    if await node.recorded(command_id_of(data)):
        return False
    return revision_of(data) != await revision(node, stream)


async def lot_of(request: Request) -> LotState:
    """Return the lot that an address names; the page of nothing there where there is none."""
    state = await request.app[NODE].state(lot_stream(request.match_info["lot"]))
    if not isinstance(state, LotState) or state.project.lot is None:
        return not_found()  # type: ignore[return-value]
    return state


@routes.get("/desk")
@desk_only
async def today(request: Request) -> Response:
    """List the lots held here and the incidents that last."""
    node = request.app[NODE]
    lots = await node.read(project_view.lots)
    incidents = await node.read(incident_view.incidents)
    findings = await node.read(review_view.findings)
    role = signed_in(request).person.role
    return page(
        request,
        "desk/today.html",
        live="log",
        lots=lots,
        incidents=incidents,
        findings=findings,
        may_answer=role in DUTIES[review.AnswerFinding],
        may_register=role in DUTIES[project.RegisterLot],
        may_record=role in DUTIES[incident.RecordIncident],
    )


@routes.get("/desk/register")
@for_roles(*DESK)
async def register_form(request: Request) -> Response:
    """Show the registration form."""
    fields = asked_here(request.app[NODE], _REGISTER)
    form = FormState("/desk/register", fields, {}, command_id=new_command_id(), button="登记标段")
    form.foot = foot_of(request, project.RegisterLot)
    return _form(request, form, "入场登记")


def _form(
    request: Request, form: FormState, title: str, *, back: str = "/desk", note: str = "", status: int = 200
) -> Response:
    prefix = "错误：" if form.errors else ""
    return page(
        request, "desk/form.html", status=status, title_prefix=prefix, form=form, title=title, back=back, note=note
    )


@routes.post("/desk/register")
@for_roles(*DESK)
async def register(request: Request) -> Response:
    """Register a lot."""
    node, data = request.app[NODE], await read_form(request)
    fields = asked_here(node, _REGISTER)
    form = FormState.returned("/desk/register", fields, data, "登记标段")
    form.foot = foot_of(request, project.RegisterLot)
    try:
        command_id, v = command_id_of(data), parse(fields, data)
        names = ("warnings_confirmed_by", "warnings_pin")
        beside = confirm(request, v, names, DESK) if v["warnings_confirmed_by"] else None
        v.pop("warnings_pin", None)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, "入场登记", status=422)
    estimate = v.pop("estimate")
    command = project.RegisterLot(**v, profile_id=PROFILE, estimate_fen=estimate)
    lines, about = filled(fields, data)
    stream, actor = lot_stream(command.lot_code), signed_in(request).actor
    return await conclude(
        request,
        Binding(
            command=project.RegisterLot,
            title="入场登记",
            stream=stream,
            command_id=command_id,
            back=f"/desk/lots/{command.lot_code}",
            do=lambda: node.submit(stream, command, command_id=command_id, actor=actor),
            lines=lines,
            about=about,
            second=beside,
        ),
    )


def open_for_bids(state: LotState) -> bool:
    """Whether sealed bid files may be handed in, as far as a page can tell; the rules decide."""
    return state.notice.published is not None and not state.opening.started and not blocked(state)


@routes.get("/desk/lots/{lot}")
@desk_only
async def lot(request: Request) -> Response:
    """Show a lot: steps, facts, opening table, seats, and what this role can do next."""
    node, state = request.app[NODE], await lot_of(request)
    role = signed_in(request).person.role
    profile = next(one for one in node.profiles if one.id == state.profile_id)
    sheets = {}
    for member in state.panel.members:
        sheets[member.no] = await node.state(f"sheet/{state.lot_code}/{state.round_no}/{member.no}")
    offered = acts_for(state, role)
    model = lot_page.lot_page(state, profile, sheets, role)
    return page(
        request,
        "desk/lot.html",
        live=f"lot/{state.lot_code},log",
        model=model,
        owner_node=state.custody.node or state.registered.owner_node,
        term=state.custody.term,
        contested=(await node.read(lambda db: custody_view.chain(db, lot_stream(state.lot_code)))).contested,
        acts=offered,
        ceremony=ceremony_page(state, profile),
        asks_certificates=bool(node.settings.anchor_vkeys),
        may_take_pieces=role in DUTIES[ReleaseShares],
        may_take_bids=role in DUTIES[SubmitBid] and open_for_bids(state),
        signed=await node.read(lambda db: signed_view.of_lot(db, state.lot_code)),
        unsigned=not node.settings.asks_certificates,
        file_lost=node.attachments.next_away(state) if role in DUTIES[OpenBid] else "",
    )


def _act(request: Request) -> Act:
    act = BY_SLUG.get(request.match_info["slug"])
    if act is None:
        return not_found()  # type: ignore[return-value]
    return act


@routes.get("/desk/lots/{lot}/bid")
@for_roles(Role.OPERATOR)
async def bid_form(request: Request) -> Response:
    """Show the form that takes a sealed bid file at the desk."""
    state = await lot_of(request)
    form = FormState(
        f"/desk/lots/{state.lot_code}/bid",
        _BID,
        {},
        command_id=new_command_id(),
        button="接收并出具回执",
        multipart=True,
    )
    return _form(
        request, form, "接收投标文件", back=f"/desk/lots/{state.lot_code}", note="文件加密保存，开标前任何人不能打开。"
    )


@routes.post("/desk/lots/{lot}/bid")
@for_roles(Role.OPERATOR)
async def take_bid(request: Request) -> Response:
    """Take a sealed bid file: streamed to the blob store with its digest, then recorded."""
    node, state = request.app[NODE], await lot_of(request)
    url = f"/desk/lots/{state.lot_code}"
    upload = await receive_file(request, node.blobs, BID_MOST)
    errors = dict(upload.errors)
    command_id, values = b"", {}
    try:
        command_id, values = command_id_of(upload.data), parse(_BID, upload.data)
    except FieldErrors as wrong:
        errors |= wrong.errors
    if errors:
        upload.forget(node.blobs)
        typed_in = typed(_BID, upload.data)
        form = FormState(
            f"{url}/bid", _BID, typed_in, errors, new_command_id(), button="接收并出具回执", multipart=True
        )
        return _form(request, form, "接收投标文件", back=url, status=422)
    command = SubmitBid(values["ref"], upload.sha256, upload.size, "desk")
    try:
        receipt = await submit_bid(node, state.lot_code, command, command_id=command_id, actor=signed_in(request).actor)
    except Refused:
        upload.forget(node.blobs)
        raise
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next={url}")


@routes.get("/desk/lots/{lot}/{slug}")
@for_roles(*DESK)
async def act_form(request: Request) -> Response:
    """Show one act's form."""
    node, state, act = request.app[NODE], await lot_of(request), _act(request)
    if not act.may(signed_in(request).person.role):
        return page(request, "frame/forbidden.html", status=403)
    url = f"/desk/lots/{state.lot_code}/{act.slug}"
    seen = await revision(node, lot_stream(state.lot_code))
    form = FormState(url, act.fields(state), {}, command_id=new_command_id(), revision=seen, button=act.button)
    form.foot = foot_of(request, act.command)
    return _form(request, form, act.title, back=f"/desk/lots/{state.lot_code}", note=act.note)


@routes.post("/desk/lots/{lot}/{slug}")
@for_roles(*DESK)
async def do_act(request: Request) -> Response:
    """Do one act and lead to its receipt."""
    node, state, act = request.app[NODE], await lot_of(request), _act(request)
    session = signed_in(request)
    if not act.may(session.person.role):
        return page(request, "frame/forbidden.html", status=403)
    data = await read_form(request)
    stream, url = lot_stream(state.lot_code), f"/desk/lots/{state.lot_code}"
    fields = act.fields(state)
    form = FormState.returned(f"{url}/{act.slug}", fields, data, act.button)
    form.foot = foot_of(request, act.command)

    async def fresh() -> bool:
        return act.shared or not await stale(node, stream, data)

    try:
        form.revision = revision_of(data)
        command_id = command_id_of(data)
        if not await fresh():
            return page(request, "frame/stale.html", status=409)
        values = parse(fields, data)
        lines, about = filled(fields, data)
        return await conclude(
            request,
            Binding(
                command=act.command,
                title=act.title,
                stream=stream,
                command_id=command_id,
                back=url,
                do=lambda: act.submit(node, state, values, command_id, session.actor),
                lines={"招标次数": str(state.round_no), **lines},
                about=about,
                fresh=fresh,
            ),
        )
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, act.title, back=url, note=act.note, status=422)


# -- incidents of the room ------------------------------------------------------------------------------------------


@routes.get("/desk/incidents/new")
@for_roles(Role.OPERATOR, Role.WITNESS, Role.SUPERVISOR)
async def incident_form(request: Request) -> Response:
    """Show the form that records an incident."""
    lots = await request.app[NODE].read(project_view.lots)
    going = "\n".join(one.lot_code for one in lots if not one.blocked)
    form = FormState("/desk/incidents/new", _INCIDENT, {"lots": going}, command_id=new_command_id(), button="记录异常")
    return _form(request, form, "记录异常")


@routes.post("/desk/incidents/new")
@for_roles(Role.OPERATOR, Role.WITNESS, Role.SUPERVISOR)
async def record_incident(request: Request) -> Response:
    """Record an incident in the room's stream."""
    node, data = request.app[NODE], await read_form(request)
    form = FormState.returned("/desk/incidents/new", _INCIDENT, data, "记录异常")
    try:
        command_id, v = command_id_of(data), parse(_INCIDENT, data)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, "记录异常", status=422)
    command = incident.RecordIncident(v["kind"], v["text"], v["began_at"], v["lots"])
    stream = f"room/{node.settings.node}"
    receipt = await node.submit(stream, command, command_id=command_id, actor=signed_in(request).actor)
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next=/desk")


@routes.get("/desk/incidents/{no}/end")
@for_roles(Role.OPERATOR)
async def incident_end_form(request: Request) -> Response:
    """Show the form that ends an incident."""
    url = f"/desk/incidents/{request.match_info['no']}/end"
    return _form(request, FormState(url, _INCIDENT_END, {}, command_id=new_command_id(), button="记录结束"), "异常结束")


@routes.post("/desk/incidents/{no}/end")
@for_roles(Role.OPERATOR)
async def end_incident(request: Request) -> Response:
    """Record that an incident is over."""
    node, data = request.app[NODE], await read_form(request)
    number = request.match_info["no"]
    if not (number.isascii() and number.isdigit() and len(number) < 9):
        return not_found()
    url = f"/desk/incidents/{number}/end"
    form = FormState.returned(url, _INCIDENT_END, data, "记录结束")
    try:
        command_id, v = command_id_of(data), parse(_INCIDENT_END, data)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, "异常结束", status=422)
    command = incident.CloseIncident(int(number), v["text"], v["ended_at"])
    stream = f"room/{node.settings.node}"
    receipt = await node.submit(stream, command, command_id=command_id, actor=signed_in(request).actor)
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next=/desk")
