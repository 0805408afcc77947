"""Opening a new epoch (开启新纪元): where a log cannot be healed, two persons go on in another one with another key.

The old log is closed for ever on this node: kept, served, never appended to. The first entry of the new one says after
which proven place it goes on, why, on whose word, and how much may be missing at most. Works alone; the peers learn it from
a signed statement at the first push (sync/succession.py).
"""

import asyncio
import secrets
from dataclasses import dataclass, replace

import apsw

from node import projection
from node.ask_peers import PeerAnswer, ask_peers, link_to
from node.domain.duties import DUTIES
from node.domain.epoch import ROLES, OpenEpoch
from node.domain.refused import Refused
from node.domain.values import Actor
from node.epoch_files import finish_epoch, prepare_keys
from node.node import Node
from node.people import Person
from node.places import NEXT_FENCE, NEXT_KEYS
from node.presence import Shown, prove
from node.receipts import Receipt
from node.recorder import Recorder
from node.settings import Settings
from node.start import open_asking
from node.trust import machine_ms
from sync.checkpoint import Checkpoint
from sync.fence import UNPROVEN, Fence
from sync.heal import Target, heal, look, signed_here
from sync.keys import load_identity
from sync.log import LogFault, head, instance_id, origins, read_bodies
from sync.merkle import EMPTY_ROOT, Frontier, leaf_hash
from sync.overtaken import contains
from sync.reader import LogReader
from sync.succession import Statement, keep_succession, seal_envelope
from sync.witness import misbehaviours

ASK_S = 10.0  # a decision for good: whoever can answer is given the time


@dataclass(frozen=True, slots=True)
class Proven:
    """What is known of the log that ends: the largest place that a signature proves and that is here, and what may be
    missing. `fence_size` and `lost` are -1 where nobody knows.
    """

    size: int
    root: bytes
    fence_size: int
    lost: int
    restored_from: str
    whole: bool  # every entry here still has the bytes that were signed
    heard: tuple[str, ...] = ()  # peers that were asked and answered
    aside: int = 0  # entries of a second history under the same key, set aside because a peer had witnessed the first
    away: int = 0  # entries of the largest checkpoint of another history that this key has signed and whose entries are not here


@dataclass(frozen=True, slots=True)
class NewEpoch:
    """The epoch that was opened."""

    origin: str
    old_origin: str
    proven: Proven
    receipt: Receipt


async def open_epoch(settings: Settings, persons: tuple[Shown, Shown], cause: str, *, alone: bool = False) -> NewEpoch:
    """Open the next epoch of a stopped node; the node's process must not be running.

    One more attempt to heal is made before: Refused (epoch-not-needed) where the log can go on, unless the cause is replace.
    Refused (epoch-branch-away) where this key is known to have signed another history and nobody who answers holds it, unless
    both persons decide to go on from the own branch (`alone`).
    Raises Refused where the persons may not, PeopleFault where the accounts cannot be read, and what opening a node raises.
    """
    first, second = _persons(settings, persons)
    finish_epoch(settings.data)
    node = await open_asking(settings)
    try:
        if node.stopped is None and cause != "replace":
            raise Refused("epoch-not-needed", rule="heal-before-succession", value=node.settings.origin)
        answers = await ask_peers(node.settings, node.keys, timeout_s=ASK_S)
        others = await _elsewhere(node, answers)
        aside = await _follow_witnesses(node, answers)
        # What was given up just now contradicts the log too, and is here: only what was not here before counts as away.
        away = max([one.size for one in others if not await _holds(node, one)], default=0)
        if away and not alone:
            raise Refused("epoch-branch-away", rule="what-others-witnessed-is-looked-for", value=str(away))
        proven = replace(
            await _proven(node, answers, away),
            aside=aside,
            heard=tuple(answer.peer.name for answer in answers if answer.reached),
        )
        new = await _begin(node, proven, cause, first.actor, f"{second.role}:{second.no}")
    finally:
        await node.close()
    finish_epoch(settings.data)
    return new


