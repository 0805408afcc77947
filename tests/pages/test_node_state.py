"""The page of the node itself says in words what the gate, the copies of the database, the epochs and the evidence say."""

import io
import json
import shutil
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.clock import SystemClock
from node.recorder import NodeFault
from node.replica import ReplicaStatus
from node.verdict import GateReport
from sync.heal import Healed
from sync.tampered import Problem
from sync.witness import Misbehaviour, keep_evidence
from tests.faults.small_node import ORIGIN
from tests.pages.room import Browser, Room


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def test_a_node_that_is_well_says_so_and_that_it_has_no_copy(room: Room) -> None:
    browser = await Browser.of(room, "M-1")
    page = await browser.get("/node")
    assert page.status == 200
    for words in ("✓ 通过", "没有设置数据库副本", "本机和邻机都在最初的纪元", "没有。"):
        assert words in page.words
    await browser.close()


@pytest.mark.parametrize("person", ["X-1", "G-1"])
async def test_it_is_for_those_who_keep_the_node_running(room: Room, person: str) -> None:
    browser = await Browser.of(room, person)
    assert (await browser.get("/node")).status == 403
    assert (await browser.get("/node/conflict.zip")).status == 403
    await browser.close()


async def test_a_stopped_node_says_why_and_how_far_its_healing_is_on_every_page(room: Room) -> None:
    room.node.stopped = NodeFault("start-up gate", "")
    room.node.gate = GateReport(
        "fence-ahead", "fence", 7, 12, phase="fetch", done=3, total=12, problem="b: unreachable"
    )
    browser = await Browser.of(room, "M-1")
    page = await browser.get("/node")
    words = "本机日志 7 条，少于本机已经发出的记录，正在向邻机找回（fence 处已知 12 条）；取回记录 3/12"
    assert page.words.count(words) == 2  # in the bar and on the page
    assert "上次未成：b: unreachable" in page.words
    await browser.close()


async def test_what_was_healed_and_from_whom_stands_on_every_page(room: Room) -> None:
    room.node.healed = Healed(1_772_000_000_000, ORIGIN, "fence-ahead", "532924-room-1-b", 4, 7, 3, 1)
    browser = await Browser.of(room, "O-1")
    assert "由 532924-room-1-b 补回 3 条并核验，1 条受损的已移出留存" in (await browser.get("/desk")).words
    await browser.close()


async def test_a_stalled_copy_is_an_alarm_with_age_and_lag_on_every_page(room: Room) -> None:
    now = SystemClock().now().at_ms
    stalled = ReplicaStatus(
        "second-disk", "file", "/mnt/copies", "erhai.db", "stalled", now - 61_000, now - 42_000, detail="no space left"
    )
    well = ReplicaStatus("far", "s3", "s3.example room-1", "devices.db", "current", now - 1_000)
    room.node.replica_status = lambda: (stalled, well)
    browser = await Browser.of(room, "M-1")
    page = await browser.get("/node")
    for words in ("数据库副本停滞：second-disk", "停滞，请检查副本所在磁盘或线路", "no space left", "已同步"):
        assert words in page.words
    assert any(f"{seconds} 秒前" in page.words for seconds in (61, 62))
    assert any(f"{seconds} 秒 " in page.words for seconds in (42, 43))
    assert "数据库副本停滞" in (await browser.get("/desk")).words
    await browser.close()


async def test_a_lost_database_and_a_copy_that_waits_for_it_are_named_with_the_next_step(room: Room) -> None:
    waits = ReplicaStatus("second-disk", "file", "/mnt/copies", "erhai.db", "waiting", detail="数据库文件缺失")
    room.node.replica_status = lambda: (waits,)
    room.node.stopped = NodeFault("start-up gate", "")
    room.node.gate = GateReport("database-missing", "fence", 0, 141)
    browser = await Browser.of(room, "M-1")
    page = await browser.get("/node")
    for words in (
        "本机数据库文件缺失，只能查阅，不能写入。现有的是启动时新建的空库，栅栏文件记明已发出 141 条",
        "erhai restore --from peers 恢复",
        "数据库副本暂停，不是最新：second-disk",
        "暂停，不是最新：等本机通过启动检查，副本保持原样",
    ):
        assert words in page.words
    assert "已同步" not in page.words.replace("（已同步）", "")  # which the clock is
    assert "目前没有。" not in page.words
    bar = (await browser.get("/desk")).words
    assert "本机数据库文件缺失" in bar
    assert "数据库副本暂停，不是最新：second-disk" in bar
    await browser.close()


async def test_evidence_is_listed_and_leaves_as_it_was_kept(room: Room) -> None:
    found = Misbehaviour(ORIGIN, Problem.TWO_BRANCHES, b"held", b"shown", b"", "b", 1_772_000_000_000)
    await room.node.store.write(lambda db: keep_evidence(db, found, freeze=False))
    browser = await Browser.of(room, "S-1")
    assert "同一密钥签过两段不同的历史（由 b 出示）" in (await browser.get("/node")).words
    answer = await browser.client.get("/node/conflict.zip")
    with zipfile.ZipFile(io.BytesIO(await answer.read())) as file:
        assert file.read("001/held") == b"held"
        assert file.read("001/shown") == b"shown"
        assert json.loads(file.read("001/facts.json"))["problem"] == "two-branches"
    await browser.close()
