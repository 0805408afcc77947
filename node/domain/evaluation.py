"""Evaluation as the lot records it (评标): start, preliminary review, clarification, correction, close, ranking. E12 to E14."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.refused import NotOffered
from node.domain.sheet import CheckResult, CriterionMark, MarksCorrected
from node.domain.values import Asked, Head, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class StartEvaluation:
    """Begin. The node makes a session key and wraps it to every venue node; only its commitment and the wraps are logged."""

    session_commitment: bytes
    wraps: tuple[tuple[str, bytes], ...]  # node code, session key sealed to that node


@dataclass(frozen=True, slots=True)
class EvaluationStarted:
    """Members may submit: sheets seal to this session."""

    session_commitment: bytes
    wraps: tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class OpenedChecklist:
    """A member's checklist, opened by the node with the session key for the conclusion."""

    member: str
    ref: str
    salt: bytes
    results: tuple[CheckResult, ...]


@dataclass(frozen=True, slots=True)
class ConcludePreliminary:
    """Majority of members per bid and check decides. Filled by the node from the sheets that it holds."""

    opened: tuple[OpenedChecklist, ...] = ()
    heads: tuple[Head, ...] = ()


@dataclass(frozen=True, slots=True)
class PreliminaryConcluded:
    """The checklists that counted, and which bids go on."""

    opened: tuple[OpenedChecklist, ...]
    heads: tuple[Head, ...]
    accepted: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BidRejected:
    """否决投标: one bid, on a listed ground (ZBT 51), by so many members."""

    ref: str
    ground: str
    reason: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class PreliminaryReopened:
    """A member whose checklists had counted was replaced (ZBT 48): the preliminary review is open again.

    His checklists are void, and with them every rejection that members voted for. The other members' checklists stand and
    stay final, for they have been opened. What the system found by itself (price, bond, a correction refused) stands.
    """

    member: str  # who was replaced


@dataclass(frozen=True, slots=True)
class RequestClarification:
    """澄清: in writing, on the committee's request; may not change the substance (ZBT 52)."""

    ref: str
    text: str


@dataclass(frozen=True, slots=True)
class ClarificationRequested:
    """Question no n."""

    no: int
    ref: str
    text: str


@dataclass(frozen=True, slots=True)
class AnswerClarification:
    """The bidder's answer, as received."""

    no: int
    text: str


@dataclass(frozen=True, slots=True)
class ClarificationAnswered:
    """Answer to question no n."""

    no: int
    text: str


@dataclass(frozen=True, slots=True)
class CorrectPrice:
    """算术修正: the corrected price follows from the bid's own lines and words; refusal by the bidder means rejection."""

    ref: str
    accepted: bool


@dataclass(frozen=True, slots=True)
class PriceCorrected:
    """The evaluation uses the corrected price; the bidder has agreed."""

    ref: str
    from_fen: int
    to_fen: int
    rule: str


@dataclass(frozen=True, slots=True)
class OpenedMarks:
    """A member's marks on one bid, opened with the session key at the close."""

    member: str
    ref: str
    salt: bytes
    marks: tuple[CriterionMark, ...]


@dataclass(frozen=True, slots=True)
class CloseScoring:
    """评分结束. Filled by the node: the session key, the signed sheets' heads, their marks opened."""

    session_key: bytes = b""
    opened: tuple[OpenedMarks, ...] = ()
    heads: tuple[Head, ...] = ()


@dataclass(frozen=True, slots=True)
class ScoringClosed:
    """The session key is out: anyone can open the sealed sheets named by `heads` and compare."""

    session_key: bytes
    heads: tuple[Head, ...]
    opened: tuple[OpenedMarks, ...]


@dataclass(frozen=True, slots=True)
class Inconsistency:
    """Members differ on an objective item, or a sum or range is wrong (87号令 64)."""

    ref: str
    criterion: str
    kind: str  # objective-differs | out-of-range
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecheckOrdered:
    """Before anything is ranked: members named must correct and sign again."""

    inconsistencies: tuple[Inconsistency, ...]


