"""Identifiers and code tables (代码): what their shape must be, which check character they should carry, what a code means.

A wrong shape is refused. A wrong check character only warns and a second person confirms it: codes with wrong ones are in
official use, so refusing them would shut out real bidders. Codes outside a table are kept as received.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from stdnum.cn import ric, uscc
from stdnum.iso7064 import mod_37_2

from node.domain.refused import Refused

_USCC_ALPHABET = "0-9A-HJ-NP-RTUW-Y"  # no I, O, S, V, Z
_USCC = re.compile(rf"[{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}}")
_INNER_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)
_SEQUENCE = "(?!000)[0-9a-z]{3}"
_PROJECT = "[A-Z][0-9]{6}[0-9]{10}"
_SHAPES = {
    "project-code": re.compile(_PROJECT),
    "tender-project-code": re.compile(_PROJECT + _SEQUENCE),
    "lot-code": re.compile(_PROJECT + _SEQUENCE * 2),
    "document-code": re.compile(_PROJECT + _SEQUENCE * 3),
    "investment-code": re.compile("[0-9]{4}-[0-9]{6}-[0-9]{2}-[0-9]{2}-[0-9]{6}"),
    "region": re.compile("[1-9][0-9]{5}"),
    "trade-class": re.compile("[A-Z][0-9]{2}"),
}
_SOURCES = {"investment-code": "数据规范 V2.0 500", "region": "GB/T 2260", "trade-class": "数据规范 V2.0 502"}
_DEAL = re.compile(
    rf"([A-Z][0-9]{{2}})-?([{_USCC_ALPHABET}]{{2}}[0-9]{{6}}[{_USCC_ALPHABET}]{{10}})-?([0-9]{{8}})-?([0-9]{{6}})-?([0-9A-Z*])"
)
_CITIZEN = re.compile("[1-9][0-9]{16}[0-9X]")
_CITIZEN_ALPHABET_LENGTH = 18
_MAX_SERIAL = 999_999
_FIRST_YEAR = 1900


@dataclass(frozen=True, slots=True)
class CodeWarning:
    """Something about a code that a second person must confirm. `got` and `expected` are check characters only."""

    field: str
    code: str
    got: str
    expected: str

    def __str__(self) -> str:
        """Return field, word and both characters, for records and messages."""
        return f"{self.field}: {self.code} {self.got}, expected {self.expected}"


@dataclass(frozen=True, slots=True)
class DealCode:
    """统一交易标识码: one for life for each transaction. `platform` is the 信用代码 of the platform that issued it."""

    trade_class: str
    platform: str
    issued: date
    serial: int
    check: str

    def __str__(self) -> str:
        """Return the code with hyphens, 40 characters."""
        return f"{self.trade_class}-{self.platform}-{self.issued:%Y%m%d}-{self.serial:06d}-{self.check}"


def check_shape(kind: str, code: str, field: str) -> str:
    """Return the code if it has the shape of its kind (a key of the shapes: project-code, lot-code, region, …), else Refused."""
    if not _SHAPES[kind].fullmatch(code):
        raise _malformed(field, code, kind, _SOURCES.get(kind, "20号令 附件 B.3.2"))
    return code


def check_nested(*, project_code: str, tender_project_code: str, lot_code: str) -> None:
    """Check 项目编号 (17), 招标项目编号 (20) and 标段编号 (23), each of which begins with the one before. Raises Refused."""
    check_shape("project-code", project_code, "project_code")
    check_shape("tender-project-code", tender_project_code, "tender_project_code")
    check_shape("lot-code", lot_code, "lot_code")
    for field, code, outer in (
        ("tender_project_code", tender_project_code, project_code),
        ("lot_code", lot_code, tender_project_code),
    ):
        if not code.startswith(outer):
            raise Refused(
                "codes-do-not-nest", rule="codes-nest", value=code, limit=f"{outer}…", facts=(("field", field),)
            )


def region_of(project_code: str) -> str:
    """Return the region inside a project, tender project, lot or document code."""
    return project_code[1:7]


def city_of(region: str) -> str:
    """Return the city-level code of a county: some data sets want the one, some the other (GB/T 2260)."""
    return f"{region[:4]}00"


def uscc_warnings(code: str, field: str) -> tuple[CodeWarning, ...]:
    """Check a 统一社会信用代码 (GB 32100-2015). Raises Refused for the shape; wrong check characters come back as warnings.

    The outer check covers the whole code, the inner one the organisation code in it (GB 11714).
    """
    if not _USCC.fullmatch(code):
        raise _malformed(field, code, "uscc", "GB 32100-2015")
    found = (
        ("check-character-wrong", code[17], uscc.calc_check_digit(code[:17])),
        ("inner-check-character-wrong", code[16], organisation_check(code[8:16])),
    )
    return tuple(CodeWarning(field, word, got, expected) for word, got, expected in found if got != expected)


def organisation_check(code: str) -> str:
    """Return the check character of an organisation code's eight characters (组织机构代码, GB 11714): 0-9 or X."""
    total = sum(int(char, 36) * weight for char, weight in zip(code, _INNER_WEIGHTS, strict=True))
    return "0123456789X0"[11 - total % 11]


