"""A snapshot of the expert bank as CSV (专家库快照): read whole or refused whole, each fault by its line and column.

UTF-8 (a byte order mark is passed over), comma separated, the first line names the columns in Chinese or by key, in any
order. Fields of the national expert data set; the codes are the bank's own.
"""

import csv
import io
import re
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final

from node.domain.calendar import day_start_ms
from node.domain.eligibility import Expert, Span
from node.domain.refused import Refused
from node.exchange.strict_json import shown

MAX_BYTES: Final = 20_000_000
MAX_LINES: Final = 50_000
MAX_FIELD: Final = 500

# key: the header in Chinese, and whether a line must fill it
COLUMNS: Final[dict[str, tuple[str, bool]]] = {
    "no": ("专家编号", True),
    "name": ("姓名", True),
    "id_type": ("证件类型", True),
    "id_no": ("证件号码", True),
    "sex": ("性别", False),
    "birth": ("出生日期", False),
    "title": ("职称", False),
    "on_job": ("是否在职", False),
    "employer": ("工作单位", True),
    "industry": ("行业", False),
    "region": ("行政区划", True),
    "phone": ("电话", True),
    "available": ("是否可用", True),
    "entered": ("入库日期", False),
    "bank": ("专家库类型", True),
    "specialties": ("评标专业", True),
    "main": ("主评专业", False),
    "qualified": ("资格符合", False),
    "suspended": ("暂停", False),
    "leave": ("请假", False),
    "relations": ("回避单位", False),
    "account": ("人员号", False),
}
KEYS: Final = tuple(COLUMNS)
REQUIRED: Final = tuple(key for key, (_, must) in COLUMNS.items() if must)
_HEADERS = {**{header: key for key, (header, _) in COLUMNS.items()}, **{key: key for key in COLUMNS}}
_YES, _NO = {"1", "是", "Y", "T"}, {"0", "否", "N", "F"}
_FORMS: Final[dict[str, tuple[re.Pattern[str], str]]] = {
    "no": (re.compile(r"[0-9A-Za-z-]{1,32}", re.ASCII), "1–32 letters, digits or hyphens"),
    "account": (re.compile(r"[0-9A-Za-z-]{1,20}", re.ASCII), "1–20 letters, digits or hyphens"),
    "id_type": (re.compile(r"[0-9A-Za-z]{1,2}", re.ASCII), "a code of one or two characters"),
    "sex": (re.compile(r"[0-9男女]"), "0, 1, 2, 9, 男, 女"),
    "industry": (re.compile(r"[A-T][0-9]{2}", re.ASCII), "a letter and two digits (GB/T 4754)"),
    "region": (re.compile(r"[0-9]{6}", re.ASCII), "six digits (GB/T 2260)"),
    "phone": (re.compile(r"[0-9+-]{5,20}", re.ASCII), "5–20 digits"),
    "bank": (re.compile(r"[12]"), "1 (综合评标) or 2 (政府采购)"),
    "main": (re.compile(r"[0-9A-Z]{1,11}", re.ASCII), "a specialty code"),
}
_SPECIALTY = re.compile(r"[0-9A-Z]{1,11}", re.ASCII)
_SPLIT = re.compile(r"[;；、]")


@dataclass(frozen=True, slots=True)
class BankRecord:
    """One expert of the snapshot: every column as text, in the order of KEYS. Personal data: never in a log or a message."""

    fields: tuple[str, ...]

    def of(self, key: str) -> str:
        """Return one column."""
        return self.fields[KEYS.index(key)]

    @property
    def account(self) -> str:
        """Return the person's account number here; the expert's number where the bank gives none."""
        return self.of("account") or self.of("no")

    def expert(self, sessions: tuple[Span, ...] = ()) -> Expert:
        """Return what the rules look at."""
        return Expert(
            no=self.of("no"),
            specialties=_parts(self.of("specialties")),
            region=self.of("region"),
            employer=self.of("employer"),
            birth=self.of("birth"),
            enabled=self.of("available") in _YES,
            suspended=self.of("suspended") in _YES,
            qualified=self.of("qualified") not in _NO,
            leave=tuple(_span(part) for part in _parts(self.of("leave"))),
            relations=_parts(self.of("relations")),
            sessions=sessions,
        )


