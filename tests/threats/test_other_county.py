"""Another county of the same prefecture, with a good certificate, is shown nothing of a room: not how many bid, not a byte."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from node.readers import may_read
from node.settings import Peer, Settings
from sync.keys import NodeKeys, make_identity
from sync.link import PeerLink
from sync.receiver import log_hash
from tests.faults.test_enrolled_running import Enrolled
from tests.faults.test_running_room import incident, mirrored
from web.demo.world import CODES, ORIGINS, PREFECTURE
from web.serve import running

OTHER = "dali.erhai/532925/room-1/a/e1"
CODE = "532925-room-1-a"


@pytest.fixture
def made(tmp_path: Path) -> Enrolled:
    return Enrolled(tmp_path)


def peer_of(keys: NodeKeys) -> Peer:
    public = keys.public()
    return Peer(CODE, "county", OTHER, public.log_vkey, public.cosigner_vkey)


async def status(keys: NodeKeys, settings: Settings, path: str) -> int:
    url = f"https://127.0.0.1:{settings.sync_port}"
    link = PeerLink(url=url, node=settings.node, prefecture=PREFECTURE, context=keys.client_context())
    reply = await link.get(path, limit=1_000_000)
    await link.close()
    return reply.status


async def test_a_county_reads_neither_anothers_log_nor_its_files_at_the_prefecture_or_in_the_room(
    made: Enrolled,
) -> None:
    stranger = make_identity(
        made.world.folder / "other",
        origin=OTHER,
        node=CODE,
        authority=made.office.authority,
        now=dt.datetime.now(dt.UTC),
    )
    mine = made.settings("prefecture")
    widened = replace(mine, peers=(*mine.peers, peer_of(stranger)))
    async with running(widened) as above, running(made.settings("a")) as a:
        sha256 = a.blobs.put(b"a sealed bid")
        await incident(a, "不该被别县看到")
        await incident(above, "全州可读")
        await mirrored(above, "a", 1)
        log = log_hash(ORIGINS["a"])
        for node in (above, a):
            for path in ("checkpoint", "evidence", "tile/entries/000.p/1", "tile/0/000.p/1"):
                assert await status(stranger, node.settings, f"/log/{log}/{path}") in {403, 404}, path
            for path in ("", "/0"):
                assert await status(stranger, node.settings, f"/blob/{sha256.hex()}{path}") in {403, 404}, path
        assert await status(a.keys, above.settings, f"/log/{log}/checkpoint") == 200
        assert await status(stranger, above.settings, f"/log/{log_hash(ORIGINS['prefecture'])}/checkpoint") == 200


@pytest.mark.parametrize(
    ("asked", "peer", "origin", "shown"),
    [
        ("a", CODES["b"], ORIGINS["a"], True),
        ("a", CODES["b"], ORIGINS["b"], True),
        ("a", CODES["b"], ORIGINS["prefecture"], True),
        ("a", CODES["prefecture"], ORIGINS["b"], True),
        ("a", CODE, ORIGINS["a"], False),
        ("prefecture", CODES["a"], ORIGINS["b"], True),
        ("prefecture", CODES["a"], ORIGINS["prefecture"], True),
        ("prefecture", CODES["a"], OTHER, False),
        ("prefecture", CODES["a"], ORIGINS["b"].replace("/e1", "/e2"), True),
    ],
)
def test_who_reads_which_log(made: Enrolled, asked: str, peer: str, origin: str, *, shown: bool) -> None:
    assert may_read(made.settings(asked), peer, origin) is shown
