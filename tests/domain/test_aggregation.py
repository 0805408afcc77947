"""Members' marks: the published means, the range guard, the recheck before ranking."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.aggregation import Item, MarkFinding, TrimBy, aggregate, group_score, mark_fault, recheck, total_score
from node.domain.exact import decimal_text
from node.domain.refused import Refused

FIVE = (3850, 3600, 4100, 3550, 3700)
SEVEN = (*FIVE, 3900, 4000)


@pytest.mark.parametrize(
    ("marks", "trim_from", "score"),
    [
        (FIVE, None, "37.60"),
        (FIVE, 5, "37.17"),
        (FIVE, 7, "37.60"),
        (SEVEN, None, "38.14"),
        (SEVEN, 5, "38.10"),
        (SEVEN, 7, "38.10"),
    ],
)
def test_marks_are_averaged_without_the_extremes_only_from_so_many_members_on(marks, trim_from, score):
    assert decimal_text(aggregate(marks, trim_from), 2) == score


@pytest.mark.parametrize(
    ("marks", "trim_from", "field"),
    [((), None, "marks"), ((), 5, "marks"), (FIVE, 2, "trim_from"), ((1,), 0, "trim_from")],
)
def test_nothing_to_average_or_a_trim_that_leaves_nothing_is_refused(marks, trim_from, field):
    with pytest.raises(Refused) as caught:
        aggregate(marks, trim_from)
    assert dict(caught.value.facts)["field"] == field


TWO_ITEMS = {
    "E1": {"T1": 1000, "T2": 3000},
    "E2": {"T1": 2000, "T2": 2000},
    "E3": {"T1": 3000, "T2": 1000},
    "E4": {"T1": 3000, "T2": 2500},
}


def test_trimming_by_item_and_by_member_are_different_rules():
    assert group_score(TWO_ITEMS, ("T1", "T2")) == group_score(TWO_ITEMS, ("T1", "T2"), None, TrimBy.MEMBER_TOTAL)
    assert group_score(TWO_ITEMS, ("T1", "T2"), 3) == Fraction(2500 + 2250, 100)
    assert group_score(TWO_ITEMS, ("T1", "T2"), 3, TrimBy.MEMBER_TOTAL) == Fraction(4000, 100)


def test_a_group_counts_only_its_own_items():
    assert group_score(TWO_ITEMS, ("T1",)) == Fraction(9000, 400)


def test_the_printed_parts_add_up_to_the_printed_total():
    parts = (Fraction(1, 3), Fraction("28.995"), Fraction(1, 3))
    assert total_score(parts) == Fraction("29.66")
    assert total_score(parts, 4) == Fraction("29.6616")


def test_an_item_is_not_rounded_before_its_group_is_added_up():
    thirds = {member: {"T1": mark, "T2": mark, "T3": mark} for member, mark in (("E1", 800), ("E2", 800), ("E3", 900))}
    assert group_score(thirds, ("T1", "T2", "T3")) == 25


T1 = Item(no="T1", full_centi=4000, step_centi=50)
B1 = Item(no="B1", full_centi=3000, step_centi=500, objective=True)


@pytest.mark.parametrize(
    ("mark_centi", "fault"),
    [(0, ""), (50, ""), (4000, ""), (3850, ""), (-50, "out-of-range"), (4050, "out-of-range"), (3825, "off-step")],
)
def test_a_mark_lies_in_range_and_on_a_step(mark_centi, fault):
    assert mark_fault(T1, mark_centi) == fault


@pytest.mark.parametrize(
    ("marks", "findings"),
    [
        ({"E1": {"T1": 50, "B1": 500}, "E2": {"T1": 4000, "B1": 500}}, ()),
        (
            {"E1": {"T1": 50, "B1": 500}, "E2": {"T1": 50, "B1": 1000}, "E3": {"T1": 0, "B1": 500}},
            (MarkFinding("P-1", "B1", "objective-differs", ("E1", "E2", "E3")),),
        ),
        ({"E1": {"T1": 4050, "B1": 500}}, (MarkFinding("P-1", "T1", "out-of-range", ("E1",)),)),
        ({"E1": {"T1": 51, "B1": 500}}, (MarkFinding("P-1", "T1", "off-step", ("E1",)),)),
        (
            {"E1": {"T1": 50}, "E2": {"T1": 50, "B1": 500, "X": 1}},
            (MarkFinding("P-1", "X", "unknown-item", ("E2",)), MarkFinding("P-1", "B1", "missing", ("E1",))),
        ),
    ],
)
def test_the_recheck_finds_all_that_forbids_ranking(marks, findings):
    assert recheck("P-1", (T1, B1), marks) == findings


mark_lists = st.lists(st.integers(0, 10_000), min_size=3, max_size=9)


@given(mark_lists, st.randoms(use_true_random=False))
def test_who_marked_first_does_not_matter(marks, rng):
    shuffled = list(marks)
    rng.shuffle(shuffled)
    assert aggregate(shuffled, 3) == aggregate(marks, 3)


@given(mark_lists, st.integers(0, 10_000))
def test_pushing_the_highest_mark_higher_changes_nothing_once_it_is_dropped(marks, push):
    pushed = sorted(marks)
    pushed[-1] += push
    assert aggregate(pushed, 3) == aggregate(marks, 3)


@given(mark_lists)
def test_a_mean_lies_within_the_marks(marks):
    for trim_from in (None, 3):
        assert Fraction(min(marks), 100) <= aggregate(marks, trim_from) <= Fraction(max(marks), 100)
