"""BouncyCastle believes what we sign, in all four families, and we believe what it signs; openssl where it can."""

import base64
import subprocess

import pytest

from sync.acts import ActRefused, act_text, sign_act, verify_act
from sync.signers import SoftwareSigner
from tests.bytes.test_sm2 import CHANGED, KEY, MESSAGE, SIGNATURE
from tests.judges import bouncy_castle
from tests.judges.sm2_judge import compare
from tests.person_lab import DAY, FAMILIES, NOW, NOW_MS, anchors_of, make_crl, vendor

needs_java = pytest.mark.skipif(bool(bouncy_castle.missing()), reason=bouncy_castle.missing())
TEXT = act_text("评分表签字", {"标段": "A3205-2026-01", "成员": "E1"}, bytes(range(32)))


def signer(family: str) -> SoftwareSigner:
    own = vendor(family)
    return SoftwareSigner(own.person.der, own.person.key.pkcs8, (own.ca.der,))


@needs_java
def test_two_hundred_keys_and_messages_agree():
    assert compare(200)[1] == 0


@needs_java
def test_every_changed_signature_is_refused_there_too():
    asked = [f"sm2 {KEY.spki.hex()} {MESSAGE.hex()} {one.hex()}" for one in CHANGED.values() if one]
    answers = bouncy_castle.ask([f"sm2 {KEY.spki.hex()} {MESSAGE.hex()} {SIGNATURE.hex()}", *asked])
    assert answers[0] == "yes"
    assert len(asked) >= 50
    assert "yes" not in answers[1:]


@needs_java
def test_acts_chains_and_lists_of_all_four_families_stand_before_bouncy_castle():
    asked, expected = [], []
    for family in FAMILIES:
        own = vendor(family)
        made = sign_act(TEXT, signer(family), NOW)
        asked += [
            f"cms {own.person.der.hex()} {TEXT.hex()} {made.hex()}",
            f"cms {own.person.der.hex()} {TEXT.hex()}20 {made.hex()}",
            f"link {own.person.der.hex()} {own.ca.der.hex()}",
            f"link {own.ca.der.hex()} {own.root.der.hex()}",
            f"link {own.person.der.hex()} {own.root.der.hex()}",
            f"crl {make_crl(own.ca, {0x1001: NOW - DAY}).hex()} {own.ca.der.hex()} 1001",
            f"crl {make_crl(own.ca, {0x1001: NOW - DAY}).hex()} {own.ca.der.hex()} 1002",
        ]
        expected += ["yes", "no", "yes", "yes", "no", "revoked", "good"]
    assert bouncy_castle.ask(asked) == expected


def _pem(path, *ders):
    rows = (b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n" for der in ders)
    path.write_bytes(b"".join(rows))
    return str(path)


@pytest.mark.parametrize("family", ["rsa", "ecdsa"])
def test_openssl_verifies_our_acts(family, tmp_path):
    (tmp_path / "a.cms").write_bytes(sign_act(TEXT, signer(family), NOW))
    roots = _pem(tmp_path / "roots.pem", vendor(family).root.der)
    for text, code in ((TEXT, 0), (TEXT + b" ", 4)):
        (tmp_path / "a.txt").write_bytes(text)
        done = subprocess.run(
            ["openssl", "cms", "-verify", "-inform", "DER", "-in", tmp_path / "a.cms", "-content", tmp_path / "a.txt",
             "-binary", "-CAfile", roots, "-purpose", "any", "-attime", str(NOW_MS // 1_000), "-out", "/dev/null"],
            capture_output=True, check=False,
        )  # fmt: skip
        assert done.returncode == code


@pytest.mark.parametrize("family", ["rsa", "ecdsa"])
def test_we_verify_what_openssl_signs(family, tmp_path):
    own = vendor(family)
    leaf, more = _pem(tmp_path / "leaf.pem", own.person.der), _pem(tmp_path / "ca.pem", own.ca.der)
    key = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(own.person.key.pkcs8) + b"-----END PRIVATE KEY-----\n"
    (tmp_path / "key.pem").write_bytes(key)
    (tmp_path / "a.txt").write_bytes(TEXT)
    for cades in (["-cades"], []):
        subprocess.run(
            ["openssl", "cms", "-sign", "-binary", "-in", tmp_path / "a.txt", "-signer", leaf, "-inkey",
             tmp_path / "key.pem", "-certfile", more, "-outform", "DER", "-md", "sha256", "-out", tmp_path / "a.cms", *cades],
            check=True,
        )  # fmt: skip
        made = (tmp_path / "a.cms").read_bytes()
        if cades:
            found = verify_act(TEXT, made, anchors_of(), at_ms=NOW_MS, crls=own.crls())
            assert found.certificate == found.state.certificate_sha256
        else:
            with pytest.raises(ActRefused) as refused:
                verify_act(TEXT, made, anchors_of(), at_ms=NOW_MS, crls=own.crls())
            assert refused.value.why == "attributes"
