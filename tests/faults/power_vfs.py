"""A disk for SQLite and the fence on which writes stay in memory until they are synced, and what may happen to such a disk.

A power failure keeps of everything unsynced what chance keeps: nothing, all, a part in any order, sectors torn, a file that
nobody linked. Besides, the disk may be full, fail one call or several in a row, or flip a bit of what was synced. SQLite
sees it as a VFS; `sync.fence` sees it as `os`. Locks and shared memory are the real files' (they are empty), so several
connections work as on a real disk.
"""

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

import apsw

import sync.fence

SECTOR = 512


@dataclass(frozen=True, slots=True)
class Write:
    """Bytes at a place; `data` None cuts the file there."""

    at: int
    data: bytes | None


@dataclass
class Platter:
    """One file: what a reader sees, what is safe, and what happened since the last sync."""

    live: bytearray = field(default_factory=bytearray)
    safe: bytearray = field(default_factory=bytearray)
    unsynced: list[Write] = field(default_factory=list)
    linked: bool = False

    def do(self, write: Write) -> None:
        _apply(self.live, write)
        self.unsynced.append(write)

    def sync(self) -> None:
        for write in self.unsynced:
            _apply(self.safe, write)
        self.unsynced.clear()
        self.linked = True

    def after_power_failure(self, rng: Random) -> bytearray:
        """Return what is found on the disk afterwards."""
        found = bytearray(self.safe)
        kept = rng.choice(("nothing", "all", "most", "some", "few", "head", "tail"))
        pieces = [piece for write in self.unsynced for piece in _sectors(write)]
        if kept == "nothing":
            return found
        if kept in {"head", "tail"}:
            cut = rng.randrange(len(pieces) + 1)
            pieces = pieces[:cut] if kept == "head" else pieces[cut:]
        elif kept != "all":
            share = {"most": 0.9, "some": 0.5, "few": 0.1}[kept]
            pieces = [piece for piece in pieces if rng.random() < share]
        for piece in pieces:
            # One sector in twenty was being written when the power went: it holds a part, or what was not in it before.
            torn = piece.data is not None and rng.random() < 0.05
            _apply(found, _torn(piece, rng) if torn else piece)
        return found


def _apply(target: bytearray, write: Write) -> None:
    if write.data is None:
        del target[write.at :]
        return
    if len(target) < write.at:
        target.extend(bytes(write.at - len(target)))
    target[write.at : write.at + len(write.data)] = write.data


def _sectors(write: Write) -> Iterator[Write]:
    if write.data is None:
        yield write
        return
    at, end = write.at, write.at + len(write.data)
    while at < end:
        upto = min(end, at - at % SECTOR + SECTOR)
        yield Write(at, write.data[at - write.at : upto - write.at])
        at = upto


def _torn(piece: Write, rng: Random) -> Write:
    assert piece.data is not None
    cut = rng.randrange(len(piece.data) + 1)
    if rng.random() < 0.5:
        return Write(piece.at, piece.data[:cut])
    return Write(piece.at, piece.data[:cut] + rng.randbytes(len(piece.data) - cut))


Trouble = Callable[[str, str], str | None]
"""(what, file) -> "EIO", "ENOSPC" or None; what is read, write, extend, sync, truncate or delete."""


class Disk:
    """The files of one folder. `trouble` is asked at every call; `power_in` calls from now the power fails."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.folder = folder
        self.files: dict[str, Platter] = {}
        self.gone: dict[str, Platter] = {}  # deleted, the directory not synced
        self.trouble: Trouble = lambda _what, _name: None
        self.power_in: int | None = None
        self.dead = False
        self.calls = 0
        self._rng = rng
        self._found: dict[str, bytearray] = {}

    # -- calls -------------------------------------------------------------------------------------------------------

    def call(self, what: str, name: str) -> None:
        """Count a call and let it fail where it is to. Raises OSError."""
        if self.dead:
            raise OSError(errno.EIO, "the power is off")
        self.calls += 1
        if what != "read" and self.power_in is not None:
            self.power_in -= 1
            if self.power_in <= 0:
                self._fail_power(what, name)
        word = self.trouble(what, name)
        if word is not None:
            raise OSError(getattr(errno, word), f"{what} {name}")

    def _fail_power(self, what: str, name: str) -> None:
        if what == "sync" and self._rng.random() < 0.5 and name in self.files:
            self.files[name].sync()  # it had reached the disk; nobody was told
        self._found = {
            name: file.after_power_failure(self._rng)
            for name, file in (self.gone | self.files).items()
            if file.linked or self._rng.random() < 0.5
        }
        for gone in sorted(self.gone.keys() - self.files.keys()):
            if self._rng.random() < 0.5:
                self._found.pop(gone, None)
        self.dead = True
        raise OSError(errno.EIO, "the power is off")

    def power_on(self) -> None:
        """Start again with what is on the disk; the power is cut now if it has not failed yet."""
        if not self.dead:
            with suppress(OSError):
                self._fail_power("", "")
        self.files = {name: Platter(bytearray(data), data, [], linked=True) for name, data in self._found.items()}
        self.gone, self.dead, self.power_in = {}, False, None

    def sync_all(self) -> None:
        """As after a long quiet time."""
        for file in self.files.values():
            file.sync()
        self.gone.clear()

    def image(self) -> dict[str, bytes]:
        return {name: bytes(file.live) for name, file in self.files.items()}

    def put(self, image: dict[str, bytes]) -> None:
        self.files = {name: Platter(bytearray(data), bytearray(data), [], linked=True) for name, data in image.items()}
        self.gone = {}

    def flip(self, name: str, bit: int) -> None:
        """Flip one bit of what was synced."""
        for data in (self.files[name].live, self.files[name].safe):
            data[bit // 8] ^= 1 << bit % 8

    # -- files -------------------------------------------------------------------------------------------------------

    def open(self, name: str) -> Platter:
        return self.files.setdefault(name, Platter())

    def read(self, name: str, amount: int, at: int) -> bytes:
        self.call("read", name)
        return bytes(self.files[name].live[at : at + amount])

    def write(self, name: str, data: bytes, at: int) -> None:
        file = self.files[name]
        self.call("extend" if at + len(data) > len(file.live) else "write", name)
        file.do(Write(at, bytes(data)))

    def truncate(self, name: str, size: int) -> None:
        self.call("truncate", name)
        self.files[name].do(Write(size, None))

    def sync(self, name: str) -> None:
        self.call("sync", name)
        self.files[name].sync()

    def delete(self, name: str, *, synced: bool) -> None:
        self.call("delete", name)
        self.gone[name] = self.files.pop(name)
        if synced:
            del self.gone[name]


@contextmanager
def _as_sqlite(what: str) -> Iterator[None]:
    """Give an error the class that SQLite's own unix VFS gives it."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC and what == "write":
            raise apsw.FullError(str(error)) from error
        raised = apsw.IOError(str(error))
        code = {"read": "READ", "write": "WRITE", "sync": "FSYNC", "truncate": "TRUNCATE", "delete": "DELETE"}[what]
        raised.extendedresult = getattr(apsw, f"SQLITE_IOERR_{code}")
        raise raised from error


