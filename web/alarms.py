"""The words of what somebody must see to (告警用语): one short line for the bar, one sentence for what to do."""

from dataclasses import dataclass

from sync.alarms import Alarm

REASONS = {
    "revoked": "证书已吊销",
    "expired": "证书已过期",
    "not-yet-valid": "证书未到生效时间，请核对时钟",
    "crl-overdue": "吊销名单过期，又不是本机登记的密钥",
    "other-key": "密钥与登记的不同",
    "crl-damaged": "本机吊销名单损坏",
}
# cause: what the bar says ({node} and {detail} are filled in), what to do
WORDS: dict[str, tuple[str, str]] = {
    "own-revoked": (
        "本机证书已被吊销",
        "本机记录不再被邻机和上级接收。请联系上级，查明后重新登记（erhai enrol request）。",
    ),
    "own-expired": (
        "本机证书已过期",
        "室内两机仍可互证；与上级只能换发证书。接通上级后自动换发，或携带 erhai enrol renew 的申请。",
    ),
    "own-expiring": ("本机证书将到期，尚未换发", "请检查到上级的线路；也可携带 erhai enrol renew 的申请到上级办理。"),
    "crl-stale": ("吊销名单已过期", "宽限七日内照常。接通上级后自动更新，或用 erhai trust crl 导入。"),
    "crl-overdue": ("没有有效的吊销名单", "只与登记过密钥的节点往来。请用 erhai trust crl 导入上级新签发的名单。"),
    "crl-damaged": ("吊销名单文件损坏", "请用 erhai trust crl 重新导入。"),
    "renewal-refused": ("换发证书未成：{detail}", "请联系上级登记处。更换过密钥的节点须重新登记。"),
    "crl-refused": ("{node} 给出的吊销名单不可信", "请报告上级：名单不是上级签发的，或同一编号有两份。"),
    "second-announcer": (
        "有人冒用 {node} 的名称广播",
        "只与出示本上级证书的设备往来，记录不受影响。请在室内网络上查找该设备。",
    ),
    "impostor": ("在 {node} 的地址上应答的不是该节点", "没有向它发送任何记录。请在室内网络上查找该设备。"),
    "malformed-announcement": ("室内网络上有不合格的节点广播 {node}", "已忽略。请查找网络上的陌生设备。"),
    "discovery-flood": (
        "室内网络上广播过多，暂停发现邻机",
        "已连接的邻机不受影响。请查找网络上的陌生设备，或在设置中写明邻机地址。",
    ),
    "discovery-down": ("室内网络不能广播，找不到未写明地址的邻机", "请检查网线和交换机，或在设置中写明邻机地址。"),
    "peer-new-key": (
        "{node} 换了密钥",
        "证书是上级签发的，密钥与名册不同。若该机刚重新登记，请安装新名册；否则立即向上级核实。",
    ),
    "peer-refused": ("已拒绝 {node}：{detail}", "请向上级核实该节点；不要为它更改本机设置。"),
}


@dataclass(frozen=True, slots=True)
class AlarmRow:
    """One alarm in words."""

    alarm: Alarm
    line: str
    action: str


def alarm_rows(alarms: tuple[Alarm, ...]) -> tuple[AlarmRow, ...]:
    """Return every alarm in words, in the order given."""
    rows = []
    for alarm in alarms:
        line, action = WORDS[alarm.cause]
        detail = REASONS.get(alarm.detail, alarm.detail)
        rows.append(AlarmRow(alarm, line.format(node=alarm.node, detail=detail).rstrip(), action))
    return tuple(rows)
