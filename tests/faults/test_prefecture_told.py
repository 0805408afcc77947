"""A prefecture dials nobody: the counties that read its log tell it what its key has signed, before it records anything."""

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from node.node import Node
from node.recorder import NodeFault
from node.settings import Settings
from sync.log import has_log, size_of
from tests.faults.test_courier import erhai, export, record
from tests.faults.test_running_room import free_base, incident, settings, until
from web.demo.world import ORIGINS, World, make_world
from web.serve import running

ABOVE = ORIGINS["prefecture"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


def county(world: World) -> Settings:
    """Node a, with a line to the prefecture and no neighbour."""
    mine, up = settings(world, "a"), f"https://127.0.0.1:{world.sync('prefecture')}"
    return replace(mine, peers=tuple(replace(one, url=up) for one in mine.peers if one.kind == "prefecture"))


def _held(db) -> int:
    return size_of(db, ABOVE) if has_log(db, ABOVE) else 0


async def read_by(node: Node, size: int) -> None:
    """Wait until a node holds this many entries of the prefecture's log."""
    async with asyncio.timeout(20):
        while await node.read(_held) < size:  # noqa: ASYNC110 - another node's state, which sets no event
            await asyncio.sleep(0.05)


async def test_a_prefecture_put_back_with_its_fence_is_told_stops_and_is_healed_by_stick(
    world: World, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    async with running(county(world)) as a:
        async with running(settings(world, "prefecture")) as above:
            await record(above, 5)
        shutil.copytree(world.data("prefecture"), backup, ignore=shutil.ignore_patterns("*.sock"))
        async with running(settings(world, "prefecture")) as above:
            await record(above, 3)
            await read_by(a, 8)
        shutil.rmtree(world.data("prefecture"))
        backup.rename(world.data("prefecture"))
        async with running(settings(world, "prefecture")) as above:
            assert above.stopped is None
            with pytest.raises(NodeFault):
                await record_by_command(above)
            await until(lambda: above.stopped is not None)
            await until(lambda: above.gate.cause == "fence-ahead")  # it asks nobody, and remembers what it was shown
            assert await above.read(lambda db: size_of(db, ABOVE)) == 5
        stick = tmp_path / "stick"
        await export(a, stick)
    healed = await asyncio.to_thread(erhai, "import", "--data", str(world.data("prefecture")), str(stick))
    assert healed.returncode == 0, healed.stderr
    async with running(county(world)) as a, running(settings(world, "prefecture")) as above:
        assert await above.read(lambda db: size_of(db, ABOVE)) == 8
        await record_by_command(above)
        await read_by(a, 9)


async def record_by_command(node: Node) -> None:
    """Record something as a person does: it waits for what the counties say."""
    await incident(node, "上级节点记事")
