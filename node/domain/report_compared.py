"""Section 7 of the evaluation report (评分与价格比较): every mark, what it becomes, and how the price part came about.

Scores are those that the ranking recorded; the steps to the benchmark are computed anew from the same bids and the same
terms, so that a stranger can follow them to the exact fraction.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING

from node.domain import report_words as words
from node.domain.aggregation import aggregate
from node.domain.drawn_terms import settled
from node.domain.exact import SHOWN_PLACES, decimal_text, ratio_text
from node.domain.price_terms import price_terms
from node.domain.report_opening import bidder_name
from node.domain.scored import marks_by_bid
from node.domain.scoring import PricedBid, PriceScores, score_prices

if TYPE_CHECKING:
    from node.domain.evaluation import RankingComputed
    from node.domain.lot import LotState
    from node.domain.notice import DocumentsIssued, Scheme

MEAN_PLACES = 4
_PERCENT_PLACES = 4


@dataclass(frozen=True, slots=True)
class MarksLine:
    """One criterion of one bid: a mark for every member in the committee's order, and their mean, not rounded."""

    no: str
    name: str
    full: str
    marks: tuple[str, ...]
    mean: str


@dataclass(frozen=True, slots=True)
class BidMarks:
    """All marks on one bid. `groups` are the group scores that count, rounded once."""

    bidder: str
    lines: tuple[MarksLine, ...]
    sums: tuple[str, ...]
    groups: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class MarkCorrection:
    """What a member corrected in the recheck before the ranking (87号令 64)."""

    member: str
    bidder: str
    criterion: str
    before: str
    after: str
    reason: str


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One bid's price part. `mean_use` says whether the price entered the mean."""

    bidder: str
    evaluated: str
    mean_use: str
    deviation: str
    exact: str
    score: str


@dataclass(frozen=True, slots=True)
class Benchmark:
    """The steps to the benchmark price (评标基准价) in yuan, each shown to six places beside its exact fraction; "" none."""

    dropped_high: str
    dropped_low: str
    mean: str
    mean_exact: str
    unrounded: str
    unrounded_exact: str
    value: str
    value_exact: str


@dataclass(frozen=True, slots=True)
class Compared:
    """Section 7. `benchmark` is empty where the method has none."""

    members: tuple[str, ...]
    marks: tuple[BidMarks, ...]
    corrections: tuple[MarkCorrection, ...]
    prices: tuple[PriceLine, ...]
    benchmark: tuple[Benchmark, ...]


def compared(lot: "LotState", documents: "DocumentsIssued", ranking: "RankingComputed") -> Compared:
    """Return the comparison of a ranked lot's standing bids."""
    method = settled(documents.scheme.price, ranking.draws)
    terms = price_terms(method, documents.control_price_fen or None)
    prices = [PricedBid(ref=ref, price_fen=_price_fen(lot, ref)) for ref in lot.standing_refs]
    scores = score_prices(terms, prices)
    return Compared(
        members=tuple(member.no for member in lot.panel.members),
        marks=_marks(lot, documents.scheme, ranking) if documents.scheme.criteria else (),
        corrections=_corrections(lot),
        prices=_prices(lot, scores, ranking),
        benchmark=_benchmark(lot, scores, ranking),
    )


def _price_fen(lot: "LotState", ref: str) -> int:
    content = lot.opening.content(ref)
    return lot.evaluation.corrected_fen(ref, content.price_fen if content else 0)


def _marks(lot: "LotState", scheme: "Scheme", ranking: "RankingComputed") -> tuple[BidMarks, ...]:
    marks = marks_by_bid(lot.evaluation.opened, lot.evaluation.marks_corrected)
    members = [member.no for member in lot.panel.members]
    groups = {row.ref: row.group_scores for row in ranking.rows}
    trim_from = scheme.trim_from if scheme.aggregation == "trimmed" else None
    found = []
    for ref in lot.standing_refs:
        by_member = marks.get(ref, {})
        lines = []
        for one in scheme.criteria:
            given = [by_member[no][one.no] for no in members if one.no in by_member.get(no, {})]
            lines.append(
                MarksLine(
                    no=one.no,
                    name=one.name,
                    full=words.mark(one.full_centi),
                    marks=tuple(_mark(by_member.get(no, {}).get(one.no)) for no in members),
                    mean=decimal_text(aggregate(given, trim_from), MEAN_PLACES) if given else words.NONE,
                )
            )
        found.append(
            BidMarks(
                bidder=bidder_name(lot, ref),
                lines=tuple(lines),
                sums=tuple(_mark(sum(by_member[no].values()) if no in by_member else None) for no in members),
                groups=tuple((words.GROUPS[group], score) for group, score in groups.get(ref, ())),
            )
        )
    return tuple(found)


def _mark(centi: int | None) -> str:
    return words.NONE if centi is None else words.mark(centi)


def _corrections(lot: "LotState") -> tuple[MarkCorrection, ...]:
    state = lot.evaluation
    held = {(one.member, one.ref, mark.criterion): mark.mark_centi for one in state.opened for mark in one.marks}
    found = []
    for member, one in state.marks_corrected:
        for mark in one.marks:
            place = (member, one.ref, mark.criterion)
            found.append(
                MarkCorrection(
                    member=member,
                    bidder=bidder_name(lot, one.ref),
                    criterion=mark.criterion,
                    before=_mark(held.get(place)),
                    after=words.mark(mark.mark_centi),
                    reason=one.reason,
                )
            )
            held[place] = mark.mark_centi
    return tuple(found)


def _prices(lot: "LotState", scores: PriceScores, ranking: "RankingComputed") -> tuple[PriceLine, ...]:
    rows = {row.ref: row for row in ranking.rows}
    sides = scores.benchmark.sides if scores.benchmark else None
    found = []
    for position, one in enumerate(scores.scored):
        row = rows.get(one.ref)
        mean_use = words.NONE
        if sides is not None:
            mean_use = "最高，去掉" if position in sides.high else "最低，去掉" if position in sides.low else "计入"
        found.append(
            PriceLine(
                bidder=bidder_name(lot, one.ref),
                evaluated=words.grouped(row.evaluated) if row else words.NONE,
                mean_use=mean_use,
                deviation=words.NONE if one.deviation is None else _percent(one.deviation),
                exact=(row.price_exact if row else "") or words.NONE,
                score=(row.price_score if row else "") or words.NONE,
            )
        )
    return tuple(found)


def _percent(share: Fraction) -> str:
    return decimal_text(share * 100, _PERCENT_PLACES) + "%"


def _benchmark(lot: "LotState", scores: PriceScores, ranking: "RankingComputed") -> tuple[Benchmark, ...]:
    made = scores.benchmark
    if made is None:
        return ()
    scored = scores.scored
    return (
        Benchmark(
            dropped_high="、".join(bidder_name(lot, scored[position].ref) for position in made.sides.high) or "无",
            dropped_low="、".join(bidder_name(lot, scored[position].ref) for position in made.sides.low) or "无",
            mean=words.grouped(decimal_text(made.mean, SHOWN_PLACES)),
            mean_exact=ratio_text(made.mean),
            unrounded=words.grouped(decimal_text(made.exact, SHOWN_PLACES)),
            unrounded_exact=ratio_text(made.exact),
            value=words.grouped(ranking.benchmark),
            value_exact=ranking.benchmark_exact,
        ),
    )
