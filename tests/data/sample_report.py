"""Lots that have come to their report: one with everything that a report must be able to say, and one of any size.

`python -m tests.data.sample_report` writes the golden texts of the documents anew; nothing else does.
"""

from dataclasses import fields, is_dataclass, replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from node.domain import bidding, bond, evaluation, lot, notice, objection, opening, panel, project, scored, sheet
from node.domain.report import evaluation_report, report_sha256
from node.domain.report_opening import opening_record, opening_sha256
from node.domain.report_sheet import score_sheet, sheet_sha256
from node.domain.values import Head, Recorded
from node.receipts import Receipt, number_of
from sync.checkpoint import Checkpoint, sign
from sync.note import Signer

GOLDEN = Path(__file__).parent.parent / "golden"
CHINA = timezone(timedelta(hours=8))
ORIGIN = "dali.example/532924/room-1/a/e1"
LOT_CODE = "E5329240000000001001001"
D32 = bytes(range(32))
CRITERIA = (
    notice.Criterion(
        "T1", "施工组织设计", "technical", "subjective", 2_000, 50, "完整、针对性强 16—20；一般 10—15.5；差 0—9.5"
    ),
    notice.Criterion("T2", "机房与供电改造方案", "technical", "subjective", 1_500, 50, "UPS 供电不少于 2 小时"),
    notice.Criterion("B1", "类似工程业绩", "business", "objective", 2_500, 500, "近三年每项 5 分，最多 25 分"),
)
SCHEME = notice.Scheme(
    name="综合评估法",
    criteria=CRITERIA,
    checks=(
        notice.Check("F1", "form", "投标函签字盖章", "zbt51-1"),
        notice.Check("Q1", "qualification", "专业承包资质、安全生产许可证", "zbt51-3"),
    ),
    price=notice.PriceMethod(
        method="benchmark",
        full="40",
        outliers=(notice.OutlierRow(1, 0, 0), notice.OutlierRow(4, 1, 1)),
        w="0.4",
        k="0.05",
        round_benchmark=2,
        above="0.8",
        below="0.4",
        floor="0",
    ),
    aggregation="trimmed",
    trim_from=5,
    candidates=3,
)
# ref, name, price in fen, the bidder's own capitals
BIDDERS = (
    ("P-AAAA11", "大理苍洱智能工程有限公司", 462_800_000, "肆佰陆拾贰万捌仟元整"),
    ("P-BBBB22", "云南䶮光电子系统有限公司", 471_250_000, "肆佰柒拾壹万贰仟伍佰元整"),
    ("P-CCCC33", "宾川金沙建筑安装有限公司", 493_600_000, "肆佰玖拾叁万陆仟元整"),
    ("P-DDDD44", "昆明𬉼湖信息技术有限公司", 438_900_000, "肆佰叁拾捌万玖仟元整"),
    ("P-EEEE55", "云南金马机电安装有限公司", 455_300_000, "肆佰伍拾伍万叁仟元整"),
    ("P-FFFF66", "云南碧鸡智慧科技有限公司", 468_000_000, ""),
    ("P-GGGG77", "南涧无量山建设集团有限公司", 450_000_000, "肆佰伍拾万元整"),
)
UNREADABLE, ABOVE, UNQUALIFIED, CORRECTED = "P-FFFF66", "P-CCCC33", "P-GGGG77", "P-EEEE55"


