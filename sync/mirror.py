"""add-entries of C2SP tlog-mirror: verified before stored, stored before cosigned (镜像).

A package of up to 256 entries is believed because its proof leads to the root of a checkpoint that the log has signed and
that continues everything recorded before; who brings it does not matter. Packages of one request are stored in one
transaction, which also makes the cosignature when the upload is complete; it leaves after the commit. The only state is
the receiver's: checkpoints promised, and the next entry.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import apsw

from sync.checkpoint import Checkpoint
from sync.log import TableHashes, open_log
from sync.merkle import Frontier, leaf_hash, node_hash, verify_subtree
from sync.note import Signer
from sync.wire import INFO_TYPE, PACKAGE, EntriesHead, MirrorInfo, Package, encode_lines
from sync.witness import Answer, cosign, frozen_because, refuse


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


class Checked:
    """The entries of one upload, taken package by package, each verified on its own. Pure.

    What was taken is an exact part of the log from `start` on, whatever comes after.
    """

    def __init__(self, promise: Checkpoint, start: int, leading: Sequence[bytes]) -> None:
        """`leading` are the leaf hashes held from `start` rounded down to 256 up to `start`."""
        if len(leading) != start % PACKAGE:
            raise ValueError(f"{len(leading)} leading hashes for entry {start}")
        self.received = 0  # packages
        self.size_bytes = 0
        self._promise = promise
        self._start = start
        self._bodies: list[bytes] = []
        self._leaves: list[bytes] = []
        self._leading: Sequence[bytes] = leading

    def take(self, package: Package) -> None:
        """Verify a package and keep its entries. Raises Tampered (wrong-proof) and keeps nothing of it."""
        leaves = [leaf_hash(entry) for entry in package.entries]
        row = [*self._leading, *leaves]
        span = package.span
        verify_subtree(span.aligned, span.end, _root(row), self._promise.size, self._promise.root, package.proof)
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


def store_upload(db: apsw.Connection, verified: Verified, *, cosigner: Signer, now_ms: int) -> Answer:
    """Store what was verified and answer, inside the caller's transaction.

    Entries that another upload has stored in the meantime are skipped where they are the same.
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
        return conflict(held_of(db, promise.origin), promise.size)
    log.extend(verified.bodies[skip:], verified.leaves[skip:])
    log.flush()
    held = held_of(db, promise.origin)
    if log.size < promise.size:
        if not verified.bodies:
            return refuse(400, "no whole package")
        return Answer(202, bytes(held.info(promise.size)), INFO_TYPE)
    if promise.size < held.mirrored:
        return conflict(held, promise.size)
    row = db.execute("SELECT note FROM promises WHERE log_id = ? AND size = ?", (log.log_id, promise.size)).fetchone()
    if row is None:  # superseded by many newer ones since the request was judged
        return conflict(held, promise.size)
    log.store_checkpoint(row[0])
    db.execute("DELETE FROM promises WHERE log_id = ? AND size < ?", (log.log_id, promise.size))
    return Answer(200, encode_lines([cosign(db, log.log_id, promise, cosigner, now_ms)]))
