"""The bar says what the node is: never well while it is not, what it refuses to others, who is silent, whose key is forked."""

import ast
import shutil
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from node import around
from node.recorder import NodeFault
from node.replica import ReplicaStatus
from node.settings import Peer
from node.store import StoreFault
from node.verdict import GateReport
from sync.status import LinkState, PeerStatus
from sync.tampered import Problem
from sync.witness import Misbehaviour, keep_evidence
from tests.faults.small_node import ORIGIN
from tests.pages.room import Browser, Room
from web import status
from web.status import WORDS, neighbours, prefecture

BESIDE = Peer("532924-room-1-b", "room", "drill.erhai/532924/room-1/b/e1", "k", "k")
FAR = Peer("532925-room-1-a", "county", "drill.erhai/532925/room-1/a/e1", "k", "k")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    opened.node.settings = replace(opened.node.settings, peers=(BESIDE,))
    opened.node.around.settings = opened.node.settings
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


@pytest.mark.parametrize(
    ("cause", "words"),
    [("full", "本机磁盘已满"), ("damaged", "本机数据库受损"), ("read-only", "本机磁盘只读"), ("", "暂时不能写入")],
)
async def test_a_node_whose_last_commit_failed_is_not_called_well_on_any_page(
    room: Room, cause: str, words: str
) -> None:
    room.node.store.failing = StoreFault("commit", "/x", "why", "hint", cause)
    browser = await Browser.of(room, "O-1")
    for path in ("/desk", "/node"):
        page = await browser.get(path)
        assert words in page.words
        assert "本机目前只能查阅" in page.words
        assert "本机正常" not in page.words
        assert "可以写入" not in page.words
    assert (await browser.client.get("/healthz")).status == 503
    room.node.store.failing = None
    page = await browser.get("/node")
    assert "本机正常" in page.words
    assert "可以写入" in page.words
    assert (await browser.client.get("/healthz")).status == 200
    await browser.close()


async def test_a_node_that_the_gate_stopped_is_not_called_well(room: Room) -> None:
    room.node.stopped, room.node.gate = NodeFault("start-up gate", ""), GateReport("closed", "b", 3, 3)
    browser = await Browser.of(room, "O-1")
    page = await browser.get("/desk")
    assert "本机只能查阅，不能写入" in page.words
    assert "本机正常" not in page.words
    await browser.close()


async def test_a_full_disk_that_has_room_again_is_found_out_before_anybody_writes(room: Room) -> None:
    room.node.store.failing = StoreFault("commit", "/x", "the disk is full", "", "full")
    assert await room.node.around.look()
    assert room.node.store.failing is None
    assert room.node.fault is None


@pytest.mark.parametrize("origin", [BESIDE.origin, ORIGIN])
async def test_a_key_that_signed_two_histories_stands_in_the_bar_of_every_node_that_knows(
    room: Room, origin: str
) -> None:
    found = Misbehaviour(origin, Problem.TWO_BRANCHES, b"held", b"shown", b"", "p", 1_772_000_000_000)
    await room.node.store.write(lambda db: keep_evidence(db, found, freeze=False))
    assert await room.node.around.look()
    browser = await Browser.of(room, "O-1")
    named = "本机" if origin == ORIGIN else BESIDE.name
    for path in ("/desk", "/node"):
        page = await browser.get(path)
        assert "的密钥签过两段不同的历史，请立即报告" in page.words
        assert named in page.words
    assert "可下载全部证据" in (await browser.get("/node")).words
    await browser.close()


LINK = PeerStatus(BESIDE.name, "https://b", ORIGIN, "push", LinkState.TAMPERED)


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("fence-ahead", "邻机存证的记录与本机不符，本机日志尚未通过核对"),
        ("entry-changed", "邻机存证的记录与本机不符，本机日志尚未通过核对"),
        ("waiting", "邻机存证的记录与本机不符，本机日志尚未通过核对"),
        ("peer-differs", "邻机存证的记录与本机不符，请立即报告"),
        ("closed", "邻机存证的记录与本机不符，请立即报告"),
    ],
)
async def test_a_node_whose_own_log_is_behind_or_in_doubt_accuses_nobody(room: Room, cause: str, words: str) -> None:
    room.node.stopped, room.node.gate = NodeFault("start-up gate", ""), GateReport(cause, "b", 0, 3)
    room.node.peer_status = lambda: (LINK,)
    browser = await Browser.of(room, "O-1")
    page = await browser.get("/desk")
    assert words in page.words
    assert "证据不一致" not in page.words
    await browser.close()


