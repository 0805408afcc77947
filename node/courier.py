"""What goes onto a stick from this node, and what comes off one (摆渡): logs held here, own and others', and their files.

A stick for one node begins where that node's cosignature says it is; one for anybody begins at the start. What comes off is
verified and stored as if it had come over the line, step by step, so an import that is cut goes on where it was.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import apsw

from node.custody import node_of
from node.export import TableLog, checkpoint_note
from node.node import Node
from node.settings import Settings
from node.successions import log_keys
from node.views import blobs as blobs_view
from sync.blobs import BlobFault, BlobStore
from sync.checkpoint import cosignatures, open_checkpoint
from sync.courier import CourierFault, Stick, StickLink, StickWriter, open_stick
from sync.follow import pull_log
from sync.keys import NodeKeys, name_base
from sync.link import LinkFault
from sync.log import Cosigned, LogFault, add_cosignature, head, origins, size_of
from sync.merkle import tree_root
from sync.note import VerifierKey
from sync.receiver import MirroredLog, log_hash
from sync.tampered import Malformed, Tampered
from sync.tiles import WIDTH, encode_bundle, entries_path, tile_path, width_of

Progress = Callable[[str, int, int], None]
_ORIGIN_MOST, _NOTE_MOST = 1_024, 1_048_576


def _quiet(_what: str, _done: int, _all: int) -> None:
    return


@dataclass(frozen=True, slots=True)
class Exported:
    """What a stick holds: logs as (origin, first entry, size), files, bytes in all, and files that are not here."""

    logs: tuple[tuple[str, int, int], ...]
    blobs: int
    size_bytes: int
    missing_blobs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class LogArrived:
    """What became of one log of a stick: entries held before and after, and in words why not more. `refused` tells that
    something on the stick does not verify.
    """

    origin: str
    before: int
    after: int
    words: str = ""
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Imported:
    """What came off a stick."""

    writer: str
    at_ms: int
    logs: tuple[LogArrived, ...]
    blobs: int
    blob_words: tuple[str, ...]

    @property
    def refused(self) -> bool:
        """Whether anything on the stick did not verify."""
        return any(one.refused for one in self.logs) or any("changed" in words for words in self.blob_words)

    def facts(self) -> dict[str, Any]:
        """Return it for JSON."""
        return {**asdict(self), "refused": self.refused}


def export_stick(
    db: apsw.Connection,
    settings: Settings,
    keys: NodeKeys,
    blobs: BlobStore,
    folder: Path,
    *,
    at_ms: int,
    for_node: str = "",
    progress: Progress = _quiet,
) -> Exported:
    """Write a stick from one snapshot of the database. Raises CourierFault, LogFault."""
    writer = StickWriter(folder)
    logs = []
    for origin in origins(db):
        held = head(db, origin)
        if held.checkpoint is None:
            continue
        size = held.checkpoint_size
        since = (
            size if for_node and node_of(settings, origin) == for_node else _known_there(db, settings, origin, for_node)
        )
        base = f"logs/{log_hash(origin)}"
        writer.add(f"{base}/origin", origin.encode())
        writer.add(f"{base}/checkpoint", checkpoint_note(db, origin))
        for name, data in _tiles(db, origin, min(since, size), size):
            writer.add(f"{base}/{name}", data)
            progress(origin, 0, size)
        logs.append((origin, min(since, size) // WIDTH * WIDTH, size))
    count, missing = 0, []
    for sha256, _size in blobs_view.lacking(db, for_node, 1_000_000):
        if blobs.has(sha256):
            writer.add_file(f"blobs/{sha256.hex()}", blobs.path(sha256), sha256)
            count += 1
            progress("blobs", count, 0)
        else:
            missing.append(sha256.hex())
    total = writer.finish(settings.origin, at_ms, keys.log_signer)
    return Exported(tuple(logs), count, total, tuple(missing))


def _known_there(db: apsw.Connection, settings: Settings, origin: str, for_node: str) -> int:
    peer = settings.peer(for_node) if for_node else None
    if peer is None:
        return 0
    cosigner = f"{name_base(peer.origin)}/m"
    return max((one.size for one in head(db, origin).cosignatures if one.cosigner == cosigner), default=0)


def _tiles(db: apsw.Connection, origin: str, since: int, size: int) -> Iterator[tuple[str, bytes]]:
    """Yield every tile and bundle that a reader of entries [since, size) asks for, in C2SP tlog-tiles' names."""
    log = TableLog(db, origin)
    if since >= size:
        return
    first = since // WIDTH
    level = 0
    while size >> (8 * level):
        n = first if level == 0 else (first >> (8 * (level - 1))) // WIDTH
        while (width := width_of(level, n, size)) > 0:
            hashes = b"".join(log.hashes(level, n * WIDTH, n * WIDTH + width))
            yield tile_path(level, n, width), hashes
            n += 1
        level += 1
    n = first
    while (width := width_of(None, n, size)) > 0:
        yield entries_path(n, width), encode_bundle(list(log.entries(n * WIDTH, n * WIDTH + width)))
        n += 1


