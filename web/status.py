"""What the bar says of this node (状态条): one table of words, and what is so at this moment.

The bar shows a notice's line on every page, /node shows the sentence of what to do beside it. Links to peers have words of
their own below; certificates and the room's network have theirs in web/alarms.py.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node.node import Node
from node.places import DATABASE
from node.store import StoreFault
from node.verdict import HEALABLE, words_of
from sync.status import LinkState, PeerStatus
from web import words
from web.alarms import REASONS, alarm_rows

# cause: tone (ok | quiet | warn | bad), what the bar says, what to do
WORDS: dict[str, tuple[str, str, str]] = {
    "well": ("ok", "本机正常", ""),
    "database-missing": (
        "bad",
        "本机数据库文件缺失，只能查阅，不能写入",
        "现有的是启动时新建的空库，栅栏文件记明已发出 {size} 条。请停止本机，运行 erhai restore --from {sources} 恢复。",
    ),
    "stopped": ("bad", "本机只能查阅，不能写入", "见“启动检查”。"),
    "disk-full": ("bad", "本机磁盘已满，不能写入", "请清理磁盘空间；有空间后自动恢复写入，不需要其他操作。"),
    "disk-damaged": (
        "bad",
        "本机数据库受损，不能写入",
        "请停止本机，运行 erhai check，再用 erhai restore --from peers 恢复。",
    ),
    "disk-read-only": ("bad", "本机磁盘只读，不能写入", "请检查磁盘的挂载方式和文件权限。"),
    "disk-disk": ("bad", "本机磁盘读写出错，不能写入", "请检查磁盘；换盘后由邻机或副本恢复。"),
    "disk-fence": ("bad", "本机栅栏文件写不进，不能写入", "请检查磁盘，然后重新启动本机。"),
    "disk-other": ("bad", "本机数据库暂时不能写入", "正在重试；一直如此的，请重新启动本机。"),
    "disk-low": (
        "warn",
        "本机磁盘空间不足，已停止为邻机存证",
        "余 {free} MiB，低于设置的 {floor} MiB：不接收其他节点的记录，邻机因此不能出具回执。请清理磁盘，之后自动恢复。",
    ),
    "forked": (
        "bad",
        "{names} 的密钥签过两段不同的历史，请立即报告",
        "不要采信其新记录。两份签名都已保存，可下载全部证据；须由两人查明后另开纪元。",
    ),
    "forked-self": (
        "bad",
        "本机的密钥签过两段不同的历史，请立即报告",
        "本日志不再写入。两份签名都已保存，可下载全部证据；须由两人查明后另开纪元。",
    ),
    "branch": (
        "bad",
        "本机原日志另有一段历史，其中 {count} 条记录和回执未计入",
        "见下面“另一段历史”：逐条查看、须补办的补办，然后由两人记为已处理。",
    ),
    "branch-away": (
        "bad",
        "本机原日志另有一段历史（{size} 条），其记录不在本机",
        "缺失条数不明。请接通持有它的邻机或上级，联系上后自动取回并逐条列出。",
    ),
    "copies-stalled": ("warn", "数据库副本停滞：{names}", "请检查副本所在磁盘或线路。"),
    "copies-broken": (
        "warn",
        "数据库副本不能恢复：{names}",
        "副本缺少文件，正在自动重做全量快照。一直如此的，请检查副本所在磁盘。",
    ),
    "copies-waiting": (
        "warn",
        "数据库副本暂停，不是最新：{names}",
        "本机没有通过启动检查，或数据库少于已发出的记录：不向副本写入，副本保持原样；恢复或自愈后自动继续。",
    ),
    "counties-silent": ("warn", "{count} 个节点无联系：{names}", "最近联系时间见“县区一览”。请核实该节点和线路。"),
}
_NAMED = 3  # names in the bar; the rest is counted


@dataclass(frozen=True, slots=True)
class Notice:
    """One thing that is so. `line` is for the bar, `action` says what to do; `tone` ok | quiet | warn | bad."""

    cause: str
    tone: str
    line: str
    action: str


def notice(cause: str, **facts: object) -> Notice:
    """Return what a cause says, with its facts filled in."""
    tone, line, action = WORDS[cause]
    return Notice(cause, tone, line.format(**facts), action.format(**facts))


def of_node(node: Node) -> Notice:
    """Return the bar's first word: whether this node records."""
    fault = node.fault
    if fault is None:
        return notice("well")
    if node.gate.cause == "database-missing":
        replicas = [one.name for one in node.settings.replicas if one.database == DATABASE]
        return notice("database-missing", size=node.gate.proven_size, sources=" 或 ".join([*replicas, "peers"]))
    if node.stopped is not None or not isinstance(fault, StoreFault):
        return notice("stopped")
    return notice(f"disk-{fault.cause or 'other'}")


