"""A lot as the desk sees it (标段页): steps, facts, opening table, seats. Pure: states in, a frozen model out.

What a role may not know is left out here: before the opening neither names nor the number of participants and bids;
members by number only; of marks nothing but whether they are there, until the ranking stands.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from node.domain.lot import LotState, blocked, stage
from node.domain.profile import Profile
from node.domain.secrecy import Secret, may_read, stage_of
from node.domain.sheet import SheetState
from node.domain.values import Role

_SECRET_STAGES = {"bonded", "bidding", "noticed", "prequalified"}


@dataclass(frozen=True, slots=True)
class Step:
    """One stage of the procedure."""

    number: str
    name: str
    done: bool
    current: bool


@dataclass(frozen=True, slots=True)
class OpeningRow:
    """One bid in the opening table; sealed cells are None."""

    no: int
    ref: str
    name: str | None
    price_fen: int | None
    period_days: int | None
    quality: str | None
    bond: str | None
    state: str  # sealed | opened | announced | failed
    fault: str
    effect: str
    reason: str


@dataclass(frozen=True, slots=True)
class SeatRow:
    """One member's progress: counts, never marks."""

    no: str
    kind: str
    node: str
    seat: str
    chair: bool
    signed_in: bool
    recusal: str  # open | none | conflict
    checklists: int
    marks: int
    bids: int
    signed: bool
    word: bool


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One ranked bid."""

    rank: int
    tie: bool
    ref: str
    name: str
    price_fen: int
    groups: tuple[tuple[str, str], ...]
    price_score: str
    total: str
    candidate: bool


@dataclass(frozen=True, slots=True)
class RejectedRow:
    """One rejected bid."""

    ref: str
    name: str
    ground: str
    reason: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LotPage:
    """Everything the desk's lot page shows."""

    lot_code: str
    lot_name: str
    project_name: str
    tenderer: str
    agency: str
    round_no: int
    stage: str
    blocked: str
    steps: tuple[Step, ...]
    deadline_ms: int
    control_price_fen: int
    scheme: str
    opening: tuple[OpeningRow, ...]
    opening_confirmed: bool
    next_to_open: str
    next_to_announce: str
    seats: tuple[SeatRow, ...]
    benchmark: str
    results: tuple[ResultRow, ...]
    rejected: tuple[RejectedRow, ...]
    questions: tuple[tuple[int, str, str, str], ...]  # no, bidder, question, answer
    objections: tuple[tuple[int, str, str, bool], ...]  # no, kind, text, answered
    inconsistencies: tuple[tuple[str, str, tuple[str, ...]], ...]
    reported: bool
    winner: str
    may_see_report: bool


def lot_page(lot: LotState, profile: Profile, sheets: Mapping[str, Any], role: Role) -> LotPage:
    """Return the page's model. Raises KeyError where the lot is not registered."""
    registered = lot.project.lot
    if registered is None:
        raise KeyError("lot")
    documents = lot.notice.documents
    marks_open = may_read(Secret.MARKS, stage_of(lot), role)
    return LotPage(
        lot_code=registered.lot_code,
        lot_name=registered.lot_name,
        project_name=registered.project_name,
        tenderer=registered.tenderer_name,
        agency=registered.agency_name,
        round_no=lot.round_no,
        stage=stage(lot),
        blocked=blocked(lot),
        steps=_steps(lot, profile),
        deadline_ms=lot.notice.deadline_ms,
        control_price_fen=documents.control_price_fen if documents else 0,
        scheme=documents.scheme.name if documents else "",
        opening=opening_rows(lot),
        opening_confirmed=lot.opening.confirmed,
        next_to_open=lot.opening.next_to_open,
        next_to_announce=lot.opening.next_to_announce,
        seats=_seats(lot, sheets),
        benchmark=lot.evaluation.ranking.benchmark if lot.evaluation.ranking and marks_open else "",
        results=results(lot) if marks_open else (),
        rejected=rejected(lot),
        questions=_questions(lot),
        objections=tuple(
            (one.no, one.kind, one.text, one.no in lot.objections.answered) for one in lot.objections.raised
        ),
        inconsistencies=tuple((one.ref, one.criterion, one.members) for one in lot.evaluation.inconsistencies)
        if role is not Role.TECHNICIAN
        else (),
        reported=bool(lot.evaluation.reported_at_ms),
        winner=name_of(lot, lot.award.decided.ref) if lot.award.decided else "",
        may_see_report=marks_open,
    )


