"""Anchors, their lists and their holders: what a node takes, what it never takes, and what it says of it."""

import hashlib
import json
from itertools import product

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from sync.anchors import AnchorsRefused, open_anchors, remove_anchor, sign_manifest, take_anchors
from sync.crl_shelf import CrlShelf, ShelfRefused
from sync.forgotten import issuer_id
from sync.note import Signer
from sync.person_certs import judge, judge_again
from sync.person_identity import IdentityRefused, identity_of, profiles
from sync.revocation_rule import (
    DAY_MS,
    RULE,
    Evidence,
    Outcome,
    Purpose,
    Standing,
    Verdict,
    newest,
    rejudged,
    standing_of,
    worst,
)
from tests.person_lab import DAY, FAMILIES, NOW, NOW_MS, PERSON_ID, Spec, anchors_of, issue, key, make_crl, vendor

SIGNERS = tuple(Signer("dali.erhai/anchors", Ed25519PrivateKey.generate()) for _ in range(3))
VKEYS = tuple(signer.vkey for signer in SIGNERS)
STRANGER = Signer("dali.erhai/anchors", Ed25519PrivateKey.generate())


def offer(
    folder, *, version=1, keys=SIGNERS[:2], families=FAMILIES, issued_ms=NOW_MS - DAY_MS, until_ms=NOW_MS + DAY_MS
):
    """Write a signed set of the lab's roots."""
    for family in families:
        der = vendor(family).root.der
        place = folder / hashlib.sha256(der).hexdigest()
        place.mkdir(parents=True)
        (place / "anchor.der").write_bytes(der)
        table = {
            "name": family,
            "vendor": "试验厂商",
            "purposes": ["sign"],
            "profile": "gmt-0015",
            "vouches": ["person-id"],
            "from_ms": 0,
            "until_ms": NOW_MS * 2,
        }
        text = "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in table.items())
        (place / "anchor.toml").write_text(text, encoding="utf-8")
    sign_manifest(folder, version=version, issued_ms=issued_ms, expires_ms=until_ms, keys=keys)
    return folder


def _why(call):
    with pytest.raises((AnchorsRefused, ShelfRefused, IdentityRefused)) as found:
        call()
    return found.value.why


def test_two_of_three_keys_put_a_set_in_force_and_its_version_only_grows(tmp_path):
    held = tmp_path / "held"
    assert take_anchors(held, offer(tmp_path / "1", version=3), VKEYS, NOW_MS)
    assert not take_anchors(held, tmp_path / "1", VKEYS, NOW_MS)
    assert [one.name for one in open_anchors(held, VKEYS).anchors] != []
    assert _why(lambda: take_anchors(held, offer(tmp_path / "2", version=2), VKEYS, NOW_MS)) == "goes-back"
    other = offer(tmp_path / "3", version=3, families=("sm2",))
    assert _why(lambda: take_anchors(held, other, VKEYS, NOW_MS)) == "two-of-one-version"
    assert take_anchors(held, offer(tmp_path / "4", version=4, families=("sm2",), keys=SIGNERS[1:]), VKEYS, NOW_MS)
    assert [one.name for one in open_anchors(held, VKEYS).anchors] == ["sm2"]
    assert len(list(held.glob("*/anchor.der"))) == 1


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ((), "malformed"),
        (SIGNERS[:1], "too-few-signatures"),
        ((SIGNERS[0], SIGNERS[0]), "too-few-signatures"),
        ((SIGNERS[0], STRANGER), "too-few-signatures"),
        ((STRANGER, STRANGER), "forged"),
    ],
)
def test_fewer_than_two_of_the_prefectures_keys_are_nobody(tmp_path, keys, why):
    offer(tmp_path / "1", keys=keys)
    assert _why(lambda: open_anchors(tmp_path / "1", VKEYS)) == why


def test_an_expired_set_says_so_and_judges_nobody(tmp_path):
    offer(tmp_path / "1", until_ms=NOW_MS - 1)
    assert _why(lambda: take_anchors(tmp_path / "held", tmp_path / "1", VKEYS, NOW_MS)) == "expired"
    offer(tmp_path / "2", issued_ms=NOW_MS + 3 * DAY_MS, until_ms=NOW_MS + 9 * DAY_MS)
    assert _why(lambda: take_anchors(tmp_path / "held", tmp_path / "2", VKEYS, NOW_MS)) == "not-yet"
    from sync.certificate_form import CertRefused

    own, expired = vendor("ecdsa"), anchors_of(expires_ms=NOW_MS - 1)
    with pytest.raises(CertRefused) as found:
        judge(own.person.der, chain=[own.ca.der], anchors=expired, at_ms=NOW_MS, purpose=Purpose.SIGN, crls=own.crls())
    assert found.value.why == "anchors-expired"
    assert "bring a newer manifest" in found.value.rule


