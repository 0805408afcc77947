"""What the neighbours remember of this node's own log, asked before it may append (启动询问).

A node whose disk was put back from a backup cannot know it by itself when the fence went back too; a peer that cosigned
more does. At an ordinary start nobody has to answer: after 2 s the fence alone decides (design 5.5).
"""

import asyncio
from dataclasses import dataclass, replace

from node.places import ADDRESSES
from node.settings import Peer, Settings
from sync.announce import remembered_addresses
from sync.checkpoint import Opened
from sync.fence import Seen
from sync.keys import NodeKeys
from sync.link import LinkFault, PeerLink
from sync.note import VerifierKey
from sync.overtaken import cosigned_note, own_signature, shown_of
from sync.supervise import log_once
from sync.tampered import Tampered

ASK_S = 2.0


@dataclass(frozen=True, slots=True)
class PeerAnswer:
    """What one peer said: not `reached`, or what it has cosigned of our log (None: nothing), and what else it can show that
    our key has signed: evidence it keeps, and promises whose entries it lacks.
    """

    peer: Peer
    reached: bool
    opened: Opened | None = None
    shown: tuple[Opened, ...] = ()

    @property
    def own_note(self) -> bytes:
        """Return the checkpoint's note with the own log's signature alone: other lines are whatever the peer likes to say."""
        if self.opened is None:
            raise ValueError(self.peer.name)
        return own_signature(self.opened)


def found_before(settings: Settings) -> Settings:
    """Return the settings with room peers that have no url where they were last proven to be: for the questions of a start."""
    known = remembered_addresses(settings.data / ADDRESSES)
    if not known:
        return settings
    peers = tuple(
        replace(peer, url=known.get(peer.name, "")) if peer.kind == "room" and not peer.url else peer
        for peer in settings.peers
    )
    return replace(settings, peers=peers)


def link_to(peer: Peer, keys: NodeKeys) -> PeerLink:
    """Return a link to a peer's sync port; the caller closes it."""
    return PeerLink(url=peer.url, node=peer.name, prefecture=keys.prefecture, context=keys.client_context())


async def ask_peers(
    settings: Settings, keys: NodeKeys, *, log: VerifierKey | None = None, timeout_s: float = ASK_S
) -> tuple[PeerAnswer, ...]:
    """Return every dialled peer's answer about one of our logs (the current one by default), by name; a room peer without a
    url is asked where it was last proven to be.
    """
    dialled = [peer for peer in found_before(settings).peers if peer.url]
    asking = {peer.name: asyncio.create_task(_ask(peer, keys, log or keys.log_signer.vkey)) for peer in dialled}
    if not asking:
        return ()
    _, late = await asyncio.wait(asking.values(), timeout=timeout_s)
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    answers = [
        PeerAnswer(peer, reached=False) if asking[peer.name].cancelled() else asking[peer.name].result()
        for peer in dialled
    ]
    return tuple(sorted(answers, key=lambda answer: answer.peer.name))


def seen_in(answers: tuple[PeerAnswer, ...]) -> tuple[Seen, ...]:
    """Return every checkpoint of ours among the answers, for the gate."""
    return tuple(
        Seen(answer.peer.name, one.checkpoint)
        for answer in answers
        for one in (answer.opened, *answer.shown)
        if one is not None
    )


async def _ask(peer: Peer, keys: NodeKeys, log: VerifierKey) -> PeerAnswer:
    link = link_to(peer, keys)
    try:
        opened = await cosigned_note(link, log=log, cosigner=VerifierKey.parse(peer.cosigner_vkey))
        shown = tuple(await shown_of(link, log))
    except LinkFault:
        return PeerAnswer(peer, reached=False)  # a neighbour that is off or cut off is the ordinary case
    except Tampered as forged:
        log_once(forged, f"asking {peer.name} for our own checkpoint")
        return PeerAnswer(peer, reached=False)  # proves something about the neighbour, nothing about this log
    finally:
        await link.close()
    return PeerAnswer(peer, reached=True, opened=opened, shown=shown)
