"""Days, working days and periods, against the vectors and against a reference that walks the days one by one."""

import tomllib
from datetime import date, datetime, timedelta, timezone
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.calendars import read_calendar
from node.domain.calendar import (
    DAY_MS,
    Calendar,
    CalendarExpired,
    CalendarMalformed,
    day_start_ms,
    earliest,
    end_text,
    latest_before,
    local_day,
    moment_text,
    parse_calendar,
    period_end,
    running_ms,
    working_day_end,
    years_after,
)
from node.domain.profile import Unit
from node.domain.refused import Refused
from node.profiles_loader import PROFILES

BODY = (PROFILES / "calendar-2026.toml").read_bytes()
YEAR = read_calendar(BODY)
CHINA = timezone(timedelta(hours=8))
ONE = timedelta(days=1)
HOUR_MS = 3_600_000
WD = Unit.WORKING_DAYS


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1000


# -- the year as it was published ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("day", "works"),
    [
        ("2026-01-01", False),  # Thursday off
        ("2026-01-04", True),  # Sunday made up
        ("2026-01-10", False),  # plain Saturday
        ("2026-02-14", True),
        ("2026-02-16", False),
        ("2026-02-23", False),
        ("2026-02-24", True),
        ("2026-02-28", True),
        ("2026-04-06", False),
        ("2026-05-05", False),
        ("2026-05-09", True),
        ("2026-06-19", False),
        ("2026-09-20", True),
        ("2026-09-25", False),
        ("2026-10-07", False),
        ("2026-10-10", True),
        ("2026-12-31", True),
    ],
)
def test_2026_works_and_rests_as_published(day: str, works: bool) -> None:
    assert YEAR.is_working_day(date.fromisoformat(day)) is works


def test_2026_has_the_248_working_days_that_13_statutory_holidays_leave() -> None:
    days = [YEAR.first + offset * ONE for offset in range(365)]
    assert days[-1] == YEAR.last
    assert sum(map(YEAR.is_working_day, days)) == 365 - 104 - 13


# -- vectors -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("start", "days", "roll", "expected"),
    [
        ("2026-03-02 09:00", 20, False, "2026-03-22 09:00"),  # T1, a Sunday
        ("2026-03-02 09:00", 20, True, "2026-03-23 09:00"),  # T1 with the profile's flag
        ("2026-03-10 00:00", 15, True, "2026-03-25 00:00"),  # T2
        ("2026-03-10 23:59", 15, True, "2026-03-25 23:59"),
        ("2026-09-15 09:00", 5, True, "2026-09-20 09:00"),  # a Sunday on which people work
        ("2026-09-10 10:00", 15, True, "2026-09-28 10:00"),  # Mid-Autumn Friday to Monday
        ("2026-03-02 09:00", 0, False, "2026-03-02 09:00"),
    ],
)
def test_a_minimum_period_of_days_is_over_at(start: str, days: int, roll: bool, expected: str) -> None:
    assert moment_text(earliest(ms(start), days, YEAR, roll=roll)) == expected


@pytest.mark.parametrize(
    ("start", "days", "roll", "expected"),
    [
        ("2026-03-27 16:00", 3, True, "2026-03-30 24:00"),  # T3: publicity starts by the 30th
        ("2026-03-30 10:00", 3, True, "2026-04-02 24:00"),  # T3: and lasts three full days
        ("2026-03-30 00:00", 3, True, "2026-04-02 24:00"),
        ("2026-04-01 10:00", 3, False, "2026-04-04 24:00"),
        ("2026-04-01 10:00", 3, True, "2026-04-07 24:00"),  # Tomb-Sweeping holiday
        ("2026-02-05 10:00", 10, True, "2026-02-24 24:00"),  # Spring Festival: the 15th moves to the 24th
        ("2026-03-30 10:00", 0, False, "2026-03-30 24:00"),
    ],
)
def test_a_period_of_days_ends_with_its_last_day(start: str, days: int, roll: bool, expected: str) -> None:
    assert end_text(period_end(ms(start), days, YEAR, roll=roll)) == expected


@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        ("2026-03-27 16:00", 3, "2026-04-01 24:00"),
        ("2026-02-12 09:00", 3, "2026-02-24 24:00"),  # the 13th, Saturday the 14th made up, then the festival
        ("2026-05-08 09:00", 1, "2026-05-09 24:00"),
        ("2026-01-01 09:00", 1, "2026-01-04 24:00"),
    ],
)
def test_a_period_of_working_days_ends_with_the_last_of_them(start: str, days: int, expected: str) -> None:
    assert end_text(working_day_end(ms(start), days, YEAR)) == expected


