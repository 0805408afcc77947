"""Records of another history of an own closed log: said in the bar, listed, told apart by fingerprint, noted by two persons."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from node.branches import Branch, doubles
from node.receipts import Receipt, number_of, receipt_of
from sync.codec import decode, encode
from sync.log import read_entry
from sync.merkle import leaf_hash
from sync.tampered import Problem
from sync.witness import Misbehaviour, keep_evidence
from tests.faults.small_node import ORIGIN
from tests.pages.room import Browser, Room
from web.words import fingerprint


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = await Room.in_folder(tmp_path / "a").filing()
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def with_other(room: Room) -> tuple[Receipt, Receipt]:
    """Entry 0 has a second record under its number, set aside. Returns the one that stands and the other."""
    body = await room.node.read(lambda db: read_entry(db, ORIGIN, 0))
    entry = decode(body)
    other = encode(replace(entry, at_ms=entry.at_ms + 60_000))
    await room.node.store.write(
        lambda db: db.execute(
            "INSERT INTO set_aside (origin, seq, leaf, body, at_ms) VALUES (?, 0, ?, ?, 1)",
            (ORIGIN, leaf_hash(other), other),
        )
    )
    return receipt_of(body, entry), receipt_of(other, decode(other))


async def test_the_records_stand_in_the_bar_and_in_a_list_until_two_persons_have_noted_them(room: Room) -> None:
    _, other = await with_other(room)
    room.node.branches = (Branch(ORIGIN, (other,), 0, b"\x07" * 32, noted=False),)
    browser = await Browser.of(room, "O-1")
    words = "本机原日志另有一段历史，其中 1 条记录和回执未计入"
    assert words in (await browser.get("/desk")).words
    page = await browser.get("/node")
    for said in (words, other.number, other.stream, other.actor):
        assert said in page.words
    assert "目前没有" not in page.words
    address = f"/node/branches/{'07' * 32}"
    alone = await browser.fill(address, {"text": "已补办", "second": "O-1", "second_pin": "1234"})
    assert alone.status == 422
    done = await browser.fill(address, {"text": "已补办", "second": "S-1", "second_pin": "1234"})
    assert done.status == 200
    assert "另一段历史的记录已处理" in done.words
    page = await browser.get("/node")
    assert words not in page.words
    assert other.number in page.words
    assert "两人已记为已处理" in page.words
    assert await room.node.recorded(b"\x07" * 16)
    assert (await browser.get(address)).status == 404
    await browser.close()


@pytest.mark.parametrize("person", ["M-1", "S-1"])
async def test_who_may_not_note_it_is_not_offered_it(room: Room, person: str) -> None:
    _, other = await with_other(room)
    room.node.branches = (Branch(ORIGIN, (other,), 0, b"\x07" * 32, noted=False),)
    browser = await Browser.of(room, person)
    page = await browser.get("/node")
    assert "/node/branches/" not in page.html
    assert "其中 1 条记录和回执未计入" in page.words
    assert other.stream not in page.words  # before the opening, how many did what is not for everybody (ZB 22)
    assert (await browser.get(f"/node/branches/{'07' * 32}")).status == 403
    await browser.close()


async def test_a_history_whose_records_are_away_is_an_alarm_too(room: Room) -> None:
    room.node.branches = (Branch(ORIGIN, (), 141, b"\x07" * 32, noted=False),)
    browser = await Browser.of(room, "O-1")
    assert "本机原日志另有一段历史（141 条），其记录不在本机" in (await browser.get("/desk")).words
    await browser.close()


async def test_a_number_that_names_two_records_says_so_and_the_fingerprint_tells_which(room: Room) -> None:
    standing, other = await with_other(room)
    browser = await Browser.of(room, "O-1")
    page = await browser.get(f"/receipts/{standing.number}")
    assert "此编号还指另一段历史中的一条记录" in page.words
    assert fingerprint(standing.leaf) in page.words
    path = f"/public/verify?number={standing.number}&fingerprint="
    assert "以指纹区分" in (await browser.get(path)).words
    mine = await browser.get(path + fingerprint(standing.leaf).replace(" ", ""))
    assert "此回执在日志中" in mine.words
    theirs = await browser.get(path + fingerprint(other.leaf).replace(" ", ""))
    assert "此指纹的记录在另一段历史中" in theirs.words
    assert "此回执在日志中" not in theirs.words
    await browser.close()


async def test_where_the_other_record_is_not_here_a_number_of_a_forked_log_still_says_so(room: Room) -> None:
    number = number_of(ORIGIN, 0)
    browser = await Browser.of(room, "O-1")
    assert "两段历史" not in (await browser.get(f"/receipts/{number}")).words
    assert not (await room.node.read(lambda db: doubles(db, number))).conflicted
    found = Misbehaviour(ORIGIN, Problem.TWO_BRANCHES, b"held", b"shown", b"", "b", 1_772_000_000_000)
    await room.node.store.write(lambda db: keep_evidence(db, found, freeze=False))
    assert "此编号可能另指一条记录" in (await browser.get(f"/receipts/{number}")).words
    wrong = await browser.get(f"/public/verify?number={number}&fingerprint=0000")
    assert "指纹与此编号现行的记录不同" in wrong.words
    assert "此回执在日志中" not in wrong.words
    await browser.close()
