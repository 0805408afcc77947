"""The few values that every subject shares: who asks, when, how sure the clock is, and what happened to a code."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from node.domain.calendar import Calendar
from node.domain.profile import Profile

DAY_MS = 86_400_000


class Role(StrEnum):
    """What a person may be in a procedure (角色); the separation of duties hangs on it."""

    TENDERER = "tenderer"  # 招标人
    AGENCY = "agency"  # 招标代理机构
    BIDDER = "bidder"  # 投标人
    EXPERT = "expert"  # 评标专家
    OPERATOR = "operator"  # 交易中心工作人员
    WITNESS = "witness"  # 见证
    SUPERVISOR = "supervisor"  # 行政监督
    REVIEWER = "reviewer"  # 上级审查员
    TECHNICIAN = "technician"  # 系统管理员: reads nothing sealed, signs nothing
    SYSTEM = "system"  # the node itself


class ClockQuality(StrEnum):
    """How far the node's time can be trusted (时钟质量), written into every entry."""

    SYNCHRONISED = "synchronised"
    HOLDOVER = "holdover"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks. `person` is an opaque number, never a name; `seat` is a kiosk seat or empty."""

    person: str
    role: Role
    seat: str = ""

    def __str__(self) -> str:
        """Return the form that entries carry: role:person@seat."""
        return f"{self.role}:{self.person}" + (f"@{self.seat}" if self.seat else "")


@dataclass(frozen=True, slots=True)
class Asked:
    """Everything about the moment of asking that a rule may look at. No rule reads a clock.

    `attested_by` are two persons who attest an independent clock when the node's time is doubtful (design 5.9).
    `look` returns the folded state of another stream by name (the empty state where there is none).
    `node` is the code of the node that decides, `origin` the log it writes to.
    """

    at_ms: int
    clock_quality: ClockQuality
    actor: Actor
    profiles: tuple[Profile, ...]
    calendar: Calendar | None
    look: Callable[[str], Any]
    node: str = ""
    origin: str = ""
    attested_by: tuple[str, ...] = ()

    def profile(self, profile_id: str) -> Profile:
        """Return the profile with this id; KeyError where the node has none."""
        for profile in self.profiles:
            if profile.id == profile_id:
                return profile
        raise KeyError(profile_id)


@dataclass(frozen=True, slots=True)
class Head:
    """A place in somebody's log: what a stream names when it relies on another stream."""

    stream: str
    origin: str
    seq: int
    leaf: bytes


@dataclass(frozen=True, slots=True)
class Recorded:
    """Where and when an event stands: what `evolve` may know of its entry besides the event."""

    at_ms: int
    actor: str
    origin: str
    seq: int
    leaf: bytes