def why_not(node: Node) -> str:
    """Return why this node records nothing, in words; "" where it does."""
    if node.fault is None:
        return ""
    if node.stopped is not None:
        return words_of(node.gate) or str(node.stopped)
    found = of_node(node)
    return f"{found.line.partition('，')[0]}。{found.action}"


def notices(node: Node) -> tuple[Notice, ...]:
    """Return everything else that somebody must see to, the worst first."""
    found = []
    seen, own = node.around.seen, node.settings.node
    others = [name for name in seen.forked if name != own]
    if own in seen.forked:
        found.append(notice("forked-self"))
    if others:
        found.append(notice("forked", names=_names(others)))
    for branch in node.branches:
        if branch.away and not branch.noted:
            found.append(notice("branch-away", size=branch.away))
        if branch.records and not branch.noted:
            found.append(notice("branch", count=len(branch.records)))
    if seen.low:
        free, floor = seen.free_bytes // (1024 * 1024), node.settings.disk_floor_mib
        found.append(notice("disk-low", free=free, floor=floor))
    for state, cause in (
        ("broken", "copies-broken"),
        ("stalled", "copies-stalled"),
        ("waiting", "copies-waiting"),
    ):
        states = {state, "down"} if state == "stalled" else {state}
        names = [one.name for one in node.replica_status() if one.state in states]
        if names:
            found.append(notice(cause, names=_names(names)))
    silent = node.around.silent()
    if silent:
        named = [f"{one.name}（{words.clock(one.last_ms)} 起）" if one.last_ms else one.name for one in silent]
        found.append(notice("counties-silent", count=len(silent), names=_names(named)))
    found += [Notice(row.alarm.cause, "warn", row.line, row.action) for row in alarm_rows(node.trust_alarms)]
    return tuple(found)


def _names(names: Sequence[str]) -> str:
    rest = f" 等 {len(names)} 个" if len(names) > _NAMED else ""
    return "、".join(names[:_NAMED]) + rest


def asked(node: Node) -> str:
    """Return who was asked at the start what it holds of the own log, and who answered."""
    answered = [name for name, reached in node.around.asked if reached]
    late = [name for name, reached in node.around.asked if not reached]
    if not answered and not late:
        return "启动时没有可询问的邻机或上级，只与栅栏文件核对"
    parts = [f"与 {'、'.join(answered)} 的存证不冲突"] if answered else ["启动时没有任何邻机或上级答复"]
    return "，".join(parts + ([f"{'、'.join(late)} 没有答复，未能核对"] if late else []))


# -- links to peers --------------------------------------------------------------------------------------------------


def pushes(node: Node, kind: str, direction: str = "push") -> list[PeerStatus]:
    """Return the state of pushing the own log (or files) to peers of one kind: what decides how far a record travels."""
    found = []
    own = node.settings.origin
    for status in node.peer_status():
        peer = node.settings.peer(status.name)
        if peer is not None and peer.kind == kind and status.direction == direction and status.origin == own:
            found.append(status)
    return found


