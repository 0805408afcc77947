"""Where nothing heals a log, two persons go on in another one; whoever mirrored the old one mirrors the new one."""

import asyncio
import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from node.branches import doubles
from node.check import check
from node.domain.epoch import NoteBranch
from node.domain.incident import CloseIncident, RecordIncident
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from node.epoch import NewEpoch, open_epoch
from node.epoch_files import finish_epoch, prepare_keys
from node.node import Node
from node.presence import Shown
from node.projection import next_seq
from node.receipts import number_of
from node.recorder import NodeFault
from node.settings import Settings, load_settings
from node.start import DATABASE, FENCE, KEYS, open_node
from node.store import connect
from node.successions import known_successions, log_keys
from node.views.incident import incidents
from node.views.log import of_origin
from sync.fence import read_fence
from sync.keys import load_public
from sync.log import head, size_of
from sync.succession import Statement, successor_of
from sync.witness import misbehaviours
from tests.faults.test_running_room import free_base
from web.demo import cast
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running
from web.status import notices

ACTOR = Actor("O-01", Role.OPERATOR)
E1, E2 = ORIGINS["a"], ORIGINS["a"].removesuffix("e1") + "e2"
PERSONS = tuple(no for no, _, role in cast.STAFF if role in {"operator", "supervisor"})[:2]
PRESENT = (Shown(PERSONS[0], "1234"), Shown(PERSONS[1], "1234"))


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


def settings(world: World, node: str) -> Settings:
    """The prefecture is dialled directly: nobody plays the line."""
    found = load_settings(world.data(node) / "erhai.toml")
    direct = f"https://127.0.0.1:{world.sync('prefecture')}"
    peers = (replace(peer, url=direct) if peer.kind == "prefecture" else peer for peer in found.peers)
    return replace(found, peers=tuple(peers), witness="preferred")


async def incident(node: Node, text: str) -> None:
    command = RecordIncident("other", text, node.clock.now().at_ms, ())
    await node.submit(f"room/{node.settings.node}", command, command_id=secrets.token_bytes(16), actor=ACTOR)


async def until(node: Node, done: Callable[..., bool]) -> None:
    async with asyncio.timeout(20):
        while not await node.read(done):  # noqa: ASYNC110 - another node's state
            await asyncio.sleep(0.05)


async def with_lost_tail(world: World) -> None:
    """Node a has released five entries and holds two of them; nobody else holds any."""
    async with running(settings(world, "a")) as a:
        await incident(a, "第一件")
        await incident(a, "第二件")
    shutil.copy(world.data("a") / DATABASE, world.folder / "old.db")
    async with running(settings(world, "a")) as a:
        for n in range(3, 6):
            await incident(a, f"第 {n} 件")
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (world.data("a") / name).unlink(missing_ok=True)
    (world.folder / "old.db").rename(world.data("a") / DATABASE)


async def opened(world: World, cause: str = "restore") -> NewEpoch:
    return await open_epoch(settings(world, "a"), PRESENT, cause)


def assert_clean(world: World, node: str) -> None:
    public = load_public(world.data(node) / KEYS / "public.json")
    db = connect(world.data(node) / DATABASE, readonly=True)
    keys = log_keys(settings(world, node), public.log_vkey, known_successions(db))
    assert check(db, public.origin, keys).differences == ()
    db.close()


async def test_a_new_epoch_goes_on_at_once_and_every_peer_mirrors_it_without_an_edited_file(world: World) -> None:
    await with_lost_tail(world)
    new = await opened(world)
    assert (new.origin, new.old_origin) == (E2, E1)
    assert (new.proven.size, new.proven.fence_size, new.proven.lost) == (2, 5, 3)
    assert read_fence(world.data("a") / FENCE).released.origin == E2
    async with (
        running(settings(world, "b")) as b,
        running(settings(world, "prefecture")) as above,
        running(settings(world, "a")) as a,
    ):
        assert a.stopped is None
        assert a.settings.origin == E2
        await incident(a, "新纪元里的第一件")
        over = CloseIncident(1, "旧纪元里的一件已了结", a.clock.now().at_ms)
        room = f"room/{CODES['a']}"
        await a.submit(room, over, command_id=secrets.token_bytes(16), actor=ACTOR)
        assert [row.no for row in await a.read(incidents) if row.origin == E2] == [3]
        for name, peer in (("b", b), ("prefecture", above)):
            await until(peer, lambda db: next_seq(db, E2) == 3 and next_seq(db, E1) == 2)
            await until(peer, lambda db: len(incidents(db)) == 3)
            await until(peer, lambda db, own=ORIGINS[name]: size_of(db, own) == 1)
            noted = await peer.read(lambda db, own=ORIGINS[name]: of_origin(db, own, 9, 9))
            assert [row.events for row in noted] == [("epoch.succession-noted",)]
            assert peer.settings.peer(CODES["a"]).origin == E2
            statement = await peer.read(lambda db: successor_of(db, E1))
            assert isinstance(statement, Statement)
            assert (statement.size, statement.lost, statement.cause) == (2, 3, "restore")
    for node in ("a", "b", "prefecture"):
        assert_clean(world, node)
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await incident(a, "重新启动以后")
        await until(b, lambda db: size_of(db, E2) == 4)


