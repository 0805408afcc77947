"""Entries of one log on their way to one mirror, up to one checkpoint (上传).

While a request awaits its answer the next one is already on the line, on the second connection; the mirror takes them in
turn. So a long line is as busy as a short one, and a request may be small. Only the mirror's word moves the start: whatever
it says instead of what was hoped ends the request behind, and the next one starts where the mirror says.
"""

import asyncio
import gzip
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import apsw

from sync import wire
from sync.link import LinkFault, PeerLink, Reply
from sync.log import TableHashes, read_bodies
from sync.merkle import HashReader, subtree_proof
from sync.pace import Answered, Pace
from sync.receiver import Database
from sync.tampered import Malformed
from sync.wire import PACKAGE, EntriesHead, MirrorInfo, Package, spans

_BODY = 8 * 1024 * 1024  # bytes after which a request takes no further package
_INLINE = 64 * 1024  # bytes that are packed without another thread
_STUCK = 2  # answers without progress that are believed


@dataclass(frozen=True, slots=True)
class Batch:
    """One request: the entries [start, end), plain or packed; `packages` are the end and the entries' bytes of each."""

    start: int
    end: int
    packages: tuple[tuple[int, int], ...]
    body: bytes
    encoding: str

    def entry_bytes(self, next_entry: int) -> int:
        """Return the bytes of those packages that a mirror holds whose next entry is this."""
        return sum(size for end, size in self.packages if end <= next_entry)


@dataclass(frozen=True, slots=True)
class _Flight:
    batch: Batch
    given: int  # bodies that the link has handed over when this one is
    began_s: float
    answer: "asyncio.Task[Reply]"


