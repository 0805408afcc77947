"""Blobs: things too large for an entry, kept as files named by their SHA-256 (附件).

A blob is either wholly there, fsynced under its hash, or not there at all: bytes arrive in `incoming/`, are hashed as they
come, and are renamed only when whole. What is read is hashed again, so a changed file is never handed out.
"""

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

MAX_BLOB = 1024 * 1024 * 1024
_PIECE = 1024 * 1024


@dataclass(eq=False)
class BlobFault(Exception):
    """A blob cannot be had or kept. `why` is missing, damaged, too-large, wrong-digest or io; `sha256` in hex."""

    sha256: str
    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"blob {self.sha256}: {self.why}" + (f" ({self.detail})" if self.detail else "")


class Incoming:
    """A blob that is arriving. Only `keep` makes it one."""

    def __init__(self, store: "BlobStore", file: BinaryIO, max_bytes: int) -> None:
        """Made by `BlobStore.incoming`."""
        self._store = store
        self._file = file
        self._hash = hashlib.sha256()
        self._max_bytes = max_bytes
        self.size = 0
        self.kept = False

    @property
    def digest(self) -> bytes:
        """Return the SHA-256 of what has arrived so far."""
        return self._hash.digest()

    def write(self, data: bytes) -> None:
        """Take more bytes, in order. Raises BlobFault (too-large, io)."""
        self.size += len(data)
        if self.size > self._max_bytes:
            raise BlobFault("", "too-large", f"over {self._max_bytes} bytes")
        self._hash.update(data)
        try:
            self._file.write(data)
        except OSError as error:
            raise BlobFault("", "io", str(error)) from error

    def keep(self, expected: bytes | None = None) -> bytes:
        """Fsync it under its SHA-256 and return that. Raises BlobFault (wrong-digest where another one was promised, io)."""
        digest = self._hash.digest()
        if expected is not None and digest != expected:
            raise BlobFault(expected.hex(), "wrong-digest", f"the bytes hash to {digest.hex()}")
        target = self._store.path(digest)
        try:
            self._file.flush()
            os.fsync(self._file.fileno())
            target.parent.mkdir(exist_ok=True, mode=0o700)
            Path(self._file.name).replace(target)
            _fsync_folder(target.parent)
            _fsync_folder(self._store.folder)
        except OSError as error:
            raise BlobFault(digest.hex(), "io", str(error)) from error
        self.kept = True
        return digest


class BlobStore:
    """The blobs of a node, in one folder. Calls block on the disk: use a thread for large ones."""

    def __init__(self, folder: Path, *, clear: bool = True) -> None:
        """Make the folder, and clear away what a crash left half received (not `clear`: a running node may be receiving).

        Raises BlobFault.
        """
        self.folder = folder
        self._incoming = folder / "incoming"
        try:
            self._incoming.mkdir(parents=True, exist_ok=True, mode=0o700)
            for left in self._incoming.iterdir() if clear else ():
                left.unlink()
        except OSError as error:
            raise BlobFault("", "io", str(error)) from error

    def path(self, sha256: bytes) -> Path:
        """Return where this blob is kept, whether it is there or not."""
        name = sha256.hex()
        return self.folder / name[:2] / name

    def has(self, sha256: bytes) -> bool:
        """Tell whether this blob is here."""
        return self.path(sha256).is_file()

    @contextmanager
    def incoming(self, max_bytes: int = MAX_BLOB) -> Iterator[Incoming]:
        """Receive a blob piece by piece; leaving without `keep` leaves no trace."""
        try:
            file = tempfile.NamedTemporaryFile(dir=self._incoming, delete=False)  # noqa: SIM115 - closed below
        except OSError as error:
            raise BlobFault("", "io", str(error)) from error
        part = Incoming(self, file, max_bytes)  # type: ignore[arg-type]  # the wrapper has every method of a BinaryIO
        try:
            yield part
        finally:
            file.close()
            if not part.kept:
                Path(file.name).unlink(missing_ok=True)

    def put(self, data: bytes) -> bytes:
        """Keep a blob and return its SHA-256; keeping it twice is one blob. Raises BlobFault."""
        digest = hashlib.sha256(data).digest()
        if not self.has(digest):
            with self.incoming() as part:
                part.write(data)
                part.keep(digest)
        return digest

    def get(self, sha256: bytes) -> bytes:
        """Return a blob, hashed again. Raises BlobFault (missing, damaged, io)."""
        with self.open(sha256) as file:
            data = file.read()
        if hashlib.sha256(data).digest() != sha256:
            raise BlobFault(sha256.hex(), "damaged", "the stored bytes have another hash")
        return data

    def open(self, sha256: bytes) -> BinaryIO:
        """Open a blob for reading; the reader checks the hash. Raises BlobFault (missing, io)."""
        try:
            return self.path(sha256).open("rb")
        except FileNotFoundError as error:
            raise BlobFault(sha256.hex(), "missing") from error
        except OSError as error:
            raise BlobFault(sha256.hex(), "io", str(error)) from error

    def check(self, sha256: bytes) -> None:
        """Hash a stored blob piece by piece. Raises BlobFault (missing, damaged, io)."""
        found = hashlib.sha256()
        with self.open(sha256) as file:
            while piece := file.read(_PIECE):
                found.update(piece)
        if found.digest() != sha256:
            raise BlobFault(sha256.hex(), "damaged", "the stored bytes have another hash")

    def set_aside(self, sha256: bytes) -> Path:
        """Move a damaged blob out of its place, as it is, so that a whole one can come into it. Raises BlobFault (io)."""
        target = self.folder / "damaged" / sha256.hex()
        try:
            target.parent.mkdir(exist_ok=True, mode=0o700)
            self.path(sha256).replace(target)
        except OSError as error:
            raise BlobFault(sha256.hex(), "io", str(error)) from error
        return target


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
