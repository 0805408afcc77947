"""Custody at the desk: whose a lot is, a take-over typed in by two persons, and every form that is refused."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.streams import lot_stream
from node.settings import Peer
from tests.pages.room import DESK, LOT, Browser, Room

URL = f"{DESK}/custody"
PEER = Peer("532924-room-1-b", "room", "drill.erhai/532924/room-1/b/e1", "k", "k")
SECOND = {"second": "S-1", "second_pin": "1234"}


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    opened.node.settings = replace(opened.node.settings, peers=(PEER,))
    await opened.filing()
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def test_the_page_names_the_node_that_holds_a_lot_and_offers_what_can_be_done(room: Room) -> None:
    operator = await Browser.of(room, "O-1")
    page = await operator.get(URL)
    assert page.status == 200
    assert "（本机）" in page.words
    assert "移交主持权" in page.words
    assert "接管主持权" not in page.words
    agency = await Browser.of(room, "G-1")
    assert "移交主持权" not in (await agency.get(URL)).words
    assert (await agency.get(f"{URL}/release")).status == 403
    await operator.close()
    await agency.close()


async def test_a_lot_is_handed_over_by_two_persons_and_can_be_recalled(room: Room) -> None:
    browser = await Browser.of(room, "O-1")
    values = {"to_node": PEER.name, "reason": "本机检修", **SECOND}
    done = await browser.fill(f"{URL}/release", values)
    assert done.path.startswith("/receipts/R-"), done.words
    state = await room.node.state(lot_stream(LOT))
    assert state.custody.released_to == PEER.name
    page = await browser.get(URL)
    assert f"已移交给 {PEER.name}" in page.words
    assert "收回主持权" in page.words
    assert (await browser.fill(f"{URL}/recall", {"reason": "对方没有接收"})).path.startswith("/receipts/R-")
    assert not (await room.node.state(lot_stream(LOT))).custody.released_to
    await browser.close()


@pytest.mark.parametrize(
    ("second", "field"),
    [
        ({"second": "", "second_pin": ""}, "second"),
        ({"second": "O-1", "second_pin": "1234"}, "second"),
        ({"second": "S-1", "second_pin": "9999"}, "second_pin"),
        ({"second": "Z-9", "second_pin": "1234"}, "second_pin"),
        ({"second": "M-1", "second_pin": "1234"}, "second"),
        ({"second": "G-1", "second_pin": "1234"}, "second"),
    ],
)
async def test_a_second_person_who_is_not_one_is_refused_and_the_pin_is_not_shown_again(
    room: Room, second: dict[str, str], field: str
) -> None:
    browser = await Browser.of(room, "O-1")
    answer = await browser.fill(f"{URL}/release", {"to_node": PEER.name, "reason": "本机检修", **second})
    assert answer.status == 422
    assert f'href="#f-{field}"' in answer.html
    form = answer.form(f"{URL}/release")
    assert form.fields["reason"] == ["本机检修"]
    assert form.fields.get("second_pin", [""]) == [""]
    assert not (await room.node.state(lot_stream(LOT))).custody.released_to
    await browser.close()


async def test_five_wrong_pins_of_a_second_person_close_that_number_for_a_while(room: Room) -> None:
    browser = await Browser.of(room, "O-1")
    wrong = {"to_node": PEER.name, "reason": "检修", "second": "S-1", "second_pin": "0000"}
    for _ in range(5):
        await browser.fill(f"{URL}/release", wrong)
    answer = await browser.fill(f"{URL}/release", {**wrong, "second_pin": "1234"})
    assert answer.status == 422
    assert "五分钟" in answer.words
    await browser.close()


async def test_a_page_of_a_lot_that_is_not_here_and_a_change_that_does_not_exist_are_not_found(room: Room) -> None:
    browser = await Browser.of(room, "O-1")
    assert (await browser.get("/desk/lots/NOWHERE/custody")).status == 404
    assert (await browser.get(f"{URL}/steal")).status == 404
    tail = {"origin": "nobody", "seq": "1", "decision": "adopt", "reason": "核对", **SECOND}
    refused = await browser.fill(f"{URL}/tail", tail)
    assert refused.status == 409
    assert "不在待处理的未传记录之列" in refused.words
    await browser.close()
