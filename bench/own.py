"""What one node of ours does alone: acknowledged commands, bulk appends, verification, start-up (单机)."""

import asyncio
import datetime as dt
import io
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw

from bench.setup_node import AT_MS, PREFECTURE, entry, make_node, opened, origin_of
from node import projection
from node.check import check_log
from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.export import write_log_bundle
from node.start import DATABASE
from node.store import connect
from sync.bundle import ZipMembers
from sync.certs import make_authority
from sync.checkpoint import Checkpoint, sign
from sync.keys import load_identity
from sync.log import LOG_SCHEMA, open_log
from sync.merkle import leaf_hash
from sync.note import Signer, VerifierKey
from sync.policy import Party, Policy
from sync.verify import verify_bundle

ROW = b"x" * 430
ACTOR = Actor("O-01", Role.OPERATOR)


def say(line: str) -> None:
    """Print a line at once."""
    print(line, flush=True)


def machine() -> str:
    """Return what this was measured on."""
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if "model name" in line
        ),
        platform.machine(),
    )
    return (
        f"{os.cpu_count()} cores {model}; Linux {platform.release()}; Python {platform.python_version()}; "
        f"SQLite {apsw.sqlite_lib_version()}"
    )


def bare_loop(folder: Path, seconds: float) -> float:
    """Return rows a second of the peer: one 430-byte row a transaction, WAL, synchronous=FULL."""
    path = folder / f"bare-{time.monotonic_ns()}.db"
    db = connect(path)
    db.execute("CREATE TABLE rows (id INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")
    done, until = 0, time.perf_counter() + seconds
    began = time.perf_counter()
    while time.perf_counter() < until:
        db.execute("BEGIN IMMEDIATE")
        db.execute("INSERT INTO rows (body) VALUES (?)", (ROW,))
        db.execute("COMMIT")
        done += 1
    rate = done / (time.perf_counter() - began)
    db.close()
    return rate


async def clients(count: int, seconds: float, one: Callable[[], Awaitable[object]]) -> tuple[float, list[float]]:
    """Let `count` clients call `one` again and again; return calls a second and every latency in ms."""
    latencies: list[float] = []
    until = time.perf_counter() + seconds

    async def client() -> None:
        while time.perf_counter() < until:
            began = time.perf_counter()
            await one()
            latencies.append((time.perf_counter() - began) * 1_000)

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(count)))
    return len(latencies) / (time.perf_counter() - began), latencies


async def acknowledged(folder: Path, seconds: float, rounds: int) -> dict[str, dict[str, float]]:
    """Measure the bare log and the full path with 1 and 32 clients, rounds interleaved with the bare loop."""
    authority = make_authority(PREFECTURE, dt.datetime.now(dt.UTC))
    make_node(folder / "ack", "ack", authority)
    node = opened(folder / "ack", "ack")
    counter = iter(range(10**9))
    room = iter(range(10**9))

    async def bare_log() -> object:
        return await node.store.write(lambda _db: node.recorder.log.append(ROW))

    async def full_path() -> object:
        n = next(counter)
        stream = f"room/r{next(room) // 40:06d}"
        command = RecordIncident("other", "市电中断" * 16, AT_MS - 1, ())
        return await node.submit(stream, command, command_id=n.to_bytes(16, "big"), actor=ACTOR)

    found: dict[str, list[tuple[float, float, float, float]]] = {}
    for _ in range(rounds):
        for name, one in (("bare log", bare_log), ("full path", full_path)):
            for count in (1, 64, 1_000):
                base = bare_loop(folder, seconds / 2)
                rate, latencies = await clients(count, seconds, one)
                latencies.sort()
                p50, p99 = latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]
                found.setdefault(f"{name}, {count} client{'s' if count > 1 else ''}", []).append(
                    (rate, p50, p99, rate / base)
                )
    await node.close()
    return {
        name: {
            "per_s": statistics.median(row[0] for row in rows),
            "p50_ms": statistics.median(row[1] for row in rows),
            "p99_ms": statistics.median(row[2] for row in rows),
            "ratio_to_bare_loop": statistics.median(row[3] for row in rows),
        }
        for name, rows in found.items()
    }