def read_experts(body: bytes) -> tuple[BankRecord, ...]:
    """Return every expert of a snapshot. Raises Refused with line and column as facts; never says what a field held."""
    if len(body) > MAX_BYTES:
        raise _refused("file-too-large", 0, "", limit=str(MAX_BYTES))
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _refused("not-utf8", body.count(b"\n", 0, error.start) + 1, "") from None
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    keys: tuple[str, ...] = ()
    found: list[BankRecord] = []
    seen: dict[tuple[str, str], int] = {}
    try:
        for row in rows:
            if not keys:
                keys = _header(row)
            elif any(field.strip() for field in row):
                found.append(_record(row, keys, rows.line_num, seen))
            if len(found) > MAX_LINES:
                raise _refused("too-many-values", rows.line_num, "", limit=str(MAX_LINES))
    except csv.Error:
        raise _refused("not-csv", rows.line_num, "") from None
    if not found:
        raise _refused("no-experts", max(rows.line_num, 1), "")
    return tuple(found)


def _header(row: list[str]) -> tuple[str, ...]:
    keys = []
    for name in (field.strip() for field in row):
        if name not in _HEADERS:
            raise _refused("column-unknown", 1, shown(name))
        if _HEADERS[name] in keys:
            raise _refused("stands-twice", 1, shown(name))
        keys.append(_HEADERS[name])
    for key in REQUIRED:
        if key not in keys:
            raise _refused("column-missing", 1, COLUMNS[key][0])
    return tuple(keys)


def _record(row: list[str], keys: tuple[str, ...], line: int, seen: dict[tuple[str, str], int]) -> BankRecord:
    if len(row) != len(keys):
        raise _refused("fields-differ", line, "", value=str(len(row)), limit=str(len(keys)))
    values = dict.fromkeys(KEYS, "") | {key: field.strip() for key, field in zip(keys, row, strict=True)}
    for key, value in values.items():
        _check(key, value, line)
    for key in ("no", "id_no", "account"):
        first = seen.setdefault((key, values[key]), line) if values[key] else line
        if first != line:
            raise _refused("stands-twice", line, COLUMNS[key][0], limit=f"line {first}")
    return BankRecord(tuple(values[key] for key in KEYS))


def _check(key: str, value: str, line: int) -> None:
    header, must = COLUMNS[key]
    if not value:
        if must:
            raise _refused("missing", line, header)
        return
    if len(value) > MAX_FIELD or not value.isprintable():
        raise _refused("field-malformed", line, header, limit=f"{MAX_FIELD} printable characters")
    form = _FORMS.get(key)
    if form is not None and not form[0].fullmatch(value):
        raise _refused("field-malformed", line, header, limit=form[1])
    if key in {"on_job", "available", "qualified", "suspended"} and value not in _YES | _NO:
        raise _refused("field-malformed", line, header, limit="1 是, 0 否")
    if key in {"birth", "entered"} and _day(value) is None:
        raise _refused("field-malformed", line, header, limit="YYYY-MM-DD")
    if key == "specialties" and not all(_SPECIALTY.fullmatch(part) for part in _parts(value)):
        raise _refused("field-malformed", line, header, limit="specialty codes, parted by ;")
    if key == "leave":
        for part in _parts(value):
            first, _, last = part.partition("/")
            since, until = _day(first), _day(last)
            if since is None or until is None or until < since:
                raise _refused("field-malformed", line, header, limit="YYYY-MM-DD/YYYY-MM-DD, parted by ;")


def _parts(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in _SPLIT.split(value) if part.strip())


def _span(part: str) -> Span:
    first, _, last = part.partition("/")
    return Span(day_start_ms(date.fromisoformat(first)), day_start_ms(date.fromisoformat(last) + timedelta(days=1)))


def _day(text: str) -> date | None:
    if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text, re.ASCII):
        return None
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if 1900 <= found.year <= 2100 else None


def _refused(code: str, line: int, column: str, *, value: str = "", limit: str = "") -> Refused:
    facts = (("line", str(line)), ("column", column))
    return Refused(code, rule="expert-snapshot", value=value, limit=limit, facts=facts)
