"""One peer's sync port as seen from here: requests that end, answers that are bounded, faults with a reason (链路).

The peer is named in the TLS handshake, so nothing is ever sent to another node. A link is judged by progress: a request
fails when nothing was acknowledged and nothing came for PROGRESS_TIMEOUT_S, however long the whole of it takes. Bytes that
wait in a kernel's buffer are no progress; the kernel is asked what the other side has acknowledged. After a fault nothing of
the old connections is used again. Redirects are not followed.
"""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, Protocol

import aiohttp

from sync.certs import JudgedContext, PeerNotAdmitted, node_host
from sync.lanes import PIECE, Lane, Lanes
from sync.pace import Flow
from sync.standing import WHY

PROGRESS_TIMEOUT_S = 8
CONNECT_TIMEOUT_S = 6  # also of the handshake: 9,600 bit/s need five seconds for it
_PATIENCE = 8  # times PROGRESS_TIMEOUT_S that a peer which takes everything and answers late is waited for, at most
_SUSPECT_S = 2.5  # silence to what is sent again until a new connection is tried: TCP itself waits longer and longer
_LATE_S = 300.0  # how long it is remembered that a peer answers late
_SEND_BUFFER = 256 * 1024
_PULSE_S = 0.1  # how often the kernel is asked what was acknowledged
# linux/tcp.h: retransmits, snd_mss, unacked, bytes_acked, bytes_received, notsent_bytes, min_rtt, delivery_rate
_TCP_INFO = struct.Struct("2x B 13x I 4x I 92x Q Q 8x I I 8x Q")
_MAX_PACING_RATE = 47  # asm-generic/socket.h; bytes a second
_UNPACED = 0xFFFF_FFFF
_THIN = (
    64_000  # bytes/s below which packets leave spaced out: a burst of them would not fit the queue before a thin line
)
_PACKET = 1_400
_PIECE_S = 0.25  # of the observed rate: a piece is a TLS record, and the peer sees none of it before all of it is there
_TELLING = 8 * 1024  # bytes from which on a body tells the rate
_KEEPALIVE = (  # a peer that is gone is found within about PROGRESS_TIMEOUT_S, also while a late answer is awaited
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 3),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 2),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
)


