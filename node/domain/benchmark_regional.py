"""Two benchmark methods that documents of the region use and that the common pipeline does not hold: M5-b and M5-c.

合理低价法 of highways: a final control price and a theoretical cost bound the bids that make the benchmark. 合理最低价 of
buildings: a lowest reasonable price bounds them, and a drawn few make it. Both give a benchmark; `Curve` and
`deviation_of` score it. Who was drawn, and the drawn coefficients, come in as values [trading 2.6].
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from node.domain.benchmark import Base, BenchmarkPrice, DropRow, DropRule, DropShare, benchmark_price, mean, part
from node.domain.exact import half_up, refuse

HALF = Fraction(1, 2)
COST_SHARE = Fraction(85, 100)
ONE_EACH_SIDE_FROM_5 = (DropRow(5, 1, 1),)
ONE_EACH_SIDE_ABOVE_5 = (DropRow(6, 1, 1),)
ONE_EACH_SIDE = (DropRow(3, 1, 1),)
FIFTH_EACH_SIDE = DropShare(5, Fraction(1, 5))
BUILDING_DRAWN = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class HighwayTerms:
    """合理低价法: what the document fixes or the opening draws. `lowering` is x, `control_share` w, `factor` r."""

    control: Fraction
    lowering: Fraction
    control_share: Fraction
    factor: Fraction
    places: int | None = 3


@dataclass(frozen=True, slots=True)
class HighwayBenchmark:
    """The bounds, which bids (positions) lie outside, and the benchmark of those inside.

    Above the final control price a bid is rejected and has no score (ZBT 51(5)). Below the theoretical cost it does not
    enter the benchmark; whether it is rejected is the committee's finding after asking the bidder, not this function's.
    """

    final_control: Fraction
    mean_of_all: Fraction
    theoretical_cost: Fraction
    valid: tuple[int, ...]
    above_control: tuple[int, ...]
    below_cost: tuple[int, ...]
    benchmark: BenchmarkPrice  # positions in its sides count the valid ones


def highway_benchmark(terms: HighwayTerms, prices: Sequence[Fraction]) -> HighwayBenchmark:
    """Return the benchmark of all opened prices. Raises Refused when none lies between the bounds."""
    if not prices:
        raise refuse("bids", "no-valid-bid", value=0, limit=1)
    final_control = terms.control * (1 - terms.lowering)
    average = mean([prices[position] for position in part(prices, ONE_EACH_SIDE_FROM_5).kept])
    cost = (HALF * final_control + HALF * average) * COST_SHARE
    valid = tuple(position for position, price in enumerate(prices) if cost <= price <= final_control)
    if not valid:
        raise refuse("bids", "no-valid-bid", value=len(prices), limit=1)
    base = Base(
        drop=ONE_EACH_SIDE_ABOVE_5,
        control_share=terms.control_share,
        factor=terms.factor,
        places=terms.places,
    )
    return HighwayBenchmark(
        final_control,
        average,
        cost,
        valid,
        tuple(position for position, price in enumerate(prices) if price > final_control),
        tuple(position for position, price in enumerate(prices) if price < cost),
        benchmark_price(base, [prices[position] for position in valid], final_control),
    )


def highway_drawn_count(n: int) -> int:
    """Return how many of n bids make the mean of variant 3: 50 %, at least 3; from 11 on 40 %, at least 6; above 20 30 %, at
    least 9. A broken number rounds half up; fewer bids than the least make it all together.
    """
    share, least = (50, 3) if n <= 10 else (40, 6) if n <= 20 else (30, 9)
    return min(n, max(least, half_up(Fraction(share * n, 100), 0).numerator))


@dataclass(frozen=True, slots=True)
class LowestReasonable:
    """合理最低价: the trimmed mean, the bound below it, and the bids (positions) at or above that may make the benchmark."""

    core_mean: Fraction
    bound: Fraction
    eligible: tuple[int, ...]


def lowest_reasonable(
    prices: Sequence[Fraction], lowering: Fraction, drop: DropRule = FIFTH_EACH_SIDE
) -> LowestReasonable:
    """Return the bound of the building method: mean without a fifth at each side, lowered by y."""
    if not prices:
        raise refuse("bids", "no-valid-bid", value=0, limit=1)
    core = mean([prices[position] for position in part(prices, drop).kept])
    bound = core * (1 - lowering)
    return LowestReasonable(core, bound, tuple(position for position, price in enumerate(prices) if price >= bound))


def building_benchmark(
    found: LowestReasonable,
    prices: Sequence[Fraction],
    drawn: Sequence[int],
    *,
    control: Fraction | None = None,
    control_share: Fraction = Fraction(0),
) -> BenchmarkPrice:
    """Return the benchmark of at most nine drawn bids without the highest and the lowest.

    Variant 3 with no control share, variant 2 with one. `drawn` are positions in `prices`; all must be eligible, and as many
    as can be must be drawn, so that nobody leaves a bid out by hand. Raises Refused.
    """
    if len(set(drawn)) != len(drawn) or not set(drawn) <= set(found.eligible):
        raise refuse("drawn", "not-eligible", value=", ".join(map(str, drawn)))
    due = min(BUILDING_DRAWN, len(found.eligible))
    if len(drawn) != due:
        raise refuse("drawn", "out-of-range", value=len(drawn), limit=due)
    base = Base(drop=ONE_EACH_SIDE, control_share=control_share)
    return benchmark_price(base, [prices[position] for position in drawn], control)


@dataclass(frozen=True, slots=True, kw_only=True)
class Leading:
    """The bids (positions) that weigh most in variant 1: best and second by technical score, best and second by credit."""

    technical: tuple[int, int]
    credit: tuple[int, int]


LEADING_SHARES = (Fraction(15, 100), Fraction(10, 100), Fraction(15, 100), Fraction(5, 100))
REST_SHARE = Fraction(55, 100)


def leading_benchmark(found: LowestReasonable, prices: Sequence[Fraction], leading: Leading) -> Fraction:
    """Return the benchmark of variant 1: 15 % best technical, 10 % second, 15 % best credit, 5 % second, 55 % mean of the rest.

    A bid may lead in both; it is then counted twice and is in no case part of the rest. Raises Refused where a leading bid
    is not eligible or no rest is left.
    """
    named = (*leading.technical, *leading.credit)
    if not set(named) <= set(found.eligible):
        raise refuse("leading", "not-eligible", value=", ".join(map(str, named)))
    rest = [prices[position] for position in found.eligible if position not in named]
    if not rest:
        raise refuse("bids", "no-price-left", value=len(found.eligible), limit=len(set(named)) + 1)
    weighed = (share * prices[position] for share, position in zip(LEADING_SHARES, named, strict=True))
    return sum(weighed, REST_SHARE * mean(rest))
