"""At the opening a file that is not here is said so, waits for its copy, and is given up by two persons only."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.domain import opening
from node.domain.streams import lot_stream
from node.views.incident import incidents
from tests.pages.room import DESK, LOT, OPERATOR, Browser, Room

URL = f"{DESK}/files/lost"
SAID = {"reason": "两台机器和上级都没有", "second": "S-1", "second_pin": "1234"}


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    await opened.bidding()
    opened.at("2026-03-25 09:31")
    await opened.do(opening.StartOpening(("G-1", "S-1")), OPERATOR)
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def damage(room: Room) -> str:
    state = await room.node.state(lot_stream(LOT))
    ref = state.opening.next_to_open
    path = room.node.blobs.path(state.bidding.of(ref).sha256)
    path.write_bytes(path.read_bytes()[:-1])
    return ref


async def test_a_damaged_file_is_a_refusal_in_words_and_then_a_notice_and_a_way_out_for_two(room: Room) -> None:
    ref = await damage(room)
    browser = await Browser.of(room, "O-1")
    refused = await browser.fill(f"{DESK}/open-next", {})
    assert refused.status == 409
    assert "目前不在本机，暂不能解密" in refused.words
    page = await browser.get(DESK)
    assert f"文件无法取回：{ref}" in page.words
    assert "有附件不在本机或已损坏" in page.words
    alone = await browser.fill(URL, {**SAID, "second": "O-1"})
    assert alone.status == 422
    assert (await room.node.state(lot_stream(LOT))).opening.failed == ()
    done = await browser.fill(URL, SAID)
    assert done.path.startswith("/receipts/R-"), done.words
    state = await room.node.state(lot_stream(LOT))
    assert [(one.ref, one.fault) for one in state.opening.failed] == [(ref, "platform")]
    (incident,) = await room.node.read(incidents)
    assert "supervisor:S-1" in incident.text
    assert "两台机器和上级都没有" in incident.text
    await browser.close()


async def test_a_file_that_is_here_cannot_be_given_up(room: Room) -> None:
    browser = await Browser.of(room, "O-1")
    refused = await browser.get(URL)
    assert refused.status == 409
    assert "这份文件就在本机" in refused.words
    assert (await browser.get(DESK)).words.count("文件无法取回") == 0
    await browser.close()
