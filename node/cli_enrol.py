"""`erhai enrol`: a node asks, two officers sign, the node installs; the same for renewal and revocation."""

import datetime as dt
import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import click

from node import enrol as node_side
from node.cli_enrol_room import calendar, calendar_key, pin, room_key
from node.enrol_words import NO_PREFECTURE, REASONS, ROOM_KEY_MISSING, what_is_signed
from node.places import KEYS, ROOM_KEY
from node.trust import machine_ms
from sync import enrolment
from sync.certs import CertFault
from sync.crl import CrlRefused
from sync.enrolment import MAX_PAPER, EnrolRefused
from sync.fence import FenceFault
from sync.keys import KeyFault, load_identity
from sync.office import Office, check_replacing
from sync.tampered import Malformed

T = TypeVar("T")


def run(work: Callable[[], T]) -> T:
    """Do it, or say in words why not and end with the code of the kind of failure."""
    try:
        return work()
    except EnrolRefused as refused:
        click.echo(f"未办理 / refused: {REASONS[refused.why]} ({refused})", err=True)
        sys.exit(1)
    except (Malformed, CrlRefused) as malformed:
        click.echo(f"文件不合格 / malformed: {malformed}", err=True)
        sys.exit(1)
    except FileNotFoundError as missing:
        click.echo(f"没有这个文件 / no such file: {missing.filename}", err=True)
        sys.exit(2)
    except (KeyFault, CertFault, FenceFault, OSError) as fault:
        click.echo(f"无法办理 / cannot be done: {fault}", err=True)
        sys.exit(3)


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _read(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_PAPER + 1)


@contextmanager
def _output(path: Path) -> Iterator[Callable[[bytes], None]]:
    """Open a new file before anything is recorded or asked, and leave none behind where nothing was written."""
    if not path.absolute().parent.is_dir():
        click.echo(f"{path.parent}: 没有这个文件夹，没有办理 / no such folder, nothing was done", err=True)
        sys.exit(2)
    try:
        file = path.open("xb")
    except FileExistsError:
        click.echo(f"{path}: 已有这个文件，没有办理；请换一个文件名 / exists already, nothing was done", err=True)
        sys.exit(2)
    except OSError as fault:
        click.echo(f"{path}: 不能写入，没有办理 / cannot be written, nothing was done: {fault.strerror}", err=True)
        sys.exit(3)
    written = False

    def write(data: bytes) -> None:
        nonlocal written
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
        written = True

    try:
        with file:
            yield write
    finally:
        if not written:
            path.unlink(missing_ok=True)


_AUTHORITY = click.option(
    "--authority",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="登记处文件夹 / the office's folder",
)
_DATA = click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")
_OUT = click.option(
    "--out", type=click.Path(path_type=Path, dir_okay=False), required=True, help="写入的新文件 / new file"
)
_PAPER = click.argument("paper", type=click.Path(path_type=Path, exists=True, dir_okay=False))
_OFFICERS = click.option("--officer", "officers", multiple=True, help="登记人员编号（写两次）/ officer, given twice")


@click.group("enrol")
def cli_enrol() -> None:
    """登记：节点申请，上级两人签署，节点安装；到期换发，吊销。 Enrol nodes."""


for command in (room_key, pin, calendar_key, calendar):
    cli_enrol.add_command(command)


@cli_enrol.command("authority", epilog="例 / example: erhai enrol authority /srv/office --prefecture dali.erhai")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--prefecture", required=True, help="上级域名 / domain, e.g. dali.erhai")
def authority(folder: Path, prefecture: str) -> None:
    """设立登记处：新的签发机构和登记簿。 Open an enrolment office."""
    run(lambda: Office.open_new(folder, prefecture, _now()))
    click.echo(f"已设立 / opened: {folder}")


@cli_enrol.command("officer", epilog="例 / example: erhai enrol officer O-01 --authority /srv/office")
@click.argument("no")
@_AUTHORITY
def officer(no: str, authority: Path) -> None:
    """增设登记人员：由本人输入口令。 Add an officer, who types the PIN."""
    pin = click.prompt(f"{no} 的口令 / PIN", hide_input=True, confirmation_prompt=True, err=True)
    run(lambda: Office(authority).add_officer(no, pin))
    click.echo(f"已增设 / added: {no}")