def ms(text: str) -> int:
    """Milliseconds of a civil time such as 2026-03-02 09:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1000


def member(no: str, node: str = "a", kind: str = "expert") -> panel.Member:
    return panel.Member(no, kind, f"X-{no}", node, no[1:].zfill(2), D32, b"sealed")


def _registered() -> project.LotRegistered:
    return project.LotRegistered(
        lot_code=LOT_CODE,
        project_code="E5329240000000001",
        tender_project_code="E5329240000000001001",
        deal_code="A01-12532924MB0T1234X4-20260302-000001-C",
        project_name="宾川县公共资源交易电子化平台建设项目",
        lot_name="机房升级改造与远程异地评标室工程",
        tenderer_name="宾川县政务服务管理局",
        tenderer_uscc="11532924MB1A2X7T4Y",
        agency_name="云南点苍招标代理有限公司",
        agency_uscc="91530100MA6K3WP17T",
        region="532924",
        trade_class="A01",
        category="works",
        method="open",
        profile_id="works",
        profile_version=1,
        profile_sha256=D32,
        state_funds=True,
        estimate_fen=500_000_000,
        approval_ref="宾发改投资〔2026〕7号",
        funds_ref="宾财建〔2026〕11号",
        agency_contract_ref="DC-2026-003",
        warnings=(),
        warnings_confirmed_by="",
        owner_node="a",
    )


def _fold(state: lot.LotState, at: str, *events: Any) -> lot.LotState:
    for event in events:
        state = lot.evolve(state, event, Recorded(ms(at), "operator:O-01@01", ORIGIN, 7, D32))
    return state


def _content(ref: str, name: str, price_fen: int, price_words: str) -> bidding.BidContent:
    return bidding.BidContent(LOT_CODE, 1, ref, name, "91532900MA6N8K2D6C", price_fen, price_words, 120, "合格", (), ())


def _bond(ref: str) -> bond.BondFacts:
    return bond.BondFacts(ref, "transfer", 8_000_000, ms("2026-03-20 10:00"), 0, "ok")


def _issued(scheme: notice.Scheme, control_price_fen: int) -> lot.LotState:
    terms = notice.BondTerms(8_000_000, ("transfer", "guarantee-bank"), ms("2026-03-24 17:00"))
    documents = notice.DocumentsIssued(D32, scheme, control_price_fen, terms, 90, False)
    published = notice.NoticePublished(
        D32,
        "招标公告",
        ("县网",),
        ms("2026-03-02 10:00"),
        ms("2026-03-10 17:00"),
        ms("2026-03-25 09:30"),
        False,
        "第一开标室",
    )
    return _fold(lot.LotState(), "2026-03-02 10:00", _registered(), documents, published)


def marks_of(seed: int, criteria: tuple[notice.Criterion, ...] = CRITERIA) -> tuple[sheet.CriterionMark, ...]:
    """Marks that differ with the seed, within the criteria's ranges and steps; objective ones are the same for all."""
    marks = []
    for index, one in enumerate(criteria):
        steps = one.full_centi // one.step_centi
        taken = steps // 2 if one.kind == "objective" else steps - (seed * 3 + index) % (steps // 2)
        marks.append(sheet.CriterionMark(one.no, taken * one.step_centi, "针对性强" if not seed % 4 else ""))
    return tuple(marks)


def _opened(members: tuple[panel.Member, ...], refs: tuple[str, ...], scheme: notice.Scheme) -> tuple[Any, ...]:
    return tuple(
        evaluation.OpenedMarks(who.no, ref, D32, marks_of(row * 2 + column, scheme.criteria))
        for column, who in enumerate(members)
        for row, ref in enumerate(refs)
    )


def _ranked(state: lot.LotState, at: str) -> lot.LotState:
    marks = scored.marks_by_bid(state.evaluation.opened, state.evaluation.marks_corrected)
    return _fold(state, at, scored.ranking(state, marks))


def _heads(members: tuple[panel.Member, ...]) -> tuple[Head, ...]:
    return tuple(Head(f"sheet/{LOT_CODE}/1/{who.no}", ORIGIN, 40 + index, D32) for index, who in enumerate(members))


