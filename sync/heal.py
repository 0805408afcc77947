"""A node's own log made whole again from what mirrors hold of it (自愈).

What is true afterwards: the log is exactly the tree of a checkpoint that this node's own key signed, every entry of it was
verified against that root before it was written, and no statement of the own key that is known here contradicts it. Rows
that were replaced are kept in `set_aside`, as they were found. Nothing is signed.

Entries come into a staging table first, package by package, so a long heal goes on where it was cut; one transaction then
puts them in their places, makes the tree anew and compares its root.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import apsw

from sync.checkpoint import Checkpoint, open_checkpoint
from sync.follow import Copy, Plan, check_bundle, plan
from sync.log import LogTable, TableHashes, head, open_log
from sync.merkle import EMPTY_ROOT, Frontier, leaf_hash, tree_root
from sync.note import VerifierKey
from sync.reader import LogReader
from sync.receiver import Database
from sync.tampered import Malformed, Problem, Tampered
from sync.tiles import WIDTH

HEAL_SCHEMA = """
CREATE TABLE IF NOT EXISTS healing (        -- verified entries of the own log, not yet in their places
    log_id INTEGER NOT NULL,
    seq INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (log_id, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS set_aside (      -- rows that a heal has replaced or found beyond every signature, as they were
    id INTEGER PRIMARY KEY,
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    leaf BLOB NOT NULL,
    body BLOB NOT NULL,
    at_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS heals (
    id INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    origin TEXT NOT NULL,
    cause TEXT NOT NULL,
    source TEXT NOT NULL,
    before INTEGER NOT NULL,                -- entries held before
    size INTEGER NOT NULL,                  -- entries held after
    fetched INTEGER NOT NULL,
    set_aside INTEGER NOT NULL
) STRICT;
"""
_CHUNK = 64 * WIDTH  # entries hashed in one read
_EMPTY = Copy(0, Frontier(), (), Checkpoint("", 0, EMPTY_ROOT), b"")

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Target:
    """A checkpoint signed by the own key, the note that proves it, and the node that holds its entries."""

    checkpoint: Checkpoint
    note: bytes
    by: str


@dataclass(frozen=True, slots=True)
class Local:
    """What stands here: rows as counted, the own signed checkpoint, and whether the bytes still have its root."""

    size: int
    signed: Checkpoint | None
    note: bytes
    whole: bool


@dataclass(frozen=True, slots=True)
class Healed:
    """What one heal did (自愈记录); `fetched` entries came from `source`, `set_aside` rows were replaced."""

    at_ms: int
    origin: str
    cause: str
    source: str
    before: int
    size: int
    fetched: int
    set_aside: int


def heals(db: apsw.Connection) -> tuple[Healed, ...]:
    """Return every heal of this database, oldest first."""
    rows = db.execute("SELECT at_ms, origin, cause, source, before, size, fetched, set_aside FROM heals ORDER BY id")
    return tuple(Healed(*row) for row in rows)


def signed_here(note: bytes | None, vkey: VerifierKey) -> Checkpoint | None:
    """Return the checkpoint of a stored note if the log's own key signed it."""
    if note is None:
        return None
    try:
        return open_checkpoint(note, [vkey]).checkpoint
    except (Tampered, Malformed):
        return None


async def look(db: Database, vkey: VerifierKey, progress: Progress) -> Local:
    """Hash every stored entry of the own log again and compare with the own checkpoint."""
    held = await db.read(lambda db: head(db, vkey.name))
    signed = signed_here(held.checkpoint, vkey)
    if signed is None:
        return Local(held.size, None, b"", whole=held.size == 0)
    frontier = Frontier()
    while frontier.size < signed.size:
        start, end = frontier.size, min(frontier.size + _CHUNK, signed.size)
        leaves = await db.read(lambda db, start=start, end=end: _rehash(db, held.log_id, start, end))  # type: ignore[misc]
        frontier = frontier.extend(leaves)
        progress("hash", frontier.size, signed.size)
        if len(leaves) != end - start:
            return Local(held.size, signed, held.checkpoint or b"", whole=False)
    return Local(held.size, signed, held.checkpoint or b"", whole=frontier.root() == signed.root)


def _rehash(db: apsw.Connection, log_id: int, start: int, end: int) -> list[bytes]:
    """Return the leaf hashes of the bytes of [start, end), up to the first gap."""
    query = "SELECT seq, body FROM entries WHERE log_id = ? AND seq >= ? AND seq < ? ORDER BY seq"
    leaves: list[bytes] = []
    for seq, body in db.execute(query, (log_id, start, end)):
        if seq != start + len(leaves):
            break
        leaves.append(leaf_hash(body))
    return leaves


async def heal(
    db: Database,
    target: Target,
    reader: LogReader | None,
    *,
    vkey: VerifierKey,
    cause: str,
    now_ms: Callable[[], int],
    settled: Callable[[apsw.Connection, Healed], None],
    progress: Progress = lambda _what, _done, _all: None,
    give_up_own: bool = False,
) -> Healed:
    """Bring the own log to `target`, and beyond it as far as whole local entries lead to the own checkpoint.

    Without a reader the bytes here must have the target's root already: then only the tree is made anew. `settled` runs
    inside the transaction that settles. Raises LinkFault, LogFault; Tampered (two-branches) where the own key has signed two
    histories, and nothing is changed then. `give_up_own`: persons have decided for the target's history; what stands here
    beside it is set aside, whole.
    """
    local = await look(db, vkey, progress)
    if reader is not None:
        planned = await _plan(reader, target)
        await _stage(db, planned, reader, progress)

    def job(conn: apsw.Connection) -> Healed:
        healed = _settle(conn, target, local, cause, now_ms(), give_up_own=give_up_own)
        settled(conn, healed)
        return healed

    return await db.write(job)


async def take_aside(db: Database, target: Target, reader: LogReader, *, now_ms: Callable[[], int]) -> int:
    """Fetch what a peer holds of another history of this log, verified against `target`, and set it aside: nothing of the log
    changes. Returns how many entries are new here. Raises LinkFault, Tampered.
    """
    planned = await _plan(reader, target)
    origin, size = target.checkpoint.origin, target.checkpoint.size
    log_id = await db.read(lambda db: head(db, origin).log_id)
    rows: list[tuple[str, int, bytes, bytes, int]] = []
    for n in await db.read(lambda db: _wrong(db, log_id, planned, 0, size)):
        entries, _ = await reader.bundle(n, min(size - n * WIDTH, WIDTH))
        leaves = check_bundle(planned, _EMPTY, n, entries)
        rows += [(origin, n * WIDTH + at, leaf, entries[at], now_ms()) for at, leaf in enumerate(leaves)]

    def job(db: apsw.Connection) -> int:
        before = _one(db, "SELECT COUNT(*) FROM set_aside")
        db.executemany(
            "INSERT INTO set_aside (origin, seq, leaf, body, at_ms) SELECT ?1, ?2, ?3, ?4, ?5 WHERE NOT EXISTS"
            " (SELECT 1 FROM set_aside WHERE origin = ?1 AND seq = ?2 AND leaf = ?3) AND NOT EXISTS"
            f" (SELECT 1 FROM entries WHERE log_id = {log_id} AND seq = ?2 AND leaf = ?3)",
            rows,
        )
        return _one(db, "SELECT COUNT(*) FROM set_aside") - before

    return await db.write(job)


async def _plan(reader: LogReader, target: Target) -> Plan:
    size = target.checkpoint.size
    packages = await reader.packages(0, size // WIDTH)
    tail = await reader.leaves(size // WIDTH, size % WIDTH)
    return plan(_EMPTY, target.checkpoint, packages, tail)


async def _stage(db: Database, planned: Plan, reader: LogReader, progress: Progress) -> None:
    """Fetch and verify every package whose rows here are not the planned ones."""
    size = planned.target.size
    log_id = await db.read(lambda db: head(db, planned.target.origin).log_id)
    await db.write(lambda db: db.execute("DELETE FROM healing WHERE log_id = ? AND seq >= ?", (log_id, size)))
    for start in range(0, size, _CHUNK):
        end = min(start + _CHUNK, size)
        wrong = await db.read(lambda db, start=start, end=end: _wrong(db, log_id, planned, start, end))  # type: ignore[misc]
        for n in wrong:
            width = min(size - n * WIDTH, WIDTH)
            entries, _ = await reader.bundle(n, width)
            leaves = check_bundle(planned, _EMPTY, n, entries)
            await db.write(lambda db, n=n, e=entries, hashes=leaves: _keep(db, log_id, n * WIDTH, e, hashes))  # type: ignore[misc]
            progress("fetch", n * WIDTH + width, size)
        progress("compare", end, size)


def _wrong(db: apsw.Connection, log_id: int, planned: Plan, start: int, end: int) -> list[int]:
    """Return the packages of [start, end) that neither the log nor the staging table holds as planned."""
    return [
        n
        for n in range(start // WIDTH, -(-end // WIDTH))
        if not any(_as_planned(db, table, log_id, planned, n) for table in ("entries", "healing"))
    ]


def _as_planned(db: apsw.Connection, table: str, log_id: int, planned: Plan, n: int) -> bool:
    width = min(planned.target.size - n * WIDTH, WIDTH)
    query = f"SELECT leaf, body FROM {table} WHERE log_id = ? AND seq >= ? AND seq < ? ORDER BY seq"
    rows = list(db.execute(query, (log_id, n * WIDTH, n * WIDTH + width)))
    leaves = [leaf_hash(body) for _, body in rows]
    if len(rows) != width or leaves != [leaf for leaf, _ in rows]:
        return False
    if width < WIDTH:
        return tuple(leaves) == planned.tail
    return Frontier().extend(leaves).root() == planned.packages[n]


def _keep(db: apsw.Connection, log_id: int, start: int, entries: Sequence[bytes], leaves: Sequence[bytes]) -> None:
    rows = [(log_id, start + at, leaf, body) for at, (leaf, body) in enumerate(zip(leaves, entries, strict=True))]
    db.executemany("INSERT OR REPLACE INTO healing (log_id, seq, leaf, body) VALUES (?, ?, ?, ?)", rows)


def _settle(db: apsw.Connection, target: Target, local: Local, cause: str, at_ms: int, *, give_up_own: bool) -> Healed:
    origin = target.checkpoint.origin
    log = open_log(db, origin)
    fetched = _one(
        db,
        "SELECT COUNT(*) FROM healing h LEFT JOIN entries e USING (log_id, seq)"
        " WHERE log_id = ? AND (e.body IS NULL OR e.body != h.body)",
        log.log_id,
    )
    aside_before = _one(db, "SELECT COUNT(*) FROM set_aside")
    db.execute(
        "INSERT INTO set_aside (origin, seq, leaf, body, at_ms) SELECT ?, e.seq, e.leaf, e.body, ? FROM entries e"
        " JOIN healing h USING (log_id, seq) WHERE log_id = ? AND (e.body != h.body OR e.leaf != h.leaf)",
        (origin, at_ms, log.log_id),
    )
    db.execute(
        "INSERT OR REPLACE INTO entries (log_id, seq, leaf, body)"
        " SELECT log_id, seq, leaf, body FROM healing WHERE log_id = ?",
        (log.log_id,),
    )
    db.execute("DELETE FROM healing WHERE log_id = ?", (log.log_id,))
    size, note = (target.checkpoint.size, target.note) if give_up_own else _end(db, log, target, local)
    db.execute(
        "INSERT INTO set_aside (origin, seq, leaf, body, at_ms)"
        " SELECT ?, seq, leaf, body, ? FROM entries WHERE log_id = ? AND seq >= ?",
        (origin, at_ms, log.log_id, size),
    )
    db.execute("DELETE FROM entries WHERE log_id = ? AND seq >= ?", (log.log_id, size))
    log.make_tree_anew()
    own = () if local.signed is None or give_up_own else (local.signed,)
    for known in (target.checkpoint, *own):
        if known.size <= log.size and tree_root(TableHashes(db, origin), known.size) != known.root:
            raise Tampered(
                Problem.TWO_BRANCHES,
                origin,
                expected=known.root.hex(),
                detail=f"own checkpoint of {known.size} entries",
            )
    log.store_checkpoint(note)
    aside = _one(db, "SELECT COUNT(*) FROM set_aside") - aside_before
    healed = Healed(at_ms, origin, cause, target.by, local.size, size, fetched, aside)
    db.execute(
        "INSERT INTO heals (at_ms, origin, cause, source, before, size, fetched, set_aside) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (at_ms, origin, cause, target.by, local.size, size, fetched, aside),
    )
    return healed


def _end(db: apsw.Connection, log: LogTable, target: Target, local: Local) -> tuple[int, bytes]:
    """Return up to where the log will stand and the note over it: the own checkpoint where its entries beyond the target
    are here, the target else.
    """
    signed, at = local.signed, target.checkpoint.size
    if signed is None or signed.size <= at:
        return at, target.note
    leaves = _rehash(db, log.log_id, 0, at)
    frontier = Frontier().extend(leaves)
    if len(leaves) == at and frontier.root() == target.checkpoint.root:
        rest = _rehash(db, log.log_id, at, signed.size)
        if len(rest) == signed.size - at and frontier.extend(rest).root() == signed.root:
            db.executemany(
                "UPDATE entries SET leaf = ? WHERE log_id = ? AND seq = ?",
                [(leaf, log.log_id, at + n) for n, leaf in enumerate(rest)],
            )
            return signed.size, local.note
    if local.whole:
        raise Tampered(
            Problem.TWO_BRANCHES,
            log.origin,
            expected=signed.root.hex(),
            got=target.checkpoint.root.hex(),
            detail="own log",
        )
    return at, target.note


def _one(db: apsw.Connection, query: str, *values: int) -> int:
    row = db.execute(query, values).fetchone()
    return 0 if row is None else int(row[0])