def test_a_node_that_passed_the_gate_says_that_evidence_does_not_fit() -> None:
    assert neighbours([LINK])[0] == "邻机证据不一致，请立即报告"
    assert prefecture([LINK])[0] == "上级发现证据不一致，请立即报告"
    assert "上级存证的记录与本机不符" in prefecture([LINK], "healing")[0]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ((), "启动时没有可询问的邻机或上级，只与栅栏文件核对"),
        ((("b", False), ("p", False)), "启动时没有任何邻机或上级答复，b、p 没有答复，未能核对"),
        ((("b", True), ("p", False)), "与 b 的存证不冲突，p 没有答复，未能核对"),
        ((("b", True), ("p", True)), "与 b、p 的存证不冲突"),
    ],
)
async def test_the_start_up_check_says_who_was_asked_and_who_answered(
    room: Room, asked: tuple[tuple[str, bool], ...], words: str
) -> None:
    room.node.around.asked = asked
    browser = await Browser.of(room, "M-1")
    assert f"与栅栏文件一致；{words}。可以写入。" in (await browser.get("/node")).words
    await browser.close()


async def test_a_node_that_refuses_to_mirror_for_want_of_room_says_so_wherever_people_look(room: Room) -> None:
    room.node.around.settings = room.node.settings = replace(room.node.settings, disk_floor_mib=2**40)
    assert not room.node.around.has_room()
    assert await room.node.around.look()
    browser = await Browser.of(room, "O-1")
    for path in ("/desk", "/node", "/desk/witness"):
        assert "本机磁盘空间不足，已停止为邻机存证" in (await browser.get(path)).words
    for path in ("/node", "/desk/witness"):
        assert "邻机因此不能出具回执" in (await browser.get(path)).words
    room.node.around.settings = room.node.settings = replace(room.node.settings, disk_floor_mib=0)
    assert await room.node.around.look()
    assert "磁盘空间不足" not in (await browser.get("/desk/witness")).words
    await browser.close()


async def test_a_prefecture_lists_every_county_with_when_it_was_last_heard_and_names_the_silent_ones(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = room.node
    node.settings = replace(node.settings, role="prefecture", peers=(BESIDE, FAR))
    node.around.settings = node.settings
    browser = await Browser.of(room, "M-1")
    page = await browser.get("/prefecture")
    assert BESIDE.name in page.words
    assert page.words.count("等待联系") == 2
    assert "无联系" not in page.words
    node.around.heard(BESIDE.name, node.clock.now().at_ms)
    later = time.monotonic() + around.SILENT_S + 1
    monkeypatch.setattr("node.around.time.monotonic", lambda: later)
    node.around.heard(FAR.name, node.clock.now().at_ms)
    page = await browser.get("/prefecture")
    assert f"1 个节点无联系：{BESIDE.name}（08:30 起）" in page.words
    assert "✗ 无联系 08:30 起" in page.words
    assert "不明" in page.words
    assert f"无联系：{BESIDE.name}" in (await browser.get("/node")).words
    node.around.heard(BESIDE.name, node.clock.now().at_ms)
    page = await browser.get("/prefecture")
    assert "无联系" not in page.words
    assert page.words.count("2026-03-02 08:30:00") >= 2
    await browser.close()


async def test_a_copy_that_could_not_be_restored_is_named_on_every_page(room: Room) -> None:
    broken = ReplicaStatus("second-disk", "file", "/mnt", "erhai.db", "broken")
    room.node.replica_status = lambda: (broken,)
    browser = await Browser.of(room, "M-1")
    assert "数据库副本不能恢复：second-disk" in (await browser.get("/desk")).words
    page = await browser.get("/node")
    assert "缺少文件，不能恢复；正在重做全量快照" in page.words
    await browser.close()


def test_every_notice_has_words_and_no_words_are_left_over() -> None:
    said = {
        one.value
        for part in ast.parse(Path(status.__file__).read_text()).body
        if not isinstance(part, ast.AnnAssign)  # the table itself
        for one in ast.walk(part)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    causes = {f"disk-{cause}" for cause in ("full", "damaged", "read-only", "disk", "fence", "other")}
    assert set(WORDS) - said == causes
    for tone, line, action in WORDS.values():
        assert tone in {"ok", "quiet", "warn", "bad"}
        assert line
        assert action.endswith("。") or tone == "ok"