def citizen_id_warnings(number: str, field: str) -> tuple[CodeWarning, ...]:
    """Check a citizen's number (公民身份号码, GB 11643). Raises Refused for shape and birthday; never repeats the number."""
    if not _CITIZEN.fullmatch(number) or _day(number[6:14]) is None:
        raise Refused(
            "code-malformed",
            rule="citizen-id",
            value=f"{len(number)} characters",
            limit=f"{_CITIZEN_ALPHABET_LENGTH} characters with a birthday",
            cites=("GB 11643",),
            facts=(("field", field),),
        )
    expected = ric.calc_check_digit(number)
    if number[-1] == expected:
        return ()
    return (CodeWarning(field, "check-character-wrong", number[-1], expected),)


def issue_deal_code(*, trade_class: str, platform: str, issued: date, serial: int) -> DealCode:
    """Return a 统一交易标识码 with its check character by ISO 7064 MOD 37-2 (GB/T 17710). Raises Refused."""
    check_shape("trade-class", trade_class, "trade_class")
    if not _USCC.fullmatch(platform):
        raise _malformed("platform", platform, "uscc", "GB 32100-2015")
    if not 0 <= serial <= _MAX_SERIAL:
        raise _malformed("serial", str(serial), "deal-code", "GB/T 17710")
    return DealCode(trade_class, platform, issued, serial, _deal_check(trade_class, platform, issued, serial))


def read_deal_code(code: str, field: str) -> tuple[DealCode, tuple[CodeWarning, ...]]:
    """Return a 统一交易标识码 of 36 or, with hyphens, 40 characters. Raises Refused for its shape.

    Only the shape is required: check characters in official use follow no scheme that could be found, so a wrong one warns.
    """
    match = _DEAL.fullmatch(code)
    issued = _day(match[3]) if match else None
    if match is None or issued is None or code.count("-") not in {0, 4}:
        raise _malformed(field, code, "deal-code", "数据规范 V2.0 502")
    deal = DealCode(match[1], match[2], issued, int(match[4]), match[5])
    expected = _deal_check(deal.trade_class, deal.platform, deal.issued, deal.serial)
    if deal.check == expected:
        return deal, ()
    return deal, (CodeWarning(field, "check-character-wrong", deal.check, expected),)


def _deal_check(trade_class: str, platform: str, issued: date, serial: int) -> str:
    return str(mod_37_2.calc_check_digit(f"{trade_class}{platform}{issued:%Y%m%d}{serial:06d}"))


def _day(digits: str) -> date | None:
    try:
        day = date(int(digits[:4]), int(digits[4:6]), int(digits[6:]))
    except ValueError:
        return None
    return day if day.year >= _FIRST_YEAR else None


def _malformed(field: str, code: str, kind: str, cite: str) -> Refused:
    return Refused("code-malformed", rule=kind, value=code[:50], cites=(cite,), facts=(("field", field),))


@dataclass(eq=False)
class CodesMalformed(Exception):
    """The code tables' data has not their shape. `where` is the path inside the file."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class CodeTable:
    """One table of codes (代码表) with its sources. `confirmed` is false for values that a local reviewer must confirm."""

    id: str
    name: str
    cites: tuple[str, ...]
    confirmed: bool
    names: Mapping[str, str]

    def name_of(self, code: str) -> str:
        """Return what a code means; a code that is not in the table stands for itself."""
        return self.names.get(code, code)


@dataclass(frozen=True, slots=True)
class CodeTables:
    """All code tables of one file. `sha256` is of the file's bytes."""

    id: str
    version: int
    sha256: bytes
    tables: Mapping[str, CodeTable]

    def name_of(self, table_id: str, code: str) -> str:
        """Return what a code means; a code that is not in its table stands for itself. KeyError for an unknown table."""
        return self.tables[table_id].name_of(code)


def parse_code_tables(data: Mapping[str, Any], sha256: bytes) -> CodeTables:
    """Return the tables of a parsed TOML file. Raises CodesMalformed with the path of what is wrong."""
    _known(data, {"id", "version", "table"}, "codes")
    version = data.get("version")
    if type(version) is not int or version < 1:
        raise CodesMalformed("version", "must be a positive whole number")
    tables = data.get("table", {})
    if not isinstance(tables, dict):
        raise CodesMalformed("table", "must be a table of tables")
    return CodeTables(
        _text(data, "id", "codes"), version, sha256, {key: _table(key, value) for key, value in tables.items()}
    )


def _table(table_id: str, data: Any) -> CodeTable:
    where = f"table.{table_id}"
    if not isinstance(data, dict):
        raise CodesMalformed(where, "must be a table")
    _known(data, {"name", "cites", "confirmed", "codes"}, where)
    cites = data.get("cites")
    if not isinstance(cites, list) or not cites or not all(isinstance(item, str) and item for item in cites):
        raise CodesMalformed(f"{where}.cites", "must be a list of text")
    confirmed = data.get("confirmed")
    if not isinstance(confirmed, bool):
        raise CodesMalformed(f"{where}.confirmed", "must be true or false")
    codes = data.get("codes")
    if not isinstance(codes, dict) or not codes:
        raise CodesMalformed(f"{where}.codes", "must name at least one code")
    names = {code: _text(codes, code, f"{where}.codes") for code in codes}
    return CodeTable(table_id, _text(data, "name", where), tuple(cites), confirmed, names)


def _text(table: Mapping[str, Any], key: str, where: str) -> str:
    value = table.get(key)
    if not isinstance(value, str) or not value.strip():
        raise CodesMalformed(f"{where}.{key}", "must be text")
    return value


def _known(table: Mapping[str, Any], keys: set[str], where: str) -> None:
    unknown = sorted(set(table) - keys)
    if unknown:
        raise CodesMalformed(where, f"unknown key {unknown[0]}")
