"""A vendor's samples of every family pass; each that is missing or wrong is named."""

import datetime as dt
import hashlib
import json

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from erhai import cli
from sync.acts import act_text, sign_act
from sync.anchors import sign_manifest
from sync.person_identity import Identity
from sync.revocation_rule import DAY_MS
from sync.signers import SoftwareSigner
from sync.vendor_samples import check_samples
from tests.person_lab import DAY, FAMILIES, Spec, issue, key, make_crl, vendor

NOW = dt.datetime.now(dt.UTC).replace(microsecond=0)
NOW_MS = int(NOW.timestamp() * 1_000)
TEXT = act_text("样例", {"说明": "厂商样例"}, bytes(32))


def samples(folder, family):
    """Write a vendor's folder, as of today."""
    own, span = vendor(family), {"start": NOW - 30 * DAY, "end": NOW + 30 * DAY}
    sign = issue(Spec(serial=11, **span), key(family, 3), own.ca)
    seal = issue(Spec(serial=12, usage=("key_encipherment", "data_encipherment"), **span), key(family, 4), own.ca)
    gone = issue(Spec(serial=13, **span), key(family, 5), own.ca)
    lists = {"this": NOW - DAY, "until": NOW + 6 * DAY}
    act = sign_act(TEXT, SoftwareSigner(sign.der, sign.key.pkcs8, (own.ca.der,)), NOW)
    description = {
        "name": family,
        "vendor": "试验厂商",
        "purposes": ["sign", "open"],
        "profile": "gmt-0015",
        "vouches": ["person-id"],
        "from_ms": 0,
        "until_ms": NOW_MS * 2,
    }
    rows = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in description.items())
    files = {
        "root.der": own.root.der,
        "ca.der": own.ca.der,
        "anchor.toml": "".join(rows).encode(),
        "sign.der": sign.der,
        "seal.der": seal.der,
        "revoked.der": gone.der,
        "root.crl": make_crl(own.root, **lists),
        "ca.crl": make_crl(own.ca, {13: NOW - 2 * DAY}, **lists),
        "act.txt": TEXT,
        "act.cms": act,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize("family", FAMILIES)
def test_good_samples_pass(family, tmp_path):
    done = CliRunner().invoke(cli, ["trust", "test", str(samples(tmp_path, family)), "--json"])
    assert done.exit_code == 0, done.output
    assert [line["what"] for line in json.loads(done.output)] == ["anchor", "sign", "seal", "revoked", "act"]


@pytest.mark.parametrize(
    ("name", "other", "fails"),
    [
        ("root.der", "", {"anchor", "sign", "seal", "revoked", "act"}),
        ("sign.der", "", {"sign", "act"}),
        ("sign.der", "seal.der", {"sign", "act"}),
        ("seal.der", "sign.der", {"seal"}),
        ("revoked.der", "sign.der", {"revoked"}),
        ("ca.crl", "", {"sign", "seal", "revoked", "act"}),
        ("ca.der", "", {"sign", "seal", "revoked"}),
        ("act.txt", "anchor.toml", {"act"}),
        ("act.cms", "", {"act"}),
    ],
)
def test_what_is_wrong_is_named(name, other, fails, tmp_path):
    samples(tmp_path, "sm2")
    if other:
        (tmp_path / name).write_bytes((tmp_path / other).read_bytes())
    else:
        (tmp_path / name).unlink()
    lines = check_samples(tmp_path, NOW_MS)
    assert {line.what for line in lines if not line.ok} == fails
    done = CliRunner().invoke(cli, ["trust", "test", str(tmp_path)])
    assert done.exit_code == 1
    assert "不通过" in done.output


def test_a_node_takes_a_set_and_lists_by_command_and_refuses_older_ones(tmp_path):
    from sync.note import Signer
    from tests.faults import small_node

    keys = [Signer("dali.erhai/anchors", Ed25519PrivateKey.generate()) for _ in range(3)]
    node, offered = tmp_path / "node", tmp_path / "offered"
    small_node.make(node)
    run = lambda *words: CliRunner().invoke(cli, ["trust", *words, "--data", str(node)])  # noqa: E731
    assert run("anchors").exit_code == 1
    vkeys = json.dumps([str(one.vkey) for one in keys])
    settings = node / "erhai.toml"
    settings.write_text(f"anchor_vkeys = {vkeys}\n" + settings.read_text(encoding="utf-8"), encoding="utf-8")
    root = vendor("sm2").root.der
    place = offered / hashlib.sha256(root).hexdigest()
    place.mkdir(parents=True)
    (tmp_path / "samples").mkdir()
    (place / "anchor.der").write_bytes(root)
    (place / "anchor.toml").write_bytes((samples(tmp_path / "samples", "sm2") / "anchor.toml").read_bytes())
    for version, code, word in ((2, 0, "已导入"), (2, 0, "现有清单"), (1, 1, "goes-back")):
        sign_manifest(offered, version=version, issued_ms=NOW_MS, expires_ms=NOW_MS + DAY_MS, keys=keys[:2])
        done = run("anchors", str(offered))
        assert (done.exit_code, word in done.output) == (code, True), done.output
    assert run("person-crl", str(tmp_path / "samples" / "root.crl")).exit_code == 0
    unknown = run("person-crl", str(tmp_path / "samples" / "ca.crl"))
    assert (unknown.exit_code, "unknown-issuer" in unknown.output) == (1, True)


def test_the_line_that_binds_an_account_is_given_for_a_card_that_counts_and_for_no_other(tmp_path, monkeypatch):
    from sync.note import Signer
    from tests import person_lab
    from tests.faults import small_node
    from tests.person_lab import PERSON_ID, take_trust

    keys = [Signer("dali.erhai/anchors", Ed25519PrivateKey.generate()) for _ in range(3)]
    node, own = tmp_path / "node", vendor("sm2")
    small_node.make(node)
    settings, vkeys = node / "erhai.toml", json.dumps([str(one.vkey) for one in keys])
    settings.write_text(f"anchor_vkeys = {vkeys}\n" + settings.read_text(encoding="utf-8"), encoding="utf-8")
    take_trust(node / "trust" / "persons", tmp_path / "offered", keys, {"sm2": None})
    monkeypatch.setattr("node.cli_trust_persons.machine_ms", lambda: person_lab.NOW_MS)
    (tmp_path / "card.cer").write_bytes(own.person.der)
    (tmp_path / "other.cer").write_bytes(vendor("rsa").person.der)
    run = lambda *words: CliRunner().invoke(cli, ["trust", "holder", *words, "--data", str(node)])  # noqa: E731
    done = run(str(tmp_path / "card.cer"))
    assert done.exit_code == 0, done.output
    anchor = hashlib.sha256(own.root.der).hexdigest()
    assert f'holder = "{Identity("person-id", PERSON_ID, "", anchor).account_key}"' in done.output
    assert PERSON_ID not in done.output
    assert run(str(tmp_path / "other.cer")).exit_code == 1
