"""A receipted file that is damaged or gone where it is needed comes back from whoever holds it; nobody blames the bidder."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from node.check import check_files
from node.clock import FixedClock
from node.domain import opening
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.node import Node
from node.views import blobs as blobs_view
from sync.blobs import BlobStore
from tests.faults.test_bids_survive import WorldRoom, new_id
from tests.faults.test_running_room import free_base, settings, until
from tests.pages.room import LOT, OPERATOR
from tests.shell.test_bid_tools import Bench
from web.demo import cast
from web.demo.world import World, make_world
from web.serve import running


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


async def bid_at(a: Node, world: World) -> WorldRoom:
    room = WorldRoom(a, FixedClock(0))
    room.world = world
    await room.bidding()
    return room


async def start_opening(node: Node, world: World) -> None:
    world.set_clock(cast.ms("2026-03-25 09:31"))
    await node.submit(lot_stream(LOT), opening.StartOpening(("G-1", "S-1")), command_id=new_id(), actor=OPERATOR)


def files(node: Node) -> list[Path]:
    return sorted(path for path in node.blobs.folder.glob("??/*") if path.is_file())


async def opened_all(node: Node, room: WorldRoom) -> bool:
    for ref in room.refs:
        await node.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR)
    state = await node.state(lot_stream(LOT))
    return all(state.opening.content(ref) is not None for ref in room.refs)


async def test_every_file_of_a_node_that_lost_its_disk_comes_back_from_the_neighbour_before_the_opening(
    world: World,
) -> None:
    async with running(settings(world, "b", "required")):
        async with running(settings(world, "a", "required")) as a:
            room = await bid_at(a, world)
            assert len(files(a)) == 3
        shutil.rmtree(world.data("a") / "blobs")
        async with running(settings(world, "a", "required")) as a:
            await until(lambda: len(files(a)) == 3 and not a.attachments.missing)
            await start_opening(a, world)
            assert await opened_all(a, room)


@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
async def test_a_file_damaged_while_the_room_works_is_not_opened_before_a_whole_one_is_back(
    world: World, damage: str
) -> None:
    async with running(settings(world, "b", "required")) as b, running(settings(world, "a", "required")) as a:
        room = await bid_at(a, world)
        await start_opening(a, world)
        state = await a.state(lot_stream(LOT))
        held = state.bidding.of(state.opening.next_to_open)
        path = a.blobs.path(held.sha256)
        whole = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(whole[:-9] if damage == "cut" else bytes([whole[0] ^ 1]) + whole[1:])
        with pytest.raises(Refused, match="file-away"):
            await a.open_bid(LOT, held.ref, command_id=new_id(), actor=OPERATOR)
        await until(lambda: not a.attachments.missing, 40)
        assert path.read_bytes() == whole
        assert await opened_all(a, room)
        assert b.stopped is None


async def test_what_the_prefecture_lost_is_brought_again_by_the_room(world: World) -> None:
    direct = f"https://127.0.0.1:{world.sync('prefecture')}"
    mine = settings(world, "a")
    peers = tuple(replace(one, url=direct) for one in mine.peers if one.kind == "prefecture")
    async with running(replace(mine, peers=peers)) as a:
        async with running(settings(world, "prefecture", "")) as above:
            await bid_at(a, world)
            await until(lambda: len(files(above)) == 3)
        shutil.rmtree(world.data("prefecture") / "blobs")
        async with running(settings(world, "prefecture", "")) as above:
            await until(lambda: len(files(above)) == 3, 40)
            await until(lambda: not above.attachments.missing)


async def test_what_nobody_has_is_asked_of_everybody_and_said(world: World) -> None:
    async with running(settings(world, "a")) as a:
        room = await bid_at(a, world)
        for path in files(a):
            path.unlink()
        await a.attachments.look()
        assert len(a.attachments.missing) == 3
        await start_opening(a, world)
        with pytest.raises(Refused, match="receipted-files-are-opened"):
            await a.open_bid(LOT, room.refs[0], command_id=new_id(), actor=OPERATOR)
        await a.open_bid(LOT, room.refs[0], command_id=new_id(), actor=OPERATOR, lost=True)
        state = await a.state(lot_stream(LOT))
        assert [(one.fault, one.reason) for one in state.opening.failed] == [("platform", "stored-file-damaged")]
        found = check_files(await a.read(blobs_view.named), BlobStore(a.settings.data / "blobs", clear=False))
        assert [(one.kind, one.why[:7]) for one in found] == [("attachment", "missing")] * 3


async def test_a_ceremony_waits_for_a_file_that_comes_back_from_the_neighbour_and_then_opens_every_bid(
    world: World, tmp_path: Path
) -> None:
    async with running(settings(world, "b", "required")), running(settings(world, "a", "required")) as a:
        room = WorldRoom(a, FixedClock(0))
        room.world = world
        (tmp_path / "bench").mkdir()
        bench = await Bench(tmp_path / "bench", room).handed_in()
        state = await a.state(lot_stream(LOT))
        path = a.blobs.path(state.bidding.of(room.refs[1]).sha256)
        path.unlink()
        with pytest.raises(Refused, match="file-away"):
            await bench.begun()
        await until(lambda: path.is_file() and not a.attachments.missing, 40)
        await bench.begun()
        for role in ("witness", "tenderer", "prefecture"):
            await bench.give_release(bench.release(role))
        for ref in room.refs:
            await bench.give_half(ref)
        assert await opened_all(a, room)
