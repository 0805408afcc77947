"""What people are told about a link: plain values, made by the tasks of `replicate`, shown by pages (同步状态)."""

from dataclasses import dataclass
from enum import StrEnum


class LinkState(StrEnum):
    """How a link stands. The value is stable; the words for people are made at the edge."""

    CONNECTING = "connecting"  # no answer yet since start, or since the last failure
    CURRENT = "current"  # the other side holds and has cosigned everything
    SENDING = "sending"  # connected, entries are moving
    OFFLINE = "offline"  # cannot be reached; will be tried again
    REFUSED = "refused"  # reached, and it refuses us: certificate, policy, a full disk
    FAULT = "fault"  # this node itself cannot do its part: its database or disk
    TAMPERED = "tampered"  # signed evidence does not fit; a person must look


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """One direction of replication of one log with one peer."""

    name: str  # node code of the peer
    url: str
    origin: str  # the log that moves
    direction: str  # push | pull | relay: of somebody else's log, or by way of a neighbour
    state: LinkState
    detail: str = ""  # the fact behind the state: an error, a status code
    last_contact_ms: int | None = None
    entries_behind: int = 0
    oldest_unsent_ms: int | None = None  # since when there has been something unsent
    entries_per_s: int = 0  # in the last request that moved entries
