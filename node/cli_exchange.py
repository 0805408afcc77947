"""`erhai import ocds FILE`: lots of other systems into this node's log, through the live node or by opening its folder.

The whole file is judged before anything is submitted. Releases that are recorded already are passed over, because publishers
add to the files that they have published; a file that brings nothing new is refused.
"""

import asyncio
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import click

from node import control
from node.calendars import CalendarFault
from node.cli_experts import cli_experts
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from node.exchange.ocds import ImportPlan, PlannedImport, plan_import
from node.exchange.strict_json import MAX_BYTES, shown
from node.people import PeopleFault, load_people
from node.recorder import NodeFault
from node.settings import SettingsFault, load_settings
from node.store import StoreFault
from sync.fence import FenceFault
from sync.keys import KeyFault

EXIT_REFUSED: Final = 1
EXIT_USAGE: Final = 2
EXIT_FAULT: Final = 3
COMMAND_LINE: Final = Actor("command-line", Role.SYSTEM)
_SHOWN_POINTERS = 20

# code: zh-CN, English; {value} is what was found, {limit} what is allowed.
SENTENCES: Final[dict[str, tuple[str, str]]] = {
    "file-too-large": (
        "文件过大：{value} 字节，上限 {limit}",
        "the file is too large: {value} bytes, the limit is {limit}",
    ),
    "not-utf8": ("不是 UTF-8 文本（{value}）", "is not UTF-8 text ({value})"),
    "not-json": ("不是完整的 JSON：{value}", "is not whole JSON: {value}"),
    "nested-too-deep": ("嵌套过深（{value}），上限 {limit} 层", "nested too deeply ({value}), the limit is {limit}"),
    "too-many-values": (
        "内容过多（{value}），上限 {limit} 个值",
        "holds too much ({value}), the limit is {limit} values",
    ),
    "key-repeated": ("同一对象中字段重复：{value}", "the key stands twice in one object: {value}"),
    "number-out-of-range": ("数值超出范围：{value}", "the number is out of range: {value}"),
    "control-character": ("含控制字符：{value}", "holds a control character: {value}"),
    "not-a-release-package": ("不是 OCDS 发布包：{value}", "is not an OCDS release package: {value}"),
    "record-package": ("这是记录包，需要发布包", "this is a record package, a release package is needed"),
    "version-unsupported": (
        "不支持的版本：{value}，需要 {limit}",
        "version {value} is not supported, {limit} is needed",
    ),
    "tender-missing": ("没有招标信息", "there is no tender"),
    "ocid-malformed": ("ocid 格式不符：{value}，应为 {limit}", "malformed ocid: {value}, must be {limit}"),
    "currency-malformed": ("币种不符：{value}，应为 {limit}", "malformed currency: {value}, must be {limit}"),
    "id-repeated": ("标识重复：{value}", "the id stands twice: {value}"),
    "text-expected": ("应为文本，现为 {value}", "must be text, is {value}"),
    "text-too-long": ("文本过长：{value}，上限 {limit}", "the text is too long: {value}, the limit is {limit}"),
    "object-expected": ("应为对象，现为 {value}", "must be an object, is {value}"),
    "list-expected": ("应为列表，现为 {value}", "must be a list, is {value}"),
    "list-too-long": ("列表过长：{value}，上限 {limit}", "the list is too long: {value}, the limit is {limit}"),
    "number-expected": ("应为数值，现为 {value}", "must be a number, is {value}"),
    "date-time-expected": ("应为带时区的日期时间，现为 {value}", "must be a date-time with offset, is {value}"),
    "already-imported": ("该发布已经导入：{value}", "this release is imported already: {value}"),
    "release-id-reused": (
        "同一发布编号、不同发布时间，不能当作已导入：{value}（已导入的为 {limit}）",
        "the release id was used before with another date: {value} (recorded: {limit})",
    ),
    "custody-contested": (
        "两台节点都登记了该流程，须先由两人确定主持节点",
        "two nodes own this process; two persons must decide",
    ),
    "older-release": ("早于已导入的发布：{value} < {limit}", "older than what is imported: {value} < {limit}"),
    "release-in-the-future": ("发布日期在未来：{value}", "the release is dated in the future: {value}"),
    "release-too-large": ("内容过多，一条记录放不下", "holds more than one entry can take"),
    "role-may-not": ("该角色无权导入：{value}", "this role may not import: {value}"),
    "person-unknown": ("本节点没有此人：{value}", "this node does not know the person {value}"),
    "not-owner": ("该流程由另一节点主持：{limit}", "another node owns this process: {limit}"),
}


@dataclass(frozen=True, slots=True)
class Recorded:
    """One release and what became of it; without `receipt` it was recorded before."""

    step: PlannedImport
    receipt: dict[str, Any] | None


@click.group("import")
def cli_import() -> None:
    """导入其他系统公开的标段、专家库快照 / take in lots that other systems published, the expert bank's snapshot."""


cli_import.add_command(cli_experts)


