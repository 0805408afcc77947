"""The fingerprint of a legal document (文书指纹): SHA-256 over its fields in one canonical form.

Form: the tag; then each value in declared order. Text: "s", length, UTF-8. Number: "i", length, decimal text. Tuple: "t",
count, items. Record: "d", count, fields. Lengths and counts are four bytes, big end first. No two documents share a form.
"""

import hashlib
from dataclasses import fields, is_dataclass


def record_sha256(tag: str, record: object, without: tuple[str, ...] = ()) -> bytes:
    """Return the digest of a record of text, numbers, tuples and records; fields named in `without` are left out."""
    return hashlib.sha256(tag.encode() + b"\n" + _form(record, without)).digest()


def _form(value: object, without: tuple[str, ...] = ()) -> bytes:
    if isinstance(value, str):
        return _sized(b"s", value.encode())
    if isinstance(value, int):
        return _sized(b"i", str(int(value)).encode())
    if isinstance(value, tuple):
        return b"t" + len(value).to_bytes(4, "big") + b"".join(_form(item) for item in value)
    if is_dataclass(value):
        kept = [getattr(value, field.name) for field in fields(value) if field.name not in without]
        return b"d" + len(kept).to_bytes(4, "big") + b"".join(_form(item) for item in kept)
    raise TypeError(f"{type(value).__name__} has no canonical form")


def _sized(kind: bytes, raw: bytes) -> bytes:
    return kind + len(raw).to_bytes(4, "big") + raw
