"""Two running nodes of a room in one process: what the neighbour remembers, and what a failing view may not stop."""

import asyncio
import os
import secrets
import shutil
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.node import Node
from node.recorder import NodeFault
from node.settings import Settings, load_settings
from node.views.incident import incidents
from sync.checkpoint import Checkpoint, open_checkpoint, sign
from sync.heal import heals
from sync.log import head, size_of
from sync.note import Signer
from sync.witness import misbehaviours
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running

ACTOR = Actor("O-01", Role.OPERATOR)
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def free_base() -> int:
    """A port from which the next forty are free."""
    while True:
        # Below the range from which the system takes ports for connections that are dialled; a process of tests has its own.
        base = 20_000 + 40 * (WORKERS * secrets.randbelow(120) + WORKER)
        with ExitStack() as stack, suppress(OSError):
            for port in range(base, base + 40):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return base


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


def settings(world: World, node: str, witness: str = "preferred") -> Settings:
    """A node of the demonstration, without anchors: who signs a person's acts is not what is tried here."""
    return replace(load_settings(world.data(node) / "erhai.toml"), witness=witness, anchor_vkeys=())


async def incident(node: Node, text: str) -> None:
    command = RecordIncident("other", text, node.clock.now().at_ms, ())
    await node.submit(f"room/{node.settings.node}", command, command_id=secrets.token_bytes(16), actor=ACTOR)


async def until(done: Callable[[], bool], seconds: float = 15.0) -> None:
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110 - looks at another node's state, which sets no event
            await asyncio.sleep(0.05)


def cosigned(node: Node, by: str) -> bool:
    """Whether the neighbour holds everything of the own log."""
    assert by in {"a", "b"}
    return node.witness.held == node.recorder.log.size


async def mirrored(node: Node, whose: str, size: int) -> None:
    """Wait until a node holds this many entries of another's log."""
    async with asyncio.timeout(15):
        while await node.read(lambda db: size_of(db, ORIGINS[whose])) < size:  # noqa: ASYNC110 - another node's state
            await asyncio.sleep(0.05)


async def backed_up_and_overtaken(world: World, entries_after: int = 1) -> None:
    """Node a is what it was before the last entries, its fence too; b has cosigned them. b must be running."""
    async with running(settings(world, "a")) as a:
        await incident(a, "备份以前")
    shutil.copytree(world.data("a"), world.folder / "backup", ignore=shutil.ignore_patterns("*.sock"))
    async with running(settings(world, "a")) as a:
        for n in range(entries_after):
            await incident(a, f"备份以后 {n}")
        await until(lambda: cosigned(a, "b") and a.recorder.log.size == 1 + entries_after)
    shutil.rmtree(world.data("a"))
    (world.folder / "backup").rename(world.data("a"))


async def test_a_node_restored_together_with_its_fence_heals_from_the_neighbour_and_goes_on(world: World) -> None:
    async with running(settings(world, "b")) as b:
        await backed_up_and_overtaken(world, 3)
        async with running(settings(world, "a")) as a:
            await until(lambda: a.stopped is None)
            assert a.recorder.log.size == 4
            (done,) = await a.read(heals)
            assert (done.cause, done.source, done.before, done.size) == ("peer-ahead", CODES["b"], 1, 4)
            assert [row.text for row in await a.read(incidents)][-1] == "备份以前"
            assert len(await a.read(incidents)) == 4
            await incident(a, "接着写")
            await mirrored(b, "a", 5)
            assert await b.read(lambda db: head(db, ORIGINS["a"]).root) == a.recorder.log.frontier.root()
            assert await b.read(misbehaviours) == ()


