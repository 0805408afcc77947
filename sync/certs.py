"""Certificates of nodes and the TLS that names them (节点证书).

After a handshake both sides know, from the prefecture's CA alone, which node speaks: the SAN URI
spiffe://<prefecture>/node/<code> is the name, and nothing else is asked. TLS 1.3 only; a client without a certificate is
refused. The demo CA below is for one machine; a prefecture keeps its root offline.
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
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

LEAF_DAYS = 90
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

    def getpeercert(self) -> Any:
        """Return the peer's verified certificate as a mapping, empty if there is none."""


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


def issue_leaf(authority: Authority, *, node: str, public: Ed25519PublicKey, now: dt.datetime) -> bytes:
    """Return a node's certificate as PEM: client and server, 90 days, named by SPIFFE URI; localhost for loopback."""
    if not _NODE.fullmatch(node):
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


def server_context(*, certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """Return the TLS side of the sync port: 1.3 only, a client certificate of this CA is required."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_REQUIRED
    return _loaded(context, certificate=certificate, key=key, ca=ca)


def client_context(*, certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    """Return the TLS side that dials a peer.

    The caller names the node that it expects by `server_hostname=node_host(…)`, whatever address it dials: another node
    of the same CA then fails in the handshake, before anything is sent.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return _loaded(context, certificate=certificate, key=key, ca=ca)


def _loaded(context: ssl.SSLContext, *, certificate: Path, key: Path, ca: Path) -> ssl.SSLContext:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= ssl.VERIFY_X509_STRICT
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
    uris: list[str] = [str(value) for kind, value in certificate.get("subjectAltName", ()) if kind == "URI"]
    if len(uris) != 1:
        raise CertFault("peer", f"certificate has {len(uris)} URI names, need one")
    parts = urlsplit(uris[0])
    head, _, node = parts.path.rpartition("/")
    if parts.scheme != "spiffe" or parts.netloc != prefecture or head != "/node" or not _NODE.fullmatch(node):
        raise CertFault("peer", f"certificate names {uris[0]}, not a node of {prefecture}")
    return node
