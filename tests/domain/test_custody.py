"""Custody moves by two persons and a rising term; a released lot takes nothing; a tail is adopted only where it still fits."""

from dataclasses import replace
from typing import Any

import pytest

from node.domain import bidding, custody, panel, project
from node.domain.custody import AdoptEntry, DeclineEntry, Moved, RecallCustody, ReleaseCustody, TakeCustody
from node.domain.refused import Refused
from node.domain.sheet import ChecklistSubmitted, MarksSubmitted, SheetSigned
from node.domain.values import Recorded, Role
from tests.domain.lot_story import D32, REFS, Story, bid

LOT = "A5329240000000001001001"
A, B = "x.erhai/a/e1", "x.erhai/b/e1"
SECOND = "supervisor:S-1"


def take(**changes: Any) -> TakeCustody:
    base = TakeCustody(
        how="taken-over",
        from_node="a",
        to_node="b",
        moved=(Moved(f"lot/{LOT}", 1, A, 7, D32), Moved(f"sheet/{LOT}/1/E1", 1, A, -1, b"")),
        held_size=8,
        signed_size=10,
        statement="缺 2 条",
        reason="a 机断电",
        second=SECOND,
    )
    return replace(base, **changes)


def decided(story: Story, command: object, role: Role = Role.OPERATOR) -> tuple[Any, ...]:
    asked = replace(story.asked(role), node="b", origin=B)
    return custody.decide(story.state.custody, LOT, command, asked)


def test_two_persons_take_over_what_a_dead_node_owned_and_the_statement_is_on_record() -> None:
    (taken,) = decided(Story().registered(), take())
    assert (taken.statement, taken.second, taken.moved[0].term) == ("缺 2 条", SECOND, 1)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"second": ""}, "second-person-missing"),
        ({"second": "operator:p-operator"}, "second-person-missing"),
        ({"second": "technician:M-1"}, "word-unknown"),
        ({"second": "expert:X-1"}, "word-unknown"),
        ({"reason": " "}, "field-missing"),
        ({"statement": ""}, "field-missing"),
        ({"moved": ()}, "nothing-to-take"),
        ({"moved": (Moved("lot/OTHER", 1, A, 7, D32),)}, "not-this-lots-stream"),
        ({"moved": (Moved("sheet/OTHER/1/E1", 1, A, 7, D32),)}, "not-this-lots-stream"),
        ({"moved": (Moved("room/a", 1, A, 7, D32),)}, "not-this-lots-stream"),
        ({"moved": (Moved(f"lot/{LOT}", 1, B, 7, D32),)}, "not-this-lots-stream"),
        ({"moved": (Moved(f"lot/{LOT}", 0, A, 7, D32),)}, "term-not-rising"),
        ({"how": "handed-over"}, "custody-not-released"),
        ({"how": "grabbed"}, "word-unknown"),
    ],
)
def test_a_take_over_that_is_not_complete_is_refused(changes: dict[str, Any], code: str) -> None:
    with pytest.raises(Refused) as refused:
        decided(Story().registered(), take(**changes))
    assert refused.value.code == code


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.OPERATOR])
def test_only_an_operator_moves_custody(role: Role) -> None:
    for command in (take(), ReleaseCustody("b", "换机", SECOND), RecallCustody("不换")):
        with pytest.raises(Refused) as refused:
            Story().registered().when(command, role)
        assert refused.value.code == "role-may-not"


def test_a_released_lot_takes_nothing_until_it_is_recalled() -> None:
    story = Story().taken().given(custody.CustodyReleased("b", "换机", SECOND))
    with pytest.raises(Refused) as refused:
        story.when(bid(REFS[0]), Role.OPERATOR)
    assert (refused.value.code, refused.value.limit) == ("custody-released", "b")
    with pytest.raises(Refused) as again:
        story.when(ReleaseCustody("c", "换机", SECOND), Role.OPERATOR)
    assert again.value.code == "custody-released"
    recalled = story.given(*story.when(RecallCustody("对方没有接收"), Role.OPERATOR))
    (received,) = recalled.when(bid(REFS[0]), Role.OPERATOR)
    assert isinstance(received, bidding.BidReceived)


def test_what_was_not_released_cannot_be_recalled() -> None:
    with pytest.raises(Refused) as refused:
        Story().taken().when(RecallCustody("没有移交"), Role.OPERATOR)
    assert refused.value.code == "custody-not-released"


