"""A node that records at a steady rate until it is killed: `python -m bench.writer FOLDER PORT`.

FOLDER holds `from`, the node, and `to`, its neighbour. After every commit it says what it has acknowledged and what it has
shown as witnessed (a neighbour's verified cosignature over it); what was said is what a person has seen.
"""

import asyncio
import json
import sys
from pathlib import Path

from bench.outage import Sender

PER_COMMIT = 5
PAUSE_S = 0.01  # 500 entries a second, less what the commits take


async def write(folder: Path, port: int) -> None:
    """Record until killed."""
    sender = Sender(folder, port)
    async with sender.running():
        while True:
            await sender.append(PER_COMMIT)
            print(json.dumps({"acknowledged": sender.size, "witnessed": await sender.cosigned()}), flush=True)
            await asyncio.sleep(PAUSE_S)


if __name__ == "__main__":
    asyncio.run(write(Path(sys.argv[1]), int(sys.argv[2])))
