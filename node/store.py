"""One SQLite file, one writer thread, group commit (存储).

What is true after `write` returns: the change is on disk (WAL, synchronous=FULL). Jobs that wait while a transaction is
being committed run together in the next one, each in its own savepoint: one fsync for all, and one job's refusal undoes
only that job. A failed commit (disk full, I/O error) fails every job of the group and changes nothing.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import apsw

from node.faultpoints import passing
from node.read_only import (
    NO_RIGHTS,
    READ_ONLY,
    RIGHTS,
    UNMERGED,
    WRITABLE,
    immutable_uri,
    is_read_only,
    no_rights,
    unmerged,
)
from sync.supervise import log_once

T = TypeVar("T")

# What one job's savepoint sets aside stays in memory up to this many bytes. SQLite's own limit is 64 KiB, and it takes memory
# in pieces of the limit: small ones cost more than the row that is written.
_SET_ASIDE = 1 << 20
if not apsw.connections():
    apsw.shutdown()
    apsw.config(apsw.SQLITE_CONFIG_STMTJRNL_SPILL, _SET_ASIDE)
    apsw.initialize()

# Versions before this one can lose WAL contents when two connections checkpoint at once.
SAFE_SQLITE = (3, 51, 3)
# Litestream holds the write lock around each of its checkpoints, as long as the disk takes for them; nothing was done yet
# when BEGIN waits, so it is simply asked again.
BUSY_MS = 5_000
LOCKED_S = 30.0
_GROUP = 1_024
_READERS = 3


@dataclass(eq=False)
class StoreFault(Exception):
    """The database cannot do its work. `what` was tried on `path`; `hint` says what a person can do.

    `cause`: full | damaged | read-only | disk | fence; "" for anything else.
    """

    what: str
    path: str
    why: str
    hint: str = ""
    cause: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.what} {self.path}: {self.why}" + (f" ({self.hint})" if self.hint else "")


class DamagedFile(StoreFault):
    """The database file has changed bytes: not the disk's momentary trouble, and nothing that trying again mends."""


# What SQLite says of the disk or the file, never of one job: it fails the whole group.
_MACHINE = (
    apsw.FullError,
    apsw.IOError,
    apsw.CorruptError,
    apsw.NotADBError,
    apsw.ReadOnlyError,
    apsw.CantOpenError,
    apsw.PermissionsError,
    apsw.NoMemError,
    apsw.BusyError,
    apsw.LockedError,
    apsw.ProtocolError,
)


def fault_of(what: str, path: Path, error: BaseException) -> StoreFault:
    """Return what an error of the database says in words, with what a person can do."""
    cause = ""
    match error:
        case apsw.FullError():
            cause = "full"
            why, hint = "the disk is full", "free space on the disk, then try again; nothing else is needed"
        case apsw.CorruptError() | apsw.NotADBError() | UnicodeDecodeError():
            hint = "stop the node and run erhai check, then erhai restore --from peers"
            return DamagedFile(what, str(path), f"the file is damaged ({error})", hint, "damaged")
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            cause = "read-only"
            why, hint = (
                f"the disk lets nothing be written ({error})",
                "check how the disk is mounted and the file's rights",
            )
        case apsw.IOError() | apsw.CantOpenError():
            cause = "disk"
            why, hint = f"the disk does not write or read ({error})", "check the disk, then try again"
        case apsw.BusyError():
            why = f"another program keeps the database locked ({error})"
            hint = "try again; if it stays so, end what else has the file open"
        case _:
            why, hint = str(error), "try again; restart the node if it stays so"
    return StoreFault(what, str(path), why, hint, cause)


def assert_sqlite() -> None:
    """Refuse to start on a library with the WAL-reset bug."""
    version = tuple(int(part) for part in apsw.sqlite_lib_version().split("."))
    if version < SAFE_SQLITE:
        raise StoreFault(
            "open", "SQLite library", f"version {apsw.sqlite_lib_version()} can lose commits", "use 3.51.3"
        )


