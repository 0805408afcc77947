"""Re-derive and compare (自检): the log against its own hashes and checkpoint, every view against the log.

Runs beside a live node: it reads one snapshot and writes only to a scratch database in memory.
"""

from collections.abc import Callable
from dataclasses import dataclass

import apsw

from node import projection
from node.personal import SCHEMA as PERSONAL_SCHEMA
from sync.checkpoint import open_checkpoint
from sync.codec import decode
from sync.log import head, origins, read_bodies
from sync.merkle import Frontier, leaf_hash
from sync.note import VerifierKey
from sync.tampered import Malformed, Tampered


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that does not fit. `kind` is log (the evidence) or view (a derived table)."""

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
        """Whether the evidence itself does not fit."""
        return any(difference.kind == "log" for difference in self.differences)


Progress = Callable[[str, int, int], None]
_SHOWN = 20


def _quiet(_what: str, _done: int, _all: int) -> None:
    return


def check_log(
    db: apsw.Connection, origin: str, vkey: VerifierKey | None, progress: Progress = _quiet
) -> list[Difference]:
    """Hash every entry of one log again and compare with the stored leaves, tree and checkpoint."""
    held = head(db, origin)
    found: list[Difference] = []
    leaves = db.execute("SELECT leaf FROM entries WHERE log_id = ? AND seq < ? ORDER BY seq", (held.log_id, held.size))
    frontier = Frontier(0, ())
    signed_root = frontier.root() if held.checkpoint_size == 0 else None
    expected = 0
    batch: list[bytes] = []
    for seq, body in read_bodies(db, origin, 0, held.size):
        row = leaves.fetchone()
        leaf = leaf_hash(body)
        if seq != expected:
            found.append(Difference("log", f"{origin} entry {expected}", "is missing"))
            return found
        if row is None or row[0] != leaf:
            found.append(Difference("log", f"{origin} entry {seq}", "the bytes do not have the stored hash"))
        try:
            entry = decode(body)
            if entry.origin != origin or entry.seq != seq:
                found.append(Difference("log", f"{origin} entry {seq}", f"says it is {entry.origin} {entry.seq}"))
        except Malformed as error:
            found.append(Difference("log", f"{origin} entry {seq}", f"cannot be read: {error}"))
        batch.append(leaf)
        expected += 1
        if expected == held.checkpoint_size:
            frontier = frontier.extend(batch)
            signed_root = frontier.root()
            batch = []
        if expected % 5_000 == 0:
            progress(origin, expected, held.size)
        if len(found) >= _SHOWN:
            return found
    if expected != held.size:
        found.append(Difference("log", f"{origin} entry {expected}", f"is missing; the head says {held.size} entries"))
        return found
    if frontier.extend(batch).root() != held.root:
        found.append(Difference("log", origin, "the tree's root does not follow from the entries"))
    if held.size and held.checkpoint is None:
        found.append(Difference("log", origin, "no checkpoint is stored"))
    elif held.checkpoint is not None:
        found.extend(_checkpoint(held.checkpoint, origin, held.checkpoint_size, signed_root, vkey))
    progress(origin, expected, held.size)
    return found


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


def check(
    db: apsw.Connection, own_origin: str, vkeys: dict[str, VerifierKey], progress: Progress = _quiet
) -> CheckResult:
    """Check every log and every view in one snapshot of the database."""
    db.execute("BEGIN")
    try:
        names = origins(db)
        found = [item for origin in names for item in check_log(db, origin, vkeys.get(origin), progress)]
        entries = sum(head(db, origin).size for origin in names)
        if not found:
            found.extend(check_views(db, own_origin, progress))
        return CheckResult(entries, len(names), len(projection.VIEW_TABLES), tuple(found))
    finally:
        db.execute("COMMIT")
