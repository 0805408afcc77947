"""The expert at a kiosk seat: sign in, recusal, tasks, one page a bid, check, sign, the report (专家席).

Marks go from the form to the check page and back as hidden fields of the same browser; nothing is stored before 提交.
Only the member itself reaches these pages, and only its own sealed entries are opened for it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain.lot import LotState
from node.domain.panel import Member
from node.domain.report import evaluation_report, report_sha256
from node.domain.sheet import (
    CheckResult,
    CorrectMarks,
    CriterionMark,
    DeclareRecusal,
    SheetState,
    SignIn,
    SignReport,
    SignSheet,
    SubmitChecklist,
    SubmitMarks,
)
from node.domain.streams import lot_stream, sheet_stream
from node.domain.values import Role
from node.node import Node
from node.receipts import Receipt
from node.views import project as project_view
from node.views import sheet as sheet_view
from web.desk import revision, stale
from web.forms import FormState, command_id_of
from web.keys import NODE
from web.marks import REASON_MOST, MarkUnreadable, read_mark
from web.render import new_command_id, page
from web.security import for_roles, not_found, signed_in

routes = RouteTableDef()
expert_only = for_roles(Role.EXPERT)
KINDS = {"form": "形式评审", "qualification": "资格评审", "response": "响应性评审"}
STATEMENT = "以上评分由本人独立作出，本人对所提出的评审意见承担个人责任。"
_TEXT_MOST = 2_000


class _Errors(dict[str, str]):
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

    @property
    def place(self) -> sheet_view.Place:
        """Return the head of the pages."""
        return sheet_view.place_of(self.lot, self.member)


async def _seat(request: Request) -> Seat:
    node = request.app[NODE]
    lot = await node.state(lot_stream(request.match_info["lot"]))
    if not isinstance(lot, LotState) or lot.project.lot is None:
        return not_found()  # type: ignore[return-value]
    member = sheet_view.member_of(lot, signed_in(request).actor)
    if member is None:
        return not_found()  # type: ignore[return-value]
    stream = sheet_stream(lot.lot_code, lot.round_no, member.no)
    sheet = await node.state(stream)
    return Seat(node, lot, member, sheet if isinstance(sheet, SheetState) else SheetState(), stream)


async def _form(seat: Seat, command_id: str = "") -> FormState:
    return FormState(
        "", (), {}, command_id=command_id or new_command_id(), revision=await revision(seat.node, seat.stream)
    )


def _prefix(errors: Mapping[str, str]) -> str:
    return "错误：" if errors else ""


async def _submit(request: Request, seat: Seat, data: Mapping[str, Any], command: Any) -> Receipt | Response:
    """Record a command of the own sheet, unless the page it came from is older than the sheet."""
    if await stale(seat.node, seat.stream, data):
        return page(request, "frame/stale.html", status=409)
    actor, command_id, lot_code = signed_in(request).actor, command_id_of(data), seat.lot.lot_code
    match command:
        case SubmitMarks():
            return await seat.node.submit_marks(lot_code, seat.member.no, command, command_id=command_id, actor=actor)
        case SubmitChecklist():
            return await seat.node.submit_checklist(
                lot_code, seat.member.no, command, command_id=command_id, actor=actor
            )
        case _:
            return await seat.node.submit_sheet(lot_code, seat.member.no, command, command_id=command_id, actor=actor)


def _on(answer: Receipt | Response, url: str) -> Response:
    if isinstance(answer, Response):
        return answer
    raise HTTPSeeOther(f"/receipts/{answer.number}?next={url}")


@routes.get("/expert")
@expert_only
async def lots(request: Request) -> Response:
    """List the lots in which this person sits."""
    node, actor = request.app[NODE], signed_in(request).actor
    rows = []
    for row in await node.read(project_view.lots):
        lot = await node.state(lot_stream(row.lot_code))
        member = sheet_view.member_of(lot, actor) if isinstance(lot, LotState) else None
        if member is not None:
            rows.append(sheet_view.place_of(lot, member))
    return page(request, "expert/lots.html", live="log", rows=tuple(rows))


@routes.get("/expert/lots/{lot}")
@expert_only
async def tasks(request: Request) -> Response:
    """Lead through sign-in and recusal, then show what is to be done."""
    seat = await _seat(request)
    url = f"/expert/lots/{seat.lot.lot_code}"
    if not seat.sheet.signed_in:
        raise HTTPSeeOther(f"{url}/sign-in")
    if seat.sheet.conflict is None:
        raise HTTPSeeOther(f"{url}/recusal")
    model = sheet_view.task_list(seat.lot, seat.member, seat.sheet)
    live = f"lot/{seat.lot.lot_code},{seat.stream}"
    return page(request, "expert/tasks.html", live=live, page=model)


@routes.get("/expert/lots/{lot}/sign-in")
@expert_only
async def sign_in_form(request: Request) -> Response:
    """Show where the member sits."""
    seat = await _seat(request)
    return page(request, "expert/sign_in.html", place=seat.place, form=await _form(seat))


@routes.post("/expert/lots/{lot}/sign-in")
@expert_only
async def sign_in(request: Request) -> Response:
    """签到."""
    seat, data = await _seat(request), await request.post()
    return _on(await _submit(request, seat, data, SignIn(seat.member.seat)), seat.place.url)


@routes.get("/expert/lots/{lot}/recusal")
@expert_only
async def recusal_form(request: Request) -> Response:
    """Show discipline, bidders, and the two choices."""
    return await _recusal(request, await _seat(request), {"conflict": "", "reason": ""}, _Errors())


async def _recusal(request: Request, seat: Seat, values: dict[str, str], errors: _Errors) -> Response:
    names = tuple(bid.label for bid in sheet_view.bids_of(seat.lot)) if seat.lot.opening.confirmed else ()
    return page(
        request,
        "expert/recusal.html",
        status=422 if errors else 200,
        live=f"lot/{seat.lot.lot_code}",
        title_prefix=_prefix(errors),
        place=seat.place,
        form=await _form(seat),
        bidders=names,
        values=values,
        errors=errors,
    )


@routes.post("/expert/lots/{lot}/recusal")
@expert_only
async def recusal(request: Request) -> Response:
    """Declare."""
    seat, data = await _seat(request), await request.post()
    choice, reason = str(data.get("conflict", "")), str(data.get("reason", "")).strip()
    errors = _Errors()
    if choice not in {"no", "yes"}:
        errors["conflict"] = "请选择是否有应当回避的情形"
    if choice == "yes" and not reason:
        errors["reason"] = "请填写回避的情形和理由"
    if len(reason) > _TEXT_MOST:
        errors["reason"] = f"理由最多 {_TEXT_MOST} 个字"
    if errors:
        return await _recusal(request, seat, {"conflict": choice, "reason": reason}, errors)
    return _on(await _submit(request, seat, data, DeclareRecusal(choice == "yes", reason)), seat.place.url)


# -- preliminary review ---------------------------------------------------------------------------------------------


def _bid(request: Request, seat: Seat) -> sheet_view.Bid:
    bid = sheet_view.bid_of(seat.lot, request.match_info["ref"])
    if bid is None:
        return not_found()  # type: ignore[return-value]
    return bid


def _checks(seat: Seat) -> tuple[sheet_view.CheckLine, ...]:
    scheme = sheet_view.scheme_of(seat.lot)
    return tuple(sheet_view.CheckLine(one.no, one.kind, one.name) for one in scheme.checks) if scheme else ()


def _checklist_values(seat: Seat, data: Mapping[str, Any]) -> dict[str, str]:
    values = {}
    for line in _checks(seat):
        for name in (f"check-{line.no}", f"reason-{line.no}"):
            values[name] = str(data.get(name, "")).strip()
    return values


def _checklist_errors(seat: Seat, values: Mapping[str, str]) -> _Errors:
    errors = _Errors()
    for line in _checks(seat):
        outcome, reason = values[f"check-{line.no}"], values[f"reason-{line.no}"]
        if outcome not in {"pass", "fail"}:
            errors[f"check-{line.no}"] = f"请选择“{line.name}”是否通过"
        if outcome == "fail" and not reason:
            errors[f"reason-{line.no}"] = f"“{line.name}”不通过，请填写理由"
        if len(reason) > REASON_MOST:
            errors[f"reason-{line.no}"] = f"理由最多 {REASON_MOST} 个字"
    return errors


async def _checklist_page(
    request: Request, seat: Seat, values: dict[str, str], errors: _Errors, command_id: str = ""
) -> Response:
    return page(
        request,
        "expert/checklist.html",
        status=422 if errors else 200,
        live=seat.stream,
        title_prefix=_prefix(errors),
        place=seat.place,
        bid=_bid(request, seat),
        lines=_checks(seat),
        kinds=KINDS,
        values=values,
        errors=errors,
        form=await _form(seat, command_id),
    )


@routes.get("/expert/lots/{lot}/checklist/{ref}")
@expert_only
async def checklist_form(request: Request) -> Response:
    """Show the preliminary review of one bid, with the own newest conclusions."""
    seat = await _seat(request)
    bid = _bid(request, seat)
    opened = await seat.node.own_checklists(seat.lot.lot_code, seat.member.no)
    values = dict.fromkeys(_checklist_values(seat, {}), "")
    if bid.ref in opened:
        for result in opened[bid.ref].results:
            values[f"check-{result.check}"] = "pass" if result.passed else "fail"
            values[f"reason-{result.check}"] = result.reason
    return await _checklist_page(request, seat, values, _Errors())


@routes.post("/expert/lots/{lot}/checklist/{ref}/check")
@expert_only
async def checklist_check(request: Request) -> Response:
    """Show what will be submitted."""
    seat, data = await _seat(request), await request.post()
    values = _checklist_values(seat, data)
    errors = _checklist_errors(seat, values)
    if errors:
        return await _checklist_page(request, seat, values, errors, str(data.get("command_id", "")))
    return page(
        request,
        "expert/checklist_check.html",
        title_prefix="尚未提交：",
        live=seat.stream,
        place=seat.place,
        bid=_bid(request, seat),
        lines=_checks(seat),
        values=values,
        form=_carried(data),
    )


def _carried(data: Mapping[str, Any]) -> FormState:
    """Return the hidden values of the form before: the same command goes on."""
    text = str(data.get("revision", "0"))
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 9 else 0
    return FormState("", (), {}, command_id=str(data.get("command_id", ""))[:64], revision=number)


@routes.post("/expert/lots/{lot}/checklist/{ref}/edit")
@expert_only
async def checklist_edit(request: Request) -> Response:
    """Go back to the form with what was typed."""
    seat, data = await _seat(request), await request.post()
    return await _checklist_page(
        request, seat, _checklist_values(seat, data), _Errors(), str(data.get("command_id", ""))
    )


@routes.post("/expert/lots/{lot}/checklist/{ref}")
@expert_only
async def submit_checklist(request: Request) -> Response:
    """Submit the preliminary review of one bid."""
    seat, data = await _seat(request), await request.post()
    bid, values = _bid(request, seat), _checklist_values(seat, data)
    errors = _checklist_errors(seat, values)
    if errors:
        return await _checklist_page(request, seat, values, errors, str(data.get("command_id", "")))
    results = tuple(
        CheckResult(line.no, values[f"check-{line.no}"] == "pass", values[f"reason-{line.no}"])
        for line in _checks(seat)
    )
    return _on(await _submit(request, seat, data, SubmitChecklist(bid.ref, results)), seat.place.url)


# -- marks ----------------------------------------------------------------------------------------------------------


def _read_marks(
    criteria: tuple[Any, ...], data: Mapping[str, Any]
) -> tuple[tuple[sheet_view.CriterionLine, ...], dict[str, int], _Errors]:
    """Return the lines as typed, the marks that can be read, and what is wrong with the others."""
    lines, marks, errors = [], {}, _Errors()
    for criterion in criteria:
        name = f"mark-{criterion.no}"
        value = str(data.get(name, ""))[:40]
        lines.append(sheet_view.criterion_line(criterion, value=value))
        try:
            marks[criterion.no] = read_mark(value, criterion)
        except MarkUnreadable as wrong:
            errors[name] = str(wrong)
    return tuple(lines), marks, errors


def _criteria(seat: Seat) -> tuple[Any, ...]:
    scheme = sheet_view.scheme_of(seat.lot)
    return scheme.criteria if scheme else ()


async def _marks_page(
    request: Request,
    seat: Seat,
    lines: tuple[sheet_view.CriterionLine, ...],
    errors: _Errors,
    *,
    total_centi: int | None = None,
    command_id: str = "",
) -> Response:
    return page(
        request,
        "expert/marks.html",
        status=422 if errors else 200,
        live=seat.stream,
        title_prefix=_prefix(errors),
        place=seat.place,
        bid=_bid(request, seat),
        lines=lines,
        errors=errors,
        total_centi=total_centi,
        full_centi=sum(one.full_centi for one in _criteria(seat)),
        form=await _form(seat, command_id),
    )


@routes.get("/expert/lots/{lot}/marks/{ref}")
@expert_only
async def marks_form(request: Request) -> Response:
    """Show the scoring page of one bid, with the own newest marks."""
    seat = await _seat(request)
    bid = _bid(request, seat)
    opened = await seat.node.own_marks(seat.lot.lot_code, seat.member.no)
    cells = sheet_view.newest_marks(opened, seat.sheet).get(bid.ref, {})
    lines = []
    for criterion in _criteria(seat):
        cell = cells.get(criterion.no)
        value = "" if cell is None or cell.centi is None else f"{cell.centi // 100}.{cell.centi % 100:02d}"
        lines.append(sheet_view.criterion_line(criterion, value=value))
    total = sum(cell.centi or 0 for cell in cells.values()) if cells else None
    return await _marks_page(request, seat, tuple(lines), _Errors(), total_centi=total)


@routes.post("/expert/lots/{lot}/marks/{ref}/check")
@expert_only
async def marks_check(request: Request) -> Response:
    """Show the marks that will be submitted, with their sum."""
    seat, data = await _seat(request), await request.post()
    lines, marks, errors = _read_marks(_criteria(seat), data)
    if errors:
        return await _marks_page(request, seat, lines, errors, command_id=str(data.get("command_id", "")))
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
        form=_carried(data),
    )


@routes.post("/expert/lots/{lot}/marks/{ref}/edit")
@expert_only
async def marks_edit(request: Request) -> Response:
    """Go back to the form with what was typed."""
    seat, data = await _seat(request), await request.post()
    lines, _, _ = _read_marks(_criteria(seat), data)
    return await _marks_page(request, seat, lines, _Errors(), command_id=str(data.get("command_id", "")))


@routes.post("/expert/lots/{lot}/marks/{ref}")
@expert_only
async def submit_marks(request: Request) -> Response:
    """Submit the marks on one bid."""
    seat, data = await _seat(request), await request.post()
    bid = _bid(request, seat)
    lines, marks, errors = _read_marks(_criteria(seat), data)
    if errors:
        return await _marks_page(request, seat, lines, errors, command_id=str(data.get("command_id", "")))
    command = SubmitMarks(bid.ref, tuple(CriterionMark(no, centi) for no, centi in marks.items()))
    return _on(await _submit(request, seat, data, command), seat.place.url)


@routes.get("/expert/lots/{lot}/recheck/{ref}")
@expert_only
async def recheck_form(request: Request) -> Response:
    """Show what the recheck asks about one bid, with the marks as they stand."""
    seat = await _seat(request)
    one = _recheck_of(request, seat)
    opened = await seat.node.own_marks(seat.lot.lot_code, seat.member.no)
    cells = sheet_view.newest_marks(opened, seat.sheet).get(one.bid.ref, {})
    lines = []
    for line in one.lines:
        cell = cells.get(line.no)
        value = "" if cell is None or cell.centi is None else f"{cell.centi // 100}.{cell.centi % 100:02d}"
        criterion = next(item for item in _criteria(seat) if item.no == line.no)
        lines.append(sheet_view.criterion_line(criterion, value=value))
    return await _recheck_page(request, seat, one, lines=tuple(lines), reason="", errors=_Errors())


def _recheck_of(request: Request, seat: Seat) -> sheet_view.Recheck:
    for one in sheet_view.recheck_of(seat.lot, seat.member, seat.sheet):
        if one.bid.ref == request.match_info["ref"]:
            return one
    return not_found()  # type: ignore[return-value]


async def _recheck_page(
    request: Request,
    seat: Seat,
    one: sheet_view.Recheck,
    *,
    lines: tuple[sheet_view.CriterionLine, ...],
    reason: str,
    errors: _Errors,
) -> Response:
    return page(
        request,
        "expert/recheck.html",
        status=422 if errors else 200,
        title_prefix=_prefix(errors),
        place=seat.place,
        bid=one.bid,
        lines=lines,
        values={"reason": reason},
        errors=errors,
        form=await _form(seat),
    )


@routes.post("/expert/lots/{lot}/recheck/{ref}")
@expert_only
async def submit_recheck(request: Request) -> Response:
    """Record the correction, or that the mark stands, with the reason."""
    seat, data = await _seat(request), await request.post()
    one = _recheck_of(request, seat)
    named = {line.no for line in one.lines}
    criteria = tuple(criterion for criterion in _criteria(seat) if criterion.no in named)
    lines, marks, errors = _read_marks(criteria, data)
    reason = str(data.get("reason", "")).strip()
    if not 0 < len(reason) <= REASON_MOST:
        errors["reason"] = f"请填写理由，最多 {REASON_MOST} 个字"
    if errors:
        return await _recheck_page(request, seat, one, lines=lines, reason=reason, errors=errors)
    command = CorrectMarks(one.bid.ref, tuple(CriterionMark(no, centi) for no, centi in marks.items()), reason)
    return _on(await _submit(request, seat, data, command), seat.place.url)


# -- the own sheet, signatures, the report --------------------------------------------------------------------------


@routes.get("/expert/lots/{lot}/sheet")
@expert_only
async def sheet(request: Request) -> Response:
    """Show the member's own newest checklist and marks of every bid."""
    seat = await _seat(request)
    marks = await seat.node.own_marks(seat.lot.lot_code, seat.member.no)
    lists = await seat.node.own_checklists(seat.lot.lot_code, seat.member.no)
    return page(
        request,
        "expert/sheet.html",
        live=seat.stream,
        place=seat.place,
        checks=_checks(seat),
        reviews=sheet_view.review_rows(seat.lot, seat.sheet, lists),
        table=sheet_view.sheet_table(seat.lot, seat.sheet, marks),
    )


