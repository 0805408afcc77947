"""Lots at a glance (标段一览): one row a lot, made from its folded state, for lists on every role's first page."""

from dataclasses import dataclass

import apsw

from node.domain.lot import LotState, blocked, stage
from node.views.log import IndexRow
from sync.codec import Entry

TABLES = """
CREATE TABLE IF NOT EXISTS lots (
    lot_code TEXT PRIMARY KEY,
    origin TEXT NOT NULL,
    owner_node TEXT NOT NULL,
    lot_name TEXT NOT NULL,
    project_name TEXT NOT NULL,
    region TEXT NOT NULL,
    profile_id TEXT NOT NULL,
    round_no INTEGER NOT NULL,
    stage TEXT NOT NULL,
    blocked TEXT NOT NULL,
    deadline_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    last_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""
NAMES = ("lots",)


@dataclass(frozen=True, slots=True)
class LotRow:
    """One lot in a list."""

    lot_code: str
    origin: str
    owner_node: str
    lot_name: str
    project_name: str
    region: str
    profile_id: str
    round_no: int
    stage: str
    blocked: str
    deadline_ms: int
    updated_ms: int
    last_seq: int


def project(db: apsw.Connection, last: Entry | IndexRow, lot: LotState) -> None:
    """Write the lot's row anew; `last` is the newest of its entries that count."""
    registered = lot.project.lot
    if registered is None:
        return
    db.execute(
        "INSERT OR REPLACE INTO lots VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            registered.lot_code,
            last.origin,
            lot.custody.node or registered.owner_node,
            registered.lot_name,
            registered.project_name,
            registered.region,
            registered.profile_id,
            lot.round_no,
            stage(lot),
            blocked(lot),
            lot.notice.deadline_ms,
            last.at_ms,
            last.seq,
        ),
    )


def lots(db: apsw.Connection) -> list[LotRow]:
    """Return every lot held here, newest change first."""
    return [LotRow(*row) for row in db.execute("SELECT * FROM lots ORDER BY updated_ms DESC, lot_code")]
