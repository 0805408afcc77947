"""Another program that holds the database's write lock delays a record, and does not refuse it."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from node import store
from node.litestream import write_config
from node.settings import Replica
from node.store import Store, StoreFault, connect


@pytest.fixture
async def opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Store]:
    monkeypatch.setattr(store, "BUSY_MS", 10)
    made = Store(tmp_path / "erhai.db")
    made.setup(lambda db: db.execute("CREATE TABLE t (x)"))
    made.start()
    yield made
    await made.close()


def holder(made: Store) -> apsw.Connection:
    """Somebody else, in the middle of a transaction."""
    other = connect(made.path)
    other.execute("BEGIN IMMEDIATE")
    return other


async def test_a_record_waits_out_a_lock_that_is_held_longer_than_the_busy_timeout(opened: Store) -> None:
    other = holder(opened)
    writing = asyncio.create_task(opened.write(lambda db: db.execute("INSERT INTO t VALUES (1)").fetchall()))
    await asyncio.sleep(0.2)  # twenty busy timeouts
    assert not writing.done()
    other.execute("COMMIT")
    await writing
    assert await opened.read(lambda db: db.execute("SELECT count(*) FROM t").fetchone()) == (1,)
    assert opened.failing is None
    other.close()


async def test_readers_go_on_while_another_program_holds_the_lock(opened: Store) -> None:
    other = holder(opened)
    assert await opened.read(lambda db: db.execute("SELECT count(*) FROM t").fetchone()) == (0,)
    other.execute("COMMIT")
    other.close()


async def test_a_lock_that_is_never_let_go_is_a_fault_that_says_so_and_ends_with_it(
    opened: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "LOCKED_S", 0.05)
    other = holder(opened)
    with pytest.raises(StoreFault, match="another program keeps the database locked"):
        await opened.write(lambda db: db.execute("INSERT INTO t VALUES (1)").fetchall())
    assert opened.failing is not None
    other.execute("COMMIT")
    other.close()
    await opened.write(lambda db: db.execute("INSERT INTO t VALUES (2)").fetchall())
    assert opened.failing is None


def test_a_start_waits_out_a_lock_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "BUSY_MS", 10)
    made = Store(tmp_path / "erhai.db")
    made.setup(lambda db: db.execute("CREATE TABLE t (x)"))
    other = holder(made)
    threading.Timer(0.2, other.execute, ("COMMIT",)).start()
    made.setup(lambda db: db.execute("INSERT INTO t VALUES (1)"))
    made.start()
    asyncio.run(made.close())
    other.close()


def test_litestream_is_told_never_to_keep_writers_waiting_for_a_truncated_wal(tmp_path: Path) -> None:
    path = write_config(tmp_path, Replica("disk", "file", str(tmp_path / "copies")))
    assert '"truncate-page-n": 0' in path.read_text()
