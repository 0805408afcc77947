"""What the desk can do with a lot (办理事项): one row an act: who, which fields, when it is offered, what is submitted.

A row makes one form at /desk/lots/<lot>/<slug> and one command. Duties are the rules' own table: an act is offered to the
roles whose command it is.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain import award, evaluation, notice, objection, opening, panel, project
from node.domain.bidding import WithdrawBid
from node.domain.bond import BondFacts, RecordBond
from node.domain.duties import DUTIES
from node.domain.lot import LotState, blocked
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.domain.wire import WireMalformed, from_plain, to_plain
from node.node import BidderIdentity, BondIdentity, MemberIdentity, Node
from node.receipts import Receipt
from web import words
from web.forms import Field, FieldErrors

Submit = Callable[[Node, LotState, dict[str, Any], bytes, Actor], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. `fields` may depend on the lot; `shared` acts are not refused for a page opened earlier."""

    slug: str
    title: str
    command: type
    button: str
    fields: Callable[[LotState], Sequence[Field]]
    offered: Callable[[LotState], bool]
    submit: Submit
    shared: bool = False
    note: str = ""

    def may(self, role: Role) -> bool:
        """Whether this role has the duty."""
        return role in DUTIES[self.command]


def _plain(make: Callable[[LotState, dict[str, Any], Actor], Any]) -> Submit:
    async def submit(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
        return await node.submit(lot_stream(lot.lot_code), make(lot, values, actor), command_id=command_id, actor=actor)

    return submit


def _none(_lot: LotState) -> tuple[Field, ...]:
    return ()


def _fixed(*fields: Field) -> Callable[[LotState], Sequence[Field]]:
    return lambda _lot: fields


TEXT = Field("text", "说明", "area", longest=2_000)
REASON = Field("reason", "理由", "area", longest=2_000)


def _choices(table: dict[str, str]) -> tuple[tuple[str, str], ...]:
    return tuple((code, label) for code, label in table.items() if code)


def scheme_of(text: str) -> notice.Scheme:
    """Return the evaluation scheme that a JSON text describes. Raises FieldErrors naming the place."""
    try:
        data = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
        price = data["price"]
        method = notice.PriceMethod(
            **{**price, "outliers": tuple(notice.OutlierRow(**row) for row in price.get("outliers", []))}
        )
        scheme = notice.Scheme(
            **{
                **data,
                "criteria": tuple(notice.Criterion(**row) for row in data["criteria"]),
                "checks": tuple(notice.Check(**row) for row in data["checks"]),
                "price": method,
            }
        )
        checked = from_plain(notice.Scheme, to_plain(scheme))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError, WireMalformed) as error:
        raise FieldErrors({"scheme": f"评标办法不是规定的 JSON：{error}"}) from error
    if not isinstance(checked, notice.Scheme):
        raise FieldErrors({"scheme": "评标办法不是规定的 JSON"})
    return checked


def _no_float(text: str) -> Any:
    raise ValueError(f"数量请写成文本或整数，不能写成 {text}")


def members_of(text: str, nodes: Sequence[str]) -> tuple[MemberIdentity, ...]:
    """Return the members that lines of text describe: 编号,类别,人员号,节点,席位,姓名,身份证号,电话,单位[,监督部门]."""
    members = []
    for number, line in enumerate((row for row in text.splitlines() if row.strip()), start=1):
        parts = [part.strip() for part in line.replace("，", ",").replace("\t", ",").split(",")]
        if len(parts) not in {9, 10} or not all(parts[:9]):
            raise FieldErrors(
                {
                    "members": f"第 {number} 行须有九项，用逗号分开：编号、类别、人员号、节点、席位、姓名、身份证号、电话、单位"
                }
            )
        if parts[3] not in nodes:
            raise FieldErrors({"members": f"第 {number} 行的节点“{parts[3]}”不在本开评标室：{'、'.join(nodes)}"})
        members.append(
            MemberIdentity(
                no=parts[0],
                kind=parts[1],
                person=parts[2],
                venue_node=parts[3],
                seat=parts[4],
                name=parts[5],
                id_no=parts[6],
                phone=parts[7],
                employer=parts[8],
                supervisor_staff=len(parts) == 10 and parts[9] == "是",
            )
        )
    return tuple(members)


