"""Which blobs the entries held here name (附件索引), how large each is, and which peers are known to hold them."""

import apsw

from node.domain.bidding import BidReceived
from sync.codec import Entry

TABLES = """
CREATE TABLE IF NOT EXISTS blob_refs (
    sha256 BLOB NOT NULL,
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    size INTEGER NOT NULL,
    PRIMARY KEY (sha256, origin, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS blob_by_entry ON blob_refs (origin, seq);
"""
NAMES = ("blob_refs",)
# Not derived from the log: what peers have said. A row that is missing costs one question.
REACH_SCHEMA = """
CREATE TABLE IF NOT EXISTS blob_reach (
    peer TEXT NOT NULL,
    sha256 BLOB NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (peer, sha256)
) STRICT, WITHOUT ROWID;
"""


def project(db: apsw.Connection, entry: Entry, events: tuple[object, ...]) -> None:
    """Note the blobs that an entry names."""
    for event in events:
        if isinstance(event, BidReceived):
            db.execute(
                "INSERT OR IGNORE INTO blob_refs VALUES (?, ?, ?, ?)",
                (event.sha256, entry.origin, entry.seq, event.size),
            )


def wanted_size(db: apsw.Connection, sha256: bytes) -> int | None:
    """Return the size that an entry held here gives a blob; None where none names it."""
    row = db.execute("SELECT max(size) FROM blob_refs WHERE sha256 = ?", (sha256,)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def named(db: apsw.Connection) -> list[tuple[bytes, int]]:
    """Return every blob that entries held here name, with its size, in the order of their entries."""
    rows = db.execute("SELECT sha256, max(size) FROM blob_refs GROUP BY sha256 ORDER BY min(origin), min(seq)")
    return [(row[0], int(row[1])) for row in rows]


def forget_reached(db: apsw.Connection, peer: str, sha256: bytes) -> None:
    """A peer says that a blob lies there no more."""
    db.execute("DELETE FROM blob_reach WHERE peer = ? AND sha256 = ?", (peer, sha256))


def named_in(db: apsw.Connection, sha256: bytes) -> tuple[str, ...]:
    """Return the logs whose entries name a blob."""
    return tuple(row[0] for row in db.execute("SELECT DISTINCT origin FROM blob_refs WHERE sha256 = ?", (sha256,)))


def of_entry(db: apsw.Connection, origin: str, seq: int) -> tuple[bytes, ...]:
    """Return the blobs that one entry names."""
    rows = db.execute("SELECT sha256 FROM blob_refs WHERE origin = ? AND seq = ? ORDER BY 1", (origin, seq))
    return tuple(row[0] for row in rows)


def lacking(db: apsw.Connection, peer: str, limit: int = 200) -> list[tuple[bytes, int]]:
    """Return blobs that a peer is not known to hold, with their sizes, in the order of their entries."""
    rows = db.execute(
        "SELECT sha256, max(size) FROM blob_refs WHERE sha256 NOT IN (SELECT sha256 FROM blob_reach WHERE peer = ?) "
        "GROUP BY sha256 ORDER BY min(origin), min(seq) LIMIT ?",
        (peer, limit),
    )
    return [(row[0], int(row[1])) for row in rows]


def note_reached(db: apsw.Connection, peer: str, sha256: bytes, at_ms: int) -> None:
    """Note that a peer holds a blob."""
    db.execute("INSERT OR IGNORE INTO blob_reach VALUES (?, ?, ?)", (peer, sha256, at_ms))


def held_by(db: apsw.Connection, sha256: bytes) -> frozenset[str]:
    """Return the peers that are known to hold a blob."""
    return frozenset(row[0] for row in db.execute("SELECT peer FROM blob_reach WHERE sha256 = ?", (sha256,)))
