"""Logs and files on a stick (摆渡): a folder of the same tiles that a sync port serves, with a signed list of what is there.

    erhai-courier             signed note by the writer's log key: `erhai-courier/v1`, writer, when (ms), SHA-256 of `files`
    files                     one line a file: SHA-256, bytes, name; sorted
    logs/<sha256 of origin>/  `origin`, `checkpoint` (with cosignatures), `tile/…` as C2SP tlog-tiles
    blobs/<sha256>

The list is written last, so a stick that was pulled out early has none. Nothing on a stick is believed because it is on it:
logs pass the verifier that reads a peer's log, files their own hash; the list only says whole, by whom and when.
"""

import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from sync.link import LinkFault, Reply
from sync.note import NoteSignature, SignedNote, Signer, VerifierKey
from sync.tampered import Malformed, Problem, Tampered

NOTE, FILES = "erhai-courier", "files"
_HEAD = "erhai-courier/v1"
_MOST_LIST = 64 * 1024 * 1024
_NAME = re.compile(r"(?:logs/[0-9a-f]{64}/(?:origin|checkpoint|tile/[0-9a-z/.]{1,80})|blobs/[0-9a-f]{64})", re.ASCII)
_PIECE = 1024 * 1024


@dataclass(eq=False)
class CourierFault(Exception):
    """A stick cannot be used. `why` is incomplete, unreadable, unwritable, changed, unknown-writer or not-empty; `what` is
    the file.
    """

    why: str
    what: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.what}" + (f" ({self.detail})" if self.detail else "")


@dataclass(frozen=True, slots=True)
class Listed:
    """One file on a stick."""

    sha256: bytes
    size: int


@dataclass(frozen=True, slots=True)
class Stick:
    """A stick whose list is signed by a known node. Files are hashed when they are read."""

    folder: Path
    writer: str
    at_ms: int
    files: Mapping[str, Listed]

    @property
    def logs(self) -> tuple[str, ...]:
        """Return the names (hashes of origins) of the logs on it."""
        return tuple(sorted({name.split("/")[1] for name in self.files if name.startswith("logs/")}))

    @property
    def blobs(self) -> tuple[str, ...]:
        """Return the digests of the blobs on it, in hex."""
        return tuple(sorted(name.split("/")[1] for name in self.files if name.startswith("blobs/")))

    def read(self, name: str, limit: int) -> bytes | None:
        """Return a listed file's bytes; None where it is not listed. Raises CourierFault where it is not what is listed."""
        listed = self.files.get(name)
        if listed is None:
            return None
        if listed.size > limit:
            raise CourierFault("changed", name, f"{listed.size} bytes, {limit} are allowed")
        try:
            with (self.folder / name).open("rb") as file:
                data = file.read(limit + 1)
        except OSError as error:
            raise CourierFault("unreadable", name, error.strerror or str(error)) from error
        got = hashlib.sha256(data).digest()
        if got != listed.sha256:
            raise CourierFault("changed", name, f"expected {listed.sha256.hex()}, got {got.hex()}")
        return data


class StickLink:
    """Reads a log on a stick where a peer's sync port would be read: `get` alone, for `sync.follow.Pull`."""

    def __init__(self, stick: Stick) -> None:
        """`node` is who wrote the stick: whatever is wrong with it is reported under that name."""
        self._stick = stick
        self.node = stick.writer
        self.url = str(stick.folder)

    async def get(self, path: str, *, limit: int) -> Reply:
        """Return a file as a sync port would answer. Raises LinkFault for one that is not what is listed."""
        name = "logs/" + path.removeprefix("/log/")
        try:
            data = self._stick.read(name, limit)
        except CourierFault as fault:
            raise LinkFault("unexpected-answer", str(fault)) from fault
        return Reply(404, "", b"") if data is None else Reply(200, "", data)

    async def close(self) -> None:
        """Nothing is open."""


