"""Acts that bind, at a node that takes certificates: their words, one signature or two, and what is refused without them."""

import asyncio
import shutil
from dataclasses import replace

import pytest

from node import personal
from node.domain import project
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.settings import Peer
from node.signatures import noted_in
from sync.codec import decode
from sync.log import read_entry
from tests.pages.room import DESK, LOT, SUPERVISOR, Browser, Room, new_id
from tests.pages.seat_agents import card, pair, press, take_certificates
from tests.person_lab import DAY, NOW, make_crl, vendor

OPINION, RELEASE = f"{DESK}/filing-opinion", f"{DESK}/custody/release"
PEER = Peer("532924-room-1-b", "room", "drill.erhai/532924/room-1/b/e1", "k", "k")
NO_PROBLEM = {"outcome": "no-problem", "opinion": ""}


@pytest.fixture
async def room(tmp_path):
    found = await Room.in_folder(tmp_path / "node").filing()
    found.node.settings = replace(found.node.settings, peers=(PEER,))
    yield found
    await found.node.close()
    shutil.rmtree(tmp_path / "node")


async def _filing(room):
    return (await room.node.state(lot_stream(LOT))).project.filing


async def _last(room):
    """The last entry of the node's log."""
    node = room.node
    seq = node.recorder.log.size - 1
    return decode(await node.read(lambda db: read_entry(db, node.settings.origin, seq)))


async def test_an_act_is_recorded_once_its_words_are_signed_and_the_entry_tells_by_whom(room, tmp_path):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "S-1")
    try:
        assert "用证书签名" in (await browser.get(OPINION)).words
        waiting = await browser.fill(OPINION, NO_PROBLEM)
        assert waiting.path == "/signing"
        assert await _filing(room) == "submitted"
        line, _ = await pair(browser)
        shown = await press(line, card("S-1"))
        assert "核准备案意见" in shown[0]
        assert f"标段编号：{LOT}" in shown[0]
        assert "意见：未发现问题" in shown[0]
        assert "人员：行政监督 S-1" in shown[0]
        assert await _filing(room) == "no-problem"
        receipt = await browser.get(f"/signing?next={DESK}")
        assert receipt.path.startswith("/receipts/R-")
        assert "证书签名：行政监督 S-1（有效）" in receipt.words
        entry = await _last(room)
        (noted,) = noted_in(entry.evidence)
        assert noted.by.who == "supervisor:S-1"
        kept = await room.node.personal(noted.commitment)
        assert kept is not None
        assert kept.fields[0] == shown[0]
        assert await room.node.read(lambda db: personal.find(db, bytes(32), room.node.room.open)) is None
    finally:
        await browser.close()


async def test_a_rule_refuses_before_anybody_is_asked_to_sign(room, tmp_path):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "G-1")
    try:
        refused = await browser.fill(
            f"{DESK}/notice",
            {
                "text": "公告",
                "media": "某平台",
                "sale_from": "2026-03-02 10:00",
                "sale_to": "2026-03-10 17:00",
                "deadline": "2026-03-25 09:30",
                "opening_place": "某室",
            },
        )
        assert refused.status == 409
        assert "现在没有等您签名的事项" in (await browser.get("/signing")).words
    finally:
        await browser.close()


async def test_a_form_that_comes_again_after_it_was_signed_leads_to_its_first_receipt(room, tmp_path):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "S-1")
    try:
        page = await browser.get(OPINION)
        await browser.send(page, OPINION, NO_PROBLEM)
        line, _ = await pair(browser)
        await press(line, card("S-1"))
        size = room.node.recorder.log.size
        again = await browser.send(page, OPINION, NO_PROBLEM)
        assert again.path.startswith("/receipts/R-")
        assert room.node.recorder.log.size == size
    finally:
        await browser.close()


