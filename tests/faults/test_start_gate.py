"""Every start asks fence, tree and peers; a restored, cloned, damaged or overtaken log is not appended to."""

import shutil
from pathlib import Path

import apsw
import pytest

from node.store import connect
from sync.checkpoint import Checkpoint, sign
from sync.fence import Active, Behind, Fence, Rollback, Seen
from sync.gate import check_start
from sync.log import LOG_SCHEMA, head, instance_id, open_log
from sync.note import Signer

ORIGIN = "dali.erhai/532924/room-1/a/e1"
SIGNER = Signer.from_seed(ORIGIN, b"\x01" * 32)


def grow(db: apsw.Connection, count: int, fence: Fence | None, salt: bytes = b"entry") -> Checkpoint:
    db.execute("BEGIN IMMEDIATE")
    log = open_log(db, ORIGIN)
    for _ in range(count):
        log.append(salt + b" %d" % log.size)
    checkpoint = Checkpoint(ORIGIN, log.size, log.frontier.root())
    log.store_checkpoint(sign(checkpoint, SIGNER))
    db.execute("COMMIT")
    if fence is not None:
        fence.advance(checkpoint)
    return checkpoint


@pytest.fixture
def node(tmp_path: Path):
    db = connect(tmp_path / "log.db")
    db.execute(LOG_SCHEMA)
    open_log(db, ORIGIN)
    fence = Fence.create(tmp_path / "fence", instance=instance_id(db), origin=ORIGIN)
    yield tmp_path, db, fence
    fence.close()


def verdict(db: apsw.Connection, fence: Fence, *seen: Seen) -> str:
    found = check_start(db, fence, SIGNER.vkey, seen)
    return found.cause if isinstance(found, Rollback) else type(found).__name__


def test_an_ordinary_start_is_active(node) -> None:
    _, db, fence = node
    assert verdict(db, fence) == "Active"
    grow(db, 700, fence)
    assert check_start(db, fence, SIGNER.vkey, (Seen("b", grow(db, 1, fence)),)) == Active()


def test_a_crash_between_commit_and_fence_only_moves_the_fence(node) -> None:
    _, db, fence = node
    grow(db, 300, fence)
    newest = grow(db, 5, None)
    assert check_start(db, fence, SIGNER.vkey) == Behind(newest)
    fence.advance(newest)
    assert verdict(db, fence) == "Active"


def test_a_restored_older_copy_does_not_append(node, tmp_path: Path) -> None:
    folder, db, fence = node
    grow(db, 300, fence)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(folder / "log.db", folder / "backup.db")
    grow(db, 5, fence)
    restored = connect(folder / "backup.db")
    assert verdict(restored, fence) == "fence-ahead"
    grow(restored, 9, None, b"other")
    assert verdict(restored, fence) == "fence-differs"


def test_a_log_that_a_peer_knows_better_does_not_append(node) -> None:
    """The fence was lost with the disk and restored with it: only the peer remembers."""
    folder, db, fence = node
    grow(db, 300, fence)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    shutil.copy(folder / "log.db", folder / "backup.db")
    shutil.copy(folder / "fence", folder / "backup.fence")
    seen = Seen("b", grow(db, 5, fence))
    restored, old_fence = connect(folder / "backup.db"), Fence.open(folder / "backup.fence")
    assert verdict(restored, old_fence) == "Active"
    assert verdict(restored, old_fence, seen) == "peer-ahead"
    grow(restored, 9, old_fence, b"other")
    assert verdict(restored, old_fence, seen) == "peer-differs"
    old_fence.close()


def test_a_database_of_another_machine_does_not_append(node) -> None:
    _, db, fence = node
    grow(db, 3, fence)
    db.execute("UPDATE log_instance SET id = randomblob(16)")
    assert verdict(db, fence) == "other-instance"


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE entries SET body = x'00' WHERE seq = 690",
        "UPDATE entries SET leaf = zeroblob(32) WHERE seq = 690",
        "DELETE FROM entries WHERE seq = 690",
        "UPDATE hash256 SET hash = zeroblob(32) WHERE n = 0",
        "DELETE FROM hash256 WHERE n = 1",
    ],
)
def test_damaged_rows_are_found_before_anything_is_appended(node, damage: str) -> None:
    _, db, fence = node
    grow(db, 700, fence)
    db.execute(damage)
    assert verdict(db, fence) == "entry-changed"


def test_entries_without_a_valid_signature_over_them_do_not_pass(node) -> None:
    _, db, fence = node
    grow(db, 10, fence)
    forged = sign(Checkpoint(ORIGIN, 10, head(db, ORIGIN).root), Signer.from_seed(ORIGIN, b"\x02" * 32))
    db.execute("UPDATE logs SET checkpoint = ?", (forged,))
    assert verdict(db, fence) == "unsigned-tail"
    db.execute("UPDATE logs SET checkpoint = NULL")
    assert verdict(db, fence) == "unsigned-tail"


def test_commits_lost_with_the_write_ahead_log_are_a_rollback(node) -> None:
    """SQLite opens such a file without a word; the fence knows."""
    folder, db, fence = node
    grow(db, 50, fence)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    for _ in range(40):
        grow(db, 1, fence)
    copy = folder / "copy"
    copy.mkdir()
    for name in ("log.db", "log.db-wal"):
        shutil.copy(folder / name, copy / name)
    wal = bytearray((copy / "log.db-wal").read_bytes())
    wal[len(wal) // 2] ^= 1
    (copy / "log.db-wal").write_bytes(wal)
    damaged = connect(copy / "log.db")
    assert damaged.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert head(damaged, ORIGIN).size < 90
    assert verdict(damaged, fence) == "fence-ahead"
