"""A thin, long, unreliable line between two ports of this machine (线路): shaped, cut in several ways, flapping, healed.

It carries TCP payload, not packets. What it holds is what a line of its rate and length holds: each direction takes at most
`rate` bytes a second from all connections together, in pieces of about a packet, and delivers them `delay_s` later. Both
kernels' buffers are kept small, so that a sender cannot hand a minute of work to this machine and call it sent.
"""

import asyncio
import contextlib
import random
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Self

PACKET = 1_400
_BUFFER = 8 * 1024
_BUCKET_S = 0.1  # seconds of its rate that the line makes up for: this machine may wake up late, a line never does
_LONGEST_QUEUE_S = 0.25  # seconds of its rate that the line lets wait in the kernel where that is more than _BUFFER


@dataclass(frozen=True, slots=True)
class Shape:
    """What the line can carry: bytes a second each way (0: anything), seconds one way, and how much that varies."""

    rate: int = 0
    delay_s: float = 0.0
    jitter_s: float = 0.0


THIN = Shape(rate=8_000, delay_s=0.3)  # 64 kbit/s, 600 ms there and back


class Cut(Enum):
    """How a line goes away."""

    RST = auto()  # both ends are told at once; dialling is refused
    FIN = auto()  # both ends see an orderly end; dialling is refused
    SILENT = auto()  # nobody is told, nothing passes, nothing that was open ever lives again
    FREEZE = auto()  # nothing passes; what was open goes on when the line is back


class Direction:
    """One way of the line: what it has carried, and when it is free again."""

    def __init__(self) -> None:
        self.carried = 0
        self.free_s = 0.0

    def reserve(self, size: int, shape: Shape, now_s: float) -> float:
        """Return when these bytes have left, one behind the other."""
        self.free_s = max(now_s - _BUCKET_S, self.free_s) + (size / shape.rate if shape.rate else 0.0)
        return self.free_s


