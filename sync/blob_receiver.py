"""The blob part of the sync port (附件端口): `GET /blobs/lacking` what was lost here, `HEAD /blob/<sha256>` whether it is here, `GET …/next` where an upload goes on,
`PUT …/<n>` one chunk, `GET …/<n>` one chunk back. Only blobs that an entry held here names are accepted.
"""

import asyncio
import re
from collections import Counter
from collections.abc import Awaitable, Callable

from sync.blob_parts import Parts
from sync.blob_wire import CHUNK, CHUNK_TYPE, MAX_CHUNK_BODY, Chunk, chunks_of
from sync.blobs import BlobFault, BlobStore
from sync.receiver import Ask, Route, SyncNode, small_body
from sync.witness import Answer, refuse

UPLOADS = 8  # chunks taken at a time
ABREAST = 3  # and of one blob: a sender has the next one on the line, and one that was cut is back before its old request is dead
MOST_LACKING = 200  # named in one answer
_SHA = "(?P<sha>[0-9a-f]{64})"


class BlobPort:
    """The handlers over one store. `wanted(sha256)` is the size that an entry held here gives a blob, None for none;
    `arrived(sha256)` is called after one is here whole; `named_in(sha256)` are the logs that name it, and whoever may read
    none of them is not shown it; `lacking()` are those that are named here and lie here no more.
    """

    def __init__(
        self,
        store: BlobStore,
        wanted: Callable[[bytes], Awaitable[int | None]],
        arrived: Callable[[bytes], None] = lambda _sha256: None,
        named_in: Callable[[bytes], Awaitable[tuple[str, ...]]] | None = None,
        lacking: Callable[[], Awaitable[list[bytes]]] | None = None,
    ) -> None:
        """Open the partial blobs."""
        self._lacks = lacking
        self._named_in = named_in
        self._store = store
        self._parts = Parts(store)
        self._wanted = wanted
        self._arrived = arrived
        self._taking: Counter[bytes] = Counter()
        self._turns: dict[bytes, asyncio.Lock] = {}

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the addresses, for `SyncNode.more_routes`."""
        return (
            ("GET", re.compile("/blobs/lacking"), self._lacking),
            ("GET", re.compile(f"/blob/{_SHA}"), self._has),
            ("GET", re.compile(f"/blob/{_SHA}/next/(?P<root>[0-9a-f]{{64}})"), self._next),
            ("GET", re.compile(f"/blob/{_SHA}/(?P<n>[0-9]{{1,6}})"), self._get),
            ("PUT", re.compile(f"/blob/{_SHA}/(?P<n>[0-9]{{1,6}})"), self._put),
        )

    async def _for(self, node: SyncNode, ask: Ask, sha256: bytes) -> bool:
        if self._named_in is None:
            return True
        return any(node.readable(ask.peer, origin) for origin in await self._named_in(sha256))

    async def _lacking(self, node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
        found = [] if self._lacks is None else await self._lacks()
        shown = [sha256 for sha256 in found[:MOST_LACKING] if await self._for(node, ask, sha256)]
        return Answer(200, "".join(f"{sha256.hex()}\n" for sha256 in shown).encode())

    async def _has(self, node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
        sha256 = bytes.fromhex(match["sha"])
        if not await self._for(node, ask, sha256) or not await asyncio.to_thread(self._store.has, sha256):
            return refuse(404, "not here")
        return Answer(200, b"%d\n" % self._store.path(sha256).stat().st_size)

    async def _next(self, _node: SyncNode, _ask: Ask, match: re.Match[str]) -> Answer:
        found = await asyncio.to_thread(
            self._parts.next_index, bytes.fromhex(match["sha"]), bytes.fromhex(match["root"])
        )
        return Answer(200, b"%d\n" % found)

    async def _get(self, node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
        sha256, index = bytes.fromhex(match["sha"]), int(match["n"])
        if not await self._for(node, ask, sha256):
            return refuse(404, "not here")

        def read() -> bytes | None:
            with self._store.open(sha256) as file:
                if index >= chunks_of(file.seek(0, 2)):
                    return None
                file.seek(index * CHUNK)
                return file.read(CHUNK)

        try:
            data = await asyncio.to_thread(read)
        except BlobFault as fault:
            return refuse(404, str(fault))
        return refuse(404, "no such chunk") if data is None else Answer(200, data, CHUNK_TYPE)

    async def _put(self, node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
        sha256 = bytes.fromhex(match["sha"])
        if not node.has_room():
            return refuse(507, "the disk is nearly full")
        if self._taking[sha256] >= ABREAST:
            return refuse(429, "other uploads of this blob are under way")
        if self._taking.total() >= UPLOADS:
            return refuse(503, "busy")
        size = await self._wanted(sha256)
        if size is None:
            return refuse(409, "no entry held here names this blob yet")
        self._taking[sha256] += 1
        try:
            body = await small_body(ask, MAX_CHUNK_BODY)
            if isinstance(body, Answer):
                return body
            chunk = Chunk.parse(body)
            if chunk.index != int(match["n"]) or chunk.size != size:
                return refuse(422, f"chunk {chunk.index} of {chunk.size} bytes; the entry says {size} bytes")
            async with self._turns.setdefault(
                sha256, asyncio.Lock()
            ):  # the next chunk is read while this one is fsynced
                taken = await asyncio.to_thread(self._parts.take, sha256, chunk)
        except BlobFault as fault:
            return refuse({"wrong-digest": 422, "too-many": 503}.get(fault.why, 507), str(fault))
        finally:
            self._taking[sha256] -= 1
            if not self._taking[sha256]:
                del self._taking[sha256]
                self._turns.pop(sha256, None)
        if taken.complete:
            self._arrived(sha256)
            return Answer(201, b"complete\n")
        return Answer(200, b"%d\n" % taken.next_index)
