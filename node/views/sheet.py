"""What a committee member sees of the own sheet (评分表): tasks, one bid's form, the whole sheet, the recheck.

Pure: states in, frozen models out. Nothing here can hold another member's marks, because only the own sheet goes in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node.domain.evaluation import OpenedChecklist, OpenedMarks
from node.domain.lot import LotState, blocked
from node.domain.notice import Criterion, Scheme
from node.domain.panel import Member
from node.domain.sheet import SheetState, Submission, unmarked_of
from node.domain.values import Actor, Role

NOT_STARTED, SUBMITTED, CHANGED, NOT_APPLICABLE = "未开始", "已提交", "已修改", "不适用"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the member sits: the head of every page of the expert."""

    lot_code: str
    lot_name: str
    project_name: str
    round_no: int
    member: str
    seat: str
    chair: bool

    @property
    def url(self) -> str:
        """Return the address of the task list."""
        return f"/expert/lots/{self.lot_code}"


@dataclass(frozen=True, slots=True)
class Bid:
    """One bid as the committee may see it: by name, or by reference where the review is blind."""

    ref: str
    label: str
    price_fen: int
    period_days: int
    quality: str
    rejected: bool
    reason: str  # why it was rejected


@dataclass(frozen=True, slots=True)
class Task:
    """One line of the task list. `url` "" while it cannot be done."""

    title: str
    word: str
    url: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The tasks of one part of the work."""

    title: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class TaskList:
    """Everything the member has to do, and what stands before the signature."""

    place: Place
    sections: tuple[Section, ...]
    blocks: tuple[str, ...]
    standstill: str
    next_url: str
    next_title: str
    recused: bool
    done: bool


@dataclass(frozen=True, slots=True)
class CriterionLine:
    """One criterion of a marks form: what is asked, what was typed, what is wrong with it."""

    no: str
    name: str
    group: str
    kind: str
    full_centi: int
    step_centi: int
    standard: str
    value: str = ""
    reason: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of the preliminary review of one bid."""

    no: str
    kind: str
    name: str
    outcome: str = ""  # "" | pass | fail
    reason: str = ""
    error: str = ""
    reason_error: str = ""


@dataclass(frozen=True, slots=True)
class SheetCell:
    """One own mark in hundredths, None where there is none; `old_centi` is what a correction replaced."""

    centi: int | None = None
    reason: str = ""
    old_centi: int | None = None


@dataclass(frozen=True, slots=True)
class SheetRow:
    """One bid in the own sheet."""

    bid: Bid
    word: str
    cells: tuple[SheetCell, ...]
    total_centi: int | None


@dataclass(frozen=True, slots=True)
class SheetTable:
    """All bids against all criteria: the member's newest marks."""

    criteria: tuple[CriterionLine, ...]
    rows: tuple[SheetRow, ...]
    full_centi: int


@dataclass(frozen=True, slots=True)
class ReviewRow:
    """One bid in the own preliminary review, in the order of the checks; outcome "" where there is none."""

    bid: Bid
    word: str
    outcomes: tuple[tuple[str, str], ...]  # pass | fail | "", reason


@dataclass(frozen=True, slots=True)
class Recheck:
    """What the recheck asks this member to look at again on one bid."""

    bid: Bid
    lines: tuple[CriterionLine, ...]
    done: bool


def member_of(lot: LotState, actor: Actor) -> Member | None:
    """Return the sitting member that this person is; nobody but an expert account is one."""
    return lot.panel.of_person(actor.person) if actor.role is Role.EXPERT else None


def place_of(lot: LotState, member: Member) -> Place:
    """Return the head of the member's pages."""
    return Place(
        lot_code=lot.lot_code,
        lot_name=lot.registered.lot_name,
        project_name=lot.registered.project_name,
        round_no=lot.round_no,
        member=member.no,
        seat=member.seat,
        chair=lot.panel.chair == member.no,
    )


def scheme_of(lot: LotState) -> Scheme | None:
    """Return the evaluation scheme in force, if documents are out."""
    return lot.notice.documents.scheme if lot.notice.documents else None


def bids_of(lot: LotState) -> tuple[Bid, ...]:
    """Return every opened bid, in the order in which they were handed in."""
    scheme = scheme_of(lot)
    blind = scheme is not None and scheme.blind
    reasons = {one.ref: one.reason for one in lot.evaluation.rejections}
    return tuple(
        Bid(
            ref=one.ref,
            label=one.ref if blind else one.content.bidder_name,
            price_fen=one.content.price_fen,
            period_days=one.content.period_days,
            quality=one.content.quality,
            rejected=one.ref in reasons,
            reason=reasons.get(one.ref, ""),
        )
        for one in lot.opening.opened
    )


