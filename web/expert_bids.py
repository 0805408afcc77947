"""What a member says about one bid (逐份评审): preliminary review, marks, recheck, a question to the bidder.

Marks go from the form to the check page and back as hidden fields of the same browser; nothing is stored before 提交.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp.web import Request, Response, RouteTableDef

from node.domain.evaluation import RequestClarification
from node.domain.notice import Criterion
from node.domain.sheet import CheckResult, CorrectMarks, CriterionMark, SubmitChecklist, SubmitMarks
from node.domain.streams import lot_stream
from node.own_sheets import own_checklists, own_marks
from node.views import sheet as sheet_view
from node.views import sheet_tasks
from web.desk import revision, stale
from web.expert_seat import (
    Errors,
    Seat,
    carried,
    expert_only,
    fresh_form,
    made_here,
    on_the_list,
    prefix,
    read_fields,
    receipted,
    seat_of,
    submit,
)
from web.forms import Field, FormState
from web.marks import REASON_MOST, MarkUnreadable, read_mark
from web.render import new_command_id, page
from web.security import not_found, read_form
from web.words import mark as mark_text

routes = RouteTableDef()
KINDS = {"form": "形式评审", "qualification": "资格评审", "response": "响应性评审"}
_REASON = Field("reason", "更正或维持的理由", "area", longest=REASON_MOST)
_QUESTION = Field("text", "需要澄清的问题", "area", longest=2_000)


def _bid(request: Request, seat: Seat) -> sheet_view.Bid:
    bid = sheet_view.bid_of(seat.lot, request.match_info["ref"])
    if bid is None:
        return not_found()  # type: ignore[return-value]
    return bid


# -- preliminary review ---------------------------------------------------------------------------------------------


def _checklist_values(seat: Seat, data: Mapping[str, Any]) -> dict[str, str]:
    lines = sheet_view.check_lines(seat.lot)
    names = [name for line in lines for name in (f"check-{line.no}", f"reason-{line.no}")]
    return {name: value if isinstance(value := data.get(name, ""), str) else "" for name in names}


def _checklist_errors(seat: Seat, values: dict[str, str]) -> Errors:
    errors = Errors()
    for line in sheet_view.check_lines(seat.lot):
        outcome, reason = values[f"check-{line.no}"], f"reason-{line.no}"
        if outcome not in {"pass", "fail"}:
            errors[f"check-{line.no}"] = f"请选择“{line.name}”是否通过"
        if outcome == "fail" and not values[reason].strip():
            errors[reason] = f"“{line.name}”不通过，请填写理由"
        else:
            field = Field(reason, f"{line.no} 的理由", required=False, longest=REASON_MOST)
            read_fields((field,), values, errors)
    return errors


async def _checklist_page(
    request: Request, seat: Seat, values: dict[str, str], errors: Errors, form: FormState
) -> Response:
    return page(
        request,
        "expert/checklist.html",
        status=422 if errors else 200,
        live=seat.stream,
        title_prefix=prefix(errors),
        place=seat.place,
        bid=_bid(request, seat),
        lines=sheet_view.check_lines(seat.lot),
        kinds=KINDS,
        values=values,
        errors=errors,
        form=form,
    )


@routes.get("/expert/lots/{lot}/checklist/{ref}")
@expert_only
async def checklist_form(request: Request) -> Response:
    """Show the preliminary review of one bid, with the own newest conclusions."""
    seat = await seat_of(request)
    bid = _bid(request, seat)
    on_the_list(request, seat)
    opened = await own_checklists(seat.node, seat.lot.lot_code, seat.member.no)
    values = _checklist_values(seat, {})
    if bid.ref in opened:
        for result in opened[bid.ref].results:
            values[f"check-{result.check}"] = "pass" if result.passed else "fail"
            values[f"reason-{result.check}"] = result.reason
    return await _checklist_page(request, seat, values, Errors(), await fresh_form(seat))


@routes.post("/expert/lots/{lot}/checklist/{ref}/check")
@expert_only
async def checklist_check(request: Request) -> Response:
    """Show what will be submitted."""
    seat, data = await seat_of(request), await read_form(request)
    values = _checklist_values(seat, data)
    errors = _checklist_errors(seat, values)
    if errors:
        return await _checklist_page(request, seat, values, errors, carried(data))
    return page(
        request,
        "expert/checklist_check.html",
        title_prefix="尚未提交：",
        live=seat.stream,
        place=seat.place,
        bid=_bid(request, seat),
        lines=sheet_view.check_lines(seat.lot),
        values=values,
        form=carried(data),
    )


@routes.post("/expert/lots/{lot}/checklist/{ref}/edit")
@expert_only
async def checklist_edit(request: Request) -> Response:
    """Go back to the form with what was typed."""
    seat, data = await seat_of(request), await read_form(request)
    return await _checklist_page(request, seat, _checklist_values(seat, data), Errors(), carried(data))


@routes.post("/expert/lots/{lot}/checklist/{ref}")
@expert_only
async def submit_checklist(request: Request) -> Response:
    """Submit the preliminary review of one bid."""
    seat, data = await seat_of(request), await read_form(request)
    bid, values = _bid(request, seat), _checklist_values(seat, data)
    errors = _checklist_errors(seat, values)
    if errors:
        return await _checklist_page(request, seat, values, errors, carried(data))
    results = tuple(
        CheckResult(line.no, values[f"check-{line.no}"] == "pass", values[f"reason-{line.no}"].strip())
        for line in sheet_view.check_lines(seat.lot)
    )
    return receipted(await submit(request, seat, data, SubmitChecklist(bid.ref, results)), seat.place.url)


# -- marks ----------------------------------------------------------------------------------------------------------


def _criteria(seat: Seat) -> tuple[Criterion, ...]:
    scheme = sheet_view.scheme_of(seat.lot)
    return scheme.criteria if scheme else ()


def _read_marks(
    criteria: Sequence[Criterion], data: Mapping[str, Any]
) -> tuple[tuple[sheet_view.CriterionLine, ...], dict[str, int], Errors]:
    """Return the lines as typed, the marks that can be read, and what is wrong with the others."""
    lines, marks, errors = [], {}, Errors()
    for criterion in criteria:
        name = f"mark-{criterion.no}"
        value = str(data.get(name, ""))[:40]
        lines.append(sheet_view.criterion_line(criterion, value=value))
        try:
            marks[criterion.no] = read_mark(value, criterion)
        except MarkUnreadable as wrong:
            errors[name] = str(wrong)
    return tuple(lines), marks, errors


async def _own_lines(seat: Seat, ref: str, criteria: Sequence[Criterion]) -> tuple[sheet_view.CriterionLine, ...]:
    """Return the lines of a form that begins with the member's own newest marks."""
    opened = await own_marks(seat.node, seat.lot.lot_code, seat.member.no)
    cells = sheet_view.newest_marks(opened, seat.sheet).get(ref, {})
    marks = {no: cell.centi for no, cell in cells.items()}
    return tuple(
        sheet_view.criterion_line(one, value="" if (centi := marks.get(one.no)) is None else mark_text(centi))
        for one in criteria
    )


