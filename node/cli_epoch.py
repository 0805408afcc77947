"""`erhai epoch new`: two persons go on in a new log where the old one cannot be healed."""

import asyncio
import json
import os
import sys
from pathlib import Path

import click

from node.calendars import CalendarFault
from node.check import check_file
from node.domain.epoch import CAUSES
from node.domain.refused import Refused
from node.epoch import NewEpoch, open_epoch
from node.folder_words import DAMAGED, damaged_words, fence_words
from node.people import PeopleFault
from node.places import DATABASE, SETTINGS
from node.presence import Shown, accounts_of
from node.recorder import NodeFault
from node.settings import Settings, SettingsFault, load_settings
from node.store import StoreFault, connect
from sync.fence import FenceFault
from sync.keys import KeyFault
from sync.link import LinkFault
from sync.log import LogFault
from sync.tampered import Tampered

_CAUSE_WORDS = {"restore": "恢复了旧备份", "damage": "日志受损", "replace": "更换主机、磁盘或密钥"}
_WHY = {
    "person-not-proven": "人员号或口令不对 / number or PIN is wrong",
    "pin-locked": "口令错误次数过多，五分钟后再试 / too many wrong PINs, try again in five minutes",
    "role-may-not": "角色不能办理此项：第一人须为开评标室人员或上级审查人员，第二人可为行政监督、见证人 / role may not",
    "second-person-missing": "须由两个不同的人办理 / two different persons",
    "epoch-not-needed": "本机日志完好，直接启动节点即可 / the log is whole, just start the node",
}
_NO_ACCOUNTS = """人员账户读不出，不能确认两人身份 / the accounts cannot be read: {where}: {why}
  人员文件不在数据库里，不随备份副本恢复。请把保管的人员文件放回设置 people 所指的位置（权限 0600），再执行本命令；
  没有保管的，由上级或同室邻机按同样的人员号重新建立，本人当面设口令。没有人员文件，任何人都不能代为开启新纪元。
  The accounts file is in no database copy: put the kept file back where `people` points, or have it made anew."""
_BRANCH_AWAY = """未办理 / refused: 已保存本机密钥签过的另一段历史（{size} 条），持有它的节点没有答复，本机没有它的记录
  其中已由别处存证的记录和回执，本机不知道有多少。请先启动邻机和上级、接通线路，再执行本命令：将从已存证的一支继续。
  确实等不到的，由两人决定，加 --alone 从本机这一支继续：缺失条数将声明为不明；那一支日后出现，列在“本机状态”，须逐条补办。
  This key has signed another history, which nobody who answers holds. Start its holders first, or decide with --alone."""
_MOST = 4_096  # bytes of two PINs


@click.group("epoch")
def cli_epoch() -> None:
    """日志纪元：原日志无法自愈时，由两人开启新纪元。 Epochs of the node's own log."""


