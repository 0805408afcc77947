"""Who sits at this browser (会话): in memory only, gone at a restart or after the idle time. No name in the cookie."""

import secrets
import time
from dataclasses import dataclass

from node.domain.values import Actor
from node.people import TRIES, TRY_WINDOW_S, Person

COOKIE = "erhai-seat"
GRACE, LIMITED = "grace", "limited"
IDLE_S = 4 * 3_600
_MOST = 500
_TRIES_ANYWHERE = 30


@dataclass(slots=True)
class Session:
    """One signed-in person at one browser."""

    person: Person
    last_s: float
    by_token: bool = False  # opened by a certificate
    note: str = ""  # grace: its list of revocations has run out; limited: nothing is known, so this session only reads

    @property
    def actor(self) -> Actor:
        """Return who this is to the rules."""
        return self.person.actor


class Sessions:
    """Every open session, and the sign-in attempts that failed lately."""

    def __init__(self) -> None:
        """Nobody is signed in."""
        self._open: dict[str, Session] = {}
        self._failed: dict[tuple[str, str], list[float]] = {}

    def begin(self, person: Person, *, by_token: bool = False, note: str = "") -> str:
        """Open a session and return its cookie value; the oldest leaves when there are too many."""
        if len(self._open) >= _MOST:
            del self._open[min(self._open, key=lambda token: self._open[token].last_s)]
        token = secrets.token_urlsafe(32)
        self._open[token] = Session(person, time.monotonic(), by_token, note)
        return token

    def find(self, token: str) -> Session | None:
        """Return the session of a cookie, if it is open; using it keeps it open."""
        session = self._open.get(token)
        if session is None:
            return None
        if time.monotonic() - session.last_s > IDLE_S:
            del self._open[token]
            return None
        session.last_s = time.monotonic()
        return session

    def end(self, token: str) -> None:
        """Close a session."""
        self._open.pop(token, None)

    def may_try(self, person_no: str, place: str) -> bool:
        """Whether this number may try a PIN at this place now: five failures in five minutes close it there for the rest.

        Elsewhere the number's own holder can still sign in; thirty failures from anywhere close it everywhere.
        """
        here, anywhere = self._recent((person_no, place)), self._recent((person_no, ""))
        return len(here) < TRIES and len(anywhere) < _TRIES_ANYWHERE

    def _recent(self, key: tuple[str, str]) -> list[float]:
        now = time.monotonic()
        recent = [at for at in self._failed.get(key, []) if now - at < TRY_WINDOW_S]
        if recent:
            self._failed[key] = recent
        else:
            self._failed.pop(key, None)
        return recent

    def failed(self, person_no: str, place: str) -> None:
        """Note a wrong PIN."""
        if len(self._failed) > 10_000:
            self._failed.clear()
        for key in {(person_no, place), (person_no, "")}:
            self._failed.setdefault(key, []).append(time.monotonic())