@routes.get("/expert/lots/{lot}/sign")
@expert_only
async def sign_form(request: Request) -> Response:
    """Show the whole sheet and ask for the signature."""
    return await _sign_page(request, await _seat(request), _Errors())


async def _sign_page(request: Request, seat: Seat, errors: _Errors) -> Response:
    marks = await seat.node.own_marks(seat.lot.lot_code, seat.member.no)
    return page(
        request,
        "expert/sign.html",
        status=422 if errors else 200,
        live=seat.stream,
        title_prefix=_prefix(errors),
        place=seat.place,
        table=sheet_view.sheet_table(seat.lot, seat.sheet, marks),
        statement=STATEMENT,
        errors=errors,
        form=await _form(seat),
    )


@routes.post("/expert/lots/{lot}/sign")
@expert_only
async def sign(request: Request) -> Response:
    """评分表签字."""
    seat, data = await _seat(request), await request.post()
    if data.get("confirm") != "yes":
        return await _sign_page(request, seat, _Errors(confirm="请勾选声明后再签字"))
    return _on(await _submit(request, seat, data, SignSheet(STATEMENT)), seat.place.url)


@routes.get("/expert/lots/{lot}/report")
@expert_only
async def report_form(request: Request) -> Response:
    """Show the report as it will print, and the three choices."""
    seat = await _seat(request)
    if not seat.lot.evaluation.ranked:
        raise HTTPSeeOther(seat.place.url)
    return await _report_page(request, seat, {"word": "", "text": ""}, _Errors())


