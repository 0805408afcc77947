"""One fault at a time, by every party, in both modes and profiles: the pieces name that party and nobody else."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest

from sync import bid_file
from sync.bid_keys import Dealt, deal, wrap_seed
from sync.bid_unlock import Blame, unlock
from sync.shares import combine
from sync.wrap import unwrap_share, wrap_seeded, wrap_share
from tests.data.sealed_bids import PUBLICS, TERMS, TRUSTEES, Pieces, party, sealed

NUMBERS = range(1, 6)
WHO = {"intl-1": party("bidder"), "gm-1": party("gm bidder", "sm2")}
Deal = Callable[[Dealt, str, bytes], Dealt]


@dataclass(frozen=True)
class Given:
    """What the parties hand over: `pieces` is the bid with everybody's honest part."""

    pieces: Pieces
    other: Pieces  # another bid of the same bidder
    shares: Mapping[int, bytes] = field(default_factory=dict)
    complaints: frozenset[int] = frozenset()
    half: bytes | None = None


def honest(pieces: Pieces, other: Pieces) -> Given:
    return Given(pieces, other, dict(pieces.shares), half=pieces.half)


def _share(number: int, made: Callable[[Given], bytes]) -> Callable[[Given], Given]:
    return lambda given: replace(given, shares={**given.shares, number: made(given)})


def _complains(number: int) -> Callable[[Given], Given]:
    def change(given: Given) -> Given:
        kept = {i: share for i, share in given.shares.items() if i != number}
        return replace(given, shares=kept, complaints=frozenset({number}))

    return change


def _flipped(share: bytes) -> bytes:
    return bytes([share[0] ^ 1]) + share[1:]


BY_TRUSTEES = [
    *((f"trustee {i} gives zeros", _share(i, lambda _: bytes(32)), f"trustee-{i}", "wrong-share") for i in NUMBERS),
    *(
        (f"trustee {i} changes a bit", _share(i, lambda g, i=i: _flipped(g.shares[i])), f"trustee-{i}", "wrong-share")
        for i in NUMBERS
    ),
    *(
        (
            f"trustee {i} gives the next one's",
            _share(i, lambda g, i=i: g.shares[i % 5 + 1]),
            f"trustee-{i}",
            "wrong-share",
        )
        for i in NUMBERS
    ),
    *(
        (
            f"trustee {i} gives that of another bid",
            _share(i, lambda g, i=i: g.other.shares[i]),
            f"trustee-{i}",
            "wrong-share",
        )
        for i in NUMBERS
    ),
    *(
        (f"trustee {i} gives half a share", _share(i, lambda g, i=i: g.shares[i][:16]), f"trustee-{i}", "wrong-share")
        for i in NUMBERS
    ),
    *((f"trustee {i} complains of a good wrap", _complains(i), f"trustee-{i}", "false-complaint") for i in NUMBERS),
]


@pytest.fixture(scope="module", params=[(mode, profile) for mode in ("and", "or") for profile in ("intl-1", "gm-1")])
def given(request: pytest.FixtureRequest) -> Given:
    mode, profile = request.param
    terms, who = replace(TERMS, mode=mode, profile=profile), WHO[profile]
    return honest(Pieces(sealed(who, terms), who), Pieces(sealed(who, terms), who))


def judged(given: Given) -> tuple[bytes | None, tuple[Blame, ...]]:
    got = unlock(given.pieces.bid, publics=PUBLICS, shares=given.shares, complaints=given.complaints, half=given.half)
    return got.key, got.blames


def test_without_a_fault_nobody_is_named(given: Given) -> None:
    key, blames = judged(given)
    assert key is not None
    assert blames == ()


@pytest.mark.parametrize(
    ("change", "who", "why"), [row[1:] for row in BY_TRUSTEES], ids=[row[0] for row in BY_TRUSTEES]
)
def test_a_trustees_fault_names_that_trustee_and_the_bid_still_opens(
    given: Given, change: Callable[[Given], Given], who: str, why: str
) -> None:
    key, blames = judged(change(given))
    assert blames == (Blame(who, why),)
    assert key is not None


HALVES: list[tuple[str, Callable[[Given], bytes]]] = [
    ("zeros", lambda _: bytes(32)),
    ("a changed bit", lambda g: _flipped(g.pieces.half)),
    ("that of another bid", lambda g: g.other.half),
    ("half of it", lambda g: g.pieces.half[:16]),
    ("nothing", lambda _: b""),
]


@pytest.mark.parametrize("made", [row[1] for row in HALVES], ids=[row[0] for row in HALVES])
def test_a_bidders_wrong_half_names_the_bidder_alone(given: Given, made: Callable[[Given], bytes]) -> None:
    key, blames = judged(replace(given, half=made(given)))
    assert {one.party for one in blames} == {"bidder"}
    assert {one.why for one in blames} <= {"wrong-half", "two-keys"}
    assert key is None


def _bad_wrap(victim: int, *, seeded: bool) -> Deal:
    def change(dealt: Dealt, profile: str, context: bytes) -> Dealt:
        shares = {i: unwrap_share(key, context, dealt.wraps[i - 1]) for i, key in enumerate(TRUSTEES, 1)}
        seed, public = wrap_seed(profile, context, victim, combine(shares, t=3)), PUBLICS[victim - 1]
        bad = wrap_seeded(public, context, bytes(32), seed) if seeded else wrap_share(public, context, bytes(32))
        return replace(dealt, wraps=(*dealt.wraps[: victim - 1], bad, *dealt.wraps[victim:]))

    return change


def _bad_promise(victim: int) -> Deal:
    return lambda dealt, _p, _c: replace(
        dealt, share_hash=(*dealt.share_hash[: victim - 1], "00" * 32, *dealt.share_hash[victim:])
    )


BY_BIDDER: list[tuple[str, Deal, int, str]] = [
    *((f"wraps zeros for trustee {i}", _bad_wrap(i, seeded=True), i, "bad-wrap") for i in NUMBERS),
    *((f"wraps zeros by a free key for trustee {i}", _bad_wrap(i, seeded=False), i, "bad-wrap") for i in NUMBERS),
    *((f"promises another share of trustee {i}", _bad_promise(i), i, "bad-wrap") for i in NUMBERS),
]


@pytest.mark.parametrize("profile", ["intl-1", "gm-1"])
@pytest.mark.parametrize(("change", "victim", "why"), [row[1:] for row in BY_BIDDER], ids=[row[0] for row in BY_BIDDER])
def test_a_bidder_who_dealt_badly_is_named_by_the_complaint_of_whom_it_wronged(
    monkeypatch: pytest.MonkeyPatch, profile: str, change: Deal, victim: int, why: str
) -> None:
    def dealing(named: str, mode: str, context: bytes, *, t: int, publics: tuple[bytes, ...]) -> Dealt:
        return change(deal(named, mode, context, t=t, publics=publics), named, context)

    monkeypatch.setattr(bid_file, "deal", dealing)
    who = WHO[profile]
    pieces = Pieces(sealed(who, replace(TERMS, profile=profile)), who)
    assert not pieces.bid.share_fits(victim, pieces.shares[victim])  # so the trustee's own tool complains
    given = _complains(victim)(honest(pieces, pieces))
    assert judged(given)[1] == (Blame("bidder", why),)
