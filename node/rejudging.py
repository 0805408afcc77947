"""Judges accepted signatures again when newer lists of revocations are here (复核), and fetches such lists from peers.

Lists come by link (every peer that is dialled is asked for what it holds) or by stick (`erhai trust person-crl`); either way
they lie on the shelf, which is looked at every few seconds. The outcome is appended to the log; nothing is changed in place.
"""

import asyncio
import json
import secrets
from collections.abc import Sequence
from dataclasses import replace

from node.clock import ClockFault
from node.domain.refused import Refused
from node.domain.signatures import MOST, JudgeAgain, Judged, SignaturesState, news
from node.domain.values import Actor, Role
from node.node import Node
from node.person_trust import PersonTrust
from node.recorder import NodeFault
from node.settings import Peer
from node.store import StoreFault
from node.views import signed as signed_view
from node.views.signed import SignedAct
from node.witness import NotWitnessed
from sync.acts import ActRefused, certificates_of
from sync.anchors import Anchors, AnchorsRefused
from sync.certificate_form import CertRefused
from sync.crl_shelf import ShelfRefused
from sync.gm import GmFault
from sync.keys import name_base
from sync.link import LinkFault, PeerLink
from sync.log import origins
from sync.person_certs import judge_again
from sync.person_lists import LISTS_PATH, LISTS_TYPE, MOST_BYTES, PersonLists, names_in
from sync.revocation_rule import Outcome, Purpose
from sync.supervise import log_once

LOOK_S, ASK_S = 2.0, 30.0


class Rejudging:
    """The task of one node. `links` are its own, one for each peer that is dialled."""

    def __init__(self, node: Node, trust: PersonTrust, links: tuple[tuple[Peer, PeerLink], ...]) -> None:
        """Nothing is asked before `run`."""
        self._node, self._trust, self._links = node, trust, links
        self._seen: tuple[object, ...] = ()
        self._older: set[str] = set()  # lists of peers that are not taken: older than those held, or broken

    async def run(self) -> None:
        """Look every two seconds, ask every half minute. Whatever fails is logged and never ends the task."""
        loop = asyncio.get_running_loop()
        asked_s = loop.time() - ASK_S
        while True:
            try:
                if loop.time() - asked_s >= ASK_S:
                    asked_s = loop.time()
                    for _peer, link in self._links:
                        await self.ask(link)
                await self.look()
            except Exception as error:  # noqa: BLE001 - the supervisor of this task: logged once a minute, tried again
                log_once(error, "judging signatures again")
            await asyncio.sleep(LOOK_S)

    async def ask(self, link: PeerLink) -> int:
        """Take what a peer holds and this node does not; return how many lists."""
        try:
            reply = await link.get(LISTS_PATH, limit=MOST_BYTES)
            if reply.status != 200 or reply.content_type != LISTS_TYPE:
                return 0
            held, taken = await asyncio.to_thread(PersonLists(self._trust.shelf).names), 0
            for name in names_in(reply.body) - held - self._older:
                found = await link.get(f"{LISTS_PATH}/{name}", limit=MOST_BYTES)
                if found.status == 200 and await asyncio.to_thread(self._take, found.body):
                    taken += 1
                else:
                    self._older.add(name)  # it would be fetched again at every look
        except LinkFault:
            return 0  # the pushing task says it
        return taken

    def _take(self, der: bytes) -> bool:
        try:
            return self._trust.take_crl(der, self._node.clock.now().at_ms)
        except (ShelfRefused, AnchorsRefused) as refused:
            log_once(refused, "a list of a peer is not taken")
            return False

    async def look(self) -> int:
        """Judge again where the shelf or the acts have changed since last time; return how many outcomes were appended."""
        acts = await self._node.read(lambda db: signed_view.of_logs(db, self._own(origins(db))))
        seen = (await asyncio.to_thread(PersonLists(self._trust.shelf).names), len(acts))
        if seen == self._seen or not acts:
            return 0
        stream = f"signatures/{self._node.settings.node}"
        state = await self._node.state(stream)
        if not isinstance(state, SignaturesState):
            return 0
        try:
            anchors = await asyncio.to_thread(self._trust.anchors)
        except (AnchorsRefused, OSError) as refused:
            log_once(refused, "judging signatures again")
            return 0
        found = [row for act in acts if (row := await self._judge(act, anchors)) is not None and news(state, row)]
        for at in range(0, len(found), MOST):
            if not await self._append(stream, tuple(found[at : at + MOST])):
                return 0
        self._seen = seen
        return len(found)

    def _own(self, every: Sequence[str]) -> list[str]:
        base = name_base(self._node.settings.origin)
        return [one for one in every if name_base(one) == base]

    async def _judge(self, act: SignedAct, anchors: Anchors) -> Judged | None:
        kept = await self._node.personal(act.commitment)
        if kept is None:
            return None  # erased: nobody can tell any more
        _text, cms, judgement = kept.fields
        try:
            return await asyncio.to_thread(self._again, act, bytes.fromhex(cms), json.loads(judgement), anchors)
        except (ActRefused, CertRefused, AnchorsRefused, GmFault, OSError) as refused:
            log_once(refused, f"signature under {act.origin} #{act.seq} cannot be judged")
            return None

    def _again(self, act: SignedAct, cms: bytes, then: dict[str, object], anchors: Anchors) -> Judged | None:
        certificate, chain = certificates_of(cms)
        at_ms = int(str(then["at_ms"]))
        # The set of that day was asked on that day; a set that was issued since has no say about its own past.
        asked = replace(anchors, issued_ms=min(anchors.issued_ms, at_ms))
        outcome, rows = judge_again(
            certificate,
            chain=chain,
            anchors=asked,
            at_ms=at_ms,
            purpose=Purpose(str(then["purpose"])),
            crls=self._trust.shelf.all(),
            forgotten=self._trust.shelf.forgotten(),
        )
        if outcome is Outcome.STILL_PENDING:
            return None
        lists = tuple(bytes.fromhex(row.sha256) for row in rows if row is not None)
        return Judged(act.origin, act.seq, act.commitment, str(outcome), lists)

    async def _append(self, stream: str, rows: tuple[Judged, ...]) -> bool:
        actor = Actor(self._node.settings.node, Role.SYSTEM)
        try:
            await self._node.submit(stream, JudgeAgain(rows), command_id=secrets.token_bytes(16), actor=actor)
        except NotWitnessed:
            return True  # it is recorded
        except (NodeFault, StoreFault, ClockFault, Refused) as fault:
            log_once(fault, "judging signatures again")
            return False
        return True