@pytest.mark.parametrize("name", ["anchor.der", "anchor.toml"])
def test_a_changed_file_is_seen(tmp_path, name):
    offer(tmp_path / "1")
    path = next((tmp_path / "1").glob(f"*/{name}"))
    path.write_bytes(path.read_bytes() + b"\n")
    assert _why(lambda: open_anchors(tmp_path / "1", VKEYS)) == "changed-file"
    path.unlink()
    assert _why(lambda: open_anchors(tmp_path / "1", VKEYS)) == "changed-file"


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"gmt-0015"', '"nowhere"'),
        ('"person-id"', '"mood"'),
        ('"sign"', '"everything"'),
        ("from_ms = 0", "grace_days = 99"),
        ("name = ", "nome = "),
    ],
)
def test_an_anchor_that_says_what_nobody_knows_is_not_signed(tmp_path, old, new):
    offer(tmp_path / "1", families=("sm2",))
    path = next((tmp_path / "1").glob("*/anchor.toml"))
    text = path.read_text(encoding="utf-8").replace(old, new)
    path.write_text(text, encoding="utf-8")
    sign = lambda: sign_manifest(tmp_path / "1", version=2, issued_ms=0, expires_ms=1, keys=SIGNERS)  # noqa: E731
    assert _why(sign) == "bad-anchor"


def test_a_county_only_removes_and_the_next_set_does_not_bring_it_back(tmp_path):
    held = tmp_path / "held"
    take_anchors(held, offer(tmp_path / "1"), VKEYS, NOW_MS)
    gone = hashlib.sha256(vendor("rsa").root.der).hexdigest()
    remove_anchor(held, gone)
    assert open_anchors(held, VKEYS).find(gone) is None
    take_anchors(held, offer(tmp_path / "2", version=2), VKEYS, NOW_MS)
    assert open_anchors(held, VKEYS).find(gone) is None
    assert len(open_anchors(held, VKEYS).anchors) == 3


@pytest.mark.parametrize("family", FAMILIES)
def test_a_list_never_goes_back(tmp_path, family):
    own = vendor(family)
    shelf = CrlShelf(tmp_path)
    issuers = [own.root.der, own.ca.der]
    first = make_crl(own.ca, number=5)
    assert shelf.take(first, issuers, NOW_MS)
    assert not shelf.take(first, issuers, NOW_MS)
    later = {"this": NOW, "until": NOW + 7 * DAY}
    cases = {
        "goes-back": make_crl(own.ca, number=4, **later),
        "two-of-one-number": make_crl(own.ca, {9: NOW - DAY}, number=5, **later),
        "signature": make_crl(own.ca, number=6, signer=key(family, 5), **later),
        "unknown-issuer": make_crl(vendor("ecdsa" if family != "ecdsa" else "sm2").ca, number=6),
        "from-the-future": make_crl(own.ca, number=6, this=NOW + 3 * DAY, until=NOW + 9 * DAY),
        "malformed": first[:-1],
    }
    for why, der in cases.items():
        assert _why(lambda der=der: shelf.take(der, issuers, NOW_MS)) == why
    assert _why(lambda: shelf.take(make_crl(own.ca, number=6, this=NOW - 3 * DAY), issuers, NOW_MS)) == "goes-back"
    assert shelf.take(make_crl(own.ca, number=6, **later), issuers, NOW_MS)
    assert shelf.take(make_crl(own.root, number=1), issuers, NOW_MS)
    assert len(shelf.all()) == 2


