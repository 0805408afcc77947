"""A node that records incidents as fast as it can and prints each receipt only after it was acknowledged.

busy_child.py FOLDER FIRST COUNT AT_ONCE: commands have ids FIRST, FIRST+1, …; ERHAI_FAULT may kill it anywhere.
"""

import asyncio
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
from small_node import NODE, opened  # type: ignore[import-not-found]

from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role


async def main(folder: Path, first: int, count: int, at_once: int) -> None:
    node = opened(folder)
    actor = Actor("O-01", Role.OPERATOR)

    async def one(n: int) -> None:
        command = RecordIncident("other", f"第 {n} 次", 1_772_000_000_000, ())
        receipt = await node.submit(f"room/{NODE}", command, command_id=n.to_bytes(16, "big"), actor=actor)
        print(n, receipt.seq, receipt.leaf.hex(), flush=True)

    for start in range(first, first + count, at_once):
        await asyncio.gather(*(one(n) for n in range(start, min(start + at_once, first + count))))
    await node.close()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
