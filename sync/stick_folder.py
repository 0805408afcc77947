"""The files of a folder that anybody may have prepared (盘上文件): nothing beside it is read, written or waited for.

Every step is taken from an open folder to a name in it and never through a symbolic link; what is read is a regular file,
so no pipe or device keeps the reader waiting. A file takes its name only once it is whole and on the disk.
"""

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(eq=False)
class CourierFault(Exception):
    """A stick cannot be used. `why` is incomplete, unreadable, unwritable, changed, unknown-writer, not-empty or no-room;
    `what` is the file.
    """

    why: str
    what: str
    detail: str = ""

    @property
    def is_altered_list(self) -> bool:
        """Return whether the stick's list, or what it is read with, is not what its writer has signed."""
        return self.why == "changed"

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.what}" + (f" ({self.detail})" if self.detail else "")


class StickFolder:
    """One folder, by the names of files under it. Calls block on the disk: use a thread."""

    def __init__(self, path: Path) -> None:
        """Nothing is touched yet; `path` itself may be reached through links, it is the caller's word."""
        self.path = path

    def make(self) -> None:
        """Make the folder where it is not there. Raises CourierFault (unwritable)."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise CourierFault("unwritable", str(self.path), _words(error)) from error

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading. Raises CourierFault (incomplete where it is not there, unreadable)."""
        try:
            with self._at(name.rpartition("/")[0], make=False) as (folder, last):
                descriptor = os.open(name[len(last) :], _READ, dir_fd=folder)
        except FileNotFoundError as error:
            raise CourierFault("incomplete", name, _words(error)) from error
        except OSError as error:
            raise CourierFault("unreadable", name, _words(error)) from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise CourierFault("unreadable", name, "is no file")
        return os.fdopen(descriptor, "rb")

    def read(self, name: str, limit: int) -> bytes:
        """Return a file's bytes. Raises CourierFault, also (unreadable) for one over `limit` bytes."""
        with self.open(name) as file:
            try:
                data = file.read(limit + 1)
            except OSError as error:
                raise CourierFault("unreadable", name, _words(error)) from error
        if len(data) > limit:
            raise CourierFault("unreadable", name, f"over {limit} bytes")
        return data

    @contextmanager
    def create(self, name: str) -> Iterator[BinaryIO]:
        """Write a file; it is there under its name after the block, whole and on the disk, or as it was before.

        Raises CourierFault (unwritable: full, pulled out).
        """
        try:
            with self._at(name.rpartition("/")[0], make=True) as (folder, last):
                part = f"{name[len(last) :]}.part"
                with suppress(FileNotFoundError):
                    os.unlink(part, dir_fd=folder)
                try:
                    with os.fdopen(os.open(part, _WRITE, 0o644, dir_fd=folder), "wb") as file:
                        yield file
                        file.flush()
                        os.fsync(file.fileno())
                    os.rename(part, part.removesuffix(".part"), src_dir_fd=folder, dst_dir_fd=folder)
                except BaseException:
                    with suppress(OSError):
                        os.unlink(part, dir_fd=folder)
                    raise
        except OSError as error:
            raise CourierFault("unwritable", name, _words(error)) from error

    def remove(self, name: str) -> None:
        """Take away a file that lies directly in the folder, if it is there. Raises CourierFault (unwritable)."""
        try:
            (self.path / name).unlink(missing_ok=True)
        except OSError as error:
            raise CourierFault("unwritable", name, _words(error)) from error

    def names(self) -> list[str]:
        """Return what lies directly in the folder. Raises CourierFault."""
        try:
            return sorted(one.name for one in self.path.iterdir())
        except OSError as error:
            raise CourierFault("unreadable", str(self.path), _words(error)) from error

    def keep_only(self, names: Iterable[str]) -> None:
        """Remove every other file, and put the folders themselves on the disk. Raises CourierFault (unwritable)."""
        kept = set(names)
        try:
            for folder, folders, files, descriptor in os.fwalk(self.path):
                at = os.path.relpath(folder, self.path)
                linked = [one for one in folders if stat.S_ISLNK(_mode(one, descriptor))]
                for one in (*files, *linked):
                    if (one if at == "." else f"{at}/{one}") not in kept:
                        os.unlink(one, dir_fd=descriptor)
                os.fsync(descriptor)
        except OSError as error:
            raise CourierFault("unwritable", str(self.path), _words(error)) from error

    @contextmanager
    def _at(self, parent: str, *, make: bool) -> Iterator[tuple[int, str]]:
        """Open the folder of a file; yield it with the part of the name that leads there."""
        descriptor = os.open(self.path, _FOLDER)
        try:
            for step in parent.split("/") if parent else ():
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(step, 0o755, dir_fd=descriptor)
                deeper = os.open(step, _FOLDER | os.O_NOFOLLOW, dir_fd=descriptor)
                os.close(descriptor)
                descriptor = deeper
            yield descriptor, f"{parent}/" if parent else ""
        finally:
            os.close(descriptor)


def _mode(name: str, folder: int) -> int:
    return os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode


def _words(error: OSError) -> str:
    return error.strerror or str(error)
