"""The verifiable draw: the published vector, and what must hold for every pool and every nonce."""

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain import draw
from node.domain.draw import Reached, Standing
from node.domain.draw_proof import Proof, ProofGroup, judge
from node.domain.refused import Refused
from tests.data import draws

NUMBERS = st.sets(st.text("0123456789ABC-", min_size=1, max_size=12), min_size=1, max_size=30)


def test_the_published_vector_holds_to_the_byte():
    assert draw.pool_hash(reversed(draws.POOL)).hex() == draws.POOL_HASH
    assert tuple(draw.commit_of(nonce).hex() for nonce in draws.NONCES) == draws.COMMITS
    seed = draw.seed_of(draws.DRAW_ID, bytes.fromhex(draws.POOL_HASH), draws.NONCES)
    assert seed.hex() == draws.SEED
    assert draw.ranked(seed, draws.POOL) == draws.ORDER
    assert draw.drawn_index(seed, "K", 5) == 4
    assert draw.drawn_option(seed, "K", ["0.99", "0.95", "0.96", "0.97", "0.98"]) == "0.99"


def test_the_vectors_committee_follows_when_two_do_not_come():
    standings = [Standing((0,))] * 12
    reached = list(draw.first_reached([5], standings))
    assert [one.place for one in reached] == [0, 1, 2, 3, 4]
    for at, outcome in ((2, "declined"), (4, "no-answer")):
        reached[at] = replace(reached[at], state=outcome)
        reached.append(Reached(0, draw.next_place(0, standings, reached)))
    assert tuple(draws.ORDER[one.place] for one in reached if one.stands) == draws.COMMITTEE
    assert judge(draws.vector()) is None


@given(NUMBERS, st.binary(min_size=32, max_size=32))
def test_a_ranking_holds_everybody_once_and_does_not_hang_on_the_order_given(numbers, seed):
    order = draw.ranked(seed, numbers)
    assert sorted(order) == sorted(numbers)
    assert draw.ranked(seed, sorted(numbers, reverse=True)) == order


@given(NUMBERS, NUMBERS)
def test_two_pools_have_one_hash_only_when_they_are_one(one, other):
    assert (draw.pool_hash(one) == draw.pool_hash(other)) == (one == other)


@given(NUMBERS, st.binary(min_size=32, max_size=32), st.data())
def test_whoever_leaves_the_pool_changes_nobody_elses_order(numbers, seed, data):
    gone = data.draw(st.sampled_from(sorted(numbers)))
    kept = [number for number in draw.ranked(seed, numbers) if number != gone]
    assert draw.ranked(seed, numbers - {gone}) == tuple(kept)


@pytest.mark.parametrize("numbers", [[], ["1", "1"], [""], ["1\n2"], [" 1"], ["1" * 65]])
def test_a_pool_that_could_be_read_in_two_ways_is_refused(numbers):
    with pytest.raises(Refused):
        draw.pool_hash(numbers)


@pytest.mark.parametrize("nonce", [b"", bytes(31), bytes(33)])
def test_a_nonce_of_another_length_is_refused(nonce):
    with pytest.raises(Refused, match="nonce-malformed"):
        draw.commit_of(nonce)


@pytest.mark.parametrize("options", [0, -1, 10_001])
def test_a_number_of_options_that_nobody_declares_is_refused(options):
    with pytest.raises(Refused, match="options-malformed"):
        draw.drawn_index(bytes(32), "K", options)


def test_values_that_would_favour_small_indexes_are_thrown_away(monkeypatch):
    """With a hash of one byte and three options, 255 is thrown away and the next counter decides."""
    values = iter([255, 254])

    class Short:
        def __init__(self, data: bytes = b"") -> None:
            self.data = data

        def digest(self) -> bytes:
            return bytes(32) if self.data.startswith(b"erhai") else bytes([next(values)])

    monkeypatch.setattr(draw, "_SPAN", 256)
    monkeypatch.setattr(draw.hashlib, "sha256", Short)
    assert draw.drawn_index(bytes(32), "K", 3) == 254 % 3


@pytest.mark.parametrize("options", [2, 3, 5, 7])
def test_every_option_is_drawn_about_as_often(options):
    runs = 6_000
    counts = [0] * options
    for n in range(runs):
        counts[draw.drawn_index(hashlib.sha256(str(n).encode()).digest(), "K", options)] += 1
    expected = runs / options
    chi = sum((count - expected) ** 2 / expected for count in counts)
    assert chi < 24  # p < 0.001 at 6 degrees of freedom; the seeds are fixed


def test_a_tie_is_drawn_place_by_place_and_every_order_comes_about_as_often():
    counts: dict[tuple[str, ...], int] = {}
    for n in range(6_000):
        order = draw.tie_order(hashlib.sha256(str(n).encode()).digest(), "T", ["C", "A", "B"])
        counts[order] = counts.get(order, 0) + 1
    assert len(counts) == 6
    assert sum((count - 1_000) ** 2 / 1_000 for count in counts.values()) < 21


# -- groups --------------------------------------------------------------------------------------------------------------


def places(reached):
    return [(one.group, one.place) for one in reached]


def test_groups_pick_in_declared_order_from_the_one_ranking():
    standings = [Standing((0, 1)), Standing((1,)), Standing((0, 1)), Standing((0,)), Standing((1,))]
    assert places(draw.first_reached([2, 2], standings)) == [(0, 0), (0, 2), (1, 1), (1, 4)]


