"""Keeps a running node's trust current (守护): takes up the CRL from disk and from peers, and says what is wrong.

A list is asked of every peer that is dialled, so that one which reached any node of a room reaches all of it. The own
certificate is renewed at two thirds of its life: a county asks its prefecture, a prefecture its own office. A renewed one
counts from the next handshake on, without a restart.
"""

import asyncio
import datetime as dt
import time
from collections.abc import Callable

from node.enrol import accept, renewal
from node.node import Node
from node.settings import Peer
from node.trust import machine_ms, own_certificate, trust_alarms
from sync.alarms import Alarm
from sync.announce import Discovery
from sync.certs import CertFault
from sync.crl import MAX_CRL, CrlRefused
from sync.enrolment import MAX_PAPER, EnrolRefused
from sync.link import LinkFault, PeerLink
from sync.office import Office
from sync.receiver import RENEWAL
from sync.supervise import log_once
from sync.tampered import Malformed
from sync.trust import Trust
from sync.trust_port import BUNDLE_TYPE, CRL_PATH, CRL_TYPE, RENEWAL_TYPE

LOOK_S = 1.0
ASK_S = 30.0


class TrustKeeper:
    """The tasks of one node. `links` are its own, one for each peer that is dialled."""

    def __init__(
        self,
        node: Node,
        trust: Trust,
        links: tuple[tuple[Peer, PeerLink], ...],
        *,
        office: Office | None,
        renewed: Callable[[], None],
    ) -> None:
        """Nothing is asked before `run`. `renewed` is called after the own certificate was replaced."""
        self._office = office
        self._renewed = renewed
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
                    await self._own_list()
                    await self._renew()
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
        await self._take(peer.name, reply.body)

    async def _take(self, source: str, crl: bytes) -> None:
        try:
            await asyncio.to_thread(self._trust.take_crl, crl)
        except CrlRefused as refused:
            if refused.why == "goes-back":
                self._problems.pop(source, None)  # it will ask us, or the prefecture
            else:
                self._problems[source] = refused.why
        else:
            self._problems.pop(source, None)

    async def _own_list(self) -> None:
        """A prefecture takes its own office's list: what two officers revoke counts here within ASK_S, and goes down."""
        if self._office is not None:
            crl = await asyncio.to_thread(self._office.crl, dt.datetime.now(dt.UTC))
            await self._take(self._node.settings.node, crl)

    async def _renew(self) -> None:
        keys, data = self._node.keys, self._node.settings.data
        own = await asyncio.to_thread(own_certificate, keys, self._trust)
        if machine_ms() < own.renewal_due_ms:
            return
        paper = await asyncio.to_thread(renewal, keys, machine_ms())
        bundle = await self._bundle(paper)
        if bundle is None:
            return
        try:
            await asyncio.to_thread(accept, data, bundle, machine_ms())
        except (EnrolRefused, Malformed, CertFault, CrlRefused) as refused:
            self._problems["renewal"] = str(refused)
            return
        self._problems.pop("renewal", None)
        self._renewed()
        self._trust.renewed()

    async def _bundle(self, paper: bytes) -> bytes | None:
        """Return the answer of the own office, or of the first prefecture that gives one."""
        if self._office is not None:
            try:
                return await asyncio.to_thread(self._office.renew, paper, dt.datetime.now(dt.UTC))
            except EnrolRefused as refused:
                self._problems["renewal"] = str(refused)
                return None
        for peer, link in self._links:
            if peer.kind != "prefecture":
                continue
            try:
                reply = await link.post(RENEWAL, paper, content_type=RENEWAL_TYPE, limit=MAX_PAPER)
            except LinkFault:
                continue  # the pushing task says it
            if reply.status == 200 and reply.content_type == BUNDLE_TYPE:
                return reply.body
            if reply.status != 404:
                self._problems["renewal"] = reply.text()
        return None

    async def _say(self) -> None:
        own = await asyncio.to_thread(own_certificate, self._node.keys, self._trust)
        lists = tuple(
            Alarm("renewal-refused", detail=why) if name == "renewal" else Alarm("crl-refused", node=name, detail=why)
            for name, why in sorted(self._problems.items())
        )
        alarms = trust_alarms(self._trust, own, machine_ms()) + lists
        if self.discovery is not None:
            alarms += self.discovery.alarms()
            self._node.strangers = self.discovery.hints.strangers
        if alarms != self._node.trust_alarms:
            self._node.trust_alarms = alarms
            self._node.feed.publish({"status"})
