"""The files that entries name, in a running node (附件在位): brought to peers, brought back from them, looked at again.

At a start every file is hashed; from then on what lies here is looked at every half minute, by name. What is missing is asked
of every peer that can be dialled, and a peer that dials us brings what we say we lack.
"""

import asyncio
from collections.abc import Callable

from node.node import Node
from node.views import blobs as blobs_view
from sync.blob_pull import BlobPull
from sync.blob_push import BlobPush, Wanted
from sync.blob_receiver import BlobPort
from sync.blobs import BlobFault
from sync.link import PeerLink
from sync.supervise import log_once
from sync.task import Task

LOOK_S = 30.0


class FileKeeping:
    """One node's files."""

    def __init__(self, node: Node) -> None:
        """Nothing is looked at before `run`."""
        self._node = node
        self._taken: set[bytes] = set()
        self._pushes: list[Task] = []
        self._pulls: list[Task] = []

    def port(self) -> BlobPort:
        """Return the sync port's part."""
        node = self._node

        async def wanted(sha256: bytes) -> int | None:
            return await node.store.read(lambda db: blobs_view.wanted_size(db, sha256))

        async def named_in(sha256: bytes) -> tuple[str, ...]:
            return await node.store.read(lambda db: blobs_view.named_in(db, sha256))

        async def lacking() -> list[bytes]:
            return list(node.attachments.missing)

        return BlobPort(node.blobs, wanted, self._arrived, named_in, lacking)

    def tasks(self, peer: str, link: Callable[[], PeerLink], now_ms: Callable[[], int]) -> list[Task]:
        """Return the tasks that bring a peer what it lacks and fetch from it what is missing here."""
        store, node, origin = self._node.store, self._node, self._node.settings.origin

        async def lacking() -> list[Wanted]:
            found = await store.read(lambda db: blobs_view.lacking(db, peer))
            return [Wanted(sha256, size) for sha256, size in found]

        async def held(sha256: bytes) -> None:
            await store.write(lambda db: blobs_view.note_reached(db, peer, sha256, now_ms()))
            node.witness.blob_reached()

        async def lost(sha256: bytes) -> None:
            await store.write(lambda db: blobs_view.forget_reached(db, peer, sha256))

        push = BlobPush(link(), store, node.blobs, origin=origin, now_ms=now_ms, lacking=lacking, held=held, lost=lost)
        pull = BlobPull(
            link(),
            store,
            node.blobs,
            origin=origin,
            now_ms=now_ms,
            missing=node.attachments.wanted,
            arrived=self._arrived,
            taken=self._taken,
        )
        self._pushes.append(push)
        self._pulls.append(pull)
        return [push, pull]

    def notify(self) -> None:
        """A peer holds more entries, and so may take their files."""
        for push in self._pushes:
            push.notify()

    def _arrived(self, sha256: bytes) -> None:
        self._node.attachments.arrived(sha256)
        self._node.feed.publish({"status", "log"})

    async def run(self) -> None:
        """Hash everything once, then look at it again and again; what is missing is fetched at once."""
        attachments = self._node.attachments
        look = attachments.scrub
        while True:
            before = set(attachments.missing)
            try:
                await look()
                look = attachments.look
            except BlobFault as fault:
                log_once(fault, "looking at the files that entries name")
            if set(attachments.missing) != before:
                self._node.feed.publish({"status"})
            for pull in self._pulls if attachments.missing else ():
                pull.notify()
            await asyncio.sleep(LOOK_S)
