"""Who people and firms are, as the desk types it: sealed to the room and kept erasable, never in the log (身份信息)."""

from dataclasses import dataclass

from node import personal
from node.domain.panel import Member
from node.room_key import RoomKey


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


def bind_member(room: RoomKey, lot_code: str, who: MemberIdentity) -> tuple[Member, personal.Personal]:
    """Return a member with the data behind it, sealed to the room but not kept yet."""
    data = personal.bind("expert", (who.name, who.id_no, who.phone, who.employer))
    sealed = room.seal(personal.packed(data), f"erhai-member-v1\n{lot_code}\n{who.no}\n".encode())
    member = Member(
        no=who.no,
        kind=who.kind,
        person=who.person,
        venue_node=who.venue_node,
        seat=who.seat,
        commitment=data.commitment,
        sealed=sealed,
        supervisor_staff=who.supervisor_staff,
    )
    return member, data