@cli_import.command("ocds")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False, readable=True))
@click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)
@click.option("--json", "as_json", is_flag=True, help="JSON")
@click.option("--as", "person", default="", metavar="PERSON", help="以此人身份（编号）/ in this person's name")
def cli_ocds(file: Path, data: Path, *, as_json: bool, person: str) -> None:
    """导入 OCDS 1.1 发布包 FILE：原样登记，不适用本系统的期限规则，不可运行。

    Record the lots of an OCDS 1.1 release package as they are: no period guards, never run.

    \b
    例 Example:
      erhai import ocds release.json --data demo-data/a

    \b
    退出码 Exit: 0 已导入 done; 1 拒绝 refused; 2 用法或无此文件 usage, no file; 3 故障 fault
    """  # noqa: D301 - the two \\b are the character that click asks for
    try:
        with file.open("rb") as stream:
            plan = plan_import(stream.read(MAX_BYTES + 1))
    except OSError as error:
        _end(EXIT_USAGE, f"{shown(str(file))}: {error.strerror}")
    except Refused as refused:
        _refuse(refused, as_json=as_json)
    try:
        actor = _actor(data, person)
        done, refused_by = asyncio.run(_submit(data, plan, actor))
    except Refused as refused:
        _refuse(refused, as_json=as_json)
    except SettingsFault as fault:
        _end(EXIT_USAGE if not (data / control.SETTINGS).exists() else EXIT_FAULT, str(fault))
    except (NodeFault, StoreFault, FenceFault, KeyFault, CalendarFault, PeopleFault) as fault:
        _end(EXIT_FAULT, f"{_word('故障', 'fault')}: {fault}")
    if as_json:
        _print_json(plan, done, refused_by)
    elif any(one.receipt for one in done):
        _print(plan, done)
    if refused_by is not None:
        if not as_json:
            click.echo(sentence(refused_by), err=True)
        sys.exit(EXIT_REFUSED)


async def _submit(data: Path, plan: ImportPlan, actor: Actor) -> tuple[list[Recorded], Refused | None]:
    """Submit the releases in order; return what became of them, and the refusal that ended it.

    A release that is recorded already is passed over; only where all of them are, that is the refusal.
    """
    done: list[Recorded] = []
    known: Refused | None = None
    for step in plan.steps:
        try:
            done.append(Recorded(step, await control.submit(data, step.stream, step.command, actor)))
        except Refused as refused:
            if refused.code != "already-imported":
                return done, refused
            done.append(Recorded(step, None))
            known = refused
    return done, None if any(one.receipt for one in done) else known


def _actor(data: Path, person: str) -> Actor:
    """Return who asks: a person of this node's accounts, or the command line itself. Raises Refused, PeopleFault."""
    if not person:
        return COMMAND_LINE
    people = load_people(load_settings(data / control.SETTINGS).people)
    if person not in people:
        raise Refused("person-unknown", rule="known-person", value=shown(person))
    return people[person].actor


def sentence(refused: Refused) -> str:
    """Return what a person reads: the place, what is wrong, what would be right."""
    words = SENTENCES.get(refused.code, (refused.code, refused.code))
    said = _word(*words).format(value=shown(refused.value), limit=shown(refused.limit))
    pointer = dict(refused.facts).get("pointer", "")
    return f"{_word('拒绝：', 'refused: ')}{f'{shown(pointer)} ' if pointer else ''}{said}"


def _print(plan: ImportPlan, done: list[Recorded]) -> None:
    for one in done:
        release = one.step.command.release
        what = f"{release.ocid} {shown(release.release_id)} ({len(release.lots)} {_word('个标段', 'lots')})"
        known = _word("此前已导入", "imported before")
        click.echo(f"{what}: {one.receipt['receipt'] if one.receipt else known}")
    if plan.unmapped:
        click.echo(
            _word(f"未能对应的内容 {len(plan.unmapped)} 处：", f"{len(plan.unmapped)} places have no counterpart:")
        )
        for pointer in plan.unmapped[:_SHOWN_POINTERS]:
            click.echo(f"  {shown(pointer)}")
        if len(plan.unmapped) > _SHOWN_POINTERS:
            click.echo(_word("  …（全部见 --json）", "  … (all of them with --json)"))


def _print_json(plan: ImportPlan, done: list[Recorded], refused: Refused | None) -> None:
    found: dict[str, Any] = {
        "ok": refused is None,
        "source_sha256": plan.source_sha256.hex(),
        "releases": [
            {
                "stream": one.step.stream,
                "release_id": one.step.command.release.release_id,
                "lots": [lot.id for lot in one.step.command.release.lots],
                "status": "recorded" if one.receipt else "already-imported",
                **(one.receipt or {}),
            }
            for one in done
        ],
        "unmapped": list(plan.unmapped),
    }
    if refused is not None:
        found["refused"] = _refusal_json(refused)
    click.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())


def _refusal_json(refused: Refused) -> dict[str, str]:
    named = {"code": refused.code, "rule": refused.rule, "value": refused.value, "limit": refused.limit}
    return {**named, **dict(refused.facts)}


def _refuse(refused: Refused, *, as_json: bool) -> NoReturn:
    if as_json:
        click.echo(json.dumps({"ok": False, "refused": _refusal_json(refused)}, ensure_ascii=False, indent=2).encode())
        sys.exit(EXIT_REFUSED)
    _end(EXIT_REFUSED, sentence(refused))


def _end(code: int, line: str) -> NoReturn:
    click.echo(line, err=True)
    sys.exit(code)


def _word(chinese: str, english: str) -> str:
    return english if os.environ.get("LANG", "").startswith("en") else chinese
