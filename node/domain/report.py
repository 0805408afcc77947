"""The evaluation report as data (评标报告): a pure function of a lot's events, in the words that will be printed.

Ten sections, as 12号令 42 lists them: basic data, committee, opening record, bids that comply, bids rejected and why, criteria
and method, prices and marks compared, ranking, candidates and open matters, clarifications; then every member's word. The
digest that members sign covers everything but the words, which do not exist yet when they sign.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.domain import report_words as words
from node.domain.draw_proof import TIE
from node.domain.notice import Scheme
from node.domain.refused import Refused
from node.domain.report_compared import Compared, compared
from node.domain.report_digest import record_sha256
from node.domain.report_opening import OpeningRecord, bidder_name, opening_record

if TYPE_CHECKING:
    from node.domain.evaluation import RankingComputed, RankRow, UsedDraw
    from node.domain.lot import LotState
    from node.domain.notice import DocumentsIssued
    from node.domain.project import LotRegistered

_TAG = "erhai-report-v1"


@dataclass(frozen=True, slots=True)
class BasicData:
    """Section 1. Amounts in yuan, times in civil time of China."""

    project_name: str
    lot_name: str
    project_code: str
    tender_project_code: str
    lot_code: str
    deal_code: str
    tenderer: str
    tenderer_uscc: str
    agency: str
    agency_uscc: str
    category: str
    tender_method: str
    profile: str
    profile_sha256: str
    round_no: int
    documents_sha256: str
    control_price: str
    control_price_words: str
    validity_days: int
    deadline: str
    evaluated_at: str  # when the ranking was computed


@dataclass(frozen=True, slots=True)
class MemberLine:
    """One committee member, by number: the name stays sealed until the result (ZB 37)."""

    no: str
    kind: str
    seat: str
    chair: str


@dataclass(frozen=True, slots=True)
class Committee:
    """Section 2. `void` are numbers whose judgments no longer count: replaced, or of a dissolved committee (ZBT 48)."""

    how: str
    members: tuple[MemberLine, ...]
    void: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BidLine:
    """One bid that complies, with the price it was evaluated at and why that differs."""

    ref: str
    bidder: str
    price: str
    evaluated: str
    correction: str


@dataclass(frozen=True, slots=True)
class RejectionLine:
    """One rejected bid: the ground in the words of ZBT 51, the reason, and who said so."""

    ref: str
    bidder: str
    ground: str
    reason: str
    judged_by: str  # members' numbers, or that the system computed it


@dataclass(frozen=True, slots=True)
class CheckLine:
    """One line of the preliminary review."""

    no: str
    kind: str
    name: str
    ground: str


@dataclass(frozen=True, slots=True)
class CriterionLine:
    """One line of the scoring scheme."""

    no: str
    name: str
    group: str
    kind: str
    full: str
    step: str
    standard: str


@dataclass(frozen=True, slots=True)
class Method:
    """Section 6. `price_rule` are sentences in the order of the computation."""

    name: str
    checks: tuple[CheckLine, ...]
    criteria: tuple[CriterionLine, ...]
    aggregation: str
    price_rule: tuple[str, ...]
    candidates: int


@dataclass(frozen=True, slots=True)
class ResultLine:
    """One place in the ranking. `groups` are scores in the order of the scheme's groups; -- where nothing is scored."""

    rank: int
    tie: str
    bidder: str
    groups: tuple[tuple[str, str], ...]
    price_score: str
    total: str
    evaluated: str


@dataclass(frozen=True, slots=True)
class CandidateLine:
    """One recommended candidate with the price at which it would be contracted."""

    rank: int
    bidder: str
    uscc: str
    price: str
    price_words: str
    period_days: str
    quality: str


@dataclass(frozen=True, slots=True)
class Clarification:
    """One question of the committee and the bidder's answer, verbatim (ZBT 52)."""

    no: int
    bidder: str
    question: str
    answer: str


@dataclass(frozen=True, slots=True)
class WordLine:
    """A member's word on the report, dissent verbatim."""

    member: str
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class NonceLine:
    """One party of a draw: what it committed to, and what it was."""

    party: str
    commit: str
    nonce: str
    source: str


@dataclass(frozen=True, slots=True)
class DrawLine:
    """A draw that the result rests on, with its proof: whoever reads this can compute it again."""

    draw_id: str
    what: str
    options: tuple[str, ...]
    result: tuple[str, ...]
    seed: str
    parties: tuple[NonceLine, ...]


