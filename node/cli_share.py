"""`erhai share new / release`: the trustee's tool (份额保管人工具). It shows in words what is released and for which set."""

import datetime as dt
import hashlib
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.ceremony_files import CeremonyFileRefused, Request, make_release, trustee_number
from sync.act_signer import FileSigner
from sync.bid_manifest import Terms

_IN = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_YEARS = 3


@dataclass(frozen=True, slots=True, repr=False)
class TrusteeKey:
    """A trustee's two keys and certificate, one PEM file (0600): X25519 opens shares, EC P-256 signs releases."""

    share: X25519PrivateKey
    signer: FileSigner

    @property
    def public(self) -> bytes:
        """Return the 32 public bytes that bids name."""
        return self.share.public_key().public_bytes_raw()

    @property
    def cert_sha256(self) -> bytes:
        """Return the digest of the signing certificate."""
        return hashlib.sha256(self.signer.certificate).digest()

    @property
    def appointment(self) -> str:
        """Return the two values that the appointment asks for, hex."""
        return f"{self.public.hex()},{self.cert_sha256.hex()}"


def make_certificate(key: ec.EllipticCurvePrivateKey, name: str, *, now: dt.datetime) -> x509.Certificate:
    """Return a certificate signed by its own key: it names a key, and nobody vouches for it but the appointment."""
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=365 * _YEARS))
        .sign(key, hashes.SHA256())
    )


def make_trustee_key(path: Path, name: str, *, now: dt.datetime) -> TrusteeKey:
    """Make a trustee's key file with a certificate signed by itself; never overwrites one. Raises FileExistsError."""
    share, signing = X25519PrivateKey.generate(), ec.generate_private_key(ec.SECP256R1())
    certificate = make_certificate(signing, name, now=now)
    pem, pkcs8 = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    plain = serialization.NoEncryption()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(share.private_bytes(pem, pkcs8, plain))
        file.write(signing.private_bytes(pem, pkcs8, plain))
        file.write(certificate.public_bytes(pem))
    return load_trustee_key(path)


def load_trustee_key(path: Path) -> TrusteeKey:
    """Read a trustee's key file. Raises ValueError."""
    parts = [b"-----BEGIN" + part for part in path.read_bytes().split(b"-----BEGIN")[1:]]
    if len(parts) != 3:
        raise ValueError("须有两个私钥和一张证书 / two keys and a certificate are needed")
    share = serialization.load_pem_private_key(parts[0], None)
    signing = serialization.load_pem_private_key(parts[1], None)
    certificate = x509.load_pem_x509_certificate(parts[2])
    if not isinstance(share, X25519PrivateKey):
        raise ValueError("第一个私钥须为 X25519 / the first key must be X25519")  # noqa: TRY004
    pkcs8 = signing.private_bytes(
        serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return TrusteeKey(share, FileSigner(certificate.public_bytes(serialization.Encoding.DER), pkcs8))


@click.group("share")
def cli_share() -> None:
    """份额保管人工具。 The trustee's tool."""


def _fail(words: str, code: int = 1) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(code)


@cli_share.command("new", epilog="例 / example: erhai share new 县监督局 -o supervisor.key")
@click.argument("name")
@click.option("-o", "--output", type=_OUT, required=True, help="密钥文件 / key file")
def new(name: str, output: Path) -> None:
    """生成保管人密钥，显示登记用的公钥和证书摘要。 Make a trustee's key; print what the appointment asks for."""
    try:
        key = make_trustee_key(output, name, now=dt.datetime.now(dt.UTC))
    except FileExistsError:
        _fail(f"{output}: 文件已存在，不覆盖 / exists, not overwritten", 2)
    click.echo(key.appointment)


def words_of(request: Request, number: int) -> list[str]:
    """Return what this trustee is about to release, in words."""
    terms: Terms = request.bids[0].manifest.terms
    role = terms.trustees[number - 1].role
    lines = [
        f"释放份额 / release of shares: 第 {number} 号保管人 / trustee {number} ({role})",
        f"标段 / lot: {request.lot} {request.lot_name}，第 {request.round_no} 次招标 / round {request.round_no}",
        f"第 {request.ceremony} 次解密仪式 / ceremony {request.ceremony}",
        f"全部投标文件 {len(request.bids)} 份 / all {len(request.bids)} bids，集合摘要 / set {request.set_sha256.hex()}",
    ]
    lines += [f"  {one.ref}  {one.file_sha256.hex()}" for one in request.bids]
    lines += [f"  {one.ref}  {one.file_sha256.hex()}  已损坏 / damaged" for one in request.unreadable]
    return lines


@cli_share.command(
    "release", epilog="例 / example: erhai share release request.json --key supervisor.key -o release.json"
)
@click.argument("request", type=_IN)
@click.option("--key", type=_IN, required=True, help="保管人密钥文件 / the trustee's key file")
@click.option("-o", "--output", type=_OUT, required=True, help="交给开标台的释放文件 / the file for the desk")
@click.option("--yes", is_flag=True, help="已看清内容，不再询问 / seen it, do not ask")
def release(request: Path, key: Path, output: Path, *, yes: bool) -> None:
    """对全部投标文件一并释放本人份额，只加密给本次解密仪式。 Release one's shares of the whole set."""
    try:
        mine = load_trustee_key(key)
        asked = Request.parse(request.read_bytes())
        number = trustee_number(asked, mine.public)
    except (CeremonyFileRefused, ValueError) as error:
        _fail(f"不能释放 / cannot release: {error}")
    for line in words_of(asked, number):
        click.echo(line)
    if not yes and not click.confirm("确认释放 / release these?"):
        _fail("没有释放 / nothing released")
    output.write_bytes(make_release(asked, mine.share, mine.signer))
    click.echo(str(output))
