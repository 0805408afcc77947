"""The evaluation committee (评标委员会): forming, chair, replacement. E10, E12. Experts are drawn; only a special project's are
named by hand, for a stated reason. Names stay sealed until the result (ZB 37).
"""

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.drawn import EXPERTS, DrawState
from node.domain.evaluation import PreliminaryReopened
from node.domain.guards import breach, require_digest, require_distinct, require_one_of, require_short, require_text
from node.domain.panel_size import check_numbers
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
    """how: drawn (from the draw `draw_id`) | designated (special projects only, for a stated reason; ZB 37, ZBT 47)."""

    how: str
    members: tuple[Member, ...]
    reason: str = ""
    draw_id: str = ""


@dataclass(frozen=True, slots=True)
class CommitteeFormed:
    """These members, these seats. how: drawn | designated; records from before the draw also say entered."""

    how: str
    members: tuple[Member, ...]
    reason: str = ""
    draw_id: str = ""


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


HOW = ("drawn", "designated")
KINDS = ("expert", "tenderer")
REASONS = ("recusal", "absent", "unable", "misconduct")
# What the draw says of a member who had accepted, and the reasons of a replacement that fit it.
REASONS_OF = {"absent": ("absent",), "recused": ("recusal",), "withdrawn": ("unable", "misconduct")}
_NUMBER = re.compile(r"[0-9A-Za-z-]{1,8}", re.ASCII)  # part of the name of the sheet's stream


@dataclass(frozen=True, slots=True)
class PanelState:
    """Who sits now, who sat before, who leads."""

    members: tuple[Member, ...] = ()
    how: str = ""
    draw_id: str = ""
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
        case CommitteeFormed(how=how, members=members, draw_id=draw_id):
            return replace(state, how=how, draw_id=draw_id, members=members, chair="")
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
    if command.how == "drawn":
        drawn_state = _draw_of(lot, command.draw_id, asked)
        experts = {member.commitment for member in command.members if member.kind == "expert"}
        tenderers = sum(member.kind == "tenderer" for member in command.members)
        if experts != {one.who for one in drawn_state.accepted} or tenderers != drawn_state.tenderer_seats:
            raise Refused(
                "members-not-as-drawn", rule="drawn-in-order", value=command.draw_id, cites=("ZB 37", "ZBT 46")
            )
        return (CommitteeFormed(command.how, command.members, "", command.draw_id),)
    if not command.reason.strip():
        raise Refused("designation-unreasoned", rule="special-projects-only", cites=("ZB 37", "ZBT 47"))
    require_short(reason=command.reason)
    return (CommitteeFormed(command.how, command.members, command.reason, ""),)


def _draw_of(lot: "LotState", draw_id: str, asked: Asked) -> DrawState:
    """Return the finished draw of this lot, at the hour from which its names are known."""
    found = asked.look(f"draw/{draw_id}")
    if not isinstance(found, DrawState) or found.lot_code != lot.lot_code or found.kind != EXPERTS:
        raise Refused("draw-unknown", rule="drawn-in-order", value=draw_id)
    if found.voided or not found.complete:
        raise Refused("draw-incomplete", rule="drawn-in-order", value=found.voided or draw_id, cites=("ZB 37",))
    rule = asked.profile(lot.profile_id).rule("draw-release-minutes")
    from_ms = found.session_from_ms - asked.profile(lot.profile_id).number(rule.id) * 60_000
    if asked.at_ms < from_ms:
        raise breach(rule, "names-sealed", value=asked.at_ms, facts=(("from", str(from_ms)),))
    return found


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
    if lot.panel.how == "drawn" and leaving.kind == "expert":
        found = asked.look(f"draw/{lot.panel.draw_id}")
        _require_gone(found, leaving, command.reason)
        sitting = {member.commitment for member in lot.panel.members}
        if command.successor.commitment not in {one.who for one in found.accepted} - sitting:
            raise Refused("members-not-as-drawn", rule="same-method", value=lot.panel.draw_id, cites=("ZBT 48",))
    members = tuple(command.successor if member.no == command.no else member for member in lot.panel.members)
    check_members(members, asked.profile(lot.profile_id))
    replaced = MemberReplaced(command.no, command.reason, command.text, command.successor)
    # His votes were counted: what they decided falls, and the committee concludes again with the successor (ZBT 48).
    return (replaced, PreliminaryReopened(command.no)) if lot.evaluation.concluded else (replaced,)


def _require_gone(found: DrawState, leaving: Member, reason: str) -> None:
    """Refuse to replace a drawn member of whom the draw does not say that he does not come, and for which reason."""
    outcome = dict(found.gone).get(leaving.commitment, "")
    if reason not in REASONS_OF.get(outcome, ()):
        limit = ", ".join(REASONS_OF.get(outcome, ())) or "outcome"
        raise Refused("member-not-gone", rule="outcome-first", value=reason, limit=limit, cites=("ZBT 48",))


COMMANDS: tuple[type, ...] = (FormCommittee, ElectChair, ReplaceMember)
EVENTS: tuple[type, ...] = (CommitteeFormed, ChairElected, MemberReplaced)