@cli_enrol.command(
    "request",
    epilog="例 / example: erhai enrol request --node 532924-room-1-a --prefecture dali.erhai "
    "--origin dali.erhai/532924/room-1/a/e1 --room 532924-room-1 --out a.request --data /var/lib/erhai",
)
@_DATA
@click.option("--node", required=True, help="节点编号")
@click.option("--prefecture", required=True, help="上级域名")
@click.option("--origin", required=True, help="日志名称，以 /e1 结尾")
@click.option("--role", type=click.Choice(["county", "prefecture"]), default="county")
@click.option("--room", default="", help="开评标室编号")
@click.option("--url", default="", help="同步端口地址 https://…（上级节点必填）")
@_OUT
@click.option("--json", "as_json", is_flag=True, help="JSON")
def request(
    *, data: Path, node: str, prefecture: str, origin: str, role: str, room: str, url: str, out: Path, as_json: bool
) -> None:
    """在节点上生成密钥和申请；密钥不离开本机。令牌和指纹用电话读给上级。 Make keys and a request."""
    if role == "prefecture" and not url:
        raise click.UsageError("--role prefecture 须写 --url")

    def work() -> node_side.Asked:
        asked = node_side.request(
            data,
            node=node,
            prefecture=prefecture,
            origin=origin,
            kind=role,
            room=room,
            url=url,
            now_ms=machine_ms(),
        )
        write(asked.paper)
        return asked

    with _output(out) as write:
        asked = run(work)
    print_ = enrolment.fingerprint(asked.paper)
    if as_json:
        click.echo(json.dumps({"request": str(out), "token": asked.token, "fingerprint": print_}))
        return
    click.echo(f"申请文件 / request: {out}")
    click.echo(f"一次性令牌 / token:  {enrolment.groups(asked.token)}（{enrolment.TOKEN_HOURS} 小时内有效）")
    click.echo(f"  读作：{enrolment.aloud(asked.token)}")
    click.echo(f"申请指纹 / fingerprint: {enrolment.groups(print_)}")
    click.echo(f"  读作：{enrolment.aloud(print_)}")
    click.echo("文件可以任何方式送达；令牌和指纹只用电话或当面读给上级，不写在文件旁。")


@cli_enrol.command(
    "sign",
    epilog="例 / example: erhai enrol sign a.request --authority /srv/office --officer O-01 --officer O-02 --out a.bundle",
)
@_PAPER
@_AUTHORITY
@_OFFICERS
@_OUT
@click.option("--replace", "replacing", default="", help="要顶替的已登记节点 / the enrolled node that it replaces")
def sign(*, paper: Path, authority: Path, officers: tuple[str, ...], out: Path, replacing: str) -> None:
    """在上级签署：登记须两人和令牌；同一密钥的换发两者都不要。 Sign a request, or renew.

    先显示将签署的全部内容，再由两人各输口令；同名节点已登记的须写 --replace。答复没有写成的，用同一份申请再办一次，得到
    同一份答复。 It shows what is signed before the PINs; the same request again gets the same bundle.
    """
    content = run(lambda: _read(paper))
    with _output(out) as write:
        if run(lambda: enrolment.is_renewal(content)):
            node = run(lambda: enrolment.renewing_node(content))
            click.echo(f"换发：节点 {node}，密钥和登记内容不变 / renewal of the key on the roster", err=True)
            bundle = run(lambda: Office(authority).renew(content, _now()))
        else:
            bundle = _enrolled(content, authority, officers, replacing)
        run(lambda: write(bundle))
    click.echo(f"已签署 / signed: {out}")


def _enrolled(content: bytes, authority: Path, officers: tuple[str, ...], replacing: str) -> bytes:
    print_ = enrolment.groups(enrolment.fingerprint(content))
    click.echo(f"申请指纹 / fingerprint: {print_}，请与节点读的核对", err=True)
    typed = click.prompt("令牌 / token", err=True)
    office = run(lambda: Office(authority))
    token = run(lambda: enrolment.read_token(typed))
    wanted = run(lambda: office.wanted(content, token, _now()))
    click.echo(what_is_signed(wanted), err=True)
    if not wanted.signed_before:
        run(lambda: check_replacing(wanted, replacing))
    click.echo("两人各自核对以上内容，输入口令即为签署 / the PINs sign the above", err=True)
    keys = _keys(office, officers)
    return run(lambda: office.enrol(content, token, keys, _now(), replacing=replacing))


def _keys(office: Office, officers: tuple[str, ...]) -> dict[str, Any]:
    if len(set(officers)) != 2 or len(officers) != 2:
        run(lambda: _refuse(officers))
    keys = {}
    for no in officers:  # never an option of the command: others would read it in the list of processes
        pin = click.prompt(f"{no} 的口令 / PIN", hide_input=True, err=True)
        keys[no] = run(lambda no=no, pin=pin: office.officer_key(no, pin))  # type: ignore[misc]
    return keys