async def _marks_page(
    request: Request, seat: Seat, lines: tuple[sheet_view.CriterionLine, ...], errors: Errors, form: FormState
) -> Response:
    return page(
        request,
        "expert/marks.html",
        status=422 if errors else 200,
        live=seat.stream,
        title_prefix=prefix(errors),
        place=seat.place,
        bid=_bid(request, seat),
        lines=lines,
        errors=errors,
        full_centi=sum(line.full_centi for line in lines),
        form=form,
    )


@routes.get("/expert/lots/{lot}/marks/{ref}")
@expert_only
async def marks_form(request: Request) -> Response:
    """Show the scoring page of one bid, with the own newest marks."""
    seat = await seat_of(request)
    bid = _bid(request, seat)
    on_the_list(request, seat)
    lines = await _own_lines(seat, bid.ref, _criteria(seat))
    return await _marks_page(request, seat, lines, Errors(), await fresh_form(seat))


@routes.post("/expert/lots/{lot}/marks/{ref}/check")
@expert_only
async def marks_check(request: Request) -> Response:
    """Show the marks that will be submitted, with their sum."""
    seat, data = await seat_of(request), await read_form(request)
    lines, marks, errors = _read_marks(_criteria(seat), data)
    if errors:
        return await _marks_page(request, seat, lines, errors, carried(data))
    return page(
        request,
        "expert/marks_check.html",
        title_prefix="尚未提交：",
        live=seat.stream,
        place=seat.place,
        bid=_bid(request, seat),
        marked=tuple((line, marks[line.no]) for line in lines),
        values={f"mark-{line.no}": line.value for line in lines},
        total_centi=sum(marks.values()),
        full_centi=sum(line.full_centi for line in lines),
        form=carried(data),
    )


@routes.post("/expert/lots/{lot}/marks/{ref}/edit")
@expert_only
async def marks_edit(request: Request) -> Response:
    """Go back to the form with what was typed."""
    seat, data = await seat_of(request), await read_form(request)
    lines, _, _ = _read_marks(_criteria(seat), data)
    return await _marks_page(request, seat, lines, Errors(), carried(data))


