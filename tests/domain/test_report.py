"""The report, the opening record and the score sheet as data: what they say, and what their digests bind.

The golden texts in tests/golden are written anew by `python -m tests.data.sample_report` and by nothing else. A golden
digest that changes without a new version of its tag breaks every report signed before.
"""

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain import award, lot, notice, objection, opening, project
from node.domain import report_words as words
from node.domain.correction import CorrectionRule
from node.domain.refused import Refused
from node.domain.report import evaluation_report, report_sha256
from node.domain.report_digest import record_sha256
from node.domain.report_opening import opening_record, opening_sha256
from node.domain.report_sheet import score_sheet, sheet_sha256
from node.domain.values import Recorded
from tests.data.sample_report import (
    D32,
    GOLDEN,
    ORIGIN,
    golden_texts,
    large_lot,
    lines_of,
    ms,
    opened_lot,
    ranked_lot,
    reported_lot,
)

REPORT = evaluation_report(reported_lot())


def later(state: lot.LotState, *events: Any) -> lot.LotState:
    for event in events:
        state = lot.evolve(state, event, Recorded(ms("2026-03-27 09:00"), "operator:O-01", ORIGIN, 90, D32))
    return state


@pytest.mark.parametrize("name", sorted(golden_texts()))
def test_a_document_reads_as_its_golden_text(name: str) -> None:
    assert golden_texts()[name] == (GOLDEN / name).read_text(encoding="utf-8")


# -- the digest ----------------------------------------------------------------------------------------------------------


def changed_everywhere(value: Any) -> list[tuple[str, Any]]:
    """Return a copy of the value for every way of changing one thing in it, with the place of the change."""
    if is_dataclass(value):
        return [
            (f".{field.name}{place}", replace(value, **{field.name: new}))
            for field in fields(value)
            for place, new in changed_everywhere(getattr(value, field.name))
        ]
    if isinstance(value, tuple):
        found = [("+", (*value, value[-1] if value else "")), *([("-", value[:-1])] if value else [])]
        found += [
            (f"[{index}]{place}", (*value[:index], new, *value[index + 1 :]))
            for index, item in enumerate(value)
            for place, new in changed_everywhere(item)
        ]
        return found
    return [("!", value + 1)] if isinstance(value, int) else [("!", value + "。"), ("?", value[:-1] or "x")]


def test_any_changed_field_changes_the_digest_and_no_two_changes_share_one() -> None:
    seen = {report_sha256(REPORT): "unchanged"}
    for place, other in changed_everywhere(REPORT):
        if place.startswith(".words"):
            continue
        digest = report_sha256(other)
        assert other == REPORT or digest not in seen, (place, seen.get(digest))
        seen[digest] = place
    assert len(seen) > 700


def test_the_words_of_members_do_not_change_the_digest() -> None:
    assert report_sha256(evaluation_report(ranked_lot())) == report_sha256(REPORT)
    for place, other in changed_everywhere(REPORT):
        if place.startswith(".words"):
            assert other != REPORT
            assert report_sha256(other) == report_sha256(REPORT)


def test_every_field_of_record_and_sheet_changes_their_digests() -> None:
    record, sheet = opening_record(opened_lot()), score_sheet(ranked_lot(), "E3")
    for digest_of, one in ((opening_sha256, record), (sheet_sha256, sheet)):
        others = [digest_of(other) for _, other in changed_everywhere(one)]
        assert digest_of(one) not in others
        assert len(set(others)) == len(others)


RECORDS = st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=12)


@given(RECORDS, RECORDS)
def test_two_different_records_have_two_different_forms(one: Any, other: Any) -> None:
    assert (record_sha256("t", one) == record_sha256("t", other)) == (one == other)


@given(RECORDS)
def test_another_tag_makes_another_digest(record: Any) -> None:
    assert record_sha256("erhai-report-v1", record) != record_sha256("erhai-report-v2", record)


