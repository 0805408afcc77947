"""One line to a peer, shared by lanes: checkpoints first, then entries, then blobs, under one cap (优先级与限速).

A checkpoint never waits: it is small, and the other side learns from it at once how much is missing. Blobs take no more of
the line than entries do while entries wait; what counts is what the peer has acknowledged, because a kernel's buffer takes
bytes that a thin line has not carried. The clock is passed in; sizes are bytes, times seconds of a monotonic clock.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum

PIECE = 32 * 1024  # most that is asked for at a time
_CREDIT = 64 * 1024  # most that blobs may catch up at once
_IDLE_S = 2.0  # entries that have not moved for so long do not need the line: blobs may use it
_LOOK_S = 0.1  # a blob that waits for entries looks again after so long


class Lane(IntEnum):
    """What travels; the lower goes first."""

    CHECKPOINT = 0
    ENTRIES = 1
    BLOBS = 2


class Lanes:
    """The lanes to one peer. Every link to that peer shares one of these; use within one event loop."""

    def __init__(self, cap_kbit_s: int = 0) -> None:
        """`cap_kbit_s` bounds what is sent, in 1,000 bits a second; 0 means no bound."""
        if cap_kbit_s < 0:
            raise ValueError(cap_kbit_s)
        self._cap = cap_kbit_s * 125  # bytes a second
        self._tokens = 0.0
        self._filled_s: float | None = None
        self._waiting = 0  # who has entries to send
        self._credit = 0  # bytes that blobs may send while entries wait
        self._moved_s = 0.0  # when entries were last acknowledged, or a blob used an idle line

    @property
    def piece(self) -> int:
        """Return the most that is to be sent after one `wait_s`: about a quarter of a second under a cap."""
        return max(1_024, min(PIECE, self._cap // 4)) if self._cap else PIECE

    @contextmanager
    def entries_wait(self, now_s: float) -> Iterator[None]:
        """Entries have something to send, from here to the end of the block."""
        if not self._waiting:
            self._credit, self._moved_s = 0, now_s
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    def wait_s(self, lane: Lane, size: int, now_s: float) -> float:
        """Return 0 where `size` bytes may go now, and count them; else after how many seconds to ask again."""
        short_s = self._short_s(now_s)
        if lane is not Lane.CHECKPOINT:
            if short_s > 0:
                return short_s
            if lane is Lane.BLOBS and (held_s := self._held_s(size, now_s)) > 0:
                return held_s
        if self._cap:
            self._tokens -= size
        return 0.0

    def acknowledged(self, lane: Lane, size: int, now_s: float) -> None:
        """Count bytes that the peer has acknowledged."""
        if lane is Lane.ENTRIES and size > 0:
            self._credit = min(_CREDIT, self._credit + size)
            self._moved_s = now_s

    def _short_s(self, now_s: float) -> float:
        if not self._cap:
            return 0.0
        if self._filled_s is not None:
            full = float(max(self.piece, self._cap // 4))
            self._tokens = min(full, self._tokens + (now_s - self._filled_s) * self._cap)
        self._filled_s = now_s
        return 0.0 if self._tokens >= 0 else max(-self._tokens / self._cap, 0.001)

    def _held_s(self, size: int, now_s: float) -> float:
        if not self._waiting:
            return 0.0
        if self._credit >= min(size, _CREDIT):
            self._credit = max(0, self._credit - size)
            return 0.0
        idle_s = now_s - self._moved_s
        if idle_s < _IDLE_S:
            return min(_LOOK_S, max(_IDLE_S - idle_s, 0.001))
        self._moved_s = now_s
        return 0.0
