"""A kind of procedure as data (程序配置): stages, periods, minimums, formulas, each with its citation.

A profile is parsed from TOML (read with parse_float=Decimal by the shell) and checked whole: an unknown table, a rule
without citation, a value of the wrong kind is refused, so that a typing mistake in a legal number never becomes a rule.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any


@dataclass(eq=False)
class ProfileMalformed(Exception):
    """The profile's data does not have the shape that the rules need. `where` is the path inside the file."""

    where: str
    why: str


class Unit(StrEnum):
    """What a rule's number counts."""

    DAYS = "d"  # 日
    WORKING_DAYS = "wd"  # 工作日
    HOURS = "h"
    MINUTES = "min"
    COUNT = "count"
    PERCENT = "percent"
    FEN = "fen"
    SHARE = "share"  # "2/3"
    FLAG = "flag"
    WORDS = "words"  # a list of allowed words


@dataclass(frozen=True, slots=True)
class Rule:
    """One legal number with its source. `confirmed` is false for values that a local reviewer must still confirm."""

    id: str
    value: int | Decimal | bool | str | tuple[str, ...]
    unit: Unit
    cites: tuple[str, ...]
    confirmed: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of the procedure (阶段): its code, its number in the sheet, its Chinese name, who acts, its sources."""

    code: str
    number: str
    name: str
    actors: tuple[str, ...]
    cites: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Profile:
    """A whole procedure. `sha256` is of the text it was read from, so an entry can name exactly what it was judged by."""

    id: str
    version: int
    name: str
    sha256: bytes
    stages: tuple[Stage, ...]
    rules: Mapping[str, Rule]

    def rule(self, rule_id: str) -> Rule:
        """Return a rule; KeyError for an id that this profile lacks is a programming error, caught by a test."""
        return self.rules[rule_id]

    def newer(self, rule_id: str) -> Rule | None:
        """Return a rule that older versions of this profile do not have; None there: what it asks is not asked."""
        return self.rules.get(rule_id)

    def number(self, rule_id: str) -> int:
        """Return a rule's whole number (days, counts, fen)."""
        value = self.rules[rule_id].value
        if isinstance(value, bool) or not isinstance(value, int):
            raise ProfileMalformed(rule_id, "not a whole number")
        return value

    def decimal(self, rule_id: str) -> Decimal:
        """Return a rule's number as an exact decimal (percentages)."""
        value = self.rules[rule_id].value
        if isinstance(value, bool) or not isinstance(value, int | Decimal):
            raise ProfileMalformed(rule_id, "not a number")
        return Decimal(value)

    def flag(self, rule_id: str) -> bool:
        """Return a rule that is yes or no."""
        value = self.rules[rule_id].value
        if not isinstance(value, bool):
            raise ProfileMalformed(rule_id, "not a flag")
        return value

    def words(self, rule_id: str) -> tuple[str, ...]:
        """Return a rule that lists allowed words."""
        value = self.rules[rule_id].value
        if not isinstance(value, tuple):
            raise ProfileMalformed(rule_id, "not a list of words")
        return value

    def stage(self, code: str) -> Stage:
        """Return a stage by its code."""
        for stage in self.stages:
            if stage.code == code:
                return stage
        raise KeyError(code)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value:
        raise ProfileMalformed(f"{where}.{key}", "must be text")
    return value


def _texts(table: Mapping[str, Any], key: str, where: str) -> tuple[str, ...]:
    value = table.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(item, str) and item for item in value):
        raise ProfileMalformed(f"{where}.{key}", "must be a list of text")
    return tuple(value)


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise ProfileMalformed(where, f"unknown key {unknown[0]}")


def _value(raw: Any, unit: Unit, where: str) -> int | Decimal | bool | str | tuple[str, ...]:
    kinds: dict[Unit, type | tuple[type, ...]] = {
        Unit.FLAG: bool,
        Unit.SHARE: str,
        Unit.WORDS: list,
        Unit.PERCENT: (int, Decimal),
    }
    wanted = kinds.get(unit, int)
    if not isinstance(raw, wanted) or (isinstance(raw, bool) and unit is not Unit.FLAG):
        raise ProfileMalformed(where, f"wrong kind of value for unit {unit}")
    if isinstance(raw, int | Decimal) and raw < 0:
        raise ProfileMalformed(where, "must not be negative")
    if isinstance(raw, list):
        return tuple(str(item) for item in raw)
    if isinstance(raw, int | Decimal | str):
        return raw
    raise ProfileMalformed(where, "wrong kind of value")


def parse_profile(data: Mapping[str, Any], sha256: bytes) -> Profile:
    """Return the profile of a parsed TOML file. Raises ProfileMalformed with the path of what is wrong."""
    _known(data, {"id", "version", "name", "stage", "rule"}, "profile")
    version = data.get("version")
    if isinstance(version, bool) or not isinstance(version, int) or version < 1:
        raise ProfileMalformed("version", "must be a positive whole number")
    stages = []
    for index, table in enumerate(data.get("stage", [])):
        where = f"stage[{index}]"
        _known(table, {"code", "number", "name", "actors", "cites"}, where)
        code, number, name = (_text(table, key, where) for key in ("code", "number", "name"))
        stages.append(Stage(code, number, name, _texts(table, "actors", where), _texts(table, "cites", where)))
    rules: dict[str, Rule] = {}
    for rule_id, table in data.get("rule", {}).items():
        where = f"rule.{rule_id}"
        _known(table, {"value", "unit", "cites", "confirmed", "text"}, where)
        try:
            unit = Unit(_text(table, "unit", where))
        except ValueError as error:
            raise ProfileMalformed(f"{where}.unit", "unknown unit") from error
        confirmed = table.get("confirmed")
        if not isinstance(confirmed, bool):
            raise ProfileMalformed(f"{where}.confirmed", "must be true or false")
        value = _value(table.get("value"), unit, f"{where}.value")
        rules[rule_id] = Rule(
            rule_id, value, unit, _texts(table, "cites", where), confirmed, str(table.get("text", ""))
        )
    return Profile(_text(data, "id", "profile"), version, _text(data, "name", "profile"), sha256, tuple(stages), rules)
