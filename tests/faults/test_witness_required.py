"""With a witness required no receipt is given before a neighbour holds the record; what was receipted survives either node."""

import secrets
import shutil
import time
from pathlib import Path

import pytest

from node.domain.incident import RecordIncident
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.node import Node
from node.receipts import Receipt
from node.witness import NotWitnessed
from sync.log import read_entry
from tests.faults.test_running_room import free_base, settings, until
from tests.pages.room import Browser, Room
from web.demo import cast
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running

OPERATOR, SECOND = Actor("O-01", Role.OPERATOR), "supervisor:S-01"


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


async def incident(node: Node, text: str, command_id: bytes = b"") -> Receipt:
    command = RecordIncident("other", text, cast.ms("2026-03-01 08:00"), ())
    stream = f"room/{node.settings.node}"
    return await node.submit(stream, command, command_id=command_id or secrets.token_bytes(16), actor=OPERATOR)


async def test_a_receipt_means_that_the_neighbour_holds_the_record_and_it_survives_the_loss_of_the_node(
    world: World,
) -> None:
    async with running(settings(world, "b", "required")) as b:
        async with running(settings(world, "a", "required")) as a:
            receipts = [await incident(a, f"第 {number} 次") for number in range(20)]
        shutil.rmtree(world.data("a"))  # the machine has burnt down
        for receipt in receipts:
            body = await b.read(lambda db, seq=receipt.seq: read_entry(db, ORIGINS["a"], seq))
            assert body
            found = await b.receipt(receipt.number)
            assert found is not None
            assert found.leaf == receipt.leaf


async def test_without_its_neighbour_a_node_gives_no_receipt_on_any_repetition_until_the_neighbour_comes(
    world: World,
) -> None:
    command_id = secrets.token_bytes(16)
    async with running(settings(world, "a", "required")) as a:
        for _ in range(2):
            began = time.monotonic()
            with pytest.raises(NotWitnessed) as alone:
                await incident(a, "邻机不在", command_id)
            assert time.monotonic() - began > 1.9
            assert alone.value.receipt.seq == 0
        assert a.recorder.log.size == 1
        async with running(settings(world, "b", "required")):
            await until(lambda: a.witness.held == 1)
            assert (await incident(a, "邻机不在", command_id)).seq == 0


async def test_two_persons_let_the_room_go_on_alone_and_it_ends_by_itself_when_the_neighbour_is_back(
    world: World,
) -> None:
    async with running(settings(world, "a", "required")) as a:
        with pytest.raises(NotWitnessed):
            await incident(a, "第一条")
        relaxed = await a.relax_witness("邻机断电", SECOND, command_id=secrets.token_bytes(16), actor=OPERATOR)
        assert relaxed.seq == 1
        assert (await incident(a, "第二条")).seq == 2
        async with running(settings(world, "b", "required")):
            await until(lambda: a.witness.held == 3)
            with pytest.raises(Refused) as there:
                await a.relax_witness("没有必要", SECOND, command_id=secrets.token_bytes(16), actor=OPERATOR)
            assert there.value.code == "witness-is-there"
        with pytest.raises(NotWitnessed):
            await incident(a, "邻机又不在了")


async def test_one_person_alone_cannot_let_the_room_go_on_alone(world: World) -> None:
    async with running(settings(world, "a", "required")) as a:
        for second in ("", "operator:O-01", "technician:M-01"):
            with pytest.raises(Refused):
                await a.relax_witness("邻机断电", second, command_id=secrets.token_bytes(16), actor=OPERATOR)
        assert a.recorder.log.size == 0


async def test_a_node_without_a_room_neighbour_and_the_prefecture_give_receipts_at_once(
    world: World, tmp_path: Path
) -> None:
    room = Room.in_folder(tmp_path / "alone")
    await room.filing()
    await room.node.close()
    async with running(settings(world, "prefecture", "")) as above:
        assert above.witness.mode == "preferred"


async def test_the_page_says_recorded_and_not_witnessed_and_leads_to_the_receipt_once_there_is_one(
    world: World,
) -> None:
    async with running(settings(world, "a", "required")) as a:
        browser = await Browser.of(Room(a, None), "G-01")  # type: ignore[arg-type]
        form = await browser.get("/desk/register")
        values = {
            name: getattr(cast.LOT, name)
            for name in ("project_name", "lot_name", "project_code", "tender_project_code", "lot_code", "deal_code")
        }
        values |= {
            name: getattr(cast.LOT, name)
            for name in ("tenderer_name", "tenderer_uscc", "agency_name", "agency_uscc", "region", "trade_class")
        }
        values |= {name: getattr(cast.LOT, name) for name in ("category", "method", "approval_ref", "funds_ref")}
        values |= {"agency_contract_ref": cast.LOT.agency_contract_ref, "estimate": "10000000", "state_funds": "yes"}
        waiting = await browser.send(form, "/desk/register", values)
        assert waiting.status == 202
        assert "已记录，未存证" in waiting.words
        assert "R-" not in waiting.words
        again = await browser.send(form, "/desk/register", values)
        assert again.status == 202
        assert a.recorder.log.size == 1
        address = waiting.html.partition('href="/recorded/')[2].partition('"')[0]
        assert (await browser.get(f"/recorded/{address}")).status == 202
        async with running(settings(world, "b", "required")) as b:
            await until(lambda: a.witness.held == 1)
            assert (await browser.get(f"/recorded/{address}")).path.startswith("/receipts/R-")
            state = await b.state(lot_stream(cast.LOT_CODE))
            assert state.lot_code == cast.LOT_CODE
        assert (await browser.get("/recorded/" + "0" * 32)).status == 404
        assert (await browser.get("/recorded/nonsense")).status == 404
        await browser.close()
    assert CODES["a"] == a.settings.node
