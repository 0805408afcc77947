"""Documents, notice, participation, clarification (招标文件, 公告, 报名, 澄清). E03 to E06."""

import re
from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from node.domain.bond import check_bond_terms
from node.domain.calendar import moment_text
from node.domain.guards import breach, require_digest, require_distinct, require_text
from node.domain.periods import minimum_ms
from node.domain.profile import Profile
from node.domain.project import filed
from node.domain.refused import NotOffered, Refused
from node.domain.scheme import check_scheme
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class Criterion:
    """One line of the scoring scheme (评分因素). Marks in hundredths. The price part is computed, never marked."""

    no: str  # "T1"
    name: str
    group: str  # technical | business | credit | other
    kind: str  # subjective | objective
    full_centi: int
    step_centi: int
    standard: str  # the words of the scoring standard


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the preliminary review (初步评审): form 形式 | qualification 资格 | response 响应性."""

    no: str  # "F1"
    kind: str
    name: str
    ground: str  # rejection ground when it fails: key of ZBT 51, e.g. "zbt51-3"


@dataclass(frozen=True, slots=True)
class OutlierRow:
    """From n_min valid bids on, drop so many high and low ones before the mean."""

    n_min: int
    high: int
    low: int


@dataclass(frozen=True, slots=True)
class PriceMethod:
    """How the price part is computed: the parameters of scoring.py, quantities as plain decimal text ("" = absent)."""

    method: str  # lowest-ratio | lowest-evaluated | benchmark
    full: str
    outliers: tuple[OutlierRow, ...] = ()
    w: str = ""
    k: str = ""
    r: str = ""
    above: str = ""
    below: str = ""
    step: str = "linear"
    floor: str = ""
    max_loss: str = ""
    round_benchmark: int = -1  # -1: not rounded
    round_deviation: int = -1
    round_score: int = 2
    drawn: str = ""  # the parameter that is drawn after the opening: w | k | r
    options: tuple[str, ...] = ()  # what it is drawn from


@dataclass(frozen=True, slots=True)
class Scheme:
    """The evaluation method as the documents state it (评标办法)."""

    name: str  # 综合评估法 …
    criteria: tuple[Criterion, ...]
    checks: tuple[Check, ...]
    price: PriceMethod
    aggregation: str  # mean | trimmed
    trim_from: int  # members from which the highest and lowest are dropped
    candidates: int  # how many are recommended
    blind: bool = False


@dataclass(frozen=True, slots=True)
class BondTerms:
    """投标保证金 as the documents ask for it. amount 0: none is asked."""

    amount_fen: int
    forms: tuple[str, ...]  # transfer | cheque | guarantee-bank | guarantee-company | insurance
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class IssueDocuments:
    """Fix the tender documents (招标文件) of this round."""

    documents_sha256: bytes
    scheme: Scheme
    control_price_fen: int  # 最高投标限价; 0: none
    bond: BondTerms
    validity_days: int  # 投标有效期
    prequalification: bool = False


@dataclass(frozen=True, slots=True)
class DocumentsIssued:
    """The text by which this round will be judged. Issued to the public by the notice."""

    documents_sha256: bytes
    scheme: Scheme
    control_price_fen: int
    bond: BondTerms
    validity_days: int
    prequalification: bool


@dataclass(frozen=True, slots=True)
class PublishNotice:
    """招标公告: the same text on every medium."""

    text_sha256: bytes
    text: str
    media: tuple[str, ...]
    sale_from_ms: int
    sale_to_ms: int
    deadline_ms: int  # 投标截止时间 = 开标时间
    consortia_allowed: bool
    opening_place: str
    invited_count: int = 0  # invited tenders: how many invitations go out; the count stays out of the log (ZB 22)


@dataclass(frozen=True, slots=True)
class NoticePublished:
    """Out: periods run from here."""

    text_sha256: bytes
    text: str
    media: tuple[str, ...]
    sale_from_ms: int
    sale_to_ms: int
    deadline_ms: int
    consortia_allowed: bool
    opening_place: str


@dataclass(frozen=True, slots=True)
class WithdrawNotice:
    """公告撤销, exception type 3."""

    reason: str


@dataclass(frozen=True, slots=True)
class NoticeWithdrawn:
    """Back to documents."""

    reason: str
    exception_type: int


@dataclass(frozen=True, slots=True)
class AmendDocuments:
    """Clarify or change the documents (澄清或修改). new_deadline_ms 0: the deadline stays."""

    documents_sha256: bytes
    text: str
    affects_bids: bool
    new_deadline_ms: int = 0


@dataclass(frozen=True, slots=True)
class DocumentsAmended:
    """Amendment n; the deadline in force stands in the event."""

    no: int
    documents_sha256: bytes
    text: str
    affects_bids: bool
    deadline_ms: int


@dataclass(frozen=True, slots=True)
class RegisterParticipation:
    """A bidder takes the documents (下载/获取). Who it is stays sealed until the opening (ZB 22).

    `ref` is a random lot-bound reference such as "P-7F3K2M"; `sealed` holds name and code, `commitment` binds them.
    """

    ref: str
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ParticipationRegistered:
    """Someone, known only by ref, has the documents."""

    ref: str
    commitment: bytes
    sealed: bytes


NOTICE_WITHDRAWN = 3  # 招标异常情况: 公告撤销
REF = re.compile(r"[A-Z]-[0-9A-Z]{4,12}")


@dataclass(frozen=True, slots=True)
class NoticeState:
    """The documents in force, the notice, the deadline in force, and who has the documents (by ref only)."""

    documents: DocumentsIssued | None = None
    documents_sha256: bytes = b""
    published: NoticePublished | None = None
    deadline_ms: int = 0
    bond_deadline_ms: int = 0
    amendments: int = 0
    participants: tuple[ParticipationRegistered, ...] = ()
    deadline_lost: bool = False  # it passed while the procedure stood still: move it before opening

    def knows(self, ref: str) -> bool:
        """Whether this ref has the documents."""
        return any(participant.ref == ref for participant in self.participants)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of a command about documents, notice and participation. Raises Refused."""
    match command:
        case IssueDocuments():
            return _issue(lot, command, asked)
        case PublishNotice():
            return _publish(lot, command, asked)
        case WithdrawNotice():
            return _withdraw(lot, command, asked)
        case AmendDocuments():
            return _amend(lot, command, asked)
        case RegisterParticipation():
            return _register(lot.notice, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: NoticeState, event: object, recorded: Recorded) -> NoticeState:  # noqa: ARG001 - one shape for all
    """Return the state after one of this subject's events."""
    match event:
        case DocumentsIssued(documents_sha256=digest):
            return replace(state, documents=event, documents_sha256=digest)
        case NoticePublished(deadline_ms=deadline_ms):
            bond_ms = state.documents.bond.deadline_ms if state.documents else 0
            return replace(state, published=event, deadline_ms=deadline_ms, bond_deadline_ms=bond_ms)
        case NoticeWithdrawn():
            return NoticeState()
        case DocumentsAmended(no=no, documents_sha256=digest, deadline_ms=deadline_ms):
            # A bond that was due with the bids stays due with the bids.
            bond_ms = deadline_ms if state.bond_deadline_ms == state.deadline_ms else state.bond_deadline_ms
            moved = deadline_ms != state.deadline_ms
            return replace(
                state,
                amendments=no,
                documents_sha256=digest,
                deadline_ms=deadline_ms,
                bond_deadline_ms=bond_ms,
                deadline_lost=state.deadline_lost and not moved,
            )
        case ParticipationRegistered():
            return replace(state, participants=(*state.participants, event))
        case _:
            return state


