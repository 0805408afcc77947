"""What a mirror has cosigned before its disk was put back: asked of those who hold the cosignature (记起).

A cosignature says: nothing that contradicts this is ever accepted here. A database that was put back has forgotten it, but
the logs that were cosigned, and whoever carries them, show it. Each one that is found counts as a promise again, so what
the log's key signs next has to continue it, and no smaller size is cosigned.
"""

from collections.abc import Sequence

import apsw

from sync import wire
from sync.checkpoint import Opened, open_checkpoint
from sync.link import LinkFault, PeerLink
from sync.log import TableHashes, head, open_log
from sync.merkle import tree_root
from sync.note import SignedNote, VerifierKey
from sync.receiver import log_hash
from sync.tampered import Malformed, Problem, Tampered
from sync.witness import Misbehaviour, keep_evidence, keep_promise, newest_promise


async def own_cosignature(link: PeerLink, *, log: VerifierKey, mine: Sequence[VerifierKey]) -> Opened | None:
    """Return the checkpoint of a log that this peer shows with a cosignature by one of `mine`, verified; None for none.

    Raises LinkFault.
    """
    reply = await link.get(f"/log/{log_hash(log.name)}/checkpoint", limit=wire.MAX_CHECKPOINT_BODY)
    if reply.status == 404:
        return None
    if reply.status != 200:
        raise reply.unexpected()
    try:
        opened = open_checkpoint(reply.body, [log, *mine])
    except (Malformed, Tampered) as bad:
        raise LinkFault("unexpected-answer", str(bad)) from bad
    return opened if opened.cosignatures else None


def take_back(db: apsw.Connection, opened: Opened, *, shown_by: str, now_ms: int) -> bool:
    """Promise again what this node once cosigned, inside the caller's transaction; return whether it was forgotten.

    Where the entries or promises here exclude it, the log has forked: both notes are kept, and it is frozen.
    """
    checkpoint = opened.checkpoint
    log = open_log(db, checkpoint.origin)
    known, note = newest_promise(db, log.log_id, checkpoint.origin)
    own = [line for line in opened.note.signatures if line.name == checkpoint.origin]
    shown = bytes(SignedNote(opened.note.text, tuple(own)))
    here = known.root if checkpoint.size == known.size else None
    if checkpoint.size <= log.size:
        here = tree_root(TableHashes(db, checkpoint.origin), checkpoint.size)
    if here is not None and here != checkpoint.root:
        held = note or head(db, checkpoint.origin).checkpoint or b""
        keep_evidence(
            db,
            Misbehaviour(checkpoint.origin, Problem.TWO_BRANCHES, held, shown, b"", shown_by, now_ms),
            freeze=True,
        )
        return False
    seconds = max(line.timestamp_s for line in opened.cosignatures)
    db.execute("UPDATE logs SET cosigned_s = MAX(cosigned_s, ?) WHERE log_id = ?", (seconds, log.log_id))
    if checkpoint.size <= known.size:
        return False
    keep_promise(db, log.log_id, checkpoint, shown)
    for line in opened.cosignatures:
        db.execute("DELETE FROM cosignatures WHERE log_id = ? AND cosigner = ?", (log.log_id, line.key.name))
        db.execute(
            "INSERT INTO cosignatures (log_id, cosigner, size, line, at_ms) VALUES (?, ?, ?, ?, ?)",
            (log.log_id, line.key.name, checkpoint.size, str(line.signature), now_ms),
        )
    return True