def test_an_employer_is_reached_once_whatever_came_of_it():
    standings = [Standing((0,), 7), Standing((0,), 7), Standing((0,), 8)]
    reached = draw.first_reached([1], standings)
    assert draw.next_place(0, standings, [replace(reached[0], state="declined")]) == 2
    assert draw.skipped(0, 2, standings, [Reached(0, 0, "accepted"), Reached(0, 2, "accepted")]) == {1: "same-employer"}


def test_a_group_that_the_ranking_cannot_fill_stays_short():
    standings = [Standing((0,)), Standing((1,))]
    assert places(draw.first_reached([2, 1], standings)) == [(0, 0), (1, 1)]
    assert draw.next_place(0, standings, draw.first_reached([2, 1], standings)) is None


@given(st.integers(0, 2**32))
@settings(max_examples=150, deadline=None)
def test_whatever_is_answered_in_whatever_order_the_record_is_found_right(seed):
    proof = draws.random_proof(seed)
    assert judge(proof) is None, proof


# -- what a proof does not hide ------------------------------------------------------------------------------------------


def regrouped(proof: Proof, **changes: object) -> Proof:
    return replace(proof, groups=(replace(proof.groups[0], **changes), *proof.groups[1:]))


def reparty(proof: Proof, **changes: str) -> Proof:
    return replace(proof, parties=(replace(proof.parties[0], **changes), *proof.parties[1:]))


D1 = draws.vector()
PASSED = D1.groups[0].passed
OTHER = "ab" * 32
CHANGES = {
    "a name less in the pool": (replace(D1, pool=D1.pool[:-1]), "pool-hash-differs"),
    "a name more in the pool": (replace(D1, pool=(*D1.pool, "5329240013")), "pool-hash-differs"),
    "the pool in another order": (replace(D1, pool=D1.pool[::-1]), "pool-not-sorted"),
    "a name twice": (replace(D1, pool=(*D1.pool, D1.pool[-1])), "stands-twice"),
    "no pool": (replace(D1, pool=()), "pool-empty"),
    "another pool hash": (replace(D1, pool_hash=OTHER), "pool-hash-differs"),
    "another id": (replace(D1, draw_id="DRAW-20260320-0002"), "seed-differs"),
    "no id": (replace(D1, draw_id=""), "draw-id-malformed"),
    "another nonce": (reparty(D1, nonce=OTHER), "commit-differs"),
    "another commit": (reparty(D1, commit=OTHER), "commit-differs"),
    "upper case": (reparty(D1, commit=D1.parties[0].commit.upper()), "hex-malformed"),
    "a short nonce": (reparty(D1, nonce="00"), "hex-malformed"),
    "another source": (reparty(D1, source="dice"), "source-unknown"),
    "another party": (reparty(D1, name="AGENCY"), "parties-differ"),
    "two parties": (replace(D1, parties=D1.parties[:2]), "parties-differ"),
    "parties in another order": (replace(D1, parties=D1.parties[::-1]), "parties-differ"),
    "one commit of two parties": (
        replace(D1, parties=(*D1.parties, replace(D1.parties[0], name="BIDDER-1"))),
        "commits-equal",
    ),
    "another seed": (replace(D1, seed=OTHER), "seed-differs"),
    "another order": (replace(D1, order=D1.order[::-1]), "order-differs"),
    "no groups": (replace(D1, groups=()), "groups-malformed"),
    "more needed": (regrouped(D1, need=6), "group-short"),
    "fewer needed": (regrouped(D1, need=4), "too-many-taken"),
    "none needed": (regrouped(D1, need=0), "groups-malformed"),
    "a friend instead": (regrouped(D1, taken=(*draws.COMMITTEE[:4], "5329240010")), "not-in-order"),
    "a friend more": (regrouped(D1, taken=(*draws.COMMITTEE, "5329240007")), "too-many-taken"),
    "a stranger": (regrouped(D1, taken=("1", *draws.COMMITTEE[1:])), "not-in-pool"),
    "somebody twice": (regrouped(D1, taken=(draws.COMMITTEE[0], *draws.COMMITTEE[:4])), "reached-twice"),
    "one less": (regrouped(D1, taken=draws.COMMITTEE[:4]), "group-short"),
    "nobody": (regrouped(D1, taken=()), "not-in-order"),
    "taken in another order": (regrouped(D1, taken=draws.COMMITTEE[::-1]), "not-in-order"),
    "a decline that nobody noted": (
        regrouped(D1, taken=(*draws.COMMITTEE[:4], "5329240007"), passed=PASSED),
        "not-in-order",
    ),
    "a refusal left out": (regrouped(D1, passed=PASSED[:1]), "not-in-order"),
    "a refusal added": (regrouped(D1, passed=(*PASSED, ("5329240007", "absent"))), "reached-too-many"),
    "a refusal far down the order": (regrouped(D1, passed=(*PASSED, ("5329240010", "absent"))), "reached-too-many"),
    "passed before the turn": (regrouped(D1, passed=(*PASSED, ("5329240010", "not-eligible"))), "passed-too-far"),
    "a reason that is none": (regrouped(D1, passed=(*PASSED, ("5329240010", "ugly"))), "groups-malformed"),
}


@pytest.mark.parametrize(("proof", "code"), CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_vector_is_named(proof, code):
    found = judge(proof)
    assert (found and found.code) == code


def test_the_later_group_may_not_reach_before_the_earlier():
    two = (
        ProofGroup(name="一", need=1, taken=(draws.ORDER[1],), passed=()),
        ProofGroup(name="二", need=1, taken=(draws.ORDER[0],), passed=()),
    )
    assert judge(replace(D1, groups=two)).code == "not-in-order"
    assert judge(replace(D1, groups=(replace(two[0], taken=two[1].taken), replace(two[1], taken=two[0].taken)))) is None
