"""Envelopes open for whom they were sealed, in the context they were sealed for, and for nothing else."""

import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import seal
from sync.seal import SealFault, commitment, open_with, open_with_key, recipients_of, seal_to, seal_with_key

A = X25519PrivateKey.from_private_bytes(b"\x0a" * 32)
B = X25519PrivateKey.from_private_bytes(b"\x0b" * 32)
C = X25519PrivateKey.from_private_bytes(b"\x0c" * 32)
BOTH = {"a": A.public_key().public_bytes_raw(), "b": B.public_key().public_bytes_raw()}
CONTEXT = b"lot/1|sheet/3"

GOLDEN_SHA256 = "45c3c36c37c6dd1b72a080be0a647da27dd76776f39402a8929414c530062aa4"
GOLDEN_SHARED_SHA256 = "fbe5eb47d42ae1cfb10639c923d500e37bca36fcbac5ea7381c718123aa15046"


def golden() -> bytes:
    ephemeral = X25519PrivateKey.from_private_bytes(b"\x01" * 32)
    return seal._seal_to(BOTH, b"37 marks", CONTEXT, ephemeral=ephemeral, content_key=b"\x02" * 32)


def test_every_recipient_opens_the_envelope() -> None:
    envelope = seal_to(BOTH, b"37 marks", CONTEXT)
    assert open_with("a", A, envelope, CONTEXT) == b"37 marks"
    assert open_with("b", B, envelope, CONTEXT) == b"37 marks"
    assert recipients_of(envelope) == ("a", "b")


def test_the_bytes_of_version_1_do_not_change() -> None:
    assert hashlib.sha256(golden()).hexdigest() == GOLDEN_SHA256
    shared = seal._seal_with_key(b"\x03" * 32, b"37 marks", CONTEXT, salt=b"\x04" * 32)
    assert hashlib.sha256(shared).hexdigest() == GOLDEN_SHARED_SHA256


def test_the_layout_is_the_documented_one() -> None:
    """Opened here by hand from the documented offsets, without the module under test."""
    import cryptography.hazmat.primitives.hashes as h
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    raw = golden()
    assert raw[:2] == b"\x01\x01"
    assert raw[34] == 2
    assert raw[35:37] == b"\x01a"
    commitments = 35 + 2 * (1 + 1 + 32 + 48)
    assert raw[commitments : commitments + 32] == hashlib.sha256(b"erhai/seal/v1/key\0" + b"\x02" * 32).digest()
    start = commitments + 68
    assert int.from_bytes(raw[start - 4 : start], "big") == len(raw) - start == 256 + 16
    key = HKDF(h.SHA256(), 32, None, b"erhai/seal/v1/payload").derive(b"\x02" * 32)
    padded = ChaCha20Poly1305(key).decrypt(bytes(12), raw[start:], raw[:start])
    assert padded == b"\0\0\0\x0837 marks" + bytes(256 - 12)


@pytest.mark.parametrize(
    ("name", "private", "context", "reason"),
    [
        ("c", C, CONTEXT, "not-a-recipient"),
        ("a", B, CONTEXT, "not-a-recipient"),
        ("b", A, CONTEXT, "not-a-recipient"),
        ("a", A, b"lot/1|sheet/4", "wrong-context"),
        ("a", A, b"", "wrong-context"),
    ],
)
def test_a_refusal_says_whether_the_person_or_the_context_is_wrong(name, private, context, reason) -> None:
    with pytest.raises(SealFault) as refused:
        open_with(name, private, golden(), context)
    assert refused.value.reason == reason


@given(st.integers(0, len(golden()) * 8 - 1))
@settings(max_examples=300, deadline=None)
def test_no_flipped_bit_changes_the_plaintext(bit: int) -> None:
    raw = bytearray(golden())
    raw[bit // 8] ^= 1 << (bit % 8)
    with pytest.raises(SealFault) as refused:
        open_with("a", A, bytes(raw), CONTEXT)
    assert refused.value.reason in {"corrupt", "not-a-recipient"}


@given(st.integers(0, len(golden()) - 1))
@settings(max_examples=60, deadline=None)
def test_a_cut_or_lengthened_envelope_is_corrupt(size: int) -> None:
    for raw in (golden()[:size], golden() + b"x"):
        with pytest.raises(SealFault) as refused:
            open_with("a", A, raw, CONTEXT)
        assert refused.value.reason == "corrupt"


@given(st.binary(max_size=700), st.binary(max_size=40))
@settings(max_examples=60, deadline=None)
def test_length_shows_only_in_steps_of_256(plaintext: bytes, context: bytes) -> None:
    envelope = seal_with_key(b"k" * 32, plaintext, context)
    overhead = len(seal_with_key(b"k" * 32, b"", b"")) - 256
    assert (len(envelope) - overhead) % 256 == 0
    assert open_with_key(b"k" * 32, envelope, context) == plaintext


def test_a_shared_key_opens_only_its_own_envelopes() -> None:
    envelope = seal_with_key(b"k" * 32, b"marks", CONTEXT)
    assert envelope != seal_with_key(b"k" * 32, b"marks", CONTEXT)
    for key, context, reason in ((b"l" * 32, CONTEXT, "not-a-recipient"), (b"k" * 32, b"other", "wrong-context")):
        with pytest.raises(SealFault) as refused:
            open_with_key(key, envelope, context)
        assert refused.value.reason == reason
    with pytest.raises(SealFault) as refused:
        open_with("a", A, envelope, CONTEXT)
    assert refused.value.reason == "not-a-recipient"


def test_two_wrapped_keys_cannot_open_one_envelope_to_two_contents() -> None:
    """A dealer who wraps another content key to b is found out by the key commitment."""
    ephemeral = X25519PrivateKey.from_private_bytes(b"\x01" * 32)
    other = seal._seal_to({"b": BOTH["b"]}, b"99 marks", CONTEXT, ephemeral=ephemeral, content_key=b"\x07" * 32)
    wrapped_of_b = other[35 + 1 + 1 + 32 : 35 + 1 + 1 + 32 + 48]
    raw = bytearray(golden())
    place = 35 + 82 + 1 + 1 + 32
    raw[place : place + 48] = wrapped_of_b
    with pytest.raises(SealFault) as refused:
        open_with("b", B, bytes(raw), CONTEXT)
    assert refused.value.reason == "corrupt"


@pytest.mark.parametrize("public", [b"short", bytes(32)])
def test_a_useless_public_key_is_refused_when_sealing(public: bytes) -> None:
    with pytest.raises(SealFault) as refused:
        seal_to({"a": public}, b"x", CONTEXT)
    assert refused.value.reason == "bad-input"


def test_a_commitment_binds_salt_and_value_apart() -> None:
    salt = b"s" * 16
    assert commitment(salt, b"value") == hashlib.sha256(b"erhai/commitment/v1\0\x00\x10" + salt + b"value").digest()
    assert commitment(salt + b"v", b"alue") != commitment(salt, b"value")
    with pytest.raises(SealFault):
        commitment(b"short", b"value")
