"""Whatever a peer sends or answers, it is refused within bounds and nothing is changed."""

import asyncio
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from sync.receiver import WAITING, Reading
from sync.status import LinkState
from sync.wire import AddCheckpoint, MirrorInfo
from sync.witness import misbehaviours
from tests.shell.pair import ENTRIES, head_of, link, raw, running, two_nodes
from tests.shell.sync_room import RoomNode, bodies, until


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    async with two_nodes(tmp_path) as nodes:
        yield nodes


def hostile_uploads(origin: str) -> dict[str, bytes]:
    good = head_of(origin, 0, 300)
    name = origin.encode()
    return {
        "nothing": b"",
        "half a head": good[:20],
        "an origin of 64 kB": b"\xff\xff" + b"x" * 70_000,
        "an empty origin": b"\0\0" + good[2 + len(name) :],
        "an origin that is not UTF-8": b"\0\x02\xff\xfe" + good[2 + len(name) :],
        "an end before the start": len(name).to_bytes(2) + name + (9).to_bytes(8) + (1).to_bytes(8) + b"\0\0",
        "a size over 2**63": len(name).to_bytes(2) + name + bytes(8) + b"\xff" * 8 + b"\0\0",
        "half a package": good + (5).to_bytes(2) + b"abcde",
        "only zeros": good + bytes(9_000),
        "64 hashes": good + bytes(512) + b"\x40" + bytes(32 * 64),
        "ones": good + b"\xff" * 200_000,
    }


async def test_hostile_uploads_are_refused_and_change_nothing(room) -> None:
    a, b = room
    await a.append(bodies(300))
    held = await a.head(a.origin)
    async with link(a, b) as to_b:
        body = bytes(AddCheckpoint(0, (), held.checkpoint))
        assert (await to_b.post("/mirror/add-checkpoint", body, content_type="x/y", limit=999)).status == 200
    for what, upload in hostile_uploads(a.origin).items():
        status, _ = await raw(a, b, "/mirror/add-entries", upload, **{"Content-Type": ENTRIES})
        assert 400 <= status < 500, (what, status)
    status, _ = await raw(a, b, "/mirror/add-entries", head_of(a.origin, 0, 300), **{"Content-Type": "text/plain"})
    assert status == 415
    for broken in (b"\x1f\x8b\x08\0not gzip at all", gzip.compress(head_of(a.origin, 0, 300))[:-6] + b"\xff" * 6):
        headers = {"Content-Type": ENTRIES, "Content-Encoding": "gzip"}
        status, _ = await raw(a, b, "/mirror/add-entries", broken, **headers)
        assert 400 <= status < 500
    found = await b.head(a.origin)
    assert (found.size, found.promised, found.frozen) == (0, 300, None)
    assert await b.store.read(misbehaviours) == ()


async def test_a_gzip_bomb_is_cut_off_without_being_unpacked(room) -> None:
    import resource

    a, b = room
    await a.append(bodies(300))
    held = await a.head(a.origin)
    async with link(a, b) as to_b:
        await to_b.post(
            "/mirror/add-checkpoint", bytes(AddCheckpoint(0, (), held.checkpoint)), content_type="x/y", limit=999
        )
    bomb = gzip.compress(head_of(a.origin, 0, 300) + b"\xff" * 200_000_000, 1)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    headers = {"Content-Type": ENTRIES, "Content-Encoding": "gzip"}
    try:
        status, _ = await raw(a, b, "/mirror/add-entries", bomb, **headers)
        assert 400 <= status < 500
    except (aiohttp.ClientError, ConnectionError):
        status = 0  # closed while we were still sending: refused all the same
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 120_000
    assert (await b.head(a.origin)).size == 0


async def test_hostile_checkpoints_are_refused_and_change_nothing(room) -> None:
    a, b = room
    await a.append(bodies(3))
    note = (await a.head(a.origin)).checkpoint
    assert note is not None
    cases = {
        "nothing": b"",
        "no old": note,
        "a sign": b"old +0\n\n" + note,
        "a leading zero": b"old 00\n\n" + note,
        "a size over 2**63": b"old 9223372036854775808\n\n" + note,
        "64 hashes": b"old 0\n" + b"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\n" * 64 + b"\n" + note,
        "a hash whose base64 is not canonical": b"old 0\nAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\n\n" + note,
        "carriage returns": b"old 0\r\n\r\n" + note,
        "a note without signatures": b"old 0\n\n" + note.split(b"\n\n")[0] + b"\n",
        "a note that goes on": b"old 0\n\n" + note + b"x\n",
        "a note with another size": b"old 0\n\n" + note.replace(b"\n3\n", b"\n4\n"),
        "two megabytes": b"old 0\n\n" + note + b"x" * 2_000_000,
    }
    for what, body in cases.items():
        status, _ = await raw(a, b, "/mirror/add-checkpoint", body)
        assert 400 <= status < 500, (what, status)
    assert await b.store.read(lambda db: db.execute("SELECT COUNT(*) FROM promises").fetchone()) == (0,)


