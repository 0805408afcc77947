"""How the start-up gate stands, as facts (启动检查): made by start.py and recover.py, shown by pages and the command line."""

from dataclasses import dataclass

import apsw

from sync.fence import Rollback
from sync.log import instance_id

HEALABLE = frozenset({"unsigned-tail", "entry-changed", "fence-ahead", "peer-ahead"})

RESTORE_SCHEMA = """
CREATE TABLE IF NOT EXISTS restores (       -- copies of this database that `erhai restore` made, by their instance id
    instance BLOB PRIMARY KEY,
    source TEXT NOT NULL,
    txid TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    size INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class GateReport:
    """How the start-up gate stands (启动检查), for pages and the command line.

    `cause` is empty once the node may append; else a cause of `sync.fence.Rollback`, `restored` (a copy that `erhai restore`
    made and that was not compared yet), `database-missing` (an empty database that a start has made where one with released
    entries was) or `waiting` (it agrees with everything known, but `waiting_for` have not answered). `phase` hash, fetch, compare or derive while a heal works.
    """

    cause: str = ""
    source: str = ""
    local_size: int = 0
    proven_size: int = 0
    waiting_for: tuple[str, ...] = ()
    phase: str = ""
    done: int = 0
    total: int = 0
    problem: str = ""  # why the last attempt did not heal

    @property
    def healable(self) -> bool:
        """Return whether the node goes on trying by itself."""
        return self.cause in HEALABLE or self.cause in {"waiting", "restored", "other-instance"}


def is_restored(db: apsw.Connection) -> bool:
    """Return whether this database is a copy that `erhai restore` made."""
    return db.execute("SELECT 1 FROM restores WHERE instance = ?", (instance_id(db),)).fetchone() is not None


def report_of(verdict: object) -> GateReport:
    """Return the report of a gate's verdict."""
    if not isinstance(verdict, Rollback):
        return GateReport()
    proven = 0 if verdict.proven is None else verdict.proven.size
    missing = verdict.cause == "other-instance" and verdict.local.size == 0 < proven
    return GateReport("database-missing" if missing else verdict.cause, verdict.source, verdict.local.size, proven)


_CAUSES = {
    "closed": "发现本机密钥在别处签过的记录，或已另开纪元；本日志不再写入，须由两人查明后开启新纪元",
    "other-instance": "数据库是直接复制来的，没有经过 erhai restore；请停止节点后用它恢复",
    "database-missing": "数据库文件缺失，现有的是启动时新建的空库；请停止节点后用 erhai restore 恢复",
    "restored": "数据库是由 erhai restore 恢复的副本，正在与邻机核对，核对之后才能写入",
    "other-origin": "栅栏文件属于另一日志",
    "unsigned-tail": "末尾记录没有本机签名，正在由邻机自愈",
    "entry-changed": "有记录受损，正在由邻机自愈",
    "fence-ahead": "少于本机已经发出的记录，正在向邻机找回",
    "fence-differs": "与本机已经发出的记录不一致，不能自愈，须由两人开启新纪元",
    "peer-ahead": "少于邻机存证的记录，正在向邻机找回",
    "peer-differs": "与邻机存证的记录不一致，不能自愈，须由两人开启新纪元",
    "waiting": "恢复来的副本与已知情况一致，正在等待邻机答复",
}
_PHASES = {"hash": "重新核算本机记录", "compare": "与邻机比对", "fetch": "取回记录", "derive": "重算视图"}


def words_of(report: GateReport) -> str:
    """Return what a report says, for people; empty where the node may append."""
    if not report.cause:
        return ""
    text = f"本机日志 {report.local_size} 条，{_CAUSES.get(report.cause, report.cause)}"
    if report.proven_size > report.local_size:
        text += f"（{report.source} 处已知 {report.proven_size} 条）"
    if report.waiting_for:
        text += f"：{'、'.join(report.waiting_for)}"
    if report.phase:
        text += f"；{_PHASES[report.phase]} {report.done}/{report.total}"
    return text
