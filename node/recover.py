"""What a stopped node does by itself (恢复): asks its peers, heals its log from their mirrors, passes the gate, goes on.

The gate's answer is asked anew each time; nothing is signed here. A copy restored by `erhai restore` carries another
instance id than the fence and passes only after it was compared with the peers: with one of them where the old fence still
proves what was released, with every one of them where the fence was lost too.
"""

import asyncio
import logging
from dataclasses import replace

import apsw

from node import projection
from node.ask_peers import PeerAnswer, ask_peers, link_to, seen_in
from node.node import Node
from node.recorder import NodeFault
from node.store import StoreFault
from node.verdict import HEALABLE, GateReport, is_restored, report_of
from sync.checkpoint import Checkpoint, Opened
from sync.fence import UNPROVEN, Rollback, Seen
from sync.gate import check_start
from sync.heal import Healed, Target, heal, look
from sync.link import LinkFault
from sync.log import LogFault, head, instance_id, origins
from sync.overtaken import contains, own_signature
from sync.reader import LogReader
from sync.supervise import log_once
from sync.tampered import Problem, Tampered
from sync.witness import Misbehaviour, keep_evidence

AGAIN_S = 3.0

_logger = logging.getLogger("erhai.node")


class Recovery:
    """Brings one stopped node back. One attempt at a time."""

    def __init__(self, node: Node) -> None:
        """Nothing is asked before `attempt` or `run`."""
        self._node = node
        self._vkey = node.keys.log_signer.vkey

    async def run(self) -> None:
        """Attempt until the node may append, or nothing but persons can help."""
        while self._node.stopped is not None and self._node.gate.healable:
            if not await self.attempt():
                await asyncio.sleep(AGAIN_S)

    async def attempt(self) -> bool:
        """Try once; return whether the node may append now. Whatever fails is said in the report and tried again."""
        node = self._node
        if node.stopped is None:
            return True
        try:
            answers = await ask_peers(node.settings, node.keys)
            node.around.asked = tuple((one.peer.name, one.reached) for one in answers)
            passed = await self._reconcile(answers)
        except (LinkFault, LogFault, Tampered, StoreFault, apsw.Error) as error:
            log_once(error, "healing the own log")
            self._show(replace(node.gate, phase="", problem=str(error)))
            return False
        return passed

    async def heal_from(self, proof: Opened, by: str, reader: LogReader) -> bool:
        """Heal once from a copy that was brought by hand, as from a peer's mirror; return whether the node may append now.

        No other attempt may be under way. Raises LinkFault, LogFault, and Tampered, where both branches are kept.
        """
        node = self._node
        local = await look(node.store, self._vkey, self._progress)
        least = 0 if local.whole else node.recorder.fence.state.released.size
        restored = await node.store.read(self._is_restored)
        seen = (Seen(by, proof.checkpoint),)
        verdict = await node.store.read(lambda db: self._ask_gate(db, seen, restored))
        if isinstance(verdict, Rollback) and verdict.cause in HEALABLE:
            try:
                await self._heal(Target(proof.checkpoint, own_signature(proof), by), reader, verdict, least)
            except Tampered as fault:
                if fault.problem is Problem.TWO_BRANCHES:
                    await self._close(own_signature(proof), by)
                raise
        return await self.attempt()

    async def _reconcile(self, answers: tuple[PeerAnswer, ...]) -> bool:
        node, seen = self._node, seen_in(answers)
        restored = await node.store.read(self._is_restored)
        verdict = await node.store.read(lambda db: self._ask_gate(db, seen, restored))
        tried: set[str] = set()
        while isinstance(verdict, Rollback) and verdict.cause in HEALABLE:
            self._show(report_of(verdict))
            if not await self._heal_once(verdict, answers, tried):
                break
            verdict = await node.store.read(lambda db: self._ask_gate(db, seen, restored))
        if isinstance(verdict, Rollback):
            self._show(replace(report_of(verdict), problem=node.gate.problem))
            await self.keep_branches(answers)
            return False
        silent = self._silent(answers) if restored else ()
        if silent:
            local = await node.store.read(lambda db: head(db, self._vkey.name).size)
            self._show(GateReport("waiting", "", local, local, silent))
            return False
        await self._derive()
        return await self._pass(seen, restored)

    def _ask_gate(self, db: apsw.Connection, seen: tuple[Seen, ...], restored: bool) -> object:
        return check_start(db, self._node.recorder.fence, self._vkey, seen, adopting=restored)

    def _is_restored(self, db: apsw.Connection) -> bool:
        """Return whether this database is a copy that `erhai restore` made and that the fence does not know yet."""
        return self._node.recorder.fence.state.instance != instance_id(db) and is_restored(db)

    def _silent(self, answers: tuple[PeerAnswer, ...]) -> tuple[str, ...]:
        """Return the peers that a restored copy still has to hear."""
        silent = tuple(answer.peer.name for answer in answers if not answer.reached)
        if self._node.recorder.fence.state.instance == UNPROVEN:
            return silent if answers else ("没有可询问的邻机",)
        return silent if len(silent) == len(answers) else ()

    async def _heal_once(self, verdict: Rollback, answers: tuple[PeerAnswer, ...], tried: set[str]) -> bool:
        """Heal from the best source that was not tried; return whether the log has changed."""
        node = self._node
        local = await look(node.store, self._vkey, self._progress)
        if local.whole and local.signed is not None and verdict.cause in {"entry-changed", "unsigned-tail"}:
            if "" in tried:
                return False
            tried.add("")
            await self._heal(Target(local.signed, local.note, node.settings.node), None, verdict, 0)
            return True
        known = 0 if local.signed is None or not local.whole else local.signed.size
        least = 0 if local.whole else node.recorder.fence.state.released.size
        found = [answer for answer in answers if answer.opened is not None and answer.peer.name not in tried]
        for answer in sorted(found, key=lambda one: -_size(one)):
            tried.add(answer.peer.name)
            if answer.opened is None or answer.opened.checkpoint.size <= known:
                continue
            link = link_to(answer.peer, node.keys)
            try:
                target = Target(answer.opened.checkpoint, answer.own_note, answer.peer.name)
                await self._heal(target, LogReader(link, self._vkey.name), verdict, least)
            except (LinkFault, LogFault, Tampered) as fault:
                if isinstance(fault, Tampered) and fault.problem is Problem.TWO_BRANCHES:
                    await self._close(answer.own_note, answer.peer.name)
                self._show(replace(node.gate, phase="", problem=f"{answer.peer.name}: {fault}"))
                continue
            finally:
                await link.close()
            return True
        return False

    async def _heal(self, target: Target, reader: LogReader | None, verdict: Rollback, least: int) -> None:
        node = self._node

        def settled(db: apsw.Connection, healed: Healed) -> None:
            if healed.size < least:
                raise LogFault("not-enough", healed.origin, healed.size, least)
            if healed.set_aside:
                projection.drop_views(db)
                for origin in origins(db):
                    projection.begin_again(db, origin, 0)
            else:
                projection.begin_again(db, healed.origin, healed.before)
            node.recorder.forget()

        done = await heal(
            node.store,
            target,
            reader,
            vkey=self._vkey,
            cause=verdict.cause,
            now_ms=lambda: node.clock.now().at_ms,
            settled=settled,
            progress=self._progress,
        )
        node.healed = done
        _logger.warning(
            "%s healed from %s after %s: %d -> %d entries, %d fetched, %d rows set aside",
            done.origin,
            done.source,
            done.cause,
            done.before,
            done.size,
            done.fetched,
            done.set_aside,
        )

    async def keep_branches(self, answers: tuple[PeerAnswer, ...]) -> None:
        """Where a peer holds another history signed by our key, both signed checkpoints are kept and the log is closed: at
        once, for this node may be asked to go on when that peer is away.
        """
        gate = self._node.gate
        if gate.cause != "peer-differs":
            return
        for answer in answers:
            for one in (answer.opened, *answer.shown):
                if answer.peer.name == gate.source and one is not None and one.checkpoint.size == gate.proven_size:
                    if await self._node.read(lambda db, at=one.checkpoint: contains(db, at)):  # type: ignore[misc]
                        continue
                    await self._close(own_signature(one), answer.peer.name)
                    return

    async def _close(self, note: bytes, by: str) -> None:
        now_ms = self._node.clock.now().at_ms
        await self._node.store.write(
            lambda db: _keep(db, self._vkey.name, problem=Problem.TWO_BRANCHES, note=note, by=by, now_ms=now_ms)
        )

    async def _derive(self) -> None:
        """Follow every log whose views are behind, the own one after a heal too."""
        node = self._node
        for origin in await node.store.read(origins):
            while await node.store.read(lambda db, origin=origin: projection.lags(db, origin)):  # type: ignore[misc]
                await node.store.write(lambda db, origin=origin: node.recorder.follow(db, origin))  # type: ignore[misc]
                done = await node.store.read(lambda db, origin=origin: projection.next_seq(db, origin))  # type: ignore[misc]
                self._progress("derive", done, max(done, node.gate.total))
        await node.store.write(lambda db: projection.caught_up(db, self._vkey.name))

    async def _pass(self, seen: tuple[Seen, ...], restored: bool) -> bool:
        node = self._node

        def job(db: apsw.Connection) -> object:
            verdict = self._ask_gate(db, seen, restored)
            if not isinstance(verdict, Rollback):
                held = head(db, self._vkey.name)
                adopt = instance_id(db) if restored else None
                node.recorder.pass_gate(Checkpoint(held.origin, held.size, held.root), adopt)
            return verdict

        verdict = await node.store.write(job)
        if isinstance(verdict, Rollback):
            self._show(report_of(verdict))
            return False
        node.stopped = None
        self._show(GateReport())
        _logger.warning("%s passed its start-up gate", self._vkey.name)
        return True

    def _progress(self, phase: str, done: int, total: int) -> None:
        self._show(replace(self._node.gate, phase=phase, done=done, total=total))

    def _show(self, report: GateReport) -> None:
        if report != self._node.gate:
            self._node.gate = report
            self._node.feed.publish({"status"})


