"""What the desk does with the result (公示、异议、定标、合同、归档)."""

from typing import Any

from node.domain import award, objection
from node.domain.lot import LotState
from node.domain.values import Actor
from node.identities import BidderIdentity
from node.node import Node
from node.receipts import Receipt
from web.desk_act import TEXT, Act, bidders, digest, fixed, pairs_of, plain
from web.forms import Field


async def _objection(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    who = BidderIdentity(values["name"], values["uscc"], values["contact"], values["phone"])
    return await node.raise_objection(
        lot.lot_code, values["kind"], values["text"], who, command_id=command_id, actor=actor
    )


AWARD_ACTS: tuple[Act, ...] = (
    Act(
        "publicity",
        "公示中标候选人",
        award.PublishCandidates,
        "发布公示",
        fixed(
            Field("to", "公示截止时间", "time"),
            Field("media", "发布媒介", "words", longest=500),
            Field("channel", "异议渠道", longest=200),
        ),
        lambda lot: bool(lot.evaluation.reported_at_ms) and lot.award.published is None,
        plain(lambda _lot, v, _a: award.PublishCandidates(v["to"], v["media"], v["channel"])),
    ),
    Act(
        "objection",
        "登记异议",
        objection.RaiseObjection,
        "登记异议",
        fixed(
            Field(
                "kind",
                "对象",
                "choice",
                choices=(("documents", "招标文件"), ("opening", "开标"), ("result", "评标结果")),
            ),
            TEXT,
            Field("name", "提出人", longest=120),
            Field("uscc", "统一社会信用代码", longest=18, required=False),
            Field("contact", "联系人", longest=40),
            Field("phone", "联系电话", longest=20),
        ),
        lambda lot: lot.notice.published is not None and not lot.award.decided,
        _objection,
        shared=True,
    ),
    Act(
        "objection-answer",
        "答复异议",
        objection.AnswerObjection,
        "答复",
        fixed(
            Field("no", "异议编号", "whole", low=1, high=999),
            TEXT,
            Field(
                "status",
                "处理结果",
                "choice",
                choices=(("replied", "已回复"), ("amended", "澄清修改"), ("other", "其他")),
            ),
        ),
        lambda lot: len(lot.objections.raised) > len(lot.objections.answered),
        plain(lambda _lot, v, _a: objection.AnswerObjection(v["no"], v["text"], v["status"])),
    ),
    Act(
        "award",
        "定标",
        award.DecideAward,
        "确定中标人",
        lambda lot: (
            Field("ref", "中标人", "choice", choices=bidders(lot, lot.evaluation.candidates)),
            Field("passed", "跳过的候选人及依据", "area", longest=1_000, required=False, hint="每行：编号,依据"),
        ),
        lambda lot: lot.award.published is not None and lot.award.decided is None,
        plain(lambda _lot, v, _a: award.DecideAward(v["ref"], pairs_of(v["passed"]))),
    ),
    Act(
        "award-notice",
        "发出中标通知书",
        award.IssueAwardNotice,
        "发出中标通知书",
        fixed(
            Field("text", "中标通知书正文", "area", longest=4_000), Field("media", "结果公告媒介", "words", longest=500)
        ),
        lambda lot: lot.award.decided is not None and not lot.award.notified_at_ms,
        plain(lambda _lot, v, _a: award.IssueAwardNotice(digest(v["text"]), v["media"])),
    ),
    Act(
        "contract",
        "登记合同",
        award.RecordContract,
        "登记合同",
        fixed(
            Field("contract_sha256", "合同文件摘要（SHA-256）", "digest", longest=64),
            Field("amount", "合同金额（元）", "yuan"),
            Field("bond", "履约保证金（元）", "yuan", required=False),
            Field("signed_at", "签订时间", "time"),
        ),
        lambda lot: bool(lot.award.notified_at_ms) and not lot.award.contracted,
        plain(lambda _lot, v, _a: award.RecordContract(v["contract_sha256"], v["amount"], v["bond"], v["signed_at"])),
    ),
    Act(
        "winner-refusal",
        "中标人拒签合同",
        award.RecordWinnerRefusal,
        "记录",
        fixed(TEXT),
        lambda lot: lot.award.decided is not None and not lot.award.contracted,
        plain(lambda _lot, v, _a: award.RecordWinnerRefusal(v["text"])),
    ),
    Act(
        "archive",
        "归档",
        award.ArchiveLot,
        "归档",
        fixed(Field("package_sha256", "归档包摘要（SHA-256）", "digest", longest=64)),
        lambda lot: lot.award.contracted or bool(lot.project.ended),
        plain(lambda _lot, v, _a: award.ArchiveLot(v["package_sha256"])),
    ),
)
