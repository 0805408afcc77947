"""What the prefecture holds of each node (县区一览): entries, what has been promised and not arrived, what does not fit,
when the node was last heard.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import apsw

from sync.log import head, origins
from sync.witness import misbehaviours


@dataclass(frozen=True, slots=True)
class CountyRow:
    """One log held or expected here. `behind` entries are promised by a verified checkpoint and have not arrived: of a silent
    node no more than was known when it fell silent.
    """

    origin: str
    hex_origin: str
    node: str
    size: int
    behind: int
    last_at_ms: int
    integrity: str  # 一致 | 证据不一致 | 已由新纪元接续 | 尚无记录
    own: bool
    heard: str  # now | silent; "" of this node, of closed logs, and where nobody is expected to ask
    heard_ms: int  # when its node last asked this one for anything since the start; 0 for never


def counties(
    db: apsw.Connection,
    names: Mapping[str, str],
    own: str,
    *,
    expected: Collection[str] = (),
    heard_ms: Mapping[str, int] = MappingProxyType({}),
    silent: Collection[str] = (),
) -> list[CountyRow]:
    """Return every log held or expected here; what does not fit first, then the silent, then the most behind.

    `names`: origin -> node code; `expected` are origins; `heard_ms` and `silent` are by node code.
    """
    bad = {one.origin for one in misbehaviours(db)}
    held = {origin: head(db, origin) for origin in origins(db)}
    rows = []
    for origin in sorted({*held, *expected}):
        log, node = held.get(origin), names.get(origin, origin)
        last = db.execute("SELECT max(at_ms) FROM entry_index WHERE origin = ?", (origin,)).fetchone()
        frozen = None if log is None else log.frozen
        size = 0 if log is None else log.size
        tampered = origin in bad or (frozen is not None and not frozen.startswith("succeeded"))
        word = "证据不一致" if tampered else "已由新纪元接续" if frozen else "一致" if size else "尚无记录"
        rows.append(
            CountyRow(
                origin=origin,
                hex_origin=origin.encode().hex(),
                node=node,
                size=size,
                behind=0 if log is None else max(log.promised - size, 0),
                last_at_ms=int(last[0] or 0) if last else 0,
                integrity=word,
                own=origin == own,
                heard="" if origin not in expected else "silent" if node in silent else "now",
                heard_ms=heard_ms.get(node, 0),
            )
        )
    return sorted(
        rows,
        key=lambda row: (row.integrity != "证据不一致", row.own, row.heard != "silent", -row.behind, row.origin),
    )
