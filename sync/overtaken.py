"""When a peer does not take our own log: is there proof that our key has signed what is not in it? (本机日志的反证)

Only a checkpoint with our own valid signature that our log does not contain is proof. A peer that claims a larger size and
shows none is at fault itself, and only said.
"""

import apsw

from sync import wire
from sync.checkpoint import Checkpoint, Opened, open_checkpoint
from sync.codec import unpack
from sync.link import LinkFault, PeerLink
from sync.log import TableHashes, head
from sync.merkle import tree_root
from sync.note import SignedNote, VerifierKey
from sync.receiver import Database, log_hash
from sync.tampered import Malformed, Tampered

_NOTES = 17


def own_signature(opened: Opened) -> bytes:
    """Return a checkpoint's note with the log's own signature alone: other lines are whatever the peer likes to say."""
    own = [line for line in opened.note.signatures if line.name == opened.checkpoint.origin]
    return bytes(SignedNote(opened.note.text, tuple(own)))


def contains(db: apsw.Connection, checkpoint: Checkpoint) -> bool:
    """Return whether the log held here has this checkpoint in its history. Raises LogFault where the tree has gaps."""
    held = head(db, checkpoint.origin)
    return checkpoint.size <= held.size and tree_root(TableHashes(db, held.origin), checkpoint.size) == checkpoint.root


async def cosigned_note(link: PeerLink, *, log: VerifierKey, cosigner: VerifierKey) -> Opened | None:
    """Return the newest checkpoint of a log that this peer mirrors and has cosigned, verified, with its note; None for none.

    Raises LinkFault, and Tampered where a signature of a known key is forged.
    """
    reply = await link.get(f"/mirror/{log_hash(log.name)}/checkpoint", limit=wire.MAX_CHECKPOINT_BODY)
    if reply.status == 404:
        return None
    if reply.status != 200:
        raise reply.unexpected()
    try:
        opened = open_checkpoint(reply.body, [log, cosigner])
    except Malformed as malformed:
        raise LinkFault("unexpected-answer", str(malformed)) from malformed
    return opened if opened.cosignatures else None


async def cosigned_checkpoint(link: PeerLink, *, log: VerifierKey, cosigner: VerifierKey) -> Checkpoint | None:
    """Return what `cosigned_note` returns without its note."""
    opened = await cosigned_note(link, log=log, cosigner=cosigner)
    return None if opened is None else opened.checkpoint


async def disproof(link: PeerLink, db: Database, *, own: VerifierKey, cosigner: VerifierKey) -> Opened | None:
    """Return a checkpoint signed by our own key that our log does not contain, as this peer shows it; None for none.

    Raises LinkFault. A forged line proves something about the peer alone and counts as nothing.
    """
    found: list[Opened] = []
    try:
        opened = await cosigned_note(link, log=own, cosigner=cosigner)
        found += [opened] if opened is not None else []
    except Tampered as forged:
        raise LinkFault("unexpected-answer", str(forged)) from forged
    found += await shown_of(link, own)
    for one in sorted(found, key=lambda opened: -opened.checkpoint.size):
        if not await db.read(lambda db, one=one: contains(db, one.checkpoint)):  # type: ignore[misc]
            return one
    return None


async def shown_of(link: PeerLink, own: VerifierKey) -> list[Opened]:
    """Return the checkpoints signed by our own key that this peer keeps as evidence or was promised. Raises LinkFault."""
    found: list[Opened] = []
    for note in await _evidence(link, own.name):
        try:
            found.append(open_checkpoint(note, [own]))
        except (Tampered, Malformed):
            continue  # not ours: it proves something about the peer alone
    return found


async def _evidence(link: PeerLink, origin: str) -> list[bytes]:
    reply = await link.get(f"/log/{log_hash(origin)}/evidence", limit=2 * wire.MAX_CHECKPOINT_BODY)
    if reply.status != 200:
        return []
    try:
        notes = unpack(reply.body)
    except Malformed as malformed:
        raise LinkFault("unexpected-answer", str(malformed)) from malformed
    if not isinstance(notes, tuple | list):
        raise LinkFault("unexpected-answer", "evidence is no list")
    return [note for note in notes if isinstance(note, bytes)][:_NOTES]
