"""The bidder's half in a CMS envelope to the bidder's own certificate: RFC 5083 AuthEnvelopedData with AES-256-GCM, and for an SM2
certificate the envelope of GM/T 0010 (`sync.gm_envelope`). The certificate decides, not the profile of the payload.

RSA recipients: RSAES-OAEP with SHA-256 (RFC 3560). EC recipients: ephemeral-static ECDH, X9.63 KDF with SHA-256, AES-256 key
wrap (RFC 5753). `openssl cms -decrypt` opens both. No authenticated attributes: OpenSSL 3.0 cannot read them; what the half
belongs to is in the manifest and in the payload's key and context. PKCS#1 v1.5 is neither written nor read.
"""

import os
from dataclasses import dataclass
from typing import Any, Protocol, Self

from asn1crypto import algos, cms, core, keys
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes, keywrap, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.x963kdf import X963KDF

from sync.certificate_form import CertRefused, read_certificate
from sync.gm import GmRefused, Sm2Key
from sync.gm_envelope import GmEnvelope, is_gm, seal_gm

_TYPE = "authenticated_enveloped_data"
_ECDH_SHA256 = "1.3.132.1.11.1"  # dhSinglePass-stdDH-sha256kdf-scheme
_TAG = 16
MAX_ENVELOPE = 16 * 1024


@dataclass(eq=False)
class EnvelopeRefused(Exception):
    """An envelope cannot be made for a certificate, or does not open.

    `why` is one of: unusable-certificate, not-an-envelope, not-a-recipient, changed (wrong key or changed bytes).
    """

    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"envelope: {self.why}"


class _SharedInfo(core.Sequence):  # type: ignore[misc]  # ECC-CMS-SharedInfo, RFC 5753 7.2
    _fields = [  # noqa: RUF012 - how asn1crypto declares a structure
        ("key_info", cms.KeyEncryptionAlgorithm),
        ("entity_u_info", core.OctetString, {"explicit": 0, "optional": True}),
        ("supp_pub_info", core.OctetString, {"explicit": 2}),
    ]


class _GcmParams(core.Sequence):  # type: ignore[misc]  # GCMParameters, RFC 5084 3.2
    _fields = [("nonce", core.OctetString), ("icvlen", core.Integer, {"default": 12})]  # noqa: RUF012


class Holder(Protocol):
    """Whoever has the private key of an encryption certificate: a key file here, a token in the agent."""

    @property
    def certificate(self) -> bytes:
        """Return the certificate's DER."""
        ...

    def decrypt_oaep(self, blob: bytes) -> bytes:
        """Return RSAES-OAEP (SHA-256) plaintext; ValueError where it is none."""
        ...

    def exchange(self, peer_spki: bytes) -> bytes:
        """Return the ECDH secret with a peer's public key (DER)."""
        ...

    def decrypt_sm2(self, blob: bytes) -> bytes:
        """Return what a DER SM2Cipher holds; ValueError where it is none for this key."""
        ...


@dataclass(frozen=True, slots=True, repr=False)
class FileHolder:
    """A software key."""

    certificate: bytes
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | Sm2Key

    @classmethod
    def of(cls, certificate: bytes, pkcs8: bytes) -> Self:
        """Take a certificate and its unencrypted PKCS 8 key, both DER. Raises ValueError for a key that opens nothing."""
        try:
            if read_certificate(certificate).family == "sm2":
                return cls(certificate, Sm2Key.load(pkcs8))
        except (CertRefused, GmRefused) as error:
            raise ValueError("certificate and key") from error
        private = serialization.load_der_private_key(pkcs8, None)
        if not isinstance(private, rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey):
            raise ValueError("an RSA, EC or SM2 key is needed")  # noqa: TRY004 - one error for whatever does not fit
        return cls(certificate, private)

    def decrypt_oaep(self, blob: bytes) -> bytes:
        """See Holder."""
        if not isinstance(self.private, rsa.RSAPrivateKey):
            raise ValueError("no RSA key")  # noqa: TRY004 - one error for whatever does not fit
        return self.private.decrypt(blob, _oaep())

    def exchange(self, peer_spki: bytes) -> bytes:
        """See Holder."""
        peer = serialization.load_der_public_key(peer_spki)
        if not isinstance(self.private, ec.EllipticCurvePrivateKey) or not isinstance(peer, ec.EllipticCurvePublicKey):
            raise ValueError("no EC key")  # noqa: TRY004 - one error for whatever does not fit
        return self.private.exchange(ec.ECDH(), peer)

    def decrypt_sm2(self, blob: bytes) -> bytes:
        """See Holder."""
        if not isinstance(self.private, Sm2Key):
            raise ValueError("no SM2 key")  # noqa: TRY004 - one error for whatever does not fit
        try:
            return self.private.decrypt(blob)
        except GmRefused as error:
            raise ValueError("SM2 ciphertext") from error


