"""E08 and E09: bonds on record, sealed bids before the deadline."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import bidding, bond, lot, notice, project
from node.domain.refused import Refused
from node.domain.values import DAY_MS, ClockQuality, Role
from tests.domain import lot_story as s
from tests.domain.lot_story import REFS, Story, bid, bond_of, ms

NO_BOND = notice.BondTerms(0, (), 0)


def _after_sale() -> Story:
    return Story().taken().at("2026-03-20 09:00")


def _no_bond() -> Story:
    story = Story().documented(bond=NO_BOND).at("2026-03-02 09:00").do(s.NOTICE).at("2026-03-03 09:00")
    return story.do(s.participation(REFS[0]), Role.BIDDER)


REFUSED: list[tuple[str, Callable[[], Story], Any, Role, str]] = [
    ("no bond is recorded where none is asked", _no_bond, bond_of(REFS[0]), Role.OPERATOR, "no-bond-asked"),
    ("a bond belongs to a participant", _after_sale, bond_of("P-ZZZZ99"), Role.OPERATOR, "ref-unknown"),
    (
        "no bond is recorded once the bids are opened",
        lambda: Story().opened(),
        bond_of(REFS[0]),
        Role.OPERATOR,
        "opened-already",
    ),
    *(
        (f"a bond {says} is refused", _after_sale, replace(bond_of(REFS[0]), **changes), Role.OPERATOR, code)
        for says, changes, code in (
            ("in cash", {"form": "cash"}, "word-unknown"),
            ("of nothing", {"amount_fen": 0}, "number-out-of-range"),
            ("posted tomorrow", {"posted_at_ms": ms("2026-03-21 09:00")}, "posted-in-the-future"),
            ("that is not committed", {"commitment": b""}, "digest-malformed"),
            ("whose payer is not sealed", {"sealed": b""}, "payer-not-sealed"),
        )
    ),
    ("a bid of nobody is refused", _after_sale, bid("P-ZZZZ99"), Role.BIDDER, "ref-unknown"),
    (
        "a bid a second late is refused",
        lambda: Story().taken().at(s.DEADLINE + 1000),
        bid(REFS[0]),
        Role.BIDDER,
        "bid-late",
    ),
    (
        "a bid at exactly the deadline is refused (A-14)",
        lambda: Story().taken().at(s.DEADLINE),
        bid(REFS[0]),
        Role.BIDDER,
        "bid-late",
    ),
    (
        "a bid names its file by digest",
        _after_sale,
        replace(bid(REFS[0]), sha256=b""),
        Role.BIDDER,
        "digest-malformed",
    ),
    (
        "a bid comes by portal or desk",
        _after_sale,
        replace(bid(REFS[0]), received_by="fax"),
        Role.BIDDER,
        "word-unknown",
    ),
    ("an empty file is no bid", _after_sale, replace(bid(REFS[0]), size=0), Role.BIDDER, "bid-empty"),
    ("the same file twice is no replacement", lambda: Story().bid(), bid(REFS[0]), Role.BIDDER, "bid-held-already"),
    (
        "who did not bid withdraws nothing",
        _after_sale,
        bidding.WithdrawBid(REFS[0], "放弃"),
        Role.BIDDER,
        "no-bid-held",
    ),
    (
        "nobody else's bid is withdrawn",
        lambda: Story().bid(),
        bidding.WithdrawBid("P-ZZZZ99", "放弃"),
        Role.BIDDER,
        "ref-unknown",
    ),
    (
        "a withdrawal has a reason",
        lambda: Story().bid(),
        bidding.WithdrawBid(REFS[0], ""),
        Role.BIDDER,
        "field-missing",
    ),
    (
        "a bid is withdrawn once",
        lambda: Story().bid().do(bidding.WithdrawBid(REFS[0], "放弃"), Role.BIDDER),
        bidding.WithdrawBid(REFS[0], "放弃"),
        Role.BIDDER,
        "no-bid-held",
    ),
    (
        "at the deadline a bid binds",
        lambda: Story().bid().at(s.DEADLINE),
        bidding.WithdrawBid(REFS[0], "放弃"),
        Role.BIDDER,
        "withdrawal-late",
    ),
    (
        "no bid while the documents are disputed",
        lambda: Story().taken().do(s.objects("documents"), Role.BIDDER),
        bid(REFS[0]),
        Role.BIDDER,
        "paused-by-objection",
    ),
    (
        "no bid while the procedure is suspended",
        lambda: Story().taken().do(project.Suspend("outage", "停电"), Role.OPERATOR),
        bid(REFS[0]),
        Role.BIDDER,
        "suspended",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_of_bonds_and_bids(row: Any) -> None:
    _, given, command, role, code = row
    story = given()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command, role)
    assert refusal.value.code == code
    assert story.state == before


def test_a_bid_one_millisecond_before_the_deadline_is_received() -> None:
    (event,) = Story().taken().at(s.DEADLINE - 1).when(bid(REFS[0]), Role.BIDDER)
    assert event.version == 1


def test_a_replacement_is_the_next_version_and_keeps_its_place() -> None:
    story = Story().bid().do(bid(REFS[0], "better"), Role.BIDDER)
    assert [(held.ref, held.version) for held in story.state.bidding.live] == [(REFS[0], 2), (REFS[1], 1), (REFS[2], 1)]


def test_a_withdrawn_bid_is_a_tombstone_that_is_not_opened_and_its_bond_goes_back_in_five_days() -> None:
    story = Story().bid().do(bidding.WithdrawBid(REFS[0], "放弃"), Role.BIDDER)
    assert story.events[-1].bond_refund_due_ms == ms("2026-03-26 00:00")
    assert [held.ref for held in story.state.bidding.live] == list(REFS[1:])
    assert story.state.bidding.of(REFS[0]).withdrawn


def test_a_withdrawn_bid_may_come_again_with_the_same_file() -> None:
    story = Story().bid().do(bidding.WithdrawBid(REFS[0], "放弃"), Role.BIDDER).do(bid(REFS[0]), Role.BIDDER)
    assert (story.state.bidding.of(REFS[0]).version, len(story.state.bidding.live)) == (2, 3)


@pytest.mark.parametrize("attested_by", [(), ("p-1",), ("p-1", "p-1")])
def test_on_a_doubtful_clock_no_deadline_act_is_accepted(attested_by: tuple[str, ...]) -> None:
    story = replace_clock(Story().taken(), attested_by)
    with pytest.raises(Refused, match="clock-doubtful"):
        story.when(bid(REFS[0]), Role.BIDDER)


def test_two_different_persons_who_attest_a_clock_let_a_bid_in() -> None:
    assert replace_clock(Story().taken(), ("p-1", "p-2")).when(bid(REFS[0]), Role.BIDDER)


def replace_clock(story: Story, attested_by: tuple[str, ...]) -> Story:
    story.quality, story.attested_by = ClockQuality.DOUBTFUL, attested_by
    return story


def test_a_bond_posted_this_very_moment_is_recorded() -> None:
    story = _after_sale()
    assert story.when(replace(bond_of(REFS[0]), posted_at_ms=story.at_ms), Role.OPERATOR)


def test_a_second_record_of_a_bond_stands_instead_of_the_first() -> None:
    story = Story().taken().at("2026-03-06 09:00").do(bond_of(REFS[0]), Role.OPERATOR)
    story.do(bond_of(REFS[1]), Role.OPERATOR).do(replace(bond_of(REFS[0]), commitment=b"\x09" * 32), Role.OPERATOR)
    assert len(story.state.bonds.records) == 2
    assert story.state.bonds.of(REFS[0]).commitment == b"\x09" * 32
    assert story.state.bonds.of(REFS[2]) is None


def test_a_bond_may_be_recorded_after_the_deadline_as_long_as_nothing_is_opened() -> None:
    assert Story().bid().at(s.DEADLINE + 60_000).when(bond_of(REFS[0]), Role.OPERATOR)


OK = {"form": "transfer", "amount_fen": 10_000_000, "posted_at_ms": s.DEADLINE, "valid_to_ms": 0}
COVERS = s.DEADLINE + 90 * DAY_MS
VERDICTS = [
    ("money that arrives at the last moment is in time", {}, "ok"),
    ("no bond on record is missing", {"form": ""}, "missing"),
    ("a form that the documents do not list is wrong", {"form": "cheque"}, "wrong-form"),
    ("a fen too little is too low", {"amount_fen": 9_999_999}, "too-low"),
    ("a millisecond late is late", {"posted_at_ms": s.DEADLINE + 1}, "late"),
    ("a guarantee covers the validity", {"form": "guarantee-bank", "valid_to_ms": COVERS}, "ok"),
    (
        "a guarantee that ends before the validity is too short",
        {"form": "guarantee-bank", "valid_to_ms": COVERS - 1},
        "too-short",
    ),
]


@pytest.mark.parametrize(("says", "changes", "word"), VERDICTS, ids=[row[0] for row in VERDICTS])
def test_verdicts_on_bonds(says: str, changes: dict[str, Any], word: str) -> None:
    assert bond.verdict(Story().bid().state, s.WORKS, **{**OK, **changes}) == word


def test_where_no_bond_is_asked_every_bond_is_ok() -> None:
    assert bond.verdict(_no_bond().state, s.WORKS, **{**OK, "form": ""}) == "ok"
    assert bond.verdict(lot.LotState(), s.WORKS, **OK) == "ok"
    assert bond.validity_until_ms(lot.LotState()) == 0
