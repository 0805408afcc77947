"""Documents, notice, participation, clarification (招标文件, 公告, 报名, 澄清). E03 to E06."""

from dataclasses import dataclass


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
