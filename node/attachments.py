"""Which files that entries name lie here and are what they were (附件在位): what is missing is fetched, and nothing goes on
as if it had never been there.
"""

import asyncio

import apsw

from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.unsealing import tried
from node.store import Store
from node.views import blobs as blobs_view
from sync.blob_push import Wanted
from sync.blobs import BlobFault, BlobStore


def away(db: apsw.Connection, sha256: bytes) -> Refused:
    """Return the refusal of whatever needs a file that is not here: the bid was receipted, so somebody may still have it."""
    holders = sorted(blobs_view.held_by(db, sha256))
    return Refused(
        "file-away",
        rule="receipted-files-are-opened",
        value=sha256.hex()[:16],
        limit=", ".join(holders),
        cites=("ZBT 31",),
    )


class Attachments:
    """What is missing of one node's files. Used within one event loop."""

    def __init__(self, store: Store, blobs: BlobStore) -> None:
        """Nothing is known before `look`."""
        self._store = store
        self._blobs = blobs
        self.missing: dict[bytes, int] = {}

    async def look(self) -> None:
        """See what lies here at all, by name alone: cheap."""
        named = await self._store.read(blobs_view.named)
        self.missing = await asyncio.to_thread(lambda: {one: size for one, size in named if not self._blobs.has(one)})

    async def scrub(self) -> None:
        """Hash every file that an entry names again; one that is damaged is set aside, and then missing. Raises BlobFault."""
        for sha256, size in await self._store.read(blobs_view.named):
            if not await asyncio.to_thread(self._whole, sha256):
                self.missing[sha256] = size

    def _whole(self, sha256: bytes) -> bool:
        try:
            self._blobs.check(sha256)
        except BlobFault as fault:
            if fault.why == "damaged":
                self._blobs.set_aside(sha256)
            if fault.why == "io":
                raise
            return False
        return True

    def have(self, sha256: bytes) -> bytes:
        """Return a file's bytes. Raises BlobFault where it is not here or damaged; a damaged one is set aside."""
        try:
            return self._blobs.get(sha256)
        except BlobFault as fault:
            if fault.why == "damaged":
                self._blobs.set_aside(sha256)
            raise

    def next_away(self, lot: LotState) -> str:
        """Return the bid whose file is wanted now and known not to be here; "" else.

        Wanted is the one whose turn it is to be opened; where trustees hold the seals, every one that nobody has given up.
        """
        if not lot.opening.started:
            return ""
        waiting: tuple[str, ...] = (lot.opening.next_to_open,)
        if lot.terms.appointed is not None:
            done = {*tried(lot), *lot.ceremony.given_up}
            waiting = tuple(ref for ref in lot.opening.refs if ref not in done)
        held = (lot.bidding.of(ref) for ref in waiting if ref)
        return next((bid.ref for bid in held if bid is not None and bid.sha256 in self.missing), "")

    async def wanted(self) -> list[Wanted]:
        """Return what is to be fetched."""
        return [Wanted(sha256, size) for sha256, size in self.missing.items()]

    def arrived(self, sha256: bytes) -> None:
        """One is here again."""
        self.missing.pop(sha256, None)
