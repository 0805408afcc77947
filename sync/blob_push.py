"""Brings a peer the blobs that it lacks (附件传送), after the entries that name them; resumes at the peer's word."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import BinaryIO

from sync.blob_wire import CHUNK, CHUNK_TYPE, Chunk, audit_path, chunk_length, chunk_root, chunks_of
from sync.blobs import BlobFault, BlobStore
from sync.link import LinkFault, PeerLink, Reply
from sync.merkle import leaf_hash
from sync.receiver import Database
from sync.status import LinkState
from sync.task import Task

_SMALL = 1_024
_LACKING = 65 * 200
_ASK_S = 4.0  # what the peer lost is asked in quiet rounds, not for every file
_EARLY_S, _TRIES = 0.1, 30
_STUCK = 2  # answers without progress that are believed


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob that an entry names, and its size in bytes."""

    sha256: bytes
    size: int


class BlobPush(Task):
    """Pushes blobs to one peer. `lacking()` says which it is not known to hold; `held(sha256)` notes that it does, `lost(sha256)` that
    it does no more.
    """

    def __init__(
        self,
        link: PeerLink,
        db: Database,
        store: BlobStore,
        *,
        origin: str,
        now_ms: Callable[[], int],
        lacking: Callable[[], Awaitable[list[Wanted]]],
        held: Callable[[bytes], Awaitable[None]],
        lost: Callable[[bytes], Awaitable[None]],
    ) -> None:
        """Nothing is sent before `run`; `origin` only names the status."""
        super().__init__(link, db, origin, "blobs", now_ms)
        self._store = store
        self._lacking = lacking
        self._held = held
        self._lost = lost
        self._asked_s = -_ASK_S

    async def _round(self) -> None:
        now_s = asyncio.get_running_loop().time()
        if now_s - self._asked_s >= _ASK_S:
            for sha256 in await self._lost_there():
                await self._lost(sha256)
            self._asked_s = now_s
        for _ in range(_TRIES):
            lacking = await self._lacking()
            early = await self._bring(lacking)
            if not early:
                return
            await asyncio.sleep(_EARLY_S)  # the peer holds the entries and is about to see what they name

    async def _bring(self, lacking: list[Wanted]) -> bool:
        """Send what is lacking; return whether the peer did not yet know some entry that names it."""
        missing: list[str] = []
        early = False
        for number, wanted in enumerate(lacking):
            left = sum(one.size for one in lacking[number:])
            self._show(LinkState.SENDING, f"{left} bytes of files to go", behind=len(lacking) - number)
            if await self._is_there(wanted):
                await self._held(wanted.sha256)
            elif not self._store.has(wanted.sha256):
                missing.append(wanted.sha256.hex())
            elif await self._send(wanted):
                await self._held(wanted.sha256)
            else:
                early = True
        detail = f"not here to send: {', '.join(missing[:3])}" if missing else ""
        self._show(LinkState.CURRENT, detail, contact=bool(lacking), behind=len(missing) + early)
        return early

    async def _lost_there(self) -> list[bytes]:
        """Ask what the peer held once and lost: its word alone makes this node bring it again."""
        reply = await self._link.get("/blobs/lacking", limit=_LACKING)
        if reply.status == 404:
            return []  # a program that does not say
        if reply.status != 200:
            raise reply.unexpected()
        try:
            return [bytes.fromhex(line) for line in reply.body.decode("ascii").split()]
        except ValueError as error:
            raise LinkFault("unexpected-answer", "no list of blobs") from error

    async def _is_there(self, wanted: Wanted) -> bool:
        reply = await self._link.get(f"/blob/{wanted.sha256.hex()}", limit=_SMALL)
        if reply.status not in {200, 404}:
            raise reply.unexpected()
        return reply.status == 200 and reply.body == b"%d\n" % wanted.size

    async def _send(self, wanted: Wanted) -> bool:
        """Send what is missing of one blob; return whether the peer has it whole. False: it does not know its entry yet."""
        name = wanted.sha256.hex()
        with self._store.open(wanted.sha256) as file:
            leaves = await asyncio.to_thread(_leaves, file, wanted)
            root = chunk_root(leaves)
            reply = await self._link.get(f"/blob/{name}/next/{root.hex()}", limit=_SMALL)
            if reply.status != 200 or not reply.body.strip().isdigit():
                raise reply.unexpected()

            def body(index: int) -> bytes:
                file.seek(index * CHUNK)
                data = file.read(chunk_length(wanted.size, index))
                return bytes(Chunk(wanted.size, index, root, audit_path(leaves, index), data))

            return await self._chunks(name, int(reply.body), len(leaves), body)

    async def _chunks(self, name: str, index: int, count: int, body: Callable[[int], bytes]) -> bool:
        """Send the chunks from `index` on, the next one as soon as the last has left: a long line is as busy as a short one."""
        flights: list[_Flight] = []
        stuck = 0
        try:
            while index < count or flights:
                if index < count and len(flights) < 2:
                    if flights:
                        await self._on_its_way(flights[-1])
                    path = f"/blob/{name}/{index}"
                    sending = self._link.put(path, body(index), content_type=CHUNK_TYPE, limit=_SMALL)
                    flights.append(_Flight(index, self._link.given + 1, asyncio.create_task(sending)))
                    index += 1
                    continue
                first = flights.pop(0)
                reply = await first.answer
                self._show(LinkState.SENDING, self.status.detail, contact=True)
                if reply.status == 201:
                    return True
                if reply.status == 409:
                    return False
                after = reply.body.strip()
                if reply.status != 200 or not after.isdigit():
                    raise reply.unexpected()
                stuck = 0 if int(after) > first.index else stuck + 1
                if stuck > _STUCK:
                    raise LinkFault("unexpected-answer", f"no progress at chunk {first.index} of {name}")
                if (
                    int(after) != first.index + 1
                ):  # the peer goes on elsewhere: it has more, or a chunk came before its turn
                    await _drop(flights)
                    index = int(after)
        finally:
            await _drop(flights)
        raise LinkFault("unexpected-answer", f"every chunk of {name} was sent and it is not complete")

    async def _on_its_way(self, flight: "_Flight") -> None:
        leaving = asyncio.create_task(self._link.drained(flight.given))
        try:
            await asyncio.wait({leaving, flight.answer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class _Flight:
    """A chunk under way; `given` are the bodies that the link has handed over when this one is."""

    index: int
    given: int
    answer: "asyncio.Task[Reply]"


async def _drop(flights: list[_Flight]) -> None:
    for flight in flights:
        flight.answer.cancel()
    await asyncio.gather(*(flight.answer for flight in flights), return_exceptions=True)
    flights.clear()


def _leaves(file: BinaryIO, wanted: Wanted) -> list[bytes]:
    """Return the chunks' leaf hashes. Raises BlobFault where the file is no longer what its name says."""
    whole = hashlib.sha256()
    leaves = []
    for _ in range(chunks_of(wanted.size)):
        data = file.read(CHUNK)
        whole.update(data)
        leaves.append(leaf_hash(data))
    if whole.digest() != wanted.sha256:
        raise BlobFault(wanted.sha256.hex(), "damaged", "the stored bytes have another hash")
    return leaves
