"""The same act by a key in memory, by SoftHSM through PKCS #11, and by an SKF token: all verify, and wrong PINs do not sign."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from sync.acts import act_text, sign_act, verify_act
from sync.signers import Pkcs11Signer, SoftwareSigner, TokenFault
from sync.skf import SkfSigner
from tests.person_lab import FAMILIES, NOW, NOW_MS, anchors_of, vendor

TEXT = act_text("评分表签字", {"标段": "A"}, bytes(32))
SOFTHSM = next((path for path in ("/usr/lib/softhsm/libsofthsm2.so",) if Path(path).exists()), "")
needs_token = pytest.mark.skipif(not SOFTHSM or not shutil.which("softhsm2-util"), reason="softhsm2 is not installed")
needs_gcc = pytest.mark.skipif(shutil.which("gcc") is None, reason="gcc is not installed")


def _stands(signer, family):
    own = vendor(family)
    found = verify_act(TEXT, sign_act(TEXT, signer, NOW), anchors_of(), at_ms=NOW_MS, crls=own.crls())
    return found.state.family == family and found.claimed_ms == NOW_MS


@pytest.mark.parametrize("family", FAMILIES)
def test_a_key_in_memory_signs(family):
    own = vendor(family)
    assert _stands(SoftwareSigner(own.person.der, own.person.key.pkcs8, (own.ca.der, own.root.der)), family)


@pytest.fixture(scope="module")
def softhsm(tmp_path_factory):
    """A SoftHSM with a token of each family that PKCS #11 knows."""
    folder = tmp_path_factory.mktemp("softhsm")
    (folder / "tokens").mkdir()
    conf = folder / "softhsm2.conf"
    conf.write_text(f"directories.tokendir = {folder}/tokens\nobjectstore.backend = file\nlog.level = ERROR\n")
    os.environ["SOFTHSM2_CONF"] = str(conf)  # read once, when the library is loaded
    from tests.tokens.load_token import load

    for family in ("rsa", "ecdsa", "ed25519"):
        label = f"ukey-{family}"
        done = ["softhsm2-util", "--init-token", "--free", "--label", label, "--so-pin", "87654321", "--pin", "123456"]
        subprocess.run(done, check=True, capture_output=True)  # every one before the library looks for tokens
    for family in ("rsa", "ecdsa", "ed25519"):
        label, own = f"ukey-{family}", vendor(family)
        load(SOFTHSM, label, "123456", own.person.key.pkcs8, own.person.der)
    return SOFTHSM


@needs_token
@pytest.mark.parametrize("family", ["rsa", "ecdsa", "ed25519"])
def test_a_token_signs_by_pkcs11(softhsm, family):
    signer = Pkcs11Signer(softhsm, token=f"ukey-{family}", pin="123456", chain=(vendor(family).ca.der,))
    try:
        assert signer.certificate == vendor(family).person.der
        assert _stands(signer, family)
    finally:
        signer.close()


@needs_token
@pytest.mark.parametrize(
    ("library", "token", "pin", "why"),
    [
        ("", "ukey-rsa", "000000", "wrong-pin"),
        ("", "nobody", "123456", "no-token"),
        ("/nowhere/lib.so", "ukey-rsa", "123456", "no-library"),
    ],
)
def test_a_token_that_cannot_be_used_says_why_and_never_the_pin(softhsm, library, token, pin, why):
    with pytest.raises(TokenFault) as found:
        Pkcs11Signer(library or softhsm, token=token, pin=pin)
    assert found.value.why == why
    assert pin not in str(found.value)


@pytest.fixture(scope="module")
def skf(tmp_path_factory):
    """The mock library, compiled here."""
    folder = tmp_path_factory.mktemp("skf")
    source = Path(__file__).parents[1] / "tokens" / "skf_mock.c"
    library = folder / "libskf_mock.so"
    subprocess.run(["gcc", "-shared", "-fPIC", "-o", library, source, "-l:libcrypto.so.3"], check=True)
    own = vendor("sm2")
    (folder / "key").write_bytes(own.person.key.pkcs8)
    (folder / "cert").write_bytes(own.person.der)
    os.environ["SKF_MOCK_KEY"], os.environ["SKF_MOCK_CERT"] = str(folder / "key"), str(folder / "cert")
    return str(library)


def _open(skf, **changes):
    fields = {
        "device": "mock",
        "application": "app",
        "container": "con",
        "pin": "123456",
        "chain": (vendor("sm2").ca.der,),
    }
    return SkfSigner(skf, **{**fields, **changes})


@needs_gcc
def test_an_sm2_token_signs_by_skf(skf):
    signer = _open(skf)
    assert signer.certificate == vendor("sm2").person.der
    assert _stands(signer, "sm2")
    signer.close()


@needs_gcc
@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"device": "none"}, "no-token"),
        ({"application": "none"}, "no-token"),
        ({"container": "none"}, "no-key"),
        ({"pin": "000000"}, "wrong-pin"),
    ],
)
def test_an_skf_token_that_cannot_be_used_says_why(skf, changes, why):
    with pytest.raises(TokenFault) as found:
        _open(skf, **changes)
    assert found.value.why == why
    assert "000000" not in str(found.value)
    _open(skf).close()  # and the count of wrong PINs is cleared


@needs_gcc
def test_an_skf_token_of_another_key_is_caught_before_the_node_is_asked(skf, monkeypatch, tmp_path):
    (tmp_path / "other").write_bytes(vendor("sm2").ca.key.pkcs8)
    signer = _open(skf)
    monkeypatch.setenv("SKF_MOCK_KEY", str(tmp_path / "other"))
    with pytest.raises(TokenFault) as found:
        signer.sign(b"x")
    assert found.value.why == "failed"


def test_a_library_without_skf_functions_is_named():
    with pytest.raises(TokenFault) as found:
        _open("libcrypto.so.3")
    assert found.value.why == "not-offered"
