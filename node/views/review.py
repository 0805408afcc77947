"""Findings of the prefecture with the county's answers, and how far each log has been reviewed (审查).

Finding and answer come from two logs that may arrive in either order, so each writes only its own columns.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import apsw

from node.domain.review import FindingAnswered, FindingClosed, FindingRaised, Reviewed
from sync.codec import Entry

TABLES = """
CREATE TABLE IF NOT EXISTS findings (
    lot_code TEXT NOT NULL,
    no INTEGER NOT NULL,
    origin TEXT NOT NULL DEFAULT '',
    seq INTEGER NOT NULL DEFAULT -1,
    rule TEXT NOT NULL DEFAULT '',
    text TEXT NOT NULL DEFAULT '',
    raised_at_ms INTEGER NOT NULL DEFAULT 0,
    outcome TEXT NOT NULL DEFAULT '',
    closing TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '',
    answered_at_ms INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (lot_code, no)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS reviewed (
    origin TEXT NOT NULL,
    lot_code TEXT NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (origin, lot_code)
) STRICT, WITHOUT ROWID;
"""
NAMES = ("findings", "reviewed")


@dataclass(frozen=True, slots=True)
class FindingRow:
    """One question (请说明) about one entry, with its answer where there is one."""

    lot_code: str
    no: int
    origin: str
    seq: int
    rule: str
    text: str
    raised_at_ms: int
    outcome: str
    closing: str
    answer: str
    answered_at_ms: int


def _upsert(db: apsw.Connection, lot_code: str, no: int, values: dict[str, object]) -> None:
    names = ", ".join(values)
    marks = ", ".join("?" * len(values))
    updates = ", ".join(f"{name} = excluded.{name}" for name in values)
    db.execute(
        f"INSERT INTO findings (lot_code, no, {names}) VALUES (?, ?, {marks}) "
        f"ON CONFLICT (lot_code, no) DO UPDATE SET {updates}",
        (lot_code, no, *values.values()),
    )


def project(db: apsw.Connection, entry: Entry, events: Sequence[object]) -> None:
    """Take findings, answers and review marks from an entry."""
    lot_code = entry.stream.partition("/")[2]
    for event in events:
        match event:
            case FindingRaised(no=no, origin=origin, seq=seq, rule=rule, text=text):
                row = {"origin": origin, "seq": seq, "rule": rule, "text": text, "raised_at_ms": entry.at_ms}
                _upsert(db, lot_code, no, row)
            case FindingClosed(no=no, outcome=outcome, text=text):
                _upsert(db, lot_code, no, {"outcome": outcome, "closing": text})
            case FindingAnswered(no=no, text=text):
                _upsert(db, lot_code, no, {"answer": text, "answered_at_ms": entry.at_ms})
            case Reviewed(origin=origin, size=size):
                db.execute(
                    "INSERT INTO reviewed VALUES (?, ?, ?) ON CONFLICT (origin, lot_code) "
                    "DO UPDATE SET size = max(size, excluded.size)",
                    (origin, lot_code, size),
                )
            case _:
                continue


def findings(db: apsw.Connection, lot_code: str | None = None) -> list[FindingRow]:
    """Return findings that were raised, open ones first; of one lot, or of all."""
    sql = "SELECT * FROM findings WHERE raised_at_ms > 0"
    values: tuple[object, ...] = ()
    if lot_code is not None:
        sql += " AND lot_code = ?"
        values = (lot_code,)
    return [
        FindingRow(*row) for row in db.execute(sql + " ORDER BY outcome != '', raised_at_ms DESC, lot_code, no", values)
    ]


def is_reviewed(db: apsw.Connection, origin: str, seq: int, lot_code: str) -> bool:
    """Return whether a reviewer has marked this lot's entries of this log up to beyond this position."""
    sql = "SELECT 1 FROM reviewed WHERE origin = ? AND lot_code = ? AND size > ?"
    return db.execute(sql, (origin, lot_code, seq)).fetchone() is not None
