"""Custody (主持权): which node's log a lot's streams go on in. It moves by a signed event with a rising term (任期).

A live owner hands over: it releases, the other takes. A dead owner is taken over from by two persons, who put on record
what is known to be missing. What the former owner wrote beyond the taken head stays in its log, is shown, and may be adopted
entry by entry; nothing is merged by itself (design 5.3).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from node.domain.guards import require_one_of, require_second, require_short, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.sheet import ChecklistSubmitted, MarksSubmitted
from node.domain.values import Asked, Recorded

HANDED_OVER, TAKEN_OVER = "handed-over", "taken-over"


@dataclass(frozen=True, slots=True)
class Moved:
    """One stream that moves: from whom, into which term, after which entry of the former owner (-1: none, leaf empty)."""

    stream: str
    term: int
    from_origin: str
    base_seq: int
    base_leaf: bytes


@dataclass(frozen=True, slots=True)
class TakeCustody:
    """Go on with these streams here. how: handed-over (the owner released) | taken-over (the owner is dead).

    `held_size` entries of the former owner's log are held here, `signed_size` it is known to have signed; `statement` says in
    words what is known to be missing. `second` is the other person, as role:person.
    """

    how: str
    from_node: str
    to_node: str
    moved: tuple[Moved, ...]
    held_size: int
    signed_size: int
    statement: str
    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class CustodyTaken:
    """The streams go on in the log that holds this event, from this entry on."""

    how: str
    from_node: str
    to_node: str
    moved: tuple[Moved, ...]
    held_size: int
    signed_size: int
    statement: str
    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class ReleaseCustody:
    """The live owner lets go of the lot's stream, for one other node."""

    to_node: str
    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class CustodyReleased:
    """From here on the owner writes nothing more to the lot's stream, unless it recalls before the other has taken."""

    to_node: str
    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class RecallCustody:
    """The other node did not take it."""

    reason: str


@dataclass(frozen=True, slots=True)
class CustodyRecalled:
    """The owner goes on. Where the other has taken meanwhile, its event stands and this one is beyond the taken head."""

    reason: str


@dataclass(frozen=True, slots=True)
class AdoptEntry:
    """Make one entry of the former owner's unsent tail count.

    `events` are its events; `since` those of the stream's present term that are no change of custody; `earlier_undecided`
    counts tail entries before it that nobody has decided about.
    """

    origin: str
    seq: int
    leaf: bytes
    at_ms: int
    actor: str
    reason: str
    second: str
    events: tuple[Any, ...] = ()
    since: tuple[Any, ...] = ()
    earlier_undecided: int = 0


@dataclass(frozen=True, slots=True)
class EntryAdopted:
    """The events after this one in the same entry were first recorded there, then, by that person; they count from here."""

    origin: str
    seq: int
    leaf: bytes
    at_ms: int
    actor: str
    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class DeclineEntry:
    """Put on record that one tail entry does not count."""

    origin: str
    seq: int
    leaf: bytes
    reason: str
    second: str
    earlier_undecided: int = 0


@dataclass(frozen=True, slots=True)
class EntryDeclined:
    """It stays in the former owner's log and is shown; it changes nothing."""

    origin: str
    seq: int
    leaf: bytes
    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class CustodyState:
    """Whose the lot's stream is, as far as its own events tell. Term 0: the node that registered the lot."""

    term: int = 0
    node: str = ""
    since_ms: int = 0
    how: str = ""
    released_to: str = ""


def parts_of(lot_code: str) -> tuple[str, str]:
    """Return how the names of the streams begin that move with a lot: its members' sheets, its draws."""
    return f"sheet/{lot_code}/", f"draw/{lot_code}-"


COMMANDS: tuple[type, ...] = (TakeCustody, ReleaseCustody, RecallCustody)
TAIL_COMMANDS: tuple[type, ...] = (AdoptEntry, DeclineEntry)
EVENTS: tuple[type, ...] = (CustodyTaken, CustodyReleased, CustodyRecalled, EntryAdopted, EntryDeclined)


