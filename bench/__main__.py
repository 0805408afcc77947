"""`make bench`: us beside our peers, in one run on one machine, as ratios.

python -m bench [--quick] [--only PART ...] [--data DIR] [--json]: DIR is a folder on the disk that is measured. Everything is
repeated and taken in turns with what it is compared with, because others may be using the machine.
"""

import asyncio
import datetime as dt
import json
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import click
import psutil

from bench import backlog, beside, files, outage
from bench.outage import Outage
from bench.own import acknowledged, fill, machine, say, start_up, verification
from bench.setup_node import PREFECTURE, make_node
from sync.certs import make_authority


@dataclass
class Run:
    """One run: where, how thoroughly, and what it has found so far."""

    folder: Path
    quick: bool
    rounds: int
    figures: dict[str, object] = field(default_factory=dict)
    commands: dict[str, dict[str, float]] = field(default_factory=dict)
    loads: dict[str, tuple[float, float]] = field(default_factory=dict)  # of all programs of the machine, by part

    def scratch(self, name: str) -> Path:
        """Return a folder of its own for one part."""
        made = self.folder / name
        made.mkdir()
        return made


def _commands(run: Run) -> None:
    say("acknowledged commands (ratio: to one 430-byte row a FULL transaction, same disk, same run)")
    run.commands = asyncio.run(acknowledged(run.folder, 0.7 if run.quick else 2.0, run.rounds))
    for name, row in run.commands.items():
        say(
            f"  {name:24} {row['per_s']:9,.0f}/s  p50 {row['p50_ms']:6.2f} ms  p99 {row['p99_ms']:6.2f} ms  "
            f"ratio {row['ratio_to_bare_loop']:5.2f}"
        )
    run.figures["acknowledged"] = run.commands


def _events(run: Run) -> None:
    seconds, rounds = (0.5 if run.quick else 2.0, run.rounds)
    run.figures["eventsourcing"] = beside.event_library(run.scratch("events"), run.commands, seconds, rounds)


def _catch_up(run: Run) -> None:
    count = 20_000 if run.quick else 100_000
    folder = run.scratch("fresh")
    outage.make_pair(folder)
    fill(folder / "from", "from", count, views=False)
    rate = asyncio.run(outage.fresh(folder, count))
    say(f"a new neighbour takes {count:,} entries, stored FULL and cosigned: {rate:,.0f}/s ({count / rate:.1f} s)")
    bundle_rate, check_rate = verification(folder, count)
    say(f"verification: bundle offline {bundle_rate:,.0f}/s, log part of check {check_rate:,.0f}/s")
    run.figures |= {"catch_up_per_s": rate, "verify_bundle_per_s": bundle_rate, "check_log_per_s": check_rate}


def _documents(run: Run) -> None:
    count = 5_000 if run.quick else 20_000
    run.figures["pouchdb"] = beside.documents(run.scratch("documents"), count, run.rounds)


def _cut(run: Run) -> None:
    what = Outage("cut", 3.0 if run.quick else 12.0, 20_000 if run.quick else 100_000)
    run.figures["link_cut"] = beside.back_again(run.scratch("cut"), what, run.rounds)


def _restart(run: Run) -> None:
    what = Outage("restart", 1.0, 20_000 if run.quick else 100_000)
    run.figures["receiver_restart"] = beside.back_again(run.scratch("restart"), what, run.rounds)


def _losses(run: Run) -> None:
    run.figures["losses"] = beside.losses(run.scratch("losses"), 1 if run.quick else 5)


def _files(run: Run) -> None:
    mib, shaped_mib = (64, 16) if run.quick else (256, 64)
    say(f"attachments beside a plain HTTP PUT (median of {run.rounds}; 2 GB: make bench-files)")
    run.figures["files"] = files.run(run.scratch("files"), mib, shaped_mib, run.rounds)


def _backlog(run: Run) -> None:
    run.figures["backlog"] = backlog.run(run.scratch("backlog"), 50_000 if run.quick else 500_000)


def _start(run: Run) -> None:
    authority = make_authority(PREFECTURE, dt.datetime.now(dt.UTC))
    for size in (1_000, 10_000 if run.quick else 1_000_000):
        name = f"start{size}"
        make_node(run.folder / name, name, authority)
        took = fill(run.folder / name, name, size, views=True)
        seconds, memory, word = start_up(run.folder, name)
        say(f"start-up with {size:,} entries: {seconds:.2f} s, {memory:.0f} MiB ({word}; made in {took:.0f} s)")
        run.figures[f"start_{size}"] = {"seconds": seconds, "mib": memory}


PARTS: dict[str, Callable[[Run], None]] = {
    "commands": _commands,
    "events": _events,
    "catch-up": _catch_up,
    "documents": _documents,
    "cut": _cut,
    "restart": _restart,
    "losses": _losses,
    "files": _files,
    "backlog": _backlog,
    "start": _start,
}


@click.command()
@click.option("--quick", is_flag=True, help="smaller sizes, one round of each")
@click.option("--rounds", type=click.IntRange(1, 99), default=None, help="of each figure: 3, with --quick 1")
@click.option("--only", multiple=True, type=click.Choice(tuple(PARTS)), help="only these parts; may be given again")
@click.option("--json", "as_json", is_flag=True, help="figures as JSON on the last line")
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=None, help="folder on the disk to measure"
)
def main(data: Path | None, only: tuple[str, ...], rounds: int | None, *, quick: bool, as_json: bool) -> None:
    """Measure and print."""
    say(f"machine: {machine()}; {psutil.virtual_memory().total // 2**30} GiB")
    with tempfile.TemporaryDirectory(dir=data, prefix="erhai-bench-") as scratch:
        run = Run(Path(scratch), quick, rounds or (1 if quick else 3), {"machine": machine()})
        for name, part in PARTS.items():
            if not only or name in only:
                before = os.getloadavg()[0]
                part(run)
                after = os.getloadavg()[0]
                say(f"  (load of the machine: {before:.1f} before, {after:.1f} after)")
                run.loads[name] = (before, after)
        run.figures["load"] = run.loads
    if as_json:
        print(json.dumps(run.figures))


def _ended(_signal: int, _frame: object) -> None:
    sys.exit(128 + signal.SIGTERM)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _ended)  # so that a run that is ended ends its peers
    # The writer threads of closed nodes are daemons; nothing else may keep the process.
    main(standalone_mode=False)
    leftover = [
        thread.name for thread in threading.enumerate() if thread is not threading.main_thread() and not thread.daemon
    ]
    if leftover:
        say(f"threads left: {leftover}")
