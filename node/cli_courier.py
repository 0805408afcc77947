"""`erhai courier export / import`: by stick, when no line works."""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

import click
from rich.progress import Progress

from node import control
from node.courier import export_stick, import_stick
from node.places import BLOBS, DATABASE, KEYS, SETTINGS
from node.settings import SettingsFault, load_settings
from node.start import open_asking
from node.store import StoreFault, connect
from node.successions import current
from sync.blobs import BlobFault, BlobStore
from sync.courier import CourierFault
from sync.fence import FenceFault
from sync.keys import KeyFault, load_identity
from sync.log import LogFault
from sync.tampered import Tampered

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)


@click.group("courier")
def cli_courier() -> None:
    """线路不通时用移动存储摆渡日志和附件 / carry logs and files by stick when no line works."""


def _require(data: Path) -> None:
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)


@cli_courier.command(
    "export", epilog="例 / example: erhai courier export --data demo-data/a -o /media/stick/erhai --for 532900-centre-1"
)
@_DATA
@click.option(
    "-o", "--output", type=click.Path(path_type=Path, file_okay=False), required=True, help="移动存储上的文件夹"
)
@click.option("--for", "for_node", default="", help="只带该节点缺少的 / only what this node is not known to hold")
def export_command(data: Path, output: Path, for_node: str) -> None:
    """把本机所存的全部日志和附件写到文件夹；中断后再次执行即可继续。"""
    _require(data)
    try:
        settings = current(load_settings(data / SETTINGS))
        if for_node and settings.peer(for_node) is None:
            known = "、".join(peer.name for peer in settings.peers)
            click.echo(f"没有登记这个节点 / not a known node: {for_node}（{known}）", err=True)
            sys.exit(2)
        keys = load_identity(data / KEYS)
        db = connect(data / DATABASE, readonly=True)
        db.execute("BEGIN")
        with Progress(transient=True, disable=not sys.stderr.isatty()) as bar:
            task = bar.add_task("导出 / exporting", total=None)
            done = export_stick(
                db,
                settings,
                keys,
                BlobStore(data / BLOBS, clear=False),
                output,
                at_ms=time.time_ns() // 1_000_000,
                for_node=for_node,
                progress=lambda what, _done, _all: bar.update(task, description=what, advance=1),
            )
    except CourierFault as fault:
        click.echo(f"不能写入 / cannot write: {fault}", err=True)
        sys.exit(3)
    except (SettingsFault, KeyFault, StoreFault, LogFault, BlobFault) as fault:
        click.echo(f"无法导出 / cannot export: {fault}", err=True)
        sys.exit(3)
    for origin, first, size in done.logs:
        click.echo(f"{origin}: {first} … {size}")
    for name in done.missing_blobs:
        click.echo(f"附件不在本机 / file not here: {name}", err=True)
    click.echo(f"{len(done.logs)} 个日志，{done.blobs} 个附件，{done.size_bytes} 字节 / bytes: {output}")


@cli_courier.command(
    "import", epilog="例 / example: erhai courier import --data demo-data/prefecture /media/stick/erhai"
)
@_DATA
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="JSON")
def import_command(data: Path, folder: Path, *, as_json: bool) -> None:
    """核验并收下文件夹中的日志和附件；节点运行与否都可以，可重复执行。

    退出码 0 收下；1 其中有不能通过核验的；3 故障；4 清单被篡改。
    """
    _require(data)
    try:
        facts = asyncio.run(_import(data, folder.absolute()))
    except Tampered as tampered:
        click.echo(f"清单签名不成立 / the list is forged: {tampered}", err=True)
        sys.exit(4)
    except (CourierFault, SettingsFault, KeyFault, StoreFault, FenceFault, OSError) as fault:
        click.echo(f"不能收下 / cannot import: {fault}", err=True)
        sys.exit(3)
    if "fault" in facts:
        click.echo(f"不能收下 / cannot import: {facts['fault']}", err=True)
        sys.exit(4 if facts.get("tampered") else 3)
    if as_json:
        click.echo(json.dumps(facts, ensure_ascii=False))
    else:
        for one in facts["logs"]:
            click.echo(f"{one['origin']}: {one['before']} → {one['after']} {one['words']}")
        for words in facts["blob_words"]:
            click.echo(words)
        click.echo(f"附件 / files: {facts['blobs']}")
    sys.exit(1 if facts["refused"] else 0)


async def _import(data: Path, folder: Path) -> dict[str, Any]:
    """Import through the live node, or by opening the data folder."""
    answer = await control.ask(data, {"courier": str(folder)})
    if answer is not None:
        return answer
    node = await open_asking(load_settings(data / SETTINGS))
    try:
        return (await import_stick(node, folder)).facts()
    finally:
        await node.close()
