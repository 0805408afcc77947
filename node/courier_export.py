"""What goes onto a stick from this node (摆渡发件): logs held here, own and others', and their files.

A stick for one node begins where that node's cosignature says it is; one for anybody begins at the start.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import apsw

from node.courier_epochs import own_successions
from node.custody import node_of
from node.export import TableLog, checkpoint_note
from node.settings import Settings
from node.views import blobs as blobs_view
from sync.blobs import BlobFault, BlobStore
from sync.checkpoint import read
from sync.courier import SUCCESSIONS, Listed, LogPart
from sync.keys import NodeKeys, name_base
from sync.log import LogFault, head, origins
from sync.receiver import log_hash
from sync.stick import StickWriter
from sync.tiles import WIDTH, encode_bundle, entries_path, tile_path, width_of

Progress = Callable[[str, int, int], None]  # what (an origin, or "blobs"), how many done, of how many


def quiet(_what: str, _done: int, _all: int) -> None:
    """Show nothing."""


@dataclass(frozen=True, slots=True)
class Exported:
    """What a stick holds: logs as (origin, first entry, size), files, bytes in all. And what it lacks, being damaged or not
    here: what is wrong with each such log, files by digest.
    """

    logs: tuple[tuple[str, int, int], ...]
    blobs: int
    size_bytes: int
    missing_logs: tuple[LogFault, ...]
    missing_blobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Due:
    """One log as it was when an export began."""

    origin: str
    first: int
    size: int
    note: bytes


def export_stick(
    db: apsw.Connection,
    settings: Settings,
    keys: NodeKeys,
    blobs: BlobStore,
    folder: Path,
    *,
    at_ms: int,
    for_node: str = "",
    progress: Progress = quiet,
) -> Exported:
    """Write a stick with the database as it is now. Raises CourierFault, LogFault.

    Logs only grow, so nothing but the start needs one snapshot: a slow stick keeps no read transaction open.
    """
    writer = StickWriter(folder, settings.origin)
    with db:
        due, missing_logs = _all_due(db, settings, for_node)
        wanted = blobs_view.lacking(db, for_node, 1_000_000)
        epochs = own_successions(db, settings, keys)
    if epochs:
        writer.add(SUCCESSIONS, epochs)
    logs = []
    for one in due:
        name = log_hash(one.origin)
        try:
            writer.add(f"logs/{name}/origin", one.origin.encode())
            writer.add(f"logs/{name}/checkpoint", one.note)
            for path, data, done in _tiles(db, one):
                writer.add(f"logs/{name}/{path}", data)
                progress(one.origin, done, one.size)
        except LogFault as damage:
            writer.leave_out(name)
            missing_logs.append(damage)
            continue
        writer.add_log(LogPart(name, one.first, one.size))
        logs.append((one.origin, one.first, one.size))
    count, missing = 0, []
    for number, (sha256, size) in enumerate(wanted, start=1):
        try:
            with blobs.open(sha256) as file:
                writer.add_file(f"blobs/{sha256.hex()}", file, Listed(sha256, size))
            count += 1
        except BlobFault:
            missing.append(sha256.hex())
        progress("blobs", number, len(wanted))
    total = writer.finish(at_ms, keys.log_signer)
    return Exported(tuple(logs), count, total, tuple(missing_logs), tuple(missing))


def _all_due(db: apsw.Connection, settings: Settings, for_node: str) -> tuple[list[_Due], list[LogFault]]:
    """Return every log that has a checkpoint, and those whose head or hashes are not what was signed."""
    due, damaged = [], []
    for origin in origins(db):
        try:
            one = _due(db, settings, origin, for_node)
            if one is not None:
                TableLog(db, origin).covered(read(one.note)[0])
                due.append(one)
        except LogFault as damage:
            damaged.append(damage)
    return due, damaged


def _due(db: apsw.Connection, settings: Settings, origin: str, for_node: str) -> _Due | None:
    held = head(db, origin)
    if held.checkpoint is None:
        return None
    size = held.checkpoint_size
    whose = node_of(settings, origin)
    since = size if for_node and whose == for_node else _known_there(db, settings, origin, for_node)
    return _Due(origin, size if since >= size else since // WIDTH * WIDTH, size, checkpoint_note(db, origin))


def _known_there(db: apsw.Connection, settings: Settings, origin: str, for_node: str) -> int:
    peer = settings.peer(for_node) if for_node else None
    if peer is None:
        return 0
    cosigner = f"{name_base(peer.origin)}/m"
    return max((one.size for one in head(db, origin).cosignatures if one.cosigner == cosigner), default=0)


def _tiles(db: apsw.Connection, due: _Due) -> Iterator[tuple[str, bytes, int]]:
    """Yield every tile and bundle that a reader of entries [first, size) asks for, in C2SP tlog-tiles' names, and how many
    entries were read.
    """
    log, size = TableLog(db, due.origin), due.size
    if due.first >= size:
        return
    first = due.first // WIDTH
    level = 0
    while size >> (8 * level):
        n = first if level == 0 else (first >> (8 * (level - 1))) // WIDTH
        while (width := width_of(level, n, size)) > 0:
            hashes = b"".join(log.hashes(level, n * WIDTH, n * WIDTH + width))
            yield tile_path(level, n, width), hashes, due.first
            n += 1
        level += 1
    n = first
    while (width := width_of(None, n, size)) > 0:
        done = n * WIDTH + width
        yield entries_path(n, width), encode_bundle(list(log.entries(n * WIDTH, done))), done
        n += 1
