"""E10: who may sit, who leads, who leaves (A-4, A-5). ZB 37, ZBT 46 to 48."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import award, evaluation, panel, project, sheet
from node.domain.panel import FormCommittee, Member
from node.domain.refused import NotOffered, Refused
from node.domain.values import Role
from tests.domain import evaluation_story as e
from tests.domain import lot_story as s
from tests.domain.evaluation_story import Session, opened, present, replaces
from tests.domain.lot_story import D32, REFS, Story, member

FIVE = s.COMMITTEE.members


def form(members: tuple[Member, ...] = FIVE, how: str = "designated", reason: str = "特殊项目") -> FormCommittee:
    return FormCommittee(how, members, reason)


def of(experts: int, tenderers: int) -> tuple[Member, ...]:
    return (
        *(member(f"E{n}") for n in range(1, experts + 1)),
        *(member(f"T{n}", "tenderer") for n in range(1, tenderers + 1)),
    )


def with_first(**changes: Any) -> tuple[Member, ...]:
    return (replace(FIVE[0], **changes), *FIVE[1:])


NOT_FORMED: list[tuple[str, FormCommittee, str, tuple[str, ...]]] = [
    ("A-4: five with three experts are refused", form(of(3, 2)), "too-few-experts", ("ZB 37",)),
    ("A-4: six are refused", form(of(6, 0)), "committee-even", ("ZB 37",)),
    (
        "A-4: an employee of the supervisor is refused",
        form(with_first(supervisor_staff=True)),
        "supervisor-may-not-sit",
        ("ZBT 46",),
    ),
    ("three are too few", form(of(3, 0)), "committee-too-small", ("ZB 37",)),
    ("nobody is no committee", form(()), "committee-too-small", ("ZB 37",)),
    ("of seven at least five are experts", form(of(4, 3)), "too-few-experts", ("ZB 37",)),
    ("of nine at least six are experts", form(of(5, 4)), "too-few-experts", ("ZB 37",)),
    ("a name in the clear is refused", form(with_first(sealed=b"")), "identity-not-sealed", ("ZB 37",)),
    ("a name without its commitment is refused", form(with_first(commitment=b"x")), "digest-malformed", ()),
    ("a member has a seat", form(with_first(seat="")), "field-missing", ()),
    ("a member is an expert or the tenderer's", form(with_first(kind="friend")), "word-unknown", ()),
    ("a number that would break a stream's name is refused", form(with_first(no="E/1")), "member-number-malformed", ()),
    ("a number is short", form(with_first(no="E12345678")), "member-number-malformed", ()),
    ("no two members share a number", form(with_first(no="E2")), "stands-twice", ()),
    ("no person sits twice", form(with_first(person="X-E2")), "stands-twice", ()),
    ("no two members share a seat", form(with_first(seat="seat-E2")), "stands-twice", ()),
    ("how the members were found is one of two words", form(how="asked around"), "word-unknown", ()),
    ("names entered by hand are for special projects", form(how="entered"), "word-unknown", ()),
    ("a special project says why", form(reason=" "), "designation-unreasoned", ("ZB 37", "ZBT 47")),
    ("a drawn committee has its draw", form(how="drawn"), "draw-unknown", ()),
]


@pytest.mark.parametrize("row", NOT_FORMED, ids=[row[0] for row in NOT_FORMED])
def test_committees_that_may_not_sit(row: Any) -> None:
    _, command, code, cites = row
    story = Story().bid()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command)
    assert (refusal.value.code, refusal.value.cites) == (code, cites)
    assert story.state == before


def test_a_refused_share_says_what_was_offered_and_what_the_law_asks() -> None:
    with pytest.raises(Refused) as refusal:
        Story().bid().when(form(of(3, 2)))
    assert (refusal.value.rule, refusal.value.value, refusal.value.limit) == ("committee-expert-share", "3/5", "2/3")


@pytest.mark.parametrize(("experts", "tenderers"), [(5, 0), (4, 1), (5, 2), (7, 0), (6, 3)])
def test_an_odd_number_from_five_with_two_thirds_experts_may_sit(experts: int, tenderers: int) -> None:
    story = Story().bid().do(form(of(experts, tenderers)))
    assert len(story.state.panel.members) == experts + tenderers
    assert story.state.panel.how == "designated"


def test_before_the_notice_no_committee_sits() -> None:
    with pytest.raises(Refused) as refusal:
        Story().documented().when(form())
    assert refusal.value.code == "no-notice"


def test_a_committee_is_formed_once() -> None:
    with pytest.raises(Refused) as refusal:
        Story().bid().do(form()).when(form())
    assert refusal.value.code == "committee-formed"


REFUSED: list[tuple[str, Callable[[], Story], Any, Role, str, str]] = [
    ("a chair is a member", present, panel.ElectChair("E9"), Role.OPERATOR, "", "not-a-member"),
    ("who is absent does not lead", opened, panel.ElectChair("E1"), Role.OPERATOR, "", "chair-not-ready"),
    (
        "who has not declared does not lead",
        lambda: opened().act("E1", sheet.SignIn("seat-E1")),
        panel.ElectChair("E1"),
        Role.OPERATOR,
        "",
        "chair-not-ready",
    ),
    (
        "who has a conflict does not lead",
        lambda: opened().act("E1", sheet.SignIn("seat-E1"), sheet.DeclareRecusal(True, "曾任职于投标人")),
        panel.ElectChair("E1"),
        Role.OPERATOR,
        "",
        "chair-not-ready",
    ),
    (
        "an expert of another committee elects nobody here",
        present,
        panel.ElectChair("E2"),
        Role.EXPERT,
        "X-elsewhere",
        "not-a-member",
    ),
    ("after the close nobody is elected", e.ranked, panel.ElectChair("E2"), Role.OPERATOR, "", "scoring-closed"),
    ("who does not sit is not replaced", present, replaces("E9", "F1"), Role.OPERATOR, "", "not-a-member"),
    (
        "a reason is one of four words",
        present,
        replace(replaces("E5", "F1"), reason="mood"),
        Role.OPERATOR,
        "",
        "word-unknown",
    ),
    ("a replacement is explained", present, replace(replaces("E5", "F1"), text=""), Role.OPERATOR, "", "field-missing"),
    (
        "a successor takes no sitting member's number",
        present,
        replaces("E5", "E4", person="X-new"),
        Role.OPERATOR,
        "",
        "member-number-used",
    ),
    (
        "a successor takes no number that has a void sheet",
        lambda: present().operator(replaces("E5", "F1")),
        replaces("F1", "E5", person="X-new"),
        Role.OPERATOR,
        "",
        "member-number-used",
    ),
    (
        "who leaves does not follow himself",
        present,
        replaces("E5", "F1", person="X-E5"),
        Role.OPERATOR,
        "",
        "member-left",
    ),
    (
        "who left does not come back for somebody else",
        lambda: present().operator(replaces("E5", "F1")),
        replaces("E4", "F2", person="X-E5"),
        Role.OPERATOR,
        "",
        "member-left",
    ),
    (
        "a successor keeps the share of experts",
        lambda: present().operator(replaces("E5", "F1", kind="tenderer")),
        replaces("E4", "F2", kind="tenderer"),
        Role.OPERATOR,
        "",
        "too-few-experts",
    ),
    (
        "a successor is no employee of the supervisor",
        present,
        replaces("E5", "F1", supervisor_staff=True),
        Role.OPERATOR,
        "",
        "supervisor-may-not-sit",
    ),
    (
        "during the evaluation a successor sits where the session key is",
        e.started,
        replaces("E5", "F1", venue_node="c"),
        Role.OPERATOR,
        "",
        "session-key-not-wrapped",
    ),
    (
        "once the marks are open nobody is replaced",
        e.ranked,
        replaces("E5", "F1"),
        Role.OPERATOR,
        "",
        "scoring-closed",
    ),
    (
        "once the report is complete nobody is replaced",
        lambda: Session().reported(),
        replaces("E5", "F1"),
        Role.OPERATOR,
        "",
        "report-complete",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_about_a_sitting_committee(row: Any) -> None:
    _, given, command, role, person, code = row
    session = given()
    before = session.state
    with pytest.raises(Refused) as refusal:
        session.when(command, role, person)
    assert refusal.value.code == code
    assert refusal.value.rule
    assert session.state == before


def test_before_the_session_begins_a_successor_may_sit_anywhere() -> None:
    session = present().operator(replaces("E5", "F1", venue_node="c"))
    assert session.log[-1][1] == panel.MemberReplaced(
        "E5", "recusal", "与投标人有利害关系", replace(member("F1"), venue_node="c")
    )


def test_a_successor_takes_the_place_and_the_chair_falls_with_who_held_it() -> None:
    session = present().operator(replaces("E1", "F1"))
    state = session.state.panel
    assert [one.no for one in state.members] == ["F1", "E2", "E3", "E4", "E5"]
    assert (state.chair, state.replaced, state.left) == ("", ("E1",), ("X-E1",))
    assert (state.member("E1"), state.of_person("X-E1")) == (None, None)
    session.act("F1", sheet.SignIn("seat-F1"), e.NO_CONFLICT)
    with pytest.raises(Refused) as refusal:
        session.operator(e.START)
    assert refusal.value.code == "no-chair"
    assert session.operator(panel.ElectChair("F1")).operator(e.START).state.evaluation.started


def test_another_member_replaced_leaves_the_chair() -> None:
    assert present().operator(replaces("E5", "F1")).state.panel.chair == "E1"


def test_members_elect_one_of_them() -> None:
    session = present()
    assert session.when(panel.ElectChair("E2"), Role.EXPERT, "X-E3") == (panel.ChairElected("E2"),)


def test_the_sheet_of_who_left_takes_nothing_more() -> None:
    session = present().operator(replaces("E5", "F1"))
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E5", e.passes(REFS[0]))
    assert refusal.value.code == "not-a-member"


def test_a_new_committee_takes_no_number_of_anybody_who_sat_before_in_this_round() -> None:
    """Neither of who sat at the end nor of who was replaced: their sheets exist."""
    session = e.started().operator(replaces("E5", "F1")).operator(project.Suspend("outage", "停电"))
    session.at(session.at_ms + 5 * 3_600_000)
    session.operator(project.Resume("恢复供电"))
    assert not session.state.panel.members
    for used in ("E1", "E5", "F1"):
        others = tuple(member(f"G{n}") for n in range(1, 5))
        with pytest.raises(Refused) as refusal:
            session.when(form((*others, replace(member(used), person="X-new"))))
        assert refusal.value.code == "member-number-used"
    assert session.when(form(tuple(member(f"G{n}") for n in range(1, 6))))


def test_the_committee_does_not_know_other_subjects_commands_and_events() -> None:
    session = present()
    with pytest.raises(NotOffered):
        panel.decide(session.state, award.ArchiveLot(D32), session.asked())
    event = evaluation.ClarificationAnswered(1, "")
    assert panel.evolve(session.state.panel, event, session.records[-1]) == session.state.panel


def test_a_sheet_with_an_event_of_a_later_version_is_not_believed() -> None:
    session = present()
    session.others[session.stream("E2")] = object()
    with pytest.raises(Refused) as refusal:
        session.when(panel.ElectChair("E2"), Role.OPERATOR)
    assert refusal.value.code == "unknown-event"
