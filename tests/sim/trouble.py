"""What goes wrong in one seed: a few kinds of fault, chosen by chance, each again and again until the world is healed."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any

from tests.sim.machine import Machine
from tests.sim.network import Weather

DAY_MS = 86_400_000


class Trouble:
    """Makes trouble until cancelled."""

    def __init__(self, world: Any, rng: Random) -> None:
        self._world = world
        self._rng = rng
        self._images: dict[str, list[Any]] = {}
        kinds: list[tuple[Callable[[], None], int]] = [
            (self._crash, 4),
            (self._crash_at_commit, 5),
            (self._partition, 4),
            (self._flap, 3),
            (self._half_open, 3),
            (self._black_hole, 2),
            (self._clock_jump, 3),
            (self._full_disk, 2),
            (self._read_faults, 1),
            (self._restore, 4),
            (self._clone, 1),
        ]
        chosen = rng.sample(kinds, rng.randint(2, 5), counts=[weight for _, weight in kinds])
        self.kinds = list(dict.fromkeys(kind for kind, _ in chosen))
        self.every_s = rng.uniform(0.3, 1.8)
        world.net.weather = Weather(
            low_s=0.001,
            high_s=rng.choice((0.01, 0.05, 0.3)),
            cut=rng.choice((0.0, 0.02, 0.15)),
            double=rng.choice((0.0, 0.05, 0.2)),
        )

    async def go_on(self) -> None:
        rng = self._rng
        while True:
            await asyncio.sleep(rng.expovariate(1 / self.every_s))
            if rng.random() < 0.3 or not self._images:
                self._back_up()
            rng.choice(self.kinds)()

    def _some(self) -> Machine:
        return self._rng.choice(self._world.machines)

    def _later(self, seconds: float, what: Callable[[], None]) -> None:
        """Do something unless the world was healed before."""
        self._world.loop.call_later(seconds, lambda: None if self._world.healed else what())

    def _back_up(self) -> None:
        machine = self._some()
        if not machine.disk.db.in_transaction:
            self._images.setdefault(machine.name, []).append(machine.disk.image())

    # -- machines ----------------------------------------------------------------------------------------------------

    def _crash(self) -> None:
        machine = self._some()
        if machine.running is not None:
            machine.crash()
            self._later(self._rng.uniform(0.05, 6.0), machine.start)

    def _crash_at_commit(self) -> None:
        self._some().armed = self._rng.choice(("before-commit", "committed", "fenced"))

    def _clock_jump(self) -> None:
        machine = self._some()
        days = self._rng.choice((-20_700, -400, -3, -1, 1, 3, 400))
        machine.clock_ms += days * DAY_MS
        self._world.note("clock", machine.name, days)

    def _full_disk(self) -> None:
        machine = self._some()
        machine.disk.full_until_s = self._world.loop.time() + self._rng.uniform(0.1, 5.0)

    def _read_faults(self) -> None:
        disk = self._some().disk
        disk.read_faults = 0.3
        self._later(self._rng.uniform(0.5, 4.0), lambda: setattr(disk, "read_faults", 0.0))

    def _restore(self) -> None:
        """Put an old copy back, with its fence or (as the drill says) without."""
        kept = [one for one in self._world.machines if one.running is not None and one.name in self._images]
        if not kept:
            return
        machine = self._rng.choice(kept)
        fence = self._rng.random() < 0.4
        machine.crash()
        machine.disk.put_back(self._rng.choice(self._images[machine.name]), fence=fence)
        if fence:
            self._world.watch.excused.add(machine.origin)
        self._world.note("restore", machine.name, fence)
        self._later(self._rng.uniform(0.05, 3.0), machine.start)

    def _clone(self) -> None:
        """Start a copy of a whole machine beside it; once a seed."""
        machine = self._some()
        if any(one.name != one.node for one in self._world.machines) or machine.running is None or machine.liar:
            return
        name = machine.node + "+"
        disk = machine.disk.copy(machine.disk.fence_path.with_name(name))
        clone = Machine(self._world, name, machine.who, machine.plan, disk)
        clone.pace_s = machine.pace_s
        self._world.watch.excused.add(machine.origin)
        self._world.machines.append(clone)
        self._world.note("clone", name)
        clone.start()

    # -- the network -------------------------------------------------------------------------------------------------

    def _pair(self) -> tuple[str, str]:
        machine = self._some()
        edges = (*machine.plan.pushes, *machine.plan.pulls)
        return machine.name, self._rng.choice(edges).peer if edges else machine.node

    def _set(self, pairs: list[tuple[str, str]], seconds: float, **state: bool) -> None:
        for pair in pairs:
            wire = self._world.net.wires[pair]
            for name, value in state.items():
                setattr(wire, name, value)
                self._later(seconds, lambda wire=wire, name=name: setattr(wire, name, False))  # type: ignore[misc]
        self._world.note("wires", len(pairs), *state)

    def _partition(self) -> None:
        rng = self._rng
        side = {machine.node for machine in self._world.machines if rng.random() < 0.5}
        names = [(one.name, one.node) for one in self._world.machines]
        pairs = [(name, other) for name, node in names for _, other in names if (node in side) != (other in side)]
        self._set(pairs, rng.uniform(1.0, 15.0), **{rng.choice(("down", "black")): True})

    def _flap(self) -> None:
        pair = self._pair()
        for n in range(self._rng.randint(2, 6)):
            self._later(n * 1.5, lambda: self._set([pair], self._rng.uniform(0.2, 1.2), down=True))

    def _half_open(self) -> None:
        self._set([self._pair()], self._rng.uniform(1.0, 25.0), mute=True)

    def _black_hole(self) -> None:
        self._set([self._pair()], self._rng.uniform(1.0, 25.0), black=True)
