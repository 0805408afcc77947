"""What scoring takes from draws (抽取系数、并列次序): a parameter that the documents leave to a draw, and the order of a tie.

Nobody chooses whether a draw counts: documents that declare one cannot be scored without it, and a tie that decides who is
a candidate keeps the report open until it is drawn. Other ties are shown as ties; the documents say who decides.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from node.domain.draw_proof import COEFFICIENT, TIE
from node.domain.drawn import DRAWS_MOST, DrawState, OptionsFrozen, draw_id
from node.domain.evaluation import RankingComputed, RankRow, UsedDraw, UsedNonce
from node.domain.exact import quantity, refuse
from node.domain.price_terms import DRAWABLE, price_terms
from node.domain.refused import Refused
from node.domain.scoring import PriceTerms
from node.domain.values import Asked

if TYPE_CHECKING:
    from node.domain.lot import LotState
    from node.domain.notice import PriceMethod

TIE_NAME = "tie"
OPTIONS_LEAST, OPTIONS_MOST = 2, 100


def declared_terms(method: "PriceMethod", control_fen: int | None) -> tuple[PriceTerms, ...]:
    """Return the exact terms of a stated method, one for every value that may be drawn. Raises Refused (price_terms)."""
    if not method.drawn:
        if method.options:
            raise refuse("options", "not-of-this-method", value=str(len(method.options)))
        return (price_terms(method, control_fen),)
    if method.drawn not in DRAWABLE or method.method != "benchmark":
        raise refuse("drawn", "word-unknown", value=method.drawn, limit=", ".join(DRAWABLE))
    if getattr(method, method.drawn):
        raise refuse(method.drawn, "drawn-not-fixed", value=getattr(method, method.drawn))
    if not OPTIONS_LEAST <= len(method.options) <= OPTIONS_MOST:
        raise refuse("options", "out-of-range", value=len(method.options), limit=f"{OPTIONS_LEAST} … {OPTIONS_MOST}")
    values = [quantity(option, "options") for option in method.options]
    if len(set(values)) != len(values):
        raise refuse("options", "stands-twice", value=", ".join(method.options))
    return tuple(price_terms(with_value(method, option), control_fen) for option in method.options)


def with_value(method: "PriceMethod", value: str) -> "PriceMethod":
    """Return the method with its drawn parameter fixed."""
    return replace(method, **{method.drawn: value}, drawn="", options=())  # type: ignore[arg-type]


def settled(method: "PriceMethod", draws: Sequence[UsedDraw]) -> "PriceMethod":
    """Return the method with what was drawn. Raises Refused where it needs a value that is not drawn."""
    if not method.drawn:
        return method
    for one in draws:
        if (one.kind, one.name) == (COEFFICIENT, method.drawn):
            return with_value(method, one.result[0])
    raise Refused("coefficient-not-drawn", rule="drawn-before-scoring", value=method.drawn)


def coefficient_draws(lot: "LotState", asked: Asked) -> tuple[UsedDraw, ...]:
    """Return the draw of the parameter that the documents leave open. Raises Refused while it is not drawn."""
    documents = lot.notice.documents
    if documents is None or not documents.scheme.price.drawn:
        return ()
    method = documents.scheme.price
    return (_used(lot, COEFFICIENT, method.drawn, method.options, asked),)


def options_of(lot: "LotState", kind: str) -> tuple[str, tuple[str, ...]]:
    """Return name and options of the draw that this lot needs. Raises Refused where it needs none of this kind."""
    documents = lot.notice.documents
    if kind == COEFFICIENT and documents is not None and documents.scheme.price.drawn:
        return documents.scheme.price.drawn, documents.scheme.price.options
    refs = undrawn_tie(lot)
    if kind == TIE and refs:
        return TIE_NAME, refs
    raise Refused("nothing-to-draw", rule="drawn-as-declared", value=kind)


def undrawn_tie(lot: "LotState") -> tuple[str, ...]:
    """Return the bids that share the last candidate's place with somebody outside, while their order is not drawn."""
    ranking, documents = lot.evaluation.ranking, lot.notice.documents
    if ranking is None or documents is None or any(one.kind == TIE for one in ranking.draws):
        return ()
    return tie_at_cut(ranking.rows, documents.scheme.candidates)


def tie_at_cut(rows: Sequence[RankRow], candidates: int) -> tuple[str, ...]:
    """Return the bids of the place that the candidates' number cuts through; nobody where it cuts between two places."""
    if len(rows) <= candidates or rows[candidates - 1].rank != rows[candidates].rank:
        return ()
    return tuple(row.ref for row in rows if row.rank == rows[candidates].rank)


def resolve(lot: "LotState", asked: Asked) -> RankingComputed:
    """Return the ranking with the tie at the cut in drawn order. Raises Refused where there is none, or it is not drawn."""
    ranking, refs = lot.evaluation.ranking, undrawn_tie(lot)
    documents = lot.notice.documents
    if ranking is None or documents is None or not refs:
        raise Refused("nothing-to-draw", rule="drawn-as-declared", value=TIE)
    used = _used(lot, TIE, TIE_NAME, refs, asked)
    rows = {row.ref: row for row in ranking.rows}
    before = [row for row in ranking.rows if row.ref not in refs and row.rank < rows[refs[0]].rank]
    after = [row for row in ranking.rows if row.rank > rows[refs[0]].rank]
    ordered = (*before, *(rows[ref] for ref in used.result), *after)
    chosen = tuple(row.ref for row in ordered[: documents.scheme.candidates])
    return replace(ranking, rows=ordered, candidates=chosen, draws=(*ranking.draws, used))


def require_resolved(lot: "LotState") -> None:
    """Raise Refused while a tie leaves open who the candidates are."""
    refs = undrawn_tie(lot)
    if refs:
        raise Refused("tie-not-drawn", rule="drawn-before-report", value=", ".join(refs))


def _used(lot: "LotState", kind: str, name: str, options: Sequence[str], asked: Asked) -> UsedDraw:
    """Return the one finished draw of this name; what it was drawn from must be what the lot declares."""
    for number in range(1, DRAWS_MOST + 1):
        found = draw_id(lot.lot_code, lot.round_no, kind, number)
        state = asked.look(f"draw/{found}")
        if not isinstance(state, DrawState) or not isinstance(state.frozen, OptionsFrozen):
            break
        if state.drawn and state.frozen.name == name and set(state.frozen.options) == set(options):
            parties = tuple(UsedNonce(one.name, one.commit, one.nonce, one.source) for one in state.ceremony.parties)
            return UsedDraw(found, kind, name, state.frozen.options, state.drawn, state.seed, parties)
    code, rule = (
        ("tie-not-drawn", "drawn-before-report") if kind == TIE else ("coefficient-not-drawn", "drawn-before-scoring")
    )
    raise Refused(code, rule=rule, value=name)
