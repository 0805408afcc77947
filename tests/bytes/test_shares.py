"""Shares and their wraps: every set that may, opens; every other learns nothing."""

from itertools import combinations

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.shares import ShareFault, combine, split
from sync.wrap import OVERHEAD, WrapFault, unwrap_share, wrap_share


@settings(max_examples=20, deadline=None)
@given(st.binary(min_size=32, max_size=32), st.integers(2, 5), st.integers(0, 3))
def test_every_set_of_threshold_size_or_more_gives_the_secret(secret: bytes, t: int, more: int) -> None:
    n = t + more
    shares = dict(enumerate(split(secret, t=t, n=n), start=1))
    for size in range(t, n + 1):
        for numbers in combinations(shares, size):
            assert combine({i: shares[i] for i in numbers}, t=t) == secret


def test_fewer_than_the_threshold_are_refused_and_a_lowered_threshold_gives_another_value() -> None:
    secret = bytes(range(32))
    shares = split(secret, t=3, n=5)
    with pytest.raises(ShareFault) as caught:
        combine({1: shares[0], 2: shares[1]}, t=3)
    assert caught.value.reason == "too-few"
    assert combine({1: shares[0], 2: shares[1]}, t=2) != secret


def test_shares_of_two_secrets_do_not_agree() -> None:
    one, other = split(bytes(32), t=3, n=5), split(b"\x01" * 32, t=3, n=5)
    with pytest.raises(ShareFault) as caught:
        combine({1: one[0], 2: one[1], 3: one[2], 4: other[3]}, t=3)
    assert caught.value.reason == "inconsistent"


@pytest.mark.parametrize(
    ("secret", "t", "n"), [(bytes(31), 3, 5), (bytes(32), 1, 5), (bytes(32), 4, 3), (bytes(32), 3, 17), (b"", 3, 5)]
)
def test_sizes_that_make_no_sense_are_refused(secret: bytes, t: int, n: int) -> None:
    with pytest.raises(ShareFault) as caught:
        split(secret, t=t, n=n)
    assert caught.value.reason == "bad-input"


@pytest.mark.parametrize(
    "shares", [{0: bytes(32), 1: bytes(32), 2: bytes(32)}, {1: bytes(31), 2: bytes(32), 3: bytes(32)}]
)
def test_shares_of_the_wrong_number_or_size_are_refused(shares: dict[int, bytes]) -> None:
    with pytest.raises(ShareFault) as caught:
        combine(shares, t=3)
    assert caught.value.reason == "bad-input"


def test_a_wrap_opens_only_for_its_holder_and_its_purpose() -> None:
    mine, other = X25519PrivateKey.generate(), X25519PrivateKey.generate()
    blob = wrap_share(mine.public_key().public_bytes_raw(), b"lot A", b"secret")
    assert len(blob) == len(b"secret") + OVERHEAD
    assert unwrap_share(mine, b"lot A", blob) == b"secret"
    for private, info, altered in (
        (other, b"lot A", blob),
        (mine, b"lot B", blob),
        (mine, b"lot A", blob[:-1]),
        (mine, b"lot A", blob + b"\0"),
        (mine, b"lot A", b""),
    ):
        with pytest.raises(WrapFault) as caught:
            unwrap_share(private, info, altered)
        assert caught.value.reason == "not-ours"


@pytest.mark.parametrize("at", range(0, 54, 6))
def test_any_changed_byte_of_a_wrap_is_refused(at: int) -> None:
    mine = X25519PrivateKey.generate()
    blob = bytearray(wrap_share(mine.public_key().public_bytes_raw(), b"", b"secret"))
    blob[at] ^= 1
    with pytest.raises(WrapFault):
        unwrap_share(mine, b"", bytes(blob))


@pytest.mark.parametrize("public", [bytes(31), bytes(32)])
def test_a_public_key_that_is_none_is_refused(public: bytes) -> None:
    with pytest.raises(WrapFault) as caught:
        wrap_share(public, b"", b"secret")
    assert caught.value.reason == "bad-input"
