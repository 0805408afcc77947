"""Only a node of this prefecture, by its own name, gets through the handshake. Real sockets on loopback."""

import asyncio
import datetime as dt
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sync.certs import (
    Authority,
    CertFault,
    client_context,
    issue_leaf,
    load_authority,
    make_authority,
    node_host,
    node_uri,
    peer_node,
    server_context,
)

NOW = dt.datetime.now(dt.UTC)


def enrol(folder: Path, authority: Authority, node: str, *, now=NOW, ca: Authority | None = None) -> dict[str, Path]:
    folder.mkdir(exist_ok=True)
    key = Ed25519PrivateKey.generate()
    files = {name: folder / f"{node}-{name}.pem" for name in ("certificate", "key", "ca")}
    files["key"].write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    files["certificate"].write_bytes(issue_leaf(authority, node=node, public=key.public_key(), now=now))
    files["ca"].write_bytes((ca or authority).certificate_pem)
    return files


async def greet(server: ssl.SSLContext, client: ssl.SSLContext, *, expected: str = "a") -> tuple[str, str]:
    """Return (whom the server saw, whom the client saw); the client must get one byte back."""
    seen: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(peer_node(writer.get_extra_info("ssl_object"), "dali.erhai"))
        writer.write(b"x")
        await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=server)
    async with listening:
        port = listening.sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection(
            "127.0.0.1", port, ssl=client, server_hostname=node_host("dali.erhai", expected)
        )
        try:
            other = peer_node(writer.get_extra_info("ssl_object"), "dali.erhai")
            await reader.readexactly(1)
            return seen[0], other
        finally:
            writer.close()


async def test_both_sides_learn_the_node_code_from_the_certificate(tmp_path: Path) -> None:
    authority = make_authority("dali.erhai", NOW)
    a, b = enrol(tmp_path, authority, "532924-room-1-a"), enrol(tmp_path, authority, "532924-room-1-b")
    seen = await greet(server_context(**a), client_context(**b), expected="532924-room-1-a")
    assert seen == ("532924-room-1-b", "532924-room-1-a")


async def test_a_client_of_a_foreign_ca_is_refused(tmp_path: Path) -> None:
    ours, foreign = make_authority("dali.erhai", NOW), make_authority("dali.erhai", NOW)
    server = enrol(tmp_path, ours, "a")
    rogue = enrol(tmp_path / "rogue", foreign, "b", ca=ours)
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await greet(server_context(**server), client_context(**rogue))


async def test_a_server_of_a_foreign_ca_is_refused(tmp_path: Path) -> None:
    ours, foreign = make_authority("dali.erhai", NOW), make_authority("dali.erhai", NOW)
    rogue = enrol(tmp_path / "rogue", foreign, "a", ca=ours)
    client = enrol(tmp_path, ours, "b")
    with pytest.raises(ssl.SSLCertVerificationError):
        await greet(server_context(**rogue), client_context(**client))


async def test_a_server_that_is_another_node_of_the_same_ca_is_refused(tmp_path: Path) -> None:
    authority = make_authority("dali.erhai", NOW)
    a, b = enrol(tmp_path, authority, "a"), enrol(tmp_path, authority, "b")
    with pytest.raises(ssl.SSLCertVerificationError, match="ostname"):
        await greet(server_context(**a), client_context(**b), expected="c")


async def test_a_client_without_a_certificate_is_refused(tmp_path: Path) -> None:
    authority = make_authority("dali.erhai", NOW)
    server = enrol(tmp_path, authority, "a")
    bare = ssl.create_default_context(cafile=str(server["ca"]))
    bare.check_hostname = False
    with pytest.raises((ssl.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        await greet(server_context(**server), bare)


async def test_tls_1_2_is_refused(tmp_path: Path) -> None:
    authority = make_authority("dali.erhai", NOW)
    a, b = enrol(tmp_path, authority, "a"), enrol(tmp_path, authority, "b")
    old = client_context(**b)
    old.minimum_version = ssl.TLSVersion.TLSv1_2
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await greet(server_context(**a), old)


async def test_an_expired_certificate_is_refused(tmp_path: Path) -> None:
    authority = make_authority("dali.erhai", NOW - dt.timedelta(days=200))
    server = enrol(tmp_path, authority, "a", now=NOW - dt.timedelta(days=91))
    client = enrol(tmp_path, authority, "b")
    with pytest.raises(ssl.SSLCertVerificationError, match="expired"):
        await greet(server_context(**server), client_context(**client))


class Shown:
    def __init__(self, *names: tuple[str, str]) -> None:
        self.certificate = {"subjectAltName": names} if names else {}

    def getpeercert(self) -> dict:
        return self.certificate


@pytest.mark.parametrize(
    "shown",
    [
        None,
        Shown(),
        Shown(("DNS", "localhost")),
        Shown(("URI", "spiffe://other.erhai/node/a")),
        Shown(("URI", "https://dali.erhai/node/a")),
        Shown(("URI", "spiffe://dali.erhai/room/a")),
        Shown(("URI", "spiffe://dali.erhai/node/A/../b")),
        Shown(("URI", "spiffe://dali.erhai/node/")),
        Shown(("URI", "spiffe://dali.erhai/node/a"), ("URI", "spiffe://dali.erhai/node/b")),
    ],
)
def test_a_certificate_that_names_no_single_node_of_this_prefecture_names_nobody(shown) -> None:
    with pytest.raises(CertFault):
        peer_node(shown, "dali.erhai")


def test_a_leaf_has_the_profile_of_a_node() -> None:
    authority = make_authority("dali.erhai", NOW)
    pem = issue_leaf(authority, node="a", public=Ed25519PrivateKey.generate().public_key(), now=NOW)
    leaf = x509.load_pem_x509_certificate(pem)
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == [node_uri("dali.erhai", "a")]
    assert not leaf.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert leaf.extensions.get_extension_for_class(x509.KeyUsage).value.digital_signature
    assert (leaf.not_valid_after_utc - NOW).days in {89, 90}
    leaf.verify_directly_issued_by(authority.certificate)


@pytest.mark.parametrize("node", ["", "A", "a/b", "a" * 64, "-a", "a b", "县"])
def test_a_node_code_that_could_confuse_a_uri_is_refused(node: str) -> None:
    authority = make_authority("dali.erhai", NOW)
    with pytest.raises(CertFault):
        issue_leaf(authority, node=node, public=Ed25519PrivateKey.generate().public_key(), now=NOW)


def test_an_authority_is_read_back_from_its_files() -> None:
    authority = make_authority("dali.erhai", NOW)
    again = load_authority(authority.certificate_pem, authority.key_pem())
    assert again.prefecture == "dali.erhai"
    assert again.certificate == authority.certificate
    with pytest.raises(CertFault):
        load_authority(authority.certificate_pem, make_authority("dali.erhai", NOW).key_pem())
