"""`erhai enrol room-key | pin | calendar-key | calendar`: what a room needs beside its certificate before it can run."""

import hashlib
import sys
import tomllib
from pathlib import Path

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from node.calendars import note_path, read_calendar, sign_calendar
from node.domain.calendar import CalendarMalformed
from node.people import hash_pin
from node.places import KEYS, ROOM_KEY, ROSTER
from node.profiles_loader import PROFILES
from node.room_key import RoomKey, install_room_key, load_room_key, make_room_key
from sync.enrolment import groups
from sync.keys import KeyFault, write_private
from sync.note import Signer
from sync.tampered import Malformed

SHIPPED = "calendar-2026.toml"
LEAST_PIN = 6
_DATA = click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")


def key_print(key: RoomKey) -> str:
    """Return the fingerprint of a room key to read aloud: 24 digits of its public half."""
    return groups(f"{int.from_bytes(hashlib.sha256(key.public).digest()[:16], 'big') % 10**24:024d}")


@click.command(
    "room-key",
    epilog="例 / example: erhai enrol room-key --first --data /var/lib/erhai；"
    "另一台 / the other: erhai enrol room-key --from /media/stick/room.key --data /var/lib/erhai",
)
@_DATA
@click.option("--first", is_flag=True, help="本室第一台节点：生成新密钥 / first node of the room: make a new key")
@click.option(
    "--from",
    "other",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="第二台节点：第一台的 keys/room.key / second node: the first one's room.key",
)
def room_key(data: Path, *, first: bool, other: Path | None) -> None:
    """开标室密钥：本室只在一台上生成，另一台用它的副本；两台显示的指纹必须相同。 The room's one key.

    两台各自生成的，一台收的标书另一台打不开。已有密钥的不改动。Made on one node, copied to the other; never replaced.
    退出码 0 已装好；1 未办理；2 用法不对。
    """
    if first == (other is not None):
        raise click.UsageError(
            "第一台写 --first，第二台写 --from 第一台的 room.key / exactly one of --first and --from"
        )
    path = data / ROOM_KEY
    if not (data / KEYS).is_dir():
        click.echo(f"未办理 / refused: {data / KEYS}: 本机还没有登记，先用 erhai enrol request、accept", err=True)
        sys.exit(1)
    if _is_prefecture(data):
        click.echo("未办理 / refused: 上级节点没有开标室密钥 / a prefecture holds no room key", err=True)
        sys.exit(1)
    try:
        key = make_room_key(path) if other is None else install_room_key(path, other)
    except KeyFault as fault:
        held = f"；现有指纹 / its fingerprint: {key_print(load_room_key(path))}" if fault.why == "exists" else ""
        why = "已有开标室密钥，没有改动 / there is one already" if fault.why == "exists" else str(fault)
        click.echo(f"未办理 / refused: {why}{held}", err=True)
        sys.exit(1)
    click.echo(f"已装好 / installed: {path}")
    click.echo(f"开标室密钥指纹 / fingerprint: {key_print(key)}")
    if first:
        click.echo(
            "同室另一台不要再生成：当面用介质把这个文件带过去，用 --from 安装，核对指纹相同，然后清除介质上的副本。"
        )
    else:
        click.echo("与第一台显示的指纹核对，必须相同；然后清除介质上的副本。")


def _is_prefecture(data: Path) -> bool:
    path = data / ROSTER
    return path.exists() and tomllib.loads(path.read_text(encoding="utf-8"))["own"]["kind"] == "prefecture"


@click.command("pin", epilog="例 / example: erhai enrol pin")
def pin() -> None:
    """人员口令：本人输入两遍，显示写入人员文件的一行。 One line for people.toml."""
    typed = click.prompt("口令 / PIN", hide_input=True, confirmation_prompt=True, err=True)
    if len(typed) < LEAST_PIN:
        click.echo(f"未办理 / refused: 口令至少 {LEAST_PIN} 位 / at least {LEAST_PIN} characters", err=True)
        sys.exit(1)
    click.echo(f'pin_hash = "{hash_pin(typed)}"')


@click.command(
    "calendar-key", epilog="例 / example: erhai enrol calendar-key /srv/office/calendar.key --name dali.erhai/calendar"
)
@click.argument("key", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--name", required=True, help="签名人名称 / name of the signer, e.g. dali.erhai/calendar")
def calendar_key(key: Path, name: str) -> None:
    """日历签名密钥：在上级生成一次；显示写入各节点设置 calendar_vkeys 的公钥。 Make the calendar's key, once."""
    private = Ed25519PrivateKey.generate()
    try:
        signer = Signer(name, private)
        write_private(key, f"{name}\n{private.private_bytes_raw().hex()}\n".encode())
    except (KeyFault, Malformed, OSError) as fault:
        click.echo(f"未办理 / refused: {fault}", err=True)
        sys.exit(1)
    click.echo(f'calendar_vkeys = ["{signer.vkey}"]')


@click.command(
    "calendar",
    epilog="例 / example: erhai enrol calendar calendar-2026.toml --shipped --key /srv/office/calendar.key",
)
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--key", type=click.Path(path_type=Path, exists=True, dir_okay=False), required=True, help="日历签名密钥")
@click.option("--shipped", is_flag=True, help="先写出随程序提供的日历 / write the calendar of this program first")
def calendar(file: Path, key: Path, *, shipped: bool) -> None:
    """签署工作日历：法定期限以它计算，签署前逐日核对国务院通知；签名写在文件旁（.note）。 Sign a calendar."""
    try:
        if shipped:
            with file.open("xb") as out:
                out.write((PROFILES / SHIPPED).read_bytes())
        body = file.read_bytes()
        name, seed = key.read_text(encoding="ascii").split()
        note = sign_calendar(body, Signer.from_seed(name, bytes.fromhex(seed)))
        note_path(file).write_bytes(note)
    except (OSError, ValueError, CalendarMalformed, Malformed) as fault:
        click.echo(f"未办理 / refused: {fault}", err=True)
        sys.exit(1)
    click.echo(f"已签署 / signed: {read_calendar(body).id}，{file} 和 {note_path(file)}")
