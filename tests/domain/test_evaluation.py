"""E12 to E15, what is refused: start, preliminary review, clarification, correction, close, recheck, report. ZBT 46 to 53."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import award, evaluation, opening, panel, preliminary, scored, sheet
from node.domain.refused import NotOffered, Refused
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.evaluation_story import (
    AGREE,
    NO_CONFLICT,
    SIGN,
    START,
    WRONG_WORDS,
    Session,
    asking,
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
    replaces,
    seated,
    signed,
    started,
    unchecked,
    without_c,
)
from tests.domain.lot_story import D32, REFS

A, B, C = REFS
ASK = evaluation.RequestClarification(A, "请说明工期安排")
ANSWER = evaluation.AnswerClarification(1, "工期 90 日历天")


def absent() -> Session:
    session = opened()
    for no in session.sitting[:-1]:
        session.act(no, sheet.SignIn(f"seat-{no}"), NO_CONFLICT)
    return session.operator(panel.ElectChair("E1"))


def undeclared() -> Session:
    return absent().act("E5", sheet.SignIn("seat-E5"))


def conflicted() -> Session:
    return undeclared().act("E5", sheet.DeclareRecusal(True, "近亲属任投标人法定代表人"))


def leaderless() -> Session:
    return seated(present().operator(replaces("E1", "F1")), "F1")


def unconfirmed() -> Session:
    session = Session()
    session.bid().at(s.DEADLINE).given(s.COMMITTEE, opening.OpeningStarted(REFS, ("p-agency",)))
    return session


def without_committee() -> Session:
    session = Session()
    session.bid().at(s.DEADLINE).given(*s.OPENED)
    return session


def nothing_opened() -> Session:
    shut = [opening.BidDecryptionFailed(ref, "bidder", "密钥不符", "revoked", s.facts(ref)) for ref in REFS]
    return present(unconfirmed().given(*shut, opening.OpeningConfirmed(0, 3, ("p-agency",))))


def chairless() -> Session:
    """E1, who led, has left; the successor has done all that he did."""
    return seated(checked().operator(replaces("E1", "F1")), "F1").act("F1", *(passes(ref) for ref in REFS))


def chairless_at_the_close() -> Session:
    session = signed()
    session.state = replace(session.state, panel=replace(session.state.panel, chair=""))
    return session


def unanswered_at_the_close() -> Session:
    session = asking(signed())
    return session.operator(session.closing())


def quiet_e5() -> Session:
    session = ranked()
    for no in session.sitting[:-1]:
        session.act(no, AGREE)
    return session


def complete() -> Session:
    session = ranked().everybody(AGREE)
    return session.operator(session.completing())


def wrong_figures_above_control() -> Session:
    """The figures are above the control price, the words are not."""
    return checked(opened(replace(WRONG_WORDS, price_fen=960_000_000, price_words="玖佰万元整")))


def half_marked() -> Session:
    """A sheet as an earlier program could have left it: signed, and one bid without marks."""
    session = signed()
    found = session.sheet("E5")
    session.sheets[session.stream("E5")] = replace(found, marks=found.marks[:2])
    return session


def oddly_marked() -> Session:
    """A sheet as no decide would make it: the commitment is right, the items are not the scheme's."""
    session = signed()
    odd = replace(session.open_marks["E5", A], marks=(sheet.CriterionMark("Z9", 50),))
    session.open_marks["E5", A] = odd
    found = session.sheet("E5")
    made = sheet.Submission(A, 1, sheet.marks_commitment(odd.salt, A, odd.marks))
    session.sheets[session.stream("E5")] = replace(found, marks=tuple(made if m.ref == A else m for m in found.marks))
    return session


# What the node fills in, out of the sheets that it holds.
CONCLUDE, CLOSE, RECHECK, REPORT = Session.concluding, Session.closing, Session.rechecking, Session.completing
Given = Callable[[], Session]

