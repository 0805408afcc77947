"""The bytes of an entry: MessagePack in declared order, one spelling only (记录的编码).

[version, origin, seq, at_ms, clock_quality, stream, command_id, actor, [[event, version, …fields] …], [evidence …]].
Only nil, booleans, integers, strings, byte strings and arrays occur, each in its shortest form; so a value has exactly
one spelling and two parties that agree on the value agree on its hash. Floats and maps have no place: a float differs by
machine, a map by order. Bytes are verified first and decoded after; nothing is re-encoded to be checked against a hash.
"""

from dataclasses import dataclass
from typing import Any, NoReturn

import msgpack

from sync.tampered import Malformed

MAX_ENTRY = 65_535
"""Bytes of an entry, from the u16 length of C2SP tlog-tiles. The log refuses more; larger things are blobs."""
MAX_DEPTH = 16
"""Arrays within arrays."""
VERSION = 1
_BLOB = "blob:"
_PLAIN = frozenset({str, int, bytes, bool, type(None)})

__all__ = [
    "MAX_DEPTH",
    "MAX_ENTRY",
    "VERSION",
    "Entry",
    "Malformed",
    "blob_reference",
    "blobs_of",
    "decode",
    "encode",
    "pack",
    "unpack",
]


@dataclass(frozen=True, slots=True)
class Entry:
    """One accepted command's events, with who asked and when (记录).

    `seq` is the entry's index in the log of `origin`; `at_ms` POSIX milliseconds, never used for order; `clock_quality`
    one word; `command_id` 16 bytes; `events` as (name, version, fields); `evidence` byte strings or texts beside them, a blob
    by its `blob_reference`.
    """

    version: int
    origin: str
    seq: int
    at_ms: int
    clock_quality: str
    stream: str
    command_id: bytes
    actor: str
    events: tuple[tuple[str, int, tuple[object, ...]], ...]
    evidence: tuple[bytes | str, ...] = ()


def blob_reference(sha256: bytes) -> str:
    """Return the text by which an entry's evidence names a blob; a bundle must bring the blob along."""
    return _BLOB + sha256.hex()


def blobs_of(entry: Entry) -> list[str]:
    """Return the SHA-256, in hex, of every blob that the entry's evidence names."""
    texts = (item for item in entry.evidence if isinstance(item, str))
    return [text.removeprefix(_BLOB) for text in texts if text.startswith(_BLOB)]


def pack(value: object) -> bytes:
    """Return the one spelling of a value of nil, bool, int, str, bytes and arrays. Raises Malformed for others."""
    _check(value, MAX_DEPTH)
    try:
        packed: bytes = msgpack.packb(value)
    except (OverflowError, ValueError) as error:  # ValueError: also a text with half a surrogate pair
        raise Malformed("value", f"cannot be written: {error}") from None
    return packed


def unpack(data: bytes) -> Any:
    """Return the value of these bytes, arrays as tuples. Raises Malformed, also for any but the one spelling."""
    try:
        value = msgpack.unpackb(data, use_list=False, object_pairs_hook=_no_map, ext_hook=_no_extension)
    except (ValueError, RecursionError) as error:
        raise Malformed("value", f"is not MessagePack: {type(error).__name__}") from None
    _check(value, MAX_DEPTH)
    if msgpack.packb(value) != data:
        raise Malformed("value", "is not in its shortest spelling")
    return value


def encode(entry: Entry) -> bytes:
    """Return the bytes of an entry. Raises Malformed; the length is the log's to judge."""
    if not all(type(event) is tuple and len(event) == 3 and type(event[2]) is tuple for event in entry.events):
        raise Malformed("events", "are not tuples of name, version and a tuple of fields")
    value = (
        entry.version,
        entry.origin,
        entry.seq,
        entry.at_ms,
        entry.clock_quality,
        entry.stream,
        entry.command_id,
        entry.actor,
        tuple((name, version, *fields) for name, version, fields in entry.events),
        entry.evidence,
    )
    _check_entry(value)
    return pack(value)


def decode(body: bytes) -> Entry:
    """Return the entry of these bytes. Raises Malformed with the field; refuses every other spelling of a value."""
    if len(body) > MAX_ENTRY:
        raise Malformed("entry", f"is over {MAX_ENTRY} bytes")
    value = unpack(body)
    _check_entry(value)
    version, origin, seq, at_ms, clock_quality, stream, command_id, actor, events, evidence = value
    return Entry(
        version,
        origin,
        seq,
        at_ms,
        clock_quality,
        stream,
        command_id,
        actor,
        tuple([(event[0], event[1], event[2:]) for event in events]),
        evidence,
    )


def _check_entry(value: Any) -> None:
    """Refuse a value that is not an entry. The types within the events' fields are `_check`'s business."""
    if type(value) is not tuple or len(value) != 10:
        raise Malformed("entry", "is not an array of ten")
    version, origin, seq, at_ms, clock_quality, stream, command_id, actor, events, evidence = value
    if type(version) is not int or version != VERSION:
        raise Malformed("version", f"is not {VERSION}")
    _check_text("origin", origin)
    _check_number("seq", seq)
    _check_number("at_ms", at_ms)
    _check_text("clock_quality", clock_quality)
    _check_text("stream", stream)
    if type(command_id) is not bytes or len(command_id) != 16:
        raise Malformed("command_id", "has not 16 bytes")
    _check_text("actor", actor)
    if type(events) is not tuple:
        raise Malformed("events", "are no array")
    for event in events:
        if type(event) is not tuple or len(event) < 2:
            raise Malformed("events", "are not arrays of name, version and fields")
        _check_text("events", event[0])
        if type(event[1]) is not int or event[1] < 1:
            raise Malformed("events", "have a version that is not a number from 1 up")
    if type(evidence) is not tuple:
        raise Malformed("evidence", "is no array")
    for item in evidence:
        if not isinstance(item, bytes | str):
            raise Malformed("evidence", "holds what is neither byte string nor text")


def _check_text(field: str, value: object) -> None:
    if not isinstance(value, str) or not value:
        raise Malformed(field, "is not a text")


def _check_number(field: str, value: object) -> None:
    if type(value) is not int or not 0 <= value < 2**63:
        raise Malformed(field, "is not a whole number from 0 up")


def _check(value: object, depth: int) -> None:
    """Refuse what has no place in an entry, in values from both sides."""
    kind = type(value)
    if kind in _PLAIN:
        return
    if isinstance(value, tuple | list):
        if not depth:
            raise Malformed("value", f"is nested more than {MAX_DEPTH} deep")
        for item in value:
            if type(item) not in _PLAIN:
                _check(item, depth - 1)
        return
    if isinstance(value, str):  # a StrEnum writes itself as its text
        return
    raise Malformed("value", f"holds a {kind.__name__}")


def _no_map(_pairs: object) -> NoReturn:
    raise Malformed("value", "holds a map")


def _no_extension(_code: int, _data: object) -> NoReturn:
    raise Malformed("value", "holds an extension")
