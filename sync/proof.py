"""Receipts that anybody can check (C2SP tlog-proof@v1): an entry's index, its audit path, and a checkpoint (存证凭据).

A `.tlog-proof` holds all that is needed beside the entry's own bytes and the keys one trusts.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from sync.checkpoint import Opened, open_checkpoint, read
from sync.merkle import MAX_PROOF, verify_inclusion
from sync.note import MAX_NOTE, VerifierKey, decode_base64, encode_base64, parse_size
from sync.tampered import Malformed, Tampered
from sync.wire import parse_hashes

HEADER = "c2sp.org/tlog-proof@v1"
MAX_EXTRA = 65_536
MAX_PROOF_FILE = MAX_NOTE + 2 * MAX_EXTRA + 45 * MAX_PROOF + 64


@dataclass(frozen=True, slots=True)
class Proof:
    """The parts of a proof file. `checkpoint` is the signed note's bytes; `extra` is not authenticated by anything."""

    index: int
    hashes: tuple[bytes, ...]
    checkpoint: bytes
    extra: bytes | None = None

    def __bytes__(self) -> bytes:
        """Return the file's bytes."""
        extra = "" if self.extra is None else f"extra {encode_base64(self.extra)}\n"
        hashes = "".join(f"{encode_base64(one)}\n" for one in self.hashes)
        return f"{HEADER}\n{extra}index {self.index}\n{hashes}\n".encode() + self.checkpoint

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the parts; the checkpoint's form is checked, no signature. Raises Malformed."""
        if len(data) > MAX_PROOF_FILE:
            raise Malformed("proof", f"is over {MAX_PROOF_FILE} bytes")
        head, blank, checkpoint = data.partition(b"\n\n")
        if not blank:
            raise Malformed("proof", "has no checkpoint behind an empty line")
        try:
            lines = head.decode("ascii").split("\n")
        except UnicodeDecodeError:
            raise Malformed("proof", "is not ASCII") from None
        if lines.pop(0) != HEADER:
            raise Malformed("proof", f"does not start with {HEADER}")
        extra = None
        if lines and lines[0].startswith("extra "):
            extra = decode_base64(lines.pop(0).removeprefix("extra "), "extra")
            if len(extra) > MAX_EXTRA:
                raise Malformed("extra", f"is over {MAX_EXTRA} bytes")
        if not lines or not lines[0].startswith("index "):
            raise Malformed("index", "has no line")
        index = parse_size(lines[0].removeprefix("index "), "index")
        read(checkpoint)
        return cls(index, parse_hashes(lines[1:]), checkpoint, extra)


def encode(index: int, hashes: Sequence[bytes], checkpoint_note: bytes, extra: bytes | None = None) -> bytes:
    """Return a proof file's bytes."""
    return bytes(Proof(index, tuple(hashes), checkpoint_note, extra))


def parse(data: bytes) -> Proof:
    """Return the parts of a proof file. Raises Malformed."""
    return Proof.parse(data)


def check_proof(proof: Proof, leaf: bytes, keys: Iterable[VerifierKey]) -> Opened:
    """Verify that the entry with this leaf hash stands at the proof's index under a checkpoint signed by a known key.

    Returns the opened checkpoint with its cosignatures; whether they suffice is the policy's to say. Raises Malformed, and
    Tampered as `open_checkpoint` and `verify_inclusion` do, with origin and seq.
    """
    opened = open_checkpoint(proof.checkpoint, keys)
    checkpoint = opened.checkpoint
    try:
        verify_inclusion(leaf, proof.index, checkpoint.size, proof.hashes, checkpoint.root)
    except Tampered as tampered:
        tampered.origin, tampered.seq = checkpoint.origin, proof.index
        raise
    return opened
