"""The evaluation's course: who is out and why, what a recheck mends, what is ranked (M4)."""

from dataclasses import replace
from typing import Any

import pytest

from node.domain import evaluation, lot, notice, project, sheet
from node.domain.bond import BondFacts
from node.domain.refused import Refused
from node.domain.sheet import CriterionMark
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.evaluation_story import (
    AGREE,
    DIGEST,
    KEY,
    SIGN,
    TECHNICAL,
    WRONG_WORDS,
    Session,
    asking,
    checked,
    concluded,
    corrects,
    events_of,
    marked,
    marks,
    opened,
    passes,
    ranked,
    rechecked,
    rejected,
    rejects,
    replaces,
    seated,
    signed,
    started,
    without_c,
)
from tests.domain.lot_story import REFS

A, B, C = REFS
LOWEST = replace(
    s.SCHEME, criteria=(), price=notice.PriceMethod("lowest-evaluated", ""), aggregation="mean", trim_from=0
)
ABOVE = replace(s.content(C, s.PRICES[C]), price_words="壹仟万元整")


# Preliminary review.


def test_when_every_bid_passes_every_bid_goes_on() -> None:
    session = concluded()
    assert events_of(session, evaluation.PreliminaryConcluded)[0].accepted == REFS
    assert (rejected(session), session.state.standing_refs, lot.stage(session.state)) == ({}, REFS, "preliminary")


@pytest.mark.parametrize(("against", "out"), [((), False), (("E1", "E2"), False), (("E1", "E3", "E5"), True)])
def test_more_than_half_of_the_members_reject(against: tuple[str, ...], out: bool) -> None:
    session = checked()
    for no in against:
        session.act(no, rejects(B, "F1", f"{no} 认为未盖章"))
    session.operator(session.concluding())
    assert rejected(session) == ({B: ("zbt51-1", against)} if out else {})
    if out:
        reason = session.state.evaluation.rejections[0].reason
        assert reason == "签字盖章：E1 认为未盖章；E3 认为未盖章；E5 认为未盖章"
        assert events_of(session, evaluation.PreliminaryConcluded)[0].accepted == (A, C)


def test_two_against_one_check_and_two_against_another_reject_nothing() -> None:
    session = checked()
    for no, check in (("E1", "F1"), ("E2", "F1"), ("E3", "Q1"), ("E4", "Q1")):
        session.act(no, rejects(B, check))
    session.operator(session.concluding())
    assert rejected(session) == {}


def test_a_reason_that_three_give_stands_once() -> None:
    assert without_c().state.evaluation.rejections[0].reason == "资质：资质过期"


@pytest.mark.parametrize(
    ("change", "ground"),
    [
        ({"content": replace(s.content(C, 950_000_001))}, "zbt51-5"),
        ({"content": replace(s.content(C, 0))}, "zbt51-6"),
        ({"content": replace(s.content(C, -1))}, "zbt51-6"),
        ({"bond": BondFacts(C, "transfer", 1, 0, 0, "too-low")}, "zbt51-6"),
    ],
    ids=["above the control price", "no price", "a price below nothing", "a bond too low"],
)
def test_price_and_bond_put_a_bid_out_with_no_member_s_name_under_it(change: dict[str, Any], ground: str) -> None:
    contents = [change["content"]] if "content" in change else []
    session = concluded(opened(*contents, bonds=[change["bond"]] if "bond" in change else []))
    assert rejected(session) == {C: (ground, ())}


def test_a_price_at_the_control_price_and_any_price_without_one_go_on() -> None:
    assert rejected(concluded(opened(s.content(C, 950_000_000)))) == {}
    assert rejected(concluded(opened(s.content(C, 990_000_000), control_price_fen=0))) == {}


def test_when_every_bid_is_out_the_procedure_is_scrapped() -> None:
    """ZB 42."""
    session = checked()
    for no in session.sitting:
        session.act(no, *(rejects(ref) for ref in REFS))
    session.operator(session.concluding())
    assert session.log[-1][1] == project.ProcedureScrapped("all-rejected", "评标委员会否决所有投标", 9)
    assert lot.blocked(session.state) == "scrapped"


def test_a_conclusion_holds_the_checklists_that_counted_in_the_clear() -> None:
    session = concluded()
    event = events_of(session, evaluation.PreliminaryConcluded)[0]
    assert [(one.member, one.ref) for one in event.opened] == [(no, ref) for no in session.sitting for ref in REFS]
    assert event.heads == session.heads


# Arithmetic.


