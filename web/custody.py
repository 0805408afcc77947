"""Custody of a lot (主持权): whose it is, what would be missing, hand-over, take-over, and what a former owner left behind."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp.web import Request, Response, RouteTableDef

from node import custody
from node.domain.custody import AdoptEntry, RecallCustody, ReleaseCustody, TakeCustody
from node.domain.lot import LotState
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.node import Node
from node.people import Person
from node.receipts import Receipt, number_of
from web.binding import Binding, conclude, filled, foot_of
from web.desk import desk_only, revision, stale
from web.forms import Field, FieldErrors, FormState, command_id_of, parse, revision_of
from web.keys import NODE
from web.render import new_command_id, page
from web.second import SECOND, asked_here, role_and_no, second_person
from web.security import for_roles, not_found, read_form, signed_in

routes = RouteTableDef()
_REASON = Field("reason", "原因", "area", longest=2_000)
_PLACE = (Field("origin", "日志", longest=200), Field("seq", "序号", "whole"))


@dataclass(frozen=True, slots=True)
class TailLine:
    """One entry that a former owner left behind, for the page; `form` where it is the next to decide about here."""

    number: str
    at_ms: int
    stream: str
    actor: str
    events: tuple[str, ...]
    outcome: str
    reason: str
    origin: str
    seq: int
    next: bool


@dataclass(frozen=True, slots=True)
class _Given:
    """One filled form, checked: of which lot, its values, who stands beside, under which command."""

    node: Node
    lot: str
    values: dict[str, Any]
    beside: Person | None
    command_id: bytes
    actor: Actor

    @property
    def second(self) -> str:
        """Return who stands beside, as role:number."""
        return role_and_no(self.beside)


@dataclass(frozen=True, slots=True)
class _Change:
    """One change of custody: its form, and what is done with it."""

    slug: str
    title: str
    command: type
    button: str
    fields: Callable[[Node, custody.Standing], tuple[Field, ...]]
    offered: Callable[[custody.Standing], bool]
    do: Callable[[_Given], Awaitable[Receipt]]


def _rooms(node: Node) -> tuple[tuple[str, str], ...]:
    return tuple((peer.name, peer.name) for peer in node.settings.peers if peer.kind == "room")


def _take_fields(_node: Node, found: custody.Standing) -> tuple[Field, ...]:
    nodes = tuple((name, f"{name}（本标段 {count} 项）") for name, count in found.movable)
    return (Field("from_node", "从哪台节点", "choice", choices=nodes), _REASON, *SECOND)


async def _take(g: _Given) -> Receipt:
    return await custody.take(
        g.node, g.lot, g.values["from_node"], g.values["reason"], g.second, command_id=g.command_id, actor=g.actor
    )


async def _release(g: _Given) -> Receipt:
    return await custody.release(
        g.node, g.lot, g.values["to_node"], g.values["reason"], g.second, command_id=g.command_id, actor=g.actor
    )


async def _recall(g: _Given) -> Receipt:
    return await custody.recall(g.node, g.lot, g.values["reason"], command_id=g.command_id, actor=g.actor)


async def _tail(g: _Given) -> Receipt:
    return await custody.decide_tail(
        g.node,
        g.values["origin"],
        g.values["seq"],
        adopt=g.values["decision"] == "adopt",
        reason=g.values["reason"],
        second=g.second,
        command_id=g.command_id,
        actor=g.actor,
    )


_DECISION = Field(
    "decision", "处理", "choice", choices=(("adopt", "采纳：自本机继续生效"), ("decline", "不采纳：只留存"))
)
CHANGES = {
    change.slug: change
    for change in (
        _Change(
            "release",
            "移交主持权",
            ReleaseCustody,
            "确认移交",
            lambda node, _found: (
                Field("to_node", "移交给", "choice", choices=_rooms(node)),
                _REASON,
                *SECOND,
            ),
            lambda found: found.own and not found.released_to,
            _release,
        ),
        _Change(
            "recall",
            "收回主持权",
            RecallCustody,
            "确认收回",
            lambda _node, _found: (_REASON,),
            lambda found: found.own and bool(found.released_to),
            _recall,
        ),
        _Change("take", "接管主持权", TakeCustody, "确认接管", _take_fields, lambda found: bool(found.movable), _take),
        _Change(
            "tail",
            "处理未传记录",
            AdoptEntry,
            "确认处理",
            lambda _node, _found: (*_PLACE, _DECISION, _REASON, *SECOND),
            lambda found: any(not one.outcome for one in found.tail),
            _tail,
        ),
    )
}


async def _standing(request: Request) -> tuple[LotState, custody.Standing]:
    node = request.app[NODE]
    state = await node.state(lot_stream(request.match_info["lot"]))
    known = state if isinstance(state, LotState) else getattr(state, "known", None)
    if not isinstance(known, LotState):
        return not_found()  # type: ignore[return-value]
    lot_code = request.match_info["lot"]
    found = await node.read(lambda db: custody.standing(db, node.settings, lot_code, known))
    if not found.owner_origin and not found.contested and not found.held_back:
        return not_found()  # type: ignore[return-value]
    return known, found


def _lines(found: custody.Standing, own_origin: str) -> tuple[TailLine, ...]:
    undecided: set[tuple[str, str]] = set()
    lines = []
    for one in found.tail:
        key = (one.row.stream, one.row.origin)
        first = not one.outcome and key not in undecided and one.row.origin != own_origin
        if not one.outcome:
            undecided.add(key)
        lines.append(
            TailLine(
                number_of(one.row.origin, one.row.seq),
                one.row.at_ms,
                one.row.stream,
                one.row.actor,
                one.row.events,
                one.outcome,
                one.reason,
                one.row.origin,
                one.row.seq,
                first,
            )
        )
    return tuple(lines)


@routes.get("/desk/lots/{lot}/custody")
@desk_only
async def show(request: Request) -> Response:
    """Show where a lot's custody stands and what an operator can do about it."""
    node = request.app[NODE]
    _state, found = await _standing(request)
    operator = signed_in(request).person.role is Role.OPERATOR
    return page(
        request,
        "desk/custody.html",
        live=f"lot/{found.lot_code},log",
        found=found,
        lines=_lines(found, node.settings.origin),
        changes=[one for one in CHANGES.values() if one.slug != "tail" and one.offered(found)] if operator else [],
        may_decide=operator and found.own,
    )


