"""What the prefecture holds of each node (县区一览): entries, what has been promised and not arrived, what does not fit."""

from dataclasses import dataclass

import apsw

from sync.log import head, origins
from sync.witness import misbehaviours


@dataclass(frozen=True, slots=True)
class CountyRow:
    """One log held here. `behind` entries are promised by a verified checkpoint and have not arrived."""

    origin: str
    hex_origin: str
    node: str
    size: int
    behind: int
    last_at_ms: int
    integrity: str  # 一致 | 证据不一致 | 尚无记录
    own: bool


def counties(db: apsw.Connection, names: dict[str, str], own: str) -> list[CountyRow]:
    """Return every log held here; what does not fit first, then the most behind. `names`: origin -> node code."""
    bad = {one.origin for one in misbehaviours(db)}
    rows = []
    for origin in origins(db):
        held = head(db, origin)
        last = db.execute("SELECT max(at_ms) FROM entry_index WHERE origin = ?", (origin,)).fetchone()
        tampered = origin in bad or (held.frozen is not None and not held.frozen.startswith("succeeded"))
        word = "证据不一致" if tampered else "已由新纪元接续" if held.frozen else "一致" if held.size else "尚无记录"
        rows.append(
            CountyRow(
                origin=origin,
                hex_origin=origin.encode().hex(),
                node=names.get(origin, origin),
                size=held.size,
                behind=max(held.promised - held.size, 0),
                last_at_ms=int(last[0] or 0) if last else 0,
                integrity=word,
                own=origin == own,
            )
        )
    return sorted(rows, key=lambda row: (row.integrity != "证据不一致", row.own, -row.behind, row.origin))
