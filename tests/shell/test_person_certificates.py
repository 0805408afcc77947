"""The matrix: every case by both validators, and by the openssl command, in every family; no line is used."""

import base64
import datetime as dt
import hashlib
import subprocess
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import pytest

from sync import validators
from sync.certificate_form import CertRefused, read_certificate
from sync.person_certs import judge
from sync.revocation_rule import DAY_MS, Purpose, Standing
from sync.validators import first, second
from tests.person_lab import (
    CA_USAGE,
    DAY,
    FAMILIES,
    NOW,
    NOW_MS,
    PERSON_ID,
    Key,
    Party,
    Spec,
    anchor_of,
    anchors_of,
    issue,
    key,
    make_crl,
    make_ocsp,
    vendor,
)

OTHER = {"rsa": "sm2", "ecdsa": "ed25519", "ed25519": "rsa", "sm2": "ecdsa"}


@dataclass
class Shown:
    """What is judged: the certificate and what comes with it."""

    leaf: bytes
    chain: list[bytes]
    crls: list[bytes] = field(default_factory=list)
    ocsp: list[bytes] = field(default_factory=list)
    at_ms: int = NOW_MS
    purpose: Purpose = Purpose.SIGN
    anchors: Any = None


def _leaf(family: str, **spec: Any) -> Party:
    own = vendor(family)
    return issue(Spec(**spec), key(family, 3), own.ca)


def _with(family: str, **spec: Any) -> Shown:
    own = vendor(family)
    return Shown(_leaf(family, **spec).der, [own.ca.der], list(own.crls()))


def _crl(family: str, **crl: Any) -> Shown:
    own = vendor(family)
    return Shown(own.person.der, [own.ca.der], list(own.crls(**crl)))


def _ca(family: str, spec: dict[str, Any], person: dict[str, Any] | None = None) -> Shown:
    """A person under an issuing CA of another form."""
    own = vendor(family)
    base = {"subject": "另一签发机构", "serial": 9, "ca": True, "usage": CA_USAGE, "person_id": None}
    ca = issue(Spec(**{**base, **spec}), key(family, 5), own.root)
    leaf = issue(Spec(**(person or {})), key(family, 3), ca)
    return Shown(leaf.der, [ca.der], [make_crl(own.root), make_crl(ca)])


def _changed(family: str, at: int) -> Shown:
    shown = _with(family)
    body = bytearray(shown.leaf)
    body[at] ^= 1
    return Shown(bytes(body), shown.chain, shown.crls)


def _under_person(family: str) -> Shown:
    own = vendor(family)
    leaf = issue(Spec(subject="冒名", serial=77), key(family, 4), own.person)
    return Shown(leaf.der, [own.person.der, own.ca.der], list(own.crls()))


def _deeper(family: str) -> Shown:
    """The issuing CA has path length 0, and another CA stands below it."""
    own = vendor(family)
    below = issue(Spec(subject="下级", serial=10, ca=True, usage=CA_USAGE, person_id=None), key(family, 5), own.ca)
    leaf = issue(Spec(), key(family, 3), below)
    return Shown(leaf.der, [own.ca.der, below.der], [*own.crls(), make_crl(below)])


def _answer(family: str, **more: Any) -> Shown:
    own = vendor(family)
    return Shown(own.person.der, [own.ca.der], [make_crl(own.root)], [make_ocsp(own.ca, 0x1001, **more)])


@cache
def _responder(family: str) -> Party:
    own = vendor(family)
    spec = Spec(
        subject="应答机",
        serial=66,
        person_id=None,
        usage=("digital_signature",),
        extended=("ocsp_signing",),
        nocheck=True,
    )
    return issue(spec, key(family, 4), own.ca)


def _stranger(family: str) -> Shown:
    root = issue(Spec(subject="陌生根", serial=1, ca=True, usage=CA_USAGE, person_id=None), key(family, 5))
    return Shown(issue(Spec(), key(family, 3), root).der, [root.der], [make_crl(root)])


def _same_name(family: str) -> Shown:
    """Another key calls itself the issuing CA."""
    own = vendor(family)
    false = Party(own.ca.der, key(family, 5), own.ca.name)
    spec = Spec(authority_key=own.ca.parsed.key_identifier)
    return Shown(issue(spec, key(family, 3), false).der, [own.ca.der], list(own.crls()))


def _two_families(family: str) -> Shown:
    """A CA of one family issues to a key of another."""
    own = vendor(family)
    return Shown(issue(Spec(), key(OTHER[family], 3), own.ca).der, [own.ca.der], list(own.crls()))


