"""Whose log is taken, whose word counts, and what a stranger can prove from what is served."""

import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from sync.certs import make_authority
from sync.checkpoint import Checkpoint, cosignatures, open_checkpoint, sign
from sync.endpoints import log_hash
from sync.keys import PublicIdentity, make_identity
from sync.link import PeerLink
from sync.log import size_of
from sync.merkle import consistency_proof, inclusion_proof, leaf_hash, verify_inclusion
from sync.note import VerifierKey
from sync.overtaken import cosigned_checkpoint
from sync.status import LinkState
from sync.tiles import TileHashes, decode_bundle
from sync.wire import AddCheckpoint
from tests.shell.pair import ENTRIES, link, running, two_nodes
from tests.shell.sync_room import NOW_MS, PREFECTURE, RoomNode, bodies, cosigned, identity_in, until


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    async with two_nodes(tmp_path) as nodes:
        yield nodes


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
