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
