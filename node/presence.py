"""Two persons at a terminal (到场): each gives the own number and types the own PIN, while no page of the node runs.

Wrong PINs are counted on disk, for each number, by the rule of the sign-in page: a command is a new process every time.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from node.domain.refused import Refused
from node.people import TRIES, TRY_WINDOW_S, PeopleFault, Person, load_people, pin_fits
from node.places import PIN_FAILURES
from node.settings import Settings

_MOST = 1_000  # numbers that are counted; wrong ones can be made up without end


@dataclass(frozen=True, slots=True)
class Shown:
    """What one person gave at the terminal."""

    no: str
    pin: str = field(repr=False)


def accounts_of(settings: Settings) -> dict[str, Person]:
    """Return the accounts of a node that must have them. Raises PeopleFault where there are none or they cannot be read."""
    if settings.people is None:
        raise PeopleFault("people", "the settings name no accounts file")
    people = load_people(settings.people)
    if not people:
        raise PeopleFault(str(settings.people), "nobody has an account")
    return people


def prove(settings: Settings, shown: tuple[Shown, Shown], now_ms: int) -> tuple[Person, Person]:
    """Return the two persons, each proven by the own PIN. Raises Refused, PeopleFault.

    What they may do is for the rules to say; who does not exist and whose PIN is wrong are told alike.
    """
    people = accounts_of(settings)
    if shown[0].no == shown[1].no:
        raise Refused("second-person-missing", rule="two-persons", value=shown[1].no)
    failures = PinFailures(settings.data / PIN_FAILURES)
    for one in shown:
        if not failures.may_try(one.no, now_ms):
            raise Refused("pin-locked", rule="pin-tries", value=one.no, limit=str(TRIES))
        person = people.get(one.no)
        if person is None or not pin_fits(person, one.pin):
            failures.failed(one.no, now_ms)
            raise Refused("person-not-proven", rule="own-number-and-pin", value=one.no)
    return people[shown[0].no], people[shown[1].no]


class PinFailures:
    """Wrong PINs of the last minutes, by number, in one file. A file that cannot be read counts nothing: who can damage it
    can also take it away.
    """

    def __init__(self, path: Path) -> None:
        """Nothing is read yet."""
        self._path = path

    def may_try(self, no: str, now_ms: int) -> bool:
        """Whether this number may try a PIN now."""
        return len(self._read(now_ms).get(no, [])) < TRIES

    def failed(self, no: str, now_ms: int) -> None:
        """Note a wrong PIN, on disk before it is told."""
        counted = self._read(now_ms)
        counted[no] = [*counted.pop(no, []), now_ms]
        kept = dict(list(counted.items())[-_MOST:])
        fresh = self._path.with_suffix(".part")
        fresh.unlink(missing_ok=True)
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "w") as file:
            json.dump(kept, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path)

    def _read(self, now_ms: int) -> dict[str, list[int]]:
        """Return what is recent; a moment that has not come yet is one of before the clock was set back, and counts."""
        try:
            found = json.loads(self._path.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError):
            return {}
        since = now_ms - TRY_WINDOW_S * 1_000
        rows = found.items() if isinstance(found, dict) else ()
        times = {no: [at for at in row if type(at) is int and at > since] for no, row in rows if isinstance(row, list)}
        return {no: row for no, row in times.items() if row}