def _change(request: Request) -> _Change:
    found = CHANGES.get(request.match_info["change"])
    if found is None:
        return not_found()  # type: ignore[return-value]
    return found


def _form(request: Request, change: _Change, found: custody.Standing, form: FormState, status: int = 200) -> Response:
    return page(
        request,
        "desk/form.html",
        status=status,
        title_prefix="错误：" if form.errors else "",
        form=form,
        title=change.title,
        back=f"/desk/lots/{found.lot_code}",
        note=found.statement if change.slug == "take" else "",
    )


@routes.get("/desk/lots/{lot}/custody/{change}")
@for_roles(Role.OPERATOR)
async def change_form(request: Request) -> Response:
    """Show the form of one change."""
    node, change = request.app[NODE], _change(request)
    _state, found = await _standing(request)
    fields = asked_here(node, change.fields(node, found))
    given = {name: request.query[name] for name in ("origin", "seq") if name in request.query}
    if change.slug == "take" and len(found.movable) == 1:
        given["from_node"] = found.movable[0][0]
    form = FormState(
        f"/desk/lots/{found.lot_code}/custody/{change.slug}",
        fields,
        given,
        command_id=new_command_id(),
        revision=await revision(node, lot_stream(found.lot_code)),
        button=change.button,
        foot=foot_of(request, change.command),
    )
    return _form(request, change, found, form)


@routes.post("/desk/lots/{lot}/custody/{change}")
@for_roles(Role.OPERATOR)
async def do_change(request: Request) -> Response:
    """Move custody, or decide about a tail entry, and lead to the receipt."""
    node, change = request.app[NODE], _change(request)
    _state, found = await _standing(request)
    data = await read_form(request)
    fields = asked_here(node, change.fields(node, found))
    url, stream = f"/desk/lots/{found.lot_code}/custody", lot_stream(found.lot_code)
    form = FormState.returned(f"{url}/{change.slug}", fields, data, change.button)
    form.foot = foot_of(request, change.command)

    async def fresh() -> bool:
        return not await stale(node, stream, data)

    try:
        form.revision = revision_of(data)
        command_id = command_id_of(data)
        if not await fresh():
            return page(request, "frame/stale.html", status=409)
        values = parse(fields, data)
        beside = second_person(request, values) if "second" in values else None
    except FieldErrors as wrong:
        form.errors = wrong.errors
        return _form(request, change, found, form, status=422)
    given = _Given(node, found.lot_code, values, beside, command_id, signed_in(request).actor)
    lines, about = filled(fields, data)
    if change.slug == "take":
        lines["已知缺失"] = found.statement
    return await conclude(
        request,
        Binding(
            command=change.command,
            title=change.title,
            stream=stream,
            command_id=command_id,
            back=url,
            do=lambda: change.do(given),
            lines=lines,
            about=about,
            second=beside,
            fresh=fresh,
        ),
    )