@pytest.mark.parametrize(
    ("start", "days", "expected"),
    [
        ("2026-03-27 16:00", 1, "2026-03-30 16:00"),  # Friday afternoon to Monday afternoon
        ("2026-03-27 00:00", 1, "2026-03-30 00:00"),  # 24 hours alone would allow Saturday: not a working day after
        ("2026-03-28 10:00", 1, "2026-03-31 00:00"),  # from a Saturday, the whole Monday
    ],
)
def test_a_minimum_of_working_days_needs_both_readings(start: str, days: int, expected: str) -> None:
    assert moment_text(earliest(ms(start), days, YEAR, unit=WD)) == expected


@pytest.mark.parametrize(
    ("deadline", "days", "unit", "expected"),
    [
        ("2026-03-25 09:30", 15, Unit.DAYS, "2026-03-10 23:59:59.999"),  # T2 read backwards
        ("2026-03-24 09:30", 15, Unit.DAYS, "2026-03-09 23:59:59.999"),
        ("2026-03-23 00:00", 10, Unit.DAYS, "2026-03-13 23:59:59.999"),
        ("2026-02-25 09:00", 2, WD, "2026-02-14 23:59:59.999"),
    ],
)
def test_so_many_days_before_a_deadline_leaves_its_day_out(deadline: str, days: int, unit: Unit, expected: str) -> None:
    assert moment_text(latest_before(ms(deadline), days, YEAR, unit=unit)) == expected


@pytest.mark.parametrize(
    ("at", "years", "expected"),
    [
        ("2026-03-02 09:00", 15, "2041-03-02 24:00"),
        ("2028-02-29 09:00", 15, "2043-02-28 24:00"),
        ("2028-02-29 09:00", 4, "2032-02-29 24:00"),
        ("2026-12-31 23:59", 1, "2027-12-31 24:00"),
    ],
)
def test_a_period_of_years_ends_with_the_same_date(at: str, years: int, expected: str) -> None:
    assert end_text(years_after(ms(at), years)) == expected


@pytest.mark.parametrize(
    ("text", "at_ms"),
    [
        ("1970-01-01 08:00", 0),
        ("2026-03-02 09:00", 1_772_413_200_000),
        ("2026-03-02 09:00:01", 1_772_413_201_000),
        ("2026-03-02 09:00:00.007", 1_772_413_200_007),
        ("-1 ms", -1),
        ("99999999999999999 ms", 99_999_999_999_999_999),
    ],
)
def test_a_moment_is_written_in_civil_time(text: str, at_ms: int) -> None:
    assert moment_text(at_ms) == text


@pytest.mark.parametrize("at_ms", [-1, 7_258_089_600_000, 10**30])
def test_a_moment_outside_two_centuries_is_refused(at_ms: int) -> None:
    with pytest.raises(Refused, match="moment-out-of-range"):
        earliest(at_ms, 1)


def test_a_period_of_a_hundred_years_from_the_last_moment_still_does_not_overflow() -> None:
    assert earliest(7_258_089_599_999, 36_525) > 7_258_089_599_999
    with pytest.raises(Refused, match="moment-out-of-range"):
        period_end(7_258_089_599_999, 36_525)


@pytest.mark.parametrize("days", [-1, 36_526])
def test_a_period_of_negative_or_endless_days_is_a_programming_error(days: int) -> None:
    with pytest.raises(ValueError, match="days"):
        earliest(0, days)
    with pytest.raises(ValueError, match="days"):
        YEAR.add_working_days(YEAR.first, days)


# -- the end of the calendar (A-16) --------------------------------------------------------------------------------------

AFTER_THE_END = ms("2027-01-04 09:00")


@pytest.mark.parametrize("calendar", [YEAR, None], ids=["expired", "none"])
def test_past_the_calendar_calendar_days_still_count(calendar: Calendar | None) -> None:
    assert moment_text(earliest(AFTER_THE_END, 20, calendar)) == "2027-01-24 09:00"
    assert end_text(period_end(AFTER_THE_END, 3, calendar)) == "2027-01-07 24:00"
    assert moment_text(latest_before(AFTER_THE_END, 10, calendar)) == "2026-12-25 23:59:59.999"


