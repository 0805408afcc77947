"""Fuzzing by the minute: `python -m tests.fuzz.long_run MINUTES [SEED]`, or `make fuzz MINUTES=10`.

Every find is printed with its decoder, seed and bytes (hex), which `judged` plays again; the run goes on and ends with 1.
"""

import sys
import time
import tracemalloc
from collections import Counter
from random import Random

from tests.fuzz.decoders import Decoder, decoders
from tests.fuzz.mutation import mutated, steps_of


def judged(decoder: Decoder, data: bytes) -> str:
    """Return accepted or refused. Raises what the decoder should not have raised; AssertionError for another spelling."""
    try:
        value = decoder.decode(data)
    except decoder.refusals:
        return "refused"
    if decoder.again is not None:
        assert decoder.again(value) == data, f"{decoder.name} reads what it would write otherwise"
    return "accepted"


def memory_of(decoder: Decoder, data: bytes) -> int:
    """Return the most bytes that reading this took."""
    tracemalloc.start()
    try:
        judged(decoder, data)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def fuzz(minutes: float, seed: int) -> int:
    """Return how many different finds there were."""
    began = time.monotonic()
    counts: Counter[str] = Counter()
    found: set[str] = set()
    round_no = 0
    while time.monotonic() - began < minutes * 60:
        rng = Random(f"{seed}/{round_no}")
        for decoder in decoders():
            for number in range(40):
                data = mutated(rng.choice(decoder.samples), decoder.samples, steps_of(rng))
                try:
                    counts[judged(decoder, data)] += 1
                    if number == 0:
                        taken = memory_of(decoder, data)
                        assert taken <= decoder.memory_factor * len(data) + (1 << 20), f"{taken} bytes for {len(data)}"
                except Exception as error:  # noqa: BLE001 - whatever it is, it is a find
                    word = f"{decoder.name}: {type(error).__name__}: {str(error)[:80]}"
                    if word not in found:
                        found.add(word)
                        print(f"{word}\n  seed {seed}/{round_no}: {data[:2_000].hex()}", flush=True)
        round_no += 1
    tried = sum(counts.values())
    print(
        f"{tried:,} inputs in {time.monotonic() - began:.0f} s over {len(decoders())} decoders: {dict(counts)}; finds {len(found)}"
    )
    return len(found)


if __name__ == "__main__":
    sys.exit(fuzz(float(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else time.time_ns()) > 0)
