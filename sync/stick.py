"""A stick as a folder on a disk (移动存储): written so that it may be pulled out at any moment, read so that it may lie."""

import asyncio
import hashlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import BinaryIO

from sync.blobs import BlobFault
from sync.courier import FILES, MAX_FILES, MAX_NOTE, NOTE, SUCCESSIONS, Contents, Listed, LogPart, Said, open_note
from sync.link import LinkFault, Reply
from sync.note import Signer, VerifierKey
from sync.stick_folder import CourierFault, StickFolder
from sync.tampered import Malformed

_PIECE = 1024 * 1024


class Stick:
    """A stick whose list is signed by a known node. Files are hashed when they are read."""

    def __init__(self, folder: StickFolder, writer: str, at_ms: int, contents: Contents) -> None:
        """Made by `open_stick`."""
        self.folder = folder
        self.writer = writer
        self.at_ms = at_ms
        self.logs = contents.logs
        self._files = contents.files
        self._sound: set[str] = set()

    @property
    def blobs(self) -> tuple[str, ...]:
        """Return the digests of the blobs on it, in hex."""
        return tuple(sorted(name.removeprefix("blobs/") for name in self._files if name.startswith("blobs/")))

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
        self._sound.add(name)
        return data

    def found_sound(self, name: str) -> None:
        """A file was read and hashed elsewhere: it is what is listed."""
        self._sound.add(name)

    def damages(self) -> Iterator[tuple[int, int, CourierFault | None]]:
        """Read and hash every listed file that was not read yet: (how many done, of how many, what is wrong with this one).

        Entries that are held already are never asked for: without this a damaged stick would pass for a whole one.
        """
        left = sorted(set(self._files) - self._sound)
        for number, name in enumerate(left, start=1):
            fault = None
            try:
                self._hash(name)
            except CourierFault as found:
                fault = found
            yield number, len(left), fault

    def _hash(self, name: str) -> None:
        listed = self._files[name]
        digest, size = hashlib.sha256(), 0
        with self.folder.open(name) as file:
            try:
                while size <= listed.size and (piece := file.read(_PIECE)):
                    digest.update(piece)
                    size += len(piece)
            except OSError as error:
                raise CourierFault("unreadable", name, error.strerror or str(error)) from error
        if size != listed.size or digest.digest() != listed.sha256:
            raise CourierFault("changed", name, f"expected {listed.sha256.hex()}, got {digest.hexdigest()}")


class StickLink:
    """Reads a log on a stick where a peer's sync port would be read: `get` alone, for `sync.follow.Pull`."""

    def __init__(self, stick: Stick, has_room: Callable[[], bool] = lambda: True) -> None:
        """`node` is the origin of who wrote the stick: what is wrong with it is reported under that name. It is no node's
        name, so tiles alone never freeze their writer's log: a stick may have been written while the log was healed.
        """
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
            name
            for name in names
            if name.removesuffix(".part") not in {NOTE, FILES, SUCCESSIONS} and name not in {"logs", "blobs"}
        ]
        if strange:
            raise CourierFault("not-empty", str(folder), strange[0])
        if NOTE in names:
            self._own_note()
        self._folder.remove(NOTE)

    def _own_note(self) -> None:
        """What another node has put on its way is not written over."""
        try:
            said, _ = Said.parse(self._folder.read(NOTE, MAX_NOTE))
        except (CourierFault, Malformed):
            return
        if said.writer != self._writer:
            raise CourierFault("not-empty", NOTE, f"{said.writer[:100]} has written this stick")

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
        note = Said(self._writer, at_ms, hashlib.sha256(text).hexdigest()).signed(signer)
        for name, data in ((FILES, text), (NOTE, note)):
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


def read_unlisted(path: Path, name: str, limit: int) -> bytes | None:
    """Return a file of a stick whose list was not read yet; None where it is not there. Raises CourierFault."""
    try:
        return StickFolder(path).read(name, limit)
    except CourierFault as fault:
        if fault.why == "incomplete":
            return None
        raise


def open_stick(path: Path, keys: Mapping[str, VerifierKey]) -> Stick:
    """Return a stick written by one of these nodes (origin -> key). Raises CourierFault, Tampered (forged-signature)."""
    folder = StickFolder(path)
    note = folder.read(NOTE, MAX_NOTE)
    try:
        said = open_note(note, keys)
        if said is None:
            raise CourierFault("unknown-writer", NOTE, Said.parse(note)[0].writer[:100])
    except Malformed as malformed:
        raise CourierFault("unreadable", NOTE, str(malformed)) from malformed
    text = folder.read(FILES, MAX_FILES)
    if hashlib.sha256(text).hexdigest() != said.digest:
        raise CourierFault("changed", FILES, f"expected {said.digest}, got {hashlib.sha256(text).hexdigest()}")
    try:
        return Stick(folder, said.writer, said.at_ms, Contents.parse(text))
    except Malformed as malformed:
        raise CourierFault("unreadable", FILES, str(malformed)) from malformed
