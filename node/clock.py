"""The only reader of time. It also says how far the time can be trusted; rules that hang on a deadline refuse doubtful time.

Order in the log never comes from here. A step backwards or a jump between two readings that monotonic time does not
explain makes the clock doubtful until an operator's node is synchronised again.
"""

import ctypes
import json
import time
from dataclasses import dataclass
from pathlib import Path

from node.domain.values import ClockQuality

_STA_UNSYNC = 0x0040
_STEP_MS = 2_000
_FARTHEST_MS = 100 * 366 * 86_400_000


@dataclass(frozen=True, slots=True)
class Reading:
    """One reading: civil instant in ms since the epoch, and its quality."""

    at_ms: int
    quality: ClockQuality


class _Timex(ctypes.Structure):
    # Only the head of the kernel's struct timex is read; the rest is room for what the kernel writes.
    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 256),
    )


def kernel_is_synchronised() -> bool:
    """Return what the kernel's clock discipline says (adjtimex, STA_UNSYNC)."""
    libc = ctypes.CDLL(None, use_errno=True)
    timex = _Timex()
    if libc.adjtimex(ctypes.byref(timex)) < 0:
        return False
    return not timex.status & _STA_UNSYNC


class SystemClock:
    """The machine's clock, watched for steps."""

    def __init__(self) -> None:
        """Take the first reading as the base of step detection."""
        self._wall_ms = time.time_ns() // 1_000_000
        self._mono_ms = time.monotonic_ns() // 1_000_000
        self._stepped = False
        self._synchronised_at_ms = self._mono_ms if kernel_is_synchronised() else None

    def now(self) -> Reading:
        """Read the time and its quality."""
        wall_ms, mono_ms = time.time_ns() // 1_000_000, time.monotonic_ns() // 1_000_000
        drift_ms = (wall_ms - self._wall_ms) - (mono_ms - self._mono_ms)
        if abs(drift_ms) > _STEP_MS:
            self._stepped = True
        self._wall_ms, self._mono_ms = wall_ms, mono_ms
        if kernel_is_synchronised():
            self._stepped = False
            self._synchronised_at_ms = mono_ms
            return Reading(wall_ms, ClockQuality.SYNCHRONISED)
        if self._stepped or self._synchronised_at_ms is None:
            return Reading(wall_ms, ClockQuality.DOUBTFUL)
        # 100 ppm of drift stays within 60 s for about seven days without synchronisation.
        held_ms = mono_ms - self._synchronised_at_ms
        within = held_ms * 100 <= 60_000 * 1_000_000
        return Reading(wall_ms, ClockQuality.HOLDOVER if within else ClockQuality.DOUBTFUL)


@dataclass(eq=False)
class ClockFault(Exception):
    """The file of a demonstration's clock cannot be read: `path` and `why`."""

    path: Path
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return (
            f"演示时钟文件 {self.path.name} 不能读取，本机不知道时间：{self.why}。请改回 "
            '{"offset_ms": 毫秒数} / the demo clock file cannot be read'
        )


class DemoClock:
    """A clock that a demo can set ahead: real time plus an offset from a file. Never used outside demo nodes."""

    def __init__(self, path: Path) -> None:
        """Remember the file; it is read at every use so that all demo nodes agree."""
        self._path = path

    def now(self) -> Reading:
        """Read the shifted time; its quality is what the file says, synchronised by default. Raises ClockFault."""
        try:
            data = json.loads(self._path.read_text(encoding="utf-8"))
            offset_ms = data["offset_ms"]
            quality = ClockQuality(data.get("quality", "synchronised"))
        except OSError as error:
            raise ClockFault(self._path, error.strerror or str(error)) from error
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ClockFault(self._path, "不是所需的 JSON") from error
        if type(offset_ms) is not int or abs(offset_ms) > _FARTHEST_MS:
            raise ClockFault(self._path, "offset_ms 不是一百年以内的毫秒数")
        return Reading(time.time_ns() // 1_000_000 + offset_ms, quality)


class FixedClock:
    """A clock for tests: says what it is told."""

    def __init__(self, at_ms: int, quality: ClockQuality = ClockQuality.SYNCHRONISED) -> None:
        """Start at an instant."""
        self.at_ms = at_ms
        self.quality = quality

    def now(self) -> Reading:
        """Return the instant that was set."""
        return Reading(self.at_ms, self.quality)


Clock = SystemClock | DemoClock | FixedClock