def test_a_corrected_price_that_the_bidder_accepts_is_the_price_from_then_on() -> None:
    session = started(opened(WRONG_WORDS)).operator(evaluation.CorrectPrice(B, True))
    assert session.log[-1][1] == evaluation.PriceCorrected(B, 910_000_000, 920_000_000, "words-win")
    for no in session.sitting:
        session.act(no, *(passes(ref) for ref in REFS))
    session.operator(session.concluding())
    for no in session.sitting:
        session.act(no, *(marks(ref, TECHNICAL[no]) for ref in REFS), SIGN)
    session.operator(session.closing())
    assert session.state.evaluation.price_fen(B) == 920_000_000
    assert session.state.evaluation.price_fen("P-ZZZZ99") == 0


def test_a_bidder_who_refuses_the_correction_is_out() -> None:
    session = started(opened(WRONG_WORDS)).operator(evaluation.CorrectPrice(B, False))
    assert rejected(session) == {B: ("zbt51-6", ())}
    for no in session.sitting:
        session.act(no, *(passes(ref) for ref in REFS))
    assert session.operator(session.concluding()).state.standing_refs == (A, C)
    assert len(session.state.evaluation.rejections) == 1


def test_a_correction_above_the_control_price_is_on_record_and_puts_the_bid_out() -> None:
    session = started(opened(ABOVE)).operator(evaluation.CorrectPrice(C, True))
    assert [type(event).__name__ for _, event in session.log[-2:]] == ["PriceCorrected", "BidRejected"]
    assert rejected(session) == {C: ("zbt51-5", ())}


def test_a_correction_may_bring_a_bid_back_under_the_control_price() -> None:
    session = started(opened(replace(WRONG_WORDS, price_fen=960_000_000, price_words="玖佰万元整")))
    session.operator(evaluation.CorrectPrice(B, True)).everybody(*(passes(ref) for ref in REFS))
    assert rejected(session.operator(session.concluding())) == {}


def test_words_that_nobody_can_read_are_the_committee_s_matter_not_arithmetic_s() -> None:
    session = checked(opened(replace(WRONG_WORDS, price_words="约玖佰万")))
    with pytest.raises(Refused) as refusal:
        session.when(evaluation.CorrectPrice(B, True), Role.OPERATOR)
    assert refusal.value.facts[0] == ("field", "price_words")
    assert session.operator(session.concluding()).state.standing_refs == REFS


def test_a_bid_that_members_put_out_needs_no_correction() -> None:
    session = checked(opened(WRONG_WORDS))
    for no in ("E1", "E2", "E3"):
        session.act(no, rejects(B))
    session.operator(session.concluding())
    assert rejected(session) == {B: ("zbt51-3", ("E1", "E2", "E3"))}


def test_with_the_last_bid_that_stands_the_procedure_falls() -> None:
    wrong = [replace(s.content(ref, s.PRICES[ref]), price_words="玖佰肆拾万元整") for ref in REFS]
    session = started(opened(*wrong))
    for ref in (A, B):
        session.operator(evaluation.CorrectPrice(ref, False))
    assert not session.state.project.ended
    session.operator(evaluation.CorrectPrice(C, False))
    assert lot.blocked(session.state) == "scrapped"


# Clarification.


def test_a_question_and_its_answer_are_on_record_and_change_nothing_of_the_bid() -> None:
    """ZBT 52."""
    session = asking(started()).operator(evaluation.AnswerClarification(1, "工期 90 日历天"))
    state = session.state.evaluation
    assert state.questions == (evaluation.ClarificationRequested(1, A, "请说明工期安排"),)
    assert state.answers == (evaluation.ClarificationAnswered(1, "工期 90 日历天"),)
    assert session.state.opening.content(A) == s.content(A, s.PRICES[A])


def test_a_question_may_be_asked_until_the_close_and_needs_no_answer_to_close() -> None:
    session = asking(signed())
    assert session.operator(session.closing()).state.evaluation.ranked


# Close, recheck, ranking.


def test_at_the_close_the_key_leaves_and_the_marks_are_open() -> None:
    session = ranked()
    closed = events_of(session, evaluation.ScoringClosed)[0]
    assert (closed.session_key, closed.heads, len(closed.opened)) == (KEY, session.heads, 15)
    assert (session.state.evaluation.closed, lot.stage(session.state)) == (True, "detailed")


