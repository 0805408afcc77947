"""The payload of a sealed bid: C2SP chunked-encryption, as a stream, under one key and one context (密文).

Profile intl-1 is Cobblestone-256 (HKDF-Expand-SHA-512, AES-256-GCM) of `cryptography`. Profile gm-1 is the same construction
with HKDF-Expand-SM3 and SM4-GCM:

    key (16) || base nonce (12) || commitment (32)
        = HKDF-Expand-SM3(input key, "c2sp.org/chunked-encryption@v1+AEAD_SM4_GCM" 00 salt (24) context)
    payload = salt || commitment || chunks; a chunk is SM4-GCM of 16 KiB of plaintext under base nonce XOR its number,
              without associated data; the last chunk is the only shorter one and may be empty

The input key of both has 32 bytes. The commitment is judged before anything is decrypted: a payload opens under one key only.
"""

import hmac
import os
from collections.abc import Callable
from typing import BinaryIO, Protocol

from cryptography.cobblestone import Cobblestone256Decryptor, Cobblestone256Encryptor
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

HEAD = 56  # salt and commitment
CHUNK = 16 * 1024
READ = 16 * CHUNK
_TAG = 16
_INFO = b"c2sp.org/chunked-encryption@v1+AEAD_SM4_GCM\0"


class PayloadRefused(Exception):
    """The payload does not open: another key or context, changed, cut or longer bytes. They look alike on purpose."""


class Sealing(Protocol):
    """One direction of one payload."""

    def update(self, data: bytes, /) -> bytes:
        """Take more input, return what is ready."""
        ...

    def finalize(self) -> bytes:
        """Return the rest; when opening, only now the end is proven."""
        ...


class _Sm4Gcm:
    """Framing that both directions share."""

    def __init__(self, key: bytes, context: bytes, salt: bytes) -> None:
        if len(key) != 32:
            raise ValueError("the input key has 32 bytes")
        info = _INFO + salt + context
        out = HKDFExpand(algorithm=hashes.SM3(), length=60, info=info).derive(key)
        self._algorithm, self._nonce = algorithms.SM4(out[:16]), int.from_bytes(out[16:28])
        self.commitment = out[28:]
        self._number = 0

    def _next(self) -> bytes:
        if self._number >= 1 << 38:
            raise PayloadRefused
        nonce = (self._nonce ^ self._number).to_bytes(12)
        self._number += 1
        return nonce

    def seal(self, plain: bytes) -> bytes:
        """Return one chunk's ciphertext and tag."""
        encryptor = Cipher(self._algorithm, modes.GCM(self._next())).encryptor()
        return encryptor.update(plain) + encryptor.finalize() + encryptor.tag

    def open(self, chunk: bytes) -> bytes:
        """Return one chunk's plaintext."""
        decryptor = Cipher(self._algorithm, modes.GCM(self._next(), chunk[-_TAG:])).decryptor()
        return decryptor.update(chunk[:-_TAG]) + decryptor.finalize()


class Sm4GcmEncryptor:
    """The gm-1 profile's sealing direction."""

    def __init__(self, key: bytes, context: bytes) -> None:
        """Start one payload under a fresh salt."""
        salt = os.urandom(24)
        self._frame = _Sm4Gcm(key, context, salt)
        self._ready = salt + self._frame.commitment
        self._left = b""

    def update(self, data: bytes, /) -> bytes:
        """Take plaintext, return ciphertext of full chunks."""
        data = self._left + data
        whole = len(data) // CHUNK * CHUNK
        parts = [self._ready, *(self._frame.seal(data[at : at + CHUNK]) for at in range(0, whole, CHUNK))]
        self._ready, self._left = b"", data[whole:]
        return b"".join(parts)

    def finalize(self) -> bytes:
        """Return the last, short chunk."""
        return self._ready + self._frame.seal(self._left)


class Sm4GcmDecryptor:
    """The gm-1 profile's opening direction."""

    def __init__(self, key: bytes, context: bytes) -> None:
        """Start one payload."""
        self._key, self._context = key, context
        self._frame: _Sm4Gcm | None = None
        self._left = b""

    def update(self, data: bytes, /) -> bytes:
        """Take ciphertext, return authenticated plaintext of full chunks. Raises InvalidTag."""
        data = self._left + data
        if self._frame is None:
            if len(data) < HEAD:
                self._left = data
                return b""
            frame = _Sm4Gcm(self._key, self._context, data[:24])
            if not hmac.compare_digest(frame.commitment, data[24:HEAD]):
                raise InvalidTag
            self._frame, data = frame, data[HEAD:]
        step = CHUNK + _TAG
        whole = len(data) // step * step
        plain = [self._frame.open(data[at : at + step]) for at in range(0, whole, step)]
        self._left = data[whole:]
        return b"".join(plain)

    def finalize(self) -> bytes:
        """Return the last chunk's plaintext. Raises InvalidTag where the payload was cut or goes on."""
        if self._frame is None or len(self._left) < _TAG:
            raise InvalidTag
        return self._frame.open(self._left)


ENCRYPTORS: dict[str, Callable[[bytes, bytes], Sealing]] = {
    "intl-1": Cobblestone256Encryptor,
    "gm-1": Sm4GcmEncryptor,
}
DECRYPTORS: dict[str, Callable[[bytes, bytes], Sealing]] = {
    "intl-1": Cobblestone256Decryptor,
    "gm-1": Sm4GcmDecryptor,
}


def decrypt(opening: Sealing, source: BinaryIO, size: int, target: BinaryIO) -> int:
    """Write the plaintext of `size` bytes of `source` to `target`; return its length. Raises PayloadRefused.

    `target` holds plaintext whose end is not proven until this returns: give a file that nobody knows by name yet.
    """
    written = 0
    try:
        while size:
            block = source.read(min(READ, size))
            if not block:
                raise PayloadRefused
            size -= len(block)
            written += target.write(opening.update(block))
        written += target.write(opening.finalize())
    except (InvalidTag, ValueError) as error:
        raise PayloadRefused from error
    return written


def key_fits(profile: str, key: bytes, context: bytes, head: bytes) -> bool:
    """Whether the payload that begins with these 56 bytes commits to this key and context."""
    opening = DECRYPTORS[profile](key, context)
    try:
        opening.update(head[:HEAD])
    except (InvalidTag, ValueError):
        return False
    return len(head) >= HEAD
