"""The line of a measurement, in a process of its own: `python -m bench.carrier TARGET_PORT [BYTES_A_SECOND DELAY_S]`.

Says its port, then takes `{"cut": "RST"}` and `{"heal": true}` as JSON lines until its input ends. Every peer is measured
over the same line and cut in the same way.
"""

import asyncio
import json
import sys

from tests.faults.line import Cut, Line, Shape


async def carry(target: int, rate: int, delay_s: float) -> None:
    """Carry until the input ends."""
    async with Line(target, Shape(rate=rate, delay_s=delay_s)) as line:
        print(json.dumps({"port": line.port}), flush=True)
        while told := await asyncio.to_thread(sys.stdin.readline):
            command = json.loads(told)
            if "cut" in command:
                line.cut(Cut[command["cut"]])
            else:
                line.heal()


if __name__ == "__main__":
    words = sys.argv[1:]
    asyncio.run(
        carry(int(words[0]), int(words[1]) if len(words) > 1 else 0, float(words[2]) if len(words) > 2 else 0.0)
    )
