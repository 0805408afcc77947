"""Real nodes over loopback TLS: what one logs, the other verifies, stores and cosigns; what does not fit is refused."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from node.store import StoreFault
from sync.checkpoint import Checkpoint, open_checkpoint, sign
from sync.link import LinkFault
from sync.log import open_log, reached
from sync.status import LinkState
from sync.wire import AddCheckpoint
from sync.witness import misbehaviours
from tests.shell.pair import ENTRIES, held_bodies, link, replace_log, running, two_nodes
from tests.shell.sync_room import RoomNode, bodies, cosigned, until


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    async with two_nodes(tmp_path) as nodes:
        yield nodes


async def test_a_log_arrives_whole_and_its_reach_returns(room) -> None:
    a, b = room
    await a.append(bodies(1_000))
    push = a.push_to(b.keys.public(), b.url)
    async with running(push):
        await cosigned(a, b.keys.public(), 1_000)
        await a.append(bodies(1, 1_000))
        push.notify()
        await cosigned(a, b.keys.public(), 1_001)
        await until(lambda: push.status.state is LinkState.CURRENT)
    mine, theirs = await a.head(a.origin), await b.head(a.origin)
    assert (theirs.size, theirs.root, theirs.checkpoint) == (1_001, mine.root, mine.checkpoint)
    assert await held_bodies(b, a.origin) == bodies(1_001)
    reach = await a.store.read(lambda db: reached(db, a.origin, 1_000))
    assert [one.cosigner for one in reach] == [b.keys.cosigner.name]
    assert push.status.entries_behind == 0
    assert push.status.oldest_unsent_ms is None


async def test_two_nodes_mirror_each_other_at_once(room) -> None:
    a, b = room
    await asyncio.gather(a.append(bodies(700)), b.append(bodies(600, 10_000)))
    async with running(a.push_to(b.keys.public(), b.url)), running(b.push_to(a.keys.public(), a.url)):
        await cosigned(a, b.keys.public(), 700)
        await cosigned(b, a.keys.public(), 600)
    assert await held_bodies(b, a.origin) == bodies(700)
    assert await held_bodies(a, b.origin) == bodies(600, 10_000)


async def test_a_third_node_receives_a_log_from_a_relay_that_needs_no_trust(room, tmp_path: Path) -> None:
    a, b = room
    c = RoomNode(tmp_path, "c", (a.keys.public(),))
    await c.start()
    await a.append(bodies(520))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 520)
    async with running(b.push_to(c.keys.public(), c.url, origin=a.origin)):
        await cosigned(b, c.keys.public(), 520, origin=a.origin)
    assert await held_bodies(c, a.origin) == bodies(520)
    await c.stop()


async def test_entries_of_the_largest_size_pass(room) -> None:
    a, b = room
    await a.append([bytes([n % 256]) * 65_535 for n in range(300)])
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 300)
    assert (await b.head(a.origin)).root == (await a.head(a.origin)).root


async def test_a_receiver_that_lost_its_disk_gets_everything_again(room, tmp_path: Path) -> None:
    a, b = room
    await a.append(bodies(600))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 600)
    await b.stop()
    for file in (tmp_path / "b").glob("erhai.db*"):
        file.unlink()
    again = RoomNode(tmp_path, "b", (a.keys.public(),))
    await again.start()
    push = a.push_to(b.keys.public(), again.url)
    async with running(push):
        await until(lambda: a.origin in again.stored)
        await until(lambda: push.status.state is LinkState.CURRENT)
    assert await held_bodies(again, a.origin) == bodies(600)
    await again.stop()
    b.store = again.store
    b.stop = again.stop_port  # type: ignore[method-assign]  # its store is closed already


async def test_a_sender_that_went_back_learns_it_from_the_receiver(room, tmp_path: Path) -> None:
    a, b = room
    await a.append(bodies(300))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 300)

    def lose(db) -> None:
        for table in ("cosignatures", "entries", "hash256", "promises", "logs"):
            db.execute(f"DELETE FROM {table}")
        open_log(db, a.origin)

    await a.store.write(lose)
    await a.append(bodies(200, 5_000))
    push = a.push_to(b.keys.public(), b.url)
    push.own = a.keys.log_signer.vkey
    async with running(push):
        await until(lambda: push.status.state is LinkState.TAMPERED)
    assert "rolled-back" in push.status.detail
    assert await held_bodies(b, a.origin) == bodies(300)
    (evidence,) = await b.store.read(misbehaviours)
    assert evidence.problem == "two-branches"


async def test_a_copy_that_writes_nothing_learns_from_its_probe_that_another_wrote(room) -> None:
    """What it has was cosigned long ago; the peer since took another history of the same log, and shows it."""
    a, b = room
    await a.append(bodies(10))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 10)
    await replace_log(b, a, bodies(20, 6_000))
    push = a.push_to(b.keys.public(), b.url)
    push.own = a.keys.log_signer.vkey
    async with running(push):
        await until(lambda: push.status.state is LinkState.TAMPERED)
    (evidence,) = await b.store.read(misbehaviours)
    assert evidence.problem == "two-branches"
    assert (await b.head(a.origin)).frozen == "two-branches"


async def test_a_relay_that_has_less_than_the_peer_is_in_order(room, tmp_path: Path) -> None:
    """The owner's own link was faster, or the relay has nothing of that log yet: no evidence of anything."""
    a, b = room
    c = RoomNode(tmp_path, "c", (a.keys.public(),))
    await c.start()
    relay = b.push_to(c.keys.public(), c.url, origin=a.origin)
    async with running(relay):
        await until(lambda: relay.status.state is LinkState.CURRENT)
    await a.append(bodies(10))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 10)
    await a.append(bodies(10, 10))
    async with running(a.push_to(c.keys.public(), c.url)):
        await cosigned(a, c.keys.public(), 20)
    relay = b.push_to(c.keys.public(), c.url, origin=a.origin)
    async with running(relay):
        await until(lambda: relay.status.state is not LinkState.CONNECTING)
        await until(lambda: relay.status.state is LinkState.CURRENT)
    assert await held_bodies(c, a.origin) == bodies(20)
    await c.stop()


