"""A log forks while its node is dead, a relay brings the other branch: the next entries of either are the evidence."""

from pathlib import Path

import pytest

from sync.log import TableHashes, head
from sync.merkle import consistency_proof
from sync.mirror import held_of
from sync.remember import own_cosignature, take_back
from sync.status import LinkState
from sync.wire import AddCheckpoint
from sync.witness import misbehaviours
from tests.shell.pair import held_bodies, link, replace_log, running
from tests.shell.sync_room import NOW_MS, RoomNode, bodies, cosigned, until


async def told_only(a: RoomNode, c: RoomNode, old: int) -> None:
    """Bring c the newest checkpoint of a's log, without its entries."""

    def grow(db) -> AddCheckpoint:
        held = head(db, a.origin)
        proof = consistency_proof(TableHashes(db, a.origin), old, held.checkpoint_size)
        return AddCheckpoint(old, tuple(proof), held.checkpoint)

    body = bytes(await a.store.read(grow))
    async with link(a, c) as to_c:
        reply = await to_c.post("/mirror/add-checkpoint", body, content_type="text/plain", limit=9_999)
    assert reply.status == 200


@pytest.mark.parametrize("brought", [310, 512, 513])
async def test_the_owner_that_goes_on_freezes_a_branch_that_a_relay_brought_and_is_told(
    tmp_path: Path, brought
) -> None:
    a = RoomNode(tmp_path, "a")
    b = RoomNode(tmp_path, "b", (a.keys.public(),))
    c = RoomNode(tmp_path, "c", (a.keys.public(),))
    for node in (a, b, c):
        await node.start()
    await a.append(bodies(256))
    async with running(a.push_to(c.keys.public(), c.url)):
        await cosigned(a, c.keys.public(), 256)
    await a.append(bodies(364, 256))
    await told_only(a, c, 256)
    other = bodies(256) + bodies(brought - 256, 9_000)
    await replace_log(b, a, other)
    relay = b.push_to(c.keys.public(), c.url, origin=a.origin)
    async with running(relay):
        await cosigned(b, c.keys.public(), brought, origin=a.origin)
    await a.append(bodies(400, 620))
    proofs = []

    async def disproved(opened, by: str) -> None:
        proofs.append((opened.checkpoint, by))

    push = a.push_to(c.keys.public(), c.url)
    push.own, push.disproved = a.keys.log_signer.vkey, disproved
    async with running(push):
        await until(lambda: push.status.state is LinkState.TAMPERED)
    held = await c.store.read(lambda db: held_of(db, a.origin))
    assert held.frozen == "two-branches"
    assert await held_bodies(c, a.origin) == other
    assert proofs[0][0].size == brought
    for node in (a, b, c):
        await node.stop()


async def test_a_mirror_that_was_put_back_remembers_what_it_cosigned(tmp_path: Path) -> None:
    a, c = RoomNode(tmp_path, "a"), RoomNode(tmp_path, "c", (RoomNode(tmp_path, "a").keys.public(),))
    for node in (a, c):
        await node.start()
    await a.append(bodies(400))
    async with running(a.push_to(c.keys.public(), c.url)):
        await cosigned(a, c.keys.public(), 400)
    await replace_log(c, a, bodies(310))
    async with link(c, a) as to_a:
        log = a.keys.log_signer.vkey
        opened = await own_cosignature(to_a, log=log, mine=(c.keys.cosigner.vkey, c.keys.witness.vkey))
    assert opened is not None
    assert await c.store.write(lambda db: take_back(db, opened, shown_by="a", now_ms=NOW_MS))
    assert not await c.store.write(lambda db: take_back(db, opened, shown_by="a", now_ms=NOW_MS))
    held = await c.store.read(lambda db: held_of(db, a.origin))
    assert 400 in held.promises
    b = RoomNode(tmp_path, "b", (a.keys.public(),))
    await b.start()
    await replace_log(b, a, bodies(320))
    relay = b.push_to(c.keys.public(), c.url, origin=a.origin)
    async with running(relay):
        await until(lambda: relay.status.state is LinkState.CURRENT)
    theirs = (await c.head(a.origin)).cosignatures
    assert {one.size for one in theirs if one.cosigner == c.keys.cosigner.name} == {400}
    async with running(a.push_to(c.keys.public(), c.url)):
        await a.append(bodies(10, 400))
        await cosigned(a, c.keys.public(), 410)
    assert await held_bodies(c, a.origin) == bodies(410)
    for node in (a, b, c):
        await node.stop()


async def test_a_cosignature_of_ours_that_what_is_held_excludes_freezes_the_log(tmp_path: Path) -> None:
    a, c = RoomNode(tmp_path, "a"), RoomNode(tmp_path, "c", (RoomNode(tmp_path, "a").keys.public(),))
    for node in (a, c):
        await node.start()
    await a.append(bodies(40))
    async with running(a.push_to(c.keys.public(), c.url)):
        await cosigned(a, c.keys.public(), 40)
    await replace_log(c, a, bodies(60, 9_000))
    async with link(c, a) as to_a:
        opened = await own_cosignature(to_a, log=a.keys.log_signer.vkey, mine=(c.keys.cosigner.vkey,))
    assert opened is not None
    assert not await c.store.write(lambda db: take_back(db, opened, shown_by="a", now_ms=NOW_MS))
    (found,) = await c.store.read(misbehaviours)
    assert found.shown_by == "a"
    assert (await c.head(a.origin)).frozen == "two-branches"
    for node in (a, c):
        await node.stop()
