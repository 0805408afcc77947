"""Envelopes: bytes that only named holders of X25519 keys, or of one shared key, can open (密封).

An envelope opens to exactly one plaintext under exactly one content key (it commits to that key), is bound to its context,
and hides the plaintext's length up to the next multiple of 256. All of it is covered by the payload's tag.

Bytes, version 1; integers are big-endian:

    offset  bytes
    0       1      version, 0x01
    1       1      kind: 0x01 to recipients, 0x02 with a shared key
    kind 0x01:
      2     32     ephemeral X25519 public key
      34    1      number of recipients, 1..32, sorted by name, each:
                     1   length of name, 1..64
                     ..  name, UTF-8
                     32  the recipient's X25519 public key
                     48  wrapped content key: ChaCha20-Poly1305(wrap key, nonce 0, content key, no associated data)
    kind 0x02:
      2     32     random salt
    then for both:
      +0    32     key commitment = SHA-256("erhai/seal/v1/key" 00 content key)
      +32   32     context commitment = SHA-256("erhai/seal/v1/context" 00 content key SHA-256(context))
      +64   4      length of ciphertext
      +68   ..     ciphertext: ChaCha20-Poly1305(payload key, nonce 0, padded plaintext, associated data = all bytes before)
    padded plaintext = u32 length, plaintext, zeros to a multiple of 256

    wrap key    = HKDF-SHA256(X25519(ephemeral, recipient), salt = ephemeral public || recipient public,
                              info = "erhai/seal/v1/wrap" 00 name, 32 bytes)
    content key = 32 random bytes (kind 0x01) | HKDF-SHA256(shared key, salt, info = "erhai/seal/v1/shared", 32) (kind 0x02)
    payload key = HKDF-SHA256(content key, no salt, info = "erhai/seal/v1/payload", 32 bytes)

Every derived key encrypts once, so the fixed nonce repeats under no key.
"""

import hashlib
import hmac
import os
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

VERSION = 1
MAX_RECIPIENTS = 32
MAX_PLAINTEXT = 16 * 1024 * 1024
_TO_RECIPIENTS = 1
_WITH_KEY = 2
_BLOCK = 256
_NONCE = bytes(12)
_MAX_NAME = 64
_TAG = 16


@dataclass(eq=False)
class SealFault(Exception):
    """An envelope does not open, or cannot be made.

    `reason` is one of: not-a-recipient (no wrapped key for this name and private key), corrupt (not an envelope, or
    changed bytes), wrong-context (whole, but sealed for something else), bad-input (only when sealing).
    """

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def seal_to(recipients: Mapping[str, bytes], plaintext: bytes, context: bytes) -> bytes:
    """Seal for every named holder of an X25519 public key (32 raw bytes each); any one of them can open it."""
    return _seal_to(recipients, plaintext, context, ephemeral=X25519PrivateKey.generate(), content_key=os.urandom(32))


def _seal_to(
    recipients: Mapping[str, bytes],
    plaintext: bytes,
    context: bytes,
    *,
    ephemeral: X25519PrivateKey,
    content_key: bytes,
) -> bytes:
    if not 1 <= len(recipients) <= MAX_RECIPIENTS:
        raise SealFault("bad-input", f"{len(recipients)} recipients, need 1 to {MAX_RECIPIENTS}")
    mine = ephemeral.public_key().public_bytes_raw()
    head = bytearray((VERSION, _TO_RECIPIENTS)) + mine + bytes((len(recipients),))
    for name in sorted(recipients):
        label = name.encode()
        public = recipients[name]
        if not 1 <= len(label) <= _MAX_NAME:
            raise SealFault("bad-input", f"recipient name of {len(label)} bytes, need 1 to {_MAX_NAME}")
        if len(public) != 32:
            raise SealFault("bad-input", f"public key of {name} has {len(public)} bytes, need 32")
        try:
            shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(public))
        except ValueError as error:  # a point of low order
            raise SealFault("bad-input", f"public key of {name}: {error}") from error
        wrapping = _derive(shared, salt=mine + public, info=b"erhai/seal/v1/wrap\0" + label)
        head += bytes((len(label),)) + label + public + ChaCha20Poly1305(wrapping).encrypt(_NONCE, content_key, None)
    return _finish(bytes(head), content_key, plaintext, context)


def open_with(name: str, private: X25519PrivateKey, envelope: bytes, context: bytes) -> bytes:
    """Return the plaintext sealed to `name`. Raises SealFault."""
    reader = _Reader(envelope, kind=_TO_RECIPIENTS)
    ephemeral = reader.take(32)
    wanted = name.encode()
    public = private.public_key().public_bytes_raw()
    found: bytes | None = None
    count = reader.take(1)[0]
    if not 1 <= count <= MAX_RECIPIENTS:
        raise SealFault("corrupt", f"{count} recipients")
    for _ in range(count):
        label = reader.take(reader.take(1)[0])
        key, wrapped = reader.take(32), reader.take(48)
        if label == wanted and key == public:
            found = wrapped
    if found is None:
        raise SealFault("not-a-recipient", name)
    try:
        shared = private.exchange(X25519PublicKey.from_public_bytes(ephemeral))
        wrapping = _derive(shared, salt=ephemeral + public, info=b"erhai/seal/v1/wrap\0" + wanted)
        content_key = ChaCha20Poly1305(wrapping).decrypt(_NONCE, found, None)
    except (InvalidTag, ValueError) as error:
        raise SealFault("corrupt", "the wrapped key was changed") from error
    return _open(reader, content_key, context)


