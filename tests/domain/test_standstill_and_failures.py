"""Suspension and resumption (A-9), the four failures as four events, rounds."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import award, evaluation, lot, objection, opening, panel, project
from node.domain.profile import Rule, Unit
from node.domain.refused import NotOffered, Refused
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, REFS, Story, member, ms

OUTAGE = project.Suspend("outage", "停电", "room/a#1")
ORDER = project.Suspend("supervisor-order", "核查")
RESUME = project.Resume("恢复")
FAILED = project.DeclareRoundFailed("投标人不足三个")
HOUR_MS = 3_600_000
MINUTE_MS = 60_000


def _rejected(count: int) -> Story:
    story = Story().evaluating()
    return story.given(
        *(evaluation.BidRejected(ref, "zbt51-3", "资质不足", ("E1", "E2", "E3")) for ref in REFS[:count])
    )


def _after_long_outage() -> Story:
    story = Story().evaluating().do(OUTAGE, Role.OPERATOR)
    return story.at(story.at_ms + 4 * HOUR_MS + MINUTE_MS).do(RESUME, Role.OPERATOR)


def _second_notified() -> Story:
    story = Story().notified().do(award.RecordWinnerRefusal("放弃中标"))
    story.do(award.DecideAward(REFS[1]), Role.TENDERER)
    return story.do(award.IssueAwardNotice(D32, ("网",)))


REFUSED: list[tuple[str, Callable[[], Story], Any, Role, str]] = [
    (
        "a suspension has a listed reason",
        lambda: Story().taken(),
        replace(OUTAGE, reason="rain"),
        Role.OPERATOR,
        "word-unknown",
    ),
    ("a suspension has a text", lambda: Story().taken(), replace(OUTAGE, text=""), Role.OPERATOR, "field-missing"),
    ("only a supervisor suspends by order", lambda: Story().taken(), ORDER, Role.OPERATOR, "only-the-supervisor"),
    (
        "what stands still is not suspended again",
        lambda: Story().taken().do(OUTAGE, Role.OPERATOR),
        OUTAGE,
        Role.OPERATOR,
        "suspended-already",
    ),
    ("what runs is not resumed", lambda: Story().taken(), RESUME, Role.OPERATOR, "not-suspended"),
    (
        "a resumption has a text",
        lambda: Story().taken().do(OUTAGE, Role.OPERATOR),
        project.Resume(""),
        Role.OPERATOR,
        "field-missing",
    ),
    (
        "only a supervisor lifts a supervisor's suspension",
        lambda: Story().taken().do(ORDER, Role.SUPERVISOR),
        RESUME,
        Role.OPERATOR,
        "only-the-supervisor",
    ),
    (
        "a round does not fail before its deadline",
        lambda: Story().bid(2),
        FAILED,
        Role.OPERATOR,
        "deadline-not-reached",
    ),
    ("a round without notice does not fail", lambda: Story().filed(), FAILED, Role.OPERATOR, "deadline-not-reached"),
    ("three bidders are enough", lambda: Story().bid().at(s.DEADLINE), FAILED, Role.OPERATOR, "enough-bidders"),
    (
        "an opened round does not fail for its bidders",
        lambda: Story().opened(),
        FAILED,
        Role.OPERATOR,
        "opened-already",
    ),
    (
        "a failed round has its reason",
        lambda: Story().bid(2).at(s.DEADLINE),
        project.DeclareRoundFailed(" "),
        Role.OPERATOR,
        "field-missing",
    ),
    (
        "scrapping has a listed reason",
        lambda: _rejected(3),
        project.ScrapProcedure("mood", "无"),
        Role.TENDERER,
        "word-unknown",
    ),
    (
        "scrapping has a text",
        lambda: _rejected(3),
        project.ScrapProcedure("all-rejected", ""),
        Role.TENDERER,
        "field-missing",
    ),
    (
        "nothing is scrapped before the opening",
        lambda: Story().bid(),
        project.ScrapProcedure("unlawful", "串标"),
        Role.TENDERER,
        "not-opened",
    ),
    (
        "with one bid standing not all are rejected",
        lambda: _rejected(2),
        project.ScrapProcedure("all-rejected", "全部否决"),
        Role.TENDERER,
        "bids-still-standing",
    ),
    (
        "with three bids standing there is competition",
        lambda: _rejected(0),
        project.ScrapProcedure("no-competition", "缺乏竞争"),
        Role.TENDERER,
        "enough-competition",
    ),
    (
        "after the award notice nothing is scrapped",
        lambda: Story().notified(),
        project.ScrapProcedure("unlawful", "串标"),
        Role.TENDERER,
        "award-notice-binds",
    ),
    (
        "after the award notice nobody stops the procedure",
        lambda: Story().notified(),
        project.TerminateProcedure("资金", "资金取消"),
        Role.TENDERER,
        "award-notice-binds",
    ),
    (
        "a termination has its reason",
        lambda: Story().taken(),
        project.TerminateProcedure("", "x"),
        Role.TENDERER,
        "field-missing",
    ),
    (
        "no new round while this one runs",
        lambda: Story().taken(),
        project.StartRetender("二次"),
        Role.TENDERER,
        "round-not-over",
    ),
    (
        "after a refusal the next award notice binds again",
        _second_notified,
        project.StartRetender("二次"),
        Role.TENDERER,
        "award-notice-binds",
    ),
    (
        "a failed round takes no bids",
        lambda: Story().bid(2).at(s.DEADLINE).do(FAILED, Role.OPERATOR),
        s.bid(REFS[2]),
        Role.BIDDER,
        "procedure-over",
    ),
    (
        "a terminated procedure does not begin again",
        lambda: Story().taken().do(project.TerminateProcedure("资金", "资金取消"), Role.TENDERER),
        project.StartRetender("二次"),
        Role.TENDERER,
        "procedure-over",
    ),
    (
        "a dissolved committee's numbers are not used again",
        _after_long_outage,
        panel.FormCommittee("designated", (member("E1"),), "特殊项目"),
        Role.OPERATOR,
        "member-number-used",
    ),
    (
        "a dissolved committee's number is no successor",
        lambda: _after_long_outage().given(
            panel.CommitteeFormed("entered", tuple(member(f"F{n}") for n in range(1, 6)))
        ),
        panel.ReplaceMember("F1", "absent", "未到场", member("E2")),
        Role.OPERATOR,
        "member-number-used",
    ),
]


@pytest.mark.parametrize(("says", "given", "command", "role", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_about_standstill_and_failure(
    says: str, given: Callable[[], Story], command: Any, role: Role, code: str
) -> None:
    story = given()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command, role)
    assert refusal.value.code == code
    assert story.state == before


@pytest.mark.parametrize(
    ("minutes", "new_committee"),
    [(3 * 60 + 59, False), (4 * 60, False), (4 * 60 + 1, True)],
    ids=["3:59", "4:00", "4:01"],
)
def test_a9_an_evaluation_that_stood_still_for_more_than_four_hours_needs_a_new_committee(
    minutes: int, new_committee: bool
) -> None:
    story = Story().evaluating().do(OUTAGE, Role.OPERATOR)
    story.at(story.at_ms + minutes * MINUTE_MS).do(RESUME, Role.OPERATOR)
    resumed = story.events[-1]
    assert (resumed.paused_ms, resumed.new_committee) == (minutes * MINUTE_MS, new_committee)
    if new_committee:
        assert not story.state.panel.members
        assert not story.state.evaluation.started
        assert story.state.retired_members == ("E1", "E2", "E3", "E4", "E5")
        assert lot.stage(story.state) == "opened"
    else:
        assert len(story.state.panel.members) == 5
        assert lot.stage(story.state) == "evaluating"


@pytest.mark.parametrize(
    ("command", "role", "minutes", "new_committee"),
    [
        (OUTAGE, Role.OPERATOR, 2 * 60, False),
        (OUTAGE, Role.OPERATOR, 2 * 60 + 1, True),
        (ORDER, Role.SUPERVISOR, 2 * 60 + 1, False),
    ],
    ids=["a fault of two hours", "a fault of more", "an order is no fault"],
)
def test_before_the_evaluation_a_fault_of_more_than_two_hours_needs_a_new_committee(
    command: project.Suspend, role: Role, minutes: int, new_committee: bool
) -> None:
    story = Story().opened().do(command, role)
    story.at(story.at_ms + minutes * MINUTE_MS).do(RESUME, role)
    assert story.events[-1].new_committee is new_committee


def test_a_long_standstill_without_committee_or_after_the_report_changes_nobody() -> None:
    for story in (Story().taken(), Story().reported()):
        story.do(OUTAGE, Role.OPERATOR).at(story.at_ms + 24 * HOUR_MS).do(RESUME, Role.OPERATOR)
        assert not story.events[-1].new_committee


def test_a_standstill_never_lasts_less_than_nothing_even_if_the_clock_was_set_back() -> None:
    story = Story().taken().do(OUTAGE, Role.OPERATOR)
    assert story.at(story.at_ms - HOUR_MS).do(RESUME, Role.OPERATOR).events[-1].paused_ms == 0


def test_a_deadline_that_passed_in_a_suspension_is_moved_before_the_opening() -> None:
    story = (
        Story().bid().at(s.DEADLINE - 1).do(OUTAGE, Role.OPERATOR).at(s.DEADLINE + HOUR_MS).do(RESUME, Role.OPERATOR)
    )
    with pytest.raises(Refused, match="deadline-fell-in-standstill"):
        story.when(opening.StartOpening(("p-agency",)), Role.OPERATOR)


def test_a_supervisor_puts_an_order_over_an_outage_and_the_standstill_counts_from_its_beginning() -> None:
    story = Story().evaluating().do(OUTAGE, Role.OPERATOR).at("2026-03-23 17:00").do(ORDER, Role.SUPERVISOR)
    with pytest.raises(Refused, match="only-the-supervisor"):
        story.when(RESUME, Role.OPERATOR)
    story.at("2026-03-23 18:30").do(RESUME, Role.SUPERVISOR)
    assert story.events[-1] == project.Resumed("恢复", 4 * HOUR_MS + 30 * MINUTE_MS, new_committee=True)


@pytest.mark.parametrize(
    ("begins_ms", "ends_ms", "lost"),
    [
        (s.DEADLINE - 1, s.DEADLINE, True),
        (s.DEADLINE - 1, s.DEADLINE - 1, False),
        (s.DEADLINE, s.DEADLINE + 1, False),
    ],
    ids=["over the deadline", "before it", "from it on"],
)
def test_a_deadline_is_lost_when_it_falls_into_the_standstill(begins_ms: int, ends_ms: int, lost: bool) -> None:
    story = Story().bid().at(begins_ms).do(OUTAGE, Role.OPERATOR)
    assert story.state.deadline_lost is (begins_ms < s.DEADLINE)
    assert story.at(ends_ms).do(RESUME, Role.OPERATOR).state.deadline_lost is lost


def test_in_a_suspension_objections_are_heard_and_the_procedure_may_be_stopped_for_good() -> None:
    story = Story().taken().do(OUTAGE, Role.OPERATOR)
    assert story.when(s.objects("documents"), Role.BIDDER)
    story.do(s.objects("documents"), Role.BIDDER)
    assert story.when(objection.AnswerObjection(1, "答复", "replied"), Role.TENDERER)
    story.do(project.TerminateProcedure("资金", "资金取消"), Role.TENDERER)
    assert lot.blocked(story.state) == "terminated"


def test_the_four_failures_are_four_events_with_their_exception_codes() -> None:
    (failed,) = Story().bid(2).at(s.DEADLINE).when(FAILED, Role.OPERATOR)
    (scrapped,) = _rejected(3).when(project.ScrapProcedure("all-rejected", "全部否决"), Role.EXPERT)
    (terminated,) = Story().taken().when(project.TerminateProcedure("资金", "资金取消"), Role.TENDERER)
    rejected = evaluation.BidRejected(REFS[0], "zbt51-3", "资质不足", ("E1",))
    assert failed == project.RoundFailed("too-few-bidders", 2, 1, "投标人不足三个")
    assert (scrapped.exception_type, terminated.exception_type) == (9, 2)
    assert len({type(event) for event in (failed, scrapped, terminated, rejected)}) == 4


@pytest.mark.parametrize("count", [0, 1, 2])
def test_a2_an_opening_with_fewer_than_three_bids_opens_nothing(count: int) -> None:
    story = Story().bid(count).at(s.DEADLINE).do(opening.StartOpening(("p-agency",)), Role.OPERATOR)
    assert (story.events[-1].bidders, story.events[-1].exception_type) == (count, 1)
    assert not story.state.opening.started
    with pytest.raises(Refused, match="procedure-over"):
        story.when(opening.StartOpening(("p-agency",)), Role.OPERATOR)


def test_a_scrapped_procedure_begins_anew_or_is_archived() -> None:
    story = _rejected(3).do(project.ScrapProcedure("all-rejected", "全部否决"), Role.EXPERT)
    assert lot.blocked(story.state) == "scrapped"
    assert story.when(award.ArchiveLot(D32), Role.OPERATOR)
    story.do(project.StartRetender("重新招标"))
    assert (lot.blocked(story.state), story.state.round_no) == ("", 2)


def test_two_bids_left_may_be_too_little_competition() -> None:
    assert _rejected(1).when(project.ScrapProcedure("no-competition", "缺乏竞争"), Role.EXPERT)


def test_an_unlawful_procedure_is_scrapped_with_bids_standing() -> None:
    assert _rejected(0).when(project.ScrapProcedure("unlawful", "串通投标"), Role.TENDERER)


def test_a_new_round_begins_anew_with_the_same_identifiers() -> None:
    story = Story().bid(2).at(s.DEADLINE).do(FAILED, Role.OPERATOR)
    registered = story.state.project.lot
    story.do(project.StartRetender("第二次招标"))
    assert (story.state.round_no, story.state.project.lot, lot.blocked(story.state)) == (2, registered, "")
    assert not story.state.bidding.bids
    assert not story.state.notice.participants
    assert lot.stage(story.state) == "filed"
    assert story.when(s.DOCUMENTS)


def test_a_later_round_may_need_fewer_bidders_where_the_profile_says_so() -> None:
    fewer = replace(
        s.WORKS,
        rules={
            **s.WORKS.rules,
            "second-round-min-bidders": Rule("second-round-min-bidders", 1, Unit.COUNT, ("CQ 20",), True),
        },
    )
    story = Story().bid(2).at(s.DEADLINE).do(FAILED, Role.OPERATOR).do(project.StartRetender("第二次招标"))
    later = ms("2026-05-20 09:30")
    story.do(replace(s.DOCUMENTS, bond=replace(s.BOND, deadline_ms=later)))
    story.do(replace(s.NOTICE, sale_to_ms=ms("2026-04-10 17:00"), deadline_ms=later))
    story.do(s.participation(REFS[0]), Role.BIDDER).do(s.bid(REFS[0]), Role.BIDDER).at(later)
    assert story.when(FAILED, Role.OPERATOR)
    with pytest.raises(Refused, match="enough-bidders: rule second-round-min-bidders"):
        lot.decide(story.state, FAILED, replace(story.asked(Role.OPERATOR), profiles=(fewer,)))
    first = Story().bid(2).at(s.DEADLINE)
    assert lot.decide(first.state, FAILED, replace(first.asked(Role.OPERATOR), profiles=(fewer,)))


def test_a_refused_award_may_lead_to_a_new_round() -> None:
    story = Story().notified().do(award.RecordWinnerRefusal("放弃中标"))
    assert story.do(project.StartRetender("重新招标")).state.round_no == 2


def test_a_command_of_another_stream_is_not_offered() -> None:
    with pytest.raises(NotOffered):
        Story().registered().when(object())
