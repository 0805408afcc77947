"""The evaluation committee (评标委员会): forming, chair, replacement. E10, E12. In this form the names are entered by hand;
the draw will fill the same command. Names stay sealed until the result (ZB 37).
"""

import re
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import TYPE_CHECKING

from node.domain.evaluation import PreliminaryReopened
from node.domain.guards import breach, require_digest, require_distinct, require_one_of, require_short, require_text
from node.domain.profile import Profile
from node.domain.refused import NotOffered, Refused
from node.domain.sheet import SheetState
from node.domain.values import Asked, Recorded, Role

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class Member:
    """One member. `no` is the lot-bound code (E1 …) that everything else uses; the person is sealed."""

    no: str
    kind: str  # expert | tenderer
    person: str  # opaque account number of the person, never a name
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


HOW = ("drawn", "entered", "designated")
KINDS = ("expert", "tenderer")
REASONS = ("recusal", "absent", "unable", "misconduct")
_NUMBER = re.compile(r"[0-9A-Za-z-]{1,8}", re.ASCII)  # part of the name of the sheet's stream


@dataclass(frozen=True, slots=True)
class PanelState:
    """Who sits now, who sat before, who leads."""

    members: tuple[Member, ...] = ()
    how: str = ""
    chair: str = ""
    replaced: tuple[str, ...] = ()  # numbers whose sheets no longer count
    left: tuple[str, ...] = ()  # persons who had to leave: they do not come back under another number

    def member(self, no: str) -> Member | None:
        """Return the sitting member with this number."""
        return next((member for member in self.members if member.no == no), None)

    def of_person(self, person: str) -> Member | None:
        """Return the sitting member that this person is."""
        return next((member for member in self.members if member.person == person), None)


def reseat(state: PanelState, from_node: str, to_node: str) -> PanelState:
    """Return the panel with everybody who sat at one node's seats at the other's."""
    moved = (replace(one, venue_node=to_node) if one.venue_node == from_node else one for one in state.members)
    return replace(state, members=tuple(moved))


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of a command about the committee. Raises Refused."""
    match command:
        case FormCommittee():
            return _form(lot, command, asked)
        case ElectChair():
            return _elect(lot, command, asked)
        case ReplaceMember():
            return _replace(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: PanelState, event: object, recorded: Recorded) -> PanelState:  # noqa: ARG001 - one shape for all
    """Return the state after one of the committee's events."""
    match event:
        case CommitteeFormed(how=how, members=members):
            return replace(state, how=how, members=members, chair="")
        case ChairElected(no=no):
            return replace(state, chair=no)
        case MemberReplaced(no=no, successor=successor):
            members = tuple(successor if member.no == no else member for member in state.members)
            chair = "" if state.chair == no else state.chair
            left = (*state.left, *(member.person for member in state.members if member.no == no))
            return replace(state, members=members, chair=chair, replaced=(*state.replaced, no), left=left)
        case _:
            return state


def sheet_of(lot: "LotState", no: str, asked: Asked) -> SheetState:
    """Return a member's sheet as far as it is known here."""
    state = asked.look(f"sheet/{lot.lot_code}/{lot.round_no}/{no}")
    if not isinstance(state, SheetState):
        raise Refused("unknown-event", rule="known-events-only", value=no)
    return state


def require_own_member(lot: "LotState", asked: Asked) -> None:
    """Raise Refused for an expert who does not sit in this committee; other roles are the duty table's matter."""
    if asked.actor.role is Role.EXPERT and lot.panel.of_person(asked.actor.person) is None:
        raise Refused("not-a-member", rule="committee-only", value=asked.actor.person, cites=("ZB 37",))


def require_chair(lot: "LotState") -> None:
    """Raise Refused while nobody leads: at the start, and after the chair was replaced."""
    if not lot.panel.chair:
        raise Refused("no-chair", rule="chair-first", cites=("12号令 9",))


def _form(lot: "LotState", command: FormCommittee, asked: Asked) -> tuple[CommitteeFormed]:
    if lot.panel.members:
        raise Refused("committee-formed", rule="formed-once", value=str(len(lot.panel.members)), cites=("ZB 37",))
    if lot.notice.published is None:
        raise Refused("no-notice", rule="notice-first", cites=("ZB 37",))
    require_one_of(command.how, HOW, "how")
    check_members(command.members, asked.profile(lot.profile_id))
    return (CommitteeFormed(command.how, command.members),)


