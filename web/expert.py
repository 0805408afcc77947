"""The expert at a kiosk seat: sign in, recusal, tasks, the own sheet, its signature, the report (专家席).

Only the member itself reaches these pages, and only its own sealed entries are opened for it.
"""

from aiohttp.web import HTTPSeeOther, Request, Response, RouteTableDef

from node.domain.lot import LotState
from node.domain.report import evaluation_report, report_sha256
from node.domain.sheet import DeclareRecusal, SignIn, SignReport
from node.domain.streams import lot_stream
from node.own_sheets import own_checklists, own_marks
from node.views import project as project_view
from node.views import sheet as sheet_view
from node.views import sheet_tasks
from web.expert_seat import (
    Errors,
    Seat,
    carried,
    expert_only,
    fresh_form,
    on_the_list,
    prefix,
    read_fields,
    receipted,
    seat_of,
    submit,
)
from web.forms import Field, FormState
from web.keys import NODE
from web.render import page
from web.security import read_form, signed_in
from web.signed_sheet import sign_report_word, sign_sheet

routes = RouteTableDef()
STATEMENT = "以上评分由本人独立作出，本人对所提出的评审意见承担个人责任。"
_CONFLICT = Field("conflict", "有无应当回避的情形", "choice", choices=(("no", "无回避情形"), ("yes", "需要回避")))
_CONFLICT_REASON = Field("reason", "回避的情形和理由", "area", required=False, longest=2_000)
_WORD = Field(
    "word",
    "对评标报告的意见",
    "choice",
    choices=(("agree", "同意"), ("dissent", "有不同意见"), ("silent", "不签署")),
)
_DISSENT = Field("text", "不同意见和理由", "area", required=False, longest=2_000)
WORDS = {"agree": "同意", "dissent": "有不同意见", "silent": "不签署（视为同意）", "": "尚未签署"}


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
    seat = await seat_of(request)
    if not seat.sheet.signed_in:
        raise HTTPSeeOther(f"{seat.place.url}/sign-in")
    if seat.sheet.conflict is None:
        raise HTTPSeeOther(f"{seat.place.url}/recusal")
    model = sheet_tasks.task_list(seat.lot, seat.member, seat.sheet)
    here = seat.lot.registered.owner_node == seat.node.settings.node
    asking = here and seat.lot.evaluation.started and not seat.lot.evaluation.closed and not model.recused
    live = f"lot/{seat.lot.lot_code},{seat.stream}"
    return page(request, "expert/tasks.html", live=live, page=model, may_ask=asking)


@routes.get("/expert/lots/{lot}/sign-in")
@expert_only
async def sign_in_form(request: Request) -> Response:
    """Show where the member sits."""
    seat = await seat_of(request)
    if seat.sheet.signed_in:
        raise HTTPSeeOther(seat.place.url)
    return page(request, "expert/sign_in.html", place=seat.place, form=await fresh_form(seat))


@routes.post("/expert/lots/{lot}/sign-in")
@expert_only
async def sign_in(request: Request) -> Response:
    """签到, at the seat of this browser: another member's seat is refused. A drawn expert's account has no seat of its own."""
    seat, data = await seat_of(request), await read_form(request)
    return receipted(await submit(request, seat, data, SignIn(seat.actor.seat or seat.member.seat)), seat.place.url)


@routes.get("/expert/lots/{lot}/recusal")
@expert_only
async def recusal_form(request: Request) -> Response:
    """Show discipline, bidders, and the two choices."""
    seat = await seat_of(request)
    if seat.sheet.conflict is not None:
        raise HTTPSeeOther(seat.place.url)
    return _recusal(request, seat, {"conflict": "", "reason": ""}, Errors(), await fresh_form(seat))


def _recusal(request: Request, seat: Seat, values: dict[str, str], errors: Errors, form: FormState) -> Response:
    names = sheet_view.bidder_names(seat.lot) if seat.lot.opening.confirmed else ()
    return page(
        request,
        "expert/recusal.html",
        status=422 if errors else 200,
        live=f"lot/{seat.lot.lot_code}",
        title_prefix=prefix(errors),
        place=seat.place,
        form=form,
        bidders=names,
        values=values,
        errors=errors,
    )


