"""Openings, draws and sealed marks replayed from an export alone (重演): what a log says against what lies under its promises.

Of every lot whose bids were sealed to trustees: the set is what was received and what the trustees signed; shares combine,
halves fit, each payload gives the content on record or the fault on record; windows and hours were kept. The bundle's tree and
signatures are verified before (`sync.verify`); no node is asked. Nothing is believed of an entry because the log holds it.
"""

import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from node.domain.bidding import BidReceived, BidWithdrawn
from node.domain.custody import CustodyTaken
from node.domain.evaluation import EvaluationStarted, ScoringClosed
from node.domain.lot import LotState
from node.domain.opening import BidDecryptionFailed, BidOpened, OpeningStarted
from node.domain.profile import Profile
from node.domain.project import LotRegistered
from node.domain.refused import Refused
from node.domain.sheet import MarksSubmitted
from node.domain.unsealing import (
    BidBlamed,
    CeremonyBegun,
    SealBroken,
    SharesReleased,
    half_until_ms,
    release_until_ms,
    set_digest,
)
from node.domain.wire import WireMalformed
from node.projection import after, events_of
from node.replay_draws import Draws
from node.replay_marks import judge_marks
from node.replay_seals import (
    LOST,
    Opener,
    Outcome,
    Problem,
    compare,
    judge_manifest,
    judge_release,
    lost_untried,
    try_again,
    wrong_shares,
)
from node.seal_trial import in_set
from sync.bid_file import BidFile, BidRefused
from sync.codec import Entry, decode

_SHOWN = 120
STEP_MS = 60_000  # how far a clock may go back, or be ahead of a witness's: the bound of a good clock (design 5.9)


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not follow: in which entry, of which bid where it is one's."""

    problem: str
    seq: int
    stream: str
    ref: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault that the pieces prove: whose, and which."""

    stream: str
    ref: str
    party: str
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The whole answer. `unchecked`: bids and releases whose file is not in the export, streams that are in another log."""

    bids: int
    opened: int
    draws: int  # whose seed was computed again
    marks: int  # a member's marks of one bid, opened again
    findings: tuple[Finding, ...]
    faults: tuple[Fault, ...]
    unchecked: tuple[str, ...]


