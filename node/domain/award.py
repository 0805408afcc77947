"""After the report (定标): candidate publicity, award, notices, contract, archive. E16 to E20."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.calendar import end_text, moment_text, years_after
from node.domain.guards import breach, require_digest, require_distinct, require_text
from node.domain.periods import end_ms
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class PublishCandidates:
    """中标候选人公示, from now to `to_ms`."""

    to_ms: int
    media: tuple[str, ...]
    objection_channel: str
    late_reason: str = ""  # needed when the three days are over: on record, for the supervisor to see


@dataclass(frozen=True, slots=True)
class CandidatesPublished:
    """Public: names, prices, scores, order."""

    to_ms: int
    candidates: tuple[str, ...]
    media: tuple[str, ...]
    objection_channel: str
    late_reason: str


@dataclass(frozen=True, slots=True)
class DecideAward:
    """定标. passed_over: (ref, ground of ZBT 55) for each better-ranked candidate that is skipped."""

    ref: str
    passed_over: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class AwardDecided:
    """The winner."""

    ref: str
    price_fen: int
    passed_over: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class IssueAwardNotice:
    """中标通知书, and at the same time to every loser (ZB 45)."""

    text_sha256: bytes
    media: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class AwardNoticeIssued:
    """The 30 days to the contract run from here (ZB 46); the written report to the supervisor is due in 15 (ZB 47)."""

    text_sha256: bytes
    media: tuple[str, ...]
    told: tuple[str, ...]
    report_due_ms: int
    contract_due_ms: int


@dataclass(frozen=True, slots=True)
class RecordContract:
    """合同签订."""

    contract_sha256: bytes
    amount_fen: int
    performance_bond_fen: int
    signed_at_ms: int
    note: str = ""  # needed when the amount differs from the award or the 30 days are over


@dataclass(frozen=True, slots=True)
class ContractRecorded:
    """Signed; all bid bonds go back by `bond_refund_due_ms` (ZBT 57)."""

    contract_sha256: bytes
    amount_fen: int
    performance_bond_fen: int
    signed_at_ms: int
    bond_refund_due_ms: int
    note: str


@dataclass(frozen=True, slots=True)
class RecordWinnerRefusal:
    """The winner refuses the contract: loses award and bond (ZBT 74)."""

    text: str


@dataclass(frozen=True, slots=True)
class WinnerRefused:
    """The next rank or a new round (ZBT 55)."""

    ref: str
    text: str


@dataclass(frozen=True, slots=True)
class ArchiveLot:
    """归档."""

    package_sha256: bytes


@dataclass(frozen=True, slots=True)
class LotArchived:
    """Kept at least until `keep_until_ms`."""

    package_sha256: bytes
    keep_until_ms: int


@dataclass(frozen=True, slots=True)
class AwardState:
    """Publicity, winner, notice, contract. A winner that refused is remembered and never awarded again."""

    published: CandidatesPublished | None = None
    decided: AwardDecided | None = None
    decided_at_ms: int = 0
    notified_at_ms: int = 0
    contract_due_ms: int = 0
    contracted: bool = False
    refused: tuple[str, ...] = ()
    archived: bool = False


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of a command after the report. Raises Refused."""
    match command:
        case PublishCandidates():
            return _publish(lot, command, asked)
        case DecideAward():
            return _award(lot, command, asked)
        case IssueAwardNotice():
            return _notify(lot, command, asked)
        case RecordContract():
            return _contract(lot.award, command, lot.profile_id, asked)
        case RecordWinnerRefusal():
            return _refusal(lot.award, command)
        case ArchiveLot():
            return _archive(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: AwardState, event: object, recorded: Recorded) -> AwardState:
    """Return the state after one of this subject's events."""
    match event:
        case CandidatesPublished():
            return replace(state, published=event)
        case AwardDecided():
            return replace(state, decided=event, decided_at_ms=recorded.at_ms)
        case AwardNoticeIssued(contract_due_ms=due_ms):
            return replace(state, notified_at_ms=recorded.at_ms, contract_due_ms=due_ms)
        case ContractRecorded():
            return replace(state, contracted=True)
        case WinnerRefused(ref=ref):
            return AwardState(published=state.published, refused=(*state.refused, ref))
        case LotArchived():
            return replace(state, archived=True)
        case _:
            return state