def _at(shown: Shown, at: dt.datetime) -> Shown:
    shown.at_ms = int(at.timestamp() * 1_000)
    return shown


def _for(shown: Shown, purpose: Purpose) -> Shown:
    shown.purpose = purpose
    return shown


def _by(shown: Shown, family: str, **anchor: Any) -> Shown:
    shown.anchors = anchors_of(anchor_of(vendor(family).root, **anchor))
    return shown


GOOD = ("digital_signature", "non_repudiation")
SEAL = ("key_encipherment", "data_encipherment")
OID, CREDIT = "1.2.156.10260.4.1.1", "1.2.156.10260.4.1.4"
CASES: dict[str, tuple[Any, str]] = {
    # the chain, the signatures and the time
    "good": (_with, "fresh"),
    "without a serial's twin": (lambda f: _with(f, serial=2**120 + 7), "fresh"),
    "under the root itself": (
        lambda f: Shown(issue(Spec(), key(f, 3), vendor(f).root).der, [], [make_crl(vendor(f).root)]), "fresh"),
    "chain with the root in it": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).root.der, vendor(f).ca.der], list(vendor(f).crls())), "fresh"),
    "chain in another order, with strangers": (
        lambda f: Shown(vendor(f).person.der, [vendor(OTHER[f]).ca.der, vendor(f).ca.der], list(vendor(f).crls())), "fresh"),
    "a key of another family": (_two_families, "fresh"),
    "no chain": (lambda f: Shown(vendor(f).person.der, [], list(vendor(f).crls())), "unknown-issuer"),
    "another vendor's chain": (
        lambda f: Shown(vendor(f).person.der, [vendor(OTHER[f]).ca.der], list(vendor(f).crls())), "unknown-issuer"),
    "a stranger's root": (_stranger, "unknown-issuer"),
    "signs itself": (lambda f: Shown(issue(Spec(), key(f, 3)).der, [], []), "chain"),
    "another key under the CA's name": (_same_name, "chain"),
    "signed by another key": (lambda f: _with(f, signer=key(f, 5)), "chain"),
    "a changed byte of the signature": (lambda f: _changed(f, -3), "chain"),
    "a changed byte of the name": (
        lambda f: Shown(vendor(f).person.der.replace("试验人员".encode(), "试验人贝".encode()), [vendor(f).ca.der], list(vendor(f).crls())), "chain"),
    "expired": (lambda f: _with(f, start=NOW - 60 * DAY, end=NOW - DAY), "expired"),
    "expired a second ago": (lambda f: _with(f, end=NOW - dt.timedelta(seconds=1)), "expired"),
    "ends this second": (lambda f: _with(f, end=NOW), "fresh"),
    "begins this second": (lambda f: _with(f, start=NOW), "fresh"),
    "not yet valid": (lambda f: _with(f, start=NOW + DAY), "not-yet-valid"),
    "not yet valid by a second": (lambda f: _with(f, start=NOW + dt.timedelta(seconds=1)), "not-yet-valid"),
    "valid at the act, expired today": (
        lambda f: _at(_with(f, end=NOW - DAY / 2), NOW - 2 * DAY), "fresh"),
    "judged before it began": (lambda f: _at(_with(f), NOW - 60 * DAY), "not-yet-valid"),
    "the CA has expired": (lambda f: _ca(f, {"start": NOW - 90 * DAY, "end": NOW - DAY}), "expired"),
    "the CA is not yet valid": (lambda f: _ca(f, {"start": NOW + DAY}), "not-yet-valid"),
    "issued by a person": (_under_person, "chain"),
    "the CA may not issue": (lambda f: _ca(f, {"ca": False}), "chain"),
    "the CA has no basic constraints": (lambda f: _ca(f, {"ca": None}), "chain"),
    "the CA's key may not sign certificates": (lambda f: _ca(f, {"usage": ("crl_sign",)}), "chain"),
    "a CA too deep": (_deeper, "chain"),
    # the form
    "names no issuer's key": (lambda f: _with(f, authority_key=b"\1" * 20), "unknown-issuer"),
    "a critical extension that nobody knows": (
        lambda f: _with(f, extra=(("1.2.156.99.7", True, b"\5\0"),)), "critical-extension"),
    "an extension that nobody knows": (lambda f: _with(f, extra=(("1.2.156.99.7", False, b"\5\0"),)), "fresh"),
    "an extension twice": (lambda f: _with(f, twice=True), "malformed"),
    "cut short": (lambda f: Shown(vendor(f).person.der[:-1], [vendor(f).ca.der]), "malformed"),
    "a byte behind": (lambda f: Shown(vendor(f).person.der + b"\0", [vendor(f).ca.der]), "malformed"),
    "empty": (lambda f: Shown(b"", [vendor(f).ca.der]), "malformed"),
    "not a certificate": (lambda f: Shown(vendor(f).crls()[0], [vendor(f).ca.der]), "malformed"),
    "too long": (lambda f: Shown(b"\x30" * 20_000, [vendor(f).ca.der]), "malformed"),
    "serial 0": (lambda f: _with(f, serial=0), "malformed"),
    "dates the wrong way round": (lambda f: _with(f, start=NOW + DAY, end=NOW - DAY), "malformed"),
    "another algorithm outside than inside": (
        lambda f: _with(f, outer_algorithm="sha512_rsa" if f != "rsa" else "sha512_ecdsa"), "algorithm"),
    "RSA of 1024 bits": (
        lambda f: Shown(issue(Spec(), key("rsa-1024"), vendor(f).ca).der, [vendor(f).ca.der]), "algorithm"),
    "a curve of coins": (
        lambda f: Shown(issue(Spec(), key("p-192"), vendor(f).ca).der, [vendor(f).ca.der]), "algorithm"),
    "too many certificates": (lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der] * 7), "chain"),
    # the use
    "for sealing, used to sign": (lambda f: _with(f, usage=SEAL), "usage"),
    "for sealing, used to open": (lambda f: _for(_with(f, usage=SEAL), Purpose.OPEN), "fresh"),
    "for signing, used to open": (lambda f: _for(_with(f), Purpose.OPEN), "usage"),
    "for sealing, used to sign in": (lambda f: _for(_with(f, usage=SEAL), Purpose.LOGIN), "usage"),
    "for sign-in only": (lambda f: _for(_with(f, usage=("digital_signature",)), Purpose.LOGIN), "fresh"),
    "for sign-in only, used to sign": (lambda f: _with(f, usage=("digital_signature",)), "usage"),
    "no key usage": (lambda f: _with(f, usage=None), "usage"),
    "a CA that signs acts": (lambda f: _with(f, ca=True, usage=(*GOOD, "key_cert_sign")), "usage"),
    # revocation
    "revoked": (lambda f: _crl(f, revoked={0x1001: NOW - DAY * 3}), "revoked"),
    "revoked after the act": (
        lambda f: _at(_crl(f, revoked={0x1001: NOW - DAY * 3}), NOW - 4 * DAY), "fresh"),
    "another one revoked": (lambda f: _crl(f, revoked={0x1002: NOW - DAY * 3}), "fresh"),
    "the CA revoked": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der],
                        [make_crl(vendor(f).root, {2: NOW - DAY * 3}), make_crl(vendor(f).ca)]), "revoked"),
    "a list that ran out yesterday": (lambda f: _crl(f, this=NOW - 8 * DAY, until=NOW - DAY), "grace"),
    "a list that ran out seven days ago": (lambda f: _crl(f, this=NOW - 9 * DAY, until=NOW - 7 * DAY), "grace"),
    "a list that ran out eight days ago": (lambda f: _crl(f, this=NOW - 9 * DAY, until=NOW - 8 * DAY), "unknown"),
    "a list that ran out, and a newer one": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der],
                        [*vendor(f).crls(), make_crl(vendor(f).ca, this=NOW - 9 * DAY, until=NOW - 8 * DAY)]), "fresh"),
    "revoked by an old list, forgotten by a new one": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der],
                        [*vendor(f).crls(), make_crl(vendor(f).ca, {0x1001: NOW - 9 * DAY}, this=NOW - 9 * DAY, until=NOW - 2 * DAY)]), "revoked"),
    "no list": (lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der]), "unknown"),
    "no list of the root": (lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der], [make_crl(vendor(f).ca)]), "unknown"),
    "a list that another key signed": (lambda f: _crl(f, signer=key(f, 5)), "unknown"),
    "a changed list": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der],
                        [make_crl(vendor(f).root), vendor(f).crls()[1][:-2] + b"\1\1"]), "unknown"),
    "no list at all but bytes": (lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der], [b"\x30\0"], [b"\x30\0"]), "unknown"),
    "another vendor's list": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der], list(vendor(OTHER[f]).crls())), "unknown"),
    "an answer: good": (_answer, "fresh"),
    "an answer: revoked": (lambda f: _answer(f, revoked=NOW - 2 * DAY), "revoked"),
    "an answer that ran out": (lambda f: _answer(f, this=NOW - 4 * DAY, until=NOW - 3 * DAY), "grace"),
    "an answer by a delegated responder": (lambda f: _answer(f, responder=_responder(f)), "fresh"),
    "revoked by a delegated responder": (lambda f: _answer(f, responder=_responder(f), revoked=NOW - 2 * DAY), "revoked"),
    "an answer by a person": (lambda f: _answer(f, responder=vendor(f).person), "unknown"),
    "an answer for another one": (
        lambda f: Shown(vendor(f).person.der, [vendor(f).ca.der], [make_crl(vendor(f).root)], [make_ocsp(vendor(f).ca, 0x1002)]), "unknown"),
    "revoked in the very second of the list": (lambda f: _crl(f, revoked={0x1001: NOW - DAY}), "revoked"),
    "revoked by a list from before it": (lambda f: _crl(f, revoked={0x1001: NOW}), "revoked"),
    "to be revoked tomorrow": (lambda f: _crl(f, revoked={0x1001: NOW + DAY}), "fresh"),
    # the anchor and the holder
    "the anchor is not for signing": (lambda f: _by(_with(f), f, purposes=frozenset({Purpose.LOGIN})), "anchor-purpose"),
    "the anchor's time is over": (lambda f: _by(_with(f), f, until_ms=NOW_MS - DAY_MS), "anchor-out-of-time"),
    "the anchor does not vouch for persons": (lambda f: _by(_with(f), f, vouches=frozenset({"social-credit"})), "identity"),
    "a profile that looks elsewhere": (lambda f: _by(_with(f), f, profile="older-rsa"), "identity"),
    "no number of the holder": (lambda f: _with(f, person_id=None), "identity"),
    "a number with a wrong check digit": (lambda f: _with(f, person_id=PERSON_ID[:-1] + "1"), "identity"),
}  # fmt: skip
STANDINGS = {str(one) for one in Standing}
CHAIN = {"expired", "not-yet-valid", "unknown-issuer", "chain"}


