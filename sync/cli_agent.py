"""`erhai agent`: the token agent of one seat."""

import sys
from pathlib import Path

import click

from sync.agent import AgentFault, NodeLine, attend_paired
from sync.certificate_form import CertRefused
from sync.gm import GmFault, GmRefused
from sync.signers import ActSigner, Pkcs11Signer, SoftwareSigner, TokenFault
from sync.skf import SkfSigner


@click.command(
    "agent", epilog="例 / example: erhai agent --node http://127.0.0.1:8080 --library libsofthsm2.so --token ukey"
)
@click.option("--node", required=True, help="节点页面地址 / address of the node's pages")
@click.option("--ca", default="", help="https 证书的签发机构文件 / CA file for https")
@click.option("--library", default="", help="PKCS#11 库 / PKCS#11 library")
@click.option("--token", default="", help="PKCS#11 令牌名 / token label")
@click.option("--skf", default="", help="SKF 库 (GM/T 0016) / SKF library")
@click.option("--device", default="", help="SKF 设备名 / device name")
@click.option("--application", default="", help="SKF 应用名 / application")
@click.option("--container", default="", help="SKF 容器名 / container")
@click.option("--key", type=click.Path(path_type=Path, dir_okay=False), help="软件私钥 PKCS#8 DER / software key")
@click.option("--certificate", type=click.Path(path_type=Path, dir_okay=False), help="软件证书 DER / its certificate")
@click.option("--chain", type=click.Path(path_type=Path, dir_okay=False), multiple=True, help="上级证书 DER / issuers")
def cli_agent(
    *,
    node: str,
    ca: str,
    library: str,
    token: str,
    skf: str,
    device: str,
    application: str,
    container: str,
    key: Path | None,
    certificate: Path | None,
    chain: tuple[Path, ...],
) -> None:
    """席位签名器：连接本席节点，显示待签文字，按 s 键签名。 Sign at a seat, on a key press."""
    if sum((bool(library), bool(skf), key is not None and certificate is not None)) != 1:
        click.echo("请选择一种签名设备：--library、--skf，或 --key 加 --certificate / choose one signer", err=True)
        sys.exit(2)
    try:
        more = tuple(path.read_bytes() for path in chain)
        line = NodeLine(node, ca)
        signer: ActSigner
        if library:
            signer = Pkcs11Signer(library, token=token, pin=click.prompt("PIN", hide_input=True), chain=more)
        elif skf:
            pin = click.prompt("PIN", hide_input=True)
            signer = SkfSigner(skf, device=device, application=application, container=container, pin=pin, chain=more)
        elif key is not None and certificate is not None:
            signer = SoftwareSigner(certificate.read_bytes(), key.read_bytes(), more)
        else:
            raise TypeError(node)
        while True:
            line.pair(click.prompt("页面上的配对码 / pairing code"))
            click.echo(f"已与席位 {line.seat} 配对，等待待签事项 / paired with seat {line.seat}")
            attend_paired(line, signer, show=click.echo, press=_press)
            click.echo("配对已结束，请重新配对 / the pairing is over; pair again")
    except (AgentFault, TokenFault, CertRefused, GmFault, GmRefused, OSError, ValueError) as fault:
        click.echo(f"不能签名 / cannot sign: {fault}", err=True)
        sys.exit(3)
    except KeyboardInterrupt:
        sys.exit(0)


def _press() -> bool:
    click.echo("核对无误请按 s 键签名，按其他键不签 / press s to sign, any other key not to")
    return click.getchar() == "s"
