"""Blobs that are arriving in chunks (附件接收): in order, each fsynced before the answer, kept over restarts, whole or nothing.

One folder a blob and chunk root under `partial/`: two senders that disagree about the chunks do not disturb each other, and
only the whole file's SHA-256 makes either of them the blob.
"""

import hashlib
import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from sync.blob_wire import CHUNK, Chunk, chunks_of
from sync.blobs import BlobFault, BlobStore

MOST_OPEN = 64
OLD_S = 7 * 86_400.0
_PIECE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of a chunk: the blob is `complete`, or goes on with chunk `next_index`."""

    complete: bool
    next_index: int


class Parts:
    """The partial blobs of one store. Calls block on the disk: use a thread."""

    def __init__(self, store: BlobStore) -> None:
        """Make the folder; partial blobs of before are gone on with."""
        self._store = store
        self._folder = store.folder / "partial"
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)

    def next_index(self, sha256: bytes, root: bytes) -> int:
        """Return the chunk with which an upload under this root goes on."""
        try:
            return self._file(sha256, root).stat().st_size // CHUNK
        except FileNotFoundError:
            return 0

    def take(self, sha256: bytes, chunk: Chunk) -> Taken:
        """Keep a proven chunk. One that is here already, or comes too early, changes nothing.

        Raises BlobFault: wrong-digest (the whole is another file; everything of it is dropped), too-many, io.
        """
        if self._store.has(sha256):
            return Taken(complete=True, next_index=chunks_of(chunk.size))
        file = self._file(sha256, chunk.root)
        try:
            if not file.exists():
                self._make_room()
                file.touch(mode=0o600)
                _fsync(self._folder)
            held = self._cut(file)
            if chunk.index == held:
                with file.open("ab") as open_file:
                    open_file.write(chunk.data)
                    open_file.flush()
                    os.fdatasync(open_file.fileno())
                held += 1
            if held < chunks_of(chunk.size) or file.stat().st_size != chunk.size:
                return Taken(complete=False, next_index=held)
            self._finish(sha256, file)
        except OSError as error:
            raise BlobFault(sha256.hex(), "io", str(error)) from error
        return Taken(complete=True, next_index=held)

    def _file(self, sha256: bytes, root: bytes) -> Path:
        return self._folder / f"{sha256.hex()}-{root.hex()[:32]}"

    def _cut(self, file: Path) -> int:
        """Drop what a crash left of a chunk that was not whole; return how many chunks are here."""
        size = file.stat().st_size
        if size % CHUNK:
            os.truncate(file, size - size % CHUNK)
        return size // CHUNK

    def _finish(self, sha256: bytes, file: Path) -> None:
        found = hashlib.sha256()
        with file.open("rb") as whole:
            while piece := whole.read(_PIECE):
                found.update(piece)
            os.fsync(whole.fileno())
        if found.digest() != sha256:
            file.unlink()
            raise BlobFault(sha256.hex(), "wrong-digest", f"the bytes hash to {found.hexdigest()}")
        target = self._store.path(sha256)
        target.parent.mkdir(exist_ok=True, mode=0o700)
        file.replace(target)
        for folder in (target.parent, self._store.folder, self._folder):
            _fsync(folder)
        for left in self._folder.glob(f"{sha256.hex()}-*"):
            left.unlink(missing_ok=True)

    def _make_room(self) -> None:
        """Bound what senders can leave here: old partial blobs go first."""
        files = sorted(self._folder.iterdir(), key=lambda one: one.stat().st_mtime)
        old = [one for one in files if time.time() - one.stat().st_mtime > OLD_S]
        for one in old:
            one.unlink(missing_ok=True)
        if len(files) - len(old) >= MOST_OPEN:
            raise BlobFault("", "too-many", f"{MOST_OPEN} blobs are arriving already")


def free_bytes(store: BlobStore) -> int:
    """Return how much room the store's disk has."""
    return shutil.disk_usage(store.folder).free


def _fsync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