def opened_lot() -> lot.LotState:
    """At the end of the opening: one seal did not open, one objection was answered on the spot."""
    state = _issued(SCHEME, 486_000_000)
    state = _fold(
        state, "2026-03-25 09:30", opening.OpeningStarted(tuple(ref for ref, *_ in BIDDERS), ("G-01", "W-01", "S-01"))
    )
    for ref, name, price_fen, price_words in BIDDERS:
        if ref == UNREADABLE:
            failed = opening.BidDecryptionFailed(
                ref, "bidder", "corrupt", "revoked", replace(_bond(ref), verdict="late")
            )
            state = _fold(state, "2026-03-25 09:35", failed)
        else:
            state = _fold(
                state,
                "2026-03-25 09:35",
                opening.BidOpened(ref, _content(ref, name, price_fen, price_words), _bond(ref)),
                opening.BidAnnounced(ref),
            )
    return _fold(
        state,
        "2026-03-25 10:12:07",
        objection.ObjectionRaised(1, "opening", "唱标时未读出工期。", D32, b"sealed", 0, False),
        objection.ObjectionAnswered(1, "已当场补读。", "replied", False),
        opening.OpeningConfirmed(6, 1, ("G-01", "W-01", "S-01")),
    )


def ranked_lot() -> lot.LotState:
    """Ranked, not signed: a replaced member, three kinds of rejection, a correction, a recheck, two clarifications."""
    members = (*(member(f"E{n}") for n in range(1, 5)), member("E5", "b", "tenderer"))
    state = _fold(
        opened_lot(),
        "2026-03-25 10:40",
        panel.CommitteeFormed("entered", (member("E9"), *members[1:])),
        panel.MemberReplaced("E9", "recusal", "与投标人有利害关系", members[0]),
        panel.ChairElected("E2"),
        evaluation.EvaluationStarted(D32, (("a", b"wrap"), ("b", b"wrap"))),
        evaluation.ClarificationRequested(1, "P-AAAA11", "请说明 UPS 供电时间的计算依据。"),
        evaluation.ClarificationAnswered(1, "按满载 2 小时计算，见投标文件第 87 页。"),
        evaluation.ClarificationRequested(2, "P-BBBB22", "请说明\n项目负责人在岗时间。"),
        evaluation.PriceCorrected(CORRECTED, 455_300_000, 455_330_000, "words-win、sum-of-lines-wins"),
    )
    against = {(no, UNQUALIFIED) for no in ("E1", "E2", "E4")}
    checklists = tuple(
        evaluation.OpenedChecklist(
            who.no,
            ref,
            D32,
            (
                sheet.CheckResult("F1", True, ""),
                sheet.CheckResult(
                    "Q1", (who.no, ref) not in against, "资质等级不足" if (who.no, ref) in against else ""
                ),
            ),
        )
        for who in members
        for ref in state.opening.opened_refs
    )
    accepted = tuple(ref for ref in state.opening.opened_refs if ref not in {ABOVE, UNQUALIFIED})
    state = _fold(
        state,
        "2026-03-25 13:00",
        evaluation.PreliminaryConcluded(checklists, _heads(members), accepted),
        evaluation.BidRejected(ABOVE, "zbt51-5", "投标报价高于最高投标限价", ()),
        evaluation.BidRejected(
            UNQUALIFIED, "zbt51-3", "专业承包资质、安全生产许可证：资质等级不足", ("E1", "E2", "E4")
        ),
    )
    opened = _opened(members, accepted, SCHEME)
    wrong = (*marks_of(0)[:2], sheet.CriterionMark("B1", 2_000, ""))
    opened = tuple(replace(one, marks=wrong) if (one.member, one.ref) == ("E3", "P-AAAA11") else one for one in opened)
    corrected = sheet.MarksCorrected("P-AAAA11", (sheet.CriterionMark("B1", 1_000, ""),), "漏看一份业绩证明的时间")
    state = _fold(
        state,
        "2026-03-25 15:20",
        evaluation.ScoringClosed(b"k" * 32, _heads(members), opened),
        evaluation.RecheckOrdered((evaluation.Inconsistency("P-AAAA11", "B1", "objective-differs", ("E3",)),)),
        evaluation.RecheckClosed(_heads(members), (("E3", corrected),)),
    )
    return _ranked(state, "2026-03-25 15:41:09")


