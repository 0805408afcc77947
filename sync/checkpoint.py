"""Checkpoints (C2SP tlog-checkpoint v1.0.0): origin, size and root of a log, signed as a note (检查点).

The log's key has the origin as its name. Extension lines are refused: nobody audits them, and no cosigner stands for
them.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sync.note import (
    COSIGNATURE,
    ED25519,
    NoteSignature,
    SignedNote,
    Signer,
    VerifierKey,
    check_name,
    decode_base64,
    encode_base64,
    parse_size,
    verify,
)
from sync.tampered import Malformed, Problem, Tampered


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log says of itself at one size. Reading it does not judge it: an empty log with a root is found later."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Return the three lines that are signed."""
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the checkpoint of a note's text. Raises Malformed."""
        lines = text.split("\n")
        if len(lines) != 4 or lines[3]:
            raise Malformed("checkpoint", "is not three lines: origin, size, root")
        check_name(lines[0])
        root = decode_base64(lines[2], "root")
        if len(root) != 32:
            raise Malformed("root", "has not 32 bytes")
        return cls(lines[0], parse_size(lines[1], "size"), root)


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A cosigner's verified statement on a checkpoint, with its time (POSIX seconds) and its line."""

    key: VerifierKey
    timestamp_s: int
    signature: NoteSignature

    @property
    def name(self) -> str:
        """Return the cosigner's name."""
        return self.key.name


@dataclass(frozen=True, slots=True)
class Opened:
    """A checkpoint whose log signature was verified, its note, and every known cosigner's verified statement."""

    checkpoint: Checkpoint
    note: SignedNote
    log_key: VerifierKey
    cosignatures: tuple[Cosignature, ...]


def sign(checkpoint: Checkpoint, signer: Signer) -> bytes:
    """Return the note's bytes. The signer is the log's key: its name must be the origin."""
    if signer.name != checkpoint.origin:
        raise ValueError(f"{signer.name} is not the key of {checkpoint.origin}")
    text = checkpoint.text()
    return bytes(SignedNote(text, (signer.sign(text),)))


def read(data: bytes) -> tuple[Checkpoint, SignedNote]:
    """Return checkpoint and note without judging any signature. Raises Malformed."""
    note = SignedNote.parse(data)
    return Checkpoint.parse(note.text), note


def open_checkpoint(data: bytes, keys: Iterable[VerifierKey]) -> Opened:
    """Verify a checkpoint with the keys that are known: of logs (0x01) and of cosigners (0x04).

    Raises Malformed, and Tampered with the origin: wrong-log (no key of this origin is known), foreign-key (the log's key
    did not sign), forged-signature, forged-cosignature.
    """
    known = tuple(keys)
    checkpoint, note = read(data)
    origin = checkpoint.origin
    logs = {key for key in known if key.algorithm == ED25519 and key.name == origin}
    if not logs:
        named = ", ".join(key.name for key in known if key.algorithm == ED25519)
        raise Tampered(Problem.WRONG_LOG, origin, expected=named, got=origin)
    cosigners = {key for key in known if key.algorithm == COSIGNATURE}
    try:
        signed = [key for key in verify(note, (*logs, *cosigners)) if key in logs]
    except Tampered as tampered:
        tampered.origin = origin
        raise
    if not signed:
        found = ", ".join(f"{signature.name}+{signature.key_id.hex()}" for signature in note.signatures)
        raise Tampered(Problem.FOREIGN_KEY, origin, expected=", ".join(map(str, logs)), got=found)
    return Opened(checkpoint, note, signed[0], cosignatures(note, cosigners))


def cosignatures(note: SignedNote, keys: Iterable[VerifierKey]) -> tuple[Cosignature, ...]:
    """Return the verified statements of known cosigners, each once, its latest. Lines of others are ignored.

    Raises Tampered (forged-cosignature) where a line of a known cosigner does not verify.
    """
    known = {(key.name, key.key_id): key for key in keys if key.algorithm == COSIGNATURE}
    found: dict[VerifierKey, Cosignature] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(note.text, signature.blob):
            raise Tampered(Problem.FORGED_COSIGNATURE, expected=str(key), got=str(signature))
        timestamp_s = int.from_bytes(signature.blob[:8])
        if key not in found or found[key].timestamp_s < timestamp_s:
            found[key] = Cosignature(key, timestamp_s, signature)
    return tuple(found.values())