def _persons(settings: Settings, shown: tuple[Shown, Shown]) -> tuple[Person, Person]:
    """Return who opens and who stands beside, both proven by PIN and both of a role that may, before anything is touched."""
    first, second = prove(settings, shown, machine_ms())
    for person, roles in ((first, DUTIES[OpenEpoch]), (second, frozenset(ROLES))):
        if person.role not in roles:
            raise Refused(
                "role-may-not",
                rule="separation-of-duties",
                value=f"{person.no} {person.role}",
                limit=", ".join(sorted(roles)),
                facts=(("command", OpenEpoch.__name__),),
            )
    return first, second


async def _elsewhere(node: Node, answers: tuple[PeerAnswer, ...]) -> list[Checkpoint]:
    """Return the checkpoints that this key has signed and this log does not contain: kept here as evidence, or shown by a
    peer. What the fence knows to be missing is no other history.
    """
    vkey, fence = node.keys.log_signer.vkey, node.recorder.fence.state
    released = -1 if fence.instance == UNPROVEN else fence.released.size

    def find(db: apsw.Connection) -> list[Checkpoint]:
        notes = [note for one in misbehaviours(db) if one.origin == vkey.name for note in (one.held, one.shown)]
        size = head(db, vkey.name).size
        shown = {one.checkpoint for answer in answers for one in answer.shown}
        signed = {one for note in notes if (one := signed_here(note, vkey)) is not None}
        signed |= {one for one in shown if not size < one.size <= released}
        return [one for one in signed if not _contains(db, one)]

    return await node.store.read(find)


def _contains(db: apsw.Connection, one: Checkpoint) -> bool:
    try:
        return contains(db, one)
    except LogFault:  # a tree with gaps proves nothing
        return False


async def _holds(node: Node, one: Checkpoint) -> bool:
    return await node.store.read(lambda db: _contains(db, one))


async def _follow_witnesses(node: Node, answers: tuple[PeerAnswer, ...]) -> int:
    """Where this key has signed two histories, stand on the one that a peer holds and has cosigned: its receipts are known to
    others. The other one is set aside entry by entry; returns how many entries that are. Raises LinkFault, LogFault.
    """
    vkey = node.keys.log_signer.vkey
    local = await look(node.store, vkey, lambda _what, _done, _all: None)
    if not local.whole:
        return 0
    for answer in sorted(answers, key=lambda one: 0 if one.opened is None else -one.opened.checkpoint.size):
        opened = answer.opened
        if opened is None or await node.read(lambda db, at=opened.checkpoint: contains(db, at)):  # type: ignore[misc]
            continue
        link = link_to(answer.peer, node.keys)
        try:
            healed = await heal(
                node.store,
                Target(opened.checkpoint, answer.own_note, answer.peer.name),
                LogReader(link, vkey.name),
                vkey=vkey,
                cause="forked",
                now_ms=lambda: node.clock.now().at_ms,
                settled=lambda db, _healed: _begin_again(db, node.recorder),
                give_up_own=True,
            )
        finally:
            await link.close()
        return healed.set_aside
    return 0


def _begin_again(db: apsw.Connection, recorder: Recorder) -> None:
    """Derive every view anew, after entries were replaced."""
    projection.drop_views(db)
    for origin in origins(db):
        projection.begin_again(db, origin, 0)
        while recorder.follow(db, origin):
            continue
    recorder.forget()


