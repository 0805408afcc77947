"""From strings to values: every field has a length, a kind and a range; what is wrong is named and nothing typed is lost."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from node.domain.calendar import CHINA
from sync.plain_text import unseen

_WHOLE = re.compile(r"[0-9]{1,15}", re.ASCII)
_YUAN = re.compile(r"[0-9]{1,13}(\.[0-9]{1,2})?", re.ASCII)
_MARK = re.compile(r"[0-9]{1,5}(\.[0-9]{1,2})?", re.ASCII)
_HEX = re.compile(r"[0-9a-f]{64}", re.ASCII)
_COMMAND_ID = re.compile(r"[0-9a-f]{32}", re.ASCII)
_AREAS = {"area", "words"}  # of several rows, parted by "\n" alone
_LOST = "\ufffd"  # where some decoder gave up


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form. kind: text | area | whole | yuan | mark | time | choice | flag | digest | words | pin | file."""

    name: str
    label: str
    kind: str = "text"
    required: bool = True
    longest: int = 200
    low: int = 0
    high: int = 10**15
    choices: tuple[tuple[str, str], ...] = ()
    hint: str = ""
    value: str = ""  # what an empty form shows


class FieldErrors(Exception):
    """Some fields cannot be used: name -> what to do."""

    def __init__(self, errors: Mapping[str, str]) -> None:
        """Keep the sentences."""
        super().__init__(", ".join(errors))
        self.errors = dict(errors)


@dataclass(slots=True)
class FormState:
    """What a form page shows: fields, values as typed, errors, hidden values."""

    action: str
    fields: Sequence[Field]
    values: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    command_id: str = ""
    revision: int = 0
    button: str = "提交"
    multipart: bool = False
    foot: str = ""  # what is said above the button

    @classmethod
    def returned(cls, action: str, fields: "Sequence[Field]", data: Mapping[str, Any], button: str) -> "FormState":
        """Return a form as it came back: what was typed, under the number of its command."""
        return cls(action, fields, typed(fields, data), command_id=str(data.get("command_id", "")), button=button)


def command_id_of(data: Mapping[str, Any]) -> bytes:
    """Return the hidden command id; a form without one was not made here."""
    text = str(data.get("command_id", ""))
    if not _COMMAND_ID.fullmatch(text):
        raise FieldErrors({"command_id": "表单不完整，请重新打开本页再填写"})
    return bytes.fromhex(text)


def revision_of(data: Mapping[str, Any]) -> int:
    """Return the hidden revision."""
    text = str(data.get("revision", ""))
    if not _WHOLE.fullmatch(text):
        raise FieldErrors({"revision": "表单不完整，请重新打开本页再填写"})
    return int(text)


def typed(fields: Sequence[Field], data: Mapping[str, Any]) -> dict[str, str]:
    """Return what was typed, as text, for showing it again."""
    shown = {}
    for one in fields:
        value = data.get(one.name, "")
        shown[one.name] = value if isinstance(value, str) and one.kind != "pin" else ""
    return shown


def parse(fields: Sequence[Field], data: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of all fields. Raises FieldErrors with every wrong field, not only the first."""
    values: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for one in fields:
        raw = data.get(one.name, "")
        if one.kind == "file":
            continue
        if not isinstance(raw, str):
            errors[one.name] = f"“{one.label}”不能是文件"
            continue
        try:
            values[one.name] = _value(one, _as_typed(one, raw))
        except ValueError as error:
            errors[one.name] = str(error)
    if errors:
        raise FieldErrors(errors)
    return values


def rows_of(text: str) -> list[str]:
    """Return the rows of a field of several rows that are not blank: one parting for what is shown and what is recorded."""
    return [row for row in text.replace("\r\n", "\n").split("\n") if row.strip()]


def _as_typed(one: Field, raw: str) -> str:
    text = raw.replace("\r\n", "\n") if one.kind in _AREAS else raw
    return text if one.kind == "area" else text.strip()


def _value(one: Field, text: str) -> Any:
    if one.kind == "flag":
        if text not in {"", "yes"}:
            raise ValueError(f"“{one.label}”只能选或不选")
        return text == "yes"
    if not text.strip():
        if one.required:
            raise ValueError(f"请填写“{one.label}”")
        return {"whole": 0, "yuan": 0, "time": 0, "digest": b"", "words": ()}.get(one.kind, "")
    if len(text) > one.longest:
        raise ValueError(f"“{one.label}”最多 {one.longest} 个字，现有 {len(text)} 个字")
    if _LOST in text or unseen(text.replace("\n", "") if one.kind in _AREAS else text):
        raise ValueError(f"“{one.label}”含有看不见的控制字符，请删除后重新填写")
    match one.kind:
        case "whole":
            return _number(one, text)
        case "yuan":
            return _fen(one, text)
        case "mark":
            return centi(one.label, text)
        case "time":
            return _time(one, text)
        case "choice":
            if text not in {value for value, _ in one.choices}:
                raise ValueError(f"请选择“{one.label}”")
            return text
        case "digest":
            if not _HEX.fullmatch(text):
                raise ValueError(f"“{one.label}”须为 64 位小写十六进制摘要")
            return bytes.fromhex(text)
        case "words":
            return tuple(part.strip() for part in re.split(r"[\n,，、;；]", text) if part.strip())
        case _:
            return text


def _number(one: Field, text: str) -> int:
    if not _WHOLE.fullmatch(text) or not one.low <= int(text) <= one.high:
        raise ValueError(f"“{one.label}”须为 {one.low} 到 {one.high} 之间的整数（半角数字）")
    return int(text)


def _fen(one: Field, text: str) -> int:
    plain = text.replace(",", "")
    if not _YUAN.fullmatch(plain):
        raise ValueError(f"“{one.label}”须为金额（元），最多两位小数，例如 4628000.00")
    whole, _, rest = plain.partition(".")
    fen = int(whole) * 100 + int((rest + "00")[:2])
    if not one.low <= fen <= one.high:
        raise ValueError(f"“{one.label}”超出范围")
    return fen


def centi(label: str, text: str) -> int:
    """Return a mark in hundredths. Raises ValueError with what to do."""
    if not _MARK.fullmatch(text):
        raise ValueError(f"请填写“{label}”的评分，用半角数字，最多两位小数；没有得分请填 0")
    whole, _, rest = text.partition(".")
    return int(whole) * 100 + int((rest + "00")[:2])


def _time(one: Field, text: str) -> int:
    for pattern in ("%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M"):
        try:
            moment = datetime.strptime(text, pattern).replace(tzinfo=CHINA)
        except ValueError:
            continue
        if 2000 <= moment.year <= 2100:
            return int(moment.timestamp()) * 1_000
    raise ValueError(f"“{one.label}”须为时间，例如 2026-03-25 09:30")
