"""A member signs the marks through the seat's agent: page, agent, key press, record. Nothing else comes through."""

import asyncio
import json

import pytest

from node import personal
from node.domain import sheet
from node.person_trust import PersonTrust
from node.room_key import load_room_key
from node.start import ROOM_KEY
from sync.acts import sign_act
from sync.agent import AgentFault, NodeLine
from sync.revocation_rule import Purpose
from sync.signers import SoftwareSigner
from tests.pages.room import DESK, EXPERT, FULL, LOT, Browser, Room, actor_of, member, new_id
from tests.pages.seat_agents import card, pair, press, take_certificates
from tests.person_lab import DAY, NOW, NOW_MS, PERSON_ID, Spec, issue, key, make_crl, vendor
from web.pending import SeatDesk
from web.signing import Signing

FAMILY = "sm2"


async def _ready(folder, crls=None):
    """A node that asks for certificates; X-1 has marked every bid and stands before the signature."""
    room = await Room.in_folder(folder / "node").scoring()
    node = room.node
    take_certificates(room, folder, FAMILY, crls)
    for ref in room.refs:
        marks = tuple(sheet.CriterionMark(item, centi) for item, centi in FULL.items())
        command = sheet.SubmitMarks(ref, marks)
        await node.submit_marks(LOT, member("X-1"), command, command_id=new_id(), actor=actor_of("X-1"))
    browser = await Browser.of(room, "X-1")
    return room, browser


def _signer(serial=0x1001, person_id=PERSON_ID):
    own = vendor(FAMILY)
    person = issue(Spec(serial=serial, person_id=person_id), key(FAMILY, 3), own.ca)
    return SoftwareSigner(person.der, person.key.pkcs8, (own.ca.der,))


async def test_a_member_signs_through_the_agent_and_the_record_binds_the_cms(tmp_path):
    room, browser = await _ready(tmp_path)
    try:
        waiting = await browser.fill(f"{EXPERT}/sign", {"confirm": "yes"})
        assert waiting.path == "/signing"
        assert (await browser.client.get("/signing")).headers["Refresh"] == "3"
        line, _ = await pair(browser)
        assert line.seat == "01"
        assert not (await room.sheet_state("X-1")).signed
        shown = await press(line, _signer())
        assert "已签名" in shown[-1]
        assert room.refs[0] in shown[0]
        after = await browser.get("/signing?next=/expert")
        assert after.path.startswith("/receipts/")
        state = await room.sheet_state("X-1")
        assert state.signed
        commitments = await room.node.read(
            lambda db: [row[0] for row in db.execute("SELECT commitment FROM personal WHERE kind = 'act'")]
        )
        assert len(commitments) == 1
        opened = load_room_key(room.node.settings.data / ROOM_KEY).open
        kept = await room.node.read(lambda db: personal.find(db, commitments[0], opened))
        text, cms, judged = kept.fields
        assert text == shown[0]
        trust = PersonTrust.of(room.node.settings)
        again = trust.verify(text.encode(), bytes.fromhex(cms), at_ms=NOW_MS, purpose=Purpose.SIGN, source="kept")
        assert json.loads(judged)["certificate"] == again.certificate
        assert json.loads(judged)["standing"] == "fresh"
    finally:
        await browser.close()
        await room.node.close()


@pytest.mark.parametrize(
    ("make", "word"),
    [
        (lambda: _signer(person_id="11010519491231002X"), "不是该人员的证书"),
        (lambda: _signer(serial=0x2002), "已吊销"),
    ],
)
async def test_a_certificate_that_is_not_the_members_own_or_is_revoked_signs_nothing(tmp_path, make, word):
    own = vendor(FAMILY)
    crls = (make_crl(own.root), make_crl(own.ca, {0x2002: NOW - DAY}))
    room, browser = await _ready(tmp_path, crls)
    try:
        await browser.fill(f"{EXPERT}/sign", {"confirm": "yes"})
        line, _ = await pair(browser)
        shown = await press(line, make())
        assert "未被接受" in shown[-1]
        page = await browser.get("/signing?next=/expert")
        assert word in page.words
        assert not (await room.sheet_state("X-1")).signed
    finally:
        await browser.close()
        await room.node.close()


