"""When a node's own line is down its neighbour carries: the log up, the prefecture's down, the prefecture's word back."""

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.incident import RecordIncident
from node.domain.review import MarkReviewed
from node.domain.values import Actor, Role
from node.node import Node
from node.settings import Settings
from sync.log import LogFault, head, read_bodies, size_of
from tests.faults.test_running_room import free_base, settings
from web.demo.world import ORIGINS, World, make_world
from web.serve import running


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


def direct(world: World, node: str) -> Settings:
    """The node's settings with its line to the prefecture in order (the demonstration's goes through a proxy)."""
    return _lined(world, node, world.sync("prefecture"))


def cut(world: World, node: str) -> Settings:
    """The node's settings with a line to nowhere."""
    return _lined(world, node, world.line + 1)


def _lined(world: World, node: str, port: int) -> Settings:
    made = settings(world, node)
    url = f"https://127.0.0.1:{port}"
    return replace(made, peers=tuple(replace(p, url=url) if p.kind == "prefecture" else p for p in made.peers))


async def comes(seen: Callable[[], Awaitable[bool]], seconds: float = 30.0) -> None:
    async with asyncio.timeout(seconds):
        while not await seen():  # noqa: ASYNC110 - looks into another node, which sets no event
            await asyncio.sleep(0.1)


async def size(node: Node, origin: str) -> int:
    def held(db) -> int:
        try:
            return size_of(db, origin)
        except LogFault:
            return 0

    return await node.read(held)


async def test_a_neighbour_carries_what_the_own_line_cannot_and_the_bytes_are_the_same(world: World) -> None:
    async with (
        running(replace(settings(world, "prefecture"))) as above,
        running(direct(world, "b")),
        running(cut(world, "a")) as a,
    ):
        for number in range(5):
            command = RecordIncident("link-lost", f"第 {number} 条", a.clock.now().at_ms, ())
            receipt = await a.submit(
                f"room/{a.settings.node}",
                command,
                command_id=secrets.token_bytes(16),
                actor=Actor("O-01", Role.OPERATOR),
            )

        async def arrived() -> bool:
            return await size(above, ORIGINS["a"]) == 5

        await comes(arrived)
        there = await above.read(lambda db: list(read_bodies(db, ORIGINS["a"], 0, 5)))
        assert there == await a.read(lambda db: list(read_bodies(db, ORIGINS["a"], 0, 5)))

        async def received() -> bool:
            return bool((await a.reach(receipt.origin, receipt.seq)).received)

        await comes(received)  # the prefecture's own signature, brought back by the neighbour

        command = MarkReviewed(ORIGINS["a"], 5, "查阅")
        reviewer = Actor("R-01", Role.REVIEWER)
        await above.submit("review/L1", command, command_id=secrets.token_bytes(16), actor=reviewer)

        async def down() -> bool:
            return await size(a, ORIGINS["prefecture"]) == 1

        await comes(down)
        assert (await a.read(lambda db: head(db, ORIGINS["prefecture"]))).checkpoint_size == 1
