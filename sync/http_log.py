"""What an HTTP server writes down of requests that it cannot read: one line a cause, counted and not repeated (请求日志).

Anybody who reaches a port can send such bytes without end; a traceback for each would fill the disk. Nothing of what was
sent is written, only the kind of the error and where it was raised.
"""

import logging
import time

from sync.supervise import QUIET_S

_CAUSES = 64  # kept apart; whatever else comes counts as one


class OneLine(logging.Filter):
    """Turns a record with its traceback into one line, at most once a minute for each cause, and counts the others."""

    def __init__(self, port: str) -> None:
        """`port` is the word of the line for where the request came in."""
        super().__init__()
        self._port = port
        self._last: dict[str, float] = {}
        self._unsaid: dict[str, int] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the record is written; rewrites it."""
        cause = _cause(record)
        if cause not in self._last and len(self._last) >= _CAUSES:
            cause = "other causes"
        now = time.monotonic()
        if now - self._last.get(cause, now - QUIET_S) < QUIET_S:
            self._unsaid[cause] = self._unsaid.get(cause, 0) + 1
            return False
        self._last[cause] = now
        more = self._unsaid.pop(cause, 0)
        record.msg = f"{self._port}: a request that cannot be served: {cause}" + (
            f" (and {more} before)" if more else ""
        )
        record.args, record.exc_info, record.exc_text, record.stack_info = (), None, None, None
        return True


def http_logger(port: str) -> logging.Logger:
    """Return the logger for the server of one port."""
    logger = logging.getLogger(f"erhai.http.{port.replace(' ', '-')}")
    if not any(isinstance(one, OneLine) for one in logger.filters):
        logger.addFilter(OneLine(port))
    return logger


def _cause(record: logging.LogRecord) -> str:
    error = record.exc_info[1] if isinstance(record.exc_info, tuple) else None
    if error is None:
        return str(record.msg)[:80]
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}" if frame else "?"
    return f"{type(error).__name__} ({where})"
