"""The stable name, version and field order of every event on disk (线上格式).

An event is `[name, version, …fields]`: fields in declared order, nested dataclasses as arrays, tuples as arrays, only nil,
bool, int, str and bytes inside. Names are `<module>.<kebab-class>`, never class paths: renaming a class means adding its
old name here. Unknown names come back as `Unrecognised`, kept and shown, never dropped.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, is_dataclass
from functools import cache
from typing import Any, Union, get_args, get_origin, get_type_hints

from node.domain import (
    award,
    bank,
    bidding,
    bond,
    custody,
    drawn,
    epoch,
    evaluation,
    imported,
    incident,
    judged,
    notice,
    objection,
    opening,
    panel,
    project,
    review,
    sheet,
    signatures,
    trustees,
    unsealing,
)

_MODULES = (
    ("project", project),
    ("notice", notice),
    ("bond", bond),
    ("bidding", bidding),
    ("opening", opening),
    ("trustees", trustees),
    ("unsealing", unsealing),
    ("judged", judged),
    ("objection", objection),
    ("panel", panel),
    ("sheet", sheet),
    ("evaluation", evaluation),
    ("award", award),
    ("custody", custody),
    ("epoch", epoch),
    ("incident", incident),
    ("review", review),
    ("draw", drawn),
    ("bank", bank),
    ("imported", imported),
    ("signatures", signatures),
)


@dataclass(frozen=True, slots=True)
class Unrecognised:
    """An event this version does not know: kept, shown, passed on; its stream accepts no command here (design 5.10)."""

    name: str
    version: int
    fields: tuple[Any, ...]


@dataclass(eq=False)
class WireMalformed(Exception):
    """The fields of a known event do not have its shape."""

    name: str
    field: str
    why: str


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "-", name).lower()


_UNION = type(int | None)

# Current version of events whose fields changed since version 1, with the function that lifts the older fields.
VERSIONS: dict[str, int] = {
    "panel.committee-formed": 2,
    "notice.documents-issued": 2,
    "evaluation.ranking-computed": 2,
}


def _undrawn_price(raw: Sequence[Any]) -> Sequence[Any]:
    """Documents from before coefficients were drawn: the price method of their scheme has no such parameter."""
    sha256, (name, criteria, checks, price, *scheme), *rest = raw
    return (sha256, (name, criteria, checks, (*price, "", ()), *scheme), *rest)


LIFTS: dict[tuple[str, int], Callable[[Sequence[Any]], Sequence[Any]]] = {
    ("panel.committee-formed", 1): lambda raw: (*raw, "", ""),  # before the draw: no reason, no draw
    ("notice.documents-issued", 1): _undrawn_price,
    ("evaluation.ranking-computed", 1): lambda raw: (*raw, ()),  # nothing drawn
}

EVENTS: dict[str, type] = {
    f"{stem}.{_kebab(event.__name__)}": event for stem, module in _MODULES for event in module.EVENTS
}
NAMES: dict[type, str] = {event: name for name, event in EVENTS.items()}


def encode(event: Any) -> tuple[str, int, tuple[Any, ...]]:
    """Return name, version and plain fields of an event."""
    if isinstance(event, Unrecognised):
        return event.name, event.version, event.fields
    name = NAMES[type(event)]
    return name, VERSIONS.get(name, 1), tuple(to_plain(getattr(event, field.name)) for field in fields(event))


def decode(name: str, version: int, raw: Sequence[Any]) -> Any:
    """Return the event, or Unrecognised for a name or version this program does not know. Raises WireMalformed."""
    event = EVENTS.get(name)
    current = VERSIONS.get(name, 1)
    if event is None or version > current or version < 1:
        return Unrecognised(name, version, tuple(raw))
    while version < current:
        raw = LIFTS[name, version](raw)
        version += 1
    return _dataclass(event, raw, name)


def to_plain(value: Any) -> Any:
    """Return a value as nested tuples of nil, bool, int, str and bytes."""
    if is_dataclass(value):
        return tuple(to_plain(getattr(value, field.name)) for field in fields(value))
    if isinstance(value, tuple):
        return tuple(to_plain(item) for item in value)
    if value is None or isinstance(value, bool | int | str | bytes):
        return value
    raise WireMalformed(type(value).__name__, "", "events hold only nil, bool, int, str, bytes and arrays")


@cache
def _shape(kind: type) -> tuple[tuple[str, Any], ...]:
    hints = get_type_hints(kind)
    return tuple((field.name, hints[field.name]) for field in fields(kind))


def from_plain(kind: type, raw: Any) -> Any:
    """Return a dataclass of this kind from its plain fields. Raises WireMalformed."""
    return _dataclass(kind, raw, kind.__name__)


def _dataclass(kind: type, raw: Any, name: str) -> Any:
    shape = _shape(kind)
    if not isinstance(raw, list | tuple) or len(raw) != len(shape):
        raise WireMalformed(name, kind.__name__, f"expected {len(shape)} fields")
    return kind(*(_typed(hint, item, name, field) for (field, hint), item in zip(shape, raw, strict=True)))


def _typed(hint: Any, raw: Any, name: str, field: str) -> Any:
    origin = get_origin(hint)
    if origin in {_UNION, Union}:
        options = get_args(hint)
        if raw is None and type(None) in options:
            return None
        return _typed(next(option for option in options if option is not type(None)), raw, name, field)
    if origin is tuple:
        if not isinstance(raw, list | tuple):
            raise WireMalformed(name, field, "expected an array")
        items = get_args(hint)
        if len(items) == 2 and items[1] is Ellipsis:
            return tuple(_typed(items[0], item, name, field) for item in raw)
        if len(items) != len(raw):
            raise WireMalformed(name, field, f"expected {len(items)} items")
        return tuple(_typed(item, value, name, field) for item, value in zip(items, raw, strict=True))
    if is_dataclass(hint):
        return _dataclass(hint, raw, name)  # type: ignore[arg-type]
    if type(raw) is not hint:
        raise WireMalformed(name, field, f"expected {getattr(hint, '__name__', hint)}, got {type(raw).__name__}")
    return raw