async def _report_page(request: Request, seat: Seat, values: dict[str, str], errors: _Errors) -> Response:
    report = evaluation_report(seat.lot)
    return page(
        request,
        "expert/report.html",
        status=422 if errors else 200,
        title_prefix=_prefix(errors),
        live=f"lot/{seat.lot.lot_code}",
        place=seat.place,
        report=report,
        digest=report_sha256(report),
        values=values,
        errors=errors,
        form=await _form(seat),
    )


@routes.post("/expert/lots/{lot}/report")
@expert_only
async def sign_report(request: Request) -> Response:
    """签署: agree, dissent with words, or neither."""
    seat, data = await _seat(request), await request.post()
    word, text = str(data.get("word", "")), str(data.get("text", "")).strip()
    errors = _Errors()
    if word not in {"agree", "dissent", "silent"}:
        errors["word"] = "请选择对评标报告的意见"
    if word == "dissent" and not text:
        errors["text"] = "请写明不同意见和理由，将原文写入报告"
    if len(text) > _TEXT_MOST:
        errors["text"] = f"不同意见最多 {_TEXT_MOST} 个字"
    if errors:
        return await _report_page(request, seat, {"word": word, "text": text}, errors)
    digest = report_sha256(evaluation_report(seat.lot))
    if digest.hex() != data.get("digest"):
        return page(request, "frame/stale.html", status=409)
    answer = await _submit(request, seat, data, SignReport(digest, word, text if word == "dissent" else ""))
    return _on(answer, f"{seat.place.url}/done")


@routes.get("/expert/lots/{lot}/done")
@expert_only
async def done(request: Request) -> Response:
    """Say what was recorded and lead out."""
    seat = await _seat(request)
    words = {"agree": "同意", "dissent": "有不同意见", "silent": "不签署（视为同意）", "": "尚未签署"}
    return page(request, "expert/done.html", place=seat.place, word=words[seat.sheet.report_word])
