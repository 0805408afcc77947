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
    entries_per_s: int = 0  # over the last requests that moved entries
    bytes_behind: int = 0  # of the entries behind; where there are very many, most of them by the mean of the first
    bytes_per_s: int = 0  # bytes of entries that the other side acknowledged, over the last requests
    why: str = ""  # the reason of a fault, as in LinkFault

    @property
    def expected_s(self) -> int | None:
        """Return in how many seconds all will have moved at the rate of the last requests; None where it is not known."""
        if not self.entries_behind:
            return 0
        return -(-self.bytes_behind // self.bytes_per_s) if self.bytes_per_s else None