def bid_of(lot: LotState, ref: str) -> Bid | None:
    """Return one opened bid."""
    return next((bid for bid in bids_of(lot) if bid.ref == ref), None)


def word_of(submission: Submission | None) -> str:
    """Return how far one submission has come."""
    if submission is None:
        return NOT_STARTED
    return SUBMITTED if submission.revision == 1 else CHANGED


def _checklist_tasks(lot: LotState, member: Member, sheet: SheetState, place: Place) -> tuple[Task, ...]:
    doable = lot.evaluation.started and not lot.evaluation.concluded
    hint = "初步评审已结束" if lot.evaluation.concluded else "" if doable else "评标开始后可以填写"
    tasks = []
    for bid in bids_of(lot):
        word = word_of(sheet.checklist(bid.ref))
        if doable and lot.evaluation.checklist_opened(member.no, bid.ref):  # the review was reopened for somebody else
            tasks.append(Task(bid.label, word, "", "已公开，不能再改"))
        else:
            tasks.append(Task(bid.label, word, f"{place.url}/checklist/{bid.ref}" if doable else "", hint))
    return tuple(tasks)


def _marks_tasks(lot: LotState, sheet: SheetState, place: Place) -> tuple[Task, ...]:
    if not lot.evaluation.concluded:
        return tuple(Task(bid.label, NOT_STARTED, "", "初步评审结束后可以评分") for bid in bids_of(lot))
    tasks = []
    for bid in bids_of(lot):
        if bid.rejected:
            tasks.append(Task(bid.label, NOT_APPLICABLE, "", f"已否决：{bid.reason}"))
            continue
        scheme = scheme_of(lot)
        if scheme is None or not scheme.criteria:
            tasks.append(Task(bid.label, NOT_APPLICABLE, "", "评标办法没有评分项"))
            continue
        doable = bid.ref not in sheet.signed_refs and not lot.evaluation.closed
        url = f"{place.url}/marks/{bid.ref}" if doable else ""
        tasks.append(Task(bid.label, word_of(sheet.marked(bid.ref)), url, "" if doable else "评分表已签字"))
    return tuple(tasks)


def blocks_of(lot: LotState, sheet: SheetState) -> tuple[str, ...]:
    """Return, in sentences, what stands before the signature of the sheet."""
    if sheet.signed:
        return ()
    if not lot.evaluation.started:
        return ("评标尚未开始。",)
    names = {bid.ref: bid.label for bid in bids_of(lot)}
    if not lot.evaluation.concluded:
        left = [label for ref, label in names.items() if sheet.checklist(ref) is None]
        if left:
            return (f"尚未提交初步评审：{'、'.join(left)}。",)
        return ("等待其他成员完成初步评审，由工作人员汇总后开始评分。",)
    left = [names[ref] for ref in unmarked_of(lot, sheet)]
    return (f"尚未提交评分：{'、'.join(left)}。",) if left else ()


def recheck_of(lot: LotState, member: Member, sheet: SheetState) -> tuple[Recheck, ...]:
    """Return what the recheck asks of this member, by bid; `done` once every named criterion was corrected or confirmed."""
    scheme = scheme_of(lot)
    if scheme is None or lot.evaluation.ranked:
        return ()
    asked_for: dict[str, set[str]] = {}
    for one in lot.evaluation.inconsistencies:
        if member.no in one.members:
            asked_for.setdefault(one.ref, set()).add(one.criterion)
    found = []
    for bid in bids_of(lot):
        named = asked_for.get(bid.ref, set())
        if not named:
            continue
        corrected = {mark.criterion for one in sheet.corrections if one.ref == bid.ref for mark in one.marks}
        lines = tuple(criterion_line(one) for one in scheme.criteria if one.no in named)
        found.append(Recheck(bid, lines, done=named <= corrected))
    return tuple(found)


