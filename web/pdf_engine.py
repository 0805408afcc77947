"""HTML to PDF/A-3u by WeasyPrint, without a clock and without a network (排版). Used through `web.pdf`, which loads it late."""

import datetime as dt
import hashlib
import os
import threading
from pathlib import Path

from weasyprint import CSS, HTML, Attachment, URLFetcher
from weasyprint.text.fonts import FontConfiguration

from web.pdf import Evidence, RenderFault

STYLE = Path(__file__).parent / "static" / "report.css"
# WeasyPrint reads its dates from the process's environment.
_environment = threading.Lock()


class _NothingOutside(URLFetcher):  # type: ignore[misc]
    def fetch(self, url: str, _headers: dict[str, str] | None = None) -> object:
        """Refuse every address: a document is made of its own text alone."""
        raise RenderFault(url)


def render(html: str, evidence: tuple[Evidence, ...], made_at_ms: int) -> bytes:
    """Return the PDF of an HTML document. `made_at_ms` is the time in the document's entry, never the wall clock."""
    made = dt.datetime.fromtimestamp(made_at_ms // 1_000, dt.UTC)
    digest = hashlib.sha256(html.encode())
    for item in evidence:
        digest.update(hashlib.sha256(item.data).digest())
    attachments = [
        Attachment(
            string=item.data,
            name=item.name,
            description=item.description,
            relationship="Source",
            created=made,
            modified=made,
        )
        for item in evidence
    ]
    fonts = FontConfiguration()
    with _environment:
        before = os.environ.get("SOURCE_DATE_EPOCH")
        os.environ["SOURCE_DATE_EPOCH"] = str(made_at_ms // 1_000)
        try:
            document = HTML(string=html, url_fetcher=_NothingOutside())
            style = CSS(string=STYLE.read_text(encoding="utf-8"), font_config=fonts)
            pdf: bytes = document.write_pdf(
                stylesheets=[style],
                attachments=attachments,
                font_config=fonts,
                pdf_variant="pdf/a-3u",
                pdf_identifier=digest.digest()[:16],
                custom_metadata=True,
            )
        finally:
            if before is None:
                del os.environ["SOURCE_DATE_EPOCH"]
            else:
                os.environ["SOURCE_DATE_EPOCH"] = before
    return pdf
