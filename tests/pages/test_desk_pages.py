"""What the desk does at the ends of the procedure: an opinion without words, a report with a member who said nothing."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.domain.report import evaluation_report, report_sha256
from node.domain.sheet import SignReport
from node.domain.streams import lot_stream
from sync.status import LinkState, PeerStatus
from tests.pages.room import DESK, LOT, SEATS, Browser, Room
from web.render import _neighbours, _prefecture

LINK = PeerStatus("532924-room-1-b", "https://b", "o", "push", LinkState.OFFLINE, entries_behind=3)


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def test_no_problem_needs_no_words_and_anything_else_does(room: Room) -> None:
    await room.filing()
    browser = await Browser.of(room, "S-1")
    wordless = await browser.fill(f"{DESK}/filing-opinion", {"outcome": "rectify"})
    assert wordless.status == 409
    assert (await room.node.state(lot_stream(LOT))).project.filing == "submitted"
    assert (await browser.fill(f"{DESK}/filing-opinion", {"outcome": "no-problem"})).path.startswith("/receipts/R-")
    await browser.close()


async def test_a_member_who_neither_signs_nor_says_why_is_recorded_with_the_circumstances(room: Room) -> None:
    await room.scoring()
    for no in SEATS:
        await room.mark_all(no)
    await room.close_scoring()
    digest = report_sha256(evaluation_report(await room.node.state(lot_stream(LOT))))
    for no in list(SEATS)[:-1]:
        await room.say(no, SignReport(digest, "agree", ""))
    browser, url = await Browser.of(room, "O-1"), f"{DESK}/report"
    assert (await browser.fill(url, {})).status == 409
    unknown = await browser.fill(url, {"silent": "E9,离场"})
    assert unknown.status == 422
    assert "E1、E2、E3、E4、E5" in unknown.words
    assert unknown.form(url).fields["silent"] == ["E9,离场"]
    signed = await browser.fill(url, {"silent": "E1,说他没有签"})
    assert signed.status == 409
    done = await browser.fill(url, {"silent": "E5，十一时离场，电话未接"})
    assert done.path.startswith("/receipts/R-"), done.words
    report = (await room.node.state(lot_stream(LOT))).evaluation.report
    assert report.words[-1] == ("E5", "silent", "十一时离场，电话未接")
    await browser.close()


@pytest.mark.parametrize(
    ("state", "neighbour", "above"),
    [
        (LinkState.FAULT, "本机磁盘或数据库故障", "本机磁盘或数据库故障"),
        (LinkState.REFUSED, "邻机拒收", "上级拒收本机记录"),
        (LinkState.OFFLINE, "记录只存于本机", "上级不可达"),
        (LinkState.TAMPERED, "证据不一致", "证据不一致"),
    ],
)
def test_every_state_of_a_link_has_its_own_words(state: LinkState, neighbour: str, above: str) -> None:
    status = replace(LINK, state=state)
    assert neighbour in _neighbours([status])[0]
    assert above in _prefecture([status])[0]
