"""A secret for one holder of an X25519 key: HPKE base mode (RFC 9180), as trustees and the ceremony receive shares.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. A blob is `enc` (32 bytes) followed by the ciphertext, 48 bytes
more than the secret. `info` binds the blob to what it is for: opened under another `info` it is refused.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite

OVERHEAD = 48
_MAX_SECRET = 65_536
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)


@dataclass(eq=False)
class WrapFault(Exception):
    """A blob was not made for this key and purpose, was changed, or cannot be made.

    `reason` is one of: bad-input, not-ours (another key, another `info`, or changed bytes: the three look alike).
    """

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def wrap_share(public: bytes, info: bytes, secret: bytes) -> bytes:
    """Return `secret` (up to 64 KiB) so that only the holder of the X25519 key `public` (32 raw bytes) reads it."""
    if len(public) != 32:
        raise WrapFault("bad-input", f"public key of {len(public)} bytes, need 32")
    if not 1 <= len(secret) <= _MAX_SECRET:
        raise WrapFault("bad-input", f"secret of {len(secret)} bytes, need 1 to {_MAX_SECRET}")
    try:
        return _SUITE.encrypt(secret, X25519PublicKey.from_public_bytes(public), info)
    except ValueError as error:  # a point of low order
        raise WrapFault("bad-input", "the public key is not usable") from error


def unwrap_share(private: X25519PrivateKey, info: bytes, blob: bytes) -> bytes:
    """Return what `wrap_share` was given. Raises WrapFault."""
    try:
        return _SUITE.decrypt(blob, private, info)
    except (InvalidTag, ValueError) as error:
        raise WrapFault("not-ours") from error
