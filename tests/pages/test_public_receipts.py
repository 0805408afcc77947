"""Before the opening nobody outside can count bids by asking for receipt after receipt (ZB 22)."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp.test_utils import TestClient, TestServer

from node.domain import opening
from node.receipts import number_of
from node.views import log as log_view
from tests.faults.small_node import ORIGIN
from tests.pages.room import OPERATOR, Room
from web.main import create_app
from web.words import fingerprint


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = await Room.in_folder(tmp_path).bidding()
    yield made
    await made.node.close()


async def receipts(room: Room, event: str) -> list[tuple[str, str]]:
    """Number and fingerprint of every receipt of this kind."""
    rows = await room.node.read(lambda db: log_view.of_origin(db, ORIGIN, 10**6, 10**6))
    numbers = [number_of(ORIGIN, row.seq) for row in rows if event in row.events]
    found = [await room.node.receipt(number) for number in numbers]
    return [(number, fingerprint(one.leaf)) for number, one in zip(numbers, found, strict=True) if one is not None]


@pytest.mark.parametrize("event", ["notice.participation-registered", "bond.bond-recorded", "bidding.bid-received"])
async def test_a_secret_receipt_is_shown_outside_only_with_its_fingerprint_until_the_opening(
    room: Room, event: str
) -> None:
    secret = await receipts(room, event)
    assert len(secret) == 3
    (number, print_), (_, other) = secret[0], secret[1]
    async with TestClient(TestServer(create_app(room.node))) as outside:

        async def asked(given: str) -> tuple[int, int]:
            """The page for people, and the proof for programs."""
            params = {"fingerprint": given}
            page = await outside.get("/public/verify", params={"number": number, **params})
            proof = await outside.get(f"/public/proofs/{number}.tlog-proof", params=params)
            return page.status, proof.status

        for wrong in ("", other, print_[:-1], "*"):
            assert await asked(wrong) == (404, 404), wrong
        for right in (print_, print_.upper().replace(" ", "")):
            assert await asked(right) == (200, 200), right
        room.at("2026-03-25 09:31")
        await room.do(opening.StartOpening(("G-1", "S-1")), OPERATOR)
        assert await asked("") == (200, 200)


async def test_a_receipt_of_what_is_public_needs_no_fingerprint(room: Room) -> None:
    ((number, _),) = await receipts(room, "notice.notice-published")
    async with (
        TestClient(TestServer(create_app(room.node))) as outside,
        outside.get("/public/verify", params={"number": number}) as answer,
    ):
        assert answer.status == 200
