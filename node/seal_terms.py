"""From a lot's trustees to the terms that a sealed bid names (加密条件)."""

import hashlib

from node.domain.project import LotRegistered
from node.domain.trustees import TrusteesAppointed
from sync.bid_manifest import Terms, Trustee


def terms_of(registered: LotRegistered, appointed: TrusteesAppointed, *, round_no: int, deadline_ms: int) -> Terms:
    """Return the terms under which every bid of this lot and round is sealed."""
    return Terms(
        profile=appointed.seal,
        mode=appointed.mode,
        tender=registered.tender_project_code,
        lot=registered.lot_code,
        round_no=round_no,
        deadline_ms=deadline_ms,
        t=appointed.t,
        trustees=tuple(
            Trustee(i, one.role, hashlib.sha256(one.key).hexdigest()) for i, one in enumerate(appointed.trustees, 1)
        ),
    )