async def import_stick(node: Node, folder: Path, progress: Progress = _quiet) -> Imported:
    """Take in what a stick brings. Raises CourierFault, Tampered (a forged list); what is wrong with one log stops that log."""
    keys = log_keys(node.settings, node.keys.public().log_vkey, node.statements)
    stick = await asyncio.to_thread(open_stick, folder, keys)
    arrived = [await _log(node, stick, name, keys, progress) for name in stick.logs]
    count, words = await _blobs(node, stick, progress)
    return Imported(stick.writer, stick.at_ms, tuple(arrived), count, words)


async def _log(node: Node, stick: Stick, name: str, keys: dict[str, VerifierKey], progress: Progress) -> LogArrived:
    try:
        origin = (stick.read(f"logs/{name}/origin", _ORIGIN_MOST) or b"").decode("utf-8", "replace")
    except CourierFault as fault:
        return LogArrived(name, 0, 0, str(fault), refused=True)
    if log_hash(origin) != name:
        return LogArrived(name, 0, 0, f"says it is {origin[:100]!r}", refused=True)
    if origin not in keys:
        return LogArrived(origin, 0, 0, "a log that this node does not know; passed over")
    before = await node.read(lambda db: _size(db, origin))
    if node_of(node.settings, origin) == node.settings.node:
        try:
            kept = await _own(node, stick, name, origin, keys[origin])
        except (CourierFault, Malformed, Tampered) as bad:
            return LogArrived(origin, before, before, str(bad), refused=True)
        return LogArrived(origin, before, before, f"the own log; {kept} cosignatures of others kept")
    refused, words = False, ""
    pull = pull_log(
        StickLink(stick),  # type: ignore[arg-type]  # all that Pull asks of a link is `get`
        node.store,
        log=MirroredLog(keys[origin], node_of(node.settings, origin)),
        cosigner=node.keys.cosigner,
        now_ms=lambda: node.clock.now().at_ms,
        stored=lambda _origin: progress(origin, 0, 0),
    )
    try:
        await pull.once()
    except LinkFault as fault:
        missing = "is not there" in fault.detail
        words = (
            f"begins after what is held here; make a stick without --for ({fault.detail})" if missing else str(fault)
        )
        refused = not missing and fault.why != "busy"
    except (Tampered, Malformed, LogFault) as bad:
        refused, words = True, str(bad)
    while await node.store.write(lambda db: node.recorder.follow(db, origin)):
        continue
    after = await node.read(lambda db: _size(db, origin))
    return LogArrived(origin, before, after, words or ("" if after > before else "nothing new"), refused=refused)


def _size(db: apsw.Connection, origin: str) -> int:
    try:
        return size_of(db, origin)
    except LogFault:
        return 0


async def _own(node: Node, stick: Stick, name: str, origin: str, key: VerifierKey) -> int:
    """Keep what others have cosigned of our own log: how far it has come, brought back by hand."""
    note = stick.read(f"logs/{name}/checkpoint", _NOTE_MOST) or b""
    opened = open_checkpoint(note, [key])
    known = [VerifierKey.parse(peer.cosigner_vkey) for peer in node.settings.peers]
    found = cosignatures(opened.note, known)
    size, root = opened.checkpoint.size, opened.checkpoint.root

    def keep(db: apsw.Connection) -> int:
        if size > size_of(db, origin) or tree_root(TableLog(db, origin), size) != root:
            return 0
        for one in found:
            add_cosignature(db, origin, Cosigned(one.key.name, size, str(one.signature), node.clock.now().at_ms))
        return len(found)

    kept: int = await node.store.write(keep)
    await node.witness.look(origin)
    return kept


async def _blobs(node: Node, stick: Stick, progress: Progress) -> tuple[int, tuple[str, ...]]:
    """Keep the files that entries held here name."""
    count, words = 0, []
    for number, name in enumerate(stick.blobs, start=1):
        sha256 = bytes.fromhex(name)
        size = await node.read(lambda db, sha256=sha256: blobs_view.wanted_size(db, sha256))  # type: ignore[misc]
        if size is None:
            words.append(f"{name[:16]}: no entry held here names it; passed over")
        elif not node.blobs.has(sha256):
            try:
                await asyncio.to_thread(_take, node.blobs, stick.folder / "blobs" / name, sha256, size)
                count += 1
            except (BlobFault, OSError) as fault:
                words.append(f"{name[:16]}: changed or unreadable: {fault}")
        progress("blobs", number, len(stick.blobs))
    return count, tuple(words)


def _take(blobs: BlobStore, source: Path, sha256: bytes, size: int) -> None:
    with source.open("rb") as file, blobs.incoming(size) as part:
        while piece := file.read(1024 * 1024):
            part.write(piece)
        part.keep(sha256)
