"""How facts are written for people (写法): times, amounts, marks, sizes, and the words for codes. zh-CN, fixed, legal text."""

from datetime import datetime

from node.domain.binding import SignedBy
from node.domain.calendar import CHINA

NONE = "--"
SEALED = "***"

STAGES = {
    "": "未登记",
    "registered": "已登记",
    "filed": "已备案",
    "docs_out": "招标公告与文件已发出",
    "clarified": "已澄清或修改",
    "objected_docs": "招标文件异议处理中",
    "committee": "评标委员会已组建",
    "opened": "开标",
    "evaluating": "评标",
    "preliminary": "初步评审已完成",
    "detailed": "详细评审已完成",
    "reported": "评标报告已完成",
    "published": "中标候选人公示",
    "awarded": "已定标",
    "notified": "中标通知书已发出",
    "contracted": "合同已签订",
    "archived": "已归档",
}
BLOCKS = {
    "": "",
    "archived": "已归档",
    "terminated": "招标终止",
    "scrapped": "全部投标被否决",
    "round-failed": "流标",
    "suspended": "中止",
    "objection": "异议待答复，程序暂停",
}
ROLES = {
    "tenderer": "招标人",
    "agency": "招标代理",
    "bidder": "投标人",
    "expert": "评标专家",
    "operator": "交易中心",
    "witness": "见证人",
    "supervisor": "行政监督",
    "reviewer": "上级审查员",
    "technician": "系统管理员",
    "system": "本机",
}
OUTCOMES = {"confirmed": "复核：行为当时未吊销", "was-revoked": "复核：行为之前已吊销，须由人员处理"}
FAULTS = {"bidder": "投标人原因", "platform": "平台原因", "other": "其他原因", "undecided": "原因待认定", "": NONE}
PHASES = {
    "sealed": "密封",
    "releasing": "等待保管人释放份额",
    "decrypting": "等待投标人解密",
    "opened": "已全部开启",
    "minutes": "开标记录已确认",
}
TRUSTEE_ROLES = {
    "tenderer": "招标人代表",
    "supervisor": "行政监督",
    "operator": "交易中心值班员",
    "witness": "见证",
    "prefecture": "州级平台",
}
STANDINGS = {
    "": "未判断",
    "fresh": "有效",
    "grace": "有效，吊销名单已过期（宽限内）",
    "unknown": "吊销状态未知，待复核",
}
BLAMES = {
    "wrong-share": "释放的份额不是投标人承诺的份额",
    "false-complaint": "声称份额不能用，经核对份额完好",
    "bad-wrap": "投标人交给保管人的份额不是其承诺的份额",
    "shares-disagree": "投标人分发的份额不属于同一密钥",
    "wrong-half": "投标人解密的密钥与投标文件不符",
    "two-keys": "两种开启方式得到两个密钥，投标文件无效",
    "undecided": "声称份额不能用，现有份额不足以判断",
    "half-misfit": "在案的解密打不开投标文件，本应拒收",
    "withheld": "没有在规定时间内释放份额",
    "half-missing": "没有在规定时间内解密",
    "stored-file-damaged": "本机保存的文件已损坏",
    "content-wrong": "文件打开后不是一份合格的投标内容",
}
CEREMONY_FILES = {
    "malformed": "文件不完整或格式不对，请重新导出",
    "wrong-kind": "不是这里要的文件，请核对后重新选择",
    "another-lot": "文件属于另一标段或另一次招标",
    "set-differs": "文件所列的投标文件与其摘要不符",
    "signature-wrong": "文件上的签名不成立",
    "other-signer": "不是登记的保管人签名",
    "not-a-trustee": "密钥不属于本标段的保管人",
    "not-in-the-set": "这份投标文件不在本次解密的集合里",
    "not-readable": "文件不是为本次解密仪式生成的",
    "half-does-not-fit": "这份解密打不开该投标文件，未收下；先前收下的仍然有效",
}
EFFECTS = {"revoked": "视为撤销投标文件", "withdrawn": "视为撤回投标文件", "undecided": "撤销或者撤回待认定"}
BOND_VERDICTS = {
    "ok": "符合",
    "missing": "未递交",
    "late": "迟到",
    "too-low": "金额不足",
    "wrong-form": "形式不符",
    "too-short": "有效期不足",
}
BOND_FORMS = {
    "transfer": "转账",
    "cheque": "支票",
    "guarantee-bank": "银行保函",
    "guarantee-company": "担保公司保函",
    "insurance": "保证保险",
    "": NONE,
}
GROUPS = {"technical": "技术", "business": "商务", "credit": "信用", "other": "其他"}
QUALITIES = {"synchronised": "已同步", "holdover": "守时", "doubtful": "存疑"}
INCIDENTS = {
    "mains-lost": "市电中断",
    "link-lost": "专线中断",
    "node-lost": "节点故障",
    "device": "设备故障",
    "environment": "环境异常",
    "conduct": "现场秩序",
    "other": "其他",
}
GROUNDS = {
    "zbt51-1": "投标文件未经投标单位盖章和单位负责人签字",
    "zbt51-2": "联合体没有提交共同投标协议",
    "zbt51-3": "投标人不符合资格条件",
    "zbt51-4": "提交两个以上不同的投标文件或者投标报价",
    "zbt51-5": "投标报价低于成本或者高于最高投标限价",
    "zbt51-6": "没有对招标文件的实质性要求和条件作出响应",
    "zbt51-7": "串通投标、弄虚作假、行贿等违法行为",
}
EVENTS = {
    "signatures.signature-judged": "证书签名复核",
    "project.lot-registered": "标段登记",
    "project.filing-submitted": "提交备案",
    "project.filing-decided": "备案意见",
    "project.suspended": "中止",
    "project.resumed": "恢复",
    "project.round-failed": "流标",
    "project.procedure-scrapped": "否决全部投标",
    "project.procedure-terminated": "终止招标",
    "project.retender-started": "重新招标",
    "notice.documents-issued": "招标文件定稿",
    "notice.notice-published": "招标公告",
    "notice.notice-withdrawn": "撤销公告",
    "notice.documents-amended": "澄清或修改",
    "notice.participation-registered": "获取招标文件",
    "bond.bond-recorded": "投标保证金登记",
    "bidding.bid-received": "收到投标文件",
    "bidding.bid-withdrawn": "撤回投标文件",
    "opening.opening-started": "开标开始",
    "opening.bid-opened": "解密成功",
    "opening.bid-decryption-failed": "解密失败",
    "opening.bid-announced": "唱标",
    "opening.opening-confirmed": "开标记录确认",
    "trustees.trustees-appointed": "确定份额保管人",
    "unsealing.ceremony-begun": "解密仪式开始",
    "unsealing.shares-released": "保管人释放份额",
    "unsealing.half-given": "投标人完成解密",
    "unsealing.seal-broken": "开启密钥公布",
    "unsealing.bid-blamed": "解密责任记录",
    "unsealing.file-given-up": "确认文件无法取回",
    "judged.signer-judged": "签名证书判定",
    "objection.objection-raised": "提出异议",
    "objection.objection-answered": "答复异议",
    "panel.committee-formed": "组建评标委员会",
    "panel.chair-elected": "推选组长",
    "panel.member-replaced": "更换成员",
    "sheet.signed-in": "专家签到",
    "sheet.recusal-declared": "回避声明",
    "sheet.checklist-submitted": "初步评审意见（密封）",
    "sheet.marks-submitted": "评分（密封）",
    "sheet.sheet-signed": "评分表签字",
    "sheet.marks-corrected": "复核更正",
    "sheet.report-signed": "报告签署",
    "evaluation.evaluation-started": "评标开始",
    "evaluation.preliminary-concluded": "初步评审结论",
    "evaluation.preliminary-reopened": "初步评审重新进行",
    "evaluation.bid-rejected": "否决投标",
    "evaluation.clarification-requested": "要求澄清",
    "evaluation.clarification-answered": "澄清答复",
    "evaluation.price-corrected": "算术修正",
    "evaluation.scoring-closed": "评分结束",
    "evaluation.recheck-ordered": "要求复核",
    "evaluation.recheck-closed": "复核完成",
    "evaluation.ranking-computed": "排序",
    "evaluation.report-completed": "评标报告完成",
    "award.candidates-published": "中标候选人公示",
    "award.award-decided": "定标",
    "award.award-notice-issued": "中标通知书",
    "award.contract-recorded": "合同签订",
    "award.winner-refused": "中标人拒签",
    "award.lot-archived": "归档",
    "custody.custody-taken": "接管主持权",
    "custody.custody-released": "移交主持权",
    "custody.custody-recalled": "收回主持权",
    "custody.entry-adopted": "采纳原主持节点的未传记录",
    "custody.entry-declined": "不采纳原主持节点的未传记录",
    "incident.witness-relaxed": "改为单机记录",
    "epoch.epoch-opened": "开启新纪元（日志继承）",
    "epoch.branch-noted": "另一段历史的记录已处理",
    "epoch.succession-noted": "邻机日志纪元更替",
    "incident.incident-recorded": "异常记录",
    "incident.incident-closed": "异常结束",
    "review.finding-raised": "审查意见（请说明）",
    "review.finding-answered": "审查答复",
    "review.finding-closed": "审查意见办结",
    "review.reviewed": "已审查",
    "draw.experts-frozen": "冻结专家抽取名单",
    "draw.options-frozen": "冻结备选项",
    "draw.nonce-committed": "承诺随机数",
    "draw.nonce-revealed": "揭示随机数",
    "draw.share-released": "受托人提交份额",
    "draw.escrow-opened": "开启托管的随机数",
    "draw.pool-ranked": "确定抽取排序",
    "draw.option-drawn": "抽取结果",
    "draw.outcome-recorded": "记录通知结果",
    "draw.draw-voided": "抽取作废",
    "draw.draw-published": "公布抽取证明",
    "bank.experts-imported": "导入专家库快照",
    "imported.lot-imported": "导入标段",
    "imported.lot-import-amended": "导入更正",
}