def fill(folder: Path, node: str, count: int, *, views: bool) -> float:
    """Write `count` entries into a node's log, signed in steps of 10,000; return the seconds it took."""
    keys = load_identity(folder / "keys")
    origin = origin_of(node)
    db = connect(folder / DATABASE)
    began = time.perf_counter()
    for start in range(0, count, 10_000):
        db.execute("BEGIN IMMEDIATE")
        log = open_log(db, origin)
        bodies = [entry(origin, node, seq) for seq in range(start, min(start + 10_000, count))]
        log.extend(bodies, [leaf_hash(body) for body in bodies])
        log.store_checkpoint(sign(Checkpoint(origin, log.size, log.frontier.root()), keys.log_signer))
        db.execute("COMMIT")
        if start % 100_000 == 0 and sys.stderr.isatty():
            print(f"  {start:,}/{count:,}", end="\r", file=sys.stderr, flush=True)
    if views:
        db.execute("BEGIN IMMEDIATE")
        projection.rebuild(db, db, origin)
        db.execute("COMMIT")
    took = time.perf_counter() - began
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return took


def verification(folder: Path, count: int) -> tuple[float, float]:
    """Return entries a second of the offline verifier over a bundle, and of the log part of `erhai check`."""
    db = connect(folder / "from" / DATABASE, readonly=True)
    vkey = VerifierKey.parse(str(load_identity(folder / "from" / "keys").log_signer.vkey))
    policy = Policy((Party(vkey),), {}, {}, None)
    target = io.BytesIO()
    write_log_bundle(db, target, origin_of("from"), policy)
    target.seek(0)
    began = time.perf_counter()
    verdict = verify_bundle(ZipMembers(target), policy, None)
    bundle_s = time.perf_counter() - began
    began = time.perf_counter()
    differences = check_log(db, origin_of("from"), vkey)
    check_s = time.perf_counter() - began
    db.close()
    if not verdict.ok or differences:
        say(f"the log to measure with does not verify: {verdict} {differences[:2]}")
    return count / bundle_s, count / check_s


_START = """
import sys, time, psutil
from pathlib import Path
began = time.perf_counter()
from bench.setup_node import opened
node = opened(Path(sys.argv[1]), sys.argv[2])
print(time.perf_counter() - began, psutil.Process().memory_info().rss, node.recorder.log.size, node.stopped or "active")
import os
os._exit(0)
"""


def start_up(folder: Path, name: str) -> tuple[float, float, str]:
    """Return seconds from nothing to an open node in a fresh process, its memory in MiB, and what it says."""
    done = subprocess.run(
        [sys.executable, "-c", _START, str(folder / name), name],
        capture_output=True,
        text=True,
        check=True,
        cwd=Path(__file__).parents[1],
    )
    seconds, rss, size, word = done.stdout.split(maxsplit=3)
    return float(seconds), int(rss) / 2**20, f"{size} entries, {word.strip()}"


def bulk(path: Path, seconds: float, step: int) -> float:
    """Return entries a second of our log alone, `step` a transaction, each transaction hashed and signed."""
    origin = origin_of("bulk")
    signer = Signer.from_seed(origin, bytes(32))
    db = connect(path)
    db.execute(LOG_SCHEMA)
    log, done = open_log(db, origin), 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        db.execute("BEGIN IMMEDIATE")
        bodies = [ROW] * step
        log.extend(bodies, [leaf_hash(body) for body in bodies])
        log.store_checkpoint(sign(Checkpoint(origin, log.size, log.frontier.root()), signer))
        db.execute("COMMIT")
        done += step
    rate = done / (time.perf_counter() - began)
    db.close()
    return rate
