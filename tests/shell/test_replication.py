"""Two real nodes over loopback TLS: what one logs, the other verifies, stores and cosigns."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync.log import reached, read_bodies
from tests.shell.sync_room import RoomNode, bodies, cosigned, identity_in


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    a, b = (identity_in(tmp_path, name).public() for name in ("a", "b"))
    nodes = RoomNode(tmp_path, "a", (b,)), RoomNode(tmp_path, "b", (a,))
    for node in nodes:
        await node.start()
    yield nodes
    for node in nodes:
        await node.stop()


async def test_a_log_arrives_whole_and_its_reach_returns(room) -> None:
    a, b = room
    await a.append(bodies(1_000))
    push = a.push_to(b.keys.public(), b.url)
    task = asyncio.create_task(push.run())
    await cosigned(a, b.keys.public(), 1_000)
    await a.append(bodies(1, 1_000))
    push.notify()
    await cosigned(a, b.keys.public(), 1_001)
    task.cancel()
    mine, theirs = await a.head(a.origin), await b.head(a.origin)
    assert (theirs.size, theirs.root, theirs.checkpoint) == (1_001, mine.root, mine.checkpoint)
    rows = await b.store.read(lambda db: [body for _, body in read_bodies(db, a.origin, 0, 2_000)])
    assert rows == bodies(1_001)
    reach = await a.store.read(lambda db: reached(db, a.origin, 1_000))
    assert [one.cosigner for one in reach] == [b.keys.cosigner.name]