async def test_the_old_log_is_closed_and_kept(world: World) -> None:
    await with_lost_tail(world)
    await opened(world)
    async with running(settings(world, "a")) as a:
        held = await a.read(lambda db: head(db, E1))
        assert (held.size, held.frozen) == (2, f"succeeded: {E2}")
        assert len(await a.read(incidents)) == 2


async def test_what_a_peer_still_holds_of_the_closed_log_comes_back(world: World) -> None:
    """The epoch was opened alone; the neighbour that held the lost entries was only switched off."""
    async with running(settings(world, "a")) as a:
        await incident(a, "第一件")
    shutil.copy(world.data("a") / DATABASE, world.folder / "old.db")
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await incident(a, "第二件")
        await until(b, lambda db: size_of(db, E1) == 2)
    for name in (DATABASE, f"{DATABASE}-wal", f"{DATABASE}-shm"):
        (world.data("a") / name).unlink(missing_ok=True)
    (world.folder / "old.db").rename(world.data("a") / DATABASE)
    assert (await opened(world)).proven.lost == 1
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await until(a, lambda db: size_of(db, E1) == 2 and len(incidents(db)) == 2)
        assert await b.read(misbehaviours) == ()
        await until(b, lambda db: next_seq(db, E2) == 1 and next_seq(db, E1) == 2)
    for node in ("a", "b"):
        assert_clean(world, node)


async def test_a_log_that_can_go_on_gets_no_new_epoch(world: World) -> None:
    async with running(settings(world, "a")) as a:
        await incident(a, "第一件")
    with pytest.raises(Refused, match="epoch-not-needed"):
        await opened(world)
    async with running(settings(world, "a")) as a:
        await incident(a, "第二件")
        assert a.settings.origin == E1


@pytest.mark.parametrize(
    ("persons", "code"),
    [
        ((PERSONS[0], PERSONS[0]), "second-person-missing"),
        ((PERSONS[0], "nobody"), "person-not-proven"),
        (("M-01", PERSONS[0]), "role-may-not"),
        ((PERSONS[0], "M-01"), "role-may-not"),
    ],
)
async def test_it_takes_two_persons_of_this_node(world: World, persons: tuple[str, str], code: str) -> None:
    await with_lost_tail(world)
    with pytest.raises(Refused, match=code):
        await open_epoch(settings(world, "a"), (Shown(persons[0], "1234"), Shown(persons[1], "1234")), "restore")
    async with running(settings(world, "a")) as a:
        assert a.settings.origin == E1
        with pytest.raises(NodeFault, match="fence-ahead"):
            await incident(a, "不能写")


async def test_a_change_cut_before_its_commit_never_happened(world: World) -> None:
    await with_lost_tail(world)
    prepare_keys(world.data("a"))
    assert not finish_epoch(world.data("a"))
    assert (await opened(world)).origin == E2