@pytest.mark.parametrize("calendar", [YEAR, None], ids=["expired", "none"])
@pytest.mark.parametrize(
    "ask",
    [
        lambda calendar: working_day_end(AFTER_THE_END, 3, calendar),
        lambda calendar: earliest(AFTER_THE_END, 3, calendar, unit=WD),
        lambda calendar: earliest(AFTER_THE_END, 20, calendar, roll=True),
        lambda calendar: period_end(AFTER_THE_END, 3, calendar, roll=True),
        lambda calendar: latest_before(AFTER_THE_END, 3, calendar, unit=WD),
    ],
    ids=["working-day end", "working-day minimum", "rolling minimum", "rolling end", "working days before"],
)
def test_past_the_calendar_whatever_needs_a_working_day_is_refused(calendar: Calendar | None, ask: Any) -> None:
    with pytest.raises(CalendarExpired) as refusal:
        ask(calendar)
    assert refusal.value.code == "calendar-expired"
    assert refusal.value.last == (YEAR.last if calendar else None)
    assert refusal.value.calendar_id == ("china-2026" if calendar else "")
    assert refusal.value.day > YEAR.last


def test_a_period_that_only_ends_past_the_calendar_is_refused_too() -> None:
    assert end_text(working_day_end(ms("2026-12-29 09:00"), 2, YEAR)) == "2026-12-31 24:00"
    with pytest.raises(CalendarExpired) as refusal:
        working_day_end(ms("2026-12-29 09:00"), 3, YEAR)
    assert refusal.value.day == date(2027, 1, 1)


def test_a_day_before_the_calendar_is_refused_as_well() -> None:
    with pytest.raises(CalendarExpired) as refusal:
        YEAR.subtract_working_days(date(2026, 1, 5), 2)
    assert refusal.value.day == date(2025, 12, 31)


# -- pauses --------------------------------------------------------------------------------------------------------------


def test_a_pause_moves_a_minimum_by_exactly_its_length() -> None:
    pause = (ms("2026-03-05 10:00"), ms("2026-03-06 13:30"))
    assert moment_text(earliest(ms("2026-03-02 09:00"), 20, pauses=[pause])) == "2026-03-23 12:30"


def test_a_day_that_a_pause_cut_short_is_completed_by_one_more() -> None:
    pause = (ms("2026-03-31 10:00"), ms("2026-03-31 10:01"))
    assert end_text(period_end(ms("2026-03-30 10:00"), 3, pauses=[pause])) == "2026-04-03 24:00"


def test_a_pause_on_the_starting_day_moves_no_end_because_that_day_does_not_count() -> None:
    pause = (ms("2026-03-30 11:00"), ms("2026-03-30 20:00"))
    assert end_text(period_end(ms("2026-03-30 10:00"), 3, pauses=[pause])) == "2026-04-02 24:00"


def test_a_pause_over_rest_days_moves_no_period_of_working_days() -> None:
    pause = (ms("2026-03-28 00:00"), ms("2026-03-30 00:00"))
    assert working_day_end(ms("2026-03-27 16:00"), 3, YEAR, pauses=[pause]) == working_day_end(
        ms("2026-03-27 16:00"), 3, YEAR
    )
    longer = (ms("2026-03-28 00:00"), ms("2026-03-31 00:00"))
    assert end_text(working_day_end(ms("2026-03-27 16:00"), 3, YEAR, pauses=[longer])) == "2026-04-02 24:00"


def test_pauses_after_the_end_and_pauses_inside_others_change_nothing() -> None:
    inside = [(ms("2026-03-05 10:00"), ms("2026-03-07 10:00")), (ms("2026-03-05 12:00"), ms("2026-03-06 10:00"))]
    later = (ms("2026-06-01 10:00"), ms("2026-07-01 10:00"))
    assert moment_text(earliest(ms("2026-03-02 09:00"), 20, pauses=[*inside, later])) == "2026-03-24 09:00"


def test_a_minimum_of_no_days_is_over_at_once_even_in_a_pause() -> None:
    start_ms = ms("2026-03-05 10:00")
    assert earliest(start_ms, 0, pauses=[(start_ms - HOUR_MS, start_ms + HOUR_MS)]) == start_ms


def test_a_pause_that_ends_before_it_begins_is_a_programming_error() -> None:
    with pytest.raises(ValueError, match="pause"):
        running_ms(0, 10, [(5, 4)])


# -- against a reference that walks -----------------------------------------------------------------------------------------