def lose_deadline(state: NoticeState) -> NoticeState:
    """Return the state after a standstill that the deadline fell into: it must be moved before the opening."""
    return replace(state, deadline_lost=True)


def _issue(lot: "LotState", command: IssueDocuments, asked: Asked) -> tuple[DocumentsIssued]:
    if lot.notice.published is not None:
        raise Refused("notice-is-out", rule="amend-instead", cites=("ZB 23", "ZBT 21"))
    profile = asked.profile(lot.profile_id)
    require_digest(documents_sha256=command.documents_sha256)
    if command.control_price_fen < 0 or command.validity_days <= 0:
        raise Refused(
            "number-out-of-range", rule="documents-complete", value=str(command.validity_days), cites=("ZBT 25",)
        )
    if command.prequalification:
        raise Refused(
            "prequalification-not-offered", rule="post-qualification-only", cites=("ZBT 17", "ZBT 18", "ZBT 19")
        )
    check_scheme(command.scheme, command.control_price_fen, profile)
    registered = lot.registered
    check_bond_terms(command.bond, category=registered.category, estimate_fen=registered.estimate_fen, profile=profile)
    return (
        DocumentsIssued(
            command.documents_sha256,
            command.scheme,
            command.control_price_fen,
            command.bond,
            command.validity_days,
            command.prequalification,
        ),
    )


