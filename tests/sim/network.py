"""A seeded network between machines: requests that are late, cut, lost, doubled, unanswered; the transport of the real tasks.

TLS is assumed to do its part: bytes that arrive are the bytes that were sent, and the peer is who it says. Everything else
may happen, also to an answer whose request was carried out.
"""

import asyncio
import gzip
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass
from random import Random
from typing import Any

from sync import link
from sync.lanes import Lane, Lanes
from sync.link import LinkFault, Reply
from sync.receiver import Ask, BrokenBodyFault, retry_after_s


@dataclass(slots=True)
class Wire:
    """One direction between two machines as it is now."""

    down: bool = False  # refused at once
    black: bool = False  # swallowed: nothing comes back, not even a refusal
    mute: bool = False  # half open: what is sent arrives, what is answered does not


@dataclass(slots=True)
class Weather:
    """What holds everywhere for one seed."""

    low_s: float = 0.001
    high_s: float = 0.02
    cut: float = 0.0  # of requests, somewhere within
    double: float = 0.0  # of requests, the second seconds later


class Body:
    """What the receiver reads of one request while it is still being sent."""

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._more = asyncio.Event()
        self._end: str | None = None

    def send(self, piece: bytes) -> None:
        self._pieces.append(piece)
        self._more.set()

    def end(self, why: str = "") -> None:
        """End the body, or cut it for a reason."""
        if self._end is None:
            self._end = why
            self._more.set()

    async def pieces(self) -> AsyncIterator[bytes]:
        while True:
            if self._pieces:
                yield self._pieces.pop(0)
            elif self._end is None:
                self._more.clear()
                await self._more.wait()
            elif self._end:
                raise BrokenBodyFault(self._end)
            else:
                return


class Net:
    """All wires, and the machines by the names under which they are dialled."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.weather = Weather()
        self.wires: dict[tuple[str, str], Wire] = defaultdict(Wire)
        self.machines: dict[str, Any] = {}
        self.requests = 0

    def clear(self) -> None:
        """Heal everything."""
        self.weather = Weather()
        self.wires.clear()

    async def delay(self) -> None:
        await asyncio.sleep(self.rng.uniform(self.weather.low_s, self.weather.high_s))


class SimLink:
    """Stands in for sync.link.PeerLink."""

    def __init__(self, net: Net, source: Any, target: str) -> None:
        self._net = net
        self._source = source
        self.node = target
        self.url = f"https://{target}"
        self.lanes = Lanes()
        self.given = 0

    async def close(self) -> None:
        """Nothing is kept."""

    def twin(self, _lane: Lane) -> "SimLink":
        return SimLink(self._net, self._source, self.node)

    async def drained(self, given: int) -> None:
        while self.given < given:  # noqa: ASYNC110 - as the real one asks the kernel
            await asyncio.sleep(0.004)

    async def get(self, path: str, *, limit: int) -> Reply:
        return await self._request("GET", path, b"", {}, limit)

    async def post(self, path: str, body: bytes, *, content_type: str, limit: int, encoding: str = "") -> Reply:
        if encoding:
            body = gzip.decompress(body)
        self._source.sends(path, body)
        liar = self._source.liar
        if liar is not None:
            body = liar.outgoing(path, body)
        return await self._request("POST", path, body, {"Content-Type": content_type}, limit)

    async def _request(self, method: str, path: str, body: bytes, headers: dict[str, str], limit: int) -> Reply:
        try:
            async with asyncio.timeout(link.PROGRESS_TIMEOUT_S):
                reply = await self._exchange(method, path, body, headers)
        except TimeoutError as error:
            raise LinkFault("silent", "no progress") from error
        if len(reply.body) > limit:
            raise LinkFault("unexpected-answer", f"over {limit} bytes")
        return reply

    async def _exchange(self, method: str, path: str, body: bytes, headers: dict[str, str]) -> Reply:
        net, rng = self._net, self._net.rng
        net.requests += 1
        wire = net.wires[self._source.name, self.node]
        await net.delay()
        if wire.black:
            await asyncio.sleep(link.CONNECT_TIMEOUT_S)
            raise LinkFault("unreachable", "timeout")
        target = net.machines[self.node]
        if wire.down or target.running is None:
            raise LinkFault("unreachable", "refused")
        cut = rng.random() < net.weather.cut
        sending = Body()
        serving = target.serve(Ask(self._source.node, method, path, headers, sending.pieces()))
        if serving is None:
            raise LinkFault("unreachable", "refused")
        try:
            await self._send(sending, body, wire, rng.randrange(3) if cut else None)
            self.given += method == "POST"
            if rng.random() < net.weather.double:
                again = Ask(self._source.node, method, path, headers, _whole(body))
                asyncio.get_running_loop().call_later(rng.uniform(0.01, 8.0), target.serve, again)
            await asyncio.wait([serving])
        finally:
            sending.end("the connection was reset")
        if serving.cancelled():
            raise LinkFault("unreachable", "reset by peer")
        answer = serving.result()
        await net.delay()
        if wire.mute:
            await asyncio.Event().wait()
        if cut or wire.down or wire.black:
            raise LinkFault("unreachable", "cut before the answer")
        return Reply(answer.status, answer.content_type, answer.body, retry_after_s(answer))

    async def _send(self, sending: Body, body: bytes, wire: Wire, cut_at: int | None) -> None:
        """Send in up to three pieces; a cut falls between them, or behind the last, where only the answer is lost."""
        size = -(-len(body) // 3) if len(body) > 300 else max(len(body), 1)
        for n, start in enumerate(range(0, len(body), size)):
            if n:
                await self._net.delay()
            if wire.down or cut_at == n:
                raise LinkFault("unreachable", "cut within the body")
            if wire.black:
                await asyncio.Event().wait()
            sending.send(body[start : start + size])
        sending.end()


async def _whole(body: bytes) -> AsyncIterator[bytes]:
    if body:
        yield body
