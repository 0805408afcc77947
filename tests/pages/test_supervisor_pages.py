"""What the supervisor sees and does: an opinion on the filing, an order to stop, and nothing that is sealed."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.domain.streams import lot_stream
from tests.pages.room import DESK, LOT, SEATS, Browser, Room, member
from web.demo import cast


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def test_the_supervisor_finds_no_problem_with_a_filing_and_gets_a_receipt(room: Room) -> None:
    await room.filing()
    browser = await Browser.of(room, "S-1")
    answer = await browser.fill(f"{DESK}/filing-opinion", {"outcome": "no-problem", "opinion": "未发现问题"})
    assert answer.status == 200
    assert answer.path.startswith("/receipts/R-")
    assert (await room.node.state(lot_stream(LOT))).project.filing == "no-problem"
    await browser.close()


async def test_an_opinion_without_an_outcome_comes_back_with_the_words_kept(room: Room) -> None:
    await room.filing()
    browser = await Browser.of(room, "S-1")
    answer = await browser.fill(f"{DESK}/filing-opinion", {"opinion": "请补充资金落实文件"})
    assert answer.status == 422
    assert "错误：" in answer.html.partition("</title>")[0]
    assert answer.form(f"{DESK}/filing-opinion").fields["opinion"] == ["请补充资金落实文件"]
    assert (await room.node.state(lot_stream(LOT))).project.filing == "submitted"
    await browser.close()


@pytest.mark.parametrize("person", ["G-1", "O-1"])
async def test_nobody_but_the_supervisor_gives_the_opinion(room: Room, person: str) -> None:
    await room.filing()
    browser = await Browser.of(room, person)
    assert (await browser.get(f"{DESK}/filing-opinion")).status == 403
    assert (await browser.post(f"{DESK}/filing-opinion", {"outcome": "no-problem", "opinion": "好"})).status == 403
    await browser.close()


async def test_before_the_opening_the_supervisor_sees_neither_names_nor_references_nor_numbers_of_bidders(
    room: Room,
) -> None:
    await room.bidding()
    browser = await Browser.of(room, "S-1")
    for path in ("/desk", DESK):
        page = await browser.get(path)
        assert page.status == 200
        for company, ref in zip(cast.BIDDERS, room.refs, strict=False):
            assert company.name not in page.html
            assert ref not in page.html
    assert "尚未开标。开标前不显示投标人名称和数量。" in page.words
    await browser.close()


async def test_while_marks_are_sealed_the_supervisor_sees_that_they_are_there_but_not_what_they_are(room: Room) -> None:
    await room.scoring()
    await room.mark_all("X-1", {"T1": 1_250, "T2": 850, "T3": 950, "T4": 450, "B1": 750, "B2": 250, "C1": 300})
    browser = await Browser.of(room, "S-1")
    page = await browser.get(DESK)
    assert "3 / 3" in page.words
    for mark in ("12.50", "8.50", "9.50"):
        assert mark not in page.html
    for person in SEATS:
        assert f"专家{member(person)[1:]}" not in page.html
    await browser.close()


async def test_only_the_supervisor_lifts_its_own_order_to_stop(room: Room) -> None:
    await room.opened()
    supervisor, operator = await Browser.of(room, "S-1"), await Browser.of(room, "O-1")
    stopped = await supervisor.fill(f"{DESK}/suspend", {"reason": "supervisor-order", "text": "投诉核查"})
    assert stopped.path.startswith("/receipts/R-")
    assert "中止" in (await supervisor.get(DESK)).words
    refused = await operator.fill(f"{DESK}/resume", {"text": "继续"})
    assert refused.status == 409
    assert (await room.node.state(lot_stream(LOT))).project.suspended is not None
    lifted = await supervisor.fill(f"{DESK}/resume", {"text": "核查完毕，恢复"})
    assert lifted.path.startswith("/receipts/R-")
    assert (await room.node.state(lot_stream(LOT))).project.suspended is None
    await supervisor.close()
    await operator.close()


async def test_the_supervisor_reaches_no_page_of_an_expert(room: Room) -> None:
    await room.opened()
    browser = await Browser.of(room, "S-1")
    for page in ("", "/sign-in", "/sheet", f"/marks/{room.refs[0]}", "/report", "/clarification"):
        assert (await browser.get(f"/expert/lots/{LOT}{page}")).status == 403
    await browser.close()
