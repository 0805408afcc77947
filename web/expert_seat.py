"""Who sits at this seat (专家席位): the member, the lot, the own sheet, and how its forms are kept, judged and recorded."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp.web import HTTPBadRequest, HTTPSeeOther, Request, Response

from node.domain.lot import LotState
from node.domain.panel import Member
from node.domain.sheet import SheetState, SubmitChecklist, SubmitMarks
from node.domain.streams import lot_stream, sheet_stream
from node.domain.values import Actor, Role
from node.node import Node
from node.receipts import Receipt
from node.views import sheet as sheet_view
from node.views import sheet_tasks
from web.desk import revision, stale
from web.forms import Field, FieldErrors, FormState, command_id_of, parse, revision_of
from web.keys import NODE
from web.render import new_command_id, page
from web.security import for_roles, not_found, signed_in

expert_only = for_roles(Role.EXPERT)


class Errors(dict[str, str]):
    """Some fields are wrong; a look-up of another field is empty."""

    def __missing__(self, key: str) -> str:
        return ""


@dataclass(frozen=True, slots=True)
class Seat:
    """The member at this seat, the lot, and the own sheet."""

    node: Node
    lot: LotState
    member: Member
    sheet: SheetState
    stream: str
    actor: Actor

    @property
    def place(self) -> sheet_view.Place:
        """Return the head of the pages."""
        return sheet_view.place_of(self.lot, self.member)


async def seat_of(request: Request) -> Seat:
    """Return the seat of the signed-in member; who does not sit in this lot finds nothing here."""
    node, actor = request.app[NODE], signed_in(request).actor
    lot = await node.state(lot_stream(request.match_info["lot"]))
    if not isinstance(lot, LotState) or lot.project.lot is None:
        return not_found()  # type: ignore[return-value]
    member = sheet_view.member_of(lot, actor)
    if member is None:
        return not_found()  # type: ignore[return-value]
    stream = sheet_stream(lot.lot_code, lot.round_no, member.no)
    sheet = await node.state(stream)
    return Seat(node, lot, member, sheet if isinstance(sheet, SheetState) else SheetState(), stream, actor)


def on_the_list(request: Request, seat: Seat) -> None:
    """Lead back to the task list where this page is no task that can be done now."""
    tasks = sheet_tasks.task_list(seat.lot, seat.member, seat.sheet)
    if request.path not in {task.url for section in tasks.sections for task in section.tasks}:
        raise HTTPSeeOther(seat.place.url)


async def fresh_form(seat: Seat) -> FormState:
    """Return the hidden values of a form that is shown for the first time."""
    return FormState("", (), {}, command_id=new_command_id(), revision=await revision(seat.node, seat.stream))


def carried(data: Mapping[str, Any]) -> FormState:
    """Return the hidden values of the form before: the same command, made from the same page, goes on."""
    text = str(data.get("revision", ""))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return FormState("", (), {}, command_id=str(data.get("command_id", ""))[:64], revision=number)


def prefix(errors: Mapping[str, str]) -> str:
    """Return what a page's title begins with when fields are wrong."""
    return "错误：" if errors else ""


def read_fields(fields: Sequence[Field], data: Mapping[str, Any], errors: Errors) -> dict[str, Any]:
    """Return the values of text and choice fields; what is wrong goes to `errors`, and its value is ""."""
    try:
        return parse(fields, data)
    except FieldErrors as wrong:
        errors.update(wrong.errors)
        return {one.name: "" for one in fields}


def made_here(data: Mapping[str, Any]) -> bytes:
    """Return the command id of a form that a page of this node made; HTTPBadRequest for any other."""
    try:
        revision_of(data)
        return command_id_of(data)
    except FieldErrors as wrong:
        raise HTTPBadRequest from wrong


async def submit(request: Request, seat: Seat, data: Mapping[str, Any], command: Any) -> Receipt | Response:
    """Record a command of the own sheet, unless the page it came from is older than the sheet."""
    command_id, lot_code, no = made_here(data), seat.lot.lot_code, seat.member.no
    if await stale(seat.node, seat.stream, data):
        return page(request, "frame/stale.html", status=409)
    match command:
        case SubmitMarks():
            return await seat.node.submit_marks(lot_code, no, command, command_id=command_id, actor=seat.actor)
        case SubmitChecklist():
            return await seat.node.submit_checklist(lot_code, no, command, command_id=command_id, actor=seat.actor)
        case _:
            return await seat.node.submit_sheet(lot_code, no, command, command_id=command_id, actor=seat.actor)


def receipted(answer: Receipt | Response, url: str) -> Response:
    """Lead to the receipt, and from there to `url`; a page that refuses stands as it is."""
    if isinstance(answer, Response):
        return answer
    raise HTTPSeeOther(f"/receipts/{answer.number}?next={url}")
