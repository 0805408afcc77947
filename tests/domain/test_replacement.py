"""What a replacement undoes and what it leaves (A-5): ZBT 48, the replaced member's conclusions are void, the substitute re-evaluates."""

import pytest

from node.domain import evaluation, lot, panel
from node.domain.bond import BondFacts
from node.domain.refused import Refused
from node.domain.values import Role
from tests.domain.evaluation_story import (
    SIGN,
    TECHNICAL,
    checked,
    concluded,
    events_of,
    marked,
    marks,
    opened,
    passes,
    rejected,
    rejects,
    replaces,
    seated,
    without_c,
)
from tests.domain.lot_story import REFS

A, B, C = REFS


def test_before_the_conclusion_only_the_sitting_members_checklists_count() -> None:
    session = checked()
    for no in ("E3", "E4", "E5"):
        session.act(no, rejects(C))
    seated(session.operator(replaces("E5", "F1")), "F1").act("F1", *(passes(ref) for ref in REFS))
    session.operator(session.concluding())
    assert rejected(session) == {}
    event = events_of(session, evaluation.PreliminaryConcluded)[0]
    assert {one.member for one in event.opened} == {"E1", "E2", "E3", "E4", "F1"}
    assert not events_of(session, evaluation.PreliminaryReopened)


def test_a_replacement_after_the_conclusion_reopens_it_and_voids_what_was_voted() -> None:
    """ZBT 48: the replaced member's conclusions are void, the substitute evaluates anew."""
    low = BondFacts(B, "transfer", 1, 0, 0, "too-low")
    session = checked(opened(bonds=(low,)))
    for no in ("E1", "E2", "E3"):
        session.act(no, rejects(C))
    session.operator(session.concluding())
    assert rejected(session) == {B: ("zbt51-6", ()), C: ("zbt51-3", ("E1", "E2", "E3"))}
    session.operator(replaces("E3", "F1"))
    assert session.log[-1][1] == evaluation.PreliminaryReopened("E3")
    state = session.state.evaluation
    assert (state.started, state.concluded, lot.stage(session.state)) == (True, False, "evaluating")
    assert rejected(session) == {B: ("zbt51-6", ())}
    assert "E3" not in {one.member for one in state.checklists}
    seated(session, "F1").act("F1", *(passes(ref) for ref in REFS))
    session.operator(session.concluding())
    assert rejected(session) == {B: ("zbt51-6", ())}
    assert session.state.standing_refs == (A, C)


def test_after_it_was_opened_a_checklist_stays_even_when_the_review_is_open_again() -> None:
    session = concluded().operator(replaces("E5", "F1"))
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E1", session.seal(rejects(A)))
    assert (refusal.value.code, refusal.value.cites) == ("checklist-is-final", ("ZBT 48",))


def test_while_the_review_is_open_again_nobody_marks_and_nobody_signs() -> None:
    session = marked().operator(replaces("E5", "F1"))
    for command in (marks(A, 4000), SIGN):
        with pytest.raises(Refused) as refusal:
            session.at_sheet("E1", session.seal(command))
        assert refusal.value.code == "preliminary-open"


def test_who_has_signed_marks_only_the_bid_that_a_new_conclusion_let_in_and_signs_again() -> None:
    session = without_c()
    for no in session.sitting:
        session.act(no, marks(A, 3000), marks(B, 3100), SIGN)
    seated(session.operator(replaces("E3", "F1")), "F1").act("F1", *(passes(ref) for ref in REFS))
    session.operator(session.concluding())
    assert session.state.standing_refs == REFS
    session.act("F1", *(marks(ref, 3000) for ref in REFS), SIGN)
    with pytest.raises(Refused) as refusal:
        session.when(session.closing(), Role.OPERATOR)
    assert refusal.value.code == "marks-missing"
    for no in ("E1", "E2", "E4", "E5"):
        with pytest.raises(Refused) as refusal:
            session.at_sheet(no, session.seal(marks(A, 4000)))
        assert refusal.value.code == "sheet-signed"
        session.act(no, marks(C, 2900))
        assert not session.sheet(no).signed
        with pytest.raises(Refused):
            session.at_sheet(no, session.seal(marks(A, 4000)))
        session.act(no, SIGN)
    assert {row.ref for row in session.operator(session.closing()).state.evaluation.ranking.rows} == set(REFS)  # type: ignore[union-attr]


def test_a_bid_that_a_new_conclusion_puts_out_is_not_ranked_though_it_was_marked() -> None:
    session = checked()
    for no in ("E1", "E2"):
        session.act(no, rejects(C))
    session.operator(session.concluding())
    for no in session.sitting:
        session.act(no, *(marks(ref, 3000) for ref in REFS), SIGN)
    seated(session.operator(replaces("E5", "F1")), "F1").act("F1", passes(A), passes(B), rejects(C))
    session.operator(session.concluding()).act("F1", marks(A, 3000), marks(B, 3000), SIGN)
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert [row.ref for row in ranking.rows] == [A, B]
    assert {one.ref for one in session.state.evaluation.opened} == {A, B}


def test_a_replaced_member_s_marks_never_count() -> None:
    """A-5: E5 gave bid C everything and the others nothing; with the successor it is as if he had never sat."""
    session = concluded()
    for no in session.sitting:
        session.act(no, *(marks(ref, TECHNICAL[no]) for ref in REFS), SIGN)
    session.operator(replaces("E5", "F1"))
    seated(session, "F1").act("F1", *(passes(ref) for ref in REFS))
    session.operator(session.concluding())
    session.act("F1", *(marks(ref, 0) for ref in REFS), SIGN)
    session.operator(session.closing())
    counted = events_of(session, evaluation.ScoringClosed)[0]
    assert {one.member for one in counted.opened} == {"E1", "E2", "E3", "E4", "F1"}
    assert all("/E5" not in head.stream for head in counted.heads)
    first = session.state.evaluation.ranking
    assert first is not None
    # 38.50 36.00 39.50 35.50 and the successor's 0: without highest and lowest (38.50 + 36.00 + 35.50) / 3
    assert first.rows[0].group_scores == (("technical", "36.67"), ("business", "15.00"))


def test_a_chair_who_left_is_followed_by_another_before_the_review_is_concluded_again() -> None:
    session = concluded().operator(replaces("E1", "F1"))
    seated(session, "F1").act("F1", *(passes(ref) for ref in REFS))
    with pytest.raises(Refused) as refusal:
        session.when(session.concluding(), Role.OPERATOR)
    assert refusal.value.code == "no-chair"
    assert session.operator(panel.ElectChair("F1")).operator(session.concluding()).state.evaluation.concluded
