"""The expert bank at this node (专家库子库): sealed rows outside the log, a snapshot replaced whole, sessions of own draws.

Rows are personal data: sealed to the room, erasable, not derived from the log. The log holds how many there are and one
digest over their salted commitments.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import apsw

from node import personal
from node.domain.bank import ImportExperts
from node.domain.eligibility import Expert, Span
from node.exchange.experts import BankRecord, read_experts
from node.room_key import RoomKey
from sync import codec

SCHEMA = """
CREATE TABLE IF NOT EXISTS expert_bank (
    commitment BLOB PRIMARY KEY
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS expert_sessions (
    draw_id TEXT NOT NULL,
    place INTEGER NOT NULL,
    sealed BLOB NOT NULL,
    PRIMARY KEY (draw_id, place)
) STRICT, WITHOUT ROWID;
"""
_SESSION = b"erhai-expert-session-v1\n"


@dataclass(frozen=True, slots=True)
class Banked:
    """One expert with the commitment that the row is kept under."""

    record: BankRecord
    commitment: bytes
    expert: Expert


def bank_stream(node: str) -> str:
    """Name of the stream of a node's bank."""
    return f"bank/{node}"


def replace_with(db: apsw.Connection, body: bytes, taken_at_ms: int, room: RoomKey) -> ImportExperts:
    """Put a snapshot in the place of the one that is here, inside the caller's transaction. Raises Refused; nothing changed."""
    bound = [personal.bind("bank", record.fields) for record in read_experts(body)]
    for old in _commitments(db):
        personal.erase(db, old)
    db.execute("DELETE FROM expert_bank")
    for one in bound:
        personal.keep(db, one, room.seal)
        db.execute("INSERT INTO expert_bank VALUES (?)", (one.commitment,))
    joined = b"".join(sorted(one.commitment for one in bound))
    return ImportExperts(
        file_sha256=hashlib.sha256(body).digest(),
        taken_at_ms=taken_at_ms,
        count=len(bound),
        commitments=hashlib.sha256(joined).digest(),
    )


def everybody(db: apsw.Connection, room: RoomKey) -> tuple[Banked, ...]:
    """Return the whole bank, opened, with the sessions that own draws have given each expert."""
    sessions = _sessions(db, room)
    found = []
    for commitment in _commitments(db):
        kept = personal.find(db, commitment, room.open)
        if kept is not None:
            record = BankRecord(kept.fields)
            found.append(Banked(record, commitment, record.expert(sessions.get(record.of("no"), ()))))
    return tuple(found)


def keep_session(
    db: apsw.Connection, draw_id: str, place: int, who: tuple[str, Span], seal: Callable[[bytes, bytes], bytes]
) -> None:
    """Remember when an expert, by number, will sit, so that no other draw takes the same hours."""
    number, session = who
    sealed = seal(codec.pack((number, session.from_ms, session.to_ms)), _SESSION + draw_id.encode())
    db.execute("INSERT OR REPLACE INTO expert_sessions VALUES (?, ?, ?)", (draw_id, place, sealed))


def drop_session(db: apsw.Connection, draw_id: str, place: int) -> None:
    """The expert does not come after all."""
    db.execute("DELETE FROM expert_sessions WHERE draw_id = ? AND place = ?", (draw_id, place))


def _commitments(db: apsw.Connection) -> list[bytes]:
    rows: list[tuple[Any, ...]] = db.execute("SELECT commitment FROM expert_bank ORDER BY commitment").fetchall()
    return [row[0] for row in rows]


def _sessions(db: apsw.Connection, room: RoomKey) -> dict[str, tuple[Span, ...]]:
    found: dict[str, tuple[Span, ...]] = {}
    rows: list[tuple[Any, ...]] = db.execute("SELECT draw_id, sealed FROM expert_sessions").fetchall()
    for draw_id, sealed in rows:
        number, from_ms, to_ms = codec.unpack(room.open(sealed, _SESSION + draw_id.encode()))
        found[number] = (*found.get(number, ()), Span(from_ms, to_ms))
    return found