def civil(at_ms: int) -> str:
    """Return 2026-11-24 10:32:07; -- for no time."""
    if not at_ms:
        return NONE
    return datetime.fromtimestamp(at_ms / 1_000, CHINA).strftime("%Y-%m-%d %H:%M:%S")


def clock(at_ms: int) -> str:
    """Return 10:32."""
    return datetime.fromtimestamp(at_ms / 1_000, CHINA).strftime("%H:%M") if at_ms else NONE


def yuan(fen: int) -> str:
    """Return 1,234,567.89 of a whole number of fen."""
    sign = "-" if fen < 0 else ""
    return f"{sign}{abs(fen) // 100:,}.{abs(fen) % 100:02d}"


def mark(centi: int) -> str:
    """Return a mark with two places."""
    return f"{centi // 100}.{centi % 100:02d}"


def fingerprint(digest: bytes) -> str:
    """Return the first 16 bytes of a digest in groups of four hex digits."""
    text = digest.hex()[:32]
    return " ".join(text[at : at + 4] for at in range(0, len(text), 4))


def event_words(names: tuple[str, ...]) -> str:
    """Return what happened in an entry, in words; an unknown name as it stands."""
    return "、".join(EVENTS.get(name, f"未识别的记录 {name}") for name in names)


def minutes(ms: int) -> str:
    """Return a span as 3 小时 05 分 or 41 分."""
    whole = max(ms, 0) // 60_000
    return f"{whole // 60} 小时 {whole % 60:02d} 分" if whole >= 60 else f"{whole} 分"


def about(seconds: int) -> str:
    """Return a time still to come as 约 40 秒, 约 3 分钟 or 约 2 小时 05 分, rounded up: it is an estimate."""
    if seconds < 60:
        return f"约 {max(-(-seconds // 5) * 5, 5)} 秒"
    whole = -(-seconds // 60)
    return f"约 {whole // 60} 小时 {whole % 60:02d} 分" if whole >= 60 else f"约 {whole} 分钟"


def signer_words(by: SignedBy) -> str:
    """Return who signed and what was known of the certificate. An expert's number is nobody else's to know (ZB 37)."""
    return f"{who_words(by.who)}（{STANDINGS.get(by.standing, by.standing)}）"


def who_words(who: str, member: str = "") -> str:
    """Return a person by role and number; an expert by the number in the lot."""
    role, _, no = who.partition(":")
    return f"{ROLES.get(role, role)} {member if role == 'expert' else no}".rstrip()
