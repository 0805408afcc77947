"""Incidents of the room (异常): mains, link, environment, recorded by a person or by a device. Stream: room/<node code>."""

from dataclasses import dataclass, replace

from node.domain.calendar import moment_text
from node.domain.epoch import EpochOpened
from node.domain.guards import require_distinct, require_one_of, require_second, require_short, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded


@dataclass(frozen=True, slots=True)
class RecordIncident:
    """kind: mains-lost | link-lost | node-lost | device | environment | conduct | other."""

    kind: str
    text: str
    began_at_ms: int
    lots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class IncidentRecorded:
    """Incident no n of this room."""

    no: int
    kind: str
    text: str
    began_at_ms: int
    lots: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CloseIncident:
    """Over."""

    no: int
    text: str
    ended_at_ms: int


@dataclass(frozen=True, slots=True)
class IncidentClosed:
    """How it ended."""

    no: int
    text: str
    ended_at_ms: int


@dataclass(frozen=True, slots=True)
class RelaxWitness:
    """While the neighbour is down: go on with receipts that stand on this node alone. `second` is role:person."""

    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class WitnessRelaxed:
    """Two persons did; it ends by itself with the neighbour's next cosignature (design 5)."""

    reason: str
    second: str


KINDS = ("mains-lost", "link-lost", "node-lost", "device", "environment", "conduct", "other")
# A person may write down what began a little ago; an incident of tomorrow is a typing mistake.
_AHEAD_MS = 60_000


@dataclass(frozen=True, slots=True)
class IncidentState:
    """The room's incidents, and which are over."""

    recorded: tuple[IncidentRecorded, ...] = ()
    closed: tuple[int, ...] = ()
    relaxed_seq: int = -1  # the entry of the last switch to receipts without a witness

    @property
    def open(self) -> tuple[IncidentRecorded, ...]:
        """The incidents that last."""
        return tuple(one for one in self.recorded if one.no not in self.closed)


def decide(state: IncidentState, command: object, asked: Asked) -> tuple[object, ...]:
    """Return an incident, or its end. Raises Refused."""
    match command:
        case RecordIncident():
            return _record(state, command, asked)
        case CloseIncident():
            return _close(state, command, asked)
        case RelaxWitness():
            require_second(asked, command.second)
            require_text(reason=command.reason)
            require_short(reason=command.reason)
            return (WitnessRelaxed(command.reason, command.second),)
        case _:
            raise NotOffered("room/", type(command).__name__)


def evolve(state: IncidentState, event: object, recorded: Recorded) -> IncidentState:
    """Return the state after one of the room's events."""
    match event:
        case IncidentRecorded():
            return replace(state, recorded=(*state.recorded, event))
        case IncidentClosed(no=no):
            return replace(state, closed=(*state.closed, no))
        case WitnessRelaxed():
            return replace(state, relaxed_seq=recorded.seq)
        case EpochOpened():
            return replace(state, relaxed_seq=-1)  # a place in the log that ended
        case _:
            return state


def _record(state: IncidentState, command: RecordIncident, asked: Asked) -> tuple[IncidentRecorded]:
    require_one_of(command.kind, KINDS, "kind")
    require_text(text=command.text, **{f"lots[{index}]": lot for index, lot in enumerate(command.lots)})
    require_short(text=command.text)
    require_distinct(command.lots, "lots")
    if not 0 < command.began_at_ms <= asked.at_ms + _AHEAD_MS:
        began, now = moment_text(command.began_at_ms), moment_text(asked.at_ms)
        raise Refused("time-ahead", rule="began-before-now", value=began, limit=now)
    no = len(state.recorded) + 1
    return (IncidentRecorded(no, command.kind, command.text, command.began_at_ms, command.lots),)


def _close(state: IncidentState, command: CloseIncident, asked: Asked) -> tuple[IncidentClosed]:
    found = next((one for one in state.recorded if one.no == command.no), None)
    if found is None:
        raise Refused("incident-unknown", rule="recorded-first", value=str(command.no))
    if command.no in state.closed:
        raise Refused("incident-closed", rule="closed-once", value=str(command.no))
    require_text(text=command.text)
    require_short(text=command.text)
    if not found.began_at_ms <= command.ended_at_ms <= asked.at_ms + _AHEAD_MS:
        ended, span = moment_text(command.ended_at_ms), (found.began_at_ms, asked.at_ms)
        limit = " … ".join(moment_text(at_ms) for at_ms in span)
        raise Refused("time-ahead", rule="ended-after-it-began", value=ended, limit=limit)
    return (IncidentClosed(command.no, command.text, command.ended_at_ms),)


COMMANDS: tuple[type, ...] = (RecordIncident, CloseIncident, RelaxWitness)
EVENTS: tuple[type, ...] = (IncidentRecorded, IncidentClosed, WitnessRelaxed)
