"""Documents as PDF/A-3u, byte for byte the same whenever they are rendered from the same data (版式文件).

The data is signed, the PDF is a rendering: it carries its evidence as an attachment, and anyone who renders the same report
with the same program gets the same bytes. Fonts come from the system (fonts-noto-cjk), nothing from a network.
"""

from dataclasses import dataclass
from importlib import import_module


@dataclass(eq=False)
class RenderFault(Exception):
    """A document asked for something outside itself."""

    url: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """A file carried inside the document."""

    name: str
    description: str
    data: bytes


def render(html: str, evidence: tuple[Evidence, ...], made_at_ms: int) -> bytes:
    """Return the PDF of an HTML document. `made_at_ms` is the time in the document's entry, never the wall clock."""
    # Loaded with the first document: a node that starts again after a power cut must not spend a second on it.
    pdf: bytes = import_module("web.pdf_engine").render(html, evidence, made_at_ms)
    return pdf