def _publish(lot: "LotState", command: PublishNotice, asked: Asked) -> tuple[NoticePublished]:
    state, profile = lot.notice, asked.profile(lot.profile_id)
    if state.published is not None:
        raise Refused("notice-is-out", rule="one-notice-a-round", cites=("ZBT 15",))
    if not filed(lot.project, asked):
        raise Refused("not-filed", rule="filed-before-notice", value=lot.project.filing, cites=("ZBT 7",))
    if state.documents is None:
        raise Refused("no-documents", rule="documents-before-notice", cites=("ZB 19",))
    needed = profile.newer("trustees-required")
    if needed is not None and needed.value and lot.terms.appointed is None:
        raise breach(needed, "trustees-not-appointed", value=0, limit=profile.number("trustees-min"))
    require_text(text=command.text, opening_place=command.opening_place)
    _same_text_on_every_medium(command)
    if lot.registered.method == "invited":
        invitation = profile.rule("invitation-min")
        if command.invited_count < profile.number(invitation.id):
            raise breach(invitation, "too-few-invited", value=command.invited_count)
    # Periods run from when the documents can really be had, never from before the notice.
    start_ms = max(command.sale_from_ms, asked.at_ms)
    _at_least(
        profile, "documents-sale-min-days", "sale-too-short", start_ms=start_ms, end_ms=command.sale_to_ms, asked=asked
    )
    _at_least(
        profile,
        "issue-to-deadline-min-days",
        "deadline-too-early",
        start_ms=start_ms,
        end_ms=command.deadline_ms,
        asked=asked,
    )
    if command.sale_to_ms > command.deadline_ms:
        raise Refused("sale-after-deadline", rule="sale-before-deadline", value=moment_text(command.sale_to_ms))
    bond = state.documents.bond
    if bond.amount_fen and not asked.at_ms < bond.deadline_ms <= command.deadline_ms:
        raise Refused(
            "bond-deadline-wrong",
            rule="bond-due-by-deadline",
            value=moment_text(bond.deadline_ms),
            limit=moment_text(command.deadline_ms),
            cites=("ZBT 26",),
        )
    return (
        NoticePublished(
            command.text_sha256,
            command.text,
            command.media,
            command.sale_from_ms,
            command.sale_to_ms,
            command.deadline_ms,
            command.consortia_allowed,
            command.opening_place,
        ),
    )


def _same_text_on_every_medium(command: PublishNotice) -> None:
    if not command.media:
        raise Refused("media-missing", rule="same-text-on-every-medium", cites=("ZBT 15",))
    require_distinct(command.media, "media")
    if sha256(command.text.encode()).digest() != command.text_sha256:
        raise Refused(
            "text-differs", rule="same-text-on-every-medium", value=command.text_sha256.hex(), cites=("ZBT 15",)
        )


