"""A verifiable draw (可验证抽取): the pool's hash, commits, the seed, one ranking; who is reached by which group, and who is next.

Nothing here is chance: every step follows from the frozen pool and from nonces that were committed to before anybody saw
another's. Replacements are the next in the same ranking, so there is nothing that an operator could try again.
"""

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from node.domain.guards import require_distinct
from node.domain.refused import Refused

DRAW_PREFIX = b"erhai-draw-v1\n"
COEFFICIENT_PREFIX = b"erhai-coef-v1\n"
NONCE_BYTES = 32
NUMBER_MOST = 64  # characters of an expert number or an option
OPTIONS_MOST = 10_000
_SPAN = 1 << 256

# Why a reached expert does not come (未到原因); each makes the next in the ranking the replacement.
OUTCOMES = ("declined", "no-answer", "withdrawn", "absent", "recused")
# Why somebody in the ranking was not reached by a group at all.
NOT_ELIGIBLE, SAME_EMPLOYER = SKIPS = ("not-eligible", "same-employer")


def sorted_pool(numbers: Iterable[str]) -> tuple[str, ...]:
    """Return expert numbers (or options) in byte order. Raises Refused for an empty pool, a repeated or unprintable one."""
    pool = tuple(sorted(numbers, key=str.encode))
    if not pool:
        raise Refused("pool-empty", rule="pool-not-empty", value="0", limit="1")
    require_distinct(pool, "pool")
    for number in pool:
        if not 0 < len(number) <= NUMBER_MOST or not number.isprintable() or number != number.strip():
            raise Refused("number-malformed", rule="pool-numbers", value=number[:NUMBER_MOST], limit=str(NUMBER_MOST))
    return pool


def pool_hash(numbers: Iterable[str]) -> bytes:
    """Return the SHA-256 of the numbers in byte order, each followed by LF."""
    return hashlib.sha256(b"".join(number.encode() + b"\n" for number in sorted_pool(numbers))).digest()


def commit_of(nonce: bytes) -> bytes:
    """Return what a party logs before anybody reveals: SHA-256 of its nonce of 32 bytes."""
    if len(nonce) != NONCE_BYTES:
        raise Refused("nonce-malformed", rule="nonce-bytes", value=str(len(nonce)), limit=str(NONCE_BYTES))
    return hashlib.sha256(nonce).digest()


def fits(nonce: bytes, made: bytes) -> bool:
    """Return whether a nonce is the one that was committed to."""
    return len(nonce) == NONCE_BYTES and hmac.compare_digest(hashlib.sha256(nonce).digest(), made)


def seed_of(draw_id: str, frozen: bytes, nonces: Sequence[bytes]) -> bytes:
    """Return the seed: SHA-256 of the prefix, the draw's id, LF, the pool's hash, and the nonces in the parties' order."""
    return hashlib.sha256(DRAW_PREFIX + draw_id.encode() + b"\n" + frozen + b"".join(nonces)).digest()


def ranked(seed: bytes, numbers: Iterable[str]) -> tuple[str, ...]:
    """Return the numbers by HMAC-SHA-256(seed, number), lowest first; equal ones by number."""

    def key(number: str) -> tuple[bytes, bytes]:
        return hmac.digest(seed, number.encode(), "sha256"), number.encode()

    return tuple(sorted(numbers, key=key))


# -- coefficients and ties -----------------------------------------------------------------------------------------------


def drawn_index(seed: bytes, name: str, options: int) -> int:
    """Return which of so many options is drawn under this name: whole values only, so that none is likelier."""
    if not 0 < options <= OPTIONS_MOST:
        raise Refused("options-malformed", rule="options", value=str(options), limit=f"1–{OPTIONS_MOST}")
    own = hashlib.sha256(COEFFICIENT_PREFIX + name.encode() + b"\n" + seed).digest()
    most = _SPAN // options * options
    counter = 0
    while (value := int.from_bytes(hashlib.sha256(own + counter.to_bytes(4, "big")).digest(), "big")) >= most:
        counter += 1
    return value % options


def drawn_option(seed: bytes, name: str, options: Iterable[str]) -> str:
    """Return the drawn coefficient (抽取系数) out of declared options, counted in byte order."""
    pool = sorted_pool(options)
    return pool[drawn_index(seed, name, len(pool))]


def tie_order(seed: bytes, name: str, refs: Iterable[str]) -> tuple[str, ...]:
    """Return tied bids in drawn order: each place is drawn among those still left, under the name `<name>/<place>`."""
    left = list(sorted_pool(refs))
    order: list[str] = []
    while left:
        order.append(left.pop(drawn_index(seed, f"{name}/{len(order) + 1}", len(left))))
    return tuple(order)


# -- who is reached ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Standing:
    """What a group needs to know of one place in the ranking; never who it is.

    `groups` are those that this expert is eligible for, as a sorted tuple of indexes; `employer` numbers employers within
    the pool, -1 where the rule does not ask.
    """

    groups: tuple[int, ...]
    employer: int = -1


@dataclass(frozen=True, slots=True)
class Reached:
    """One expert that a group reached: the place in the ranking, and what became of it: pending, accepted, or an outcome."""

    group: int
    place: int
    state: str = "pending"

    @property
    def stands(self) -> bool:
        """Whether this expert still holds a seat of the group."""
        return self.state in {"pending", "accepted"}


def first_reached(needs: Sequence[int], standings: Sequence[Standing]) -> tuple[Reached, ...]:
    """Return whom the groups reach first, in declared order, each the first in the one ranking that nobody has reached."""
    reached: tuple[Reached, ...] = ()
    for group, need in enumerate(needs):
        for _ in range(need):
            found = next_place(group, standings, reached)
            if found is None:
                break
            reached = (*reached, Reached(group, found))
    return reached


def next_place(group: int, standings: Sequence[Standing], reached: Collection[Reached]) -> int | None:
    """Return the next place in the ranking for a group; None where nobody is left.

    An employer that was reached once is not reached again, whatever came of it: so a place that was passed stays passed,
    and the record tells without its hours that nobody was left out.
    """
    taken = {one.place for one in reached}
    employers = _employers(standings, reached)
    for place, standing in enumerate(standings):
        if place not in taken and group in standing.groups and standing.employer not in employers:
            return place
    return None


def skipped(group: int, need: int, standings: Sequence[Standing], reached: Collection[Reached]) -> dict[int, str]:
    """Return the places that a group passed without reaching them, with the reason of each.

    Up to its last one; where the group is short, all of them: they are why.
    """
    own = [one for one in reached if one.group == group]
    taken = {one.place for one in reached}
    employers = _employers(standings, reached)
    short = sum(one.stands for one in own) < need
    last = len(standings) - 1 if short else max((one.place for one in own), default=-1)
    found: dict[int, str] = {}
    for place, standing in enumerate(standings[: last + 1]):
        if group not in standing.groups:
            found[place] = NOT_ELIGIBLE
        elif place not in taken and standing.employer in employers:
            found[place] = SAME_EMPLOYER
    return found


def _employers(standings: Sequence[Standing], reached: Collection[Reached]) -> set[int]:
    return {standings[one.place].employer for one in reached} - {-1}
