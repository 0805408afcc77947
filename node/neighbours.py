"""What the room's neighbours have written while this node was away (追赶): it answers no command before it knows.

A node that comes back may have lost its lots to a neighbour (take-over); until it holds the neighbour's log it cannot know,
and what it accepted meanwhile would be a tail. So at a start it asks every neighbour how long its log is, and waits until
that much is mirrored and in the views. A neighbour that does not answer is not waited for (design 5.3, 5.5). A prefecture
dials nobody: it listens for a few seconds, in which every county whose line works has read its log and says what is wrong
with it.
"""

import asyncio
import contextlib
import time

import apsw

from node import projection
from node.settings import Peer, Settings
from sync.checkpoint import open_checkpoint
from sync.keys import NodeKeys
from sync.link import LinkFault, PeerLink
from sync.note import VerifierKey
from sync.reader import LogReader
from sync.supervise import log_once
from sync.tampered import Malformed, Tampered

ASK_S = 2.0
LISTEN_S = 7.0  # whoever reads a log asks every 5 s, or is back within 1.5 s of a cut
GIVE_UP_S = 60.0  # a neighbour that answered and then fell silent is not waited for longer


async def sizes_of_neighbours(settings: Settings, keys: NodeKeys, timeout_s: float = ASK_S) -> dict[str, int]:
    """Return how many entries each reachable room neighbour's own log has, by origin, its signature verified."""
    rooms = [peer for peer in settings.peers if peer.kind == "room" and peer.url]
    asking = [asyncio.create_task(_size(peer, keys)) for peer in rooms]
    if not asking:
        return {}
    done, late = await asyncio.wait(asking, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return {origin: size for origin, size in (task.result() for task in done) if size}


async def _size(peer: Peer, keys: NodeKeys) -> tuple[str, int]:
    link = PeerLink(url=peer.url, node=peer.name, prefecture=keys.prefecture, context=keys.client_context())
    try:
        note = await LogReader(link, peer.origin).checkpoint()
        checkpoint = open_checkpoint(note, [VerifierKey.parse(peer.log_vkey)]).checkpoint if note else None
    except LinkFault:
        return peer.origin, 0
    except (Tampered, Malformed) as bad:
        log_once(bad, f"asking {peer.name} for its own checkpoint")
        return peer.origin, 0
    finally:
        await link.close()
    return peer.origin, checkpoint.size if checkpoint else 0


class Awaited:
    """What is still missing of the neighbours' logs."""

    def __init__(self, sizes: dict[str, int], listen_s: float = 0.0) -> None:
        """`sizes` are what `sizes_of_neighbours` found; `listen_s` is for how long others are listened to in any case."""
        self._sizes = dict(sizes)
        self._listen_until_s = time.monotonic() + listen_s
        self._until_s = time.monotonic() + GIVE_UP_S
        self._here = asyncio.Event()

    @property
    def words(self) -> str:
        """Return what is waited for; "" once everything is here."""
        if time.monotonic() < self._listen_until_s:
            return "what the counties hold of this node's log"
        if time.monotonic() > self._until_s:
            self._sizes.clear()
        return ", ".join(f"{origin} up to {size}" for origin, size in sorted(self._sizes.items()))

    def look(self, db: apsw.Connection) -> None:
        """Strike out what the views hold by now."""
        for origin, size in list(self._sizes.items()):
            if projection.next_seq(db, origin) >= size:
                del self._sizes[origin]

    def shown(self) -> None:
        """Views of a mirrored log have moved: whoever waits looks again."""
        self._here.set()
        self._here = asyncio.Event()

    async def moved(self) -> None:
        """Wait until views of a mirrored log move, or the time of listening is over."""
        left_s = self._listen_until_s - time.monotonic()
        if left_s <= 0:
            await self._here.wait()
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(left_s):
                await self._here.wait()
