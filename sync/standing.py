"""How far a node's certificate is believed, judged anew at every request (证书效力). Pure: values in, a ruling out.

OpenSSL cannot judge this: once a CRL is overdue it refuses every peer, and it knows no pinned key. So the handshake proves
name, CA and possession of the key, and these rules decide the rest:

    within its time, not revoked    everything
    revoked                         nothing
    outside its time, pinned key    a room neighbour: everything; a county at its prefecture: renewal alone; else nothing
    outside its time, other key     nothing
    CRL overdue or none, pinned     as above; somebody must bring a new CRL
    CRL overdue, not pinned         nothing
    the prefecture, key not pinned  nothing

The pinned keys are those that enrolment wrote into the settings. Times are Unix milliseconds of the machine's own clock.
"""

from dataclasses import dataclass
from enum import StrEnum

GRACE_MS = 7 * 24 * 3_600 * 1_000


class Revocation(StrEnum):
    """What the CRL in hand says of one certificate (吊销状态)."""

    FRESH = "fresh"  # good, the CRL is within its nextUpdate
    STALE = "stale"  # good, the CRL is past it by no more than the grace
    OVERDUE = "overdue"  # good as far as known: the CRL is older than that, or there is none
    REVOKED = "revoked"


class Reach(StrEnum):
    """What a peer may ask."""

    ALL = "all"
    RENEWAL = "renewal"  # a new certificate for its own key, and nothing else
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Crl:
    """A certificate revocation list whose signature was verified (吊销名单)."""

    number: int
    this_update_ms: int
    next_update_ms: int
    serials: frozenset[int]
    der: bytes


@dataclass(frozen=True, slots=True)
class Leaf:
    """What is judged of a certificate; its time is the part that lies within its issuer's."""

    node: str
    serial: int
    key: bytes  # Ed25519 public key, 32 bytes
    not_before_ms: int
    not_after_ms: int


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What this node was told of a peer when it, or the peer, was enrolled; `pins` are raw keys, the prefecture may have two."""

    kind: str  # room | prefecture | county
    pins: frozenset[bytes]


@dataclass(frozen=True, slots=True)
class Ruling:
    """The judgement on one certificate now. `why` is empty, or one of WHY."""

    node: str
    reach: Reach
    why: str
    revocation: Revocation


WHY = ("revoked", "expired", "not-yet-valid", "crl-overdue", "other-key", "crl-damaged")


def revocation_of(crl: Crl | None, serial: int, now_ms: int) -> Revocation:
    """Return which of the four states holds. A listed certificate is revoked whatever the list's age."""
    if crl is not None and serial in crl.serials:
        return Revocation.REVOKED
    if crl is None or now_ms > crl.next_update_ms + GRACE_MS:
        return Revocation.OVERDUE
    return Revocation.STALE if now_ms > crl.next_update_ms else Revocation.FRESH


def judge(leaf: Leaf, enrolled: Enrolled | None, crl: Crl | None, now_ms: int) -> Ruling:
    """Return what the owner of this certificate may ask now."""
    revocation = revocation_of(crl, leaf.serial, now_ms)
    pinned = enrolled is not None and leaf.key in enrolled.pins

    def ruling(reach: Reach, why: str) -> Ruling:
        return Ruling(leaf.node, reach, why, revocation)

    if revocation is Revocation.REVOKED:
        return ruling(Reach.NOTHING, "revoked")
    if enrolled is not None and enrolled.kind == "prefecture" and enrolled.pins and not pinned:
        return ruling(Reach.NOTHING, "other-key")
    early, late = now_ms < leaf.not_before_ms, now_ms > leaf.not_after_ms
    if early or late:
        why = "expired" if late else "not-yet-valid"
        if enrolled is None or not pinned:
            return ruling(Reach.NOTHING, why)
        reach = {"room": Reach.ALL, "county": Reach.RENEWAL}.get(enrolled.kind, Reach.NOTHING)
        return ruling(reach, why)
    if revocation is Revocation.OVERDUE and not pinned:
        return ruling(Reach.NOTHING, "crl-overdue")
    return ruling(Reach.ALL, "")
