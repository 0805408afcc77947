"""SM2 by libcrypto: what it signs it believes, what anybody changed it does not."""

import secrets

import pytest

from sync import gm
from sync.gm import SM2_ID, GmFault, GmRefused, Sm2Key, generate_sm2, self_test, sm2_encrypt, sm2_verify, sm3

N = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFF7203DF6B21C6052B53BBF40939D54123
P = 0xFFFFFFFEFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF00000000FFFFFFFFFFFFFFFF
MESSAGE = "评分表：投标人 0003 报价得分 28.50".encode()
KEY = generate_sm2()
SIGNATURE = KEY.sign(MESSAGE)


def _integer(number: int, *, minimal: bool = True) -> bytes:
    body = number.to_bytes(max(1, (number.bit_length() + 8) // 8), "big", signed=False)
    body = body if minimal else b"\x00" + body
    return b"\x02" + bytes([len(body)]) + body


def _der(r: int, s: int, *, minimal: bool = True) -> bytes:
    body = _integer(r, minimal=minimal) + _integer(s, minimal=minimal)
    return b"\x30" + bytes([len(body)]) + body


def _numbers(signature: bytes) -> tuple[int, int]:
    first = signature[3]
    return int.from_bytes(signature[4 : 4 + first], "big"), int.from_bytes(signature[6 + first :], "big")


R, S = _numbers(SIGNATURE)
CHANGED = {
    "empty": b"",
    "zeroes": bytes(len(SIGNATURE)),
    "a byte after it": SIGNATURE + b"\x00",
    "a byte short": SIGNATURE[:-1],
    "signed twice over": SIGNATURE * 2,
    "s mirrored": _der(R, N - S),
    "r mirrored": _der(N - R, S),
    "r zero": _der(0, S),
    "s zero": _der(R, 0),
    "both zero": _der(0, 0),
    "both one": _der(1, 1),
    "r beyond the order": _der(R + N, S),
    "s beyond the order": _der(R, S + N),
    "r the order": _der(N, S),
    "s the order": _der(R, N),
    "r the field": _der(P, S),
    "r and s swapped": _der(S, R),
    "r + s the order": _der(R, (N - R) % N),
    "r one more": _der((R + 1) % N, S),
    "s one less": _der(R, (S - 1) % N),
    "leading zeroes": _der(R, S, minimal=False),
    "raw r and s": R.to_bytes(32, "big") + S.to_bytes(32, "big"),
    "long length form": b"\x30\x81" + SIGNATURE[1:],
    "indefinite length": b"\x30\x80" + SIGNATURE[2:] + b"\x00\x00",
    "another tag": b"\x31" + SIGNATURE[1:],
    **{f"bit {bit} of byte {at}": SIGNATURE[:at] + bytes([SIGNATURE[at] ^ 1 << bit]) + SIGNATURE[at + 1 :]
       for at in range(0, 66, 2) for bit in (0, 7)},
}  # fmt: skip


def test_the_self_test_passes_here():
    self_test()


@pytest.mark.parametrize("name", ["_SM3_EMPTY", "_SIGNATURE", "_CIPHER", "_SM4_TAG", "_SM4_CIPHER"])
def test_a_wrong_answer_of_the_machine_is_loud(monkeypatch, name):
    right = getattr(gm, name)
    monkeypatch.setattr(gm, name, right[:-2] + ("00" if right[-2:] != "00" else "01"))
    with pytest.raises(GmFault) as found:
        self_test()
    assert found.value.why in {"wrong-answer", "failed"}


def test_a_machine_without_sm2_says_so(monkeypatch):
    monkeypatch.setattr(gm, "_LIBRARY", "libcrypto.so.none")
    gm._lib.cache_clear()
    try:
        with pytest.raises(GmFault) as found:
            self_test()
        assert found.value == GmFault("libcrypto.so.none", "missing-library") or found.value.why == "missing-library"
    finally:
        gm._lib.cache_clear()


def test_there_are_at_least_fifty_changed_signatures():
    assert len(CHANGED) >= 50
    assert sm2_verify(KEY.spki, MESSAGE, SIGNATURE)


@pytest.mark.parametrize("name", CHANGED)
def test_a_changed_signature_is_refused(name):
    assert CHANGED[name] != SIGNATURE
    assert not sm2_verify(KEY.spki, MESSAGE, CHANGED[name])


@pytest.mark.parametrize(
    ("spki", "message", "user_id"),
    [
        (KEY.spki, MESSAGE + b" ", SM2_ID),
        (KEY.spki, b"", SM2_ID),
        (KEY.spki, MESSAGE, b""),
        (KEY.spki, MESSAGE, b"1234567812345679"),
        (generate_sm2().spki, MESSAGE, SM2_ID),
    ],
    ids=["a longer message", "no message", "no identity", "another identity", "another key"],
)
def test_the_signature_is_over_key_message_and_identity(spki, message, user_id):
    assert not sm2_verify(spki, message, SIGNATURE, user_id)


def test_pkcs8_travels_as_der_and_as_pem():
    import base64

    der = KEY.pkcs8()
    pem = b"-----BEGIN PRIVATE KEY-----\n" + base64.encodebytes(der) + b"-----END PRIVATE KEY-----\n"
    for form in (der, pem):
        again = Sm2Key.load(form)
        assert again.spki == KEY.spki
        assert sm2_verify(KEY.spki, b"x", again.sign(b"x"))
    assert der.hex() not in repr(KEY)


def _spki_of_another_curve():
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    public = ec.generate_private_key(ec.SECP256R1()).public_key()
    return public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


OFF_CURVE = KEY.spki[:-1] + bytes([KEY.spki[-1] ^ 1])


@pytest.mark.parametrize(
    "spki",
    [
        b"",
        b"\x30",
        KEY.spki + b"\x00",
        KEY.spki[:-1],
        OFF_CURVE,
        bytes.fromhex("3018301306072a8648ce3d020106082a811ccf5501822d03020000"),  # infinity: anybody could sign for it
        _spki_of_another_curve(),
    ],
    ids=["empty", "one byte", "a byte after it", "a byte short", "off the curve", "infinity", "another curve"],
)
def test_a_key_that_is_no_point_of_the_curve_is_refused(spki):
    with pytest.raises(GmRefused):
        sm2_verify(spki, MESSAGE, SIGNATURE)
    with pytest.raises(GmRefused):
        sm2_encrypt(spki, MESSAGE)


@pytest.mark.parametrize(
    "data",
    [b"", b"-----BEGIN PRIVATE KEY-----\nAA\n-----END PRIVATE KEY-----", KEY.spki],
    ids=["empty", "PEM of nothing", "a public key"],
)
def test_what_is_no_private_key_is_refused(data):
    with pytest.raises(GmRefused):
        Sm2Key.load(data)


@pytest.mark.parametrize("size", [1, 31, 32, 33, 1_000, 65_536])
def test_what_is_encrypted_to_a_key_only_that_key_opens(size):
    plain = secrets.token_bytes(size)
    cipher = sm2_encrypt(KEY.spki, plain)
    assert KEY.decrypt(cipher) == plain
    for wrong in (cipher[:-1], cipher + b"\x00", cipher[:-1] + bytes([cipher[-1] ^ 1]), b"", plain):
        with pytest.raises(GmRefused):
            KEY.decrypt(wrong)
    with pytest.raises(GmRefused):
        generate_sm2().decrypt(cipher)


def test_sm3_is_what_cryptography_has():
    from cryptography.hazmat.primitives import hashes

    for data in (b"", b"abc", secrets.token_bytes(1_000)):
        other = hashes.Hash(hashes.SM3())
        other.update(data)
        assert sm3(data) == other.finalize()


def test_the_self_test_passes_where_an_older_error_still_lies_in_openssls_queue():
    from OpenSSL import crypto

    crypto._lib.ERR_put_error(13, 0, 168, b"older", 1)
    try:
        self_test()
    finally:
        crypto._lib.ERR_clear_error()