@pytest.mark.parametrize("family", FAMILIES)
def test_a_revocation_that_a_newer_list_forgets_still_decides(tmp_path, family):
    own = vendor(family)
    shelf = CrlShelf(tmp_path / "shelf")
    issuers, serial = [own.root.der, own.ca.der], own.person.parsed.serial_number
    anchors = open_anchors(offer(tmp_path / "anchors"), VKEYS)

    def standing():
        return judge(
            own.person.der,
            chain=[own.ca.der],
            anchors=anchors,
            at_ms=NOW_MS,
            purpose=Purpose.SIGN,
            crls=shelf.all(),
            forgotten=shelf.forgotten(),
        ).standing

    shelf.take(make_crl(own.root, number=1), issuers, NOW_MS)
    shelf.take(make_crl(own.ca, {serial: NOW - 2 * DAY, 77: NOW - 3 * DAY}, number=5), issuers, NOW_MS)
    assert standing() is Standing.REVOKED
    assert shelf.forgotten() == ()
    shelf.take(make_crl(own.ca, {77: NOW - 3 * DAY}, number=6, this=NOW - DAY / 2), issuers, NOW_MS)
    assert [one.evidence.serial for one in shelf.forgotten()] == [serial]
    assert standing() is Standing.REVOKED
    shelf.take(make_crl(own.ca, {}, number=7, this=NOW - DAY / 3), issuers, NOW_MS)
    assert standing() is Standing.REVOKED
    with (tmp_path / "shelf" / "forgotten").open("a") as file:
        file.write("cut o")
    assert [one.issuer for one in shelf.forgotten()] == [issuer_id(own.ca.parsed)] * 2


# -- the rule ---------------------------------------------------------------------------------------------------------


def _evidence(this_days, until_days, revoked_days=None, serial=1):
    at = lambda days: NOW_MS + int(days * DAY_MS)  # noqa: E731
    return Evidence(
        serial=serial,
        kind="crl",
        sha256="",
        this_update_ms=at(this_days),
        next_update_ms=at(until_days),
        revoked_ms=0 if revoked_days is None else at(revoked_days),
    )


def test_every_state_and_purpose_has_a_verdict_and_a_revoked_certificate_none_but_no():
    assert set(RULE) == set(product(Standing, Purpose))
    assert {RULE[Standing.REVOKED, one] for one in Purpose} == {Verdict.NO}
    assert RULE[Standing.UNKNOWN, Purpose.SIGN] is Verdict.NO
    assert RULE[Standing.GRACE, Purpose.SIGN] is Verdict.SECOND_PERSON
    assert RULE[Standing.UNKNOWN, Purpose.OPEN] is Verdict.PENDING


@pytest.mark.parametrize(
    ("evidence", "standing"),
    [
        (None, Standing.UNKNOWN),
        (_evidence(-1, 6), Standing.FRESH),
        (_evidence(-8, 0), Standing.FRESH),
        (_evidence(-8, -1), Standing.GRACE),
        (_evidence(-9, -7), Standing.GRACE),
        (_evidence(-9, -7.001), Standing.UNKNOWN),
        (_evidence(1, 8), Standing.FRESH),
        (_evidence(-1, 6, -2), Standing.REVOKED),
        (_evidence(-90, -80, -85), Standing.REVOKED),
        (_evidence(-1, 6, 0), Standing.REVOKED),
        (_evidence(1, 6, 0.5), Standing.FRESH),
    ],
)
def test_four_states_by_table(evidence, standing):
    assert standing_of(evidence, NOW_MS, 7) is standing


_rows = st.builds(_evidence, st.integers(-50, 0), st.integers(1, 20), st.one_of(st.none(), st.integers(-60, -1)))


@given(st.lists(_rows, max_size=6), _rows)
def test_more_data_never_takes_a_revocation_back(rows, more):
    before, after = newest(rows), newest([*rows, more])
    if before is not None and before.revoked_ms:
        assert after is not None
        assert after.revoked_ms
        assert after.revoked_ms <= before.revoked_ms


@given(st.lists(st.sampled_from(list(Standing)), min_size=1))
def test_a_path_is_as_bad_as_its_worst_certificate(standings):
    order = [Standing.FRESH, Standing.GRACE, Standing.UNKNOWN, Standing.REVOKED]
    assert worst(standings) is max(standings, key=order.index)


def test_an_act_is_judged_again_by_data_from_after_it():
    assert rejudged([_evidence(-1, 6)], NOW_MS) is Outcome.STILL_PENDING
    assert rejudged([_evidence(1, 6), _evidence(-1, 6)], NOW_MS) is Outcome.STILL_PENDING
    assert rejudged([_evidence(1, 6), None], NOW_MS) is Outcome.STILL_PENDING
    assert rejudged([], NOW_MS) is Outcome.STILL_PENDING
    assert rejudged([_evidence(1, 6), _evidence(2, 6)], NOW_MS) is Outcome.CONFIRMED
    assert rejudged([_evidence(1, 6), _evidence(2, 6, 1)], NOW_MS) is Outcome.CONFIRMED
    assert rejudged([_evidence(1, 6, -1), _evidence(2, 6)], NOW_MS) is Outcome.WAS_REVOKED


