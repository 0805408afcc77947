"""What comes off a stick (摆渡收件): logs of others, what others say of the own one, and files that entries name.

It is verified and stored as if it had come over the line, step by step, so an import that is cut goes on where it was.
"""

import asyncio
import shutil
from dataclasses import asdict, dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Any

import apsw

from node.courier_epochs import MAX_SUCCESSIONS, EpochArrived, offered, take
from node.courier_export import Progress, quiet
from node.custody import node_of
from node.node import Node
from node.recover import Recovery, stop_on_proof
from node.successions import log_keys
from node.views import blobs as blobs_view
from sync.blobs import BlobFault
from sync.checkpoint import cosignatures, open_checkpoint
from sync.courier import SUCCESSIONS, LogPart
from sync.follow import pull_log
from sync.keys import name_base
from sync.link import LinkFault
from sync.log import Cosigned, LogFault, add_cosignature, size_of
from sync.note import VerifierKey
from sync.overtaken import contains
from sync.reader import LogReader
from sync.receiver import MirroredLog, log_hash
from sync.stick import Stick, StickLink, open_stick, read_unlisted
from sync.stick_folder import CourierFault
from sync.succession import epoch_of
from sync.tampered import Malformed, Tampered

_ORIGIN_MOST, _NOTE_MOST = 1_024, 1_048_576
_PIECE = 1024 * 1024
_TRIES = 3  # of a log that the line is bringing at the same moment


class Outcome(StrEnum):
    """What became of one log of a stick."""

    TAKEN = "taken"
    NOTHING_NEW = "nothing-new"
    UNKNOWN = "unknown"  # no log that this node mirrors
    GAP = "gap"  # begins after what is held here
    OWN = "own"
    LATER = "later"  # something here was in the way: do it again
    REFUSED = "refused"  # does not verify
    HEALED = "healed"  # our own log is whole again by what the stick holds of it
    OVERTAKEN = "overtaken"  # our own key has signed what is not in our log


@dataclass(frozen=True, slots=True)
class LogArrived:
    """One log of a stick: entries held before and after, what became of it, and the facts in words."""

    origin: str
    before: int
    after: int
    outcome: Outcome
    words: str = ""

    @property
    def refused(self) -> bool:
        """Whether something on the stick does not verify."""
        return self.outcome is Outcome.REFUSED


@dataclass(frozen=True, slots=True)
class Imported:
    """What came off a stick. Files are passed over where no entry here names them, refused where they are not their hash,
    and left for another time where they cannot be kept now. `damaged` says which listed files are not what is listed, read
    or not: a stick is whole or it is said that it is not.
    """

    writer: str
    at_ms: int
    logs: tuple[LogArrived, ...]
    blobs: int
    blobs_passed: tuple[str, ...]
    blobs_refused: tuple[str, ...]
    blobs_later: tuple[str, ...]
    epochs: tuple[EpochArrived, ...] = ()
    damaged: tuple[str, ...] = ()

    @property
    def refused(self) -> bool:
        """Whether anything on the stick did not verify."""
        return (
            any(one.refused for one in self.logs)
            or any(one.refused for one in self.epochs)
            or bool(self.blobs_refused)
            or bool(self.damaged)
        )

    @property
    def blobs_passed_why(self) -> str:
        """Why files were passed over: `log-refused` or `log-not-whole` where entries of this stick that may name them were not
        taken; else `unnamed`.
        """
        if any(one.refused for one in self.logs):
            return "log-refused"
        short = {Outcome.GAP, Outcome.LATER}
        return "log-not-whole" if any(one.outcome in short for one in self.logs) else "unnamed"

    @property
    def overtaken(self) -> bool:
        """Whether the stick proves that our own key has signed what is not in our log."""
        return any(one.outcome is Outcome.OVERTAKEN for one in self.logs)

    @property
    def whole(self) -> bool:
        """Whether nothing is left for another time."""
        return not self.blobs_later and all(one.outcome is not Outcome.LATER for one in self.logs)

    def facts(self) -> dict[str, Any]:
        """Return it for JSON."""
        why = self.blobs_passed_why if self.blobs_passed else ""
        return {
            **asdict(self),
            "blobs_passed_why": why,
            "refused": self.refused,
            "overtaken": self.overtaken,
            "whole": self.whole,
        }