async def test_a_lot_that_moved_on_while_the_words_waited_is_not_signed_for(room, tmp_path):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "S-1")
    try:
        await browser.fill(OPINION, NO_PROBLEM)
        line, _ = await pair(browser)
        room.node.settings = replace(room.node.settings, anchor_vkeys=())
        await room.do(project.DecideFiling("rectify", "缺少附件"), SUPERVISOR)
        shown = await press(line, card("S-1"))
        assert "未被接受" in shown[-1]
        assert await _filing(room) == "rectify"
    finally:
        await browser.close()


async def test_nothing_binding_is_recorded_past_the_pages_without_its_signature(room, tmp_path):
    take_certificates(room, tmp_path)
    command = project.DecideFiling("no-problem", "")
    with pytest.raises(Refused) as refusal:
        await room.node.submit(lot_stream(LOT), command, command_id=new_id(), actor=SUPERVISOR)
    assert (refusal.value.code, refusal.value.value) == ("signature-missing", "supervisor:S-1")
    assert await _filing(room) == "submitted"


async def test_a_node_without_anchors_says_that_nothing_is_signed_by_certificate(room):
    browser = await Browser.of(room, "S-1")
    try:
        assert "没有用证书签名" in (await browser.get(OPINION)).words
        receipt = await browser.fill(OPINION, NO_PROBLEM)
        assert receipt.path.startswith("/receipts/R-")
        assert "没有用证书签名" in receipt.words
        assert (await _last(room)).evidence == ()
    finally:
        await browser.close()


async def test_an_act_for_two_waits_for_the_second_persons_own_certificate(room, tmp_path):
    take_certificates(room, tmp_path)
    first = await Browser.of(room, "O-1")
    second = await Browser.at(first, "S-1")
    try:
        form = (await first.get(RELEASE)).form(RELEASE)
        assert "second_pin" not in form.names
        await first.fill(RELEASE, {"to_node": PEER.name, "reason": "本机检修", "second": "S-1"})
        line, _ = await pair(first)
        shown = await press(line, card("O-1"))
        assert "等第二人签名" in shown[-1]
        assert "第二人：行政监督 S-1" in shown[0]
        assert "第二人 S-1" in (await first.get("/signing")).words
        assert not (await room.node.state(lot_stream(LOT))).custody.released_to
        assert "本机检修" in (await second.get("/signing")).html
        other, _ = await pair(second)
        # the second signs the very same words
        assert (await press(other, card("S-1")))[0] == shown[0]
        assert (await room.node.state(lot_stream(LOT))).custody.released_to == PEER.name
        assert (await first.get(f"/signing?next={DESK}")).path.startswith("/receipts/R-")
        assert [one.by.who for one in noted_in((await _last(room)).evidence)] == ["operator:O-1", "supervisor:S-1"]
    finally:
        await first.close()
        await second.close()


@pytest.mark.parametrize("how", ["declines", "another card"])
async def test_without_the_second_persons_signature_an_act_for_two_is_not_recorded(room, tmp_path, how):
    take_certificates(room, tmp_path)
    first = await Browser.of(room, "O-1")
    second = await Browser.at(first, "S-1")
    try:
        await first.fill(RELEASE, {"to_node": PEER.name, "reason": "本机检修", "second": "S-1"})
        line, _ = await pair(first)
        await press(line, card("O-1"))
        other, _ = await pair(second)
        await (press(other, card("S-1"), lambda: False) if how == "declines" else press(other, card("O-1")))
        page = await first.get("/signing")
        assert ("选择了不签" if how == "declines" else "不是该人员的证书") in page.words
        assert not (await room.node.state(lot_stream(LOT))).custody.released_to
    finally:
        await first.close()
        await second.close()


async def test_somebody_whose_account_has_the_same_card_is_no_second_person(room, tmp_path):
    take_certificates(room, tmp_path)
    node = room.node
    node.people = {**node.people, "S-1": replace(node.people["S-1"], holder=node.people["O-1"].holder)}
    browser = await Browser.of(room, "O-1")
    try:
        refused = await browser.fill(RELEASE, {"to_node": PEER.name, "reason": "本机检修", "second": "S-1"})
        assert refused.status == 422
        assert "登记的是您本人的证书" in refused.words
        assert "现在没有等您签名的事项" in (await browser.get("/signing")).words
    finally:
        await browser.close()


