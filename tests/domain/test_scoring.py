"""M1 to M4 and M6: the published vectors, and what must hold for any prices."""

from decimal import ROUND_HALF_UP, Decimal, localcontext
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.evaluated_price import DeviationRule, Direction, adjustment_fen, deviation_fen
from node.domain.exact import decimal_text, fen, half_up, money_text, quantity, ratio_text, share_down_fen
from node.domain.refused import Refused
from node.domain.scoring import (
    LowestEvaluated,
    LowestRatio,
    PricedBid,
    PriceTerms,
    RejectedBid,
    Rounding,
    score_prices,
)

A, B, C = PricedBid("A", 100_000_000), PricedBid("B", 95_000_000), PricedBid("C", 110_000_000)
D = PricedBid("D", 102_000_000, deduction=Fraction(1, 10))


def ratio(full: int) -> PriceTerms:
    return PriceTerms(LowestRatio(Fraction(full)))


def field_of(refused: Refused) -> str:
    return dict(refused.facts)["field"]


@pytest.mark.parametrize(
    ("bids", "full", "scores"),
    [
        pytest.param((A, B, C), 30, ("28.50", "30.00", "25.91"), id="M1-1"),
        pytest.param((A, B, C), 40, ("38.00", "40.00", "34.55"), id="M1-2"),
        pytest.param((A, B, C, D), 30, ("27.54", "28.99", "25.04", "30.00"), id="M1-3"),
        pytest.param((PricedBid("low", 10_000_000), PricedBid("x", 19_200_000)), 30, ("30.00", "15.63"), id="M1-4, A2"),
    ],
)
def test_the_lowest_evaluated_price_has_full_marks_and_the_others_their_ratio(bids, full, scores):
    found = score_prices(ratio(full), bids).scored
    assert tuple(decimal_text(one.score, 2) for one in found) == scores


def test_a_deduction_changes_the_evaluated_price_and_never_the_bid_price():
    found = score_prices(ratio(30), (A, B, C, D)).scored[3]
    assert money_text(found.evaluated) == "918000.00"
    assert D.price_fen == 102_000_000


def test_the_exact_score_stays_beside_the_rounded_one():
    found = score_prices(ratio(30), (PricedBid("low", 10_000_000), PricedBid("x", 19_200_000))).scored[1]
    assert (found.exact, found.score) == (Fraction(125, 8), Fraction(1563, 100))


def test_negotiated_prices_score_like_m1():
    final = (PricedBid("A", 30_000_00), PricedBid("B", 27_000_00))
    assert [decimal_text(one.score, 2) for one in score_prices(ratio(20), final).scored] == ["18.00", "20.00"]


LATE = DeviationRule(name="delivery", baseline=Fraction(0), rate=Fraction(5, 1000))
ADVANCE = DeviationRule(name="advance", baseline=Fraction(1, 10), rate=Fraction(6, 100) * Fraction(1, 2))


def test_the_lowest_bid_is_last_when_its_deviations_cost_more():
    """M3-1: a program that ranks on the bid price fails here."""
    stated = {"A": (960_000_000, 0, 20), "B": (948_000_000, 3, 30), "C": (955_000_000, -5, 10)}
    bids = [
        PricedBid(
            ref,
            price_fen,
            adjust_fen=adjustment_fen(
                (LATE, ADVANCE), price_fen, {"delivery": Fraction(weeks), "advance": Fraction(advance, 100)}
            ),
        )
        for ref, (price_fen, weeks, advance) in stated.items()
    ]
    found = score_prices(PriceTerms(LowestEvaluated()), bids).scored
    assert [(money_text(one.evaluated), one.rank) for one in found] == [
        ("9628800.00", 2),
        ("9679080.00", 3),
        ("9550000.00", 1),
    ]
    assert deviation_fen(LATE, 948_000_000, Fraction(3)) == 14_220_000
    assert deviation_fen(ADVANCE, 948_000_000, Fraction(3, 10)) == 5_688_000


