"""What the desk does while bids are evaluated (评标): it starts, sums up and closes; it never sees a mark before the close."""

from typing import Any

from node.domain import evaluation
from node.domain.drawn_terms import undrawn_tie
from node.domain.lot import LotState
from node.domain.report import evaluation_report, report_sha256
from node.domain.values import Actor
from node.node import Node
from node.receipts import Receipt
from web.desk_act import TEXT, Act, bidders, fixed, no_fields, pairs_of, plain
from web.forms import Field, FieldErrors


async def _start(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.start_evaluation(lot.lot_code, command_id=command_id, actor=actor)


async def _conclude(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.conclude_preliminary(lot.lot_code, command_id=command_id, actor=actor)


async def _close(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.close_scoring(lot.lot_code, command_id=command_id, actor=actor)


async def _close_recheck(node: Node, lot: LotState, _v: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.close_recheck(lot.lot_code, command_id=command_id, actor=actor)


async def _complete(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    silent = pairs_of(values["silent"])
    seated = {member.no for member in lot.panel.members}
    for number, (no, circumstances) in enumerate(silent, start=1):
        if no not in seated or not circumstances:
            why = f"第 {number} 行须为在席成员的编号和具体情况，用逗号分开：{'、'.join(sorted(seated))}"
            raise FieldErrors({"silent": why})
    digest = report_sha256(evaluation_report(lot))
    return await node.complete_report(lot.lot_code, digest, silent, command_id=command_id, actor=actor)


EVALUATION_ACTS: tuple[Act, ...] = (
    Act(
        "evaluation-start",
        "开始评标",
        evaluation.StartEvaluation,
        "开始评标",
        no_fields,
        lambda lot: lot.opening.confirmed and not lot.evaluation.started,
        _start,
    ),
    Act(
        "preliminary-close",
        "汇总初步评审",
        evaluation.ConcludePreliminary,
        "汇总初步评审",
        no_fields,
        lambda lot: lot.evaluation.started and not lot.evaluation.concluded,
        _conclude,
    ),
    Act(
        "clarification-answer",
        "记录澄清答复",
        evaluation.AnswerClarification,
        "记录答复",
        fixed(Field("no", "澄清编号", "whole", low=1, high=999), TEXT),
        lambda lot: len(lot.evaluation.questions) > len(lot.evaluation.answers),
        plain(lambda _lot, v, _a: evaluation.AnswerClarification(v["no"], v["text"])),
    ),
    Act(
        "price-correction",
        "算术修正",
        evaluation.CorrectPrice,
        "记录投标人意见",
        lambda lot: (
            Field("ref", "投标人", "choice", choices=bidders(lot, lot.standing_refs)),
            Field("accepted", "投标人接受修正", "choice", choices=(("yes", "接受"), ("no", "不接受（否决其投标）"))),
        ),
        lambda lot: lot.evaluation.started and not lot.evaluation.closed,
        plain(lambda _lot, v, _a: evaluation.CorrectPrice(v["ref"], v["accepted"] == "yes")),
    ),
    Act(
        "scoring-close",
        "结束评分并计算",
        evaluation.CloseScoring,
        "结束评分并计算",
        no_fields,
        lambda lot: lot.evaluation.concluded and not lot.evaluation.closed,
        _close,
    ),
    Act(
        "recheck-close",
        "完成复核并计算",
        evaluation.CloseRecheck,
        "完成复核并计算",
        no_fields,
        lambda lot: bool(lot.evaluation.inconsistencies),
        _close_recheck,
    ),
    Act(
        "tie",
        "按抽取结果排定并列",
        evaluation.ResolveTie,
        "排定",
        no_fields,
        lambda lot: bool(undrawn_tie(lot)),
        plain(lambda _lot, _v, _a: evaluation.ResolveTie()),
    ),
    Act(
        "report",
        "完成评标报告",
        evaluation.CompleteReport,
        "完成评标报告",
        fixed(
            Field(
                "silent",
                "拒绝签字又不书面陈述意见的成员",
                "area",
                required=False,
                longest=2_000,
                hint="没有的不填。每行一人：编号,具体情况。依法视为同意评标结论，并写入报告",
            )
        ),
        lambda lot: lot.evaluation.ranked and not lot.evaluation.reported_at_ms and not undrawn_tie(lot),
        _complete,
    ),
)