def test_text_may_not_move_from_one_field_to_the_next() -> None:
    assert record_sha256("t", ("ab", "c")) != record_sha256("t", ("a", "bc"))
    assert record_sha256("t", (("a",), "b")) != record_sha256("t", ("a", ("b",)))


@pytest.mark.parametrize("value", [1.5, None, b"raw", {"a": "b"}])
def test_what_has_no_canonical_form_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        record_sha256("t", (value,))


def test_what_happens_after_the_ranking_leaves_the_signed_report_alone() -> None:
    state = later(
        reported_lot(),
        award.CandidatesPublished(("P-AAAA11",), ms("2026-03-27 00:00"), ms("2026-03-30 00:00"), ("县网",), "招标人"),
        objection.ObjectionRaised(2, "result", "业绩不实", D32, b"sealed", ms("2026-03-30 00:00"), True),
        project.Suspended("complaint", "投诉", ""),
    )
    assert evaluation_report(state) == REPORT


# -- what the report says ------------------------------------------------------------------------------------------------


def test_no_person_stands_in_any_document() -> None:
    for state in (opened_lot(), ranked_lot(), reported_lot()):
        persons = [member.person for member in state.panel.members]
        texts = lines_of(opening_record(state))
        if persons:
            texts += [*lines_of(evaluation_report(state)), *lines_of(score_sheet(state, "E1"))]
        assert not [line for line in texts for person in persons if person in line]


def test_the_benchmark_can_be_followed_by_hand() -> None:
    (steps,) = REPORT.compared.benchmark
    kept = [Decimal(4628000), Decimal(4553300)]  # 4712500 is the highest, 4389000 the lowest
    mean = sum(kept) / 2
    benchmark = (Decimal("0.4") * 4_860_000 + Decimal("0.6") * mean) * Decimal("0.95")
    assert steps.mean == f"{mean:,.6f}"
    assert steps.value == f"{benchmark:,.6f}"
    assert Fraction(steps.value_exact) == Fraction(benchmark)
    assert (steps.dropped_high, steps.dropped_low) == ("云南䶮光电子系统有限公司", "昆明𬉼湖信息技术有限公司")


def test_every_price_score_is_its_exact_fraction_rounded() -> None:
    for line in REPORT.compared.prices:
        exact = Fraction(line.exact)
        assert line.score == str((Decimal(exact.numerator) / Decimal(exact.denominator)).quantize(Decimal("0.01")))


def test_the_benchmark_shown_is_the_one_that_was_recorded() -> None:
    ranking = reported_lot().evaluation.ranking
    assert ranking is not None
    (steps,) = REPORT.compared.benchmark
    assert steps.value_exact == ranking.benchmark_exact
    assert Fraction(steps.unrounded.replace(",", "")) == Fraction(steps.unrounded_exact)


def test_a_correction_stands_beside_the_mark_that_it_replaced() -> None:
    (one,) = REPORT.compared.corrections
    assert (one.member, one.criterion, one.before, one.after) == ("E3", "B1", "20.00", "10.00")
    first = REPORT.compared.marks[0]
    objective = next(line for line in first.lines if line.no == "B1")
    assert set(objective.marks) == {"10.00"}
    sheet = score_sheet(ranked_lot(), "E3")
    mark = next(one for one in sheet.bids[0].marks if one.no == "B1")
    assert (mark.mark, mark.corrected) == ("20.00", "10.00（漏看一份业绩证明的时间）")


def test_sums_of_members_and_groups_add_up() -> None:
    for bid in REPORT.compared.marks:
        columns = zip(*(line.marks for line in bid.lines), strict=True)
        assert bid.sums == tuple(str(sum(map(Decimal, column))) for column in columns)
    for row in REPORT.results:
        assert Decimal(row.total) == sum(Decimal(score) for _, score in row.groups) + Decimal(row.price_score)


