"""`erhai trust test|anchors|person-crl|holder`: persons' certificates of vendors, as this node believes them."""

import json
import sys
from dataclasses import asdict
from pathlib import Path

import click

from node.key_files import certificate_of, chain_of
from node.person_trust import PersonTrust
from node.places import SETTINGS
from node.settings import SettingsFault, load_settings
from node.trust import machine_ms
from sync.anchors import AnchorsRefused
from sync.certificate_form import CertRefused
from sync.crl_shelf import ShelfRefused
from sync.gm import GmFault
from sync.revocation_rule import Purpose
from sync.tampered import Malformed
from sync.vendor_samples import check_samples

CHECKS = {
    "anchor": "信任锚与描述文件 / root.der, anchor.toml",
    "sign": "签名证书 / sign.der, ca*.der, *.crl",
    "seal": "加密证书 / seal.der",
    "revoked": "已吊销的证书 / revoked.der",
    "act": "签名样例 / act.txt, act.cms",
}
_DATA = click.option(
    "--data", type=click.Path(path_type=Path, file_okay=False), default=Path(), help="节点数据目录 / data folder"
)


def _trust(data: Path) -> PersonTrust:
    try:
        trust = PersonTrust.of(load_settings(data / SETTINGS))
    except (SettingsFault, Malformed) as fault:
        click.echo(f"无法读取 / cannot be read: {fault}", err=True)
        sys.exit(3)
    if trust is None:
        click.echo("本节点没有设置上级的信任锚密钥 (anchor_vkeys) / no anchor_vkeys in the settings", err=True)
        sys.exit(1)
    return trust


@click.command("test", epilog="例 / example: erhai trust test samples/")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="JSON")
def trust_test(folder: Path, *, as_json: bool) -> None:
    """检测证书厂商的样例，逐项列出结果；全部通过时退出码为 0。 Check a vendor's samples; exit 1 where one fails."""
    try:
        lines = check_samples(folder, machine_ms())
    except OSError as fault:
        click.echo(f"无法读取 / cannot be read: {fault}", err=True)
        sys.exit(3)
    if as_json:
        click.echo(json.dumps([asdict(line) for line in lines], ensure_ascii=False))
    else:
        for line in lines:
            click.echo(f"{'通过 / ok  ' if line.ok else '不通过 / NO'}  {CHECKS[line.what]}: {line.found}")
    sys.exit(0 if all(line.ok for line in lines) else 1)


@click.command("anchors", epilog="例 / example: erhai trust anchors /media/stick/anchors --data /var/lib/erhai")
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@_DATA
def trust_anchors(folder: Path | None, data: Path) -> None:
    """列出人员证书的信任锚；给出目录时先导入其中较新的清单（须上级三把密钥中两把签名，版本只进不退）。 List, or take, anchors."""
    trust = _trust(data)
    try:
        if folder is not None:
            taken = trust.take(folder, machine_ms())
            click.echo("已导入 / taken" if taken else "已是现有清单 / unchanged")
        held = trust.anchors()
    except AnchorsRefused as refused:
        click.echo(f"未采用 / refused: {refused}", err=True)
        sys.exit(1)
    except OSError as fault:
        click.echo(f"无法读写 / fault: {fault}", err=True)
        sys.exit(3)
    click.echo(f"第 {held.version} 版，{len(held.anchors)} 个信任锚 / version {held.version}")
    for one in held.anchors:
        click.echo(f"  {one.sha256[:16]} {one.name}（{one.vendor}） {' '.join(sorted(one.purposes))}")


@click.command("person-crl", epilog="例 / example: erhai trust person-crl /media/stick/ca.crl --data /var/lib/erhai")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_DATA
def person_crl(file: Path, data: Path) -> None:
    """导入人员证书的吊销名单：核对签发机构签名，编号和时间只进不退。 Take a newer list of a vendor."""
    trust = _trust(data)
    try:
        taken = trust.take_crl(file.read_bytes(), machine_ms())
    except (ShelfRefused, AnchorsRefused) as refused:
        click.echo(f"未导入 / refused: {refused}", err=True)
        sys.exit(1)
    except (OSError, GmFault) as fault:
        click.echo(f"不能导入 / fault: {fault}", err=True)
        sys.exit(3)
    click.echo("已导入 / taken" if taken else "已是现有名单 / unchanged")


@click.command("holder", epilog="例 / example: erhai trust holder card.cer --data /var/lib/erhai")
@click.argument("certificate", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option(
    "--chain", type=click.Path(path_type=Path, exists=True, dir_okay=False), help="签发机构证书（PEM）/ issuers"
)
@_DATA
def trust_holder(certificate: Path, chain: Path | None, data: Path) -> None:
    """判定一张签名证书，显示登记到人员文件的 holder 一行（不含号码和姓名）。 The line that binds an account to a certificate's holder."""
    trust = _trust(data)
    try:
        found = trust.judge(
            certificate_of(certificate),
            chain_of(chain),
            at_ms=machine_ms(),
            purpose=Purpose.SIGN,
            source=certificate.name,
        )
    except (CertRefused, AnchorsRefused, ValueError) as refused:
        click.echo(f"不被接受 / refused: {refused}", err=True)
        sys.exit(1)
    except (OSError, GmFault) as fault:
        click.echo(f"无法读取 / fault: {fault}", err=True)
        sys.exit(3)
    click.echo(f'holder = "{found.holder.account_key}"')
    click.echo(f"{found.anchor.name}（{found.anchor.vendor}） {found.holder.kind} {found.standing}", err=True)


COMMANDS = (trust_test, trust_anchors, person_crl, trust_holder)
