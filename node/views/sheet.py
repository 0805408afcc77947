"""What a committee member sees of the own sheet (评分表): the seat, the bids, one bid's lines, the whole sheet.

Pure: states in, frozen models out. Nothing here can hold another member's marks, because only the own sheet goes in.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from node.domain.evaluation import OpenedChecklist, OpenedMarks
from node.domain.lot import LotState
from node.domain.notice import Criterion, Scheme
from node.domain.panel import Member
from node.domain.sheet import SheetState, Submission
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
class CriterionLine:
    """One criterion of a marks form: what is asked, and what the field holds."""

    no: str
    name: str
    group: str
    kind: str
    full_centi: int
    step_centi: int
    standard: str
    value: str = ""


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of the preliminary review of one bid."""

    no: str
    kind: str
    name: str


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
class Question:
    """One question of the committee to a bidder; `answer` "" while there is none."""

    no: int
    label: str
    text: str
    answer: str


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


def bidder_names(lot: LotState) -> tuple[str, ...]:
    """Return whose bids were opened, for the recusal; in an order that says nothing where the review is blind."""
    names = tuple(one.content.bidder_name for one in lot.opening.opened)
    scheme = scheme_of(lot)
    return tuple(sorted(names)) if scheme is not None and scheme.blind else names


def questions_of(lot: LotState) -> tuple[Question, ...]:
    """Return the committee's questions to bidders, with the answers that came."""
    labels = {bid.ref: bid.label for bid in bids_of(lot)}
    answers = {one.no: one.text for one in lot.evaluation.answers}
    return tuple(
        Question(one.no, labels.get(one.ref, one.ref), one.text, answers.get(one.no, ""))
        for one in lot.evaluation.questions
    )


def check_lines(lot: LotState) -> tuple[CheckLine, ...]:
    """Return the lines of the preliminary review."""
    scheme = scheme_of(lot)
    return tuple(CheckLine(one.no, one.kind, one.name) for one in scheme.checks) if scheme else ()


def criterion_line(criterion: Criterion, value: str = "") -> CriterionLine:
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
