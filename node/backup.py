"""Backups that are tried, and restores that cannot fork (备份演练与恢复).

A drill restores the newest copy into a scratch folder, derives everything again, compares it with the running log and says
what would be lost; nothing of the node is touched. A copy that lacks what the fence says was released is looked at twice, as
a copy may be a moment late, and is then not good. A restore is a command, never a file copy: the copy gets another
instance id, so the node appends nothing before it was compared with the fence and the peers, and healed.
"""

import asyncio
import os
import shutil
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import apsw

from node.check import CheckResult, check, check_log
from node.epoch_files import finish_epoch
from node.litestream import Restored, end_orphan, restore
from node.places import DATABASE, FENCE, KEYS
from node.settings import Replica, Settings
from node.start import make_tables, open_asking
from node.store import connect
from node.successions import current, known_successions, log_keys, own_public
from node.verdict import GateReport
from sync.checkpoint import Checkpoint
from sync.codec import decode
from sync.fence import UNPROVEN, Fence, FenceFault, read_fence
from sync.keys import load_identity, load_public
from sync.log import TableHashes, head, instance_id, open_log, read_entry
from sync.merkle import tree_root

PEERS = "peers"  # as a source: no copy at all, everything from the mirrors
SET_ASIDE = "set-aside"
LATE_S = 5.0  # how late a copy may be beside a running node


@dataclass(eq=False)
class BackupFault(Exception):
    """A backup cannot be used. `what` it is, `why` not."""

    what: str
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.what}: {self.why}"


@dataclass(frozen=True, slots=True)
class Drill:
    """What a drill found. `lost` entries that the running log holds or the fence knows (`released_size`, when the drill
    began) are not in the copy; `prefix` tells that the rest is the same.
    """

    source: str
    txid: str
    restored_size: int
    live_size: int
    released_size: int
    lost: int
    prefix: bool
    last_at_ms: int  # of the newest entry in the copy, 0 for none
    seconds: float
    checked: CheckResult

    @property
    def good(self) -> bool:
        """Return whether the copy is whole, a part of the log and holds all that was released."""
        return self.prefix and not self.behind and not self.checked.differences

    @property
    def behind(self) -> bool:
        """Return whether the copy lacks entries that were released before the drill began."""
        return self.restored_size < self.released_size


@dataclass(frozen=True, slots=True)
class RestoreDone:
    """What a restore did, and how the node stands after it: `gate.cause` is empty where it may append."""

    source: str
    txid: str
    restored_size: int
    size: int
    gate: GateReport
    set_aside: Path | None


def replica_of(settings: Settings, name: str) -> Replica | str:
    """Return the configured replica of this name, else the name as a replica's URL. Raises BackupFault for neither."""
    for replica in settings.replicas:
        if replica.name == name:
            return replica
    if "://" not in name:
        raise BackupFault(name, "no [[replica]] of this name, and no URL")
    return name


async def drill(settings: Settings, name: str = "") -> Drill:
    """Try a restore beside the running node. `name` is a replica, the first one by default.

    Raises BackupFault, FenceFault (lost), LitestreamFault, StoreFault.
    """
    if not name and not settings.replicas:
        raise BackupFault("drill", "no [[replica]] is configured")
    source = replica_of(settings, name) if name else settings.replicas[0]
    released = read_fence(settings.data / FENCE).released
    found = await _try(settings, source, released)
    if found.behind and found.prefix:
        await asyncio.sleep(LATE_S)
        found = await _try(settings, source, released)
    return found


async def _try(settings: Settings, source: Replica | str, released: Checkpoint) -> Drill:
    began = time.monotonic()
    scratch = Path(tempfile.mkdtemp(prefix="erhai-drill-", dir=settings.data))
    try:
        restored = await restore(settings.data, source, scratch / DATABASE)
        return _compare(settings, scratch / DATABASE, restored, released, began)
    finally:
        shutil.rmtree(scratch)


def _compare(settings: Settings, path: Path, restored: Restored, released: Checkpoint, began: float) -> Drill:
    public = load_public(settings.data / KEYS / "public.json")
    now = current(settings)
    copy, live = connect(path), connect(settings.data / DATABASE, readonly=True)
    try:
        make_tables(copy)
        keys = log_keys(now, public.log_vkey, known_successions(live))
        checked = check(copy, now.origin, keys)
        open_log(copy, now.origin)
        mine, held = head(copy, now.origin), head(live, now.origin)
        ours, theirs = TableHashes(live, now.origin), TableHashes(copy, now.origin)
        if mine.size <= held.size:
            prefix = tree_root(ours, mine.size) == mine.root
        else:  # the database has lost entries since: the fence tells whether the copy's are the ones
            known = released.size <= mine.size and tree_root(theirs, released.size) == released.root
            prefix = known and released.size > held.size and tree_root(theirs, held.size) == held.root
        last = decode(read_entry(copy, now.origin, mine.size - 1)).at_ms if mine.size else 0
    finally:
        copy.close()
        live.close()
    return Drill(
        source=restored.source,
        txid=restored.txid,
        restored_size=mine.size,
        live_size=held.size,
        released_size=released.size,
        lost=max(held.size - mine.size, released.size - mine.size, 0),
        prefix=prefix,
        last_at_ms=last,
        seconds=time.monotonic() - began,
        checked=checked,
    )