def recipients_of(envelope: bytes) -> tuple[str, ...]:
    """Return the names an envelope says it is sealed to, without opening it. Raises SealFault."""
    reader = _Reader(envelope, kind=_TO_RECIPIENTS)
    reader.take(32)
    names = []
    for _ in range(reader.take(1)[0]):
        label = reader.take(reader.take(1)[0])
        reader.take(80)
        try:
            names.append(label.decode())
        except UnicodeDecodeError as error:
            raise SealFault("corrupt", "a recipient's name is not UTF-8") from error
    return tuple(names)


def seal_with_key(key: bytes, plaintext: bytes, context: bytes) -> bytes:
    """Seal under a shared key of 32 bytes; the same key may seal many envelopes."""
    return _seal_with_key(key, plaintext, context, salt=os.urandom(32))


def _seal_with_key(key: bytes, plaintext: bytes, context: bytes, *, salt: bytes) -> bytes:
    if len(key) != 32:
        raise SealFault("bad-input", f"key of {len(key)} bytes, need 32")
    content_key = _derive(key, salt=salt, info=b"erhai/seal/v1/shared")
    return _finish(bytes((VERSION, _WITH_KEY)) + salt, content_key, plaintext, context)


def open_with_key(key: bytes, envelope: bytes, context: bytes) -> bytes:
    """Return the plaintext sealed with `seal_with_key`. Another key counts as not-a-recipient. Raises SealFault."""
    reader = _Reader(envelope, kind=_WITH_KEY)
    if len(key) != 32:
        raise SealFault("bad-input", f"key of {len(key)} bytes, need 32")
    content_key = _derive(key, salt=reader.take(32), info=b"erhai/seal/v1/shared")
    if not hmac.compare_digest(reader.peek(32), _key_commitment(content_key)):
        raise SealFault("not-a-recipient", "the key is another one, or the envelope's commitment was changed")
    return _open(reader, content_key, context)


def commitment(salt: bytes, value: bytes) -> bytes:
    """Return the salted commitment to a value: SHA-256("erhai/commitment/v1" 00, u16 length of salt, salt, value).

    The salt must be at least 16 random bytes: names and numbers of persons are guessable without it.
    """
    if not 16 <= len(salt) <= 64:
        raise SealFault("bad-input", f"salt of {len(salt)} bytes, need 16 to 64")
    return hashlib.sha256(b"erhai/commitment/v1\0" + len(salt).to_bytes(2, "big") + salt + value).digest()


def _derive(secret: bytes, *, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(algorithm=hashes.SHA256(), length=32, salt=salt, info=info).derive(secret)


def _key_commitment(content_key: bytes) -> bytes:
    return hashlib.sha256(b"erhai/seal/v1/key\0" + content_key).digest()


def _context_commitment(content_key: bytes, context: bytes) -> bytes:
    return hashlib.sha256(b"erhai/seal/v1/context\0" + content_key + hashlib.sha256(context).digest()).digest()


def _finish(head: bytes, content_key: bytes, plaintext: bytes, context: bytes) -> bytes:
    if len(plaintext) > MAX_PLAINTEXT:
        raise SealFault("bad-input", f"{len(plaintext)} bytes, at most {MAX_PLAINTEXT}")
    padded = len(plaintext).to_bytes(4, "big") + plaintext
    padded += bytes(-len(padded) % _BLOCK)
    head += _key_commitment(content_key) + _context_commitment(content_key, context)
    head += (len(padded) + _TAG).to_bytes(4, "big")
    payload_key = _derive(content_key, salt=None, info=b"erhai/seal/v1/payload")
    return head + ChaCha20Poly1305(payload_key).encrypt(_NONCE, padded, head)


def _open(reader: "_Reader", content_key: bytes, context: bytes) -> bytes:
    """Open the part that both kinds share. The context is judged last: only an unchanged envelope can have a wrong one."""
    if not hmac.compare_digest(reader.take(32), _key_commitment(content_key)):
        raise SealFault("corrupt", "the envelope does not commit to this content key")
    context_commitment = reader.take(32)
    length = int.from_bytes(reader.take(4), "big")
    head = reader.before()
    ciphertext = reader.take(length)
    reader.end()
    payload_key = _derive(content_key, salt=None, info=b"erhai/seal/v1/payload")
    try:
        padded = ChaCha20Poly1305(payload_key).decrypt(_NONCE, ciphertext, head)
    except InvalidTag as error:
        raise SealFault("corrupt", "the contents were changed") from error
    if not hmac.compare_digest(context_commitment, _context_commitment(content_key, context)):
        raise SealFault("wrong-context")
    size = int.from_bytes(padded[:4], "big")
    if len(padded) % _BLOCK or not padded or not 0 <= len(padded) - 4 - size < _BLOCK or any(padded[4 + size :]):
        raise SealFault("corrupt", "the padding is not the shortest one of zeros")
    return padded[4 : 4 + size]


class _Reader:
    """Takes fields from the front of an envelope; never reads past its end."""

    def __init__(self, data: bytes, *, kind: int) -> None:
        self._data = data
        self._at = 0
        version, found = self.take(2)
        if version != VERSION or found not in {_TO_RECIPIENTS, _WITH_KEY}:
            raise SealFault("corrupt", f"version {version}, kind {found} is not known")
        if found != kind:
            raise SealFault(
                "not-a-recipient", "sealed with a shared key" if found == _WITH_KEY else "sealed to named keys"
            )

    def peek(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise SealFault("corrupt", f"ends at byte {len(self._data)}, needs {self._at + size}")
        return self._data[self._at : self._at + size]

    def take(self, size: int) -> bytes:
        part = self.peek(size)
        self._at += size
        return part

    def before(self) -> bytes:
        return self._data[: self._at]

    def end(self) -> None:
        if self._at != len(self._data):
            raise SealFault("corrupt", f"{len(self._data) - self._at} bytes after the end")
