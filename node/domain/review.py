"""Review from above (上级审查): findings in the prefecture's own log, answers in the county's. Stream: review/<lot_code>.

The county answers on its own stream answers/<lot_code>.
"""

from dataclasses import dataclass, replace

from node.domain.guards import require_one_of, require_short, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded


@dataclass(frozen=True, slots=True)
class RaiseFinding:
    """A question about one entry (请说明): not an accusation."""

    origin: str
    seq: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class FindingRaised:
    """Finding no n."""

    no: int
    origin: str
    seq: int
    rule: str
    text: str


@dataclass(frozen=True, slots=True)
class MarkReviewed:
    """Everything of this lot up to these log positions has been looked at (已审查)."""

    origin: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class Reviewed:
    """Reach: reviewed."""

    origin: str
    size: int
    text: str


@dataclass(frozen=True, slots=True)
class CloseFinding:
    """The answer was enough, or what follows."""

    no: int
    outcome: str  # settled | followed-up
    text: str


@dataclass(frozen=True, slots=True)
class FindingClosed:
    """Closed."""

    no: int
    outcome: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerFinding:
    """The county's answer to finding no n."""

    no: int
    text: str


@dataclass(frozen=True, slots=True)
class FindingAnswered:
    """On record in the county's log."""

    no: int
    text: str


OUTCOMES = ("settled", "followed-up")


@dataclass(frozen=True, slots=True)
class ReviewState:
    """The findings about one lot, and which are closed."""

    findings: tuple[FindingRaised, ...] = ()
    closed: tuple[int, ...] = ()
    reviewed: tuple[tuple[str, int], ...] = ()  # origin, size


@dataclass(frozen=True, slots=True)
class AnswersState:
    """Which findings the county has answered."""

    answered: tuple[int, ...] = ()


def decide(state: ReviewState, command: object, asked: Asked) -> tuple[object, ...]:  # noqa: ARG001 - one shape
    """Return a finding, its closing, or a review mark. Raises Refused."""
    match command:
        case RaiseFinding():
            require_text(text=command.text, rule=command.rule, origin=command.origin)
            require_short(text=command.text)
            if command.seq < 0:
                raise Refused("number-out-of-range", rule="entry-position", value=str(command.seq), limit="0")
            no = len(state.findings) + 1
            return (FindingRaised(no, command.origin, command.seq, command.rule, command.text),)
        case CloseFinding():
            _known(state, command.no)
            if command.no in state.closed:
                raise Refused("finding-closed", rule="closed-once", value=str(command.no))
            require_one_of(command.outcome, OUTCOMES, "outcome")
            require_text(text=command.text)
            require_short(text=command.text)
            return (FindingClosed(command.no, command.outcome, command.text),)
        case MarkReviewed():
            require_text(origin=command.origin)
            require_short(text=command.text)
            before = max((size for origin, size in state.reviewed if origin == command.origin), default=0)
            if command.size <= before:
                raise Refused("reviewed-already", rule="review-goes-on", value=str(command.size), limit=str(before))
            return (Reviewed(command.origin, command.size, command.text),)
        case _:
            raise NotOffered("review/", type(command).__name__)


def evolve(state: ReviewState, event: object, recorded: Recorded) -> ReviewState:  # noqa: ARG001 - one shape
    """Return the state after one of the review's events."""
    match event:
        case FindingRaised():
            return replace(state, findings=(*state.findings, event))
        case FindingClosed(no=no):
            return replace(state, closed=(*state.closed, no))
        case Reviewed(origin=origin, size=size):
            return replace(state, reviewed=(*state.reviewed, (origin, size)))
        case _:
            return state


def decide_answer(
    state: AnswersState,
    command: object,
    asked: Asked,  # noqa: ARG001 - one shape
    review: object,
) -> tuple[object, ...]:
    """Return the county's answer to a finding that has come down to it. Raises Refused.

    `review` is the prefecture's stream as far as it is here; where it holds an event of a later version, nothing is answered.
    A finding may be closed above before its answer arrives: the answer still goes on record.
    """
    match command:
        case AnswerFinding():
            if not isinstance(review, ReviewState):
                raise Refused("unknown-event", rule="known-events-only", value=str(command.no))
            _known(review, command.no)
            if command.no in state.answered:
                raise Refused("finding-answered", rule="one-answer", value=str(command.no))
            require_text(text=command.text)
            require_short(text=command.text)
            return (FindingAnswered(command.no, command.text),)
        case _:
            raise NotOffered("answers/", type(command).__name__)


def evolve_answer(state: AnswersState, event: object, recorded: Recorded) -> AnswersState:  # noqa: ARG001 - one shape
    """Return the state after an answer."""
    match event:
        case FindingAnswered(no=no):
            return replace(state, answered=(*state.answered, no))
        case _:
            return state


def _known(state: ReviewState, no: int) -> None:
    if no not in {finding.no for finding in state.findings}:
        raise Refused("finding-unknown", rule="raised-first", value=str(no))


COMMANDS: tuple[type, ...] = (RaiseFinding, MarkReviewed, CloseFinding, AnswerFinding)
EVENTS: tuple[type, ...] = (FindingRaised, Reviewed, FindingClosed, FindingAnswered)
