"""Re-derive and compare (自检): the log against its own hashes and checkpoint, every view against the log.

Runs beside a live node: it reads one snapshot and writes only to a scratch database in memory.
"""

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from node import projection
from node.personal import SCHEMA as PERSONAL_SCHEMA
from node.views import custody as custody_view
from node.views import log as log_view
from sync.blobs import BlobFault, BlobStore
from sync.checkpoint import open_checkpoint
from sync.codec import decode
from sync.fence import FenceFault, read_fence
from sync.log import LogFault, TableHashes, head, origins, size_of
from sync.merkle import EMPTY_ROOT, Frontier, leaf_hash, tree_root
from sync.note import NoteSignature, VerifierKey
from sync.tampered import Malformed, Tampered
from sync.tiles import WIDTH


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not fit. `kind` is log (the evidence), file (pages of the database), fence (what the node has
    released), rule (an entry that the rules never let anybody record), view (a derived table) or attachment (a file that
    an entry names).
    """

    kind: str
    where: str
    why: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What was looked at, and what did not fit."""

    entries: int
    logs: int
    views: int
    differences: tuple[Difference, ...]

    @property
    def log_damaged(self) -> bool:
        """Whether the evidence itself does not fit, or the file that holds it."""
        return any(difference.kind not in {"view", "attachment"} for difference in self.differences)


Progress = Callable[[str, int, int], None]
_SHOWN = 20
_BIDS = {"bidding.bid-received", "bidding.bid-withdrawn"}
_DAMAGE = (apsw.Error, UnicodeDecodeError)  # what reading a file with flipped bits may raise


def _quiet(_what: str, _done: int, _all: int) -> None:
    return


def check_file(db: apsw.Connection) -> list[Difference]:
    """Let SQLite look at the structure of every page of its file."""
    try:
        rows = [str(row[0]) for row in db.execute(f"PRAGMA integrity_check({_SHOWN})")]
    except _DAMAGE as error:
        rows = [str(error)]
    return [Difference("file", db.filename.rpartition("/")[2], row) for row in rows if row != "ok"]


def check_files(named: list[tuple[bytes, int]], blobs: BlobStore, progress: Progress = _quiet) -> list[Difference]:
    """Hash every file that an entry names again."""
    found: list[Difference] = []
    for number, (sha256, _size) in enumerate(named, start=1):
        try:
            blobs.check(sha256)
        except BlobFault as fault:
            why = f"{fault.why}; a running node fetches it from its peers" if fault.why != "io" else str(fault)
            found.append(Difference("attachment", sha256.hex(), why))
        progress("files", number, len(named))
    return found


def check_log(
    db: apsw.Connection, origin: str, vkey: VerifierKey | None, progress: Progress = _quiet
) -> list[Difference]:
    """Hash every entry of one log again and compare with the stored leaves, subtrees, head and checkpoint."""
    found: list[Difference] = []
    tree = _Tree()
    try:
        for difference in _log_differences(db, origin, vkey, tree, progress):
            found.append(difference)
            if len(found) >= _SHOWN:
                break
    except LogFault as fault:
        found.append(Difference("log", origin, str(fault)))
    except _DAMAGE as error:
        found.append(Difference("log", f"{origin} entry {tree.size}", f"the file cannot be read from here on: {error}"))
    return found


class _Tree:
    """The tree of one log as its entries are read: the unfinished block of leaves, and every finished subtree's root."""

    def __init__(self) -> None:
        self.tail: list[bytes] = []
        self.levels: list[list[bytes]] = []

    @property
    def size(self) -> int:
        return len(self.tail) + (len(self.levels[0]) * WIDTH if self.levels else 0)

    def append(self, leaf: bytes) -> None:
        row, level = self.tail, 0
        row.append(leaf)
        while row and len(row) % WIDTH == 0:
            root = Frontier().extend(row[-WIDTH:]).root()
            if level == 0:
                row.clear()
            if level == len(self.levels):
                self.levels.append([])
            row = self.levels[level]
            row.append(root)
            level += 1

    def frontier(self) -> Frontier:
        full = Frontier().extend(self.levels[0]) if self.levels else Frontier()
        return Frontier(self.size, (*full.hashes, *Frontier().extend(self.tail).hashes))