@routes.post("/expert/lots/{lot}/recusal")
@expert_only
async def recusal(request: Request) -> Response:
    """Declare."""
    seat, data, errors = await seat_of(request), await read_form(request), Errors()
    values = read_fields((_CONFLICT, _CONFLICT_REASON), data, errors)
    typed = {name: str(data.get(name, "")) for name in ("conflict", "reason")}
    if typed["conflict"] == "yes" and not typed["reason"].strip():
        errors["reason"] = "请填写回避的情形和理由"
    if errors:
        return _recusal(request, seat, typed, errors, carried(data))
    command = DeclareRecusal(values["conflict"] == "yes", values["reason"])
    return receipted(await submit(request, seat, data, command), seat.place.url)


@routes.get("/expert/lots/{lot}/sheet")
@expert_only
async def sheet(request: Request) -> Response:
    """Show the member's own newest checklist and marks of every bid."""
    seat = await seat_of(request)
    marks = await own_marks(seat.node, seat.lot.lot_code, seat.member.no)
    lists = await own_checklists(seat.node, seat.lot.lot_code, seat.member.no)
    return page(
        request,
        "expert/sheet.html",
        live=seat.stream,
        place=seat.place,
        checks=sheet_view.check_lines(seat.lot),
        reviews=sheet_view.review_rows(seat.lot, seat.sheet, lists),
        table=sheet_view.sheet_table(seat.lot, seat.sheet, marks),
    )


@routes.get("/expert/lots/{lot}/sign")
@expert_only
async def sign_form(request: Request) -> Response:
    """Show the whole sheet and ask for the signature."""
    seat = await seat_of(request)
    on_the_list(request, seat)
    return await _sign_page(request, seat, Errors(), await fresh_form(seat))


async def _sign_page(request: Request, seat: Seat, errors: Errors, form: FormState) -> Response:
    marks = await own_marks(seat.node, seat.lot.lot_code, seat.member.no)
    return page(
        request,
        "expert/sign.html",
        status=422 if errors else 200,
        live=seat.stream,
        title_prefix=prefix(errors),
        place=seat.place,
        table=sheet_view.sheet_table(seat.lot, seat.sheet, marks),
        statement=STATEMENT,
        errors=errors,
        form=form,
    )


@routes.post("/expert/lots/{lot}/sign")
@expert_only
async def sign(request: Request) -> Response:
    """评分表签字."""
    seat, data = await seat_of(request), await read_form(request)
    if data.get("confirm") != "yes":
        return await _sign_page(request, seat, Errors(confirm="请勾选声明后再签字"), carried(data))
    return await sign_sheet(request, seat, data, STATEMENT)


@routes.get("/expert/lots/{lot}/report")
@expert_only
async def report_form(request: Request) -> Response:
    """Show the report as it will print, and the three choices."""
    seat = await seat_of(request)
    on_the_list(request, seat)
    return _report_page(request, seat, {"word": "", "text": ""}, Errors(), await fresh_form(seat))


def _report_page(request: Request, seat: Seat, values: dict[str, str], errors: Errors, form: FormState) -> Response:
    report = evaluation_report(seat.lot)
    return page(
        request,
        "expert/report.html",
        status=422 if errors else 200,
        title_prefix=prefix(errors),
        live=f"lot/{seat.lot.lot_code}",
        place=seat.place,
        report=report,
        digest=report_sha256(report),
        values=values,
        errors=errors,
        form=form,
    )


@routes.post("/expert/lots/{lot}/report")
@expert_only
async def sign_report(request: Request) -> Response:
    """签署: agree, dissent with words, or neither."""
    seat, data, errors = await seat_of(request), await read_form(request), Errors()
    values = read_fields((_WORD, _DISSENT), data, errors)
    typed = {name: str(data.get(name, "")) for name in ("word", "text")}
    if typed["word"] == "dissent" and not typed["text"].strip():
        errors["text"] = "请写明不同意见和理由，将原文写入报告"
    if errors:
        return _report_page(request, seat, typed, errors, carried(data))
    digest = report_sha256(evaluation_report(seat.lot))
    if digest.hex() != data.get("digest"):
        return page(request, "frame/stale.html", status=409)
    word = values["word"]
    command = SignReport(digest, word, values["text"] if word == "dissent" else "")
    return await sign_report_word(request, seat, data, command, WORDS[word])


@routes.get("/expert/lots/{lot}/done")
@expert_only
async def done(request: Request) -> Response:
    """Say what was recorded and lead out; nobody is done before the word on the report."""
    seat = await seat_of(request)
    if not seat.sheet.report_word:
        raise HTTPSeeOther(seat.place.url)
    return page(request, "expert/done.html", place=seat.place, word=WORDS[seat.sheet.report_word])
