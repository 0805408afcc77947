"""`erhai epoch new`: two persons go on in a new log where the old one cannot be healed."""

import asyncio
import json
import sys
from pathlib import Path

import click

from node.calendars import CalendarFault
from node.domain.epoch import CAUSES
from node.domain.refused import Refused
from node.epoch import NewEpoch, open_epoch
from node.people import PeopleFault
from node.places import DATABASE, SETTINGS
from node.recorder import NodeFault
from node.settings import SettingsFault, load_settings
from node.store import StoreFault
from sync.fence import FenceFault
from sync.keys import KeyFault

_CAUSE_WORDS = {"restore": "恢复了旧备份", "damage": "日志受损", "replace": "更换主机、磁盘或密钥"}


@click.group("epoch")
def cli_epoch() -> None:
    """日志纪元：原日志无法自愈时，由两人开启新纪元。 Epochs of the node's own log."""


@cli_epoch.command(
    "new", epilog="例 / example: erhai epoch new --data /var/lib/erhai --by O-01 --by S-01 --cause restore"
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")
@click.option("--by", "persons", multiple=True, required=True, help="办理人（写两次）/ person, given twice")
@click.option("--cause", type=click.Choice(CAUSES), required=True, help="原因 / why")
@click.option("--json", "as_json", is_flag=True, help="JSON")
def new(data: Path, persons: tuple[str, ...], cause: str, *, as_json: bool) -> None:
    """开启新纪元：原日志永久封存，另用新密钥继续。节点须已停止。

    先再次尝试由邻机自愈；能自愈的不开启新纪元。The node must be stopped; it first tries once more to heal.
    """
    if len(persons) != 2 or len(set(persons)) != 2:
        raise click.UsageError("须由两个不同的人办理 / two different persons: --by A --by B")
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)
    try:
        opened = asyncio.run(open_epoch(load_settings(data / SETTINGS), (persons[0], persons[1]), cause))
    except Refused as refused:
        click.echo(f"未办理 / refused: {refused}", err=True)
        sys.exit(1)
    except FenceFault as fault:
        click.echo(f"请先停止节点 / stop the node first: {fault}", err=True)
        sys.exit(3)
    except (SettingsFault, KeyFault, StoreFault, NodeFault, CalendarFault, PeopleFault) as fault:
        click.echo(f"无法办理 / cannot be done: {fault}", err=True)
        sys.exit(3)
    click.echo(json.dumps(_facts(opened), ensure_ascii=False) if as_json else _words(opened, cause))


def _facts(opened: NewEpoch) -> dict[str, object]:
    proven = opened.proven
    return {
        "origin": opened.origin,
        "old_origin": opened.old_origin,
        "proven_size": proven.size,
        "proven_root": proven.root.hex(),
        "fence_size": proven.fence_size,
        "lost_at_most": proven.lost,
        "restored_from": proven.restored_from,
        "receipt": opened.receipt.number,
    }


def _words(opened: NewEpoch, cause: str) -> str:
    proven = opened.proven
    lost = "不明（栅栏文件已丢失）" if proven.lost < 0 else f"至多 {proven.lost} 条"
    return (
        f"已开启新纪元 / new epoch: {opened.origin}\n"
        f"  原日志 {opened.old_origin} 封存于第 {proven.size} 条之后，原因：{_CAUSE_WORDS[cause]}\n"
        f"  可能缺失：{lost}\n"
        f"  继承记录 / succession record: {opened.receipt.number}\n"
        "  启动节点后，邻机和上级凭本机证书签署的继承声明自动接受新日志。"
    )
