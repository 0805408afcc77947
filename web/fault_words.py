"""Why this machine cannot record now, for the person at a page (不能写入的原因): no path, no English, and what to do."""

from node.recorder import NodeFault
from node.store import DamagedFile, StoreFault

_NODE = {
    "stopped": "本机启动检查没有通过，只能查阅。原因和进展见“本机”页",
    "catching-up": "本机刚启动，正在等邻机的记录。请过几秒再试",
    "no-room-key": "本机没有开标室密钥，请技术人员从同室另一节点复制",
}
_STORE = {
    "full": "磁盘已满。腾出空间后再试，不需要其他处理",
    "read-only": "磁盘不允许写入。请技术人员检查磁盘的挂载和文件权限",
    "disk": "磁盘读写出错。请技术人员检查磁盘，然后再试",
    "fence": "栅栏文件不能写入。请技术人员检查磁盘，然后重新启动节点",
}
_DAMAGED = "数据库文件受损。请技术人员停止节点，运行 erhai check 和 erhai restore"
_OTHER = "数据库暂时不能写入。请再试一次；仍不行的，请技术人员重新启动节点"


def why_not(fault: NodeFault | StoreFault) -> str:
    """Return the sentence; the fault's own text is for the log."""
    if isinstance(fault, NodeFault):
        return _NODE[fault.code]
    return _DAMAGED if isinstance(fault, DamagedFile) else _STORE.get(fault.cause, _OTHER)