async def import_stick(node: Node, folder: Path, progress: Progress = quiet) -> Imported:
    """Take in what a stick brings. Raises CourierFault, Tampered (a forged list); what is wrong with one log stops that log."""
    said = await asyncio.to_thread(read_unlisted, folder, SUCCESSIONS, MAX_SUCCESSIONS)
    offer = offered(node, said, _keys(node))
    try:
        stick = await asyncio.to_thread(open_stick, folder, offer.keys(_keys(node)))
    except CourierFault as fault:
        if fault.why == "unknown-writer" and offer.refused:
            raise CourierFault(fault.why, fault.what, f"{fault.detail}: {offer.words}") from fault
        raise
    if said is not None and await asyncio.to_thread(stick.read, SUCCESSIONS, MAX_SUCCESSIONS) != said:
        raise CourierFault("changed", SUCCESSIONS, "is not what is listed")
    epochs = await take(node, stick.writer, offer)
    keys = _keys(node)
    parts = await asyncio.to_thread(_in_order, stick)
    arrived = [await _log(node, stick, part, keys, progress) for part in parts]
    done = await _blobs(node, stick, tuple(arrived), progress)
    damaged = await asyncio.to_thread(_damaged, stick, progress)
    return replace(done, epochs=epochs, damaged=damaged)


def _damaged(stick: Stick, progress: Progress) -> tuple[str, ...]:
    found = []
    for number, of, fault in stick.damages():
        if fault is not None:
            found.append(str(fault))
        progress("stick", number, of)
    return tuple(found)


def _keys(node: Node) -> dict[str, VerifierKey]:
    return log_keys(node.settings, node.keys.public().log_vkey, node.statements)


def _in_order(stick: Stick) -> list[LogPart]:
    """Return the logs, a former epoch before the one that follows it: a view waits for what it goes on from."""

    def place(part: LogPart) -> tuple[str, int]:
        try:
            origin = _origin(stick, part)
        except CourierFault:
            return "", 0
        return name_base(origin), epoch_of(origin)

    return sorted(stick.logs, key=place)


def _origin(stick: Stick, part: LogPart) -> str:
    return (stick.read(f"logs/{part.name}/origin", _ORIGIN_MOST) or b"").decode("utf-8", "replace")


async def _log(node: Node, stick: Stick, part: LogPart, keys: dict[str, VerifierKey], progress: Progress) -> LogArrived:
    try:
        origin = await asyncio.to_thread(_origin, stick, part)
    except CourierFault as fault:
        return LogArrived(part.name, 0, 0, Outcome.REFUSED, str(fault))
    if log_hash(origin) != part.name:
        return LogArrived(part.name, 0, 0, Outcome.REFUSED, f"says it is {origin[:100]!r}")
    if origin not in keys:
        return LogArrived(origin, 0, 0, Outcome.UNKNOWN)
    before = await node.read(lambda db: _size(db, origin))
    if node_of(node.settings, origin) == node.settings.node:
        try:
            outcome, words = await _own(node, stick, part, keys[origin])
        except (CourierFault, Malformed, Tampered) as bad:
            outcome, words = Outcome.REFUSED, str(bad)
        return LogArrived(origin, before, await node.read(lambda db: _size(db, origin)), outcome, words)
    if part.first > before:
        return LogArrived(origin, before, before, Outcome.GAP, f"begins at {part.first}")
    outcome, words = await _mirror(node, stick, part, keys[origin], progress)
    await _show(node, origin)
    after = await node.read(lambda db: _size(db, origin))
    if outcome is Outcome.TAKEN and after == before:
        outcome = Outcome.NOTHING_NEW
    return LogArrived(origin, before, after, outcome, words)


async def _mirror(node: Node, stick: Stick, part: LogPart, key: VerifierKey, progress: Progress) -> tuple[Outcome, str]:
    """Follow a log on the stick as over the line, to its end or to what is wrong."""
    done = part.first

    def stored(_origin: str) -> None:
        nonlocal done
        done = min(part.size, max(done, part.size - pull.status.entries_behind))
        progress(key.name, done, part.size)

    pull = pull_log(
        StickLink(stick, lambda: _room(node) > 0),  # type: ignore[arg-type]  # all that Pull asks of a link is `get`
        node.store,
        log=MirroredLog(key, node_of(node.settings, key.name)),
        cosigner=node.keys.cosigner,
        now_ms=lambda: node.clock.now().at_ms,
        stored=stored,
    )
    pull.takes_older = True
    words = ""
    for _ in range(_TRIES):
        try:
            await pull.once()
        except LinkFault as fault:
            words = str(fault)
            if fault.why != "busy":
                return Outcome.REFUSED, words
        except (Tampered, Malformed, LogFault) as bad:
            return Outcome.REFUSED, str(bad)
        else:
            progress(key.name, part.size, part.size)
            return Outcome.TAKEN, ""
    return Outcome.LATER, words


