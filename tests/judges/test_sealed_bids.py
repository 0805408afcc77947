"""OpenSSL opens the bidder's envelope and we open OpenSSL's; another reader, in JavaScript, opens the payload."""

import io
import json
import shutil
import subprocess
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from sync import jcs
from sync.bid_file import BidFile
from sync.bid_unlock import unlock
from sync.envelope import EnvelopeRefused, open_for, seal_for
from sync.payload import ENCRYPTORS
from tests.data.sealed_bids import PUBLICS, TERMS, Party, Pieces, opened, party, sealed

needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="Node.js is not installed")
READER = Path(__file__).with_name("payload_reader.js")
LENGTHS = (0, 1, 16_383, 16_384, 16_385, 32_768, 100_000)


def _files(folder: Path, who: Party) -> tuple[str, ...]:
    certificate = x509.load_der_x509_certificate(who.certificate)
    (folder / "c.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = who.private.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "k.pem").write_bytes(pem)
    return ("-inkey", str(folder / "k.pem"), "-recip", str(folder / "c.pem"))


@needs_openssl
@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_openssl_cms_opens_the_bidders_half_of_a_bid(kind: str, tmp_path: Path) -> None:
    who = party(f"openssl {kind}", kind)
    pieces = Pieces(sealed(who), who)
    (tmp_path / "wrap.cms").write_bytes(pieces.bid.wraps["bidder"])
    found = subprocess.run(
        (
            "openssl",
            "cms",
            "-decrypt",
            "-inform",
            "DER",
            "-binary",
            "-in",
            str(tmp_path / "wrap.cms"),
            *_files(tmp_path, who),
        ),
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    assert found == pieces.half


@needs_openssl
@pytest.mark.parametrize(
    ("kind", "options"),
    [("rsa", ("rsa_padding_mode:oaep", "rsa_oaep_md:sha256")), ("ec", ("ecdh_kdf_md:sha256",))],
)
def test_we_open_what_openssl_cms_sealed_and_refuse_its_older_paddings(
    kind: str, options: tuple[str, ...], tmp_path: Path
) -> None:
    who = party(f"openssl {kind}", kind)
    _files(tmp_path, who)
    (tmp_path / "half").write_bytes(b"h" * 32)

    def sealed_by_openssl(*more: str) -> bytes:
        command = ["openssl", "cms", "-encrypt", "-aes-256-gcm", "-binary", "-outform", "DER"]
        command += ["-in", str(tmp_path / "half"), "-recip", str(tmp_path / "c.pem"), "-out", str(tmp_path / "o.cms")]
        for option in more:
            command += ["-keyopt", option]
        subprocess.run(command, check=True, capture_output=True, timeout=60)
        return (tmp_path / "o.cms").read_bytes()

    assert open_for(who.holder, sealed_by_openssl(*options)) == b"h" * 32
    with pytest.raises(EnvelopeRefused) as caught:
        open_for(who.holder, sealed_by_openssl())  # PKCS#1 v1.5, or a KDF over SHA-1
    assert caught.value.why == "not-an-envelope"


@needs_openssl
def test_openssl_cms_verifies_the_manifests_signature(tmp_path: Path) -> None:
    who = party("openssl rsa", "rsa")
    _files(tmp_path, who)
    with zipfile.ZipFile(io.BytesIO(sealed(who))) as archive:
        archive.extractall(tmp_path)
    command = ["openssl", "cms", "-verify", "-inform", "DER", "-binary", "-purpose", "any", "-out", "/dev/null"]
    command += ["-in", str(tmp_path / "manifest.cms"), "-content", str(tmp_path / "manifest.json")]
    command += ["-CAfile", str(tmp_path / "c.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)


@needs_node
@pytest.mark.parametrize("profile", ["intl-1", "gm-1"])
def test_a_reader_in_javascript_opens_the_payload_of_every_length(profile: str, tmp_path: Path) -> None:
    key, context = bytes(range(32)), b"erhai1|" + b"0" * 64
    for length in LENGTHS:
        plain = bytes(i % 251 for i in range(length))
        sealing = ENCRYPTORS[profile](key, context)
        (tmp_path / "payload").write_bytes(sealing.update(plain) + sealing.finalize())
        found = subprocess.run(
            ("node", str(READER), profile, key.hex(), context.decode(), str(tmp_path / "payload")),
            capture_output=True,
            check=True,
            timeout=60,
        ).stdout
        assert found == plain


@needs_node
@pytest.mark.parametrize("profile", ["intl-1", "gm-1"])
def test_the_reader_in_javascript_opens_a_whole_bid(profile: str, tmp_path: Path) -> None:
    who = party("bidder")
    pieces = Pieces(sealed(who, replace(TERMS, profile=profile)), who)
    key = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half).key
    assert key is not None
    with zipfile.ZipFile(io.BytesIO(pieces.data)) as archive:
        (tmp_path / "payload").write_bytes(archive.read("payload.cob"))
    command = ("node", str(READER), profile, key.hex(), pieces.bid.manifest.context.decode(), str(tmp_path / "payload"))
    plain = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    with zipfile.ZipFile(io.BytesIO(plain)) as package:
        names = package.namelist()
        assert names[0] == "bid.json"
        assert (package.read(names[0]), package.read(names[1])) == opened(pieces.bid, key, tmp_path)
        assert jcs.decode(package.read("inner.json"), "inner")["context"] == pieces.bid.manifest.context.decode()


@needs_node
def test_the_manifest_is_what_javascripts_own_canonical_json_gives(tmp_path: Path) -> None:
    bid = BidFile(io.BytesIO(sealed(party("bidder"))))
    (tmp_path / "manifest.json").write_bytes(bytes(bid.manifest))
    script = (
        "const c=v=>Array.isArray(v)?'['+v.map(c)+']':v&&typeof v=='object'?"
        "'{'+Object.keys(v).sort().map(k=>JSON.stringify(k)+':'+c(v[k]))+'}':JSON.stringify(v);"
        f"process.stdout.write(c(JSON.parse(require('fs').readFileSync({json.dumps(str(tmp_path / 'manifest.json'))}))))"
    )
    found = subprocess.run(("node", "-e", script), capture_output=True, check=True, timeout=60).stdout
    assert found == bytes(bid.manifest)


@pytest.mark.parametrize("kind", ["rsa", "ec"])
def test_an_envelope_is_refused_when_changed_or_for_another(kind: str) -> None:
    who, other = party("one", kind), party("other", kind)
    envelope = seal_for(who.certificate, b"h" * 32)
    with pytest.raises(EnvelopeRefused) as caught:
        open_for(other.holder, envelope)
    assert caught.value.why == "not-a-recipient"
    for at in range(0, len(envelope), 7):
        changed = bytearray(envelope)
        changed[at] ^= 1
        try:
            assert open_for(who.holder, bytes(changed)) == b"h" * 32  # a bit that says nothing of the secret
        except EnvelopeRefused:
            continue


def test_an_envelope_is_not_made_for_a_signing_only_key() -> None:
    with pytest.raises(EnvelopeRefused) as caught:
        seal_for(party("ed", "ed25519").certificate, b"h" * 32)
    assert caught.value.why == "unusable-certificate"
