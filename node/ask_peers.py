"""What the neighbours remember of this node's own log, asked once before it may append (启动询问).

A node whose disk was put back from a backup cannot know it by itself when the fence went back too; a peer that cosigned
more does. Nobody has to answer: after 2 s the fence alone decides (design 5.5).
"""

import asyncio
from collections.abc import Sequence

from node.settings import Peer, Settings
from sync.fence import Seen
from sync.keys import NodeKeys
from sync.link import LinkFault, PeerLink
from sync.note import VerifierKey
from sync.replicate import cosigned_checkpoint
from sync.supervise import log_once
from sync.tampered import Tampered

ASK_S = 2.0


async def seen_by_peers(settings: Settings, keys: NodeKeys, timeout_s: float = ASK_S) -> tuple[Seen, ...]:
    """Return the checkpoints of the own log that reachable peers have cosigned, signatures verified."""
    dialled = [peer for peer in settings.peers if peer.url]
    if not dialled:
        return ()
    asking = [asyncio.create_task(_ask(peer, keys)) for peer in dialled]
    done, late = await asyncio.wait(asking, timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    return _answers([task.result() for task in done])


def _answers(found: Sequence[Seen | None]) -> tuple[Seen, ...]:
    return tuple(sorted((seen for seen in found if seen is not None), key=lambda seen: seen.by))


async def _ask(peer: Peer, keys: NodeKeys) -> Seen | None:
    link = PeerLink(url=peer.url, node=peer.name, prefecture=keys.prefecture, context=keys.client_context())
    try:
        checkpoint = await cosigned_checkpoint(
            link, log=keys.log_signer.vkey, cosigner=VerifierKey.parse(peer.cosigner_vkey)
        )
    except LinkFault:
        return None  # a neighbour that is off or cut off is the ordinary case
    except Tampered as forged:
        log_once(forged, f"asking {peer.name} for our own checkpoint")
        return None  # proves something about the neighbour, nothing about this log
    finally:
        await link.close()
    return None if checkpoint is None else Seen(peer.name, checkpoint)
