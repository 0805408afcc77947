"""The ceremony at the desk, in a browser without JavaScript: files out, files in, status per bid."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import FormData

from tests.pages.room import LOT, Answer, Browser
from tests.shell.test_bid_tools import Bench
from tests.shell.test_judged_signers import TrustingBench

DESK = f"/desk/lots/{LOT}"


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.room.node.close()


async def upload(browser: Browser, what: str, data: bytes) -> Answer:
    url = f"{DESK}/ceremony/{what}"
    page = await browser.get(url)
    form = FormData()
    for name, given in page.form(url).fields.items():
        form.add_field(name, given[0])
    form.add_field("file", data, filename="file.json")
    return await browser.post(url, form)  # type: ignore[arg-type]


async def test_files_of_the_ceremony_go_out_and_in_by_plain_forms(bench: Bench) -> None:
    await bench.started()
    browser = await Browser.of(bench.room, "O-1")
    assert "等待保管人释放份额" in (await browser.get(DESK)).words
    request = await browser.get(f"{DESK}/ceremony-request.json")
    assert request.html == (bench.folder / "request.json").read_text("utf-8")
    for role in ("witness", "tenderer", "prefecture"):
        answer = await upload(browser, "release", bench.release(role))
        assert answer.path.startswith("/receipts/"), answer.words
    page = await browser.get(DESK)
    assert "等待投标人解密" in page.words
    assert page.words.count("✓ 已释放") == 3
    for ref in bench.room.refs[:-1]:
        assert bench.half(ref).exit_code == 0
        answer = await upload(browser, "half", (bench.folder / f"{ref}.half").read_bytes())
        assert answer.path.startswith("/receipts/"), answer.words
    bench.room.at("2026-03-25 10:01")
    for _ in bench.room.refs:
        await browser.fill(f"{DESK}/open-next", {})
    words = (await browser.get(DESK)).words
    assert "投标人：没有在规定时间内解密" in words
    assert words.count("✓ 已开启") == len(bench.room.refs) - 1
    await browser.close()


async def test_a_file_that_does_not_belong_here_is_refused_in_words_and_leaves_no_trace(bench: Bench) -> None:
    await bench.started()
    browser = await Browser.of(bench.room, "O-1")
    for data, words in (
        (b"{}", "不是这里要的文件"),
        (b"\xff", "文件不完整或格式不对"),
        ((bench.folder / "request.json").read_bytes(), "不是这里要的文件"),
    ):
        answer = await upload(browser, "release", data)
        assert answer.status == 422
        assert words in answer.words
    twice = bench.release("witness")
    await upload(browser, "release", twice)
    assert "已经释放" in (await upload(browser, "release", twice)).words
    await browser.close()


async def test_the_page_says_what_is_known_of_the_certificates_and_what_nobody_judged(bench: Bench) -> None:
    await bench.started()
    browser = await Browser.of(bench.room, "O-1")
    words = (await browser.get(DESK)).words
    assert "本机没有配置信任锚" in words
    assert words.count("未判断") == 5 + len(bench.room.refs)
    await browser.close()


async def test_where_certificates_are_judged_the_page_shows_their_standing(tmp_path: Path) -> None:
    bench = TrustingBench(tmp_path)
    await bench.noticed()
    browser = await Browser.of(bench.room, "O-1")
    words = (await browser.get(DESK)).words
    assert "信任锚" not in words
    assert words.count("有效") >= 5
    await browser.close()
    await bench.room.node.close()


async def test_the_notice_file_is_public_once_the_notice_is_out(bench: Bench) -> None:
    await bench.noticed()
    browser = await Browser.of(bench.room, "O-1")
    answer = await browser.get(f"/public/lots/{LOT}/notice.json")
    assert answer.status == 200
    assert "notice.json" in (await browser.get(f"/public/lots/{LOT}")).html
    await browser.close()


async def test_who_does_not_keep_the_desk_hands_in_nothing(bench: Bench) -> None:
    await bench.started()
    browser = await Browser.of(bench.room, "W-1")
    assert (await browser.get(f"{DESK}/ceremony/release")).status == 403
    await browser.close()


async def test_two_persons_give_up_a_file_at_the_desk_and_the_ceremony_begins_without_it(bench: Bench) -> None:
    await bench.handed_in()
    node, ref = bench.room.node, bench.room.refs[2]
    node.blobs.path((await bench.lot()).bidding.of(ref).sha256).unlink()
    browser = await Browser.of(bench.room, "O-1")
    refused = await browser.fill(f"{DESK}/ceremony-begin", {})
    assert refused.status == 409
    assert "目前不在本机" in refused.words
    assert f"文件无法取回：{ref}" in (await browser.get(DESK)).words
    said = {"reason": "各处都没有", "second": "S-1", "second_pin": "1234"}
    assert (await browser.fill(f"{DESK}/files/lost", said)).path.startswith("/receipts/")
    assert (await browser.fill(f"{DESK}/ceremony-begin", {})).path.startswith("/receipts/")
    lot = await bench.lot()
    assert [one.ref for one in lot.ceremony.begun.bids if not one.manifest_sha256] == [ref]
    await browser.close()