def seal_for(certificate: bytes, secret: bytes) -> bytes:
    """Return the DER envelope of `secret` to the holder of `certificate` (DER, RSA >= 2048, EC or SM2).

    Raises EnvelopeRefused; GmFault where this machine has no SM2.
    """
    try:
        if read_certificate(certificate).family == "sm2":
            return seal_gm(certificate, secret)
        public = x509.load_der_x509_certificate(certificate).public_key()
    except (CertRefused, GmRefused, ValueError) as error:
        raise EnvelopeRefused("unusable-certificate") from error
    rid = {"issuer": _of(certificate).issuer, "serial_number": _of(certificate).serial_number}
    content_key, nonce = AESGCM.generate_key(256), os.urandom(12)
    if isinstance(public, rsa.RSAPublicKey) and public.key_size >= 2048:
        recipient = _to_rsa(public, rid, content_key)
    elif isinstance(public, ec.EllipticCurvePublicKey) and public.curve.key_size >= 256:
        recipient = _to_ec(public, rid, content_key)
    else:
        raise EnvelopeRefused("unusable-certificate")
    sealed = AESGCM(content_key).encrypt(nonce, secret, None)
    body = cms.AuthEnvelopedData(
        {
            "version": "v0",
            "recipient_infos": [recipient],
            "auth_encrypted_content_info": {
                "content_type": "data",
                "content_encryption_algorithm": {
                    "algorithm": "aes256_gcm",
                    "parameters": _GcmParams({"nonce": nonce, "icvlen": _TAG}),
                },
                "encrypted_content": sealed[:-_TAG],
            },
            "mac": sealed[-_TAG:],
        }
    )
    return bytes(cms.ContentInfo({"content_type": _TYPE, "content": body}).dump())


def open_for(holder: Holder, envelope: bytes) -> bytes:
    """Return the secret that an envelope holds for `holder`. Raises EnvelopeRefused."""
    if len(envelope) > MAX_ENVELOPE:
        raise EnvelopeRefused("not-an-envelope")
    if is_gm(envelope):
        return _open_gm(holder, envelope)
    try:
        info = cms.ContentInfo.load(envelope, strict=True)
        if info["content_type"].native != _TYPE:
            raise EnvelopeRefused("not-an-envelope")
        body = info["content"]
        inner = body["auth_encrypted_content_info"]
        algorithm = inner["content_encryption_algorithm"]
        if algorithm["algorithm"].native != "aes256_gcm" or len(body["mac"].native) != _TAG:
            raise EnvelopeRefused("not-an-envelope")
        nonce = _GcmParams.load(algorithm["parameters"].dump())["nonce"].native
        sealed = inner["encrypted_content"].native + body["mac"].native
        recipients = list(body["recipient_infos"])
    except (ValueError, TypeError, KeyError) as error:
        raise EnvelopeRefused("not-an-envelope") from error
    try:
        return AESGCM(_content_key(holder, recipients)).decrypt(nonce, sealed, None)
    except (InvalidTag, ValueError, TypeError, KeyError, keywrap.InvalidUnwrap) as error:
        raise EnvelopeRefused("changed") from error


def _open_gm(holder: Holder, envelope: bytes) -> bytes:
    try:
        read = GmEnvelope(envelope)
        wrapped = read.wrapped_key(holder.certificate)
    except ValueError as error:
        raise EnvelopeRefused("not-an-envelope") from error
    if wrapped is None:
        raise EnvelopeRefused("not-a-recipient")
    try:
        return read.open(holder.decrypt_sm2(wrapped))
    except ValueError as error:
        raise EnvelopeRefused("changed") from error


