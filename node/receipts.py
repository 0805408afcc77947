"""Receipts (回执): what a person takes away from an accepted command, and how far the record has travelled since.

A receipt is derived from its entry: the number names log and position, so it can be read aloud, looked up anywhere the log
is mirrored, and checked against the tree. A repeated command_id answers with the first receipt.
"""

import base64
import hashlib
from dataclasses import dataclass
from functools import cache

import apsw

from sync.codec import Entry
from sync.merkle import leaf_hash


@dataclass(frozen=True, slots=True)
class Receipt:
    """One recorded command."""

    number: str
    origin: str
    seq: int
    at_ms: int
    clock_quality: str
    leaf: bytes
    stream: str
    events: tuple[str, ...]
    actor: str


@dataclass(frozen=True, slots=True)
class Reach:
    """How far a record has travelled. The four words are the same in code, on pages and on paper."""

    recorded_at_ms: int
    witnessed: tuple[str, ...]  # room peers that hold and cosigned it
    received: tuple[str, ...]  # prefecture cosigners
    reviewed: bool

    @property
    def word(self) -> str:
        """Return the furthest of the four words."""
        if self.reviewed:
            return "已审查"
        if self.received:
            return "上级已接收"
        if self.witnessed:
            return "邻机已存证"
        return "已记录"


@cache
def origin_tag(origin: str) -> str:
    """Return four letters that name a log in receipt numbers (base32 of its SHA-256, without easily confused signs)."""
    return base64.b32encode(hashlib.sha256(origin.encode()).digest())[:4].decode()


def number_of(origin: str, seq: int) -> str:
    """Return the receipt number of an entry, e.g. R-K7QT-000123."""
    return f"R-{origin_tag(origin)}-{seq:06d}"


def receipt_of(body: bytes, entry: Entry) -> Receipt:
    """Return the receipt of an entry."""
    return Receipt(
        number=number_of(entry.origin, entry.seq),
        origin=entry.origin,
        seq=entry.seq,
        at_ms=entry.at_ms,
        clock_quality=entry.clock_quality,
        leaf=leaf_hash(body),
        stream=entry.stream,
        events=tuple(name for name, _, _ in entry.events),
        actor=entry.actor,
    )


def place_of(number: str, origins: list[str]) -> tuple[str, int] | None:
    """Return origin and position that a receipt number names, among the logs held here; None where it names none."""
    parts = number.strip().upper().split("-")
    if len(parts) != 3 or parts[0] != "R" or not (parts[2].isascii() and parts[2].isdigit()) or len(parts[2]) > 12:
        return None
    for origin in origins:
        if origin_tag(origin) == parts[1]:
            return origin, int(parts[2])
    return None


def seq_of_command(db: apsw.Connection, origin: str, command_id: bytes) -> int | None:
    """Return where this command was recorded in this log, if it was."""
    row = db.execute("SELECT seq FROM entry_index WHERE origin = ? AND command_id = ?", (origin, command_id)).fetchone()
    return None if row is None else int(row[0])
