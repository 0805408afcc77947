"""The start-up gate: gathers what the tables, the fence and the peers say, and lets `fence.start_gate` decide (启动检查).

It runs on every start, not only after a restore: a flipped bit in a write-ahead log drops commits and no integrity check
notices.
"""

import apsw

from sync.checkpoint import Checkpoint, open_checkpoint
from sync.fence import Fence, Gate, Rollback, Seen, start_gate
from sync.log import LogFault, TableHashes, head, instance_id, read_bodies, size_of
from sync.merkle import EMPTY_ROOT, leaf_hash, tree_root
from sync.note import VerifierKey
from sync.tampered import Malformed, Tampered

# Entries whose bytes are hashed again before the node may append; older ones are the scrub's and `erhai check`'s work.
TAIL = 4_096


def check_start(
    db: apsw.Connection, fence: Fence, vkey: VerifierKey, seen: tuple[Seen, ...] = (), *, adopting: bool = False
) -> Gate:
    """Return whether this node may append to its own log. `seen` are checkpoints of it that peers have cosigned.

    The caller advances the fence on Behind, and stays read-only on Rollback. `adopting` asks what would hold if the fence
    were of this copy of the database: for a restored copy that is being reconciled.
    """
    origin = vkey.name
    try:
        held = head(db, origin)
    except LogFault as damage:
        size = size_of(db, origin)
        return Rollback("entry-changed", str(damage), Checkpoint(origin, size, EMPTY_ROOT), None)
    except apsw.CorruptError as damage:
        return Rollback("entry-changed", f"database file: {damage}", Checkpoint(origin, 0, EMPTY_ROOT), None)
    if held.frozen is not None:
        return Rollback("closed", held.frozen, Checkpoint(origin, held.size, held.root), None)
    local = Checkpoint(origin, held.size, held.root)
    hashes = TableHashes(db, origin)
    try:
        rebuilt = tree_root(hashes, held.size)
        changed = first_changed(db, origin, max(0, held.size - TAIL), held.size)
        if changed is None:
            changed = first_beyond(db, held.log_id, held.size)
    except LogFault as damage:
        return Rollback("entry-changed", str(damage), local, None)
    except apsw.CorruptError as damage:
        return Rollback("entry-changed", f"database file: {damage}", local, None)
    if rebuilt != local.root or changed is not None:
        return Rollback("entry-changed", f"entry {changed}" if changed is not None else "tree", local, None)
    return start_gate(
        instance=fence.state.instance if adopting else instance_id(db),
        fence=fence.state,
        local=local,
        signed=_own_checkpoint(held.checkpoint, vkey),
        root_at=lambda size: tree_root(hashes, size),
        seen=seen,
    )


def first_changed(db: apsw.Connection, origin: str, start: int, end: int) -> int | None:
    """Return the first entry of [start, end) whose bytes no longer have their stored leaf hash. Raises LogFault on a gap."""
    leaves = TableHashes(db, origin)
    for low in range(start, end, 256):
        high = min(low + 256, end)
        stored = leaves.hashes(0, low, high)
        for (seq, body), leaf in zip(read_bodies(db, origin, low, high), stored, strict=True):
            if leaf_hash(body) != leaf:
                return seq
    return None


def first_beyond(db: apsw.Connection, log_id: int, size: int) -> int | None:
    """Return the first row at or after the head: no commit of this program leaves one, and the next append would meet it."""
    row = db.execute("SELECT MIN(seq) FROM entries WHERE log_id = ? AND seq >= ?", (log_id, size)).fetchone()
    return None if row is None or row[0] is None else int(row[0])


def _own_checkpoint(note: bytes | None, vkey: VerifierKey) -> Checkpoint | None:
    if note is None:
        return None
    try:
        return open_checkpoint(note, [vkey]).checkpoint
    except (Tampered, Malformed):
        return None