@cli_epoch.command(
    "new", epilog="例 / example: erhai epoch new --data /var/lib/erhai --by O-01 --by S-01 --cause restore"
)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")
@click.option("--by", "persons", multiple=True, required=True, help="办理人（写两次）/ person, given twice")
@click.option("--cause", type=click.Choice(CAUSES), required=True, help="原因 / why")
@click.option(
    "--alone",
    is_flag=True,
    help="已知本机密钥另有一段历史、持有的节点都不答复时，仍从本机分支继续 / go on from the own branch",
)
@click.option("--pins-fd", type=click.IntRange(0, 1_023), help="从此文件描述符读两行口令，不提示 / two lines of PINs")
@click.option("--json", "as_json", is_flag=True, help="JSON")
def new(*, data: Path, persons: tuple[str, ...], cause: str, alone: bool, pins_fd: int | None, as_json: bool) -> None:
    """开启新纪元：原日志永久封存，另用新密钥继续。节点须已停止；两人各输入本人口令。

    先再次尝试由邻机自愈；能自愈的不开启新纪元。The node must be stopped; it first tries once more to heal.
    退出码 0 已开启；1 未办理；3 故障，或人员账户读不出；4 数据库文件受损，先恢复。
    """
    if len(persons) != 2 or len(set(persons)) != 2:
        raise click.UsageError("须由两个不同的人办理 / two different persons: --by A --by B")
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)
    try:
        settings = load_settings(data / SETTINGS)
        shown = _shown(settings, (persons[0], persons[1]), pins_fd)
        opened = asyncio.run(open_epoch(settings, shown, cause, alone=alone))
    except Refused as refused:
        if refused.code == "epoch-not-needed" and (damage := _file_damage(data)):
            click.echo(f"未办理 / refused: {damaged_words(data, damage)}", err=True)
            sys.exit(4)
        if refused.code == "epoch-branch-away":
            click.echo(_BRANCH_AWAY.format(size=refused.value), err=True)
            sys.exit(1)
        value = f" ({refused.value})" if refused.value else ""
        click.echo(f"未办理 / refused: {_WHY.get(refused.code, refused.code)}{value}", err=True)
        sys.exit(1)
    except PeopleFault as fault:
        click.echo(_NO_ACCOUNTS.format(where=fault.where, why=fault.why), err=True)
        sys.exit(3)
    except FenceFault as fault:
        click.echo(fence_words(data, fault), err=True)
        sys.exit(3)
    except DAMAGED as error:
        click.echo(f"未办理 / refused: {damaged_words(data, error)}", err=True)
        sys.exit(4)
    except (SettingsFault, KeyFault, StoreFault, NodeFault, CalendarFault, LinkFault, LogFault, Tampered) as fault:
        click.echo(f"无法办理 / cannot be done: {fault}", err=True)
        sys.exit(3)
    click.echo(json.dumps(_facts(opened), ensure_ascii=False) if as_json else _words(opened, cause))


def _file_damage(data: Path) -> str:
    """Return what SQLite finds wrong in the file where the log itself can go on; restoring mends that, not an epoch."""
    db = connect(data / DATABASE, readonly=True)
    try:
        found = check_file(db)
    finally:
        db.close()
    return found[0].why if found else ""


def _shown(settings: Settings, persons: tuple[str, str], pins_fd: int | None) -> tuple[Shown, Shown]:
    """Return what both persons give; nobody is asked where no account could be held against it. Raises PeopleFault."""
    accounts_of(settings)
    if pins_fd is None:
        first, second = (click.prompt(f"{no} 的口令 / PIN", hide_input=True, err=True) for no in persons)
    else:
        first, second = _read_pins(pins_fd)
    return Shown(persons[0], first), Shown(persons[1], second)


def _read_pins(descriptor: int) -> tuple[str, str]:
    try:
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            lines = file.read(_MOST).decode("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise click.UsageError(f"--pins-fd {descriptor}: {error}") from error
    if len(lines) != 2:
        raise click.UsageError(f"--pins-fd {descriptor}: 应有两行 / two lines are expected")
    return lines[0], lines[1]


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
        "peers_heard": proven.heard,
        "set_aside": proven.aside,
        "other_history": proven.away,
        "receipt": opened.receipt.number,
    }


def _words(opened: NewEpoch, cause: str) -> str:
    proven = opened.proven
    if proven.fence_size < 0:
        lost = "不明（栅栏文件已丢失）"
    elif proven.lost < 0:
        lost = f"不明（本机密钥签过的另一段历史有 {proven.away} 条，与本机从何处起不同，不知道）"
    else:
        lost = f"至多 {proven.lost} 条"
    heard = (
        "、".join(proven.heard) or "无，未能核对别处是否另有已存证的记录 / nobody: what others witnessed is not known"
    )
    aside = f"  另存、不再计入：本机另一分支的 {proven.aside} 条，回执作废，须逐条补办\n" if proven.aside else ""
    return (
        f"已开启新纪元 / new epoch: {opened.origin}\n"
        f"  原日志 {opened.old_origin} 封存于第 {proven.size} 条之后，原因：{_CAUSE_WORDS[cause]}\n"
        f"  可能缺失：{lost}\n{aside}"
        f"  已核对 / checked with: {heard}\n"
        f"  继承记录 / succession record: {opened.receipt.number}\n"
        "  启动节点后，邻机和上级凭本机证书签署的继承声明自动接受新日志。"
    )
