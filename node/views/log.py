"""The index of every entry held here, own and mirrored (日志索引): what happened where, when, in which stream, by whom."""

from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from sync.codec import Entry

TABLES = """
CREATE TABLE IF NOT EXISTS entry_index (
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    stream TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    clock_quality TEXT NOT NULL,
    actor TEXT NOT NULL,
    command_id BLOB NOT NULL,
    events TEXT NOT NULL,
    PRIMARY KEY (origin, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_by_stream ON entry_index (stream, origin, seq);
CREATE UNIQUE INDEX IF NOT EXISTS entry_by_command ON entry_index (origin, command_id);
"""
NAMES = ("entry_index",)


@dataclass(frozen=True, slots=True)
class IndexRow:
    """One line of a log listing."""

    origin: str
    seq: int
    stream: str
    at_ms: int
    clock_quality: str
    actor: str
    events: tuple[str, ...]


def project(db: apsw.Connection, entry: Entry) -> None:
    """Index one entry."""
    names = " ".join(name for name, _, _ in entry.events)
    db.execute(
        "INSERT INTO entry_index VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            entry.origin,
            entry.seq,
            entry.stream,
            entry.at_ms,
            entry.clock_quality,
            entry.actor,
            entry.command_id,
            names,
        ),
    )


def rows_of(cursor: apsw.Cursor) -> Iterator[IndexRow]:
    """Yield index rows of a query for COLUMNS."""
    for origin, seq, stream, at_ms, quality, actor, events in cursor:
        yield IndexRow(origin, seq, stream, at_ms, quality, actor, tuple(events.split()))


COLUMNS = "origin, seq, stream, at_ms, clock_quality, actor, events"


def of_origin(db: apsw.Connection, origin: str, before: int, limit: int) -> list[IndexRow]:
    """Return up to `limit` entries of a log below position `before`, newest first."""
    sql = f"SELECT {COLUMNS} FROM entry_index WHERE origin = ? AND seq < ? ORDER BY seq DESC LIMIT ?"
    return list(rows_of(db.execute(sql, (origin, before, limit))))


def of_lot(db: apsw.Connection, lot_code: str) -> list[IndexRow]:
    """Return every entry about a lot (its stream, sheets, reviews, answers) by time, then place: a timeline to read."""
    sql = (
        f"SELECT {COLUMNS} FROM entry_index WHERE stream IN (?, ?, ?) OR (stream >= ? AND stream < ?) "
        "ORDER BY at_ms, origin, seq"
    )
    sheets = f"sheet/{lot_code}/"
    names = (f"lot/{lot_code}", f"review/{lot_code}", f"answers/{lot_code}")
    return list(rows_of(db.execute(sql, (*names, sheets, sheets + "\x7f"))))


def origins_of(db: apsw.Connection, stream: str) -> list[str]:
    """Return every log that has written to a stream, in name order: one index step a log, however long the stream is."""
    sql = (
        "WITH RECURSIVE names (name) AS (SELECT MIN(origin) FROM entry_index WHERE stream = ?1 UNION ALL"
        " SELECT (SELECT MIN(origin) FROM entry_index WHERE stream = ?1 AND origin > name) FROM names"
        " WHERE name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL"
    )
    return [row[0] for row in db.execute(sql, (stream,))]


def streams_like(db: apsw.Connection, prefix: str) -> list[str]:
    """Return the streams whose name begins so."""
    sql = "SELECT DISTINCT stream FROM entry_index WHERE stream >= ? AND stream < ? ORDER BY 1"
    return [row[0] for row in db.execute(sql, (prefix, prefix + "\x7f"))]
