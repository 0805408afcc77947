"""Sealed marks opened again with the session key that the close of scoring put into the log (评分重演)."""

import hashlib
from collections.abc import Mapping

from node.domain.evaluation import ScoringClosed
from node.domain.lot import LotState
from node.domain.sheet import MarksSubmitted
from node.domain.streams import sheet_stream
from node.replay_seals import Problem
from node.sealing import open_marks
from sync.seal import SealFault
from sync.tampered import Malformed

Sheets = Mapping[str, Mapping[str, MarksSubmitted]]  # by stream, then by ref: the newest submission in this log


def judge_marks(
    lot: LotState, commitment: bytes, closed: ScoringClosed, sheets: Sheets
) -> tuple[int, tuple[Problem, ...], tuple[str, ...]]:
    """Return how many marks were opened again, what does not follow, and which sheets are not in this log.

    `commitment` is that of the session key as the evaluation began.
    """
    if hashlib.sha256(closed.session_key).digest() != commitment:
        return 0, (Problem("session-key-differs"),), ()
    found, absent, opened = [], [], 0
    shown = {(one.member, one.ref): one for one in closed.opened}
    for member in (one.no for one in lot.panel.members):  # who was replaced has marks that count no more
        stream = sheet_stream(lot.lot_code, lot.round_no, member)
        if stream not in sheets:
            absent.append(f"sheet of {member}: in another log")
            continue
        for ref, one in sheets[stream].items():
            said = shown.get((member, ref))
            if said is None:
                if ref in lot.standing_refs:
                    found.append(Problem("marks-left-out", f"{member} {ref}"))
                continue
            try:
                again = open_marks(stream, member, ref, one.sealed, closed.session_key)
            except (SealFault, Malformed, ValueError, TypeError):
                again = None
            if again != said:
                found.append(Problem("marks-differ", f"{member} {ref}"))
            opened += again is not None
    return opened, tuple(found), tuple(absent)
