"""JSON from strangers: read whole or refused whole, with the place of the fault. Numbers stay exact, nothing is repaired.

Refused are: too many bytes or values, bytes that are not UTF-8, anything that is no JSON, deep nesting, an object that names a key twice
(readers differ in which value they keep), numbers no money or count can be, control characters, half surrogates.
"""

import json
import re
from decimal import Decimal
from itertools import count
from typing import Any, Final

from node.domain.refused import Refused

RULE: Final = "readable-json"
MAX_BYTES: Final = 5_000_000
MAX_DEPTH: Final = 32
MAX_VALUES: Final = 200_000
MAX_NUMBER_CHARS: Final = 60
MAX_EXPONENT: Final = 40
_SHOWN = 80
# Outside strings only. The last alternative ends an unclosed string at the end of the file, so that no character is read twice.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)|[\[\]{},]', re.DOTALL)
_EXPONENT = re.compile(r"[eE][+-]?0*([0-9]+)\Z")
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")


class _OddNumber(str):
    """A number's spelling that is not read, kept until its place in the tree is known."""

    __slots__ = ()


class _Repeated:
    """An object that names `key` twice, kept until its place in the tree is known."""

    __slots__ = ("key",)

    def __init__(self, key: str) -> None:
        self.key = key


def read_json(body: bytes, *, max_bytes: int = MAX_BYTES, max_depth: int = MAX_DEPTH) -> Any:
    """Return the value of a JSON text: dict, list, str, int, Decimal, bool, None. Raises Refused, with the pointer as a fact."""
    if len(body) > max_bytes:
        raise refusal("file-too-large", "", value=str(len(body)), limit=str(max_bytes))
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refusal("not-utf8", "", value=f"byte {error.start}") from None
    start = text.lstrip()[:1]
    if start == "<":
        raise refusal("not-json", "", value="HTML or XML", limit="JSON")
    depth = values = 0
    for token in _TOKEN.finditer(text):
        mark = token[0]
        if mark in "[{":
            depth += 1
            if depth > max_depth:
                raise refusal("nested-too-deep", "", value=_line(text, token.start()), limit=str(max_depth))
        elif mark in "]}":
            depth -= 1
        if mark in "[{,":
            values += 1
            if values > MAX_VALUES:  # a few bytes of text become a hundred of memory
                raise refusal("too-many-values", "", value=_line(text, token.start()), limit=str(MAX_VALUES))
    try:
        tree = json.loads(
            text, parse_int=_whole, parse_float=_decimal, parse_constant=_OddNumber, object_pairs_hook=_object
        )
    except json.JSONDecodeError as error:
        raise refusal("not-json", "", value=f"line {error.lineno} column {error.colno}: {error.msg}") from None
    _check(tree)
    return tree


def refusal(code: str, pointer: str, *, value: str = "", limit: str = "", rule: str = RULE) -> Refused:
    """Return the refusal of a place in a file; `value` is shortened and made printable."""
    return Refused(code, rule=rule, value=shown(value), limit=limit, facts=(("pointer", pointer or "/"),))


def shown(value: str) -> str:
    """Return a stranger's text fit to be shown in a message."""
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in value[: _SHOWN + 1])
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def step(pointer: str, key: str | int) -> str:
    """Return the pointer of a member (RFC 6901)."""
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"


def _line(text: str, position: int) -> str:
    return f"line {text.count(chr(10), 0, position) + 1}"


def _whole(text: str) -> int | _OddNumber:
    return int(text) if len(text) <= MAX_NUMBER_CHARS else _OddNumber(text)


def _decimal(text: str) -> Decimal | _OddNumber:
    exponent = _EXPONENT.search(text)
    if len(text) > MAX_NUMBER_CHARS or (exponent and (len(exponent[1]) > 2 or int(exponent[1]) > MAX_EXPONENT)):
        return _OddNumber(text)
    return Decimal(text)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any] | _Repeated:
    members = dict(pairs)
    if len(members) == len(pairs):
        return members
    seen: set[str] = set()
    for key, _value in pairs:
        if key in seen:
            return _Repeated(key)
        seen.add(key)
    raise AssertionError("unreachable: fewer members than pairs without a repeated key")


def _check(tree: Any) -> None:
    """Raise Refused for the first fault in document order."""
    todo: list[tuple[str, Any]] = [("", tree)]
    while todo:
        pointer, value = todo.pop()
        if isinstance(value, _Repeated):
            raise refusal("key-repeated", step(pointer, value.key), value=value.key)
        if isinstance(value, _OddNumber):
            raise refusal("number-out-of-range", pointer, value=value)
        if isinstance(value, str):
            if _UNPRINTABLE.search(value):
                raise refusal("control-character", pointer, value=value)
        elif isinstance(value, dict):
            for key in value:
                if _UNPRINTABLE.search(key):
                    raise refusal("control-character", pointer, value=key)
            todo.extend((step(pointer, key), member) for key, member in reversed(value.items()))
        elif isinstance(value, list):
            members = reversed(list(zip(count(), value, strict=False)))
            todo.extend((step(pointer, index), member) for index, member in members)
