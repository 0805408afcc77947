"""Project and lot (项目与标段): registration, filing with the supervisor, rounds, suspension, the ways a round ends. E01, E02."""

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from node.domain.codes import check_nested, check_shape, read_deal_code, uscc_warnings
from node.domain.guards import require_digest, require_one_of, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


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


FILING_OUTCOMES = ("no-problem", "rectify", "return")


@dataclass(frozen=True, slots=True)
class ProjectState:
    """What is fixed for life, the round, the filing, and whether the procedure stands still or has ended."""

    lot: LotRegistered | None = None
    round_no: int = 0
    filing: str = ""  # "" | submitted | an outcome
    filed_round: int = 0  # the round in which the supervisor last found no problem
    suspended: Suspended | None = None
    suspended_at_ms: int = 0
    suspended_by: str = ""  # role
    ended: str = ""  # "" | round-failed | scrapped | terminated


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of registering and filing a lot. Raises Refused. Standstills and failures have their own rules."""
    match command:
        case RegisterLot():
            return _register(lot.project, command, asked)
        case SubmitFiling():
            return _submit_filing(lot.project, command, asked)
        case DecideFiling():
            return _decide_filing(lot.project, command)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: ProjectState, event: object, recorded: Recorded) -> ProjectState:
    """Return the state after one of this subject's events."""
    match event:
        case LotRegistered():
            return replace(state, lot=event, round_no=1)
        case FilingSubmitted():
            return replace(state, filing="submitted")
        case FilingDecided(outcome=outcome):
            filed = state.round_no if outcome == "no-problem" else state.filed_round
            return replace(state, filing=outcome, filed_round=filed)
        case Suspended():
            role = recorded.actor.partition(":")[0]
            since_ms = state.suspended_at_ms or recorded.at_ms
            return replace(state, suspended=event, suspended_at_ms=since_ms, suspended_by=role)
        case Resumed():
            return replace(state, suspended=None, suspended_at_ms=0, suspended_by="")
        case RoundFailed():
            return replace(state, ended="round-failed")
        case ProcedureScrapped():
            return replace(state, ended="scrapped")
        case ProcedureTerminated():
            return replace(state, ended="terminated", suspended=None, suspended_at_ms=0, suspended_by="")
        case RetenderStarted(round_no=round_no):
            return replace(state, ended="", round_no=round_no)
        case _:
            return state


def filed(state: ProjectState, asked: Asked) -> bool:
    """Whether the supervisor's opinion lets the notice of this round go out."""
    if state.lot is None or state.filing != "no-problem":
        return False
    refile = asked.profile(state.lot.profile_id).flag("retender-refiling")
    return not refile or state.filed_round == state.round_no


def _register(state: ProjectState, command: RegisterLot, asked: Asked) -> tuple[LotRegistered]:
    if state.lot is not None:
        raise Refused("lot-registered-already", rule="identifiers-for-life", value=command.lot_code)
    known = {profile.id: profile for profile in asked.profiles}
    require_one_of(command.profile_id, sorted(known), "profile_id")
    profile = known[command.profile_id]
    require_one_of(command.category, ("works", "goods", "services"), "category")
    require_one_of(command.method, ("open", "invited"), "method")
    require_text(project_name=command.project_name, lot_name=command.lot_name, tenderer_name=command.tenderer_name)
    if not (command.approval_ref.strip() and command.funds_ref.strip()):
        raise Refused("approval-or-funds-missing", rule="approved-and-funded", cites=("ZB 9", "ZBT 7"))
    if command.agency_uscc and not (command.agency_name.strip() and command.agency_contract_ref.strip()):
        raise Refused("agency-contract-missing", rule="written-agency-contract", cites=("ZBT 14",))
    if command.agency_uscc == command.tenderer_uscc:
        raise Refused(
            "agency-is-tenderer", rule="agency-independent", value=command.agency_uscc, cites=("ZB 13", "ZB 14")
        )
    if command.estimate_fen <= 0:
        raise Refused("estimate-missing", rule="estimate-positive", value=str(command.estimate_fen))
    warnings = _code_warnings(command)
    confirmed_by = command.warnings_confirmed_by
    if warnings and confirmed_by in {"", asked.actor.person}:
        raise Refused(
            "code-needs-second-person",
            rule="check-digit",
            value=", ".join(warnings),
            cites=("GB 32100-2015", "GB/T 17710"),
        )
    return (
        LotRegistered(
            **{name: getattr(command, name) for name in _CARRIED},
            profile_version=profile.version,
            profile_sha256=profile.sha256,
            warnings=warnings,
            warnings_confirmed_by=confirmed_by if warnings else "",
            owner_node=asked.node,
        ),
    )


def _code_warnings(command: RegisterLot) -> tuple[str, ...]:
    """Return which codes carry a wrong check character. Raises Refused for a code without the shape of its kind."""
    check_nested(
        project_code=command.project_code, tender_project_code=command.tender_project_code, lot_code=command.lot_code
    )
    check_shape("region", command.region, "region")
    check_shape("trade-class", command.trade_class, "trade_class")
    _, warnings = read_deal_code(command.deal_code, "deal_code")
    warnings += uscc_warnings(command.tenderer_uscc, "tenderer_uscc")
    if command.agency_uscc:
        warnings += uscc_warnings(command.agency_uscc, "agency_uscc")
    return tuple(str(warning) for warning in warnings)


_CARRIED = tuple(field.name for field in fields(RegisterLot) if field.name != "warnings_confirmed_by")


def _submit_filing(state: ProjectState, command: SubmitFiling, asked: Asked) -> tuple[FilingSubmitted]:
    require_digest(plan_sha256=command.plan_sha256)
    if state.filing == "submitted":
        raise Refused("filing-pending", rule="one-filing-at-a-time")
    if state.filing == "no-problem" and filed(state, asked):
        raise Refused("filing-settled", rule="one-filing-a-round")
    return (FilingSubmitted(command.plan_sha256, command.text),)


def _decide_filing(state: ProjectState, command: DecideFiling) -> tuple[FilingDecided]:
    if state.filing != "submitted":
        raise Refused("no-filing-to-decide", rule="filing-submitted-first")
    require_one_of(command.outcome, FILING_OUTCOMES, "outcome")
    if command.outcome != "no-problem":
        require_text(opinion=command.opinion)
    return (FilingDecided(command.outcome, command.opinion),)


COMMANDS: tuple[type, ...] = (
    RegisterLot,
    SubmitFiling,
    DecideFiling,
    Suspend,
    Resume,
    DeclareRoundFailed,
    ScrapProcedure,
    TerminateProcedure,
    StartRetender,
)
EVENTS: tuple[type, ...] = (
    LotRegistered,
    FilingSubmitted,
    FilingDecided,
    Suspended,
    Resumed,
    RoundFailed,
    ProcedureScrapped,
    ProcedureTerminated,
    RetenderStarted,
)
