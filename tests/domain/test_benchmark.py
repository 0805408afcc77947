"""M5: every published vector of the benchmark family, and what must hold for any prices."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.benchmark import (
    Base,
    Curve,
    DropRow,
    DropShare,
    Step,
    benchmark_price,
    deviation_of,
    drops,
    part,
    second_mean_at_or_below,
    second_mean_with_lowest,
)
from node.domain.benchmark_regional import (
    HighwayTerms,
    Leading,
    building_benchmark,
    highway_benchmark,
    highway_drawn_count,
    leading_benchmark,
    lowest_reasonable,
)
from node.domain.exact import decimal_text
from node.domain.notice import OutlierRow, PriceMethod
from node.domain.price_terms import price_terms
from node.domain.refused import Refused
from node.domain.scoring import Benchmark, PricedBid, PriceTerms, Rounding, score_prices

W15_ROWS = (DropRow(6, 1, 0), DropRow(7, 1, 1))
W15_PRICES = (980, 1010, 1005, 960, 1040, 995, 1120)
W15_CURVE = Curve(Fraction(100), above=Fraction(12, 10), below=Fraction(8, 10), floor=Fraction(0))
W15_BASE = Base(drop=W15_ROWS, factor=Fraction(95, 100))


def exact(*values: int) -> list[Fraction]:
    return [Fraction(value) for value in values]


def bids(*prices_yuan: int) -> list[PricedBid]:
    return [PricedBid(str(index), price * 100) for index, price in enumerate(prices_yuan)]


def field_of(refused: Refused) -> str:
    return dict(refused.facts)["field"]


def test_m5_a_seven_bids_drop_one_at_each_side_and_the_dropped_are_scored_too():
    found = score_prices(PriceTerms(Benchmark(W15_BASE, W15_CURVE)), bids(*W15_PRICES))
    assert found.benchmark.value == Fraction("955.70")
    assert found.benchmark.mean == 1006
    assert [W15_PRICES[position] for position in found.benchmark.sides.high + found.benchmark.sides.low] == [1120, 960]
    assert [decimal_text(one.deviation * 100, 4) for one in found.scored] == [
        "2.5426", "5.6817", "5.1585", "0.4499", "8.8208", "4.1122", "17.1916",
    ]  # fmt: skip
    assert [decimal_text(one.score, 2) for one in found.scored] == [
        "96.95", "93.18", "93.81", "99.46", "89.42", "95.07", "79.37",
    ]  # fmt: skip
    assert found.scored[3].rank == 1


@pytest.mark.parametrize(("n", "benchmark"), [(7, "955.70"), (6, "940.50"), (5, "949.05")])
def test_m5_a_how_many_leave_depends_on_how_many_there_are(n, benchmark):
    assert decimal_text(benchmark_price(W15_BASE, exact(*W15_PRICES[:n]), None).value, 2) == benchmark


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        pytest.param(W15_ROWS, {4: (0, 0), 5: (0, 0), 6: (1, 0), 7: (1, 1), 20: (1, 1)}, id="W15"),
        pytest.param((DropRow(6, 1, 1),), {5: (0, 0), 6: (1, 1)}, id="traffic"),
        pytest.param(
            DropShare(5, Fraction(1, 5)),
            {4: (0, 0), 5: (1, 1), 7: (1, 1), 8: (2, 2), 12: (2, 2), 13: (3, 3), 17: (3, 3), 18: (4, 4), 20: (4, 4)},
            id="building",
        ),
        pytest.param((), {1: (0, 0), 9: (0, 0)}, id="none"),
    ],
)
def test_outlier_rules_seen_in_documents_are_rows_of_data(rule, expected):
    assert {n: drops(rule, n) for n in expected} == expected


def test_the_last_row_that_fits_applies():
    assert drops((DropRow(3, 1, 0), DropRow(5, 1, 1), DropRow(3, 0, 0)), 9) == (0, 0)


def test_an_outlier_rule_that_leaves_nobody_is_refused():
    with pytest.raises(Refused) as caught:
        part(exact(1, 2), (DropRow(1, 1, 1),))
    assert (caught.value.code, field_of(caught.value)) == ("no-price-left", "outliers")


HIGHWAY = HighwayTerms(
    control=Fraction(71_000_000), lowering=Fraction(3, 100), control_share=Fraction(4, 10), factor=Fraction(99, 100)
)
HIGHWAY_PRICES = exact(65_840_000, 64_750_000, 69_850_000)


def test_m5_b_bounds_and_benchmark_of_the_highway_method():
    found = highway_benchmark(HIGHWAY, HIGHWAY_PRICES)
    assert decimal_text(found.final_control, 2) == "68870000.00"
    assert decimal_text(found.mean_of_all, 2) == "66813333.33"
    assert decimal_text(found.theoretical_cost, 2) == "57665416.67"
    assert decimal_text(found.benchmark.mean, 2) == "65295000.00"
    assert decimal_text(found.benchmark.value, 3) == "66057750.000"
    assert (found.valid, found.above_control, found.below_cost) == ((0, 1), (2,), ())


def test_m5_b_scores_to_three_places_on_a_deviation_to_four():
    found = highway_benchmark(HIGHWAY, HIGHWAY_PRICES)
    curve = Curve(Fraction(100), above=Fraction(2), below=Fraction(1))
    scores = [curve.score(deviation_of(HIGHWAY_PRICES[i], found.benchmark.value, 4)) for i in found.valid]
    assert [decimal_text(score, 3) for score in scores] == ["99.670", "98.020"]


def test_m5_b_a_bid_below_the_theoretical_cost_leaves_the_benchmark_alone():
    found = highway_benchmark(HIGHWAY, [*HIGHWAY_PRICES, Fraction(30_000_000)])
    assert found.below_cost == (3,)
    assert found.benchmark.mean == Fraction(65_295_000)


def test_m5_b_a_price_on_either_bound_is_valid():
    terms = HighwayTerms(
        control=Fraction(100), lowering=Fraction(0), control_share=Fraction(0), factor=Fraction(1), places=None
    )
    at_cost = Fraction("63.75") / Fraction("0.7875")  # solves p = 0.425 x (100 + (p + 100) / 2)
    found = highway_benchmark(terms, [at_cost, Fraction(100)])
    assert (found.theoretical_cost, found.valid) == (at_cost, (0, 1))


def test_m5_b_with_six_valid_bids_the_highest_and_the_lowest_leave():
    found = highway_benchmark(HIGHWAY, [Fraction(n * 10**6) for n in (65, 64, 66, 63, 67, 62)])
    assert (found.benchmark.sides.high, found.benchmark.sides.low) == ((4,), (5,))


@pytest.mark.parametrize("prices", [[], [Fraction(71_000_000)]])
def test_m5_b_without_a_bid_between_the_bounds_there_is_no_benchmark(prices):
    with pytest.raises(Refused) as caught:
        highway_benchmark(HIGHWAY, prices)
    assert caught.value.code == "no-valid-bid"


@pytest.mark.parametrize(
    ("n", "drawn"), [(1, 1), (3, 3), (5, 3), (7, 4), (10, 5), (11, 6), (15, 6), (20, 8), (21, 9), (40, 12)]
)
def test_m5_b_how_many_are_drawn_for_the_mean(n, drawn):
    assert highway_drawn_count(n) == drawn


BUILDING_PRICES = exact(
    9_210_000, 9_350_000, 9_480_000, 9_520_000, 9_600_000, 9_640_000, 9_755_000, 9_800_000, 9_905_000, 10_120_000, 8_700_000
)  # fmt: skip
REASONABLE = lowest_reasonable(BUILDING_PRICES, Fraction(4, 100))


def test_m5_c_the_building_method_with_its_drawn_nine():
    assert decimal_text(REASONABLE.core_mean, 3) == "9592142.857"
    assert decimal_text(REASONABLE.bound, 3) == "9208457.143"
    assert REASONABLE.eligible == tuple(range(10))
    found = building_benchmark(REASONABLE, BUILDING_PRICES, tuple(range(9)))
    assert (found.sides.low, found.sides.high) == ((0,), (8,))
    assert decimal_text(found.value, 3) == "9592142.857"
    curve = Curve(Fraction(55), above=Fraction(1), below=Fraction(1))
    assert [decimal_text(curve.score(deviation_of(price, found.value, None)), 2) for price in BUILDING_PRICES] == [
        "51.02", "52.48", "53.83", "54.25", "54.92", "54.50", "53.30", "52.83", "51.74", "49.50", "45.70",
    ]  # fmt: skip


def test_m5_c_a_price_at_the_bound_is_eligible():
    assert lowest_reasonable(exact(100, 100, 100), Fraction(0)).eligible == (0, 1, 2)


def test_m5_c_variant_two_mixes_the_control_price_in():
    plain = building_benchmark(REASONABLE, BUILDING_PRICES, tuple(range(9)))
    mixed = building_benchmark(
        REASONABLE, BUILDING_PRICES, tuple(range(9)), control=Fraction(10**7), control_share=Fraction(6, 10)
    )
    assert mixed.value == Fraction(6, 10) * 10**7 + Fraction(4, 10) * plain.value


@pytest.mark.parametrize(
    "drawn", [(*range(8), 10), tuple(range(8)), (*range(8), 7)], ids=["below the bound", "one left out", "one twice"]
)
def test_m5_c_only_a_full_draw_of_eligible_bids_makes_the_benchmark(drawn):
    with pytest.raises(Refused) as caught:
        building_benchmark(REASONABLE, BUILDING_PRICES, drawn)
    assert field_of(caught.value) == "drawn"


def test_m5_c_variant_one_weighs_the_leading_bids():
    found = lowest_reasonable(exact(100, 200, 300, 400, 500), Fraction(1))
    value = leading_benchmark(found, exact(100, 200, 300, 400, 500), Leading(technical=(0, 1), credit=(2, 0)))
    assert value == Fraction(15 + 20 + 45 + 5) + Fraction(55, 100) * 450


def test_m5_c_variant_one_needs_a_rest_and_eligible_leaders():
    for prices, leading in (
        (exact(100, 100, 100), Leading(technical=(0, 1), credit=(1, 2))),
        (exact(100, 100, 100, 1), Leading(technical=(0, 3), credit=(1, 2))),
    ):
        with pytest.raises(Refused):
            leading_benchmark(lowest_reasonable(prices, Fraction(1, 100)), prices, leading)


FIVE = exact(1102, 1088, 1150, 1131, 1067)


def test_m5_d_benchmark_mixed_with_the_control_price():
    found = benchmark_price(Base(control_share=Fraction(4, 10), factor=Fraction(97, 100)), FIVE, Fraction(1200))
    assert (decimal_text(found.mean, 4), decimal_text(found.value, 4)) == ("1107.6000", "1110.2232")


def test_m5_e_both_readings_of_the_second_mean():
    assert decimal_text(second_mean_at_or_below(FIVE), 4) == "1085.6667"
    assert decimal_text(second_mean_with_lowest(FIVE), 4) == "1087.3000"


@pytest.mark.parametrize(
    ("price", "step", "score"),
    [
        ("1013.7", Step.LINEAR, "58.63"),
        ("1013.7", Step.CEIL, "58.00"),
        ("1013.7", Step.FLOOR, "59.00"),
        ("986.2", Step.LINEAR, "59.31"),
        ("986.2", Step.CEIL, "59.00"),
        ("986.2", Step.FLOOR, "59.50"),
        ("1020", Step.CEIL, "58.00"),
        ("1020", Step.FLOOR, "58.00"),
        ("1000", Step.CEIL, "60.00"),
    ],
)
def test_m5_f_a_broken_percent_counts_as_the_document_says(price, step, score):
    curve = Curve(Fraction(60), above=Fraction(1), below=Fraction(1, 2), step=step)
    assert decimal_text(curve.score(deviation_of(Fraction(price), Fraction(1000), None)), 2) == score


@pytest.mark.parametrize(("percent", "score"), [("3.1", "29.38"), ("-4.8", "29.52"), ("30", "25.00"), ("-60", "25.00")])
def test_m5_g_no_more_than_the_greatest_loss_is_lost(percent, score):
    curve = Curve(Fraction(30), above=Fraction(2, 10), below=Fraction(1, 10), max_loss=Fraction(5))
    assert decimal_text(curve.score(Fraction(percent) / 100), 2) == score


def test_step_comes_before_greatest_loss_and_that_before_the_floor():
    curve = Curve(
        Fraction(10), above=Fraction(3), below=Fraction(1), step=Step.CEIL, max_loss=Fraction(8), floor=Fraction(1)
    )
    assert curve.score(Fraction("0.021")) == 2  # ceil 3 x 3 = 9, at most 8 lost
    assert curve.score(Fraction("0.011")) == 4
    deeper = Curve(Fraction(10), above=Fraction(3), below=Fraction(1), max_loss=Fraction(8), floor=Fraction(5))
    assert deeper.score(Fraction(1)) == 5


def test_without_a_floor_a_score_may_fall_below_zero():
    assert Curve(Fraction(10), above=Fraction(3), below=Fraction(1)).score(Fraction(1, 10)) == -20


def test_a_rounded_deviation_of_zero_costs_nothing():
    terms = PriceTerms(
        Benchmark(Base(places=0), Curve(Fraction(10), above=Fraction(5), below=Fraction(5), step=Step.CEIL)),
        rounding=Rounding(deviation=2),
    )
    assert [one.score for one in score_prices(terms, bids(1000, 1001)).scored] == [10, 10]


def test_a_benchmark_that_rounds_to_zero_is_refused():
    with pytest.raises(Refused) as caught:
        benchmark_price(Base(places=0), [Fraction(4, 10)], None)
    assert caught.value.code == "benchmark-not-positive"


def test_a_share_of_a_control_price_that_is_not_there_is_refused():
    with pytest.raises(Refused) as caught:
        benchmark_price(Base(control_share=Fraction(1, 10)), FIVE, None)
    assert field_of(caught.value) == "control"


def test_a_stated_method_reads_into_the_same_terms():
    stated = PriceMethod(
        "benchmark", "100", (OutlierRow(6, 1, 0), OutlierRow(7, 1, 1)), k="0.05", above="1.2", below="0.8", floor="0"
    )
    assert price_terms(stated, None) == PriceTerms(Benchmark(W15_BASE, W15_CURVE))


GOOD = {"method": "benchmark", "full": "60", "above": "1", "below": "0.5"}


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"method": "cheapest"}, "method"),
        ({"full": ""}, "full"),
        ({"full": "0"}, "full"),
        ({"full": "-1"}, "full"),
        ({"above": ""}, "above"),
        ({"below": ""}, "below"),
        ({"above": "-1"}, "above"),
        ({"w": "1.1"}, "w"),
        ({"w": "0.4"}, "control"),
        ({"k": "1"}, "k"),
        ({"k": "-0.1"}, "k"),
        ({"r": "0"}, "r"),
        ({"r": "99"}, "r"),
        ({"k": "0.1", "r": "0.9"}, "r"),
        ({"step": "round"}, "step"),
        ({"floor": "61"}, "floor"),
        ({"max_loss": "-5"}, "max_loss"),
        ({"round_score": 19}, "round.score"),
        ({"round_benchmark": -2}, "round.benchmark"),
        ({"outliers": (OutlierRow(6, -1, 0),)}, "outliers[0].high"),
        ({"method": "lowest-ratio"}, "above"),
        ({"method": "lowest-evaluated", "above": "", "below": ""}, "full"),
        ({"method": "lowest-ratio", "above": "", "below": "", "outliers": (OutlierRow(6, 1, 1),)}, "outliers"),
    ],
)
def test_a_method_that_could_not_be_computed_is_refused_by_field(changed, field):
    price_terms(PriceMethod(**GOOD), None)
    with pytest.raises(Refused) as caught:
        price_terms(PriceMethod(**(GOOD | changed)), None)
    assert field_of(caught.value) == field


price_lists = st.lists(st.integers(min_value=1, max_value=10**9), min_size=1, max_size=15)


@given(price_lists, st.integers(min_value=1, max_value=1000))
def test_the_currency_unit_moves_the_benchmark_and_no_score(prices, factor):
    terms = PriceTerms(Benchmark(W15_BASE, W15_CURVE))
    first, second = (score_prices(terms, bids(*(price * by for price in prices))) for by in (1, factor))
    assert second.benchmark.value == first.benchmark.value * factor
    assert [one.exact for one in second.scored] == [one.exact for one in first.scored]


@given(price_lists, st.integers(0, 3), st.integers(0, 3))
def test_what_stays_lies_between_what_leaves(prices, high, low):
    if high + low >= len(prices):
        return
    sides = part(exact(*prices), (DropRow(1, high, low),))
    assert sorted(sides.kept + sides.high + sides.low) == list(range(len(prices)))
    assert (len(sides.high), len(sides.low)) == (high, low)
    kept = [prices[position] for position in sides.kept]
    assert all(prices[position] >= max(kept) for position in sides.high)
    assert all(prices[position] <= min(kept) for position in sides.low)


@given(
    st.fractions(min_value=-2, max_value=2, max_denominator=10**6),
    st.fractions(min_value=0, max_value=1, max_denominator=1000),
    st.sampled_from(Step),
)
def test_farther_from_the_benchmark_never_scores_higher(deviation, further, step):
    curve = Curve(Fraction(100), Fraction(2), Fraction(1), step, max_loss=Fraction(60), floor=Fraction(45))
    outward = deviation + further if deviation >= 0 else deviation - further
    assert curve.score(Fraction(0)) == 100
    assert 45 <= curve.score(outward) <= curve.score(deviation) <= 100


@given(st.fractions(min_value=-2, max_value=2, max_denominator=10**6))
def test_a_started_percent_costs_at_least_the_proportion_and_an_unfinished_one_at_most(deviation):
    ceil, linear, floor = (
        Curve(Fraction(100), Fraction(2), Fraction(1), step).score(deviation)
        for step in (Step.CEIL, Step.LINEAR, Step.FLOOR)
    )
    assert ceil <= linear <= floor
