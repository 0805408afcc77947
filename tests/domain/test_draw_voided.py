"""A draw is not rolled again in the eyes of the replay: what ended it is judged, and that it ended before the next began."""

from dataclasses import replace

import pytest

from node.domain import ceremony, draw, drawn
from node.domain.ceremony import DrawVoided, NonceCommitted, NonceRevealed, ShareReleased
from node.domain.draw_proof import COEFFICIENT, PARTIES, drawn_of
from node.domain.draw_replay import Replay
from node.domain.values import Recorded

D32, WRAPS = bytes(32), (b"w",) * 5
TRUSTEES = tuple(ceremony.Trustee(f"T{n}", bytes([n]) * 32) for n in range(5))
OPTIONS = ("0.95", "0.96")
NONCES = tuple(bytes([n]) * 32 for n in (1, 2, 3))
BY = Recorded(1, "operator:O-1", "o", 1, D32)
SUPERVISOR = replace(BY, actor="supervisor:S-1@desk")
CANCELLED = DrawVoided("cancelled", "supervisor", "停电")


def stream(number: int = 1) -> str:
    return "draw/" + drawn.draw_id("L", 1, COEFFICIENT, number)


def frozen(number: int = 1, name: str = "r") -> drawn.OptionsFrozen:
    return drawn.OptionsFrozen(
        COEFFICIENT, "L", number, 1, "works", name, OPTIONS, draw.pool_hash(OPTIONS), PARTIES, TRUSTEES
    )


def commits(*nonces: bytes) -> list[object]:
    return [NonceCommitted(p, draw.commit_of(n), (D32,) * 5, WRAPS) for p, n in zip(PARTIES, nonces, strict=False)]


def reveals(*parties: str) -> list[object]:
    return [NonceRevealed(one, b"sealed") for one in parties]


def shares(party: str, count: int) -> list[object]:
    return [ShareReleased(party, n, b"sealed") for n in range(1, count + 1)]


def last(events: list[object], recorded: Recorded = BY, told: Replay | None = None, number: int = 1) -> str:
    """Tell a draw; everything but its last event follows."""
    told = told or Replay()
    for event in [frozen(number), *events[:-1]]:
        assert told.tell(stream(number), event, BY) == ""
    return told.tell(stream(number), events[-1], recorded)


@pytest.mark.parametrize(
    ("events", "recorded", "code"),
    [
        ([CANCELLED], SUPERVISOR, ""),
        ([CANCELLED], BY, "void-unfounded"),
        ([replace(CANCELLED, reason="")], SUPERVISOR, "void-unfounded"),
        ([replace(CANCELLED, why="storm")], SUPERVISOR, "parties-differ"),
        ([DrawVoided("storm", "TENDERER", "")], SUPERVISOR, "void-unfounded"),
        ([*commits(NONCES[0], NONCES[0]), DrawVoided("commits-equal", PARTIES[1], PARTIES[0])], BY, ""),
        ([*commits(*NONCES[:2]), DrawVoided("commits-equal", PARTIES[1], PARTIES[0])], BY, "void-unfounded"),
        ([*commits(*NONCES[:2]), DrawVoided("commits-equal", PARTIES[1], PARTIES[1])], BY, "void-unfounded"),
        ([DrawVoided("commits-equal", PARTIES[1], PARTIES[0])], BY, "void-unfounded"),
        ([DrawVoided("escrow-false", "NOBODY", "")], BY, "parties-differ"),
        ([DrawVoided("escrow-false", "TENDERER", "")], BY, "void-unfounded"),
        ([*commits(*NONCES), *shares("TENDERER", 2), DrawVoided("escrow-false", "TENDERER", "")], BY, "shares-too-few"),
        (
            [*commits(*NONCES), *reveals("TENDERER"), DrawVoided("escrow-false", "TENDERER", "")],
            BY,
            "void-unfounded",
        ),
        ([*commits(*NONCES), *reveals(*PARTIES), CANCELLED], SUPERVISOR, "out-of-turn"),
        ([*commits(NONCES[0]), DrawVoided("commit-reused", PARTIES[0], "L-1-K1")], BY, "void-unfounded"),
    ],
)
def test_what_ended_a_draw_is_held_against_its_entries(events: list[object], recorded: Recorded, code: str) -> None:
    assert last(events, recorded) == code


@pytest.mark.parametrize("same", [True, False])
def test_a_commit_was_seen_before_only_where_the_earlier_draw_shows_it(same: bool) -> None:
    told = Replay()
    assert last([*commits(*NONCES[:2]), CANCELLED], SUPERVISOR, told) == ""
    again = commits(NONCES[0] if same else NONCES[2])
    found = last([*again, DrawVoided("commit-reused", PARTIES[0], stream()[5:])], BY, told, 2)
    assert found == ("" if same else "void-unfounded")


@pytest.mark.parametrize(
    ("void", "shown"),
    [
        ([*commits(*NONCES), *shares("TENDERER", 3), DrawVoided("escrow-false", "TENDERER", "")], False),
        ([*commits(*NONCES[:1]), DrawVoided("commit-reused", PARTIES[0], "elsewhere-1-K1")], False),
        ([*commits(NONCES[0], NONCES[0]), DrawVoided("commits-equal", PARTIES[1], PARTIES[0])], True),
    ],
)
def test_a_reason_that_only_the_room_can_open_leaves_the_draw_unchecked(void: list[object], shown: bool) -> None:
    told = Replay()
    assert last(void, BY, told) == ""
    assert (stream() in told.unseen) is not shown


def test_a_next_draw_needs_the_end_of_every_one_before_it() -> None:
    told = Replay()
    assert told.tell(stream(1), frozen(1), BY) == ""
    assert told.tell(stream(2), frozen(2), BY) == "draw-not-over"
    assert told.tell(stream(2), frozen(2, "k"), BY) == ""  # another parameter's draw is no second try
    told = Replay()
    assert last([CANCELLED], SUPERVISOR, told) == ""
    assert told.tell(stream(2), frozen(2), BY) == ""
    assert not told.unseen
    assert told.tell(stream(7), frozen(7), BY) == "draw-not-over"  # number 2 still stands


def test_a_next_draw_whose_predecessor_is_in_no_entry_is_named_as_unchecked() -> None:
    told = Replay()
    assert told.tell(stream(7), frozen(7), BY) == ""
    assert stream(1) in told.unseen[stream(7)]


def test_a_finished_draw_is_not_ended_afterwards() -> None:
    seed = draw.seed_of(stream()[5:], draw.pool_hash(OPTIONS), NONCES)
    done = drawn.OptionDrawn(seed, NONCES, drawn_of(COEFFICIENT, seed, "r", OPTIONS))
    assert last([*commits(*NONCES), *reveals(*PARTIES), done, CANCELLED], SUPERVISOR) == "out-of-turn"
