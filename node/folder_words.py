"""What is wrong with a data folder, in words and with the next step, for every command that opens one (数据目录用语)."""

from pathlib import Path

import apsw

from node.places import DATABASE, SETTINGS
from node.read_only import READ_ONLY, WRITABLE, is_read_only
from node.store import DamagedFile
from node.verdict import GateReport
from sync.fence import FenceFault
from sync.log import LogFault

DAMAGED = (apsw.CorruptError, apsw.NotADBError, UnicodeDecodeError, DamagedFile)
"""What reading a database file with changed bytes raises."""
_RESTORE = "erhai restore --data {data} --from peers"


def restore_command(data: Path) -> str:
    """Return the command that brings a folder's database back from its neighbours."""
    return _RESTORE.format(data=data)


def damaged_words(data: Path, why: object) -> str:
    """Say that the database file itself is damaged."""
    if isinstance(why, DamagedFile):
        why = why.why
    return (
        f"数据库文件受损 / the database file is damaged: {data / DATABASE}: {why}\n"
        f"  停止节点后由邻机找回，或由副本恢复 / stop the node, then: {restore_command(data)}"
    )


_NOT_DAMAGE = {"unknown-log": "没有这个日志", "no-checkpoint": "还没有检查点", "no-such-entry": "没有这条记录"}
_LOG_DAMAGE = {
    "changed-entry": ("第 {} 条记录的字节与其散列不符", "entry {}: the bytes do not have the stored hash"),
    "damaged-row": ("第 {} 条记录读不出", "entry {} cannot be read"),
    "missing-entries": ("第 {} 条记录起有缺失", "entries are missing from {} on"),
    "changed-hash": ("第 {} 条记录起的子树散列不符", "the stored hash of the subtree from entry {} on does not follow"),
    "wrong-checkpoint": ("存储的散列与检查点不符", "the stored hashes are not what the checkpoint signs"),
    "damaged-head": ("日志首部受损", "the head is damaged"),
}


def is_damage(fault: LogFault) -> bool:
    """Return whether a log is damaged; else something was asked for that is not in it."""
    return fault.what not in _NOT_DAMAGE


def log_words(fault: LogFault) -> str:
    """Say which log and which entry a fault is about."""
    if not is_damage(fault):
        return f"{_NOT_DAMAGE[fault.what]} / {fault}"
    zh, en = (said.format(fault.start) for said in _LOG_DAMAGE.get(fault.what, (fault.what, fault.what)))
    return f"{fault.origin} {zh} / {en}"


def log_steps(data: Path) -> str:
    """Return what to do where a log is damaged."""
    return (
        f"  查明受损处 / find out where: erhai check --data {data}\n"
        f"  停止节点后由邻机找回，或由副本恢复 / stop the node, then: {restore_command(data)}"
    )


def fence_words(data: Path, fault: FenceFault) -> str:
    """Say what is wrong with the fence: only one of its faults is a node that still runs."""
    match fault.why:
        case "in-use":
            return f"请先停止节点 / stop the node first: {fault}"
        case "missing" | "damaged":
            zh, en = {"missing": ("缺失", "missing"), "damaged": ("受损", "damaged")}[fault.why]
            return (
                f"栅栏文件{zh}，不知道本机已发出多少条记录 / the fence is {en}: {fault.path}\n"
                f"  不要新建或复制栅栏文件；停止节点后恢复，由全部邻机核对 / {restore_command(data)}"
            )
        case _ if is_read_only(fault.path):
            return f"{READ_ONLY}: {fault.path}\n  {WRITABLE}"
        case _:
            return f"栅栏文件不能使用 / the fence cannot be used: {fault}"


def short_words(data: Path, size: int, released: int) -> str:
    """Say that the database holds less than the node has released."""
    return (
        f"数据库只有 {size} 条本机记录，栅栏文件记明已发出 {released} 条，没有重建 / the database holds {size} of {released} "
        f"released entries, nothing was rebuilt\n  停止节点后由邻机找回，或由副本恢复 / {restore_command(data)}"
    )


def missing_words(data: Path, gate: GateReport, replicas: tuple[str, ...]) -> str:
    """Say that the database file is missing and what brings it back."""
    said = f"数据库文件缺失，现有的是启动时新建的空库；本机已经发出 {gate.proven_size} 条记录"
    lines = [f"{said} / the database file is missing: {data / DATABASE}; {gate.proven_size} entries were released"]
    sources = (*replicas, "peers")
    lines += [f"  停止节点后恢复 / stop the node, then: erhai restore --data {data} --from {one}" for one in sources]
    return "\n".join(lines)


def next_steps(data: Path, gate: GateReport, peers: tuple[str, ...]) -> str:
    """Return why a restored node may not append yet and what to do: said by a command that has ended, so nothing goes on."""
    lines = [f"还不能写入 / not active yet: {gate.cause}"]
    epoch = f"erhai epoch new --data {data} --by 甲 --by 乙 --cause restore"
    run = f"erhai run --config {data / SETTINGS}"
    if gate.cause in {"fence-ahead", "peer-ahead"}:
        known = "本机已经发出" if gate.cause == "fence-ahead" else f"邻机 {gate.source} 存证"
        lines.append(f"  数据库有 {gate.local_size} 条，{known} {gate.proven_size} 条；其余的，这次问到的邻机都没有")
        lines.append(
            f"  本机的邻机和上级：{'、'.join(peers) or '没有'}；没有开机的，开机后再办，或启动节点等它们：{run}"
        )
        lines.append("  有较新的副本或移动存储，用 erhai restore --from 副本、erhai courier import 再办")
        lines.append(f"  确认再也找不回来的，由两人开启新纪元 / where nobody has them: {epoch}")
    elif gate.cause == "waiting":
        lines.append(f"  数据库有 {gate.local_size} 条，与已知情况一致，但还没有答复的：{'、'.join(gate.waiting_for)}")
        lines.append(f"  等它们开机后启动节点，会自动核对 / start the node once they are up: {run}")
        lines.append(f"  再也等不到的，由两人开启新纪元 / where they never answer: {epoch}")
    elif gate.healable:
        lines.append(
            f"  数据库有 {gate.local_size} 条，有记录受损，这次没有邻机能补上；启动节点后会继续向邻机找回：{run}"
        )
        lines.append(f"  确认再也找不回来的，由两人开启新纪元 / where nobody has them: {epoch}")
    else:
        lines.append(
            f"  数据库有 {gate.local_size} 条，与已发出或邻机存证的记录不一致，不能自愈，须由两人开启新纪元：{epoch}"
        )
    if gate.problem:
        lines.append(f"  {gate.problem}")
    return "\n".join(lines)
