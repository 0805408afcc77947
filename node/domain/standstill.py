"""Standing still and going on (中止与恢复). How long an evaluation stood still decides whether its committee may go on."""

from typing import TYPE_CHECKING

from node.domain.guards import require_one_of, require_text
from node.domain.project import ProjectState, Resume, Resumed, Suspend, Suspended
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Role

if TYPE_CHECKING:
    from node.domain.lot import LotState

SUSPENSION_REASONS = ("outage", "supervisor-order", "complaint", "other")
SUPERVISORS_REASONS = ("supervisor-order", "complaint")
HOUR_MS = 3_600_000

COMMANDS: tuple[type, ...] = (Suspend, Resume)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return Suspended or Resumed. Raises Refused."""
    match command:
        case Suspend():
            return _suspend(lot.project, command, asked)
        case Resume():
            return _resume(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def _suspend(state: ProjectState, command: Suspend, asked: Asked) -> tuple[Suspended]:
    # A supervisor may put an order over somebody else's suspension, which then only a supervisor lifts.
    over_others = asked.actor.role is Role.SUPERVISOR and state.suspended_by != Role.SUPERVISOR
    if state.suspended is not None and not over_others:
        raise Refused("suspended-already", rule="one-suspension-at-a-time", value=state.suspended.reason)
    require_one_of(command.reason, SUSPENSION_REASONS, "reason")
    require_text(text=command.text)
    if command.reason in SUPERVISORS_REASONS and asked.actor.role is not Role.SUPERVISOR:
        raise Refused("only-the-supervisor", rule="supervisor-suspends", value=str(asked.actor.role), cites=("ZBT 62",))
    return (Suspended(command.reason, command.text, command.incident),)


def _resume(lot: "LotState", command: Resume, asked: Asked) -> tuple[Resumed]:
    state = lot.project
    if state.suspended is None:
        raise Refused("not-suspended", rule="suspended-first")
    if state.suspended_by == Role.SUPERVISOR and asked.actor.role is not Role.SUPERVISOR:
        raise Refused("only-the-supervisor", rule="supervisor-resumes", value=str(asked.actor.role), cites=("ZBT 62",))
    require_text(text=command.text)
    paused_ms = max(0, asked.at_ms - state.suspended_at_ms)
    return (Resumed(command.text, paused_ms, _needs_new_committee(lot, state.suspended, paused_ms, asked)),)


def _needs_new_committee(lot: "LotState", suspended: Suspended, paused_ms: int, asked: Asked) -> bool:
    """Whether the standstill was too long for the same committee to go on (trading rooms' outage rule).

    During an evaluation every standstill counts, because the members have seen the bids. Before it only a fault does,
    once a committee stands by: then the start is postponed, and who was drawn has been known for too long.
    """
    if not lot.panel.members or lot.evaluation.reported_at_ms:
        return False
    profile = asked.profile(lot.profile_id)
    if lot.evaluation.started:
        return paused_ms > profile.number("mid-fault-h") * HOUR_MS
    return suspended.reason == "outage" and paused_ms > profile.number("pre-start-fault-h") * HOUR_MS
