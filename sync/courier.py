"""Logs and files on a stick (摆渡): a folder of the same tiles that a sync port serves, with a signed list of what is there.

    erhai-courier             signed note by the writer's log key: `erhai-courier/v1`, writer, when (ms), SHA-256 of `files`
    files                     one line a log: `log`, SHA-256 of its origin, first entry, size; sorted. Then one line a file:
                              SHA-256, bytes, name; sorted
    logs/<sha256 of origin>/  `origin`, `checkpoint` (with cosignatures), `tile/…` as C2SP tlog-tiles
    blobs/<sha256>

The list is written last, so a stick that was pulled out early has none. Nothing on a stick is believed because it is on it:
logs pass the verifier that reads a peer's log, files their own hash; the list only says whole, by whom and when.
"""

import asyncio
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from sync.blobs import BlobFault
from sync.link import LinkFault, Reply
from sync.note import NoteSignature, SignedNote, Signer, VerifierKey
from sync.stick_folder import CourierFault, StickFolder
from sync.tampered import Malformed, Problem, Tampered
from sync.tiles import parse_tile_path

NOTE, FILES = "erhai-courier", "files"
_HEAD = "erhai-courier/v1"
_MOST_LIST = 64 * 1024 * 1024
_MOST_NOTE = 65_536
_NUMBER = "(0|[1-9][0-9]{0,14})"
_TEXT = re.compile(rf"{_HEAD}\n([^\n]+)\n{_NUMBER}\n([0-9a-f]{{64}})\n", re.ASCII)
_LOG = re.compile(rf"log ([0-9a-f]{{64}}) {_NUMBER} {_NUMBER}", re.ASCII)
_FILE = re.compile(rf"([0-9a-f]{{64}}) {_NUMBER} (logs/[0-9a-f]{{64}}/(\S+)|blobs/[0-9a-f]{{64}})", re.ASCII)
_PIECE = 1024 * 1024


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


class Stick:
    """A stick whose list is signed by a known node. Files are hashed when they are read."""

    def __init__(self, folder: StickFolder, writer: str, at_ms: int, contents: Contents) -> None:
        """Made by `open_stick`."""
        self.folder = folder
        self.writer = writer
        self.at_ms = at_ms
        self.logs = contents.logs
        self._files = contents.files

    @property
    def blobs(self) -> tuple[str, ...]:
        """Return the digests of the blobs on it, in hex."""
        return tuple(sorted(name.split("/")[1] for name in self._files if name.startswith("blobs/")))

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a listed file's bytes; None where it is not listed. Raises CourierFault where it is not what is listed."""
        listed = self._files.get(name)
        if listed is None:
            return None
        if listed.size > limit:
            raise CourierFault("changed", name, f"{listed.size} bytes, {limit} are allowed")
        data = self.folder.read(name, listed.size)
        got = hashlib.sha256(data).digest()
        if got != listed.sha256:
            raise CourierFault("changed", name, f"expected {listed.sha256.hex()}, got {got.hex()}")
        return data


class StickLink:
    """Reads a log on a stick where a peer's sync port would be read: `get` alone, for `sync.follow.Pull`."""

    def __init__(self, stick: Stick, has_room: Callable[[], bool] = lambda: True) -> None:
        """`node` is who wrote the stick: whatever is wrong with it is reported under that name."""
        self._stick = stick
        self._has_room = has_room
        self.node = stick.writer
        self.url = str(stick.folder.path)

    async def get(self, path: str, *, limit: int) -> Reply:
        """Return a file as a sync port would answer. Raises LinkFault for one that is not what is listed, or no room here."""
        if not self._has_room():
            raise LinkFault("busy", "the disk is nearly full")
        name = "logs/" + path.removeprefix("/log/")
        try:
            data = await asyncio.to_thread(self._stick.read, name, limit)
        except CourierFault as fault:
            raise LinkFault("unexpected-answer", str(fault)) from fault
        return Reply(404, "", b"") if data is None else Reply(200, "", data)

    async def close(self) -> None:
        """Nothing is open."""