class _File:
    """A file as SQLite sees it; its bytes are the disk's."""

    disk: Disk
    name: str

    def _bind(self, disk: Disk, name: str) -> None:
        self.disk, self.name = disk, name
        disk.open(name)

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        with _as_sqlite("read"):
            return self.disk.read(self.name, amount, offset)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        with _as_sqlite("write"):
            self.disk.write(self.name, data, offset)

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        with _as_sqlite("truncate"):
            self.disk.truncate(self.name, newsize)

    def xSync(self, _flags: int) -> None:  # noqa: N802
        with _as_sqlite("sync"):
            self.disk.sync(self.name)

    def xFileSize(self) -> int:  # noqa: N802
        return len(self.disk.files[self.name].live)

    def xSectorSize(self) -> int:  # noqa: N802
        return 4_096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE

    def xFileControl(self, _op: int, _pointer: int) -> bool:  # noqa: N802
        return False


class _Main(_File, apsw.VFSFile):
    """The database itself: locks and shared memory are those of a real, empty file."""

    def __init__(self, disk: Disk, filename: Any, flags: list[int]) -> None:
        apsw.VFSFile.__init__(self, "", filename, flags)
        self._bind(disk, Path(filename.filename()).name)


class _Side(_File):
    """The write-ahead log or a rollback journal."""

    def __init__(self, disk: Disk, name: str) -> None:
        self._bind(disk, name)

    def xLock(self, _level: int) -> None:  # noqa: N802
        return

    def xUnlock(self, _level: int) -> None:  # noqa: N802
        return

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xClose(self) -> None:  # noqa: N802
        return


class PowerVFS(apsw.VFS):
    """SQLite's way to the disk."""

    def __init__(self, name: str, disk: Disk) -> None:
        super().__init__(name, "")
        self.name = name
        self._disk = disk

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        if self._disk.dead:
            raise apsw.CantOpenError("the power is off")
        if isinstance(name, apsw.URIFilename) and flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _Main(self._disk, name, flags)
        text = name.filename() if isinstance(name, apsw.URIFilename) else str(name)
        return _Side(self._disk, Path(text).name)

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: N802
        with _as_sqlite("delete"):
            name = Path(filename).name
            if name in self._disk.files:
                self._disk.delete(name, synced=syncdir)

    def xAccess(self, pathname: str, _flags: int) -> bool:  # noqa: N802
        return Path(pathname).name in self._disk.files


class PowerOs:
    """`os` for the fence: its one file is the disk's, its lock the real file's."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk
        self._names: dict[int, str] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def open(self, path: Path, flags: int, mode: int = 0o777) -> int:
        descriptor = os.open(path, flags, mode)
        if not flags & os.O_DIRECTORY:
            self._names[descriptor] = Path(path).name
            self._disk.open(Path(path).name)
        return descriptor

    def pread(self, descriptor: int, amount: int, at: int) -> bytes:
        return self._disk.read(self._names[descriptor], amount, at)

    def pwrite(self, descriptor: int, data: bytes, at: int) -> int:
        self._disk.write(self._names[descriptor], data, at)
        return len(data)

    def fsync(self, descriptor: int) -> None:
        if descriptor in self._names:
            self._disk.sync(self._names[descriptor])

    fdatasync = fsync

    def close(self, descriptor: int) -> None:
        self._names.pop(descriptor, None)
        os.close(descriptor)


@contextmanager
def powered(disk: Disk) -> Iterator[PowerVFS]:
    """Put the fence and new connections of `node.store` on this disk."""
    import node.store

    vfs = PowerVFS(f"power-{id(disk)}", disk)

    def connection(path: str, flags: int) -> apsw.Connection:
        return apsw.Connection(path, flags=flags, vfs=vfs.name)

    real_os, real = sync.fence.os, node.store.apsw
    sync.fence.os = PowerOs(disk)  # type: ignore[assignment]
    node.store.apsw = _ApswOnDisk(connection)  # type: ignore[assignment]
    try:
        yield vfs
    finally:
        sync.fence.os, node.store.apsw = real_os, real
        vfs.unregister()


class _ApswOnDisk:
    """`apsw` for `node.store`: the same but for where a connection's files are."""

    def __init__(self, connection: Callable[..., apsw.Connection]) -> None:
        self.Connection = connection

    def __getattr__(self, name: str) -> Any:
        return getattr(apsw, name)
