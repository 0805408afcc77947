"""One member's score sheet (评分表): a stream of its own, on the node where the member sits.

Sign-in, recusal statement, checklist, marks (sealed until scoring closes), signature, and the member's word on the report.
Stream name: sheet/<lot_code>/<round>/<member no>.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.guards import require_digest, require_distinct, require_one_of, require_short, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Head, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState
    from node.domain.notice import Criterion
    from node.domain.panel import Member


@dataclass(frozen=True, slots=True)
class CriterionMark:
    """One mark, in hundredths."""

    criterion: str
    mark_centi: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class SignIn:
    """签到 at this seat."""

    seat: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Present."""

    seat: str


@dataclass(frozen=True, slots=True)
class DeclareRecusal:
    """none: no ground to leave; else a ground of 12号令 12 / ZBT 46 in words."""

    conflict: bool
    reason: str


@dataclass(frozen=True, slots=True)
class RecusalDeclared:
    """With a conflict the member must leave and cannot mark anything."""

    conflict: bool
    reason: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One line of the preliminary review for one bid."""

    check: str
    passed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class SubmitChecklist:
    """Conclusions of the preliminary review on one bid; the node fills salt, commitment, sealed before deciding."""

    ref: str
    results: tuple[CheckResult, ...]
    salt: bytes = b""
    commitment: bytes = b""
    sealed: bytes = b""


@dataclass(frozen=True, slots=True)
class ChecklistSubmitted:
    """Revision n of the member's checklist for this bid, sealed to the session."""

    ref: str
    revision: int
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SubmitMarks:
    """Marks on one bid, every criterion once; the node fills salt, commitment, sealed before deciding."""

    ref: str
    marks: tuple[CriterionMark, ...]
    salt: bytes = b""
    commitment: bytes = b""
    sealed: bytes = b""


@dataclass(frozen=True, slots=True)
class MarksSubmitted:
    """Revision n of the member's marks for this bid, sealed to the session until scoring closes."""

    ref: str
    revision: int
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class SignSheet:
    """评分表签字: nothing on it changes any more, unless a recheck asks for it."""

    statement: str


@dataclass(frozen=True, slots=True)
class SheetSigned:
    """Signed over the newest revision of every bid."""

    statement: str


