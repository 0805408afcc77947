"""A stick that shows what our own key has signed and our log does not contain: stopped, healed, or closed with both branches."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from node.courier import Outcome, import_stick
from node.recorder import NodeFault
from node.views.incident import incidents
from sync.log import head
from sync.witness import misbehaviours
from tests.faults.test_courier import (
    CODES,
    A,
    arrived,
    bodies,
    export,
    opened,
    record,
    settings,
)
from tests.faults.test_courier_hard import erhai, many, outcome
from web.demo.world import World, make_world
from web.serve import running

from tests.faults.test_running_room import free_base  # isort: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


@asynccontextmanager
async def put_back(world: World, tmp_path: Path, more: int, instead: int = 0) -> AsyncIterator[Path]:
    """Node a, stopped, after its whole disk was put back from a copy, fence and all, and a stick from before that."""
    async with opened(world, "a") as a:
        await many(a, 5)
    shutil.copytree(world.data("a"), tmp_path / "old")
    async with opened(world, "a") as a:
        await many(a, more)
        await export(a, tmp_path / "stick")
    shutil.rmtree(world.data("a"))
    shutil.copytree(tmp_path / "old", world.data("a"))
    async with opened(world, "a") as a:
        await many(a, instead)
    yield tmp_path / "stick"


async def test_a_stick_that_shows_more_than_the_own_log_stops_a_running_node_and_the_fence_remembers_it(
    world: World, tmp_path: Path
) -> None:
    async with put_back(world, tmp_path, 5) as stick:
        async with running(settings(world, "a")) as a:
            done = await import_stick(a, stick)
            assert (done.overtaken, outcome(done, A)) == (True, Outcome.OVERTAKEN)
            assert (a.gate.local_size, a.gate.proven_size) == (5, 10)
            with pytest.raises(NodeFault):
                await record(a, 1)
        async with opened(world, "a") as again:
            assert (again.gate.cause, again.gate.proven_size) == ("fence-ahead", 10)
            with pytest.raises(NodeFault):
                await record(again, 1)


async def test_a_node_that_is_not_running_heals_from_the_stick_and_goes_on(world: World, tmp_path: Path) -> None:
    async with put_back(world, tmp_path, 300) as stick:
        done = await asyncio.to_thread(erhai, world, "a", "import", str(stick))
        assert done.returncode == 0, done.stderr
        assert "5 → 305 本机日志已由此恢复完整" in done.stdout
        async with opened(world, "a") as a, opened(world, "b") as b:
            assert a.stopped is None
            await record(a, 1)
            assert len(await bodies(a, A)) == len(await a.read(incidents)) == 306
            assert arrived(await import_stick(b, stick), A) == (0, 305)
            assert (await bodies(a, A))[:305] == await bodies(b, A)


async def test_a_changed_entry_here_is_made_whole_by_a_stick(world: World, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    async with opened(world, "a") as a:
        await many(a, 9)
        await export(a, stick)
        await many(a, 2)
        whole = await bodies(a, A)
        await a.store.write(lambda db: db.execute("UPDATE entries SET body = x'00' WHERE seq = 4") and None)
    async with opened(world, "a") as a:
        assert a.gate.cause == "entry-changed"
        assert outcome(await import_stick(a, stick), A) is Outcome.HEALED
        assert (await bodies(a, A), a.stopped) == (whole, None)


@pytest.mark.parametrize("run", [True, False])
async def test_a_stick_that_shows_another_history_of_our_key_closes_the_log_and_keeps_both(
    world: World, tmp_path: Path, *, run: bool
) -> None:
    """Running: found at once, for this process has appended. Not running: found by the heal."""
    async with put_back(world, tmp_path, 9, instead=1) as stick:
        async with running(settings(world, "a")) if run else opened(world, "a") as a:
            if run:
                await record(a, 1)
            assert (await import_stick(a, stick)).overtaken
            assert (await a.read(lambda db: head(db, A))).frozen is not None
            assert len(await bodies(a, A)) == (7 if run else 6)
            assert [one.shown_by for one in await a.read(misbehaviours)] == [CODES["a"]]
        async with opened(world, "a") as again:
            assert again.gate.cause == "closed"


async def test_the_command_says_with_its_exit_code_that_our_key_has_signed_another_history(
    world: World, tmp_path: Path
) -> None:
    async with put_back(world, tmp_path, 9, instead=1) as stick:
        done = await asyncio.to_thread(erhai, world, "a", "import", str(stick))
        assert done.returncode == 4, done.stderr
        assert "本机密钥签过本机日志中没有的记录" in done.stdout
