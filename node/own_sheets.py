"""A member's own sealed marks and checklists, opened for that member's pages (本人评审内容). The caller has checked who asks."""

from collections.abc import Callable
from typing import Any

import apsw

from node import sealing
from node.domain.evaluation import OpenedChecklist, OpenedMarks
from node.domain.sheet import ChecklistSubmitted, MarksSubmitted
from node.domain.streams import lot_stream, sheet_stream
from node.node import Node


async def own_marks(node: Node, lot_code: str, member: str) -> dict[str, OpenedMarks]:
    """Return a member's own newest marks by bid."""
    return await _own(node, lot_code, member, MarksSubmitted, sealing.open_marks)


async def own_checklists(node: Node, lot_code: str, member: str) -> dict[str, OpenedChecklist]:
    """Return a member's own newest checklists by bid."""
    return await _own(node, lot_code, member, ChecklistSubmitted, sealing.open_checklist)


async def _own(node: Node, lot_code: str, member: str, kind: type, open_sealed: Callable[..., Any]) -> dict[str, Any]:
    lot = await node.state(lot_stream(lot_code))
    stream = sheet_stream(lot_code, lot.round_no, member)

    def find(db: apsw.Connection) -> dict[str, Any]:
        newest = sealing.newest_sealed(db, stream, kind)
        if not newest:
            return {}
        key = sealing.session_key(db, lot_code, lot.round_no, node.keys)
        return {ref: open_sealed(stream, member, ref, event.sealed, key) for ref, event in newest.items()}

    return await node.read(find)