@dataclass(eq=False)
class LinkFault(Exception):
    """A peer was not reached, or did not answer as a peer does. `why` is unreachable, silent, foreign-certificate or not-tls
    (somebody else answers, such as the sign-in page of a network), peer-certificate (it is the peer, and it does not count
    now), own-certificate (the peer says that ours does not), refused (it said no), busy (it said later) or
    unexpected-answer; `retry_after_s` where it named a time.
    """

    why: str
    detail: str = ""
    retry_after_s: int | None = None

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer, read to its end."""

    status: int
    content_type: str
    body: bytes
    retry_after_s: int | None = None

    def text(self) -> str:
        """Return the start of the body as one line, for a report."""
        return self.body[:200].decode("utf-8", "replace").strip().replace("\n", " ")

    def unexpected(self) -> LinkFault:
        """Return the fault that this answer is where it has no place."""
        said = self.body[:64].decode("ascii", "replace").strip()
        if self.status == 403 and said.removeprefix("certificate: ") in WHY:
            return LinkFault("own-certificate", said.removeprefix("certificate: "))
        if self.status in {429, 503}:
            return LinkFault("busy", self.text(), self.retry_after_s)
        if self.status in {403, 404, 413, 422, 507}:
            return LinkFault("refused", f"{self.status} {self.text()}", self.retry_after_s)
        return LinkFault("unexpected-answer", f"{self.status} {self.content_type} {self.text()}")


class Whereabouts(Protocol):
    """Where peers without a configured address may be dialled: hints, and what became of them."""

    def where(self, node: str) -> str:
        """Return an address to try, https; "" where none is known."""

    def proved(self, node: str, url: str) -> None:
        """The node answered at this address."""

    def failed(self, node: str, url: str, why: str) -> None:
        """It did not; `why` as in LinkFault."""


class PeerLink:
    """Requests to one peer over kept connections, two at most. Use within one event loop."""

    def __init__(
        self,
        *,
        url: str,
        node: str,
        prefecture: str,
        context: ssl.SSLContext,
        lanes: Lanes | None = None,
        lane: Lane = Lane.ENTRIES,
        whereabouts: Whereabouts | None = None,
    ) -> None:
        """`url` is where to dial, https only; `node` is who must answer; `lanes` is shared by all links to this peer.

        Without `url` each request dials where `whereabouts` says: who answers is proven by the handshake either way.
        """
        if not url.startswith("https://") and (url or whereabouts is None):
            raise ValueError(url)
        self._whereabouts = None if url else whereabouts
        self.url = url.rstrip("/")
        self.node = node
        self.lanes = Lanes() if lanes is None else lanes
        self.given = 0  # bodies that were handed over whole
        self._lane = lane
        self._prefecture = prefecture
        self._context = context
        self._judge = context.judge if isinstance(context, JudgedContext) else None
        self._judged = 0  # the judge's version when the connections were made
        self._session: aiohttp.ClientSession | None = None
        self._sockets: dict[socket.socket, tuple[int, int]] = {}  # bytes acknowledged and received at the last look
        self.outstanding = False  # whether anything was not acknowledged at the last look
        self.unheard = False  # whether something was sent again then, and not answered
        self._piece = _PACKET
        self._flow = Flow()
        self._late = 0  # answers that were given up lately, all bytes being acknowledged
        self._late_s = 0.0  # when an answer was last late
        self._unconnected = 0  # dials in a row that were not answered
        self._dialled_s: float | None = None  # how long the last handshake took

    def twin(self, lane: Lane) -> "PeerLink":
        """Return another link to this peer, with connections of its own: nothing waits behind what the other one sends."""
        return PeerLink(
            url=self.url,
            node=self.node,
            prefecture=self._prefecture,
            context=self._context,
            lanes=self.lanes,
            lane=lane,
            whereabouts=self._whereabouts,
        )

    async def close(self) -> None:
        """Drop the connections; the next request makes another."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    async def get(self, path: str, *, limit: int) -> Reply:
        """Return the answer to a GET, its body at most `limit` bytes. Raises LinkFault."""
        return await self._request("GET", path, limit=limit)

    async def post(self, path: str, body: bytes, *, content_type: str, limit: int, encoding: str = "") -> Reply:
        """Return the answer to a POST. Raises LinkFault."""
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
        if encoding:
            headers["Content-Encoding"] = encoding
        return await self._request("POST", path, limit=limit, body=body, headers=headers)

    async def put(self, path: str, body: bytes, *, content_type: str, limit: int) -> Reply:
        """Return the answer to a PUT. Raises LinkFault."""
        headers = {"Content-Type": content_type, "Content-Length": str(len(body))}
        return await self._request("PUT", path, limit=limit, body=body, headers=headers)

    async def drained(self, given: int) -> None:
        """Return when `given` bodies were handed over and what is left of them fills the line no more."""
        pause_s = _PULSE_S / 100
        while self.given < given or not all(one.leaving for one in self._look()):
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _PULSE_S / 5)

    async def _request(
        self, method: str, path: str, *, limit: int, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        found = self._whereabouts
        if found is None:
            return await self._dial(self.url, method, path, limit=limit, body=body, headers=headers)
        url = found.where(self.node)
        if not url:
            raise LinkFault("unreachable", "not found on this network yet")
        try:
            reply = await self._dial(url, method, path, limit=limit, body=body, headers=headers)
        except LinkFault as fault:
            found.failed(self.node, url, fault.why)
            raise
        found.proved(self.node, url)
        return reply

    async def _dial(
        self, url: str, method: str, path: str, *, limit: int, body: bytes | None, headers: dict[str, str] | None
    ) -> Reply:
        if self._judge is not None and self._judge.version != self._judged:
            self._judged = self._judge.version
            await self.close()  # kept connections were judged by an older list
        began_s = asyncio.get_running_loop().time()
        if began_s - self._late_s > _LATE_S:
            self._late = 0
        patience_s = PROGRESS_TIMEOUT_S * min(_PATIENCE, 2**self._late)
        dial_s = self._dial_s()
        try:
            async with asyncio.timeout(patience_s) as quiet:
                pulse = _Pulse(self, quiet, patience_s, suspicious=body is not None)
                try:
                    async with self._open().request(
                        method,
                        f"{url}{path}",
                        data=None if body is None else self._pieces(body, pulse),
                        headers=headers,
                        allow_redirects=False,
                        server_hostname=self._host,
                        timeout=aiohttp.ClientTimeout(total=None, sock_connect=dial_s),
                    ) as response:
                        reply = await _read(response, limit, pulse)
                finally:
                    pulse.stop()
        except aiohttp.ClientConnectorCertificateError as error:
            if isinstance(error.certificate_error, PeerNotAdmitted) and error.certificate_error.why:
                raise await self._fault("peer-certificate", error.certificate_error.why) from error
            raise await self._fault("foreign-certificate", str(error.certificate_error)) from error
        except aiohttp.ClientConnectorSSLError as error:
            raise await self._fault("not-tls", str(error.os_error)) from error
        except aiohttp.ClientConnectorError as error:
            self._unconnected = 0
            raise await self._fault("unreachable", str(error.os_error)) from error
        except aiohttp.ConnectionTimeoutError as error:
            self._unconnected += 1
            raise await self._fault("unreachable", f"no answer within {dial_s} s") from error
        except TimeoutError as error:
            if not self.outstanding and not pulse.overtaken:
                self._late, self._late_s = self._late + 1, asyncio.get_running_loop().time()
            detail = "a new connection is answered" if pulse.overtaken else f"no progress for {patience_s} s"
            raise await self._fault("silent", detail) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise await self._fault("unreachable", f"{type(error).__name__} {error}") from error
        except LinkFault as fault:
            raise await self._fault(fault.why, fault.detail) from fault
        self._unconnected = 0
        self.moved()
        ended_s = asyncio.get_running_loop().time()
        if self._late and ended_s - began_s > PROGRESS_TIMEOUT_S:
            self._late_s = ended_s
        if body is not None and len(body) >= _TELLING:
            rate = len(body) / max(ended_s - began_s, 0.001)
            self._piece = max(_PACKET, min(PIECE, int(rate * _PIECE_S)))
        return reply

    def _dial_s(self) -> float:
        """Return how long a dial may take: a short one finds a line that is back, now and then a long one a thin line."""
        if self._unconnected % 3 == 2:
            return 4.0 * CONNECT_TIMEOUT_S
        if self._dialled_s is None:
            return CONNECT_TIMEOUT_S
        return min(CONNECT_TIMEOUT_S, max(_SUSPECT_S, 4 * self._dialled_s))

    async def answered_anew(self) -> None:
        """Return when the peer has answered on a new connection."""
        while True:
            other = self.twin(Lane.CHECKPOINT)
            try:
                async with asyncio.timeout(_SUSPECT_S):
                    await other.get("/", limit=_PACKET)
            except (LinkFault, TimeoutError):
                await asyncio.sleep(_PULSE_S)
            else:
                return
            finally:
                await other.close()

    async def _fault(self, why: str, detail: str) -> LinkFault:
        """Drop every connection: what one of them met, the others may not have noticed."""
        await self.close()
        return LinkFault(why, detail)

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=2, socket_factory=self._socket)
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_start.append(self._dials)
            trace.on_connection_create_end.append(self._connected)
            self._session = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                headers={"Accept-Encoding": "identity"},
                trace_configs=[trace],
            )
        return self._session

    async def _dials(self, _session: aiohttp.ClientSession, context: SimpleNamespace, _what: object) -> None:
        context.began_s = asyncio.get_running_loop().time()

    async def _connected(self, _session: aiohttp.ClientSession, context: SimpleNamespace, _what: object) -> None:
        self._dialled_s = asyncio.get_running_loop().time() - context.began_s

    @property
    def _host(self) -> str:
        return node_host(self._prefecture, self.node)

    def _socket(self, address: Any) -> socket.socket:
        family, kind, protocol, _, _ = address
        made = socket.socket(family, kind, protocol)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # A connection that is given up takes along what the kernel still holds of it: the line is for the next one.
        made.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        for level, option, value in _KEEPALIVE:
            made.setsockopt(level, option, value)
        made.setblocking(False)
        self._space(made)
        self._sockets[made] = (0, 0)
        return made

    def _look(self) -> "list[_Counts]":
        """Ask the kernel about every connection that is open."""
        self._sockets = {one: seen for one, seen in self._sockets.items() if one.fileno() >= 0}
        return [_Counts.of(one) for one in self._sockets]

    def moved(self) -> bool:
        """Return whether anything was acknowledged or received since the last call, and tell the lanes."""
        counts = self._look()
        acked = sum(now.acked - self._sockets[now.socket][0] for now in counts)
        received = sum(now.received - self._sockets[now.socket][1] for now in counts)
        self._sockets = {now.socket: (now.acked, now.received) for now in counts}
        self.outstanding = any(now.in_flight or now.unsent for now in counts)
        self.unheard = any(now.in_flight and now.repeated for now in counts)
        now_s = asyncio.get_running_loop().time()
        self.lanes.acknowledged(self._lane, acked, now_s)
        if self._flow.acknowledged(acked, now_s, waiting=any(now.unsent for now in counts)):
            for one in self._sockets:
                self._space(one)
        return acked + received > 0

    def _space(self, one: socket.socket) -> None:
        rate = self._flow.rate
        if rate:
            spaced = rate * 3 // 2 if rate < _THIN else _UNPACED
            one.setsockopt(socket.SOL_SOCKET, _MAX_PACING_RATE, spaced.to_bytes(4, "little"))

    async def _pieces(self, body: bytes, pulse: "_Pulse") -> AsyncIterator[bytes]:
        step = min(self._piece, self.lanes.piece)
        now_s = asyncio.get_running_loop().time
        for start in range(0, len(body), step):
            piece = body[start : start + step]
            while (wait_s := self.lanes.wait_s(self._lane, len(piece), now_s())) > 0:
                pulse.hold()  # we are silent ourselves
                await asyncio.sleep(wait_s)
            pulse.progress()
            yield piece
        self.given += 1


