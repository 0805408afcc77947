"""The evaluation committee (评标委员会): forming, chair, replacement. E10, E12. In this form the names are entered by hand;
the draw will fill the same command. Names stay sealed until the result (ZB 37).
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `no` is the lot-bound code (E1 …) that everything else uses; the person is sealed."""

    no: str
    kind: str  # expert | tenderer
    venue_node: str  # the node where this member's seat is
    seat: str
    commitment: bytes
    sealed: bytes
    supervisor_staff: bool = False  # declared employer is the authority that supervises this project (ZBT 46)


@dataclass(frozen=True, slots=True)
class FormCommittee:
    """how: drawn | entered | designated (special projects only, ZBT 47)."""

    how: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class CommitteeFormed:
    """These members, these seats."""

    how: str
    members: tuple[Member, ...]


@dataclass(frozen=True, slots=True)
class ElectChair:
    """推选组长."""

    no: str


@dataclass(frozen=True, slots=True)
class ChairElected:
    """The chair (组长)."""

    no: str


@dataclass(frozen=True, slots=True)
class ReplaceMember:
    """更换: by the same method; what the replaced member concluded is void (ZBT 48)."""

    no: str
    reason: str  # recusal | absent | unable | misconduct
    text: str
    successor: Member


@dataclass(frozen=True, slots=True)
class MemberReplaced:
    """The old member's sheet no longer counts; the successor evaluates anew."""

    no: str
    reason: str
    text: str
    successor: Member
