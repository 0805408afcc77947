"""What the node found of a signer's certificate when it took a bid, an appointment or a release (签名证书判定). ADR 14.

The log holds a salted commitment and the standing; certificate and judgement lie in the erasable table. A node without anchors
judges nothing, and then there is no such event.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from node.domain.guards import require_digest, require_distinct, require_one_of
from node.domain.values import Recorded

BID, APPOINTMENT, RELEASE = "bid", "appointment", "release"
STANDINGS = ("fresh", "grace", "unknown")


@dataclass(frozen=True, slots=True)
class Judged:
    """One signer's certificate counts here. `subject` is the participant's ref or the trustee's number."""

    subject: str
    commitment: bytes
    standing: str
    holder: str = field(default="", repr=False)  # account key of the person; held against others, never recorded


@dataclass(frozen=True, slots=True)
class SignerJudged:
    """The certificate behind a bid, an appointment or a release was judged, and this is what was known of its revocation."""

    act: str
    subject: str
    commitment: bytes
    standing: str


@dataclass(frozen=True, slots=True)
class JudgedState:
    """The newest judgement of every act and subject."""

    rows: tuple[SignerJudged, ...] = ()

    def standing(self, act: str, subject: str) -> str:
        """Return what was known of this signer's certificate; "" where nobody judged it."""
        return next((one.standing for one in self.rows if (one.act, one.subject) == (act, subject)), "")


def events_of(act: str, judged: Iterable[Judged], subjects: Iterable[str]) -> tuple[SignerJudged, ...]:
    """Return what is recorded beside an act; only its own signers may stand in it. Raises Refused."""
    rows = tuple(judged)
    allowed = tuple(subjects)
    require_distinct((one.subject for one in rows), "judged")
    for one in rows:
        require_one_of(one.subject, allowed, "judged")
        require_one_of(one.standing, STANDINGS, "standing")
        require_digest(commitment=one.commitment)
    return tuple(SignerJudged(act, one.subject, one.commitment, one.standing) for one in rows)


def evolve(state: JudgedState, event: object, recorded: Recorded) -> JudgedState:  # noqa: ARG001 - one shape for all
    """Return the state after one judgement."""
    if not isinstance(event, SignerJudged):
        return state
    others = tuple(one for one in state.rows if (one.act, one.subject) != (event.act, event.subject))
    return replace(state, rows=(*others, event))


COMMANDS: tuple[type, ...] = ()
EVENTS: tuple[type, ...] = (SignerJudged,)
