"""Real nodes over loopback TLS: what one logs, the other verifies, stores and cosigns; what does not fit is refused."""

import asyncio
import datetime as dt
import gzip
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from node.store import StoreFault
from sync.certs import make_authority, node_host
from sync.checkpoint import Checkpoint, cosignatures, open_checkpoint, read, sign
from sync.endpoints import log_hash
from sync.follow import Pull, pull_log
from sync.keys import PublicIdentity, make_identity
from sync.link import LinkFault, PeerLink
from sync.log import open_log, reached, read_bodies, size_of
from sync.merkle import consistency_proof, inclusion_proof, leaf_hash, verify_inclusion
from sync.note import VerifierKey
from sync.overtaken import cosigned_checkpoint
from sync.receiver import WAITING, Reading
from sync.status import LinkState
from sync.tiles import TileHashes, decode_bundle
from sync.wire import AddCheckpoint, EntriesHead, MirrorInfo
from sync.witness import keep_promise, misbehaviours
from tests.shell.sync_room import NOW_MS, PREFECTURE, RoomNode, bodies, cosigned, identity_in, until

ENTRIES = "application/octet-stream"


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    a, b = (identity_in(tmp_path, name).public() for name in ("a", "b"))
    nodes = RoomNode(tmp_path, "a", (b,)), RoomNode(tmp_path, "b", (a,))
    for node in nodes:
        await node.start()
    yield nodes
    for node in nodes:
        await node.stop()


@asynccontextmanager
async def running(task) -> AsyncIterator[None]:
    job = asyncio.create_task(task.run())
    try:
        yield
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)


async def held_bodies(node: RoomNode, origin: str) -> list[bytes]:
    return await node.store.read(lambda db: [body for _, body in read_bodies(db, origin, 0, 1 << 40)])


@asynccontextmanager
async def link(a: RoomNode, b: RoomNode) -> AsyncIterator[PeerLink]:
    made = a.link_to(b.keys.public(), b.url)
    try:
        yield made
    finally:
        await made.close()


# -- push ------------------------------------------------------------------------------------------------------------


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


async def replace_log(b: RoomNode, a: RoomNode, entries: list[bytes]) -> None:
    """Let b hold another history of a's log, signed by a's key."""

    def job(db) -> None:
        for table in ("cosignatures", "entries", "hash256", "promises"):
            db.execute(f"DELETE FROM {table} WHERE log_id = (SELECT log_id FROM logs WHERE origin = ?)", (a.origin,))
        db.execute("DELETE FROM logs WHERE origin = ?", (a.origin,))
        log = open_log(db, a.origin)
        for body in entries:
            log.append(body)
        checkpoint = Checkpoint(a.origin, log.size, log.frontier.root())
        note = sign(checkpoint, a.keys.log_signer)
        log.store_checkpoint(note)
        keep_promise(db, log.log_id, checkpoint, note)

    await b.store.write(job)


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


# -- who may -------------------------------------------------------------------------------------------------------


async def test_a_peer_of_a_foreign_ca_is_refused_and_shown_so(room, tmp_path: Path) -> None:
    a, b = room
    foreign = make_identity(
        tmp_path / "foreign",
        origin=a.origin,
        node="a",
        authority=make_authority(PREFECTURE, dt.datetime.now(dt.UTC)),
        now=dt.datetime.now(dt.UTC),
    )
    await a.append(bodies(3))
    push = a.push_to(b.keys.public(), b.url)
    push._link = PeerLink(url=b.url, node="b", prefecture=PREFECTURE, context=foreign.client_context())
    async with running(push):
        await until(lambda: push.status.state is LinkState.REFUSED)
    assert push.status.detail.startswith("foreign-certificate")
    assert await b.store.read(lambda db: size_of(db, a.origin)) == 0


async def test_a_node_that_is_not_the_expected_one_is_sent_nothing(room) -> None:
    a, b = room
    await a.append(bodies(3))
    expected = PublicIdentity(**{**vars_of(b.keys.public()), "node": "p"})
    push = a.push_to(expected, b.url)
    async with running(push):
        await until(lambda: push.status.state is LinkState.REFUSED)
    assert push.status.detail.startswith("foreign-certificate")
    assert b.stored == []


