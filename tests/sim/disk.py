"""A machine's disk: its database in memory, its fence as a real file; images of both; the real store without its threads.

A crash loses what was not committed and nothing else. What a disk may do besides: be full for a while, fail to read, be put
back to an old image with or without the fence.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import apsw

import node.store
from sync.fence import Fence
from sync.log import LOG_SCHEMA, instance_id, open_log


class Crash(BaseException):
    """The machine dies here. Not an Exception: nobody handles a power cut."""


@dataclass(frozen=True, slots=True)
class Image:
    """A copy of a disk at some moment."""

    database: bytes
    fence: bytes


class Disk:
    """What survives a crash. `generation` counts how often it was put back: what it held before may be gone."""

    def __init__(self, fence: Path, origin: str) -> None:
        self.fence_path = fence
        self.origin = origin
        self.generation = 0
        self.full_until_s = 0.0
        self.read_faults = 0.0
        self.db = apsw.Connection(":memory:")
        self.db.execute("PRAGMA foreign_keys=ON")
        self.db.execute(LOG_SCHEMA)
        open_log(self.db, origin)
        if not fence.exists():
            Fence.create(fence, instance=instance_id(self.db), origin=origin).close()

    def image(self) -> Image:
        return Image(self.db.serialize("main"), self.fence_path.read_bytes())

    def put_back(self, image: Image, *, fence: bool) -> None:
        """Replace the database by an older one, as a restore does; the fence only where it lay in the backup too."""
        self.generation += 1
        self.db = apsw.Connection(":memory:")
        self.db.deserialize("main", image.database)
        self.db.execute("PRAGMA foreign_keys=ON")
        if fence:
            self.fence_path.write_bytes(image.fence)

    def copy(self, fence: Path) -> "Disk":
        """Return a copy in another machine, as a cloned disk image is: database and fence."""
        image = self.image()
        fence.write_bytes(image.fence)
        other = Disk(fence, self.origin)
        other.put_back(image, fence=False)
        return other


class SimStore(node.store.Store):
    """The real store, its writer thread's work done inline a little after it was asked for."""

    def __init__(self, disk: Disk, rng: Random, *, crashed: Callable[[], None], committed: Callable[[], None]) -> None:
        self._disk = disk
        self._rng = rng
        self._crashed = crashed
        self._committed = committed
        self._due = False
        self.dead = False
        connect = node.store.connect
        node.store.connect = lambda *_args, **_kwargs: disk.db
        try:
            super().__init__(Path(f"{disk.origin}.db"))
        finally:
            node.store.connect = connect
        self._local = threading.local()
        self._local.db = disk.db

    def start(self) -> None:
        """No thread."""

    @property
    def waiting(self) -> int:
        return self._jobs.qsize()

    async def write(self, fn: Callable[[apsw.Connection], Any]) -> Any:
        if not self._due:
            self._due = True
            delay_s = self._rng.choice((0.0005, 0.002, 0.002, 0.02))
            asyncio.get_running_loop().call_later(delay_s, self._turn)
        return await super().write(fn)

    def _turn(self) -> None:
        """Commit what waits as one group, by the real code."""
        self._due = False
        if self.dead:
            return
        self._jobs.put(None)
        try:
            self._run()
        except Crash:
            if self._disk.db.in_transaction:
                self._disk.db.execute("ROLLBACK")
            self._crashed()
        finally:
            self._committed()

    def _read(self, fn: Callable[[apsw.Connection], Any]) -> Any:
        if self._rng.random() < self._disk.read_faults:
            raise apsw.IOError("simulated")
        return super()._read(fn)
