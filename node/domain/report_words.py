"""How the legal documents of a lot write facts (文书写法): amounts, marks, moments, and the words for codes.

Members sign these very words, so they are frozen: to change one is to begin a new version of the documents' digests. Pages
may speak otherwise (web/words.py); what is signed may not.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from node.domain.calendar import CHINA
from node.domain.capital_amount import MOST_FEN, capital_text

if TYPE_CHECKING:
    from node.domain.notice import PriceMethod

NONE = "--"
BY_SYSTEM = "系统判定"
TENDER_METHODS = {"open": "公开招标", "invited": "邀请招标"}
CATEGORIES = {"works": "工程", "goods": "货物", "services": "服务"}
MEMBER_KINDS = {"expert": "专家", "tenderer": "招标人代表"}
DRAW_PARTIES = {"CENTER": "交易中心", "SUPERVISOR": "行政监督", "TENDERER": "招标人", "WITNESS": "见证"}
NONCE_SOURCES = {"reveal": "本方揭示", "escrow": "由托管开启"}
COMMITTEE_HOW = {"drawn": "随机抽取", "entered": "手工录入", "designated": "直接确定"}
GROUPS = {"technical": "技术", "business": "商务", "credit": "信用", "other": "其他"}
CRITERION_KINDS = {"subjective": "主观", "objective": "客观"}
CHECK_KINDS = {"form": "形式评审", "qualification": "资格评审", "response": "响应性评审"}
# The situations of ZBT 51, in the order of its items.
GROUNDS = {
    "zbt51-1": "（一）投标文件未经投标单位盖章和单位负责人签字",
    "zbt51-2": "（二）投标联合体没有提交共同投标协议",
    "zbt51-3": "（三）投标人不符合国家或者招标文件规定的资格条件",
    "zbt51-4": "（四）同一投标人提交两个以上不同的投标文件或者投标报价，但招标文件要求提交备选投标的除外",
    "zbt51-5": "（五）投标报价低于成本或者高于招标文件设定的最高投标限价",
    "zbt51-6": "（六）投标文件没有对招标文件的实质性要求和条件作出响应",
    "zbt51-7": "（七）投标人有串通投标、弄虚作假、行贿等违法行为",
}
FAULTS = {"bidder": "投标人原因", "platform": "平台原因", "other": "其他原因", "undecided": "原因待认定"}
# Why a seal did not open: codes of the envelope and of the room.
UNREADABLE = {
    "corrupt": "文件损坏",
    "not-a-recipient": "文件不是向本开标室加密的",
    "wrong-context": "文件不属于本标段、本次招标或者本投标人",
    "no-room-key": "开标室私钥不可用",
    "stored-file-damaged": "所存文件已损坏",
    "undecided": "保管人声称份额不能用，现有份额不足以判断",
}
EFFECTS = {"revoked": "视为撤销其投标文件", "withdrawn": "视为撤回其投标文件", "undecided": "撤销或者撤回待认定"}
BOND_FORMS = {
    "transfer": "转账",
    "cheque": "支票",
    "guarantee-bank": "银行保函",
    "guarantee-company": "担保公司保函",
    "insurance": "保证保险",
}
BOND_VERDICTS = {
    "ok": "符合",
    "missing": "未递交",
    "late": "逾期",
    "too-low": "金额不足",
    "wrong-form": "形式不符",
    "too-short": "有效期不足",
}
OBJECTION_STATUSES = {"replied": "已回复", "amended": "澄清修改", "other": "其他"}
CORRECTIONS = {
    "opening-sheet-wins": "以开标一览表为准",
    "words-win": "大写与小写不一致，以大写为准",
    "unit-price-wins": "单价与合价不一致，以单价为准",
    "point-misplaced": "单价小数点明显错位，以合价为准修正单价",
    "sum-of-lines-wins": "总价与各项合价之和不一致，以合价之和为准",
}
WORDS_ON_REPORT = {"agree": "同意", "dissent": "不同意", "silent": "拒绝签字且不书面说明不同意见，视为同意评标结果"}
STEPS = {"linear": "不足 1% 的按比例计算", "ceil": "不足 1% 的按 1% 计算", "floor": "不足 1% 的不计"}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def amount(amount_fen: int) -> str:
    """Return yuan as 1,234,567.89."""
    sign = "-" if amount_fen < 0 else ""
    return f"{sign}{abs(amount_fen) // 100:,}.{abs(amount_fen) % 100:02d}"


def grouped(text: str) -> str:
    """Return plain decimal text with its whole part in groups of three: 1234567.8 as 1,234,567.8."""
    whole, point, rest = text.partition(".")
    return f"{int(whole):,}{point}{rest}" if whole.lstrip("-").isdecimal() else text


def capitals(amount_fen: int) -> str:
    """Return the amount in capitals (金额大写), or -- where no amount of that size is written so."""
    return capital_text(amount_fen) if 0 <= amount_fen <= MOST_FEN else NONE


def mark(centi: int) -> str:
    """Return hundredths of a mark as 17.50."""
    sign = "-" if centi < 0 else ""
    return f"{sign}{abs(centi) // 100}.{abs(centi) % 100:02d}"


def civil(at_ms: int) -> str:
    """Return civil time in China as 2026-11-24 10:32:07; -- for no time."""
    if not at_ms:
        return NONE
    moment = (_EPOCH + timedelta(milliseconds=at_ms)).astimezone(CHINA)
    return moment.replace(tzinfo=None).isoformat(" ", "seconds")


def correction(rules: str) -> str:
    """Return the rules of a price correction in words; they are recorded as codes, parted by 、."""
    return "；".join(CORRECTIONS.get(code, code) for code in rules.split("、"))


def aggregation(kind: str, trim_from: int) -> str:
    """Return how the members' marks become one."""
    if kind == "trimmed":
        return f"各成员评分取算术平均值；成员不少于 {trim_from} 人时，每项先去掉一个最高分和一个最低分"
    return "各成员评分取算术平均值"