@pytest.mark.parametrize("family", FAMILIES)
def test_an_act_of_any_family_is_judged_again(family):
    own = vendor(family)
    later = {"this": NOW + 8 * DAY, "until": NOW + 15 * DAY}
    asked = {"chain": [own.ca.der], "anchors": anchors_of(), "at_ms": NOW_MS, "purpose": Purpose.SIGN}
    root = make_crl(own.root, **later)
    for crls, outcome in (
        (own.crls(), Outcome.STILL_PENDING),
        ((root, make_crl(own.ca, **later)), Outcome.CONFIRMED),
        ((root, make_crl(own.ca, {0x1001: NOW + DAY}, **later)), Outcome.CONFIRMED),
        ((root, make_crl(own.ca, {0x1001: NOW - DAY}, **later)), Outcome.WAS_REVOKED),
    ):
        assert judge_again(own.person.der, crls=crls, **asked)[0] is outcome


# -- who it is --------------------------------------------------------------------------------------------------------

USCC = "91330106673959654P"


def _holder(*, profile="gmt-0015", vouches=("person-id",), **spec):
    own = issue(Spec(**spec), key("ecdsa", 3), vendor("ecdsa").ca)
    read = x509.load_der_x509_certificate(own.der)
    return identity_of(read, anchor="a", profile=profile, vouches=frozenset(vouches))


def _string(kind, text):
    from asn1crypto import core

    tagged = {"tagged": lambda: core.PrintableString(text, explicit=0).dump()}
    made = {
        "utf8": lambda: core.UTF8String(text).dump(),
        "ia5": lambda: core.IA5String(text).dump(),
        "octets": lambda: core.OctetString(text.encode()).dump(),
        "string in octets": lambda: core.OctetString(core.UTF8String(text).dump()).dump(),
        "bare": text.encode,
        "full width": lambda: core.UTF8String("".join(chr(ord(sign) + 0xFEE0) for sign in text)).dump(),
        "spaces": lambda: core.UTF8String(f" {text} ").dump(),
        **tagged,
    }
    return made[kind]()


@pytest.mark.parametrize(
    "kind", ["utf8", "ia5", "octets", "string in octets", "bare", "full width", "spaces", "tagged"]
)
def test_a_number_is_read_however_it_is_written(kind):
    extra = (("1.2.156.10260.4.1.1", False, _string(kind, PERSON_ID)),)
    assert _holder(person_id=None, extra=extra).value == PERSON_ID


@pytest.mark.parametrize(
    ("profile", "kind", "oid", "value"),
    [
        (name, source.kind, source.oid, {"person-id": PERSON_ID, "social-credit": USCC}.get(source.kind, "530100"))
        for name, sources in profiles().items()
        for source in sources
        if source.where == "extension"
    ],
)
def test_every_place_of_every_profile_is_read(profile, kind, oid, value):
    extra = ((oid, False, _string("utf8", value)),)
    found = _holder(profile=profile, vouches=(kind,), person_id=None, extra=extra)
    assert (found.kind, found.value) == (kind, value)


def test_a_number_in_the_name_loses_its_leading_0():
    found = _holder(profile="name-041", subject=f"041@0{PERSON_ID}@张三@00000001", person_id=None)
    assert (found.value, found.name) == (PERSON_ID, "张三")
    assert PERSON_ID not in repr(found)
    assert "张三" not in repr(found)


def test_the_account_is_of_anchor_and_number():
    one = _holder()
    read = x509.load_der_x509_certificate(vendor("ecdsa").person.der)
    other = identity_of(read, anchor="b", profile="gmt-0015", vouches=frozenset({"person-id"}))
    assert one.value == other.value
    assert one.account_key != other.account_key


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"profile": "nowhere"}, "profile-unknown"),
        ({"vouches": ("social-credit",)}, "none-found"),
        ({"person_id": PERSON_ID[:-1] + "9"}, "check-digit"),
        ({"person_id": "x"}, "check-digit"),
        ({"person_id": None, "extra": (("1.2.156.10260.4.1.1", False, b"\x04\x02\xff\xfe"),)}, "unreadable"),
        ({"profile": "serial-number", "subject_more": {"serial_number": PERSON_ID}, "person_id": None}, ""),
    ],
)
def test_an_identity_that_does_not_count_says_why(changes, why):
    if why:
        assert _why(lambda: _holder(**changes)) == why
    else:
        assert _holder(**changes).value == PERSON_ID
