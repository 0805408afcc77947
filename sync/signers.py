"""Who makes a person's signature (签名设备): a key in memory, or a token by PKCS #11 or SKF, all behind one interface."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key
from pkcs11.util.ec import encode_ecdsa_signature

from sync.certificate_form import Certificate, read_certificate
from sync.gm import Sm2Key


@dataclass(eq=False)
class TokenFault(Exception):
    """A token cannot sign. `why`: no-library, no-token, no-certificate, no-key, wrong-pin, locked, not-offered, failed."""

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line; never a PIN."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


class ActSigner(Protocol):
    """A person's key and certificates. `sign` takes the data itself: SHA-256 (SM3 for SM2) is inside, none for Ed25519."""

    @property
    def certificate(self) -> bytes:
        """Return the certificate, DER."""

    @property
    def chain(self) -> tuple[bytes, ...]:
        """Return the issuing certificates that go along, DER."""

    def sign(self, data: bytes) -> bytes:
        """Return the signature as certificates carry it. Raises TokenFault."""


class SoftwareSigner:
    """A key in memory: for demonstrations and tests, and for the bidder's own machine."""

    def __init__(self, certificate: bytes, key: bytes, chain: Sequence[bytes] = ()) -> None:
        """Take an unencrypted PKCS 8 key, DER. Raises CertRefused, GmRefused, ValueError."""
        self.certificate, self.chain = certificate, tuple(chain)
        family = read_certificate(certificate).family
        self._key: Any = Sm2Key.load(key) if family == "sm2" else load_der_private_key(key, None)

    def sign(self, data: bytes) -> bytes:
        """Sign. Raises TokenFault."""
        return sign_with(self._key, data)


def sign_with(key: Any, data: bytes) -> bytes:
    """Return a key's signature as certificates carry it, of whichever family. Raises TokenFault."""
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(data, padding.PKCS1v15(), hashes.SHA256())
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(data, ec.ECDSA(hashes.SHA256()))
    if isinstance(key, (ed25519.Ed25519PrivateKey, Sm2Key)):
        return key.sign(data)
    raise TokenFault("not-offered", type(key).__name__)


class Pkcs11Signer:
    """A token by PKCS #11: the session is opened with the PIN and closed by `close`.

    SM2 has no mechanism in PKCS #11 2.40 and 3.0: such a token is used by SKF.
    """

    def __init__(self, library: str, *, token: str, pin: str, chain: Sequence[bytes] = ()) -> None:
        """Open the token of a label and find its signing certificate. Raises TokenFault."""
        try:
            self._session = pkcs11.lib(library).get_token(token_label=token).open(user_pin=pin)
        except (pkcs11.PinIncorrect, pkcs11.PinInvalid, pkcs11.PinLenRange) as error:
            raise TokenFault("wrong-pin") from error
        except pkcs11.PinLocked as error:
            raise TokenFault("locked") from error
        except pkcs11.NoSuchToken as error:
            raise TokenFault("no-token", token) from error
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise TokenFault("no-library", type(error).__name__) from error
        self.chain = tuple(chain)
        found = self._find()
        self.certificate, self._family = found.der, found.family

    def _find(self) -> Certificate:
        query = {pkcs11.Attribute.CLASS: pkcs11.ObjectClass.CERTIFICATE}
        for row in self._session.get_objects(query):
            found = read_certificate(bytes(row[pkcs11.Attribute.VALUE]), "token")
            usage = found.parsed.key_usage_value
            if usage is not None and "digital_signature" in usage.native:
                self._key_id = bytes(row[pkcs11.Attribute.ID])
                return found
        raise TokenFault("no-certificate")

    def sign(self, data: bytes) -> bytes:
        """Sign in the token. Raises TokenFault."""
        try:
            key: Any = self._session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=self._key_id)
            match self._family:
                case "rsa":
                    return bytes(key.sign(data, mechanism=pkcs11.Mechanism.SHA256_RSA_PKCS))
                case "ecdsa":
                    digest = hashes.Hash(hashes.SHA256())
                    digest.update(data)
                    raw = key.sign(digest.finalize(), mechanism=pkcs11.Mechanism.ECDSA)
                    return bytes(encode_ecdsa_signature(raw))
                case "ed25519":
                    return bytes(key.sign(data, mechanism=pkcs11.Mechanism.EDDSA))
                case _:
                    raise TokenFault("not-offered", self._family)
        except pkcs11.NoSuchKey as error:
            raise TokenFault("no-key") from error
        except (pkcs11.PKCS11Error, RuntimeError) as error:
            raise TokenFault("failed", type(error).__name__) from error

    def close(self) -> None:
        """Leave the token."""
        self._session.close()