class Replay:
    """One log's entries, taken in order."""

    def __init__(self, files: Opener, scratch: Path, profiles: Iterable[Profile]) -> None:
        """`files` opens a blob of the export by the hex of its SHA-256; `scratch` is a folder for passing plaintext."""
        self._files, self._scratch = files, scratch
        self._profiles = {one.id: one for one in profiles}
        self._lots: dict[str, LotState | None] = {}  # None: its beginning is in another log
        self._payloads: dict[tuple[str, int, str], dict[str, bool]] = {}  # stream, round, digest: did it open, by ref
        self._draws = Draws()
        self._sheets: dict[str, dict[str, MarksSubmitted]] = {}
        self._sessions: dict[str, bytes] = {}  # the commitment to the session key, by lot
        self._findings: list[Finding] = []
        self._faults: list[Fault] = []
        self._unchecked: list[str] = []
        self._bids = self._opened = self._marks = 0
        self._last_ms = self.latest_ms = 0

    def take(self, body: bytes) -> None:
        """Take the next entry."""
        entry = decode(body)
        self._hour(entry)
        if entry.stream.partition("/")[0] not in {"lot", "draw", "sheet"}:
            return
        try:
            self._take(entry, body)
        except WireMalformed as malformed:
            self._find(entry, "entry-malformed", detail=f"{malformed.name} {malformed.field}")
        except Refused as refused:  # a step that the rules do not know here
            self._find(entry, "entry-malformed", detail=refused.code)
        except (LookupError, ValueError) as error:  # a number or name that points nowhere
            self._find(entry, "entry-malformed", detail=f"{type(error).__name__} {error}"[:_SHOWN])

    def _hour(self, entry: Entry) -> None:
        """Hold an entry's time against those before it. What a clock calls doubtful measures nothing and nobody."""
        if entry.clock_quality == "doubtful":
            return
        if entry.at_ms + STEP_MS < self._last_ms:
            self._find(entry, "clock-backwards", detail=f"{entry.at_ms} after {self._last_ms}")
        self._last_ms, self.latest_ms = entry.at_ms, max(self.latest_ms, entry.at_ms)

    def _take(self, entry: Entry, body: bytes) -> None:
        events = tuple(events_of(entry))
        match entry.stream.partition("/")[0]:
            case "lot":
                self._take_lot(entry, events, body)
            case "draw":
                self._take_draw(entry, events)
            case _:
                marks = {event.ref: event for event in events if isinstance(event, MarksSubmitted)}
                self._sheets.setdefault(entry.stream, {}).update(marks)

    def _take_draw(self, entry: Entry, events: tuple[Any, ...]) -> None:
        before = self._draws.begun_elsewhere(entry.stream)
        found = self._draws.tell(entry, events)
        unseen = self._draws.unseen(entry.stream)
        if unseen:
            self._unchecked.append(f"{entry.stream}: {unseen}")
        elif self._draws.begun_elsewhere(entry.stream) and not (before or found):
            self._unchecked.append(f"{entry.stream}: begins in another log")
        self._say(entry, "", found)

    def _take_lot(self, entry: Entry, events: tuple[Any, ...], body: bytes) -> None:
        if entry.stream not in self._lots:
            begins = any(isinstance(event, LotRegistered) for event in events)
            self._lots[entry.stream] = LotState() if begins else None
            if not begins:
                self._unchecked.append(f"{entry.stream}: begins in another log")
        for event in events:
            if isinstance(event, CustodyTaken):
                self._came_from_elsewhere(entry, event)
        lot = self._lots[entry.stream]
        self._say(entry, "", self._draws.tell(entry, events))
        if lot is not None:
            try:
                self._judge(entry, lot, events)
            finally:  # what follows is judged by the state that the log itself claims
                self._lots[entry.stream] = after(lot, entry, body)

    def _came_from_elsewhere(self, entry: Entry, event: CustodyTaken) -> None:
        """What came to this log went on in another for a time: what is missing here is nobody's omission."""
        moved = {entry.stream, *(one.stream for one in event.moved)}
        self._lots[entry.stream] = None
        for stream in sorted(moved):
            self._sheets.pop(stream, None)
            self._unchecked.append(f"{stream}: partly in another log")
        self._draws.partly_elsewhere(moved)

    def done(self, cosigned_ms: int) -> Replayed:
        """Return what was found. `cosigned_ms`: when a witness last signed for all of these entries; 0: none did."""
        if cosigned_ms and self.latest_ms > cosigned_ms + STEP_MS:
            detail = f"{self.latest_ms}, witnessed at {cosigned_ms}"
            self._findings.append(Finding("clock-ahead", -1, "", detail=detail))
        return Replayed(
            bids=self._bids,
            opened=self._opened,
            draws=self._draws.computed,
            marks=self._marks,
            findings=tuple(self._findings),
            faults=tuple(self._faults),
            unchecked=tuple(dict.fromkeys(self._unchecked)),
        )

    def _find(self, entry: Entry, problem: str, ref: str = "", detail: str = "") -> None:
        self._findings.append(Finding(problem, entry.seq, entry.stream, ref, detail))

    def _say(self, entry: Entry, ref: str, problems: Iterable[Problem]) -> None:
        for one in problems:
            self._find(entry, one.problem, ref, one.detail)

    # -- one entry ---------------------------------------------------------------------------------------------------

    def _judge(self, entry: Entry, lot: LotState, events: tuple[Any, ...]) -> None:
        for event in events:
            match event:
                case BidReceived(ref=ref) | BidWithdrawn(ref=ref):
                    if lot.opening.started:
                        self._find(entry, "bid-after-opening", ref)
                    elif entry.at_ms >= lot.notice.deadline_ms:
                        self._find(entry, "bid-late", ref, f"{entry.at_ms} at deadline {lot.notice.deadline_ms}")
                case OpeningStarted(refs=refs):
                    self._opening(entry, lot, refs)
                case CeremonyBegun():
                    self._begun(entry, lot, event)
                case SharesReleased():
                    self._release(entry, lot, event)
                case BidOpened() | BidDecryptionFailed() if lot.terms.appointed is not None:
                    broken = next(
                        (one for one in events if isinstance(one, SealBroken)), SealBroken(event.ref, (), b"")
                    )
                    blames = tuple((one.party, one.why) for one in events if isinstance(one, BidBlamed))
                    self._outcome(entry, lot, Outcome(event, broken, blames))
                case EvaluationStarted(session_commitment=commitment):
                    self._sessions[entry.stream] = commitment
                case ScoringClosed():
                    commitment = self._sessions.get(entry.stream, b"")
                    opened, problems, absent = judge_marks(lot, commitment, event, self._sheets)
                    self._marks += opened
                    self._say(entry, "", problems)
                    self._unchecked += [f"{entry.stream} {one}" for one in absent]
                case _:
                    pass

    def _opening(self, entry: Entry, lot: LotState, refs: tuple[str, ...]) -> None:
        if entry.at_ms < lot.notice.deadline_ms:
            self._find(entry, "opened-early", detail=f"{entry.at_ms} before {lot.notice.deadline_ms}")
        missing = [bid.ref for bid in lot.bidding.live if bid.ref not in refs]
        for ref in missing:
            self._find(entry, "bid-dropped", ref)

    def _begun(self, entry: Entry, lot: LotState, event: CeremonyBegun) -> None:
        held = tuple((bid.ref, bid.sha256) for bid in lot.bidding.live)
        same = tuple((one.ref, one.file_sha256) for one in event.bids) == held
        if not same or set_digest(lot.lot_code, lot.round_no, event.bids) != event.set_sha256:
            self._find(entry, "set-differs")
        for one in event.bids:
            file = self._files(one.file_sha256.hex())
            if file is None:
                self._unchecked.append(f"{entry.stream} {one.ref}: bid file")
                continue
            self._say(entry, one.ref, judge_manifest(lot, one.ref, one.manifest_sha256, file))

    def _release(self, entry: Entry, lot: LotState, event: SharesReleased) -> None:
        terms = lot.terms.appointed
        if terms is None or not 1 <= event.trustee <= len(terms.trustees):
            self._find(entry, "release-forged", detail=f"trustee-{event.trustee}")
            return
        file = self._files(event.file_sha256.hex())
        if file is None:
            self._unchecked.append(f"{entry.stream} trustee-{event.trustee}: release file")
            return
        with file:
            self._say(entry, "", judge_release(lot, event, file.read()))

    def _outcome(self, entry: Entry, lot: LotState, outcome: Outcome) -> None:
        event, ref = outcome.event, outcome.event.ref
        self._windows(entry, lot, event)
        held = lot.bidding.of(ref)
        file = self._files(held.sha256.hex()) if held is not None else None
        if held is None or file is None:
            if isinstance(event, BidOpened) or event.reason != LOST:
                self._unchecked.append(f"{entry.stream} {ref}: bid file")
            return
        self._bids += 1
        self._say(entry, ref, wrong_shares(lot, outcome, file))
        again = self._files(held.sha256.hex())
        if again is None:
            return
        tried = try_again(lot, outcome, again, self._scratch)
        self._say(entry, ref, compare(lot, outcome, tried))
        self._opened += tried.content is not None
        self._faults += [Fault(entry.stream, ref, party, why) for party, why in tried.blames]
        self._copied(entry, lot, ref, held.sha256.hex(), opened=tried.content is not None)
        if lost_untried(outcome) and in_set(lot, ref):
            self._unchecked.append(f"{entry.stream} {ref}: said to be lost, and the file is here")

    def _windows(self, entry: Entry, lot: LotState, event: BidOpened | BidDecryptionFailed) -> None:
        profile = self._profiles.get(lot.profile_id)
        if profile is None or isinstance(event, BidOpened):
            return
        match event.reason:
            case "half-missing":
                until_ms = half_until_ms(lot, profile, event.ref)
            case "shares-missing" | "undecided":
                until_ms = release_until_ms(lot, profile)
            case _:
                return
        if entry.at_ms < until_ms:
            self._find(entry, "closed-early", event.ref, f"{entry.at_ms} before {until_ms}")

    def _copied(self, entry: Entry, lot: LotState, ref: str, sha256: str, *, opened: bool) -> None:
        """Name who handed in another's payload. Its maker is who opened it: it commits to one bid. Where nobody did: no one."""
        file = self._files(sha256)
        if file is None:
            return
        try:
            with BidFile(file) as bid:
                payload = bid.manifest.payload_sha256
        except BidRefused:
            return
        before = self._payloads.setdefault((entry.stream, lot.round_no, payload), {})
        known = any(before.values())
        copiers = ([] if opened else [ref]) if known else list(before) if opened else []
        before[ref] = opened
        self._faults += [Fault(entry.stream, copier, "bidder", "copied-payload") for copier in copiers]


def replay(
    bodies: Iterable[bytes], files: Opener, scratch: Path, profiles: Iterable[Profile], cosigned_ms: int
) -> Replayed:
    """Replay a log's entries, in order. Raises Malformed for an entry that cannot be read: verify the bundle first."""
    running = Replay(files, scratch, profiles)
    for body in bodies:
        running.take(body)
    return running.done(cosigned_ms)


def memory_files(blobs: dict[str, bytes]) -> Opener:
    """Return an opener of files that are in memory."""
    return lambda sha256: io.BytesIO(blobs[sha256]) if sha256 in blobs else None