async def test_an_idle_client_asks_by_an_empty_upload_where_to_go_on(room) -> None:
    a, b = room
    await a.append(bodies(300))
    held = await a.head(a.origin)
    async with link(a, b) as to_b:
        await to_b.post(
            "/mirror/add-checkpoint", bytes(AddCheckpoint(0, (), held.checkpoint)), content_type="x/y", limit=999
        )
        reply = await to_b.post("/mirror/add-entries", head_of(a.origin, 0, 0), content_type=ENTRIES, limit=999)
    assert (reply.status, reply.content_type) == (409, "text/x.tlog.mirror-info")
    assert MirrorInfo.parse(reply.body) == MirrorInfo(300, 0)


async def test_a_second_upload_of_a_log_waits_its_turn_and_a_third_is_told_to_come_back(room) -> None:
    a, b = room
    under_way = b.sync.uploading[a.origin] = Reading()
    b.sync.waiting[a.origin] = WAITING - 1
    async with link(a, b) as to_b:
        asked = to_b.post("/mirror/add-entries", head_of(a.origin, 0, 0), content_type=ENTRIES, limit=999)
        waiting = asyncio.create_task(asked)
        await until(lambda: b.sync.waiting[a.origin] == WAITING)
        reply = await to_b.post("/mirror/add-entries", head_of(a.origin, 0, 0), content_type=ENTRIES, limit=999)
        assert (reply.status, reply.retry_after_s) == (429, 1)
        del b.sync.uploading[a.origin]
        under_way.over.set()
        assert (await waiting).status == 422, "no checkpoint of this log is known"
        assert a.origin not in b.sync.uploading
        b.sync.uploading |= {name: Reading() for name in "wxyz"}
        reply = await to_b.post("/mirror/add-entries", head_of(a.origin, 0, 0), content_type=ENTRIES, limit=999)
        assert (reply.status, reply.retry_after_s) == (503, 1)
        b.sync.uploading.clear()
        b.sync.has_room = lambda: False
        reply = await to_b.post("/mirror/add-entries", head_of(a.origin, 0, 0), content_type=ENTRIES, limit=999)
        assert reply.status == 507


async def test_a_redirect_is_not_followed(room) -> None:
    a, b = room
    async with strange_server(
        a, b, b"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
    ) as url:
        to_b = a.link_to(b.keys.public(), url)
        reply = await to_b.get("/mirror/x", limit=99)
        await to_b.close()
    assert reply.status == 302


@asynccontextmanager
async def strange_server(a: RoomNode, b: RoomNode, answer: bytes) -> AsyncIterator[str]:
    """A server with b's certificate that gives one answer to everything."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while await reader.read(65_536):
                writer.write(answer)
                await writer.drain()
        except (ConnectionError, ssl.SSLError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=b.keys.server_context())
    async with server:
        yield f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"


HTML = b"<html><body>Please sign in</body></html>"


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(HTML), HTML),
        b"HTTP/1.1 409 Conflict\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%s" % (len(HTML), HTML),
        b"HTTP/1.1 409 Conflict\r\nContent-Type: text/x.tlog.size\r\nContent-Length: 3\r\n\r\n007",
        b"HTTP/1.1 202 Accepted\r\nContent-Type: text/x.tlog.mirror-info\r\nContent-Length: 8\r\n\r\n40\n0\n\nxx",
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 900000000\r\n\r\n" + b"x" * 300_000,
        b"\0\0\0 not http\r\n\r\n",
        b"",
    ],
)
async def test_a_peer_that_answers_nonsense_is_offline_and_nothing_is_believed(room, answer: bytes) -> None:
    a, b = room
    await a.append(bodies(40))
    async with strange_server(a, b, answer) as url:
        push = a.push_to(b.keys.public(), url)
        if not answer:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("sync.link.PROGRESS_TIMEOUT_S", 0.2)
                async with running(push):
                    await until(lambda: push.status.state is LinkState.OFFLINE)
            assert push.status.detail.startswith("silent")
        else:
            async with running(push):
                await until(lambda: push.status.state is LinkState.OFFLINE)
    assert (await a.head(a.origin)).cosignatures == ()
    assert push.status.entries_behind == 40
