"""A stick's list has one spelling and names nothing that does not belong on a stick."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.courier import Contents, Listed, LogPart
from sync.tampered import Malformed
from sync.tiles import entries_path, tile_path

LOG, OTHER = hashlib.sha256(b"a").hexdigest(), hashlib.sha256(b"b").hexdigest()
ONE = Listed(hashlib.sha256(b"x").digest(), 1)
LINE = f"{ONE.sha256.hex()} 1 "

digests = st.binary(min_size=32, max_size=32)
listed = st.builds(Listed, digests, st.integers(0, 10**14))
tiles = st.one_of(
    st.builds(tile_path, st.integers(0, 3), st.integers(0, 10**6), st.integers(1, 256)),
    st.builds(entries_path, st.integers(0, 10**6), st.integers(1, 256)),
)


@st.composite
def contents(draw: st.DrawFn) -> Contents:
    names = draw(st.lists(digests.map(bytes.hex), max_size=3, unique=True))
    files = {f"blobs/{one.hex()}": draw(listed) for one in draw(st.lists(digests, max_size=3))}
    logs = []
    for name in names:
        first, more = draw(st.integers(0, 10**9)), draw(st.integers(0, 10**9))
        logs.append(LogPart(name, first, first + more))
        for one in ("origin", "checkpoint", *draw(st.lists(tiles, max_size=4))):
            files[f"logs/{name}/{one}"] = draw(listed)
    return Contents(tuple(sorted(logs, key=lambda one: f"{one.name} ")), files)


@given(contents())
def test_a_list_comes_back_as_it_was(one: Contents) -> None:
    back = Contents.parse(bytes(one))
    assert (set(back.logs), dict(back.files)) == (set(one.logs), dict(one.files))


@given(st.data())
def test_a_list_with_any_byte_changed_is_refused_or_says_exactly_what_it_spells(data: st.DataObject) -> None:
    text = bytearray(bytes(data.draw(contents())) + f"{LINE}blobs/{'f' * 64}\n".encode())
    text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Contents.parse(bytes(text))
    except Malformed:
        return
    assert bytes(found) == bytes(text)


def log_lines(first: int = 0, size: int = 1, name: str = LOG) -> str:
    return f"log {name} {first} {size}\n"


WHOLE = "".join(f"{LINE}logs/{LOG}/{one}\n" for one in ("checkpoint", "origin"))


def test_the_cases_below_differ_from_a_good_list() -> None:
    assert Contents.parse((log_lines() + WHOLE).encode()).logs == (LogPart(LOG, 0, 1),)


@pytest.mark.parametrize(
    "text",
    [
        f"{LINE}../etc/passwd\n",
        f"{LINE}/etc/passwd\n",
        f"{LINE}blobs/../../{LOG}\n",
        f"{LINE}blobs/{LOG}/x\n",
        f"{LINE}blobs/{LOG.upper()}\n",
        f"{LINE}erhai-courier\n",
        log_lines() + WHOLE + f"{LINE}logs/{LOG}/tile/0/../../../x\n",
        log_lines() + WHOLE + f"{LINE}logs/{LOG}/tile/0/000.p/256\n",
        log_lines() + WHOLE + f"{LINE}logs/{LOG}/evil\n",
        log_lines() + WHOLE + f"{LINE}logs/{OTHER}/origin\n",
        log_lines(),
        WHOLE,
        log_lines(2, 1) + WHOLE,
        log_lines() + log_lines(0, 2) + WHOLE,
        log_lines() + WHOLE + WHOLE,
        log_lines() + WHOLE[:-1],
        log_lines(0, 10**16) + WHOLE,
        f"{ONE.sha256.hex()} 01 blobs/{LOG}\n",
        f"{ONE.sha256.hex()} \u0661 blobs/{LOG}\n",
        f"{ONE.sha256.hex()} -1 blobs/{LOG}\n",
        f"{ONE.sha256.hex()[:-2]} 1 blobs/{LOG}\n",
        f"{LINE}blobs/{LOG}\r\n",
        f"{LINE}blobs/{LOG}\n\n",
    ],
)
def test_what_does_not_belong_on_a_stick_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        Contents.parse(text.encode())
