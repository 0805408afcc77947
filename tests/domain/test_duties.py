"""Separation of duties: one table, one person in one role, a technician in none."""

from dataclasses import replace
from typing import Any

import pytest

from node.domain import award, bidding, custody, evaluation, lot, panel, project, sheet, wire
from node.domain.duties import DUTIES, allow
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, REFS, Story

ALL_COMMANDS = {command for _, module in wire._MODULES for command in module.COMMANDS} | {*custody.TAIL_COMMANDS}


def test_every_command_has_its_row_in_the_table_and_no_row_is_of_nothing() -> None:
    assert set(DUTIES) == ALL_COMMANDS


def test_no_row_is_empty_and_the_technician_stands_in_none() -> None:
    for roles in DUTIES.values():
        assert roles
        assert Role.TECHNICIAN not in roles


def test_the_supervisor_only_supervises() -> None:
    may = {command for command, roles in DUTIES.items() if Role.SUPERVISOR in roles}
    assert {command.__name__ for command in may} == {
        "DecideFiling",
        "Suspend",
        "Resume",
        "RecordIncident",
        # a party to every draw, so that nobody else need be believed
        "CommitNonce",
        "RevealNonce",
        "ReleaseShare",
        "OpenEscrow",
        "CancelDraw",
        "PublishDraw",
    }


def test_the_reviewer_from_above_touches_no_lot() -> None:
    assert not [command for command in lot.COMMANDS if Role.REVIEWER in DUTIES[command]]


def test_only_experts_write_on_a_score_sheet() -> None:
    for command in sheet.COMMANDS:
        assert DUTIES[command] == {Role.EXPERT}


@pytest.mark.parametrize(
    ("command", "role"),
    [
        (s.REGISTER, Role.TECHNICIAN),
        (s.REGISTER, Role.BIDDER),
        (project.DecideFiling("no-problem", ""), Role.OPERATOR),
        (bidding.SubmitBid(REFS[0], D32, 1, "desk"), Role.SUPERVISOR),
        (evaluation.RequestClarification(REFS[0], "请说明"), Role.TENDERER),
        (award.DecideAward(REFS[0]), Role.EXPERT),
        (project.Suspend("outage", "停电"), Role.BIDDER),
        (object(), Role.OPERATOR),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,
)
def test_who_has_no_duty_is_refused(command: Any, role: Role) -> None:
    with pytest.raises(Refused) as refusal:
        allow(command, Actor("p-1", role))
    assert refusal.value.code == "role-may-not"
    assert refusal.value.value == role


def test_the_gate_of_the_lot_asks_the_table() -> None:
    with pytest.raises(Refused, match="role-may-not"):
        Story().when(s.REGISTER, Role.TECHNICIAN)


def test_one_person_acts_in_one_role_in_a_lot() -> None:
    story = Story().filed()
    supervisor = s.PEOPLE[Role.SUPERVISOR]
    with pytest.raises(Refused) as refusal:
        story.when(s.DOCUMENTS, Role.AGENCY, person=supervisor)
    assert (refusal.value.code, refusal.value.limit) == ("acts-in-another-role", "supervisor")
    assert story.when(s.DOCUMENTS, Role.AGENCY, person="p-colleague")


def test_who_acted_for_a_party_does_not_sit_as_an_expert() -> None:
    story = Story().bid()
    agency = replace(s.member("E1"), person=s.PEOPLE[Role.AGENCY])
    with pytest.raises(Refused) as refusal:
        story.when(panel.FormCommittee("designated", (agency, *s.COMMITTEE.members[1:]), "特殊项目"), Role.OPERATOR)
    assert (refusal.value.code, refusal.value.limit) == ("acts-in-another-role", "agency")


def test_who_sits_as_an_expert_acts_for_nobody() -> None:
    story = Story().bid().do(panel.FormCommittee("designated", s.COMMITTEE.members, "特殊项目"), Role.OPERATOR)
    with pytest.raises(Refused, match="acts-in-another-role"):
        story.when(project.Suspend("outage", "停电"), Role.OPERATOR, person=s.member("E1").person)


def test_a_successor_is_judged_like_a_member() -> None:
    story = Story().bid().do(panel.FormCommittee("designated", s.COMMITTEE.members, "特殊项目"), Role.OPERATOR)
    fresh = panel.ReplaceMember("E1", "absent", "未到场", s.member("E6"))
    assert story.when(fresh, Role.OPERATOR)
    bidder = replace(fresh, successor=replace(s.member("E6"), person=s.PEOPLE[Role.BIDDER]))
    with pytest.raises(Refused, match="acts-in-another-role"):
        story.when(bidder, Role.OPERATOR)


def test_the_tenderers_own_member_may_have_acted_for_the_tenderer() -> None:
    story = Story().bid().do(project.Suspend("other", "核对"), Role.TENDERER).do(project.Resume("继续"), Role.TENDERER)
    own = replace(s.member("E5", "tenderer"), person=s.PEOPLE[Role.TENDERER])
    assert story.when(panel.FormCommittee("designated", (*s.COMMITTEE.members[:4], own), "特殊项目"), Role.OPERATOR)


def test_the_one_role_holds_through_a_new_round() -> None:
    story = Story().bid(2).at(s.DEADLINE).do(project.DeclareRoundFailed("不足三家"), Role.OPERATOR)
    story.do(project.StartRetender("第二次招标"))
    with pytest.raises(Refused, match="acts-in-another-role"):
        story.when(s.DOCUMENTS, Role.AGENCY, person=s.PEOPLE[Role.BIDDER])


def test_a_seat_does_not_make_another_person() -> None:
    story = Story().registered()
    assert story.state.acted == ((s.PEOPLE[Role.AGENCY], "agency"),)
    asked = replace(story.asked(), actor=Actor(s.PEOPLE[Role.AGENCY], Role.OPERATOR, "seat-3"))
    with pytest.raises(Refused, match="acts-in-another-role"):
        lot.decide(story.state, project.Suspend("outage", "停电"), asked)
