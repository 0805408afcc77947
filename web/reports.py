"""Legal documents of a lot as PDF, from the log alone (文书): evaluation report, opening record, score sheets, evidence inside.

Nothing here looks at a clock: a document's time is that of the entry it follows. The same lot, bundle and receipt give the
same bytes, today and at the prefecture.
"""

import io
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import segno
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from node.domain.lot import LotState
from node.domain.report import evaluation_report, report_sha256
from node.domain.report_opening import opening_record, opening_sha256
from node.domain.report_sheet import score_sheet, sheet_sha256
from node.domain.report_words import NONE, civil
from node.receipts import Receipt
from sync.checkpoint import read
from web.pdf import Evidence, render

TEMPLATES = Path(__file__).parent / "templates"
EVIDENCE_NAME = "evidence.zip"
_GROUPS_A_LINE = 8


@dataclass(frozen=True, slots=True)
class Front:
    """Page one: what this document is, its fingerprint, and where in which log it stands."""

    title: str
    project_name: str
    lot_name: str
    lot_code: str
    author: str
    made_at: str  # civil time of China, as in ISO 8601
    fingerprint: tuple[str, ...]  # lines of groups of four
    receipt: str
    checkpoint_time: str
    checkpoint_size: int
    checkpoint_origin: str
    checkpoint_root: str
    code: Markup


@dataclass(frozen=True, slots=True)
class Proof:
    """What a document is proved by: the bundle of its log, that bundle's checkpoint, the receipt of its last entry."""

    bundle: bytes
    note: bytes
    receipt: Receipt | None


@cache
def paper_environment() -> Environment:
    """Return the templates' environment: escaping, no filters, no words of its own; documents bring their text along."""
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def fingerprint_lines(digest: bytes) -> tuple[str, ...]:
    """Return a digest in groups of four hex digits, eight groups a line; the first line is what pages show."""
    groups = [digest.hex()[at : at + 4] for at in range(0, 2 * len(digest), 4)]
    return tuple(" ".join(groups[at : at + _GROUPS_A_LINE]) for at in range(0, len(groups), _GROUPS_A_LINE))


def square_code(receipt: str, digest: bytes) -> Markup:
    """Return receipt number and fingerprint as a square code in SVG: no address, for it may be dead in ten years."""
    target = io.BytesIO()
    made = segno.make(f"{receipt}\n{digest.hex()}", error="m", micro=False)
    made.save(target, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=0)
    # Made here from hex digits alone.
    return Markup(target.getvalue().decode())  # noqa: S704


def evaluation_pdf(lot: LotState, bundle: bytes, note: bytes, *, receipt: Receipt | None = None) -> bytes:
    """Return the evaluation report. Raises Refused before the ranking."""
    report = evaluation_report(lot)
    return _paper(
        "evaluation",
        "评标报告",
        lot,
        report_sha256(report),
        Proof(bundle, note, receipt),
        made_at_ms=lot.evaluation.reported_at_ms or lot.evaluation.ranked_at_ms,
        report=report,
    )


def opening_pdf(lot: LotState, bundle: bytes, note: bytes, *, receipt: Receipt | None = None) -> bytes:
    """Return the opening record. Raises Refused before the opening."""
    record = opening_record(lot)
    return _paper(
        "opening",
        "开标记录",
        lot,
        opening_sha256(record),
        Proof(bundle, note, receipt),
        made_at_ms=lot.opening.confirmed_at_ms or lot.opening.started_at_ms,
        record=record,
    )


def score_sheet_pdf(
    member_no: str, lot: LotState, bundle: bytes, note: bytes, *, receipt: Receipt | None = None
) -> bytes:
    """Return one member's score sheet. Raises Refused before the close of scoring."""
    sheet = score_sheet(lot, member_no)
    return _paper(
        "sheet",
        "评分表",
        lot,
        sheet_sha256(sheet),
        Proof(bundle, note, receipt),
        made_at_ms=lot.evaluation.ranked_at_ms or lot.evaluation.closed_at_ms,
        sheet=sheet,
    )


def _paper(
    template: str, title: str, lot: LotState, digest: bytes, proof: Proof, *, made_at_ms: int, **document: object
) -> bytes:
    checkpoint, _ = read(proof.note)
    registered = lot.registered
    number = proof.receipt.number if proof.receipt else NONE
    front = Front(
        title=title,
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        lot_code=registered.lot_code,
        author=registered.agency_name or registered.tenderer_name,
        made_at=civil(made_at_ms).replace(" ", "T") + "+08:00",
        fingerprint=fingerprint_lines(digest),
        receipt=number,
        checkpoint_time=civil(proof.receipt.at_ms if proof.receipt else made_at_ms),
        checkpoint_size=checkpoint.size,
        checkpoint_origin=checkpoint.origin,
        checkpoint_root=checkpoint.root.hex(),
        code=square_code(number, digest),
    )
    html = paper_environment().get_template(f"report/{template}.html").render(front=front, **document)
    return render(html, (Evidence(EVIDENCE_NAME, "日志证据包", proof.bundle),), made_at_ms)