def venue_nodes(node: Node) -> tuple[str, ...]:
    """Return the node codes of this room."""
    return (node.settings.node, *(peer.name for peer in node.settings.peers if peer.kind == "room"))


def _sha(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


async def _participation(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    who = BidderIdentity(values["name"], values["uscc"], values["contact"], values["phone"])
    return await node.register_participation(lot.lot_code, who, command_id=command_id, actor=actor)


async def _bond(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    facts = BondFacts(values["ref"], values["form"], values["amount"], values["posted_at"], values["valid_to"], "")
    who = BondIdentity(values["payer"], values["account"])
    return await node.record_bond(lot.lot_code, facts, who, command_id=command_id, actor=actor)


async def _objection(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    who = BidderIdentity(values["name"], values["uscc"], values["contact"], values["phone"])
    return await node.raise_objection(
        lot.lot_code, values["kind"], values["text"], who, command_id=command_id, actor=actor
    )


async def _committee(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    members = members_of(values["members"], venue_nodes(node))
    return await node.form_committee(lot.lot_code, values["how"], members, command_id=command_id, actor=actor)


async def _replace(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    members = members_of(values["members"], venue_nodes(node))
    if len(members) != 1:
        raise FieldErrors({"members": "请填写一行接替人员"})
    return await node.replace_member(
        lot.lot_code,
        values["no"],
        values["reason"],
        values["text"],
        members[0],
        command_id=command_id,
        actor=actor,
    )


async def _open_next(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.open_bid(lot.lot_code, lot.opening.next_to_open, command_id=command_id, actor=actor)


async def _start(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.start_evaluation(lot.lot_code, command_id=command_id, actor=actor)


async def _conclude(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.conclude_preliminary(lot.lot_code, command_id=command_id, actor=actor)


async def _close(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.close_scoring(lot.lot_code, command_id=command_id, actor=actor)


async def _close_recheck(node: Node, lot: LotState, _v: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await node.close_recheck(lot.lot_code, command_id=command_id, actor=actor)


async def _complete(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    from node.domain.report import evaluation_report, report_sha256  # noqa: PLC0415 - one act needs the report

    digest = report_sha256(evaluation_report(lot))
    return await node.complete_report(lot.lot_code, digest, command_id=command_id, actor=actor)


def _refs(lot: LotState) -> tuple[tuple[str, str], ...]:
    return tuple((one.ref, one.ref) for one in lot.notice.participants)


def _names(lot: LotState, refs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    found = []
    for ref in refs:
        content = lot.opening.content(ref)
        found.append((ref, content.bidder_name if content else ref))
    return tuple(found)


def _before_opening(lot: LotState) -> bool:
    return lot.notice.published is not None and not lot.opening.started


ACTS: tuple[Act, ...] = (
    Act(
        "filing",
        "提交核准备案",
        project.SubmitFiling,
        "提交备案",
        _fixed(TEXT),
        lambda lot: lot.project.filing != "no-problem",
        _plain(lambda _lot, v, _a: project.SubmitFiling(_sha(v["text"]), v["text"])),
    ),
    Act(
        "filing-opinion",
        "核准备案意见",
        project.DecideFiling,
        "签署意见",
        _fixed(
            Field(
                "outcome",
                "意见",
                "choice",
                choices=(("no-problem", "未发现问题"), ("rectify", "需整改"), ("return", "退回")),
            ),
            Field("opinion", "具体意见", "area", longest=2_000),
        ),
        lambda lot: lot.project.filing == "submitted",
        _plain(lambda _lot, v, _a: project.DecideFiling(v["outcome"], v["opinion"])),
    ),
    Act(
        "documents",
        "招标文件定稿",
        notice.IssueDocuments,
        "定稿",
        _fixed(
            Field("documents_sha256", "招标文件摘要（SHA-256）", "digest", longest=64),
            Field("control_price", "最高投标限价（元）", "yuan", required=False),
            Field("bond_amount", "投标保证金（元，0 为不收）", "yuan", required=False),
            Field(
                "bond_forms",
                "保证金形式",
                "words",
                hint="transfer、cheque、guarantee-bank、guarantee-company、insurance",
                required=False,
            ),
            Field("bond_deadline", "保证金截止时间", "time", required=False),
            Field("validity_days", "投标有效期（日）", "whole", low=1, high=730),
            Field("scheme", "评标办法（JSON）", "area", longest=20_000, hint="格式见操作手册“评标办法”一节"),
        ),
        lambda lot: lot.project.filing == "no-problem" and lot.notice.published is None,
        _plain(
            lambda _lot, v, _a: notice.IssueDocuments(
                v["documents_sha256"],
                scheme_of(v["scheme"]),
                v["control_price"],
                notice.BondTerms(v["bond_amount"], v["bond_forms"], v["bond_deadline"]),
                v["validity_days"],
            )
        ),
    ),
    Act(
        "notice",
        "发布招标公告",
        notice.PublishNotice,
        "发布公告",
        _fixed(
            Field("text", "公告正文", "area", longest=8_000),
            Field("media", "发布媒介", "words", longest=500, hint="一行一个"),
            Field("sale_from", "招标文件获取开始", "time"),
            Field("sale_to", "招标文件获取截止", "time"),
            Field("deadline", "投标截止（开标）时间", "time"),
            Field("opening_place", "开标地点"),
            Field("consortia", "接受联合体投标", "flag", required=False),
        ),
        lambda lot: lot.notice.documents is not None and lot.notice.published is None,
        _plain(
            lambda _lot, v, _a: notice.PublishNotice(
                _sha(v["text"]),
                v["text"],
                v["media"],
                v["sale_from"],
                v["sale_to"],
                v["deadline"],
                v["consortia"],
                v["opening_place"],
            )
        ),
    ),
    Act(
        "amendment",
        "澄清或修改招标文件",
        notice.AmendDocuments,
        "发布澄清修改",
        _fixed(
            Field("documents_sha256", "修改后文件摘要（SHA-256）", "digest", longest=64),
            Field("text", "澄清修改内容", "area", longest=4_000),
            Field("affects", "可能影响投标文件编制", "flag", required=False),
            Field("deadline", "新的投标截止时间", "time", required=False),
        ),
        _before_opening,
        _plain(
            lambda _lot, v, _a: notice.AmendDocuments(v["documents_sha256"], v["text"], v["affects"], v["deadline"])
        ),
    ),
    Act(
        "notice-withdrawal",
        "撤销公告",
        notice.WithdrawNotice,
        "撤销公告",
        _fixed(REASON),
        _before_opening,
        _plain(lambda _lot, v, _a: notice.WithdrawNotice(v["reason"])),
    ),
    Act(
        "participation",
        "登记获取招标文件",
        notice.RegisterParticipation,
        "登记并出具编号",
        _fixed(
            Field("name", "投标人名称", longest=120),
            Field("uscc", "统一社会信用代码", longest=18),
            Field("contact", "联系人", longest=40),
            Field("phone", "联系电话", longest=20),
        ),
        _before_opening,
        _participation,
        shared=True,
        note="投标人身份加密保存，开标前任何人不能查看。",
    ),
    Act(
        "bond",
        "登记投标保证金",
        RecordBond,
        "登记",
        _fixed(
            Field("ref", "投标人编号", longest=12),
            Field("form", "形式", "choice", choices=_choices(words.BOND_FORMS)),
            Field("amount", "金额（元）", "yuan"),
            Field("posted_at", "到账或开立时间", "time"),
            Field("valid_to", "保函有效期止", "time", required=False),
            Field("payer", "付款人或开立机构", longest=120),
            Field("account", "付款账号或保函编号", longest=60),
        ),
        _before_opening,
        _bond,
        shared=True,
        note="保证金信息加密保存，开标前任何人不能查看。",
    ),
    Act(
        "bid-withdrawal",
        "撤回投标文件",
        WithdrawBid,
        "撤回",
        _fixed(Field("ref", "投标人编号", longest=12), REASON),
        _before_opening,
        _plain(lambda _lot, v, _a: WithdrawBid(v["ref"], v["reason"])),
        shared=True,
    ),
    Act(
        "committee",
        "组建评标委员会",
        panel.FormCommittee,
        "确认组建",
        _fixed(
            Field(
                "how",
                "产生方式",
                "choice",
                choices=(("entered", "手工录入"), ("designated", "直接确定（特殊项目）")),
                value="entered",
            ),
            Field(
                "members",
                "成员名单",
                "area",
                longest=8_000,
                hint="每行一人：编号,类别(expert/tenderer),人员号,节点,席位,姓名,身份证号,电话,单位",
            ),
        ),
        lambda lot: lot.notice.published is not None and not lot.panel.members,
        _committee,
        note="姓名等个人信息加密保存，中标结果确定前保密。",
    ),
    Act(
        "chair",
        "推选组长",
        panel.ElectChair,
        "确认组长",
        lambda lot: (
            Field("no", "组长", "choice", choices=tuple((m.no, f"{m.no} {m.seat} 号席") for m in lot.panel.members)),
        ),
        lambda lot: bool(lot.panel.members) and not lot.evaluation.closed,
        _plain(lambda _lot, v, _a: panel.ElectChair(v["no"])),
    ),
    Act(
        "replacement",
        "更换评标委员会成员",
        panel.ReplaceMember,
        "更换",
        lambda lot: (
            Field(
                "no", "被更换成员", "choice", choices=tuple((m.no, f"{m.no} {m.seat} 号席") for m in lot.panel.members)
            ),
            Field(
                "reason",
                "原因",
                "choice",
                choices=(("recusal", "回避"), ("absent", "缺席"), ("unable", "不能履职"), ("misconduct", "违反纪律")),
            ),
            TEXT,
            Field("members", "接替人员（一行）", "area", longest=1_000),
        ),
        lambda lot: bool(lot.panel.members) and not lot.evaluation.closed,
        _replace,
        note="被更换成员已作出的评审结论无效，由接替人员重新评审。",
    ),
    Act(
        "opening-start",
        "开始开标",
        opening.StartOpening,
        "开始开标",
        _fixed(Field("attendees", "到场人员（人员号或单位）", "words", longest=2_000, hint="一行一个")),
        _before_opening,
        _plain(lambda _lot, v, _a: opening.StartOpening(v["attendees"])),
    ),
    Act(
        "open-next",
        "解密下一份",
        opening.OpenBid,
        "解密下一份",
        _none,
        lambda lot: lot.opening.started and bool(lot.opening.next_to_open),
        _open_next,
    ),
    Act(
        "announce-next",
        "唱标下一家",
        opening.AnnounceBid,
        "唱标下一家",
        _none,
        lambda lot: lot.opening.started and not lot.opening.next_to_open and bool(lot.opening.next_to_announce),
        _plain(lambda lot, _v, _a: opening.AnnounceBid(lot.opening.next_to_announce)),
    ),
    Act(
        "opening-confirm",
        "确认开标记录",
        opening.ConfirmOpening,
        "确认开标记录",
        _fixed(Field("confirmed_by", "确认人", "words", longest=2_000, hint="一行一个")),
        lambda lot: (
            lot.opening.started
            and not lot.opening.confirmed
            and not lot.opening.next_to_open
            and not lot.opening.next_to_announce
        ),
        _plain(lambda _lot, v, _a: opening.ConfirmOpening(v["confirmed_by"])),
    ),
    Act(
        "evaluation-start",
        "开始评标",
        evaluation.StartEvaluation,
        "开始评标",
        _none,
        lambda lot: lot.opening.confirmed and not lot.evaluation.started,
        _start,
    ),
    Act(
        "preliminary-close",
        "汇总初步评审",
        evaluation.ConcludePreliminary,
        "汇总初步评审",
        _none,
        lambda lot: lot.evaluation.started and not lot.evaluation.concluded,
        _conclude,
    ),
    Act(
        "clarification-answer",
        "记录澄清答复",
        evaluation.AnswerClarification,
        "记录答复",
        _fixed(Field("no", "澄清编号", "whole", low=1, high=999), TEXT),
        lambda lot: len(lot.evaluation.questions) > len(lot.evaluation.answers),
        _plain(lambda _lot, v, _a: evaluation.AnswerClarification(v["no"], v["text"])),
    ),
    Act(
        "price-correction",
        "算术修正",
        evaluation.CorrectPrice,
        "记录投标人意见",
        lambda lot: (
            Field("ref", "投标人", "choice", choices=_names(lot, lot.standing_refs)),
            Field("accepted", "投标人接受修正", "choice", choices=(("yes", "接受"), ("no", "不接受（否决其投标）"))),
        ),
        lambda lot: lot.evaluation.started and not lot.evaluation.closed,
        _plain(lambda _lot, v, _a: evaluation.CorrectPrice(v["ref"], v["accepted"] == "yes")),
    ),
    Act(
        "scoring-close",
        "结束评分并计算",
        evaluation.CloseScoring,
        "结束评分并计算",
        _none,
        lambda lot: lot.evaluation.concluded and not lot.evaluation.closed,
        _close,
    ),
    Act(
        "recheck-close",
        "完成复核并计算",
        evaluation.CloseRecheck,
        "完成复核并计算",
        _none,
        lambda lot: bool(lot.evaluation.inconsistencies),
        _close_recheck,
    ),
    Act(
        "report",
        "完成评标报告",
        evaluation.CompleteReport,
        "完成评标报告",
        _none,
        lambda lot: lot.evaluation.ranked and not lot.evaluation.reported_at_ms,
        _complete,
    ),
    Act(
        "publicity",
        "公示中标候选人",
        award.PublishCandidates,
        "发布公示",
        _fixed(
            Field("to", "公示截止时间", "time"),
            Field("media", "发布媒介", "words", longest=500),
            Field("channel", "异议渠道", longest=200),
        ),
        lambda lot: bool(lot.evaluation.reported_at_ms) and lot.award.published is None,
        _plain(lambda _lot, v, _a: award.PublishCandidates(v["to"], v["media"], v["channel"])),
    ),
    Act(
        "objection",
        "登记异议",
        objection.RaiseObjection,
        "登记异议",
        _fixed(
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
        _fixed(
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
        _plain(lambda _lot, v, _a: objection.AnswerObjection(v["no"], v["text"], v["status"])),
    ),
    Act(
        "award",
        "定标",
        award.DecideAward,
        "确定中标人",
        lambda lot: (
            Field("ref", "中标人", "choice", choices=_names(lot, lot.evaluation.candidates)),
            Field("passed", "跳过的候选人及依据", "area", longest=1_000, required=False, hint="每行：编号,依据"),
        ),
        lambda lot: lot.award.published is not None and lot.award.decided is None,
        _plain(lambda _lot, v, _a: award.DecideAward(v["ref"], _pairs(v["passed"]))),
    ),
    Act(
        "award-notice",
        "发出中标通知书",
        award.IssueAwardNotice,
        "发出中标通知书",
        _fixed(
            Field("text", "中标通知书正文", "area", longest=4_000), Field("media", "结果公告媒介", "words", longest=500)
        ),
        lambda lot: lot.award.decided is not None and not lot.award.notified_at_ms,
        _plain(lambda _lot, v, _a: award.IssueAwardNotice(_sha(v["text"]), v["media"])),
    ),
    Act(
        "contract",
        "登记合同",
        award.RecordContract,
        "登记合同",
        _fixed(
            Field("contract_sha256", "合同文件摘要（SHA-256）", "digest", longest=64),
            Field("amount", "合同金额（元）", "yuan"),
            Field("bond", "履约保证金（元）", "yuan", required=False),
            Field("signed_at", "签订时间", "time"),
        ),
        lambda lot: bool(lot.award.notified_at_ms) and not lot.award.contracted,
        _plain(lambda _lot, v, _a: award.RecordContract(v["contract_sha256"], v["amount"], v["bond"], v["signed_at"])),
    ),
    Act(
        "winner-refusal",
        "中标人拒签合同",
        award.RecordWinnerRefusal,
        "记录",
        _fixed(TEXT),
        lambda lot: lot.award.decided is not None and not lot.award.contracted,
        _plain(lambda _lot, v, _a: award.RecordWinnerRefusal(v["text"])),
    ),
    Act(
        "archive",
        "归档",
        award.ArchiveLot,
        "归档",
        _fixed(Field("package_sha256", "归档包摘要（SHA-256）", "digest", longest=64)),
        lambda lot: lot.award.contracted or bool(lot.project.ended),
        _plain(lambda _lot, v, _a: award.ArchiveLot(v["package_sha256"])),
    ),
    Act(
        "suspend",
        "中止",
        project.Suspend,
        "中止",
        _fixed(
            Field(
                "reason",
                "原因",
                "choice",
                choices=(
                    ("outage", "停电、断网等故障"),
                    ("supervisor-order", "行政监督部门要求"),
                    ("complaint", "投诉"),
                    ("other", "其他"),
                ),
            ),
            TEXT,
        ),
        lambda lot: not blocked(lot),
        _plain(lambda _lot, v, _a: project.Suspend(v["reason"], v["text"])),
    ),
    Act(
        "resume",
        "恢复",
        project.Resume,
        "恢复",
        _fixed(TEXT),
        lambda lot: blocked(lot) == "suspended",
        _plain(lambda _lot, v, _a: project.Resume(v["text"])),
    ),
    Act(
        "round-failed",
        "宣布流标",
        project.DeclareRoundFailed,
        "宣布流标",
        _fixed(REASON),
        _before_opening,
        _plain(lambda _lot, v, _a: project.DeclareRoundFailed(v["reason"])),
    ),
    Act(
        "scrap",
        "否决全部投标",
        project.ScrapProcedure,
        "否决全部投标",
        _fixed(
            Field(
                "reason",
                "情形",
                "choice",
                choices=(("all-rejected", "全部投标被否决"), ("no-competition", "明显缺乏竞争"), ("unlawful", "违法")),
            ),
            TEXT,
        ),
        lambda lot: lot.opening.confirmed and not lot.award.notified_at_ms,
        _plain(lambda _lot, v, _a: project.ScrapProcedure(v["reason"], v["text"])),
    ),
    Act(
        "termination",
        "终止招标",
        project.TerminateProcedure,
        "终止招标",
        _fixed(REASON, TEXT),
        lambda lot: not lot.award.notified_at_ms,
        _plain(lambda _lot, v, _a: project.TerminateProcedure(v["reason"], v["text"])),
    ),
    Act(
        "retender",
        "重新招标",
        project.StartRetender,
        "重新招标",
        _fixed(TEXT),
        lambda lot: lot.project.ended in {"round-failed", "scrapped"},
        _plain(lambda _lot, v, _a: project.StartRetender(v["text"])),
    ),
)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    pairs = []
    for line in text.splitlines():
        if line.strip():
            ref, _, ground = line.replace("，", ",").partition(",")
            pairs.append((ref.strip(), ground.strip()))
    return tuple(pairs)


BY_SLUG = {act.slug: act for act in ACTS}

# What can still be done while the lot stands still or has ended; everything, where it does neither.
_LEFT: dict[str, frozenset[str]] = {
    "archived": frozenset(),
    "terminated": frozenset({"archive"}),
    "round-failed": frozenset({"retender", "termination", "archive"}),
    "scrapped": frozenset({"retender", "termination", "archive"}),
    "suspended": frozenset({"resume", "termination", "objection", "objection-answer"}),
    "objection": frozenset(
        {
            "objection",
            "objection-answer",
            "suspend",
            "amendment",
            "notice-withdrawal",
            "termination",
            "scrap",
            "winner-refusal",
        }
    ),
}


def acts_for(lot: LotState, role: Role) -> list[Act]:
    """Return the acts that a role can do with a lot now."""
    why = blocked(lot)
    return [act for act in ACTS if act.may(role) and act.offered(lot) and (not why or act.slug in _LEFT[why])]
