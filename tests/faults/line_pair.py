"""Two nodes, one pushing to the other over a line: for tests and drills."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sync.log import read_bodies, size_of
from sync.replicate import Push
from sync.status import LinkState, PeerStatus
from tests.faults.line import Line, Shape, forget_silent_ends
from tests.shell.sync_room import RoomNode, cosigned, identity_in

ENTRY = 145  # bytes of a usual entry
BROAD = Shape(rate=250_000, delay_s=0.01)  # 2 Mbit/s


def unpackable(count: int, start: int = 0, size: int = ENTRY) -> list[bytes]:
    """Entries that gzip cannot make smaller: what the line carries is what they weigh."""
    return [random.Random(seq).randbytes(size) for seq in range(start, start + count)]


@dataclass
class Sight:
    """What one push has shown of itself."""

    statuses: list[PeerStatus] = field(default_factory=list)

    def faults(self) -> set[str]:
        """Return why the link was ever said not to work."""
        good = {LinkState.CONNECTING, LinkState.SENDING, LinkState.CURRENT}
        return {one.why or one.state.value for one in self.statuses if one.state not in good}


class Pair:
    """a pushes to b over a line."""

    def __init__(self, a: RoomNode, b: RoomNode, line: Line) -> None:
        self.a, self.b, self.line = a, b, line
        self.push = self.pushing(a)

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.line.port}"

    def pushing(self, node: RoomNode, origin: str | None = None) -> Push:
        return node.push_to(self.b.keys.public(), self.url, origin)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Sight]:
        sight = Sight()
        self.push.changed = sight.statuses.append
        task = asyncio.create_task(self.push.run())
        try:
            yield sight
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def size(self) -> int:
        return await self.b.store.read(lambda db: size_of(db, self.a.origin))

    async def promised(self, size: int) -> int:
        """Wait until the receiver knows a checkpoint of this size; return how many entries it held then."""
        query = "SELECT (SELECT MAX(size) FROM promises WHERE promises.log_id = logs.log_id), size FROM logs WHERE origin = ?"
        while True:
            row = await self.b.store.read(lambda db: db.execute(query, (self.a.origin,)).fetchone())
            if row is not None and row[0] == size:
                return row[1]
            await asyncio.sleep(0.02)

    async def cosigned(self, size: int) -> None:
        await cosigned(self.a, self.b.keys.public(), size)

    async def bodies(self) -> list[bytes]:
        return await self.b.store.read(lambda db: [body for _, body in read_bodies(db, self.a.origin, 0, 1 << 40)])

    async def arrivals(self, count: int) -> list[tuple[float, int]]:
        """Watch the receiver until it holds `count` entries; return when it held how many."""
        seen: list[tuple[float, int]] = []
        size = 0
        while size < count:
            held = await self.size()
            if held > size:
                seen.append((asyncio.get_running_loop().time(), held))
                size = held
            await asyncio.sleep(0.02)
        return seen


def goodput(seen: list[tuple[float, int]]) -> float:
    """Return the bytes of entries a second between the first and the last arrival."""
    (began_s, first), (ended_s, end) = seen[0], seen[-1]
    return (end - first) * ENTRY / (ended_s - began_s)


@asynccontextmanager
async def pair_in(folder: Path, shape: Shape | None = None) -> AsyncIterator[Pair]:
    """Two nodes and a line between them."""
    folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything runs
    a_public, b_public = (identity_in(folder, name).public() for name in ("a", "b"))
    a, b = RoomNode(folder, "a", (b_public,)), RoomNode(folder, "b", (a_public,))
    await b.start()
    async with Line(b.port, shape) as line:
        yield Pair(a, b, line)
    forget_silent_ends()
    await b.stop()
    await a.stop()
