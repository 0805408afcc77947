"""The periods (期间) of a profile as instants: how many days a rule gives, from when, and whether a rest day moves the end.

Where no loaded calendar reaches the day, calendar days go on without the roll: a room cut off for long must still be able to
compute them (民法典 203 only ever moves an end to later). Working days refuse instead, because nothing can be computed.
"""

from collections.abc import Callable, Iterable
from functools import partial

from node.domain.calendar import Calendar, CalendarExpired, Pause, earliest, period_end
from node.domain.profile import Profile


def minimum_ms(profile: Profile, rule_id: str, start_ms: int, calendar: Calendar | None) -> int:
    """Return the first instant at which a minimum period of the profile is over, by the stricter reading."""
    return _rolled(earliest, profile, rule_id, start_ms, calendar)


def end_ms(
    profile: Profile, rule_id: str, start_ms: int, calendar: Calendar | None, *, pauses: Iterable[Pause] = ()
) -> int:
    """Return the exclusive end, 24:00 of the last day, of a period of the profile whose clock stands still in `pauses`."""
    return _rolled(partial(period_end, pauses=tuple(pauses)), profile, rule_id, start_ms, calendar)


def _rolled(
    period: Callable[..., int], profile: Profile, rule_id: str, start_ms: int, calendar: Calendar | None
) -> int:
    days = profile.number(rule_id)
    if not profile.flag("roll-rest-day"):
        return period(start_ms, days)
    try:
        return period(start_ms, days, calendar, roll=True)
    except CalendarExpired:
        return period(start_ms, days)