async def stop_on_proof(node: Node, proof: Opened, by: str) -> None:
    """A peer shows a checkpoint that our key has signed and our log does not contain: nothing more is appended, at once.

    Where this process has appended nothing yet, it was a rollback that nobody could tell it of at its start: it is stopped
    as then, and heals. Else two hands use one key: both signed checkpoints are kept and the log is closed for ever.
    """
    origin, now_ms = proof.checkpoint.origin, node.clock.now().at_ms
    note = own_signature(proof)

    def job(db: apsw.Connection) -> None:
        if contains(db, proof.checkpoint):
            return  # it was healed meanwhile
        size = head(db, origin).size
        ahead = proof.checkpoint.size > size
        if ahead and not node.recorder.appended:
            cause = "peer-ahead"
            if proof.checkpoint.size > node.recorder.fence.state.released.size:
                node.recorder.fence.advance(proof.checkpoint)  # whoever has shown it may be gone when it is asked again
        else:
            cause = "closed"
            problem = Problem.ROLLED_BACK if ahead else Problem.TWO_BRANCHES
            _keep(db, origin, problem=problem, note=note, by=by, now_ms=now_ms)
        node.gate = GateReport(cause, by, size, proof.checkpoint.size)
        node.stopped = NodeFault(
            f"{by} shows {proof.checkpoint.size} entries signed by this node's key that are not in its log of {size}",
            "another copy of this node has been running; nothing more is recorded here before two persons have looked",
        )

    await node.store.write(job)
    if node.stopped is not None:
        _logger.error("%s stopped: %s", origin, node.stopped.why)
    node.feed.publish({"status", "log"})


def _keep(db: apsw.Connection, origin: str, *, problem: Problem, note: bytes, by: str, now_ms: int) -> None:
    held = head(db, origin).checkpoint or b""
    keep_evidence(db, Misbehaviour(origin, problem, held, note, b"", by, now_ms), freeze=True)


def _size(answer: PeerAnswer) -> int:
    return 0 if answer.opened is None else answer.opened.checkpoint.size
