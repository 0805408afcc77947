"""The simulator's clock: asyncio as it is, without waiting."""

import asyncio
from random import Random

import pytest

from tests.sim.virtual_time import VirtualLoop, run_virtually


def run(main):
    return run_virtually(VirtualLoop(Random(1)), main)


def test_a_year_passes_at_once_and_in_order() -> None:
    seen = []

    async def at(seconds: float) -> None:
        await asyncio.sleep(seconds)
        seen.append((seconds, asyncio.get_running_loop().time()))

    async def main() -> None:
        await asyncio.gather(at(365 * 86_400.0), at(0.5), at(3_600.0))

    run(main())
    assert [seconds for seconds, _ in seen] == [0.5, 3_600.0, 365 * 86_400.0]
    assert all(now == pytest.approx(seconds) for seconds, now in seen)


def test_timeouts_fall_when_they_are_due() -> None:
    async def main() -> float:
        loop = asyncio.get_running_loop()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(20):
                await asyncio.Event().wait()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.sleep(30), 5)
        return loop.time()

    assert run(main()) == pytest.approx(25)


def test_work_of_threads_runs_in_the_one_thread() -> None:
    import threading

    async def main() -> tuple[int, str]:
        thread = await asyncio.to_thread(threading.get_ident)
        with pytest.raises(ZeroDivisionError):
            await asyncio.to_thread(lambda: 1 // 0)
        return thread, "done"

    assert run(main()) == (threading.get_ident(), "done")


def test_nothing_left_to_happen_is_an_error_and_not_a_hang() -> None:
    async def main() -> None:
        await asyncio.Event().wait()

    with pytest.raises(RuntimeError, match="nothing is left"):
        run(main())
