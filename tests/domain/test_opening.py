"""E11: nothing is opened with too few bids, every seal is tried in order, a failure names its fault because the money differs (A-2)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import award, bidding, lot, opening, project
from node.domain.bond import BondFacts
from node.domain.refused import NotOffered, Refused
from node.domain.values import ClockQuality, Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, DEADLINE, PRICES, REFS, Story

A, B, C = REFS
START = opening.StartOpening(("p-agency", "p-bidder", "p-supervisor"))
CONFIRM = opening.ConfirmOpening(("p-agency", "p-witness"))


def opens(ref: str) -> opening.OpenBid:
    return opening.OpenBid(ref, s.content(ref, PRICES[ref]), s.facts(ref))


def fails(ref: str, fault: str, reason: str = "密钥与投标文件不符") -> opening.OpenBid:
    return opening.OpenBid(ref, None, s.facts(ref), fault, reason)


def due(count: int = 3) -> Story:
    return Story().bid(count).at(DEADLINE)


def started() -> Story:
    return due().do(START)


def unsealed() -> Story:
    story = started()
    for ref in REFS:
        story.do(opens(ref))
    return story


def read_out() -> Story:
    story = unsealed()
    for ref in REFS:
        story.do(opening.AnnounceBid(ref))
    return story


REFUSED: list[tuple[str, Callable[[], Story], Any, str]] = [
    ("a minute before the deadline nothing is opened", lambda: due().at(DEADLINE - 1), START, "deadline-not-reached"),
    ("without a notice nothing is opened", lambda: Story().documented(), START, "no-notice"),
    ("a lot is opened once", started, START, "opened-already"),
    ("nobody opens behind closed doors", due, opening.StartOpening(()), "attendees-out-of-range"),
    (
        "a list of attendees is no census",
        due,
        opening.StartOpening(tuple(f"p-{n}" for n in range(201))),
        "attendees-out-of-range",
    ),
    ("nobody attends twice", due, opening.StartOpening(("p-agency", "p-agency")), "stands-twice"),
    ("before the opening no seal is broken", due, opens(A), "not-opened"),
    ("before the opening nothing is read out", due, opening.AnnounceBid(A), "not-opened"),
    ("before the opening nothing is confirmed", due, CONFIRM, "not-opened"),
    ("what was not received is not opened", started, opening.OpenBid("P-ZZZZ99", None, s.facts(A)), "unknown-bid"),
    ("seals are broken in order", started, opens(B), "not-in-order"),
    ("no seal is tried twice", lambda: started().do(opens(A)), opens(A), "not-in-order"),
    (
        "a failed bid is not tried again",
        lambda: started().do(fails(A, "bidder")),
        opens(A),
        "not-in-order",
    ),
    ("a bond belongs to its bid", started, replace(opens(A), bond=s.facts(B)), "bond-of-another"),
    ("a failure names whose fault it was", started, fails(A, "nobody"), "word-unknown"),
    ("a failure has a reason", started, fails(A, "bidder", " "), "field-missing"),
    (
        "a bid for another lot is not opened as one",
        started,
        replace(opens(A), content=replace(s.content(A, 1), lot_code="B1")),
        "content-of-another",
    ),
    (
        "a bid of an earlier round is not opened as one",
        started,
        replace(opens(A), content=replace(s.content(A, 1), round_no=2)),
        "content-of-another",
    ),
    (
        "a bid of another participant is not opened as one",
        started,
        replace(opens(A), content=s.content(B, 1)),
        "content-of-another",
    ),
    (
        "nothing is read out while a seal is left",
        lambda: started().do(opens(A)),
        opening.AnnounceBid(A),
        "seals-left",
    ),
    ("bids are read out in order", unsealed, opening.AnnounceBid(B), "not-in-order"),
    ("a bid is read out once", read_out, opening.AnnounceBid(A), "not-in-order"),
    ("with a seal left the record is not confirmed", lambda: started().do(opens(A)), CONFIRM, "bids-not-read-out"),
    (
        "with a price left the record is not confirmed",
        lambda: unsealed().do(opening.AnnounceBid(A)),
        CONFIRM,
        "bids-not-read-out",
    ),
    (
        "an objection at the opening is answered before the record is confirmed",
        lambda: read_out().do(s.objects("opening"), Role.BIDDER),
        CONFIRM,
        "objection-unanswered",
    ),
    ("somebody confirms the record", read_out, opening.ConfirmOpening(()), "field-missing"),
    ("nobody confirms twice", read_out, opening.ConfirmOpening(("p-agency", "p-agency")), "stands-twice"),
    ("a confirmed record is final", lambda: read_out().do(CONFIRM), CONFIRM, "opening-confirmed"),
    ("after the record no seal is broken", lambda: read_out().do(CONFIRM), opens(A), "opening-confirmed"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_at_the_opening(row: Any) -> None:
    _, given, command, code = row
    story = given()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command)
    assert refusal.value.code == code
    assert refusal.value.rule
    assert story.state == before


def test_with_two_bids_the_round_fails_and_no_seal_can_be_broken() -> None:
    """A-2: ZB 28, ZBT 44."""
    story = due(2).do(START)
    failed = story.events[-1]
    assert isinstance(failed, project.RoundFailed)
    assert (failed.reason, failed.bidders, failed.exception_type) == ("too-few-bidders", 2, 1)
    assert not story.state.opening.started
    for command in (START, opens(A), opening.AnnounceBid(A), CONFIRM):
        with pytest.raises(Refused) as refusal:
            story.when(command)
        assert refusal.value.code == "procedure-over"


@pytest.mark.parametrize(
    ("fault", "effect"), [("bidder", "revoked"), ("platform", "withdrawn"), ("other", "withdrawn")]
)
def test_with_three_bids_and_one_seal_that_stays_shut_the_others_go_on(fault: str, effect: str) -> None:
    """A-2: 20号令 31. 视为撤销 by the bidder's fault, 视为撤回 by anybody else's."""
    story = started().do(opens(A)).do(fails(B, fault)).do(opens(C))
    failure = story.events[-2]
    assert (failure.ref, failure.fault, failure.effect, failure.reason) == (B, fault, effect, "密钥与投标文件不符")
    assert failure.bond == s.facts(B)
    assert not story.state.project.ended
    story.do(opening.AnnounceBid(A)).do(opening.AnnounceBid(C)).do(CONFIRM)
    confirmed = story.events[-1]
    assert (confirmed.opened, confirmed.failed) == (2, 1)
    assert story.state.standing_refs == (A, C)


def test_every_bid_handed_in_is_opened_at_the_very_deadline_in_the_order_it_came() -> None:
    """ZB 34, ZB 36."""
    story = due().do(START)
    assert story.events[-1] == opening.OpeningStarted(REFS, START.attendees)
    assert (story.state.opening.started, story.state.opening.started_at_ms) == (True, DEADLINE)
    assert lot.stage(story.state) == "opened"


def test_a_withdrawn_bid_is_neither_counted_nor_opened() -> None:
    story = Story().bid().do(bidding.WithdrawBid(C, "放弃"), Role.BIDDER).at(DEADLINE).do(START)
    assert isinstance(story.events[-1], project.RoundFailed)


def test_what_was_opened_stands_in_the_record_with_its_bond() -> None:
    state = unsealed().state.opening
    assert state.opened_refs == REFS
    assert state.content(B) == s.content(B, PRICES[B])
    assert state.bond(B) == s.facts(B)
    assert (state.content("P-ZZZZ99"), state.bond("P-ZZZZ99")) == (None, None)
    assert (state.next_to_open, state.next_to_announce) == ("", A)


def test_a_bond_that_does_not_fit_is_read_out_and_judged_later() -> None:
    short = BondFacts(A, "transfer", 1, DEADLINE, 0, "too-low")
    story = started().do(replace(opens(A), bond=short))
    assert story.state.opening.bond(A) == short
    assert story.state.opening.opened_refs == (A,)


def test_all_seals_may_stay_shut_and_the_record_says_so() -> None:
    story = started()
    for ref in REFS:
        story.do(fails(ref, "platform"))
    story.do(CONFIRM)
    assert (story.events[-1].opened, story.events[-1].failed) == (0, 3)
    assert story.when(project.ScrapProcedure("all-rejected", "全部未能解密"))


def test_a_doubtful_clock_opens_nothing_unless_two_attest_another() -> None:
    story = due()
    story.quality = ClockQuality.DOUBTFUL
    with pytest.raises(Refused) as refusal:
        story.when(START)
    assert refusal.value.code == "clock-doubtful"
    story.attested_by = ("p-agency", "p-witness")
    assert story.when(START)


def test_the_opening_does_not_know_other_subjects_commands_and_events() -> None:
    story = started()
    with pytest.raises(NotOffered):
        opening.decide(story.state, award.ArchiveLot(D32), story.asked())
    assert opening.evolve(story.state.opening, CONFIRM, story.records[-1]) == story.state.opening
