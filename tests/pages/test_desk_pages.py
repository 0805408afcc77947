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
from web.status import neighbours, prefecture

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
    assert neighbour in neighbours([status])[0]
    assert above in prefecture([status])[0]


@pytest.mark.parametrize(
    ("status", "neighbour", "above"),
    [
        (replace(LINK, state=LinkState.CURRENT, entries_behind=0), "邻机 1/1", "上级已同步"),
        (
            replace(LINK, state=LinkState.SENDING, entries_behind=1_204, bytes_behind=174_580, bytes_per_s=1_000),
            "邻机 1/1",
            "上级待传 1,204 条，约 3 分钟",
        ),
        (
            replace(LINK, state=LinkState.SENDING, entries_behind=50, bytes_behind=7_250, bytes_per_s=1_000),
            "邻机 1/1",
            "上级待传 50 条，约 10 秒",
        ),
        (
            replace(LINK, state=LinkState.SENDING, entries_behind=90_000, bytes_behind=13_000_000, bytes_per_s=1_000),
            "邻机 1/1",
            "上级待传 90,000 条，约 3 小时 37 分",
        ),
        (replace(LINK, state=LinkState.SENDING, bytes_behind=435), "邻机 1/1", "上级待传 3 条"),
        (
            replace(LINK, bytes_behind=435, bytes_per_s=10),
            "邻机 0/1：记录只存于本机",
            "上级不可达，待传 3 条",
        ),
        (
            replace(LINK, state=LinkState.REFUSED, why="foreign-certificate"),
            "邻机 0/1：应答的不是邻机：记录只存于本机",
            "线路上应答的不是上级（证书不符），未发送任何记录，待传 3 条",
        ),
        (
            replace(LINK, why="not-tls"),
            "邻机 0/1：应答的不是邻机：记录只存于本机",
            "线路上应答的不是上级（可能是上网认证页），未发送任何记录，待传 3 条",
        ),
    ],
)
def test_the_bar_says_how_much_waits_how_long_and_who_answers(status: PeerStatus, neighbour: str, above: str) -> None:
    assert neighbours([status])[0] == neighbour
    assert prefecture([status])[0] == above


def test_the_bar_counts_nothing_for_those_who_could_count_bids_by_it() -> None:
    sending = replace(LINK, state=LinkState.SENDING, entries_behind=1_204, bytes_behind=174_580, bytes_per_s=1_000)
    assert prefecture([sending], counts=False)[0] == "上级待传"
    assert prefecture([LINK], counts=False)[0] == "上级不可达，待传"
