"""What anybody does to a signed act: every change is refused, with its name."""

import pytest
from asn1crypto import cms
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.acts import ActRefused, act_text, readable, sign_act, verify_act
from sync.signers import SoftwareSigner
from tests.person_lab import FAMILIES, NOW, NOW_MS, Spec, anchors_of, issue, key, vendor

TEXT = act_text("评分表签字", {"标段": "A3205", "成员": "E1"}, bytes(range(32)))


def _sign(family, text=TEXT):
    own = vendor(family)
    return sign_act(text, SoftwareSigner(own.person.der, own.person.key.pkcs8, (own.ca.der,)), NOW)


MADE = {family: _sign(family) for family in FAMILIES}


def _verify(family, made, text=TEXT):
    return verify_act(text, made, anchors_of(), at_ms=NOW_MS, crls=vendor(family).crls())


def _why(family, made, text=TEXT):
    with pytest.raises(ActRefused) as found:
        _verify(family, made, text)
    return found.value.why


def _edit(family, change):
    outer = cms.ContentInfo.load(MADE[family])
    change(outer["content"])
    return outer.dump(force=True)


def _drop(name):
    def change(signed):
        info = signed["signer_infos"][0]
        info["signed_attrs"] = [row for row in info["signed_attrs"] if row["type"].native != name]

    return change


def _twice(signed):
    info = signed["signer_infos"][0]
    info["signed_attrs"] = [*info["signed_attrs"], info["signed_attrs"][0]]


def _digest(signed):
    signed["signer_infos"][0]["digest_algorithm"] = {"algorithm": "sha1"}


def _attach(signed):
    signed["encap_content_info"]["content"] = TEXT


def _two(signed):
    signed["signer_infos"] = [*signed["signer_infos"], signed["signer_infos"][0]]


def _nobody(signed):
    signed["signer_infos"] = []


def _no_certificate(signed):
    signed["certificates"] = []


def _other_time(signed):
    for row in signed["signer_infos"][0]["signed_attrs"]:
        if row["type"].native == "signing_time":
            row["values"] = [cms.Time({"utc_time": NOW.replace(year=2027)})]


CHANGES = {
    "no message digest": (_drop("message_digest"), "attributes"),
    "no signing certificate": (_drop("signing_certificate_v2"), "attributes"),
    "no content type": (_drop("content_type"), "attributes"),
    "no time": (_drop("signing_time"), "signature"),
    "an attribute twice": (_twice, "attributes"),
    "SHA-1": (_digest, "algorithm"),
    "the words inside": (_attach, "not-detached"),
    "two signers": (_two, "one-signer"),
    "no signer": (_nobody, "one-signer"),
    "no certificate": (_no_certificate, "malformed"),
    "another time": (_other_time, "signature"),
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_signature_over_these_words_stands(family):
    found = _verify(family, MADE[family])
    assert found.person == found.state.holder.account_key
    assert found.claimed_ms == NOW_MS


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("text", [TEXT + b"\n", TEXT[:-1], b"", TEXT.replace(b"E1", b"E2")])
def test_other_words_are_refused(family, text):
    assert _why(family, MADE[family], text) == "other-words"


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("name", CHANGES)
def test_a_changed_structure_is_refused_by_name(family, name):
    change, why = CHANGES[name]
    assert _why(family, _edit(family, change)) == why


@pytest.mark.parametrize("family", FAMILIES)
def test_the_certificate_cannot_be_exchanged_for_another_of_the_same_key_and_serial(family):
    own = vendor(family)
    twin = issue(Spec(subject="另一人", start=NOW), own.person.key, own.ca)

    def change(signed):
        signed["certificates"] = [cms.CertificateChoices("certificate", twin.parsed), *list(signed["certificates"])[1:]]

    assert _why(family, _edit(family, change)) in {"attributes", "malformed"}


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(FAMILIES), st.data())
def test_a_changed_byte_never_stands_for_more_than_was_signed(family, data):
    made = MADE[family]
    at = data.draw(st.integers(0, len(made) - 1))
    changed = made[:at] + bytes([made[at] ^ data.draw(st.integers(1, 255))]) + made[at + 1 :]
    try:
        found = _verify(family, changed)
    except ActRefused:
        return
    assert found.certificate == _verify(family, made).certificate  # a certificate of the chain that nobody needs


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200))
def test_bytes_that_are_no_signature_are_refused(data):
    assert _why("rsa", data) == "malformed"


def test_a_key_of_another_family_under_the_same_words_needs_its_own_certificate():
    own, other = vendor("ecdsa"), vendor("sm2")
    with pytest.raises(Exception):  # noqa: B017, PT011 - each library names it in its own way
        SoftwareSigner(own.person.der, b"\x30\x00")
    made = sign_act(TEXT, SoftwareSigner(other.person.der, key("sm2", 4).pkcs8, (other.ca.der,)), NOW)
    assert _why("sm2", made) == "signature"


@pytest.mark.parametrize(
    ("lines", "fits"),
    [
        ({"甲": "乙"}, True),
        ({}, True),
        ({"甲": "乙\n摘要 SHA-256：00"}, False),
        ({"甲": "\x1b[2J"}, False),
        ({"甲": "a\u202eb"}, False),
        ({"甲": "a\u200bb"}, False),
    ],
)
def test_words_hold_nothing_that_a_person_cannot_see(lines, fits):
    if fits:
        assert readable(act_text("试", lines, bytes(32)))
        return
    with pytest.raises(ValueError, match="试"):
        act_text("试", lines, bytes(32))


@pytest.mark.parametrize("text", [b"", b"\xff", TEXT[:-1], TEXT[1:], TEXT.replace(b"E1", b"\x1b[2J"), TEXT * 2_000])
def test_the_agent_signs_only_words_in_form(text):
    assert readable(TEXT)
    assert not readable(text)
