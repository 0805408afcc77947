"""Review from above (上级审查): findings in the prefecture's own log, answers in the county's. Stream: review/<lot_code>.

The county answers on its own stream answers/<lot_code>.
"""

from dataclasses import dataclass


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
