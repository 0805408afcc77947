"""`make sim SEEDS=n [FIRST=k]`: many seeds, progress, and for a failure the seed and the command that replays it exactly."""

import argparse
import sys
import time
from collections import Counter

from tests.sim.watch import Violation
from tests.sim.world import simulate


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=500)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--trace", action="store_true", help="print every event of the course")
    asked = parser.parse_args()
    trace = print if asked.trace else None
    totals: Counter[str] = Counter()
    failed: list[int] = []
    began_s = time.monotonic()
    for seed in range(asked.first, asked.first + asked.seeds):
        try:
            done = simulate(seed, trace)
        except Violation as violation:
            failed.append(seed)
            print(f"seed {seed}: {violation}\n  replay: make sim SEEDS=1 FIRST={seed} TRACE=1", flush=True)
        else:
            totals.update(
                nodes=done.nodes, entries=done.entries, requests=done.requests, checks=done.checks, forks=done.forks
            )
        count = seed - asked.first + 1
        if count % 100 == 0 or count == asked.seeds:
            rate = count / (time.monotonic() - began_s)
            numbers = ", ".join(f"{value} {name}" for name, value in totals.items())
            print(f"{count} of {asked.seeds} seeds, {len(failed)} failed, {rate:.1f}/s; {numbers}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
