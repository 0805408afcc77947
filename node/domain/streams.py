"""Which rules speak for a stream (流): its name says its kind; decide and evolve are routed by it.

lot/<lot code> · sheet/<lot code>/<round>/<member no> · room/<node code> · review/<lot code> · answers/<lot code> · import/<ocid>
draw/<draw id> · bank/<node code> · signatures/<node code>
"""

from typing import Any

from node.domain import bank, custody, drawing, drawn, epoch, imported, incident, lot, review, sheet, signatures
from node.domain.duties import allow
from node.domain.project import RegisterLot
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded
from node.domain.wire import Unrecognised

UNKNOWN_KEPT = "unknown-event"


def lot_stream(lot_code: str) -> str:
    """Name of a lot's stream."""
    return f"lot/{lot_code}"


def sheet_stream(lot_code: str, round_no: int, member: str) -> str:
    """Name of one member's score sheet stream in one round."""
    return f"sheet/{lot_code}/{round_no}/{member}"


def draw_stream(draw_id: str) -> str:
    """Name of a draw's stream."""
    return f"draw/{draw_id}"


def initial(stream: str) -> Any:
    """Return the state of a stream nobody has written to. Raises NotOffered for a name of no kind."""
    kind = stream.partition("/")[0]
    match kind:
        case "lot":
            return lot.LotState()
        case "sheet":
            return sheet.SheetState()
        case "room":
            return incident.IncidentState()
        case "review":
            return review.ReviewState()
        case "answers":
            return review.AnswersState()
        case "import":
            return imported.ImportState()
        case "draw":
            return drawn.DrawState()
        case "bank":
            return bank.BankState()
        case "signatures":
            return signatures.SignaturesState()
        case _:
            raise NotOffered(stream, "")


def decide(stream: str, state: Any, command: Any, asked: Asked) -> tuple[Any, ...]:
    """Return the events that this command makes, or raise Refused. Pure."""
    if isinstance(state, Clouded):
        raise Refused(UNKNOWN_KEPT, rule="known-events-only", value=state.name, facts=(("stream", stream),))
    kind, _, rest = stream.partition("/")
    allow(command, asked.actor)
    if kind in {"lot", "sheet", "draw"} and isinstance(command, custody.TAIL_COMMANDS):
        return custody.decide_tail(command, asked)
    match kind:
        case "lot":
            if isinstance(command, RegisterLot) and command.lot_code != rest:
                raise Refused("lot-code-differs", rule="stream-of-the-lot", value=command.lot_code, limit=rest)
            return lot.decide(state, command, asked)
        case "sheet":
            return sheet.decide(state, stream, command, asked)
        case "room" if isinstance(command, epoch.COMMANDS):
            return epoch.decide(command, asked)
        case "room":
            return incident.decide(state, command, asked)
        case "review":
            return review.decide(state, command, asked)
        case "answers":
            return review.decide_answer(state, command, asked, asked.look(f"review/{rest}"))
        case "import":
            return imported.decide(state, command, asked)
        case "draw":
            return drawing.decide(state, stream, command, asked)
        case "bank":
            return bank.decide(state, command, asked)
        case "signatures":
            return signatures.decide(state, command, asked)
        case _:
            raise NotOffered(stream, type(command).__name__)


class Clouded:
    """The state of a stream that holds an event this version does not know: shown, replicated, refuses commands."""

    __slots__ = ("known", "name")

    def __init__(self, known: Any, name: str) -> None:
        """Keep what was known before, and the first unknown name."""
        self.known = known
        self.name = name


def evolve(stream: str, state: Any, event: Any, recorded: Recorded) -> Any:
    """Return the state after an event."""
    if isinstance(state, Clouded):
        return state
    if isinstance(event, Unrecognised):
        return Clouded(state, event.name)
    match stream.partition("/")[0]:
        case "lot":
            return lot.evolve(state, event, recorded)
        case "sheet":
            return sheet.evolve(state, event, recorded, stream)
        case "room":
            return incident.evolve(state, event, recorded)
        case "review":
            return review.evolve(state, event, recorded)
        case "answers":
            return review.evolve_answer(state, event, recorded)
        case "import":
            return imported.evolve(state, event, recorded)
        case "draw":
            return drawing.evolve(state, event, recorded)
        case "bank":
            return bank.evolve(state, event, recorded)
        case "signatures":
            return signatures.evolve(state, event, recorded)
        case _:
            raise NotOffered(stream, type(event).__name__)
