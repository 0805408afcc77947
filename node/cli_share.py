"""`erhai share new / release`: the trustee's tool (份额保管人工具). It shows in words what is released and for which set."""

import base64
import datetime as dt
import hashlib
import os
import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.ceremony_files import CeremonyFileRefused, Request, make_release, trustee_number
from node.key_files import certificate_of, chain_of, pkcs8_of
from sync.bid_manifest import Terms
from sync.certificate_form import CertRefused
from sync.gm import GmFault, GmRefused
from sync.signers import SoftwareSigner

_IN = click.Path(exists=True, dir_okay=False, path_type=Path)
_OUT = click.Path(dir_okay=False, path_type=Path)
_YEARS = 3
_KEY, _CERTIFICATE = "PRIVATE KEY", "CERTIFICATE"
_PART = re.compile(rb"-----BEGIN ([A-Z ]+)-----\s([A-Za-z0-9+/=\s]+)-----END \1-----")


@dataclass(frozen=True, slots=True, repr=False)
class TrusteeKey:
    """A trustee's two keys and certificates, one PEM file (0600): X25519 opens shares, the other signs releases.

    The file holds the X25519 key, the signing key (EC P-256 where the tool made it), its certificate, and the issuing ones.
    """

    share: X25519PrivateKey
    signer: SoftwareSigner

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
        """Return the two values that the appointment asks for: public key in hex, certificate in base64."""
        return f"{self.public.hex()},{base64.b64encode(self.signer.certificate).decode()}"


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
    signing = ec.generate_private_key(ec.SECP256R1())
    certificate = make_certificate(signing, name, now=now)
    der, pkcs8 = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    key = signing.private_bytes(der, pkcs8, serialization.NoEncryption())
    return write_trustee_key(path, key, (certificate.public_bytes(der),))


def write_trustee_key(path: Path, pkcs8: bytes, certificates: Sequence[bytes]) -> TrusteeKey:
    """Make a trustee's key file around a signing key and its certificates (DER, own first). Raises FileExistsError."""
    der, form = serialization.Encoding.DER, serialization.PrivateFormat.PKCS8
    share = X25519PrivateKey.generate().private_bytes(der, form, serialization.NoEncryption())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        for kind, body in (_KEY, share), (_KEY, pkcs8), *((_CERTIFICATE, one) for one in certificates):
            file.write(f"-----BEGIN {kind}-----\n{base64.encodebytes(body).decode()}-----END {kind}-----\n")
    return load_trustee_key(path)


def load_trustee_key(path: Path) -> TrusteeKey:
    """Read a trustee's key file. Raises ValueError."""
    found = [(kind.decode(), base64.b64decode(body)) for kind, body in _PART.findall(path.read_bytes())]
    kinds = [kind for kind, _ in found]
    if kinds[:3] != [_KEY, _KEY, _CERTIFICATE] or set(kinds[3:]) - {_CERTIFICATE}:
        raise ValueError("须有两个私钥和证书 / two keys and certificates are needed")
    (_, first), (_, pkcs8), (_, certificate), *issuers = found
    share = serialization.load_der_private_key(first, None)
    if not isinstance(share, X25519PrivateKey):
        raise ValueError("第一个私钥须为 X25519 / the first key must be X25519")  # noqa: TRY004
    try:
        return TrusteeKey(share, SoftwareSigner(certificate, pkcs8, tuple(der for _, der in issuers)))
    except (CertRefused, GmRefused, GmFault) as error:
        raise ValueError(str(error)) from error


@click.group("share")
def cli_share() -> None:
    """份额保管人工具。 The trustee's tool."""


def _fail(words: str, code: int = 1) -> NoReturn:
    click.echo(words, err=True)
    sys.exit(code)


@cli_share.command("new", epilog="例 / example: erhai share new 县监督局 -o supervisor.key --cert me.pem --key me.key")
@click.argument("name")
@click.option("-o", "--output", type=_OUT, required=True, help="密钥文件 / key file")
@click.option(
    "--cert", type=_IN, help="本人的签名证书；不给则自签一张 / one's own signing certificate, else one is made"
)
@click.option("--key", type=_IN, help="签名证书的私钥 / the certificate's key")
@click.option("--chain", type=_IN, help="签发机构证书（PEM）/ the issuing certificates")
def new(name: str, output: Path, cert: Path | None, key: Path | None, chain: Path | None) -> None:
    """生成保管人密钥，显示登记用的公钥和证书。 Make a trustee's key; print what the appointment asks for.

    配置了信任锚的节点只接受签发机构签发的证书。A node that has anchors takes no certificate that was made here.
    """
    if (cert is None) != (key is None):
        _fail("证书和私钥须一起给出 / certificate and key go together", 2)
    try:
        if cert is not None and key is not None:
            made = write_trustee_key(output, pkcs8_of(key), (certificate_of(cert), *chain_of(chain)))
        else:
            made = make_trustee_key(output, name, now=dt.datetime.now(dt.UTC))
    except FileExistsError:
        _fail(f"{output}: 文件已存在，不覆盖 / exists, not overwritten", 2)
    except (ValueError, TypeError) as error:
        output.unlink(missing_ok=True)
        _fail(f"证书或私钥不能用 / certificate or key is unusable: {error}")
    click.echo(made.appointment)


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