@pytest.mark.parametrize("cut", ["before the fence", "between the folders"])
async def test_a_change_cut_after_its_commit_is_finished_by_the_next_start(
    world: World, cut: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await with_lost_tail(world)
    data = world.data("a")
    with monkeypatch.context() as patch:
        patch.setattr("node.epoch.finish_epoch", lambda _data: False)
        await opened(world)
    if cut == "between the folders":
        (data / "fence/released").rename(data / "fence/released.e1")
        (data / "fence/released.next").rename(data / "fence/released")
        (data / "keys").rename(data / "keys.e1")
    async with running(settings(world, "a")) as a:
        assert a.settings.origin == E2
        await incident(a, "继续")
        assert a.recorder.log.size == 2
    assert not (data / "keys.next").exists()


async def test_two_successors_of_one_log_are_evidence_and_neither_goes_on(world: World) -> None:
    await with_lost_tail(world)
    twin = world.folder / "twin"
    shutil.copytree(world.data("a"), twin, ignore=shutil.ignore_patterns("*.sock"))
    await opened(world)
    async with running(settings(world, "b")) as b, running(settings(world, "a")):
        await until(b, lambda db: size_of(db, E2) == 1)
    (world.data("a")).rename(world.folder / "first")
    twin.rename(world.data("a"))
    await opened(world)
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await until(b, lambda db: len(misbehaviours(db)) == 2)
        assert {one.origin for one in await b.read(misbehaviours)} == {E1, E2}
        assert await b.read(lambda db: {head(db, name).frozen for name in (E1, E2)}) == {"two-branches"}
        async with asyncio.timeout(10):
            while not any(status.state == "tampered" for status in a.peer_status()):  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def test_after_a_fork_the_new_epoch_stands_on_what_the_neighbour_witnessed_and_the_rest_is_set_aside(
    world: World,
) -> None:
    """The whole folder went back, its fence too, and recorded alone; nobody could tell it of anything."""
    async with running(settings(world, "b")) as b:
        async with running(settings(world, "a")) as a:
            await incident(a, "备份以前")
        shutil.copytree(world.data("a"), world.folder / "backup", ignore=shutil.ignore_patterns("*.sock"))
        async with running(settings(world, "a")) as a:
            await incident(a, "邻机已存证")
            await until(b, lambda db: size_of(db, E1) == 2)
    shutil.rmtree(world.data("a"))
    (world.folder / "backup").rename(world.data("a"))
    async with running(replace(settings(world, "a"), peers=())) as a:
        for n in range(3):
            await incident(a, f"只在本机 {n}")
    async with running(settings(world, "b")) as b:
        async with running(settings(world, "a")) as a, asyncio.timeout(20):
            while a.gate.cause not in {"closed", "peer-differs"}:  # noqa: ASYNC110 - another task's word
                await asyncio.sleep(0.05)
        new = await opened(world)
        assert (new.proven.size, new.proven.lost, new.proven.aside) == (2, 2, 3)
        async with running(settings(world, "a")) as a:
            assert a.stopped is None
            await until(b, lambda db: size_of(db, E2) >= 1)
            for node in (a, b):
                texts = {row.text for row in await node.read(incidents)}
                assert {"备份以前", "邻机已存证"} <= texts
                assert not {text for text in texts if text.startswith("只在本机")}
            aside = await a.read(lambda db: db.execute("SELECT seq FROM set_aside ORDER BY seq").fetchall())
            assert [row[0] for row in aside] == [1, 2, 3]
    for name in ("a", "b"):  # entries that arrived in the last moment are projected at the next start
        await open_node(settings(world, name)).close()
        assert_clean(world, name)


async def forked_and_alone(world: World) -> None:
    """The whole folder went back, recorded alone, learnt of the neighbour's branch, and the neighbour is off again."""
    async with running(settings(world, "b")) as b:
        async with running(settings(world, "a")) as a:
            await incident(a, "备份以前")
        shutil.copytree(world.data("a"), world.folder / "backup", ignore=shutil.ignore_patterns("*.sock"))
        async with running(settings(world, "a")) as a:
            await incident(a, "邻机已存证甲")
            await incident(a, "邻机已存证乙")
            await until(b, lambda db: size_of(db, E1) == 3)
    shutil.rmtree(world.data("a"))
    (world.folder / "backup").rename(world.data("a"))
    async with running(replace(settings(world, "a"), peers=())) as a:
        for n in range(3):
            await incident(a, f"只在本机 {n}")
    async with running(settings(world, "b")), running(settings(world, "a")) as a:
        await until(a, lambda db: misbehaviours(db) != ())


async def test_a_fork_whose_other_branch_nobody_shows_is_not_gone_past_unasked_and_never_said_to_miss_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("web.epochs.ASK_AGAIN_S", 0.5)
    await forked_and_alone(world)
    with pytest.raises(Refused, match="epoch-branch-away") as refused:
        await opened(world)
    assert refused.value.value == "3"
    assert load_public(world.data("a") / KEYS / "public.json").origin == E1
    proven = (await open_epoch(settings(world, "a"), PRESENT, "restore", alone=True)).proven
    assert (proven.size, proven.lost, proven.away, proven.heard) == (4, -1, 3, ())
    async with running(replace(settings(world, "a"), anchor_vkeys=())) as a:
        statement = await a.read(lambda db: successor_of(db, E1))
        assert statement is not None
        assert statement.lost == -1
        await known(a, lambda: [one.away for one in a.branches] == [3])
        assert "branch-away" in {one.cause for one in notices(a)}
        async with running(settings(world, "b")) as b:
            await known(a, lambda: [(one.away, len(one.records)) for one in a.branches] == [(0, 2)])
            theirs = [await b.receipt(number_of(E1, seq)) for seq in (1, 2)]
            assert list(a.branches[0].records) == theirs
        assert "branch" in {one.cause for one in notices(a)}
        texts = {row.text for row in await a.read(incidents)}
        assert {"只在本机 0", "只在本机 1", "只在本机 2"} <= texts
        assert not {text for text in texts if text.startswith("邻机已存证")}
        number = number_of(E1, 1)
        assert (await a.read(lambda db: doubles(db, number))).others == (theirs[0],)
        await noted(a)
        await known(a, lambda: [one.noted for one in a.branches] == [True])
        assert {one.cause for one in notices(a)}.isdisjoint({"branch", "branch-away"})
    async with running(settings(world, "a")) as a:
        await known(a, lambda: [one.noted for one in a.branches] == [True])
    await open_node(settings(world, "a")).close()
    assert_clean(world, "a")


async def known(node: Node, done: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not done():  # noqa: ASYNC110 - what its tasks have found
            await asyncio.sleep(0.05)


async def noted(node: Node) -> None:
    (branch,) = node.branches
    command = NoteBranch(branch.origin, len(branch.records), branch.digest, "逐条补办", "supervisor:S-01")
    room = f"room/{node.settings.node}"
    await node.submit(room, command, command_id=branch.digest[:16], actor=ACTOR)
