"""One object of a stranger's file, read member by member: every refusal names the pointer, and what nobody asked for is known."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from node.exchange.strict_json import refusal, step

RULE: Final = "file-as-published"
_DATE_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MAX_INTEGER_DIGITS, _MAX_FRACTION_DIGITS = 18, 20


class Pointed:
    """An object and its place. A member counts as mapped once it was taken; `rest` tells which were not.

    A member that is null counts as left out and stays unmapped: removing a value is nothing that can be carried.
    """

    def __init__(self, value: dict[str, Any], pointer: str) -> None:
        """Nothing is taken yet."""
        self.value = value
        self.pointer = pointer
        self._taken: set[str] = set()
        self._parts: list[Pointed] = []
        self._left = False

    def at(self, key: str) -> str:
        """Return the pointer of a member."""
        return step(self.pointer, key)

    def has(self, key: str) -> bool:
        """Tell whether a member is there and not null."""
        return self.value.get(key) is not None

    def text(self, key: str, longest: int, *, required: bool = False) -> str:
        """Return a text, empty where there is none. One that is too long stays unmapped, a required one is refused."""
        value = self.value.get(key)
        if value is None and not required:
            return ""
        if not isinstance(value, str) or (required and not value.strip()):
            raise refusal("text-expected", self.at(key), value=kind(value), rule=RULE)
        if len(value) > longest:
            if required:
                raise refusal("text-too-long", self.at(key), value=str(len(value)), limit=str(longest), rule=RULE)
            return ""
        self._taken.add(key)
        return value

    def id(self, key: str, longest: int) -> str:
        """Return an identifier, which the format allows to be a whole number too. Refused where there is none."""
        value = self.value.get(key)
        if isinstance(value, int) and not isinstance(value, bool):
            self._taken.add(key)
            return str(value)
        return self.text(key, longest, required=True)

    def texts(self, key: str, most: int, longest: int) -> tuple[str, ...]:
        """Return a list of texts, empty where there is none."""
        values = self._list(key, most)
        for index, value in enumerate(values):
            if not isinstance(value, str) or len(value) > longest:
                raise refusal("text-expected", step(self.at(key), index), value=kind(value), rule=RULE)
        return tuple(values)

    def part(self, key: str) -> Pointed | None:
        """Return a member that is an object, None where there is none."""
        value = self.value.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            raise refusal("object-expected", self.at(key), value=kind(value), rule=RULE)
        return self._part(key, value, self.at(key))

    def parts(self, key: str, most: int) -> tuple[Pointed, ...]:
        """Return a list of objects, empty where there is none."""
        values = self._list(key, most)
        found = []
        for index, value in enumerate(values):
            pointer = step(self.at(key), index)
            if not isinstance(value, dict):
                raise refusal("object-expected", pointer, value=kind(value), rule=RULE)
            found.append(self._part(key, value, pointer))
        return tuple(found)

    def moment(self, key: str, *, required: bool = False) -> tuple[str, int]:
        """Return a date-time with offset (RFC 3339) as received and in ms since the epoch; empty and 0 where there is none."""
        if not required and not self.has(key):
            return "", 0
        text = self.text(key, 40, required=True)
        if not _DATE_TIME.fullmatch(text):
            raise refusal("date-time-expected", self.at(key), value=text, limit="2026-03-02T09:00:00+08:00", rule=RULE)
        try:
            at = datetime.fromisoformat(text.upper())
        except ValueError:
            raise refusal("date-time-expected", self.at(key), value=text, rule=RULE) from None
        return text, (at - _EPOCH) // timedelta(milliseconds=1)

    def amount(self, key: str) -> str:
        """Return a number that is not negative as an exact plain decimal, empty where there is none."""
        value = self.value.get(key)
        if value is None:
            return ""
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise refusal("number-expected", self.at(key), value=kind(value), rule=RULE)
        exact = Decimal(value)
        _, digits, exponent = exact.as_tuple()
        places = -exponent if isinstance(exponent, int) else 0
        if exact < 0 or len(digits) - places > _MAX_INTEGER_DIGITS or places > _MAX_FRACTION_DIGITS:
            raise refusal("number-out-of-range", self.at(key), value=str(value), limit="0 – 10^18", rule=RULE)
        self._taken.add(key)
        return f"{abs(exact):f}"

    def rest(self) -> Iterator[str]:
        """Yield the pointers of everything that was not taken, whole subtrees as one."""
        if self._left:
            yield self.pointer
            return
        for key in self.value:
            if key not in self._taken:
                yield self.at(key)
        for part in self._parts:
            yield from part.rest()

    def leave(self) -> None:
        """Count the whole object as not mapped after all."""
        self._left = True

    def _list(self, key: str, most: int) -> list[Any]:
        value = self.value.get(key)
        if value is None:
            return []
        if not isinstance(value, list):
            raise refusal("list-expected", self.at(key), value=kind(value), rule=RULE)
        if len(value) > most:
            raise refusal("list-too-long", self.at(key), value=str(len(value)), limit=str(most), rule=RULE)
        self._taken.add(key)
        return value

    def _part(self, key: str, value: dict[str, Any], pointer: str) -> Pointed:
        self._taken.add(key)
        part = Pointed(value, pointer)
        self._parts.append(part)
        return part


def kind(value: Any) -> str:
    """Return what a JSON value is, for a message."""
    match value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case str():
            return "a text" if value.strip() else "a blank text"
        case int() | Decimal():
            return "a number"
        case list():
            return "a list"
        case _:
            return "an object"