class StickWriter:
    """Writes a stick; what an interrupted run has left there whole is not written again."""

    def __init__(self, folder: Path) -> None:
        """Make the folder. Raises CourierFault where it holds anything else than a stick's files."""
        self._folder = folder
        self._files: dict[str, Listed] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            strange = [one.name for one in folder.iterdir() if one.name not in {NOTE, FILES, "logs", "blobs"}]
            if strange:
                raise CourierFault("not-empty", str(folder), strange[0])
            (folder / NOTE).unlink(missing_ok=True)
        except OSError as error:
            raise CourierFault("unwritable", str(folder), error.strerror or str(error)) from error

    def add(self, name: str, data: bytes) -> None:
        """Put a file on the stick. Raises CourierFault (unwritable: full, pulled out)."""
        listed = Listed(hashlib.sha256(data).digest(), len(data))
        self._files[name] = listed
        if self._is_there(name, listed):
            return
        with self._writing(name) as target, target.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())

    def add_file(self, name: str, source: Path, sha256: bytes) -> None:
        """Copy a file onto the stick piece by piece."""
        listed = Listed(sha256, source.stat().st_size)
        if not self._is_there(name, listed):
            found = hashlib.sha256()
            with self._writing(name) as target, source.open("rb") as whole, target.open("wb") as file:
                while piece := whole.read(_PIECE):
                    found.update(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
                if found.digest() != sha256:
                    raise CourierFault("changed", str(source), f"hashes to {found.hexdigest()}")
        self._files[name] = listed

    def finish(self, writer: str, at_ms: int, signer: Signer) -> int:
        """Write and sign the list, take away what is no longer on it; return how many bytes the stick holds."""
        lines = [f"{one.sha256.hex()} {one.size} {name}\n" for name, one in sorted(self._files.items())]
        text = "".join(lines).encode()
        for left in self._folder.rglob("*"):
            name = left.relative_to(self._folder).as_posix()
            if left.is_file() and name not in self._files:
                left.unlink()
        note = f"{_HEAD}\n{writer}\n{at_ms}\n{hashlib.sha256(text).hexdigest()}\n"
        signed = SignedNote(note, ()).with_signatures([NoteSignature.parse(str(signer.sign(note)))])
        for name, data in ((FILES, text), (NOTE, bytes(signed))):
            with self._writing(name) as target, target.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        return sum(one.size for one in self._files.values())

    def _is_there(self, name: str, listed: Listed) -> bool:
        path = self._folder / name
        try:
            if path.stat().st_size != listed.size:
                return False
            with path.open("rb") as file:
                return hashlib.file_digest(file, "sha256").digest() == listed.sha256
        except OSError:
            return False

    def _writing(self, name: str) -> "_Placed":
        return _Placed(self._folder / name)


class _Placed:
    """A file that takes its name only once it is whole."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")

    def __enter__(self) -> Path:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourierFault("unwritable", str(self._path), error.strerror or str(error)) from error
        return self._part

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            self._part.unlink(missing_ok=True)
            raise CourierFault("unwritable", str(self._path), error.strerror or str(error)) from error
        if kind is None:
            self._part.replace(self._path)


def open_stick(folder: Path, keys: Mapping[str, VerifierKey]) -> Stick:
    """Return a stick written by one of these nodes (origin -> key). Raises CourierFault, Tampered (forged-signature)."""
    note = _read(folder / NOTE, 65_536)
    text = _read(folder / FILES, _MOST_LIST)
    try:
        signed = SignedNote.parse(note)
        head, writer, at_ms, digest = signed.text.removesuffix("\n").split("\n")
    except (Malformed, ValueError) as error:
        raise CourierFault("unreadable", NOTE, str(error)) from error
    key = keys.get(writer)
    if key is None:
        raise CourierFault("unknown-writer", NOTE, writer[:100])
    if head != _HEAD or not at_ms.isdigit() or len(at_ms) > 15:
        raise CourierFault("unreadable", NOTE, head[:100])
    lines = [line for line in signed.signatures if (line.name, line.key_id) == (key.name, key.key_id)]
    if not lines or not key.verifies(signed.text, lines[0].blob):
        raise Tampered(Problem.FORGED_SIGNATURE, writer, detail=NOTE)
    if hashlib.sha256(text).hexdigest() != digest:
        raise CourierFault("changed", FILES, f"expected {digest}, got {hashlib.sha256(text).hexdigest()}")
    return Stick(folder, writer, int(at_ms), dict(_listed(text)))


def _listed(text: bytes) -> Iterator[tuple[str, Listed]]:
    for line in text.decode("ascii", "replace").splitlines():
        parts = line.split(" ")
        if len(parts) != 3 or not _NAME.fullmatch(parts[2]) or ".." in parts[2] or not parts[1].isdigit():
            raise CourierFault("unreadable", FILES, line[:100])
        try:
            yield parts[2], Listed(bytes.fromhex(parts[0]), int(parts[1]))
        except ValueError as error:
            raise CourierFault("unreadable", FILES, line[:100]) from error


def _read(path: Path, limit: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
    except FileNotFoundError as error:
        raise CourierFault("incomplete", path.name, "there is no finished export in this folder") from error
    except OSError as error:
        raise CourierFault("unreadable", path.name, error.strerror or str(error)) from error
    if len(data) > limit:
        raise CourierFault("unreadable", path.name, f"over {limit} bytes")
    return data