def _content_key(holder: Holder, recipients: list[Any]) -> bytes:
    wanted = _of(holder.certificate)
    for choice in recipients:
        one = choice.chosen
        if choice.name == "ktri" and _names(one["rid"], wanted):
            algorithm = one["key_encryption_algorithm"]
            if algorithm["algorithm"].native != "rsaes_oaep" or _oaep_hashes(algorithm) != {"sha256"}:
                raise EnvelopeRefused("not-an-envelope")
            return holder.decrypt_oaep(one["encrypted_key"].native)
        if choice.name == "kari":
            for each in one["recipient_encrypted_keys"]:
                if _names(each["rid"], wanted):
                    if one["key_encryption_algorithm"]["algorithm"].dotted != _ECDH_SHA256:
                        raise EnvelopeRefused("not-an-envelope")
                    ukm = one["ukm"].native
                    point = one["originator"].chosen["public_key"].contents
                    # OpenSSL leaves the curve out: it is the recipient's.
                    peer = keys.PublicKeyInfo(
                        {
                            "algorithm": wanted.public_key["algorithm"],
                            "public_key": keys.ECPointBitString(contents=point),
                        }
                    )
                    wrapping = _kdf(_wrap_of(one), ukm).derive(holder.exchange(peer.dump()))
                    return keywrap.aes_key_unwrap(wrapping, each["encrypted_key"].native)
    raise EnvelopeRefused("not-a-recipient")


def _wrap_of(one: Any) -> str:
    parameters = one["key_encryption_algorithm"]["parameters"]
    inner = cms.KeyEncryptionAlgorithm.load(parameters.dump())
    name = str(inner["algorithm"].native)
    if name not in _WRAP_BYTES:
        raise EnvelopeRefused("not-an-envelope")
    return name


_WRAP_BYTES = {"aes128_wrap": 16, "aes192_wrap": 24, "aes256_wrap": 32}


def _kdf(wrap: str, ukm: bytes | None) -> X963KDF:
    size = _WRAP_BYTES[wrap]
    fields: dict[str, Any] = {"key_info": {"algorithm": wrap}, "supp_pub_info": (size * 8).to_bytes(4)}
    if ukm is not None:
        fields["entity_u_info"] = ukm
    return X963KDF(algorithm=hashes.SHA256(), length=size, sharedinfo=_SharedInfo(fields).dump())


def _to_rsa(public: rsa.RSAPublicKey, rid: dict[str, Any], content_key: bytes) -> cms.RecipientInfo:
    sha256 = {"algorithm": "sha256"}
    parameters = algos.RSAESOAEPParams(
        {"hash_algorithm": sha256, "mask_gen_algorithm": {"algorithm": "mgf1", "parameters": sha256}}
    )
    body = {
        "version": "v0",
        "rid": cms.RecipientIdentifier("issuer_and_serial_number", rid),
        "key_encryption_algorithm": {"algorithm": "rsaes_oaep", "parameters": parameters},
        "encrypted_key": public.encrypt(content_key, _oaep()),
    }
    return cms.RecipientInfo("ktri", cms.KeyTransRecipientInfo(body))


def _to_ec(public: ec.EllipticCurvePublicKey, rid: dict[str, Any], content_key: bytes) -> cms.RecipientInfo:
    mine = ec.generate_private_key(public.curve)
    wrapping = _kdf("aes256_wrap", None).derive(mine.exchange(ec.ECDH(), public))
    spki = mine.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    body = {
        "version": "v3",
        "originator": cms.OriginatorIdentifierOrKey("originator_key", keys.PublicKeyInfo.load(spki)),
        "key_encryption_algorithm": {
            "algorithm": _ECDH_SHA256,
            "parameters": cms.KeyEncryptionAlgorithm({"algorithm": "aes256_wrap"}),
        },
        "recipient_encrypted_keys": [
            {
                "rid": cms.KeyAgreementRecipientIdentifier("issuer_and_serial_number", rid),
                "encrypted_key": keywrap.aes_key_wrap(wrapping, content_key),
            }
        ],
    }
    return cms.RecipientInfo("kari", cms.KeyAgreeRecipientInfo(body))


def _oaep() -> padding.OAEP:
    return padding.OAEP(mgf=padding.MGF1(hashes.SHA256()), algorithm=hashes.SHA256(), label=None)


def _oaep_hashes(algorithm: Any) -> set[str]:
    parameters = algorithm["parameters"]
    return {
        str(parameters["hash_algorithm"]["algorithm"].native),
        str(parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native),
    }


def _of(certificate: bytes) -> Any:
    return asn1_x509.Certificate.load(certificate)


def _names(rid: Any, wanted: Any) -> bool:
    """Whether a recipient identifier names this certificate, by issuer and serial or by key identifier."""
    if rid.name == "issuer_and_serial_number":
        chosen = rid.chosen
        return bool(chosen["issuer"] == wanted.issuer and chosen["serial_number"].native == wanted.serial_number)
    chosen = rid.chosen
    identifier = chosen["subject_key_identifier"] if rid.name == "r_key_id" else chosen
    return bool(wanted.key_identifier and identifier.native == wanted.key_identifier)
