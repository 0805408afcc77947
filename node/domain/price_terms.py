"""The price part as a document states it, in plain decimal text, read into exact terms.

Read when the documents are issued, so that a method that could not be computed never reaches an opening. Field names in
refusals are the names of the record's fields: full, w, k, r, above, below, step, floor, max_loss, outliers, round.
"""

from fractions import Fraction
from typing import TYPE_CHECKING

from node.domain.benchmark import Base, Curve, DropRow, Step
from node.domain.exact import money_text, quantity, refuse, yuan
from node.domain.scoring import Benchmark, LowestEvaluated, LowestRatio, PriceRule, PriceTerms, Rounding

if TYPE_CHECKING:
    from node.domain.notice import OutlierRow, PriceMethod

DRAWABLE = ("w", "k", "r")  # parameters of a benchmark that the documents may leave to a draw
METHODS = ("lowest-ratio", "lowest-evaluated", "benchmark")
MOST_PLACES = 18
HIGHEST_FACTOR = 2  # r = 99 is a percentage in the wrong place, not a float


def price_terms(method: "PriceMethod", control_fen: int | None) -> PriceTerms:
    """Return the exact terms of a stated method. `control_fen` None: no control price.

    Raises Refused with the fact `field` for text that is no quantity, a value out of range, a parameter that the method
    does not have, or a share of a control price that is not there.
    """
    if method.drawn:
        raise refuse("drawn", "coefficient-not-drawn", value=method.drawn)
    if control_fen is not None and control_fen <= 0:
        raise refuse("control", "not-positive", value=money_text(yuan(control_fen)), limit=0)
    rounding = Rounding(
        deviation=_places(method.round_deviation, "round.deviation"), score=_places(method.round_score, "round.score")
    )
    return PriceTerms(_rule(method, control_fen), control_fen, rounding)


def _rule(method: "PriceMethod", control_fen: int | None) -> PriceRule:
    match method.method:
        case "lowest-ratio":
            _absent(method, "lowest-ratio")
            return LowestRatio(_full(method))
        case "lowest-evaluated":
            _absent(method, "lowest-evaluated")
            if method.full:
                raise refuse("full", "not-of-this-method", value=method.full)
            return LowestEvaluated()
        case "benchmark":
            return _benchmark(method, control_fen)
        case _:
            raise refuse("method", "word-unknown", value=method.method, limit=", ".join(METHODS))


def _benchmark(method: "PriceMethod", control_fen: int | None) -> Benchmark:
    full = _full(method)
    share = _between("w", method.w, Fraction(0), Fraction(1))
    if share and control_fen is None:
        raise refuse("control", "control-missing", value="", limit=f"w = {method.w}")
    try:
        step = Step(method.step)
    except ValueError as error:
        raise refuse("step", "word-unknown", value=method.step, limit=", ".join(Step)) from error
    base = Base(
        drop=tuple(_drop_row(row, index) for index, row in enumerate(method.outliers)),
        control_share=share or Fraction(0),
        factor=_factor(method),
        places=_places(method.round_benchmark, "round.benchmark"),
    )
    above, below = _needed("above", method.above), _needed("below", method.below)
    max_loss = _between("max_loss", method.max_loss, Fraction(0), None)
    return Benchmark(
        base, Curve(full, above, below, step, max_loss, _between("floor", method.floor, Fraction(0), full))
    )


def _full(method: "PriceMethod") -> Fraction:
    full = _needed("full", method.full)
    if full == 0:
        raise refuse("full", "not-positive", value=method.full, limit=0)
    return full


def _factor(method: "PriceMethod") -> Fraction:
    if method.k and method.r:
        raise refuse("r", "either-k-or-r", value=method.r, limit=f"k = {method.k}")
    if method.k:
        lowering = quantity(method.k, "k")
        if not 0 <= lowering < 1:
            raise refuse("k", "out-of-range", value=method.k, limit="0 <= k < 1")
        return 1 - lowering
    if method.r:
        factor = quantity(method.r, "r")
        if not 0 < factor <= HIGHEST_FACTOR:
            raise refuse("r", "out-of-range", value=method.r, limit=f"0 < r <= {HIGHEST_FACTOR}")
        return factor
    return Fraction(1)


def _drop_row(row: "OutlierRow", index: int) -> DropRow:
    where = f"outliers[{index}]"
    for name, count in (("n_min", row.n_min), ("high", row.high), ("low", row.low)):
        if count < 0:
            raise refuse(f"{where}.{name}", "out-of-range", value=count, limit=">= 0")
    return DropRow(row.n_min, row.high, row.low)


def _places(places: int, field: str) -> int | None:
    if places == -1:
        return None
    if not 0 <= places <= MOST_PLACES:
        raise refuse(field, "out-of-range", value=places, limit=f"0 … {MOST_PLACES}")
    return places


def _absent(method: "PriceMethod", name: str) -> None:
    """Nothing of the benchmark may stand beside another method: 87号令 55 forbids dropping prices there."""
    for field in ("w", "k", "r", "above", "below", "floor", "max_loss", "outliers"):
        if getattr(method, field):
            raise refuse(field, "not-of-this-method", value=name)


def _needed(field: str, text: str) -> Fraction:
    if not text:
        raise refuse(field, "missing")
    found = _between(field, text, Fraction(0), None)
    return found or Fraction(0)


def _between(field: str, text: str, least: Fraction, most: Fraction | None) -> Fraction | None:
    if not text:
        return None
    value = quantity(text, field)
    if value < least or (most is not None and value > most):
        limit = f">= {least}" if most is None else f"{least} … {most}"
        raise refuse(field, "out-of-range", value=text, limit=limit)
    return value
