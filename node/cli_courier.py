"""`erhai courier export / import`: by stick, when no line works."""

import asyncio
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import Progress

from node import control
from node.courier import Outcome, import_stick
from node.courier_export import Exported, export_stick
from node.domain.calendar import CHINA
from node.folder_words import log_steps, log_words
from node.places import BLOBS, DATABASE, KEYS, SETTINGS
from node.settings import SettingsFault, load_settings
from node.start import open_asking
from node.store import StoreFault, connect
from node.successions import current
from sync.blobs import BlobFault, BlobStore
from sync.fence import FenceFault
from sync.keys import KeyFault, load_identity
from sync.log import LogFault
from sync.stick_folder import CourierFault
from sync.tampered import Tampered

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)
_WORDS = {
    Outcome.TAKEN: "已收下 / taken",
    Outcome.NOTHING_NEW: "没有新的 / nothing new",
    Outcome.UNKNOWN: "本节点不收存此日志，略过 / not mirrored here",
    Outcome.GAP: "与本机已有的不衔接，请不带 --for 重新导出 / begins after what is held here, export without --for",
    Outcome.OWN: "本机日志；他人的存证已记下 / the own log, others' cosignatures are kept",
    Outcome.LATER: "未收完，请再次执行 / not all of it, do it again",
    Outcome.REFUSED: "不能通过核验，拒收 / does not verify",
    Outcome.HEALED: "本机日志已由此恢复完整 / the own log is whole again",
    Outcome.OVERTAKEN: "本机密钥签过本机日志中没有的记录；本节点已停止记录 / signed by this node, not in its log: stopped",
}
_PASSED = {
    "unnamed": "附件未被已有记录引用，略过 / no entry here names this file",
    "log-refused": "有日志被拒收，引用它的记录没有收下，附件略过 / a log was refused, the entries that name this file were not taken",
    "log-not-whole": "有日志未收下或未收完，引用它的记录不在本机，附件略过 / a log was not taken to its end, file left out",
}
_SHOWN = 10
_SHARES = {"blobs": "附件 / files", "stick": "移动存储 / stick"}
Shown = Callable[[str, int, int], None]


@click.group("courier")
def cli_courier() -> None:
    """线路不通时用移动存储摆渡日志和附件 / carry logs and files by stick when no line works."""


def _require(data: Path) -> None:
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)


@contextmanager
def _bar(words: str) -> Iterator[Shown]:
    """Show a bar for each log and for the files, on a terminal only."""
    tasks: dict[str, Any] = {}
    with Progress(console=Console(stderr=True), transient=True, disable=not sys.stderr.isatty()) as bar:

        def shown(what: str, done: int, of: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(f"{words} {_SHARES.get(what, what)}")
            bar.update(tasks[what], completed=done, total=of)

        yield shown


@cli_courier.command(
    "export", epilog="例 / example: erhai courier export --data demo-data/a -o /media/stick/erhai --for 532900-centre-1"
)
@_DATA
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="移动存储上的文件夹"
)
@click.option("--for", "for_node", default="", help="只带该节点缺少的 / only what this node is not known to hold")
def export_command(data: Path, output: Path, for_node: str) -> None:
    """把本机所存的全部日志和附件写到文件夹；中断后再次执行即可继续。

    退出码 0 全部写好；3 写不下，或本机有日志、附件残缺（其余的已写好）。
    """
    _require(data)
    try:
        done = _export(data, output, for_node)
    except CourierFault as fault:
        click.echo(f"不能写入 / cannot write: {fault}", err=True)
        sys.exit(3)
    except (SettingsFault, KeyFault, StoreFault, LogFault, BlobFault) as fault:
        click.echo(f"无法导出 / cannot export: {fault}", err=True)
        sys.exit(3)
    for origin, first, size in done.logs:
        click.echo(f"{origin}: {first} … {size}")
    for damage in done.missing_logs:
        click.echo(f"日志残缺，未写入 / log damaged, left out: {log_words(damage)}", err=True)
    if done.missing_logs:
        click.echo(log_steps(data), err=True)
    for name in done.missing_blobs:
        click.echo(f"附件不在本机或已损坏 / file not here or damaged: {name}", err=True)
    click.echo(f"{len(done.logs)} 个日志，{done.blobs} 个附件，{done.size_bytes} 字节 / bytes: {output}")
    sys.exit(3 if done.missing_logs or done.missing_blobs else 0)