async def _show(node: Node, origin: str) -> None:
    """Bring the views up to what is stored now; a running node does it in its own way, where a failing view ends nothing."""
    if node.show_mirrored is not None:
        await node.show_mirrored(origin)
        return
    while await node.store.write(lambda db: node.recorder.follow(db, origin)):
        continue


def _room(node: Node) -> int:
    """Return how many bytes may still be written to this node's disk."""
    return shutil.disk_usage(node.settings.data).free - node.settings.disk_floor_mib * 1024 * 1024


def _size(db: apsw.Connection, origin: str) -> int:
    try:
        return size_of(db, origin)
    except LogFault:
        return 0


async def _own(node: Node, stick: Stick, part: LogPart, key: VerifierKey) -> tuple[Outcome, str]:
    """Keep what others have cosigned of our own log: how far it has come, brought back by hand.

    A checkpoint that our key has signed and our log does not contain stops the node, as it does when a peer shows it. A node that is stopped and not running heals from
    the stick; a running one asks its peers, again and again, and two heals at a time are one too many.
    """
    note = await asyncio.to_thread(stick.read, f"logs/{part.name}/checkpoint", _NOTE_MOST) or b""
    opened = open_checkpoint(note, [key])
    checkpoint = opened.checkpoint
    known = [VerifierKey.parse(peer.cosigner_vkey) for peer in node.settings.peers]
    found = cosignatures(opened.note, known)

    def keep(db: apsw.Connection) -> bool:
        try:
            if not contains(db, checkpoint):
                return False
        except LogFault:  # gaps in the own tree: the gate knows them too
            return False
        for one in found:
            line = Cosigned(one.key.name, checkpoint.size, str(one.signature), node.clock.now().at_ms)
            add_cosignature(db, checkpoint.origin, line)
        return True

    contained = await node.store.write(keep)
    current = checkpoint.origin == node.settings.origin
    by = node_of(node.settings, stick.writer) or stick.writer
    if contained:
        await node.witness.look(checkpoint.origin)
    elif current and node.stopped is None:
        await stop_on_proof(node, opened, by)
    words = f"the stick shows {checkpoint.size} entries signed by this node"
    if current and part.first == 0 and node.gate.healable and node.show_mirrored is None:
        reader = LogReader(StickLink(stick, lambda: _room(node) > 0), key.name)  # type: ignore[arg-type]  # `get` alone
        try:
            if await Recovery(node).heal_from(opened, by, reader):
                return Outcome.HEALED, ""
        except (LinkFault, LogFault, Tampered) as fault:
            words = str(fault)
    if contained:
        return Outcome.OWN, f"cosigned at {checkpoint.size} by {len(found)}"
    return Outcome.OVERTAKEN, words


async def _blobs(node: Node, stick: Stick, arrived: tuple[LogArrived, ...], progress: Progress) -> Imported:
    """Keep the files that entries held here name."""
    count = 0
    passed: list[str] = []
    refused: list[str] = []
    later: list[str] = []
    for number, name in enumerate(stick.blobs, start=1):
        sha256 = bytes.fromhex(name)
        size = await node.read(lambda db, sha256=sha256: blobs_view.wanted_size(db, sha256))  # type: ignore[misc]
        if size is None:
            passed.append(name)
        elif not node.blobs.has(sha256):
            try:
                await asyncio.to_thread(_take, node, stick, sha256, size)
                count += 1
            except CourierFault as fault:
                refused.append(str(fault))
            except BlobFault as fault:
                (later if fault.why == "io" else refused).append(f"{name}: {fault.why} {fault.detail}")
        progress("blobs", number, len(stick.blobs))
    return Imported(stick.writer, stick.at_ms, arrived, count, tuple(passed), tuple(refused), tuple(later))


def _take(node: Node, stick: Stick, sha256: bytes, size: int) -> None:
    if size > _room(node):
        raise BlobFault(sha256.hex(), "io", "the disk is nearly full")
    name = f"blobs/{sha256.hex()}"
    with stick.folder.open(name) as file, node.blobs.incoming(size) as part:
        while True:
            try:
                piece = file.read(_PIECE)
            except OSError as error:
                raise CourierFault("unreadable", name, error.strerror or str(error)) from error
            if not piece:
                break
            part.write(piece)
        part.keep(sha256)
    stick.found_sound(name)