@pytest.mark.parametrize(
    ("direction", "measure", "expected_fen"),
    [
        (Direction.OVER, 12, 2_000),
        (Direction.OVER, 8, 0),
        (Direction.UNDER, 12, 0),
        (Direction.UNDER, 8, 2_000),
        (Direction.BOTH, 12, 2_000),
        (Direction.BOTH, 8, -2_000),
        (Direction.BOTH, 99, 5_000),
        (Direction.BOTH, -99, -5_000),
    ],
)
def test_a_deviation_counts_on_its_declared_side_up_to_its_cap(direction, measure, expected_fen):
    rule = DeviationRule(
        name="m", baseline=Fraction(10), rate=Fraction(1, 100), direction=direction, cap=Fraction(5, 100)
    )
    assert deviation_fen(rule, 100_000, Fraction(measure)) == expected_fen


@pytest.mark.parametrize(
    ("measures", "field"),
    [({"delivery": Fraction(0)}, "measures.advance"), ({"colour": Fraction(1)}, "measures.colour")],
)
def test_a_measure_missing_or_never_declared_is_refused(measures, field):
    with pytest.raises(Refused) as caught:
        adjustment_fen((LATE, ADVANCE), 1, measures)
    assert field_of(caught.value) == field


def test_lowest_evaluated_gives_places_and_no_marks():
    found = score_prices(PriceTerms(LowestEvaluated()), (A, B, PricedBid("C", 95_000_000)))
    assert [(one.rank, one.tie, one.score, one.exact) for one in found.scored] == [
        (3, False, None, None),
        (1, True, None, None),
        (1, True, None, None),
    ]


def test_a_bid_above_the_control_price_is_rejected_and_does_not_set_the_ratio():
    found = score_prices(PriceTerms(LowestRatio(Fraction(30)), control_fen=100_000_000), (A, C))
    assert found.results[1] == RejectedBid("C", "above-control")
    assert found.scored[0].score == 30


def test_the_control_price_meets_the_bid_price_and_not_the_evaluated_price():
    over = PricedBid("over", 110_000_000, deduction=Fraction(1, 5))
    found = score_prices(PriceTerms(LowestRatio(Fraction(30)), control_fen=100_000_000), (A, over))
    assert found.results[1] == RejectedBid("over", "above-control")
    under = PricedBid("under", 99_000_000, adjust_fen=5_000_000)
    assert score_prices(PriceTerms(LowestEvaluated(), control_fen=100_000_000), (under,)).scored[0].rank == 1


def test_equal_rounded_scores_are_parted_by_the_lower_evaluated_price():
    close = (PricedBid("low", 1_000_000_00), PricedBid("b", 1_000_001_00), PricedBid("c", 1_000_000_50))
    found = score_prices(ratio(30), close).scored
    assert {one.score for one in found} == {Fraction(30)}
    assert [(one.rank, one.tie) for one in found] == [(1, False), (3, False), (2, False)]


@pytest.mark.parametrize(
    ("bids", "code", "field"),
    [
        ((), "no-valid-bid", "bids"),
        ((PricedBid("A", 0),), "not-positive", "bids[0].price"),
        ((A, PricedBid("B", -1)), "not-positive", "bids[1].price"),
        ((A, A), "stands-twice", "bids[1].bidder"),
        ((PricedBid("A", 1, deduction=Fraction(1)),), "out-of-range", "bids[0].deduction"),
        ((PricedBid("A", 1, deduction=Fraction(-1, 10)),), "out-of-range", "bids[0].deduction"),
        ((PricedBid("A", 100, adjust_fen=-100),), "evaluated-not-positive", "bids[0].adjust"),
    ],
)
def test_bids_that_cannot_be_scored_are_refused_by_field(bids, code, field):
    with pytest.raises(Refused) as caught:
        score_prices(ratio(30), bids)
    assert (caught.value.code, field_of(caught.value)) == (code, field)


def test_with_every_bid_above_the_control_price_there_is_nothing_to_score():
    with pytest.raises(Refused) as caught:
        score_prices(PriceTerms(LowestEvaluated(), control_fen=1), (A, B))
    assert caught.value.code == "no-valid-bid"


prices = st.integers(min_value=1, max_value=10**12)
bid_lists = st.lists(prices, min_size=1, max_size=12).map(
    lambda found: [PricedBid(str(index), price_fen) for index, price_fen in enumerate(found)]
)


@given(bid_lists, st.integers(min_value=1, max_value=10**6))
def test_the_currency_unit_does_not_change_a_score(bids, factor):
    scaled = [PricedBid(bid.ref, bid.price_fen * factor) for bid in bids]
    first, second = score_prices(ratio(30), bids).scored, score_prices(ratio(30), scaled).scored
    assert [(one.exact, one.rank, one.tie) for one in first] == [(one.exact, one.rank, one.tie) for one in second]


