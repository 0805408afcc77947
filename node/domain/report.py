"""The evaluation report and the opening record as data (评标报告, 开标记录): pure functions of a lot's events.

Ten sections, as an evaluation report must have: basic data, committee, opening record, bids that comply, bids rejected and
why, criteria and method, prices and marks compared, ranking, candidates, clarifications; then every member's word. The
digest that members sign covers everything but the words, which do not exist yet when they sign.
"""

import hashlib
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any

from node.domain.calendar import moment_text
from node.domain.capital_amount import capital_text
from node.domain.refused import Refused
from node.domain.scored import marks_by_bid

if TYPE_CHECKING:
    from node.domain.lot import LotState

_TAG = b"erhai-report-v1\n"


@dataclass(frozen=True, slots=True)
class OpeningLine:
    """One bid in the opening record. A failed one has no price and says whose fault it was."""

    no: int
    ref: str
    bidder: str
    uscc: str
    price_fen: int
    price_words: str
    period_days: int
    quality: str
    bond: str
    outcome: str  # opened | failed
    fault: str
    effect: str


@dataclass(frozen=True, slots=True)
class OpeningRecord:
    """开标记录."""

    lot_code: str
    project_name: str
    lot_name: str
    tenderer: str
    opened_at: str
    place: str
    attendees: tuple[str, ...]
    confirmed_by: tuple[str, ...]
    lines: tuple[OpeningLine, ...]


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One committee member, by number: the name stays sealed until the result."""

    no: str
    kind: str
    seat: str
    chair: bool


@dataclass(frozen=True, slots=True)
class BidLine:
    """One bid that goes on."""

    ref: str
    bidder: str
    price_fen: int
    evaluated_fen: int
    correction: str


@dataclass(frozen=True, slots=True)
class RejectionLine:
    """One rejected bid: ground (key of ZBT 51), reason, and who voted so; nobody: the system computed it."""

    bidder: str
    ground: str
    reason: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CriterionLine:
    """One line of the scheme."""

    no: str
    name: str
    group: str
    kind: str
    full_centi: int
    standard: str


@dataclass(frozen=True, slots=True)
class MarksLine:
    """One member's marks on one bid, in the scheme's order."""

    bidder: str
    member: str
    marks_centi: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One place in the ranking."""

    rank: int
    tie: bool
    bidder: str
    uscc: str
    price_fen: int
    price_words: str
    groups: tuple[tuple[str, str], ...]
    price_score: str
    price_exact: str
    total: str
    candidate: bool


@dataclass(frozen=True, slots=True)
class WordLine:
    """A member's word on the report, dissent verbatim."""

    member: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """评标报告. `words` is not covered by the digest."""

    lot_code: str
    project_name: str
    lot_name: str
    deal_code: str
    tenderer: str
    agency: str
    round_no: int
    method: str
    control_price_fen: int
    evaluated_at: str
    members: tuple[MemberLine, ...]
    opening: OpeningRecord
    compliant: tuple[BidLine, ...]
    rejected: tuple[RejectionLine, ...]
    criteria: tuple[CriterionLine, ...]
    price_method: tuple[tuple[str, str], ...]
    aggregation: str
    trim_from: int
    marks: tuple[MarksLine, ...]
    benchmark: str
    benchmark_exact: str
    results: tuple[ResultLine, ...]
    clarifications: tuple[tuple[int, str, str, str], ...]
    words: tuple[WordLine, ...]


def _name(lot: "LotState", ref: str) -> str:
    content = lot.opening.content(ref)
    return content.bidder_name if content else ref


def opening_record(lot: "LotState") -> OpeningRecord:
    """Return the opening record. Raises Refused where the opening has not begun."""
    registered, notice = lot.project.lot, lot.notice.published
    if registered is None or notice is None or not lot.opening.started:
        raise Refused("not-opened", rule="started-first", cites=("ZB 34",))
    failed = {one.ref: one for one in lot.opening.failed}
    lines = []
    for no, ref in enumerate(lot.opening.refs, start=1):
        content, bond = lot.opening.content(ref), lot.opening.bond(ref)
        lines.append(
            OpeningLine(
                no=no,
                ref=ref,
                bidder=content.bidder_name if content else ref,
                uscc=content.uscc if content else "",
                price_fen=content.price_fen if content else 0,
                price_words=content.price_words if content else "",
                period_days=content.period_days if content else 0,
                quality=content.quality if content else "",
                bond=bond.verdict if bond else "",
                outcome="opened" if content else "failed",
                fault=failed[ref].fault if ref in failed else "",
                effect=failed[ref].effect if ref in failed else "",
            )
        )
    return OpeningRecord(
        lot_code=registered.lot_code,
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        tenderer=registered.tenderer_name,
        opened_at=moment_text(lot.opening.started_at_ms),
        place=notice.opening_place,
        attendees=lot.opening.attendees,
        confirmed_by=lot.opening.confirmed_by,
        lines=tuple(lines),
    )


