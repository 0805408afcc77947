"""Keeps a running node's trust current (守护): takes up the CRL from disk and from peers, and says what is wrong.

A list is asked of every peer that is dialled, so that one which reached any node of a room reaches all of it.
"""

import asyncio
import time

from node.node import Node
from node.settings import Peer
from node.trust import machine_ms, own_certificate, trust_alarms
from sync.alarms import Alarm
from sync.announce import Discovery
from sync.crl import MAX_CRL, CrlRefused
from sync.link import LinkFault, PeerLink
from sync.supervise import log_once
from sync.trust import Trust
from sync.trust_port import CRL_PATH, CRL_TYPE

LOOK_S = 1.0
ASK_S = 30.0


class TrustKeeper:
    """The tasks of one node. `links` are its own, one for each peer that is dialled."""

    def __init__(self, node: Node, trust: Trust, links: tuple[tuple[Peer, PeerLink], ...]) -> None:
        """Nothing is asked before `run`."""
        self._node = node
        self._trust = trust
        self._links = links
        self.discovery: Discovery | None = None
        self._problems: dict[str, str] = {}

    async def run(self) -> None:
        """Look every second, ask every half minute. Whatever fails is an alarm and never ends the task."""
        asked_s = -ASK_S
        while True:
            try:
                if await asyncio.to_thread(self._trust.reload):
                    self._node.feed.publish({"status"})
                if time.monotonic() - asked_s >= ASK_S:
                    asked_s = time.monotonic()
                    await asyncio.gather(*(self._ask(peer, link) for peer, link in self._links))
                await self._say()
            except Exception as error:  # noqa: BLE001 - the supervisor of this task: logged once a minute, tried again
                log_once(error, "keeping trust current")
            await asyncio.sleep(LOOK_S)

    async def _ask(self, peer: Peer, link: PeerLink) -> None:
        try:
            reply = await link.get(CRL_PATH, limit=MAX_CRL)
        except LinkFault:
            return  # the pushing task says it
        if reply.status != 200 or reply.content_type != CRL_TYPE:
            return
        try:
            await asyncio.to_thread(self._trust.take_crl, reply.body)
        except CrlRefused as refused:
            if refused.why == "goes-back":
                self._problems.pop(peer.name, None)  # it will ask us, or the prefecture
            else:
                self._problems[peer.name] = refused.why
        else:
            self._problems.pop(peer.name, None)

    async def _say(self) -> None:
        own = await asyncio.to_thread(own_certificate, self._node.keys, self._trust)
        lists = tuple(Alarm("crl-refused", node=name, detail=why) for name, why in sorted(self._problems.items()))
        alarms = trust_alarms(self._trust, own, machine_ms()) + lists
        if self.discovery is not None:
            alarms += self.discovery.alarms()
            self._node.strangers = self.discovery.hints.strangers
        if alarms != self._node.trust_alarms:
            self._node.trust_alarms = alarms
            self._node.feed.publish({"status"})