# sentence; given; command, or what makes it of the session; changes of the command; code
REFUSED: list[tuple[str, Given, Any, dict[str, Any], str]] = [
    # start
    ("an evaluation begins once", started, START, {}, "evaluation-started"),
    ("before the opening record is final none begins", unconfirmed, START, {}, "opening-not-confirmed"),
    ("where nothing was opened nothing is evaluated", nothing_opened, START, {}, "no-bid-stands"),
    ("without a committee nothing is evaluated", without_committee, START, {}, "no-committee"),
    ("all members are present", absent, START, {}, "member-absent"),
    ("all members have declared", undeclared, START, {}, "recusal-open"),
    ("who has a conflict leaves first", conflicted, START, {}, "member-must-leave"),
    ("somebody leads", leaderless, START, {}, "no-chair"),
    ("the session key is committed to", present, START, {"session_commitment": b"x"}, "digest-malformed"),
    ("every venue can open the key", present, START, {"wraps": (("b", b"w"),)}, "session-key-not-wrapped"),
    ("no venue has two keys", present, START, {"wraps": (("a", b"1"), ("a", b"2"))}, "stands-twice"),
    # preliminary review
    ("before the start nothing is concluded", present, CONCLUDE, {}, "evaluation-not-started"),
    ("a conclusion stands", concluded, CONCLUDE, {}, "preliminary-concluded"),
    ("a sheet that moved on is read again", checked, CONCLUDE, {"heads": ()}, "sheet-moved"),
    ("a checklist not yet made is missed", lambda: unchecked("E5", C), CONCLUDE, {}, "checklist-missing"),
    ("a checklist kept back is missed", checked, CONCLUDE, {"opened": ()}, "checklist-missing"),
    ("without a chair nothing is concluded", chairless, CONCLUDE, {}, "no-chair"),
    (
        "arithmetic is settled before the conclusion",
        lambda: checked(opened(WRONG_WORDS)),
        CONCLUDE,
        {},
        "correction-open",
    ),
    ("wrong figures put nobody out by their price", wrong_figures_above_control, CONCLUDE, {}, "correction-open"),
    # clarification
    ("before the start nobody asks a bidder", present, ASK, {}, "not-evaluating"),
    ("after the close nobody asks a bidder", ranked, ASK, {}, "not-evaluating"),
    ("who is out is asked nothing", without_c, ASK, {"ref": C}, "bid-not-evaluated"),
    ("a question has a text", started, ASK, {"text": " "}, "field-missing"),
    ("a question is short", started, ASK, {"text": "长" * 2_001}, "text-too-long"),
    ("what was not asked is not answered", started, ANSWER, {}, "question-unknown"),
    ("a question is answered once", lambda: asking(started()).operator(ANSWER), ANSWER, {}, "question-answered"),
    ("after the close no answer counts", unanswered_at_the_close, ANSWER, {}, "scoring-closed"),
    ("an answer has a text", lambda: asking(started()), ANSWER, {"text": ""}, "field-missing"),
    ("an answer is short", lambda: asking(started()), ANSWER, {"text": "长" * 2_001}, "text-too-long"),
    # arithmetic correction
    ("before the start no price is corrected", present, evaluation.CorrectPrice(B, True), {}, "not-evaluating"),
    ("after the close no price is corrected", ranked, evaluation.CorrectPrice(B, True), {}, "not-evaluating"),
    ("what was not opened is not corrected", started, evaluation.CorrectPrice("P-Z", True), {}, "bid-not-evaluated"),
    ("who is out is not corrected", without_c, evaluation.CorrectPrice(C, True), {}, "bid-not-evaluated"),
    ("what is right is not corrected", started, evaluation.CorrectPrice(B, True), {}, "nothing-to-correct"),
    (
        "a price is corrected once",
        lambda: started(opened(WRONG_WORDS)).operator(evaluation.CorrectPrice(B, True)),
        evaluation.CorrectPrice(B, True),
        {},
        "corrected-already",
    ),
    # close
    ("before the conclusion no scoring closes", checked, CLOSE, {}, "preliminary-open"),
    ("a scoring closes once", ranked, CLOSE, {}, "scoring-closed"),
    ("another key opens nothing", signed, CLOSE, {"session_key": b"K" * 32}, "session-key-differs"),
    ("a sheet unsigned stops the close", marked, CLOSE, {}, "sheets-unsigned"),
    ("a sheet that moved on stops the close", signed, CLOSE, {"heads": ()}, "sheet-moved"),
    ("marks kept back are missed", signed, CLOSE, {"opened": ()}, "marks-missing"),
    ("a signature over too little closes nothing", half_marked, CLOSE, {}, "marks-missing"),
    ("marks of items that the documents do not name stop the close", oddly_marked, CLOSE, {}, "item-unknown"),
    ("without a chair no scoring closes", chairless_at_the_close, CLOSE, {}, "no-chair"),
    # recheck
    ("without a recheck none is closed", ranked, RECHECK, {}, "no-recheck"),
    ("a recheck that nobody answered stays open", rechecked, RECHECK, {}, "nothing-corrected"),
    (
        "a corrected sheet is signed anew",
        lambda: rechecked().act("E5", corrects(B, "B1", 1500)),
        RECHECK,
        {},
        "sheets-unsigned",
    ),
    (
        "a corrected sheet that moved on is read again",
        lambda: rechecked().act("E5", corrects(B, "B1", 1500), SIGN),
        RECHECK,
        {"heads": ()},
        "sheet-moved",
    ),
    # report
    ("before the ranking no report is complete", signed, REPORT, {}, "not-ranked"),
    ("while a recheck is open no report is complete", rechecked, REPORT, {}, "not-ranked"),
    (
        "a report is named by its digest",
        lambda: ranked().everybody(AGREE),
        REPORT,
        {"report_sha256": b"x"},
        "digest-malformed",
    ),
    ("every member says his word", quiet_e5, REPORT, {}, "word-missing"),
    ("a word is on this report", lambda: ranked().everybody(AGREE), REPORT, {"report_sha256": D32}, "another-report"),
    ("no word is put into a mouth", lambda: ranked().everybody(AGREE), REPORT, {"words": ()}, "word-differs"),
    ("a sheet that moved on stops the report", lambda: ranked().everybody(AGREE), REPORT, {"heads": ()}, "sheet-moved"),
    ("a report is complete once", complete, REPORT, {}, "report-complete"),
    (
        "silence is recorded with its circumstances",
        quiet_e5,
        lambda session: session.completing(("E5", "silent", " ")),
        {},
        "word-missing",
    ),
    (
        "nobody agrees by another's mouth",
        quiet_e5,
        lambda session: session.completing(("E5", "agree", "电话同意")),
        {},
        "word-missing",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_in_the_evaluation(row: Any) -> None:
    _, given, made, changes, code = row
    session = given()
    command = replace(made(session) if callable(made) else made, **changes)
    before, sheets = session.state, dict(session.sheets)
    who = (Role.EXPERT, "X-E2") if isinstance(command, evaluation.RequestClarification) else (Role.OPERATOR, "")
    with pytest.raises(Refused) as refusal:
        session.when(command, *who)
    assert refusal.value.code == code
    assert refusal.value.rule
    assert (session.state, session.sheets) == (before, sheets)


@pytest.mark.parametrize(
    ("given", "made"),
    [
        (checked, CONCLUDE),
        (started, ASK),
        (lambda: started(opened(WRONG_WORDS)), evaluation.CorrectPrice(B, True)),
        (signed, CLOSE),
        (lambda: rechecked().act("E5", corrects(B, "B1", 1500), SIGN), RECHECK),
        (lambda: ranked().everybody(AGREE), REPORT),
    ],
    ids=["conclude", "ask", "correct", "close", "close the recheck", "complete"],
)
def test_an_expert_of_another_committee_does_nothing_here_and_a_member_may(given: Given, made: Any) -> None:
    session = given()
    command = made(session) if callable(made) else made
    with pytest.raises(Refused) as refusal:
        session.when(command, Role.EXPERT, "X-elsewhere")
    assert refusal.value.code == "not-a-member"
    assert session.when(command, Role.EXPERT, "X-E2")


def test_a_checklist_that_is_not_what_was_committed_to_is_found() -> None:
    session = checked()
    command = session.concluding()
    forged = replace(command.opened[0], results=(sheet.CheckResult("F1", False, "伪造"), command.opened[0].results[1]))
    with pytest.raises(Refused) as refusal:
        session.when(replace(command, opened=(forged, *command.opened[1:])), Role.OPERATOR)
    assert (refusal.value.code, refusal.value.value) == ("commitment-differs", f"E1 {A}")


def test_marks_that_are_not_what_was_committed_to_are_found() -> None:
    session = signed()
    command = session.closing()
    forged = replace(command.opened[0], marks=marks(A, 4000).marks)
    with pytest.raises(Refused) as refusal:
        session.when(replace(command, opened=(forged, *command.opened[1:])), Role.OPERATOR)
    assert (refusal.value.code, refusal.value.value) == ("commitment-differs", f"E1 {A}")


@pytest.mark.parametrize(("given", "made"), [(checked, CONCLUDE), (signed, CLOSE)], ids=["conclusion", "close"])
def test_a_sheet_that_has_not_arrived_here_stops_the_lot(given: Given, made: Any) -> None:
    session = given()
    command = made(session)
    del session.sheets[session.stream("E4")]
    with pytest.raises(Refused) as refusal:
        session.when(command, Role.OPERATOR)
    assert (refusal.value.code, refusal.value.value) == ("sheet-not-here", "E4")


def test_a_head_of_nobodys_sheet_is_refused() -> None:
    session = checked()
    command = session.concluding()
    with pytest.raises(Refused) as refusal:
        session.when(
            replace(command, heads=(*command.heads, replace(command.heads[0], stream="sheet/x"))), Role.OPERATOR
        )
    assert refusal.value.code == "sheet-unknown"


def test_a_lot_without_documents_ranks_and_rejects_nothing() -> None:
    """Not reachable by commands; said, so that it never becomes a silent zero."""
    session = checked()
    bare = replace(session.state, notice=replace(session.state.notice, documents=None))
    with pytest.raises(Refused) as refusal:
        preliminary.conclude(bare, session.concluding(), session.asked(Role.OPERATOR))
    assert refusal.value.code == "unknown-bid"
    with pytest.raises(Refused) as refusal:
        scored.ranking(bare, {})
    assert refusal.value.code == "no-documents"
    unopened = replace(session.state, opening=replace(session.state.opening, opened=()))
    assert preliminary.corrected_price(unopened, A) is None
    with pytest.raises(Refused) as refusal:
        scored.price_fen(unopened, A)
    assert refusal.value.code == "unknown-bid"


def test_the_evaluation_does_not_know_other_subjects_commands_and_events() -> None:
    session = present()
    with pytest.raises(NotOffered):
        evaluation.decide(session.state, award.ArchiveLot(D32), session.asked())
    event = award.LotArchived(D32, 0)
    assert evaluation.evolve(session.state.evaluation, event, session.records[-1]) == session.state.evaluation
