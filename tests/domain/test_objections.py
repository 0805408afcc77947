"""E07, E16: objections that pause, their answers, and the complaint clock that does not stop (A-3)."""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from node.domain import award, lot, notice, objection, opening, project
from node.domain.calendar import CalendarExpired
from node.domain.profile import Rule, Unit
from node.domain.refused import Refused
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, REFS, Story, ms, objects

ANSWER = objection.AnswerObjection(1, "维持原条款", "replied")
OPENING = (opening.OpeningStarted(REFS, ()),)


def _answered_after_the_deadline() -> Story:
    story = Story().bid().at("2026-03-13 23:59").do(objects("documents"), Role.BIDDER)
    return story.at("2026-03-23 10:00").do(ANSWER, Role.TENDERER)


REFUSED: list[tuple[str, Callable[[], Story], Any, Role, str]] = [
    ("an unknown kind of objection is refused", lambda: Story().taken(), objects("price"), Role.BIDDER, "word-unknown"),
    (
        "an objection has a text",
        lambda: Story().taken(),
        replace(objects("documents"), text=""),
        Role.BIDDER,
        "field-missing",
    ),
    (
        "who objects is committed",
        lambda: Story().taken(),
        replace(objects("documents"), commitment=b""),
        Role.BIDDER,
        "digest-malformed",
    ),
    (
        "who objects is sealed",
        lambda: Story().taken(),
        replace(objects("documents"), sealed=b""),
        Role.BIDDER,
        "identity-not-sealed",
    ),
    (
        "no documents out, no objection to them",
        lambda: Story().documented(),
        objects("documents"),
        Role.BIDDER,
        "no-notice",
    ),
    (
        "nine days before the deadline it is too late to object to the documents",
        lambda: Story().taken().at("2026-03-14 00:00"),
        objects("documents"),
        Role.BIDDER,
        "objection-late",
    ),
    ("no opening, no objection to it", lambda: Story().bid(), objects("opening"), Role.BIDDER, "not-at-the-opening"),
    (
        "after the opening is confirmed nobody objects to it",
        lambda: Story().opened(),
        objects("opening"),
        Role.BIDDER,
        "not-at-the-opening",
    ),
    (
        "no result out, no objection to it",
        lambda: Story().reported(),
        objects("result"),
        Role.BIDDER,
        "not-in-publicity",
    ),
    (
        "when the publicity has ended nobody objects to the result",
        lambda: Story().published().at("2026-04-03 00:00"),
        objects("result"),
        Role.BIDDER,
        "not-in-publicity",
    ),
    ("nobody answers what was not raised", lambda: Story().taken(), ANSWER, Role.TENDERER, "objection-unknown"),
    (
        "an objection is answered once",
        lambda: Story().taken().do(objects("documents"), Role.BIDDER).do(ANSWER, Role.TENDERER),
        ANSWER,
        Role.TENDERER,
        "objection-answered",
    ),
    (
        "an answer says what it is",
        lambda: Story().taken().do(objects("documents"), Role.BIDDER),
        replace(ANSWER, status="maybe"),
        Role.TENDERER,
        "word-unknown",
    ),
    (
        "an answer has a text",
        lambda: Story().taken().do(objects("documents"), Role.BIDDER),
        replace(ANSWER, text=""),
        Role.TENDERER,
        "field-missing",
    ),
    (
        "a result objection stops the award (A-3)",
        lambda: Story().published().do(objects("result"), Role.BIDDER).at("2026-04-03 09:00"),
        award.DecideAward(REFS[0]),
        Role.TENDERER,
        "paused-by-objection",
    ),
    (
        "a round does not fail for a deadline that passed in a pause",
        _answered_after_the_deadline,
        project.DeclareRoundFailed("不足三家"),
        Role.OPERATOR,
        "deadline-fell-in-standstill",
    ),
    (
        "an answered objection lets the deadline that passed meanwhile not open",
        _answered_after_the_deadline,
        opening.StartOpening(("p-agency",)),
        Role.OPERATOR,
        "deadline-fell-in-standstill",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_about_objections(row: Any) -> None:
    _, given, command, role, code = row
    story = given()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command, role)
    assert refusal.value.code == code
    assert story.state == before


def test_an_objection_to_the_documents_pauses_until_it_is_answered_within_three_days() -> None:
    story = Story().taken().at("2026-03-13 23:59").do(objects("documents"), Role.BIDDER)
    raised = story.events[-1]
    assert (raised.no, raised.pauses, raised.answer_by_ms) == (1, True, ms("2026-03-17 00:00"))
    assert (lot.blocked(story.state), lot.stage(story.state)) == ("objection", "objected_docs")
    story.at("2026-03-16 17:00").do(ANSWER, Role.TENDERER)
    assert not story.events[-1].late
    assert lot.blocked(story.state) == ""
    assert story.do(s.bid(REFS[0]), Role.BIDDER)


def test_the_tenth_day_before_the_deadline_is_the_last_to_its_last_millisecond() -> None:
    assert Story().taken().at(ms("2026-03-14 00:00") - 1).when(objects("documents"), Role.BIDDER)


def test_a_deadline_that_was_lost_moves_to_the_future_only() -> None:
    story = _answered_after_the_deadline()
    with pytest.raises(Refused, match="deadline-moved-back"):
        story.when(notice.AmendDocuments(D32, "顺延", False, story.at_ms))


def test_an_answer_a_millisecond_before_the_end_of_its_time_is_in_time_and_at_the_end_late() -> None:
    story = Story().taken().do(objects("documents"), Role.BIDDER)
    due_ms = story.events[-1].answer_by_ms
    for at_ms, late in ((due_ms - 1, False), (due_ms, True)):
        (event,) = story.at(at_ms).when(ANSWER, Role.TENDERER)
        assert event.late is late


def test_a_late_answer_is_taken_and_marked_late() -> None:
    story = Story().taken().do(objects("documents"), Role.BIDDER).at("2026-03-12 09:00").do(ANSWER, Role.TENDERER)
    assert story.events[-1].late


def test_two_objections_pause_until_both_are_answered() -> None:
    story = Story().taken().do(objects("documents"), Role.BIDDER).do(objects("documents"), Role.BIDDER)
    story.do(ANSWER, Role.TENDERER)
    assert lot.blocked(story.state) == "objection"
    assert lot.blocked(story.do(replace(ANSWER, no=2), Role.TENDERER).state) == ""


def test_an_objection_at_the_opening_is_answered_on_the_spot_and_stops_nothing() -> None:
    story = Story().bid().at(s.DEADLINE).given(*OPENING).do(objects("opening"), Role.BIDDER)
    assert (story.events[-1].pauses, story.events[-1].answer_by_ms, lot.blocked(story.state)) == (False, 0, "")
    assert not story.do(ANSWER, Role.TENDERER).events[-1].late
    assert not story.state.objections.unanswered("opening")


def test_while_paused_the_documents_may_be_amended_and_the_notice_withdrawn() -> None:
    story = Story().taken().do(objects("documents"), Role.BIDDER)
    assert story.when(notice.AmendDocuments(D32, "修改条款", False))
    assert story.when(notice.WithdrawNotice("内容违法"))


def test_a_deadline_that_passed_in_a_pause_is_moved_before_the_opening() -> None:
    story = _answered_after_the_deadline()
    later = ms("2026-03-24 09:30")
    story.do(notice.AmendDocuments(D32, "顺延", False, later))
    assert (story.state.notice.deadline_ms, story.state.deadline_lost) == (later, False)
    assert story.do(s.bid(REFS[0], "again"), Role.BIDDER)


def test_a_notice_whose_deadline_passed_in_a_pause_may_still_be_withdrawn() -> None:
    assert _answered_after_the_deadline().when(notice.WithdrawNotice("重新公告"))


def test_a_deadline_may_be_moved_during_the_pause_that_it_fell_into() -> None:
    story = Story().bid().at("2026-03-13 09:00").do(objects("documents"), Role.BIDDER).at("2026-03-23 10:00")
    story.do(notice.AmendDocuments(D32, "顺延", False, ms("2026-03-27 09:30")))
    story.do(ANSWER, Role.TENDERER)
    assert not story.state.deadline_lost


def test_a_standstill_after_the_deadline_loses_no_deadline() -> None:
    story = Story().bid().at(s.DEADLINE + 1).do(project.Suspend("outage", "停电"), Role.OPERATOR)
    story.at("2026-03-23 10:00").do(project.Resume("来电"), Role.OPERATOR)
    assert not story.state.deadline_lost


def test_a16_past_the_calendars_end_working_days_refuse_and_calendar_days_go_on() -> None:
    story = Story().documented()
    story.calendar = replace(s.YEAR_2026, holidays=frozenset(), make_up_days=frozenset(), last=date(2026, 3, 1))
    assert story.at("2026-03-02 09:00").when(s.NOTICE)
    with pytest.raises(Refused, match="deadline-too-early"):
        story.when(replace(s.NOTICE, deadline_ms=ms("2026-03-22 08:59")))
    known = ms("2026-04-01 10:00")
    assert objection.complaint_deadline(known, s.WORKS, story.calendar) == ms("2026-04-12 00:00")
    for deadline in (objection.complaint_acceptance_deadline, objection.complaint_decision_deadline):
        for calendar in (story.calendar, None):
            with pytest.raises(CalendarExpired):
                deadline(known, s.WORKS, calendar)


def test_a_complaint_is_accepted_in_three_working_days_and_decided_in_thirty() -> None:
    friday = ms("2026-04-03 10:00")  # before 清明节, 4 to 6 April
    assert objection.complaint_acceptance_deadline(friday, s.WORKS, s.YEAR_2026) == ms("2026-04-10 00:00")
    assert objection.complaint_decision_deadline(friday, s.WORKS, s.YEAR_2026) == ms(
        "2026-05-21 00:00"
    )  # 9 May is worked


def test_where_the_profile_does_not_roll_a_period_ends_on_a_rest_day() -> None:
    strict = Rule("roll-rest-day", False, Unit.FLAG, ("民法典 203",), False)
    profile = replace(s.WORKS, rules={**s.WORKS.rules, "roll-rest-day": strict})
    known = ms("2026-04-01 10:00")
    assert objection.complaint_deadline(known, profile, s.YEAR_2026) == ms("2026-04-12 00:00")
    assert objection.complaint_deadline(known, s.WORKS, s.YEAR_2026) == ms("2026-04-14 00:00")


def test_a3_a_result_objection_freezes_the_procedure_and_not_the_complaint_clock() -> None:
    story = Story().published().at("2026-04-01 09:00").do(objects("result"), Role.BIDDER)
    known = ms("2026-03-30 10:00")
    assert lot.blocked(story.state) == "objection"
    # Somebody else's complaint: the pause does not move its end.
    assert objection.complaint_deadline(known, s.WORKS, s.YEAR_2026) == ms("2026-04-10 00:00")
    # The objector's own answering time does not count (ZBT 60): two days later, a Saturday, so Monday.
    own = objection.complaint_deadline(
        known, s.WORKS, s.YEAR_2026, objected_at_ms=ms("2026-04-01 09:00"), answered_at_ms=ms("2026-04-03 09:00")
    )
    assert own == ms("2026-04-14 00:00")
    story.at("2026-04-03 09:00").do(ANSWER, Role.TENDERER)
    assert story.when(award.DecideAward(REFS[0]), Role.TENDERER)
