"""Canonical JSON (RFC 8785, JCS) of the values that signed manifests use: objects, arrays, strings, whole numbers, booleans.

No fractions and no null: a number is a whole one within 2^53. Names of members are ASCII, so code points and UTF-16 sort alike.
"""

import json
from typing import Any

from sync.tampered import Malformed

_SAFE = 2**53 - 1
_DEEPEST = 8


def encode(value: Any) -> bytes:
    """Return the canonical bytes. Raises Malformed for a value that has none here."""
    _check(value, "value", _DEEPEST)
    return json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode()


def decode(data: bytes, what: str) -> Any:
    """Return the value of canonical bytes; any other spelling of it is refused. Raises Malformed."""
    try:
        value = json.loads(data)
    except (UnicodeDecodeError, RecursionError, ValueError) as error:
        raise Malformed(what, "is not JSON") from error
    _check(value, what, _DEEPEST)
    if encode(value) != data:
        raise Malformed(what, "is not in canonical form (RFC 8785)")
    return value


def _check(value: Any, what: str, depth: int) -> None:
    if depth < 0:
        raise Malformed(what, f"is nested deeper than {_DEEPEST}")
    match value:
        case bool():
            return
        case int():
            if abs(value) > _SAFE:
                raise Malformed(what, "holds a number beyond 2^53")
        case str():
            if any("\ud800" <= c <= "\udfff" for c in value):
                raise Malformed(what, "holds half a surrogate pair")
        case list() | tuple():
            for item in value:
                _check(item, what, depth - 1)
        case dict():
            for name, item in value.items():
                if not isinstance(name, str) or not name.isascii():
                    raise Malformed(what, "has a member name that is not ASCII")
                _check(item, what, depth - 1)
        case _:
            raise Malformed(what, f"holds a {type(value).__name__}")