@dataclass(frozen=True, slots=True)
class EvaluationReport:
    """评标报告. The digest covers all but `words`; `draws` enters it where there are any."""

    basic: BasicData
    committee: Committee
    opening: OpeningRecord
    compliant: tuple[BidLine, ...]
    rejected: tuple[RejectionLine, ...]
    method: Method
    compared: Compared
    results: tuple[ResultLine, ...]
    candidates: tuple[CandidateLine, ...]
    open_matters: tuple[str, ...]
    clarifications: tuple[Clarification, ...]
    words: tuple[WordLine, ...]
    draws: tuple[DrawLine, ...] = ()


def evaluation_report(lot: "LotState") -> EvaluationReport:
    """Return the report of a ranked lot. Raises Refused where there is no ranking."""
    registered, documents, ranking = lot.project.lot, lot.notice.documents, lot.evaluation.ranking
    if registered is None or documents is None or ranking is None:
        raise Refused("not-ranked", rule="report-after-ranking", cites=("ZBT 53",))
    state = lot.evaluation
    answers = {one.no: one.text for one in state.answers}
    return EvaluationReport(
        basic=_basic(lot, registered, documents),
        committee=_committee(lot),
        opening=opening_record(lot),
        compliant=tuple(_compliant(lot, ref) for ref in lot.standing_refs),
        rejected=tuple(
            RejectionLine(
                ref=one.ref,
                bidder=bidder_name(lot, one.ref),
                ground=words.GROUNDS.get(one.ground, one.ground),
                reason=one.reason,
                judged_by="、".join(one.members) or words.BY_SYSTEM,
            )
            for one in state.rejections
        ),
        method=_method(documents.scheme),
        compared=compared(lot, documents, ranking),
        results=tuple(_result(lot, row) for row in ranking.rows),
        candidates=tuple(_candidate(lot, row) for row in ranking.rows if row.ref in ranking.candidates),
        open_matters=_open_matters(lot, documents.scheme, ranking),
        clarifications=tuple(
            Clarification(one.no, bidder_name(lot, one.ref), one.text, answers.get(one.no, "未答复"))
            for one in state.questions
        ),
        words=tuple(
            WordLine(member, words.WORDS_ON_REPORT[word], text or words.NONE)
            for member, word, text in state.report.words
        )
        if state.report
        else (),
        draws=tuple(_draw(lot, one) for one in ranking.draws),
    )


def report_sha256(report: EvaluationReport) -> bytes:
    """Return the digest that members sign: everything but their words."""
    return record_sha256(_TAG, report, without=("words",) if report.draws else ("words", "draws"))


def _basic(lot: "LotState", registered: "LotRegistered", documents: "DocumentsIssued") -> BasicData:
    control_fen = documents.control_price_fen
    return BasicData(
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        project_code=registered.project_code,
        tender_project_code=registered.tender_project_code,
        lot_code=registered.lot_code,
        deal_code=registered.deal_code,
        tenderer=registered.tenderer_name,
        tenderer_uscc=registered.tenderer_uscc,
        agency=registered.agency_name or words.NONE,
        agency_uscc=registered.agency_uscc or words.NONE,
        category=words.CATEGORIES[registered.category],
        tender_method=words.TENDER_METHODS[registered.method],
        profile=f"{registered.profile_id} 第 {registered.profile_version} 版",
        profile_sha256=registered.profile_sha256.hex(),
        round_no=lot.round_no,
        documents_sha256=lot.notice.documents_sha256.hex(),
        control_price=words.amount(control_fen) if control_fen else words.NONE,
        control_price_words=words.capitals(control_fen) if control_fen else words.NONE,
        validity_days=documents.validity_days,
        deadline=words.civil(lot.notice.deadline_ms),
        evaluated_at=words.civil(lot.evaluation.ranked_at_ms),
    )


def _committee(lot: "LotState") -> Committee:
    return Committee(
        how=words.COMMITTEE_HOW.get(lot.panel.how, lot.panel.how),
        members=tuple(
            MemberLine(
                no=one.no,
                kind=words.MEMBER_KINDS[one.kind],
                seat=f"{one.venue_node} {one.seat}",
                chair="组长" if one.no == lot.panel.chair else "成员",
            )
            for one in lot.panel.members
        ),
        void=(*lot.retired_members, *lot.panel.replaced),
    )