class StickWriter:
    """Writes a stick; what an interrupted run has left there whole is not written again."""

    def __init__(self, folder: Path, writer: str) -> None:
        """Make the folder. Raises CourierFault where it holds anything else, or what another node has written."""
        self._folder = StickFolder(folder)
        self._writer = writer
        self._logs: list[LogPart] = []
        self._files: dict[str, Listed] = {}
        self._folder.make()
        names = self._folder.names()
        strange = [
            name for name in names if name not in {NOTE, FILES, f"{NOTE}.part", f"{FILES}.part", "logs", "blobs"}
        ]
        if strange:
            raise CourierFault("not-empty", str(folder), strange[0])
        if NOTE in names:
            self._own_note()
        self._folder.remove(NOTE)

    def _own_note(self) -> None:
        """What another node has put on its way is not written over."""
        try:
            match = _TEXT.match(self._folder.read(NOTE, _MOST_NOTE).decode("utf-8", "replace"))
        except CourierFault:
            return
        if match is not None and match[1] != self._writer:
            raise CourierFault("not-empty", NOTE, f"{match[1][:100]} has written this stick")

    def add(self, name: str, data: bytes) -> None:
        """Put a file on the stick. Raises CourierFault (unwritable: full, pulled out)."""
        listed = Listed(hashlib.sha256(data).digest(), len(data))
        if not self._is_there(name, listed):
            with self._folder.create(name) as file:
                file.write(data)
        self._files[name] = listed

    def add_file(self, name: str, source: BinaryIO, listed: Listed) -> None:
        """Copy a file onto the stick piece by piece. Raises CourierFault; BlobFault where the source is not what it must be."""
        if not self._is_there(name, listed):
            found, size = hashlib.sha256(), 0
            with self._folder.create(name) as file:
                while piece := source.read(_PIECE):
                    found.update(piece)
                    size += len(piece)
                    file.write(piece)
                if Listed(found.digest(), size) != listed:
                    raise BlobFault(listed.sha256.hex(), "damaged", f"{size} bytes hash to {found.hexdigest()}")
        self._files[name] = listed

    def add_log(self, part: LogPart) -> None:
        """Name a log whose files were added."""
        self._logs.append(part)

    def leave_out(self, name: str) -> None:
        """Forget the files of a log that cannot be read to its end."""
        self._files = {one: listed for one, listed in self._files.items() if not one.startswith(f"logs/{name}/")}

    def finish(self, at_ms: int, signer: Signer) -> int:
        """Write and sign the list, take away what is no longer on it; return how many bytes the stick holds."""
        contents = Contents(tuple(self._logs), self._files)
        text = bytes(contents)
        self._folder.keep_only(self._files)
        note = f"{_HEAD}\n{self._writer}\n{at_ms}\n{hashlib.sha256(text).hexdigest()}\n"
        signed = SignedNote(note, ()).with_signatures([NoteSignature.parse(str(signer.sign(note)))])
        for name, data in ((FILES, text), (NOTE, bytes(signed))):
            with self._folder.create(name) as file:
                file.write(data)
        self._folder.keep_only((*self._files, FILES, NOTE))
        return sum(one.size for one in self._files.values())

    def _is_there(self, name: str, listed: Listed) -> bool:
        try:
            with self._folder.open(name) as file:
                if file.seek(0, 2) != listed.size:
                    return False
                file.seek(0)
                found = hashlib.sha256()
                while piece := file.read(_PIECE):
                    found.update(piece)
                return found.digest() == listed.sha256
        except (CourierFault, OSError):
            return False


def open_stick(path: Path, keys: Mapping[str, VerifierKey]) -> Stick:
    """Return a stick written by one of these nodes (origin -> key). Raises CourierFault, Tampered (forged-signature)."""
    folder = StickFolder(path)
    try:
        signed = SignedNote.parse(folder.read(NOTE, _MOST_NOTE))
    except Malformed as malformed:
        raise CourierFault("unreadable", NOTE, str(malformed)) from malformed
    match = _TEXT.fullmatch(signed.text)
    if match is None:
        raise CourierFault("unreadable", NOTE, signed.text[:100])
    writer, at_ms, digest = match.groups()
    key = keys.get(writer)
    if key is None:
        raise CourierFault("unknown-writer", NOTE, writer[:100])
    lines = [line for line in signed.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if not lines or not key.verifies(signed.text, lines[0].blob):
        raise Tampered(Problem.FORGED_SIGNATURE, writer, detail=NOTE)
    text = folder.read(FILES, _MOST_LIST)
    if hashlib.sha256(text).hexdigest() != digest:
        raise CourierFault("changed", FILES, f"expected {digest}, got {hashlib.sha256(text).hexdigest()}")
    try:
        return Stick(folder, writer, int(at_ms), Contents.parse(text))
    except Malformed as malformed:
        raise CourierFault("unreadable", FILES, str(malformed)) from malformed
