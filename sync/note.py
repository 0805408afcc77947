"""Signed notes (C2SP signed-note v1.0.0): a text, a blank line, lines of signatures by named keys.

Known to this module: Ed25519 over the text (0x01, logs) and the timestamped cosignature/v1 (0x04, witnesses and mirrors;
C2SP tlog-cosignature v1.0.1). Lines of other keys are carried on unread, as the specification demands.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.tampered import Malformed, Problem, Tampered

ED25519 = 0x01
COSIGNATURE = 0x04
MAX_NOTE = 262_144
"""Bytes of a note. The specification asks for room for 16 signatures; ML-DSA lines are 3.3 kB each."""
MAX_SIGNATURES = 64
_BLOB = {ED25519: 64, COSIGNATURE: 72}
_NOT_IN_NAMES = re.compile(r"[\s+\x00-\x1f\ud800-\udfff]")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")


def encode_base64(data: bytes) -> str:
    """Return base64 by RFC 4648 section 4, padded."""
    return base64.b64encode(data).decode("ascii")


def decode_base64(text: str, field: str) -> bytes:
    """Return the bytes of padded base64 in its one canonical spelling. Raises Malformed for anything else."""
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed(field, "is not base64") from None
    if encode_base64(data) != text:
        raise Malformed(field, "is not canonical base64")
    return data


def parse_size(text: str, field: str) -> int:
    """Return a decimal number without sign or leading zeros, below 2**63. Raises Malformed."""
    if not (text.isascii() and text.isdigit()) or len(text) > 19 or (text[0] == "0" and text != "0"):
        raise Malformed(field, "is not a plain decimal number")
    size = int(text)
    if size >= 2**63:
        raise Malformed(field, "is over 2**63-1")
    return size


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name, as in a `vkey` line; `key_id` is four bytes."""

    name: str
    key_id: bytes
    algorithm: int
    public: bytes

    @classmethod
    def of(cls, name: str, algorithm: int, public: bytes) -> Self:
        """Return the key with its id computed. Raises Malformed."""
        check_name(name)
        if algorithm not in _BLOB:
            raise Malformed("vkey", f"algorithm 0x{algorithm:02x} is not known")
        if len(public) != 32:
            raise Malformed("vkey", "an Ed25519 key has 32 bytes")
        key_id = hashlib.sha256(name.encode() + b"\n" + bytes([algorithm]) + public).digest()[:4]
        return cls(name, key_id, algorithm, public)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the key of a vkey line, `name+hex8+base64`. Raises Malformed."""
        parts = text.split("+", 2)
        if len(parts) != 3:
            raise Malformed("vkey", "has not three parts")
        name, key_id, encoded = parts
        data = decode_base64(encoded, "vkey")
        if not data:
            raise Malformed("vkey", "is empty")
        key = cls.of(name, data[0], data[1:])
        if key.key_id.hex() != key_id:
            raise Malformed("vkey", f"has not the key id {key.key_id.hex()} of its key")
        return key

    def __str__(self) -> str:
        """Return the vkey line."""
        return f"{self.name}+{self.key_id.hex()}+{encode_base64(bytes([self.algorithm]) + self.public)}"

    def verifies(self, text: str, blob: bytes) -> bool:
        """Tell whether `blob` is this key's signature of the text, key id left out."""
        if len(blob) != _BLOB[self.algorithm]:
            return False
        message, signature = text.encode(), blob
        if self.algorithm == COSIGNATURE:
            timestamp_s = int.from_bytes(blob[:8])
            if timestamp_s >= 2**63:
                return False
            message, signature = _cosigned(text, timestamp_s), blob[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, message)
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: whose, and the bytes after the key id."""

    name: str
    key_id: bytes
    blob: bytes

    @classmethod
    def parse(cls, line: str) -> Self:
        """Return the signature of one line, its newline left out. Raises Malformed."""
        parts = line.split(" ")
        if len(parts) != 3 or parts[0] != "\u2014":
            raise Malformed("signature", "is not a line of dash, name and base64")
        check_name(parts[1])
        data = decode_base64(parts[2], "signature")
        if len(data) < 5:
            raise Malformed("signature", "is too short")
        return cls(parts[1], data[:4], data[4:])

    def __str__(self) -> str:
        """Return the line, its newline left out."""
        return f"\u2014 {self.name} {encode_base64(self.key_id + self.blob)}"


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text, ending with a newline, and its signatures in the order of their lines."""

    text: str
    signatures: tuple[NoteSignature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the note of these bytes. Raises Malformed."""
        if len(data) > MAX_NOTE:
            raise Malformed("note", f"is over {MAX_NOTE} bytes")
        try:
            note = data.decode("utf-8")
        except UnicodeDecodeError:
            raise Malformed("note", "is not UTF-8") from None
        text, blank, lines = note.rpartition("\n\n")
        if not blank or not lines.endswith("\n"):
            raise Malformed("note", "has no signatures behind a blank line")
        text += "\n"
        check_text(text)
        return cls(text, parse_signatures(lines))

    def __bytes__(self) -> bytes:
        """Return the bytes of the note."""
        return f"{self.text}\n{format_signatures(self.signatures)}".encode()

    def with_signatures(self, more: Iterable[NoteSignature]) -> Self:
        """Return the note with further signatures, those left out that it has."""
        return type(self)(self.text, tuple(dict.fromkeys((*self.signatures, *more))))


class Signer:
    """A private Ed25519 key that signs notes under a name; `algorithm` is ED25519 for logs, COSIGNATURE for cosigners."""

    def __init__(self, name: str, key: Ed25519PrivateKey, algorithm: int = ED25519) -> None:
        """Compute the verifier key. Raises Malformed for a bad name or algorithm."""
        self.name = name
        self.algorithm = algorithm
        self.vkey = VerifierKey.of(name, algorithm, key.public_key().public_bytes_raw())
        self._key = key

    @classmethod
    def from_seed(cls, name: str, seed: bytes, algorithm: int = ED25519) -> Self:
        """Return the signer of a 32 byte private key."""
        return cls(name, Ed25519PrivateKey.from_private_bytes(seed), algorithm)

    def sign(self, text: str) -> NoteSignature:
        """Return the log key's signature of a text."""
        if self.algorithm != ED25519:
            raise ValueError(f"{self.name} only cosigns")
        check_text(text)
        return NoteSignature(self.name, self.vkey.key_id, self._key.sign(text.encode()))

    def cosign(self, text: str, timestamp_s: int) -> NoteSignature:
        """Return the cosignature/v1 of a checkpoint's text, at POSIX seconds."""
        if self.algorithm != COSIGNATURE:
            raise ValueError(f"{self.name} does not cosign")
        if not 0 <= timestamp_s < 2**63:
            raise ValueError(f"{timestamp_s} is not a POSIX time")
        check_text(text)
        signature = self._key.sign(_cosigned(text, timestamp_s))
        return NoteSignature(self.name, self.vkey.key_id, timestamp_s.to_bytes(8) + signature)


def verify(note: SignedNote, keys: Iterable[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Return the known keys that signed, in the order of their lines, each once.

    Unknown keys are ignored. Raises Tampered: forged-signature or forged-cosignature where a line of a known key does not
    verify (the whole note is then refused), foreign-key where no known key signed.
    """
    known = {(key.name, key.key_id): key for key in keys}
    verified: dict[VerifierKey, None] = {}
    for signature in note.signatures:
        key = known.get((signature.name, signature.key_id))
        if key is None:
            continue
        if not key.verifies(note.text, signature.blob):
            forged = Problem.FORGED_COSIGNATURE if key.algorithm == COSIGNATURE else Problem.FORGED_SIGNATURE
            raise Tampered(forged, expected=str(key), got=str(signature))
        verified[key] = None
    if not verified:
        found = ", ".join(f"{signature.name}+{signature.key_id.hex()}" for signature in note.signatures)
        raise Tampered(Problem.FOREIGN_KEY, expected=", ".join(map(str, known.values())), got=found)
    return tuple(verified)


def parse_signatures(lines: str) -> tuple[NoteSignature, ...]:
    """Return the signatures of one or more lines, each ended by a newline. Raises Malformed."""
    if not lines.endswith("\n"):
        raise Malformed("signature", "does not end with a newline")
    split = lines[:-1].split("\n")
    if len(split) > MAX_SIGNATURES:
        raise Malformed("note", f"has over {MAX_SIGNATURES} signatures")
    return tuple(NoteSignature.parse(line) for line in split)


def format_signatures(signatures: Iterable[NoteSignature]) -> str:
    """Return the signature lines, each ended by a newline."""
    return "".join(f"{signature}\n" for signature in signatures)


def check_name(name: str) -> None:
    """Refuse a key name that is empty or holds a Unicode space, a control character or a plus. Raises Malformed."""
    if not name or _NOT_IN_NAMES.search(name):
        raise Malformed("key name", "is empty, not UTF-8, or holds a space, a control character or a plus")


def check_text(text: str) -> None:
    """Refuse a note's text that does not end with a newline or holds other control characters. Raises Malformed."""
    if not text.endswith("\n"):
        raise Malformed("note", "has a text that does not end with a newline")
    if _CONTROL.search(text):
        raise Malformed("note", "holds a control character")


def _cosigned(text: str, timestamp_s: int) -> bytes:
    return f"cosignature/v1\ntime {timestamp_s}\n{text}".encode()