def _outcome(shown: Shown) -> str:
    try:
        found = judge(
            shown.leaf,
            chain=shown.chain,
            anchors=shown.anchors or anchors_of(),
            at_ms=shown.at_ms,
            purpose=shown.purpose,
            crls=shown.crls,
            ocsp=shown.ocsp,
        )
    except CertRefused as refused:
        return refused.why
    return str(found.standing)


def test_the_matrix_has_sixty_cases():
    assert len(CASES) >= 60


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("case", CASES)
def test_every_case_ends_as_written_in_every_family(case, family):
    make, expected = CASES[case]
    shown = make(family)
    assert _outcome(shown) == expected


@pytest.mark.parametrize("family", FAMILIES)
def test_the_two_validators_agree_in_every_case_that_reaches_them(family):
    judged = 0
    for name, (make, expected) in CASES.items():
        if expected not in STANDINGS | CHAIN | {"identity", "usage"}:
            continue
        shown = make(family)
        try:
            leaf, chain = read_certificate(shown.leaf), [read_certificate(der) for der in shown.chain]
        except CertRefused:
            continue
        roots = [vendor(one).root.der for one in FAMILIES]
        chain = [one for one in chain if one.der not in roots]
        at = dt.datetime.fromtimestamp(shown.at_ms / 1_000, dt.UTC)
        one, other = first(leaf, chain, roots, at), second(leaf, chain, roots, at)
        assert isinstance(one, str) == bool(other), (name, one, other)
        assert isinstance(one, str) == (expected in CHAIN and name != "too many certificates"), (name, one, other)
        judged += 1
    assert judged >= 50


