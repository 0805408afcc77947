"""Who signs a text, and how a signature is judged: the two calls that sealed bids need of signed acts (签名).

A signature is a detached CMS (CAdES) by the certificate that stands in it. Whether that certificate is trusted, and whose it
is, is asked of the trust store by whoever holds one.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Protocol

from asn1crypto import cms, keys, x509
from pyhanko.sign.general import SigningError
from pyhanko.sign.signers.pdf_cms import SimpleSigner
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import validate_sig_integrity
from pyhanko_certvalidator.registry import SimpleCertificateStore

MAX_SIGNATURE = 64 * 1024
_DIGESTS = {"sha256", "sha384", "sha512"}


class SignatureRefused(Exception):
    """A signature is none over this text, or not in a form that is accepted."""


class ActSigner(Protocol):
    """Whoever can sign: a key file here, a token through the seat's agent."""

    @property
    def certificate(self) -> bytes:
        """Return the signer's certificate, DER."""
        ...

    def sign(self, text: bytes) -> bytes:
        """Return the detached CMS over `text`, DER. Not inside an event loop: use a thread there."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class FileSigner:
    """A software key (PKCS#8 DER), for tests, demonstrations and persons without a token."""

    certificate: bytes
    private: bytes

    def sign(self, text: bytes) -> bytes:
        """See ActSigner."""
        certificate = x509.Certificate.load(self.certificate)
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        signer = SimpleSigner(
            signing_cert=certificate, signing_key=keys.PrivateKeyInfo.load(self.private), cert_registry=store
        )
        # RFC 8419: Ed25519 goes with SHA-512.
        digest = "sha512" if certificate.public_key.algorithm == "ed25519" else "sha256"
        try:
            signed = asyncio.run(signer.async_sign_general_data(text, digest, detached=True))
        except (SigningError, ValueError) as error:
            raise SignatureRefused from error
        return bytes(signed.dump())


def verify_text(text: bytes, signature: bytes) -> bytes:
    """Return the DER certificate whose key has signed `text`. Raises SignatureRefused."""
    if len(signature) > MAX_SIGNATURE:
        raise SignatureRefused
    try:
        info = cms.ContentInfo.load(signature, strict=True)
        if info["content_type"].native != "signed_data" or len(info["content"]["signer_infos"]) != 1:
            raise SignatureRefused
        signed = info["content"]
        signer = signed["signer_infos"][0]
        digest = str(signer["digest_algorithm"]["algorithm"].native)
        if digest not in _DIGESTS or signed["encap_content_info"]["content"].native is not None:
            raise SignatureRefused
        certificate = _certificate_of(signed, signer)
        intact, valid = validate_sig_integrity(
            signer,
            certificate,
            expected_content_type="data",
            actual_digest=hashlib.new(digest, text).digest(),
        )
    except (SignatureValidationError, ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise SignatureRefused from error
    if not (intact and valid):
        raise SignatureRefused
    return bytes(certificate.dump())


def _certificate_of(signed: cms.SignedData, signer: cms.SignerInfo) -> x509.Certificate:
    rid = signer["sid"].chosen
    for choice in signed["certificates"]:
        one = choice.chosen
        named = isinstance(one, x509.Certificate) and isinstance(rid, cms.IssuerAndSerialNumber)
        if named and rid["issuer"] == one.issuer and rid["serial_number"].native == one.serial_number:
            return one
    raise SignatureRefused