def price_rule(method: "PriceMethod") -> tuple[str, ...]:
    """Return the price part of the documents in sentences without full stops, in the order in which it is computed."""
    match method.method:
        case "lowest-ratio":
            return (
                f"价格分满分 {method.full} 分",
                "以有效投标的最低评标价为评标基准价",
                f"价格分＝评标基准价÷评标价×{method.full}",
                *_rounded("价格分", method.round_score),
            )
        case "lowest-evaluated":
            return ("按评标价由低到高排序，价格不计分",)
        case _:
            return _benchmark_rule(method)


def _benchmark_rule(method: "PriceMethod") -> tuple[str, ...]:
    said = [f"价格分满分 {method.full} 分"]
    if method.drawn:
        said.append(f"{method.drawn} 在开标后公开抽取，备选值 {'、'.join(method.options)}")
        method = replace(method, **{method.drawn: method.drawn})  # type: ignore[arg-type]
    said += _outliers(method)
    mixed = f"（最高投标限价×{method.w}＋平均价×（1－{method.w}））" if method.w else "平均价"
    factor = f"×（1－{method.k}）" if method.k else f"×{method.r}" if method.r else ""
    said.append(f"其余报价的算术平均值为平均价，评标基准价＝{mixed}{factor}")
    said += _rounded("评标基准价", method.round_benchmark)
    said.append("偏差率＝（评标价－评标基准价）÷评标基准价")
    said += _rounded("偏差率（小数）", method.round_deviation)
    said.append(f"高于评标基准价的，每高 1% 扣 {method.above} 分；低于的，每低 1% 扣 {method.below} 分")
    said.append(STEPS.get(method.step, method.step))
    if method.max_loss:
        said.append(f"最多扣 {method.max_loss} 分")
    if method.floor:
        said.append(f"最低得 {method.floor} 分")
    return (*said, *_rounded("价格分", method.round_score))


def _outliers(method: "PriceMethod") -> list[str]:
    """Return which prices leave, by the number of valid bids: of the rows that fit, the last one applies."""
    said = []
    for index, row in enumerate(method.outliers):
        later = [one.n_min for one in method.outliers[index + 1 :]]
        up_to = min(later) - 1 if later else None
        if up_to is not None and up_to < row.n_min:
            continue  # a later row always takes its place
        count = f"不少于 {row.n_min} 家" if up_to is None else f"为 {row.n_min} 至 {up_to} 家"
        leave = f"去掉 {row.high} 个最高价和 {row.low} 个最低价" if row.high or row.low else "不去掉报价"
        said.append(f"有效投标{count}时，{leave}")
    return said


def _rounded(what: str, places: int) -> tuple[str, ...]:
    return (f"{what}四舍五入保留 {places} 位小数" if places >= 0 else f"{what}不舍入",)
