"""How a running node follows the epochs of logs, its own and its peers' (纪元更替).

What is true: `trust` names the log of every epoch that was enrolled or stated, and no other; a peer's new epoch is mirrored
from the moment its statement was stored, and put on record in the own log as soon as the node may append.
"""

import asyncio
import contextlib
import hashlib

from node.ask_peers import found_before
from node.branches import branch_of
from node.domain.epoch import NoteSuccession
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from node.epoch_heal import heal_closed
from node.node import Node
from node.recorder import NodeFault
from node.settings import Peer
from node.store import StoreFault
from node.successions import follow, known_successions, log_keys, own_former
from node.witness import NotWitnessed
from sync.codec import unpack
from sync.link import LinkFault, PeerLink
from sync.log import LogFault
from sync.receiver import MirroredLog, SyncNode, believe
from sync.succession import MAX_ENVELOPE, Statement, open_envelope, seal_envelope
from sync.supervise import log_once
from sync.tampered import Malformed, Tampered

ASK_AGAIN_S = 30.0
_MOST = 64


class Epochs:
    """The successions of one running node."""

    def __init__(self, node: Node, trust: dict[str, MirroredLog], ca: bytes) -> None:
        """Bring every known epoch of every peer into `trust`."""
        self._node = node
        self._trust = trust
        self._ca = ca
        self._wake = asyncio.Event()
        self._more: set[str] = set()
        self._asked: set[str] = set()  # peers that have answered what they hold of our closed logs
        keys = log_keys(node.settings, str(node.keys.log_signer.vkey), node.statements)
        for peer in node.settings.peers:
            trust[peer.origin] = MirroredLog(keys[peer.origin], peer.name)
        for one in node.statements:
            if one.node != node.settings.node:
                for origin in (one.old_origin, one.new_origin):
                    trust[origin] = MirroredLog(keys[origin], one.node)

    async def introduce(self) -> list[bytes]:
        """Return the own successions, oldest first, signed with today's certificate."""
        folder = self._node.keys.folder
        own = own_former(self._node.settings, self._node.statements)
        return [await asyncio.to_thread(seal_envelope, one.pack(), folder) for one in own]

    def succeeded(self, statement: Statement) -> None:
        """A peer's next epoch is believed: mirror it from now on."""
        node = self._node
        node.statements = (*node.statements, statement)
        node.settings = follow(node.settings, (statement,))
        keys = log_keys(node.settings, str(node.keys.log_signer.vkey), (statement,))
        self._trust[statement.new_origin] = MirroredLog(keys[statement.new_origin], statement.node)
        node.feed.publish({"status", "log"})
        self._wake.set()

    def holds_more(self, peer: str) -> None:
        """A peer holds more of an own closed log than this node: bring it back."""
        self._more.add(peer)
        self._wake.set()

    async def run(self) -> None:
        """Put peers' successions on record, and fetch what peers hold of closed logs. Never ends by itself."""
        while True:
            try:
                await self._note()
                await self._look()
                for name in sorted(self._more):
                    self._more.discard(name)
                    await heal_closed(self._node, name)
                await self._ask_all()
                await self._look()
            except (NodeFault, StoreFault, Refused) as fault:
                log_once(fault, "noting a succession")
            except (LinkFault, LogFault, Tampered) as fault:
                log_once(fault, "fetching a closed log")
            try:
                async with asyncio.timeout(ASK_AGAIN_S):
                    await self._wake.wait()
            except TimeoutError:
                continue
            self._wake.clear()

    async def _ask_all(self) -> None:
        """Ask the peers that have not answered since the start whether they hold another history of a closed log."""
        node = self._node
        dialled = {peer.name for peer in found_before(node.settings).peers if peer.url}
        if dialled - self._asked and own_former(node.settings, node.statements):
            self._asked.update(await heal_closed(node))

    async def _look(self) -> None:
        """See what is known of other histories of the own closed logs, for pages."""
        node = self._node
        former = own_former(node.settings, node.statements)
        if not former:
            return
        found = await node.read(lambda db: tuple(branch_of(db, one) for one in former))
        branches = tuple(one for one in found if one is not None)
        if branches != node.branches:
            node.branches = branches
            node.feed.publish({"status"})

    async def _note(self) -> None:
        """Record every succession of a peer that is not on record; its command id follows its statement."""
        node = self._node
        if node.stopped is not None:
            return
        for one in await node.read(known_successions):
            digest = hashlib.sha256(one.pack()).digest()
            if one.node == node.settings.node or await node.recorded(digest[:16]):
                continue
            command = NoteSuccession(one.node, one.old_origin, one.new_origin, one.size, one.lost, one.cause, digest)
            actor = Actor(node.settings.node, Role.SYSTEM)
            with contextlib.suppress(NotWitnessed):  # on record, which is all that is asked
                await node.submit(f"room/{node.settings.node}", command, command_id=digest[:16], actor=actor)

    async def ask(self, sync: SyncNode, peer: Peer, link: PeerLink) -> None:
        """Ask a peer that never dials us (the prefecture) which of its logs follows which, again and again."""
        while True:
            try:
                await self._ask(sync, peer, link)
            except (LinkFault, Malformed, Tampered, StoreFault) as fault:
                log_once(fault, f"asking {peer.name} for its successions")
            await asyncio.sleep(ASK_AGAIN_S)

    async def _ask(self, sync: SyncNode, peer: Peer, link: PeerLink) -> None:
        reply = await link.get("/log/successions", limit=_MOST * MAX_ENVELOPE)
        if reply.status != 200:
            return
        envelopes = unpack(reply.body)
        for envelope in envelopes if isinstance(envelopes, tuple) else ():
            if isinstance(envelope, bytes):
                statement = open_envelope(envelope, ca_pem=self._ca, prefecture=self._node.keys.prefecture)
                await believe(sync, statement, envelope, peer.name)
