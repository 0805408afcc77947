"""GmSSL opens the envelope of an SM2 bidder and we open GmSSL's; it believes our SM2 signatures and we its own."""

import hashlib
import io
import secrets
from dataclasses import replace
from pathlib import Path

import gmssl_pyx
import pytest
from asn1crypto import cms, core, parser, x509

from sync.bid_file import BidFile, BidRefused
from sync.bid_unlock import unlock
from sync.envelope import EnvelopeRefused, open_for, seal_for
from sync.gm import generate_sm2, sm2_verify
from tests.data.sealed_bids import BODY, PUBLICS, TERMS, Pieces, opened, party, pem, sealed
from tests.judges import bouncy_castle, gmssl
from tests.judges.sm2_judge import raw_key

needs_gmssl = pytest.mark.skipif(not gmssl.PROGRAM, reason="no gmssl program here: pip install easy-gmssl builds one")
needs_java = pytest.mark.skipif(bool(bouncy_castle.missing()), reason=bouncy_castle.missing())
# GM/T 0006 says .3; GmSSL writes and takes .2 alone.
STANDARD, GMSSLS = (core.ObjectIdentifier(f"1.2.156.10197.1.301.{last}").dump() for last in (3, 2))
HALF = bytes(range(32))
WHO = party("gm bidder", "sm2")


def inside(der: bytes) -> bytes:
    """Return what a value holds."""
    return parser.parse(der)[4]


def parts(der: bytes) -> list[bytes]:
    """Return the members of a SEQUENCE."""
    found, left = [], inside(der)
    while left:
        head = parser.peek(left)
        found.append(left[:head])
        left = left[head:]
    return found


def test_the_crypto_of_gmssl_opens_the_half_of_an_sm2_bidder() -> None:
    """Structure by asn1crypto's plain types, SM2 and SM4 by GmSSL: nothing of ours is asked."""
    pieces = Pieces(sealed(WHO, replace(TERMS, profile="gm-1")), WHO)
    kind, held = parts(pieces.bid.wraps["bidder"])
    assert core.ObjectIdentifier.load(kind).dotted == "1.2.156.10197.6.1.4.2.3"
    version, recipients, content = parts(inside(held))
    (recipient,) = parts(b"\x30" + recipients[1:])  # SET OF, read as SEQUENCE OF
    one_version, rid, algorithm, wrapped = parts(recipient)
    assert (version, one_version, parts(algorithm)) == (b"\2\1\1", b"\2\1\1", [STANDARD])
    assert cms.IssuerAndSerialNumber.load(rid)["issuer"] == x509.Certificate.load(WHO.certificate).issuer
    inner, cipher, sealed_half = parts(content)
    name, iv = parts(cipher)
    kinds = [core.ObjectIdentifier.load(one).dotted for one in (inner, name)]
    assert kinds == ["1.2.156.10197.6.1.4.2.1", "1.2.156.10197.1.104.2"]
    session = gmssl_pyx.sm2_decrypt(raw_key(WHO.pkcs8), core.OctetString.load(wrapped).native)
    assert (
        gmssl_pyx.sm4_cbc_padding_decrypt(session, core.OctetString.load(iv).native, inside(sealed_half)) == pieces.half
    )


def test_gmssl_and_we_believe_each_others_signatures() -> None:
    for _ in range(200):
        own, data = generate_sm2(), secrets.token_bytes(secrets.randbelow(300) + 1)
        point = own.spki[-64:]
        assert gmssl_pyx.sm2_verify(point, data, own.sign(data))
        assert not gmssl_pyx.sm2_verify(point, data + b"x", own.sign(data))
        theirs = gmssl_pyx.sm2_sign(raw_key(own.pkcs8()), point, data)
        assert sm2_verify(own.spki, data, theirs)
        assert not sm2_verify(own.spki, data + b"x", theirs)
        assert own.decrypt(gmssl_pyx.sm2_encrypt(point, data[:255])) == data[:255]


