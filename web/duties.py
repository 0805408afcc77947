"""The separation of duties as a page (职责分离): who may do what, which acts are signed by certificate, who reads what from when on."""

from dataclasses import dataclass

from aiohttp.web import Request, Response, RouteTableDef

from node.domain import (
    bank,
    bidding,
    custody,
    drawn,
    epoch,
    evaluation,
    imported,
    incident,
    project,
    review,
    sheet,
    signatures,
    unsealing,
)
from node.domain.binding import BINDING
from node.domain.duties import DUTIES
from node.domain.secrecy import OWN, READS, Secret, Stage
from node.domain.values import Role
from web.custody import CHANGES
from web.desk_acts import ACTS
from web.draw_steps import STEPS
from web.keys import NODE
from web.render import page
from web.words import ROLES

routes = RouteTableDef()

# Acts that have pages of their own, or none.
_TITLES: dict[type, str] = {
    project.RegisterLot: "入场登记",
    bidding.SubmitBid: "接收投标文件",
    unsealing.ReleaseShares: "收取保管人释放的份额",
    unsealing.GiveHalf: "收取投标人的解密文件",
    unsealing.GiveUpFile: "文件无法取回",
    evaluation.RequestClarification: "要求投标人澄清",
    sheet.SignIn: "签到",
    sheet.DeclareRecusal: "回避声明",
    sheet.SubmitChecklist: "初步评审",
    sheet.SubmitMarks: "评分",
    sheet.SignSheet: "评分表签字",
    sheet.CorrectMarks: "按复核要求更正评分",
    sheet.SignReport: "签署评标报告",
    custody.AdoptEntry: "采纳未传记录",
    custody.DeclineEntry: "不采纳未传记录",
    epoch.OpenEpoch: "另开纪元",
    epoch.NoteSuccession: "记录纪元继承",
    epoch.NoteBranch: "另一段历史的记录已处理",
    incident.RecordIncident: "记录异常",
    incident.RelaxWitness: "改为单机记录",
    incident.CloseIncident: "记录异常结束",
    review.RaiseFinding: "提出审查意见",
    review.MarkReviewed: "标记已审查",
    review.CloseFinding: "办结审查意见",
    review.AnswerFinding: "答复审查意见",
    bank.ImportExperts: "导入专家库快照",
    drawn.FreezeExperts: "申请抽取专家",
    drawn.FreezeOptions: "冻结系数或并列备选项",
    signatures.JudgeAgain: "复核证书签名",
    imported.ImportLot: "导入标段",
}
TITLES: dict[type, str] = (
    {one.command: one.title for one in ACTS}
    | {one.command: one.title for one in STEPS.values()}
    | {one.command: one.title for one in CHANGES.values()}
    | _TITLES
)
SECRETS = {
    Secret.COUNTS: "获取文件、交保证金、投标的是谁、有多少",
    Secret.BIDS: "投标文件的内容",
    Secret.MARKS: "评分、排序和理由",
    Secret.NAMES: "评标委员会成员是谁",
    Secret.PHONES: "抽中专家的电话",
    Secret.NONCES: "抽取中未公开的随机数",
}
STAGES = {
    Stage.BIDDING: "开标前",
    Stage.OPENED: "开标至排序",
    Stage.RANKED: "排序至公示",
    Stage.PUBLISHED: "公示后",
}
SHOWN = tuple(role for role in Role if role is not Role.SYSTEM)


@dataclass(frozen=True, slots=True)
class DutyLine:
    """One act, which roles may do it, and whether it is signed by certificate."""

    title: str
    may: tuple[bool, ...]  # in the order of SHOWN
    binding: bool


@dataclass(frozen=True, slots=True)
class SecretLine:
    """One thing that is sealed, who reads it in each stage, and whose own it is."""

    title: str
    readers: tuple[str, ...]  # in the order of STAGES
    own: str


def duty_lines() -> tuple[DutyLine, ...]:
    """Return the table of duties in the order of a procedure; what the node does by itself is left out."""
    return tuple(
        DutyLine(TITLES[command], tuple(role in roles for role in SHOWN), command in BINDING)
        for command, roles in DUTIES.items()
        if roles != {Role.SYSTEM}
    )


def secret_lines() -> tuple[SecretLine, ...]:
    """Return the table of secrets."""
    return tuple(
        SecretLine(title, tuple(_names(READS[secret][stage]) for stage in STAGES), _names(OWN.get(secret, frozenset())))
        for secret, title in SECRETS.items()
    )


def _names(roles: frozenset[Role]) -> str:
    if roles == set(SHOWN):
        return "所有人"
    return "、".join(ROLES[str(role)] for role in Role if role in roles) or "无人"


@routes.get("/help/duties")
async def duties(request: Request) -> Response:
    """Show both tables to anybody."""
    return page(
        request,
        "frame/duties.html",
        roles=tuple(ROLES[str(role)] for role in SHOWN),
        duties=duty_lines(),
        stages=tuple(STAGES.values()),
        secrets=secret_lines(),
        signs=request.app[NODE].settings.asks_certificates,
    )