async def test_a_forked_log_is_frozen_with_both_signed_checkpoints(room) -> None:
    a, b = room
    await a.append(bodies(300))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 300)
    other = open_memory(a.origin, bodies(300, 7_000))
    note = sign(Checkpoint(a.origin, 300, other), a.keys.log_signer)
    async with link(a, b) as to_b:
        reply = await to_b.post(
            "/mirror/add-checkpoint", bytes(AddCheckpoint(300, (), note)), content_type="text/plain", limit=9_999
        )
        assert reply.status == 422
    (evidence,) = await b.store.read(misbehaviours)
    keys = [a.keys.log_signer.vkey]
    held, shown = (open_checkpoint(one, keys).checkpoint for one in (evidence.held, evidence.shown))
    assert held.size == shown.size == 300
    assert held.root != shown.root
    await a.append(bodies(1, 300))
    push = a.push_to(b.keys.public(), b.url)
    async with running(push):
        await until(lambda: push.status.state is LinkState.REFUSED)
    assert "frozen" in push.status.detail
    assert (await b.head(a.origin)).size == 300


def open_memory(origin: str, entries: list[bytes]) -> bytes:
    """Return the root of a log of these entries."""
    import apsw

    from sync.log import LOG_SCHEMA

    db = apsw.Connection(":memory:")
    db.execute(LOG_SCHEMA)
    log = open_log(db, origin)
    for body in entries:
        log.append(body)
    return log.frontier.root()


async def test_a_link_that_is_down_is_reported_and_comes_back_by_itself(room) -> None:
    a, b = room
    port = b.port
    await a.append(bodies(40))
    push = a.push_to(b.keys.public(), b.url)
    async with running(push):
        await cosigned(a, b.keys.public(), 40)
        await b.stop_port()
        await a.append(bodies(10, 40))
        push.notify()
        await until(lambda: push.status.state is LinkState.OFFLINE)
        assert push.status.entries_behind == 10
        assert push.status.detail.startswith("unreachable")
        await b.start(port)
        await cosigned(a, b.keys.public(), 50)
        await until(lambda: push.status.state is LinkState.CURRENT)
    assert await held_bodies(b, a.origin) == bodies(50)


async def test_a_fault_of_our_own_database_is_shown_and_does_not_end_the_task(room) -> None:
    a, b = room
    await a.append(bodies(40))
    read, failing = a.store.read, True

    async def sometimes(fn):
        if failing:
            raise StoreFault("read", "erhai.db", "disk I/O error")
        return await read(fn)

    a.store.read = sometimes
    push = a.push_to(b.keys.public(), b.url)
    async with running(push):
        await until(lambda: push.status.state is LinkState.FAULT)
        assert "disk I/O error" in push.status.detail
        failing = False
        await cosigned(a, b.keys.public(), 40)
        await until(lambda: push.status.state is LinkState.CURRENT)


async def test_packed_bodies_arrive_like_plain_ones(room) -> None:
    a, b = room
    await a.append(bodies(2_000))
    for packed in (True, False):
        push = a.push_to(b.keys.public(), b.url)
        push._pace.answered = lambda _one: None  # type: ignore[method-assign]
        push._pace.packed, push._pace.packages = packed, 4
        size = (await a.head(a.origin)).size
        async with running(push):
            await cosigned(a, b.keys.public(), size)
        await a.append(bodies(2_000, size))
    assert await held_bodies(b, a.origin) == bodies(4_000)


async def test_a_peer_that_takes_no_bytes_is_given_up(room, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half open: the handshake succeeds, then nothing is read; a body larger than every buffer cannot be sent."""
    a, b = room
    monkeypatch.setattr("sync.link.PROGRESS_TIMEOUT_S", 0.3)
    stalled = asyncio.Event()

    async def serve(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await stalled.wait()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=b.keys.server_context())
    async with server:
        to_b = a.link_to(b.keys.public(), f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(LinkFault) as fault:
            await to_b.post("/mirror/add-entries", bytes(30_000_000), content_type=ENTRIES, limit=99)
        await to_b.close()
        stalled.set()
    assert fault.value.why == "silent"


async def test_only_https_is_dialled(room) -> None:
    a, b = room
    with pytest.raises(ValueError, match="http"):
        a.link_to(b.keys.public(), b.url.replace("https", "http"))
    to_nowhere = a.link_to(b.keys.public(), "https://127.0.0.1:1")
    with pytest.raises(LinkFault) as fault:
        await to_nowhere.get("/", limit=9)
    assert fault.value.why == "unreachable"
    await to_nowhere.close()
