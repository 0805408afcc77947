"""What waits for a signature at each seat (待签事项), and which token agent belongs to which seat. In memory: a restart pairs anew."""

import hashlib
import hmac
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum

CODE_S = 600  # how long a pairing code lives
ACT_S = 900  # how long an act waits
_TRIES = 5  # wrong codes in a minute, from anywhere, after which all open codes are void


class Stage(StrEnum):
    """How far a pending act is."""

    WAITING = "waiting"
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
    finish: Callable[[bytes], Awaitable[str]]  # takes the CMS, returns the receipt number
    began_s: float
    stage: Stage = Stage.WAITING
    receipt: str = ""
    why: str = ""


class SeatDesk:
    """Pairs agents with seats and holds one pending act a seat."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """Nobody is paired."""
        self._clock_s = clock_s
        self._codes: dict[str, tuple[str, float]] = {}  # seat -> code, made at
        self._tokens: dict[str, bytes] = {}  # seat -> SHA-256 of the agent's token
        self._acts: dict[str, PendingAct] = {}
        self._wrong: list[float] = []

    def code_for(self, seat: str) -> str:
        """Return a fresh one-time code of a seat; an older one is void."""
        code = f"{secrets.randbelow(10**8):08d}"
        self._codes[seat] = (code, self._clock_s())
        return code

    def paired(self, seat: str) -> bool:
        """Whether an agent belongs to a seat."""
        return seat in self._tokens

    def pair(self, code: str) -> tuple[str, str] | None:
        """Return seat and token for a code, once; None for a wrong one. Five wrong ones in a minute void every code."""
        now = self._clock_s()
        for seat, (wanted, at) in list(self._codes.items()):
            if now - at > CODE_S:
                del self._codes[seat]
            elif hmac.compare_digest(wanted.encode(), code.encode()):
                del self._codes[seat]
                token = secrets.token_urlsafe(32)
                self._tokens[seat] = hashlib.sha256(token.encode()).digest()
                return seat, token
        self._wrong = [at for at in self._wrong if now - at < 60] + [now]
        if len(self._wrong) >= _TRIES:
            self._codes.clear()
        return None

    def seat_of(self, token: str) -> str | None:
        """Return the seat of an agent's token."""
        digest = hashlib.sha256(token.encode()).digest()
        found = [seat for seat, known in self._tokens.items() if hmac.compare_digest(known, digest)]
        return found[0] if found else None

    def ask(self, seat: str, person: str, text: bytes, finish: Callable[[bytes], Awaitable[str]]) -> PendingAct:
        """Put an act before a seat; one that waited there is over."""
        act = PendingAct(secrets.token_hex(16), seat, person, text, finish, self._clock_s())
        self._acts[seat] = act
        return act

    def pending(self, seat: str) -> PendingAct | None:
        """Return what waits at a seat."""
        act = self._acts.get(seat)
        if act is not None and act.stage is Stage.WAITING and self._clock_s() - act.began_s > ACT_S:
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
