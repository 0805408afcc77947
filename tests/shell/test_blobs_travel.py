"""Files that entries name travel in proven chunks: resumed at the chunk, whole or not at all, whoever sends."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync.blob_parts import MOST_OPEN, Parts, Taken
from sync.blob_push import BlobPush, Wanted
from sync.blob_receiver import BlobPort
from sync.blob_wire import CHUNK, Chunk, audit_path, chunk_root, chunks_of
from sync.blobs import BlobFault, BlobStore
from sync.link import LinkFault, PeerLink
from sync.merkle import leaf_hash
from sync.status import LinkState
from tests.shell.sync_room import NOW_MS, RoomNode, identity_in

DATA = b"".join(bytes([n]) * CHUNK for n in range(3)) + b"rest"
SHA = hashlib.sha256(DATA).digest()


def chunk_of(data: bytes, index: int) -> Chunk:
    pieces = [data[at : at + CHUNK] for at in range(0, max(len(data), 1), CHUNK)]
    leaves = [leaf_hash(piece) for piece in pieces]
    return Chunk(len(data), index, chunk_root(leaves), audit_path(leaves, index), pieces[index])


class Pair:
    """A sender `a` and a receiver `b` that wants what `named` says."""

    def __init__(self, folder: Path) -> None:
        self.a = RoomNode(folder, "room-a", (identity_in(folder, "room-b").public(),))
        self.b = RoomNode(folder, "room-b", (identity_in(folder, "room-a").public(),))
        self.sent, self.received = BlobStore(folder / "a-blobs"), BlobStore(folder / "b-blobs")
        self.named: dict[bytes, int] = {}
        self.known: set[bytes] = set()
        self.arrived: list[bytes] = []

    async def start(self) -> None:
        async def wanted(sha256: bytes) -> int | None:
            return self.named.get(sha256)

        self.b.sync.more_routes = BlobPort(self.received, wanted, self.arrived.append).routes
        await self.b.start()

    def push(self) -> BlobPush:
        async def lacking() -> list[Wanted]:
            return [Wanted(sha, size) for sha, size in self.named.items() if sha not in self.known]

        async def held(sha256: bytes) -> None:
            self.known.add(sha256)

        async def lost(sha256: bytes) -> None:
            self.known.discard(sha256)

        return BlobPush(
            self.link(),
            self.a.store,
            self.sent,
            origin="a",
            now_ms=lambda: NOW_MS,
            lacking=lacking,
            held=held,
            lost=lost,
        )

    def link(self) -> PeerLink:
        return self.a.link_to(self.b.keys.public(), self.b.url)

    async def pushed(self) -> BlobPush:
        """Push until everything named is known to be there."""
        push = self.push()
        task = asyncio.create_task(push.run())
        try:
            async with asyncio.timeout(20):
                while set(self.named) - self.known:  # noqa: ASYNC110 - another task's words
                    await asyncio.sleep(0.02)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        return push


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(tmp_path)
    await made.start()
    yield made
    await made.a.stop()
    await made.b.stop()


async def put(pair: Pair, data: Chunk, sha: bytes = SHA, index: int | None = None) -> int:
    link = pair.link()
    try:
        number = data.index if index is None else index
        reply = await link.put(f"/blob/{sha.hex()}/{number}", bytes(data), content_type="x/y", limit=4_096)
    finally:
        await link.close()
    return reply.status


@pytest.mark.parametrize("data", [b"", b"small", DATA, b"x" * CHUNK], ids=["empty", "small", "chunks", "one-chunk"])
async def test_a_file_arrives_whole_and_reads_back_by_chunks(pair: Pair, data: bytes) -> None:
    sha = pair.sent.put(data)
    pair.named[sha] = len(data)
    await pair.pushed()
    assert pair.received.get(sha) == data
    assert pair.arrived == [sha]
    link = pair.link()
    back = [await link.get(f"/blob/{sha.hex()}/{n}", limit=CHUNK) for n in range(chunks_of(len(data)))]
    assert b"".join(one.body for one in back) == data
    assert (await link.get(f"/blob/{sha.hex()}/{chunks_of(len(data))}", limit=CHUNK)).status == 404
    await link.close()


async def test_what_the_peer_has_already_is_not_sent_again(pair: Pair) -> None:
    pair.sent.put(DATA)
    pair.received.put(DATA)
    pair.named[SHA] = len(DATA)
    await pair.pushed()
    assert pair.arrived == []


async def test_an_upload_that_was_cut_goes_on_at_its_chunk_even_after_a_restart(pair: Pair) -> None:
    pair.named[SHA] = len(DATA)
    assert await put(pair, chunk_of(DATA, 0)) == 200
    assert await put(pair, chunk_of(DATA, 1)) == 200
    assert not pair.received.has(SHA)
    torn = next((pair.received.folder / "partial").iterdir())
    torn.write_bytes(torn.read_bytes() + b"half a chunk of a killed process")
    pair.received = BlobStore(pair.received.folder)
    assert Parts(pair.received).next_index(SHA, chunk_of(DATA, 0).root) == 2
    pair.sent.put(DATA)
    await pair.pushed()
    assert pair.received.get(SHA) == DATA
    assert list((pair.received.folder / "partial").iterdir()) == []


async def test_a_chunk_twice_or_too_early_changes_nothing(pair: Pair) -> None:
    pair.named[SHA] = len(DATA)
    assert await put(pair, chunk_of(DATA, 2)) == 200
    assert await put(pair, chunk_of(DATA, 0)) == 200
    assert await put(pair, chunk_of(DATA, 0)) == 200
    assert Parts(pair.received).next_index(SHA, chunk_of(DATA, 0).root) == 1


async def test_a_file_that_no_entry_names_is_not_taken_and_another_size_neither(pair: Pair) -> None:
    assert await put(pair, chunk_of(DATA, 0)) == 409
    pair.named[SHA] = len(DATA) + 1
    assert await put(pair, chunk_of(DATA, 0)) == 422
    pair.named[SHA] = len(DATA)
    assert await put(pair, chunk_of(DATA, 0), index=1) == 422
    assert list((pair.received.folder / "partial").iterdir()) == []


async def test_a_liar_with_other_bytes_is_refused_at_the_end_and_does_not_disturb_an_honest_sender(pair: Pair) -> None:
    lie = b"".join(bytes([n + 7]) * CHUNK for n in range(3)) + b"fake"
    pair.named[SHA] = len(DATA)
    assert await put(pair, chunk_of(DATA, 0)) == 200
    for index in range(3):
        assert await put(pair, chunk_of(lie, index)) == 200
    assert await put(pair, chunk_of(lie, 3)) == 422
    assert not pair.received.has(SHA)
    pair.sent.put(DATA)
    await pair.pushed()
    assert pair.received.get(SHA) == DATA


async def test_a_full_disk_refuses_chunks_and_reading_goes_on(pair: Pair) -> None:
    pair.named[SHA] = len(DATA)
    pair.b.sync.has_room = lambda: False
    assert await put(pair, chunk_of(DATA, 0)) == 507
    kept = pair.received.put(b"kept")
    link = pair.link()
    assert (await link.get(f"/blob/{kept.hex()}", limit=99)).status == 200
    await link.close()


async def test_nonsense_is_refused_and_leaves_nothing(pair: Pair) -> None:
    pair.named[SHA] = len(DATA)
    link = pair.link()
    good = bytes(chunk_of(DATA, 0))
    for body in (b"", b"x", good[:-1], good + b"x", good.replace(b"v1", b"v9", 1), b"\n" * 2_000_000):
        reply = await link.put(f"/blob/{SHA.hex()}/0", body, content_type="x/y", limit=4_096)
        assert reply.status in {400, 413}, (body[:20], reply.status)
    for path in ("/blob/zz/0", f"/blob/{SHA.hex()}/x", f"/blob/{SHA.hex()[:-2]}/0", f"/blob/../{SHA.hex()}/0"):
        assert (await link.put(path, good, content_type="x/y", limit=4_096)).status == 404
    await link.close()
    assert list((pair.received.folder / "partial").iterdir()) == []


def test_the_number_of_partial_files_is_bounded_and_old_ones_make_room(tmp_path: Path) -> None:
    parts = Parts(BlobStore(tmp_path))
    for n in range(MOST_OPEN):
        parts.take(hashlib.sha256(b"%d" % n).digest(), chunk_of(DATA, 0))
    with pytest.raises(BlobFault) as full:
        parts.take(hashlib.sha256(b"one more").digest(), chunk_of(DATA, 0))
    assert full.value.why == "too-many"


async def test_a_sender_that_lost_the_file_says_so_and_goes_on_with_others(pair: Pair) -> None:
    pair.named[hashlib.sha256(b"lost").digest()] = 4
    pair.sent.put(DATA)
    pair.named[SHA] = len(DATA)
    push = pair.push()
    task = asyncio.create_task(push.run())
    async with asyncio.timeout(10):
        while push.status.state is not LinkState.CURRENT:  # noqa: ASYNC110 - another task's word
            await asyncio.sleep(0.02)
    task.cancel()
    assert pair.received.has(SHA)
    assert "not here to send" in push.status.detail


async def test_two_senders_of_one_file_at_once_end_with_it_whole(pair: Pair) -> None:
    data = b"".join(bytes([n]) * CHUNK for n in range(9))
    sha = pair.sent.put(data)
    pair.named[sha] = len(data)
    await asyncio.gather(pair.pushed(), pair.pushed())
    assert pair.received.get(sha) == data


async def test_a_chunk_that_came_before_its_turn_is_sent_again(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    take, early = Parts.take, []

    def once_too_early(self: Parts, sha256: bytes, chunk: Chunk):
        if chunk.index == 1 and not early:
            early.append(chunk.index)
            return Taken(complete=False, next_index=1)
        return take(self, sha256, chunk)

    monkeypatch.setattr(Parts, "take", once_too_early)
    pair.sent.put(DATA)
    pair.named[SHA] = len(DATA)
    push = await pair.pushed()
    assert pair.received.get(SHA) == DATA
    assert early == [1]
    assert push.status.state is not LinkState.OFFLINE


async def test_a_peer_that_never_takes_a_chunk_is_given_up(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Parts, "take", lambda _self, _sha256, _chunk: Taken(complete=False, next_index=0))
    pair.sent.put(DATA)
    pair.named[SHA] = len(DATA)
    push = pair.push()
    with pytest.raises(LinkFault) as fault:
        await push.once()
    await push._close()
    assert (fault.value.why, "no progress" in fault.value.detail) == ("unexpected-answer", True)
