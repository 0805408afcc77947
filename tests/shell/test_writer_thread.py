"""The thread that writes: no other one touches its database, and nothing that happens to it leaves anybody waiting."""

import asyncio
import threading
from pathlib import Path

import apsw
import pytest

from node.store import Store, StoreFault
from sync.log import LogTable
from tests.pages.room import Browser, Room


async def test_pages_after_a_failed_commit_leave_the_writers_database_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = Room.in_folder(tmp_path)
    node, browser = room.node, await Browser.of(room, "O-1")
    readers: list[int] = []
    know = LogTable._know
    monkeypatch.setattr(LogTable, "_know", lambda log: (readers.append(threading.get_ident()), know(log))[1])

    def full(_db: apsw.Connection) -> None:
        raise apsw.FullError("full")

    def insert(db: apsw.Connection) -> None:
        db.execute("INSERT INTO command_digests VALUES (x'01', x'02')")

    monkeypatch.setattr(node.store, "before_commit", full)
    with pytest.raises(StoreFault):
        await node.store.write(insert)
    readers.clear()
    assert f"#{node.recorder.size}" in (await browser.get("/node")).words
    await browser.close()
    await node.close()
    assert threading.get_ident() not in readers


async def test_what_nobody_foresaw_after_a_commit_stops_the_store_and_leaves_nobody_waiting(tmp_path: Path) -> None:
    store = Store(tmp_path / "x.db")
    store.setup(lambda db: db.execute("CREATE TABLE t (x)"))
    store.start()

    def unforeseen() -> None:
        raise RuntimeError("unforeseen")

    store.after_commit = unforeseen
    async with asyncio.timeout(20):
        for _ in range(2):
            with pytest.raises(StoreFault, match="unforeseen"):
                await store.write(lambda db: db.execute("INSERT INTO t VALUES (1)"))
        await store.close()
