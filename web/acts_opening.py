"""What the desk does to seat the committee and open the bids (组建评标委员会与开标)."""

from collections.abc import Sequence
from typing import Any

from node.domain import opening, panel, unsealing
from node.domain.lot import LotState
from node.domain.values import Actor
from node.identities import MemberIdentity
from node.node import Node
from node.opening_desk import begin_ceremony
from node.receipts import Receipt
from web.desk_act import TEXT, Act, before_opening, fixed, no_fields, plain
from web.forms import Field, FieldErrors, rows_of


def members_of(text: str, nodes: Sequence[str]) -> tuple[MemberIdentity, ...]:
    """Return the members that lines of text describe: 编号,类别,人员号,节点,席位,姓名,身份证号,电话,单位[,监督部门]."""
    members = []
    for number, line in enumerate(rows_of(text), start=1):
        parts = [part.strip() for part in line.replace("，", ",").split(",")]
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


async def _committee(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    members = members_of(values["members"], venue_nodes(node))
    return await node.form_committee(
        lot.lot_code, "designated", members, values["reason"], command_id=command_id, actor=actor
    )


def _replaceable(lot: LotState) -> tuple[tuple[str, str], ...]:
    """Return whom this act can replace; a drawn expert is replaced by the draw (web/draws.py)."""
    drawn = lot.panel.how == "drawn"
    return tuple((m.no, f"{m.no} {m.seat} 号席") for m in lot.panel.members if not drawn or m.kind != "expert")


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


async def _begin(node: Node, lot: LotState, _values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    return await begin_ceremony(node, lot.lot_code, command_id=command_id, actor=actor)


OPENING_ACTS: tuple[Act, ...] = (
    Act(
        "committee",
        "直接确定评标委员会（特殊项目）",
        panel.FormCommittee,
        "确认组建",
        fixed(
            Field("reason", "特殊项目的理由和批准文件", "area", longest=2_000),
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
        note="一般项目须随机抽取；技术复杂、专业性强或者国家有特殊要求的特殊项目方可直接确定（招标投标法第三十七条）。姓名等个人信息加密保存，中标结果确定前保密。",
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
        plain(lambda _lot, v, _a: panel.ElectChair(v["no"])),
    ),
    Act(
        "replacement",
        "更换评标委员会成员",
        panel.ReplaceMember,
        "更换",
        lambda lot: (
            Field("no", "被更换成员", "choice", choices=_replaceable(lot)),
            Field(
                "reason",
                "原因",
                "choice",
                choices=(("recusal", "回避"), ("absent", "缺席"), ("unable", "不能履职"), ("misconduct", "违反纪律")),
            ),
            TEXT,
            Field("members", "接替人员（一行）", "area", longest=1_000),
        ),
        lambda lot: bool(_replaceable(lot)) and not lot.evaluation.closed,
        _replace,
        note="抽取的专家在“可验证抽取”中更换。被更换成员已作出的评审结论无效，由接替人员重新评审。",
    ),
    Act(
        "opening-start",
        "开始开标",
        opening.StartOpening,
        "开始开标",
        fixed(Field("attendees", "到场人员（人员号或单位）", "words", longest=2_000, hint="一行一个")),
        before_opening,
        plain(lambda _lot, v, _a: opening.StartOpening(v["attendees"])),
    ),
    Act(
        "ceremony-begin",
        "开始解密仪式",
        unsealing.BeginCeremony,
        "开始解密仪式",
        no_fields,
        lambda lot: lot.terms.appointed is not None and lot.opening.started and bool(lot.opening.next_to_open),
        _begin,
        note="生成本次仪式的密钥和请求文件。重新开始时，保管人须重新释放，投标人须重新解密。",
    ),
    Act(
        "open-next",
        "解密下一份",
        opening.OpenBid,
        "解密下一份",
        no_fields,
        lambda lot: (
            lot.opening.started
            and bool(lot.opening.next_to_open)
            and (lot.terms.appointed is None or lot.ceremony.begun is not None)
        ),
        _open_next,
    ),
    Act(
        "announce-next",
        "唱标下一家",
        opening.AnnounceBid,
        "唱标下一家",
        no_fields,
        lambda lot: lot.opening.started and not lot.opening.next_to_open and bool(lot.opening.next_to_announce),
        plain(lambda lot, _v, _a: opening.AnnounceBid(lot.opening.next_to_announce)),
    ),
    Act(
        "opening-confirm",
        "确认开标记录",
        opening.ConfirmOpening,
        "确认开标记录",
        fixed(Field("confirmed_by", "确认人", "words", longest=2_000, hint="一行一个")),
        lambda lot: (
            lot.opening.started
            and not lot.opening.confirmed
            and not lot.opening.next_to_open
            and not lot.opening.next_to_announce
        ),
        plain(lambda _lot, v, _a: opening.ConfirmOpening(v["confirmed_by"])),
    ),
)