@dataclass(frozen=True, slots=True)
class CloseRecheck:
    """All corrections are in: rank with them. Filled by the node with the new heads."""

    heads: tuple[Head, ...] = ()


@dataclass(frozen=True, slots=True)
class RecheckClosed:
    """Corrected sheets' heads, and the marks that the members corrected in the clear."""

    heads: tuple[Head, ...]
    corrections: tuple[tuple[str, MarksCorrected], ...]  # member, correction


@dataclass(frozen=True, slots=True)
class RankRow:
    """One bid's result. Scores in text with their declared places; exact values as p/q."""

    ref: str
    price_fen: int
    evaluated: str
    price_score: str
    price_exact: str
    group_scores: tuple[tuple[str, str], ...]  # technical, business … after aggregation
    total: str
    rank: int
    tie: bool


@dataclass(frozen=True, slots=True)
class UsedNonce:
    """One party of a draw that the ranking rests on."""

    name: str
    commit: bytes
    nonce: bytes
    source: str  # reveal | escrow


@dataclass(frozen=True, slots=True)
class UsedDraw:
    """A draw that the ranking rests on, with all that anybody needs to re-run it. kind: coefficient | tie."""

    draw_id: str
    kind: str
    name: str
    options: tuple[str, ...]
    result: tuple[str, ...]
    seed: bytes
    parties: tuple[UsedNonce, ...]


@dataclass(frozen=True, slots=True)
class RankingComputed:
    """Computed by the system, to the fen; never marked by anybody.

    While a tie at the candidates' number is not drawn, `candidates` are those before it; then the ranking is recorded anew.
    """

    benchmark: str  # "" for methods without
    benchmark_exact: str
    rows: tuple[RankRow, ...]
    candidates: tuple[str, ...]
    draws: tuple[UsedDraw, ...] = ()


@dataclass(frozen=True, slots=True)
class ResolveTie:
    """Take the drawn order of the bids that share the last candidate's place."""


@dataclass(frozen=True, slots=True)
class CompleteReport:
    """评标报告 finished: its digest, and every member's word on it (heads of their sheets)."""

    report_sha256: bytes
    words: tuple[tuple[str, str, str], ...] = ()  # member, word, text
    heads: tuple[Head, ...] = ()


@dataclass(frozen=True, slots=True)
class ReportCompleted:
    """E15. Handed to the tenderer; the three days to publicity run from here (ZBT 54)."""

    report_sha256: bytes
    words: tuple[tuple[str, str, str], ...]
    heads: tuple[Head, ...]


