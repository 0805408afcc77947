"""Damage to valid bytes: a list of small steps, each a pure function, so that chance, hypothesis and a replay share them."""

from collections.abc import Sequence
from random import Random

Step = tuple[int, int, int]
"""Which damage, where (0 to 65,535, a share of the length), and a number that the damage uses."""

TEXT_TOKENS = (
    b"", b"\n", b"\n\n", b"\r\n", b"\0", b" ", b"+", b"/", b"=", b"-", b"\xe2\x80\x94 ", b"\xff\xfe", b"\xed\xa0\x80",
    b"0", b"00", b"-1", b"1e9", b"9" * 19, b"9" * 400, b"9" * 5_000, b"18446744073709551615", b"9223372036854775808",
    b"[]", b"{}", b"[[]]", b"[" * 3_000, b"{a=" * 2_000, b"true", b"null", b"nan", b"inf", b'""', b'"\\ud800"', b"''",
    b"1979-05-27", b"AAAA", b"A" * 44, b"./../", b"%00", b"old 0", b"index 0", b"all", b"any", b"none", b"quorum",
)  # fmt: skip
BINARY_TOKENS = (
    b"\0", b"\xff", b"\0" * 8, b"\xff" * 8, b"\x7f" + b"\xff" * 7, b"\x80" + b"\0" * 7, b"\xff\xff", b"\0\0",
    b"\xdd\xff\xff\xff\xff", b"\xdc\xff\xff", b"\xc6\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\x91" * 2_000,
    b"\xc0", b"\xc1", b"\xca\x7f\xc0\0\0", b"\xcf" + b"\xff" * 8, b"\xd3\x80" + b"\0" * 7, b"\xd4\0\0", b"\x81\xc0\xc0",
    b"PK\x01\x02", b"PK\x03\x04", b"PK\x05\x06", b"\x30\x84\xff\xff\xff\xff",
)  # fmt: skip
TOKENS = (*TEXT_TOKENS, *BINARY_TOKENS)
MOST_BYTES = 200_000


def mutated(sample: bytes, others: Sequence[bytes], steps: Sequence[Step]) -> bytes:
    """Return the sample after these steps; `others` are samples to take pieces from."""
    data = bytearray(sample)
    for kind, share, number in steps:
        at = share * (len(data) + 1) >> 16
        _KINDS[kind % len(_KINDS)](data, at, number, others)
        del data[MOST_BYTES:]
    return bytes(data)


def steps_of(rng: Random) -> list[Step]:
    """Return one to five steps by chance."""
    return [(rng.randrange(64), rng.randrange(65_536), rng.randrange(2**32)) for _ in range(rng.randrange(1, 6))]


def _flip(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    if at < len(data):
        data[at] ^= 1 << number % 8


def _set(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    if at < len(data):
        data[at] = number % 256


def _cut(data: bytearray, at: int, _number: int, _others: Sequence[bytes]) -> None:
    del data[at:]


def _remove(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    del data[at : at + 1 + number % 64]


def _repeat(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    piece = data[at : at + 1 + number % 200]
    data[at:at] = piece * (1 + number // 256 % 40)


def _token(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    data[at:at] = TOKENS[number % len(TOKENS)]


def _overwrite(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    token = TOKENS[number % len(TOKENS)]
    data[at : at + len(token)] = token


def _word(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    """Put a token in place of the word or number that stands there."""
    ends = b' \n"=,:+[]{}'
    start = at
    while start > 0 and data[start - 1] not in ends:
        start -= 1
    end = at
    while end < len(data) and data[end] not in ends:
        end += 1
    data[start:end] = TEXT_TOKENS[number % len(TEXT_TOKENS)]


def _value(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    """Put a token in place of everything behind the next `=` or `:` of the line."""
    end = data.find(b"\n", at)
    end = len(data) if end < 0 else end
    start = max(data.find(b"=", at, end), data.find(b":", at, end)) + 1
    if start:
        data[start:end] = TEXT_TOKENS[number % len(TEXT_TOKENS)]


def _swap_lines(data: bytearray, at: int, number: int, _others: Sequence[bytes]) -> None:
    lines = bytes(data).split(b"\n")
    one, other = at % len(lines), number % len(lines)
    lines[one], lines[other] = lines[other], lines[one]
    data[:] = b"\n".join(lines)


def _splice(data: bytearray, at: int, number: int, others: Sequence[bytes]) -> None:
    other = others[number % len(others)]
    start = number // 7 % (len(other) + 1)
    data[at : at + number % 512] = other[start : start + number // 11 % 2_048]


_KINDS = (_flip, _flip, _set, _cut, _remove, _repeat, _token, _overwrite, _word, _word, _value, _swap_lines, _splice)