def _compliant(lot: "LotState", ref: str) -> BidLine:
    content = lot.opening.content(ref)
    price_fen = content.price_fen if content else 0
    rules = next((one.rule for one in lot.evaluation.corrections if one.ref == ref), "")
    return BidLine(
        ref=ref,
        bidder=bidder_name(lot, ref),
        price=words.amount(price_fen),
        evaluated=words.amount(lot.evaluation.corrected_fen(ref, price_fen)),
        correction=words.correction(rules) if rules else "无",
    )


def _method(scheme: Scheme) -> Method:
    return Method(
        name=scheme.name,
        checks=tuple(
            CheckLine(one.no, words.CHECK_KINDS[one.kind], one.name, words.GROUNDS.get(one.ground, one.ground))
            for one in scheme.checks
        ),
        criteria=tuple(
            CriterionLine(
                no=one.no,
                name=one.name,
                group=words.GROUPS[one.group],
                kind=words.CRITERION_KINDS[one.kind],
                full=words.mark(one.full_centi),
                step=words.mark(one.step_centi),
                standard=one.standard,
            )
            for one in scheme.criteria
        ),
        aggregation=words.aggregation(scheme.aggregation, scheme.trim_from),
        price_rule=words.price_rule(scheme.price),
        candidates=scheme.candidates,
    )


def _result(lot: "LotState", row: "RankRow") -> ResultLine:
    return ResultLine(
        rank=row.rank,
        tie="并列" if row.tie else "",
        bidder=bidder_name(lot, row.ref),
        groups=tuple((words.GROUPS[group], score) for group, score in row.group_scores),
        price_score=row.price_score or words.NONE,
        total=row.total or words.NONE,
        evaluated=words.grouped(row.evaluated),
    )


def _candidate(lot: "LotState", row: "RankRow") -> CandidateLine:
    content = lot.opening.content(row.ref)
    return CandidateLine(
        rank=row.rank,
        bidder=bidder_name(lot, row.ref),
        uscc=content.uscc if content else words.NONE,
        price=words.amount(row.price_fen),
        price_words=words.capitals(row.price_fen),
        period_days=str(content.period_days) if content else words.NONE,
        quality=content.quality if content else words.NONE,
    )


def _draw(lot: "LotState", one: "UsedDraw") -> DrawLine:
    tie = one.kind == TIE
    return DrawLine(
        draw_id=one.draw_id,
        what="并列投标人的先后" if tie else f"系数 {one.name}",
        options=one.options,
        result=tuple(f"{bidder_name(lot, ref)}（{ref}）" for ref in one.result) if tie else one.result,
        seed=one.seed.hex(),
        parties=tuple(
            NonceLine(
                party=words.DRAW_PARTIES.get(party.name, party.name),
                commit=party.commit.hex(),
                nonce=party.nonce.hex(),
                source=words.NONCE_SOURCES[party.source],
            )
            for party in one.parties
        ),
    )


def _open_matters(lot: "LotState", scheme: Scheme, ranking: "RankingComputed") -> tuple[str, ...]:
    """What whoever decides on the award must know: places that stand equal, too few candidates, questions left open."""
    said = []
    ranks = sorted({row.rank for row in ranking.rows if row.tie})
    drawn = {ref: one.draw_id for one in ranking.draws if one.kind == TIE for ref in one.result}
    for rank in ranks:
        refs = [row.ref for row in ranking.rows if row.rank == rank]
        names = "、".join(bidder_name(lot, ref) for ref in refs)
        how = f"由公开抽取确定（{drawn[refs[0]]}）" if refs[0] in drawn else "由招标人按招标文件的规定确定"
        said.append(f"{names}并列第 {rank} 名，先后{how}。")
    if len(ranking.candidates) < scheme.candidates:
        said.append(
            f"通过评审的投标不足，推荐中标候选人 {len(ranking.candidates)} 名，招标文件规定推荐 {scheme.candidates} 名。"
        )
    answered = {one.no for one in lot.evaluation.answers}
    said += [
        f"第 {one.no} 号澄清（{bidder_name(lot, one.ref)}）至评分结束未收到答复。"
        for one in lot.evaluation.questions
        if one.no not in answered
    ]
    return tuple(said)
