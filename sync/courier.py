"""Logs and files on a stick (摆渡): a folder of the same tiles that a sync port serves, with a signed list of what is there.

    erhai-courier             signed note by the writer's log key: `erhai-courier/v1`, writer, when (ms), SHA-256 of `files`
    files                     one line a log: `log`, SHA-256 of its origin, first entry, size; sorted. Then one line a file:
                              SHA-256, bytes, name; sorted
    logs/<sha256 of origin>/  `origin`, `checkpoint` (with cosignatures), `tile/…` as C2SP tlog-tiles
    blobs/<sha256>
    successions               which of the writer's logs follows which, where one does: as `GET /log/successions` answers

The list is written last, so a stick that was pulled out early has none. Nothing on a stick is believed because it is on it:
logs pass the verifier that reads a peer's log, files their own hash; the list only says whole, by whom and when. This
module is the list alone; `sync.stick` reads and writes folders.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from sync.note import NoteSignature, SignedNote, Signer, VerifierKey
from sync.tampered import Malformed, Problem, Tampered
from sync.tiles import parse_tile_path

NOTE, FILES, SUCCESSIONS = "erhai-courier", "files", "successions"
_HEAD = "erhai-courier/v1"
MAX_NOTE, MAX_FILES = 65_536, 64 * 1024 * 1024
_NUMBER = "(0|[1-9][0-9]{0,14})"
_TEXT = re.compile(rf"{_HEAD}\n([^\n]+)\n{_NUMBER}\n([0-9a-f]{{64}})\n", re.ASCII)
_LOG = re.compile(rf"log ([0-9a-f]{{64}}) {_NUMBER} {_NUMBER}", re.ASCII)
_FILE = re.compile(
    rf"([0-9a-f]{{64}}) {_NUMBER} (logs/[0-9a-f]{{64}}/(\S+)|blobs/[0-9a-f]{{64}}|{SUCCESSIONS})", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Listed:
    """One file on a stick."""

    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class LogPart:
    """The entries [first, size) of one log on a stick; `name` is the hash of its origin."""

    name: str
    first: int
    size: int


@dataclass(frozen=True, slots=True)
class Contents:
    """What a stick's list says (清单): parts of logs, and every file by name."""

    logs: tuple[LogPart, ...]
    files: Mapping[str, Listed]

    def __bytes__(self) -> bytes:
        """Return the one spelling of the list."""
        logs = sorted(f"log {one.name} {one.first} {one.size}\n" for one in self.logs)
        files = (f"{one.sha256.hex()} {one.size} {name}\n" for name, one in sorted(self.files.items()))
        return "".join((*logs, *files)).encode()

    @classmethod
    def parse(cls, text: bytes) -> "Contents":
        """Return what a list says; every log has its origin and checkpoint, no file lies elsewhere. Raises Malformed."""
        logs: list[LogPart] = []
        files: dict[str, Listed] = {}
        for line in text.decode("ascii", "replace").split("\n")[:-1]:
            if match := _LOG.fullmatch(line):
                logs.append(LogPart(match[1], int(match[2]), int(match[3])))
            elif match := _FILE.fullmatch(line):
                if match[4] not in {None, "origin", "checkpoint"}:
                    parse_tile_path(match[4])
                files[match[3]] = Listed(bytes.fromhex(match[1]), int(match[2]))
            else:
                raise Malformed("list", f"has a line {line[:100]!r}")
        contents = cls(tuple(logs), files)
        if bytes(contents) != text:
            raise Malformed("list", "is not sorted, or names something twice")
        parts = {one.name for one in logs}
        if len(parts) != len(logs) or any(one.first > one.size for one in logs):
            raise Malformed("list", "has a log twice or backwards")
        if parts != {name.split("/")[1] for name in files if name.startswith("logs/")}:
            raise Malformed("list", "has files of a log that it does not name")
        if any(f"logs/{name}/{one}" not in files for name in parts for one in ("origin", "checkpoint")):
            raise Malformed("list", "has a log without its checkpoint")
        return contents


@dataclass(frozen=True, slots=True)
class Said:
    """What a stick's note says (摆渡单): who wrote the list of this digest (hex), and when."""

    writer: str
    at_ms: int
    digest: str

    def signed(self, signer: Signer) -> bytes:
        """Return the note, signed."""
        text = f"{_HEAD}\n{self.writer}\n{self.at_ms}\n{self.digest}\n"
        return bytes(SignedNote(text, ()).with_signatures([NoteSignature.parse(str(signer.sign(text)))]))

    @classmethod
    def parse(cls, note: bytes) -> "tuple[Said, SignedNote]":
        """Return what a note says, and the note: nothing is verified. Raises Malformed."""
        signed = SignedNote.parse(note)
        match = _TEXT.fullmatch(signed.text)
        if match is None:
            raise Malformed("note", f"says {signed.text[:100]!r}")
        return cls(match[1], int(match[2]), match[3]), signed


def open_note(note: bytes, keys: Mapping[str, VerifierKey]) -> Said | None:
    """Return what a note says, its writer's signature verified; None where the writer is unknown.

    Raises Malformed, Tampered (forged-signature).
    """
    said, signed = Said.parse(note)
    key = keys.get(said.writer)
    if key is None:
        return None
    lines = [line for line in signed.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if not lines or not key.verifies(signed.text, lines[0].blob):
        raise Tampered(Problem.FORGED_SIGNATURE, said.writer, detail=NOTE)
    return said
