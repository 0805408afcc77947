"""The tables hold the tree that RFC 6962 asks for, and the head in memory never differs from what a commit keeps."""

from collections.abc import Iterator
from pathlib import Path

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.checkpoint import Checkpoint, sign
from sync.codec import MAX_ENTRY
from sync.log import (
    LOG_SCHEMA,
    Cosigned,
    EntryTooLarge,
    LogFault,
    LogTable,
    TableHashes,
    add_cosignature,
    head,
    instance_id,
    open_log,
    origins,
    reached,
    read_bodies,
    read_entry,
    size_of,
)
from sync.merkle import EMPTY_ROOT, MemoryHashes, inclusion_proof, leaf_hash, tree_root, verify_inclusion
from sync.note import Signer

ORIGIN = "dali.erhai/532924/room-1/a/e1"
SIGNER = Signer.from_seed(ORIGIN, b"\x01" * 32)


def fresh(path: str = ":memory:") -> apsw.Connection:
    db = apsw.Connection(path)
    db.execute(LOG_SCHEMA)
    return db


@pytest.fixture
def db() -> Iterator[apsw.Connection]:
    yield (connection := fresh())
    connection.close()


def bodies(count: int, start: int = 0) -> list[bytes]:
    return [b"entry %d" % seq for seq in range(start, start + count)]


