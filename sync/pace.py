"""How much one request carries, from what the line has shown: about three seconds' worth, packed where it is thin (步幅).

A request costs one round trip, and a cut costs at most the package under way; so requests grow while they are quick and
shrink at once when they are not. Pure: times are seconds of a monotonic clock, passed in.
"""

from collections import deque
from dataclasses import dataclass

from sync import wire

GOAL_S = 3.0
QUICK_S = 1.5  # a request that takes less grows
SLOW_S = 4.5  # one that takes more shrinks to the goal
THIN = 1_000_000  # bytes/s below which packing pays
_SAMPLES = 8  # answers that the rate is taken from


@dataclass(frozen=True, slots=True)
class Answered:
    """One request that the peer has answered for: entries stored, their bytes, bytes on the line, seconds it took."""

    entries: int
    entry_bytes: int
    line_bytes: int
    seconds: float


class Pace:
    """What one direction of one line has shown."""

    def __init__(self) -> None:
        """Start small and packed: the line may be thin."""
        self.packages = 1
        self.packed = True
        self._recent: deque[Answered] = deque(maxlen=_SAMPLES)

    def answered(self, one: Answered) -> None:
        """Learn from an answer that acknowledges entries."""
        seconds = max(one.seconds, 0.001)
        if seconds < QUICK_S:
            self.packages = min(wire.MAX_PACKAGES, self.packages * 2)
        elif seconds > SLOW_S:
            self.packages = max(1, int(self.packages * GOAL_S / seconds))
        rate = one.line_bytes / seconds
        self.packed = rate < (2 * THIN if self.packed else THIN)
        if one.entries:
            self._recent.append(one)

    def lost(self) -> None:
        """A request was cut: the next one is half of it."""
        self.packages = max(1, self.packages // 2)

    @property
    def bytes_per_s(self) -> int:
        """Return the bytes of entries that the peer has acknowledged a second, over the last answers; 0 before any."""
        return self._per_s(sum(one.entry_bytes for one in self._recent))

    @property
    def entries_per_s(self) -> int:
        """Return the same in entries."""
        return self._per_s(sum(one.entries for one in self._recent))

    def _per_s(self, amount: int) -> int:
        seconds = sum(one.seconds for one in self._recent)
        return int(amount / max(seconds, 0.001)) if self._recent else 0


class Flow:
    """The rate at which a line takes bytes while more of them wait: the best two seconds of the last thirty."""

    WINDOW_S = 2.0
    MEMORY_S = 30.0
    _GAP_S = 0.5  # nobody looked for so long: nothing was being sent

    def __init__(self) -> None:
        """Start without knowing anything."""
        self._began_s: float | None = None
        self._looked_s = 0.0
        self._bytes = 0
        self._windows: deque[tuple[float, int]] = deque()

    def acknowledged(self, size: int, now_s: float, *, waiting: bool) -> bool:
        """Count bytes acknowledged since the last look; return whether the rate may be another one now.

        `waiting` tells whether bytes wait to be sent: else it is not the line that sets the rate.
        """
        if not waiting:
            self._began_s = None
            return False
        if self._began_s is None or now_s - self._looked_s > self._GAP_S:
            self._began_s, self._bytes = now_s, 0
        else:
            self._bytes += size
        self._looked_s = now_s
        span_s = now_s - self._began_s
        if span_s < self.WINDOW_S:
            return False
        self._windows.append((now_s, int(self._bytes / span_s)))
        while self._windows[0][0] < now_s - self.MEMORY_S:
            self._windows.popleft()
        self._began_s, self._bytes = now_s, 0
        return True

    @property
    def rate(self) -> int:
        """Return bytes a second; 0 while it is not known."""
        return max((rate for _, rate in self._windows), default=0)
