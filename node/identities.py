"""Who people and firms are, as the desk types it: sealed to the room and kept erasable, never in the log (身份信息)."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BidderIdentity:
    """Who takes the documents. Sealed until the opening."""

    name: str
    uscc: str
    contact: str
    phone: str


@dataclass(frozen=True, slots=True)
class BondIdentity:
    """Who paid a bond, from which account. Sealed until the opening."""

    payer: str
    account: str


@dataclass(frozen=True, slots=True)
class MemberIdentity:
    """One committee member as the desk enters it; the name is sealed until the result."""

    no: str
    kind: str
    person: str  # opaque account number
    venue_node: str
    seat: str
    name: str
    id_no: str
    phone: str
    employer: str
    supervisor_staff: bool = False