def test_the_ranking_is_the_vector_of_the_sheet() -> None:
    """M4: 38.50 36.00 39.50 35.50 37.00 trimmed is 37.17 (111.50 / 3); prices 9.0, 9.1, 9.2 million at 30 points."""
    ranking = ranked().state.evaluation.ranking
    assert ranking is not None
    assert ranking.rows == (
        evaluation.RankRow(
            A,
            900_000_000,
            "9000000.00",
            "30.00",
            "30/1",
            (("technical", "37.17"), ("business", "15.00")),
            "82.17",
            1,
            False,
        ),
        evaluation.RankRow(
            B,
            910_000_000,
            "9100000.00",
            "29.67",
            "2700/91",
            (("technical", "37.17"), ("business", "15.00")),
            "81.84",
            2,
            False,
        ),
        evaluation.RankRow(
            C,
            920_000_000,
            "9200000.00",
            "29.35",
            "675/23",
            (("technical", "37.17"), ("business", "15.00")),
            "81.52",
            3,
            False,
        ),
    )
    assert (ranking.candidates, ranking.benchmark) == (REFS, "")


def test_the_documents_say_how_many_candidates_there_are() -> None:
    session = signed(opened(scheme=replace(s.SCHEME, candidates=1)))
    session.operator(session.closing())
    assert session.state.evaluation.candidates == (A,)
    assert evaluation.EvaluationState().candidates == ()


def test_the_mean_of_all_counts_where_the_documents_do_not_trim() -> None:
    session = signed(opened(scheme=replace(s.SCHEME, aggregation="mean", trim_from=0)))
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert ranking.rows[0].group_scores[0] == ("technical", "37.30")


def test_price_scores_of_more_places_are_printed_and_added_with_all_of_them() -> None:
    session = signed(opened(scheme=replace(s.SCHEME, price=replace(s.SCHEME.price, round_score=4))))
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert [(row.price_score, row.total) for row in ranking.rows][1] == ("29.6703", "81.8403")


def test_a_benchmark_is_on_record_with_its_exact_value() -> None:
    method = notice.PriceMethod("benchmark", "30", above="1", below="0.5")
    session = signed(opened(scheme=replace(s.SCHEME, price=method)))
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert (ranking.benchmark, ranking.benchmark_exact) == ("9100000.000000", "9100000/1")


def test_a_benchmark_may_take_its_share_of_the_control_price() -> None:
    """Half of 9,500,000.00 and half of the mean 9,100,000.00."""
    method = notice.PriceMethod("benchmark", "30", above="1", below="0.5", w="0.5")
    session = signed(opened(scheme=replace(s.SCHEME, price=method)))
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert ranking.benchmark == "9300000.000000"


def best_marks_for_c(scheme: notice.Scheme) -> list[tuple[str, int]]:
    session = concluded(opened(scheme=scheme))
    for no in session.sitting:
        session.act(no, marks(A, 3000), marks(B, 3000), marks(C, 4000), SIGN)
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    return [(row.ref, row.rank) for row in ranking.rows]


def test_the_best_total_wins_though_its_price_is_the_highest() -> None:
    assert best_marks_for_c(s.SCHEME) == [(C, 1), (A, 2), (B, 3)]


def test_where_the_lowest_price_wins_marks_are_on_record_and_move_nobody() -> None:
    lowest = replace(s.SCHEME, price=notice.PriceMethod("lowest-evaluated", ""))
    assert best_marks_for_c(lowest) == [(A, 1), (B, 2), (C, 3)]


def test_the_lowest_evaluated_price_wins_without_a_single_mark() -> None:
    """M3: sheets are signed with nothing on them."""
    session = signed_without_marks()
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert [(row.ref, row.rank, row.price_score, row.total, row.group_scores) for row in ranking.rows] == [
        (A, 1, "", "", ()),
        (B, 2, "", "", ()),
        (C, 3, "", "", ()),
    ]
    assert events_of(session, evaluation.ScoringClosed)[0].opened == ()


def signed_without_marks() -> Session:
    return concluded(opened(scheme=LOWEST)).everybody(SIGN)


def test_equal_bids_share_a_place_and_say_so() -> None:
    session = signed(opened(s.content(B, s.PRICES[A])))
    ranking = session.operator(session.closing()).state.evaluation.ranking
    assert ranking is not None
    assert [(row.ref, row.rank, row.tie) for row in ranking.rows] == [(A, 1, True), (B, 1, True), (C, 3, False)]


def test_members_who_differ_on_an_objective_item_correct_it_before_anything_is_ranked() -> None:
    """87号令 64."""
    session = rechecked()
    found = events_of(session, evaluation.RecheckOrdered)[0].inconsistencies
    assert found == (evaluation.Inconsistency(B, "B1", "objective-differs", ("E1", "E2", "E3", "E4", "E5")),)
    assert (session.state.evaluation.closed, session.state.evaluation.ranked) == (True, False)
    session.act("E5", corrects(B, "B1", 1500), SIGN).operator(session.rechecking())
    closed = events_of(session, evaluation.RecheckClosed)[0]
    assert closed.corrections == (("E5", sheet.MarksCorrected(B, (CriterionMark("B1", 1500),), "核对证书后更正")),)
    assert closed.heads == session.heads
    assert session.state.evaluation.inconsistencies == ()
    assert session.state.evaluation.ranking == ranked().state.evaluation.ranking


