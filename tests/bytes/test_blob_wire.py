"""A chunk proves its place: whatever is changed in it, it no longer parses."""

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync import blob_wire
from sync.blob_wire import CHUNK, Chunk, audit_path, chunk_length, chunk_root, chunks_of, root_of
from sync.merkle import leaf_hash
from sync.tampered import Malformed

LEAVES = [leaf_hash(b"%d" % n) for n in range(70)]


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 7, 8, 9, 31, 33, 70])
def test_every_leaf_of_every_count_climbs_to_the_root(count: int) -> None:
    leaves = LEAVES[:count]
    for index, leaf in enumerate(leaves):
        assert root_of(leaf, index, count, audit_path(leaves, index)) == chunk_root(leaves)


@pytest.mark.parametrize(("size", "count", "last"), [(0, 1, 0), (1, 1, 1), (CHUNK, 1, CHUNK), (CHUNK + 1, 2, 1)])
def test_a_blob_is_cut_into_whole_chunks_and_a_rest(size: int, count: int, last: int) -> None:
    assert (chunks_of(size), chunk_length(size, count - 1)) == (count, last)


def chunk() -> tuple[bytes, list[bytes]]:
    data = [b"a" * CHUNK, b"b" * CHUNK, b"\n\nrest"]
    leaves = [leaf_hash(one) for one in data]
    size = sum(len(one) for one in data)
    return bytes(Chunk(size, 2, chunk_root(leaves), audit_path(leaves, 2), data[2])), leaves


def test_a_chunk_comes_back_as_it_was() -> None:
    body, leaves = chunk()
    found = Chunk.parse(body)
    assert (found.index, found.data, found.root) == (2, b"\n\nrest", chunk_root(leaves))
    assert bytes(found) == body


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_changed_byte_never_passes_for_the_same_chunk(data: st.DataObject) -> None:
    body, _ = chunk()
    at = data.draw(st.integers(0, len(body) - 1))
    flipped = body[:at] + bytes([body[at] ^ data.draw(st.integers(1, 255))]) + body[at + 1 :]
    try:
        found = Chunk.parse(flipped)
    except Malformed:
        return
    pytest.fail(f"accepted with byte {at} changed: {found}")


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_nonsense_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        Chunk.parse(body)


@pytest.mark.parametrize(
    "head",
    [
        b"erhai-chunk/v1\n99999999999\n0\n",
        b"erhai-chunk/v1\n-1\n0\n",
        b"erhai-chunk/v1\n01\n0\n",
        b"erhai-chunk/v1\n5\n1\n",
        b"erhai-chunk/v2\n5\n0\n",
    ],
)
def test_an_impossible_place_is_refused(head: bytes) -> None:
    root = hashlib.sha256(b"\x00hello").digest()
    line = blob_wire.base64.b64encode(root)
    with pytest.raises(Malformed):
        Chunk.parse(head + line + b"\n\nhello")
    assert Chunk.parse(b"erhai-chunk/v1\n5\n0\n" + line + b"\n\nhello").data == b"hello"
