"""Draws at the desk (可验证抽取): freeze, commit, reveal, escrow, calls, seats, publication. Counts only; no name before its time."""

from typing import Any

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain import drawn
from node.domain.ceremony import WITNESS, reveals_due_ms
from node.domain.draw_proof import COEFFICIENT, TIE
from node.domain.draw_proof import PARTIES as REQUIRED
from node.domain.drawing import names_sealed
from node.domain.drawn import DrawState, ExpertsFrozen, OptionsFrozen
from node.domain.drawn_terms import options_of
from node.domain.eligibility import DrawRequest, Group, Recusal, Span
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.secrecy import Secret, Stage, may_read, stage_of
from node.domain.streams import draw_stream
from node.domain.values import Role
from node.draw_json import proof_json
from node.drawing import Drawings
from node.views import drawing as drawing_view
from web.acts_opening import venue_nodes
from web.binding import Binding, conclude, filled, foot_of
from web.desk import desk_only, lot_of, revision, stale
from web.draw_steps import OUTCOMES, PARTIES, STEPS, Given, Step, party_of
from web.forms import Field, FieldErrors, FormState, command_id_of, parse, revision_of, rows_of
from web.keys import DRAWINGS, NODE
from web.render import new_command_id, page
from web.second import asked_here, confirm, role_and_no, second_person
from web.security import for_roles, not_found, read_form, signed_in

routes = RouteTableDef()
REASONS = {
    "specialty": "专业不符",
    "region": "地区不符",
    "disabled": "停用",
    "suspended": "暂停",
    "unqualified": "资格不符",
    "age": "超过年龄",
    "leave": "请假",
    "session": "同时段已被抽取",
    "frequency": "抽取过于频繁",
    "recused-employer": "工作单位须回避",
    "relation": "与回避单位有关系",
}
_FREEZE = (
    Field("begins", "评标开始时间", "time"),
    Field("hours", "预计小时数", "whole", low=1, high=240, value="8"),
    Field("groups", "专业组", "area", longest=2_000, hint="每行一组：名称,专业代码,人数,地区代码（可空）,节点"),
    Field("tenderer_seats", "招标人代表人数", "whole", low=0, high=30, value="0"),
    Field(
        "recusals",
        "回避单位",
        "area",
        required=False,
        longest=4_000,
        hint="每行一家：名称,统一社会信用代码,原因（1 投标单位，2 招标单位，3 主管部门，4 招标代理机构，9 其他）",
    ),
    Field("witness", "见证人员也参加承诺", "flag", required=False),
    Field("reason", "人数偏少或快照过期的批准理由", "area", required=False, longest=2_000),
    Field("approver", "批准人（行政监督人员的人员号）", required=False, longest=20),
    Field("approver_pin", "批准人的口令", "pin", required=False, longest=40, hint="由批准人本人输入"),
)

_KIND_WORDS = {COEFFICIENT: "系数（开标后）", TIE: "并列先后（评分后）"}
_OPTIONS_NOTE = (
    "名称和备选项由系统按招标文件和排序填写，不能更改。冻结后，各方承诺、揭示随机数，结果由种子唯一确定，任何人可以重算。"
    "计分和排序只采用这一结果；同一事项不重新抽取。"
)


@routes.get("/desk/lots/{lot}/draws")
@desk_only
async def of_lot(request: Request) -> Response:
    """List a lot's draws, and what may be drawn."""
    node, lot = request.app[NODE], await lot_of(request)
    rows = await node.read(lambda db: drawing_view.of_lot(db, lot.lot_code))
    states = [(draw_id, await request.app[DRAWINGS].state(draw_id)) for draw_id, _kind in rows]
    operator = signed_in(request).person.role is Role.OPERATOR
    return page(
        request,
        "desk/draws.html",
        live=f"lot/{lot.lot_code},log",
        lot=lot,
        draws=states,
        may_draw_options=operator and bool(_needed(lot)),
        may_freeze=operator
        and not lot.panel.members
        and (all(state.over for _id, state in states if state.kind == drawn.EXPERTS)),
    )