async def test_a_node_that_finds_nobody_stays_read_only_and_heals_when_the_neighbour_comes_back(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.recover.AGAIN_S", 0.2)
    async with running(settings(world, "b")):
        async with running(settings(world, "a")) as a:
            await incident(a, "备份以前")
        shutil.copy(world.data("a") / "erhai.db", world.folder / "old.db")
        async with running(settings(world, "a")) as a:
            await incident(a, "备份以后")
            await until(lambda: cosigned(a, "b") and a.recorder.log.size == 2)
    for name in ("erhai.db", "erhai.db-wal", "erhai.db-shm"):
        (world.data("a") / name).unlink(missing_ok=True)
    (world.folder / "old.db").rename(world.data("a") / "erhai.db")
    async with running(settings(world, "a")) as a:
        with pytest.raises(NodeFault, match=r"fence-ahead \(fence\), log holds 1 entries"):
            await incident(a, "另一段历史")
        assert a.fault is not None
        async with running(settings(world, "b")):
            await until(lambda: a.stopped is None)
            await incident(a, "接着写")
            assert a.recorder.log.size == 3


def cloned(world: World) -> Settings:
    """A copy of node a's whole disk, made while it was down, on other ports."""
    folder = world.folder / "clone"
    shutil.copytree(world.data("a"), folder, ignore=shutil.ignore_patterns("*.sock"))
    return replace(settings(world, "a"), data=folder, pages_port=world.port + 30, sync_port=world.port + 31)


async def evidence(node: Node) -> tuple:
    """What a node keeps against a log, once it is on its disk."""
    async with asyncio.timeout(15):
        while not (found := await node.read(misbehaviours)):  # noqa: ASYNC110 - another node's disk
            await asyncio.sleep(0.05)
    return found


async def test_two_clones_that_run_at_once_both_stop_and_every_observer_keeps_both_branches(world: World) -> None:
    async with running(settings(world, "a")) as a:
        await incident(a, "克隆以前")
    twin = cloned(world)
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a, running(twin) as a2:
        await until(lambda: cosigned(a, "b") and cosigned(a2, "b"))
        await asyncio.gather(incident(a, "一机"), incident(a2, "另一机"))
        await until(lambda: a.stopped is not None and a2.stopped is not None, 30)
        for node in (a, a2):
            with pytest.raises(NodeFault, match="signed by this node's key that are not in its log"):
                await incident(node, "不能再写")
            (kept,) = await evidence(node)
            assert kept.problem == "two-branches"
            assert open_checkpoint(kept.held, [node.keys.log_signer.vkey]).checkpoint.size == 2
            assert open_checkpoint(kept.shown, [node.keys.log_signer.vkey]).checkpoint.size == 2
        (kept,) = await evidence(b)
        assert {
            open_checkpoint(note, [a.keys.log_signer.vkey]).checkpoint.root for note in (kept.held, kept.shown)
        } == {
            a.recorder.log.frontier.root(),
            a2.recorder.log.frontier.root(),
        }
    async with running(settings(world, "a")) as a:  # alone: no neighbour could tell it
        assert a.gate.cause == "closed"
        with pytest.raises(NodeFault):
            await incident(a, "不能再写")


async def test_a_claim_without_a_checkpoint_of_ours_stops_nothing(world: World) -> None:
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await incident(a, "第一条")
        await mirrored(b, "a", 1)

        def lie(db) -> None:
            log_id = db.execute("SELECT log_id FROM logs WHERE origin = ?", (ORIGINS["a"],)).fetchone()[0]
            other = sign(Checkpoint(ORIGINS["a"], 9, b"\x09" * 32), Signer.from_seed(ORIGINS["a"], b"\x07" * 32))
            db.execute("INSERT INTO promises VALUES (?, 9, ?, ?)", (log_id, b"\x09" * 32, other))

        await b.store.write(lie)
        await incident(a, "第二条")
        await until(lambda: any("shows no proof" in status.detail for status in a.peer_status()))
        await incident(a, "照常记录")
        assert a.stopped is None
        assert await a.read(misbehaviours) == ()


async def test_without_any_neighbour_the_fence_alone_decides_and_the_node_starts_within_seconds(world: World) -> None:
    began = time.monotonic()
    async with running(settings(world, "a")) as a:
        assert time.monotonic() - began < 10
        await incident(a, "独自启动")
        assert a.recorder.log.size == 1


async def test_a_failing_view_never_stops_replication_and_is_made_good_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.serve.PROJECT_AGAIN_S", 0.2)
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        follow = b.recorder.follow

        def broken(*_args: object) -> int:
            raise KeyError("a view of a later version")

        monkeypatch.setattr(b.recorder, "follow", broken)
        await incident(a, "第一条")
        await until(lambda: b.stale_views == (ORIGINS["a"],))
        await incident(a, "第二条")
        await until(lambda: a.recorder.log.size == 2 and cosigned(a, "b"))
        assert (await b.state(f"room/{a.settings.node}")) is not None
        monkeypatch.setattr(b.recorder, "follow", follow)
        await until(lambda: b.stale_views == ())


async def test_a_node_whose_disk_is_nearly_full_mirrors_nothing_more_and_goes_on_recording(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml = world.data("b") / "erhai.toml"
    toml.write_text("disk_floor_mib = 1048576\n" + toml.read_text(encoding="utf-8"), encoding="utf-8")
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await incident(a, "邻机磁盘将满")
        await until(lambda: any(status.state == "refused" and "507" in status.detail for status in a.peer_status()))
        await incident(b, "自己的记录照常")
        assert b.recorder.log.size == 1
