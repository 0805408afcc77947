"""A person at a page reads why the machine cannot record, never a path or a reason in English."""

import json
import re
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import apsw
import pytest

from node.clock import ClockFault, DemoClock
from node.recorder import NodeFault
from node.store import StoreFault, fault_of
from tests.pages.room import Browser, Room
from web.fault_words import why_not

PATH = Path("/var/lib/erhai/erhai.db")
STORE = (
    fault_of("write", PATH, apsw.FullError("database or disk is full")),
    fault_of("write", PATH, apsw.CorruptError("malformed")),
    fault_of("write", PATH, apsw.ReadOnlyError("readonly")),
    fault_of("write", PATH, apsw.IOError("disk I/O error")),
    fault_of("write", PATH, apsw.BusyError("busy")),
    StoreFault("fence", str(PATH), "x", "y", "fence"),
)
NODE = tuple(NodeFault("in English", "a hint", code) for code in ("stopped", "catching-up", "no-room-key"))


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


def test_every_fault_has_a_sentence_of_its_own_without_path_or_english() -> None:
    sentences = [why_not(fault) for fault in (*STORE, *NODE)]
    assert len(set(sentences)) == len(sentences)
    for sentence in sentences:
        words = re.sub(r"erhai (check|restore)", "", sentence)
        assert not re.search(r"[A-Za-z/]", words), sentence


def test_every_code_that_the_node_raises_has_a_sentence() -> None:
    root = Path(__file__).parents[2] / "node"
    source = "\n".join(path.read_text(encoding="utf-8") for path in root.glob("*.py"))
    for code in set(re.findall(r'NodeFault\((?:[^()]|\([^()]*\))*?"([a-z]+(?:-[a-z]+)+)"\s*\)', source)):
        assert why_not(NodeFault("", "", code))


@pytest.mark.parametrize("fault", [STORE[0], NODE[0]], ids=["disk full", "stopped"])
async def test_the_page_of_a_record_that_was_not_written_says_it_in_words(
    room: Room, fault: NodeFault | StoreFault, monkeypatch: pytest.MonkeyPatch
) -> None:
    browser = await Browser.of(room, "O-1")

    async def fails(*_args: object, **_more: object) -> None:
        raise fault

    monkeypatch.setattr(room.node.store, "read", fails)
    page = await browser.get("/desk")
    assert page.status == 503
    assert why_not(fault) in page.words
    assert str(PATH) not in page.words
    assert "in English" not in page.words
    await browser.close()


@pytest.mark.parametrize(
    "content",
    [
        "garbage",
        "",
        "[]",
        "{}",
        '{"offset_ms": "x"}',
        '{"offset_ms": true}',
        '{"offset_ms": 99999999999999999999}',
        '{"offset_ms": -1e400}',
        '{"offset_ms": 0, "quality": "x"}',
        "[" * 100_000,
        None,
    ],
)
async def test_a_damaged_file_of_the_demonstrations_clock_is_said_in_words_on_every_page(
    room: Room, tmp_path: Path, content: str | None
) -> None:
    browser = await Browser.of(room, "O-1")
    file = tmp_path / "demo-clock.json"
    if content is not None:
        file.write_text(content)
    clock = DemoClock(file)
    with pytest.raises(ClockFault):
        clock.now()
    whole, room.node.clock = room.node.clock, clock  # type: ignore[assignment]
    for url in ("/desk", "/public"):
        answer = await browser.client.get(url)
        assert answer.status == 503
        text = await answer.text()
        assert "演示时钟文件 demo-clock.json 不能读取" in text
        assert str(tmp_path) not in text
    file.write_text(json.dumps({"offset_ms": -86_400_000}))
    assert (await browser.client.get("/desk")).status == 200
    room.node.clock = whole
    await browser.close()
