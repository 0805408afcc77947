"""Closing the scoring, the recheck before ranking, the ranking, the report (评分结束, 复核, 排序, 评标报告). E14, E15.

The session key leaves here. Every opened mark is checked against the commitment that its member signed; then either the
recheck names who must correct what (87号令 64), or the ranking is computed: price part by the scheme's formula over the
accepted bids, marks aggregated as the scheme says, rounded where it says, and nowhere else.
"""

import hashlib
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from node.domain import drawn_terms
from node.domain.aggregation import Item, group_score, recheck, total_score
from node.domain.drawn_terms import coefficient_draws, require_resolved, settled, tie_at_cut
from node.domain.evaluation import (
    CloseRecheck,
    CloseScoring,
    CompleteReport,
    Inconsistency,
    OpenedMarks,
    RankingComputed,
    RankRow,
    RecheckClosed,
    RecheckOrdered,
    ReportCompleted,
    ScoringClosed,
    UsedDraw,
)
from node.domain.exact import decimal_text, half_up, money_text, ratio_text
from node.domain.guards import require_digest
from node.domain.panel import require_chair, require_own_member, sheet_of
from node.domain.preliminary import check_heads
from node.domain.price_terms import price_terms
from node.domain.ranking import Candidate, TieRule, rank_candidates
from node.domain.refused import Refused
from node.domain.scoring import PricedBid, ScoredBid, score_prices
from node.domain.sheet import MarksCorrected, complete_marks, marks_commitment
from node.domain.values import Asked

if TYPE_CHECKING:
    from node.domain.lot import LotState
    from node.domain.notice import Scheme

Marks = Mapping[str, Mapping[str, Mapping[str, int]]]  # ref -> member -> criterion -> hundredths
PLACES = 2


def close(lot: "LotState", command: CloseScoring, asked: Asked) -> tuple[object, ...]:
    """Close the scoring: all sheets signed, every mark as committed to, the key the one that was committed to."""
    state, criteria = lot.evaluation, _scheme(lot).criteria
    require_own_member(lot, asked)
    if not state.concluded:
        raise Refused("preliminary-open", rule="preliminary-first", cites=("12号令 23",))
    if state.closed:
        raise Refused("scoring-closed", rule="closed-once")
    require_chair(lot)
    if hashlib.sha256(command.session_key).digest() != state.session_commitment:
        raise Refused("session-key-differs", rule="session-commitment")
    check_heads(lot, command.heads, asked)
    draws = coefficient_draws(lot, asked)
    opened = {(one.member, one.ref): one for one in command.opened}
    kept = []
    for member in lot.panel.members:
        sheet = sheet_of(lot, member.no, asked)
        if not sheet.signed:
            raise Refused("sheets-unsigned", rule="all-sheets-signed", value=member.no)
        for ref in lot.standing_refs if criteria else ():
            submitted, one = sheet.marked(ref), opened.get((member.no, ref))
            if submitted is None or one is None:
                raise Refused("marks-missing", rule="every-member-every-bid", value=f"{member.no} {ref}")
            if marks_commitment(one.salt, ref, one.marks) != submitted.commitment:
                raise Refused("commitment-differs", rule="opened-as-committed", value=f"{member.no} {ref}")
            complete_marks(one.marks, criteria)
            kept.append(one)
    closed = ScoringClosed(command.session_key, command.heads, tuple(kept))
    return (closed, _judged(lot, marks_by_bid(tuple(kept), ()), draws))


