"""`make bench-backlog N=10000000`: a neighbour that was away catches up on a long log; the memory of both while it does (积压).

python -m bench.backlog [N] [FOLDER]: this process is the sender, the neighbour has one of its own; the log is made by a third,
so that nothing of its making is in the sender's memory.
"""

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench import outage
from bench.child import ROOT

_LOOK_S = 0.25
_CHART = 60  # columns
_ROWS = 8


@dataclass(frozen=True, slots=True)
class Sample:
    """What both processes held in memory when so much of the log had arrived."""

    share: float
    sender_mib: float
    receiver_mib: float
    wal_mib: float  # of the neighbour's database: it must be checkpointed while entries come


def make_log(folder: Path, count: int) -> float:
    """Make the sender's log in another process; return seconds."""
    code = "import sys; from pathlib import Path; from bench.own import fill; "
    code += "print(fill(Path(sys.argv[1]), 'from', int(sys.argv[2]), views=False))"
    command = [sys.executable, "-c", code, str(folder / "from"), str(count)]
    return float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, cwd=ROOT).stdout)


async def measure(folder: Path, count: int) -> tuple[float, list[Sample]]:
    """Return the seconds that the catch-up took and the samples taken meanwhile."""
    me = psutil.Process()
    samples: list[Sample] = []
    with outage.neighbour(folder) as receiver:
        sender = outage.Sender(folder, receiver.hello["port"])

        async def look() -> None:
            while True:
                behind = sender.push.status.entries_behind
                share = 1 - behind / count if behind else float(await sender.cosigned() == count)
                wal_mib = (folder / "to" / "erhai.db-wal").stat().st_size / 2**20
                samples.append(Sample(share, me.memory_info().rss / 2**20, receiver.rss_mib(), wal_mib))
                await asyncio.sleep(_LOOK_S)

        began = time.monotonic()
        async with sender.running():
            looking = asyncio.create_task(look())
            took = await sender.all_cosigned(timeout_s=3_600) - began
            await asyncio.sleep(2 * _LOOK_S)
            looking.cancel()
            await asyncio.gather(looking, return_exceptions=True)
    return took, samples


def at(samples: list[Sample], share: float) -> Sample:
    """Return the first sample at which so much had arrived, the last one where none was."""
    return next((one for one in samples if one.share >= share), samples[-1])


def chart(samples: list[Sample]) -> list[str]:
    """Draw both over the share that has arrived: s the sender, r the neighbour, + both."""
    top = max(max(one.sender_mib, one.receiver_mib) for one in samples) * 1.1
    grid = [[" "] * (_CHART + 1) for _ in range(_ROWS + 1)]
    for column in range(_CHART + 1):
        one = at(samples, column / _CHART)
        for value, mark in ((one.sender_mib, "s"), (one.receiver_mib, "r")):
            row = _ROWS - round(value / top * _ROWS)
            grid[row][column] = "+" if grid[row][column] not in {" ", mark} else mark
    lines = [f"  {top * (_ROWS - row) / _ROWS:6.0f} MiB |{''.join(cells)}" for row, cells in enumerate(grid)]
    return [*lines, f"  {'':10} 0 %{'of the entries, arrived':^{_CHART - 7}}100 %"]


def run(folder: Path, count: int) -> dict[str, object]:
    """Make the log, measure, print, and return the figures."""
    outage.make_pair(folder)
    made_s = make_log(folder, count)
    log_mib = (folder / "from" / "erhai.db").stat().st_size / 2**20
    took, samples = asyncio.run(measure(folder, count))
    print(f"backlog of {count:,} entries ({log_mib:,.0f} MiB of database, made in {made_s:.0f} s)")
    print(f"  caught up in {took:.1f} s: {count / took:,.0f}/s, proof-checked, FULL, cosigned")
    points = {f"{share:.0%}": at(samples, share) for share in (0.1, 0.5, 1.0)}
    for name, one in points.items():
        print(f"  RSS at {name:>4}: sender {one.sender_mib:5.0f} MiB, neighbour {one.receiver_mib:5.0f} MiB")
    most = (max(one.sender_mib for one in samples), max(one.receiver_mib for one in samples))
    print(f"  most at any time: sender {most[0]:.0f} MiB, neighbour {most[1]:.0f} MiB")
    print("\n".join(chart(samples)))
    print(f"  the neighbour's WAL never over {max(one.wal_mib for one in samples):.0f} MiB", flush=True)
    return {
        "entries": count,
        "seconds": took,
        "per_s": count / took,
        "rss_mib": {name: {"sender": one.sender_mib, "receiver": one.receiver_mib} for name, one in points.items()},
        "most_mib": {"sender": most[0], "receiver": most[1]},
        "most_wal_mib": max(one.wal_mib for one in samples),
    }


if __name__ == "__main__":
    words = sys.argv[1:]
    with tempfile.TemporaryDirectory(dir=words[1] if len(words) > 1 else None, prefix="erhai-backlog-") as scratch:
        print(json.dumps(run(Path(scratch), int(words[0]) if words else 10_000_000)))