def connect(path: Path, *, readonly: bool = False) -> apsw.Connection:
    """Open a connection with the pragmas that durability hangs on. To read works from a read-only medium too, unless a
    write-ahead log lies there. Raises StoreFault.
    """
    assert_sqlite()
    flags = apsw.SQLITE_OPEN_READONLY if readonly else apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
    try:
        return _connected(str(path), flags)
    except apsw.Error as error:
        if isinstance(error, apsw.CorruptError | apsw.NotADBError):
            raise fault_of("open", path, error) from error
        if not is_read_only(path):
            if no_rights(path.parent):
                raise StoreFault("open", str(path), f"{NO_RIGHTS} ({error})", RIGHTS, "read-only") from error
            raise StoreFault("open", str(path), str(error), "check the disk and the folder's rights") from error
        if not readonly or not path.is_file():
            raise StoreFault("open", str(path), READ_ONLY, WRITABLE, "read-only") from error
        if unmerged(path):
            raise StoreFault("open", str(path), UNMERGED, WRITABLE, "read-only") from error
    try:  # nothing can change it: SQLite needs no file beside it
        return _connected(immutable_uri(path), flags | apsw.SQLITE_OPEN_URI)
    except apsw.Error as error:
        raise fault_of("open", path, error) from error


def _connected(name: str, flags: int) -> apsw.Connection:
    db = apsw.Connection(name, flags=flags)
    try:
        db.set_busy_timeout(BUSY_MS)
        if flags & apsw.SQLITE_OPEN_READWRITE:
            db.execute("PRAGMA journal_mode=WAL")
            db.execute("PRAGMA synchronous=FULL")
            db.execute("PRAGMA wal_autocheckpoint=4000")
        db.execute("PRAGMA foreign_keys=ON")
        db.execute("PRAGMA cache_size=-32000")
    except apsw.Error:
        db.close()
        raise
    return db


def _begin(db: apsw.Connection) -> None:
    """Begin to write; another process may hold the lock for LOCKED_S. Raises apsw.Error."""
    until_s = time.monotonic() + LOCKED_S
    while True:
        try:
            db.execute("BEGIN IMMEDIATE")
        except apsw.BusyError:
            if time.monotonic() > until_s:
                raise
            time.sleep(0.02)  # where SQLite gave up without waiting
        else:
            return


@dataclass(slots=True)
class _Job:
    fn: Callable[[apsw.Connection], Any]
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Any]"
    result: Any = None
    error: BaseException | None = None


