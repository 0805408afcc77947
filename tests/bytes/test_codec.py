"""The bytes of an entry: one spelling, read alike by two other readers, refused in every other."""

import enum
import struct
from typing import Any

import msgpack
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.codec import MAX_ENTRY, Entry, Malformed, blob_reference, blobs_of, decode, encode, pack, unpack
from tests.data.sample_log import GOLDEN, SampleLog, sample_entry

SCALARS = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text(max_size=40) | st.binary(max_size=40)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=5).map(tuple), max_leaves=20)
NAMES = st.text(min_size=1, max_size=20)
NUMBERS = st.integers(0, 2**63 - 1)
ENTRIES = st.builds(
    Entry,
    version=st.just(1),
    origin=NAMES,
    seq=NUMBERS,
    at_ms=NUMBERS,
    clock_quality=NAMES,
    stream=NAMES,
    command_id=st.binary(min_size=16, max_size=16),
    actor=NAMES,
    events=st.lists(st.tuples(NAMES, st.integers(1, 99), st.lists(VALUES, max_size=4).map(tuple)), max_size=3).map(
        tuple
    ),
    evidence=st.lists(st.binary(max_size=40) | st.text(max_size=20), max_size=2).map(tuple),
)


class Record(msgspec.Struct, array_like=True):
    """What msgspec reads, declared anew."""

    version: int
    origin: str
    seq: int
    at_ms: int
    clock_quality: str
    stream: str
    command_id: bytes
    actor: str
    events: tuple[tuple[Any, ...], ...]
    evidence: tuple[Any, ...] = ()


@given(ENTRIES)
def test_an_entry_survives_its_bytes_and_other_readers_read_it_alike(entry):
    body = encode(entry)
    assert decode(body) == entry
    plain = msgpack.unpackb(body, use_list=False)
    assert plain[:8] == (
        entry.version,
        entry.origin,
        entry.seq,
        entry.at_ms,
        entry.clock_quality,
        entry.stream,
        entry.command_id,
        entry.actor,
    )
    assert plain[8] == tuple((name, version, *fields) for name, version, fields in entry.events)
    record = msgspec.msgpack.decode(body, type=list[Any])
    assert msgpack.packb(record) == body == msgspec.msgpack.encode(record)


def test_msgspec_reads_an_entry_by_its_declared_fields():
    entry = sample_entry(3)
    record = msgspec.msgpack.decode(encode(entry), type=Record)
    assert (record.origin, record.seq, record.command_id) == (entry.origin, 3, entry.command_id)
    assert record.evidence == entry.evidence


@given(VALUES)
def test_values_survive_their_bytes(value):
    assert unpack(pack(value)) == value
    assert type(unpack(pack(value))) is type(value)


