"""One seed: a prefecture of simulated nodes, trouble, healing, and the question whether everything converges.

`simulate(seed)` raises Violation with the invariant that broke, or returns what happened. The same seed gives the same
course to the last event: `Outcome.digest` covers every one of them.
"""

import asyncio
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch

from sync.note import VerifierKey
from tests.sim.convergence import unsettled
from tests.sim.disk import Disk
from tests.sim.liar import Liar
from tests.sim.machine import Edge, Machine, Plan, identity
from tests.sim.network import Net
from tests.sim.recovery import simulated_links
from tests.sim.trouble import Trouble
from tests.sim.virtual_time import VirtualLoop, run_virtually
from tests.sim.watch import Violation, Watch

BOUND_S = 90.0  # after healing everything must have converged
LARGE_EVERY = 100  # so often a seed has dozens of nodes
_verifies = lru_cache(8_192)(VerifierKey.verifies)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What happened in one seed that broke nothing."""

    seed: int
    digest: int
    nodes: int
    entries: int
    requests: int
    checks: int
    kinds: tuple[str, ...]
    forks: int
    healed_s: float


class World:
    """Everything of one seed."""

    def __init__(self, seed: int, folder: Path, trace: Any = None) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.loop = VirtualLoop(Random(self.rng.random()))
        self.loop.set_exception_handler(self._unhandled)
        self.net = Net(Random(self.rng.random()))
        self.watch = Watch(self)
        self.machines: list[Machine] = []
        self.entries = 0
        self.healed = False
        self.digest = 0
        self.violation: Violation | None = None
        self._trace = trace
        self._folder = folder
        self._main: asyncio.Task[Any] | None = None
        self._build()
        self.trouble = Trouble(self, Random(self.rng.random()))

    # -- what there is -----------------------------------------------------------------------------------------------

    def _build(self) -> None:
        rng = self.rng
        large = self.seed % LARGE_EVERY == LARGE_EVERY - 1
        rooms = rng.randint(10, 18) if large else rng.choice((1, 1, 1, 1, 2, 2, 3))
        sizes = [rng.choice((1, 2, 2, 3)) for _ in range(rooms)]
        prefecture = large or rng.random() < 0.7
        if not prefecture:
            sizes = [max(size, 2) for size in sizes[:1]]
        plans: dict[str, Plan] = {}
        for n, size in enumerate(sizes):
            room = [f"r{n}{letter}" for letter in "abc"[:size]]
            plans |= {node: Plan() for node in room}
            self._room(plans, room, up=prefecture)
        if prefecture:
            up = plans["p"] = Plan()
            up.trust = {identity(node).origin: node for node in plans if node != "p"}
            for node, plan in plans.items():
                if node != "p":
                    plan.trust[identity("p").origin] = "p"
                    plan.pulls.append(Edge("p", identity("p").origin))
            self._visitors(plans)
        for node, plan in plans.items():
            who = identity(node)
            machine = Machine(self, node, who, plan, Disk(self._folder / node, who.origin))
            machine.pace_s = rng.uniform(0.7, 5.0) * (3 if large else 1)
            self.machines.append(machine)
            self.net.machines[node] = machine
        if rng.random() < 0.25 and len(self.machines) > 2:
            relays = [one for one in self.machines if any(edge.origin != one.origin for edge in one.plan.pushes)]
            liar = rng.choice(relays if relays and rng.random() < 0.8 else self.machines)
            liar.liar = Liar(Random(rng.random()), liar.who.cosigner)

    def _room(self, plans: dict[str, Plan], room: list[str], *, up: bool) -> None:
        """Everybody pushes to everybody; up goes everybody for itself, or some also carry for others, up and down."""
        relayed = up and len(room) > 1 and self.rng.random() < 0.4
        for node in room:
            plan, origin = plans[node], identity(node).origin
            for other in room:
                if other != node:
                    plan.pushes.append(Edge(other, origin))
                    plans[other].trust[origin] = node
            if up and (not relayed or node == room[0] or self.rng.random() < 0.3):
                plan.pushes.append(Edge("p", origin))
            if relayed:
                for other in room:
                    if other != node and (node == room[0] or self.rng.random() < 0.25):
                        plan.pushes.append(Edge("p", identity(other).origin))
                        plan.pulls.append(Edge(other, identity("p").origin))
            if len(room) > 1 and self.rng.random() < 0.3:
                plan.witnesses.append(self.rng.choice([other for other in room if other != node]))

    def _visitors(self, plans: dict[str, Plan]) -> None:
        """Sometimes a node reads another county's log from the prefecture."""
        nodes = [node for node in plans if node != "p"]
        for node in nodes:
            other = self.rng.choice(nodes)
            if self.rng.random() < 0.15 and identity(other).origin not in plans[node].trust and other != node:
                plans[node].trust[identity(other).origin] = other
                plans[node].pulls.append(Edge("p", identity(other).origin))

    # -- what happens ------------------------------------------------------------------------------------------------

    async def live(self) -> float:
        """Trouble, then healing; returns how long it took to converge."""
        rng = self.rng
        self._main = asyncio.current_task()
        for machine in self.machines:
            machine.start()
        await asyncio.sleep(0.1)
        if rng.random() < 0.3:
            for machine in self.machines[: rng.randint(1, 3)]:
                await machine.append(rng.choice((100, 254, 300, 520)))
        trouble = self.loop.create_task(self.trouble.go_on())
        await asyncio.sleep(rng.uniform(4.0, 11.0))
        trouble.cancel()
        self._heal()
        if rng.random() < 0.5:
            await asyncio.sleep(3.0)
            for machine in self.machines:  # branches that were short grow past what was promised of the other
                await machine.append(rng.choice((1, 3, 40)))
        healed_s = self.loop.time()
        while (left := unsettled(self)) is not None:
            if self.loop.time() - healed_s > BOUND_S:
                self.watch.fail("convergence", left)
            await asyncio.sleep(1.0)
        for machine in self.machines:
            self.watch.audit(machine)
        return self.loop.time() - healed_s

    def _heal(self) -> None:
        self.healed = True
        self.net.clear()
        for machine in self.machines:
            machine.armed = None
            machine.disk.full_until_s = machine.disk.read_faults = 0.0
            if machine.running is None or machine.running.store.broken is not None:
                machine.crash()
                machine.start()
        self.note("healed")

    def note(self, *facts: object) -> None:
        """Take an event into the digest, and print it where somebody wants to see the course."""
        line = f"{self.loop.time():.6f} {' '.join(map(str, facts))}"
        self.digest = zlib.crc32(line.encode(), self.digest)
        if self._trace is not None:
            self._trace(line)

    def failed(self, violation: Violation) -> None:
        """Keep the first violation and end."""
        if self.violation is None:
            self.violation = violation
            self.note("violation", violation)
            if self._main is not None:
                self._main.cancel()

    def _unhandled(self, _loop: object, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, Violation):
            error = Violation("unforeseen-error", repr(error), context["message"])
        self.failed(error)


