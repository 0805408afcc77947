"""From refusals to sentences (提示语): what happened, to what, which rule with its number and source, what can be done now.

The only place with rule text for people. A code without a sentence of its own still gets a whole one, from its facts.
"""

from dataclasses import dataclass

from node.domain.refused import Refused


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a refusal page shows."""

    code: str
    title: str
    todo: str
    rule: str
    value: str
    limit: str
    cites: tuple[str, ...]
    facts: tuple[tuple[str, str], ...]


# code: (what happened, what can be done)
SENTENCES: dict[str, tuple[str, str]] = {
    "role-may-not": ("您的角色不能办理此项", "请由有此职责的人员办理，职责分工见操作手册。"),
    "acts-in-another-role": ("同一人在本标段不能兼任两种角色", "请由另一人办理。"),
    "not-owner": ("本机不是这一事项的主持节点", "请到主持节点办理；需要转移主持权时按规程办理。"),
    "command-id-reused": ("这张表单已用于另一事项", "请重新打开页面再填写。"),
    "clock-doubtful": (
        "本机时间存疑，不能办理与截止时间有关的事项",
        "请恢复时间同步，或由两人核对独立时钟后联名确认。",
    ),
    "unknown-event": ("此事项含有本版本不认识的记录", "请先升级本机程序；记录仍完整保存。"),
    "lot-not-registered": ("标段尚未登记", "请先办理入场登记。"),
    "suspended": ("程序已中止，暂不能办理", "恢复后再办理；已写入的记录不受影响。"),
    "paused-by-objection": ("异议尚未答复，程序暂停", "请先答复异议。"),
    "procedure-over": ("本次招标程序已经结束", "如需重新招标，请开始新的一轮。"),
    "deadline-not-reached": ("投标截止时间未到，不能开标", "请在截止时间到达后开标。"),
    "deadline-passed": ("投标截止时间已过，不再接收", "逾期送达的投标文件应当拒收。"),
    "bid-late": ("投标截止时间已过，不再接收", "逾期送达的投标文件应当拒收。"),
    "unknown-bid": ("没有收到这份投标文件", "请核对编号。"),
    "not-in-order": ("请按顺序办理", "请办理页面提示的下一项。"),
    "seals-left": ("还有投标文件没有解密", "请先完成全部解密。"),
    "bids-not-read-out": ("还有投标文件没有唱标", "请先完成解密和唱标。"),
    "committee-too-small": ("评标委员会人数不足", "请补足成员后再组建。"),
    "committee-even": ("评标委员会成员应为单数", "请增加或减少一名成员。"),
    "too-few-experts": ("技术、经济专家不足成员总数的三分之二", "请增加专家。"),
    "supervisor-may-not-sit": ("行政监督部门的工作人员不得担任评标委员会成员", "请更换该成员。"),
    "mark-out-of-range": ("评分超出该项分值", "请在 0 到满分之间评分。"),
    "mark-off-step": ("评分不符合该项的分档", "请按规定的步长评分。"),
    "sheet-signed": ("评分表已签字，不能再改", "如需更正，须由复核程序提出。"),
    "sheets-unsigned": ("还有成员没有在评分表上签字", "全部签字后才能结束评分。"),
    "word-missing": ("还有成员没有签署报告", "全部成员表态后才能完成报告。"),
    "not-your-sheet": ("这不是您的评分表", "请用您本人的席位。"),
    "not-your-venue": ("您的席位不在本机", "请到您的席位办理。"),
    "recusal-open": ("尚未作出回避声明", "请先阅读纪律并声明。"),
    "member-must-leave": ("有成员需要回避", "请先更换该成员。"),
    "sheet-moved": ("有成员的评分表刚有变化，本机还没有收到最新内容", "请稍候片刻再试。"),
    "calendar-expired": ("工作日日历没有覆盖这一天", "请导入新的已签名日历；按自然日计算的事项不受影响。"),
}


def sentence(refused: Refused) -> Refusal:
    """Return what to show for a refusal."""
    title, todo = SENTENCES.get(
        refused.code, ("按规则不能办理", "请核对下面列出的规则和数值，更正后再办理；需要帮助请呼叫工作人员。")
    )
    return Refusal(
        code=refused.code,
        title=title,
        todo=todo,
        rule=refused.rule,
        value=refused.value,
        limit=refused.limit,
        cites=refused.cites,
        facts=refused.facts,
    )
