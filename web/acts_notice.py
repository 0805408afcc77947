"""What the desk does before the opening (发标与投标登记): filing, documents, notice, participation, bonds, withdrawal."""

import base64
import hashlib
import json
from typing import Any

from node.domain import notice, project, trustees
from node.domain.bidding import WithdrawBid
from node.domain.bond import BondFacts, RecordBond
from node.domain.lot import LotState
from node.domain.values import Actor
from node.domain.wire import WireMalformed, from_plain, to_plain
from node.identities import BidderIdentity, BondIdentity
from node.node import Node
from node.opening_desk import appoint_trustees
from node.receipts import Receipt
from sync.certificate_form import CertRefused, read_certificate
from web import words
from web.desk_act import REASON, TEXT, Act, before_opening, choices_of, digest, fixed, plain
from web.forms import Field, FieldErrors, rows_of


def scheme_of(text: str) -> notice.Scheme:
    """Return the evaluation scheme that a JSON text describes. Raises FieldErrors naming the place."""
    try:
        data = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
        price = data["price"]
        method = notice.PriceMethod(
            **{
                **price,
                "outliers": tuple(notice.OutlierRow(**row) for row in price.get("outliers", [])),
                "options": tuple(price.get("options", [])),
            }
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


def trustees_of(text: str) -> tuple[tuple[trustees.LotTrustee, bytes], ...]:
    """Return the trustees that lines of text describe, each with its certificate (DER): 人员号,单位,角色,公钥,证书.

    Raises FieldErrors naming the line.
    """
    found = []
    for number, line in enumerate(rows_of(text), start=1):
        parts = [part.strip() for part in line.replace("，", ",").split(",")]
        try:
            person, body, role, key, cert = parts
            der = read_certificate(base64.b64decode(cert, validate=True), person).der
            holder = trustees.LotTrustee(person, body, role, bytes.fromhex(key), hashlib.sha256(der).digest())
            found.append((holder, der))
        except (ValueError, CertRefused):
            sentence = f"第 {number} 行须有五项，用逗号分开：人员号、单位、角色、公钥（十六进制）、证书（base64）"
            raise FieldErrors({"trustees": sentence}) from None
    return tuple(found)


async def _trustees(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    rows = trustees_of(values["trustees"])
    holders, certificates = tuple(holder for holder, _ in rows), tuple(der for _, der in rows)
    command = trustees.AppointTrustees(values["seal"], values["mode"], values["t"], holders, values["rescue"])
    return await appoint_trustees(node, lot.lot_code, command, certificates, command_id=command_id, actor=actor)


async def _participation(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    who = BidderIdentity(values["name"], values["uscc"], values["contact"], values["phone"])
    return await node.register_participation(lot.lot_code, who, command_id=command_id, actor=actor)


async def _bond(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
    facts = BondFacts(values["ref"], values["form"], values["amount"], values["posted_at"], values["valid_to"], "")
    who = BondIdentity(values["payer"], values["account"])
    return await node.record_bond(lot.lot_code, facts, who, command_id=command_id, actor=actor)


NOTICE_ACTS: tuple[Act, ...] = (
    Act(
        "filing",
        "提交核准备案",
        project.SubmitFiling,
        "提交备案",
        fixed(TEXT),
        lambda lot: lot.project.filing != "no-problem",
        plain(lambda _lot, v, _a: project.SubmitFiling(digest(v["text"]), v["text"])),
    ),
    Act(
        "filing-opinion",
        "核准备案意见",
        project.DecideFiling,
        "签署意见",
        fixed(
            Field(
                "outcome",
                "意见",
                "choice",
                choices=(("no-problem", "未发现问题"), ("rectify", "需整改"), ("return", "退回")),
            ),
            Field("opinion", "具体意见", "area", required=False, longest=2_000, hint="未发现问题的，可不填写"),
        ),
        lambda lot: lot.project.filing == "submitted",
        plain(lambda _lot, v, _a: project.DecideFiling(v["outcome"], v["opinion"])),
    ),
    Act(
        "documents",
        "招标文件定稿",
        notice.IssueDocuments,
        "定稿",
        fixed(
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
        plain(
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
        "trustees",
        "确定份额保管人",
        trustees.AppointTrustees,
        "确定保管人",
        fixed(
            Field("seal", "加密方式", "choice", choices=(("intl-1", "国际算法"), ("gm-1", "国密算法")), value="intl-1"),
            Field(
                "mode",
                "开启方式",
                "choice",
                choices=(("and", "投标人和保管人共同开启"), ("or", "投标人或者保管人开启（补救）")),
                value="and",
            ),
            Field("t", "开启所需的保管人人数", "whole", low=2, high=16),
            Field(
                "trustees",
                "保管人",
                "area",
                longest=80_000,
                hint="每行一人：人员号,单位,角色(tenderer/supervisor/operator/witness/prefecture),公钥,证书（后两项由保管人工具显示）",
            ),
            Field("rescue", "补救方案（写入公告）", "area", required=False, longest=2_000),
        ),
        lambda lot: lot.notice.documents is not None and lot.notice.published is None,
        _trustees,
        note="保管人须来自不同单位，随公告公布；公告发出后不能更改。",
    ),
    Act(
        "notice",
        "发布招标公告",
        notice.PublishNotice,
        "发布公告",
        fixed(
            Field("text", "公告正文", "area", longest=8_000),
            Field("media", "发布媒介", "words", longest=500, hint="一行一个"),
            Field("sale_from", "招标文件获取开始", "time"),
            Field("sale_to", "招标文件获取截止", "time"),
            Field("deadline", "投标截止（开标）时间", "time"),
            Field("opening_place", "开标地点"),
            Field("consortia", "接受联合体投标", "flag", required=False),
        ),
        lambda lot: lot.notice.documents is not None and lot.notice.published is None,
        plain(
            lambda _lot, v, _a: notice.PublishNotice(
                digest(v["text"]),
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
        fixed(
            Field("documents_sha256", "修改后文件摘要（SHA-256）", "digest", longest=64),
            Field("text", "澄清修改内容", "area", longest=4_000),
            Field("affects", "可能影响投标文件编制", "flag", required=False),
            Field("deadline", "新的投标截止时间", "time", required=False),
        ),
        before_opening,
        plain(lambda _lot, v, _a: notice.AmendDocuments(v["documents_sha256"], v["text"], v["affects"], v["deadline"])),
    ),
    Act(
        "notice-withdrawal",
        "撤销公告",
        notice.WithdrawNotice,
        "撤销公告",
        fixed(REASON),
        before_opening,
        plain(lambda _lot, v, _a: notice.WithdrawNotice(v["reason"])),
    ),
    Act(
        "participation",
        "登记获取招标文件",
        notice.RegisterParticipation,
        "登记并出具编号",
        fixed(
            Field("name", "投标人名称", longest=120),
            Field("uscc", "统一社会信用代码", longest=18),
            Field("contact", "联系人", longest=40),
            Field("phone", "联系电话", longest=20),
        ),
        before_opening,
        _participation,
        shared=True,
        note="投标人身份加密保存，开标前任何人不能查看。",
    ),
    Act(
        "bond",
        "登记投标保证金",
        RecordBond,
        "登记",
        fixed(
            Field("ref", "投标人编号", longest=12),
            Field("form", "形式", "choice", choices=choices_of(words.BOND_FORMS)),
            Field("amount", "金额（元）", "yuan"),
            Field("posted_at", "到账或开立时间", "time"),
            Field("valid_to", "保函有效期止", "time", required=False),
            Field("payer", "付款人或开立机构", longest=120),
            Field("account", "付款账号或保函编号", longest=60),
        ),
        before_opening,
        _bond,
        shared=True,
        note="保证金信息加密保存，开标前任何人不能查看。",
    ),
    Act(
        "bid-withdrawal",
        "撤回投标文件",
        WithdrawBid,
        "撤回",
        fixed(Field("ref", "投标人编号", longest=12), REASON),
        before_opening,
        plain(lambda _lot, v, _a: WithdrawBid(v["ref"], v["reason"])),
        shared=True,
    ),
)
