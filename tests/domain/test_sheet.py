"""A member's sheet: own seat only, sealed until everybody has signed, final once signed (E12 to E15)."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from node.domain import incident, notice, panel, project, sheet, wire
from node.domain.refused import NotOffered, Refused
from node.domain.sheet import CheckResult, CriterionMark, SheetState
from node.domain.values import Actor, Role
from tests.domain import lot_story as s
from tests.domain.evaluation_story import (
    AGREE,
    NO_CONFLICT,
    SIGN,
    Session,
    checked,
    concluded,
    corrects,
    marked,
    marks,
    opened,
    passes,
    present,
    ranked,
    rechecked,
    rejects,
    signed,
    started,
    without_c,
)
from tests.domain.lot_story import D32, REFS

A, B, C = REFS
IN = sheet.SignIn("seat-E1")
LONG = "长" * 2_001
SEALED: dict[str, Any] = {
    "salt": D32,
    "commitment": sheet.marks_commitment(D32, A, marks(A, 3850).marks),
    "sealed": b"envelope",
}
ELSEWHERE = {"node": "b"}
STRANGER = {"actor": Actor("X-E2", Role.EXPERT)}


# sentence; given; E1's command; changes of the asking; code
REFUSED: list[tuple[str, Callable[[], Session], Any, dict[str, Any], str]] = [
    ("nobody signs another's sheet", opened, IN, STRANGER, "not-your-sheet"),
    ("a sheet is filled in where the member sits", opened, IN, ELSEWHERE, "not-your-venue"),
    (
        "a sheet of an earlier round is closed",
        opened,
        IN,
        {"stream": f"sheet/{s.REGISTER.lot_code}/0/E1"},
        "round-over",
    ),
    ("a sheet belongs to a member", opened, IN, {"stream": f"sheet/{s.REGISTER.lot_code}/1/E9"}, "not-a-member"),
    ("a sheet belongs to a lot", opened, IN, {"stream": "sheet/X/1/E1"}, "lot-not-registered"),
    ("a stream with another form is no sheet", opened, IN, {"stream": "sheet/X"}, "lot-not-registered"),
    ("another seat is refused", opened, sheet.SignIn("seat-E2"), {}, "wrong-seat"),
    (
        "a terminal that is another seat is refused",
        opened,
        IN,
        {"actor": Actor("X-E1", Role.EXPERT, "seat-E2")},
        "wrong-seat",
    ),
    ("a member signs in once", present, IN, {}, "signed-in-already"),
    ("who has not signed in declares nothing", opened, NO_CONFLICT, {}, "not-signed-in"),
    ("a member declares once", present, NO_CONFLICT, {}, "recusal-declared"),
    (
        "a conflict is explained",
        lambda: opened().act("E1", IN),
        sheet.DeclareRecusal(True, " "),
        {},
        "field-missing",
    ),
    (
        "a declaration is short",
        lambda: opened().act("E1", IN),
        sheet.DeclareRecusal(True, LONG),
        {},
        "text-too-long",
    ),
    ("who has not signed in judges nothing", opened, passes(A), {}, "not-signed-in"),
    ("who has not declared judges nothing", lambda: opened().act("E1", IN), passes(A), {}, "recusal-open"),
    (
        "who has a conflict judges nothing",
        lambda: opened().act("E1", IN, sheet.DeclareRecusal(True, "近亲属")),
        passes(A),
        {},
        "recusal-open",
    ),
    ("before the session nothing is judged", present, passes(A), {}, "evaluation-not-started"),
    ("what was not opened is not judged", started, passes("P-ZZZZ99"), {}, "unknown-bid"),
    ("every check has a result", started, replace(passes(A), results=passes(A).results[:1]), {}, "item-missing"),
    (
        "no check has two results",
        started,
        replace(passes(A), results=(*passes(A).results, CheckResult("F1", False, "x"))),
        {},
        "item-unknown",
    ),
    (
        "no check is invented",
        started,
        replace(passes(A), results=(*passes(A).results, CheckResult("Z9", True, ""))),
        {},
        "item-unknown",
    ),
    ("a check that fails has a reason", started, rejects(A, reason=" "), {}, "field-missing"),
    ("a reason is short", started, rejects(A, reason=LONG), {}, "text-too-long"),
    (
        "a checklist is what was committed to",
        started,
        replace(passes(A), salt=D32, commitment=D32, sealed=b"x"),
        {},
        "commitment-differs",
    ),
    ("a checklist without its envelope is refused", started, replace(passes(A), salt=D32), {}, "not-sealed"),
    (
        "a salt that hides nothing is refused",
        started,
        replace(passes(A), salt=b"1", sealed=b"x"),
        {},
        "digest-malformed",
    ),
    ("after the conclusion no checklist changes", concluded, rejects(A), {}, "preliminary-concluded"),
    ("before the conclusion nothing is marked", checked, marks(A, 3850), {}, "preliminary-open"),
    ("before the conclusion nothing is signed", checked, SIGN, {}, "preliminary-open"),
    ("what is out is not marked", without_c, marks(C, 3850), {}, "bid-not-evaluated"),
    ("every criterion has a mark", concluded, replace(marks(A, 1), marks=marks(A, 1).marks[:1]), {}, "item-missing"),
    (
        "no criterion has two marks",
        concluded,
        replace(marks(A, 1), marks=(*marks(A, 50).marks, CriterionMark("T1", 100))),
        {},
        "item-unknown",
    ),
    (
        "no criterion is invented",
        concluded,
        replace(marks(A, 1), marks=(*marks(A, 50).marks, CriterionMark("Z1", 0))),
        {},
        "item-unknown",
    ),
    ("above full marks is refused", concluded, marks(A, 4050), {}, "mark-out-of-range"),
    ("below nothing is refused", concluded, marks(A, -50), {}, "mark-out-of-range"),
    ("between two steps is refused", concluded, marks(A, 3825), {}, "mark-off-step"),
    (
        "a reason for a mark is short",
        concluded,
        replace(marks(A, 50), marks=(CriterionMark("T1", 50, LONG), CriterionMark("B1", 0))),
        {},
        "text-too-long",
    ),
    (
        "marks are what was committed to",
        concluded,
        replace(marks(A, 3800), **SEALED),
        {},
        "commitment-differs",
    ),
    (
        "marks of another bid are not these",
        concluded,
        replace(marks(B, 3850), **SEALED),
        {},
        "commitment-differs",
    ),
    ("marks without their envelope are refused", concluded, replace(marks(A, 50), salt=D32), {}, "not-sealed"),
    ("a bid left unmarked stops the signature", lambda: concluded().act("E1", marks(A, 50)), SIGN, {}, "bids-unmarked"),
    ("a signature states something", marked, sheet.SignSheet(" "), {}, "field-missing"),
    ("a statement is short", marked, sheet.SignSheet(LONG), {}, "text-too-long"),
    ("a sheet is signed once", signed, SIGN, {}, "sheet-signed"),
    ("a signed member cannot change marks", signed, marks(A, 4000), {}, "sheet-signed"),
    ("after the close nobody marks", ranked, marks(A, 4000), {}, "scoring-closed"),
    ("without a recheck nobody corrects", ranked, corrects(A, "B1", 2000), {}, "no-recheck"),
    ("a recheck names the bid", rechecked, corrects(A, "B1", 2000), {}, "not-in-recheck"),
    ("a recheck names the criterion", rechecked, corrects(B, "T1", 4000), {}, "not-in-recheck"),
    ("a correction has a reason", rechecked, replace(corrects(B, "B1", 2000), reason=""), {}, "field-missing"),
    ("a correction's reason is short", rechecked, replace(corrects(B, "B1", 2000), reason=LONG), {}, "text-too-long"),
    ("a correction corrects something", rechecked, replace(corrects(B, "B1", 2000), marks=()), {}, "item-missing"),
    (
        "a correction has one mark for an item",
        rechecked,
        replace(corrects(B, "B1", 2000), marks=(CriterionMark("B1", 1000), CriterionMark("B1", 2000))),
        {},
        "stands-twice",
    ),
    ("a correction keeps the range", rechecked, corrects(B, "B1", 3500), {}, "mark-out-of-range"),
    ("a correction keeps the step", rechecked, corrects(B, "B1", 1), {}, "mark-off-step"),
    ("before the ranking nobody signs the report", signed, AGREE, {}, "not-ranked"),
    ("a word on the report is one of three", ranked, replace(AGREE, word="maybe"), {}, "word-unknown"),
    ("who dissents says why", ranked, replace(AGREE, word="dissent"), {}, "field-missing"),
    ("a dissent is short", ranked, replace(AGREE, word="dissent", text=LONG), {}, "text-too-long"),
    ("a report is named by its digest", ranked, replace(AGREE, report_sha256=b"x"), {}, "digest-malformed"),
    ("a member has one word on a report", lambda: ranked().act("E1", AGREE), AGREE, {}, "report-signed"),
    (
        "after the report is complete nobody signs it",
        lambda: (session := ranked().everybody(AGREE)).operator(session.completing()),
        replace(AGREE, report_sha256=D32),
        {},
        "report-complete",
    ),
    (
        "while the procedure stands still nothing is judged",
        lambda: started().operator(project.Suspend("outage", "停电")),
        passes(A),
        {},
        "suspended",
    ),
    (
        "when the procedure is over nothing is judged",
        lambda: started().given(project.ProcedureTerminated("资金", "取消", 2)),
        passes(A),
        {},
        "procedure-over",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_at_a_sheet(row: Any) -> None:
    _, given, command, changes, code = row
    session = given()
    before = session.sheet("E1")
    # What a row leaves unsealed on purpose stays so.
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E1", command if getattr(command, "salt", b"") else session.seal(command), **changes)
    assert refusal.value.code == code
    assert refusal.value.rule
    assert session.sheet("E1") == before


def test_a_lot_with_an_event_of_a_later_version_lets_nobody_judge() -> None:
    session = started()
    session.others[f"lot/{session.state.lot_code}"] = object()
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E1", session.seal(passes(A)))
    assert refusal.value.code == "unknown-event"


def test_before_the_opening_record_is_final_nobody_declares() -> None:
    """Who bids is known only then."""
    session = Session()
    session.bid().given(s.COMMITTEE)
    session.act("E1", IN)
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E1", NO_CONFLICT)
    assert (refusal.value.code, refusal.value.cites) == ("opening-not-confirmed", ("ZBT 46",))


def test_a_member_may_change_his_mind_until_he_signs_and_every_change_is_a_revision() -> None:
    session = marked().act("E1", marks(A, 4000), marks(A, 0))
    assert [event.revision for no, event in session.log if no == "E1" and getattr(event, "ref", "") == A][-3:] == [
        1,
        2,
        3,
    ]
    found = session.sheet("E1").marked(A)
    assert found is not None
    assert (found.revision, found.commitment) == (3, session.log[-1][1].commitment)
    assert session.act("E1", SIGN).sheet("E1").signed_refs == (B, C, A)


def test_a_checklist_may_change_until_the_conclusion() -> None:
    session = checked().act("E1", rejects(A))
    found = session.sheet("E1").checklist(A)
    assert found is not None
    assert found.revision == 2


def test_nothing_on_a_sheet_says_in_the_clear_what_was_judged() -> None:
    session = signed()
    for stream, event in session.log:
        if stream != "lot":
            assert not any(isinstance(value, tuple) for value in vars_of(event))


def vars_of(event: Any) -> list[Any]:
    return [getattr(event, name) for name in event.__slots__]


def test_a_recheck_opens_the_sheet_for_what_it_names_until_it_is_signed_anew() -> None:
    session = rechecked().act("E5", corrects(B, "B1", 1500))
    assert not session.sheet("E5").signed
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E5", session.seal(marks(B, 4000)))
    assert refusal.value.code == "scoring-closed"
    session.act("E5", SIGN)
    found = session.sheet("E5")
    assert (found.signed, found.signed_revisions, len(found.corrections)) == (True, 2, 1)


def test_a_member_may_speak_again_on_a_report_that_is_another_one() -> None:
    session = ranked().act("E1", AGREE, sheet.SignReport(D32, "dissent", "技术分偏高"))
    found = session.sheet("E1")
    assert (found.report_sha256, found.report_word, found.report_text) == (D32, "dissent", "技术分偏高")


def test_silence_is_a_word_and_needs_none() -> None:
    assert ranked().act("E1", replace(AGREE, word="silent")).sheet("E1").report_word == "silent"


def test_documents_without_criteria_have_nothing_to_mark_and_are_signed_all_the_same() -> None:
    session = concluded(opened(scheme=LOWEST))
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E1", session.seal(sheet.SubmitMarks(A, ())))
    assert (refusal.value.code, refusal.value.cites) == ("nothing-to-mark", ("ZBT 49",))
    assert session.everybody(SIGN).sheet("E3").signed


LOWEST = replace(
    s.SCHEME, criteria=(), price=notice.PriceMethod("lowest-evaluated", ""), aggregation="mean", trim_from=0
)


def test_a_sheet_without_documents_has_nothing_to_mark() -> None:
    """Not reachable by commands; a lot of an import has none."""
    session = opened()
    bare = replace(session.state, notice=replace(session.state.notice, documents=None))
    assert sheet.unmarked_of(bare, SheetState()) == ()


def test_a_sheet_does_not_know_other_streams_commands_and_events() -> None:
    session = present()
    with pytest.raises(NotOffered):
        session.at_sheet("E1", panel.ElectChair("E1"))
    before = session.sheet("E1")
    after = sheet.evolve(before, incident.IncidentClosed(1, "", 0), session.records[-1], session.stream("E1"))
    assert replace(after, head=before.head) == before


@pytest.mark.parametrize("at", range(4))
def test_a_commitment_binds_salt_bid_item_and_word(at: int) -> None:
    changed = [
        sheet.marks_commitment(b"\x02" * 32, A, marks(A, 50).marks),
        sheet.marks_commitment(D32, B, marks(A, 50).marks),
        sheet.marks_commitment(D32, A, marks(A, 100).marks),
        sheet.checklist_commitment(D32, A, ()),
    ]
    assert sheet.marks_commitment(D32, A, marks(A, 50).marks) != changed[at]


@settings(max_examples=30, stateful_step_count=25, deadline=None)
class SheetMachine(RuleBasedStateMachine):
    """One member at his sheet while the lot goes on: whatever he tries, what he signed stays."""

    def __init__(self) -> None:
        super().__init__()
        self.session = checked()
        self.covered: dict[str, bytes] = {}  # bid: commitment under the signature

    @rule(
        command=st.builds(
            marks, st.sampled_from(REFS), st.integers(-1, 81).map(lambda n: n * 50), st.sampled_from((1500, 2000))
        )
    )
    def he_marks(self, command: Any) -> None:
        self.ask(command)

    @rule(command=st.builds(rejects, st.sampled_from((*REFS, "P-ZZZZ99")), st.sampled_from(("F1", "Q1", "Z1"))))
    def he_checks(self, command: Any) -> None:
        self.ask(command)

    @rule(
        command=st.one_of(
            st.sampled_from((SIGN, IN, NO_CONFLICT, sheet.DeclareRecusal(True, "x"), AGREE)),
            st.builds(corrects, st.sampled_from(REFS), st.sampled_from(("T1", "B1")), st.sampled_from((0, 1500, 9000))),
        )
    )
    def he_asks(self, command: Any) -> None:
        self.ask(command)

    @rule()
    def it_is_concluded(self) -> None:
        if not self.session.state.evaluation.concluded:
            self.session.operator(self.session.concluding())

    @rule()
    def the_others_sign_and_it_is_closed(self) -> None:
        session = self.session
        if not session.state.evaluation.concluded or session.state.evaluation.closed:
            return
        if not session.sheet("E1").signed or session.state.project.ended:
            return
        for no in session.sitting[1:]:
            session.act(no, *(marks(ref, 3000) for ref in session.state.standing_refs), SIGN)
        session.operator(session.closing())

    def ask(self, command: Any) -> None:
        session, before = self.session, self.session.sheet("E1")
        sealed = session.seal(command)
        try:
            events = session.at_sheet("E1", sealed)
        except Refused:
            assert session.sheet("E1") == before
            return
        for event in events:
            name, version, fields = wire.encode(event)
            assert wire.decode(name, version, fields) == event
            assert not isinstance(event, sheet.MarksCorrected) or session.state.evaluation.closed
        session.act("E1", sealed)
        after = session.sheet("E1")
        if after.signed and not before.signed:
            self.covered = {one.ref: one.commitment for one in after.marks}

    @invariant()
    def what_was_signed_stays(self) -> None:
        found = {one.ref: one.commitment for one in self.session.sheet("E1").marks}
        assert self.covered.items() <= found.items()


TestSheetMachine = SheetMachine.TestCase
