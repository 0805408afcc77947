"""Signatures judged again (签名复核): what data that came later says of an act that was accepted. Stream: signatures/<node code>.

An outcome is appended and never changes the act's own record. An act that was signed under a certificate already revoked is
for people to decide; no later list makes that good again.
"""

from dataclasses import dataclass, replace

from node.domain.guards import require_digest, require_one_of
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

CONFIRMED, WAS_REVOKED = "confirmed", "was-revoked"
OUTCOMES = (CONFIRMED, WAS_REVOKED)
MOST = 100


@dataclass(frozen=True, slots=True)
class Judged:
    """One signature: the act's log and place, the signature's commitment, the outcome, the digests of the lists that said so."""

    origin: str
    seq: int
    commitment: bytes
    outcome: str
    lists: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class JudgeAgain:
    """The node has judged these signatures by newer lists."""

    rows: tuple[Judged, ...]


@dataclass(frozen=True, slots=True)
class SignatureJudged:
    """One signature's outcome, as of this entry."""

    origin: str
    seq: int
    commitment: bytes
    outcome: str
    lists: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class SignaturesState:
    """What this node's signatures were found to be, by commitment."""

    confirmed: frozenset[bytes] = frozenset()
    was_revoked: frozenset[bytes] = frozenset()

    def outcome(self, commitment: bytes) -> str:
        """Return the last outcome; "" where there is none."""
        if commitment in self.was_revoked:
            return WAS_REVOKED
        return CONFIRMED if commitment in self.confirmed else ""


def news(state: SignaturesState, row: Judged) -> bool:
    """Whether an outcome says something new: nothing follows a revocation, and nothing is confirmed twice."""
    return state.outcome(row.commitment) not in {WAS_REVOKED, row.outcome}


def decide(state: SignaturesState, command: object, asked: Asked) -> tuple[SignatureJudged, ...]:  # noqa: ARG001 - one shape
    """Return the outcomes that are new. Raises Refused where none is."""
    if not isinstance(command, JudgeAgain):
        raise NotOffered("signatures/", type(command).__name__)
    if len(command.rows) > MOST:
        raise Refused("too-many-values", rule="rows-an-entry", value=str(len(command.rows)), limit=str(MOST))
    for row in command.rows:
        require_one_of(row.outcome, OUTCOMES, "outcome")
        require_digest(commitment=row.commitment, **{f"lists[{at}]": one for at, one in enumerate(row.lists)})
    found = tuple(
        SignatureJudged(row.origin, row.seq, row.commitment, row.outcome, row.lists)
        for row in command.rows
        if news(state, row)
    )
    if not found:
        raise Refused("judged-already", rule="outcomes-once", value=str(len(command.rows)))
    return found


def evolve(state: SignaturesState, event: object, recorded: Recorded) -> SignaturesState:  # noqa: ARG001 - one shape
    """Return the state after an outcome."""
    match event:
        case SignatureJudged(outcome="was-revoked", commitment=commitment):
            return replace(state, was_revoked=state.was_revoked | {commitment})
        case SignatureJudged(commitment=commitment):
            return replace(state, confirmed=state.confirmed | {commitment})
        case _:
            return state


COMMANDS: tuple[type, ...] = (JudgeAgain,)
EVENTS: tuple[type, ...] = (SignatureJudged,)
