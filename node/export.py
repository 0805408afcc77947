"""What leaves the node for a stranger to check (导出): bundles of a log, and one receipt's proof."""

import io
import json
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO

import apsw

from node.domain import wire
from node.domain.bidding import BidReceived
from node.domain.opening import OpeningStarted
from node.domain.unsealing import SharesReleased
from node.settings import Settings
from node.successions import log_keys
from sync.blobs import BlobStore
from sync.bundle import write_bundle
from sync.checkpoint import Checkpoint, read, sign
from sync.codec import decode
from sync.keys import name_base
from sync.log import LogFault, TableHashes, head, read_checked, size_of
from sync.merkle import Frontier, inclusion_proof, tree_root
from sync.note import NoteSignature, SignedNote, Signer, VerifierKey
from sync.policy import Party, Policy
from sync.proof import encode as encode_proof
from sync.succession import Statement
from sync.tiles import WIDTH
from sync.witness import misbehaviours


class TableLog(TableHashes):
    """A log held in the database, as a source of hashes and entries for others: each is checked as it is read.

    Bytes that do not have their stored hash, and hashes that do not follow from those below, raise LogFault (changed-entry,
    changed-hash): what is damaged here never leaves as if it were whole.
    """

    def __init__(self, db: apsw.Connection, origin: str) -> None:
        """Look the log up. Raises LogFault if it is unknown."""
        super().__init__(db, origin)
        self._reader = db
        self._name = origin

    def entries(self, start: int, end: int) -> Iterable[bytes]:
        """Return the entries [start, end). Raises LogFault where one is missing or changed."""
        expected = start
        for seq, body in read_checked(self._reader, self._name, start, end):
            if seq != expected:
                break
            yield body
            expected += 1
        if expected != end:
            raise LogFault("missing-entries", self._name, expected, end)

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Return the hashes [start, end) of one level. Raises LogFault where one is missing or changed."""
        found = super().hashes(level, start, end)
        if level > 0:
            for n, stored in enumerate(found, start=start):
                below = super().hashes(level - 1, n * WIDTH, (n + 1) * WIDTH)
                if Frontier().extend(below).root() != stored:
                    raise LogFault("changed-hash", self._name, n * WIDTH**level, (n + 1) * WIDTH**level)
        return found

    def covered(self, checkpoint: Checkpoint) -> None:
        """Raises LogFault (wrong-checkpoint) where the stored hashes are not what was signed."""
        if tree_root(self, checkpoint.size) != checkpoint.root:
            raise LogFault("wrong-checkpoint", self._name, 0, checkpoint.size)


def policy_of(
    settings: Settings, own_vkey: str, own_cosigner: str, origin: str, statements: Sequence[Statement] = ()
) -> Policy:
    """Return the trust file for one log: its key, and every node of the settings that may cosign it. No quorum is asked.

    `statements` are the successions known here: by them a former epoch is exported like the current one.
    """
    logs = log_keys(settings, own_vkey, statements)
    cosigners = {settings.node: own_cosigner} | {peer.name: peer.cosigner_vkey for peer in settings.peers}
    own = {name_base(settings.origin): settings.node} | {name_base(peer.origin): peer.name for peer in settings.peers}
    witnesses = {
        name: Party(VerifierKey.parse(vkey))
        for name, vkey in sorted(cosigners.items())
        if name != own.get(name_base(origin))
    }
    return Policy((Party(logs[origin]),), witnesses, {}, None)


def checkpoint_note(db: apsw.Connection, origin: str) -> bytes:
    """Return the newest checkpoint with every cosignature of exactly its size. Raises LogFault where there is none."""
    held = head(db, origin)
    if held.checkpoint is None:
        raise LogFault("no-checkpoint", origin)
    checkpoint, note = read(held.checkpoint)
    lines = db.execute(
        "SELECT line FROM cosignatures WHERE log_id = ? AND size = ? ORDER BY cosigner", (held.log_id, checkpoint.size)
    )
    known = {str(signature) for signature in note.signatures}
    more = [signature for row in lines if str(signature := NoteSignature.parse(row[0])) not in known]
    return bytes(SignedNote(note.text, (*note.signatures, *more)))


def write_log_bundle(
    db: apsw.Connection,
    target: BinaryIO,
    origin: str,
    policy: Policy,
    *,
    blobs: Mapping[str, Path] | None = None,
    proofs_of: Iterable[int] = (),
) -> None:
    """Write the bundle of one log held here, in one snapshot of the database. Raises LogFault where it is damaged; what
    was written until then is no bundle.
    """
    note, source = checkpoint_note(db, origin), TableLog(db, origin)
    source.covered(read(note)[0])
    proofs = {str(seq): proof_of(db, origin, seq, note) for seq in proofs_of}
    opened = {sha256: (lambda path=path: path.open("rb")) for sha256, path in (blobs or {}).items()}
    write_bundle(
        target,
        checkpoint=note,
        policy=bytes(policy),
        source=source,
        blobs=opened,
        proofs=proofs,
    )


def opening_files(db: apsw.Connection, origin: str, blobs: BlobStore) -> dict[str, Path]:
    """Return the files of every opening that has begun in a log, by the hex of their SHA-256: bids and releases held here.

    A bid of a lot that is not open yet does not go along, sealed though it is.
    """
    received: dict[str, dict[str, bytes]] = {}  # by stream, then by ref
    wanted: list[bytes] = []
    for _seq, body in read_checked(db, origin, 0, size_of(db, origin)):
        entry = decode(body)
        for name, version, fields in entry.events:
            event = wire.decode(name, version, fields)
            match event:
                case BidReceived():
                    received.setdefault(entry.stream, {})[event.ref] = event.sha256
                case OpeningStarted():
                    wanted += received.get(entry.stream, {}).values()
                case SharesReleased():
                    wanted.append(event.file_sha256)
                case _:
                    pass
    return {sha256.hex(): blobs.path(sha256) for sha256 in wanted if blobs.has(sha256)}


def bundle_bytes(db: apsw.Connection, origin: str, policy: Policy) -> bytes:
    """Return the bundle of a log as bytes, for attaching."""
    target = io.BytesIO()
    write_log_bundle(db, target, origin, policy)
    return target.getvalue()


def bundle_at(db: apsw.Connection, size: int, signer: Signer, policy: Policy) -> tuple[bytes, bytes]:
    """Return the bundle of the own log as it was at `size` entries, and its checkpoint.

    Ed25519 signs the same bytes the same way, so the same size gives the same bundle whenever it is asked for.
    """
    source = TableLog(db, signer.name)
    note = sign(Checkpoint(signer.name, size, tree_root(source, size)), signer)
    target = io.BytesIO()
    write_bundle(target, checkpoint=note, policy=bytes(policy), source=source)
    return target.getvalue(), note


def proof_of(db: apsw.Connection, origin: str, seq: int, note: bytes | None = None) -> bytes:
    """Return the tlog-proof of one entry under the newest checkpoint."""
    note = note or checkpoint_note(db, origin)
    checkpoint, _ = read(note)
    if not 0 <= seq < checkpoint.size:
        raise LogFault("no-such-entry", origin, seq, seq + 1)
    return encode_proof(seq, inclusion_proof(TableHashes(db, origin), seq, checkpoint.size), note)


def evidence_zip(db: apsw.Connection) -> bytes:
    """Return everything kept as evidence as a ZIP: for each finding a folder with `held`, `shown`, `proof` and `facts.json`.

    Two signed notes of one log that cannot both be true prove it to anybody who knows the log's key.
    """
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for no, one in enumerate(misbehaviours(db), start=1):
            facts = {name: getattr(one, name) for name in ("origin", "problem", "shown_by", "at_ms")}
            parts = {"held": one.held, "shown": one.shown, "proof": one.proof}
            parts["facts.json"] = json.dumps(facts, ensure_ascii=False, sort_keys=True).encode() + b"\n"
            for name, data in parts.items():
                file.writestr(zipfile.ZipInfo(f"{no:03}/{name}", (1980, 1, 1, 0, 0, 0)), data)
    return target.getvalue()
