"""Which acts were signed by certificate, by whom, and what was found of each later (签名与复核)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from node.domain.signatures import SignatureJudged
from node.signatures import noted_in
from sync.codec import Entry

TABLES = """
CREATE TABLE IF NOT EXISTS signed_acts (
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    commitment BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    lot_code TEXT NOT NULL,
    member TEXT NOT NULL,
    events TEXT NOT NULL,
    who TEXT NOT NULL,
    standing TEXT NOT NULL,
    PRIMARY KEY (origin, seq, commitment)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS signature_outcomes (
    commitment BLOB NOT NULL,
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    outcome TEXT NOT NULL,
    PRIMARY KEY (commitment, origin, seq)
) STRICT, WITHOUT ROWID;
"""
NAMES = ("signed_acts", "signature_outcomes")


@dataclass(frozen=True, slots=True)
class SignedAct:
    """One signature under one act, with every outcome in the order of its time: (at_ms, outcome)."""

    origin: str
    seq: int
    commitment: bytes
    at_ms: int
    member: str  # the member's lot-bound number, where it is a score sheet
    events: tuple[str, ...]
    who: str
    standing: str
    outcomes: tuple[tuple[int, str], ...]


def lot_of(stream: str) -> str:
    """Return the lot that a stream is about; "" for a stream of the room."""
    kind, _, rest = stream.partition("/")
    if kind in {"lot", "sheet"}:
        return rest.split("/")[0]
    return rest.split("-")[0] if kind == "draw" else ""


def project(db: apsw.Connection, entry: Entry, events: Sequence[object]) -> None:
    """Take signatures from an entry's evidence, and outcomes from its events."""
    names = " ".join(name for name, _, _ in entry.events)
    for noted in noted_in(entry.evidence):
        member = entry.stream.rpartition("/")[2] if entry.stream.startswith("sheet/") else ""
        row = (entry.origin, entry.seq, noted.commitment, entry.at_ms, lot_of(entry.stream), member, names)
        db.execute(
            "INSERT OR REPLACE INTO signed_acts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (*row, noted.by.who, noted.by.standing),
        )
    for event in events:
        if isinstance(event, SignatureJudged):
            db.execute(
                "INSERT OR REPLACE INTO signature_outcomes VALUES (?, ?, ?, ?, ?)",
                (event.commitment, entry.origin, entry.seq, entry.at_ms, event.outcome),
            )


def of_lot(db: apsw.Connection, lot_code: str) -> tuple[SignedAct, ...]:
    """Return the signatures under a lot's acts, of every log held here, in the order of their time."""
    rows = db.execute("SELECT * FROM signed_acts WHERE lot_code = ? ORDER BY at_ms, origin, seq, who", (lot_code,))
    return tuple(_act(db, row) for row in rows.fetchall())


def of_logs(db: apsw.Connection, origins: Sequence[str]) -> tuple[SignedAct, ...]:
    """Return every signature under the acts of these logs."""
    marks = ", ".join("?" * len(origins))
    rows = db.execute(f"SELECT * FROM signed_acts WHERE origin IN ({marks}) ORDER BY origin, seq", tuple(origins))
    return tuple(_act(db, row) for row in rows.fetchall())


def _act(db: apsw.Connection, row: Any) -> SignedAct:
    origin, seq, commitment, at_ms, _lot, member, events, who, standing = row
    found = db.execute(
        "SELECT at_ms, outcome FROM signature_outcomes WHERE commitment = ? ORDER BY at_ms, origin, seq", (commitment,)
    )
    outcomes = tuple((int(at), str(word)) for at, word in found)
    return SignedAct(origin, seq, commitment, at_ms, member, tuple(events.split()), who, standing, outcomes)