def _refuse(officers: tuple[str, ...]) -> None:
    raise EnrolRefused("two-officers", ", ".join(officers))


@cli_enrol.command("accept", epilog="例 / example: erhai enrol accept a.bundle --data /var/lib/erhai")
@_PAPER
@_DATA
def accept(paper: Path, data: Path) -> None:
    """在节点上安装：答复须对上本机的申请；全部装好或什么也不变。 Install a bundle."""
    bundle = run(lambda: node_side.accept(data, _read(paper), machine_ms()))
    click.echo(f"已安装 / installed: {bundle.node}，名册第 {bundle.number} 号，邻机和上级 {len(bundle.roster)} 个")
    click.echo('设置文件中写 roster = "keys/peers.toml"，运行中的节点须重新启动才采用新名册。')
    if node_side.enrolled_as(data) == "prefecture":
        click.echo("每登记一个县级节点后，须用 erhai enrol bundle 为本节点写出新名册并安装，才接收它的记录。")
        return
    if all(one.kind != "prefecture" for one in bundle.roster):
        click.echo(NO_PREFECTURE)
    if not (data / ROOM_KEY).exists():
        click.echo(ROOM_KEY_MISSING.format(data=data))


@cli_enrol.command("renew", epilog="例 / example: erhai enrol renew --data /var/lib/erhai --out a.renewal")
@_DATA
@_OUT
def renew(data: Path, out: Path) -> None:
    """写出换发申请，用原密钥签名；线路不通时携带到上级办理。 Write a renewal to carry."""
    with _output(out) as write:
        run(lambda: write(node_side.renewal(load_identity(data / KEYS), machine_ms())))
    click.echo(f"换发申请 / renewal: {out}；到上级用 erhai enrol sign 办理，带回后用 erhai enrol accept 安装")


@cli_enrol.command(
    "bundle", epilog="例 / example: erhai enrol bundle 532924-room-1-a --authority /srv/office --out a.bundle"
)
@click.argument("node")
@_AUTHORITY
@_OUT
def bundle(node: str, authority: Path, out: Path) -> None:
    """为已登记的节点写出现时的名册和吊销名单。 Today's roster and list for an enrolled node."""
    with _output(out) as write:
        run(lambda: write(Office(authority).bundle_for(node, _now())))
    click.echo(f"已写出 / written: {out}")


@cli_enrol.command(
    "revoke",
    epilog="例 / example: erhai enrol revoke 532924-room-1-a --authority /srv/office --officer O-01 --officer O-02 --out nodes.crl",
)
@click.argument("node")
@_AUTHORITY
@_OFFICERS
@_OUT
def revoke(node: str, authority: Path, officers: tuple[str, ...], out: Path) -> None:
    """吊销节点的证书，须两人；新名单写入文件，用 erhai trust crl 导入上级节点即向下传开。 Revoke a node."""
    with _output(out) as write:
        office = run(lambda: Office(authority))
        keys = _keys(office, officers)
        run(lambda: write(office.revoke(node, keys, _now())))
    click.echo(f"已吊销 / revoked: {node}；名单 / list: {out}")


@cli_enrol.command("crl", epilog="例 / example: erhai enrol crl --authority /srv/office --out nodes.crl")
@_AUTHORITY
@_OUT
def crl(authority: Path, out: Path) -> None:
    """写出现时的吊销名单，三十天内有效。 Write today's revocation list."""
    with _output(out) as write:
        run(lambda: write(Office(authority).crl(_now())))
    click.echo(f"已写出 / written: {out}")


@cli_enrol.command("roster", epilog="例 / example: erhai enrol roster --authority /srv/office --json")
@_AUTHORITY
@click.option("--json", "as_json", is_flag=True, help="JSON")
def roster(authority: Path, *, as_json: bool) -> None:
    """显示登记簿：每个节点的证书期限和状态。 Show every enrolled node."""
    found = run(lambda: Office(authority).roster())
    if as_json:
        rows = [
            {
                **asdict(one.member),
                "serial": f"{one.leaf.serial_number:x}",
                "not_after": one.leaf.not_valid_after_utc.isoformat(),
                "revoked": one.revoked_at is not None,
            }
            for one in found
        ]
        click.echo(json.dumps(rows, ensure_ascii=False))
        return
    for one in found:
        state = "已吊销" if one.revoked_at is not None else f"有效至 {one.leaf.not_valid_after_utc.date()}"
        click.echo(f"{one.member.node}  {one.member.room or '—'}  {one.leaf.serial_number:x}  {state}")
