"""Bidders and trustees with software keys, and bids that they seal: what the tests of sealed bids share."""

import base64
import datetime as dt
import hashlib
import io
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync.bid_file import BidFile, Identity, seal_file
from sync.bid_manifest import Terms, Trustee
from sync.bid_package import Source
from sync.envelope import FileHolder, open_for
from sync.signers import SoftwareSigner
from sync.wrap import unwrap_share
from tests.person_lab import Key, Spec, issue, vendor

ROLES = ("tenderer", "supervisor", "operator", "witness", "prefecture")
TRUSTEES = tuple(X25519PrivateKey.from_private_bytes(bytes([i]) * 32) for i in range(1, 6))
PUBLICS = tuple(key.public_key().public_bytes_raw() for key in TRUSTEES)
TERMS = Terms(
    profile="intl-1",
    mode="and",
    tender="A5329240000000001001",
    lot="A5329240000000001001001",
    round_no=1,
    deadline_ms=1_774_229_400_000,
    t=3,
    trustees=tuple(
        Trustee(i, role, hashlib.sha256(public).hexdigest())
        for i, (role, public) in enumerate(zip(ROLES, PUBLICS, strict=True), 1)
    ),
)
BODY = (b'{"price":"secret"}', b"attachment" * 3000)


@dataclass(frozen=True)
class Party:
    """A bidder's certificate and key."""

    certificate: bytes
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None  # None: SM2
    pkcs8: bytes
    ref: str = "P-AAAA11"
    chain: tuple[bytes, ...] = ()

    @property
    def identity(self) -> Identity:
        return Identity(self.ref, "lab", SoftwareSigner(self.certificate, self.pkcs8, self.chain), self.certificate)

    @property
    def holder(self) -> FileHolder:
        return FileHolder.of(self.certificate, self.pkcs8)

    def named(self, ref: str) -> "Party":
        return replace(self, ref=ref)


@cache
def party(name: str, kind: str = "ec") -> Party:
    """Return a bidder whose certificate is signed by its own key; kind is ec, rsa, ed25519 or sm2."""
    if kind == "sm2":
        own = Key("sm2")
        return Party(issue(Spec(subject=name, serial=int.from_bytes(name.encode()[:8])), own).der, None, own.pkcs8)
    private: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey = {
        "ec": lambda: ec.generate_private_key(ec.SECP256R1()),
        "rsa": lambda: rsa.generate_private_key(65537, 2048),
        "ed25519": ed25519.Ed25519PrivateKey.generate,
    }[kind]()
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(dt.datetime(2026, 1, 1, tzinfo=dt.UTC))
        .not_valid_after(dt.datetime(2028, 1, 1, tzinfo=dt.UTC))
    )
    certificate = builder.sign(private, None if kind == "ed25519" else hashes.SHA256())
    return Party(
        certificate.public_bytes(serialization.Encoding.DER),
        private,
        private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
    )


def vendor_party(family: str, **changes: Any) -> Party:
    """Return somebody whose one certificate, for signing and opening, is of the laboratory's vendor of a family."""
    own = vendor(family)
    usage = ("digital_signature", "non_repudiation", "key_encipherment")
    made = issue(Spec(**{"usage": usage, **changes}), Key(family), own.ca)
    return Party(made.der, None, made.key.pkcs8, chain=(own.ca.der,))


def pem(kind: str, der: bytes) -> bytes:
    """Return DER as PEM."""
    return f"-----BEGIN {kind}-----\n{base64.encodebytes(der).decode()}-----END {kind}-----\n".encode()


def sources(*bodies: bytes) -> tuple[Source, ...]:
    names = ("bid.json", *(f"附件{i}.pdf" for i in range(1, len(bodies))))
    return tuple(Source(name, lambda body=body: io.BytesIO(body)) for name, body in zip(names, bodies, strict=True))


def sealed(who: Party, terms: Terms = TERMS, bodies: tuple[bytes, ...] = BODY) -> bytes:
    target = io.BytesIO()
    seal_file(target, terms, PUBLICS, who.identity, sources(*bodies))
    return target.getvalue()


@dataclass
class Pieces:
    """What every party finds in a bid file."""

    data: bytes
    who: Party
    bid: BidFile = field(init=False)
    shares: dict[int, bytes] = field(init=False)
    half: bytes = field(init=False)

    def __post_init__(self) -> None:
        self.bid = BidFile(io.BytesIO(self.data))
        context = self.bid.manifest.context
        self.shares = {i: unwrap_share(key, context, self.bid.wraps[f"share-{i}"]) for i, key in enumerate(TRUSTEES, 1)}
        self.half = open_for(self.who.holder, self.bid.wraps["bidder"])


def opened(bid: BidFile, key: bytes, folder: Path) -> tuple[bytes, ...]:
    package = bid.open_package(key, folder / "package")
    try:
        return tuple(b"".join(package.chunks(one)) for one in package.files)
    finally:
        package.close()
        (folder / "package").unlink()