class Line:
    """Carries connections from its own port to `target`. Use as a context manager."""

    def __init__(self, target: int, shape: Shape | None = None, seed: int = 1) -> None:
        self.target = target
        self._shape = shape or Shape()
        self.up, self.down = Direction(), Direction()
        self.accepted = 0  # connections
        self.broken = 0  # connections that ended while the line was whole
        self.port = 0
        self._rng = random.Random(seed)
        self._cut: Cut | None = None
        self._whole = asyncio.Event()
        self._whole.set()
        self._listener: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._open: dict[asyncio.Task[None], tuple[socket.socket, ...]] = {}

    async def __aenter__(self) -> Self:
        self._listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._deaf()
        self._end(reset=True)
        await asyncio.sleep(0)

    @property
    def shape(self) -> Shape:
        """What the line can carry; another shape holds at once, its buffers for new connections."""
        return self._shape

    @shape.setter
    def shape(self, shape: Shape) -> None:
        self._shape = shape
        if self._listener is not None:
            self._deaf()
            self._listen()

    def cut(self, how: Cut) -> None:
        """Stop carrying."""
        self._cut = how
        self._whole.clear()
        if how in {Cut.RST, Cut.FIN}:
            self._deaf()
        if how is not Cut.FREEZE:
            self._end(reset=how is Cut.RST, silent=how is Cut.SILENT)

    def heal(self) -> None:
        """Carry again."""
        self._cut = None
        self._whole.set()
        if self._listener is None:
            self._listen()

    async def flap(self, up_s: float, down_s: float, how: Cut) -> None:
        """Cut and heal until cancelled."""
        while True:
            await asyncio.sleep(up_s)
            self.cut(how)
            await asyncio.sleep(down_s)
            self.heal()

    def _listen(self) -> None:
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, PACKET)
        listener.bind(("127.0.0.1", self.port))
        listener.listen(64)
        listener.setblocking(False)
        self._listener, self.port = listener, listener.getsockname()[1]
        self._accepting = asyncio.create_task(self._accept(listener))

    @property
    def _buffer(self) -> int:
        return max(_BUFFER, int(self.shape.rate * _LONGEST_QUEUE_S)) if self.shape.rate else 1024 * 1024

    def _deaf(self) -> None:
        if self._accepting is not None:
            self._accepting.cancel()
        if self._listener is not None:
            self._listener.close()
            self._listener = None

    def _end(self, *, reset: bool, silent: bool = False) -> None:
        """End every connection; silently means that both ends keep their sockets and hear no more of it."""
        for task, sockets in self._open.items():
            task.cancel()
            for one in sockets:
                if silent:
                    _kept.append(one)
                else:
                    _close(one, reset=reset)
        self._open.clear()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            near, _ = await loop.sock_accept(listener)
            near.setblocking(False)
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.accepted += 1
            task = asyncio.create_task(self._connection(near))
            self._open[task] = (near,)

    async def _connection(self, near: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        me = asyncio.current_task()
        assert me is not None
        if self._cut is Cut.SILENT:
            self._open.pop(me, None)
            _kept.append(near)
            return
        far = socket.socket()
        far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self._buffer)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        far.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, PACKET)
        far.setblocking(False)
        self._open[me] = (near, far)
        try:
            await self._whole.wait()
            await loop.sock_connect(far, ("127.0.0.1", self.target))
            async with asyncio.TaskGroup() as both:
                both.create_task(self._carry(near, far, self.up))
                both.create_task(self._carry(far, near, self.down))
        except* OSError:
            self.broken += 1
        finally:
            if self._open.pop(me, None) is not None:
                _close(near, reset=False)
                _close(far, reset=False)

    async def _carry(self, source: socket.socket, sink: socket.socket, way: Direction) -> None:
        """Carry one way until the end of what the source sends, and tell the sink that it ended."""
        loop = asyncio.get_running_loop()
        queue: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        delivering = asyncio.create_task(self._deliver(queue, sink, way))
        try:
            while True:
                piece = await loop.sock_recv(source, PACKET if self.shape.rate else 256 * 1024)
                await self._whole.wait()
                left_s = way.reserve(len(piece), self.shape, loop.time())
                await asyncio.sleep(max(0.0, left_s - loop.time()))
                jitter_s = self._rng.uniform(0, self.shape.jitter_s)
                queue.put_nowait((left_s + self.shape.delay_s + jitter_s, piece))
                if not piece:
                    break
            await delivering
        finally:
            delivering.cancel()

    async def _deliver(self, queue: asyncio.Queue[tuple[float, bytes]], sink: socket.socket, way: Direction) -> None:
        loop = asyncio.get_running_loop()
        while True:
            at_s, piece = await queue.get()
            await asyncio.sleep(max(0.0, at_s - loop.time()))
            await self._whole.wait()
            if not piece:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, piece)
            way.carried += len(piece)


_kept: list[socket.socket] = []  # ends of connections that went silent: closing them would tell somebody


def forget_silent_ends() -> None:
    """Close what silent cuts have left open."""
    while _kept:
        _kept.pop().close()


def _close(one: socket.socket, *, reset: bool) -> None:
    if one.fileno() < 0:
        return
    loop = asyncio.get_running_loop()
    loop.remove_reader(one)
    loop.remove_writer(one)
    if reset:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    else:
        with contextlib.suppress(OSError):
            one.shutdown(socket.SHUT_WR)
    one.close()


PORTAL = b"<html><head><title>Sign in</title></head><body>Please sign in to use this network.</body></html>"


@asynccontextmanager
async def captive_portal(context: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    """A stranger who answers everything with 200 and a page, plainly or with a certificate of its own; yield its port."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: {len(PORTAL)}\r\n\r\n".encode()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(65_536):
                writer.write(head + PORTAL)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)
    async with server:
        yield server.sockets[0].getsockname()[1]