def _log_differences(
    db: apsw.Connection, origin: str, vkey: VerifierKey | None, tree: _Tree, progress: Progress
) -> Iterator[Difference]:
    held = head(db, origin)
    signed_root = EMPTY_ROOT if held.checkpoint_size == 0 else None
    query = "SELECT seq, CAST(leaf AS BLOB), CAST(body AS BLOB) FROM entries WHERE log_id = ? ORDER BY seq"
    for seq, stored, body in db.execute(query, (held.log_id,)):
        if seq != tree.size or seq >= held.size:
            break
        if body is None:
            yield Difference("log", f"{origin} entry {seq}", "has no bytes any more")
            return
        leaf = leaf_hash(body)
        if stored != leaf:
            yield Difference("log", f"{origin} entry {seq}", "the bytes do not have the stored hash")
        try:
            entry = decode(body)
            if entry.origin != origin or entry.seq != seq:
                yield Difference("log", f"{origin} entry {seq}", f"says it is {entry.origin} {entry.seq}")
        except Malformed as error:
            yield Difference("log", f"{origin} entry {seq}", f"cannot be read: {error}")
        tree.append(leaf)
        if tree.size == held.checkpoint_size:
            signed_root = tree.frontier().root()
        if tree.size % 5_000 == 0:
            progress(origin, tree.size, held.size)
    count, last = next(iter(db.execute("SELECT COUNT(*), MAX(seq) FROM entries WHERE log_id = ?", (held.log_id,))))
    if tree.size != held.size or count != held.size:
        where = f"{origin} entry {tree.size}"
        if tree.size < held.size:
            yield Difference("log", where, f"is missing; the head says {held.size} entries")
        else:
            yield Difference("log", where, f"is beyond the head, as are those up to {last}")
        return
    if tree.frontier() != held.frontier:
        yield Difference("log", origin, "the head's hashes do not follow from the entries")
    yield from _subtrees(db, held.log_id, origin, tree)
    if held.size and held.checkpoint is None:
        yield Difference("log", origin, "no checkpoint is stored")
    elif held.checkpoint is not None:
        yield from _checkpoint(held.checkpoint, origin, held.checkpoint_size, signed_root, vkey)
    yield from _cosigned_time(db, held.log_id, origin)
    progress(origin, tree.size, held.size)


def _subtrees(db: apsw.Connection, log_id: int, origin: str, tree: _Tree) -> Iterator[Difference]:
    """Compare the stored hashes that make tiles and proofs with those that the entries have."""
    derived = [(level, n, root) for level, row in enumerate(tree.levels, start=1) for n, root in enumerate(row)]
    query = "SELECT level, n, CAST(hash AS BLOB) FROM hash256 WHERE log_id = ? ORDER BY level, n"
    stored = list(db.execute(query, (log_id,)))
    if stored == derived:
        return
    for level, n, _ in sorted(set(derived) ^ set(stored), key=lambda row: row[:2])[:_SHOWN]:
        width = WIDTH**level
        where = f"{origin} entries {n * width} to {(n + 1) * width - 1}"
        yield Difference("log", where, f"the stored hash of level {level} does not follow from them")


def _cosigned_time(db: apsw.Connection, log_id: int, origin: str) -> Iterator[Difference]:
    """The time that this node's next cosignature may not be before is that of one that it made."""
    last_s = int(next(iter(db.execute("SELECT cosigned_s FROM logs WHERE log_id = ?", (log_id,))))[0])
    lines = (
        [row[0] for row in db.execute("SELECT line FROM cosignatures WHERE log_id = ?", (log_id,))] if last_s else []
    )
    times: set[int] = set()
    for line in lines:
        try:
            times.add(int.from_bytes(NoteSignature.parse(line).blob[:8]))
        except Malformed as error:
            yield Difference("log", f"{origin} cosignature", f"cannot be read: {error}")
    if last_s and last_s not in times:
        yield Difference(
            "log", f"{origin} cosignature", f"none was made at {last_s}, when the last is said to have been"
        )