def test_an_unread_bid_is_named_by_its_reference_only() -> None:
    line = next(one for one in REPORT.opening.lines if one.ref == "P-FFFF66")
    assert (line.bidder, line.price) == ("P-FFFF66", "--")
    assert line.outcome == "解密失败：投标人原因（文件损坏），视为撤销其投标文件"


def test_open_matters_name_the_question_without_an_answer() -> None:
    assert REPORT.open_matters == ("第 2 号澄清（云南䶮光电子系统有限公司）至评分结束未收到答复。",)
    assert REPORT.clarifications[1].answer == "未答复"


def test_open_matters_name_equal_places_and_missing_candidates() -> None:
    state = ranked_lot()
    ranking = state.evaluation.ranking
    assert ranking is not None
    rows = tuple(replace(row, rank=1, tie=True) for row in ranking.rows[:2])
    tied = later(state, replace(ranking, rows=rows, candidates=tuple(row.ref for row in rows)))
    said = "".join(evaluation_report(tied).open_matters)
    assert "大理苍洱智能工程有限公司、云南金马机电安装有限公司并列第 1 名" in said
    assert "推荐中标候选人 2 名，招标文件规定推荐 3 名" in said


def test_words_of_members_are_verbatim() -> None:
    assert [one.word for one in REPORT.words] == ["同意", "同意", "不同意", words.WORDS_ON_REPORT["silent"], "同意"]
    assert REPORT.words[2].text == "建议对第二候选人的机房供电方案\n作进一步核实。"


def test_a_dissolved_committee_is_named_with_its_void_judgments() -> None:
    state = replace(ranked_lot(), retired_members=("D1", "D2"))
    assert evaluation_report(state).committee.void == ("D1", "D2", "E9")


def test_prices_alone_may_decide_and_nothing_is_scored() -> None:
    report = evaluation_report(large_lot(3, 5, 0, price=notice.PriceMethod("lowest-evaluated", "")))
    assert report.compared.marks == ()
    assert report.compared.benchmark == ()
    assert {(row.price_score, row.total) for row in report.results} == {("--", "--")}
    assert [row.evaluated for row in report.results] == ["5,000,000.00", "5,033,333.00", "5,066,666.00"]


def test_an_unanswered_objection_at_the_opening_says_so() -> None:
    state = later(opened_lot(), objection.ObjectionRaised(2, "opening", "报价读错。", D32, b"sealed", 0, False))
    assert [(one.status, one.answer) for one in opening_record(state).objections] == [
        ("已回复", "已当场补读。"),
        ("未答复", "--"),
    ]


def test_documents_are_refused_before_their_time() -> None:
    for make, code in (
        (lambda: opening_record(lot.LotState()), "not-opened"),
        (lambda: evaluation_report(opened_lot()), "not-ranked"),
        (lambda: score_sheet(opened_lot(), "E1"), "scoring-open"),
        (lambda: score_sheet(ranked_lot(), "E9"), "not-a-member"),
    ):
        with pytest.raises(Refused) as refused:
            make()
        assert refused.value.code == code


# -- how facts are written -----------------------------------------------------------------------------------------------


@given(st.integers(-(10**15), 10**15))
def test_amounts_are_written_with_groups_and_two_places(amount_fen: int) -> None:
    assert words.amount(amount_fen) == f"{Decimal(amount_fen) / 100:,.2f}"


@given(st.integers(0, 10**7))
def test_marks_are_written_with_two_places(centi: int) -> None:
    assert words.mark(centi) == f"{Decimal(centi) / 100:.2f}"


@given(st.integers(1, 4_000_000_000_000))
def test_times_are_civil_time_in_china_to_the_second(at_ms: int) -> None:
    moment = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(ZoneInfo("Etc/GMT-8"))
    assert words.civil(at_ms) == moment.strftime("%Y-%m-%d %H:%M:%S")


def test_no_time_and_too_great_an_amount_are_dashes() -> None:
    assert words.civil(0) == "--"
    assert words.capitals(10**14) == "--"
    assert words.capitals(10_710_500) == "壹拾万柒仟壹佰零伍元整"


