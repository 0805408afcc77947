"""Blobs are whole or absent, and changed bytes are never handed out."""

import hashlib
from pathlib import Path

import pytest

from sync.blobs import BlobFault, BlobStore

DATA = b"sealed bid" * 1_000
DIGEST = hashlib.sha256(DATA).digest()


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def receive(store: BlobStore, *pieces: bytes, max_bytes: int = 1 << 20, fail: Exception | None = None) -> bytes:
    with store.incoming(max_bytes) as part:
        for piece in pieces:
            part.write(piece)
        if fail is not None:
            raise fail
        return part.keep(DIGEST)


def test_a_blob_is_found_by_its_hash(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    assert store.put(DATA) == store.put(DATA) == DIGEST
    assert store.get(DIGEST) == DATA
    assert store.has(DIGEST)
    assert files(tmp_path) == [f"{DIGEST.hex()[:2]}/{DIGEST.hex()}"]
    store.check(DIGEST)


def test_a_changed_file_is_damaged_not_another_blob(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    store.put(DATA)
    raw = bytearray(DATA)
    raw[77] ^= 1
    store.path(DIGEST).write_bytes(raw)
    for read in (store.get, store.check):
        with pytest.raises(BlobFault) as fault:
            read(DIGEST)
        assert fault.value.why == "damaged"


def test_a_blob_that_is_not_here_is_missing(tmp_path: Path) -> None:
    with pytest.raises(BlobFault) as fault:
        BlobStore(tmp_path).get(DIGEST)
    assert fault.value.why == "missing"


def test_an_arrival_that_breaks_off_leaves_no_trace(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(ConnectionError):
        receive(store, DATA[:100], fail=ConnectionError())
    assert files(tmp_path) == []


def test_an_arrival_with_another_digest_than_promised_leaves_no_trace(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(BlobFault) as fault:
        receive(store, DATA + b"x")
    assert fault.value.why == "wrong-digest"
    assert files(tmp_path) == []


def test_an_arrival_over_its_limit_leaves_no_trace(tmp_path: Path) -> None:
    store = BlobStore(tmp_path)
    with pytest.raises(BlobFault) as fault:
        receive(store, DATA[:100], DATA[:100], max_bytes=150)
    assert fault.value.why == "too-large"
    assert files(tmp_path) == []


def test_what_a_crash_left_half_received_is_cleared_at_the_next_start(tmp_path: Path) -> None:
    BlobStore(tmp_path)
    (tmp_path / "incoming" / "half").write_bytes(b"x")
    store = BlobStore(tmp_path)
    assert files(tmp_path) == []
    assert receive(store, DATA[:5_000], DATA[5_000:]) == DIGEST
    assert store.get(DIGEST) == DATA
