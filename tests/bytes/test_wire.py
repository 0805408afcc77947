"""Replication's bodies: what is written is read back, in any pieces, and nothing else is accepted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.merkle import (
    Frontier,
    MemoryHashes,
    consistency_proof,
    leaf_hash,
    subtree_proof,
    tree_root,
    verify_consistency,
    verify_subtree,
)
from sync.note import MAX_NOTE, encode_base64
from sync.tampered import Malformed
from sync.wire import (
    MAX_PACKAGES,
    AddCheckpoint,
    EntriesHead,
    EntriesReader,
    MirrorInfo,
    Package,
    Span,
    decode_lines,
    decode_size,
    encode_lines,
    encode_size,
    spans,
)
from tests.data.sample_log import ORIGIN, SampleLog

LOG = SampleLog([b"entry %d" % i for i in range(1_000)])
NOTE = LOG.note()


def upload(start: int, end: int, *, count: int | None = None, head: EntriesHead | None = None) -> bytes:
    packages = [
        Package(span, tuple(LOG.bodies[span.first : span.end]), tuple(subtree_proof(LOG, span.aligned, span.end, end)))
        for span in spans(start, end)
    ]
    return bytes(head or EntriesHead(ORIGIN, start, end, b"ticket")) + b"".join(map(bytes, packages[:count]))


def read_all(body: bytes, step: int) -> tuple[EntriesReader, list[Package]]:
    reader, packages = EntriesReader(), []
    for at in range(0, len(body), step):
        reader.feed(body[at : at + step])
        while (package := reader.package()) is not None:
            packages.append(package)
    return reader, packages


@given(st.integers(0, 1_000), st.integers(1, 1_000), st.integers(0, 1_000))
def test_a_checkpoint_is_sent_and_read_with_its_proof(old, new, spare):
    old, new = min(old, new), max(old, new)
    sent = AddCheckpoint(old, tuple(consistency_proof(LOG, old, new)), LOG.note(new))
    got = AddCheckpoint.parse(bytes(sent))
    assert got == sent
    verify_consistency(old, tree_root(LOG, old), new, tree_root(LOG, new), got.proof)


HASH = encode_base64(bytes(32)).encode()
BAD_CHECKPOINTS = {
    "nothing": b"",
    "no old size": b"\n" + NOTE,
    "another word": b"new 0\n\n" + NOTE,
    "two spaces": b"old  0\n\n" + NOTE,
    "a leading zero": b"old 00\n\n" + NOTE,
    "a sign": b"old +1\n\n" + NOTE,
    "a size past 2**63": b"old 9223372036854775808\n\n" + NOTE,
    "digits of another script": "old ٣\n\n".encode() + NOTE,
    "a size of many digits": b"old " + b"9" * 5_000 + b"\n\n" + NOTE,
    "no empty line": b"old 0\n",
    "no checkpoint": b"old 0\n\n",
    "64 hashes": b"old 0\n" + (HASH + b"\n") * 64 + b"\n" + NOTE,
    "a short hash": b"old 0\n" + encode_base64(bytes(31)).encode() + b"\n\n" + NOTE,
    "a hash in another spelling": b"old 0\n" + HASH[:-2] + b"B=\n\n" + NOTE,
    "a hash with a carriage return": b"old 0\n" + HASH + b"\r\n\n" + NOTE,
    "no ASCII": b"old 0\xff\n\n" + NOTE,
    "too long": b"old 0\n\n" + bytes(MAX_NOTE + 4_000),
}


@pytest.mark.parametrize("body", BAD_CHECKPOINTS.values(), ids=BAD_CHECKPOINTS.keys())
def test_a_checkpoint_in_another_spelling_is_malformed(body):
    with pytest.raises(Malformed):
        AddCheckpoint.parse(body)


def test_a_proof_of_63_hashes_may_be_sent_and_64_may_not():
    assert len(AddCheckpoint.parse(bytes(AddCheckpoint(0, (bytes(32),) * 63, NOTE))).proof) == 63
    with pytest.raises(ValueError, match="63"):
        bytes(AddCheckpoint(0, (bytes(32),) * 64, NOTE))


@pytest.mark.parametrize(("start", "end"), [(0, 1_000), (300, 1_000), (256, 512), (999, 1_000), (0, 1), (7, 7)])
@pytest.mark.parametrize("step", [1, 700, 10**9])
def test_entries_arrive_in_any_pieces_and_every_package_proves_itself(start, end, step):
    reader, packages = read_all(upload(start, end), step)
    assert reader.head() == EntriesHead(ORIGIN, start, end, b"ticket")
    assert reader.complete
    assert [body for package in packages for body in package.entries] == LOG.bodies[start:end]
    for package in packages:
        span = package.span
        leaves = [leaf_hash(body) for body in (*LOG.bodies[span.aligned : span.first], *package.entries)]
        subtree = Frontier().extend(leaves).root()
        verify_subtree(span.aligned, span.end, subtree, end, tree_root(LOG, end), package.proof)


@given(st.integers(0, 800))
def test_packages_are_cut_at_multiples_of_256(start):
    cut = list(spans(start, 1_000))
    assert [span.first for span in cut] == [start, *range(start - start % 256 + 256, 1_000, 256)]
    assert all(span.aligned == span.first - span.first % 256 for span in cut)
    assert [span.end for span in cut] == [*(span.first for span in cut[1:]), 1_000]
    assert list(spans(5, 5)) == []


def test_a_prefix_of_the_packages_is_read_and_not_complete():
    reader, packages = read_all(upload(0, 1_000, count=2), 500)
    assert (len(packages), reader.complete, packages[1].span) == (2, False, Span(256, 256, 512))


@given(st.integers(0, 20_000))
def test_a_body_that_breaks_off_gives_only_whole_packages(length):
    body = upload(300, 1_000)[:length]
    _, packages = read_all(body, 10**9)
    assert all(len(package.entries) == package.span.end - package.span.first for package in packages)


def test_a_request_gives_at_most_32_packages_and_leaves_the_rest():
    many = SampleLog([b"x"] * 256 * (MAX_PACKAGES + 2))
    cut = list(spans(0, many.size))
    body = bytes(EntriesHead("a", 0, many.size)) + b"".join(bytes(Package(s, (b"x",) * 256, ())) for s in cut)
    reader, packages = read_all(body, 10_000)
    assert (len(packages), reader.complete, reader.satisfied) == (32, False, True)
    assert packages[-1].span.end == 8_192


BAD_UPLOADS = {
    "an origin without bytes": bytes(EntriesHead("", 0, 1)),
    "an origin over its bound": bytes(EntriesHead("x" * 1_025, 0, 1)),
    "an origin that is not UTF-8": bytes(EntriesHead("x", 0, 1)).replace(b"x", b"\xff"),
    "an end before the start": bytes(EntriesHead("x", 2, 1)),
    "an end past 2**63": bytes(EntriesHead("x", 0, 2**63)),
    "64 hashes": bytes(EntriesHead("x", 0, 1)) + b"\0\0\x40" + bytes(64 * 32),
    "bytes behind the last package": upload(0, 300) + b"!",
    "bytes behind no package": bytes(EntriesHead("x", 3, 3)) + b"!",
}


@pytest.mark.parametrize("body", BAD_UPLOADS.values(), ids=BAD_UPLOADS.keys())
def test_an_upload_that_breaks_a_bound_is_malformed(body):
    with pytest.raises(Malformed):
        read_all(body, 10**9)


def test_a_package_must_fit_its_span():
    with pytest.raises(ValueError, match="span"):
        bytes(Package(Span(0, 0, 2), (b"one",), ()))
    with pytest.raises(ValueError, match="63"):
        bytes(Package(Span(0, 0, 1), (b"one",), (bytes(32),) * 64))


@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1), st.binary(max_size=200))
def test_answers_are_read_back(pending, following, ticket):
    info = MirrorInfo(pending, following, ticket)
    assert MirrorInfo.parse(bytes(info)) == info
    assert decode_size(encode_size(pending)) == pending


BAD_ANSWERS = [
    b"",
    b"1\n2\n",
    b"1\n2\n\n\n",
    b"01\n2\n\n",
    b"1\n2\n!\n",
    b"1\n2\n\xff\n",
    b"x" * 200_000,
    b"<html>\n\n\n",
]


@pytest.mark.parametrize("body", BAD_ANSWERS)
def test_an_answer_that_is_not_a_mirrors_is_malformed(body):
    with pytest.raises(Malformed):
        MirrorInfo.parse(body)
    with pytest.raises(Malformed):
        decode_size(body)


def test_signature_lines_are_read_back_and_an_empty_answer_has_none():
    lines = NOTE.partition(b"\n\n")[2]
    assert encode_lines(decode_lines(lines)) == lines
    assert decode_lines(b"") == ()
    for bad in (b"<html>", lines[:-1], lines + b"\n", b"\xff\n", bytes(MAX_NOTE + 1)):
        with pytest.raises(Malformed):
            decode_lines(bad)


def test_hashes_in_memory_end_where_the_log_ends():
    with pytest.raises(IndexError):
        MemoryHashes([bytes(32)]).hashes(0, 0, 2)
    with pytest.raises(IndexError):
        MemoryHashes([bytes(32)]).hashes(1, 0, 1)