def close_recheck(lot: "LotState", command: CloseRecheck, asked: Asked) -> tuple[object, ...]:
    """Rank with the corrections, once every member named has corrected what was named and signed anew."""
    state = lot.evaluation
    require_own_member(lot, asked)
    if not state.inconsistencies:
        raise Refused("no-recheck", rule="recheck-ordered-first", cites=("87号令 64",))
    check_heads(lot, command.heads, asked)
    corrections: list[tuple[str, MarksCorrected]] = []
    for member in lot.panel.members:
        sheet = sheet_of(lot, member.no, asked)
        if not sheet.signed:
            raise Refused("sheets-unsigned", rule="all-sheets-signed", value=member.no)
        corrections += [(member.no, one) for one in sheet.corrections]
    if tuple(corrections) == state.marks_corrected:
        raise Refused("nothing-corrected", rule="recheck-answered-first", cites=("87号令 64",))
    closed = RecheckClosed(command.heads, tuple(corrections))
    return (closed, _judged(lot, marks_by_bid(state.opened, closed.corrections), coefficient_draws(lot, asked)))


def resolve_tie(lot: "LotState", asked: Asked) -> tuple[RankingComputed]:
    """Put the bids that share the last candidate's place into their drawn order."""
    require_own_member(lot, asked)
    if lot.evaluation.report is not None:
        raise Refused("report-complete", rule="completed-once")
    return (drawn_terms.resolve(lot, asked),)


def marks_by_bid(
    opened: tuple[OpenedMarks, ...], corrections: tuple[tuple[str, MarksCorrected], ...]
) -> dict[str, dict[str, dict[str, int]]]:
    """Return the marks that count: as sealed, with every later correction over them."""
    marks: dict[str, dict[str, dict[str, int]]] = {}
    for one in opened:
        marks.setdefault(one.ref, {})[one.member] = {mark.criterion: mark.mark_centi for mark in one.marks}
    for member, correction in corrections:
        by_member = marks.get(correction.ref, {})
        if member in by_member:
            by_member[member].update({mark.criterion: mark.mark_centi for mark in correction.marks})
    return marks


def _scheme(lot: "LotState") -> "Scheme":
    documents = lot.notice.documents
    if documents is None:
        raise Refused("no-documents", rule="documents-first")
    return documents.scheme


def _judged(lot: "LotState", marks: Marks, draws: tuple[UsedDraw, ...]) -> RecheckOrdered | RankingComputed:
    scheme = _scheme(lot)
    items = [
        Item(no=one.no, full_centi=one.full_centi, step_centi=one.step_centi, objective=one.kind == "objective")
        for one in scheme.criteria
    ]
    found = [finding for ref in lot.standing_refs for finding in recheck(ref, items, marks.get(ref, {}))]
    if found:
        return RecheckOrdered(tuple(Inconsistency(one.ref, one.item, one.kind, one.members) for one in found))
    return ranking(lot, marks, draws)


def ranking(lot: "LotState", marks: Marks, draws: tuple[UsedDraw, ...] = ()) -> RankingComputed:
    """Compute prices, group scores, totals and places of every standing bid. Exact inside; text outside."""
    documents, scheme = lot.notice.documents, _scheme(lot)
    control_fen = documents.control_price_fen if documents else 0
    terms = price_terms(settled(scheme.price, draws), control_fen or None)
    prices = {ref: price_fen(lot, ref) for ref in lot.standing_refs}
    scores = score_prices(terms, [PricedBid(ref=ref, price_fen=fen) for ref, fen in prices.items()])
    by_price = {one.ref: one for one in scores.scored}
    places = max(PLACES, scheme.price.round_score)
    group_scores = {ref: _group_scores(scheme, marks.get(ref, {})) for ref in prices}
    totals = {
        ref: total_score([one.score or Fraction(0), *group_scores[ref].values()], places)
        for ref, one in by_price.items()
    }
    if scheme.price.method == "lowest-evaluated":
        order = [(one.ref, one.rank, one.tie) for one in sorted(scores.scored, key=lambda one: one.rank)]
    else:
        candidates = [
            Candidate(
                ref=ref,
                total=totals[ref],
                price_fen=prices[ref],
                technical=group_scores[ref].get("technical", Fraction(0)),
            )
            for ref in by_price
        ]
        order = [(one.ref, one.rank, one.tie) for one in rank_candidates(candidates, TieRule.PRICE_TECHNICAL)]
    rows = tuple(
        _row(by_price[ref], prices[ref], group_scores[ref], totals[ref], places=places, rank=rank, tie=tie)
        for ref, rank, tie in order
    )
    benchmark = scores.benchmark
    open_refs = tie_at_cut(rows, scheme.candidates)
    return RankingComputed(
        benchmark="" if benchmark is None else decimal_text(benchmark.value, 6),
        benchmark_exact="" if benchmark is None else ratio_text(benchmark.value),
        rows=rows,
        candidates=tuple(row.ref for row in rows[: scheme.candidates] if row.ref not in open_refs),
        draws=draws,
    )