def _rows(text: str, field: str, least: int, most: int) -> list[list[str]]:
    found = []
    for number, line in enumerate(rows_of(text), 1):
        parts = [part.strip() for part in line.replace("，", ",").split(",")]
        if not least <= len(parts) <= most:
            raise FieldErrors({field: f"第 {number} 行须有 {least} 到 {most} 项，用逗号分开"})
        found.append([*parts, *[""] * (most - len(parts))])
    return found


def _request_of(lot_code: str, values: dict[str, Any], nodes: tuple[str, ...]) -> DrawRequest:
    groups = []
    for number, (name, specialty, need, region, venue) in enumerate(_rows(values["groups"], "groups", 5, 5), 1):
        if not need.isascii() or not need.isdigit() or len(need) > 2:
            raise FieldErrors({"groups": f"第 {number} 行的人数须为整数"})
        if venue not in nodes:
            raise FieldErrors({"groups": f"第 {number} 行的节点“{venue}”不在本开评标室：{'、'.join(nodes)}"})
        groups.append(Group(name, specialty, int(need), region, venue))
    recusals = tuple(Recusal(*row) for row in _rows(values["recusals"], "recusals", 3, 3))
    session = Span(values["begins"], values["begins"] + values["hours"] * 3_600_000)
    return DrawRequest(lot_code, session, tuple(groups), values["tenderer_seats"], recusals)


def _form(request: Request, form: FormState, title: str, *, back: str, note: str = "", status: int = 200) -> Response:
    prefix = "错误：" if form.errors else ""
    return page(
        request, "desk/form.html", status=status, title_prefix=prefix, form=form, title=title, back=back, note=note
    )


_FREEZE_NOTE = "冻结后名单不能更改。页面只显示人数；抽中的专家依次通知，不能参加的由同一排序的下一位递补，不重新抽取。"


@routes.get("/desk/lots/{lot}/draws/freeze")
@for_roles(Role.OPERATOR)
async def freeze_form(request: Request) -> Response:
    """Show the request form."""
    lot = await lot_of(request)
    url = f"/desk/lots/{lot.lot_code}/draws"
    fields = asked_here(request.app[NODE], _FREEZE)
    form = FormState(f"{url}/freeze", fields, {}, command_id=new_command_id(), button="冻结抽取名单")
    form.foot = foot_of(request, drawn.FreezeExperts)
    return _form(request, form, "申请抽取专家", back=f"/desk/lots/{lot.lot_code}", note=_FREEZE_NOTE)


@routes.post("/desk/lots/{lot}/draws/freeze")
@for_roles(Role.OPERATOR)
async def freeze(request: Request) -> Response:
    """Freeze the pool and lead to the receipt."""
    node, lot, data = request.app[NODE], await lot_of(request), await read_form(request)
    url = f"/desk/lots/{lot.lot_code}/draws"
    fields = asked_here(node, _FREEZE)
    form = FormState.returned(f"{url}/freeze", fields, data, "冻结抽取名单")
    form.foot = foot_of(request, drawn.FreezeExperts)
    try:
        command_id, values = command_id_of(data), parse(fields, data)
        asked = _request_of(lot.lot_code, values, venue_nodes(node))
        names = ("approver", "approver_pin")
        second = confirm(request, values, names, (Role.SUPERVISOR,)) if values["approver"] else None
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, "申请抽取专家", back=f"/desk/lots/{lot.lot_code}", note=_FREEZE_NOTE, status=422)
    draws, actor = request.app[DRAWINGS], signed_in(request).actor
    number = await _next_number(draws, lot, drawn.EXPERTS)
    lines, about = filled(fields, data)
    return await conclude(
        request,
        Binding(
            command=drawn.FreezeExperts,
            title="申请抽取专家，冻结抽取名单",
            stream=draw_stream(drawn.draw_id(lot.lot_code, lot.round_no, drawn.EXPERTS, number)),
            command_id=command_id,
            back=url,
            do=lambda: draws.freeze(
                asked,
                number,
                parties=(*REQUIRED, WITNESS) if values["witness"] else REQUIRED,
                second=role_and_no(second),
                reason=values["reason"] if second else "",
                command_id=command_id,
                actor=actor,
            ),
            lines=lines,
            about=about,
            second=second,
        ),
    )


