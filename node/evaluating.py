"""What the rules cannot gather themselves for an evaluation (评标): session keys, opened sheets, heads. On the writer thread.

Every method takes the writer's connection and returns a command; nothing is recorded here.
"""

from collections.abc import Callable
from typing import Any

import apsw

from node import sealing
from node.domain.evaluation import CloseRecheck, CloseScoring, CompleteReport, ConcludePreliminary
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.sheet import ChecklistSubmitted, MarksSubmitted, SheetSigned
from node.domain.streams import lot_stream, sheet_stream
from node.domain.values import Head
from node.recorder import Recorder
from node.settings import Settings
from sync.keys import NodeKeys


class Evaluating:
    """Gathers for one node."""

    def __init__(self, settings: Settings, recorder: Recorder, keys: NodeKeys) -> None:
        """Nothing is read before it is asked for."""
        self._settings = settings
        self._recorder = recorder
        self._keys = keys

    def start(self, db: apsw.Connection, lot_code: str) -> Any:
        """Return the start of an evaluation, with a fresh session key for every node of the venue.

        The room's other node gets it too, whether somebody sits there or not: it goes on when this one dies.
        """
        lot = self.lot(db, lot_code)
        venues = {member.venue_node for member in lot.panel.members} | {self._settings.node}
        venues |= {peer.name for peer in self._settings.peers if peer.kind == "room" and peer.sealing_public}
        publics = {node: self._sealing_public(node) for node in venues}
        return sealing.start_evaluation(lot_code, lot.round_no, publics)

    def conclude(self, db: apsw.Connection, lot_code: str) -> ConcludePreliminary:
        """Open every member's checklists with the session key."""
        opened, heads = self._gather(db, lot_code, ChecklistSubmitted, sealing.open_checklist)
        return ConcludePreliminary(opened, heads)

    def close(self, db: apsw.Connection, lot_code: str) -> CloseScoring:
        """Open every signed sheet and release the session key."""
        lot = self.lot(db, lot_code)
        self._all_signed(db, lot)
        opened, heads = self._gather(db, lot_code, MarksSubmitted, sealing.open_marks)
        return CloseScoring(sealing.session_key(db, lot_code, lot.round_no, self._keys), opened, heads)

    def recheck(self, db: apsw.Connection, lot_code: str) -> CloseRecheck:
        """Return the close of a recheck: all corrections are in."""
        return CloseRecheck(self._heads(db, self.lot(db, lot_code)))

    def complete(
        self, db: apsw.Connection, lot_code: str, report_sha256: bytes, silent: tuple[tuple[str, str], ...]
    ) -> CompleteReport:
        """Gather every member's word on this report; `silent` members have given none."""
        lot = self.lot(db, lot_code)
        words = [(no, "silent", text) for no, text in silent]
        for member in lot.panel.members:
            state = self._recorder.state(db, sheet_stream(lot_code, lot.round_no, member.no))
            if state.report_word and member.no not in dict(silent):
                words.append((member.no, state.report_word, state.report_text))
        return CompleteReport(report_sha256, tuple(words), self._heads(db, lot))

    def lot(self, db: apsw.Connection, lot_code: str) -> LotState:
        """Return the lot's state. Raises Refused where its stream holds what this version does not know."""
        state = self._recorder.state(db, lot_stream(lot_code))
        if not isinstance(state, LotState):
            raise Refused("unknown-event", rule="known-events-only", value=state.name)
        return state

    def _all_signed(self, db: apsw.Connection, lot: LotState) -> None:
        """Refuse before any seal is touched: the session key leaves only when every member has signed."""
        unsigned = []
        for member in lot.panel.members:
            stream = sheet_stream(lot.lot_code, lot.round_no, member.no)
            signed = [event for *_, events in sealing.entries_of(db, stream) for event in events]
            if not any(isinstance(event, SheetSigned) for event in signed):
                unsigned.append(member.no)
        if unsigned:
            raise Refused("sheets-unsigned", rule="all-sheets-signed", value=", ".join(unsigned))

    def _gather(
        self, db: apsw.Connection, lot_code: str, kind: type, open_sealed: Callable[..., Any]
    ) -> tuple[tuple[Any, ...], tuple[Head, ...]]:
        lot = self.lot(db, lot_code)
        key = sealing.session_key(db, lot_code, lot.round_no, self._keys)

        def open_one(stream: str, member: str) -> tuple[Any, ...]:
            newest = sealing.newest_sealed(db, stream, kind)
            return tuple(open_sealed(stream, member, ref, event.sealed, key) for ref, event in newest.items())

        return sealing.gather(db, lot_code, lot.round_no, tuple(m.no for m in lot.panel.members), open_one)

    def _heads(self, db: apsw.Connection, lot: LotState) -> tuple[Head, ...]:
        streams_ = [sheet_stream(lot.lot_code, lot.round_no, member.no) for member in lot.panel.members]
        return tuple(head for head in (sealing.head_of(db, stream) for stream in streams_) if head is not None)

    def _sealing_public(self, node: str) -> bytes:
        if node == self._settings.node:
            return self._keys.sealing_public
        peer = self._settings.peer(node)
        if peer is None or not peer.sealing_public:
            raise Refused("unknown-venue", rule="venues-are-enrolled", value=node)
        return bytes.fromhex(peer.sealing_public)
