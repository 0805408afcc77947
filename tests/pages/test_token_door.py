"""Sign-in by certificate: a challenge of this node for this person, good for a minute and once."""

import asyncio
import shutil

import pytest

from sync.acts import LOGIN_HEAD, readable, sign_act
from sync.agent import AgentFault, NodeLine
from tests.pages.room import DESK, Browser, Room
from tests.pages.seat_agents import card, press, take_certificates
from tests.person_lab import DAY, NOW, make_crl, vendor
from web.keys import DOORS, SIGNING
from web.token_door import challenge_text

DOOR = "/sign-in/token"
OPINION = f"{DESK}/filing-opinion"


@pytest.fixture
async def room(tmp_path):
    found = await Room.in_folder(tmp_path / "node").filing()
    found.at("2026-03-25 10:10")
    yield found
    await found.node.close()
    shutil.rmtree(tmp_path / "node")


async def _at_the_door(room, person="S-1", at=None):
    """A browser that nobody has signed in at, with an agent paired by the code on its page, and the challenge."""
    browser = await (Browser.of(room, "O-1") if at is None else Browser.at(at, "O-1"))
    await browser.post("/sign-out", {})
    page = await browser.post(DOOR, {"person": person})
    assert page.path == DOOR
    code = page.words.split("只能用一次：")[1].split()[0]
    line = NodeLine(f"http://127.0.0.1:{browser.client.server.port}")
    await asyncio.to_thread(line.pair, code)
    shown = await browser.get(DOOR)
    assert "核对下列文字" in shown.words
    return browser, line, await asyncio.to_thread(line.pending)


async def _signed_in(browser):
    return (await browser.get("/desk")).path == "/desk"


async def test_who_signs_the_challenge_is_signed_in_and_signs_acts_with_the_same_agent(room, tmp_path):
    take_certificates(room, tmp_path)
    browser, line, challenge = await _at_the_door(room)
    try:
        words = challenge.text.decode().split("\n")
        assert words[0] == LOGIN_HEAD
        assert readable(challenge.text)
        assert {"节点：532924-room-1-a", "人员：S-1", "时间：2026-03-25 10:10"} <= set(words)
        assert not await _signed_in(browser)
        assert "已签名" in (await press(line, card("S-1")))[-1]
        assert (await browser.get(DOOR)).path == "/desk"
        await browser.fill(OPINION, {"outcome": "no-problem", "opinion": ""})
        assert "核准备案意见" in (await press(line, card("S-1")))[0]
        await browser.post("/sign-out", {})
        assert not await _signed_in(browser)
        with pytest.raises(AgentFault, match="unpaired"):
            await asyncio.to_thread(line.pending)
    finally:
        await browser.close()


async def test_an_answer_counts_once_and_for_its_own_challenge_alone(room, tmp_path):
    take_certificates(room, tmp_path)
    browser, line, challenge = await _at_the_door(room)
    other, other_line, other_challenge = await _at_the_door(room, at=browser)
    try:
        cms = sign_act(challenge.text, card("S-1"), NOW)
        assert await asyncio.to_thread(other_line.answer, other_challenge, cms) == "other-words"
        assert not await _signed_in(other)
        assert await asyncio.to_thread(line.answer, challenge, cms) == ""
        assert await asyncio.to_thread(line.answer, challenge, cms) == "over"
        assert (await browser.get(DOOR)).path == "/desk"
    finally:
        await browser.close()
        await other.close()


@pytest.mark.parametrize(
    ("foreign", "why"),
    [
        (lambda _room, text: sign_act(text, card("O-1"), NOW), "other-person"),
        (
            lambda _room, text: sign_act(text.replace(b"532924-room-1-a", b"532924-room-1-b"), card("S-1"), NOW),
            "other-words",
        ),
        (lambda _room, text: sign_act(text.replace(b"S-1", b"O-1"), card("S-1"), NOW), "other-words"),
        (lambda room, _text: sign_act(challenge_text(room.node, "S-1", bytes(32)), card("S-1"), NOW), "other-words"),
        (lambda _room, _text: b"\x30\x80", "malformed"),
    ],
    ids=["another person's card", "another node", "another person", "another nonce", "no signature"],
)
async def test_a_foreign_answer_opens_nothing(room, tmp_path, foreign, why):
    take_certificates(room, tmp_path)
    browser, line, challenge = await _at_the_door(room)
    try:
        assert await asyncio.to_thread(line.answer, challenge, foreign(room, challenge.text)) == why
        page = await browser.get(DOOR)
        assert "没有登录" in page.words
        assert not await _signed_in(browser)
    finally:
        await browser.close()


