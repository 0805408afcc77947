"""Brings a peer the blobs that it lacks (附件传送), after the entries that name them; resumes at the peer's word."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import BinaryIO

from sync.blob_wire import CHUNK, CHUNK_TYPE, Chunk, audit_path, chunk_length, chunk_root, chunks_of
from sync.blobs import BlobFault, BlobStore
from sync.link import LinkFault, PeerLink
from sync.merkle import leaf_hash
from sync.receiver import Database
from sync.status import LinkState
from sync.task import Task

_SMALL = 1_024
_EARLY_S, _TRIES = 0.1, 30


@dataclass(frozen=True, slots=True)
class Wanted:
    """A blob that an entry names, and its size in bytes."""

    sha256: bytes
    size: int


class BlobPush(Task):
    """Pushes blobs to one peer. `lacking()` says which it is not known to hold; `held(sha256)` notes that it does."""

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
    ) -> None:
        """Nothing is sent before `run`; `origin` only names the status."""
        super().__init__(link, db, origin, "blobs", now_ms)
        self._store = store
        self._lacking = lacking
        self._held = held

    async def _round(self) -> None:
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

    async def _is_there(self, wanted: Wanted) -> bool:
        reply = await self._link.get(f"/blob/{wanted.sha256.hex()}", limit=_SMALL)
        if reply.status not in {200, 404}:
            raise reply.unexpected()
        return reply.status == 200 and reply.body == b"%d\n" % wanted.size

    async def _send(self, wanted: Wanted) -> bool:
        """Send what is missing of one blob; return whether the peer has it whole. False: it does not know its entry yet."""
        name = wanted.sha256.hex()
        with self._store.open(wanted.sha256) as file:
            leaves = _leaves(file, wanted)
            root = chunk_root(leaves)
            reply = await self._link.get(f"/blob/{name}/next/{root.hex()}", limit=_SMALL)
            if reply.status != 200 or not reply.body.strip().isdigit():
                raise reply.unexpected()
            index = int(reply.body)
            while index < len(leaves):
                file.seek(index * CHUNK)
                data = file.read(chunk_length(wanted.size, index))
                body = bytes(Chunk(wanted.size, index, root, audit_path(leaves, index), data))
                reply = await self._link.put(f"/blob/{name}/{index}", body, content_type=CHUNK_TYPE, limit=_SMALL)
                self._show(LinkState.SENDING, self.status.detail, contact=True)
                if reply.status == 201:
                    return True
                if reply.status == 409:
                    return False
                after = reply.body.strip()
                if reply.status != 200 or not after.isdigit():
                    raise reply.unexpected()
                if int(after) <= index:
                    raise LinkFault("unexpected-answer", f"no progress at chunk {index} of {name}")
                index = int(after)
        raise LinkFault("unexpected-answer", f"every chunk of {name} was sent and it is not complete")


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