@dataclass(frozen=True, slots=True)
class CorrectMarks:
    """A correction that the recheck asked for (87号令 64): in the clear, with its reason; old values stay on record."""

    ref: str
    marks: tuple[CriterionMark, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class MarksCorrected:
    """The sheet is open again until it is signed anew."""

    ref: str
    marks: tuple[CriterionMark, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class SignReport:
    """Word on the report: agree | dissent (with text, verbatim) | silent (refuses both: agreed, ZBT 53)."""

    report_sha256: bytes
    word: str
    text: str


@dataclass(frozen=True, slots=True)
class ReportSigned:
    """The member's word, on the report with this digest."""

    report_sha256: bytes
    word: str
    text: str


def marks_commitment(salt: bytes, ref: str, marks: tuple[CriterionMark, ...]) -> bytes:
    """Return the SHA-256 that binds sealed marks; anyone can recompute it after the close."""
    lines = [f"{m.criterion}\t{m.mark_centi}\t{m.reason}\n" for m in sorted(marks, key=lambda m: m.criterion)]
    return _committed(b"erhai-marks-v1\n", salt, ref, lines)


def checklist_commitment(salt: bytes, ref: str, results: tuple[CheckResult, ...]) -> bytes:
    """Return the SHA-256 that binds a sealed checklist."""
    lines = [f"{r.check}\t{int(r.passed)}\t{r.reason}\n" for r in sorted(results, key=lambda r: r.check)]
    return _committed(b"erhai-checklist-v1\n", salt, ref, lines)


def _committed(tag: bytes, salt: bytes, ref: str, lines: list[str]) -> bytes:
    digest = hashlib.sha256(tag)
    for part in (salt, ref.encode(), *(line.encode() for line in lines)):
        digest.update(len(part).to_bytes(4, "big") + part)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class Submission:
    """What the rules remember of one sealed submission: enough to check it when it is opened."""

    ref: str
    revision: int
    commitment: bytes


@dataclass(frozen=True, slots=True)
class SheetState:
    """One member's sheet. `conflict` None: nothing declared yet. `head` is the newest entry."""

    signed_in: bool = False
    conflict: bool | None = None
    checklists: tuple[Submission, ...] = ()
    marks: tuple[Submission, ...] = ()
    corrections: tuple[MarksCorrected, ...] = ()
    signed: bool = False
    signed_revisions: int = 0  # how often it was signed
    signed_refs: tuple[str, ...] = ()  # bids whose marks a signature has covered: final, whatever follows
    report_sha256: bytes = b""
    report_word: str = ""
    report_text: str = ""
    head: Head | None = None

    def checklist(self, ref: str) -> Submission | None:
        """Return the newest checklist on a bid."""
        return next((one for one in self.checklists if one.ref == ref), None)

    def marked(self, ref: str) -> Submission | None:
        """Return the newest marks on a bid."""
        return next((one for one in self.marks if one.ref == ref), None)


WORDS = ("agree", "dissent", "silent")


def decide(sheet: SheetState, stream: str, command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of a member's act. Raises Refused. `stream` names lot, round and member."""
    lot, member = _place(stream, asked)
    match command:
        case SignIn():
            return _sign_in(sheet, member, command, asked)
        case DeclareRecusal():
            return _declare(sheet, lot, command)
        case _:
            pass
    if not sheet.signed_in:
        raise Refused("not-signed-in", rule="signed-in-first", value=member.no)
    if sheet.conflict is not False:
        raise Refused("recusal-open", rule="no-conflict-declared", value=member.no, cites=("ZBT 46",))
    match command:
        case SubmitChecklist():
            return _checklist(sheet, lot, member, command)
        case SubmitMarks():
            return _marks(sheet, lot, command)
        case SignSheet():
            return _sign(sheet, lot, command)
        case CorrectMarks():
            return _correct(lot, member, command)
        case SignReport():
            return _sign_report(sheet, lot, command)
        case _:
            raise NotOffered("sheet/", type(command).__name__)


def evolve(state: SheetState, event: object, recorded: Recorded, stream: str) -> SheetState:
    """Return the sheet after one of its events."""
    state = replace(state, head=Head(stream, recorded.origin, recorded.seq, recorded.leaf))
    match event:
        case SignedIn():
            return replace(state, signed_in=True)
        case RecusalDeclared(conflict=conflict):
            return replace(state, conflict=conflict)
        case ChecklistSubmitted(ref=ref, revision=revision, commitment=commitment):
            others = tuple(one for one in state.checklists if one.ref != ref)
            return replace(state, checklists=(*others, Submission(ref, revision, commitment)))
        case MarksSubmitted(ref=ref, revision=revision, commitment=commitment):
            others = tuple(one for one in state.marks if one.ref != ref)
            return replace(state, marks=(*others, Submission(ref, revision, commitment)), signed=False)
        case SheetSigned():
            signed_refs = tuple(one.ref for one in state.marks)
            return replace(state, signed=True, signed_revisions=state.signed_revisions + 1, signed_refs=signed_refs)
        case MarksCorrected():
            return replace(state, corrections=(*state.corrections, event), signed=False)
        case ReportSigned(report_sha256=digest, word=word, text=text):
            return replace(state, report_sha256=digest, report_word=word, report_text=text)
        case _:
            return state


def _place(stream: str, asked: Asked) -> tuple["LotState", "Member"]:
    """Return the lot and the sitting member that this sheet belongs to, and that the actor and this node are."""
    parts = stream.split("/")
    found = asked.look(f"lot/{parts[1]}") if len(parts) == 4 else None
    if found is None:
        raise Refused("lot-not-registered", rule="registered-first", value=stream)
    if not hasattr(found, "project"):  # a lot that holds an event of a later version
        raise Refused("unknown-event", rule="known-events-only", value=stream)
    lot: LotState = found
    lot.registered  # noqa: B018 - refuses before the registration
    if parts[2] != str(lot.round_no):
        raise Refused("round-over", rule="sheet-of-this-round", value=parts[2], limit=str(lot.round_no))
    member = lot.panel.member(parts[3])
    if member is None:
        raise Refused("not-a-member", rule="sheet-of-a-member", value=parts[3], cites=("ZBT 48",))
    if asked.actor.person != member.person:
        raise Refused("not-your-sheet", rule="own-sheet-only", value=asked.actor.person, limit=member.no)
    if asked.node != member.venue_node:
        raise Refused("not-your-venue", rule="sheet-at-the-seat", value=asked.node, limit=member.venue_node)
    if lot.project.ended or lot.award.archived:
        raise Refused("procedure-over", rule="over", value=parts[3], limit=lot.project.ended or "archived")
    if lot.project.suspended is not None:
        raise Refused("suspended", rule="stands-still", value=parts[3], cites=("ZBT 62",))
    return lot, member


def _sign_in(sheet: SheetState, member: "Member", command: SignIn, asked: Asked) -> tuple[SignedIn]:
    if sheet.signed_in:
        raise Refused("signed-in-already", rule="signed-in-once", value=member.no)
    for seat in (command.seat, asked.actor.seat or command.seat):
        if seat != member.seat:
            raise Refused("wrong-seat", rule="seat-of-the-member", value=seat, limit=member.seat)
    return (SignedIn(command.seat),)


def _declare(sheet: SheetState, lot: "LotState", command: DeclareRecusal) -> tuple[RecusalDeclared]:
    if not sheet.signed_in:
        raise Refused("not-signed-in", rule="signed-in-first")
    if sheet.conflict is not None:
        raise Refused("recusal-declared", rule="declared-once", cites=("ZBT 46",))
    if not lot.opening.confirmed:
        raise Refused("opening-not-confirmed", rule="bidders-known-first", cites=("ZBT 46",))
    if command.conflict:
        require_text(reason=command.reason)
    require_short(reason=command.reason)
    return (RecusalDeclared(command.conflict, command.reason),)


def _checklist(
    sheet: SheetState, lot: "LotState", member: "Member", command: SubmitChecklist
) -> tuple[ChecklistSubmitted]:
    if not lot.evaluation.started:
        raise Refused("evaluation-not-started", rule="started-first", cites=("ZBT 49",))
    if lot.evaluation.concluded:
        raise Refused("preliminary-concluded", rule="before-conclusion")
    if lot.evaluation.checklist_opened(member.no, command.ref):
        raise Refused("checklist-is-final", rule="opened-is-final", value=command.ref, cites=("ZBT 48",))
    if command.ref not in lot.opening.opened_refs:
        raise Refused("unknown-bid", rule="bid-was-opened", value=command.ref)
    wanted = [check.no for check in lot.notice.documents.scheme.checks] if lot.notice.documents else []
    _complete([result.check for result in command.results], wanted, "checks")
    for result in command.results:
        if not result.passed:
            require_text(reason=result.reason)
        require_short(**{f"reason {result.check}": result.reason})
    _sealed(command)
    if command.commitment != checklist_commitment(command.salt, command.ref, command.results):
        raise Refused("commitment-differs", rule="sealed-as-judged", value=command.ref)
    before = sheet.checklist(command.ref)
    return (ChecklistSubmitted(command.ref, before.revision + 1 if before else 1, command.commitment, command.sealed),)


def _sealed(command: SubmitChecklist | SubmitMarks) -> None:
    """Raise Refused for a submission without its envelope, or with a salt too short to hide what it binds."""
    require_digest(salt=command.salt)
    if not command.sealed:
        raise Refused("not-sealed", rule="sealed-until-opened", value=command.ref, cites=("ZB 38",))


def _complete(given: list[str], wanted: list[str], field: str) -> None:
    for name in given:
        if name not in wanted or given.count(name) > 1:
            raise Refused("item-unknown", rule="scheme-items-once", value=name, limit=", ".join(wanted))
    missing = [name for name in wanted if name not in given]
    if missing:
        raise Refused("item-missing", rule="scheme-items-once", value=missing[0], facts=(("field", field),))


def _marks(sheet: SheetState, lot: "LotState", command: SubmitMarks) -> tuple[MarksSubmitted]:
    if not lot.evaluation.concluded:
        raise Refused("preliminary-open", rule="preliminary-first", cites=("12号令 23",))
    if lot.evaluation.closed:
        raise Refused("scoring-closed", rule="marks-before-close")
    # A bid that only a new conclusion let in is not under the signature yet: it may be marked, and the sheet signed again.
    if command.ref in sheet.signed_refs:
        raise Refused("sheet-signed", rule="signed-sheet-is-final", value=command.ref)
    if command.ref not in lot.standing_refs:
        raise Refused("bid-not-evaluated", rule="accepted-bids-only", value=command.ref)
    criteria = lot.notice.documents.scheme.criteria if lot.notice.documents else ()
    if not criteria:
        raise Refused("nothing-to-mark", rule="criteria-of-the-documents", value=command.ref, cites=("ZBT 49",))
    complete_marks(command.marks, criteria)
    check_marks(command.marks, criteria)
    _sealed(command)
    if command.commitment != marks_commitment(command.salt, command.ref, command.marks):
        raise Refused("commitment-differs", rule="sealed-as-judged", value=command.ref)
    before = sheet.marked(command.ref)
    return (MarksSubmitted(command.ref, before.revision + 1 if before else 1, command.commitment, command.sealed),)


def complete_marks(marks: tuple[CriterionMark, ...], criteria: "tuple[Criterion, ...]") -> None:
    """Raise Refused where these are not the scheme's criteria, each once."""
    _complete([mark.criterion for mark in marks], [one.no for one in criteria], "marks")


def check_marks(marks: tuple[CriterionMark, ...], criteria: "tuple[Criterion, ...]") -> None:
    """Raise Refused for the first mark outside its criterion's range or off its step (ZBT 49)."""
    by_no = {criterion.no: criterion for criterion in criteria}
    for mark in marks:
        criterion = by_no[mark.criterion]
        facts = (("criterion", criterion.no), ("criterion_name", criterion.name))
        if not 0 <= mark.mark_centi <= criterion.full_centi:
            raise Refused(
                "mark-out-of-range",
                rule="range-of-marks",
                value=str(mark.mark_centi),
                limit=str(criterion.full_centi),
                cites=("ZBT 49",),
                facts=facts,
            )
        if mark.mark_centi % criterion.step_centi:
            raise Refused(
                "mark-off-step",
                rule="step-of-marks",
                value=str(mark.mark_centi),
                limit=str(criterion.step_centi),
                cites=("ZBT 49",),
                facts=facts,
            )
        require_short(**{f"reason {mark.criterion}": mark.reason})


def _sign(sheet: SheetState, lot: "LotState", command: SignSheet) -> tuple[SheetSigned]:
    if not lot.evaluation.concluded:
        raise Refused("preliminary-open", rule="preliminary-first", cites=("12号令 23",))
    if sheet.signed:
        raise Refused("sheet-signed", rule="signed-sheet-is-final")
    require_text(statement=command.statement)
    require_short(statement=command.statement)
    unmarked = unmarked_of(lot, sheet)
    if unmarked:
        raise Refused("bids-unmarked", rule="every-accepted-bid-marked", value=", ".join(unmarked))
    return (SheetSigned(command.statement),)


def unmarked_of(lot: "LotState", sheet: SheetState) -> tuple[str, ...]:
    """Return the accepted bids that this member has yet to mark; none where the documents have no criteria."""
    if lot.notice.documents is None or not lot.notice.documents.scheme.criteria:
        return ()
    return tuple(ref for ref in lot.standing_refs if sheet.marked(ref) is None)


def _correct(lot: "LotState", member: "Member", command: CorrectMarks) -> tuple[MarksCorrected]:
    asked_for = {(one.ref, one.criterion) for one in lot.evaluation.inconsistencies if member.no in one.members}
    if not asked_for:
        raise Refused("no-recheck", rule="recheck-names-the-member", value=member.no, cites=("87号令 64",))
    require_text(reason=command.reason)
    require_short(reason=command.reason)
    for mark in command.marks:
        if (command.ref, mark.criterion) not in asked_for:
            raise Refused("not-in-recheck", rule="recheck-names-the-item", value=mark.criterion, cites=("87号令 64",))
    if not command.marks:
        raise Refused("item-missing", rule="recheck-names-the-item", facts=(("field", "marks"),))
    require_distinct((mark.criterion for mark in command.marks), "marks")
    check_marks(command.marks, lot.notice.documents.scheme.criteria if lot.notice.documents else ())
    return (MarksCorrected(command.ref, command.marks, command.reason),)


def _sign_report(sheet: SheetState, lot: "LotState", command: SignReport) -> tuple[ReportSigned]:
    if not lot.evaluation.ranked:
        raise Refused("not-ranked", rule="report-after-ranking", cites=("ZBT 53",))
    if lot.evaluation.reported_at_ms:
        raise Refused("report-complete", rule="before-report-complete", cites=("ZBT 53",))
    from node.domain.drawn_terms import require_resolved  # noqa: PLC0415 - it builds on the dataclasses above

    require_resolved(lot)
    if sheet.report_word and sheet.report_sha256 == command.report_sha256:
        raise Refused("report-signed", rule="one-word-on-the-report", cites=("ZBT 53",))
    require_one_of(command.word, WORDS, "word")
    if command.word == "dissent":
        require_text(text=command.text)
    require_short(text=command.text)
    require_digest(report_sha256=command.report_sha256)
    return (ReportSigned(command.report_sha256, command.word, command.text),)


COMMANDS: tuple[type, ...] = (SignIn, DeclareRecusal, SubmitChecklist, SubmitMarks, SignSheet, CorrectMarks, SignReport)
EVENTS: tuple[type, ...] = (
    SignedIn,
    RecusalDeclared,
    ChecklistSubmitted,
    MarksSubmitted,
    SheetSigned,
    MarksCorrected,
    ReportSigned,
)