def price_fen(lot: "LotState", ref: str) -> int:
    """Return the price in fen that the evaluation uses for an opened bid: corrected, where a correction was accepted."""
    content = lot.opening.content(ref)
    if content is None:
        raise Refused("unknown-bid", rule="bid-was-opened", value=ref)
    return lot.evaluation.corrected_fen(ref, content.price_fen)


def _group_scores(scheme: "Scheme", marks: Mapping[str, Mapping[str, int]]) -> dict[str, Fraction]:
    """Return a bid's score in each group, in the scheme's order: aggregated over members item by item, rounded once."""
    trim_from = scheme.trim_from if scheme.aggregation == "trimmed" else None
    groups: dict[str, list[str]] = {}
    for criterion in scheme.criteria:
        groups.setdefault(criterion.group, []).append(criterion.no)
    return {group: half_up(group_score(marks, items, trim_from), PLACES) for group, items in groups.items()}


def _row(
    price: ScoredBid,
    price_fen: int,
    groups: Mapping[str, Fraction],
    total: Fraction,
    *,
    places: int,
    rank: int,
    tie: bool,
) -> RankRow:
    scored = price.score is not None
    return RankRow(
        ref=price.ref,
        price_fen=price_fen,
        evaluated=money_text(price.evaluated),
        price_score=decimal_text(price.score, places) if price.score is not None else "",
        price_exact=ratio_text(price.exact) if price.exact is not None else "",
        group_scores=tuple((group, decimal_text(score, PLACES)) for group, score in groups.items()),
        total=decimal_text(total, places) if scored else "",
        rank=rank,
        tie=tie,
    )


def complete(lot: "LotState", command: CompleteReport, asked: Asked) -> tuple[ReportCompleted]:
    """Complete the report: every sitting member's word is on exactly this report; silence counts as agreement (ZBT 53).

    A member who will not even open his sheet is recorded as silent by whoever completes, with the circumstances as text.
    """
    state = lot.evaluation
    require_own_member(lot, asked)
    if state.ranking is None:
        raise Refused("not-ranked", rule="report-after-ranking", cites=("ZBT 53",))
    if state.report is not None:
        raise Refused("report-complete", rule="completed-once")
    require_resolved(lot)
    require_digest(report_sha256=command.report_sha256)
    check_heads(lot, command.heads, asked)
    words = {member: (word, text) for member, word, text in command.words}
    kept = []
    for member in lot.panel.members:
        sheet = sheet_of(lot, member.no, asked)
        if not sheet.report_word:
            word, text = words.get(member.no, ("", ""))
            if word != "silent" or not text.strip():
                raise Refused("word-missing", rule="every-member-signs", value=member.no, cites=("ZBT 53",))
            kept.append((member.no, word, text))  # refuses to sign and to say why: whoever completes records it
            continue
        if sheet.report_sha256 != command.report_sha256:
            raise Refused("another-report", rule="one-report", value=member.no, cites=("ZBT 53",))
        if words.get(member.no) != (sheet.report_word, sheet.report_text):
            raise Refused("word-differs", rule="words-as-signed", value=member.no)
        kept.append((member.no, sheet.report_word, sheet.report_text))
    return (ReportCompleted(command.report_sha256, tuple(kept), command.heads),)