async def test_without_a_key_press_nothing_is_signed(tmp_path):
    room, browser = await _ready(tmp_path)
    try:
        await browser.fill(f"{EXPERT}/sign", {"confirm": "yes"})
        line, code = await pair(browser)
        asked = []

        class Counted(SoftwareSigner):
            def sign(self, data):
                asked.append(data)
                return super().sign(data)

        own = vendor(FAMILY)
        signer = Counted(own.person.der, own.person.key.pkcs8, (own.ca.der,))
        shown = await press(line, signer, lambda: False)
        assert "没有签名" in shown[-1]
        assert asked == []
        page = await browser.get("/signing?next=/expert")
        assert "选择了不签" in page.words
        with pytest.raises(AgentFault):  # the code was for one agent
            await asyncio.to_thread(NodeLine(f"http://127.0.0.1:{browser.client.server.port}").pair, code)
        assert not (await room.sheet_state("X-1")).signed
    finally:
        await browser.close()
        await room.node.close()


async def test_words_that_changed_meanwhile_and_strangers_sign_nothing(tmp_path):
    room, browser = await _ready(tmp_path)
    try:
        await browser.fill(f"{EXPERT}/sign", {"confirm": "yes"})
        line, _ = await pair(browser)
        act = await asyncio.to_thread(line.pending)
        words = act.text.replace("成员代号：E1".encode(), "成员代号：E2".encode())
        foreign = sign_act(words, _signer(), NOW)
        base = f"/agent/acts/{act.id}"
        anybody = await browser.client.post(base, data=foreign, headers={"Sec-Fetch-Site": "same-origin"})
        assert anybody.status == 403
        assert (await browser.client.get("/agent/pending", headers={"Authorization": "Bearer x"})).status == 403
        assert await asyncio.to_thread(line.answer, act, foreign) == "other-words"
        assert await asyncio.to_thread(line.answer, act, foreign) == "over"
        for body in (b"", b"\x30\x80", b"x" * 70_000):
            await browser.fill(f"{EXPERT}/sign", {"confirm": "yes"})
            act = await asyncio.to_thread(line.pending)
            assert await asyncio.to_thread(line.answer, act, body) == "malformed"
        assert not (await room.sheet_state("X-1")).signed
    finally:
        await browser.close()
        await room.node.close()


async def test_a_machine_without_sm2_says_so_loudly_and_takes_no_sm2_vendor(tmp_path, monkeypatch, caplog):
    from node import person_trust
    from sync.gm import GmFault

    def broken():
        raise GmFault("SM2", "wrong-answer")

    monkeypatch.setattr(person_trust, "self_test", broken)
    person_trust.sm2_fault.cache_clear()
    room, browser = await _ready(tmp_path)
    try:
        assert "not accepted here" in caplog.text
        await browser.fill(f"{EXPERT}/sign", {"confirm": "yes"})
        line, _ = await pair(browser)
        shown = await press(line, _signer())
        assert "未被接受" in shown[-1]
        assert not (await room.sheet_state("X-1")).signed
    finally:
        person_trust.sm2_fault.cache_clear()
        await browser.close()
        await room.node.close()


async def test_an_error_nobody_foresaw_ends_the_act_and_says_so(tmp_path, monkeypatch):
    room = await Room.in_folder(tmp_path / "node").filing()
    take_certificates(room, tmp_path)
    browser = await Browser.of(room, "S-1")
    try:
        await browser.fill(f"{DESK}/filing-opinion", {"outcome": "no-problem", "opinion": ""})
        line, _ = await pair(browser)

        async def broken(*_args, **_kwargs):
            raise ZeroDivisionError

        monkeypatch.setattr(Signing, "check", broken)
        await press(line, card("S-1"))
        page = await browser.get("/signing")
        assert "意外错误" in page.words
        assert "没有确认写入记录" in page.words
    finally:
        await browser.close()
        await room.node.close()


async def test_wrong_codes_stop_their_own_address_and_no_other():
    now = [0.0]
    desk = SeatDesk(lambda: now[0])
    code = desk.code_for("01")
    wrong = "00000000" if code != "00000000" else "00000001"
    for _ in range(5):
        assert desk.pair(wrong, "192.0.2.9") is None
    assert desk.pair(code, "192.0.2.9") is None
    assert desk.code_of("01") == code
    assert desk.pair(code, "192.0.2.1") is not None
    code = desk.code_for("01")
    now[0] = 61.0
    assert desk.pair(code, "192.0.2.9") is not None
    code = desk.code_for("01")
    now[0] = 701.0
    assert desk.pair(code) is None
    code = desk.code_for("01")
    seat, token = desk.pair(code)
    assert seat == "01"
    assert desk.seat_of(token) == "01"
    assert desk.pair(code) is None
