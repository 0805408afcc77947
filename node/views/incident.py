"""Incidents of every room held here (异常一览)."""

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from node.domain.incident import IncidentClosed, IncidentRecorded
from sync.codec import Entry
from sync.keys import name_base
from sync.succession import epoch_of

TABLES = """
CREATE TABLE IF NOT EXISTS incidents (
    origin TEXT NOT NULL,
    no INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    room TEXT NOT NULL,
    kind TEXT NOT NULL,
    text TEXT NOT NULL,
    began_at_ms INTEGER NOT NULL,
    lots TEXT NOT NULL,
    ended_at_ms INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (origin, room, no)
) STRICT, WITHOUT ROWID;
"""
NAMES = ("incidents",)


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident; `ended_at_ms` 0 while it lasts."""

    origin: str
    no: int
    seq: int
    room: str
    kind: str
    text: str
    began_at_ms: int
    lots: tuple[str, ...]
    ended_at_ms: int
    outcome: str


def project(db: apsw.Connection, entry: Entry, events: Sequence[object]) -> None:
    """Take incidents from an entry of a room's stream."""
    room = entry.stream.partition("/")[2]
    for event in events:
        match event:
            case IncidentRecorded(no=no, kind=kind, text=text, began_at_ms=began, lots=lots):
                db.execute(
                    "INSERT INTO incidents (origin, no, seq, room, kind, text, began_at_ms, lots) "
                    "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (entry.origin, no, entry.seq, room, kind, text, began, " ".join(lots)),
                )
            case IncidentClosed(no=no, text=text, ended_at_ms=ended):
                db.execute(
                    "UPDATE incidents SET ended_at_ms = ?, outcome = ? WHERE origin = ? AND room = ? AND no = ?",
                    (ended, text, _recorded_in(db, entry.origin, room, no), room, no),
                )
            case _:
                continue


def _recorded_in(db: apsw.Connection, origin: str, room: str, no: int) -> str:
    """Return the newest epoch of this node, up to this one, that has recorded the incident."""
    rows = db.execute("SELECT origin FROM incidents WHERE room = ? AND no = ?", (room, no))
    same = [row[0] for row in rows if name_base(row[0]) == name_base(origin) and epoch_of(row[0]) <= epoch_of(origin)]
    return max(same, key=epoch_of, default=origin)


def incidents(db: apsw.Connection) -> list[IncidentRow]:
    """Return every incident, those that last first, then the newest."""
    rows = db.execute("SELECT * FROM incidents ORDER BY ended_at_ms > 0, began_at_ms DESC, origin, no")
    return [
        IncidentRow(origin, no, seq, room, kind, text, began, tuple(lots.split()), ended, outcome)
        for origin, no, seq, room, kind, text, began, lots, ended, outcome in rows
    ]
