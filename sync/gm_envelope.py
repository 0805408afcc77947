"""A secret in an envelope to an SM2 certificate: EnvelopedData of GM/T 0010, as a USB key's SKF interface can open it (国密信封).

    ContentInfo 1.2.156.10197.6.1.4.2.3 { EnvelopedData { 1, SET { RecipientInfo { 1, issuerAndSerialNumber,
        SM2 encryption, SM2Cipher of the SM4 key (GM/T 0009) } }, { data, SM4-CBC with its IV, [0] ciphertext } } }

The form has no authentication: whoever stores such an envelope keeps its digest under a signature (`wrap_hash` of a bid's manifest).
An SKF token decrypts no bytes by SM2, it imports a wrapped SM4 key and decrypts with that, hence the two steps.
"""

import os
from typing import Any

from asn1crypto import cms, core, x509
from cryptography.hazmat.primitives import padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from sync.gm import sm2_encrypt

ENVELOPED, DATA = "1.2.156.10197.6.1.4.2.3", "1.2.156.10197.6.1.4.2.1"
_SM4_CBC = "1.2.156.10197.1.104.2"
# GM/T 0006 names SM2 encryption .3; GmSSL writes and takes .2, which is key exchange there.
_SM2_ENCRYPT, _ALSO = "1.2.156.10197.1.301.3", "1.2.156.10197.1.301.2"
_BLOCK, _KEY = 16, 16


class _Algorithm(core.Sequence):  # type: ignore[misc]
    _fields = [("algorithm", core.ObjectIdentifier), ("parameters", core.Any, {"optional": True})]  # noqa: RUF012


class _Recipient(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012 - how asn1crypto declares a structure
        ("version", core.Integer),
        ("rid", cms.IssuerAndSerialNumber),
        ("algorithm", _Algorithm),
        ("encrypted_key", core.OctetString),
    ]


class _Recipients(core.SetOf):  # type: ignore[misc]
    _child_spec = _Recipient


class _Content(core.Sequence):  # type: ignore[misc]
    _fields = [  # noqa: RUF012
        ("type", core.ObjectIdentifier),
        ("algorithm", _Algorithm),
        ("encrypted", core.OctetString, {"implicit": 0}),
    ]


class _Enveloped(core.Sequence):  # type: ignore[misc]
    _fields = [("version", core.Integer), ("recipients", _Recipients), ("content", _Content)]  # noqa: RUF012


class _Outer(core.Sequence):  # type: ignore[misc]
    _fields = [("type", core.ObjectIdentifier), ("content", _Enveloped, {"explicit": 0})]  # noqa: RUF012


def is_gm(envelope: bytes) -> bool:
    """Whether these bytes begin as a GM/T 0010 envelope does."""
    head = core.ObjectIdentifier(ENVELOPED).dump()
    return head in envelope[: 8 + len(head)]


def seal_gm(certificate: bytes, secret: bytes) -> bytes:
    """Return the DER envelope of `secret` to an SM2 certificate (DER). Raises GmRefused, GmFault."""
    parsed = x509.Certificate.load(certificate)
    key, iv = os.urandom(_KEY), os.urandom(_BLOCK)
    padder = padding.PKCS7(_BLOCK * 8).padder()
    encryptor = Cipher(algorithms.SM4(key), modes.CBC(iv)).encryptor()
    recipient = {
        "version": 1,
        "rid": {"issuer": parsed.issuer, "serial_number": parsed.serial_number},
        "algorithm": {"algorithm": _SM2_ENCRYPT},
        "encrypted_key": sm2_encrypt(parsed.public_key.dump(), key),
    }
    content = {
        "type": DATA,
        "algorithm": {"algorithm": _SM4_CBC, "parameters": core.OctetString(iv)},
        "encrypted": encryptor.update(padder.update(secret) + padder.finalize()) + encryptor.finalize(),
    }
    body = {"version": 1, "recipients": [recipient], "content": content}
    return bytes(_Outer({"type": ENVELOPED, "content": body}).dump())


class GmEnvelope:
    """An envelope that was read; nothing of it is opened."""

    def __init__(self, envelope: bytes) -> None:
        """Read it strictly. Raises ValueError where it is none of this form."""
        try:
            outer = _Outer.load(envelope, strict=True)
            body = outer["content"]
            content = body["content"]
            kinds = (outer["type"].dotted, content["type"].dotted, content["algorithm"]["algorithm"].dotted)
            self._iv = bytes(content["algorithm"]["parameters"].parsed.native)
            self._sealed = bytes(content["encrypted"].native)
            self._recipients: list[Any] = list(body["recipients"])
            self._names = [(one["rid"]["issuer"], one["rid"]["serial_number"].native) for one in self._recipients]
        except (TypeError, KeyError, AttributeError) as error:
            raise ValueError("not an envelope") from error
        if kinds != (ENVELOPED, DATA, _SM4_CBC) or len(self._iv) != _BLOCK or not self._sealed:
            raise ValueError("not an envelope")

    def wrapped_key(self, certificate: bytes) -> bytes | None:
        """Return the SM2Cipher of the SM4 key for this certificate's holder; None where the holder is no recipient."""
        wanted = x509.Certificate.load(certificate)
        for one, (issuer, serial) in zip(self._recipients, self._names, strict=True):
            if issuer == wanted.issuer and serial == wanted.serial_number:
                if one["algorithm"]["algorithm"].dotted not in {_SM2_ENCRYPT, _ALSO}:
                    raise ValueError("not SM2 encryption")
                return bytes(one["encrypted_key"].native)
        return None

    def open(self, key: bytes) -> bytes:
        """Return the secret under the unwrapped SM4 key. Raises ValueError where it is another key or changed bytes."""
        if len(key) != _KEY:
            raise ValueError("not an SM4 key")
        decryptor = Cipher(algorithms.SM4(key), modes.CBC(self._iv)).decryptor()
        unpadder = padding.PKCS7(_BLOCK * 8).unpadder()
        return unpadder.update(decryptor.update(self._sealed) + decryptor.finalize()) + unpadder.finalize()
