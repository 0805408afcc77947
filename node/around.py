"""What a node notices beside its own work (周边): room on its disk, forked keys, when each peer was last heard.

Looked at once a second; pages read what the last look found. Nothing here decides what may be recorded.
"""

import asyncio
import shutil
import time
from dataclasses import dataclass, field

import apsw

from node.settings import Settings
from node.store import Store, StoreFault
from sync.keys import name_base
from sync.succession import successions
from sync.witness import misbehaviours

EVERY_S = 1.0
SILENT_S = 15.0  # whoever reads a log here asks every 5 s, or is back within 1.5 s of a cut
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Look:
    """What one look found. `low`: less free than `disk_floor_mib`, so nothing is mirrored for others. `forked` are the nodes
    whose key is known to have signed two histories of a log that nothing has followed yet; an unknown node's by its origin.
    """

    free_bytes: int = 0
    low: bool = False
    forked: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Silent:
    """A peer that has not been heard for SILENT_S. `last_ms` is None where it was never heard since this start."""

    name: str
    last_ms: int | None


@dataclass(slots=True)
class Around:
    """Kept by the running node, within one event loop. `asked` is who was asked at the start, and whether it answered."""

    settings: Settings
    store: Store
    asked: tuple[tuple[str, bool], ...] = ()
    seen: Look = Look()
    heard_ms: dict[str, int] = field(default_factory=dict)
    _heard_s: dict[str, float] = field(default_factory=dict)
    _began_s: float = field(default_factory=time.monotonic)

    def has_room(self) -> bool:
        """Return whether this disk takes other nodes' records now."""
        return shutil.disk_usage(self.settings.data).free >= self.settings.disk_floor_mib * _MIB

    def heard(self, peer: str, at_ms: int) -> None:
        """A peer has asked this node something."""
        self.heard_ms[peer], self._heard_s[peer] = at_ms, time.monotonic()

    def silent(self) -> tuple[Silent, ...]:
        """Return the counties that a prefecture has not heard for SILENT_S; nothing elsewhere: there links say it."""
        if not self.settings.is_prefecture:
            return ()
        now_s = time.monotonic()
        return tuple(
            Silent(peer.name, self.heard_ms.get(peer.name))
            for peer in self.settings.peers
            if now_s - self._heard_s.get(peer.name, self._began_s) > SILENT_S
        )

    async def look(self) -> bool:
        """Look once; return whether anything that people are told has changed."""
        before = (self.seen.low, self.seen.forked, self.silent(), self.store.failing)
        free = await asyncio.to_thread(lambda: shutil.disk_usage(self.settings.data).free)
        forked = await self.store.read(self._forked)
        self.seen = Look(free, free < self.settings.disk_floor_mib * _MIB, forked)
        if self.store.failing is not None and free >= _MIB:
            await self._probe()
        return before != (self.seen.low, forked, self.silent(), self.store.failing)

    async def _probe(self) -> None:
        """Try a commit that changes nothing but the disk: a fault that is over is said to be over before anybody writes."""
        try:
            await self.store.write(lambda db: db.execute("PRAGMA user_version = 0"))
        except StoreFault:
            return
        self.store.failing = None

    def _forked(self, db: apsw.Connection) -> tuple[str, ...]:
        found = {one.origin for one in misbehaviours(db)}
        if not found:
            return ()
        followed = {one.old_origin for one in successions(db)}
        known = {name_base(peer.origin): peer.name for peer in self.settings.peers}
        known[name_base(self.settings.origin)] = self.settings.node
        return tuple(sorted({known.get(name_base(origin), origin) for origin in found - followed}))
