"""Civil time and periods (期间) in China: what a day is, which days are working days, when a period may and must end.

Instants are `at_ms`, milliseconds since the epoch; days are civil days at UTC+8, which has no summer time. The starting day
is never counted and a period ends with its last day (民法典 201, 203): its end is the exclusive instant 24:00, which is the
next day's 00:00. Working days come from a loaded calendar only: outside its days nothing is guessed, the rule refuses.
Calendar days need no calendar, unless a period rolls from a rest day to the next working day.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

from node.domain.profile import Unit
from node.domain.refused import Refused

CHINA = timezone(timedelta(hours=8))
DAY_MS = 86_400_000
MAX_DAYS = 36_525
_MAX_YEARS = 1_000
_DAY = timedelta(days=1)
_MS = timedelta(milliseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_END_MS = 7_258_089_600_000  # 2200: a moment and a period together never leave what `date` can hold
_SATURDAY = 5

Pause = tuple[int, int]


class CalendarExpired(Refused):
    """The calendar (工作日历) does not reach this day, or there is none: a working day is never guessed.

    `day` is asked for, `last` is the last loaded day (None without a calendar), `calendar_id` is empty without one.
    """

    def __init__(self, day: date, first: date | None, last: date | None, calendar_id: str) -> None:
        """Make the refusal from the day that lies outside."""
        super().__init__(
            "calendar-expired",
            rule="working-day-calendar",
            value=day.isoformat(),
            limit=f"{first} – {last}" if first else "",
            cites=("民法典 203",),
            facts=(("calendar", calendar_id),),
        )

    @property
    def day(self) -> date:
        """The day that lies outside."""
        return date.fromisoformat(self.value)

    @property
    def last(self) -> date | None:
        """The last loaded day."""
        return date.fromisoformat(self.limit.partition(" – ")[2]) if self.limit else None

    @property
    def calendar_id(self) -> str:
        """Which calendar was asked."""
        return dict(self.facts)["calendar"]


class CalendarMalformed(Exception):
    """The calendar's data has not the shape of a calendar. `where` is the path inside the file."""

    def __init__(self, where: str, why: str) -> None:
        """Keep the place and the reason."""
        super().__init__(where, why)
        self.where = where
        self.why = why


@dataclass(frozen=True, slots=True)
class Calendar:
    """Which days between `first` and `last` (both included) are working days (工作日).

    `holidays` are days off, `make_up_days` weekend days on which people work (调休上班). Other days follow the week.
    `sha256` is of the file's bytes, so that an entry can name the text it was judged by.
    """

    holidays: frozenset[date]
    make_up_days: frozenset[date]
    first: date
    last: date
    id: str
    version: int
    sha256: bytes = b""

    def __post_init__(self) -> None:
        """Refuse data that contradicts itself. Raises CalendarMalformed."""
        if self.first > self.last:
            raise CalendarMalformed("last", "is before first")
        for name, days in (("holiday", self.holidays), ("make_up", self.make_up_days)):
            outside = sorted(day for day in days if not self.first <= day <= self.last)
            if outside:
                raise CalendarMalformed(name, f"{outside[0]} is outside first and last")
        both = sorted(self.holidays & self.make_up_days)
        if both:
            raise CalendarMalformed("make_up", f"{both[0]} is a holiday too")
        odd = sorted(day for day in self.make_up_days if day.weekday() < _SATURDAY)
        if odd:
            raise CalendarMalformed("make_up", f"{odd[0]} is no weekend day")

    def covers(self, day: date) -> bool:
        """Tell whether the calendar reaches this day."""
        return self.first <= day <= self.last

    def is_working_day(self, day: date) -> bool:
        """Tell whether people work on this day. Raises CalendarExpired outside the loaded days."""
        if not self.covers(day):
            raise CalendarExpired(day, self.first, self.last, self.id)
        return day in self.make_up_days or (day.weekday() < _SATURDAY and day not in self.holidays)

    def working_day_from(self, day: date) -> date:
        """Return this day if it is a working day, else the next one. Raises CalendarExpired."""
        while not self.is_working_day(day):
            day += _DAY
        return day

    def add_working_days(self, day: date, count: int) -> date:
        """Return the count-th working day after this day, which is not counted itself. Raises CalendarExpired."""
        return self._walk(day, count, _DAY)

    def subtract_working_days(self, day: date, count: int) -> date:
        """Return the count-th working day before this day, which is not counted itself. Raises CalendarExpired."""
        return self._walk(day, count, -_DAY)

    def _walk(self, day: date, count: int, step: timedelta) -> date:
        _whole(count)
        while count:
            day += step
            count -= self.is_working_day(day)
        return day