def _at_least(profile: Profile, rule_id: str, code: str, *, start_ms: int, end_ms: int, asked: Asked) -> None:
    """Raise Refused when a minimum period of the profile does not fit between start and end."""
    rule = profile.rule(rule_id)
    earliest_ms = minimum_ms(profile, rule_id, start_ms, asked.calendar)
    if end_ms < earliest_ms:
        raise breach(
            rule,
            code,
            value=moment_text(end_ms),
            limit=moment_text(earliest_ms),
            facts=(("days", str(rule.value)), ("from", moment_text(start_ms)), ("earliest_ms", str(earliest_ms))),
        )


def _withdraw(lot: "LotState", command: WithdrawNotice, asked: Asked) -> tuple[NoticeWithdrawn]:
    state = lot.notice
    if state.published is None:
        raise Refused("no-notice", rule="notice-first")
    require_text(reason=command.reason)
    if lot.opening.started or (asked.at_ms >= state.deadline_ms and not lot.deadline_lost):
        raise Refused("deadline-passed", rule="withdraw-before-deadline", limit=moment_text(state.deadline_ms))
    return (NoticeWithdrawn(command.reason, NOTICE_WITHDRAWN),)


def _amend(lot: "LotState", command: AmendDocuments, asked: Asked) -> tuple[DocumentsAmended]:
    state, profile = lot.notice, asked.profile(lot.profile_id)
    if state.published is None:
        raise Refused("no-notice", rule="notice-first")
    if lot.opening.started or (asked.at_ms >= state.deadline_ms and not lot.deadline_lost):
        raise Refused(
            "deadline-passed",
            rule="amend-before-deadline",
            limit=moment_text(state.deadline_ms),
            cites=("ZB 23", "ZBT 21"),
        )
    require_digest(documents_sha256=command.documents_sha256)
    require_text(text=command.text)
    deadline_ms = command.new_deadline_ms or state.deadline_ms
    if deadline_ms < state.deadline_ms or deadline_ms <= asked.at_ms:
        raise Refused(
            "deadline-moved-back",
            rule="deadline-only-later",
            value=moment_text(deadline_ms),
            limit=moment_text(max(state.deadline_ms, asked.at_ms)),
            cites=("ZB 23",),
        )
    if command.affects_bids:
        _at_least(
            profile,
            "amendment-before-deadline-min-days",
            "amendment-needs-extension",
            start_ms=asked.at_ms,
            end_ms=deadline_ms,
            asked=asked,
        )
    return (
        DocumentsAmended(
            state.amendments + 1, command.documents_sha256, command.text, command.affects_bids, deadline_ms
        ),
    )


def _register(state: NoticeState, command: RegisterParticipation, asked: Asked) -> tuple[ParticipationRegistered]:
    if state.published is None:
        raise Refused("no-notice", rule="notice-first", cites=("ZB 16",))
    if not state.published.sale_from_ms <= asked.at_ms <= state.published.sale_to_ms:
        raise Refused(
            "documents-not-on-sale",
            rule="sale-period",
            value=moment_text(asked.at_ms),
            limit=f"{moment_text(state.published.sale_from_ms)} – {moment_text(state.published.sale_to_ms)}",
            cites=("ZBT 16",),
        )
    if REF.fullmatch(command.ref) is None:
        raise Refused("ref-malformed", rule="random-ref", value=command.ref, cites=("ZB 22",))
    if state.knows(command.ref):
        raise Refused("ref-taken", rule="random-ref", value=command.ref)
    require_digest(commitment=command.commitment)
    if not command.sealed:
        raise Refused("identity-not-sealed", rule="secret-until-opening", cites=("ZB 22",))
    return (ParticipationRegistered(command.ref, command.commitment, command.sealed),)


COMMANDS: tuple[type, ...] = (IssueDocuments, PublishNotice, WithdrawNotice, AmendDocuments, RegisterParticipation)
EVENTS: tuple[type, ...] = (
    DocumentsIssued,
    NoticePublished,
    NoticeWithdrawn,
    DocumentsAmended,
    ParticipationRegistered,
)
