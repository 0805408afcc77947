"""Durability beyond this machine (存证): an answer waits until a room neighbour holds and has cosigned what was recorded.

With `required` an answer waits up to 2 s and is otherwise given without a receipt, on every repetition too, until the
neighbour's cosignature comes. Two persons may switch the room to `preferred` while its neighbour is down; the switch ends by
itself with the neighbour's next cosignature (design 5, "Durability is stated").
"""

import asyncio
from dataclasses import dataclass

import apsw

from node.receipts import Receipt
from node.settings import Settings
from node.store import Store
from node.views import blobs as blobs_view
from sync.keys import name_base
from sync.log import LogFault, head

WAIT_S = 2.0
REQUIRED, PREFERRED = "required", "preferred"


@dataclass(eq=False)
class NotWitnessed(Exception):
    """Recorded here, safe on this disk, and held by no neighbour yet: no receipt is given (已记录，未存证)."""

    receipt: Receipt
    command_id: bytes

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.receipt.number}: recorded here, not witnessed by a neighbour yet"


class Witness:
    """How much of the own log the room's neighbours hold. Used within one event loop."""

    def __init__(self, settings: Settings, store: Store) -> None:
        """Nothing is known before `look`."""
        self._origin = settings.origin
        self._store = store
        rooms = [peer for peer in settings.peers if peer.kind == "room"]
        self._cosigners = frozenset(f"{name_base(peer.origin)}/m" for peer in rooms)
        self.mode = settings.witness or (REQUIRED if rooms and not settings.is_prefecture else PREFERRED)
        self._rooms = frozenset(peer.name for peer in rooms)
        self._held = 0
        self._grown = asyncio.Event()

    @property
    def held(self) -> int:
        """Return how many entries of the own log some neighbour holds and has cosigned."""
        return self._held

    async def look(self, origin: str = "") -> None:
        """Read what the neighbours have cosigned; called at start and whenever a cosignature of `origin` was stored."""
        if origin not in {"", self._origin}:
            return
        held = await self._store.read(self._best)
        if held > self._held:
            self._held = held
            self._grown.set()
            self._grown = asyncio.Event()

    def _best(self, db: apsw.Connection) -> int:
        try:
            found = head(db, self._origin).cosignatures
        except LogFault:
            return 0
        return max((one.size for one in found if one.cosigner in self._cosigners), default=0)

    def covered(self, seq: int, relaxed_seq: int) -> bool:
        """Return whether the answer about this entry may be a receipt now. `relaxed_seq`: the last switch, -1 for none."""
        return self.mode == PREFERRED or self._held > seq or self.relaxed(relaxed_seq)

    def relaxed(self, relaxed_seq: int) -> bool:
        """Return whether two persons have switched to `preferred` and no neighbour has come back since."""
        return relaxed_seq >= 0 and self._held <= relaxed_seq

    async def covered_whole(self, seq: int, relaxed_seq: int) -> bool:
        """Return whether the entry is covered, and what it names as files lies at a neighbour too."""
        if not self.covered(seq, relaxed_seq):
            return False
        if self.mode == PREFERRED or self.relaxed(relaxed_seq):
            return True
        return not await self._store.read(lambda db: self._blobs_left(db, seq))

    def _blobs_left(self, db: apsw.Connection, seq: int) -> bool:
        named = blobs_view.of_entry(db, self._origin, seq)
        return any(not blobs_view.held_by(db, sha256) & self._rooms for sha256 in named)

    def blob_reached(self) -> None:
        """A peer holds one more blob: somebody may be waiting for it."""
        self._grown.set()
        self._grown = asyncio.Event()

    async def wait(self, seq: int, relaxed_seq: int) -> bool:
        """Wait up to 2 s until the entry is covered, its files too; tell whether it is."""
        try:
            async with asyncio.timeout(WAIT_S):
                while True:
                    grown = self._grown
                    if await self.covered_whole(seq, relaxed_seq):
                        return True
                    await grown.wait()
        except TimeoutError:
            return False
