"""The price part of an evaluation, computed by the system and by nobody else (价格分). M1 to M6 as three methods.

M1 低价优先法, M4's price part and M6 竞争性磋商 are LowestRatio; M2 最低评标价法 and M3 经评审的最低投标价法 are
LowestEvaluated (M3's monetised deviations are the bid's `adjust_fen`); the 基准价法 family M5 is Benchmark.

Two prices of a bid are different things: the bid price meets the control price and becomes the contract; the evaluated
price (评标价: bid price less deduction plus adjustment) is what is compared. All is exact; rounding happens half up at
the three places that `Rounding` names, and a place is decided on the score as it is rounded [trading 2.0, 2.2, 2.4, 2.6].
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import TypeAlias

from node.domain.benchmark import Base, BenchmarkPrice, Curve, benchmark_price, deviation_of
from node.domain.exact import half_up, money_text, refuse, yuan
from node.domain.ranking import places

ABOVE_CONTROL = "above-control"  # ZBT 51(5)


@dataclass(frozen=True, slots=True)
class PricedBid:
    """A bid that met the document so far. `price_fen` is the corrected bid price.

    `deduction` is a share of it (0.10: 中小企业价格扣除 of ten percent), `adjust_fen` the sum of monetised deviations.
    """

    ref: str
    price_fen: int
    deduction: Fraction = Fraction(0)
    adjust_fen: int = 0

    @property
    def evaluated(self) -> Fraction:
        """The evaluated price (评标价) in yuan, never rounded."""
        return yuan(self.price_fen) * (1 - self.deduction) + yuan(self.adjust_fen)


@dataclass(frozen=True, slots=True)
class Rounding:
    """Decimal places of deviation and score; None: not rounded. The benchmark's places are in its Base."""

    deviation: int | None = None
    score: int | None = 2


@dataclass(frozen=True, slots=True)
class LowestRatio:
    """The lowest evaluated price has full marks, the others in proportion: min(E) / E x full."""

    full: Fraction


@dataclass(frozen=True, slots=True)
class LowestEvaluated:
    """No marks at all: the lowest evaluated price is first."""


@dataclass(frozen=True, slots=True)
class Benchmark:
    """Marks by distance from a benchmark price made of the bids."""

    base: Base
    curve: Curve


PriceRule: TypeAlias = LowestRatio | LowestEvaluated | Benchmark


@dataclass(frozen=True, slots=True)
class PriceTerms:
    """All that the documents say about the price part. `control_fen` None: no control price (最高投标限价)."""

    rule: PriceRule
    control_fen: int | None = None
    rounding: Rounding = field(default_factory=Rounding)


@dataclass(frozen=True, slots=True)
class ScoredBid:
    """A valid bid's price part. `exact` is the score before its rounding; the three are None where the method has none."""

    ref: str
    evaluated: Fraction
    deviation: Fraction | None
    exact: Fraction | None
    score: Fraction | None
    rank: int
    tie: bool


@dataclass(frozen=True, slots=True)
class RejectedBid:
    """A bid that the price itself rejects; it has no evaluated price and no score."""

    ref: str
    reason: str


@dataclass(frozen=True, slots=True)
class PriceScores:
    """Results in the order of the bids, and how the benchmark came about.

    The positions in `benchmark.sides` count the valid bids only.
    """

    benchmark: BenchmarkPrice | None
    results: tuple[ScoredBid | RejectedBid, ...]

    @property
    def scored(self) -> tuple[ScoredBid, ...]:
        """The valid bids, in the order given."""
        return tuple(one for one in self.results if isinstance(one, ScoredBid))


def score_prices(terms: PriceTerms, bids: Sequence[PricedBid]) -> PriceScores:
    """Return every bid's price part. Raises Refused, with the fact `field`, for input that cannot be scored."""
    _check(bids)
    valid = [bid for bid in bids if terms.control_fen is None or bid.price_fen <= terms.control_fen]
    if not valid:
        raise refuse("bids", "no-valid-bid", value=len(bids), limit=1)
    prices = [bid.evaluated for bid in valid]
    benchmark = None
    deviations: list[Fraction | None] = [None] * len(valid)
    exact: list[Fraction | None] = [None] * len(valid)
    match terms.rule:
        case LowestRatio(full=full):
            lowest = min(prices)
            exact = [lowest / price * full for price in prices]
        case Benchmark(base=base, curve=curve):
            control = None if terms.control_fen is None else yuan(terms.control_fen)
            benchmark = benchmark_price(base, prices, control)
            signed = [deviation_of(price, benchmark.value, terms.rounding.deviation) for price in prices]
            deviations, exact = list(signed), [curve.score(deviation) for deviation in signed]
        case LowestEvaluated():
            pass
    scores = [_rounded(score, terms.rounding.score) for score in exact]
    keys = [(-(score or Fraction(0)), price) for score, price in zip(scores, prices, strict=True)]
    rows = {
        bid.ref: ScoredBid(bid.ref, price, deviation, unrounded, score, place.rank, place.tie)
        for bid, price, deviation, unrounded, score, place in zip(
            valid, prices, deviations, exact, scores, places(keys), strict=True
        )
    }
    return PriceScores(benchmark, tuple(rows.get(bid.ref) or RejectedBid(bid.ref, ABOVE_CONTROL) for bid in bids))


def _rounded(score: Fraction | None, decimal_places: int | None) -> Fraction | None:
    return score if score is None or decimal_places is None else half_up(score, decimal_places)


def _check(bids: Sequence[PricedBid]) -> None:
    seen: set[str] = set()
    for index, bid in enumerate(bids):
        where = f"bids[{index}]"
        if bid.ref in seen:
            raise refuse(f"{where}.bidder", "stands-twice", value=bid.ref)
        seen.add(bid.ref)
        if bid.price_fen <= 0:
            raise refuse(f"{where}.price", "not-positive", value=money_text(yuan(bid.price_fen)), limit=0)
        if not 0 <= bid.deduction < 1:
            raise refuse(f"{where}.deduction", "out-of-range", value=bid.deduction, limit="0 … 1")
        if bid.evaluated <= 0:
            raise refuse(f"{where}.adjust", "evaluated-not-positive", value=money_text(yuan(bid.adjust_fen)), limit=0)