def task_list(lot: LotState, member: Member, sheet: SheetState) -> TaskList:
    """Return everything this member has to do in this lot."""
    place = place_of(lot, member)
    sections = [
        Section("初步评审", _checklist_tasks(lot, member, sheet, place)),
        Section("详细评审（评分）", _marks_tasks(lot, sheet, place)),
    ]
    blocks = blocks_of(lot, sheet)
    rechecks = recheck_of(lot, member, sheet)
    if rechecks:
        tasks = tuple(
            Task(one.bid.label, CHANGED if one.done else NOT_STARTED, f"{place.url}/recheck/{one.bid.ref}")
            for one in rechecks
        )
        sections.append(Section("评分复核", tasks))
        left = [one.bid.label for one in rechecks if not one.done]
        if left and not sheet.signed:
            blocks = (*blocks, f"尚未复核：{'、'.join(left)}。")
    signing = _signing_task(lot, sheet, place, blocks)
    sections.append(Section("签字", (signing, _report_task(lot, sheet, place))))
    doable = [task for section in sections for task in section.tasks if task.url and task.word == NOT_STARTED]
    upcoming = doable[0] if doable else None
    standstill = {"suspended": "程序已中止，暂时不能填写。", "": ""}.get(blocked(lot), "")
    return TaskList(
        place=place,
        sections=tuple(sections),
        blocks=blocks,
        standstill=standstill,
        next_url=upcoming.url if upcoming else "",
        next_title=upcoming.title if upcoming else "",
        recused=bool(sheet.conflict),
        done=bool(sheet.report_word),
    )


def _signing_task(lot: LotState, sheet: SheetState, place: Place, blocks: tuple[str, ...]) -> Task:
    if sheet.signed:
        return Task("评分表签字", "已签字", "")
    ready = lot.evaluation.concluded and not blocks
    return Task(
        "评分表签字", NOT_STARTED, f"{place.url}/sign" if ready else "", "" if ready else "完成以上任务后可以签字"
    )


def _report_task(lot: LotState, sheet: SheetState, place: Place) -> Task:
    if sheet.report_word:
        return Task("评标报告", {"agree": "同意", "dissent": "有不同意见", "silent": "不签署"}[sheet.report_word], "")
    ready = lot.evaluation.ranked and not lot.evaluation.reported_at_ms
    return Task("评标报告", NOT_STARTED, f"{place.url}/report" if ready else "", "" if ready else "排序完成后可以签署")


def criterion_line(criterion: Criterion, value: str = "", reason: str = "", error: str = "") -> CriterionLine:
    """Return one line of a marks form."""
    return CriterionLine(
        no=criterion.no,
        name=criterion.name,
        group=criterion.group,
        kind=criterion.kind,
        full_centi=criterion.full_centi,
        step_centi=criterion.step_centi,
        standard=criterion.standard,
        value=value,
        reason=reason,
        error=error,
    )


def newest_marks(opened: Mapping[str, OpenedMarks], sheet: SheetState) -> dict[str, dict[str, SheetCell]]:
    """Return the own marks that count, with what a correction replaced: ref -> criterion -> cell."""
    marks = {
        ref: {mark.criterion: SheetCell(mark.mark_centi, mark.reason) for mark in one.marks}
        for ref, one in opened.items()
    }
    for correction in sheet.corrections:
        of_bid = marks.get(correction.ref, {})
        for mark in correction.marks:
            if mark.criterion in of_bid:
                old = of_bid[mark.criterion].centi
                of_bid[mark.criterion] = SheetCell(mark.mark_centi, correction.reason, old)
    return marks


def sheet_table(lot: LotState, sheet: SheetState, opened: Mapping[str, OpenedMarks]) -> SheetTable:
    """Return the member's whole sheet. Rejected bids stand in it without marks."""
    scheme = scheme_of(lot)
    criteria = scheme.criteria if scheme else ()
    marks = newest_marks(opened, sheet)
    rows = []
    for bid in bids_of(lot):
        of_bid = marks.get(bid.ref, {})
        cells = tuple(of_bid.get(one.no, SheetCell()) for one in criteria)
        word = NOT_APPLICABLE if bid.rejected else word_of(sheet.marked(bid.ref))
        total = sum(cell.centi or 0 for cell in cells) if of_bid else None
        rows.append(SheetRow(bid, word, cells, total))
    full = sum(one.full_centi for one in criteria)
    return SheetTable(tuple(criterion_line(one) for one in criteria), tuple(rows), full)


def review_rows(lot: LotState, sheet: SheetState, opened: Mapping[str, OpenedChecklist]) -> tuple[ReviewRow, ...]:
    """Return the member's own preliminary review of every bid."""
    scheme = scheme_of(lot)
    checks = scheme.checks if scheme else ()
    rows = []
    for bid in bids_of(lot):
        one = opened.get(bid.ref)
        said = (
            {result.check: ("pass" if result.passed else "fail", result.reason) for result in one.results}
            if one
            else {}
        )
        rows.append(
            ReviewRow(bid, word_of(sheet.checklist(bid.ref)), tuple(said.get(check.no, ("", "")) for check in checks))
        )
    return tuple(rows)
