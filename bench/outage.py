"""How we come back: a line that was cut, and a neighbour that was killed, with many entries waiting (断线与重启).

Times are counted from the moment at which the line is whole again, or at which the neighbour's process is started, to the
first entry that it says it holds, and to its cosignature over all of them, verified here.
"""

import asyncio
import datetime as dt
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.child import Child
from bench.setup_node import AT_MS, PREFECTURE, entry, make_node, opened, origin_of
from node.node import Node
from node.start import KEYS
from sync.certs import make_authority
from sync.keys import load_identity
from sync.link import PeerLink
from sync.log import head
from sync.merkle import leaf_hash
from sync.replicate import Push, RemoteNode, push_log
from sync.status import PeerStatus

STEP = 1_000  # entries a transaction
WARM = 1_000  # entries that are over before anything is cut


@dataclass(frozen=True, slots=True)
class Outage:
    """What is broken: `how` is cut or restart, for at least `seconds`, with `count` entries made meanwhile."""

    how: str
    seconds: float
    count: int


@dataclass(frozen=True, slots=True)
class Back:
    """Seconds to the first entry and to all of them; `ready_s` until a restarted receiver listened, 0 for a cut."""

    first_s: float
    all_s: float
    ready_s: float = 0.0


class Sender:
    """A real node in this process that pushes its log to one neighbour."""

    def __init__(self, folder: Path, port: int, name: str = "from", peer: str = "to") -> None:
        """Open the node under `folder`; nothing is pushed before `running`."""
        self.name = name
        self.node: Node = opened(folder / name, name, folder / peer)
        link = PeerLink(
            url=f"https://127.0.0.1:{port}", node=peer, prefecture=PREFECTURE, context=self.node.keys.client_context()
        )
        remote = RemoteNode(peer, load_identity(folder / peer / KEYS).cosigner.vkey)
        origin = origin_of(name)
        self.push: Push = push_log(link, self.node.store, origin=origin, peer=remote, now_ms=lambda: AT_MS)
        self.size = self.node.recorder.log.size

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Push inside the block; the node is closed after it."""
        task = asyncio.create_task(self.push.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await self.node.close()

    async def append(self, count: int) -> None:
        """Record entries durably, STEP a transaction, each transaction signed, and tell the push."""
        for start in range(self.size, self.size + count, STEP):
            bodies = [
                entry(origin_of(self.name), self.name, seq)
                for seq in range(start, min(start + STEP, self.size + count))
            ]
            leaves = [leaf_hash(body) for body in bodies]
            await self.node.store.write(lambda _db, b=bodies, k=leaves: self.node.recorder.log.extend(b, k))  # type: ignore[misc]
            self.push.notify()
        self.size += count

    async def cosigned(self) -> int:
        """Return how many entries the neighbour is known to hold."""
        held = await self.node.store.read(lambda db: head(db, origin_of(self.name)))
        return max((one.size for one in held.cosignatures), default=0)

    async def all_cosigned(self, timeout_s: float = 120.0) -> float:
        """Wait until the neighbour has cosigned all; return when, on the monotonic clock."""
        async with asyncio.timeout(timeout_s):
            while await self.cosigned() < self.size:  # noqa: ASYNC110 - another task's words, in the database
                await asyncio.sleep(0.01)
        return time.monotonic()

    def first_after(self) -> "asyncio.Future[float]":
        """Return when the neighbour first says that it holds more than is known now."""
        found: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        before = self.push.status.entries_behind

        def look(status: PeerStatus) -> None:
            nonlocal before
            if status.entries_behind < before and not found.done():
                found.set_result(time.monotonic())
            before = max(before, status.entries_behind)

        self.push.changed = look
        return found


def make_pair(folder: Path) -> None:
    """Make the sender `from` and the neighbour `to`."""
    authority = make_authority(PREFECTURE, dt.datetime.now(dt.UTC))
    for name in ("from", "to"):
        make_node(folder / name, name, authority)


def neighbour(folder: Path, port: int = 0, *, wait: bool = True) -> Child:
    """Start the neighbour's process."""
    return Child("bench.receiver", str(folder / "to"), str(folder / "from"), str(port), wait=wait)


async def fresh(folder: Path, count: int) -> float:
    """Return entries a second that a neighbour which has nothing stores (FULL) and cosigns, over loopback mTLS.

    The sender's log under `folder`/from is already there.
    """
    with neighbour(folder) as receiver:
        sender = Sender(folder, receiver.hello["port"])
        began = time.monotonic()
        async with sender.running():
            return count / (await sender.all_cosigned() - began)


async def ours(folder: Path, outage: Outage) -> Back:
    """Measure one outage."""
    make_pair(folder)
    receiver = neighbour(folder)
    port = receiver.hello["port"]
    try:
        with Child("bench.carrier", str(port)) as line:
            sender = Sender(folder, line.hello["port"])
            async with sender.running():
                await sender.append(WARM)
                await sender.all_cosigned()
                began = time.monotonic()
                if outage.how == "cut":
                    line.tell(cut="RST")
                else:
                    receiver.kill()
                await sender.append(outage.count)
                await asyncio.sleep(max(0.0, outage.seconds - (time.monotonic() - began)))
                first = sender.first_after()
                began = time.monotonic()
                if outage.how == "cut":
                    line.tell(heal=True)
                else:
                    receiver = neighbour(folder, port, wait=False)
                all_s = await sender.all_cosigned() - began
                first_s = (await first) - began
                ready_s = receiver.read()["at_s"] - began if outage.how == "restart" else 0.0
                return Back(first_s, all_s, ready_s)
    finally:
        receiver.kill()