def decide(state: CustodyState, lot_code: str, command: object, asked: Asked) -> tuple[Any, ...]:
    """Return the change of custody. Raises Refused. Runs before every other gate of the lot: it may stand still or be over."""
    match command:
        case TakeCustody():
            return _take(state, lot_code, command, asked)
        case ReleaseCustody():
            require_second(asked, command.second)
            _reason(command.reason)
            if state.released_to:
                raise Refused("custody-released", rule="released-once", value=state.released_to)
            require_text(to_node=command.to_node)
            if command.to_node == asked.node:
                raise Refused("custody-here", rule="to-another-node", value=command.to_node)
            return (CustodyReleased(command.to_node, command.reason, command.second),)
        case RecallCustody():
            _reason(command.reason)
            if not state.released_to:
                raise Refused("custody-not-released", rule="released-first")
            return (CustodyRecalled(command.reason),)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: CustodyState, event: object, recorded: Recorded) -> CustodyState:
    """Return the custody after one of its events."""
    match event:
        case CustodyTaken(how=how, to_node=node, moved=moved):
            terms = [one.term for one in moved if one.stream.startswith("lot/")]
            if not terms:
                return state
            return CustodyState(terms[0], node, recorded.at_ms, how)
        case CustodyReleased(to_node=node):
            return replace(state, released_to=node)
        case CustodyRecalled():
            return replace(state, released_to="")
        case _:
            return state


def require_held(state: CustodyState, command: object) -> None:
    """Refuse whatever is not about custody while the lot is released and not yet taken."""
    if state.released_to and not isinstance(command, COMMANDS):
        raise Refused("custody-released", rule="owner-writes", value=type(command).__name__, limit=state.released_to)


def decide_tail(command: object, asked: Asked) -> tuple[Any, ...]:
    """Return what becomes of one entry of a former owner's tail. Raises Refused.

    An entry is adoptable while nothing was recorded in the stream since custody moved: then the state is the one in which
    its own rules let it pass. Marks and checklists stand for themselves: they are adoptable while the member has given no
    other for the same bid and has not signed.
    """
    match command:
        case AdoptEntry():
            _before(command.earlier_undecided)
            require_second(asked, command.second)
            _reason(command.reason)
            _still_fits(command)
            place = (command.origin, command.seq, command.leaf, command.at_ms, command.actor)
            return (EntryAdopted(*place, command.reason, command.second), *command.events)
        case DeclineEntry():
            _before(command.earlier_undecided)
            require_second(asked, command.second)
            _reason(command.reason)
            return (EntryDeclined(command.origin, command.seq, command.leaf, command.reason, command.second),)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def adopted_at(events: Sequence[object], recorded: Recorded) -> Recorded:
    """Return when and by whom the events of an entry were recorded: those of an adopted entry were before."""
    match events:
        case (EntryAdopted(at_ms=at_ms, actor=actor), *_):
            return replace(recorded, at_ms=at_ms, actor=actor)
        case _:
            return recorded


def _take(state: CustodyState, lot_code: str, command: TakeCustody, asked: Asked) -> tuple[CustodyTaken]:
    require_one_of(command.how, (HANDED_OVER, TAKEN_OVER), "how")
    require_second(asked, command.second)
    _reason(command.reason)
    require_text(statement=command.statement, from_node=command.from_node)
    if not command.moved:
        raise Refused("nothing-to-take", rule="streams-of-the-other", value=command.from_node, limit=lot_code)
    if command.how == HANDED_OVER and state.released_to != asked.node:
        raise Refused("custody-not-released", rule="released-first", value=asked.node, limit=state.released_to)
    for one in command.moved:
        mine = one.stream == f"lot/{lot_code}" or one.stream.startswith(parts_of(lot_code))
        if not mine or one.from_origin == asked.origin:
            raise Refused("not-this-lots-stream", rule="streams-of-the-other", value=one.stream, limit=lot_code)
        if one.stream == f"lot/{lot_code}" and one.term <= state.term:
            raise Refused("term-not-rising", rule="term-rises", value=str(one.term), limit=str(state.term + 1))
    return (
        CustodyTaken(
            command.how,
            command.from_node,
            command.to_node,
            command.moved,
            command.held_size,
            command.signed_size,
            command.statement,
            command.reason,
            command.second,
        ),
    )


def _reason(reason: str) -> None:
    require_text(reason=reason)
    require_short(reason=reason)


def _before(earlier_undecided: int) -> None:
    if earlier_undecided:
        raise Refused("tail-in-order", rule="earlier-entries-first", value=str(earlier_undecided), limit="0")


def _still_fits(command: AdoptEntry) -> None:
    if not command.since:
        return
    sheets = MarksSubmitted | ChecklistSubmitted
    touched = {(type(event), event.ref) for event in command.since if isinstance(event, sheets)}
    alone = all(isinstance(event, sheets) for event in (*command.events, *command.since))
    if not alone or any((type(event), event.ref) in touched for event in command.events):
        raise Refused("stream-moved-on", rule="adopt-before-going-on", value=f"{command.origin} #{command.seq}")
