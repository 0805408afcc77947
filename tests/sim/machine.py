"""A node as it runs: the real store, recorder, fence, gate, receiver and replication tasks on a simulated disk and network.

It starts as a real one does: asks its peers, lets the gate decide, answers and replicates in any case, appends only where it
may. An entry is acknowledged when the store's `write` returns.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from functools import cache
from random import Random
from types import SimpleNamespace
from typing import Any

import apsw

from node.ask_peers import ask_peers, seen_in
from node.recorder import Recorder
from node.recover import Recovery, stop_on_proof
from node.remembered import ask_cosigned, take_all_back
from node.store import StoreFault
from node.verdict import RESTORE_SCHEMA
from sync import gate
from sync.checkpoint import Opened, read
from sync.fence import Behind, Fence
from sync.follow import pull_log
from sync.heal import HEAL_SCHEMA
from sync.link import LinkFault
from sync.log import LOG_SCHEMA, TableHashes, head
from sync.merkle import consistency_proof
from sync.note import COSIGNATURE, Signer
from sync.receiver import Ask, MirroredLog, SyncNode, log_hash, receive
from sync.replicate import RemoteNode, push_log
from sync.tampered import Malformed
from sync.told import Told
from sync.wire import SIZE_TYPE, AddCheckpoint, decode_lines, decode_size
from tests.sim.disk import Crash, Disk, SimStore
from tests.sim.liar import Liar
from tests.sim.network import SimLink
from tests.sim.recovery import bare_node

PREFECTURE = "dali.erhai"
START_MS = 1_790_000_000_000


@dataclass(frozen=True, slots=True)
class Identity:
    """The keys of a node, the same in every seed."""

    node: str
    log: Signer
    cosigner: Signer
    witness: Signer

    @property
    def origin(self) -> str:
        return self.log.name


@cache
def identity(node: str) -> Identity:
    base = f"{PREFECTURE}/{node}"
    seeds = [(node + role).encode().ljust(32, b"\1") for role in "lmw"]
    return Identity(
        node,
        Signer.from_seed(f"{base}/e1", seeds[0]),
        Signer.from_seed(f"{base}/m", seeds[1], COSIGNATURE),
        Signer.from_seed(f"{base}/w", seeds[2], COSIGNATURE),
    )


@dataclass(frozen=True, slots=True)
class Edge:
    """A replication task: this log, pushed to or pulled from this node."""

    peer: str
    origin: str


@dataclass(slots=True)
class Plan:
    """What a node is configured to do."""

    pushes: list[Edge] = field(default_factory=list)
    pulls: list[Edge] = field(default_factory=list)
    witnesses: list[str] = field(default_factory=list)
    trust: dict[str, str] = field(default_factory=dict)  # origin -> node


@dataclass(eq=False, slots=True)
class Running:
    """One life of a node, from start to crash."""

    node: Any
    store: SimStore
    recorder: Recorder
    fence: Fence
    sync: SyncNode
    replication: list[Any] = field(default_factory=list)
    disproved: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def stopped(self) -> bool:
        """Whether it may not append."""
        return self.node.stopped is not None


class Machine:
    """A machine: its disk, its clock, the node on it. `name` is the machine's, `node` the node's: a clone has another name."""

    def __init__(self, world: Any, name: str, who: Identity, plan: Plan, disk: Disk) -> None:
        self.world = world
        self.name = name
        self.node = who.node
        self.who = who
        self.origin = who.origin
        self.plan = plan
        self.disk = disk
        self.rng = Random(world.rng.random())
        self.clock_ms = 0
        self.pace_s = 3.0
        self.liar: Liar | None = None
        self.armed: str | None = None
        self.running: Running | None = None
        self._jobs: set[asyncio.Task[Any]] = set()

    def now_ms(self) -> int:
        return START_MS + self.clock_ms + int(self.world.loop.time() * 1000)

    # -- life ----------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Start, where it does not run yet nor is about to."""
        if self.running is None and not self._jobs:
            self._task(self._boot())

    def crash(self) -> None:
        """Stop here and now. What is committed stays."""
        self.world.note("crash", self.name)
        running, self.running = self.running, None
        self.armed = None
        for job in self._jobs:
            job.cancel()
        self._jobs.clear()
        if running is not None:
            running.store.dead = True
            running.fence.close()

    def _task(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        job = self.world.loop.create_task(work)
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)
        return job

    async def _boot(self) -> None:
        peers = sorted({edge.peer for edge in self.plan.pushes if edge.origin == self.origin})
        named = [SimpleNamespace(name=one, url=one, cosigner_vkey=str(identity(one).cosigner.vkey)) for one in peers]
        settings: Any = SimpleNamespace(origin=self.origin, node=self.node, peers=named)
        keys: Any = SimpleNamespace(
            log_signer=self.who.log, cosigner=self.who.cosigner, witness=self.who.witness, machine=self
        )
        clock: Any = SimpleNamespace(now=self.now_ms)
        logs = [SimpleNamespace(name=to.name, url=to.url, log_vkey=str(identity(to.name).log.vkey)) for to in named]
        asked: Any = SimpleNamespace(peers=logs)
        seen, cosigned = await asyncio.gather(ask_peers(settings, keys), ask_cosigned(asked, keys))
        disk = self.disk
        fence = Fence.open(disk.fence_path)
        recorder = Recorder(settings, keys, fence, clock, ())
        store = SimStore(disk, self.rng, crashed=self._died, committed=lambda: self.world.watch.check(self))

        def prepare(db: apsw.Connection) -> None:
            for schema in (LOG_SCHEMA, HEAL_SCHEMA, RESTORE_SCHEMA):
                db.execute(schema)
            recorder.open(db)

        store.setup(prepare)
        verdict = store.setup(lambda db: gate.check_start(db, fence, self.who.log.vkey, seen_in(seen)))
        if isinstance(verdict, Behind):
            fence.advance(verdict.to)
        store.setup(lambda db: take_all_back(db, cosigned, self.now_ms()))
        node = bare_node(self, settings, keys, verdict, store=store, recorder=recorder)
        self.world.watch.check(self)
        self.world.note("start", self.name, node.gate.cause)
        store.before_commit = lambda db: self._before_commit(recorder, db)
        store.after_commit = lambda: self._after_commit(recorder)
        store.after_rollback = recorder.after_rollback
        trust = {origin: MirroredLog(identity(node).log.vkey, node) for origin, node in self.plan.trust.items()}
        sync = SyncNode(
            db=store,
            cosigner=self.who.cosigner,
            witness=self.who.witness,
            prefecture=PREFECTURE,
            trust=trust,
            allowed=lambda _peer, origin: origin in trust,
            now_ms=self.now_ms,
            stored=lambda _origin: self._notify(),
            more_routes=Told(self.who.log.vkey, self._disproved).routes,
        )
        running = self.running = Running(node, store, recorder, fence, sync)
        recorder.released = lambda _topics: self.world.loop.call_soon(self._notify)
        for edge in self.plan.pushes:
            remote = RemoteNode(edge.peer, identity(edge.peer).cosigner.vkey)
            push = push_log(self._link(edge.peer), store, origin=edge.origin, peer=remote, now_ms=self.now_ms)
            if edge.origin == self.origin:
                push.own, push.disproved = self.who.log.vkey, self._disproved
                push.others = tuple(
                    identity(node).cosigner.vkey for node in self.world.net.machines if node != edge.peer
                )
            running.replication.append(push)
        for edge in self.plan.pulls:
            pull = pull_log(
                self._link(edge.peer), store, log=trust[edge.origin], cosigner=self.who.cosigner, now_ms=self.now_ms
            )
            running.replication.append(pull)
        for task in running.replication:
            self._task(task.run())
        for peer in self.plan.witnesses:
            self._task(self._ask_witness(peer))
        self._task(self._write_on())
        self._task(self._recover(running))

    async def _recover(self, running: Running) -> None:
        """Heal from the neighbours whenever this node is stopped, as long as that can help."""
        while True:
            await Recovery(running.node).run()
            self.world.note("recovered", self.name, running.node.gate.cause)
            running.disproved.clear()
            await running.disproved.wait()

    def _link(self, peer: str) -> Any:
        return SimLink(self.world.net, self, peer)

    def _notify(self) -> None:
        if self.running is not None:
            for task in self.running.replication:
                task.notify()

    # -- the disk's moments ------------------------------------------------------------------------------------------

    def _before_commit(self, recorder: Recorder, db: apsw.Connection) -> None:
        recorder.before_commit(db)
        if self.world.loop.time() < self.disk.full_until_s:
            raise apsw.FullError("simulated")
        self._die_if("before-commit")

    def _after_commit(self, recorder: Recorder) -> None:
        self._die_if("committed")
        recorder.after_commit()
        self._die_if("fenced")

    def _die_if(self, point: str) -> None:
        if self.armed == point:
            raise Crash(point)

    def _died(self) -> None:
        self.crash()
        self.world.loop.call_later(self.rng.uniform(0.1, 4.0), self.start)

    async def _disproved(self, proof: Opened, by: str) -> None:
        """A peer proves that another hand has signed with this node's key."""
        running = self.running
        if running is not None and running.node.stopped is None:
            try:
                await stop_on_proof(running.node, proof, by)
            finally:
                running.disproved.set()
            self.world.note("disproved", self.name, by)

    # -- own entries -------------------------------------------------------------------------------------------------

    async def _write_on(self) -> None:
        while True:
            await asyncio.sleep(self.rng.expovariate(1 / self.pace_s))
            if self.world.healed:
                continue
            await self.append(self.rng.choice((1, 1, 1, 2, 4, 20)))

    async def append(self, count: int) -> None:
        """Append entries as so many callers at once would; each is acknowledged when its write returns. Many are one write."""
        running = self.running
        if running is None or running.stopped:
            return
        calls = [1] * count if count < 10 else [count]
        writes = [running.store.write(self._job(running.recorder, size)) for size in calls]
        done = await asyncio.gather(*writes, return_exceptions=True)
        for seq in done:
            if isinstance(seq, int):
                self.world.watch.acknowledged(self, seq)
            elif not isinstance(seq, StoreFault):
                raise seq

    def _job(self, recorder: Recorder, count: int) -> Callable[[apsw.Connection], int]:
        first = self.world.entries
        self.world.entries += count
        bodies = [b"%s %d" % (self.name.encode(), n) for n in range(first, first + count)]

        def job(_db: apsw.Connection) -> int:
            recorder._topics.add("log")
            return [recorder.log.append(body) for body in bodies][-1]

        return job

    # -- the wire ----------------------------------------------------------------------------------------------------

    def serve(self, ask: Ask) -> asyncio.Task[Any] | None:
        """Answer a request as long as this life lasts."""
        return None if self.running is None else self._task(self._answer(self.running, ask))

    async def _answer(self, running: Running, ask: Ask) -> Any:
        answer = await receive(running.sync, ask)
        self.world.note(ask.path[:24], ask.peer, self.name, answer.status)
        if answer.status == 200 and ask.path == f"/log/{log_hash(self.origin)}/checkpoint":
            self.world.watch.leaves(self, answer.body)
        return answer if self.liar is None else self.liar.answer(ask, answer)

    def sends(self, path: str, body: bytes) -> None:
        """Note what leaves this machine."""
        if path.endswith("/add-checkpoint"):
            self.world.watch.leaves(self, AddCheckpoint.parse(body).checkpoint)

    async def _ask_witness(self, peer: str) -> None:
        """Have the own log cosigned by a peer's witness key from time to time."""
        known = 0
        link = self._link(peer)
        while True:
            await asyncio.sleep(self.rng.uniform(2.0, 8.0))
            running = self.running
            if running is None:
                return
            with contextlib.suppress(LinkFault, apsw.IOError, Malformed):
                note, proof = await running.store.read(lambda db, old=known: self._growth(db, old))
                if note is None:
                    known = 0
                    continue
                body = bytes(AddCheckpoint(known, tuple(proof), note))
                reply = await link.post("/witness/add-checkpoint", body, content_type="text/plain", limit=9_999)
                if reply.status == 200 and decode_lines(reply.body):
                    known = read(note)[0].size
                elif reply.status == 409 and reply.content_type == SIZE_TYPE:
                    known = decode_size(reply.body)

    def _growth(self, db: apsw.Connection, old: int) -> tuple[bytes | None, list[bytes]]:
        held = head(db, self.origin)
        if held.checkpoint is None or old > held.checkpoint_size:
            return None, []
        return held.checkpoint, consistency_proof(TableHashes(db, self.origin), old, held.checkpoint_size)
