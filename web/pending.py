"""What waits for a signature at each seat (待签事项), and which token agent belongs to which seat. In memory: a restart pairs anew."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

from node.people import Person

CODE_S = 600  # how long a pairing code lives
ACT_S = 900  # how long an act waits
_TRIES = (
    5  # wrong codes of one address in a minute, after which none is taken from there; other addresses notice nothing
)
_TRY_WINDOW_S = 60


class Stage(StrEnum):
    """How far a pending act is."""

    WAITING = "waiting"
    CHECKING = "checking"  # a signature has come
    SECOND = "second"  # signed here; the second person is to sign
    GRACE = "grace"  # signed here under a list that has run out; a second person is to be named
    SIGNED = "signed"
    REFUSED = "refused"  # by the person at the agent, or by a rule
    LATE = "late"


@dataclass(slots=True)
class PendingAct:
    """One act of one seat, with its words."""

    id: str
    seat: str
    person: str
    text: bytes = field(repr=False)
    finish: Callable[
        [bytes], Awaitable[str]
    ]  # takes the CMS, returns where the receipt is; "" where a second is to sign
    began_s: float
    life_s: float
    stage: Stage = Stage.WAITING
    leads: str = ""
    why: str = ""
    second: "PendingAct | None" = field(default=None, repr=False)
    name_second: Callable[[Person], None] | None = field(default=None, repr=False)


def station_of(person: Person) -> str:
    """Return the place whose agent signs for this person: the seat, or the person's own where there is none."""
    return person.seat or f"@{person.no}"


class SeatDesk:
    """Pairs agents with seats and holds one pending act a seat."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Nobody is paired."""
        self._clock_s = clock_s
        self._codes: dict[str, tuple[str, float]] = {}  # seat -> code, made at
        self._tokens: dict[str, bytes] = {}  # seat -> SHA-256 of the agent's token
        self._acts: dict[str, PendingAct] = {}
        self._wrong: dict[str, list[float]] = {}  # address -> when wrong codes came

    def code_for(self, seat: str) -> str:
        """Return a fresh one-time code of a seat; an older one is void."""
        code = f"{secrets.randbelow(10**8):08d}"
        self._codes[seat] = (code, self._clock_s())
        return code

    def code_of(self, seat: str) -> str:
        """Return the code of a seat while it lives; "" where there is none."""
        code, at = self._codes.get(seat, ("", 0.0))
        return code if code and self._clock_s() - at <= CODE_S else ""

    def paired(self, seat: str) -> bool:
        """Whether an agent belongs to a seat."""
        return seat in self._tokens

    def pair(self, code: str, address: str = "") -> tuple[str, str] | None:
        """Return seat and token for a code, once; None for a wrong one, and for any after five wrong ones in a minute."""
        now = self._clock_s()
        recent = {one: [at for at in times if now - at < _TRY_WINDOW_S] for one, times in self._wrong.items()}
        self._wrong = {one: times for one, times in recent.items() if times}
        if len(self._wrong.get(address, ())) >= _TRIES:
            return None
        for seat, (wanted, at) in list(self._codes.items()):
            if now - at > CODE_S:
                del self._codes[seat]
            elif hmac.compare_digest(wanted.encode(), code.encode()):
                del self._codes[seat]
                token = secrets.token_urlsafe(32)
                self._tokens[seat] = hashlib.sha256(token.encode()).digest()
                return seat, token
        self._wrong.setdefault(address, []).append(now)
        return None

    def seat_of(self, token: str) -> str | None:
        """Return the seat of an agent's token."""
        digest = hashlib.sha256(token.encode()).digest()
        found = [seat for seat, known in self._tokens.items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None

    def ask(
        self, seat: str, person: str, text: bytes, finish: Callable[[bytes], Awaitable[str]], life_s: float = ACT_S
    ) -> PendingAct:
        """Put an act before a seat for so long; one that waited there is over."""
        act = PendingAct(secrets.token_hex(16), seat, person, text, finish, self._clock_s(), life_s)
        self._acts[seat] = act
        return act

    def pending(self, seat: str) -> PendingAct | None:
        """Return what waits at a seat."""
        act = self._acts.get(seat)
        if act is not None and act.stage is Stage.WAITING and self._clock_s() - act.began_s > act.life_s:
            act.stage = Stage.LATE
        return act

    def waiting(self, seat: str) -> PendingAct | None:
        """Return what a seat's agent may still sign."""
        act = self.pending(seat)
        return act if act is not None and act.stage is Stage.WAITING else None

    def forget(self, seat: str, person: str) -> None:
        """The person has left the seat: nothing of it is signed any more."""
        act = self._acts.get(seat)
        if act is not None and act.person == person:
            del self._acts[seat]
            if act.second is not None and self._acts.get(act.second.seat) is act.second:
                del self._acts[act.second.seat]

    def move(self, old: str, new: str) -> None:
        """The agent of one place belongs to another from now on; what was there before is unpaired."""
        if old in self._tokens:
            self._tokens[new] = self._tokens.pop(old)
        self._acts.pop(old, None)

    def unpair(self, seat: str) -> None:
        """The agent of a place is sent away."""
        self._tokens.pop(seat, None)