async def _proven(node: Node, answers: tuple[PeerAnswer, ...], away: int) -> Proven:
    vkey = node.keys.log_signer.vkey
    local = await look(node.store, vkey, lambda _what, _done, _all: None)
    fence = node.recorder.fence.state
    fence_size = -1 if fence.instance == UNPROVEN else fence.released.size
    signed = [one for one in (local.signed, *(a.opened.checkpoint for a in answers if a.opened is not None)) if one]
    candidates = sorted({*signed, fence.released}, key=lambda one: -one.size)

    def find(db: apsw.Connection) -> tuple[int, bytes, str]:
        row = db.execute("SELECT source, txid FROM restores WHERE instance = ?", (instance_id(db),)).fetchone()
        restored_from = f"{row[0]} {row[1]}" if row is not None else ""
        if local.whole and local.signed is not None:
            return local.signed.size, local.signed.root, restored_from
        frontier = Frontier()
        found = (0, EMPTY_ROOT)
        by_size = {one.size: one.root for one in candidates}
        for seq, body in read_bodies(db, vkey.name, 0, local.size):
            if seq != frontier.size:
                break
            frontier = frontier.append(leaf_hash(body))
            if by_size.get(frontier.size) == frontier.root():
                found = (frontier.size, frontier.root())
        return *found, restored_from

    size, root, restored_from = await node.store.read(find)
    known = max([fence_size, *(one.size for one in signed)])
    # A second history leaves this one nobody knows where: how much of it is missing here cannot be told.
    # A second history leaves this one nobody knows where: how much of it is missing here cannot be told.
    lost = -1 if fence_size < 0 or away else max(known - size, 0)
    return Proven(size, root, fence_size, lost, restored_from, local.whole, away=away)


def _leave_damage_out(db: apsw.Connection, recorder: Recorder) -> None:
    """Derive every view anew: damaged entries stay where they are as evidence, and count for nothing."""
    projection.drop_views(db)
    for origin in origins(db):
        if origin == recorder.log.origin:
            continue  # the new log is empty
        projection.begin_again(db, origin, 0)
        while recorder.follow(db, origin):
            continue


async def _begin(node: Node, proven: Proven, cause: str, actor: Actor, second: str) -> NewEpoch:
    """Close the old log and record the first entry of the new one, in one transaction."""
    data, old = node.settings.data, node.settings.origin
    origin = await asyncio.to_thread(prepare_keys, data)
    keys = load_identity(data / NEXT_KEYS)
    instance = await node.store.read(instance_id)
    fence = Fence.create(data / NEXT_FENCE, instance=instance, origin=origin)
    recorder = Recorder(node.settings, keys, fence, node.clock, node.profiles)
    recorder.calendar = node.recorder.calendar
    command = OpenEpoch(
        old, proven.size, proven.root, proven.fence_size, proven.lost, cause, proven.restored_from, second
    )
    command_id = secrets.token_bytes(16)

    def job(db: apsw.Connection) -> Receipt:
        recorder.open(db, origin)
        db.execute("UPDATE logs SET frozen = ? WHERE origin = ?", (f"succeeded: {origin}", old))
        if proven.whole:
            projection.is_foreign_now(db, old)
        else:
            _leave_damage_out(db, recorder)
        stream = f"room/{node.settings.node}"
        receipt = recorder.record(db, stream, lambda: command, command_id=command_id, actor=actor)
        statement = Statement(
            node=keys.node,
            old_origin=old,
            old_vkey=str(node.keys.log_signer.vkey),
            new_origin=origin,
            log_vkey=str(keys.log_signer.vkey),
            cosigner_vkey=str(keys.cosigner.vkey),
            witness_vkey=str(keys.witness.vkey),
            sealing_public=keys.sealing_public.hex(),
            size=proven.size,
            root=proven.root,
            fence_size=proven.fence_size,
            lost=proven.lost,
            cause=cause,
            first_leaf=receipt.leaf,
            at_ms=receipt.at_ms,
        )
        envelope = seal_envelope(statement.pack(), data / NEXT_KEYS)
        keep_succession(db, statement, envelope, receipt.at_ms)
        return receipt

    node.store.before_commit = recorder.before_commit
    node.store.after_commit = recorder.after_commit
    node.store.after_rollback = recorder.after_rollback
    try:
        receipt = await node.store.write(job)
    finally:
        fence.close()
    return NewEpoch(origin, old, proven, receipt)