def parse_calendar(data: Mapping[str, Any], sha256: bytes) -> Calendar:
    """Return the calendar of a parsed TOML file. Raises CalendarMalformed with the path of what is wrong.

    Each `[[holiday]]` has `name`, `first`, `last` and may have `make_up`, a list of days on which people work instead.
    """
    _known(data, {"id", "version", "name", "first", "last", "cites", "confirmed", "holiday"}, "calendar")
    calendar_id, version = data.get("id"), data.get("version")
    if not isinstance(calendar_id, str) or not calendar_id or not calendar_id.isprintable() or " " in calendar_id:
        raise CalendarMalformed("id", "must be one word")
    if type(version) is not int or version < 1:
        raise CalendarMalformed("version", "must be a positive whole number")
    cites = data.get("cites")
    if not isinstance(cites, list) or not cites or not all(isinstance(item, str) and item for item in cites):
        raise CalendarMalformed("cites", "must be a list of text")
    if not isinstance(data.get("confirmed"), bool):
        raise CalendarMalformed("confirmed", "must be true or false")
    tables = data.get("holiday", [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise CalendarMalformed("holiday", "must be a list of tables")
    holidays: set[date] = set()
    make_up_days: set[date] = set()
    for index, table in enumerate(tables):
        where = f"holiday[{index}]"
        _known(table, {"name", "first", "last", "make_up"}, where)
        first, last = _date(table.get("first"), f"{where}.first"), _date(table.get("last"), f"{where}.last")
        if not first <= last <= first + 31 * _DAY:
            raise CalendarMalformed(f"{where}.last", "must be within a month after first")
        days = {first + offset * _DAY for offset in range((last - first).days + 1)}
        if days & holidays:
            raise CalendarMalformed(where, "overlaps another holiday")
        holidays |= days
        make_up = table.get("make_up", [])
        if not isinstance(make_up, list):
            raise CalendarMalformed(f"{where}.make_up", "must be a list of dates")
        make_up_days |= {_date(day, f"{where}.make_up") for day in make_up}
    first, last = _date(data.get("first"), "first"), _date(data.get("last"), "last")
    return Calendar(frozenset(holidays), frozenset(make_up_days), first, last, calendar_id, version, sha256)


def local_day(at_ms: int) -> date:
    """Return the civil day of an instant. Raises Refused before 1970 and from 2200 on."""
    return _local(at_ms).date()


def day_start_ms(day: date) -> int:
    """Return the instant at which a civil day begins, which is 24:00 of the day before."""
    return (datetime(day.year, day.month, day.day, tzinfo=CHINA) - _EPOCH) // _MS


def moment_text(at_ms: int) -> str:
    """Return civil time as 2026-03-02 09:00, with seconds and milliseconds where there are any. Never raises."""
    if not 0 <= at_ms < _END_MS:
        return f"{at_ms} ms"
    local = _local(at_ms)
    exact = "milliseconds" if local.microsecond else "seconds" if local.second else "minutes"
    return local.replace(tzinfo=None).isoformat(" ", exact)


def end_text(end_ms: int) -> str:
    """Return the end of a period as people say it: 00:00 is written as 24:00 of the day before. Never raises."""
    if 0 < end_ms < _END_MS and end_ms == day_start_ms(local_day(end_ms)):
        return f"{local_day(end_ms - 1)} 24:00"
    return moment_text(end_ms)


def earliest(
    start_ms: int,
    days: int,
    calendar: Calendar | None = None,
    *,
    roll: bool = False,
    unit: Unit = Unit.DAYS,
    pauses: Iterable[Pause] = (),
) -> int:
    """Return the first instant at which a minimum period is over, by the stricter of two readings.

    Both must hold: the day is the days-th after the starting day or later, and full `days` times 24 hours have run (of
    working days, for Unit.WORKING_DAYS), pauses left out. With `roll` a rest day moves it to the next working day, same
    time of day. Raises CalendarExpired where a working day is needed that no calendar holds.
    """
    start = local_day(start_ms)
    clock = _clock(calendar, unit, start)
    by_hours_ms = _run(start_ms, _whole(days) * DAY_MS, pauses, clock)
    day = start + days * _DAY if clock is None else clock.add_working_days(start, days)
    moment_ms = max(by_hours_ms, day_start_ms(day))
    if not roll:
        return moment_ms
    day = local_day(moment_ms)
    return moment_ms + (_calendar(calendar, day).working_day_from(day) - day).days * DAY_MS


def period_end(
    start_ms: int,
    days: int,
    calendar: Calendar | None = None,
    *,
    roll: bool = False,
    unit: Unit = Unit.DAYS,
    pauses: Iterable[Pause] = (),
) -> int:
    """Return the exclusive end of a period: 24:00 of its last day, the starting day not counted.

    The clock runs from the end of the starting day; a day that a pause cut short is completed by one more day. With `roll`
    a rest day moves the end to the next working day. Raises CalendarExpired like `earliest`.
    """
    first = local_day(start_ms) + _DAY
    over_ms = _run(day_start_ms(first), _whole(days) * DAY_MS, pauses, _clock(calendar, unit, first))
    last = local_day(over_ms - 1)
    if roll:
        last = _calendar(calendar, last).working_day_from(last)
    return day_start_ms(last + _DAY)


def working_day_end(start_ms: int, days: int, calendar: Calendar | None, *, pauses: Iterable[Pause] = ()) -> int:
    """Return the exclusive end of a period of working days. Raises CalendarExpired."""
    return period_end(start_ms, days, calendar, unit=Unit.WORKING_DAYS, pauses=pauses)


def latest_before(deadline_ms: int, days: int, calendar: Calendar | None = None, *, unit: Unit = Unit.DAYS) -> int:
    """Return the last millisecond at which something is still "at least N days before" a deadline, whose day is not counted.

    It is the end of the N-th day counted backwards. Raises CalendarExpired for working days that no calendar holds.
    """
    day = local_day(deadline_ms)
    clock = _clock(calendar, unit, day)
    back = day - _whole(days) * _DAY if clock is None else clock.subtract_working_days(day, days)
    return day_start_ms(back + _DAY) - 1


def years_after(at_ms: int, years: int) -> int:
    """Return the exclusive end of a period of years: 24:00 of the same date, or of the month's last day (民法典 202)."""
    if not 0 <= years <= _MAX_YEARS:
        raise ValueError(f"{years} years")
    day = local_day(at_ms)
    try:
        last = day.replace(year=day.year + years)
    except ValueError:  # 29 February
        last = day.replace(year=day.year + years, day=28)
    return day_start_ms(last + _DAY)


def running_ms(start_ms: int, end_ms: int, pauses: Iterable[Pause]) -> int:
    """Return how long a clock ran between two instants that stood still during the pauses (which may overlap)."""
    if end_ms <= start_ms:
        return 0
    stood = sum(max(0, min(end, end_ms) - max(begin, start_ms)) for begin, end in _merged(pauses))
    return end_ms - start_ms - stood


def _run(start_ms: int, need_ms: int, pauses: Iterable[Pause], calendar: Calendar | None) -> int:
    """Return when a clock started at `start_ms` has run `need_ms`, outside pauses and (with a calendar) on working days."""
    stops = list(_merged(pauses))
    if calendar is None:
        return _run_free(start_ms, need_ms, stops)
    while need_ms:
        day = local_day(start_ms)
        next_ms = day_start_ms(day + _DAY)
        if calendar.is_working_day(day):
            ran_ms = running_ms(start_ms, next_ms, stops)
            if ran_ms >= need_ms:
                return _run_free(start_ms, need_ms, stops)
            need_ms -= ran_ms
        start_ms = next_ms
    return start_ms


def _run_free(start_ms: int, need_ms: int, stops: list[Pause]) -> int:
    at_ms = start_ms
    for begin, end in stops:
        if end <= at_ms:
            continue
        if not need_ms or begin >= at_ms + need_ms:
            break
        need_ms -= max(0, begin - at_ms)
        at_ms = end
    return at_ms + need_ms


def _merged(pauses: Iterable[Pause]) -> Iterator[Pause]:
    held: Pause | None = None
    for begin, end in sorted(pauses):
        if begin > end:
            raise ValueError(f"pause from {begin} to {end}")
        if held is None or begin > held[1]:
            if held is not None:
                yield held
            held = (begin, end)
        else:
            held = (held[0], max(held[1], end))
    if held is not None:
        yield held


def _clock(calendar: Calendar | None, unit: Unit, day: date) -> Calendar | None:
    """Return the calendar that the days are counted by: none for calendar days."""
    if unit is Unit.DAYS:
        return None
    if unit is not Unit.WORKING_DAYS:
        raise ValueError(f"a period in {unit}")
    return _calendar(calendar, day)


def _calendar(calendar: Calendar | None, day: date) -> Calendar:
    if calendar is None:
        raise CalendarExpired(day, None, None, "")
    return calendar


def _local(at_ms: int) -> datetime:
    if not 0 <= at_ms < _END_MS:
        raise Refused("moment-out-of-range", rule="civil-time", value=str(at_ms), limit="1970-01-01 – 2199-12-31")
    return (_EPOCH + at_ms * _MS).astimezone(CHINA)


def _whole(days: int) -> int:
    if not 0 <= days <= MAX_DAYS:
        raise ValueError(f"a period of {days} days")
    return days


def _date(value: Any, where: str) -> date:
    if type(value) is not date:
        raise CalendarMalformed(where, "must be a date")
    return value


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise CalendarMalformed(where, f"unknown key {unknown[0]}")
