"""Arithmetic correction in both columns, and amounts in capitals."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.bidding import BidContent, PriceLine
from node.domain.capital_amount import MOST_FEN, capital_fen, capital_text
from node.domain.correction import BillLine, CorrectionRule, StatedPrice, correct_price, stated_price
from node.domain.refused import Refused


def line(no: str, quantity: str, unit_price: str, total: str) -> BillLine:
    return BillLine(no, Fraction(quantity), Fraction(unit_price), int(Fraction(total) * 100))


def stated(figures: str, *lines: BillLine, words: str | None = None, opening: str | None = None) -> StatedPrice:
    in_fen = [None if text is None else int(Fraction(text) * 100) for text in (words, opening)]
    return StatedPrice(int(Fraction(figures) * 100), in_fen[0], lines, in_fen[1])


VECTOR = line("1", "1200", "35.50", "42500.00")
SUM, UNIT, POINT, WORDS, OPENING = (
    CorrectionRule.SUM,
    CorrectionRule.UNIT_PRICE,
    CorrectionRule.POINT,
    CorrectionRule.WORDS,
    CorrectionRule.OPENING_SHEET,
)


@pytest.mark.parametrize(
    ("price", "opening_sheet_wins", "corrected", "rules"),
    [
        pytest.param(stated("42500.00", VECTOR), False, "42600.00", [UNIT, SUM], id="published vector"),
        pytest.param(stated("42600.00", line("1", "1200", "35.50", "42600.00")), False, "42600.00", [], id="all agree"),
        pytest.param(stated("100.00", words="110.00"), False, "110.00", [WORDS], id="words win over figures"),
        pytest.param(stated("100.00", words="110.00"), True, "110.00", [WORDS], id="words win in procurement too"),
        pytest.param(stated("100.00", opening="120.00"), True, "120.00", [OPENING], id="opening sheet wins"),
        pytest.param(stated("100.00", opening="120.00"), False, "100.00", [], id="works: the document decides"),
        pytest.param(
            stated("100.00", words="110.00", opening="120.00"),
            True,
            "110.00",
            [OPENING, WORDS],
            id="in the listed order",
        ),
        pytest.param(
            stated("100.00", line("1", "10", "13", "130.00"), words="110.00", opening="120.00"),
            True,
            "130.00",
            [OPENING, WORDS, SUM],
            id="all at once, unit prices last",
        ),
        pytest.param(
            stated("42600.00", line("1", "1200", "355.0", "42600.00")),
            False,
            "42600.00",
            [POINT],
            id="a misplaced point is amended, the total stands",
        ),
        pytest.param(
            stated("42600.00", line("1", "1200", "0.3550", "426.00")),
            True,
            "42600.00",
            [POINT],
            id="the line was added up with the misplaced point",
        ),
        pytest.param(
            stated("300.00", line("1", "1", "10", "10.00"), line("2", "1", "10", "10.00")),
            False,
            "20.00",
            [SUM],
            id="no single point explains it",
        ),
        pytest.param(
            stated("110.00", line("1", "1", "10", "10.00"), line("2", "1", "10", "10.00")),
            False,
            "20.00",
            [SUM],
            id="two points could explain it: not clear",
        ),
        pytest.param(
            stated("3.33", line("1", "0.333", "10", "3.33")), False, "3.33", [], id="a product is rounded to the fen"
        ),
    ],
)
def test_the_corrected_price_follows_the_clause(price, opening_sheet_wins, corrected, rules):
    found = correct_price(price, opening_sheet_wins=opening_sheet_wins)
    assert found.price_fen == int(Fraction(corrected) * 100)
    assert [step.rule for step in found.steps] == rules


def test_an_amended_unit_price_is_on_record():
    found = correct_price(stated("42600.00", line("7", "1200", "355.0", "42600.00")), opening_sheet_wins=False)
    assert (found.steps[0].where, found.steps[0].before, found.steps[0].after) == ("7", 355, Fraction("35.5"))
    assert found.lines[0].unit_price == Fraction("35.5")


lines = st.builds(
    BillLine,
    st.text("123", min_size=1, max_size=3),
    st.integers(1, 1000).map(Fraction),
    st.fractions(min_value=0, max_value=1000, max_denominator=1000),
    st.integers(0, 10**8),
)
stated_prices = st.builds(
    StatedPrice,
    st.integers(1, 10**9),
    st.none() | st.integers(1, 10**9),
    st.lists(lines, max_size=4).map(tuple),
    st.none() | st.integers(1, 10**9),
)


@given(stated_prices, st.booleans())
def test_a_corrected_bid_needs_no_second_correction_and_adds_up(price, opening_sheet_wins):
    found = correct_price(price, opening_sheet_wins=opening_sheet_wins)
    if found.lines:
        assert sum(one.total_fen for one in found.lines) == found.price_fen
    again = correct_price(StatedPrice(found.price_fen, None, found.lines), opening_sheet_wins=opening_sheet_wins)
    assert (again.price_fen, again.steps) == (found.price_fen, ())


def content(words: str, *price_lines: PriceLine) -> BidContent:
    return BidContent("lot", 1, "P-1", "公司", "code", 4_250_000, words, 90, "合格", price_lines, ())


def test_a_bid_is_read_with_its_words_and_lines():
    found = stated_price(content("肆万贰仟伍佰元整", PriceLine("1", "土方", "1200", "35.50", 4_250_000)))
    assert found == StatedPrice(4_250_000, 4_250_000, (VECTOR,))
    assert stated_price(content("")).words_fen is None


@pytest.mark.parametrize(
    ("bid", "field"),
    [
        (content("肆万贰伍佰元"), "price_words"),
        (content("", PriceLine("1", "土方", "1,200", "35.50", 1)), "lines[0].quantity"),
        (content("", PriceLine("1", "土方", "1200", "约35", 1)), "lines[0].unit_price"),
    ],
)
def test_words_or_lines_that_cannot_be_read_are_refused_by_field(bid, field):
    with pytest.raises(Refused) as caught:
        stated_price(bid)
    assert dict(caught.value.facts)["field"] == field


# The banks' own examples, and amounts at every turn of the form.
CAPITALS = [
    (0, "零元整"),
    (5, "伍分"),
    (50, "伍角整"),
    (140_950, "壹仟肆佰零玖元伍角整"),
    (600_714, "陆仟零柒元壹角肆分"),
    (1_640_902, "壹万陆仟肆佰零玖元零贰分"),
    (32_504, "叁佰贰拾伍元零肆分"),
    (168_032, "壹仟陆佰捌拾元叁角贰分"),
    (10_700_053, "壹拾万柒仟元伍角叁分"),
    (10_050_000, "壹拾万零伍佰元整"),
    (1_000_000_00, "壹佰万元整"),
    (100_000_005_00, "壹亿零伍元整"),
    (100_050_000_00, "壹亿零伍万元整"),
    (MOST_FEN, "玖仟玖佰玖拾玖亿玖仟玖佰玖拾玖万玖仟玖佰玖拾玖元玖角玖分"),
]


@pytest.mark.parametrize(("amount_fen", "text"), CAPITALS)
def test_amounts_are_written_and_read_in_capitals_as_banks_ask(amount_fen, text):
    assert capital_text(amount_fen) == text
    assert capital_fen(text, "price_words") == amount_fen


@pytest.mark.parametrize(
    ("text", "amount_fen"),
    [
        ("壹仟陆佰捌拾元零叁角贰分", 168_032),
        ("壹拾万零柒仟元伍角叁分", 10_700_053),
        ("人民币：壹佰万圆整", 1_000_000_00),
        ("人民币 壹佰 万元", 1_000_000_00),
        ("拾万元正", 100_000_00),
        ("貳萬圓整", 20_000_00),
    ],
)
def test_other_lawful_spellings_are_read_too(text, amount_fen):
    assert capital_fen(text, "price_words") == amount_fen


@pytest.mark.parametrize(
    "text",
    [
        "", "元", "整", "伍", "一百元", "壹万伍元", "壹佰伍元", "零佰元", "壹贰元", "壹拾佰元", "壹元伍", "伍分整", "壹佰零元",
        "壹亿亿元", "壹万万元", "壹元零", "零伍元", "-壹元", "壹元壹元", "1元", "壹元壹分壹角",
    ],
)  # fmt: skip
def test_words_that_could_mean_two_amounts_or_none_are_refused(text):
    with pytest.raises(Refused) as caught:
        capital_fen(text, "price_words")
    assert caught.value.code == "capital-malformed"


@given(st.integers(0, 13).flatmap(lambda size: st.integers(0, 10 ** (size + 1) - 1)))
def test_every_amount_survives_its_capitals(amount_fen):
    assert capital_fen(capital_text(amount_fen), "price_words") == amount_fen


@given(
    st.integers(1, MOST_FEN),
    st.sampled_from("零壹伍玖拾佰仟万亿元角分整"),
    st.integers(0, 40),
    st.sampled_from(("drop", "insert", "replace")),
)
def test_a_slip_of_the_pen_is_refused_or_read_with_every_digit_in_its_place(amount_fen, character, position, slip):
    text = capital_text(amount_fen)
    position %= len(text)
    slipped = text[:position] + ("" if slip == "drop" else character) + text[position + (slip != "insert") :]
    try:
        found_fen = capital_fen(slipped, "price_words")
    except Refused:
        return
    digits = [one for one in slipped if one in "壹贰叁肆伍陆柒捌玖"]
    canonical = [one for one in capital_text(found_fen) if one in "壹贰叁肆伍陆柒捌玖"]
    assert canonical in (digits, ["壹", *digits])


@pytest.mark.parametrize("amount_fen", [-1, MOST_FEN + 1])
def test_an_amount_without_capitals_is_an_error_of_the_program(amount_fen):
    with pytest.raises(ValueError, match="capitals"):
        capital_text(amount_fen)
