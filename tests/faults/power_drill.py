"""Power failures by the thousand, and flipped bits: `python -m tests.faults.power_drill COUNT [FIRST]`, or `make power N=COUNT`.

A course is one seed: a fresh log, then failure after failure on the same disk, each at some write, sync, cut or delete,
while appending, checkpointing, closing, starting or moving the fence. What holds after each is in `Course._starts`.
"""

import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from random import Random

import apsw

from node.store import StoreFault
from tests.faults.flipped import Flipped
from tests.faults.power_node import Answer, PowerNode, create, stopped
from tests.faults.power_vfs import Disk, powered

FAILURES = 25


class Lost(AssertionError):
    """What must never happen, with the seed that shows it."""


class Course:
    """One seed."""

    def __init__(self, seed: int, folder: Path) -> None:
        self.seed = seed
        self.rng = Random(seed)
        self.disk = Disk(folder, self.rng)
        self.acknowledged: dict[int, bytes] = {}
        self.asked: set[bytes] = set()
        self.in_flight = 0
        self.counts: Counter[str] = Counter()

    def run(self, failures: int = FAILURES) -> Counter[str]:
        with powered(self.disk):
            create(self.disk)
            for number in range(failures):
                self._until_power_fails(number)
                self._starts(number)
        return self.counts

    def _until_power_fails(self, number: int) -> None:
        """Work until the power fails. Whatever breaks then breaks because the power is off."""
        rng = self.rng
        self.disk.power_in = rng.choice((rng.randrange(1, 8), rng.randrange(1, 60), rng.randrange(1, 250)))
        try:
            while not self.disk.dead:
                power = PowerNode(self.disk, checkpoint_pages=rng.choice((4, 12, 60, 1_000)))
                try:
                    if stopped(power.gate()) or self.disk.dead:
                        continue
                    for group in range(rng.randrange(1, 25)):
                        if self.disk.dead:
                            break
                        many = rng.choice((1, 1, 1, 2, 5, 30, 300 if rng.random() < 0.1 else 8))
                        before = power.recorder.log.size
                        words = [f"{number}.{group}.{i} " for i in range(many)]
                        self._note(power.group(words), before, many)
                finally:
                    power.close()
                self.counts["clean ends"] += not self.disk.dead
        except (apsw.Error, OSError, StoreFault) as error:
            if not self.disk.dead:
                raise self._lost(number, f"broke with the power on: {error!r}") from error

    def _note(self, answers: list[Answer], before: int, many: int) -> None:
        self.in_flight = many
        for answer in answers:
            if not answer.told:
                raise self._lost(0, "a caller waits for ever")
            if answer.error is None:
                seq, body = answer.result
                self.acknowledged[seq] = body
        if all(answer.error is None for answer in answers):
            self.in_flight = 0
        elif not self.disk.dead:
            raise self._lost(0, f"refused with the power on: {answers[0].error!r}")
        self.counts["acknowledged"] += sum(answer.error is None for answer in answers)

    def _starts(self, number: int) -> None:
        """After each failure: the gate opens, everything acknowledged is there, nothing is half there, nothing differs."""
        self.disk.power_on()
        power = PowerNode(self.disk)
        try:
            verdict = power.gate()
            if stopped(verdict):
                raise self._lost(number, f"the gate says {stopped(verdict)}")
            held = power.bodies()
            for seq, body in self.acknowledged.items():
                if held.get(seq) != body:
                    raise self._lost(
                        number, f"entry {seq} was acknowledged and is {'other' if seq in held else 'gone'}"
                    )
            more = len(held) - len(self.acknowledged)
            if more not in {0, self.in_flight}:
                raise self._lost(number, f"{more} entries beyond the acknowledged, {self.in_flight} were under way")
            differences = power.differences()
            if differences:
                raise self._lost(number, str(differences[0]))
            if more:
                self.counts["kept though nobody was told"] += 1
                self.acknowledged = held
            self.in_flight = 0
            self.counts[type(verdict).__name__] += 1
            self.counts["failures"] += 1
        except (apsw.Error, StoreFault, OSError) as error:
            raise self._lost(number, f"does not start: {error!r}") from error
        finally:
            power.close()
        self.disk.sync_all()

    def _lost(self, number: int, what: str) -> Lost:
        return Lost(f"seed {self.seed}, failure {number}: {what}")


def drill(count: int, first: int = 0) -> Counter[str]:
    """Run so many failures, course after course. Raises Lost."""
    counts: Counter[str] = Counter()
    seed = first
    while counts["failures"] < count:
        with tempfile.TemporaryDirectory(prefix="erhai-power-") as folder:
            counts += Course(seed, Path(folder)).run(min(FAILURES, count - counts["failures"]))
        seed += 1
        if seed % 20 == 0:
            print(f"{counts['failures']} failures, seeds {first} to {seed - 1}", file=sys.stderr, flush=True)
    return counts


def flips(count: int, seed: int) -> Counter[str]:
    """Flip single bits of a stopped node's files; raise AssertionError where one changes the log and nobody says so."""
    said: Counter[str] = Counter()
    for checkpointed in (False, True):
        with tempfile.TemporaryDirectory(prefix="erhai-flip-") as folder:
            for words in Flipped(Path(folder), checkpointed=checkpointed).said_of(count // 2, Random(seed)):
                said[f"flipped bits: {words.split(' ')[0].rstrip(':') if words else 'without effect'}"] += 1
    return said


if __name__ == "__main__":
    began = time.monotonic()
    wanted, seed = int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0
    found = drill(wanted, seed) + flips(wanted // 5, seed)
    for word, number in sorted(found.items()):
        print(f"{number:9,} {word}")
    print(f"{time.monotonic() - began:9,.0f} s")
