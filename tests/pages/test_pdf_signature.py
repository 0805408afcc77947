"""Papers carry the node's PAdES signature: other people's readers find it whole, and every change breaks it."""

import asyncio
import datetime as dt
import io
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.sign.validation import SignatureCoverageLevel, validate_pdf_signature
from pyhanko_certvalidator import ValidationContext
from pypdf import PdfReader

from sync.certs import make_authority
from sync.keys import make_identity
from tests.data.sample_report import BUNDLE, NOTE, RECEIPT, opened_lot
from tests.pages.room import LOT, Browser, Room
from web.pdf_signature import rendering, signed
from web.reports import EVIDENCE_NAME, opening_pdf

NODE = "532924-room-1-a"
PDFSIG = shutil.which("pdfsig")


@dataclass(frozen=True)
class Signed:
    plain: bytes
    pdf: bytes
    keys: Path


def identity_in(folder: Path, now: dt.datetime) -> Path:
    authority = make_authority("532900-centre-1", now=now)
    make_identity(folder, origin="dali.erhai/532924/room-1/a/e1", node=NODE, authority=authority, now=now)
    return folder


@pytest.fixture(scope="module")
def paper(tmp_path_factory) -> Signed:
    now = dt.datetime.now(dt.UTC)
    keys = identity_in(tmp_path_factory.mktemp("node") / "keys", now)
    plain = opening_pdf(opened_lot(), BUNDLE, NOTE, receipt=RECEIPT)
    return Signed(plain, signed(plain, keys, NODE, now), keys)


def judged(pdf: bytes, keys: Path):
    """What pyhanko says, with the node's identity as the only thing trusted."""
    der = x509.load_pem_x509_certificate((keys / "tls.crt").read_bytes()).public_bytes(Encoding.DER)
    (found,) = PdfFileReader(io.BytesIO(pdf)).embedded_signatures
    return validate_pdf_signature(found, ValidationContext(trust_roots=[asn1_x509.Certificate.load(der)]))


def test_the_signature_covers_the_whole_document_and_leads_to_the_nodes_identity(paper):
    said = judged(paper.pdf, paper.keys)
    assert said.bottom_line
    assert said.coverage == SignatureCoverageLevel.ENTIRE_FILE
    assert said.signing_cert.subject.native["common_name"] == NODE


def test_the_identity_that_signed_is_the_prefectures_and_both_certificates_lie_inside(paper):
    (found,) = PdfFileReader(io.BytesIO(paper.pdf)).embedded_signatures
    inside = {cert.dump() for cert in found.other_embedded_certs}
    identity = x509.load_pem_x509_certificate((paper.keys / "tls.crt").read_bytes())
    root = x509.load_pem_x509_certificate((paper.keys / "ca.crt").read_bytes())
    assert {one.public_bytes(Encoding.DER) for one in (identity, root)} <= inside
    identity.verify_directly_issued_by(root)


def test_what_was_rendered_stands_unchanged_before_the_signature(paper):
    assert paper.pdf.startswith(paper.plain)
    assert rendering(paper.pdf) == paper.plain.rstrip()
    assert PdfReader(io.BytesIO(paper.pdf)).attachments[EVIDENCE_NAME] == [BUNDLE]


@pytest.mark.parametrize("share", [0.2, 0.4, 0.6])
def test_a_changed_byte_breaks_it(paper, share):
    body = bytearray(paper.pdf)
    body[int(len(paper.plain) * share)] ^= 1
    assert not judged(bytes(body), paper.keys).intact


def test_another_nodes_signature_does_not_lead_to_this_identity(paper, tmp_path):
    other = identity_in(tmp_path / "keys", dt.datetime.now(dt.UTC))
    said = judged(signed(paper.plain, other, NODE, dt.datetime.now(dt.UTC)), paper.keys)
    assert said.intact
    assert not said.trusted


def test_a_room_whose_identity_has_run_out_still_signs_and_is_not_trusted(paper, tmp_path):
    old = identity_in(tmp_path / "keys", dt.datetime.now(dt.UTC) - dt.timedelta(days=200))
    said = judged(signed(paper.plain, old, NODE, dt.datetime.now(dt.UTC)), paper.keys)
    assert (said.intact, said.trusted) == (True, False)


@pytest.mark.skipif(PDFSIG is None, reason="needs pdfsig (Debian: poppler-utils)")
def test_poppler_finds_the_signature_valid_and_a_changed_document_not(paper, tmp_path):
    def said(pdf: bytes) -> str:
        file = tmp_path / "paper.pdf"
        file.write_bytes(pdf)
        done = subprocess.run(
            [str(PDFSIG), "-nocert", str(file)], capture_output=True, text=True, timeout=60, check=False
        )
        return done.stdout

    good = said(paper.pdf)
    assert "Signature is Valid" in good
    assert "Total document signed" in good
    assert "ETSI.CAdES.detached" in good
    changed = bytearray(paper.pdf)
    changed[len(paper.plain) // 2] ^= 1
    assert "Signature is Valid" not in said(bytes(changed))


async def test_the_desk_hands_out_signed_papers(tmp_path):
    room = Room.in_folder(tmp_path)
    await room.opened()
    browser = await Browser.of(room, "O-1")
    response = await browser.client.get(f"/desk/lots/{LOT}/papers/opening.pdf")
    assert response.status == 200
    said = await asyncio.to_thread(judged, await response.read(), room.node.keys.folder)
    assert said.bottom_line
    await browser.close()
    await room.node.close()
