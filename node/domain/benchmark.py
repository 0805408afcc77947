"""The benchmark price (评标基准价): which prices enter it, how it is made, and what a distance from it costs. M5.

One pipeline with parameters: outliers leave, mean, mix with the control price, float, round, deviation, round, loss per
one percent, step, greatest loss, floor [trading 2.6]. A dropped price only leaves the mean; its bid is still scored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TypeAlias

from node.domain.exact import half_up, refuse

ONE = Fraction(1)


class Step(StrEnum):
    """How a broken percent counts (不足1%的处理)."""

    LINEAR = "linear"  # in proportion
    CEIL = "ceil"  # 不足1%按1%计
    FLOOR = "floor"  # 不足1%不计


@dataclass(frozen=True, slots=True)
class DropRow:
    """From `n_min` prices on, so many highest and lowest leave before the mean."""

    n_min: int
    high: int
    low: int


@dataclass(frozen=True, slots=True)
class DropShare:
    """From `n_min` prices on, this share of n, rounded half up to whole bids, leaves at each side."""

    n_min: int
    share: Fraction


# Of rows, the last one whose n_min is not above n applies; no row, nobody leaves.
DropRule: TypeAlias = tuple[DropRow, ...] | DropShare


@dataclass(frozen=True, slots=True)
class Curve:
    """What a deviation costs: points per one percent above and below, step, then greatest loss, then floor.

    `max_loss` and `floor` None: there is none, and a score may fall below zero.
    """

    full: Fraction
    above: Fraction
    below: Fraction
    step: Step = Step.LINEAR
    max_loss: Fraction | None = None
    floor: Fraction | None = None

    def score(self, deviation: Fraction) -> Fraction:
        """Return the exact score at a deviation (a signed fraction of the benchmark: 0.05 is five percent above)."""
        percents = abs(deviation) * 100
        match self.step:
            case Step.LINEAR:
                counted = percents
            case Step.CEIL:
                counted = Fraction(-(-percents.numerator // percents.denominator))
            case Step.FLOOR:
                counted = Fraction(percents.numerator // percents.denominator)
        loss = counted * (self.above if deviation > 0 else self.below)
        if self.max_loss is not None:
            loss = min(loss, self.max_loss)
        score = self.full - loss
        return score if self.floor is None else max(self.floor, score)


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """How the benchmark follows from the prices: outlier rule, share of the control price, float factor (1-k, or r)."""

    drop: DropRule = ()
    control_share: Fraction = Fraction(0)
    factor: Fraction = ONE
    places: int | None = None  # None: not rounded


@dataclass(frozen=True, slots=True)
class Sides:
    """Positions of the prices that stay, and of those that leave at the top and at the bottom."""

    kept: tuple[int, ...]
    high: tuple[int, ...]
    low: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class BenchmarkPrice:
    """The benchmark with every step to it, so that a stranger can follow: `value` counts, `exact` is before rounding."""

    sides: Sides
    mean: Fraction
    base: Fraction  # after mixing with the control price
    exact: Fraction
    value: Fraction


def mean(values: Sequence[Fraction]) -> Fraction:
    """Return the arithmetic mean of at least one value."""
    return sum(values, Fraction(0)) / len(values)


def drops(rule: DropRule, n: int) -> tuple[int, int]:
    """Return how many of n prices leave at the top and at the bottom."""
    if isinstance(rule, DropShare):
        each = half_up(rule.share * n, 0).numerator if n >= rule.n_min else 0
        return each, each
    fitting = [row for row in rule if row.n_min <= n]
    return (fitting[-1].high, fitting[-1].low) if fitting else (0, 0)


def part(prices: Sequence[Fraction], rule: DropRule) -> Sides:
    """Return who stays and who leaves. Of equal prices the one given later counts as higher: the mean is the same.

    Raises Refused when nobody would stay.
    """
    high, low = drops(rule, len(prices))
    if high + low >= len(prices):
        raise refuse("outliers", "no-price-left", value=len(prices), limit=high + low + 1)
    order = sorted(range(len(prices)), key=lambda position: prices[position])
    top = len(order) - high
    return Sides(tuple(sorted(order[low:top])), tuple(sorted(order[top:])), tuple(sorted(order[:low])))


def benchmark_price(base: Base, prices: Sequence[Fraction], control: Fraction | None) -> BenchmarkPrice:
    """Return the benchmark of the valid bids' prices. Raises Refused when none is left or the benchmark is not above 0."""
    sides = part(prices, base.drop)
    average = mean([prices[position] for position in sides.kept])
    mixed = average
    if base.control_share:
        if control is None:
            raise refuse("control", "control-missing", value="")
        mixed = base.control_share * control + (1 - base.control_share) * average
    exact = mixed * base.factor
    value = exact if base.places is None else half_up(exact, base.places)
    if value <= 0:
        raise refuse("round.benchmark", "benchmark-not-positive", value=value)
    return BenchmarkPrice(sides, average, mixed, exact, value)


def deviation_of(price: Fraction, benchmark: Fraction, places: int | None) -> Fraction:
    """Return (price - benchmark) / benchmark (偏差率), rounded when places are given."""
    deviation = (price - benchmark) / benchmark
    return deviation if places is None else half_up(deviation, places)


def second_mean_at_or_below(prices: Sequence[Fraction]) -> Fraction:
    """Return the mean of the prices not above the first mean (二次平均, the usual reading)."""
    first = mean(prices)
    return mean([price for price in prices if price <= first])


def second_mean_with_lowest(prices: Sequence[Fraction]) -> Fraction:
    """Return the mean of the first mean and the lowest price (二次平均, the other reading; the document says which)."""
    return (mean(prices) + min(prices)) / 2
