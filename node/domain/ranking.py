"""Places (名次): who is before whom, and who shares a place.

Equal in everything that the rule compares means the same place for both, marked as a tie; the next place is left out
(1, 1, 3). A tie is never broken here: the documents name a further criterion, or a draw decides in the open.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from node.domain.exact import refuse


class TieRule(StrEnum):
    """What is compared after the total (得分相同时的排序)."""

    PRICE = "price"  # lower price
    PRICE_TECHNICAL = "price-technical"  # lower price, then higher technical score (87号令 57)
    TECHNICAL_PRICE = "technical-price"  # documents that put the technical score first


@dataclass(frozen=True, slots=True)
class Place:
    """One place. `tie`: somebody else has it too."""

    rank: int
    tie: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """What a bid is ranked by. Total and technical score in marks, price in fen (the bid price, 投标报价)."""

    ref: str
    total: Fraction
    price_fen: int
    technical: Fraction = Fraction(0)


@dataclass(frozen=True, slots=True)
class Placed:
    """One bid and its place."""

    ref: str
    rank: int
    tie: bool


def places(keys: Sequence[tuple[Fraction, ...]]) -> tuple[Place, ...]:
    """Return the place of each key in the order given; the smallest key is first."""
    ordered = sorted(keys)
    first: dict[tuple[Fraction, ...], int] = {}
    count: dict[tuple[Fraction, ...], int] = {}
    for position, key in enumerate(ordered, 1):
        first.setdefault(key, position)
        count[key] = count.get(key, 0) + 1
    return tuple(Place(first[key], count[key] > 1) for key in keys)


def rank_candidates(candidates: Sequence[Candidate], tie_rule: TieRule = TieRule.PRICE_TECHNICAL) -> tuple[Placed, ...]:
    """Return all candidates, best first; those that share a place stay in the order given.

    Higher total first, then as `tie_rule` says (87号令 57; construction: document order). Raises Refused for a ref that
    stands twice.
    """
    seen: set[str] = set()
    for index, candidate in enumerate(candidates):
        if candidate.ref in seen:
            raise refuse(f"candidates[{index}].ref", "stands-twice", value=candidate.ref)
        seen.add(candidate.ref)
    found = places([_key(candidate, tie_rule) for candidate in candidates])
    placed = [Placed(one.ref, place.rank, place.tie) for one, place in zip(candidates, found, strict=True)]
    return tuple(sorted(placed, key=lambda one: one.rank))


def _key(candidate: Candidate, tie_rule: TieRule) -> tuple[Fraction, ...]:
    total, price, technical = -candidate.total, Fraction(candidate.price_fen), -candidate.technical
    match tie_rule:
        case TieRule.PRICE:
            return (total, price)
        case TieRule.PRICE_TECHNICAL:
            return (total, price, technical)
        case TieRule.TECHNICAL_PRICE:
            return (total, technical, price)
