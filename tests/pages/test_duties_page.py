"""Separation of duties, by its own tables: what a page shows a role at each stage, and the page that shows the tables."""

from itertools import pairwise

import pytest

from node.domain.duties import DUTIES
from node.domain.secrecy import READS, Secret, Stage, may_read, stage_of
from node.domain.streams import lot_stream
from node.domain.values import Role
from tests.pages.room import BIDS, DESK, LOT, SEATS, STAFF, Browser, Room, member
from web.duties import SECRETS, SHOWN, TITLES, duty_lines


async def _at(room, stage):
    match stage:
        case Stage.BIDDING:
            return await room.bidding()
        case Stage.OPENED:
            await room.scoring()
            for no in SEATS:
                await room.mark_all(no)
            return room
        case _:
            await _at(room, Stage.OPENED)
            await room.close_scoring()
            return room


@pytest.mark.parametrize("stage", [Stage.BIDDING, Stage.OPENED, Stage.RANKED])
async def test_a_lots_pages_show_each_role_what_the_table_lets_it_read(tmp_path, stage):
    room = await _at(Room.in_folder(tmp_path), stage)
    assert stage_of(await room.node.state(lot_stream(LOT))) is stage
    browser = await Browser.of(room, "O-1")
    try:
        for no, role in STAFF.items():
            await browser.post("/demo/sign-in", {"person": no})
            for path in ("/desk", DESK):
                page = await browser.get(path)
                assert page.status == 200
                shown = {
                    Secret.BIDS: any(one.name in page.html for one in BIDS),
                    Secret.MARKS: "评标价（元）" in page.html or "papers/sheet-E1" in page.html,
                    Secret.NAMES: any(f"专家{n}" in page.html.replace("评标专家", "") for n in range(1, 6)),
                    Secret.PHONES: "139" in page.html,
                }
                for secret, seen in shown.items():
                    assert not seen or may_read(secret, stage, role), (no, path, secret)
                if stage is Stage.BIDDING:
                    assert may_read(Secret.COUNTS, stage, role) or not any(ref in page.html for ref in room.refs)
                if path == DESK:
                    assert shown[Secret.BIDS] is may_read(Secret.BIDS, stage, role)
                    assert shown[Secret.MARKS] is may_read(Secret.MARKS, stage, role), (no, stage)
    finally:
        await browser.close()


async def test_the_technician_reaches_no_paper_no_act_and_no_log_size(tmp_path):
    room = await _at(Room.in_folder(tmp_path), Stage.RANKED)
    browser = await Browser.of(room, "M-1")
    try:
        for path in (f"{DESK}/papers/report.pdf", f"{DESK}/papers/sheet-E1.pdf", f"{DESK}/award", f"{DESK}/bid"):
            assert (await browser.get(path)).status in {403, 404}, path
        page = await browser.get(DESK)
        assert "可办理事项" not in page.words or not [form for form in page.forms if LOT in form.action]
        assert f"#{room.node.recorder.log.size}" not in page.words
        assert (await browser.get(f"/expert/lots/{LOT}")).status == 403
    finally:
        await browser.close()


async def test_an_expert_reads_its_own_marks_and_nobody_elses(tmp_path):
    room = await _at(Room.in_folder(tmp_path), Stage.OPENED)
    browser = await Browser.of(room, "X-1")
    try:
        assert (await browser.get(f"/expert/lots/{LOT}/sheet")).status == 200
        assert (await browser.get(DESK)).status == 403
        state = await room.sheet_state("X-2")
        own = (await browser.get(f"/expert/lots/{LOT}/sheet")).html
        assert not any(one.commitment.hex() in own for one in state.marks)
        assert member("X-2") not in own
    finally:
        await browser.close()


def test_every_act_and_every_secret_has_its_words():
    assert set(TITLES) >= set(DUTIES)
    assert set(SECRETS) == set(Secret)
    assert set(READS) == set(Secret)
    assert all(set(rows) == set(Stage) for rows in READS.values())
    assert len({TITLES[one] for one in DUTIES}) == len(DUTIES)


def test_the_system_administrator_reads_nothing_sealed_and_signs_nothing():
    for secret, rows in READS.items():
        for stage, readers in rows.items():
            public = readers == set(SHOWN)
            assert public or Role.TECHNICIAN not in readers, (secret, stage)
    column = SHOWN.index(Role.TECHNICIAN)
    assert not [line.title for line in duty_lines() if line.may[column]]


def test_what_is_sealed_opens_with_the_stages_and_never_closes_again():
    stages = list(Stage)
    for secret, rows in READS.items():
        for before, after in pairwise(stages):
            assert rows[before] <= rows[after], (secret, before)


async def test_anybody_may_read_who_may_do_what(tmp_path):
    room = Room.in_folder(tmp_path)
    browser = await Browser.of(room, "O-1")
    try:
        await browser.post("/sign-out", {})
        page = await browser.get("/help/duties")
        assert page.status == 200
        assert "系统管理员不阅读密封的内容" in page.words
        assert "定标" in page.words
        assert "没有用证书签名" in page.words
        assert "/help/duties" in (await browser.get("/help")).html
    finally:
        await browser.close()
        await room.node.close()
