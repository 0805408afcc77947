"""Before the names are released nobody outside the room's keys can tell who was drawn: not from pages, addresses, log or files.

The attacker is the operator: signed in, holding the bank's file, the list of recusals, the whole log and the node's folder, but
not the room's key.
"""

import itertools
import logging
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest

from node.domain import draw
from node.domain.draw_proof import PARTIES
from node.domain.drawn import OutcomeRecorded
from node.domain.wire import decode
from sync import codec
from sync.codec import unpack
from sync.log import read_bodies
from tests.data import bank
from tests.pages.room import LOT, OPERATOR, Browser, Room, new_id
from tests.pages.test_draw_pages import DRAW, DRAWS, NODE, REQUEST
from tests.shell.drawn_room import DRAW as DRAW_ID
from tests.shell.drawn_room import Drawn
from web.keys import DRAWINGS

PAGES = (
    "/desk",
    f"/desk/lots/{LOT}",
    DRAWS,
    DRAW,
    f"{DRAW}/seat",
    f"{DRAW}/publish",
    f"{DRAW}/cancel",
    "/prefecture",
    "/public",
)
PLANTED = (
    *bank.NAMES,
    *(line.split(",")[0] for line in bank.lines()),  # numbers
    *(line.split(",")[3] for line in bank.lines()),  # identity numbers
    *(f"139000000{at:02d}" for at in range(1, 25)),
    *(f"第{at}设计院" for at in range(4, 25)),  # the third is the recused one, which the operator typed
    *(f"X-{at}" for at in range(6, 25)),
)


@pytest.fixture
async def drawing(tmp_path) -> Iterator[Drawn]:
    room = Room.in_folder(tmp_path / "node")
    room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
    await (await room.filing()).noticed()
    yield await Drawn(room).banked()
    await room.node.close()


async def drawn_by_hand(drawing: Drawn, browser: Browser, sees: list[str]) -> None:
    """The whole draw up to the last acceptance; the operator looks at every page after every step."""

    async def look() -> None:
        for path in PAGES:
            page = await browser.get(path)
            sees.extend((page.path, page.html))

    page = await browser.fill(f"{DRAWS}/freeze", REQUEST)
    sees.append(page.path)
    drawing.draws = browser.client.app[DRAWINGS]
    await look()
    await drawing.commit()
    await look()
    await drawing.reveal("CENTER", "SUPERVISOR")
    drawing.room.at("2026-03-24 16:03")
    await drawing.release("TENDERER", (1, 2, 4))
    await look()
    await drawing.draws.open_escrow(DRAW_ID, "TENDERER", command_id=new_id(), actor=OPERATOR)
    await look()
    await drawing.answer(p0="declined", p2="no-answer")
    await look()


async def test_the_operator_finds_no_name_number_or_telephone_in_pages_addresses_logs_or_files(
    drawing, tmp_path, caplog
):
    caplog.set_level(logging.DEBUG)
    browser, sees = await Browser.of(drawing.room, "O-1"), []
    await drawn_by_hand(drawing, browser, sees)
    state = await drawing.draws.state(DRAW_ID)
    assert state.complete
    for text in (*sees, caplog.text):
        assert [word for word in PLANTED if re.search(rf"(?<![\w-]){re.escape(word)}(?![\w])", text)] == []
    for file in (tmp_path / "node").rglob("*"):
        if file.is_file():
            body = file.read_bytes()
            assert [word for word in PLANTED if len(word) > 4 and word.encode() in body] == [], file
    drawing.room.at("2026-03-25 09:40")  # the hour from which names may be known: the same search finds them
    await browser.fill(f"{DRAW}/seat", {"seats": "\n".join(f"E{n},{NODE},0{n}" for n in range(1, 6))})
    released = (await browser.get(DRAW)).html
    assert sum(name in released for name in bank.NAMES) == 5
    await browser.close()


async def test_what_the_log_and_the_pages_give_does_not_compute_the_ranking(drawing, tmp_path):
    """With the bank's file the pool is known. What lacks is the seed: neither it nor another party's nonce is anywhere."""
    browser, sees = await Browser.of(drawing.room, "O-1"), []
    await drawn_by_hand(drawing, browser, sees)
    state, room = await drawing.draws.state(DRAW_ID), drawing.room.node.room
    nonces = [
        room.open(one.sealed, f"erhai-draw-nonce-v1\n{DRAW_ID}\n{one.name}\n".encode())
        for one in state.ceremony.parties
    ]
    seed = draw.seed_of(DRAW_ID, state.frozen.pool_hash, nonces)
    secrets = [seed, *nonces]
    for file in (tmp_path / "node").rglob("*"):
        if file.is_file():
            body = file.read_bytes()
            assert not any(secret in body or secret.hex().encode() in body for secret in secrets), file
    own = nonces[PARTIES.index("CENTER")]
    assert not any(secret.hex() in text for secret in secrets if secret != own for text in sees)
    # The attack of the log as it was: every 32 bytes of the log tried as a nonce beside the operator's own.
    bodies = await drawing.room.node.read(
        lambda db: [body for _, body in read_bodies(db, drawing.room.node.settings.origin, 0, 9_999)]
    )
    found = {value for body in bodies for value in strings_of(unpack(body)) if len(value) == 32}
    tried = {draw.seed_of(DRAW_ID, state.frozen.pool_hash, (own, *pair)) for pair in itertools.permutations(found, 2)}
    assert tried
    assert seed not in tried
    await browser.close()


def strings_of(value) -> list[bytes]:
    if isinstance(value, bytes):
        return [value]
    return [found for item in value for found in strings_of(item)] if isinstance(value, list | tuple) else []


async def test_what_the_log_says_of_two_experts_does_not_differ_in_size(drawing):
    await (await (await drawing.frozen()).commit()).reveal()
    await drawing.answer()
    bodies = await drawing.room.node.read(
        lambda db: [body for _, body in read_bodies(db, drawing.room.node.settings.origin, 0, 9_999)]
    )
    events = [decode(*event) for body in bodies for event in codec.decode(body).events]
    sizes = {len(one.sealed) for one in events if isinstance(one, OutcomeRecorded)}
    assert len(sizes) == 1


async def test_employers_and_places_are_not_in_the_log_until_the_list_is(drawing):
    """A number for the employer in the list's own order named the expert to whoever held the bank's file."""
    await (await (await drawing.frozen()).commit()).reveal()
    bodies = await drawing.room.node.read(
        lambda db: [body for _, body in read_bodies(db, drawing.room.node.settings.origin, 0, 9_999)]
    )
    ranked = [event for body in bodies for event in codec.decode(body).events if event[0] == "draw.pool-ranked"]
    assert [len(raw) for _name, _version, raw in ranked] == [1]
    assert [len(pair) for pair in ranked[0][2][0]] == [2] * 5  # group and place
