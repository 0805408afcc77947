"""A backup that was put back, a disk that was cloned: the older copy writes nothing, and two copies are evidence above."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import aiohttp
import pytest

from node.recorder import NodeFault
from node.start import open_node
from sync.checkpoint import open_checkpoint
from sync.log import head
from sync.witness import misbehaviours
from tests.faults.test_new_epoch import settings as direct
from tests.faults.test_running_room import cloned, evidence, free_base, incident, mirrored, settings, until
from web.demo.world import ORIGINS, World, make_world
from web.serve import running

ROOT = Path(__file__).parents[2]
A = ORIGINS["a"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


def put_back(world: World) -> None:
    """The database of before, beside keys and fence of today."""
    for name in ("erhai.db", "erhai.db-wal", "erhai.db-shm"):
        (world.data("a") / name).unlink(missing_ok=True)
    shutil.copy(world.folder / "snapshot.db", world.data("a") / "erhai.db")


async def twenty_acts_after_a_snapshot(world: World) -> None:
    async with running(settings(world, "a")) as a:
        await incident(a, "快照以前")
    shutil.copy(world.data("a") / "erhai.db", world.folder / "snapshot.db")
    async with running(settings(world, "a")) as a:
        for number in range(20):
            await incident(a, f"快照以后 {number}")
        assert a.recorder.log.size == 21


async def test_an_older_copy_is_read_only_before_it_answers_its_first_question(world: World) -> None:
    """Sooner than any second: the gate has decided when `open_node` returns, and no port is open before."""
    await twenty_acts_after_a_snapshot(world)
    put_back(world)
    node = open_node(settings(world, "a"))
    try:
        assert node.gate.cause == "fence-ahead"
        assert node.fault is not None
        with pytest.raises(NodeFault, match="fence-ahead"):
            await incident(node, "另一段历史")
        assert await node.read(lambda db: head(db, A).size) == 1
    finally:
        await node.close()


@contextmanager
def process(world: World) -> Iterator["subprocess.Popen[bytes]"]:
    """The node as its own process, killed at the end."""
    command = [sys.executable, "-m", "erhai", "run", "--config", str(world.data("a") / "erhai.toml")]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as child:
        try:
            yield child
        finally:
            with suppress(ProcessLookupError):
                os.killpg(child.pid, signal.SIGKILL)


async def test_a_process_started_on_an_older_copy_says_so_on_the_first_page_that_it_serves(world: World) -> None:
    await twenty_acts_after_a_snapshot(world)
    put_back(world)
    with process(world) as child:
        async with aiohttp.ClientSession() as session:
            while child.poll() is None:
                try:
                    async with session.get(f"http://127.0.0.1:{settings(world, 'a').pages_port}/") as page:
                        first = await page.text()
                        break
                except aiohttp.ClientError:
                    time.sleep(0.02)  # noqa: ASYNC251 - nothing else runs here
            else:
                pytest.fail("the node did not start")
    assert "本机目前只能查阅，不能写入" in first


async def test_of_two_running_clones_the_prefecture_keeps_both_branches_as_evidence(world: World) -> None:
    async with running(direct(world, "a")) as a:
        await incident(a, "克隆以前")
    twin = replace(cloned(world), peers=direct(world, "a").peers)
    async with (
        running(direct(world, "prefecture")) as above,
        running(direct(world, "a")) as a,
        running(twin) as a2,
    ):
        await mirrored(above, "a", 1)
        await incident(a, "一机")
        await incident(a2, "另一机")
        (kept,) = await evidence(above)
        notes = [open_checkpoint(note, [a.keys.log_signer.vkey]).checkpoint for note in (kept.held, kept.shown)]
        assert kept.problem == "two-branches"
        assert {one.root for one in notes} == {one.recorder.log.frontier.root() for one in (a, a2)}
        await until(lambda: a.stopped is not None and a2.stopped is not None, 30)
    async with running(direct(world, "prefecture")) as above:  # and keeps them over its own restart
        assert len(await above.read(misbehaviours)) == 1
