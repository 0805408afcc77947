"""A node that reads its peer's log copies it as it was signed, or finds out that it was not."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync.checkpoint import read
from sync.follow import Pull, pull_log
from sync.log import open_log, size_of
from sync.status import LinkState
from sync.witness import keep_promise, misbehaviours
from tests.shell.pair import held_bodies, replace_log, running, two_nodes
from tests.shell.sync_room import NOW_MS, RoomNode, bodies, until


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    async with two_nodes(tmp_path) as nodes:
        yield nodes


def pull_from(b: RoomNode, a: RoomNode) -> Pull:
    """b follows a's log."""
    to_a = b.link_to(a.keys.public(), a.url)
    return pull_log(
        to_a,
        b.store,
        log=b.sync.trust[a.origin],
        cosigner=b.keys.cosigner,
        now_ms=lambda: NOW_MS,
        stored=b.stored.append,
    )


@pytest.mark.parametrize("sizes", [(1,), (256,), (300, 301), (257, 1_000), (255, 256, 600), (5_000,), (512, 70_000)])
async def test_a_followed_log_is_copied_and_continued(room, sizes: tuple[int, ...]) -> None:
    a, b = room
    pull = pull_from(b, a)
    async with running(pull):
        for size in sizes:
            before = (await a.head(a.origin)).size
            await a.append(bodies(size - before, before))
            pull.notify()
            await until_copied(b, a, size)
    mine, theirs = await a.head(a.origin), await b.head(a.origin)
    assert (theirs.root, theirs.checkpoint) == (mine.root, mine.checkpoint)
    assert await held_bodies(b, a.origin) == bodies(sizes[-1])
    assert [one.cosigner for one in theirs.cosignatures] == [b.keys.cosigner.name]


async def until_copied(b: RoomNode, a: RoomNode, size: int) -> None:
    for _ in range(3_000):
        if await b.store.read(lambda db: size_of(db, a.origin)) >= size:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(size)


async def test_a_followed_log_that_changes_its_past_is_found_before_anything_is_kept(room) -> None:
    a, b = room
    await a.append(bodies(400))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, 400)

    def rewrite(db) -> None:
        for table in ("entries", "hash256", "logs"):
            db.execute(f"DELETE FROM {table}")
        open_log(db, a.origin)

    await a.store.write(rewrite)
    await a.append(bodies(900, 4_000))
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    assert await held_bodies(b, a.origin) == bodies(400)
    (evidence,) = await b.store.read(misbehaviours)
    assert evidence.problem == "inconsistent-history"
    assert (await b.head(a.origin)).frozen == "inconsistent-history"


async def test_a_followed_log_that_is_shorter_and_other_is_found_though_it_is_shorter(room) -> None:
    a, b = room
    await a.append(bodies(400))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, 400)
    await replace_log(a, a, bodies(300, 4_000))
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    (evidence,) = await b.store.read(misbehaviours)
    assert evidence.problem == "two-branches"
    assert (await b.head(a.origin)).frozen == "two-branches"
    assert await held_bodies(b, a.origin) == bodies(400)


@pytest.mark.parametrize(("held", "promised", "now"), [(2, 30, 40), (2, 300, 700), (300, 512, 513), (256, 300, 512)])
async def test_a_followed_log_must_continue_also_what_it_promised_and_never_brought(
    room, held: int, promised: int, now: int
) -> None:
    a, b = room
    await a.append(bodies(held))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, held)
    await a.append(bodies(promised - held, held))
    note = (await a.head(a.origin)).checkpoint
    checkpoint, _ = read(note)
    await b.store.write(lambda db: keep_promise(db, open_log(db, a.origin).log_id, checkpoint, note))
    await replace_log(a, a, bodies(held) + bodies(now - held, 90_000))
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    (evidence,) = await b.store.read(misbehaviours)
    assert (evidence.problem, evidence.held) == ("inconsistent-history", note)
    assert (await b.head(a.origin)).frozen == "inconsistent-history"
    assert await held_bodies(b, a.origin) == bodies(held)


@pytest.mark.parametrize(("held", "promised", "now"), [(2, 30, 40), (2, 300, 700), (300, 512, 513), (256, 300, 512)])
async def test_a_followed_log_that_keeps_an_old_promise_goes_on(room, held: int, promised: int, now: int) -> None:
    a, b = room
    await a.append(bodies(held))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, held)
    await a.append(bodies(promised - held, held))
    note = (await a.head(a.origin)).checkpoint
    checkpoint, _ = read(note)
    await b.store.write(lambda db: keep_promise(db, open_log(db, a.origin).log_id, checkpoint, note))
    await a.append(bodies(now - promised, promised))
    async with running(pull_from(b, a)):
        await until_copied(b, a, now)
    assert await held_bodies(b, a.origin) == bodies(now)


async def test_entries_changed_in_the_peers_file_are_not_copied(room) -> None:
    a, b = room
    await a.append(bodies(600))
    await a.store.write(lambda db: db.execute("UPDATE entries SET body = X'00' WHERE seq = 300") and None)
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    assert "changed-entry" in pull.status.detail
    assert await b.store.read(lambda db: size_of(db, a.origin)) in {0, 256}
