"""How the start-up gate stands, as facts (启动检查): made by start.py and recover.py, shown by pages and the command line."""

from dataclasses import dataclass

from sync.fence import Rollback

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

    `cause` is empty once the node may append; else a cause of `sync.fence.Rollback`, or `waiting` (a restored copy agrees
    with everything known, but `waiting_for` have not answered). `phase` hash, fetch, compare or derive while a heal works.
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
        return self.cause in HEALABLE or self.cause in {"waiting", "other-instance"}


def report_of(verdict: object) -> GateReport:
    """Return the report of a gate's verdict."""
    if not isinstance(verdict, Rollback):
        return GateReport()
    proven = 0 if verdict.proven is None else verdict.proven.size
    return GateReport(verdict.cause, verdict.source, verdict.local.size, proven)