def _checkpoint(note: bytes, origin: str, size: int, root: bytes | None, vkey: VerifierKey | None) -> list[Difference]:
    if vkey is None:
        return [Difference("log", origin, "no verifier key is known for this log")]
    try:
        checkpoint = open_checkpoint(note, [vkey]).checkpoint
    except (Tampered, Malformed) as error:
        return [Difference("log", f"{origin} checkpoint", f"does not verify: {error}")]
    if (checkpoint.origin, checkpoint.size, checkpoint.root) != (origin, size, root):
        return [Difference("log", f"{origin} checkpoint", "is signed over another tree")]
    return []


def check_fence(db: apsw.Connection, path: Path, origin: str) -> list[Difference]:
    """Compare the fence with the own log, which may be ahead of it and never behind. The fence of a running node is not locked."""
    try:
        released = read_fence(path).released
    except FenceFault as fault:
        return [Difference("fence", str(path), f"{fault.why}: nothing says what this node has released")]
    if released.origin != origin:
        return [Difference("fence", str(path), f"is of the log {released.origin}, the keys are of {origin}")]
    try:
        size = size_of(db, origin) if origin in origins(db) else 0
        root = tree_root(TableHashes(db, origin), released.size) if released.size <= size else None
    except (LogFault, *_DAMAGE):
        return []  # said of the log itself
    if released.size > size:
        return [Difference("fence", str(path), f"{released.size} entries were released, the log holds {size}")]
    if root != released.root:
        return [
            Difference("fence", str(path), f"the {released.size} entries that were released are not those of the log")
        ]
    return []


def check_views(db: apsw.Connection, own_origin: str, progress: Progress = _quiet) -> list[Difference]:
    """Project every entry into scratch tables and compare them with the stored ones, row by row."""
    scratch = apsw.Connection(":memory:")
    scratch.execute(projection.VIEW_SCHEMA)
    scratch.execute(projection.CURSOR_SCHEMA)
    scratch.execute(PERSONAL_SCHEMA)
    projection.rebuild(db, scratch, own_origin, lambda done, total: progress("views", done, total))
    found: list[Difference] = []
    for table in projection.VIEW_TABLES:
        stored, derived = set(projection.rows_of(db, table)), set(projection.rows_of(scratch, table))
        for word, rows in (("is missing", derived - stored), ("does not follow from the log", stored - derived)):
            found.extend(Difference("view", f"{table} {row[:2]}", word) for row in sorted(rows, key=repr)[:_SHOWN])
    scratch.close()
    return found


def check_bids(db: apsw.Connection) -> list[Difference]:
    """Find bids that a log holds after their opening: in order as a log, and never recorded by this program (ZB 34)."""
    found = []
    for stream in log_view.streams_like(db, "lot/"):
        began = None
        for row in custody_view.of_stream(db, stream):
            if "project.retender-started" in row.events:
                began = None
            elif "opening.opening-started" in row.events:
                began = began or row
            elif began is not None and _BIDS & set(row.events):
                words = f"receives or withdraws a bid after the opening, {began.origin} entry {began.seq}"
                found.append(Difference("rule", f"{row.origin} entry {row.seq}", words))
    return found


def check(
    db: apsw.Connection, own_origin: str, vkeys: dict[str, VerifierKey], progress: Progress = _quiet
) -> CheckResult:
    """Check the file, every log and every view in one snapshot of the database. Damage is found, never raised."""
    db.execute("BEGIN")
    try:
        found = check_file(db)
        try:
            names = origins(db)
            entries = sum(size_of(db, origin) for origin in names)
        except _DAMAGE as error:
            found.append(Difference("log", "logs", f"the file cannot be read: {error}"))
            return CheckResult(0, 0, len(projection.VIEW_TABLES), tuple(found))
        found += [item for origin in names for item in check_log(db, origin, vkeys.get(origin), progress)]
        if not found:
            found = [*check_views(db, own_origin, progress), *check_bids(db)]
        return CheckResult(entries, len(names), len(projection.VIEW_TABLES), tuple(found))
    finally:
        if db.in_transaction:
            with contextlib.suppress(apsw.CorruptError):  # ends the reading all the same; what it says was found above
                db.execute("COMMIT")
