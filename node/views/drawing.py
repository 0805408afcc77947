"""Draws by lot, and which draw has seen which commit (抽取): a commit that comes back voids its draw."""

from collections.abc import Sequence
from typing import Any

import apsw

from node.domain.ceremony import NonceCommitted
from node.domain.drawn import ExpertsFrozen, OptionsFrozen
from sync.codec import Entry

TABLES = """
CREATE TABLE IF NOT EXISTS draws (
    draw_id TEXT PRIMARY KEY,
    lot_code TEXT NOT NULL,
    kind TEXT NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS draw_commits (
    made BLOB NOT NULL,
    draw_id TEXT NOT NULL,
    PRIMARY KEY (made, draw_id)
) STRICT, WITHOUT ROWID;
"""
NAMES = ("draws", "draw_commits")


def project(db: apsw.Connection, entry: Entry, events: Sequence[Any]) -> None:
    """Bring both tables up to an entry."""
    draw_id = entry.stream.partition("/")[2]
    for event in events:
        match event:
            case ExpertsFrozen(request=request):
                row = (draw_id, request.lot_code, "experts", entry.at_ms)
                db.execute("INSERT OR IGNORE INTO draws VALUES (?, ?, ?, ?)", row)
            case OptionsFrozen(lot_code=lot_code, kind=kind):
                db.execute("INSERT OR IGNORE INTO draws VALUES (?, ?, ?, ?)", (draw_id, lot_code, kind, entry.at_ms))
            case NonceCommitted(commit=made):
                db.execute("INSERT OR IGNORE INTO draw_commits VALUES (?, ?)", (made, draw_id))
            case _:
                pass


def draw_of_commit(db: apsw.Connection, made: bytes) -> str:
    """Return a draw that has seen this commit; empty where none has."""
    rows = db.execute("SELECT draw_id FROM draw_commits WHERE made = ? ORDER BY draw_id LIMIT 1", (made,))
    return next((str(row[0]) for row in rows), "")


def of_lot(db: apsw.Connection, lot_code: str) -> list[tuple[str, str]]:
    """Return id and kind of every draw for a lot, in the order of their freezes."""
    rows = db.execute("SELECT draw_id, kind FROM draws WHERE lot_code = ? ORDER BY at_ms, draw_id", (lot_code,))
    return [(str(row[0]), str(row[1])) for row in rows]
