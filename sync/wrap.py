"""A secret for one holder of an X25519 key: HPKE base mode (RFC 9180), as trustees and the ceremony receive shares.

A sender may derive the ephemeral key from a seed (`wrap_seeded`). Whoever learns the seed later can then read the wrap without the
holder (`reopen_seeded`): so a holder who says that nothing usable was wrapped is proven right or wrong.

Suite: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM. A blob is `enc` (32 bytes) followed by the ciphertext, 48 bytes
more than the secret. `info` binds the blob to what it is for: opened under another `info` it is refused.
"""

from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.hpke import AEAD, KDF, KEM, Suite
from pyhpke import AEADId, CipherSuite, KDFId, KEMId
from pyhpke.exceptions import PyHPKEError
from pyhpke.kem_key import KEMKey

OVERHEAD = 48
_MAX_SECRET = 65_536
_ENC = 32
_SUITE = Suite(KEM.X25519, KDF.HKDF_SHA256, AEAD.AES_256_GCM)
# The same suite by the library that takes an ephemeral key from its caller.
_SEEDED = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)


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


def wrap_seeded(public: bytes, info: bytes, secret: bytes, seed: bytes) -> bytes:
    """Return what `wrap_share` returns, under the ephemeral key that RFC 9180 DeriveKeyPair gives for `seed` (32 secret bytes)."""
    if len(public) != 32 or len(seed) != 32 or not 1 <= len(secret) <= _MAX_SECRET:
        raise WrapFault("bad-input", "key, seed or secret of a wrong size")
    try:
        holder = KEMKey.from_pyca_cryptography_key(X25519PublicKey.from_public_bytes(public))
        enc, sender = _SEEDED.create_sender_context(holder, info=info, eks=_SEEDED.kem.derive_key_pair(seed))
        return enc + sender.seal(secret)
    except (PyHPKEError, ValueError) as error:  # a point of low order
        raise WrapFault("bad-input", "the public key is not usable") from error


def reopen_seeded(public: bytes, info: bytes, blob: bytes, seed: bytes) -> bytes:
    """Return what a seeded wrap for `public` holds, without its holder. Raises WrapFault: it was not made from this seed.

    AES-GCM is a keystream and a tag: sealing zeros shows the keystream, sealing the result again proves the tag.
    """
    size = len(blob) - OVERHEAD
    if size < 1:
        raise WrapFault("not-ours")
    stream = wrap_seeded(public, info, bytes(size), seed)
    found = bytes(a ^ b for a, b in zip(blob[_ENC : _ENC + size], stream[_ENC : _ENC + size], strict=True))
    if wrap_seeded(public, info, found, seed) != blob:
        raise WrapFault("not-ours")
    return found
