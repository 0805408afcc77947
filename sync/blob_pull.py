"""Fetches from one peer the blobs that are named here and lie here no more (附件找回): a disk was changed, a file damaged.

Chunks come one after another and stay where the line is cut; the whole is believed by its SHA-256 alone. What one peer is
bringing no other is asked for.
"""

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager

from sync.blob_push import Wanted
from sync.blob_wire import CHUNK, chunk_length, chunks_of
from sync.blobs import BlobFault, BlobStore, Incoming
from sync.link import LinkFault, PeerLink
from sync.receiver import Database
from sync.status import LinkState
from sync.task import Task


class BlobPull(Task):
    """Pulls from one peer. `missing()` says what lies nowhere here; `taken` is shared by the tasks of a node."""

    def __init__(
        self,
        link: PeerLink,
        db: Database,
        store: BlobStore,
        *,
        origin: str,
        now_ms: Callable[[], int],
        missing: Callable[[], Awaitable[list[Wanted]]],
        arrived: Callable[[bytes], None],
        taken: set[bytes],
    ) -> None:
        """Nothing is asked before `run`; `origin` only names the status."""
        super().__init__(link, db, origin, "blobs-back", now_ms)
        self._store = store
        self._missing = missing
        self._arrived = arrived
        self._taken = taken
        self._part: _Part | None = None

    async def _round(self) -> None:
        absent = 0
        for wanted in await self._missing():
            if wanted.sha256 in self._taken and (self._part is None or self._part.wanted != wanted):
                continue
            self._taken.add(wanted.sha256)
            try:
                absent += not await self._fetch(wanted)
            finally:
                if self._part is None:
                    self._taken.discard(wanted.sha256)
        self._show(LinkState.CURRENT, contact=True, behind=absent)

    async def _close(self) -> None:
        self._drop()
        await super()._close()

    def _drop(self) -> None:
        if self._part is not None:
            self._part.left.__exit__(None, None, None)
            self._taken.discard(self._part.wanted.sha256)
            self._part = None

    async def _fetch(self, wanted: Wanted) -> bool:
        """Bring one blob; return whether the peer has it. Raises LinkFault, BlobFault."""
        name = wanted.sha256.hex()
        if self._part is None or self._part.wanted != wanted:
            self._drop()
            self._part = _Part(self._store, wanted)
        part = self._part
        try:
            while part.index < chunks_of(wanted.size):
                reply = await self._link.get(f"/blob/{name}/{part.index}", limit=CHUNK)
                if reply.status == 404:
                    self._drop()
                    return False
                if reply.status != 200 or len(reply.body) != chunk_length(wanted.size, part.index):
                    self._drop()
                    raise reply.unexpected()
                part.incoming.write(reply.body)
                part.index += 1
                left = wanted.size - part.incoming.size
                self._show(LinkState.SENDING, f"{left} bytes of {name[:12]} to come", contact=True, behind=1)
            part.incoming.keep(wanted.sha256)
        except BlobFault as fault:
            self._drop()
            if fault.why == "wrong-digest":
                raise LinkFault("unexpected-answer", str(fault)) from fault
            raise
        self._drop()
        self._arrived(wanted.sha256)
        return True


class _Part:
    """A blob that is on its way, over as many rounds as it takes."""

    def __init__(self, store: BlobStore, wanted: Wanted) -> None:
        self.wanted = wanted
        self.index = 0
        self.left: AbstractContextManager[Incoming] = store.incoming(wanted.size)
        self.incoming = self.left.__enter__()