def _pem(folder: Any, name: str, *certificates: bytes) -> str:
    path = folder / name
    path.write_bytes(
        b"".join(
            b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
            for der in certificates
        )
    )
    return str(path)


def _lists(folder: Any, crls: list[bytes]) -> str:
    path = folder / "lists.pem"
    rows = (b"-----BEGIN X509 CRL-----\n" + base64.encodebytes(der) + b"-----END X509 CRL-----\n" for der in crls)
    path.write_bytes(b"".join(rows))
    return str(path)


def _verify(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["openssl", "verify", "-x509_strict", *arguments], capture_output=True, text=True, check=False
    )


def _openssl(folder: Any, shown: Shown) -> str:
    """Ask the command: chain and time, then with the lists; "", "revoked", "no-data" or "chain"."""
    roots = _pem(folder, "roots.pem", *(vendor(one).root.der for one in FAMILIES))
    more = ["-untrusted", _pem(folder, "more.pem", *shown.chain)] if shown.chain else []
    base = ["-attime", str(shown.at_ms // 1_000), "-CAfile", roots, *more]
    leaf = _pem(folder, "leaf.pem", shown.leaf)
    if _verify(*base, leaf).returncode:
        return "chain"
    listed = _verify(*base, "-crl_check_all", "-CRLfile", _lists(folder, shown.crls), leaf)
    if not listed.returncode:
        return ""
    return "revoked" if "certificate revoked" in listed.stderr else "no-data"


DIFFERS = {
    "too many certificates",  # our own limit
    "valid at the act, expired today",  # its list is from after the act: for the command it is not yet valid
    "revoked after the act",
    "revoked by an old list, forgotten by a new one",  # the command takes the newest list alone
    "no list at all but bytes",  # the command reads no file that is none
    "to be revoked tomorrow",  # the command looks at no date of revocation
    "a key of another family",  # the other one may be SM2
    "ends this second",  # OpenSSL 3.0 counts the last second out; RFC 5280 and OpenSSL 4 count it in
}
BY_COMMAND = [
    name
    for name, (_, expected) in CASES.items()
    if expected in STANDINGS | CHAIN and "answer" not in name and "responder" not in name and name not in DIFFERS
]


@pytest.mark.parametrize("family", ["rsa", "ecdsa", "ed25519"])
def test_the_openssl_command_agrees(family, tmp_path):
    told = {"fresh": "", "revoked": "revoked", "grace": "no-data", "unknown": "no-data"}
    for name in BY_COMMAND:
        make, expected = CASES[name]
        assert _openssl(tmp_path, make(family)) == told.get(expected, "chain"), name


def test_the_openssl_command_agrees_on_every_link_of_sm2(tmp_path):
    """OpenSSL 3.0 passes an identity to the first certificate of a chain alone and to no list: so each link by itself."""
    judged = 0
    for name in BY_COMMAND:
        make, expected = CASES[name]
        shown = make("sm2")
        if len(shown.chain) != 1 or expected in {"revoked", "grace", "unknown", "unknown-issuer"}:
            continue
        base = ("-partial_chain", "-vfyopt", "distid:1234567812345678", "-attime", str(shown.at_ms // 1_000))
        leaf, ca = _pem(tmp_path, "leaf.pem", shown.leaf), _pem(tmp_path, "ca.pem", *shown.chain)
        root = _pem(tmp_path, "root.pem", vendor("sm2").root.der)
        links = [_verify(*base, "-CAfile", ca, leaf), _verify(*base, "-CAfile", root, ca)]
        assert all(link.returncode == 0 for link in links) == (expected == "fresh"), name
        judged += 1
    assert judged >= 15


def test_disagreement_of_the_validators_is_refused(monkeypatch):
    from sync import person_certs

    shown = _with("ecdsa")
    monkeypatch.setattr(person_certs, "second", lambda *_: "chain")
    assert _outcome(shown) == "validators-disagree"
    monkeypatch.setattr(person_certs, "second", second)
    monkeypatch.setattr(person_certs, "first", lambda *_: "chain")
    assert _outcome(shown) == "validators-disagree"


def test_a_delegated_responder_is_checked_by_our_plug_in_too():
    import pyhanko_certvalidator.context as library

    from sync.gm_asn1 import FamilyValidator

    assert library.DefaultSignatureValidator is FamilyValidator
    assert _outcome(_answer("sm2", responder=_responder("sm2"))) == "fresh"


def test_a_refusal_names_anchor_serial_rule_and_source_and_no_number_of_a_person():
    with pytest.raises(CertRefused) as found:
        judge(
            _with("sm2", person_id=PERSON_ID[:-1] + "1").leaf,
            chain=[vendor("sm2").ca.der],
            anchors=anchors_of(),
            at_ms=NOW_MS,
            purpose=Purpose.SIGN,
            source="seat 03",
        )
    refused = found.value
    assert (refused.serial, refused.anchor, refused.rule, refused.source) == (
        "1001", "sm2 根", "check-digit: person-id", "seat 03",
    )  # fmt: skip
    assert PERSON_ID[:-1] not in str(refused)


def test_the_judgement_holds_evidence_and_age_and_hides_the_holder():
    shown = _with("sm2")
    found = judge(
        shown.leaf, chain=shown.chain, anchors=anchors_of(), at_ms=NOW_MS, purpose=Purpose.SIGN, crls=shown.crls
    )
    assert [row.sha256 for row in found.evidence] == [hashlib.sha256(der).hexdigest() for der in shown.crls]
    assert found.age_ms == DAY_MS
    assert PERSON_ID not in repr(found)
    assert (first, second) == validators.VALIDATORS
    assert Key("ed25519").family == "ed25519"
