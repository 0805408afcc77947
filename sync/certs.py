"""Certificates of nodes and the TLS that names them (节点证书).

After a handshake both sides know, from the prefecture's CA alone, which node speaks: the SAN URI
spiffe://<prefecture>/node/<code> is the name. TLS 1.3 only; a client without a certificate is refused. With a judge
(`sync.trust`) the handshake leaves time and revocation to it: the dialling side asks it before anything is sent, the
serving side at every request. Without one OpenSSL judges the time and nobody the revocation. The CA below keeps its key in
a file; a prefecture keeps its root offline.
"""

import datetime as dt
import ipaddress
import re
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from sync.standing import Reach, Ruling

UNREADABLE = (
    ValueError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.UnsupportedGeneralNameType,
    UnsupportedAlgorithm,
)
"""What reading somebody's certificate, request or list may raise; most of them are no ValueError."""
LEAF_DAYS = 90
_NO_CHECK_TIME = ssl.VerifyFlags(0x200000)  # X509_V_FLAG_NO_CHECK_TIME: the judge does it, by pinned key
CA_DAYS = 3_650
_NODE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_DOMAIN = re.compile(r"[a-z0-9]([a-z0-9.-]{0,252}[a-z0-9])?")


@dataclass(eq=False)
class CertFault(Exception):
    """A certificate cannot be made, or the peer has not named itself as it must. `what` is the thing, `why` the reason."""

    what: str
    why: str

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.what}: {self.why}"


class TlsObject(Protocol):
    """What an SSLObject and an SSLSocket have in common here."""

    def getpeercert(self, binary_form: bool = ...) -> Any:
        """Return the peer's verified certificate as a mapping, empty if there is none; or as DER."""


class Judge(Protocol):
    """Who decides whether a proven certificate counts now."""

    @property
    def version(self) -> int:
        """Return a number that grows when a judgement may have changed."""

    def judge(self, der: bytes | None) -> Ruling:
        """Return what the certificate's owner may ask. Raises CertFault."""


class PeerNotAdmitted(ssl.SSLCertVerificationError):
    """Ends a handshake with a peer whose certificate does not count now; `why` as in `Ruling`."""

    why: str = ""


class JudgedContext(ssl.SSLContext):
    """A TLS context whose handshakes prove name and CA, and whose judge decides the rest."""

    judge: Judge | None = None


class _Judged(ssl.SSLObject):
    """The dialling side: asks the judge at the end of the handshake, so nothing is sent to a peer that does not count.

    Replacing the context in a callback, or a CRL in it, would not do: neither reaches the handshake that is under way.
    """

    def do_handshake(self) -> None:
        super().do_handshake()
        context = self.context
        judge = context.judge if isinstance(context, JudgedContext) else None
        if judge is None:
            return
        try:
            ruling = judge.judge(self.getpeercert(binary_form=True))
        except CertFault as fault:
            raise PeerNotAdmitted(str(fault)) from fault
        if ruling.reach is not Reach.ALL:
            refused = PeerNotAdmitted(f"certificate of {ruling.node}: {ruling.why}")
            refused.why = ruling.why
            raise refused


@dataclass(frozen=True, slots=True)
class Authority:
    """A prefecture's CA: its domain, certificate and key."""

    prefecture: str
    certificate: x509.Certificate
    key: Ed25519PrivateKey

    @property
    def certificate_pem(self) -> bytes:
        """Return the CA certificate as PEM."""
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def key_pem(self) -> bytes:
        """Return the CA's private key as unencrypted PKCS 8 PEM: for the demo's folder only."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )


def make_authority(prefecture: str, now: dt.datetime) -> Authority:
    """Make a demo CA for a prefecture's domain, e.g. dali.erhai. `now` must be aware."""
    if not _DOMAIN.fullmatch(prefecture):
        raise CertFault("prefecture", f"{prefecture!r} is not a domain name")
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"{prefecture} node CA")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=CA_DAYS))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, None)
    )
    return Authority(prefecture, certificate, key)


def load_authority(certificate_pem: bytes, key_pem: bytes) -> Authority:
    """Return a demo CA from its two PEM texts. Raises CertFault."""
    try:
        certificate = x509.load_pem_x509_certificate(certificate_pem)
        key = serialization.load_pem_private_key(key_pem, None)
    except (ValueError, TypeError) as error:
        raise CertFault("CA", f"cannot be read: {error}") from error
    name = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    text = str(name[0].value) if name else ""
    if not isinstance(key, Ed25519PrivateKey) or certificate.public_key() != key.public_key():
        raise CertFault("CA", "key and certificate do not belong together")
    if not text.endswith(" node CA"):
        raise CertFault("CA", f"{text!r} is not a node CA")
    return Authority(text.removesuffix(" node CA"), certificate, key)