def check_numbers(count: int, experts: int, profile: Profile) -> None:
    """Raise Refused for a committee of a size or a share of experts that the law does not allow (ZB 37)."""
    least, odd = profile.rule("committee-min"), profile.rule("committee-odd")
    share = profile.rule("committee-expert-share")
    if count < profile.number(least.id):
        raise breach(least, "committee-too-small", value=count)
    if profile.flag(odd.id) and count % 2 == 0:
        raise breach(odd, "committee-even", value=count, limit="odd")
    if Fraction(experts, count) < Fraction(str(share.value)):
        raise breach(share, "too-few-experts", value=f"{experts}/{count}")


def check_members(members: tuple[Member, ...], profile: Profile) -> None:
    """Raise Refused where these members may not sit together: number, share of experts, interest (ZB 37, ZBT 46)."""
    check_numbers(len(members), sum(member.kind == "expert" for member in members), profile)
    for member in members:
        _check_member(member)
    require_distinct((member.no for member in members), "no")
    require_distinct((member.person for member in members), "person")
    require_distinct((f"{member.venue_node} {member.seat}" for member in members), "seat")


def _check_member(member: Member) -> None:
    require_text(no=member.no, person=member.person, venue_node=member.venue_node, seat=member.seat)
    require_one_of(member.kind, KINDS, "kind")
    require_digest(commitment=member.commitment)
    if _NUMBER.fullmatch(member.no) is None:
        raise Refused("member-number-malformed", rule="member-numbers", value=member.no, limit=_NUMBER.pattern)
    if not member.sealed:
        raise Refused("identity-not-sealed", rule="names-secret-until-result", value=member.no, cites=("ZB 37",))
    if member.supervisor_staff:
        raise Refused("supervisor-may-not-sit", rule="recusal", value=member.no, cites=("ZBT 46",))


def _elect(lot: "LotState", command: ElectChair, asked: Asked) -> tuple[ChairElected]:
    require_own_member(lot, asked)
    if lot.panel.member(command.no) is None:
        raise Refused("not-a-member", rule="chair-is-a-member", value=command.no)
    if lot.evaluation.closed:
        raise Refused("scoring-closed", rule="chair-before-close")
    sheet = sheet_of(lot, command.no, asked)
    if not sheet.signed_in or sheet.conflict is not False:
        raise Refused("chair-not-ready", rule="chair-signed-in-without-conflict", value=command.no, cites=("ZBT 46",))
    return (ChairElected(command.no),)


def _replace(lot: "LotState", command: ReplaceMember, asked: Asked) -> tuple[object, ...]:
    leaving = lot.panel.member(command.no)
    if leaving is None:
        raise Refused("not-a-member", rule="replaced-is-a-member", value=command.no)
    if lot.evaluation.reported_at_ms:
        raise Refused("report-complete", rule="replaced-before-report", cites=("ZBT 48",))
    if lot.evaluation.closed:
        raise Refused("scoring-closed", rule="replaced-before-close", value=command.no, cites=("ZBT 48",))
    require_one_of(command.reason, REASONS, "reason")
    require_text(text=command.text)
    require_short(text=command.text)
    if command.successor.no in {*(member.no for member in lot.panel.members), *lot.panel.replaced}:
        raise Refused("member-number-used", rule="successor-has-a-new-number", value=command.successor.no)
    if command.successor.person in {leaving.person, *lot.panel.left}:
        raise Refused("member-left", rule="who-left-stays-away", value=command.successor.no, cites=("ZBT 48",))
    venue = command.successor.venue_node
    if lot.evaluation.started and venue not in {node for node, _ in lot.evaluation.wraps}:
        raise Refused("session-key-not-wrapped", rule="venues-hold-the-key", value=venue)
    members = tuple(command.successor if member.no == command.no else member for member in lot.panel.members)
    check_members(members, asked.profile(lot.profile_id))
    replaced = MemberReplaced(command.no, command.reason, command.text, command.successor)
    # His votes were counted: what they decided falls, and the committee concludes again with the successor (ZBT 48).
    return (replaced, PreliminaryReopened(command.no)) if lot.evaluation.concluded else (replaced,)


COMMANDS: tuple[type, ...] = (FormCommittee, ElectChair, ReplaceMember)
EVENTS: tuple[type, ...] = (CommitteeFormed, ChairElected, MemberReplaced)
