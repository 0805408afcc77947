"""add-entries of C2SP tlog-mirror: verified before stored, stored before cosigned (镜像).

A package of up to 256 entries is believed because its proof leads to the root of a checkpoint that the log has signed and
that continues everything recorded before; who brings it does not matter. Packages of one request are stored in one
transaction, which also makes the cosignature when the upload is complete; it leaves after the commit. The only state is
the receiver's: checkpoints promised, and the next entry. A relay may bring a promise that an older one does not prove (the
log's own node is dead); so every upload is also held against the entries that are here already.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import apsw

from sync.checkpoint import Checkpoint
from sync.log import TableHashes, head, open_log
from sync.merkle import Frontier, frontier_of, leaf_hash, left_of, node_hash, tree_root, verify_subtree
from sync.note import Signer
from sync.tampered import Problem
from sync.wire import INFO_TYPE, PACKAGE, EntriesHead, MirrorInfo, Package, encode_lines
from sync.witness import Answer, Misbehaviour, cosign, frozen_because, keep_evidence, refuse


@dataclass(frozen=True, slots=True)
class Held:
    """What a mirror holds of one log: promised checkpoints by size, entries [0, next_entry), the size it has cosigned."""

    origin: str
    promises: Mapping[int, Checkpoint]
    next_entry: int
    mirrored: int
    frozen: str | None

    def info(self, end: int) -> MirrorInfo:
        """Return what a client is told: its own `end` where that is still good, else the newest promise."""
        good = end in self.promises and end >= self.mirrored
        return MirrorInfo(end if good else max(self.promises), self.next_entry)


def judge_upload(upload: EntriesHead, held: Held) -> Answer | Checkpoint:
    """Return the checkpoint against which an upload is to be verified, or the answer that ends it. Pure.

    An upload that starts a package or more below the next entry is told where to go on, not read again.
    """
    if held.frozen is not None:
        return refuse(403, f"frozen: {held.frozen}")
    if not held.promises:
        return refuse(422, "no checkpoint of this log is known")
    promise = held.promises.get(upload.end)
    if promise is None or upload.end < held.mirrored:
        return conflict(held, upload.end)
    if not 0 <= held.next_entry - upload.start <= PACKAGE:
        return conflict(held, upload.end)
    return promise


def conflict(held: Held, end: int) -> Answer:
    """Return the 409 that tells the client where to go on."""
    return Answer(409, bytes(held.info(end)), INFO_TYPE)


@dataclass(frozen=True, slots=True)
class Verified:
    """The entries [start, start + len(bodies)) of a log with their leaf hashes, verified against a promised checkpoint."""

    promise: Checkpoint
    start: int
    bodies: Sequence[bytes]
    leaves: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Before:
    """What is held of a log below one entry: leaf hashes from that entry rounded down to 256 on, and the tree up to there."""

    leading: Sequence[bytes] = ()
    tree: Frontier = field(default_factory=Frontier)


@dataclass(eq=False)
class AnotherBranch(Exception):
    """Entries that belong to the promise, in a tree that does not continue the entries held here: its log has forked."""

    promise: Checkpoint


class Checked:
    """The entries of one upload, taken package by package, each verified on its own. Pure.

    What was taken is an exact part of the log from `start` on, whatever comes after; and all that is held before it is too,
    because the proof of the first package passes by every part of the tree that lies before.
    """

    def __init__(self, promise: Checkpoint, start: int, before: Before) -> None:
        """`before` is what is held below `start`."""
        if len(before.leading) != start % PACKAGE or before.tree.size != start - start % PACKAGE:
            raise ValueError(f"{len(before.leading)} leaves and a tree of {before.tree.size} before entry {start}")
        self.received = 0  # packages
        self.size_bytes = 0
        self._promise = promise
        self._start = start
        self._bodies: list[bytes] = []
        self._leaves: list[bytes] = []
        self._leading: Sequence[bytes] = before.leading
        self._tree = before.tree

    def take(self, package: Package) -> None:
        """Verify a package and keep its entries. Raises Tampered (wrong-proof) or AnotherBranch and keeps nothing of it."""
        leaves = [leaf_hash(entry) for entry in package.entries]
        row = [*self._leading, *leaves]
        span = package.span
        promise = self._promise
        verify_subtree(span.aligned, span.end, _root(row), promise.size, promise.root, package.proof)
        if not self.received and left_of(span.aligned, promise.size, package.proof) != self._tree.hashes:
            raise AnotherBranch(promise)
        self._leading = ()
        self._bodies += package.entries
        self._leaves += leaves
        self.received += 1
        self.size_bytes += sum(map(len, package.entries))

    def verified(self) -> Verified:
        """Return everything taken so far."""
        return Verified(self._promise, self._start, self._bodies, self._leaves)


def _root(row: list[bytes]) -> bytes:
    if len(row) != PACKAGE:
        return Frontier().extend(row).root()
    while len(row) > 1:
        row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
    return row[0]


# -- the tables -----------------------------------------------------------------------------------------------------


def held_of(db: apsw.Connection, origin: str) -> Held:
    """Return what is held of a log; nothing where it is unknown."""
    row = db.execute("SELECT log_id, size, checkpoint_size, frozen FROM logs WHERE origin = ?", (origin,)).fetchone()
    if row is None:
        return Held(origin, {}, 0, 0, None)
    rows = db.execute("SELECT size, root FROM promises WHERE log_id = ?", (row[0],))
    return Held(origin, {size: Checkpoint(origin, size, root) for size, root in rows}, row[1], row[2], row[3])


def leading_of(db: apsw.Connection, origin: str, start: int) -> Sequence[bytes]:
    """Return the stored leaf hashes of the package of `start` that lie before it. Raises LogFault where some are missing."""
    aligned = start - start % PACKAGE
    return TableHashes(db, origin).hashes(0, aligned, start) if aligned < start else ()


def before(db: apsw.Connection, origin: str, start: int) -> Before:
    """Return what is held below `start`. Raises LogFault where some of it is missing."""
    return Before(leading_of(db, origin, start), frontier_of(TableHashes(db, origin), start - start % PACKAGE))


def freeze_forked(db: apsw.Connection, promise: Checkpoint, *, shown_by: str, now_ms: int) -> Answer:
    """Accept nothing more of a log whose entries here and a promise exclude each other, and keep what its key has signed of
    both: the checkpoints that cover the entries here, beside the promise. Inside the caller's transaction.
    """
    log = open_log(db, promise.origin)
    reader = TableHashes(db, promise.origin)
    query = "SELECT size, root, note FROM promises WHERE log_id = ? ORDER BY size DESC"
    signed = [(Checkpoint(promise.origin, row[0], row[1]), bytes(row[2])) for row in db.execute(query, (log.log_id,))]
    shown = next((note for one, note in signed if one == promise), b"")
    stored = head(db, promise.origin)
    notes = [] if stored.checkpoint is None else [stored.checkpoint]
    notes += [note for one, note in signed if one.size <= log.size and tree_root(reader, one.size) == one.root]
    if stored.checkpoint_size < log.size:  # a part of a checkpoint that is still to be filled is here: it may be any
        notes += [note for one, note in signed if one.size > log.size]
    for held in dict.fromkeys(note for note in notes if note != shown):
        found = Misbehaviour(promise.origin, Problem.TWO_BRANCHES, held, shown, b"", shown_by, now_ms)
        keep_evidence(db, found, freeze=True)
    return refuse(403, f"frozen: {Problem.TWO_BRANCHES}")


def store_upload(
    db: apsw.Connection, verified: Verified, *, cosigner: Signer, shown_by: str = "", now_ms: int
) -> Answer:
    """Store what was verified and answer, inside the caller's transaction.

    Entries that another upload has stored in the meantime are skipped where they are the same. Where they are not, or a
    tree stored beyond the promise does not contain it, the log has two branches: both were signed.
    """
    promise = verified.promise
    log = open_log(db, promise.origin)
    if (frozen := frozen_because(db, log.log_id)) is not None:
        return refuse(403, f"frozen: {frozen}")
    if log.size < verified.start:  # the tables went back since the request was judged
        return conflict(held_of(db, promise.origin), promise.size)
    skip = log.size - verified.start
    both = verified.leaves[:skip]
    if both and list(both) != list(
        TableHashes(db, promise.origin).hashes(0, verified.start, verified.start + len(both))
    ):
        return freeze_forked(db, promise, shown_by=shown_by, now_ms=now_ms)
    log.extend(verified.bodies[skip:], verified.leaves[skip:])
    log.flush()
    held = held_of(db, promise.origin)
    if log.size < promise.size:
        if not verified.bodies:
            return refuse(400, "no whole package")
        return Answer(202, bytes(held.info(promise.size)), INFO_TYPE)
    if promise.size < held.mirrored:
        return conflict(held, promise.size)
    if promise.size < _cosigned(db, log.log_id, cosigner):
        return Answer(409, bytes(MirrorInfo(max(held.promises), held.next_entry)), INFO_TYPE)
    row = db.execute("SELECT note FROM promises WHERE log_id = ? AND size = ?", (log.log_id, promise.size)).fetchone()
    if row is None:  # superseded by many newer ones since the request was judged
        return conflict(held, promise.size)
    added = len(verified.bodies) > skip  # then a wrong root is a fault of this machine, and `store_checkpoint` says so
    if not added and tree_root(TableHashes(db, promise.origin), promise.size) != promise.root:
        return freeze_forked(db, promise, shown_by=shown_by, now_ms=now_ms)
    log.store_checkpoint(row[0])
    db.execute("DELETE FROM promises WHERE log_id = ? AND size < ?", (log.log_id, promise.size))
    return Answer(200, encode_lines([cosign(db, log.log_id, promise, cosigner, now_ms)]))


def _cosigned(db: apsw.Connection, log_id: int, cosigner: Signer) -> int:
    """Return the size that was last cosigned here: of a mirror that was put back, possibly more than it holds."""
    query = "SELECT MAX(size) FROM cosignatures WHERE log_id = ? AND cosigner = ?"
    row = db.execute(query, (log_id, cosigner.name)).fetchone()
    return 0 if row is None or row[0] is None else int(row[0])