def vars_of(public: PublicIdentity) -> dict[str, str]:
    from dataclasses import asdict

    return asdict(public)


@pytest.mark.parametrize("rule", ["unknown-log", "not-allowed"])
async def test_a_log_that_is_not_to_be_mirrored_is_refused(room, rule: str) -> None:
    a, b = room
    await a.append(bodies(3))
    if rule == "unknown-log":
        b.sync.trust = {}
    else:
        b.sync.allowed = lambda _peer, _origin: False
    push = a.push_to(b.keys.public(), b.url)
    async with running(push):
        await until(lambda: push.status.state is LinkState.REFUSED)
    assert push.status.detail.startswith("refused: " + ("404" if rule == "unknown-log" else "403"))
    assert push.status.entries_behind == 3
    assert push.status.oldest_unsent_ms == NOW_MS


async def test_a_checkpoint_signed_by_another_key_is_refused(room) -> None:
    a, b = room
    await a.append(bodies(3))
    from sync.note import Signer

    forged = sign(Checkpoint(a.origin, 3, bytes(32)), Signer.from_seed(a.origin, b"\x09" * 32))
    async with link(a, b) as to_b:
        reply = await to_b.post(
            "/witness/add-checkpoint", bytes(AddCheckpoint(0, (), forged)), content_type="text/plain", limit=9_999
        )
    assert reply.status == 403
    assert await b.store.read(lambda db: size_of(db, a.origin)) == 0


# -- witness, tiles, gate ------------------------------------------------------------------------------------------


async def test_the_witness_cosigns_consistency_with_its_own_key(room) -> None:
    a, b = room
    await a.append(bodies(3))
    held = await a.head(a.origin)
    async with link(a, b) as to_b:
        body = bytes(AddCheckpoint(0, (), held.checkpoint))
        reply = await to_b.post("/witness/add-checkpoint", body, content_type="text/plain", limit=9_999)
        assert reply.status == 200
        again = await to_b.post("/witness/add-checkpoint", body, content_type="text/plain", limit=9_999)
        assert (again.status, again.content_type, again.body) == (409, "text/x.tlog.size", b"3\n")
        served = await to_b.get(f"/witness/{log_hash(a.origin)}/checkpoint", limit=9_999)
        mirrored = await to_b.get(f"/mirror/{log_hash(a.origin)}/checkpoint", limit=9_999)
    opened = open_checkpoint(served.body, [a.keys.log_signer.vkey, b.keys.witness.vkey])
    assert [one.name for one in opened.cosignatures] == [b.keys.witness.name]
    assert opened.checkpoint.size == 3
    assert mirrored.status == 404


async def test_a_stranger_can_prove_an_entry_from_the_served_tiles(room) -> None:
    a, b = room
    await a.append(bodies(700))
    async with running(a.push_to(b.keys.public(), b.url)):
        await cosigned(a, b.keys.public(), 700)
    prefix = f"/log/{log_hash(a.origin)}/"
    async with link(a, b) as to_b:
        served = await to_b.get(f"{prefix}checkpoint", limit=9_999)
        assert served.content_type == "text/plain; charset=utf-8"
        tiles = {}
        for path in ("tile/0/000", "tile/0/001", "tile/0/002.p/188", "tile/1/000.p/2"):
            reply = await to_b.get(prefix + path, limit=9_999)
            assert (reply.status, reply.content_type) == (200, ENTRIES)
            tiles[path] = reply.body
        bundle = await to_b.get(f"{prefix}tile/entries/002.p/188", limit=99_999)
        refused = {
            path: (await to_b.get(prefix + path, limit=9_999)).status
            for path in ("tile/0/002", "tile/0/002.p/189", "tile/2/000.p/1", "tile/0/003.p/1", "tile/entries/003")
        }
        bad = [
            (await to_b.get(prefix + path, limit=9_999)).status
            for path in ("tile/0/2", "tile/64/000", "tile/0/000.p/0")
        ]
    opened = open_checkpoint(served.body, [a.keys.log_signer.vkey, b.keys.cosigner.vkey])
    assert [one.name for one in opened.cosignatures] == [b.keys.cosigner.name]
    reader = TileHashes(tiles.__getitem__, 700)
    entry = decode_bundle(bundle.body)[650 - 512]
    proof = inclusion_proof(reader, 650, 700)
    verify_inclusion(leaf_hash(entry), 650, 700, proof, opened.checkpoint.root)
    assert entry == bodies(1, 650)[0]
    assert set(refused.values()) == {404}
    assert set(bad) == {400}


