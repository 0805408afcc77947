"""Project and lot (项目与标段): registration, filing with the supervisor, rounds, suspension, the ways a round ends. E01, E02."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RegisterLot:
    """Enter a lot (标段) into the room (入场登记). Fixes the identifiers for life."""

    lot_code: str  # 标段编号, 23
    project_code: str  # 项目编号, 17
    tender_project_code: str  # 招标项目编号, 20
    deal_code: str  # 统一交易标识码
    project_name: str
    lot_name: str
    tenderer_name: str
    tenderer_uscc: str
    agency_name: str
    agency_uscc: str
    region: str
    trade_class: str
    category: str  # works | goods | services
    method: str  # open | invited
    profile_id: str
    state_funds: bool  # 国有资金占控股或者主导地位
    estimate_fen: int
    approval_ref: str  # 审批/核准/备案 文件
    funds_ref: str  # 资金落实 文件
    agency_contract_ref: str  # 代理合同
    warnings_confirmed_by: str = ""  # second person who confirmed codes whose check digit is wrong


@dataclass(frozen=True, slots=True)
class LotRegistered:
    """The lot exists; round 1 begins."""

    lot_code: str
    project_code: str
    tender_project_code: str
    deal_code: str
    project_name: str
    lot_name: str
    tenderer_name: str
    tenderer_uscc: str
    agency_name: str
    agency_uscc: str
    region: str
    trade_class: str
    category: str
    method: str
    profile_id: str
    profile_version: int
    profile_sha256: bytes
    state_funds: bool
    estimate_fen: int
    approval_ref: str
    funds_ref: str
    agency_contract_ref: str
    warnings: tuple[str, ...]
    warnings_confirmed_by: str
    owner_node: str  # code of the node that owns the lot


@dataclass(frozen=True, slots=True)
class SubmitFiling:
    """Hand the tender plan and documents to the supervisor (核准备案)."""

    plan_sha256: bytes
    text: str


@dataclass(frozen=True, slots=True)
class FilingSubmitted:
    """The supervisor has something to decide."""

    plan_sha256: bytes
    text: str


@dataclass(frozen=True, slots=True)
class DecideFiling:
    """The supervisor's opinion: no-problem 未发现问题 | rectify 需整改 | return 退回."""

    outcome: str
    opinion: str


@dataclass(frozen=True, slots=True)
class FilingDecided:
    """The opinion, on record; only no-problem lets the notice go out."""

    outcome: str
    opinion: str


@dataclass(frozen=True, slots=True)
class Suspend:
    """Stop the clocks of the procedure (中止). reason: outage | supervisor-order | complaint | other."""

    reason: str
    text: str
    incident: str = ""  # id of the incident that caused it, if any


@dataclass(frozen=True, slots=True)
class Suspended:
    """No command of the procedure is accepted until it is resumed, except those about the suspension."""

    reason: str
    text: str
    incident: str


@dataclass(frozen=True, slots=True)
class Resume:
    """Go on (恢复)."""

    text: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """How long it stood still is recorded; `new_committee` when an evaluation stood still for too long (trading 5.4)."""

    text: str
    paused_ms: int
    new_committee: bool


@dataclass(frozen=True, slots=True)
class DeclareRoundFailed:
    """流标: too few bidders. Exception type 1."""

    reason: str


@dataclass(frozen=True, slots=True)
class RoundFailed:
    """流标. The round is over; nothing was opened (or nothing is left)."""

    reason: str  # too-few-bidders | too-few-qualified
    bidders: int
    exception_type: int
    text: str


@dataclass(frozen=True, slots=True)
class ScrapProcedure:
    """Every bid was rejected, or no real competition is left (否决全部投标 / 废标)."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ProcedureScrapped:
    """The whole round is void; re-tender (ZB 42)."""

    reason: str
    text: str
    exception_type: int


@dataclass(frozen=True, slots=True)
class TerminateProcedure:
    """终止招标: the tenderer stops."""

    reason: str
    text: str


@dataclass(frozen=True, slots=True)
class ProcedureTerminated:
    """Over for good: publish, refund document fees and bonds with interest (ZBT 31)."""

    reason: str
    text: str
    exception_type: int


@dataclass(frozen=True, slots=True)
class StartRetender:
    """Begin the next round (重新招标)."""

    text: str


@dataclass(frozen=True, slots=True)
class RetenderStarted:
    """A new round n: documents, notice and bids begin anew (BID_ECTION_NUM)."""

    round_no: int
    text: str