@needs_gmssl
def test_gmssl_cmsdecrypt_opens_what_we_seal_and_we_open_what_gmssl_cmsencrypt_seals(tmp_path: Path) -> None:
    (tmp_path / "c.pem").write_bytes(pem("CERTIFICATE", WHO.certificate))
    (tmp_path / "k.pem").write_bytes(gmssl.key_pem(WHO.pkcs8, "1234"))
    (tmp_path / "half").write_bytes(HALF)
    ours = seal_for(WHO.certificate, HALF)
    assert ours.count(STANDARD) == 1
    (tmp_path / "ours.pem").write_bytes(pem("CMS", ours.replace(STANDARD, GMSSLS)))
    names = {name: str(tmp_path / name) for name in ("c.pem", "k.pem", "half", "ours.pem", "theirs.pem", "out")}
    done = gmssl.run(
        *("cmsdecrypt", "-key", names["k.pem"], "-pass", "1234", "-cert", names["c.pem"]),
        *("-in", names["ours.pem"], "-out", names["out"]),
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out").read_bytes() == HALF
    sealed_there = gmssl.run(
        "cmsencrypt", "-rcptcert", names["c.pem"], "-in", names["half"], "-out", names["theirs.pem"]
    )
    assert sealed_there.returncode == 0, sealed_there.stderr
    assert open_for(WHO.holder, gmssl.der_of(tmp_path / "theirs.pem")) == HALF


@needs_java
def test_bouncy_castle_opens_the_envelope_and_believes_the_manifest() -> None:
    pieces = Pieces(sealed(WHO, replace(TERMS, profile="gm-1")), WHO)
    manifest = bytes(pieces.bid.manifest)
    asked = [
        f"gm {raw_key(WHO.pkcs8).hex()} {pieces.bid.wraps['bidder'].hex()}",
        f"cms {WHO.certificate.hex()} {manifest.hex()} {pieces.bid.signature.hex()}",
        f"cms {WHO.certificate.hex()} {manifest.hex()}20 {pieces.bid.signature.hex()}",
    ]
    assert bouncy_castle.ask(asked) == [pieces.half.hex(), "yes", "no"]


def test_a_bid_of_the_gm_profile_opens_with_an_sm2_bidder(tmp_path: Path) -> None:
    pieces = Pieces(sealed(WHO, replace(TERMS, profile="gm-1")), WHO)
    got = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half)
    assert got.key is not None
    assert opened(pieces.bid, got.key, tmp_path) == BODY
    assert BidFile(io.BytesIO(pieces.data)).signed.certificate == WHO.certificate


def test_a_gm_envelope_is_refused_when_it_is_for_another_or_no_envelope() -> None:
    envelope = seal_for(WHO.certificate, HALF)
    with pytest.raises(EnvelopeRefused) as caught:
        open_for(party("another", "sm2").holder, envelope)
    assert caught.value.why == "not-a-recipient"
    for broken in (envelope[:-1], envelope + b"\0", envelope[:20], envelope.replace(STANDARD, STANDARD[:-1] + b"\5")):
        with pytest.raises(EnvelopeRefused) as caught:
            open_for(WHO.holder, broken)
        assert caught.value.why == "not-an-envelope"


def test_a_changed_byte_of_a_gm_envelope_is_refused_or_stopped_by_the_manifests_digest_of_it() -> None:
    """The form has no tag: a changed ciphertext may give other bytes, so a bid's manifest signs the digest of the wrap."""
    pieces = Pieces(sealed(WHO, replace(TERMS, profile="gm-1"), (b"{}",)), WHO)
    at = pieces.data.index(pieces.bid.wraps["bidder"])
    for place in range(at, at + len(pieces.bid.wraps["bidder"]), 7):
        changed = bytearray(pieces.data)
        changed[place] ^= 1
        with pytest.raises(BidRefused) as caught:
            BidFile(io.BytesIO(bytes(changed)))
        assert caught.value.code == "not-a-bid-file"  # the container's checksum is the first to see it
    assert pieces.bid.manifest.wrap_hash["bidder"] == hashlib.sha256(pieces.bid.wraps["bidder"]).hexdigest()