MOMENTS = st.integers(ms("2026-01-01 00:00"), ms("2026-09-30 23:59"))
DAYS = st.integers(0, 40)
WALKED = [date(2026, 1, 1) + offset * ONE for offset in range(365)]
_RAW = tomllib.loads(BODY.decode())
_OFF = {
    (table["first"] + offset * ONE).isoformat()
    for table in _RAW["holiday"]
    for offset in range((table["last"] - table["first"]).days + 1)
}
_ON = {day.isoformat() for table in _RAW["holiday"] for day in table.get("make_up", [])}


@cache
def works(day: date) -> bool:
    """The reference's own reading of the file: by text, not by the class under test."""
    return day.isoformat() in _ON or (day.strftime("%a") not in {"Sat", "Sun"} and day.isoformat() not in _OFF)


def civil(at_ms: int) -> datetime:
    """The reference's own clock: seconds and a fixed offset, never the module under test."""
    return datetime(1970, 1, 1) + timedelta(hours=8, milliseconds=at_ms)  # noqa: DTZ001 - civil time is meant


@settings(deadline=None)
@given(MOMENTS)
def test_every_moment_lies_in_its_day(at_ms: int) -> None:
    assert local_day(at_ms) == civil(at_ms).date()
    assert day_start_ms(local_day(at_ms)) <= at_ms < day_start_ms(local_day(at_ms) + ONE)


@settings(deadline=None)
@given(MOMENTS, DAYS, st.booleans())
def test_a_rolled_minimum_is_the_first_moment_that_both_readings_and_the_week_allow(
    at_ms: int, days: int, roll: bool
) -> None:
    start = civil(at_ms)
    day = start.date()
    for _ in range(days):
        day += ONE
    found = civil(earliest(at_ms, days, YEAR, roll=roll))
    assert found.date() >= day
    assert found - start >= timedelta(hours=24 * days)
    while roll and not works(day):
        day += ONE
    assert found == datetime.combine(day, start.time())


@settings(deadline=None)
@given(MOMENTS, DAYS, st.booleans())
def test_an_end_of_days_is_the_one_that_walking_finds(at_ms: int, days: int, roll: bool) -> None:
    day = civil(at_ms).date()
    for _ in range(days):
        day += ONE
    while roll and not works(day):
        day += ONE
    assert civil(period_end(at_ms, days, YEAR, roll=roll)) == datetime.combine(day + ONE, datetime.min.time())


@settings(deadline=None)
@given(MOMENTS, DAYS)
def test_an_end_of_working_days_is_the_one_that_walking_finds(at_ms: int, days: int) -> None:
    start = civil(at_ms).date()
    later = [day for day in WALKED if day > start and works(day)]
    last = later[days - 1] if days else start
    assert civil(working_day_end(at_ms, days, YEAR)) == datetime.combine(last + ONE, datetime.min.time())


@settings(deadline=None)
@given(st.sampled_from(WALKED[:270]), DAYS)
def test_working_days_forward_and_back_are_what_lists_say(day: date, count: int) -> None:
    after = [day, *(one for one in WALKED if one > day and works(one))]
    assert YEAR.add_working_days(day, count) == after[count]
    before = [day, *(one for one in reversed(WALKED) if one < day and works(one))]
    if count < len(before):
        assert YEAR.subtract_working_days(day, count) == before[count]
    else:
        with pytest.raises(CalendarExpired):
            YEAR.subtract_working_days(day, count)


@settings(deadline=None)
@given(MOMENTS, st.integers(1, 40))
def test_a_minimum_of_working_days_satisfies_both_readings_and_no_earlier_hour_does(at_ms: int, days: int) -> None:
    nth = [day for day in WALKED if day > civil(at_ms).date() and works(day)][days - 1]

    def worked(until_ms: int) -> int:
        """Milliseconds of working days between start and `until_ms`, an hour or less at a time."""
        total, at = 0, at_ms
        while at < until_ms:
            step = min(until_ms, at - (at % HOUR_MS) + HOUR_MS)
            total += (step - at) * works(civil(at).date())
            at = step
        return total

    found = earliest(at_ms, days, YEAR, unit=WD)
    assert civil(found).date() >= nth
    assert worked(found) >= days * DAY_MS
    assert civil(found - 1).date() < nth or worked(found - 1) < days * DAY_MS


PAUSES = st.lists(
    st.tuples(st.integers(0, 60 * 24), st.integers(0, 5 * 24)).map(
        lambda pair: (ms("2026-03-01 00:00") + pair[0] * HOUR_MS, ms("2026-03-01 00:00") + sum(pair) * HOUR_MS)
    ),
    max_size=5,
)
HOURS = st.integers(0, 30 * 24).map(lambda hours: ms("2026-03-01 00:00") + hours * HOUR_MS)


