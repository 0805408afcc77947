"""One member's score sheet (评分表): a stream of its own, on the node where the member sits.

Sign-in, recusal statement, checklist, marks (sealed until scoring closes), signature, and the member's word on the report.
Stream name: sheet/<lot_code>/<round>/<member no>.
"""

import hashlib
from dataclasses import dataclass


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
