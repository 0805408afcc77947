"""A neighbour brings what the log's own node cannot: the same bytes, whoever is faster, and nobody waits for the dead."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from sync.endpoints import log_hash
from sync.log import read_bodies
from sync.replicate import Push
from sync.status import LinkState
from tests.faults.line import Cut, Line, Shape, forget_silent_ends
from tests.faults.line_pair import unpackable
from tests.shell.sync_room import RoomNode, cosigned, identity_in, until

LINE = Shape(rate=100_000, delay_s=0.02)
NAMES = ("a", "b", "c", "p")


class County:
    """a and its neighbours b and c in one room, p above, a line of its own from each of them to p."""

    def __init__(self, nodes: dict[str, RoomNode], lines: dict[str, Line]) -> None:
        self.nodes, self.lines = nodes, lines
        self.a, self.p = nodes["a"], nodes["p"]

    def up(self, name: str) -> Push:
        """Push a's log to p over the line of this node."""
        node, url = self.nodes[name], f"https://127.0.0.1:{self.lines[name].port}"
        return node.push_to(self.p.keys.public(), url, self.a.origin)

    async def mirrored(self, name: str) -> None:
        """a's log, as it is, reaches a neighbour."""
        other = self.nodes[name]
        async with running(self.a.push_to(other.keys.public(), other.url)):
            await cosigned(self.a, other.keys.public(), (await self.a.head(self.a.origin)).size)

    async def held(self, name: str = "p") -> list[bytes]:
        return await self.nodes[name].store.read(
            lambda db: [body for _, body in read_bodies(db, self.a.origin, 0, 1 << 40)]
        )


@asynccontextmanager
async def running(*pushes: Push) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(push.run()) for push in pushes]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def county(tmp_path: Path) -> AsyncIterator[County]:
    identities = {name: identity_in(tmp_path, name).public() for name in NAMES}
    nodes = {name: RoomNode(tmp_path, name, tuple(identities.values())) for name in NAMES}
    for node in nodes.values():
        await node.start()
    async with AsyncExitStack() as stack:
        lines = {name: await stack.enter_async_context(Line(nodes["p"].port, LINE)) for name in "abc"}
        yield County(nodes, lines)
    forget_silent_ends()
    for node in nodes.values():
        await node.stop()


async def test_a_neighbour_brings_the_rest_when_the_own_line_is_down(county: County) -> None:
    await county.a.append(unpackable(2_000))
    await county.mirrored("b")
    own, relay = county.up("a"), county.up("b")
    async with running(own):
        await until(lambda: 0 < own.status.entries_behind < 1_500)
        county.lines["a"].cut(Cut.RST)
        before = county.lines["b"].up.carried
        async with running(relay):
            await cosigned(county.nodes["b"], county.p.keys.public(), 2_000, origin=county.a.origin)
        county.lines["a"].heal()
        await cosigned(county.a, county.p.keys.public(), 2_000)
        await until(lambda: own.status.state is LinkState.CURRENT)
    assert await county.held() == unpackable(2_000)
    assert county.lines["b"].up.carried - before < 1_500 * 147 + 30_000, "what was there was not sent again"
    assert (await county.p.head(county.a.origin)).checkpoint == (await county.a.head(county.a.origin)).checkpoint


async def test_entries_that_died_with_their_node_do_not_hold_up_those_a_neighbour_has(county: County) -> None:
    """a tells p of 700 entries and dies before any came; b has 600 of them."""
    await county.a.append(unpackable(600))
    await county.mirrored("b")
    await county.a.append(unpackable(100, 600))
    own = county.up("a")
    assert await own._offer(await county.a.store.read(own._stands), own._link)
    await own._close()
    relay = county.up("b")
    async with running(relay):
        await cosigned(county.nodes["b"], county.p.keys.public(), 600, origin=county.a.origin)
        await until(lambda: relay.status.state is LinkState.CURRENT)
        assert await county.held() == unpackable(600)
    async with running(county.up("a")):
        await cosigned(county.a, county.p.keys.public(), 700)
    assert await county.held() == unpackable(700)
    assert (await county.p.head(county.a.origin)).frozen is None


async def test_a_relay_that_knows_less_than_the_prefecture_is_current_and_accuses_nobody(county: County) -> None:
    await county.a.append(unpackable(300))
    await county.mirrored("b")
    await county.a.append(unpackable(300, 300))
    async with running(county.up("a")):
        await cosigned(county.a, county.p.keys.public(), 600)
    relay = county.up("b")
    async with running(relay):
        await until(lambda: relay.status.state is LinkState.CURRENT)
    assert relay.status.entries_behind == 0
    assert await county.held() == unpackable(600)


async def test_three_that_race_with_one_log_end_with_the_same_bytes(county: County) -> None:
    """The log grows meanwhile, the lines are cut in turn; nobody is stuck, nobody is refused."""
    await county.a.append(unpackable(1_500))
    await county.mirrored("b")
    await county.mirrored("c")
    pushes = [county.up(name) for name in "abc"]
    to_neighbours = [county.a.push_to(county.nodes[name].keys.public(), county.nodes[name].url) for name in ("b", "c")]
    async with running(*pushes, *to_neighbours):
        size = 1_500
        for n in range(12):
            await county.a.append(unpackable(40, size))
            size += 40
            for push in (*pushes, *to_neighbours):
                push.notify()
            name = "abc"[n % 3]
            county.lines[name].cut(Cut.RST if n % 2 else Cut.SILENT)
            await asyncio.sleep(0.2)
            county.lines[name].heal()
        await cosigned(county.a, county.p.keys.public(), size)
        for name in ("b", "c"):
            await cosigned(county.a, county.nodes[name].keys.public(), size)
        for push in pushes:
            push.notify()
        await until(lambda: all(push.status.state is LinkState.CURRENT for push in pushes))
    assert await county.held() == unpackable(size)
    assert (await county.p.head(county.a.origin)).frozen is None
    assert not await county.p.store.read(lambda db: db.execute("SELECT COUNT(*) FROM misbehaviour").fetchone()[0])


async def test_what_a_relay_brought_proves_as_much_as_what_the_node_brings_itself(county: County) -> None:
    await county.a.append(unpackable(300))
    await county.mirrored("b")
    async with running(county.up("b")):
        await cosigned(county.nodes["b"], county.p.keys.public(), 300, origin=county.a.origin)
    link = county.a.link_to(county.p.keys.public(), county.p.url)
    served = await link.get(f"/mirror/{log_hash(county.a.origin)}/checkpoint", limit=9_999)
    await link.close()
    own = (await county.a.head(county.a.origin)).checkpoint
    assert own is not None
    assert served.body.startswith(own)
