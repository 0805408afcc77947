"""`erhai bid seal / open`: the bidder's tool (投标人工具). It is the only thing that seals; pages take the finished file."""

import sys
from pathlib import Path
from typing import NoReturn

import click

from node.bid_content import ContentUnfit, content_of
from node.ceremony_files import CeremonyFileRefused, Request, make_half
from node.key_files import certificate_of, chain_of, pkcs8_of
from node.notice_file import NoticeRefused, ReadNotice, read_notice
from sync.bid_file import BidRefused, Identity, seal_file
from sync.bid_package import CONTENT, Source
from sync.certificate_form import CertRefused
from sync.envelope import EnvelopeRefused, FileHolder
from sync.gm import GmFault, GmRefused
from sync.policy import Policy
from sync.signers import SoftwareSigner
from sync.tampered import Malformed

_IN = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)


@click.group("bid")
def cli_bid() -> None:
    """投标人工具。 The bidder's tool."""


def _fail(words: str, code: int = 1) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(code)


def _notice(path: Path, policy: Path | None) -> ReadNotice:
    known = Policy.parse(policy.read_bytes()) if policy is not None else None
    return read_notice(path.read_bytes(), known)


@cli_bid.command(
    "seal",
    epilog="例 / example: erhai bid seal bid.json plan.pdf --notice notice.json --policy room.policy "
    "--ref P-7F3K2M --cert me.pem --key me.key -o bid.erb",
)
@click.argument("content", type=_IN)
@click.argument("files", type=_IN, nargs=-1)
@click.option("--notice", "notice_path", type=_IN, required=True, help="招标公告文件 / the signed tender notice")
@click.option("--policy", type=_IN, help="信任的日志和存证方，默认用公告随附的 / whom to trust; else what came along")
@click.option("--ref", required=True, help="投标人编号 / your reference")
@click.option("--cert", type=_IN, required=True, help="签名证书 / signing certificate")
@click.option("--key", type=_IN, required=True, help="签名私钥 / its key")
@click.option("--chain", type=_IN, help="签发机构证书（PEM）/ the issuing certificates")
@click.option("--enc-cert", type=_IN, help="加密证书，默认同签名证书 / encryption certificate")
@click.option("--anchor", default="", help="证书颁发机构名称 / who vouches for the certificate")
@click.option("-o", "--output", type=_OUT, required=True, help="加密投标文件 / sealed bid")
def seal(
    *,
    content: Path,
    files: tuple[Path, ...],
    notice_path: Path,
    policy: Path | None,
    ref: str,
    cert: Path,
    key: Path,
    chain: Path | None,
    enc_cert: Path | None,
    anchor: str,
    output: Path,
) -> None:
    """按招标公告加密投标文件：开标时须有投标人和规定人数的保管人共同开启。 Seal a bid as the notice asks."""
    try:
        bid = content_of(content.read_bytes())
        notice = _notice(notice_path, policy)
        mine = certificate_of(cert)
        signer = SoftwareSigner(mine, pkcs8_of(key), chain_of(chain))
        identity = Identity(ref, anchor, signer, certificate_of(enc_cert) if enc_cert is not None else mine)
    except (ContentUnfit, NoticeRefused, Malformed, CertRefused, GmFault, GmRefused, ValueError, TypeError) as error:
        _fail(f"无法加密 / cannot seal: {error}")
    terms = notice.terms
    if (bid.lot_code, bid.round_no, bid.ref) != (terms.lot, terms.round_no, ref):
        _fail("投标内容与公告的标段、次数或投标人编号不符 / the bid names another lot, round or reference")
    _say(notice, bundled=policy is None)
    sources = (
        Source.of(content, CONTENT),
        *(Source.of(one) for one in files),
    )
    part = output.with_name(output.name + ".part")
    try:
        with part.open("xb") as target:
            seal_file(target, terms, [one.key for one in notice.trustees.trustees], identity, sources)
        part.replace(output)
    except FileExistsError:
        _fail(f"{part}: 文件已存在 / exists already", 2)
    except (BidRefused, EnvelopeRefused, Malformed) as error:
        part.unlink(missing_ok=True)
        _fail(f"无法加密 / cannot seal: {error}")
    click.echo(f"{output}: {output.stat().st_size} 字节 / bytes")


def _say(notice: ReadNotice, *, bundled: bool) -> None:
    terms = notice.terms
    click.echo(f"标段 / lot: {terms.lot} {notice.lot_name}")
    click.echo(
        f"开启 / opens with: {terms.t} / {len(terms.trustees)} " + ("+ 投标人" if terms.mode == "and" else "或投标人")
    )
    for one in notice.trustees.trustees:
        click.echo(f"  保管人 / trustee: {one.body} ({one.role}) {one.person}")
    if bundled:
        click.echo("信任 / trust: 公告随附的日志公钥，请另行核对 / the keys that came with the notice", err=True)


@cli_bid.command(
    "open", epilog="例 / example: erhai bid open request.json --ref P-7F3K2M --cert enc.pem --key enc.key -o half.json"
)
@click.argument("request", type=_IN)
@click.option("--ref", required=True, help="投标人编号 / your reference")
@click.option("--cert", type=_IN, required=True, help="加密证书 / encryption certificate")
@click.option("--key", type=_IN, required=True, help="解密私钥 / its key")
@click.option("-o", "--output", type=_OUT, required=True, help="交给开标台的解密文件 / the file for the desk")
def open_command(request: Path, ref: str, cert: Path, key: Path, output: Path) -> None:
    """解出投标人一半密钥，只加密给本次解密仪式。 Emit the bidder's half, wrapped to the ceremony's key."""
    try:
        holder = FileHolder.of(certificate_of(cert), pkcs8_of(key))
        asked = Request.parse(request.read_bytes())
        data = make_half(asked, ref, holder)
    except (CeremonyFileRefused, EnvelopeRefused, GmFault, ValueError, TypeError) as error:
        _fail(f"无法解密 / cannot decrypt: {error}")
    output.write_bytes(data)
    click.echo(f"{asked.lot} {asked.lot_name}: 第 {asked.ceremony} 次解密仪式 / ceremony, {ref} → {output}")
