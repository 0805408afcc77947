"""`erhai trust`: what this node believes of certificates, and the revocation list that a stick brings."""

import json
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from node.cli_trust_persons import COMMANDS
from node.places import DATABASE, SETTINGS
from node.settings import Settings, SettingsFault, load_settings
from node.trust import load_judged, machine_ms, own_certificate, trust_alarms
from sync.crl import MAX_CRL, CrlRefused
from sync.keys import KeyFault, NodeKeys
from sync.trust import Trust

STATES = {"fresh": "有效", "stale": "过期未久，宽限内", "overdue": "没有或早已过期", "revoked": "已吊销"}
REASONS = {
    "malformed": "不是吊销名单",
    "foreign": "不是本上级签发机构签发的",
    "no-number": "没有编号",
    "goes-back": "比现有名单旧",
    "two-of-one-number": "与现有名单编号相同而内容不同，请立即报告",
    "from-the-future": "签发时间晚于本机时间，请核对本机时钟",
}


@click.group("trust")
def cli_trust() -> None:
    """信任：节点证书与吊销名单。 Certificates of nodes and their revocation."""


def _opened(data: Path) -> tuple[Settings, NodeKeys, Trust]:
    if not (data / DATABASE).is_file():
        click.echo(f"{data}: 这里没有节点数据库 {DATABASE} / no node database here", err=True)
        sys.exit(2)
    try:
        settings = load_settings(data / SETTINGS)
        keys = load_judged(settings)
    except (SettingsFault, KeyFault) as fault:
        click.echo(f"无法读取 / cannot be read: {fault}", err=True)
        sys.exit(3)
    if keys.judge is None:
        raise TypeError(data)
    return settings, keys, keys.judge


@cli_trust.command("crl", epilog="例 / example: erhai trust crl /media/stick/nodes.crl --data /var/lib/erhai")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")
@click.option("--json", "as_json", is_flag=True, help="JSON")
def crl(file: Path, data: Path, *, as_json: bool) -> None:
    """导入吊销名单：核对签名，编号只进不退；运行中的节点一秒内采用。 Take a newer revocation list."""
    _, _, trust = _opened(data)
    with file.open("rb") as source:
        content = source.read(MAX_CRL + 1)
    try:
        taken = trust.take_crl(content)
    except CrlRefused as refused:
        click.echo(f"未导入 / refused: {REASONS[refused.why]} ({refused})", err=True)
        sys.exit(1)
    except OSError as fault:
        click.echo(f"无法写入 / cannot be written: {fault}", err=True)
        sys.exit(3)
    held = trust.crl
    if held is None:
        raise ValueError(file)
    if as_json:
        click.echo(json.dumps({"taken": taken, "number": held.number, "revoked": len(held.serials)}))
        return
    word = "已导入" if taken else "已是现有名单，没有变化"
    click.echo(f"{word} / {'taken' if taken else 'unchanged'}: 第 {held.number} 号，吊销 {len(held.serials)} 张")


@cli_trust.command("show", epilog="例 / example: erhai trust show --data /var/lib/erhai --json")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录")
@click.option("--json", "as_json", is_flag=True, help="JSON")
def show(data: Path, *, as_json: bool) -> None:
    """显示本机证书、吊销名单和告警。 Show the own certificate, the list and what is wrong."""
    _, keys, trust = _opened(data)
    own = own_certificate(keys, trust)
    alarms = trust_alarms(trust, own, machine_ms())
    state = str(trust.crl_state)
    if as_json:
        facts = {
            "node": keys.node,
            "serial": f"{own.serial:x}",
            "not_after_ms": own.not_after_ms,
            "renewal_due_ms": own.renewal_due_ms,
            "crl": None if trust.crl is None else trust.crl.number,
            "crl_state": state,
            "alarms": [alarm.cause for alarm in alarms],
        }
        click.echo(json.dumps(facts))
        return
    until, due = (datetime.fromtimestamp(ms / 1_000, UTC).date() for ms in (own.not_after_ms, own.renewal_due_ms))
    click.echo(f"节点 {keys.node}，证书 {own.serial:x}，有效至 {until}，{due} 起自动换发")
    number = "无" if trust.crl is None else f"第 {trust.crl.number} 号"
    click.echo(f"吊销名单：{number}，{STATES[state]}")
    for alarm in alarms:
        click.echo(f"告警 / alarm: {alarm.cause} {alarm.node} {alarm.detail}".rstrip())


for _command in COMMANDS:
    cli_trust.add_command(_command)