def _steps(lot: LotState, profile: Profile) -> tuple[Step, ...]:
    """Return the visible steps in order; steps that bidders' secrets hang on do not show whether they happened."""
    shown = [one for one in profile.stages if one.code not in _SECRET_STAGES]
    order = [one.code for one in shown]
    now = stage(lot)
    at = order.index(now) if now in order else -1
    skipped = set()
    if not lot.notice.amendments:
        skipped.add("clarified")
    if not any(one.kind == "documents" for one in lot.objections.raised):
        skipped.add("objected_docs")
    return tuple(
        Step(one.number, one.name, index <= at and one.code not in skipped, index == at)
        for index, one in enumerate(shown)
    )


def name_of(lot: LotState, ref: str) -> str:
    """Return a bidder's name once its bid is open; the reference before."""
    content = lot.opening.content(ref)
    return content.bidder_name if content else ref


def opening_rows(lot: LotState) -> tuple[OpeningRow, ...]:
    """Return the opening table: nothing before the opening, sealed cells until a seal is open, price when read out."""
    rows = []
    failed = {one.ref: one for one in lot.opening.failed}
    for no, ref in enumerate(lot.opening.refs, start=1):
        content, bond = lot.opening.content(ref), lot.opening.bond(ref)
        announced = ref in lot.opening.announced
        state = "failed" if ref in failed else "announced" if announced else "opened" if content else "sealed"
        rows.append(
            OpeningRow(
                no=no,
                ref=ref,
                name=content.bidder_name if content else None,
                price_fen=content.price_fen if content and announced else None,
                period_days=content.period_days if content and announced else None,
                quality=content.quality if content and announced else None,
                bond=bond.verdict if bond else None,
                state=state,
                fault=failed[ref].fault if ref in failed else "",
                effect=failed[ref].effect if ref in failed else "",
                reason=failed[ref].reason if ref in failed else "",
            )
        )
    return tuple(rows)


def _seats(lot: LotState, sheets: Mapping[str, Any]) -> tuple[SeatRow, ...]:
    rows = []
    for member in lot.panel.members:
        sheet = sheets.get(member.no)
        known = sheet if isinstance(sheet, SheetState) else SheetState()
        recusal = "open" if known.conflict is None else "conflict" if known.conflict else "none"
        rows.append(
            SeatRow(
                no=member.no,
                kind=member.kind,
                node=member.venue_node,
                seat=member.seat,
                chair=member.no == lot.panel.chair,
                signed_in=known.signed_in,
                recusal=recusal,
                checklists=len(known.checklists),
                marks=len(known.marks),
                bids=len(lot.standing_refs) if lot.evaluation.concluded else len(lot.opening.opened_refs),
                signed=known.signed,
                word=bool(known.report_word),
            )
        )
    return tuple(rows)


def results(lot: LotState) -> tuple[ResultRow, ...]:
    """Return the ranking, best first; empty before it stands."""
    ranking = lot.evaluation.ranking
    if ranking is None:
        return ()
    return tuple(
        ResultRow(
            rank=row.rank,
            tie=row.tie,
            ref=row.ref,
            name=name_of(lot, row.ref),
            price_fen=row.price_fen,
            groups=row.group_scores,
            price_score=row.price_score,
            total=row.total,
            candidate=row.ref in ranking.candidates,
        )
        for row in ranking.rows
    )


def rejected(lot: LotState) -> tuple[RejectedRow, ...]:
    """Return the rejected bids and why."""
    return tuple(
        RejectedRow(one.ref, name_of(lot, one.ref), one.ground, one.reason, one.members)
        for one in lot.evaluation.rejections
    )


def _questions(lot: LotState) -> tuple[tuple[int, str, str, str], ...]:
    answers = {one.no: one.text for one in lot.evaluation.answers}
    return tuple((one.no, name_of(lot, one.ref), one.text, answers.get(one.no, "")) for one in lot.evaluation.questions)
