"""The evaluated price (评标价) of M3: the corrected bid price plus what each declared commercial deviation is worth.

Only the evaluated price changes; the contract is made at the bid price (12号令 31-32) [trading 2.0 A5, 2.4].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from node.domain.exact import half_up, refuse


class Direction(StrEnum):
    """Which side of the baseline counts."""

    OVER = "over"  # more than the baseline raises the price, less is not rewarded
    UNDER = "under"  # less than the baseline raises the price, more is not rewarded
    BOTH = "both"  # more raises, less lowers


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviationRule:
    """One monetised deviation as the documents declare it (商务偏差折价).

    `rate` is a share of the bid price for one unit of the measure (weeks, a share of advance payment). `cap` is the greatest
    share of the bid price, either way; None: no cap.
    """

    name: str
    baseline: Fraction
    rate: Fraction
    direction: Direction = Direction.OVER
    cap: Fraction | None = None


def deviation_fen(rule: DeviationRule, price_fen: int, measure: Fraction) -> int:
    """Return what this bid's measure adds to its price, rounded half up to the fen; negative: it lowers it."""
    distance = measure - rule.baseline
    match rule.direction:
        case Direction.OVER:
            distance = max(distance, Fraction(0))
        case Direction.UNDER:
            distance = max(-distance, Fraction(0))
        case Direction.BOTH:
            pass
    share = distance * rule.rate
    if rule.cap is not None:
        share = max(-rule.cap, min(share, rule.cap))
    return half_up(share * price_fen, 0).numerator


def adjustment_fen(rules: Sequence[DeviationRule], price_fen: int, measures: Mapping[str, Fraction]) -> int:
    """Return the sum of all deviations of a bid: its `adjust_fen`. Raises Refused for a measure missing or not declared."""
    declared = {rule.name for rule in rules}
    for name in measures:
        if name not in declared:
            raise refuse(f"measures.{name}", "not-declared", value=name)
    for rule in rules:
        if rule.name not in measures:
            raise refuse(f"measures.{rule.name}", "missing")
    return sum(deviation_fen(rule, price_fen, measures[rule.name]) for rule in rules)