async def test_the_start_up_gate_can_ask_a_peer_what_it_cosigned(room) -> None:
    a, b = room
    keys = {"log": a.keys.log_signer.vkey, "cosigner": VerifierKey.parse(b.keys.public().cosigner_vkey)}
    async with link(a, b) as to_b:
        assert await cosigned_checkpoint(to_b, **keys) is None
        await a.append(bodies(40))
        async with running(a.push_to(b.keys.public(), b.url)):
            await cosigned(a, b.keys.public(), 40)
        assert await cosigned_checkpoint(to_b, **keys) == Checkpoint(a.origin, 40, (await a.head(a.origin)).root)


# -- pull ------------------------------------------------------------------------------------------------------------


def pull_from(b: RoomNode, a: RoomNode) -> Pull:
    """b follows a's log."""
    to_a = b.link_to(a.keys.public(), a.url)
    return pull_log(
        to_a,
        b.store,
        log=b.sync.trust[a.origin],
        cosigner=b.keys.cosigner,
        now_ms=lambda: NOW_MS,
        stored=b.stored.append,
    )


@pytest.mark.parametrize("sizes", [(1,), (256,), (300, 301), (257, 1_000), (255, 256, 600), (5_000,), (512, 70_000)])
async def test_a_followed_log_is_copied_and_continued(room, sizes: tuple[int, ...]) -> None:
    a, b = room
    pull = pull_from(b, a)
    async with running(pull):
        for size in sizes:
            before = (await a.head(a.origin)).size
            await a.append(bodies(size - before, before))
            pull.notify()
            await until_copied(b, a, size)
    mine, theirs = await a.head(a.origin), await b.head(a.origin)
    assert (theirs.root, theirs.checkpoint) == (mine.root, mine.checkpoint)
    assert await held_bodies(b, a.origin) == bodies(sizes[-1])
    assert [one.cosigner for one in theirs.cosignatures] == [b.keys.cosigner.name]


async def until_copied(b: RoomNode, a: RoomNode, size: int) -> None:
    for _ in range(3_000):
        if await b.store.read(lambda db: size_of(db, a.origin)) >= size:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(size)


async def test_a_followed_log_that_changes_its_past_is_found_before_anything_is_kept(room) -> None:
    a, b = room
    await a.append(bodies(400))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, 400)

    def rewrite(db) -> None:
        for table in ("entries", "hash256", "logs"):
            db.execute(f"DELETE FROM {table}")
        open_log(db, a.origin)

    await a.store.write(rewrite)
    await a.append(bodies(900, 4_000))
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    assert await held_bodies(b, a.origin) == bodies(400)
    (evidence,) = await b.store.read(misbehaviours)
    assert evidence.problem == "inconsistent-history"
    assert (await b.head(a.origin)).frozen == "inconsistent-history"


async def test_a_followed_log_that_is_shorter_and_other_is_found_though_it_is_shorter(room) -> None:
    a, b = room
    await a.append(bodies(400))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, 400)
    await replace_log(a, a, bodies(300, 4_000))
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    (evidence,) = await b.store.read(misbehaviours)
    assert evidence.problem == "two-branches"
    assert (await b.head(a.origin)).frozen == "two-branches"
    assert await held_bodies(b, a.origin) == bodies(400)


@pytest.mark.parametrize(("held", "promised", "now"), [(2, 30, 40), (2, 300, 700), (300, 512, 513), (256, 300, 512)])
async def test_a_followed_log_must_continue_also_what_it_promised_and_never_brought(
    room, held: int, promised: int, now: int
) -> None:
    a, b = room
    await a.append(bodies(held))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, held)
    await a.append(bodies(promised - held, held))
    note = (await a.head(a.origin)).checkpoint
    checkpoint, _ = read(note)
    await b.store.write(lambda db: keep_promise(db, open_log(db, a.origin).log_id, checkpoint, note))
    await replace_log(a, a, bodies(held) + bodies(now - held, 90_000))
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    (evidence,) = await b.store.read(misbehaviours)
    assert (evidence.problem, evidence.held) == ("inconsistent-history", note)
    assert (await b.head(a.origin)).frozen == "inconsistent-history"
    assert await held_bodies(b, a.origin) == bodies(held)


