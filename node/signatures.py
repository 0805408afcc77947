"""Persons' signatures beside the acts they sign (签名): what the entry says of them, what is kept sealed, who hands them over.

The log holds a salted commitment, who signed and what was known of the certificate. Words, CMS and judgement are personal
data (the CMS names its holder, the words may hold marks), so they lie sealed in the erasable table (ADR 3).
"""

import json
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import apsw

from node import personal
from node.domain.binding import SignedBy, require_signed
from node.domain.values import Actor
from node.room_key import RoomKey

if TYPE_CHECKING:  # the reader of certificates loads slowly, and most verbs need none
    from sync.acts import Signed
    from sync.person_certs import Judgement

KIND = "act"
_NOTE = re.compile(r"act-signature ([a-z]+:[^\s:]+) ([a-z]+)")


@dataclass(frozen=True, slots=True)
class Signature:
    """One person's signature under an act, verified; `data` are words, CMS and judgement with their salt."""

    by: SignedBy
    data: personal.Personal

    @classmethod
    def of(cls, who: str, text: bytes, cms: bytes, signed: "Signed") -> "Signature":
        """Bind a signature that was verified."""
        data = personal.bind(KIND, (text.decode(), cms.hex(), judgement_json(signed.state)))
        return cls(SignedBy(who, str(signed.state.standing), signed.person), data)


@dataclass(frozen=True, slots=True)
class Noted:
    """What an entry says of one signature."""

    by: SignedBy
    commitment: bytes


def judgement_json(found: "Judgement") -> str:
    """Return what is kept beside a signature: anchor, serial, state, evidence by digest and age. No personal data."""
    rows = [None if row is None else {**asdict(row), "age_ms": row.age_ms(found.at_ms)} for row in found.evidence]
    return json.dumps(
        {
            "anchor": found.anchor.sha256,
            "certificate": found.certificate_sha256,
            "serial": found.serial,
            "family": found.family,
            "purpose": found.purpose,
            "at_ms": found.at_ms,
            "standing": found.standing,
            "verdict": found.verdict,
            "evidence": rows,
        },
        ensure_ascii=False,
        sort_keys=True,
    )


def noted_in(evidence: Sequence[bytes | str]) -> tuple[Noted, ...]:
    """Return the signatures that an entry's evidence tells of."""
    found = []
    for line, commitment in pairwise(evidence):
        match = _NOTE.fullmatch(line) if isinstance(line, str) else None
        if match and isinstance(commitment, bytes):
            found.append(Noted(SignedBy(match[1], match[2]), commitment))
    return tuple(found)


class Agreed(Exception):
    """A rehearsal came to its end: the rules would take the act. Nothing was recorded."""


@dataclass(frozen=True, slots=True)
class Beside:
    """What goes with the commands of the task that is running: signatures; or that they are only rehearsed."""

    signatures: tuple[Signature, ...] = ()
    rehearsal: bool = False

    @property
    def evidence(self) -> tuple[bytes | str, ...]:
        """Return what goes into the entry's evidence: for each signature a line and its commitment."""
        pairs = ((f"act-signature {one.by.who} {one.by.standing}", one.data.commitment) for one in self.signatures)
        return tuple(item for pair in pairs for item in pair)

    def check(
        self, db: apsw.Connection, command: object, actor: Actor, asked: bool, room: Callable[[], RoomKey]
    ) -> None:
        """Keep the signatures with a command that the rules have taken; Refused where it needs others and they are asked."""
        if self.rehearsal:
            raise Agreed
        if asked:
            require_signed(command, actor, tuple(one.by for one in self.signatures))
        for one in self.signatures:
            personal.keep(db, one.data, room().seal)


_beside: ContextVar[Beside] = ContextVar("beside", default=Beside())  # noqa: B039 - frozen


def beside() -> Beside:
    """Return what goes with the command that this task gives."""
    return _beside.get()


@contextmanager
def signed_with(*signatures: Signature) -> Iterator[None]:
    """Let every command that is given inside carry these signatures."""
    token = _beside.set(Beside(signatures))
    try:
        yield
    finally:
        _beside.reset(token)


@contextmanager
def rehearsing() -> Iterator[None]:
    """Let commands inside be decided and not recorded: Agreed where the rules would take one, else their Refused."""
    token = _beside.set(Beside(rehearsal=True))
    try:
        yield
    finally:
        _beside.reset(token)