def test_a_released_lot_is_taken_by_the_node_it_was_released_to_and_by_no_other() -> None:
    story = Story().registered().given(custody.CustodyReleased("b", "换机", SECOND))
    (taken,) = decided(story, take(how="handed-over"))
    assert taken.how == "handed-over"
    other = Story().registered().given(custody.CustodyReleased("c", "换机", SECOND))
    with pytest.raises(Refused) as refused:
        decided(other, take(how="handed-over"))
    assert refused.value.code == "custody-not-released"


def test_custody_moves_while_the_lot_stands_still() -> None:
    story = Story().taken().given(project.Suspended("outage", "停电", ""))
    assert decided(story, take())[0].how == "taken-over"


def test_members_of_a_dead_node_go_on_at_the_seats_of_the_other_and_those_handed_over_stay() -> None:
    seated = panel.PanelState(
        members=tuple(
            panel.Member(no=no, kind="expert", person=no, venue_node=node, seat=no, commitment=D32, sealed=b"")
            for no, node in (("E1", "a"), ("E2", "b"), ("E3", "c"))
        )
    )
    assert [one.venue_node for one in panel.reseat(seated, "a", "b").members] == ["b", "b", "c"]
    story = Story().bid()
    story.state = replace(story.state, panel=seated)
    (handed,) = (take(how="handed-over"),)
    event = custody.CustodyTaken(*(getattr(handed, name) for name in handed.__slots__))
    assert [one.venue_node for one in story.given(event).state.panel.members] == ["a", "b", "c"]
    assert [one.venue_node for one in story.given(replace(event, how="taken-over")).state.panel.members] == [
        "b",
        "b",
        "c",
    ]
    assert (story.state.custody.term, story.state.custody.node) == (1, "b")


MARKS = MarksSubmitted(REFS[0], 2, D32, b"sealed")
OTHER = MarksSubmitted(REFS[1], 1, D32, b"sealed")
CHECKS = ChecklistSubmitted(REFS[0], 1, D32, b"sealed")
OPENED = project.Suspended("outage", "停电", "")


@pytest.mark.parametrize(
    ("events", "since", "fits"),
    [
        ((OPENED,), (), True),
        ((OPENED,), (OPENED,), False),
        ((MARKS,), (), True),
        ((MARKS,), (OTHER,), True),
        ((MARKS,), (CHECKS,), True),
        ((MARKS,), (replace(MARKS, revision=3),), False),
        ((MARKS,), (OTHER, SheetSigned("本人")), False),
        ((SheetSigned("本人"),), (OTHER,), False),
        ((OPENED,), (OTHER,), False),
    ],
)
def test_a_tail_entry_is_adopted_only_where_its_own_rules_would_still_let_it_pass(
    events: tuple[Any, ...], since: tuple[Any, ...], fits: bool
) -> None:
    command = AdoptEntry(A, 8, D32, 1_000, "operator:O-9", "核对无误", SECOND, events, since)
    asked = Story().asked(Role.OPERATOR)
    if not fits:
        with pytest.raises(Refused) as refused:
            custody.decide_tail(command, asked)
        assert refused.value.code == "stream-moved-on"
        return
    adopted, *rest = custody.decide_tail(command, asked)
    assert (adopted.origin, adopted.seq, tuple(rest)) == (A, 8, events)
    then = custody.adopted_at((adopted, *rest), Recorded(9_000, "operator:O-1", B, 3, D32))
    assert (then.at_ms, then.actor, then.origin, then.seq) == (1_000, "operator:O-9", B, 3)


@pytest.mark.parametrize("kind", [AdoptEntry, DeclineEntry])
def test_a_tail_is_decided_in_its_order_by_two_persons(kind: type) -> None:
    fields = (A, 8, D32, *((1_000, "operator:O-9") if kind is AdoptEntry else ()), "核对")
    asked = Story().asked(Role.OPERATOR)
    with pytest.raises(Refused) as early:
        custody.decide_tail(kind(*fields, SECOND, earlier_undecided=1), asked)
    assert early.value.code == "tail-in-order"
    with pytest.raises(Refused) as alone:
        custody.decide_tail(kind(*fields, ""), asked)
    assert alone.value.code == "second-person-missing"
