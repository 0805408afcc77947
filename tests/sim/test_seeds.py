"""Hundreds of courses of trouble, each by its seed: no invariant breaks, and after healing everything converges.

More of them: `make sim SEEDS=20000`. One again, event by event: `make sim SEEDS=1 FIRST=<seed> TRACE=1`.
"""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.sim.watch import Violation
from tests.sim.world import LARGE_EVERY, Outcome, simulate

SEEDS = 500
GROUP = 25


@pytest.mark.parametrize("first", range(0, SEEDS, GROUP))
def test_nothing_acknowledged_is_lost_nothing_false_believed_and_all_converges(first: int) -> None:
    for seed in range(first, first + GROUP):
        try:
            simulate(seed)
        except Violation as violation:
            pytest.fail(f"{violation}\nreplay: make sim SEEDS=1 FIRST={seed} TRACE=1", pytrace=False)


def course(seed: int) -> tuple[Outcome, list[str]]:
    events: list[str] = []
    return simulate(seed, events.append), events


def test_a_seed_gives_the_same_course_to_the_last_event() -> None:
    for seed in (3, 17):
        assert course(seed) == course(seed)


def test_a_seed_gives_the_same_course_in_another_process() -> None:
    code = "from tests.sim.world import simulate; print(simulate(5).digest)"
    root = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert int(run.stdout) == simulate(5).digest


def test_a_large_seed_has_dozens_of_nodes_that_fork_crash_and_still_converge() -> None:
    outcome, events = course(LARGE_EVERY - 1)
    assert outcome.nodes >= 12
    assert outcome.requests > 500
    assert any(" healed" in event for event in events)
