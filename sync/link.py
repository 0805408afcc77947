"""One peer's sync port as seen from here: requests that end, answers that are bounded, faults with a reason (链路).

The peer is named in the TLS handshake, so nothing is ever sent to another node. A link is judged by progress: a request
fails when no byte has moved for PROGRESS_TIMEOUT_S, however long the whole of it takes. Redirects are not followed.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from sync.certs import node_host

PROGRESS_TIMEOUT_S = 20
CONNECT_TIMEOUT_S = 5
_PIECE = 32 * 1024
_SEND_BUFFER = 256 * 1024  # what the kernel may hold back from our sight; 64 kbit/s empties it in half a minute


@dataclass(eq=False)
class LinkFault(Exception):
    """A peer was not reached, or did not answer as a peer does. `why` is unreachable, silent, foreign-certificate,
    refused (it said no), busy (it said later) or unexpected-answer; `retry_after_s` where it named a time.
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
        if self.status in {429, 503}:
            return LinkFault("busy", self.text(), self.retry_after_s)
        if self.status in {403, 404, 413, 422, 507}:
            return LinkFault("refused", f"{self.status} {self.text()}", self.retry_after_s)
        return LinkFault("unexpected-answer", f"{self.status} {self.content_type} {self.text()}")


class PeerLink:
    """Requests to one peer over one kept connection. Use within one event loop."""

    def __init__(self, *, url: str, node: str, prefecture: str, context: ssl.SSLContext) -> None:
        """`url` is where to dial, https only; `node` is who must answer."""
        if not url.startswith("https://"):
            raise ValueError(url)
        self.url = url.rstrip("/")
        self.node = node
        self._host = node_host(prefecture, node)
        self._context = context
        self._session: aiohttp.ClientSession | None = None

    async def close(self) -> None:
        """Drop the connection; the next request makes another."""
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

    async def _request(
        self, method: str, path: str, *, limit: int, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Reply:
        try:
            async with asyncio.timeout(PROGRESS_TIMEOUT_S) as quiet:
                data = None if body is None else _pieces(body, quiet)
                async with self._open().request(
                    method,
                    f"{self.url}{path}",
                    data=data,
                    headers=headers,
                    allow_redirects=False,
                    server_hostname=self._host,
                ) as response:
                    return await _read(response, limit, quiet)
        except aiohttp.ClientConnectorCertificateError as error:
            raise LinkFault("foreign-certificate", str(error.certificate_error)) from error
        except aiohttp.ClientConnectorError as error:
            raise LinkFault("unreachable", str(error.os_error)) from error
        except TimeoutError as error:
            await self.close()
            raise LinkFault("silent", f"no progress for {PROGRESS_TIMEOUT_S} s") from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise LinkFault("unreachable", f"{type(error).__name__} {error}") from error

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(ssl=self._context, limit=2, socket_factory=_socket)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S)
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, auto_decompress=False, headers={"Accept-Encoding": "identity"}
            )
        return self._session


def _socket(address: Any) -> socket.socket:
    family, kind, protocol, _, _ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _SEND_BUFFER)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.setblocking(False)
    return made


def _progress(quiet: asyncio.Timeout) -> None:
    quiet.reschedule(asyncio.get_running_loop().time() + PROGRESS_TIMEOUT_S)


async def _pieces(body: bytes, quiet: asyncio.Timeout) -> AsyncIterator[bytes]:
    for start in range(0, len(body), _PIECE):
        yield body[start : start + _PIECE]
        if not quiet.expired():
            _progress(quiet)


async def _read(response: aiohttp.ClientResponse, limit: int, quiet: asyncio.Timeout) -> Reply:
    body = bytearray()
    while chunk := await response.content.readany():
        body += chunk
        if len(body) > limit:
            raise LinkFault("unexpected-answer", f"{response.status} with over {limit} bytes")
        _progress(quiet)
    after = response.headers.get("Retry-After", "")
    return Reply(
        status=response.status,
        content_type=response.headers.get("Content-Type", ""),
        body=bytes(body),
        retry_after_s=int(after) if after.isascii() and after.isdigit() and len(after) < 5 else None,
    )
