"""A receipt for a bid means that the sealed file too lies at the neighbour: the room opens it there when the node is gone."""

import asyncio
import secrets
import shutil
from pathlib import Path

import pytest

from node import custody
from node.clock import FixedClock
from node.domain import opening
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.node import Node
from node.receipts import receipt_of
from node.views import blobs as blobs_view
from node.views import log as log_view
from node.witness import NotWitnessed
from sync.codec import decode
from sync.log import read_entry
from tests.faults.test_running_room import free_base, settings, until
from tests.pages.room import LOT, OPERATOR, Room
from web.demo import cast
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running

SECOND = "supervisor:S-1"


class WorldRoom(Room):
    """A room whose clock is the demonstration's file."""

    world: World

    def at(self, moment: str) -> None:
        """Set every node's clock."""
        self.world.set_clock(cast.ms(moment))


def new_id() -> bytes:
    return secrets.token_bytes(16)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


async def test_bids_received_at_a_node_that_burns_are_opened_at_its_neighbour(world: World) -> None:
    async with running(settings(world, "b", "required")) as b:
        async with running(settings(world, "a", "required")) as a:
            room = WorldRoom(a, FixedClock(0))
            room.world = world
            await room.bidding()
            names = await a.read(lambda db: log_view.of_origin(db, ORIGINS["a"], 10**6, 10**6))
            bids = [row.seq for row in names if "bidding.bid-received" in row.events]
            assert len(bids) == 3
            for seq in bids:  # what was receipted is there, without waiting
                (sha256,) = await a.read(lambda db, seq=seq: blobs_view.of_entry(db, ORIGINS["a"], seq))
                assert b.blobs.get(sha256) == a.blobs.get(sha256)
        shutil.rmtree(world.data("a"))
        world.set_clock(cast.ms("2026-03-25 09:31"))
        await until(lambda: gone(b, "a"), 20)
        operator = Actor("O-1", Role.OPERATOR)
        await b.relax_witness("a 机烧毁", SECOND, command_id=new_id(), actor=operator)
        await custody.take(b, LOT, CODES["a"], "a 机烧毁", SECOND, command_id=new_id(), actor=operator)
        await b.submit(lot_stream(LOT), opening.StartOpening(("G-1", "S-1")), command_id=new_id(), actor=OPERATOR)
        for ref in room.refs:
            await b.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR)
        state = await b.state(lot_stream(LOT))
        assert all(state.opening.content(ref) is not None for ref in room.refs)


async def test_a_bid_whose_file_has_not_reached_the_neighbour_gets_no_receipt_yet(world: World) -> None:
    async with running(settings(world, "b", "required")) as b, running(settings(world, "a", "required")) as a:
        refuse = b.blobs.folder / "partial"
        shutil.rmtree(refuse)
        refuse.write_text("in the way", encoding="ascii")  # the neighbour cannot keep files
        room = WorldRoom(a, FixedClock(0))
        room.world = world
        with pytest.raises(NotWitnessed) as waiting:
            await room.bidding()
        seq = waiting.value.receipt.seq
        body = await a.read(lambda db: read_entry(db, ORIGINS["a"], seq))
        assert receipt_of(body, decode(body)).events == ("bidding.bid-received",)
        assert a.witness.held > seq  # the entry itself is there
        (sha256,) = await a.read(lambda db: blobs_view.of_entry(db, ORIGINS["a"], seq))
        refuse.unlink()
        refuse.mkdir()
        await until(lambda: b.blobs.has(sha256), 20)
        async with asyncio.timeout(20):
            while not await a.witness.covered_whole(seq, -1):  # noqa: ASYNC110 - another task notes it
                await asyncio.sleep(0.05)


def gone(node: Node, name: str) -> bool:
    """Whether a node has noticed that its neighbour does not answer."""
    return all(
        status.state == "offline"
        for status in node.peer_status()
        if (status.name, status.direction) == (CODES[name], "push")
    )