async def test_after_a_minute_a_challenge_is_stale_and_another_is_asked_for(room, tmp_path):
    take_certificates(room, tmp_path)
    browser, line, challenge = await _at_the_door(room)
    try:
        desk = browser.client.server.app[SIGNING].desk
        began = desk._clock_s()
        desk._clock_s = lambda: began + 61.0
        cms = sign_act(challenge.text, card("S-1"), NOW)
        assert await asyncio.to_thread(line.answer, challenge, cms) == "over"
        page = await browser.get(DOOR)
        assert "一分钟已过" in page.words
        await browser.send(page, f"{DOOR}/again", {})
        fresh = await asyncio.to_thread(line.pending)
        assert fresh.text != challenge.text
        assert await asyncio.to_thread(line.answer, fresh, cms) == "other-words"
        await browser.send(await browser.get(DOOR), f"{DOOR}/again", {})
        await press(line, card("S-1"))
        assert (await browser.get(DOOR)).path == "/desk"
    finally:
        await browser.close()


async def test_an_answer_is_no_act_and_an_act_no_answer(room, tmp_path):
    take_certificates(room, tmp_path)
    browser, line, challenge = await _at_the_door(room)
    supervisor = await Browser.at(browser, "S-1")
    try:
        cms = sign_act(challenge.text, card("S-1"), NOW)
        await supervisor.fill(OPINION, {"outcome": "no-problem", "opinion": ""})
        desk = browser.client.server.app[SIGNING].desk
        act = desk.waiting("@S-1")
        seat = NodeLine(f"http://127.0.0.1:{browser.client.server.port}")
        await asyncio.to_thread(seat.pair, desk.code_for("@S-1"))
        waiting = await asyncio.to_thread(seat.pending)
        assert waiting.id == act.id
        assert await asyncio.to_thread(line.answer, challenge, sign_act(act.text, card("S-1"), NOW)) == "other-words"
        assert await asyncio.to_thread(seat.answer, waiting, cms) == "other-words"
    finally:
        await browser.close()
        await supervisor.close()


async def test_only_the_browser_that_asked_is_signed_in(room, tmp_path):
    take_certificates(room, tmp_path)
    browser, line, _challenge = await _at_the_door(room)
    stranger = await Browser.at(browser, "O-1")
    try:
        await stranger.post("/sign-out", {})
        await press(line, card("S-1"))
        assert (await stranger.get(DOOR)).path == "/sign-in"
        assert not await _signed_in(stranger)
        assert (await browser.get(DOOR)).path == "/desk"
    finally:
        await browser.close()
        await stranger.close()


@pytest.mark.parametrize("number", ["S-1", "X-9", "nobody"])
async def test_the_door_does_not_say_whether_a_number_is_anybodys(room, tmp_path, number):
    take_certificates(room, tmp_path)
    browser, line, _challenge = await _at_the_door(room, number)
    try:
        await press(line, card("O-1"))
        page = await browser.get(DOOR)
        assert "没有登录" in page.words
        assert not await _signed_in(browser)
    finally:
        await browser.close()


@pytest.mark.parametrize(
    ("ended", "note", "may_act"),
    [(DAY, "签名须有第二人", True), (9 * DAY, "只能查看", False)],
    ids=["within the grace", "longer"],
)
async def test_under_an_old_list_a_person_is_told_and_under_an_older_one_only_reads(
    room, tmp_path, ended, note, may_act
):
    own = vendor("sm2")
    stale = {"this": NOW - 30 * DAY, "until": NOW - ended}
    take_certificates(room, tmp_path, crls=(make_crl(own.root, **stale), make_crl(own.ca, **stale)))
    browser, line, _challenge = await _at_the_door(room)
    try:
        await press(line, card("S-1"))
        page = await browser.get(DOOR)
        assert page.path == "/desk"
        assert note in page.words
        answer = await browser.fill(OPINION, {"outcome": "no-problem", "opinion": ""})
        assert (answer.path == "/signing") is may_act
        assert (answer.status == 403) is not may_act
    finally:
        await browser.close()


async def test_a_revoked_card_signs_nobody_in(room, tmp_path):
    own = vendor("sm2")
    revoked = make_crl(own.ca, {0x1001 + 3: NOW - DAY})
    take_certificates(room, tmp_path, crls=(make_crl(own.root), revoked))
    browser, line, _challenge = await _at_the_door(room)
    try:
        assert "not-now" in (await press(line, card("S-1")))[-1]
        assert not await _signed_in(browser)
    finally:
        await browser.close()


async def test_a_node_without_anchors_offers_no_such_door(room):
    browser = await Browser.of(room, "O-1")
    try:
        await browser.post("/sign-out", {})
        assert "用证书登录" not in (await browser.get("/sign-in")).words
        assert (await browser.post(DOOR, {"person": "S-1"})).path == "/sign-in"
    finally:
        await browser.close()


async def test_doors_are_bounded(room):
    browser = await Browser.of(room, "O-1")
    try:
        doors = browser.client.server.app[DOORS]
        first = doors.open("S-1")
        for _ in range(100):
            doors.open("S-1")
        assert doors.find(first) is None
        assert len(doors._doors) == 100
    finally:
        await browser.close()
