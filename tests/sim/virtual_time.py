"""An event loop whose clock jumps: everything of asyncio works, nothing waits, threads run inline, order is by seed."""

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any


class VirtualLoop(asyncio.BaseEventLoop):
    """Runs what is due, then jumps to the next timer. `before_jump` is called when everything of an instant has run."""

    def __init__(self, rng: Random) -> None:
        super().__init__()
        self._now_s = 0.0
        self._clock_resolution = 1e-6
        self._selector = self
        self._rng = rng
        self.before_jump: Callable[[], None] = lambda: None

    def time(self) -> float:
        return self._now_s

    def select(self, timeout_s: float | None) -> tuple[()]:
        """Stand in for the selector: there is nothing to wait for but time."""
        if timeout_s is None:
            raise RuntimeError("nothing is left that could happen")
        if timeout_s > 0:
            self.before_jump()
            self._now_s += timeout_s
        return ()

    def _process_events(self, event_list: object) -> None:
        """There are no events but timers."""

    def _write_to_self(self) -> None:
        """Nothing to wake up: there is one thread."""

    def run_in_executor(self, executor: object, func: Callable[..., Any], *args: Any) -> "asyncio.Future[Any]":  # type: ignore[override]
        """Run the work of a thread inline, a little later."""
        future = self.create_future()

        def run() -> None:
            if future.cancelled():
                return
            try:
                result = func(*args)
            except Exception as error:  # noqa: BLE001 - as an executor does: the caller gets it
                future.set_exception(error)
            else:
                future.set_result(result)

        self.call_later(self._rng.uniform(0.0001, 0.002), run)
        return future


def run_virtually(loop: VirtualLoop, main: Awaitable[Any]) -> Any:
    """Run to the end of `main`, then cancel whatever is left and close the loop."""
    try:
        return loop.run_until_complete(main)
    finally:
        loop.before_jump = lambda: None
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()
