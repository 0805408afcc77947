"""PAdES on a document (文书签章): the node signs what it hands out, so that a reader shows at once whether a copy was changed.

The signature is an increment: the bytes before it are the rendering, the same for everybody who renders the same data. It says
which node gave this copy; what binds the members is their own signatures in the attached log.

PDF readers know ECDSA and not yet Ed25519. So each document has a key of its own (P-256), which is forgotten at once; its
certificate is signed by the node's identity, and that by the prefecture. Readers see an unbroken signature of an unknown
issuer; whoever wants to know the node checks the two certificates, which are inside.
"""

import datetime as dt
import io
from pathlib import Path

from asn1crypto import keys as asn1_keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509.oid import NameOID
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import signers
from pyhanko.sign.fields import SigSeedSubFilter
from pyhanko_certvalidator.registry import SimpleCertificateStore

from sync.keys import KeyFault

FIELD = "NodeSignature"
REASON = "本节点出具；内容以所附日志为准"
_LEAST = dt.timedelta(days=1)  # a room cut off for longer than its identity lives still prints its report
_EARLIER = dt.timedelta(minutes=5)  # a reader's clock may be behind


def signed(pdf: bytes, folder: Path, node: str, now: dt.datetime) -> bytes:
    """Return the document signed for the node whose keys are in `folder`. Raises OSError, KeyFault for keys that cannot be used."""
    identity = x509.load_pem_x509_certificate((folder / "tls.crt").read_bytes())
    issuers = [identity, *x509.load_pem_x509_certificates((folder / "ca.crt").read_bytes())]
    key = ec.generate_private_key(ec.SECP256R1())
    store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
    store.register_multiple(map(_plain, issuers))
    private = key.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    signer = signers.SimpleSigner(
        signing_cert=_plain(_certificate(folder, identity, key.public_key(), node, now)),
        signing_key=asn1_keys.PrivateKeyInfo.load(private),
        cert_registry=store,
    )
    about = signers.PdfSignatureMetadata(
        field_name=FIELD, md_algorithm="sha256", subfilter=SigSeedSubFilter.PADES, name=node, reason=REASON
    )
    target = io.BytesIO()
    signers.PdfSigner(about, signer).sign_pdf(IncrementalPdfFileWriter(io.BytesIO(pdf)), output=target)
    return target.getvalue()


def rendering(pdf: bytes) -> bytes:
    """Return what was rendered before the node signed: everything up to the end of the last revision but one."""
    mark = b"%%EOF"
    end = pdf.rfind(mark, 0, pdf.rfind(mark)) + len(mark)
    return pdf[:end]


def _certificate(
    folder: Path, identity: x509.Certificate, public: ec.EllipticCurvePublicKey, node: str, now: dt.datetime
) -> x509.Certificate:
    """Return the document key's certificate, by the node's identity; it ends with it."""
    own = serialization.load_pem_private_key((folder / "tls.key").read_bytes(), None)
    if not isinstance(own, Ed25519PrivateKey):
        raise KeyFault(str(folder / "tls.key"), "wrong-kind")
    # Signatures, by somebody who stands by them; no certificates, no encryption.
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    subject = x509.Name(
        [x509.NameAttribute(NameOID.COMMON_NAME, node), x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, "文书")]
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(identity.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _EARLIER)
        .not_valid_after(max(identity.not_valid_after_utc, now + _LEAST))
        .add_extension(usage, critical=True)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(own, None)
    )


def _plain(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(serialization.Encoding.DER))