@dataclass(frozen=True, slots=True)
class _Counts:
    """What the kernel says of one connection."""

    socket: Any
    repeated: int  # times the same packet was sent again, unanswered
    packet: int  # bytes of a full one
    in_flight: int  # packets
    acked: int  # bytes since it was opened, as the two behind
    received: int
    unsent: int
    round_trip_us: int  # the shortest
    rate: int  # bytes a second

    @property
    def leaving(self) -> bool:
        """Return whether all was sent, and what is not acknowledged is no more than the length of the line holds."""
        holds = self.rate * self.round_trip_us * 3 // 2_000_000
        return not self.unsent and self.in_flight * self.packet <= max(3 * self.packet, holds)

    @classmethod
    def of(cls, one: socket.socket) -> "_Counts":
        info = one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _TCP_INFO.size)
        return cls(one, *_TCP_INFO.unpack(info))


class _Pulse:
    """Ends a request when nothing moves: by what is read, written, and acknowledged."""

    def __init__(self, link: PeerLink, quiet: asyncio.Timeout, patience_s: float, *, suspicious: bool) -> None:
        self._suspicious = suspicious
        self._link = link
        self._quiet = quiet
        self._patience_s = patience_s
        self.overtaken = False  # the peer answered on a new connection while this one was silent
        self._loop = asyncio.get_running_loop()
        self._next = self._loop.call_later(_PULSE_S, self._beat)
        self._moved_s = self._loop.time()
        self._anew: asyncio.Task[None] | None = None

    def _beat(self) -> None:
        if self._link.moved():
            self.progress()
        silent = self._loop.time() - self._moved_s > _SUSPECT_S
        if self._anew is None and silent and self._suspicious and self._link.unheard:
            self._anew = asyncio.create_task(self._overtake(self._moved_s))
        self._next = self._loop.call_later(_PULSE_S, self._beat)

    async def _overtake(self, moved_s: float) -> None:
        """End a request whose connection is silent while another one is answered."""
        await self._link.answered_anew()
        if self._link.moved():
            self.progress()
        if self._moved_s == moved_s and self._link.unheard and not self._quiet.expired():
            self.overtaken = True
            self._quiet.reschedule(self._loop.time())
        else:
            self._anew = None

    def progress(self) -> None:
        self._moved_s = self._loop.time()
        if not self._quiet.expired():
            self._quiet.reschedule(self._loop.time() + self._patience_s)

    def hold(self) -> None:
        if not self._quiet.expired():
            self._quiet.reschedule(None)

    def stop(self) -> None:
        self._next.cancel()
        if self._anew is not None:
            self._anew.cancel()


async def _read(response: aiohttp.ClientResponse, limit: int, pulse: _Pulse) -> Reply:
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > limit:
            raise LinkFault("unexpected-answer", f"{response.status} with over {limit} bytes")
        pulse.progress()
    after = response.headers.get("Retry-After", "")
    return Reply(
        status=response.status,
        content_type=response.headers.get("Content-Type", ""),
        body=bytes(body),
        retry_after_s=int(after) if after.isascii() and after.isdigit() and len(after) < 5 else None,
    )
