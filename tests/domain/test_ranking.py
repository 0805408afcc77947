"""Candidates' places: total, then the documents' tie rule, and no tie broken in silence."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain.ranking import Candidate, Placed, TieRule, rank_candidates
from node.domain.refused import Refused


def candidate(ref: str, total: int, price_fen: int, technical: int = 0) -> Candidate:
    return Candidate(ref=ref, total=Fraction(total), price_fen=price_fen, technical=Fraction(technical))


@pytest.mark.parametrize(
    ("candidates", "rule", "placed"),
    [
        pytest.param(
            [candidate("A", 80, 1), candidate("B", 90, 9)],
            TieRule.PRICE_TECHNICAL,
            [("B", 1, False), ("A", 2, False)],
            id="higher total first",
        ),
        pytest.param(
            [candidate("A", 90, 9, 99), candidate("B", 90, 8, 1)],
            TieRule.PRICE_TECHNICAL,
            [("B", 1, False), ("A", 2, False)],
            id="then lower price",
        ),
        pytest.param(
            [candidate("A", 90, 8, 30), candidate("B", 90, 8, 40)],
            TieRule.PRICE_TECHNICAL,
            [("B", 1, False), ("A", 2, False)],
            id="then higher technical",
        ),
        pytest.param(
            [candidate("A", 90, 9, 40), candidate("B", 90, 8, 30)],
            TieRule.TECHNICAL_PRICE,
            [("A", 1, False), ("B", 2, False)],
            id="documents that put technical first",
        ),
        pytest.param(
            [candidate("A", 90, 8, 30), candidate("B", 90, 8, 40), candidate("C", 80, 1)],
            TieRule.PRICE,
            [("A", 1, True), ("B", 1, True), ("C", 3, False)],
            id="equal in all that is compared: same place, next left out",
        ),
        pytest.param([], TieRule.PRICE, [], id="nobody"),
    ],
)
def test_candidates_are_ranked_by_total_then_by_the_tie_rule(candidates, rule, placed):
    assert rank_candidates(candidates, rule) == tuple(Placed(*row) for row in placed)


def test_a_bid_that_stands_twice_is_refused():
    with pytest.raises(Refused) as caught:
        rank_candidates([candidate("A", 1, 1), candidate("A", 2, 2)])
    assert dict(caught.value.facts)["field"] == "candidates[1].ref"


small = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3), st.integers(0, 2)), max_size=8)


@given(small)
def test_a_place_is_one_more_than_the_number_of_better_bids(rows):
    candidates = [candidate(str(index), *row) for index, row in enumerate(rows)]
    for one in rank_candidates(candidates):
        total, price, technical = rows[int(one.ref)]
        mine = (total, -price, technical)
        others = [(other[0], -other[1], other[2]) for index, other in enumerate(rows) if str(index) != one.ref]
        assert one.rank == 1 + sum(other > mine for other in others)
        assert one.tie == (mine in others)