class Upload:
    """Brings what the mirror lacks up to `end`.

    `keep(lines)` verifies and stores the cosignature; `moved(next entry, entry bytes)` hears of each acknowledgement.
    """

    def __init__(
        self,
        link: PeerLink,
        db: Database,
        *,
        origin: str,
        end: int,
        pace: Pace,
        keep: Callable[[bytes], Awaitable[None]],
        moved: Callable[[int, int], Awaitable[None]],
    ) -> None:
        """Nothing is sent before `run`."""
        self._link = link
        self._db = db
        self._origin = origin
        self._end = end
        self._pace = pace
        self._keep = keep
        self._moved = moved
        self._hashes = _Remembered()
        self._flights: list[_Flight] = []
        self._answered_s = 0.0
        self._stuck = 0

    async def run(self, start: int | None) -> bool:
        """Return whether the mirror holds and has cosigned all; False where it waits for another checkpoint than this.

        `start` is the mirror's next entry where it is known; else it is asked. Raises LinkFault, and what `keep` raises.
        """
        try:
            with self._link.lanes.entries_wait(asyncio.get_running_loop().time()):
                return await self._run(start)
        except LinkFault:
            self._pace.lost()
            raise
        finally:
            await self._drop()

    async def _run(self, start: int | None) -> bool:
        # A request from the end carries no entry: it asks, and completes the checkpoint where nothing is missing.
        at = self._end if start is None else min(start, self._end)
        whole = False
        while True:
            if not self._flights or (at < self._end and len(self._flights) < 2):
                at = await self._launch(at)
                if at < self._end and len(self._flights) < 2:
                    continue
            first = self._flights.pop(0)
            reply = await first.answer
            if reply.status == 200:
                await self._keep(reply.body)  # nothing is believed to have arrived before this is verified
                await self._learn(first, self._end)
                return True
            if reply.status == 422 and first.batch.start % PACKAGE and not whole:
                # The mirror's part of this package may be of another branch: it can tell once it has all of it.
                whole = True
                await self._drop()
                at = first.batch.start - first.batch.start % PACKAGE
                continue
            info = _info(reply)
            if info.pending != self._end:
                return False
            self._count(first.batch, info.next_entry)
            await self._learn(first, info.next_entry)
            if info.next_entry != first.batch.end:
                await self._drop()
                at = min(info.next_entry, self._end)

    async def _launch(self, at: int) -> int:
        """Send the next request as soon as the last one has left; return where the one after it starts."""
        loop = asyncio.get_running_loop()
        batch = await self._db.read(lambda db: self._batch(db, at))
        if self._pace.packed and batch.packages:
            packed = (
                gzip.compress(batch.body, 1)
                if len(batch.body) < _INLINE
                else await asyncio.to_thread(gzip.compress, batch.body, 1)
            )
            if len(packed) < len(batch.body):
                batch = replace(batch, body=packed, encoding="gzip")
        if self._flights:
            await self._on_its_way(self._flights[-1])
        sending = self._link.post(
            "/mirror/add-entries",
            batch.body,
            content_type=wire.ENTRIES_TYPE,
            limit=2 * wire.MAX_TICKET,
            encoding=batch.encoding,
        )
        self._flights.append(_Flight(batch, self._link.given + 1, loop.time(), asyncio.create_task(sending)))
        return batch.end

    async def _on_its_way(self, flight: _Flight) -> None:
        leaving = asyncio.create_task(self._link.drained(flight.given))
        try:
            await asyncio.wait({leaving, flight.answer}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            leaving.cancel()
            await asyncio.gather(leaving, return_exceptions=True)

    async def _drop(self) -> None:
        flights, self._flights = self._flights, []
        for flight in flights:
            flight.answer.cancel()
        await asyncio.gather(*(flight.answer for flight in flights), return_exceptions=True)

    def _count(self, batch: Batch, next_entry: int) -> None:
        asked = batch.start == self._end
        self._stuck = 0 if asked or next_entry > batch.start else self._stuck + 1
        if self._stuck > _STUCK:
            raise LinkFault("unexpected-answer", f"no progress at entry {batch.start}")

    async def _learn(self, flight: _Flight, next_entry: int) -> None:
        now_s = asyncio.get_running_loop().time()
        seconds = now_s - max(flight.began_s, self._answered_s)
        self._answered_s = now_s
        batch = flight.batch
        entry_bytes = batch.entry_bytes(next_entry)
        if batch.packages and next_entry >= batch.end:
            self._pace.answered(Answered(batch.end - batch.start, entry_bytes, len(batch.body), seconds))
        await self._moved(next_entry, entry_bytes)

    def _batch(self, db: apsw.Connection, start: int) -> Batch:
        parts = [bytes(EntriesHead(self._origin, start, self._end))]
        hashes = self._hashes.over(TableHashes(db, self._origin))
        packages: list[tuple[int, int]] = []
        size = 0
        for span in islice(spans(start, self._end), self._pace.packages):
            entries = tuple(body for _, body in read_bodies(db, self._origin, span.first, span.end))
            proof = subtree_proof(hashes, span.aligned, span.end, self._end)
            parts.append(bytes(Package(span, entries, tuple(proof))))
            packages.append((span.end, sum(map(len, entries))))
            size += len(parts[-1])
            if size > _BODY:
                break
        end = packages[-1][0] if packages else start
        return Batch(start, end, tuple(packages), b"".join(parts), "")


def _info(reply: Reply) -> MirrorInfo:
    if reply.status not in {202, 409} or reply.content_type != wire.INFO_TYPE:
        raise reply.unexpected()
    try:
        return MirrorInfo.parse(reply.body)
    except Malformed as malformed:
        raise LinkFault("unexpected-answer", str(malformed)) from malformed


class _Remembered:
    """Keeps the rows that the proofs of one upload have in common: the right edge of the tree is in all of them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int, int], Sequence[bytes]] = {}
        self._reader: HashReader | None = None

    def over(self, reader: HashReader) -> "_Remembered":
        self._reader = reader
        return self

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        key = (level, start, end)
        rows = self._rows.get(key)
        if rows is None:
            if self._reader is None:
                raise LookupError(key)
            rows = self._reader.hashes(level, start, end)
            if len(self._rows) < 512:
                self._rows[key] = rows
        return rows
