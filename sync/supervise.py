"""What the two supervisors of replication, peer tasks and the sync port, write down when something unforeseen fails (看护)."""

import logging
import time

QUIET_S = 60.0
_last_logged: dict[str, float] = {}
_logger = logging.getLogger("erhai.sync")


def log_once(error: Exception, what: str) -> None:
    """Log kind and place of an error, each once a minute; never its text, which may hold what is sealed."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}" if frame else "?"
    key = f"{type(error).__name__} {where}"
    now = time.monotonic()
    if now - _last_logged.get(key, now - QUIET_S) >= QUIET_S:
        _last_logged[key] = now
        _logger.error("%s during %s", key, what)
