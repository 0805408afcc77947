"""add-checkpoint of C2SP tlog-witness and tlog-mirror: whether a log's newest checkpoint continues the last one (存证).

After an answer 200 the checkpoint is on disk as this node's promise to the log: nothing that contradicts it is ever
accepted. Two signed checkpoints that cannot both be true are kept as evidence, and the log they name is frozen.

Comparing `old` with the recorded size and recording the new one happen in one transaction of the writer thread. A
cosignature is made inside that transaction and leaves only after its commit, so no signature exists that a crash could
make untrue.
"""

from collections.abc import Callable
from dataclasses import dataclass

import apsw

from sync.checkpoint import Checkpoint, Opened
from sync.codec import pack
from sync.log import TableHashes, open_log
from sync.merkle import EMPTY_ROOT, tree_root, verify_consistency
from sync.note import NoteSignature, Signer
from sync.tampered import Problem, Tampered
from sync.wire import SIZE_TYPE, AddCheckpoint, encode_lines, encode_size

PLAIN = "text/plain; charset=utf-8"
_PROMISES = 16  # checkpoints that an upload may still name as its end
_EVIDENCE = 64  # rows of one log: enough to prove it, not enough to fill a disk


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer: status, body, its exact Content-Type."""

    status: int
    body: bytes = b""
    content_type: str = PLAIN


def refuse(status: int, why: str) -> Answer:
    """Return an answer that says why in one line."""
    return Answer(status, f"{why}\n".encode())


@dataclass(frozen=True, slots=True)
class Judgement:
    """What the rules say of a new checkpoint: the status of C2SP tlog-witness, and what it is evidence of, if anything."""

    status: int
    why: str = ""
    problem: Problem | None = None


def judge(
    request: AddCheckpoint,
    checkpoint: Checkpoint,
    *,
    known: Checkpoint,
    root_at: Callable[[int], bytes | None],
    entries: int | None = None,
) -> Judgement:
    """Decide on a checkpoint whose log signature was verified. Pure.

    `known` is the newest promise, of size 0 where there is none; `root_at` gives the root over the entries held here, None
    for sizes beyond them. A root that differs from a known one of its size is a branch, whatever else the request says.

    `entries` is how many are held, where a mirror is asked by a relay. It may know less than the mirror was promised by a
    log that has died since; so a mirror, which cosigns only what it stores, takes from it an older checkpoint that continues
    the entries. The log's own node is told 409 as ever: it must learn that it went back.
    """
    held = known.root if checkpoint.size == known.size else root_at(checkpoint.size)
    branch = Problem.TWO_BRANCHES if held is not None and held != checkpoint.root else None
    if request.old > checkpoint.size:
        return Judgement(400, "old is beyond the checkpoint", branch)
    relayed = entries is not None and request.old == entries <= checkpoint.size < known.size
    if entries is not None and relayed:
        known = Checkpoint(known.origin, entries, root_at(entries) or known.root)
    if request.old != known.size:
        return Judgement(409, "another size is recorded", branch)
    try:
        verify_consistency(known.size, known.root, checkpoint.size, checkpoint.root, request.proof)
    except Tampered as tampered:
        if branch is None and not relayed and 0 < known.size < checkpoint.size:
            branch = Problem.INCONSISTENT_HISTORY
        return Judgement(422, str(tampered.problem), branch)
    return Judgement(200)


def take_checkpoint(
    db: apsw.Connection,
    request: AddCheckpoint,
    opened: Opened,
    *,
    shown_by: str,
    owner: bool,
    witness: Signer | None,
    now_ms: int,
) -> Answer:
    """Judge and record a checkpoint inside the caller's transaction.

    `owner` tells whether the log's own node shows it: only then does a proof that fails freeze the log, because a third
    party could spoil the proof of an honest one. `witness` cosigns mere consistency (None: a mirror, which answers empty).
    """
    checkpoint = opened.checkpoint
    log = open_log(db, checkpoint.origin)
    if (frozen := frozen_because(db, log.log_id)) is not None:
        return refuse(403, f"frozen: {frozen}")
    known, note = newest_promise(db, log.log_id, checkpoint.origin)
    hashes = TableHashes(db, checkpoint.origin)

    def root_at(size: int) -> bytes | None:
        if size <= log.size:
            return tree_root(hashes, size)
        row = db.execute("SELECT root FROM promises WHERE log_id = ? AND size = ?", (log.log_id, size)).fetchone()
        return None if row is None else bytes(row[0])

    entries = log.size if witness is None and not owner else None
    judgement = judge(request, checkpoint, known=known, root_at=root_at, entries=entries)
    if judgement.problem is not None:
        keep_evidence(
            db,
            Misbehaviour(
                origin=checkpoint.origin,
                problem=judgement.problem,
                held=note,
                shown=request.checkpoint,
                proof=b"".join(request.proof),
                shown_by=shown_by,
                at_ms=now_ms,
            ),
            freeze=owner or judgement.problem is Problem.TWO_BRANCHES,
        )
    if judgement.status == 409:
        return Answer(409, encode_size(known.size), SIZE_TYPE)
    if judgement.status != 200:
        return refuse(judgement.status, judgement.why)
    if witness is None or checkpoint.size > known.size or not note:
        keep_promise(db, log.log_id, checkpoint, request.checkpoint)
    if witness is None:
        return Answer(200)
    return Answer(200, encode_lines([cosign(db, log.log_id, checkpoint, witness, now_ms)]))


def keep_promise(db: apsw.Connection, log_id: int, checkpoint: Checkpoint, note: bytes) -> None:
    """Record a verified checkpoint that continues what is held; it, the next to be filled and the newest stay."""
    db.execute(
        "INSERT OR IGNORE INTO promises (log_id, size, root, note) VALUES (?, ?, ?, ?)",
        (log_id, checkpoint.size, checkpoint.root, note),
    )
    db.execute(
        "DELETE FROM promises WHERE log_id = ?1 AND size != ?2 AND size !="
        " (SELECT MIN(p.size) FROM promises p JOIN logs USING (log_id) WHERE log_id = ?1 AND p.size > checkpoint_size)"
        " AND size NOT IN"
        " (SELECT size FROM promises WHERE log_id = ?1 ORDER BY size DESC LIMIT ?3)",
        (log_id, checkpoint.size, _PROMISES),
    )


def newest_promise(db: apsw.Connection, log_id: int, origin: str) -> tuple[Checkpoint, bytes]:
    """Return the newest verified checkpoint of a log and its note; size 0 and no note where there is none."""
    row = db.execute(
        "SELECT size, root, note FROM promises WHERE log_id = ? ORDER BY size DESC LIMIT 1", (log_id,)
    ).fetchone()
    return (Checkpoint(origin, 0, EMPTY_ROOT), b"") if row is None else (Checkpoint(origin, row[0], row[1]), row[2])


def frozen_because(db: apsw.Connection, log_id: int) -> str | None:
    """Return why nothing more is accepted of a log; None where it is not frozen."""
    row = db.execute("SELECT frozen FROM logs WHERE log_id = ?", (log_id,)).fetchone()
    return None if row is None or row[0] is None else str(row[0])


def cosign(db: apsw.Connection, log_id: int, checkpoint: Checkpoint, signer: Signer, now_ms: int) -> NoteSignature:
    """Cosign and record it; the time of this node's statements about one log never decreases. Ours is kept once."""
    last_s = db.execute("SELECT cosigned_s FROM logs WHERE log_id = ?", (log_id,)).fetchone()
    timestamp_s = max(now_ms // 1_000, 0 if last_s is None else last_s[0])
    line = signer.cosign(checkpoint.text(), timestamp_s)
    db.execute("UPDATE logs SET cosigned_s = ? WHERE log_id = ?", (timestamp_s, log_id))
    db.execute("DELETE FROM cosignatures WHERE log_id = ? AND cosigner = ?", (log_id, signer.name))
    db.execute(
        "INSERT INTO cosignatures (log_id, cosigner, size, line, at_ms) VALUES (?, ?, ?, ?, ?)",
        (log_id, signer.name, checkpoint.size, str(line), now_ms),
    )
    return line


@dataclass(frozen=True, slots=True)
class Misbehaviour:
    """Two signed checkpoints of one log that cannot both be true, and who showed the second (两份不可并存的检查点)."""

    origin: str
    problem: str
    held: bytes
    shown: bytes
    proof: bytes
    shown_by: str
    at_ms: int


def keep_evidence(db: apsw.Connection, found: Misbehaviour, *, freeze: bool) -> None:
    """Record evidence once, and freeze the log it names if asked."""
    kept = db.execute("SELECT COUNT(*) FROM misbehaviour WHERE origin = ?", (found.origin,)).fetchone()
    if kept is not None and kept[0] < _EVIDENCE:
        db.execute(
            "INSERT OR IGNORE INTO misbehaviour (origin, problem, held, shown, proof, shown_by, at_ms)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (found.origin, str(found.problem), found.held, found.shown, found.proof, found.shown_by, found.at_ms),
        )
    if freeze:
        db.execute("UPDATE logs SET frozen = ? WHERE origin = ? AND frozen IS NULL", (str(found.problem), found.origin))


def misbehaviours(db: apsw.Connection) -> tuple[Misbehaviour, ...]:
    """Return all evidence kept here, oldest first."""
    query = "SELECT origin, problem, held, shown, proof, shown_by, at_ms FROM misbehaviour ORDER BY id"
    return tuple(Misbehaviour(*row) for row in db.execute(query))


def evidence_of(db: apsw.Connection, origin: str) -> bytes:
    """Return the notes that prove what a log's key has signed, newest first, packed: evidence kept, and the newest promise."""
    rows = db.execute("SELECT held, shown FROM misbehaviour WHERE origin = ? ORDER BY id DESC LIMIT 8", (origin,))
    notes = [note for row in rows for note in row if note]
    log = db.execute("SELECT log_id FROM logs WHERE origin = ?", (origin,)).fetchone()
    if log is not None:
        notes.append(newest_promise(db, log[0], origin)[1])
    return pack(tuple(dict.fromkeys(note for note in notes if note)))
