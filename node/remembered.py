"""What this node has cosigned of other logs, asked of its peers at a start (记起): its own disk may have been put back.

A peer that does not answer within 2 s is not waited for, as with the own log (design 5.5).
"""

import asyncio

import apsw

from node.ask_peers import ASK_S, link_to
from node.settings import Peer, Settings
from sync.checkpoint import Opened
from sync.keys import NodeKeys
from sync.link import LinkFault
from sync.note import VerifierKey
from sync.remember import own_cosignature, take_back

Remembered = tuple[str, Opened]
"""Who showed it, and a checkpoint that carries a cosignature of ours."""


async def ask_cosigned(settings: Settings, keys: NodeKeys, timeout_s: float = ASK_S) -> tuple[Remembered, ...]:
    """Return what the dialled peers show of the logs that are mirrored here with our cosignature, verified."""
    logs = [VerifierKey.parse(peer.log_vkey) for peer in settings.peers]
    dialled = [peer for peer in settings.peers if peer.url]
    asking = [asyncio.create_task(_ask(peer, keys, log)) for peer in dialled for log in logs]
    if not asking:
        return ()
    done, late = await asyncio.wait(asking, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return tuple(found for task in asking if task in done and (found := task.result()) is not None)


async def _ask(peer: Peer, keys: NodeKeys, log: VerifierKey) -> Remembered | None:
    link = link_to(peer, keys)
    try:
        opened = await own_cosignature(link, log=log, mine=(keys.cosigner.vkey, keys.witness.vkey))
    except LinkFault:
        return None
    finally:
        await link.close()
    return None if opened is None else (peer.name, opened)


def take_all_back(db: apsw.Connection, found: tuple[Remembered, ...], now_ms: int) -> int:
    """Promise again whatever was forgotten; return of how many checkpoints that is."""
    return sum(take_back(db, opened, shown_by=name, now_ms=now_ms) for name, opened in found)