def is_node_code(text: str) -> bool:
    """Return whether a text can name a node in a certificate: a-z, 0-9 and hyphens inside, at most 63."""
    return _NODE.fullmatch(text) is not None


def is_domain(text: str) -> bool:
    """Return whether a text can name a prefecture: a lower-case domain."""
    return _DOMAIN.fullmatch(text) is not None


def issue_leaf(authority: Authority, *, node: str, public: Ed25519PublicKey, now: dt.datetime) -> bytes:
    """Return a node's certificate as PEM: client and server, 90 days, named by SPIFFE URI; localhost for loopback."""
    if not is_node_code(node):
        raise CertFault("node", f"{node!r} is not a node code: a-z, 0-9 and hyphens, at most 63")
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)]))
        .issuer_name(authority.certificate.subject)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + dt.timedelta(days=LEAF_DAYS))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        .add_extension(
            x509.SubjectAlternativeName(
                [
                    x509.UniformResourceIdentifier(node_uri(authority.prefecture, node)),
                    x509.DNSName(node_host(authority.prefecture, node)),
                    x509.DNSName("localhost"),
                    x509.IPAddress(ipaddress.IPv4Address("127.0.0.1")),
                ]
            ),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
        .sign(authority.key, None)
    )
    return certificate.public_bytes(serialization.Encoding.PEM)


def renewal_due_ms(leaf: x509.Certificate) -> int:
    """Return when a certificate is to be renewed: at two thirds of its life. Unix milliseconds."""
    start, end = leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()
    return int((start + (end - start) * 2 / 3) * 1_000)


def node_uri(prefecture: str, node: str) -> str:
    """Return the name of a node in its certificate."""
    return f"spiffe://{prefecture}/node/{node}"


def node_host(prefecture: str, node: str) -> str:
    """Return the host name under which a node's certificate is checked in the handshake; it need not resolve."""
    return f"{node}.node.{prefecture}"


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def server_context(*, certificate: Path, key: Path, ca: Path, judge: Judge | None = None) -> ssl.SSLContext:
    """Return the TLS side of the sync port: 1.3 only, a client certificate of this CA is required.

    With a judge whoever serves must ask it at every request: the handshake then says nothing of time.
    """
    context = JudgedContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    context.num_tickets = 0  # a resumed session would show a certificate that no handshake has checked
    return _loaded(context, certificate=certificate, key=key, ca=ca, judge=judge)


def client_context(*, certificate: Path, key: Path, ca: Path, judge: Judge | None = None) -> ssl.SSLContext:
    """Return the TLS side that dials a peer.

    The caller names the node that it expects by `server_hostname=node_host(…)`, whatever address it dials: another node
    of the same CA then fails in the handshake, before anything is sent.
    """
    context = JudgedContext(ssl.PROTOCOL_TLS_CLIENT)
    context.sslobject_class = _Judged
    return _loaded(context, certificate=certificate, key=key, ca=ca, judge=judge)


def _loaded(context: JudgedContext, *, certificate: Path, key: Path, ca: Path, judge: Judge | None) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
    if judge is not None:
        context.judge = judge
        context.verify_flags |= _NO_CHECK_TIME
    try:
        context.load_cert_chain(certificate, key)
        context.load_verify_locations(ca)
    except (OSError, ssl.SSLError) as error:
        raise CertFault("TLS files", f"cannot be loaded from {certificate.parent}: {error}") from error
    return context


def peer_node(tls: TlsObject | None, prefecture: str) -> str:
    """Return the node code that the peer's verified certificate names within this prefecture. Raises CertFault."""
    certificate = tls.getpeercert() if tls is not None else None
    if not certificate:
        raise CertFault("peer", "shows no certificate")
    return node_of_uris(
        [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"], prefecture
    )


def node_of_uris(uris: list[str], prefecture: str) -> str:
    """Return the node code that a certificate's URI names give. Raises CertFault: there must be one, of this prefecture."""
    if len(uris) != 1:
        raise CertFault("peer", f"certificate has {len(uris)} URI names, need one")
    parts = urlsplit(uris[0])
    head, _, node = parts.path.rpartition("/")
    if parts.scheme != "spiffe" or parts.netloc != prefecture or head != "/node" or not _NODE.fullmatch(node):
        raise CertFault("peer", f"certificate names {uris[0]}, not a node of {prefecture}")
    return node