@given(bid_lists, st.randoms(use_true_random=False))
def test_the_order_of_opening_does_not_change_anybodys_place(bids, rng):
    shuffled = list(bids)
    rng.shuffle(shuffled)
    first = {one.ref: one for one in score_prices(ratio(30), bids).scored}
    assert {one.ref: one for one in score_prices(ratio(30), shuffled).scored} == first


@given(bid_lists)
def test_a_lower_price_never_has_fewer_marks_or_a_worse_place(bids):
    found = sorted(score_prices(ratio(30), bids).scored, key=lambda one: one.evaluated)
    assert found[0].score == 30
    assert [one.rank for one in found] == sorted(one.rank for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


@given(st.fractions(min_value=-(10**9), max_value=10**9, max_denominator=10**9), st.integers(0, 9))
def test_rounding_is_half_up_as_the_decimal_standard_has_it(value, places):
    step = Fraction(1, 10**places)
    rounded = half_up(value, places)
    assert abs(rounded - value) <= step / 2
    assert (rounded / step).denominator == 1
    if value.denominator != 1:
        return
    assert rounded == value


@given(st.decimals(min_value=-(10**12), max_value=10**12, allow_nan=False, places=7), st.integers(0, 8))
def test_a_printed_decimal_equals_the_decimal_modules_half_up(value, places):
    with localcontext() as context:
        context.prec = 60
        expected = value.quantize(Decimal(1).scaleb(-places), rounding=ROUND_HALF_UP)
    expected = expected.copy_abs() if expected == 0 else expected
    assert decimal_text(Fraction(value), places) == f"{expected:f}"


@pytest.mark.parametrize(
    ("value", "places", "text"),
    [
        (Fraction(125, 8), 2, "15.63"),
        (Fraction(-125, 8), 2, "-15.63"),
        (Fraction(-1, 10**9), 6, "0.000000"),
        (Fraction(5, 10), 0, "1"),
        (Fraction(1, 3), 4, "0.3333"),
        (Fraction(1234567), 2, "1234567.00"),
    ],
)
def test_numbers_print_with_exactly_the_places_asked_for(value, places, text):
    assert decimal_text(value, places) == text


def test_money_prints_all_its_places_and_at_least_two():
    assert money_text(Fraction(980)) == "980.00"
    assert money_text(Fraction("31333.3302")) == "31333.3302"
    assert money_text(Fraction(1, 16)) == "0.0625"
    with pytest.raises(ValueError, match="1/3"):
        money_text(Fraction(1, 3))


def test_whole_numbers_keep_their_denominator_in_a_ratio():
    assert ratio_text(Fraction(30)) == "30/1"
    assert ratio_text(Fraction(-6, 4)) == "-3/2"


def test_a_cap_is_rounded_down_to_the_fen():
    """A4: 2 % of 12,345,678.90 is 246,913.578; .58 would be above the cap."""
    assert share_down_fen(1_234_567_890, Fraction(2, 100)) == 24_691_357


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1,000",
        "1e3",
        "+1",
        ".5",
        "5.",
        "007",
        " 1",
        "1 ",
        "１００",
        "٣",
        "0x10",
        "NaN",
        "Infinity",
        "1_000",
        "-",
        "--1",
        "1\n",
    ],
)
def test_only_plain_decimal_text_is_a_quantity(text):
    with pytest.raises(Refused) as caught:
        quantity(text, "price")
    assert field_of(caught.value) == "price"


def test_an_amount_finer_than_a_fen_is_refused_not_rounded():
    assert fen("12345678.90", "price") == 1_234_567_890
    assert fen("-0.5", "adjust") == -50
    with pytest.raises(Refused) as caught:
        fen("0.005", "price")
    assert caught.value.code == "finer-than-fen"


def test_without_rounding_places_are_decided_on_the_exact_score():
    close = (PricedBid("low", 1_000_000_00), PricedBid("b", 1_000_000_01))
    found = score_prices(PriceTerms(LowestRatio(Fraction(30)), rounding=Rounding(score=None)), close).scored
    assert found[1].score == found[1].exact == Fraction(30 * 100_000_000, 100_000_001)