@pytest.mark.parametrize(("held", "promised", "now"), [(2, 30, 40), (2, 300, 700), (300, 512, 513), (256, 300, 512)])
async def test_a_followed_log_that_keeps_an_old_promise_goes_on(room, held: int, promised: int, now: int) -> None:
    a, b = room
    await a.append(bodies(held))
    pull = pull_from(b, a)
    async with running(pull):
        await until_copied(b, a, held)
    await a.append(bodies(promised - held, held))
    note = (await a.head(a.origin)).checkpoint
    checkpoint, _ = read(note)
    await b.store.write(lambda db: keep_promise(db, open_log(db, a.origin).log_id, checkpoint, note))
    await a.append(bodies(now - promised, promised))
    async with running(pull_from(b, a)):
        await until_copied(b, a, now)
    assert await held_bodies(b, a.origin) == bodies(now)


async def test_entries_changed_in_the_peers_file_are_not_copied(room) -> None:
    a, b = room
    await a.append(bodies(600))
    await a.store.write(lambda db: db.execute("UPDATE entries SET body = X'00' WHERE seq = 300") and None)
    pull = pull_from(b, a)
    async with running(pull):
        await until(lambda: pull.status.state is LinkState.TAMPERED)
    assert "changed-entry" in pull.status.detail
    assert await b.store.read(lambda db: size_of(db, a.origin)) in {0, 256}


# -- hostile bodies ------------------------------------------------------------------------------------------------


async def raw(a: RoomNode, b: RoomNode, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """Send bytes as they are."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=a.keys.client_context())) as session,
        session.post(
            f"{b.url}{path}", data=body, headers=headers, server_hostname=node_host(PREFECTURE, "b")
        ) as response,
    ):
        return response.status, await response.read()


def head_of(origin: str, start: int, end: int) -> bytes:
    return bytes(EntriesHead(origin, start, end))


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


async def test_a_cosignature_by_another_key_is_not_reach(room) -> None:
    a, b = room
    await a.append(bodies(40))
    liar = identity_in(Path(b.store.path).parent.parent, "liar").public()
    claimed = PublicIdentity(**{**vars_of(b.keys.public()), "cosigner_vkey": liar.cosigner_vkey})
    push = a.push_to(claimed, b.url)
    async with running(push):
        await until(lambda: push.status.state is LinkState.OFFLINE)
    assert "no cosignature" in push.status.detail
    assert (await a.head(a.origin)).cosignatures == ()


async def test_a_proof_of_growth_can_be_made_between_any_two_served_sizes(room) -> None:
    """The checkpoint that the mirror serves after each push continues the one before."""
    a, b = room
    push = a.push_to(b.keys.public(), b.url)
    roots = {}
    async with running(push):
        for size in (10, 300, 700):
            before = (await a.head(a.origin)).size
            await a.append(bodies(size - before, before))
            push.notify()
            await cosigned(a, b.keys.public(), size)
            roots[size] = (await b.head(a.origin)).root
    from sync.log import TableHashes
    from sync.merkle import verify_consistency

    for old, new in ((10, 300), (300, 700), (10, 700)):
        proof = await b.store.read(lambda db, old=old, new=new: consistency_proof(TableHashes(db, a.origin), old, new))
        verify_consistency(old, roots[old], new, roots[new], proof)
    note = (await a.head(a.origin)).checkpoint
    lines = [one.line for one in (await a.head(a.origin)).cosignatures]
    from sync.note import NoteSignature, SignedNote

    signed = SignedNote.parse(note).with_signatures(NoteSignature.parse(line) for line in lines)
    assert [one.name for one in cosignatures(signed, [b.keys.cosigner.vkey])] == [b.keys.cosigner.name]


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
