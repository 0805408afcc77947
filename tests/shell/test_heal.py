"""A log is made whole again from what its own key has signed, whoever brings it; a lie or a branch changes nothing."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.check import check_log
from sync.checkpoint import Checkpoint, open_checkpoint, sign
from sync.heal import HEAL_SCHEMA, Healed, Target, heal, heals, look
from sync.link import LinkFault
from sync.log import head, open_log, read_bodies
from sync.overtaken import cosigned_note, own_signature
from sync.reader import LogReader
from sync.tampered import Problem, Tampered
from tests.shell.sync_room import NOW_MS, RoomNode, bodies, cosigned, identity_in

COUNT = 1_200
DAMAGES = {
    "a body in the middle": "UPDATE entries SET body = x'00' WHERE seq = 690",
    "a leaf": "UPDATE entries SET leaf = zeroblob(32) WHERE seq = 690",
    "both": "UPDATE entries SET body = x'00', leaf = zeroblob(32) WHERE seq IN (3, 1199)",
    "a missing entry": "DELETE FROM entries WHERE seq = 511",
    "a missing package": "DELETE FROM entries WHERE seq BETWEEN 256 AND 511",
    "a package's hash": "UPDATE hash256 SET hash = zeroblob(32) WHERE n = 1",
    "every package's hash": "DELETE FROM hash256",
    "the frontier": "UPDATE logs SET frontier = zeroblob(length(frontier))",
    "the checkpoint": "UPDATE logs SET checkpoint = NULL, checkpoint_size = 0",
}


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    """b holds and has cosigned everything of a."""
    a_public, b_public = (identity_in(tmp_path, name).public() for name in ("a", "b"))
    a, b = RoomNode(tmp_path, "a", (b_public,)), RoomNode(tmp_path, "b", (a_public,))
    await b.start()
    await a.store.write(lambda db: db.execute(HEAL_SCHEMA))
    await a.append(bodies(COUNT))
    task = asyncio.create_task(a.push_to(b_public, b.url).run())
    await cosigned(a, b_public, COUNT)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    yield a, b
    await b.stop()
    await a.stop()


async def damage(node: RoomNode, sql: str) -> None:
    """Damage rows of the own log alone."""
    log_id = await node.store.write(lambda db: open_log(db, node.origin).log_id)
    where = " AND" if "WHERE" in sql else " WHERE"
    await node.store.write(lambda db: db.execute(f"{sql}{where} log_id = {log_id}"))


@asynccontextmanager
async def source(a: RoomNode, b: RoomNode) -> AsyncIterator[tuple[Target, LogReader]]:
    link = a.link_to(b.keys.public(), b.url)
    opened = await cosigned_note(link, log=a.keys.log_signer.vkey, cosigner=b.keys.cosigner.vkey)
    assert opened is not None
    try:
        yield Target(opened.checkpoint, own_signature(opened), "b"), LogReader(link, a.origin)
    finally:
        await link.close()


async def mend(a: RoomNode, target: Target, reader: LogReader | None) -> Healed:
    return await heal(
        a.store,
        target,
        reader,
        vkey=a.keys.log_signer.vkey,
        cause="entry-changed",
        now_ms=lambda: NOW_MS,
        settled=lambda _db, _healed: None,
    )


async def assert_whole(a: RoomNode, expected: list[bytes]) -> None:
    assert [body for _, body in await a.store.read(lambda db: list(read_bodies(db, a.origin, 0, 10**6)))] == expected
    odd = await a.store.read(lambda db: check_log(db, a.origin, a.keys.log_signer.vkey))
    assert [one for one in odd if "cannot be read" not in one.why] == []  # the bodies are no real entries
    await a.append(bodies(3, 10**6))


@pytest.mark.parametrize("what", DAMAGES)
async def test_whatever_is_damaged_is_put_back_and_what_was_found_is_kept(room, what: str) -> None:
    a, b = room
    await damage(a, DAMAGES[what])
    async with source(a, b) as (target, reader):
        done = await mend(a, target, reader)
    assert (done.size, done.source) == (COUNT, "b")
    kept = await a.store.read(lambda db: [row[0] for row in db.execute("SELECT seq FROM set_aside ORDER BY id")])
    assert kept == {"a body in the middle": [690], "a leaf": [690], "both": [3, 1199]}.get(what, [])
    assert await a.store.read(heals) == (done,)
    await assert_whole(a, bodies(COUNT))


@pytest.mark.parametrize("what", ["a leaf", "a package's hash", "every package's hash", "the frontier"])
async def test_a_tree_whose_entries_are_good_is_mended_without_anybody(room, what: str) -> None:
    a, _ = room
    await damage(a, DAMAGES[what] if what != "a leaf" else "UPDATE hash256 SET n = n + 100")
    local = await look(a.store, a.keys.log_signer.vkey, lambda _what, _done, _all: None)
    assert local.whole
    assert local.signed is not None
    await mend(a, Target(local.signed, local.note, "a"), None)
    await assert_whole(a, bodies(COUNT))


async def test_entries_that_the_mirror_does_not_hold_yet_stay_when_the_own_key_signed_them(room) -> None:
    a, b = room
    await a.append(bodies(50, COUNT))
    await damage(a, "UPDATE entries SET body = x'00' WHERE seq = 7")
    async with source(a, b) as (target, reader):
        done = await mend(a, target, reader)
    assert (done.size, done.fetched) == (COUNT + 50, 1)
    await assert_whole(a, bodies(COUNT + 50))


async def test_another_history_signed_by_the_own_key_is_a_branch_and_nothing_is_changed(room) -> None:
    a, b = room

    def other(db) -> None:
        log = open_log(db, a.origin)
        for table in ("entries", "hash256"):
            db.execute(f"DELETE FROM {table} WHERE log_id = ?", (log.log_id,))
        db.execute("UPDATE logs SET size = 0, frontier = x'', checkpoint_size = 0 WHERE log_id = ?", (log.log_id,))
        log = open_log(db, a.origin)
        for body in bodies(40, 9_000):
            log.append(body)
        log.store_checkpoint(sign(Checkpoint(a.origin, log.size, log.frontier.root()), a.keys.log_signer))

    await a.store.write(other)
    before = await a.head(a.origin)
    async with source(a, b) as (target, reader):
        with pytest.raises(Tampered) as branch:
            await mend(a, target, reader)
    assert branch.value.problem is Problem.TWO_BRANCHES
    after = await a.head(a.origin)
    assert (after.size, after.root, after.checkpoint) == (before.size, before.root, before.checkpoint)
    assert await a.store.read(heals) == ()


@pytest.mark.parametrize(
    ("sql", "problem"),
    [
        ("UPDATE entries SET body = x'00' WHERE seq = 300", Problem.CHANGED_ENTRY),
        ("UPDATE hash256 SET hash = zeroblob(32) WHERE n = 2", Problem.INCONSISTENT_HISTORY),
        ("UPDATE entries SET leaf = zeroblob(32) WHERE seq = 1190", Problem.INCONSISTENT_HISTORY),
    ],
)
async def test_a_mirror_that_brings_other_entries_is_caught_before_anything_is_written(
    room, sql: str, problem: Problem
) -> None:
    a, b = room
    await damage(a, "DELETE FROM entries WHERE seq > 200")
    before = await a.head(a.origin)
    await b.store.write(lambda db: db.execute(sql))
    async with source(a, b) as (target, reader):
        with pytest.raises(Tampered) as lie:
            await mend(a, target, reader)
    assert lie.value.problem is problem
    assert (await a.head(a.origin)).checkpoint == before.checkpoint
    assert await a.store.read(lambda db: len(list(read_bodies(db, a.origin, 0, 10**6)))) == 201


async def test_a_heal_that_was_cut_goes_on_where_it_was(room) -> None:
    a, b = room
    await damage(a, "DELETE FROM entries WHERE seq > 100")
    fetched: list[int] = []

    async with source(a, b) as (target, reader):
        bundle = reader.bundle

        async def cut(n: int, width: int):
            fetched.append(n)
            if len(fetched) == 3:
                raise LinkFault("unreachable")
            return await bundle(n, width)

        reader.bundle = cut  # type: ignore[method-assign]
        with pytest.raises(LinkFault):
            await mend(a, target, reader)
        await mend(a, target, reader)
    assert fetched == [0, 1, 2, 2, 3, 4]
    assert open_checkpoint((await a.head(a.origin)).checkpoint, [a.keys.log_signer.vkey]).checkpoint.size == COUNT
    await assert_whole(a, bodies(COUNT))
    assert await a.store.read(lambda db: head(db, a.origin).frozen) is None
