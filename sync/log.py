"""Signed logs as tables of one SQLite file: the node's own log and every log mirrored here, alike (日志).

What holds after a commit: entries are contiguous from 0; the head row's size and frontier cover exactly the entries that
are there; every complete subtree of 256**level leaves has its hash in `hash256`, so roots and proofs cost a few hundred
rows however long the log is. All writing happens inside the caller's transaction on the writer thread.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from sync.checkpoint import read
from sync.codec import MAX_ENTRY
from sync.merkle import Frontier
from sync.tampered import Malformed

LOG_SCHEMA = """
CREATE TABLE IF NOT EXISTS log_instance (   -- this copy of the database; a restored or cloned one gets another id
    one INTEGER PRIMARY KEY CHECK (one = 1),
    id BLOB NOT NULL CHECK (length(id) = 16)
) STRICT;
INSERT OR IGNORE INTO log_instance (one, id) VALUES (1, randomblob(16));
CREATE TABLE IF NOT EXISTS logs (
    log_id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL UNIQUE,
    size INTEGER NOT NULL DEFAULT 0 CHECK (size >= 0),
    frontier BLOB NOT NULL DEFAULT x'',
    checkpoint BLOB,                        -- newest signed note whose entries are all here
    checkpoint_size INTEGER NOT NULL DEFAULT 0 CHECK (checkpoint_size <= size),
    cosigned_s INTEGER NOT NULL DEFAULT 0,  -- time in this node's last cosignature of this log: never decreases
    frozen TEXT                             -- why nothing more is accepted under this origin
) STRICT;
CREATE TABLE IF NOT EXISTS entries (
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    seq INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (log_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS hash256 (        -- roots of complete subtrees of 256**level leaves, level >= 1
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    level INTEGER NOT NULL,
    n INTEGER NOT NULL,
    hash BLOB NOT NULL,
    PRIMARY KEY (log_id, level, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS promises (       -- pending checkpoints of mirrored logs: verified, entries still to come
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    size INTEGER NOT NULL,
    root BLOB NOT NULL,
    note BLOB NOT NULL,
    PRIMARY KEY (log_id, size)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS cosignatures (   -- one per cosigner and size; the largest size of a cosigner is its reach
    log_id INTEGER NOT NULL REFERENCES logs (log_id),
    cosigner TEXT NOT NULL,
    size INTEGER NOT NULL,
    line TEXT NOT NULL,
    at_ms INTEGER NOT NULL,                 -- when it arrived here
    PRIMARY KEY (log_id, cosigner, size)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS successions (    -- the one successor of each origin that is known here, own ones too
    old_origin TEXT PRIMARY KEY,
    new_origin TEXT NOT NULL UNIQUE,
    statement BLOB NOT NULL,
    envelope BLOB NOT NULL,                 -- as it was signed when it came here
    at_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS misbehaviour (   -- two signed checkpoints of one origin that cannot both be true
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    problem TEXT NOT NULL,
    held BLOB NOT NULL,
    shown BLOB NOT NULL,
    proof BLOB NOT NULL,                    -- the consistency proof that came with `shown`, 32 bytes each
    shown_by TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (origin, held, shown)
) STRICT;
"""

_INSERT_ENTRY = "INSERT INTO entries (log_id, seq, leaf, body) VALUES (?, ?, ?, ?)"
_INSERT_HASH = "INSERT INTO hash256 (log_id, level, n, hash) VALUES (?, ?, ?, ?)"


@dataclass(eq=False)
class EntryTooLarge(Exception):
    """An entry of `size` bytes is over MAX_ENTRY (65,535, from the u16 length of C2SP tlog-tiles)."""

    size: int


@dataclass(eq=False)
class LogFault(Exception):
    """The tables cannot answer: `what` is unknown-log, no-checkpoint, no-such-entry, damaged-head, damaged-row,
    missing-entries, changed-entry, changed-hash or wrong-checkpoint.
    """

    what: str
    origin: str
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.origin}: {self.what} [{self.start}, {self.end})"


@dataclass(frozen=True, slots=True)
class Mark:
    """The head of a log in memory at one moment, to return to."""

    size: int
    hashes: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Cosigned:
    """One cosigner's statement about one log: its signature line covers the checkpoint of this size."""

    cosigner: str
    size: int
    line: str
    at_ms: int


@dataclass(frozen=True, slots=True)
class Head:
    """What is held of one log. `cosignatures` are the best of each cosigner; `promised` is the size of the newest verified
    checkpoint, entries still to come.
    """

    origin: str
    log_id: int
    size: int
    frontier: Frontier
    checkpoint: bytes | None
    checkpoint_size: int
    promised: int
    frozen: str | None
    cosignatures: tuple[Cosigned, ...]

    @property
    def root(self) -> bytes:
        """Return the root over all entries held."""
        return self.frontier.root()


class LogTable:
    """The writing end of one log. Not safe across threads: it belongs to the writer thread.

    The head is read from the table when it is first needed, and again after `forget`: so a head in memory is never ahead of
    the disk, not even where both a write and the reading after it failed. Everything here may raise LogFault (damaged-head).
    """

    def __init__(self, db: apsw.Connection, origin: str, log_id: int) -> None:
        """Use `open_log`."""
        self.origin = origin
        self.log_id = log_id
        self._db = db
        self._cursor = db.cursor()
        self._size = self._signed_size = 0
        self._hashes: list[bytes] = []
        self._dirty = False
        self._known = False

    @property
    def size(self) -> int:
        """Return the number of entries, those of the open transaction included."""
        self._know()
        return self._size

    @property
    def frontier(self) -> Frontier:
        """Return the roots of the perfect subtrees over all entries, those of the open transaction included."""
        self._know()
        return Frontier(self._size, tuple(self._hashes))

    @property
    def signed_size(self) -> int:
        """Return the size that the newest stored checkpoint covers."""
        self._know()
        return self._signed_size

    def append(self, body: bytes) -> int:
        """Append one entry and return its seq. The head row follows at `flush`. Raises EntryTooLarge."""
        if len(body) > MAX_ENTRY:
            raise EntryTooLarge(len(body))
        self._know()
        seq = self._size
        leaf = hashlib.sha256(b"\0" + body).digest()
        self._cursor.execute(_INSERT_ENTRY, (self.log_id, seq, leaf, body))
        finished = self._push(leaf)
        if finished:
            self._cursor.executemany(_INSERT_HASH, finished)
        return seq

    def extend(self, bodies: Sequence[bytes], leaves: Sequence[bytes]) -> range:
        """Append many entries whose leaf hashes the caller has computed (to verify them), and return their seqs."""
        self._know()
        start = self._size
        for body in bodies:
            if len(body) > MAX_ENTRY:
                raise EntryTooLarge(len(body))
        log_id = self.log_id
        rows = [
            (log_id, seq, leaf, body) for seq, (leaf, body) in enumerate(zip(leaves, bodies, strict=True), start=start)
        ]
        self._cursor.executemany(_INSERT_ENTRY, rows)
        finished = [row for leaf in leaves for row in self._push(leaf)]
        if finished:
            self._cursor.executemany(_INSERT_HASH, finished)
        return range(start, self._size)

    def _push(self, node: bytes) -> list[tuple[int, int, int, bytes]]:
        """Take one leaf into the frontier; return rows for the 256**level subtrees that it completes."""
        finished: list[tuple[int, int, int, bytes]] = []
        hashes, left, merged = self._hashes, self._size, 0
        while left & 1:
            node = hashlib.sha256(b"\1" + hashes.pop() + node).digest()
            left >>= 1
            merged += 1
            if not merged & 7:
                finished.append((self.log_id, merged >> 3, left, node))
        hashes.append(node)
        self._size += 1
        self._dirty = True
        return finished

    def flush(self) -> None:
        """Write the head row. Must run before the transaction commits."""
        if self._dirty:
            self._cursor.execute(
                "UPDATE logs SET size = ?, frontier = ? WHERE log_id = ?",
                (self._size, self.frontier.pack(), self.log_id),
            )
            self._dirty = False

    def store_checkpoint(self, note: bytes) -> None:
        """Store the signed note as the newest checkpoint; flushes. The caller has signed or verified it.

        Raises LogFault where it is not of this log, covers entries that are not here, or has another root at this size.
        """
        checkpoint, _ = read(note)
        size = checkpoint.size
        self._know()
        wrong = checkpoint.origin != self.origin or not self._signed_size <= size <= self._size
        if wrong or (size == self._size and checkpoint.root != self.frontier.root()):
            raise LogFault("wrong-checkpoint", self.origin, size, self._size)
        self.flush()
        self._cursor.execute(
            "UPDATE logs SET checkpoint = ?, checkpoint_size = ? WHERE log_id = ?", (note, size, self.log_id)
        )
        self._signed_size = size

    def make_tree_anew(self) -> None:
        """Compute the leaf-derived rows and the head again from the stored leaves: after rows were mended. Flushes; the
        checkpoint is gone until another is stored. Raises LogFault where an entry is missing.
        """
        self._cursor.execute("DELETE FROM hash256 WHERE log_id = ?", (self.log_id,))
        self._cursor.execute(
            "UPDATE logs SET size = 0, frontier = x'', checkpoint = NULL, checkpoint_size = 0 WHERE log_id = ?",
            (self.log_id,),
        )
        self.forget()
        self._know()
        query = "SELECT seq, CAST(leaf AS BLOB) FROM entries WHERE log_id = ? ORDER BY seq"
        finished: list[tuple[int, int, int, bytes]] = []
        for seq, leaf in self._db.execute(query, (self.log_id,)):
            if seq != self._size:
                raise LogFault("missing-entries", self.origin, self._size, seq)
            finished += self._push(leaf)
        self._cursor.executemany(_INSERT_HASH, finished)
        self._dirty = True
        self.flush()

    def mark(self) -> Mark:
        """Remember the head in memory, before a savepoint."""
        self._know()
        return Mark(self._size, tuple(self._hashes))

    def rollback_to(self, mark: Mark) -> None:
        """Return to a mark whose savepoint was rolled back; rows written since are the database's to undo."""
        self._size = mark.size
        self._hashes = list(mark.hashes)
        self._dirty = True

    def forget(self) -> None:
        """Drop the head in memory: after a rollback of the transaction. It is read again when it is next needed."""
        self._known = self._dirty = False

    def _know(self) -> None:
        if self._known:
            return
        # Read to its end: a statement that waits on this cursor would be an open read, and no WAL is checkpointed beside it.
        rows = self._cursor.execute(
            "SELECT size, CAST(frontier AS BLOB), checkpoint_size FROM logs WHERE log_id = ?", (self.log_id,)
        ).fetchall()
        if not rows:
            raise LogFault("unknown-log", self.origin)
        row: tuple[Any, ...] = rows[0]
        self._hashes = list(_frontier(self.origin, row[0], row[1], row[2]).hashes)
        self._size, self._signed_size = row[0], row[2]
        self._known = True


class TableHashes:
    """Reads stored hashes for proofs (merkle.HashReader): leaves at level 0, complete subtrees above."""

    def __init__(self, db: apsw.Connection, origin: str) -> None:
        """Look the log up once. Raises LogFault if it is unknown."""
        self._db = db
        self._origin = origin
        self._log_id = _log_id(db, origin)

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Return the hashes [start, end) of one level. Raises LogFault if any is missing."""
        if level == 0:
            query = "SELECT CAST(leaf AS BLOB) FROM entries WHERE log_id = ? AND seq >= ? AND seq < ? ORDER BY seq"
            rows = self._db.execute(query, (self._log_id, start, end))
        else:
            query = (
                "SELECT CAST(hash AS BLOB) FROM hash256 WHERE log_id = ? AND level = ? AND n >= ? AND n < ? ORDER BY n"
            )
            rows = self._db.execute(query, (self._log_id, level, start, end))
        found: list[bytes] = [row[0] for row in rows]
        if len(found) != end - start:
            width: int = 256**level
            raise LogFault("missing-entries", self._origin, start * width, end * width)
        if None in found:
            width = 256**level
            raise LogFault("damaged-row", self._origin, start * width, end * width)
        return found


def instance_id(db: apsw.Connection) -> bytes:
    """Return the id of this copy of the database."""
    value: bytes = _one(db, "SELECT CAST(id AS BLOB) FROM log_instance", ())[0]
    return value


def open_log(db: apsw.Connection, origin: str) -> LogTable:
    """Return the writing end of a log, creating its row where absent."""
    row = db.execute("SELECT log_id FROM logs WHERE origin = ?", (origin,)).fetchone()
    if row is None:
        db.execute("INSERT INTO logs (origin) VALUES (?)", (origin,))
        return LogTable(db, origin, db.last_insert_rowid())
    return LogTable(db, origin, int(row[0]))


def origins(db: apsw.Connection) -> list[str]:
    """Return the origins of all logs held here, own and mirrored, in order."""
    return [row[0] for row in db.execute("SELECT origin FROM logs ORDER BY origin")]


def has_log(db: apsw.Connection, origin: str) -> bool:
    """Return whether a log of this origin is held here."""
    return db.execute("SELECT 1 FROM logs WHERE origin = ?", (origin,)).fetchone() is not None


def size_of(db: apsw.Connection, origin: str) -> int:
    """Return how many entries of a log are held here; 0 where it is unknown."""
    row = db.execute("SELECT size FROM logs WHERE origin = ?", (origin,)).fetchone()
    return 0 if row is None else int(row[0])


def head(db: apsw.Connection, origin: str) -> Head:
    """Return what is held of a log, as of the last flush. Raises LogFault if it is unknown or its head is damaged."""
    row = db.execute(
        "SELECT log_id, size, CAST(frontier AS BLOB), CAST(checkpoint AS BLOB), checkpoint_size, frozen,"
        " (SELECT MAX(size) FROM promises WHERE promises.log_id = logs.log_id) FROM logs WHERE origin = ?",
        (origin,),
    ).fetchone()
    if row is None:
        raise LogFault("unknown-log", origin)
    log_id, size, frontier, checkpoint, checkpoint_size, frozen, promised = row
    return Head(
        origin=origin,
        log_id=log_id,
        size=size,
        frontier=_frontier(origin, size, frontier, checkpoint_size),
        checkpoint=checkpoint,
        checkpoint_size=checkpoint_size,
        promised=max(promised or 0, checkpoint_size),
        frozen=frozen,
        cosignatures=_best(db, log_id),
    )


def _frontier(origin: str, size: object, packed: object, signed: object) -> Frontier:
    """Return the frontier of a head row, whose columns may be anything once bits have flipped in the file."""
    if not isinstance(size, int) or not isinstance(packed, bytes) or not isinstance(signed, int):
        raise LogFault("damaged-head", origin)
    try:
        return Frontier.unpack(size, packed)
    except Malformed:
        raise LogFault("damaged-head", origin, 0, size) from None


def read_entry(db: apsw.Connection, origin: str, seq: int) -> bytes:
    """Return one entry's bytes. Raises LogFault if it is not here."""
    for _, body in read_bodies(db, origin, seq, seq + 1):
        return body
    raise LogFault("missing-entries", origin, seq, seq + 1)


def read_bodies(db: apsw.Connection, origin: str, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield (seq, bytes) for the entries of [start, end) that are here, in order. Raises LogFault (damaged-row)."""
    query = (
        "SELECT seq, CAST(body AS BLOB) FROM entries WHERE log_id = (SELECT log_id FROM logs WHERE origin = ?)"
        " AND seq >= ? AND seq < ? ORDER BY seq"
    )
    for seq, body in db.execute(query, (origin, start, end)):
        if body is None:  # a flipped bit makes any column NULL
            raise LogFault("damaged-row", origin, seq, seq + 1)
        yield seq, body


def read_checked(db: apsw.Connection, origin: str, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield what `read_bodies` yields. Raises LogFault (damaged-row, changed-entry) at the first that its hash does not fit."""
    query = (
        "SELECT seq, CAST(body AS BLOB), CAST(leaf AS BLOB) FROM entries WHERE log_id = (SELECT log_id FROM logs WHERE origin = ?)"
        " AND seq >= ? AND seq < ? ORDER BY seq"
    )
    for seq, body, leaf in db.execute(query, (origin, start, end)):
        if body is None:
            raise LogFault("damaged-row", origin, seq, seq + 1)
        if hashlib.sha256(b"\0" + body).digest() != leaf:
            raise LogFault("changed-entry", origin, seq, seq + 1)
        yield seq, body


def read_sound(db: apsw.Connection, origin: str, start: int, end: int) -> Iterator[tuple[int, bytes]]:
    """Yield what `read_bodies` yields, entries left out whose bytes no longer have their stored hash."""
    query = (
        "SELECT seq, CAST(body AS BLOB), CAST(leaf AS BLOB) FROM entries WHERE log_id = (SELECT log_id FROM logs WHERE origin = ?)"
        " AND seq >= ? AND seq < ? ORDER BY seq"
    )
    for seq, body, leaf in db.execute(query, (origin, start, end)):
        if body is not None and hashlib.sha256(b"\0" + body).digest() == leaf:
            yield seq, body


def add_cosignature(db: apsw.Connection, origin: str, cosigned: Cosigned) -> None:
    """Keep a verified cosignature of a log held here. Raises LogFault if the log is unknown."""
    db.execute(
        "INSERT OR IGNORE INTO cosignatures (log_id, cosigner, size, line, at_ms) VALUES (?, ?, ?, ?, ?)",
        (_log_id(db, origin), cosigned.cosigner, cosigned.size, cosigned.line, cosigned.at_ms),
    )


def reached(db: apsw.Connection, origin: str, seq: int) -> tuple[Cosigned, ...]:
    """Return, for each cosigner that covers this entry, its first cosignature of a size above `seq`, by name."""
    row = db.execute("SELECT log_id FROM logs WHERE origin = ?", (origin,)).fetchone()
    if row is None:
        return ()
    found = []
    for cosigner in _cosigners(db, row[0]):
        first = db.execute(
            "SELECT cosigner, size, line, at_ms FROM cosignatures WHERE log_id = ? AND cosigner = ? AND size > ?"
            " ORDER BY size LIMIT 1",
            (row[0], cosigner, seq),
        ).fetchone()
        if first is not None:
            found.append(Cosigned(*first))
    return tuple(found)


def _cosigners(db: apsw.Connection, log_id: int) -> list[str]:
    """Return the names of a log's cosigners: one index step a name, however many sizes each has signed."""
    query = (
        "WITH RECURSIVE names (name) AS (SELECT MIN(cosigner) FROM cosignatures WHERE log_id = ?1 UNION ALL"
        " SELECT (SELECT MIN(cosigner) FROM cosignatures WHERE log_id = ?1 AND cosigner > name) FROM names"
        " WHERE name IS NOT NULL) SELECT name FROM names WHERE name IS NOT NULL"
    )
    return [row[0] for row in db.execute(query, (log_id,))]


def _best(db: apsw.Connection, log_id: int) -> tuple[Cosigned, ...]:
    query = (
        "SELECT cosigner, size, line, at_ms FROM cosignatures WHERE log_id = ? AND cosigner = ?"
        " ORDER BY size DESC LIMIT 1"
    )
    return tuple(Cosigned(*_one(db, query, (log_id, name))) for name in _cosigners(db, log_id))


def _log_id(db: apsw.Connection, origin: str) -> int:
    row = db.execute("SELECT log_id FROM logs WHERE origin = ?", (origin,)).fetchone()
    if row is None:
        raise LogFault("unknown-log", origin)
    return int(row[0])


def _one(db: apsw.Connection, query: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    row: tuple[Any, ...] = next(iter(db.execute(query, values)))
    return row
