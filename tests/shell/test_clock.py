"""Time is evidence with a quality: a clock that was set back is noticed, and order never comes from it."""

import sys
import time
from pathlib import Path

import pytest

from node import clock
from node.clock import FixedClock, SystemClock
from node.domain.incident import RecordIncident
from node.domain.values import Actor, ClockQuality, Role

sys.path.insert(0, str(Path(__file__).parents[1] / "faults"))
from small_node import NODE, make, opened  # type: ignore[import-not-found]

MINUTE_MS = 60_000


class Times:
    """The machine's two clocks, set by the test."""

    def __init__(self) -> None:
        self.wall_ms, self.mono_ms, self.synchronised = 1_772_000_000_000, 5_000_000, True

    def pass_ms(self, ms: int) -> None:
        self.wall_ms += ms
        self.mono_ms += ms


@pytest.fixture
def times(monkeypatch: pytest.MonkeyPatch) -> Times:
    made = Times()
    monkeypatch.setattr(time, "time_ns", lambda: made.wall_ms * 1_000_000)
    monkeypatch.setattr(time, "monotonic_ns", lambda: made.mono_ms * 1_000_000)
    monkeypatch.setattr(clock, "kernel_is_synchronised", lambda: made.synchronised)
    return made


def test_a_synchronised_kernel_makes_synchronised_time(times: Times) -> None:
    assert SystemClock().now().quality is ClockQuality.SYNCHRONISED


def test_time_that_was_synchronised_holds_over_for_a_week_and_no_longer(times: Times) -> None:
    system = SystemClock()
    times.synchronised = False
    times.pass_ms(6 * 24 * 60 * MINUTE_MS)
    assert system.now().quality is ClockQuality.HOLDOVER
    times.pass_ms(2 * 24 * 60 * MINUTE_MS)
    assert system.now().quality is ClockQuality.DOUBTFUL


def test_a_clock_set_back_ten_minutes_is_doubtful_until_it_is_synchronised_again(times: Times) -> None:
    system = SystemClock()
    times.synchronised = False
    times.pass_ms(MINUTE_MS)
    assert system.now().quality is ClockQuality.HOLDOVER
    times.wall_ms -= 10 * MINUTE_MS
    assert system.now().quality is ClockQuality.DOUBTFUL
    times.pass_ms(MINUTE_MS)
    assert system.now().quality is ClockQuality.DOUBTFUL
    times.synchronised = True
    assert system.now().quality is ClockQuality.SYNCHRONISED


def test_a_machine_never_synchronised_has_doubtful_time(times: Times) -> None:
    times.synchronised = False
    assert SystemClock().now().quality is ClockQuality.DOUBTFUL


async def test_entries_keep_log_order_when_the_clock_goes_back(tmp_path: Path) -> None:
    make(tmp_path)
    node = opened(tmp_path)
    fixed = node.clock
    assert isinstance(fixed, FixedClock)
    actor, receipts = Actor("O-01", Role.OPERATOR), []
    for n, step_ms in enumerate((0, MINUTE_MS, -10 * MINUTE_MS, MINUTE_MS)):
        fixed.at_ms += step_ms
        command = RecordIncident("other", f"第 {n} 次", 1_770_000_000_000, ())
        receipts.append(await node.submit(f"room/{NODE}", command, command_id=n.to_bytes(16, "big"), actor=actor))
    assert [receipt.seq for receipt in receipts] == [0, 1, 2, 3]
    assert receipts[2].at_ms < receipts[1].at_ms
    state = await node.state(f"room/{NODE}")
    assert [one.text for one in state.recorded] == ["第 0 次", "第 1 次", "第 2 次", "第 3 次"]
    await node.close()