PRICE_RULES = [
    (
        notice.PriceMethod("lowest-ratio", "30"),
        "价格分满分 30 分；以有效投标的最低评标价为评标基准价；价格分＝评标基准价÷评标价×30；价格分四舍五入保留 2 位小数",
    ),
    (notice.PriceMethod("lowest-evaluated", ""), "按评标价由低到高排序，价格不计分"),
    (
        notice.PriceMethod(
            "benchmark",
            "40",
            r="0.98",
            above="1",
            below="0.5",
            step="ceil",
            max_loss="10",
            round_deviation=4,
            round_score=-1,
        ),
        (
            "价格分满分 40 分；其余报价的算术平均值为平均价，评标基准价＝平均价×0.98；评标基准价不舍入；"
            "偏差率＝（评标价－评标基准价）÷评标基准价；偏差率（小数）四舍五入保留 4 位小数；"
            "高于评标基准价的，每高 1% 扣 1 分；低于的，每低 1% 扣 0.5 分；不足 1% 的按 1% 计算；最多扣 10 分；价格分不舍入"
        ),
    ),
]


@pytest.mark.parametrize(("method", "said"), PRICE_RULES, ids=lambda value: getattr(value, "method", ""))
def test_the_price_rule_is_told_in_sentences(method: notice.PriceMethod, said: str) -> None:
    assert "；".join(words.price_rule(method)) == said


ROWS = st.lists(st.tuples(st.integers(1, 9), st.integers(0, 2), st.integers(0, 2)), max_size=4)


@given(ROWS, st.integers(1, 12))
def test_the_sentences_on_outliers_say_what_the_computation_does(rows: list[tuple[int, int, int]], bids: int) -> None:
    table = tuple(notice.OutlierRow(*row) for row in rows)
    fitting = [row for row in table if row.n_min <= bids]
    high, low = (fitting[-1].high, fitting[-1].low) if fitting else (0, 0)
    method = notice.PriceMethod("benchmark", "40", outliers=table, above="1", below="1")
    applying = []
    for sentence in words.price_rule(method):
        if sentence.startswith("有效投标"):
            count, _, leave = sentence.partition("时，")
            numbers = [int(word) for word in count.split() if word.isdigit()]
            if numbers[0] <= bids and (len(numbers) == 1 or bids <= numbers[1]):
                applying.append(leave)
    expected = f"去掉 {high} 个最高价和 {low} 个最低价" if high or low else "不去掉报价"
    assert applying == ([expected] if fitting else [])


def test_every_word_of_the_law_has_its_ground() -> None:
    assert sorted(words.GROUNDS) == [f"zbt51-{n}" for n in range(1, 8)]
    assert set(words.FAULTS) == set(opening.FAULTS)
    assert set(words.EFFECTS) == set(opening.FAULTS.values())
    assert set(words.OBJECTION_STATUSES) == set(objection.STATUSES)


def test_a_report_is_made_of_text_and_numbers_only() -> None:
    assert all(line.endswith(("'", '"', "()")) or line.rpartition(" ")[2].isdigit() for line in lines_of(REPORT))


def test_corrections_of_price_are_told_in_words() -> None:
    corrected = next(one for one in REPORT.compliant if one.price != one.evaluated)
    assert corrected.correction == "大写与小写不一致，以大写为准；总价与各项合价之和不一致，以合价之和为准"
    assert set(words.CORRECTIONS) == {str(rule) for rule in CorrectionRule}


def test_every_reason_for_an_unreadable_bid_has_its_words() -> None:
    failed = opened_lot().opening.failed[0]
    for code, said in words.UNREADABLE.items():
        state = replace(opened_lot().opening, failed=(replace(failed, reason=code),))
        line = opening_record(replace(opened_lot(), opening=state)).lines[5]
        assert f"（{said}）" in line.outcome
        assert code not in line.outcome
