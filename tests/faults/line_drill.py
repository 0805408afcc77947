"""The long drill over a bad line: `make line-drill`, about a quarter of an hour; prints what it measured (线路演练).

python -m tests.faults.line_drill [seconds of the thin line, 600]
"""

import asyncio
import sys
import tempfile
import time
from pathlib import Path

from sync.status import LinkState
from tests.faults.line import THIN, Cut, Shape
from tests.faults.line_pair import BROAD, ENTRY, Pair, goodput, pair_in, unpackable
from tests.shell.sync_room import until

PACKAGE = 256 * (ENTRY + 2) + 1_000


async def thin(folder: Path, seconds: int) -> bool:
    """64 kbit/s and 600 ms for ten minutes, with a log that goes on growing."""
    count = seconds * THIN.rate // ENTRY // 256 * 256
    async with pair_in(folder, THIN) as pair:
        await pair.a.append(unpackable(count))
        async with pair.running() as sight:
            growing = asyncio.create_task(_grow(pair, count))
            seen = await pair.arrivals(count)
            growing.cancel()
            broken = pair.line.broken  # the end of the drill breaks them itself
        share = goodput(seen) / THIN.rate
        bad = sight.faults()
        print(
            f"thin: {share:.1%} of 64 kbit/s over {seen[-1][0] - seen[0][0]:.0f} s at 600 ms;"
            f" {pair.line.accepted} connections, {broken} broken, faults {bad}",
            flush=True,
        )
        return share >= 0.9 and not broken and not bad


async def _grow(pair: Pair, start: int) -> None:
    while True:
        await asyncio.sleep(10)
        await pair.a.append(unpackable(5, start))
        pair.push.notify()
        start += 5


async def flapping(folder: Path) -> bool:
    """Up 3 s, down 3 s: by reset, and by a pause that connections outlive."""
    good = True
    for how in (Cut.RST, Cut.FREEZE):
        async with pair_in(folder / how.name, Shape(rate=32_000, delay_s=0.1)) as pair:
            count = 256 * 8
            await pair.a.append(unpackable(count))
            sizes = [0]
            async with pair.running():
                while sizes[-1] < count and len(sizes) < 60:
                    await asyncio.sleep(3)
                    pair.line.cut(how)
                    await asyncio.sleep(3)
                    sizes.append(await pair.size())
                    pair.line.heal()
                await pair.cosigned(count)
            beyond = pair.line.up.carried - count * (ENTRY + 2)
            each = beyond / (len(sizes) - 1) / PACKAGE
            print(
                f"flapping by {how.name}: stored {sizes}; carried beyond the entries {beyond} bytes,"
                f" {each:.2f} packages a cut",
                flush=True,
            )
            good = good and await pair.bodies() == unpackable(count) and each <= 1 and sizes[-1] == count
    return good


async def half_open(folder: Path) -> bool:
    """How long until a line that went silent is called offline: with entries under way, and with nothing to send."""
    for busy in (True, False):
        async with pair_in(folder / str(busy), BROAD) as pair:
            count = 256 * 60 if busy else 256
            await pair.a.append(unpackable(count))
            async with pair.running():
                if busy:
                    await until(lambda pair=pair, count=count: 0 < pair.push.status.entries_behind < count - 512)
                else:
                    await pair.cosigned(count)
                pair.line.cut(Cut.SILENT)
                began_s = time.monotonic()
                await until(lambda pair=pair: pair.push.status.state is LinkState.OFFLINE, 12_000)
                found_s = time.monotonic() - began_s
                pair.line.heal()
                await pair.cosigned(count)
                print(
                    f"half open, {'busy' if busy else 'idle'}: found after {found_s:.1f} s,"
                    f" whole again {time.monotonic() - began_s - found_s:.1f} s after the line",
                    flush=True,
                )
    return True


async def returning(folder: Path) -> bool:
    """How long until the first new entry is cosigned after the line, or the receiver, is back."""
    line_s, restart_s = [], []
    async with pair_in(folder, Shape(delay_s=0.01)) as pair:
        size = 0
        async with pair.running():
            for n in range(20):
                port = pair.line.target
                await (pair.b.stop_port() if n % 2 else asyncio.sleep(0))
                pair.line.cut(Cut.RST) if n % 2 == 0 else None
                await pair.a.append(unpackable(10, size))
                size += 10
                pair.push.notify()
                await asyncio.sleep(5 + n / 7)
                if n % 2:
                    await pair.b.start(port)
                else:
                    pair.line.heal()
                began_s = time.monotonic()
                await pair.cosigned(size)
                (restart_s if n % 2 else line_s).append(time.monotonic() - began_s)
    for what, took in (("line is back", line_s), ("receiver restarted", restart_s)):
        print(
            f"first entry after the {what}: median {sorted(took)[len(took) // 2]:.2f} s, worst {max(took):.2f} s",
            flush=True,
        )
    return max(restart_s) <= 2.0


async def drill(seconds: int) -> bool:
    """Run all; return whether every bound holds."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        good = True
        for part, run in (("returning", returning), ("half-open", half_open), ("flapping", flapping)):
            good = await run(folder / part) and good
        return await thin(folder / "thin", seconds) and good


if __name__ == "__main__":
    sys.exit(0 if asyncio.run(drill(int(sys.argv[1]) if len(sys.argv) > 1 else 600)) else 1)