async def restore_node(settings: Settings, name: str) -> RestoreDone:
    """Put the newest copy in the database's place, and reconcile it with the peers; the node must not be running.

    `name` is a replica, a replica's URL, or `peers`. What was there is set aside, never deleted. Raises BackupFault,
    LitestreamFault, FenceFault (in-use), KeyFault, SettingsFault, StoreFault.
    """
    data = settings.data
    finish_epoch(data)
    own_public(settings)
    keys = load_identity(data / KEYS)
    fence = _fence(data)
    try:
        if fence is not None:  # it is ours: no other process of this node runs
            for replica in settings.replicas:
                await asyncio.to_thread(end_orphan, data, replica)
        staging = data / f"{DATABASE}.restoring"
        _remove_database(staging)
        if name == PEERS:
            restored = Restored(PEERS, "")
        else:
            restored = await restore(data, replica_of(settings, name), staging)
        size = _prepare(staging, keys.origin, restored)
        aside = _exchange(data, staging)
        if fence is None:
            _lost_fence(data, keys.origin)
    finally:
        if fence is not None:
            fence.close()
    node = await open_asking(settings)
    try:
        return RestoreDone(restored.source, restored.txid, size, node.recorder.size, node.gate, aside)
    finally:
        await node.close()


def _fence(data: Path) -> Fence | None:
    """Return the locked fence; None where it is lost. Raises FenceFault while the node runs."""
    try:
        return Fence.open(data / FENCE)
    except FenceFault as fault:
        if fault.why in {"missing", "damaged"}:
            return None
        raise


def _lost_fence(data: Path, origin: str) -> None:
    """Make a fence that proves nothing: every peer must have answered before this node appends."""
    path = data / FENCE
    path.parent.mkdir(exist_ok=True, mode=0o700)
    if path.exists():
        path.replace(path.with_name(f"{path.name}.damaged-{time.time_ns()}"))
    Fence.create(path, instance=UNPROVEN, origin=origin).close()


def _prepare(path: Path, origin: str, restored: Restored) -> int:
    """Check the copy and give it an instance id of its own; return how many entries of the own log it holds."""
    db = connect(path)
    try:
        (word,) = next(iter(db.execute("PRAGMA integrity_check(1)")))
        if word != "ok":
            raise BackupFault(restored.source, f"the copy is damaged: {word}")
        db.execute("BEGIN IMMEDIATE")
        make_tables(db)
        open_log(db, origin)
        size = head(db, origin).size
        broken = [one for one in check_log(db, origin, None) if "no verifier key" not in one.why]
        if broken:
            raise BackupFault(restored.source, f"{broken[0].where} {broken[0].why}")
        db.execute("UPDATE log_instance SET id = randomblob(16)")
        db.execute(
            "INSERT INTO restores VALUES (?, ?, ?, ?, ?)",
            (instance_id(db), restored.source, restored.txid, time.time_ns() // 1_000_000, size),
        )
        db.execute("COMMIT")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except apsw.Error as error:
        raise BackupFault(restored.source, str(error)) from error
    finally:
        db.close()
    return size


def _exchange(data: Path, staging: Path) -> Path | None:
    """Move the database in use aside, with its side files and Litestream's memory of it, and the copy into its place."""
    aside: Path | None = None
    there = [data / f"{DATABASE}{suffix}" for suffix in ("", "-wal", "-shm")]
    there.append(data / f".{DATABASE}-litestream")
    if any(path.exists() for path in there):
        aside = data / SET_ASIDE / time.strftime("%Y%m%d-%H%M%S", time.gmtime())
        while aside.exists():
            aside = aside.with_name(f"{aside.name}+")
        aside.mkdir(parents=True, mode=0o700)
        for path in there:
            if path.exists():
                path.rename(aside / path.name)
    staging.rename(data / DATABASE)
    _remove_database(staging)
    descriptor = os.open(data, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    return aside


def _remove_database(path: Path) -> None:
    for suffix in ("", "-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
