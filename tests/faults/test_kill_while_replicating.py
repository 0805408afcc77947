"""Either side of a push dies by SIGKILL at any moment: it resumes, and both hold the same rows."""

import asyncio
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from node.store import connect
from sync.log import head, open_log, read_bodies, size_of
from sync.merkle import leaf_hash
from tests.shell.sync_room import RoomNode, bodies, cosigned, identity_in

ROOT = Path(__file__).parents[2]
COUNT = 5_000


def receiver(folder: Path, port: int = 0) -> tuple[subprocess.Popen, int]:
    """Start node b in a process of its own; return it and its port."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.shell.sync_room", str(folder), "b", str(port), "a"],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    return child, int(child.stdout.readline())


def durable(folder: Path, origin: str) -> int:
    """Return how many entries of a log are committed in b's file, seen from outside."""
    file = folder / "b" / "erhai.db"
    db = connect(file, readonly=True)
    try:
        return size_of(db, origin)
    finally:
        db.close()


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_a_receiver_killed_mid_push_resumes_and_ends_with_exactly_the_senders_rows(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.wire.MAX_PACKAGES", 1)  # many small steps: the kills must fall between them
    goals = sorted(random.Random(seed).sample(range(COUNT * 3 // 4), 3))
    identity_in(tmp_path, "a")
    b = identity_in(tmp_path, "b").public()
    a = RoomNode(tmp_path, "a")
    await a.append(bodies(COUNT, size=430))
    child, port = receiver(tmp_path)
    push = a.push_to(b, f"https://127.0.0.1:{port}")
    task = asyncio.create_task(push.run())
    kept = [0]
    try:
        for goal in goals:
            for _ in range(5_000):
                if durable(tmp_path, a.origin) > goal:
                    break
                await asyncio.sleep(0.001)
            child.kill()
            child.wait()
            kept.append(durable(tmp_path, a.origin))
            child, port = receiver(tmp_path, port)
            push.retry_now()
        await cosigned(a, b, COUNT)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        child.kill()
        child.wait()
    assert kept == sorted(kept)
    assert 0 < kept[1] < COUNT
    mine = await a.head(a.origin)
    await a.stop()
    db = connect(tmp_path / "b" / "erhai.db", readonly=True)
    theirs = head(db, a.origin)
    assert (theirs.size, theirs.root, theirs.checkpoint) == (COUNT, mine.root, mine.checkpoint)
    assert [body for _, body in read_bodies(db, a.origin, 0, COUNT)] == bodies(COUNT, size=430)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


async def test_what_the_receiver_cosigned_was_on_its_disk(tmp_path: Path) -> None:
    """Killed at once after each cosignature, the receiver's file holds every entry that it covers."""
    identity_in(tmp_path, "a")
    b = identity_in(tmp_path, "b").public()
    a = RoomNode(tmp_path, "a")
    child, port = receiver(tmp_path)
    push = a.push_to(b, f"https://127.0.0.1:{port}")
    task = asyncio.create_task(push.run())
    try:
        for size in (100, 357, 1_200):
            await a.append(bodies(size - (await a.head(a.origin)).size, (await a.head(a.origin)).size))
            push.notify()
            push.retry_now()
            await cosigned(a, b, size)
            child.kill()
            child.wait()
            db = connect(tmp_path / "b" / "erhai.db", readonly=True)
            assert [body for _, body in read_bodies(db, a.origin, 0, size)] == bodies(size)
            db.close()
            child, _ = receiver(tmp_path, port)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        child.kill()
        child.wait()
        await a.stop()


async def test_a_failed_write_at_the_receiver_keeps_nothing_and_is_tried_again(tmp_path: Path) -> None:
    """Disk full for a while: the sender sees a refusal, and the same entries arrive when there is room."""
    import apsw

    a_public, b_public = identity_in(tmp_path, "a").public(), identity_in(tmp_path, "b").public()
    a, b = RoomNode(tmp_path, "a", (b_public,)), RoomNode(tmp_path, "b", (a_public,))
    await b.start()
    await a.append(bodies(600))
    write, failing = b.store.write, True

    async def sometimes(fn):
        def job(db):
            result = fn(db)
            if failing and size_written(db) > 0:
                raise apsw.FullError
            return result

        return await write(job)

    def size_written(db) -> int:
        return db.execute("SELECT COUNT(*) FROM entries").fetchone()[0]

    b.store.write = sometimes  # type: ignore[method-assign]
    push = a.push_to(b_public, b.url)
    task = asyncio.create_task(push.run())
    for _ in range(2_000):
        if push.status.detail.startswith("unexpected-answer: 500"):
            break
        await asyncio.sleep(0.005)
    assert push.status.detail.startswith("unexpected-answer: 500")
    assert await b.store.read(lambda db: size_of(db, a.origin)) == 0
    failing = False
    await cosigned(a, b_public, 600)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert (await b.head(a.origin)).root == (await a.head(a.origin)).root
    leaves = await b.store.read(lambda db: [row[0] for row in db.execute("SELECT leaf FROM entries ORDER BY seq")])
    assert leaves == [leaf_hash(body) for body in bodies(600)]
    assert await b.store.write(lambda db: open_log(db, a.origin).size) == 600
    await b.stop()
    await a.stop()