@routes.post("/expert/lots/{lot}/marks/{ref}")
@expert_only
async def submit_marks(request: Request) -> Response:
    """Submit the marks on one bid."""
    seat, data = await seat_of(request), await read_form(request)
    bid = _bid(request, seat)
    lines, marks, errors = _read_marks(_criteria(seat), data)
    if errors:
        return await _marks_page(request, seat, lines, errors, carried(data))
    command = SubmitMarks(bid.ref, tuple(CriterionMark(no, centi) for no, centi in marks.items()))
    return receipted(await submit(request, seat, data, command), seat.place.url)


# -- recheck --------------------------------------------------------------------------------------------------------


def _named(request: Request, seat: Seat) -> tuple[sheet_view.Bid, tuple[Criterion, ...]]:
    """Return the bid and the criteria that the recheck names for this member."""
    for one in sheet_tasks.recheck_of(seat.lot, seat.member, seat.sheet):
        if one.bid.ref == request.match_info["ref"]:
            names = {line.no for line in one.lines}
            return one.bid, tuple(criterion for criterion in _criteria(seat) if criterion.no in names)
    return not_found()  # type: ignore[return-value]


async def _recheck_page(
    request: Request,
    seat: Seat,
    lines: tuple[sheet_view.CriterionLine, ...],
    *,
    reason: str,
    errors: Errors,
    form: FormState,
) -> Response:
    return page(
        request,
        "expert/recheck.html",
        status=422 if errors else 200,
        title_prefix=prefix(errors),
        place=seat.place,
        bid=_bid(request, seat),
        lines=lines,
        values={"reason": reason},
        errors=errors,
        form=form,
    )


@routes.get("/expert/lots/{lot}/recheck/{ref}")
@expert_only
async def recheck_form(request: Request) -> Response:
    """Show what the recheck asks about one bid, with the marks as they stand."""
    seat = await seat_of(request)
    bid, criteria = _named(request, seat)
    lines = await _own_lines(seat, bid.ref, criteria)
    return await _recheck_page(request, seat, lines, reason="", errors=Errors(), form=await fresh_form(seat))


@routes.post("/expert/lots/{lot}/recheck/{ref}")
@expert_only
async def submit_recheck(request: Request) -> Response:
    """Record the correction, or that the mark stands, with the reason."""
    seat, data = await seat_of(request), await read_form(request)
    bid, criteria = _named(request, seat)
    lines, marks, errors = _read_marks(criteria, data)
    reason = read_fields((_REASON,), data, errors)["reason"]
    if errors:
        typed = str(data.get("reason", ""))
        return await _recheck_page(request, seat, lines, reason=typed, errors=errors, form=carried(data))
    command = CorrectMarks(bid.ref, tuple(CriterionMark(no, centi) for no, centi in marks.items()), reason)
    return receipted(await submit(request, seat, data, command), seat.place.url)


# -- a question to the bidder ---------------------------------------------------------------------------------------


async def _question_page(
    request: Request, seat: Seat, *, values: dict[str, str], errors: Errors, form: FormState
) -> Response:
    return page(
        request,
        "expert/clarification.html",
        status=422 if errors else 200,
        title_prefix=prefix(errors),
        place=seat.place,
        bids=tuple(bid for bid in sheet_view.bids_of(seat.lot) if not bid.rejected),
        asked=sheet_view.questions_of(seat.lot),
        values=values,
        errors=errors,
        form=form,
    )


@routes.get("/expert/lots/{lot}/clarification")
@expert_only
async def clarification_form(request: Request) -> Response:
    """Show what was asked and answered, and the form for one more question."""
    seat = await seat_of(request)
    seen = await revision(seat.node, lot_stream(seat.lot.lot_code))
    form = FormState("", (), {}, command_id=new_command_id(), revision=seen)
    return await _question_page(request, seat, values={"ref": "", "text": ""}, errors=Errors(), form=form)


@routes.post("/expert/lots/{lot}/clarification")
@expert_only
async def request_clarification(request: Request) -> Response:
    """Ask a bidder in writing, in the committee's name (ZBT 52)."""
    seat, data = await seat_of(request), await read_form(request)
    choices = tuple((bid.ref, bid.label) for bid in sheet_view.bids_of(seat.lot) if not bid.rejected)
    fields = (Field("ref", "投标人", "choice", choices=choices), _QUESTION)
    errors = Errors()
    values = read_fields(fields, data, errors)
    if errors:
        typed = {name: str(data.get(name, "")) for name in ("ref", "text")}
        return await _question_page(request, seat, values=typed, errors=errors, form=carried(data))
    command_id, stream = made_here(data), lot_stream(seat.lot.lot_code)
    if await stale(seat.node, stream, data):
        return page(request, "frame/stale.html", status=409)
    command = RequestClarification(values["ref"], values["text"])
    receipt = await seat.node.submit(stream, command, command_id=command_id, actor=seat.actor)
    return receipted(receipt, seat.place.url)