def simulate(seed: int, trace: Any = None) -> Outcome:
    """Run one seed. Raises Violation."""
    with _stage(seed) as folder:
        world = World(seed, folder, trace)
        with ExitStack() as patches:
            for module in ("sync.task", "sync.receiver"):
                patches.enter_context(patch(f"{module}.log_once", world.watch.unforeseen))
            simulated_links(world.net, patches)
            patches.enter_context(patch("sync.task.random", Random(seed)))
            patches.enter_context(patch.object(VerifierKey, "verifies", _verifies))
            patches.enter_context(patch("sync.wire.MAX_PACKAGES", world.rng.choice((1, 2, 32))))
            try:
                healed_s = run_virtually(world.loop, world.live())
            except asyncio.CancelledError:
                healed_s = 0.0
            finally:
                for machine in world.machines:
                    if machine.running is not None:
                        machine.running.fence.close()
        if world.violation is not None:
            raise world.violation
        return Outcome(
            seed=seed,
            digest=world.digest,
            nodes=len(world.machines),
            entries=world.entries,
            requests=world.net.requests,
            checks=world.watch.checks,
            kinds=tuple(kind.__name__.lstrip("_") for kind in world.trouble.kinds),
            forks=sum(world.watch.truth.forked(machine.origin) for machine in world.machines),
            healed_s=healed_s,
        )


@contextmanager
def _stage(seed: int) -> Iterator[Path]:
    """A folder for the fences, in memory where there is such a place."""
    memory = Path("/dev/shm")  # noqa: S108 - Linux's tmpfs
    folder = Path(tempfile.mkdtemp(prefix=f"erhai-sim-{seed}-", dir=memory if memory.is_dir() else None))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