def test_a_correction_that_mends_one_difference_and_makes_another_is_checked_again() -> None:
    session = rechecked()
    for mark_centi in (1000, 2000):
        session.act("E5", corrects(B, "B1", mark_centi), SIGN).operator(session.rechecking())
        assert isinstance(session.log[-1][1], evaluation.RecheckOrdered)
        assert session.state.evaluation.inconsistencies
        assert not session.state.evaluation.ranked
    with pytest.raises(Refused) as refusal:
        session.when(session.rechecking(), Role.OPERATOR)
    assert refusal.value.code == "nothing-corrected"
    for no in ("E1", "E2", "E3", "E4"):
        session.act(no, corrects(B, "B1", 2000), SIGN)
    session.operator(session.rechecking())
    ranking = session.state.evaluation.ranking
    assert ranking is not None
    assert {row.ref: row.group_scores[1][1] for row in ranking.rows} == {A: "15.00", B: "20.00", C: "15.00"}
    assert len(session.state.evaluation.marks_corrected) == 6


def test_an_objective_item_that_only_who_left_marked_otherwise_needs_no_recheck() -> None:
    session = marked().act("E5", marks(B, 3700, 2000)).everybody(SIGN)
    seated(session.operator(replaces("E5", "F1")), "F1").act("F1", *(passes(ref) for ref in REFS))
    session.operator(session.concluding()).act("F1", *(marks(ref, 3700) for ref in REFS), SIGN)
    session.operator(session.closing())
    assert session.state.evaluation.ranked
    assert not events_of(session, evaluation.RecheckOrdered)


def test_a_mark_out_of_range_from_a_sheet_that_no_rule_watched_is_found_at_the_close_and_corrected() -> None:
    session = signed()
    too_much = marks(A, 4050)
    opened_marks = replace(session.open_marks["E5", A], marks=too_much.marks)
    session.open_marks["E5", A] = opened_marks
    found = session.sheet("E5")
    made = sheet.Submission(A, 1, sheet.marks_commitment(opened_marks.salt, A, too_much.marks))
    others = tuple(made if one.ref == A else one for one in found.marks)
    session.sheets[session.stream("E5")] = replace(found, marks=others)
    session.operator(session.closing())
    assert session.state.evaluation.inconsistencies == (evaluation.Inconsistency(A, "T1", "out-of-range", ("E5",)),)
    with pytest.raises(Refused) as refusal:
        session.at_sheet("E1", corrects(A, "T1", 3850))
    assert refusal.value.code == "no-recheck"
    session.act("E5", corrects(A, "T1", 3700), SIGN).operator(session.rechecking())
    assert session.state.evaluation.ranking == ranked().state.evaluation.ranking


def test_a_correction_by_who_does_not_sit_changes_no_mark() -> None:
    from node.domain.scored import marks_by_bid

    stray = ("E9", sheet.MarksCorrected(A, (CriterionMark("T1", 0),), "x"))
    elsewhere = ("E1", sheet.MarksCorrected("P-ZZZZ99", (CriterionMark("T1", 0),), "x"))
    opened_marks = ranked().state.evaluation.opened
    assert marks_by_bid(opened_marks, (stray, elsewhere)) == marks_by_bid(opened_marks, ())


# Report.


def test_the_report_is_complete_with_every_member_s_word_dissent_and_silence_as_they_are() -> None:
    """ZBT 53."""
    session = ranked()
    session.act("E1", AGREE).act("E2", replace(AGREE, word="dissent", text="技术分偏高")).act("E3", AGREE)
    session.act("E4", replace(AGREE, word="silent"))
    session.operator(session.completing(("E5", "silent", "离席，经两次催告不签")))
    event = session.log[-1][1]
    assert (event.report_sha256, event.heads) == (DIGEST, session.heads)
    assert event.words == (
        ("E1", "agree", ""),
        ("E2", "dissent", "技术分偏高"),
        ("E3", "agree", ""),
        ("E4", "silent", ""),
        ("E5", "silent", "离席，经两次催告不签"),
    )
    assert (session.state.evaluation.reported_at_ms, lot.stage(session.state)) == (session.at_ms, "reported")
