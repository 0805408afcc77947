"""The CMS of a signed act, made by pyHanko around any signer: file, token, SKF. Used through `sync.acts`, which loads it late."""

import asyncio
import datetime as dt
from concurrent.futures import ThreadPoolExecutor

from asn1crypto import x509 as asn1
from asn1crypto.algos import SignedDigestAlgorithm
from pyhanko.sign.signers.pdf_cms import PdfCMSSignedAttributes, Signer
from pyhanko_certvalidator.registry import SimpleCertificateStore

from sync.certificate_form import read_certificate
from sync.signers import ActSigner

_MECHANISM = {"rsa": "sha256_rsa", "ecdsa": "sha256_ecdsa", "ed25519": "ed25519", "sm2": "sm3_sm2"}
# RFC 8419 asks SHA-512 beside Ed25519; GM/T 0010 asks SM3 beside SM2.
_DIGEST = {"rsa": "sha256", "ecdsa": "sha256", "ed25519": "sha512", "sm2": "sm3"}


class _CmsSigner(Signer):
    def __init__(self, signer: ActSigner) -> None:
        certificate = read_certificate(signer.certificate, "signer")
        store = SimpleCertificateStore()  # type: ignore[no-untyped-call]
        store.register_multiple([asn1.Certificate.load(der) for der in signer.chain])
        mechanism = SignedDigestAlgorithm({"algorithm": _MECHANISM[certificate.family]})
        super().__init__(
            signing_cert=certificate.parsed, cert_registry=store, signature_mechanism=mechanism, embed_roots=False
        )
        self.family = certificate.family
        self._signer = signer

    async def async_sign_raw(self, data: bytes, digest_algorithm: str, dry_run: bool = False) -> bytes:  # noqa: ARG002
        return self._signer.sign(data)


def cms_of(text: bytes, signer: ActSigner, at: dt.datetime | None) -> bytes:
    """Return the detached CAdES-BES signature over the words, DER. Raises TokenFault, CertRefused, GmFault."""
    cms_signer = _CmsSigner(signer)
    attributes = PdfCMSSignedAttributes(signing_time=at)

    def made() -> bytes:
        work = cms_signer.async_sign_general_data(
            text, _DIGEST[cms_signer.family], detached=True, use_cades=True, signed_attr_settings=attributes
        )
        return bytes(asyncio.run(work).dump())

    # pyHanko wants a loop of its own to gather attributes; whoever calls may stand in one
    with ThreadPoolExecutor(1) as aside:
        return aside.submit(made).result()