def evaluation_report(lot: "LotState") -> EvaluationReport:
    """Return the report of a ranked lot. Raises Refused where there is no ranking."""
    registered, documents, ranking = lot.project.lot, lot.notice.documents, lot.evaluation.ranking
    if registered is None or documents is None or ranking is None:
        raise Refused("not-ranked", rule="report-after-ranking", cites=("ZBT 53",))
    scheme, state = documents.scheme, lot.evaluation
    answers = {one.no: one.text for one in state.answers}
    report = state.report
    return EvaluationReport(
        lot_code=registered.lot_code,
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        deal_code=registered.deal_code,
        tenderer=registered.tenderer_name,
        agency=registered.agency_name,
        round_no=lot.round_no,
        method=scheme.name,
        control_price_fen=documents.control_price_fen,
        evaluated_at=moment_text(state.ranked_at_ms),
        members=tuple(
            MemberLine(one.no, one.kind, f"{one.venue_node} {one.seat}", one.no == lot.panel.chair)
            for one in lot.panel.members
        ),
        opening=opening_record(lot),
        compliant=tuple(_compliant(lot, ref) for ref in lot.standing_refs),
        rejected=tuple(
            RejectionLine(_name(lot, one.ref), one.ground, one.reason, one.members) for one in state.rejections
        ),
        criteria=tuple(
            CriterionLine(one.no, one.name, one.group, one.kind, one.full_centi, one.standard)
            for one in scheme.criteria
        ),
        price_method=_price_method(scheme.price),
        aggregation=scheme.aggregation,
        trim_from=scheme.trim_from,
        marks=_marks(lot),
        benchmark=ranking.benchmark,
        benchmark_exact=ranking.benchmark_exact,
        results=tuple(_result(lot, row, row.ref in ranking.candidates) for row in ranking.rows),
        clarifications=tuple(
            (one.no, _name(lot, one.ref), one.text, answers.get(one.no, "")) for one in state.questions
        ),
        words=tuple(WordLine(*word) for word in report.words) if report else (),
    )


def _compliant(lot: "LotState", ref: str) -> BidLine:
    content = lot.opening.content(ref)
    bid_fen = content.price_fen if content else 0
    rule = next((one.rule for one in lot.evaluation.corrections if one.ref == ref), "")
    return BidLine(ref, _name(lot, ref), bid_fen, lot.evaluation.corrected_fen(ref, bid_fen), rule)


def _price_method(method: Any) -> tuple[tuple[str, str], ...]:
    said = []
    for field in fields(method):
        value = getattr(method, field.name)
        if field.name == "outliers":
            value = "；".join(f"{row.n_min}+: -{row.high} +{row.low}" for row in value)
        if value not in {"", -1}:
            said.append((field.name, str(value)))
    return tuple(said)


def _marks(lot: "LotState") -> tuple[MarksLine, ...]:
    documents, state = lot.notice.documents, lot.evaluation
    criteria = [one.no for one in documents.scheme.criteria] if documents else []
    marks = marks_by_bid(state.opened, state.marks_corrected)
    return tuple(
        MarksLine(_name(lot, ref), member, tuple(by_item[no] for no in criteria))
        for ref in lot.standing_refs
        for member, by_item in marks.get(ref, {}).items()
    )


def _result(lot: "LotState", row: Any, candidate: bool) -> ResultLine:
    content = lot.opening.content(row.ref)
    return ResultLine(
        rank=row.rank,
        tie=row.tie,
        bidder=_name(lot, row.ref),
        uscc=content.uscc if content else "",
        price_fen=row.price_fen,
        price_words=capital_text(row.price_fen),
        groups=row.group_scores,
        price_score=row.price_score,
        price_exact=row.price_exact,
        total=row.total,
        candidate=candidate,
    )


def report_sha256(report: EvaluationReport) -> bytes:
    """Return the digest that members sign: every field but the words, each length-prefixed, in declared order."""
    digest = hashlib.sha256(_TAG)
    for field in fields(report):
        if field.name != "words":
            _feed(digest, getattr(report, field.name))
    return digest.digest()


def _feed(digest: Any, value: Any) -> None:
    if is_dataclass(value):
        items: tuple[Any, ...] = tuple(getattr(value, field.name) for field in fields(value))
        digest.update(b"d" + len(items).to_bytes(4, "big"))
    elif isinstance(value, tuple):
        items = value
        digest.update(b"t" + len(items).to_bytes(4, "big"))
    else:
        raw = str(value).encode()
        digest.update(b"s" + len(raw).to_bytes(4, "big") + raw)
        return
    for item in items:
        _feed(digest, item)