def _needed(lot: LotState) -> tuple[tuple[str, str], ...]:
    """Return what this lot has to draw, each with its words: what the documents declare, and a tie at the candidates' number."""
    found = []
    for kind, word in _KIND_WORDS.items():
        try:
            name, options = options_of(lot, kind)
        except Refused:
            continue
        found.append((kind, f"{word} {name if kind == COEFFICIENT else ''}：{'、'.join(options)}"))
    return tuple(found)


def _option_fields(lot: LotState) -> tuple[Field, ...]:
    return (Field("kind", "抽取事项", "choice", choices=_needed(lot)),)


@routes.get("/desk/lots/{lot}/draws/options")
@for_roles(Role.OPERATOR)
async def options_form(request: Request) -> Response:
    """Show the form that freezes the options of a coefficient or a tie."""
    lot = await lot_of(request)
    url = f"/desk/lots/{lot.lot_code}/draws"
    form = FormState(f"{url}/options", _option_fields(lot), {}, command_id=new_command_id(), button="冻结备选项")
    return _form(request, form, "抽取系数或并列次序", back=f"/desk/lots/{lot.lot_code}", note=_OPTIONS_NOTE)


@routes.post("/desk/lots/{lot}/draws/options")
@for_roles(Role.OPERATOR)
async def options(request: Request) -> Response:
    """Freeze the options and lead to the receipt."""
    lot, data = await lot_of(request), await read_form(request)
    url = f"/desk/lots/{lot.lot_code}/draws"
    form = FormState.returned(f"{url}/options", _option_fields(lot), data, "冻结备选项")
    try:
        command_id, values = command_id_of(data), parse(_option_fields(lot), data)
    except FieldErrors as wrong:
        form.errors = wrong.errors
        back = f"/desk/lots/{lot.lot_code}"
        return _form(request, form, "抽取系数或并列次序", back=back, note=_OPTIONS_NOTE, status=422)
    draws, kind = request.app[DRAWINGS], values["kind"]
    name, choices = options_of(lot, kind)
    receipt = await draws.freeze_options(
        kind,
        lot.lot_code,
        await _next_number(draws, lot, kind, name),
        name,
        choices,
        parties=REQUIRED,
        command_id=command_id,
        actor=signed_in(request).actor,
    )
    raise HTTPSeeOther(f"/receipts/{receipt.number}?next={url}")


async def _next_number(draws: Drawings, lot: LotState, kind: str, name: str = "") -> int:
    """Return the number of the next draw of a kind. A draw that stands keeps its number: its rule refuses a second."""
    number = 1
    while True:
        state = await draws.state(drawn.draw_id(lot.lot_code, lot.round_no, kind, number))
        another = isinstance(state.frozen, OptionsFrozen) and state.frozen.name != name
        if not state.over and not another:
            return number
        number += 1


async def _draw(request: Request) -> tuple[str, DrawState]:
    draw_id = request.match_info["draw"]
    state = await request.app[DRAWINGS].state(draw_id)
    if state.frozen is None:
        not_found()
    return draw_id, state


@routes.get("/desk/draws/{draw}")
@desk_only
async def show(request: Request) -> Response:
    """Show a draw: counts, parties, what this role can do; to the one who calls, whom; names once the committee is formed."""
    draw_id, state = await _draw(request)
    node, draws, person = request.app[NODE], request.app[DRAWINGS], signed_in(request).person
    lot = await node.state(f"lot/{state.lot_code}")
    seated = isinstance(lot, LotState) and lot.panel.draw_id == draw_id
    sitting = {member.commitment for member in lot.panel.members} if seated else set()
    leaving = sum(who in sitting for who, _why in state.gone)
    names = []
    may_call = may_read(Secret.PHONES, Stage.BIDDING, person.role)
    if seated and may_read(Secret.NAMES, stage_of(lot), person.role):
        for member in lot.panel.members:
            kept = await node.personal(member.commitment)
            names.append((member, kept.fields[0] if kept else ""))
    party = party_of(state, person.role)
    noted = draws.noted(draw_id, party, person.no)
    frozen = state.frozen
    profile = next(one for one in node.profiles if frozen is not None and one.id == frozen.profile_id)
    return page(
        request,
        "desk/draw.html",
        live=f"{draw_stream(draw_id)},log",
        draw_id=draw_id,
        state=state,
        experts=isinstance(frozen, ExpertsFrozen),
        groups=_groups(state),
        reasons=[(REASONS[code], count) for code, count in frozen.excluded]
        if isinstance(frozen, ExpertsFrozen)
        else [],
        parties=PARTIES,
        due_ms=reveals_due_ms(state.ceremony, profile) if state.ceremony.committed and not state.ranked else 0,
        late=[one for one in state.ceremony.parties if not one.revealed] if state.ceremony.committed else [],
        noted=noted.hex() if noted and not state.ceremony.party(party).revealed else "",
        calls=await draws.calls(draw_id) if may_call and not state.voided else (),
        outcomes=OUTCOMES,
        leaving=leaving,
        replacing=sum(one.who not in sitting for one in state.accepted) if seated else 0,
        names=names,
        steps=[
            step
            for step in STEPS.values()
            if step.may(state, person.role)
            and not (step.slug == "seat" and seated)
            and not (step.slug == "replace" and not leaving)
            and not (step.slug == "publish" and names_sealed(lot))
        ],
    )