class Store:
    """The database of a node. `before_commit` and `after_commit` run on the writer thread around every commit;
    `after_rollback` when a whole group failed.
    """

    def __init__(self, path: Path) -> None:
        """Open the file and start the writer thread."""
        self.path = path
        self._db = connect(path)
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="store-read")
        self._local = threading.local()
        self._read_connections: list[apsw.Connection] = []
        self.before_commit: Callable[[apsw.Connection], None] = lambda _db: None
        self.after_commit: Callable[[], None] = lambda: None
        self.after_rollback: Callable[[], None] = lambda: None
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._closed = False
        self.broken: StoreFault | None = None
        self.failing: StoreFault | None = None  # why the last commit failed, until one succeeds: the disk or the file
        self.changed_s = (
            0.0  # when this process last committed a change, POSIX time: what a replica must have caught up with
        )

    def start(self) -> None:
        """Start the writer thread; before this only `setup` may touch the database."""
        self._thread.start()

    def setup(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run once, before `start`, in a transaction of its own."""
        db = self._db
        try:
            _begin(db)
            result = fn(db)
            db.execute("COMMIT")
        except (apsw.Error, UnicodeDecodeError) as error:
            self._roll_back()
            raise fault_of("set up", self.path, error) from error
        except BaseException:
            self._roll_back()
            raise
        return result

    async def write(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` on the writer thread inside a transaction; returns after the FULL commit."""
        if self._closed:
            raise StoreFault("write", str(self.path), "the store is closed")
        if self.broken is not None:
            raise self.broken
        loop = asyncio.get_running_loop()
        job = _Job(fn, loop, loop.create_future())
        self._jobs.put(job)
        result: T = await job.future
        return result

    async def read(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` on a read connection in a thread."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._read, fn)

    def _read(self, fn: Callable[[apsw.Connection], T]) -> T:
        db = getattr(self._local, "db", None)
        if db is None:
            db = self._local.db = connect(self.path, readonly=True)
            self._read_connections.append(db)
        try:
            db.execute("BEGIN")
            return fn(db)
        except (*_MACHINE, UnicodeDecodeError) as error:
            raise fault_of("read", self.path, error) from error
        finally:
            if db.in_transaction:
                db.execute("COMMIT")

    async def close(self) -> None:
        """Finish what waits, then close every connection."""
        self._closed = True
        self._jobs.put(None)
        await asyncio.get_running_loop().run_in_executor(None, self._thread.join)
        self._readers.shutdown(wait=True)
        for db in self._read_connections:
            db.close()
        self._db.close()

    def _run(self) -> None:
        stopping = False
        while not stopping:
            first = self._jobs.get()
            if first is None:
                return
            group = [first]
            while len(group) < _GROUP:
                try:
                    job = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if job is None:
                    stopping = True
                    break
                group.append(job)
            try:
                self._commit(group)
            except Exception as error:  # noqa: BLE001 - this thread may not end: whoever waits would wait for ever
                self.broken = StoreFault(
                    "commit", str(self.path), repr(error), "restart the node, then run erhai check"
                )
                log_once(error, f"writing {self.path}")
                for job in group:
                    job.error = job.error or self.broken
            self._release(group)

    def _commit(self, group: list[_Job]) -> None:
        db, cursor, before = self._db, self._db.cursor(), 0
        try:
            before = db.total_changes()
            _begin(db)
            for job in group:
                self._one(db, cursor, job)
            self.before_commit(db)
            passing("before-commit")
            db.execute("COMMIT")
        except Exception as error:  # noqa: BLE001 - whatever it was, nobody may wait for ever and nothing was recorded
            self._roll_back()
            self.after_rollback()
            fault = fault_of("commit", self.path, error)
            if isinstance(error, _MACHINE):
                self.failing = fault
            for job in group:
                job.error = job.error if job.error and not isinstance(job.error, apsw.Error) else fault
            return
        passing("after-commit")
        if db.total_changes() != before:
            self.changed_s, self.failing = time.time(), None
        try:
            self.after_commit()
        except OSError as error:
            # On disk, but not fenced: nothing is acknowledged, and nothing more is written until a restart has checked.
            self.broken = StoreFault(
                "fence", str(self.path), str(error), "check the disk, then restart the node", "fence"
            )
            for job in group:
                job.error = job.error or self.broken
        passing("fenced")

    def _roll_back(self) -> None:
        """Undo what is open. Where the disk fails at that too SQLite has dropped the transaction, or the next BEGIN fails
        and comes here again: nobody may wait for ever because of it.
        """
        try:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")
        except apsw.Error as error:
            log_once(error, f"rolling back {self.path}")

    @staticmethod
    def _one(db: apsw.Connection, cursor: apsw.Cursor, job: _Job) -> None:
        cursor.execute("SAVEPOINT job")
        passing("job-begun")
        try:
            job.result = job.fn(db)
        except _MACHINE:
            raise
        except Exception as error:  # noqa: BLE001 - the caller gets it; only this job is undone
            job.error = error
            cursor.execute("ROLLBACK TO job")
        cursor.execute("RELEASE job")

    @staticmethod
    def _release(group: list[_Job]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Job]] = {}
        for job in group:
            by_loop.setdefault(job.loop, []).append(job)
        for loop, jobs in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_answer, jobs)
        passing("released")


def _answer(jobs: list[_Job]) -> None:
    for job in jobs:
        if job.future.cancelled():
            continue
        if job.error is not None:
            job.future.set_exception(job.error)
        else:
            job.future.set_result(job.result)
