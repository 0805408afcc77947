"""`erhai import experts FILE.csv`: a snapshot of the expert bank into this node, whole or not at all.

What is wrong is named by line and column, never by what a field holds: the file is full of personal data.
"""

import asyncio
import hashlib
import json
import os
import sys
from datetime import date
from pathlib import Path
from typing import Final, NoReturn

import click

from node import control
from node.calendars import CalendarFault
from node.domain.calendar import day_start_ms
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from node.exchange.experts import MAX_BYTES, read_experts
from node.exchange.strict_json import shown
from node.people import PeopleFault, load_people
from node.recorder import NodeFault
from node.settings import SettingsFault, load_settings
from node.store import StoreFault
from sync.fence import FenceFault
from sync.keys import KeyFault

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_FAULT: Final = 3

# code: zh-CN, English
SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "file-too-large": ("文件过大，上限 {limit} 字节", "the file is too large, the limit is {limit} bytes"),
    "not-utf8": ("不是 UTF-8 文本", "is not UTF-8 text"),
    "not-csv": ("不是完整的 CSV", "is not whole CSV"),
    "no-experts": ("没有专家", "holds no expert"),
    "column-unknown": ("不认识的列", "unknown column"),
    "column-missing": ("缺少这一列", "the column is missing"),
    "fields-differ": ("有 {value} 列，表头有 {limit} 列", "has {value} fields, the header {limit}"),
    "missing": ("没有填写", "is empty"),
    "field-malformed": ("格式不对，应为 {limit}", "is malformed, must be {limit}"),
    "stands-twice": ("重复，首次出现在 {limit}", "stands twice, first in {limit}"),
    "too-many-values": ("行数超过 {limit}", "more than {limit} lines"),
    "already-imported": ("此前已导入同一文件", "the same file was imported before"),
    "older-release": ("早于现有的快照", "is older than the snapshot that is here"),
    "time-ahead": ("快照日期晚于现在", "the snapshot's date is ahead of now"),
    "role-may-not": ("此人的角色不能导入专家库", "this person's role may not import the bank"),
    "person-unknown": ("没有此人：{value}", "no such person: {value}"),
}


@click.command("experts")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--as-of", type=click.DateTime(["%Y-%m-%d"]), required=True, help="快照日期 / the snapshot's date")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")
@click.option("--json", "as_json", is_flag=True, help="JSON")
@click.option("--as", "person", default="", metavar="PERSON", help="以此人身份（编号）/ in this person's name")
def cli_experts(file: Path, as_of: click.DateTime, data: Path, *, as_json: bool, person: str) -> None:
    """导入专家库快照 FILE（CSV，UTF-8），整体替换现有快照；有一行不对就都不导入。

    Import a snapshot of the expert bank, whole or not at all.

    \b
    例 Example:
      erhai import experts experts.csv --as-of 2026-03-10 --data demo-data/a

    \b
    退出码 Exit: 0 已导入 done; 1 拒绝 refused; 2 用法或无此文件 usage, no file; 3 故障 fault
    """  # noqa: D301 - the two \\b are the character that click asks for
    try:
        with file.open("rb") as stream:
            body = stream.read(MAX_BYTES + 1)
        count = len(read_experts(body))
        taken_at_ms = day_start_ms(date.fromisoformat(str(as_of)[:10]))
        receipt = asyncio.run(
            control.import_experts(
                data, file.absolute(), hashlib.sha256(body).digest(), taken_at_ms, _actor(data, person)
            )
        )
    except OSError as error:
        _end(EXIT_USAGE, f"{shown(str(file))}: {error.strerror}")
    except Refused as refused:
        _refuse(refused, as_json=as_json)
    except SettingsFault as fault:
        _end(EXIT_USAGE if not (data / control.SETTINGS).exists() else EXIT_FAULT, str(fault))
    except (NodeFault, StoreFault, FenceFault, KeyFault, CalendarFault, PeopleFault) as fault:
        _end(EXIT_FAULT, f"{_word('故障', 'fault')}: {fault}")
    if as_json:
        click.echo(json.dumps({"ok": True, "experts": count, **receipt}).encode())
    else:
        click.echo(f"{_word(f'已导入专家 {count} 人', f'{count} experts imported')}: {receipt['receipt']}".encode())


def _actor(data: Path, person: str) -> Actor:
    if not person:
        return Actor("command-line", Role.SYSTEM)
    people = load_people(load_settings(data / control.SETTINGS).people)
    if person not in people:
        raise Refused("person-unknown", rule="known-person", value=shown(person))
    return people[person].actor


def sentence(refused: Refused) -> str:
    """Return what a person reads: line, column, what is wrong, what would be right."""
    facts = dict(refused.facts)
    words = _word(*SENTENCES.get(refused.code, (refused.code, refused.code)))
    said = words.format(value=shown(refused.value), limit=shown(refused.limit))
    line, column = facts.get("line", "0"), facts.get("column", "")
    place = f"{_word(f'第 {line} 行', f'line {line}')} " if line != "0" else ""
    return f"{_word('拒绝', 'refused')}: {place}{column + ' ' if column else ''}{said}"


def _refuse(refused: Refused, *, as_json: bool) -> NoReturn:
    if as_json:
        named = {"code": refused.code, "value": refused.value, "limit": refused.limit, **dict(refused.facts)}
        click.echo(json.dumps({"ok": False, "refused": named}, ensure_ascii=False).encode())
        sys.exit(EXIT_REFUSED)
    _end(EXIT_REFUSED, sentence(refused))


def _end(code: int, line: str) -> NoReturn:
    click.echo(line.encode(), err=True)
    sys.exit(code)


def _word(chinese: str, english: str) -> str:
    return english if os.environ.get("LANG", "").startswith("en") else chinese