def reported_lot() -> lot.LotState:
    """The report is signed: one dissents, one will not sign."""
    words = (
        ("E1", "agree", ""),
        ("E2", "agree", ""),
        ("E3", "dissent", "建议对第二候选人的机房供电方案\n作进一步核实。"),
        ("E4", "silent", ""),
        ("E5", "agree", ""),
    )
    return _fold(ranked_lot(), "2026-03-25 16:30:12", evaluation.ReportCompleted(D32, words, ()))


def large_lot(
    bids: int = 20,
    seats: int = 7,
    criteria: int = 7,
    *,
    name: str = "第{}工程建设有限责任公司",
    price: notice.PriceMethod | None = None,
) -> lot.LotState:
    """A ranked lot of this size."""
    lines = tuple(
        notice.Criterion(f"T{n}", f"第{n}项施工组织与质量安全措施", "technical", "subjective", 800, 50, "按优劣评分")
        for n in range(1, criteria + 1)
    )
    scheme = replace(SCHEME, criteria=lines, trim_from=7, price=price or SCHEME.price)
    members = tuple(member(f"E{n}") for n in range(1, seats + 1))
    refs = tuple(f"P-{n:04d}" for n in range(1, bids + 1))
    state = _issued(scheme, 900_000_000)
    state = _fold(state, "2026-03-25 09:30", opening.OpeningStarted(refs, ("G-01",)))
    for n, ref in enumerate(refs):
        content = _content(ref, name.format(n + 1), 500_000_000 + n * 3_333_300, "")
        state = _fold(state, "2026-03-25 09:40", opening.BidOpened(ref, content, _bond(ref)), opening.BidAnnounced(ref))
    state = _fold(
        state,
        "2026-03-25 10:40",
        opening.OpeningConfirmed(bids, 0, ("G-01",)),
        panel.CommitteeFormed("entered", members),
        panel.ChairElected("E1"),
        evaluation.EvaluationStarted(D32, (("a", b"wrap"),)),
        evaluation.PreliminaryConcluded((), (), refs),
        evaluation.ScoringClosed(b"k" * 32, _heads(members), _opened(members, refs, scheme)),
    )
    return _ranked(state, "2026-03-25 15:41:09")


BUNDLE = b"PK bundle of the log " * 40
NOTE = sign(Checkpoint(ORIGIN, 58, D32), Signer.from_seed(ORIGIN, b"\x01" * 32))
RECEIPT = Receipt(
    number=number_of(ORIGIN, 57),
    origin=ORIGIN,
    seq=57,
    at_ms=ms("2026-03-25 16:30:12"),
    clock_quality="synchronised",
    leaf=D32,
    stream=f"lot/{LOT_CODE}",
    events=("evaluation.report-completed",),
    actor="operator:O-01@01",
)


def lines_of(record: Any, path: str = "") -> list[str]:
    """Return every leaf of a record on a line of its own, after its path."""
    if is_dataclass(record):
        named = [
            (f"{path}.{field.name}" if path else field.name, getattr(record, field.name)) for field in fields(record)
        ]
    elif isinstance(record, tuple):
        named = [(f"{path}[{index}]", item) for index, item in enumerate(record)]
        if not named:
            return [f"{path}: ()"]
    else:
        return [f"{path}: {record!r}"]
    return [line for place, item in named for line in lines_of(item, place)]


def golden_texts() -> dict[str, str]:
    """Return the documents of the sample lot as text, digest first, by the name of their golden file."""
    report, record, member_sheet = (
        evaluation_report(reported_lot()),
        opening_record(opened_lot()),
        score_sheet(ranked_lot(), "E3"),
    )
    made = {
        "evaluation-report.txt": (report_sha256(report), report),
        "opening-record.txt": (opening_sha256(record), record),
        "score-sheet.txt": (sheet_sha256(member_sheet), member_sheet),
    }
    return {name: "\n".join([f"sha256: {digest.hex()}", *lines_of(one)]) + "\n" for name, (digest, one) in made.items()}


if __name__ == "__main__":
    for name, text in golden_texts().items():
        (GOLDEN / name).write_text(text, encoding="utf-8")
