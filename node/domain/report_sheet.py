"""One member's score sheet as data (评分表): checklist, marks, corrections, opened at the close. A pure function of the lot."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.domain import report_words as words
from node.domain.refused import Refused
from node.domain.report_digest import record_sha256
from node.domain.report_opening import bidder_name

if TYPE_CHECKING:
    from node.domain.lot import LotState
    from node.domain.sheet import MarksCorrected

_TAG = "erhai-score-sheet-v1"


@dataclass(frozen=True, slots=True)
class SheetCheck:
    """One check of the preliminary review of one bid."""

    no: str
    kind: str
    name: str
    outcome: str
    reason: str


@dataclass(frozen=True, slots=True)
class SheetMark:
    """One mark. `mark` is what the member signed first, `corrected` what the recheck made of it, or --."""

    no: str
    name: str
    group: str
    full: str
    mark: str
    corrected: str
    reason: str


@dataclass(frozen=True, slots=True)
class SheetBid:
    """One opened bid on the sheet. A rejected one has checks and no marks."""

    ref: str
    bidder: str
    checks: tuple[SheetCheck, ...]
    marks: tuple[SheetMark, ...]
    total: str


@dataclass(frozen=True, slots=True)
class ScoreSheetReport:
    """评分表 of one member, by number: the name stays sealed until the result (ZB 37)."""

    lot_code: str
    project_name: str
    lot_name: str
    round_no: int
    member: str
    kind: str
    chair: str
    seat: str
    method: str
    closed_at: str
    ranked_at: str
    full: str
    bids: tuple[SheetBid, ...]
    entry: str  # where the sheet's newest entry stands: log, number, leaf


def score_sheet(lot: "LotState", member_no: str) -> ScoreSheetReport:
    """Return a sitting member's sheet. Raises Refused before the close (marks are sealed) and for nobody's number."""
    registered, documents, state = lot.project.lot, lot.notice.documents, lot.evaluation
    if registered is None or documents is None or not state.closed:
        raise Refused("scoring-open", rule="sealed-until-close", value=member_no)
    member = lot.panel.member(member_no)
    if member is None:
        raise Refused("not-a-member", rule="sheet-of-a-member", value=member_no)
    stream = f"sheet/{lot.lot_code}/{lot.round_no}/{member_no}"
    head = next((one for one in state.heads if one.stream == stream), None)
    return ScoreSheetReport(
        lot_code=registered.lot_code,
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        round_no=lot.round_no,
        member=member_no,
        kind=words.MEMBER_KINDS[member.kind],
        chair="组长" if member_no == lot.panel.chair else "成员",
        seat=f"{member.venue_node} {member.seat}",
        method=documents.scheme.name,
        closed_at=words.civil(state.closed_at_ms),
        ranked_at=words.civil(state.ranked_at_ms),
        full=words.mark(sum(one.full_centi for one in documents.scheme.criteria)),
        bids=tuple(_bid(lot, member_no, ref) for ref in lot.opening.opened_refs),
        entry=f"{head.origin} #{head.seq} {head.leaf.hex()}" if head else words.NONE,
    )


def sheet_sha256(sheet: ScoreSheetReport) -> bytes:
    """Return the digest of a score sheet."""
    return record_sha256(_TAG, sheet)


def _bid(lot: "LotState", member_no: str, ref: str) -> SheetBid:
    documents, state = lot.notice.documents, lot.evaluation
    scheme = documents.scheme if documents else None
    opened = next((one for one in state.opened if (one.member, one.ref) == (member_no, ref)), None)
    judged = next((one for one in state.checklists if (one.member, one.ref) == (member_no, ref)), None)
    corrected = [one for member, one in state.marks_corrected if member == member_no and one.ref == ref]
    first = {mark.criterion: mark for mark in opened.marks} if opened else {}
    newest = {no: mark.mark_centi for no, mark in first.items()}
    newest.update({mark.criterion: mark.mark_centi for one in corrected for mark in one.marks})
    results = {one.check: one for one in judged.results} if judged else {}
    return SheetBid(
        ref=ref,
        bidder=bidder_name(lot, ref),
        checks=tuple(
            SheetCheck(
                no=check.no,
                kind=words.CHECK_KINDS[check.kind],
                name=check.name,
                outcome="通过" if results[check.no].passed else "不通过",
                reason=results[check.no].reason or words.NONE,
            )
            for check in (scheme.checks if scheme else ())
            if check.no in results
        ),
        marks=tuple(
            SheetMark(
                no=one.no,
                name=one.name,
                group=words.GROUPS[one.group],
                full=words.mark(one.full_centi),
                mark=words.mark(first[one.no].mark_centi),
                corrected=_corrected(one.no, corrected),
                reason=first[one.no].reason or words.NONE,
            )
            for one in (scheme.criteria if scheme else ())
            if one.no in first
        ),
        total=words.mark(sum(newest.values())) if newest else words.NONE,
    )


def _corrected(criterion: str, corrections: "list[MarksCorrected]") -> str:
    said = [
        f"{words.mark(mark.mark_centi)}（{one.reason}）"
        for one in corrections
        for mark in one.marks
        if mark.criterion == criterion
    ]
    return "；".join(said) or words.NONE
