"""A log with fixed keys and entries, its bundle, and ways to take the bundle apart and put it together again.

`python -m tests.data.sample_log` writes the golden files anew; nothing else does.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from sync.bundle import write_bundle
from sync.checkpoint import Checkpoint, sign
from sync.codec import Entry, blob_reference, encode
from sync.merkle import MemoryHashes, inclusion_proof, leaf_hash, tree_root
from sync.note import COSIGNATURE, NoteSignature, SignedNote, Signer
from sync.policy import Group, Party, Policy
from sync.proof import encode as encode_proof

ORIGIN = "dali.example/532924/room-1/a/e1"
LOG = Signer.from_seed(ORIGIN, b"\x01" * 32)
WITNESSES = tuple(
    Signer.from_seed(f"dali.example/{name}/w", seed * 32, COSIGNATURE)
    for name, seed in (("b", b"\x02"), ("p", b"\x03"))
)
COSIGNED_S = 1_790_000_000
BLOB = "开标记录".encode() * 50
GOLDEN = Path(__file__).parent.parent / "golden"


def sample_entry(seq: int, *, origin: str = ORIGIN) -> Entry:
    """An entry as the works procedure makes them, all fields a function of its place."""
    return Entry(
        version=1,
        origin=origin,
        seq=seq,
        at_ms=1_790_000_000_000 + 250 * seq,
        clock_quality="synchronised",
        stream=f"lot/L-2026-{seq % 7:03d}",
        command_id=hashlib.sha256(b"command %d" % seq).digest()[:16],
        actor=f"expert/{seq % 5}",
        events=(("sheet.marks-submitted", 1, (f"投标人{seq % 9}", seq * 100, None, True, b"\x00\xff", (1, -1, "二"))),),
        evidence=(blob_reference(hashlib.sha256(BLOB).digest()),) if seq == 3 else (),
    )


def policy_of(*, quorum: int = 1) -> Policy:
    """Trust in the log and in `quorum` of its two witnesses."""
    names = {f"w{i}": Party(witness.vkey) for i, witness in enumerate(WITNESSES)}
    return Policy((Party(LOG.vkey),), names, {"room": Group(quorum, tuple(names))}, "room")


@dataclass
class SampleLog:
    """Entries with their hashes; a bundle's source."""

    bodies: list[bytes]
    origin: str = ORIGIN
    signer: Signer = LOG
    reader: MemoryHashes = field(init=False)

    def __post_init__(self) -> None:
        self.reader = MemoryHashes(map(leaf_hash, self.bodies))

    @classmethod
    def of(cls, size: int) -> "SampleLog":
        return cls([encode(sample_entry(seq)) for seq in range(size)])

    @property
    def size(self) -> int:
        return len(self.bodies)

    def hashes(self, level: int, start: int, end: int):
        return self.reader.hashes(level, start, end)

    def entries(self, start: int, end: int):
        return self.bodies[start:end]

    def checkpoint(self, size: int | None = None) -> Checkpoint:
        size = self.size if size is None else size
        return Checkpoint(self.origin, size, tree_root(self.reader, size))

    def note(self, size: int | None = None, *, cosigners=WITNESSES) -> bytes:
        """The signed checkpoint, by default with both cosignatures."""
        checkpoint = self.checkpoint(size)
        lines = [witness.cosign(checkpoint.text(), COSIGNED_S) for witness in cosigners]
        return bytes(SignedNote.parse(sign(checkpoint, self.signer)).with_signatures(lines))

    def proof(self, index: int, size: int | None = None) -> bytes:
        size = self.size if size is None else size
        return encode_proof(index, inclusion_proof(self.reader, index, size), self.note(size))

    def bundle(self, *, proofs: Mapping[str, bytes] | None = None) -> bytes:
        target = io.BytesIO()
        blobs = {hashlib.sha256(BLOB).hexdigest(): partial(io.BytesIO, BLOB)} if self.size > 3 else {}
        some = {"5": self.proof(5), "early": self.proof(2, 200)} if self.size > 256 else {}
        write_bundle(
            target,
            checkpoint=self.note(),
            policy=bytes(policy_of()),
            source=self,
            blobs=blobs,
            proofs=some if proofs is None else proofs,
        )
        return target.getvalue()


def members(bundle: bytes) -> dict[str, bytes]:
    """The files of a bundle, read by the standard library."""
    with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(files: Mapping[str, bytes]) -> bytes:
    """A stored ZIP of these files, as a stranger would make it."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return target.getvalue()


def resigned(note: bytes, *signatures: NoteSignature) -> bytes:
    """The same text under other signatures."""
    return bytes(SignedNote(SignedNote.parse(note).text, signatures))


if __name__ == "__main__":
    (GOLDEN / "entry.msgpack").write_bytes(encode(sample_entry(3)))
    (GOLDEN / "bundle.zip").write_bytes(SampleLog.of(300).bundle())