def _publish(lot: "LotState", command: PublishCandidates, asked: Asked) -> tuple[CandidatesPublished]:
    profile = asked.profile(lot.profile_id)
    if not lot.evaluation.reported_at_ms:
        raise Refused("no-report", rule="report-before-publicity", cites=("ZBT 53", "ZBT 54"))
    if lot.award.published is not None:
        raise Refused("published-already", rule="one-publicity", cites=("ZBT 54",))
    require_text(objection_channel=command.objection_channel)
    if not command.media:
        raise Refused("media-missing", rule="public", cites=("ZBT 54",))
    require_distinct(command.media, "media")
    start = profile.rule("publicity-start-max-days")
    due_ms = end_ms(profile, start.id, lot.evaluation.reported_at_ms, asked.calendar)
    late = asked.at_ms >= due_ms
    if late and not command.late_reason.strip():
        raise breach(start, "publicity-late", value=moment_text(asked.at_ms), limit=end_text(due_ms))
    least = profile.rule("publicity-min-days")
    earliest_ms = end_ms(profile, least.id, asked.at_ms, asked.calendar)
    if command.to_ms < earliest_ms:
        raise breach(least, "publicity-too-short", value=end_text(command.to_ms), limit=end_text(earliest_ms))
    return (
        CandidatesPublished(
            command.to_ms,
            lot.evaluation.candidates,
            command.media,
            command.objection_channel,
            command.late_reason if late else "",
        ),
    )


def _publicity_over(lot: "LotState", asked: Asked) -> CandidatesPublished:
    """Return the publicity once it has ended. An open objection has stopped the command before (lot's gate)."""
    published = lot.award.published
    if published is None:
        raise Refused("not-published", rule="publicity-first", cites=("ZBT 54",))
    if asked.at_ms < published.to_ms:
        raise Refused(
            "publicity-runs",
            rule="publicity-ended",
            value=moment_text(asked.at_ms),
            limit=end_text(published.to_ms),
            cites=("ZBT 54",),
        )
    return published


def _award(lot: "LotState", command: DecideAward, asked: Asked) -> tuple[AwardDecided]:
    published = _publicity_over(lot, asked)
    state, profile = lot.award, asked.profile(lot.profile_id)
    if state.decided is not None:
        raise Refused("awarded-already", rule="one-award", value=state.decided.ref)
    if command.ref not in published.candidates:
        raise Refused(
            "not-a-candidate",
            rule="award-inside-the-list",
            value=command.ref,
            limit=", ".join(published.candidates),
            cites=("ZB 57", "ZB 40"),
        )
    if command.ref in state.refused:
        raise Refused("winner-refused-before", rule="refused-is-out", value=command.ref, cites=("ZBT 74",))
    better = published.candidates[: published.candidates.index(command.ref)]
    grounds = profile.rule("pass-over-grounds")
    require_distinct((ref for ref, _ in command.passed_over), "passed_over")
    for ref, ground in command.passed_over:
        if ref not in better:
            raise Refused(
                "not-ranked-better", rule="passed-over", value=ref, limit=", ".join(better), cites=grounds.cites
            )
        if ground not in profile.words(grounds.id):
            raise breach(grounds, "ground-unknown", value=ground)
    passed = {ref for ref, _ in command.passed_over} | set(state.refused)
    skipped = [ref for ref in better if ref not in passed]
    if lot.registered.state_funds and skipped:
        raise breach(grounds, "rank-order", value=command.ref, limit=skipped[0])
    return (AwardDecided(command.ref, lot.evaluation.price_fen(command.ref), command.passed_over),)


