"""What somebody must see to, one alarm a cause, until it clears (告警). The words for people are made at the edge."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Alarm:
    """One cause. `count` is how often it was met since it began; `node` is the peer it is about, if it is about one."""

    cause: str
    node: str = ""
    count: int = 1
    since_ms: int = 0
    detail: str = ""
