"""`erhai backup drill` and `erhai restore`: a backup that was never restored is a hope, a restore by file copy is a fork."""

import asyncio
import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import click

from node.backup import BackupFault, Drill, RestoreDone, drill, restore_node
from node.calendars import CalendarFault
from node.domain.calendar import CHINA
from node.folder_words import fence_words, next_steps
from node.litestream import LitestreamFault
from node.people import PeopleFault
from node.places import DATABASE, SETTINGS
from node.read_only import READ_ONLY, is_read_only
from node.settings import SettingsFault, load_settings
from node.store import StoreFault
from sync.fence import FenceFault
from sync.keys import KeyFault

_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)
_FAULTS = (BackupFault, LitestreamFault, SettingsFault, StoreFault, KeyFault, CalendarFault, PeopleFault)


@contextmanager
def _said(data: Path, what: str) -> Iterator[None]:
    try:
        yield
    except FenceFault as fault:
        click.echo(fence_words(data, fault), err=True)
        sys.exit(3)
    except OSError as fault:
        click.echo(f"{what}: {READ_ONLY if is_read_only(data) else fault}", err=True)
        sys.exit(3)
    except _FAULTS as fault:
        click.echo(f"{what}: {fault}", err=True)
        sys.exit(3)


@click.group("backup")
def cli_backup() -> None:
    """备份：演练。 Backups, and trying them."""


@cli_backup.command("drill", epilog="例 / example: erhai backup drill --data /var/lib/erhai")
@_DATA
@click.option("--from", "source", default="", help="副本名称或地址，默认第一个 / replica name or URL")
@click.option("--json", "as_json", is_flag=True, help="JSON")
def drill_command(data: Path, source: str, *, as_json: bool) -> None:
    """把副本恢复到临时目录，全部重算并自检，与现有日志和栅栏文件比对，然后删除。不影响运行中的节点。

    退出码 0 完好；3 不能恢复、落后于栅栏或视图不符；4 日志受损。Exit 0 good, 3 cannot be restored, is behind the fence
    or differs, 4 log damaged.
    """
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)
    with _said(data, "演练未完成 / the drill failed"):
        found = asyncio.run(drill(load_settings(data / SETTINGS), source))
    if as_json:
        click.echo(json.dumps({"ok": found.good, "behind": found.behind, **asdict(found)}, ensure_ascii=False))
    else:
        _tell_drill(found, data)
    if found.checked.log_damaged or not found.prefix:
        sys.exit(4)
    sys.exit(0 if found.good else 3)


def _tell_drill(found: Drill, data: Path) -> None:
    when = datetime.fromtimestamp(found.last_at_ms / 1000, CHINA).strftime("%Y-%m-%d %H:%M:%S")
    click.echo(f"副本 {found.source}（事务 {found.txid}）恢复用时 {found.seconds:.1f} 秒")
    click.echo(f"  副本有 {found.restored_size} 条记录，最后一条 {when if found.last_at_ms else '无'}")
    click.echo(
        f"  现有日志 {found.live_size} 条，已发出 {found.released_size} 条；若此刻只剩副本，将缺 {found.lost} 条（邻机存有的可以自愈）"
    )
    click.echo("  附件不在数据库副本内，须另行备份。")
    for difference in found.checked.differences:
        click.echo(f"  {difference.kind}: {difference.where}: {difference.why}")
    if found.behind:
        click.echo(
            f"  副本落后于栅栏：栅栏文件记明已发出 {found.released_size} 条，副本只有 {found.restored_size} 条 / "
            f"the copy is behind the fence: {found.restored_size} of {found.released_size} released entries"
        )
    if found.restored_size > found.live_size:
        click.echo(
            f"  现有数据库比副本少 {found.restored_size - found.live_size} 条 / the database holds less than the copy\n"
            f"  停止节点后恢复 / stop the node, then: erhai restore --data {data} --from {found.source}"
        )
    if not found.prefix:
        click.echo("  副本不是现有日志的一部分 / the copy is not a part of the running log")
    click.echo("完好 / good" if found.good else "不完好 / not good")


@click.command("restore", epilog="例 / example: erhai restore --data /var/lib/erhai --from second-disk")
@_DATA
@click.option(
    "--from", "source", required=True, help="副本名称、地址，或 peers（只由邻机找回）/ replica, URL, or peers"
)
@click.option("--json", "as_json", is_flag=True, help="JSON")
def cli_restore(data: Path, source: str, *, as_json: bool) -> None:
    """恢复数据库：检查副本、换新实例号、与邻机核对并自愈，之后才能写入。节点须已停止；原数据库移到 set-aside。

    不能自愈时由两人开启新纪元 (erhai epoch new)。退出码 0 可以写入；1 已恢复但还不能写入；3 不能恢复。
    """
    if not (data / SETTINGS).is_file():
        click.echo(f"{data}: 这里没有节点设置 {SETTINGS} / no settings here", err=True)
        sys.exit(2)
    with _said(data, "未能恢复 / not restored"):
        settings = load_settings(data / SETTINGS)
        done = asyncio.run(restore_node(settings, source))
    peers = tuple(peer.name for peer in settings.peers)
    click.echo(json.dumps(_facts(done), ensure_ascii=False) if as_json else _words(done, data, peers))
    sys.exit(0 if not done.gate.cause else 1)


def _facts(done: RestoreDone) -> dict[str, object]:
    aside = None if done.set_aside is None else str(done.set_aside)
    return {**asdict(done), "set_aside": aside, "active": not done.gate.cause}


def _words(done: RestoreDone, data: Path, peers: tuple[str, ...]) -> str:
    lines = [f"已由 {done.source} 恢复 {done.restored_size} 条记录" + (f"（事务 {done.txid}）" if done.txid else "")]
    if done.size > done.restored_size:
        lines.append(f"  由邻机找回 {done.size - done.restored_size} 条")
    if done.set_aside is not None:
        lines.append(f"  原数据库移到 {done.set_aside}")
    lines.append("可以启动节点 / active" if not done.gate.cause else next_steps(data, done.gate, peers))
    return "\n".join(lines)