@settings(deadline=None)
@given(HOURS, st.integers(1, 15), PAUSES, st.booleans())
def test_pauses_stop_the_clock_hour_by_hour(
    start_ms: int, days: int, pauses: list[tuple[int, int]], by_working_days: bool
) -> None:
    """The reference lets a clock tick hour after hour from the end of the starting day."""
    at = civil(start_ms).replace(hour=0) + ONE
    left = days * 24
    while left:
        at_ms = (at - datetime(1970, 1, 1, 8)) // timedelta(milliseconds=1)  # noqa: DTZ001 - civil time is meant
        stands = any(begin <= at_ms < end for begin, end in pauses) or (by_working_days and not works(at.date()))
        left -= not stands
        at += timedelta(hours=1)
    last = (at - timedelta(hours=1)).date()
    unit = WD if by_working_days else Unit.DAYS
    found = period_end(start_ms, days, YEAR, unit=unit, pauses=pauses)
    assert civil(found) == datetime.combine(last + ONE, datetime.min.time())


@settings(deadline=None)
@given(HOURS, HOURS, PAUSES)
def test_running_time_is_the_hours_outside_pauses(start_ms: int, end_ms: int, pauses: list[tuple[int, int]]) -> None:
    hours = range(start_ms, end_ms, HOUR_MS)
    ran = sum(not any(begin <= hour < end for begin, end in pauses) for hour in hours)
    assert running_ms(start_ms, end_ms, pauses) == ran * HOUR_MS


@settings(deadline=None)
@given(MOMENTS, DAYS)
def test_counted_back_from_a_deadline_is_the_inverse_of_counted_forward(at_ms: int, days: int) -> None:
    """Whatever is early enough by days backwards leaves a deadline that the day reading of the minimum allows."""
    deadline_ms = at_ms + days * DAY_MS
    latest_ms = latest_before(deadline_ms, days)
    assert at_ms <= latest_ms
    assert civil(latest_ms).date() == civil(at_ms).date()
    assert civil(latest_ms + 1).date() == civil(at_ms).date() + ONE


# -- data that contradicts itself ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"id": ""}, "id"),
        ({"id": "two words"}, "id"),
        ({"id": "a\nb"}, "id"),
        ({"version": 0}, "version"),
        ({"version": True}, "version"),
        ({"first": "2026-01-01"}, "first"),
        ({"first": datetime(2026, 1, 1, tzinfo=CHINA)}, "first"),
        ({"last": date(2025, 12, 31)}, "last"),
        ({"last": date(2026, 9, 30)}, "holiday"),
        ({"cites": []}, "cites"),
        ({"confirmed": "yes"}, "confirmed"),
        ({"surprise": 1}, "calendar"),
        ({"holiday": {}}, "holiday"),
        ({"holiday": [1]}, "holiday"),
        ({"holiday": [{"first": date(2026, 1, 1)}]}, "holiday[0].last"),
        ({"holiday": [{"first": date(2026, 1, 2), "last": date(2026, 1, 1)}]}, "holiday[0].last"),
        ({"holiday": [{"first": date(2026, 1, 1), "last": date(2026, 12, 1)}]}, "holiday[0].last"),
        ({"holiday": [{"first": date(2026, 1, 1), "last": date(2026, 1, 1)}] * 2}, "holiday[1]"),
        ({"holiday": [{"first": date(2026, 1, 1), "last": date(2026, 1, 1), "make_up": 4}]}, "holiday[0].make_up"),
        ({"holiday": [{"first": date(2026, 1, 1), "last": date(2026, 1, 1), "odd": 4}]}, "holiday[0]"),
        (
            {"holiday": [{"first": date(2026, 1, 3), "last": date(2026, 1, 4), "make_up": [date(2026, 1, 4)]}]},
            "make_up",
        ),
        (
            {"holiday": [{"first": date(2026, 1, 1), "last": date(2026, 1, 1), "make_up": [date(2026, 1, 5)]}]},
            "make_up",
        ),
    ],
)
def test_a_calendar_that_contradicts_itself_is_refused_with_its_place(change: dict[str, Any], where: str) -> None:
    with pytest.raises(CalendarMalformed) as malformed:
        parse_calendar({**_RAW, **change}, b"")
    assert malformed.value.where == where
