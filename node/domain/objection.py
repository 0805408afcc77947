"""Objections to the tenderer (异议): documents, opening, result. They pause the procedure until answered. E07, E11, E16."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.calendar import Calendar, end_text, latest_before, moment_text, working_day_end
from node.domain.guards import breach, require_digest, require_one_of, require_text
from node.domain.periods import end_ms
from node.domain.profile import Profile
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class RaiseObjection:
    """kind: documents | opening | result. Who objects is sealed while bidders are secret."""

    kind: str
    text: str
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ObjectionRaised:
    """Paused until answered (ZBT 22, 54), except an opening objection: answered on the spot (ZBT 44), answer_by_ms 0."""

    no: int
    kind: str
    text: str
    commitment: bytes
    sealed: bytes
    answer_by_ms: int
    pauses: bool


@dataclass(frozen=True, slots=True)
class AnswerObjection:
    """status: replied 已回复 | amended 澄清修改 | other."""

    no: int
    text: str
    status: str


@dataclass(frozen=True, slots=True)
class ObjectionAnswered:
    """The pause, if any, ends; `late` when the answer came after its time."""

    no: int
    text: str
    status: str
    late: bool


KINDS = ("documents", "opening", "result")
STATUSES = ("replied", "amended", "other")


@dataclass(frozen=True, slots=True)
class ObjectionState:
    """Every objection of this round, and its answer."""

    raised: tuple[ObjectionRaised, ...] = ()
    answers: tuple[ObjectionAnswered, ...] = ()

    @property
    def answered(self) -> tuple[int, ...]:
        """Numbers of the objections that are answered."""
        return tuple(one.no for one in self.answers)

    def unanswered(self, kind: str) -> tuple[ObjectionRaised, ...]:
        """Return the open objections of one kind."""
        return tuple(one for one in self.raised if one.kind == kind and one.no not in self.answered)

    @property
    def pausing(self) -> tuple[ObjectionRaised, ...]:
        """The open objections that stop the procedure."""
        return tuple(one for one in self.raised if one.pauses and one.no not in self.answered)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return an objection or its answer. Raises Refused."""
    match command:
        case RaiseObjection():
            return _raise(lot, command, asked)
        case AnswerObjection():
            return _answer(lot.objections, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: ObjectionState, event: object, recorded: Recorded) -> ObjectionState:  # noqa: ARG001 - one shape for all
    """Return the state after one of this subject's events."""
    match event:
        case ObjectionRaised():
            return replace(state, raised=(*state.raised, event))
        case ObjectionAnswered():
            return replace(state, answers=(*state.answers, event))
        case _:
            return state


def complaint_deadline(
    known_at_ms: int, profile: Profile, calendar: Calendar | None, *, objected_at_ms: int = 0, answered_at_ms: int = 0
) -> int:
    """Return until when a complaint (投诉) may be lodged (ZBT 60).

    The days from an objection to its answer do not count. Nothing else stops this clock: a paused procedure does not.
    """
    pauses = ((objected_at_ms, answered_at_ms),) if objected_at_ms else ()
    return end_ms(profile, "complaint-days", known_at_ms, calendar, pauses=pauses)


def complaint_acceptance_deadline(received_at_ms: int, profile: Profile, calendar: Calendar | None) -> int:
    """Return until when the supervisor accepts or refuses a complaint (ZBT 61). Raises Refused past the calendar's end."""
    return working_day_end(received_at_ms, profile.number("complaint-acceptance-working-days"), calendar)


def complaint_decision_deadline(accepted_at_ms: int, profile: Profile, calendar: Calendar | None) -> int:
    """Return until when the supervisor decides a complaint (ZBT 61). Raises Refused past the calendar's end."""
    return working_day_end(accepted_at_ms, profile.number("complaint-decision-working-days"), calendar)


def _raise(lot: "LotState", command: RaiseObjection, asked: Asked) -> tuple[ObjectionRaised]:
    require_one_of(command.kind, KINDS, "kind")
    require_text(text=command.text)
    require_digest(commitment=command.commitment)
    if not command.sealed:
        raise Refused("identity-not-sealed", rule="secret-until-opening", cites=("ZB 22",))
    profile = asked.profile(lot.profile_id)
    _in_its_time(lot, command.kind, profile, asked)
    answer_by_ms = 0
    if command.kind != "opening":
        answer_by_ms = end_ms(profile, "objection-answer-days", asked.at_ms, asked.calendar)
    return (
        ObjectionRaised(
            len(lot.objections.raised) + 1,
            command.kind,
            command.text,
            command.commitment,
            command.sealed,
            answer_by_ms,
            pauses=command.kind != "opening",
        ),
    )


def _in_its_time(lot: "LotState", kind: str, profile: Profile, asked: Asked) -> None:
    match kind:
        case "documents":
            rule = profile.rule("document-objection-before-deadline-days")
            if lot.notice.published is None:
                raise Refused("no-notice", rule="notice-first", cites=rule.cites)
            latest_ms = latest_before(lot.notice.deadline_ms, profile.number(rule.id))
            if asked.at_ms > latest_ms:
                raise breach(rule, "objection-late", value=moment_text(asked.at_ms), limit=end_text(latest_ms + 1))
        case "opening":
            if not lot.opening.started or lot.opening.confirmed:
                raise Refused("not-at-the-opening", rule="objected-on-the-spot", cites=("ZBT 44",))
        case _:
            published = lot.award.published
            if published is None or asked.at_ms >= published.to_ms:
                raise Refused(
                    "not-in-publicity",
                    rule="objected-in-publicity",
                    value=moment_text(asked.at_ms),
                    limit=end_text(published.to_ms) if published else "",
                    cites=("ZBT 54",),
                )


def _answer(state: ObjectionState, command: AnswerObjection, asked: Asked) -> tuple[ObjectionAnswered]:
    found = next((one for one in state.raised if one.no == command.no), None)
    if found is None:
        raise Refused("objection-unknown", rule="raised-first", value=str(command.no))
    if command.no in state.answered:
        raise Refused("objection-answered", rule="one-answer", value=str(command.no))
    require_one_of(command.status, STATUSES, "status")
    require_text(text=command.text)
    late = 0 < found.answer_by_ms <= asked.at_ms
    return (ObjectionAnswered(command.no, command.text, command.status, late),)


COMMANDS: tuple[type, ...] = (RaiseObjection, AnswerObjection)
EVENTS: tuple[type, ...] = (ObjectionRaised, ObjectionAnswered)