def fill(log: LogTable, count: int) -> None:
    entries = bodies(count, log.size)
    log.extend(entries, [leaf_hash(body) for body in entries])
    log.flush()


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 512, 65_535, 65_536, 65_537, 66_000])
def test_root_and_proofs_come_out_as_from_all_leaves(db: apsw.Connection, size: int) -> None:
    log = open_log(db, ORIGIN)
    fill(log, size)
    leaves = [leaf_hash(body) for body in bodies(size)]
    memory = MemoryHashes(leaves)
    root = tree_root(memory, size)
    table = TableHashes(db, ORIGIN)
    assert log.frontier.root() == head(db, ORIGIN).root == tree_root(table, size) == root
    for index in {0, size // 2, size - 1} if size else set():
        proof = inclusion_proof(table, index, size)
        assert proof == inclusion_proof(memory, index, size)
        verify_inclusion(leaves[index], index, size, proof, root)


@given(st.lists(st.integers(0, 300), max_size=6), st.booleans())
@settings(max_examples=25, deadline=None)
def test_one_by_one_and_many_at_once_make_the_same_rows(chunks: list[int], single: bool) -> None:
    db, other = fresh(), fresh()
    log, reference = open_log(db, ORIGIN), open_log(other, ORIGIN)
    for chunk in chunks:
        entries = bodies(chunk, log.size)
        if single:
            assert [log.append(body) for body in entries] == [log.size - chunk + i for i in range(chunk)]
        else:
            log.extend(entries, [leaf_hash(body) for body in entries])
        log.flush()
    fill(reference, sum(chunks))
    for table in ("entries", "hash256", "logs"):
        assert list(db.execute(f"SELECT * FROM {table}")) == list(other.execute(f"SELECT * FROM {table}"))


def test_entries_are_read_back_as_they_were_written(db: apsw.Connection) -> None:
    log = open_log(db, ORIGIN)
    fill(log, 300)
    assert read_entry(db, ORIGIN, 299) == b"entry 299"
    assert list(read_bodies(db, ORIGIN, 254, 258)) == list(enumerate(bodies(4, 254), start=254))
    with pytest.raises(LogFault):
        read_entry(db, ORIGIN, 300)
    assert (origins(db), size_of(db, ORIGIN), size_of(db, "other/e1")) == ([ORIGIN], 300, 0)


def test_an_entry_over_65535_bytes_is_refused_and_changes_nothing(db: apsw.Connection) -> None:
    log = open_log(db, ORIGIN)
    log.append(bytes(MAX_ENTRY))
    for attempt in (lambda: log.append(bytes(MAX_ENTRY + 1)), lambda: log.extend([bytes(MAX_ENTRY + 1)], [bytes(32)])):
        with pytest.raises(EntryTooLarge):
            attempt()
    assert log.size == 1


def test_a_rolled_back_savepoint_leaves_the_head_before_it(db: apsw.Connection) -> None:
    log = open_log(db, ORIGIN)
    db.execute("BEGIN")
    for seq in range(260):
        mark = log.mark()
        db.execute("SAVEPOINT job")
        log.append(b"entry %d" % seq)
        if seq % 3 == 1 or seq == 255:
            other = log.mark()
            log.append(b"refused")
            assert log.mark() != other
            db.execute("ROLLBACK TO job")
            log.rollback_to(mark)
            log.append(b"entry %d" % seq)
        db.execute("RELEASE job")
    log.flush()
    db.execute("COMMIT")
    assert log.frontier.root() == tree_root(MemoryHashes(map(leaf_hash, bodies(260))), 260)
    assert tree_root(TableHashes(db, ORIGIN), 260) == log.frontier.root()


def test_after_a_failed_commit_the_head_is_what_the_disk_says(db: apsw.Connection) -> None:
    log = open_log(db, ORIGIN)
    fill(log, 7)
    before = log.frontier
    db.execute("BEGIN")
    fill(log, 300)
    db.execute("ROLLBACK")
    log.forget()
    assert log.frontier == before == head(db, ORIGIN).frontier
    fill(log, 1)
    assert read_entry(db, ORIGIN, 7) == b"entry 7"


def test_a_checkpoint_is_stored_only_for_what_is_here(db: apsw.Connection) -> None:
    log = open_log(db, ORIGIN)
    fill(log, 3)
    note = sign(Checkpoint(ORIGIN, 3, log.frontier.root()), SIGNER)
    log.store_checkpoint(note)
    fill(log, 2)
    held = head(db, ORIGIN)
    assert (held.checkpoint, held.checkpoint_size, held.size, log.signed_size) == (note, 3, 5, 3)
    other = Signer.from_seed("other/e1", b"\x02" * 32)
    for wrong in (
        sign(Checkpoint(ORIGIN, 6, b"r" * 32), SIGNER),
        sign(Checkpoint(ORIGIN, 5, b"r" * 32), SIGNER),
        sign(Checkpoint(ORIGIN, 2, b"r" * 32), SIGNER),
        sign(Checkpoint("other/e1", 5, log.frontier.root()), other),
    ):
        with pytest.raises(LogFault):
            log.store_checkpoint(wrong)
    assert head(db, ORIGIN) == held


def test_reach_is_the_first_cosignature_of_each_cosigner_above_the_entry(db: apsw.Connection) -> None:
    open_log(db, ORIGIN)
    rows = [("b/m", 3), ("b/m", 5), ("b/m", 9), ("p/m", 5), ("z/m", 1)]
    for name, size in rows:
        add_cosignature(db, ORIGIN, Cosigned(name, size, f"line {name} {size}", size * 1_000))
    found = {seq: [(one.cosigner, one.size) for one in reached(db, ORIGIN, seq)] for seq in (0, 2, 4, 8, 9)}
    assert found == {
        0: [("b/m", 3), ("p/m", 5), ("z/m", 1)],
        2: [("b/m", 3), ("p/m", 5)],
        4: [("b/m", 5), ("p/m", 5)],
        8: [("b/m", 9)],
        9: [],
    }
    assert [(one.cosigner, one.size) for one in head(db, ORIGIN).cosignatures] == [("b/m", 9), ("p/m", 5), ("z/m", 1)]
    assert reached(db, "unknown/e1", 0) == ()


def test_a_lost_row_is_named_not_skipped(db: apsw.Connection) -> None:
    fill(open_log(db, ORIGIN), 600)
    db.execute("DELETE FROM hash256 WHERE n = 1")
    with pytest.raises(LogFault) as fault:
        tree_root(TableHashes(db, ORIGIN), 600)
    assert fault.value.what == "missing-entries"


def test_each_copy_of_a_database_has_its_own_id(tmp_path: Path) -> None:
    first = fresh(str(tmp_path / "a.db"))
    identity = instance_id(first)
    first.execute(LOG_SCHEMA)
    assert instance_id(first) == identity
    assert instance_id(fresh()) != identity
    assert head_of_nothing(first) == EMPTY_ROOT


def head_of_nothing(db: apsw.Connection) -> bytes:
    open_log(db, ORIGIN)
    return head(db, ORIGIN).root


def test_a_log_whose_head_was_only_read_does_not_keep_the_wal_from_being_checkpointed(tmp_path: Path) -> None:
    db = fresh(str(tmp_path / "log.db"))
    db.execute("PRAGMA journal_mode=WAL")
    own, mirrored = open_log(db, ORIGIN), open_log(db, "another/log")
    assert own.size == 0
    db.execute("BEGIN IMMEDIATE")
    mirrored.append(b"an entry")
    mirrored.flush()
    db.execute("COMMIT")
    assert db.txn_state() == apsw.SQLITE_TXN_NONE
    written, moved = db.wal_checkpoint()
    assert 0 < written == moved
