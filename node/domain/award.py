"""After the report (定标): candidate publicity, award, notices, contract, archive. E16 to E20."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PublishCandidates:
    """中标候选人公示, from now to `to_ms`."""

    to_ms: int
    media: tuple[str, ...]
    objection_channel: str


@dataclass(frozen=True, slots=True)
class CandidatesPublished:
    """Public: names, prices, scores, order."""

    to_ms: int
    candidates: tuple[str, ...]
    media: tuple[str, ...]
    objection_channel: str


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


@dataclass(frozen=True, slots=True)
class ContractRecorded:
    """Signed; all bid bonds go back by `bond_refund_due_ms` (ZBT 57)."""

    contract_sha256: bytes
    amount_fen: int
    performance_bond_fen: int
    signed_at_ms: int
    bond_refund_due_ms: int


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
