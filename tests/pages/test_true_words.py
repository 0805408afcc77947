"""What a page says of safety and loss is no more than what is so."""

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from node import witness
from node.settings import Peer
from sync.keys import renew_log_key
from sync.succession import Statement, keep_succession, next_origin
from tests.faults.small_node import NODE, ORIGIN
from tests.pages.room import DESK, Browser, Room

BESIDE = Peer("532924-room-1-b", "room", "drill.erhai/532924/room-1/b/e1", "k", "k")


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    opened = Room.in_folder(tmp_path / "a")
    yield opened
    await opened.node.close()
    shutil.rmtree(tmp_path / "a")


async def test_an_entry_that_no_neighbour_holds_is_said_to_lie_on_one_disk_only(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(witness, "WAIT_S", 0.05)
    await room.filing()
    room.node.witness.mode = witness.REQUIRED
    browser = await Browser.of(room, "S-1")
    page = await browser.fill(f"{DESK}/filing-opinion", {"outcome": "no-problem"})
    assert page.status == 202
    assert "已写入本机磁盘，停电或重新启动不影响" in page.words
    assert "只存于这一台机器：邻机存证之前，本机或其磁盘损毁时会丢失" in page.words
    assert "不会丢失" not in page.words
    await browser.close()


def closed(room: Room, lost: int) -> Statement:
    """The log of the room's node was closed and goes on in another."""
    keys = room.node.keys
    new = renew_log_key(keys.folder, next_origin(ORIGIN))
    return Statement(
        node=NODE,
        old_origin=ORIGIN,
        old_vkey=str(keys.log_signer.vkey),
        new_origin=next_origin(ORIGIN),
        log_vkey=str(new.log_signer.vkey),
        cosigner_vkey=str(new.cosigner.vkey),
        witness_vkey=str(new.witness.vkey),
        sealing_public=new.sealing_public.hex(),
        size=3,
        root=b"\1" * 32,
        fence_size=4,
        lost=lost,
        cause="damage",
        first_leaf=b"\2" * 32,
        at_ms=1_772_000_000_000,
    )


@pytest.mark.parametrize(
    ("lost", "words"),
    [(1, f"日志 {ORIGIN} 封存时至多缺失 1 条"), (-1, f"日志 {ORIGIN} 封存时缺失多少不明"), (0, "没有已知的缺失")],
)
async def test_the_custody_page_repeats_what_a_closed_log_is_known_to_lack(room: Room, lost: int, words: str) -> None:
    await room.filing()
    await room.node.store.write(lambda db: keep_succession(db, closed(room, lost), b"", 1_772_000_000_000))
    browser = await Browser.of(room, "O-1")
    own = await browser.get(f"{DESK}/custody")
    assert (f"本机{words}" in own.words) is (lost != 0)
    owner = replace(BESIDE, name=NODE, origin=ORIGIN)
    room.node.settings = replace(room.node.settings, node=BESIDE.name, origin=BESIDE.origin, peers=(owner,))
    page = await browser.get(f"{DESK}/custody")
    assert words in page.words
    assert ("没有已知的缺失" in page.words) is (lost == 0)
    await browser.close()