@dataclass(frozen=True, slots=True)
class EvaluationState:
    """How far the evaluation has come, and what it found."""

    started: bool = False
    session_commitment: bytes = b""
    wraps: tuple[tuple[str, bytes], ...] = ()
    concluded: bool = False
    checklists: tuple[OpenedChecklist, ...] = ()
    rejections: tuple[BidRejected, ...] = ()
    questions: tuple[ClarificationRequested, ...] = ()
    answers: tuple[ClarificationAnswered, ...] = ()
    corrections: tuple[PriceCorrected, ...] = ()
    closed: bool = False
    closed_at_ms: int = 0
    opened: tuple[OpenedMarks, ...] = ()
    heads: tuple[Head, ...] = ()
    inconsistencies: tuple[Inconsistency, ...] = ()
    marks_corrected: tuple[tuple[str, MarksCorrected], ...] = ()
    ranking: RankingComputed | None = None
    ranked_at_ms: int = 0
    report: ReportCompleted | None = None
    reported_at_ms: int = 0

    @property
    def ranked(self) -> bool:
        """Whether the ranking stands."""
        return self.ranking is not None

    @property
    def rejected_refs(self) -> tuple[str, ...]:
        """The bids that are out."""
        return tuple(one.ref for one in self.rejections)

    @property
    def candidates(self) -> tuple[str, ...]:
        """The recommended candidates, best first."""
        return self.ranking.candidates if self.ranking else ()

    def price_fen(self, ref: str) -> int:
        """Return the price at which a ranked bid is contracted: corrected, where a correction was accepted."""
        rows = self.ranking.rows if self.ranking else ()
        return next((row.price_fen for row in rows if row.ref == ref), 0)

    def corrected_fen(self, ref: str, bid_fen: int) -> int:
        """Return the price that the evaluation uses for an opened bid."""
        return next((one.to_fen for one in self.corrections if one.ref == ref), bid_fen)

    def checklist_opened(self, member: str, ref: str) -> bool:
        """Whether this member's checklist on this bid has been read by everybody: it is final then."""
        return any((one.member, one.ref) == (member, ref) for one in self.checklists)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of one step of the evaluation. Raises Refused."""
    from node.domain import preliminary, scored  # noqa: PLC0415 - they build on the dataclasses above

    match command:
        case StartEvaluation():
            return preliminary.start(lot, command, asked)
        case ConcludePreliminary():
            return preliminary.conclude(lot, command, asked)
        case RequestClarification():
            return preliminary.request(lot, command, asked)
        case AnswerClarification():
            return preliminary.answer(lot, command)
        case CorrectPrice():
            return preliminary.correct(lot, command, asked)
        case CloseScoring():
            return scored.close(lot, command, asked)
        case CloseRecheck():
            return scored.close_recheck(lot, command, asked)
        case ResolveTie():
            return scored.resolve_tie(lot, asked)
        case CompleteReport():
            return scored.complete(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: EvaluationState, event: object, recorded: Recorded) -> EvaluationState:
    """Return the state after one of the evaluation's events."""
    match event:
        case EvaluationStarted(session_commitment=commitment, wraps=wraps):
            return replace(state, started=True, session_commitment=commitment, wraps=wraps)
        case PreliminaryConcluded(opened=opened):
            return replace(state, concluded=True, checklists=opened)
        case PreliminaryReopened(member=member):
            return replace(
                state,
                concluded=False,
                checklists=tuple(one for one in state.checklists if one.member != member),
                rejections=tuple(one for one in state.rejections if not one.members),
            )
        case BidRejected():
            return replace(state, rejections=(*state.rejections, event))
        case ClarificationRequested():
            return replace(state, questions=(*state.questions, event))
        case ClarificationAnswered():
            return replace(state, answers=(*state.answers, event))
        case PriceCorrected():
            return replace(state, corrections=(*state.corrections, event))
        case ScoringClosed(heads=heads, opened=opened):
            return replace(state, closed=True, closed_at_ms=recorded.at_ms, heads=heads, opened=opened)
        case RecheckOrdered(inconsistencies=found):
            return replace(state, inconsistencies=found)
        case RecheckClosed(heads=heads, corrections=corrections):
            return replace(state, heads=heads, marks_corrected=corrections, inconsistencies=())
        case RankingComputed():
            return replace(state, ranking=event, ranked_at_ms=recorded.at_ms)
        case ReportCompleted():
            return replace(state, report=event, reported_at_ms=recorded.at_ms)
        case _:
            return state


COMMANDS: tuple[type, ...] = (
    StartEvaluation,
    ConcludePreliminary,
    RequestClarification,
    AnswerClarification,
    CorrectPrice,
    CloseScoring,
    CloseRecheck,
    ResolveTie,
    CompleteReport,
)
EVENTS: tuple[type, ...] = (
    EvaluationStarted,
    PreliminaryConcluded,
    PreliminaryReopened,
    BidRejected,
    ClarificationRequested,
    ClarificationAnswered,
    PriceCorrected,
    ScoringClosed,
    RecheckOrdered,
    RecheckClosed,
    RankingComputed,
    ReportCompleted,
)
