"""A node's own log on a simulated disk: the real store, recorder, fence and gate, the writer thread's work done inline."""

import errno
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import apsw

import node.store
from node.check import Difference, check_file, check_log
from node.clock import FixedClock
from node.recorder import Recorder
from node.settings import Settings
from node.store import Store
from sync.codec import Entry, encode
from sync.fence import Behind, Fence, Gate, Rollback
from sync.gate import check_start
from sync.keys import NodeKeys
from sync.log import LOG_SCHEMA, head, instance_id, open_log, read_bodies
from sync.note import Signer
from tests.faults.power_vfs import Disk

ORIGIN = "drill.erhai/532924/room-1/a/e1"
SIGNER = Signer.from_seed(ORIGIN, b"\x01" * 32)
AT_MS = 1_772_000_000_000


def body_of(seq: int, word: str) -> bytes:
    """Return an entry; `word` makes two tries at one place different."""
    return encode(
        Entry(
            version=1,
            origin=ORIGIN,
            seq=seq,
            at_ms=AT_MS + seq,
            clock_quality="synchronised",
            stream=f"lot/L-{seq % 7}",
            command_id=seq.to_bytes(16, "big"),
            actor="operator:O-01",
            events=(("incident.recorded", 1, (seq, word * (seq % 23))),),
            evidence=(),
        )
    )


class _Loop:
    """Answers at once, in the writer's own thread."""

    def is_closed(self) -> bool:
        return False

    def call_soon_threadsafe(self, fn: Callable[..., None], *args: Any) -> None:
        fn(*args)


class Answer:
    """What one caller was told: a result, an error, or nothing yet."""

    def __init__(self) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self.told = False

    def cancelled(self) -> bool:
        return False

    def set_result(self, result: Any) -> None:
        self.result, self.told = result, True

    def set_exception(self, error: BaseException) -> None:
        self.error, self.told = error, True


def create(disk: Disk) -> None:
    """Make database and fence, as enrolment does."""
    db = node.store.connect(disk.folder / "erhai.db")
    db.execute(LOG_SCHEMA)
    open_log(db, ORIGIN)
    instance = instance_id(db)
    db.close()
    Fence.create(disk.folder / "fence", instance=instance, origin=ORIGIN).close()
    disk.sync_all()


class PowerNode:
    """One run of the node, from power on to power off."""

    def __init__(self, disk: Disk, *, checkpoint_pages: int = 25) -> None:
        """Open fence and database. Raises what they raise; `gate` must pass before anything is appended."""
        self.disk = disk
        self.fence = Fence.open(disk.folder / "fence")
        self.store: Store | None = None
        try:
            self.store = Store(disk.folder / "erhai.db")
            self.db: apsw.Connection = self.store._db
            self.db.execute(f"PRAGMA wal_autocheckpoint={checkpoint_pages}")
            keys = NodeKeys.__new__(NodeKeys)
            object.__setattr__(keys, "log_signer", SIGNER)
            settings = Settings(
                role="county",
                node="a",
                origin=ORIGIN,
                data=Path(),
                pages_port=1,
                sync_port=2,
                centre_name="演练",
                room_name="演练室",
            )
            self.recorder = Recorder(settings, keys, self.fence, FixedClock(AT_MS), ())
            self.store.setup(self._prepare)
        except BaseException:
            self.close()
            raise
        self.store.before_commit = self.recorder.before_commit
        self.store.after_commit = self.recorder.after_commit
        self.store.after_rollback = self.recorder.after_rollback

    def _prepare(self, db: apsw.Connection) -> None:
        db.execute(LOG_SCHEMA)
        self.recorder.open(db)

    def gate(self) -> Gate:
        """Let the real gate decide, and move the fence where it lags."""
        assert self.store is not None
        verdict = self.store.setup(lambda db: check_start(db, self.fence, SIGNER.vkey))
        if isinstance(verdict, Behind):
            self.fence.advance(verdict.to)
        return verdict

    def group(self, words: Sequence[str]) -> list[Answer]:
        """Let so many callers append in one group; answers may be missing only where nobody was told."""
        assert self.store is not None
        answers = []
        for word in words:
            answer = Answer()
            answers.append(answer)

            def append(_db: apsw.Connection, word: str = word) -> tuple[int, bytes]:
                log = self.recorder.log
                body = body_of(log.size, word)
                return log.append(body), body

            job = node.store._Job(append, _Loop(), answer)  # type: ignore[arg-type]
            if self.store.broken is not None:
                answer.set_exception(self.store.broken)
            else:
                self.store._jobs.put(job)
        self.store._jobs.put(None)
        try:
            self.store._run()
        except Exception as error:
            raise AssertionError("the writer thread is dead, its callers wait for ever") from error
        return answers

    def bodies(self) -> dict[int, bytes]:
        return dict(read_bodies(self.db, ORIGIN, 0, 2**40))

    def size(self) -> int:
        return head(self.db, ORIGIN).size

    def differences(self) -> list[Difference]:
        return check_file(self.db) + check_log(self.db, ORIGIN, SIGNER.vkey)

    def close(self) -> None:
        """End, as a process ends: the lock goes, files are closed as well as they can be."""
        if self.store is not None:
            try:
                self.store._db.close()
            except (apsw.Error, OSError):
                if not self.disk.dead:
                    raise
        try:
            self.fence.close()
        except OSError as error:
            if error.errno != errno.EBADF:
                raise


def stopped(verdict: Gate) -> str:
    """Return the gate's cause, or nothing."""
    return verdict.cause if isinstance(verdict, Rollback) else ""


def accepted(power: PowerNode, count: int, word: str = "x") -> list[int]:
    answers = power.group([f"{word}{i} " for i in range(count)])
    assert [answer.error for answer in answers] == [None] * count
    return [answer.result[0] for answer in answers]
