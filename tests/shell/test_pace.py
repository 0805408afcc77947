"""How large a request is and how fast a line is, from answers alone: by table."""

import pytest

from sync.pace import Answered, Flow, Pace


def answers(*seconds: float, size: int = 90_000) -> list[Answered]:
    return [Answered(256, 37_120, size, one) for one in seconds]


def test_requests_grow_while_they_are_quick_and_shrink_at_once_to_three_seconds() -> None:
    pace = Pace()
    sizes = []
    for one in answers(*(0.1,) * 7, 2.0, 6.0, 9.0, 4.0, 400.0, 5.0):
        pace.answered(one)
        sizes.append(pace.packages)
    assert sizes == [2, 4, 8, 16, 32, 32, 32, 32, 16, 5, 5, 1, 1]


def test_a_cut_halves_the_next_request_and_never_empties_it() -> None:
    pace = Pace()
    for one in answers(0.1, 0.1, 0.1):
        pace.answered(one)
    sizes = []
    for _ in range(4):
        pace.lost()
        sizes.append(pace.packages)
    assert sizes == [4, 2, 1, 1]


def test_bodies_are_packed_until_the_line_shows_that_it_is_broad_and_again_when_it_is_thin() -> None:
    pace = Pace()
    seen = []
    for one in (*answers(1.0), *answers(1.0, 1.0, size=3_000_000), *answers(1.0, size=1_500_000), *answers(1.0)):
        pace.answered(one)
        seen.append(pace.packed)
    assert seen == [True, False, False, False, True]


def test_the_rate_is_that_of_acknowledged_entries_over_the_last_answers() -> None:
    pace = Pace()
    assert (pace.bytes_per_s, pace.entries_per_s) == (0, 0)
    for one in answers(2.0, 2.0):
        pace.answered(one)
    assert (pace.bytes_per_s, pace.entries_per_s) == (18_560, 128)
    for one in answers(*(1.0,) * 8):
        pace.answered(one)
    assert (pace.bytes_per_s, pace.entries_per_s) == (37_120, 256)


def flowing(flow: Flow, begin_s: float, seconds: float, rate: int, *, waiting: bool = True) -> float:
    """Look ten times a second; return when it ended."""
    for tick in range(1, int(seconds * 10) + 1):
        flow.acknowledged(rate // 10, begin_s + tick / 10, waiting=waiting)
    return begin_s + seconds


def test_a_flow_is_known_after_some_seconds_in_which_bytes_waited() -> None:
    flow = Flow()
    at_s = flowing(flow, 0.0, 5.0, 900, waiting=False)
    assert flow.rate == 0, "nothing waited: it was not the line that set the rate"
    flowing(flow, at_s, 5.0, 8_000)
    assert flow.rate == pytest.approx(8_000, rel=0.06)


def test_a_cut_does_not_make_a_line_thin_and_half_a_minute_does() -> None:
    flow = Flow()
    at_s = flowing(flow, 0.0, 5.0, 8_000)
    at_s = flowing(flow, at_s, 10.0, 0)
    assert flow.rate == pytest.approx(8_000, rel=0.06)
    flowing(flow, at_s, 30.0, 2_000)
    assert flow.rate == pytest.approx(2_000, rel=0.06)