@given(VALUES, st.data())
def test_bytes_that_are_read_are_the_one_spelling(value, data):
    """Whatever bit changes, either it is refused or it is the one spelling of another value."""
    body = bytearray(pack(value))
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    body[bit // 8] ^= 1 << bit % 8
    try:
        other = unpack(bytes(body))
    except Malformed:
        return
    assert pack(other) == bytes(body)


REFUSED = {
    "a float": 1.5,
    "a map": {"a": 1},
    "a set": {1},
    "a bytearray": bytearray(b"x"),
    "an integer of 65 bits": 2**64,
    "half a surrogate pair": "\ud800",
    "a map deep inside": (1, (2, ({},))),
    "arrays 17 deep": eval("(" * 17 + "1" + ",)" * 17),  # noqa: S307
}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_what_has_no_one_spelling_cannot_be_written(value):
    with pytest.raises(Malformed):
        pack(value)


FOREIGN = {
    "a float": struct.pack(">Bd", 0xCB, 1.0),
    "a short float": struct.pack(">Bf", 0xCA, 1.0),
    "a map": b"\x81\x01\x02",
    "a time": b"\xd6\xff\0\0\0\0",
    "an extension": b"\xd4\x05\0",
    "an integer in two bytes": b"\xcc\x05",
    "an integer in nine bytes": b"\xcf" + bytes(7) + b"\x05",
    "a signed spelling of a positive": b"\xd0\x05",
    "a text with a long length": b"\xd9\x01a",
    "bytes with a long length": b"\xc5\0\x01a",
    "an array with a long length": b"\xdc\0\x01\x01",
    "text that is not UTF-8": b"\xa1\xff",
    "a surrogate": b"\xa3\xed\xa0\x80",
    "two values": b"\x01\x02",
    "nothing": b"",
    "half a value": b"\x92\x01",
    "an array of 4 billion": b"\xdd\xff\xff\xff\xff",
    "arrays 600 deep": b"\x91" * 600 + b"\x01",
    "arrays 65,000 deep": b"\x91" * 65_000 + b"\x01",
    "the byte that is never used": b"\xc1",
}


@pytest.mark.parametrize("data", FOREIGN.values(), ids=FOREIGN.keys())
def test_other_spellings_are_refused(data):
    with pytest.raises(Malformed):
        unpack(data)


GOOD = msgpack.unpackb(encode(sample_entry(3)), use_list=False)
WRONG_FIELDS = [
    (0, 2, "version"), (0, True, "version"), (1, "", "origin"), (1, b"x", "origin"), (2, -1, "seq"), (2, True, "seq"),
    (3, 2**63, "at_ms"), (4, None, "clock_quality"), (5, 5, "stream"), (6, b"short", "command_id"), (6, "x" * 16, "command_id"),
    (7, "", "actor"), (8, "events", "events"), (8, (("name",),), "events"), (8, ((1, 1),), "events"), (8, (("n", 0),), "events"),
    (8, (("n", True),), "events"), (8, ("name",), "events"), (9, None, "evidence"), (9, (1,), "evidence"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "field"), WRONG_FIELDS)
def test_a_wrong_field_is_named(place, value, field):
    with pytest.raises(Malformed) as caught:
        decode(msgpack.packb((*GOOD[:place], value, *GOOD[place + 1 :])))
    assert caught.value.field == field


@pytest.mark.parametrize("value", [(), GOOD[:9], (*GOOD, 1), "entry", None, 5])
def test_what_is_no_array_of_ten_is_no_entry(value):
    with pytest.raises(Malformed):
        decode(msgpack.packb(value))


def test_an_entry_of_65535_bytes_is_read_and_one_more_is_not():
    entry = sample_entry(0)
    spare = MAX_ENTRY - len(encode(entry)) - 2
    bodies = [encode(Entry(*(getattr(entry, f) for f in FIELDS), evidence=(b"x" * n,))) for n in (spare - 1, spare)]
    assert [len(body) for body in bodies] == [MAX_ENTRY, MAX_ENTRY + 1]
    assert decode(bodies[0]).seq == 0
    with pytest.raises(Malformed):
        decode(bodies[1])


FIELDS = ["version", "origin", "seq", "at_ms", "clock_quality", "stream", "command_id", "actor", "events"]


def test_an_enumerated_word_is_written_as_its_text():
    class Word(enum.StrEnum):
        KNOWN = "known"

    assert pack((Word.KNOWN,)) == pack(("known",))


def test_blobs_are_named_in_the_evidence():
    assert blobs_of(sample_entry(3)) == [sample_entry(3).evidence[0].removeprefix("blob:")]
    assert blobs_of(sample_entry(4)) == []
    assert blob_reference(bytes(32)) == "blob:" + "00" * 32


def test_the_golden_entry_has_not_changed():
    assert encode(sample_entry(3)) == (GOLDEN / "entry.msgpack").read_bytes()
    assert decode((GOLDEN / "entry.msgpack").read_bytes()) == sample_entry(3)


def test_the_golden_bundle_has_not_changed_and_comes_out_the_same_twice():
    log = SampleLog.of(300)
    assert log.bundle() == log.bundle() == (GOLDEN / "bundle.zip").read_bytes()