def doubt(node: Node) -> str:
    """Return which side evidence that does not fit speaks against: "" the other; healing | closed where it is this node,
    whose own log has not passed the start-up gate, or is closed.
    """
    if node.stopped is None:
        return ""
    return "healing" if node.gate.cause in HEALABLE | {"waiting", "other-instance", "database-missing"} else "closed"


_DOUBTS = {
    "healing": "{who}存证的记录与本机不符，本机日志尚未通过核对",
    "closed": "{who}存证的记录与本机不符，请立即报告",
}


def _good(status: PeerStatus) -> bool:
    return status.state in {LinkState.CURRENT, LinkState.SENDING}


def _certificate(status: PeerStatus, who: str) -> str:
    """Return whose certificate ends a link, and why; "" where it is something else."""
    why = status.detail.partition(": ")[2]
    if status.why == "own-certificate":
        return f"{who}不接受本机：本机{REASONS.get(why, why)}"
    return f"本机不接受{who}：{who}{REASONS.get(why, why)}" if status.why == "peer-certificate" else ""


_STRANGERS = {"foreign-certificate": "证书不符", "not-tls": "可能是上网认证页"}


def neighbours(rooms: list[PeerStatus], doubted: str = "") -> tuple[str, str]:
    """Return what the bar says of the room's neighbours, and its tone; `doubted` as `doubt` says."""
    if not rooms:
        return "", "ok"
    if any(peer.state is LinkState.TAMPERED for peer in rooms):
        return (_DOUBTS[doubted].format(who="邻机") if doubted else "邻机证据不一致，请立即报告"), "bad"
    if any(peer.state is LinkState.FAULT for peer in rooms):
        return "本机磁盘或数据库故障，邻机未能存证", "bad"
    good = [peer for peer in rooms if _good(peer)]
    text = f"邻机 {len(good)}/{len(rooms)}"
    if len(good) == len(rooms):
        return text, "ok"
    since = min((peer.last_contact_ms or 0) for peer in rooms if not _good(peer))
    text += f"，{words.clock(since)} 起" if since else ""
    refused = [peer for peer in rooms if peer.state is LinkState.REFUSED]
    if any(peer.why in _STRANGERS for peer in rooms):
        text += "：应答的不是邻机"
    elif refused:
        text += "：" + (_certificate(refused[0], "邻机") or "邻机拒收")
    return text + ("：记录只存于本机" if not good else ""), "warn"


def prefecture(above: list[PeerStatus], doubted: str = "", *, counts: bool = True) -> tuple[str, str]:
    """Return what the bar says of the prefecture, and its tone; numbers only for those whose work it is."""
    if not above:
        return "", "ok"
    one = above[0]
    if one.state is LinkState.TAMPERED:
        return (_DOUBTS[doubted].format(who="上级") if doubted else "上级发现证据不一致，请立即报告"), "bad"
    waiting = "待传" if one.entries_behind else ""
    if waiting and counts:
        waiting += f" {one.entries_behind:,} 条"
        if one.state is LinkState.SENDING and one.expected_s is not None:
            waiting += f"，{words.about(one.expected_s)}"
    if _good(one):
        return (f"上级{waiting}" if waiting else "上级已同步"), "ok"
    comma = "，" if waiting else ""
    if one.state is LinkState.FAULT:
        return f"本机磁盘或数据库故障，上报停止{comma}{waiting}", "bad"
    if one.why in _STRANGERS:
        return f"线路上应答的不是上级（{_STRANGERS[one.why]}），未发送任何记录{comma}{waiting}", "warn"
    if one.state is LinkState.REFUSED:
        why = _certificate(one, "上级") or "上级拒收本机记录"
        return f"{why}，请联系上级管理员{comma}{waiting}", "warn"
    since = f"{words.clock(one.last_contact_ms)} 起上级不可达" if one.last_contact_ms else "上级不可达"
    return f"{since}{comma}{waiting}", "quiet"
