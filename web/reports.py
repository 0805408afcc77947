"""Legal documents of a lot as PDF, from the log alone (文书): evaluation report, opening record, with the bundle inside."""

import hashlib
import io

import segno

from node.domain.lot import LotState
from node.domain.report import EvaluationReport, evaluation_report, opening_record, report_sha256
from sync.checkpoint import read
from web.pdf import Evidence, render
from web.render import environment
from web.words import fingerprint


def _code(text: str) -> str:
    """Return a square code as inline SVG: text only, no address that may be dead in ten years."""
    target = io.BytesIO()
    segno.make(text, error="m").save(target, kind="svg", xmldecl=False, svgns=True, border=1, unit="mm", scale=0.9)
    return target.getvalue().decode()


def _checkpoint_line(note: bytes) -> str:
    checkpoint, _ = read(note)
    return f"{checkpoint.origin} {checkpoint.size} {fingerprint(checkpoint.root)}"


def evaluation_pdf(lot: LotState, bundle: bytes, note: bytes) -> bytes:
    """Return the evaluation report; the same lot and bundle give the same bytes. Raises Refused before the ranking."""
    report: EvaluationReport = evaluation_report(lot)
    digest = report_sha256(report)
    html = (
        environment()
        .get_template("report/evaluation.html")
        .render(
            report=report,
            kind="report",
            digest=digest,
            lot_code=report.lot_code,
            lot_name=report.lot_name,
            mark_line=fingerprint(digest),
            checkpoint=_checkpoint_line(note),
            code=_code(f"erhai {report.lot_code} {digest.hex()}"),
        )
    )
    made_at_ms = lot.evaluation.reported_at_ms or lot.evaluation.ranked_at_ms
    return render(html, (Evidence("evidence.zip", "日志证据包", bundle),), made_at_ms)


def opening_pdf(lot: LotState, bundle: bytes, note: bytes) -> bytes:
    """Return the opening record; the same lot and bundle give the same bytes. Raises Refused before the opening."""
    record = opening_record(lot)
    digest = hashlib.sha256(repr(record).encode()).digest()
    html = (
        environment()
        .get_template("report/opening.html")
        .render(
            record=record,
            kind="record",
            digest=digest,
            lot_code=record.lot_code,
            lot_name=record.lot_name,
            mark_line=fingerprint(digest),
            checkpoint=_checkpoint_line(note),
            code=_code(f"erhai {record.lot_code} {digest.hex()}"),
        )
    )
    return render(html, (Evidence("evidence.zip", "日志证据包", bundle),), lot.opening.started_at_ms)
