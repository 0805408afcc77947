"""`make bench-files MB=2048`: attachments to a neighbour, as a share of a plain HTTP PUT over the same line (附件).

python -m bench.files [MIB] [SHAPED_MIB] [FOLDER]: over loopback, and over a line of 50 Mbit/s and 20 ms there and back. Ours
is chunk by chunk over mTLS, each chunk proven, fsynced and acknowledged, the whole hashed twice; both keep the file on disk.
"""

import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import aiohttp

from bench import outage
from bench.child import Child
from bench.setup_node import AT_MS, PREFECTURE, opened
from node.places import BLOBS
from sync.blob_push import BlobPush, Wanted
from sync.blobs import BlobStore
from sync.link import PeerLink

MIB = 1024 * 1024
LARGEST = 256  # MiB of one file
LINE_RATE = 50_000_000 // 8  # bytes a second
LINE_DELAY_S = 0.01


def make_files(store: BlobStore, mib: int) -> list[Wanted]:
    """Put files of random bytes into a store, LARGEST each, so many MiB in all."""
    made: list[Wanted] = []
    left = mib
    while left:
        size = min(left, LARGEST)
        with store.incoming() as incoming:
            for _ in range(size):
                incoming.write(os.urandom(MIB))
            made.append(Wanted(incoming.keep(), size * MIB))
        left -= size
    return made


async def plain(folder: Path, port: int, files: list[Wanted]) -> float:
    """Return bytes a second of PUT after PUT over one connection."""
    store = BlobStore(folder / "from" / BLOBS, clear=False)
    began = time.monotonic()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=None)) as session:
        for one in files:
            with store.open(one.sha256) as file:
                async with session.put(f"http://127.0.0.1:{port}/{one.sha256.hex()}", data=file) as response:
                    response.raise_for_status()
    return sum(one.size for one in files) / (time.monotonic() - began)


async def ours(folder: Path, port: int, files: list[Wanted]) -> float:
    """Return bytes a second until the neighbour holds every file whole."""
    node = opened(folder / "from", "from", folder / "to")
    arrived: set[bytes] = set()
    whole = asyncio.Event()

    async def lacking() -> list[Wanted]:
        return [one for one in files if one.sha256 not in arrived]

    async def held(sha256: bytes) -> None:
        arrived.add(sha256)
        if len(arrived) == len(files):
            whole.set()

    link = PeerLink(
        url=f"https://127.0.0.1:{port}", node="to", prefecture=PREFECTURE, context=node.keys.client_context()
    )
    push = BlobPush(
        link, node.store, node.blobs, origin="files", now_ms=lambda: AT_MS, lacking=lacking, held=held, lost=held
    )
    began = time.monotonic()
    task = asyncio.create_task(push.run())
    await whole.wait()
    took = time.monotonic() - began
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    await node.close()
    return sum(one.size for one in files) / took


def over(folder: Path, shape: tuple[str, ...], mib: int, rounds: int) -> dict[str, float]:
    """Measure both in turns over one kind of line; `shape` is what the carrier is told, nothing for loopback itself."""
    outage.make_pair(folder)
    files = make_files(BlobStore(folder / "from" / BLOBS), mib)
    wanted = folder / "wanted.json"
    wanted.write_text(json.dumps({one.sha256.hex(): one.size for one in files}))
    kept = folder / "plain"
    kept.mkdir()
    seen: dict[str, list[float]] = {"plain": [], "ours": []}
    receiver = ("bench.receiver", str(folder / "to"), str(folder / "from"), "0", str(wanted))
    ways: dict[str, tuple[tuple[str, ...], Callable[[Path, int, list[Wanted]], Awaitable[float]]]] = {
        "plain": (("bench.plain_http", str(kept)), plain),
        "ours": (receiver, ours),
    }
    for _ in range(rounds):
        for name, (command, measure) in ways.items():
            with Child(*command) as server:
                rate = _measured(measure, folder, server.hello["port"], shape, files)
            seen[name].append(rate)
        for path in (*kept.iterdir(), *(BlobStore(folder / "to" / BLOBS).path(one.sha256) for one in files)):
            path.unlink()
    rates = {name: statistics.median(rows) for name, rows in seen.items()}
    return {**rates, "share": rates["ours"] / rates["plain"]}


def _measured(
    measure: Callable[[Path, int, list[Wanted]], Awaitable[float]],
    folder: Path,
    port: int,
    shape: tuple[str, ...],
    files: list[Wanted],
) -> float:
    async def run(port: int) -> float:
        return await measure(folder, port, files)

    if not shape:
        return asyncio.run(run(port))
    with Child("bench.carrier", str(port), *shape) as line:
        return asyncio.run(run(line.hello["port"]))


def run(folder: Path, mib: int, shaped_mib: int, rounds: int) -> dict[str, object]:
    """Measure over loopback and over the shaped line, print, and return the figures."""
    found: dict[str, object] = {}
    for name, shape, size in (
        ("loopback", (), mib),
        ("50 Mbit/s, 20 ms", (str(LINE_RATE), str(LINE_DELAY_S)), shaped_mib),
    ):
        inner = folder / ("shaped" if shape else "loopback")
        inner.mkdir()
        rates = over(inner, shape, size, rounds)
        line = f"  {size:,} MiB over {name}: ours {rates['ours'] / MIB:.1f} MiB/s, plain HTTP PUT {rates['plain'] / MIB:.1f} MiB/s"
        line += f", share {rates['share']:.1%}"
        if shape:
            rates["goodput"] = rates["ours"] / LINE_RATE
            line += f"; goodput {rates['goodput']:.1%} of the line (plain {rates['plain'] / LINE_RATE:.1%})"
        print(line, flush=True)
        found[name] = {"mib": size, **rates}
    return found


if __name__ == "__main__":
    words = sys.argv[1:]
    whole = int(words[0]) if words else 2_048
    shaped = int(words[1]) if len(words) > 1 else whole
    print(f"attachments, {whole:,} MiB over loopback and {shaped:,} MiB over a shaped line")
    with tempfile.TemporaryDirectory(dir=words[2] if len(words) > 2 else None, prefix="erhai-files-") as scratch:
        print(json.dumps(run(Path(scratch), whole, shaped, 1)))