def _groups(state: DrawState) -> list[tuple[str, int, int, int, int, bool]]:
    """Return of every group: name, eligible, needed, accepted, pending, and whether the ranking is used up."""
    if not isinstance(state.frozen, ExpertsFrozen):
        return []
    return [
        (
            group.name,
            state.frozen.eligible[index],
            group.need,
            state.standing_in(index, drawn.ACCEPTED),
            state.standing_in(index, drawn.PENDING),
            index in state.short,
        )
        for index, group in enumerate(state.frozen.request.groups)
    ]


@routes.get("/desk/draws/{draw}/proof.json")
@desk_only
async def proof(request: Request) -> Response:
    """Return the published proof."""
    draw_id, _state = await _draw(request)
    body = proof_json(await request.app[DRAWINGS].proof(draw_id))
    disposition = f'attachment; filename="PROOF-{draw_id}.json"'
    return Response(body=body, content_type="application/json", headers={"Content-Disposition": disposition})


def _step(request: Request, state: DrawState) -> Step:
    step = STEPS.get(request.match_info["step"])
    if step is None or not step.may(state, signed_in(request).person.role):
        return not_found()  # type: ignore[return-value]
    return step


@routes.get("/desk/draws/{draw}/{step}")
@desk_only
async def step_form(request: Request) -> Response:
    """Show one step's form."""
    draw_id, state = await _draw(request)
    step = _step(request, state)
    form = FormState(
        f"/desk/draws/{draw_id}/{step.slug}",
        asked_here(request.app[NODE], step.fields(state, signed_in(request).person.role)),
        {},
        command_id=new_command_id(),
        revision=await revision(request.app[NODE], draw_stream(draw_id)),
        button=step.button,
        foot=foot_of(request, step.command),
    )
    return _form(request, form, step.title, back=f"/desk/draws/{draw_id}", note=step.note)


@routes.post("/desk/draws/{draw}/{step}")
@desk_only
async def do_step(request: Request) -> Response:
    """Do one step and lead to the receipt."""
    draw_id, state = await _draw(request)
    node, data = request.app[NODE], await read_form(request)
    step = STEPS.get(request.match_info["step"])
    if step is None:
        return not_found()
    role, stream = signed_in(request).person.role, draw_stream(draw_id)
    fields = asked_here(node, step.fields(state, role))
    form = FormState.returned(f"/desk/draws/{draw_id}/{step.slug}", fields, data, step.button)
    form.foot = foot_of(request, step.command)

    async def fresh() -> bool:
        return step.shared or not await stale(node, stream, data)

    try:
        form.revision = revision_of(data)
        command_id = command_id_of(data)
        if not await fresh():
            return page(request, "frame/stale.html", status=409)
        values = parse(fields, data)
        second = second_person(request, values) if "second" in values else None
        actor, draws = signed_in(request).actor, request.app[DRAWINGS]
        given = Given(draws, node, draw_id, state, values, command_id, actor, role_and_no(second))
        lines, about = filled(fields, data)
        return await conclude(
            request,
            Binding(
                command=step.command,
                title=step.title,
                stream=stream,
                command_id=command_id,
                back=f"/desk/draws/{draw_id}",
                do=lambda: step.do(given),
                lines=lines,
                about=about,
                second=second,
                fresh=fresh,
            ),
        )
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, form, step.title, back=f"/desk/draws/{draw_id}", note=step.note, status=422)