@pytest.mark.parametrize("who", ["O-1", "G-1", "M-1", "nobody", ""])
async def test_who_may_not_stand_second_is_not_asked(room, tmp_path, who):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "O-1")
    try:
        page = await browser.fill(RELEASE, {"to_node": PEER.name, "reason": "本机检修", "second": who})
        assert page.status == 422
        assert page.form(RELEASE)
    finally:
        await browser.close()


async def test_under_a_list_that_has_run_out_a_second_person_attests_without_seeing_the_words(room, tmp_path):
    own = vendor("sm2")
    stale = {"this": NOW - 9 * DAY, "until": NOW - 2 * DAY}
    room.at("2026-03-25 10:10")
    take_certificates(room, tmp_path, crls=(make_crl(own.root, **stale), make_crl(own.ca, **stale)))
    first = await Browser.of(room, "S-1")
    second = await Browser.at(first, "W-1")
    try:
        await first.fill(OPINION, {**NO_PROBLEM, "opinion": "逐项核对"})
        line, _ = await pair(first)
        assert "等第二人签名" in (await press(line, card("S-1")))[-1]
        assert await _filing(room) == "submitted"
        page = await first.get("/signing")
        assert "吊销名单已过期" in page.words
        for wrong in ("S-1", "G-1", "X-1", ""):
            refused = await first.send(page, "/signing/second", {"second": wrong})
            assert refused.status == 422
        people = room.node.people
        room.node.people = {**people, "W-1": replace(people["W-1"], holder=people["S-1"].holder)}
        refused = await first.send(page, "/signing/second", {"second": "W-1"})
        assert (refused.status, "同一人的证书" in refused.words) == (422, True)
        room.node.people = people
        await first.send(page, "/signing/second", {"second": "W-1"})
        other, _ = await pair(second)
        shown = await press(other, card("W-1"))
        assert "见证签名人亲自签名" in shown[0]
        assert "逐项核对" not in shown[0]
        assert await _filing(room) == "no-problem"
        noted = noted_in((await _last(room)).evidence)
        assert [(one.by.who, one.by.standing) for one in noted] == [
            ("supervisor:S-1", "grace"),
            ("witness:W-1", "grace"),
        ]
        receipt = await first.get(f"/signing?next={DESK}")
        assert "名单已过期" in receipt.words
    finally:
        await first.close()
        await second.close()


async def test_a_list_that_ran_out_longer_ago_signs_nothing_even_with_a_second_person(room, tmp_path):
    own = vendor("sm2")
    stale = {"this": NOW - 20 * DAY, "until": NOW - 10 * DAY}
    room.at("2026-03-25 10:10")
    take_certificates(room, tmp_path, crls=(make_crl(own.root, **stale), make_crl(own.ca, **stale)))
    browser = await Browser.of(room, "S-1")
    try:
        await browser.fill(OPINION, NO_PROBLEM)
        line, _ = await pair(browser)
        assert "not-now" in (await press(line, card("S-1")))[-1]
        assert await _filing(room) == "submitted"
    finally:
        await browser.close()


async def test_two_signatures_that_come_at_once_make_one_entry(room, tmp_path):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "S-1")
    try:
        await browser.fill(OPINION, NO_PROBLEM)
        line, _ = await pair(browser)
        size = room.node.recorder.log.size
        await asyncio.gather(*(press(line, card("S-1")) for _ in range(3)))
        assert room.node.recorder.log.size == size + 1
    finally:
        await browser.close()


async def test_who_leaves_the_seat_leaves_nothing_to_be_signed_there(room, tmp_path):
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "S-1")
    try:
        await browser.fill(OPINION, NO_PROBLEM)
        line, _ = await pair(browser)
        await browser.post("/sign-out", {})
        assert await press(line, card("S-1")) == []
        assert await _filing(room) == "submitted"
    finally:
        await browser.close()