def _export(data: Path, output: Path, for_node: str) -> Exported:
    settings = current(load_settings(data / SETTINGS))
    if for_node and settings.peer(for_node) is None:
        known = "、".join(peer.name for peer in settings.peers)
        click.echo(f"没有登记这个节点 / not a known node: {for_node}（{known}）", err=True)
        sys.exit(2)
    db = connect(data / DATABASE, readonly=True)
    try:
        with _bar("导出 / exporting") as shown:
            return export_stick(
                db,
                settings,
                load_identity(data / KEYS),
                BlobStore(data / BLOBS, clear=False),
                output,
                at_ms=time.time_ns() // 1_000_000,
                for_node=for_node,
                progress=shown,
            )
    finally:
        db.close()


@cli_courier.command(
    "import", epilog="例 / example: erhai courier import --data demo-data/prefecture /media/stick/erhai"
)
@_DATA
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="JSON")
def import_command(data: Path, folder: Path, *, as_json: bool) -> None:
    """核验并收下文件夹中的日志和附件；节点运行与否都可以，可重复执行。

    退出码 0 收下；1 其中有不能通过核验的；3 故障或未收完；4 清单被篡改，或本机密钥签过本机没有的记录。
    """
    _require(data)
    try:
        facts = asyncio.run(_import(data, folder.absolute()))
    except Tampered as tampered:
        click.echo(f"清单签名不成立 / the list is forged: {tampered}", err=True)
        sys.exit(4)
    except CourierFault as fault:
        if fault.is_altered_list:
            click.echo(f"清单被改动，与签名不符 / the list is not the one that was signed: {fault}", err=True)
            sys.exit(4)
        click.echo(f"不能收下 / cannot import: {fault}", err=True)
        sys.exit(3)
    except (SettingsFault, KeyFault, StoreFault, FenceFault, OSError) as fault:
        click.echo(f"不能收下 / cannot import: {fault}", err=True)
        sys.exit(3)
    if "logs" not in facts:
        click.echo(f"不能收下 / cannot import: {facts.get('fault') or facts.get('malformed')}", err=True)
        sys.exit(4 if facts.get("tampered") else 3)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        _say(facts)
    if facts["overtaken"]:
        sys.exit(4)
    sys.exit(1 if facts["refused"] else 0 if facts["whole"] else 3)


def _say(facts: dict[str, Any]) -> None:
    when = datetime.fromtimestamp(facts["at_ms"] / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")
    click.echo(f"写于 / written {when}: {facts['writer']}")
    for one in facts["epochs"]:
        if one["words"]:
            click.echo(f"新纪元不能采信 / a new epoch is not believed: {one['new_origin']} {one['words']}", err=True)
        elif one["taken"]:
            click.echo(f"{one['node']} 已开启新纪元 / goes on in another log: {one['new_origin']}")
    for one in facts["logs"]:
        detail = f"（{one['words']}）" if one["words"] else ""
        click.echo(f"{one['origin']}: {one['before']} → {one['after']} {_WORDS[Outcome(one['outcome'])]}{detail}")
    for words in facts["blobs_refused"]:
        click.echo(f"附件不符，拒收 / file refused: {words}", err=True)
    for words in facts["blobs_later"]:
        click.echo(f"附件未收下，请再次执行 / file not kept, do it again: {words}", err=True)
    for name in facts["blobs_passed"]:
        click.echo(f"{_PASSED[facts['blobs_passed_why']]}: {name}")
    for words in facts["damaged"][:_SHOWN]:
        click.echo(f"移动存储上的文件受损 / damaged on the stick: {words}", err=True)
    if facts["damaged"]:
        count = len(facts["damaged"])
        click.echo(
            f"移动存储受损：{count} 个文件与清单不符，请在发件节点重新导出 / the stick is damaged: {count} files are not what is listed, "
            "export again",
            err=True,
        )
    click.echo(f"附件 / files: {facts['blobs']}")


async def _import(data: Path, folder: Path) -> dict[str, Any]:
    """Import through the live node, or by opening the data folder."""
    with _bar("核验 / verifying") as shown:
        answer = await control.ask(data, {"courier": str(folder)}, lambda said: shown(*said["progress"]))
        if answer is not None:
            return answer
        node = await open_asking(load_settings(data / SETTINGS))
        try:
            return (await import_stick(node, folder, shown)).facts()
        finally:
            await node.close()