def _notify(lot: "LotState", command: IssueAwardNotice, asked: Asked) -> tuple[AwardNoticeIssued]:
    state, profile = lot.award, asked.profile(lot.profile_id)
    if state.decided is None:
        raise Refused("no-award", rule="award-before-notice", cites=("ZB 45",))
    _publicity_over(lot, asked)
    if state.notified_at_ms:
        raise Refused("notified-already", rule="one-notice")
    require_digest(text_sha256=command.text_sha256)
    if not command.media:
        raise Refused("media-missing", rule="public", cites=("ZB 45",))
    require_distinct(command.media, "media")
    winner = state.decided.ref
    return (
        AwardNoticeIssued(
            command.text_sha256,
            command.media,
            tuple(bid.ref for bid in lot.bidding.live if bid.ref != winner),
            end_ms(profile, "supervisor-report-days", state.decided_at_ms, asked.calendar),
            end_ms(profile, "contract-days", asked.at_ms, asked.calendar),
        ),
    )


def _contract(state: AwardState, command: RecordContract, profile_id: str, asked: Asked) -> tuple[ContractRecorded]:
    profile = asked.profile(profile_id)
    if state.decided is None or not state.notified_at_ms:
        raise Refused("no-award-notice", rule="notice-before-contract", cites=("ZB 46",))
    if state.contracted:
        raise Refused("contracted-already", rule="one-contract", cites=("ZB 46",))
    require_digest(contract_sha256=command.contract_sha256)
    if not state.notified_at_ms <= command.signed_at_ms <= asked.at_ms:
        raise Refused(
            "signing-time-wrong",
            rule="signed-after-notice",
            value=moment_text(command.signed_at_ms),
            limit=f"{moment_text(state.notified_at_ms)} – {moment_text(asked.at_ms)}",
            cites=("ZB 46",),
        )
    told = bool(command.note.strip())
    days = profile.rule("contract-days")
    if command.signed_at_ms >= state.contract_due_ms and not told:
        raise breach(
            days, "contract-late", value=moment_text(command.signed_at_ms), limit=end_text(state.contract_due_ms)
        )
    if command.amount_fen != state.decided.price_fen and not told:
        raise Refused(
            "amount-differs",
            rule="contract-as-awarded",
            value=str(command.amount_fen),
            limit=str(state.decided.price_fen),
            cites=("ZB 46", "ZBT 57"),
        )
    cap = profile.rule("performance-bond-cap-percent")
    cap_fen = int(command.amount_fen * profile.decimal(cap.id) / 100)
    if not 0 <= command.performance_bond_fen <= cap_fen:
        raise breach(cap, "performance-bond-above-cap", value=command.performance_bond_fen, limit=cap_fen)
    refund_ms = end_ms(profile, "bond-refund-days", command.signed_at_ms, asked.calendar)
    return (
        ContractRecorded(
            command.contract_sha256,
            command.amount_fen,
            command.performance_bond_fen,
            command.signed_at_ms,
            refund_ms,
            command.note,
        ),
    )


def _refusal(state: AwardState, command: RecordWinnerRefusal) -> tuple[WinnerRefused]:
    if state.decided is None:
        raise Refused("no-award", rule="award-first", cites=("ZBT 74",))
    if state.contracted:
        raise Refused("contracted-already", rule="before-contract", cites=("ZBT 74",))
    require_text(text=command.text)
    return (WinnerRefused(state.decided.ref, command.text),)


def _archive(lot: "LotState", command: ArchiveLot, asked: Asked) -> tuple[LotArchived]:
    if not (lot.award.contracted or lot.project.ended):
        raise Refused("not-finished", rule="finished-before-archive", cites=("CG 42",))
    require_digest(package_sha256=command.package_sha256)
    years = asked.profile(lot.profile_id).number("retention-years")
    return (LotArchived(command.package_sha256, years_after(asked.at_ms, years)),)


COMMANDS: tuple[type, ...] = (
    PublishCandidates,
    DecideAward,
    IssueAwardNotice,
    RecordContract,
    RecordWinnerRefusal,
    ArchiveLot,
)
EVENTS: tuple[type, ...] = (
    CandidatesPublished,
    AwardDecided,
    AwardNoticeIssued,
    ContractRecorded,
    WinnerRefused,
    LotArchived,
)
