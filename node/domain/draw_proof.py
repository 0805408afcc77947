"""The published proof of a draw (抽取证明) and what anybody can tell from it alone: that the committee follows from the
nonces, that nobody before a reached expert was left out, and that each commit is of the nonce that was revealed.

Not told by it: whether the commits stood in the log before the reveals, and whether an expert really declined. The log tells
the first; the call records tell the second.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from node.domain import draw
from node.domain.refused import Refused

VERSIONS = (1, 2)  # 2 adds the digest over everything else
PARTIES = ("CENTER", "SUPERVISOR", "TENDERER")  # 交易中心、行政监督、招标人: first, in this order; others follow
SOURCES = ("reveal", "escrow")
COEFFICIENT, TIE = KINDS = ("coefficient", "tie")
_DRAWN = ("drawn-differs", "drawn")
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofParty:
    """One party: commit and nonce as lower-case hex, and where the nonce came from."""

    name: str
    commit: str
    nonce: str
    source: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ProofGroup:
    """One group: who sits, in ranking order, and who was passed, each with the reason, in ranking order."""

    name: str
    need: int
    taken: tuple[str, ...]
    passed: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Everything that a published draw says. Hashes, commits, nonces and seed are lower-case hex."""

    draw_id: str
    pool: tuple[str, ...]
    pool_hash: str
    parties: tuple[ProofParty, ...]
    seed: str
    order: tuple[str, ...]
    groups: tuple[ProofGroup, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionProof:
    """What a published draw of a coefficient (one result) or of a tie (all, in drawn order) says; hex in lower case."""

    draw_id: str
    kind: str
    name: str
    options: tuple[str, ...]
    pool_hash: str
    parties: tuple[ProofParty, ...]
    seed: str
    drawn: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """What does not hold: a code of a closed list, and the place in the proof."""

    code: str
    where: str


def judge(proof: Proof) -> Problem | None:
    """Return the first thing in a proof that does not follow; None where everything does."""
    seed = _judged_seed(proof, proof.pool, "pool")
    if isinstance(seed, Problem):
        return seed
    if proof.order != draw.ranked(seed, proof.pool):
        return Problem("order-differs", "order")
    return _judge_groups(proof.order, proof.groups)


def judge_options(proof: OptionProof) -> Problem | None:
    """Return the first thing in the proof of a coefficient or a tie that does not follow; None where everything does."""
    if proof.kind not in KINDS or not proof.name or len(proof.options) < 2:
        return Problem("options-malformed", "kind")
    seed = _judged_seed(proof, proof.options, "options")
    if isinstance(seed, Problem):
        return seed
    return None if proof.drawn == drawn_of(proof.kind, seed, proof.name, proof.options) else Problem(*_DRAWN)


def drawn_of(kind: str, seed: bytes, name: str, options: Sequence[str]) -> tuple[str, ...]:
    """Return what a seed draws: one value for a coefficient, the whole order for a tie."""
    if kind == COEFFICIENT:
        return (draw.drawn_option(seed, name, options),)
    return draw.tie_order(seed, name, options)


def _judged_seed(proof: Proof | OptionProof, numbers: tuple[str, ...], where: str) -> bytes | Problem:
    """Return the seed that pool and nonces give, or the first thing of them that does not hold."""
    found = _judge_pool(proof, numbers, where) or _judge_parties(proof.parties)
    if found is not None:
        return found
    nonces = [bytes.fromhex(party.nonce) for party in proof.parties]
    seed = draw.seed_of(proof.draw_id, bytes.fromhex(proof.pool_hash), nonces)
    return seed if proof.seed == seed.hex() else Problem("seed-differs", "seed")


def _judge_pool(proof: Proof | OptionProof, numbers: tuple[str, ...], where: str) -> Problem | None:
    if not proof.draw_id or not proof.draw_id.isprintable():
        return Problem("draw-id-malformed", "draw_id")
    try:
        pool = draw.sorted_pool(numbers)
    except Refused as refused:
        return Problem(refused.code, where)
    if pool != numbers:
        return Problem("pool-not-sorted", where)
    if draw.pool_hash(pool).hex() != proof.pool_hash:
        return Problem("pool-hash-differs", "pool_hash")
    return None


def _judge_parties(parties: Sequence[ProofParty]) -> Problem | None:
    names = tuple(party.name for party in parties)
    if names[: len(PARTIES)] != PARTIES or len(set(names)) != len(names) or not all(names):
        return Problem("parties-differ", "parties")
    for index, party in enumerate(parties):
        where = f"parties[{index}]"
        if _DIGEST.fullmatch(party.commit) is None or _DIGEST.fullmatch(party.nonce) is None:
            return Problem("hex-malformed", where)
        if draw.commit_of(bytes.fromhex(party.nonce)).hex() != party.commit:
            return Problem("commit-differs", where)
        if party.source not in SOURCES:
            return Problem("source-unknown", where)
    if len({party.commit for party in parties}) != len(parties):
        return Problem("commits-equal", "parties")
    return None


def _judge_groups(order: Sequence[str], groups: Sequence[ProofGroup]) -> Problem | None:
    rank = {number: place for place, number in enumerate(order)}
    called: dict[str, int] = {}
    employer_passed: set[str] = set()
    if not groups or len({group.name for group in groups}) != len(groups):
        return Problem("groups-malformed", "groups")
    for index, group in enumerate(groups):
        where = f"groups[{index}]"
        words = {outcome for _, outcome in group.passed}
        numbers = (*group.taken, *(number for number, _ in group.passed))
        if group.need < 1 or not group.name or not words <= {*draw.OUTCOMES, *draw.SKIPS}:
            return Problem("groups-malformed", where)
        if any(number not in rank for number in numbers):
            return Problem("not-in-pool", where)
        for column in (group.taken, [number for number, _ in group.passed]):
            if list(column) != sorted(column, key=rank.__getitem__):
                return Problem("not-in-order", where)
        reached = (*group.taken, *(number for number, outcome in group.passed if outcome in draw.OUTCOMES))
        if len(set(numbers)) != len(numbers) or any(number in called for number in reached):
            return Problem("reached-twice", where)
        called |= dict.fromkeys(reached, index)
        employer_passed |= {number for number, outcome in group.passed if outcome == draw.SAME_EMPLOYER}
    if employer_passed & set(called):
        return Problem("reached-twice", "groups")
    first: set[str] = set()
    for index, group in enumerate(groups):
        own = {number for number, of in called.items() if of == index}
        code = _judge_group(group, order, own, set(called), first)
        if code is not None:
            return Problem(code, f"groups[{index}]")
    return None


def _judge_group(
    group: ProofGroup, order: Sequence[str], own: set[str], called: set[str], first: set[str]
) -> str | None:
    """Judge one group that reached `own` out of all that were `called`; `first` takes whom it reached at first.

    First the groups reach in declared order. After that each replacement is the next whom nobody has reached: so everybody
    before somebody reached was reached too, or is on record as passed.
    """
    skips = {number for number, outcome in group.passed if outcome in draw.SKIPS}
    if len(group.taken) > group.need:
        return "too-many-taken"
    chosen = [number for number in order if number not in first and number not in skips][: group.need]
    if not own.issuperset(chosen):
        return "not-in-order"
    first.update(chosen)
    if not _each_replaces(chosen, [number for number in order if number in own and number not in chosen], group.taken):
        return "reached-too-many"
    last = max((place for place, number in enumerate(order) if number in own), default=-1)
    if any(number not in called and number not in skips for number in order[: last + 1]):
        return "not-in-order"
    full = len(group.taken) == group.need
    if full and not skips.isdisjoint(order[last + 1 :]):
        return "passed-too-far"
    if not full and any(number not in called and number not in skips for number in order):
        return "group-short"
    return None


def _each_replaces(chosen: Sequence[str], replacements: Sequence[str], taken: Sequence[str]) -> bool:
    """Return whether before each replacement somebody more had failed to come: replacements are reached in ranking order."""
    failed = sum(number not in taken for number in chosen)
    for count, number in enumerate(replacements, 1):
        if failed < count:
            return False
        failed += number not in taken
    return True
