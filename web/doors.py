"""Who stands at the door (登录中): browsers that asked to sign in by certificate. In memory; each is its own browser's alone."""

import hashlib
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from web.pending import CODE_S, PendingAct

COOKIE = "erhai-door"
CHALLENGE_S = 60.0
_MOST = 100


@dataclass(slots=True)
class Door:
    """One browser that asked. `session` is the cookie value of the session that a good answer has opened."""

    person: str  # the number that was typed, whoever's it is
    place: str  # where its agent is paired: no seat of anybody, until the certificate has said whose
    began_s: float
    challenge: PendingAct | None = None
    session: str = ""


class Doors:
    """Every door, by its browser's cookie."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Nobody waits."""
        self._clock_s = clock_s
        self._doors: dict[str, Door] = {}

    def open(self, person: str) -> str:
        """Return the cookie value of a new door; the oldest goes when there are too many."""
        now = self._clock_s()
        self._doors = {key: one for key, one in self._doors.items() if now - one.began_s <= CODE_S}
        while len(self._doors) >= _MOST:
            del self._doors[min(self._doors, key=lambda key: self._doors[key].began_s)]
        token = secrets.token_urlsafe(32)
        place = f"door-{hashlib.sha256(token.encode()).hexdigest()[:16]}"
        self._doors[token] = Door(person, place, now)
        return token

    def find(self, token: str) -> Door | None:
        """Return the door of a cookie while it lasts."""
        door = self._doors.get(token)
        return door if door is not None and self._clock_s() - door.began_s <= CODE_S else None

    def close(self, token: str) -> None:
        """The door is done with."""
        self._doors.pop(token, None)
