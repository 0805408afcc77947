"""A log that goes on in a new epoch comes by stick as it would over the line: its owner's statement, or nothing."""

import asyncio
import datetime as dt
import json
import shutil
from pathlib import Path

import pytest

from node.courier import Imported, Outcome, import_stick
from node.epoch import open_epoch
from node.node import Node
from node.places import KEYS
from node.views.log import of_origin
from sync.certs import Authority, make_authority
from sync.codec import pack, unpack
from sync.courier import FILES, NOTE, SUCCESSIONS, LogPart
from sync.crl import issue_crl
from sync.keys import load_identity, make_identity
from sync.log import LogFault, head, size_of
from sync.receiver import log_hash
from sync.stick import StickWriter
from sync.stick_folder import CourierFault
from sync.succession import parse_statement, seal_envelope, successor_of
from sync.tampered import Tampered
from sync.witness import misbehaviours
from tests.faults.test_courier import bodies, erhai, export, opened, record
from tests.faults.test_new_epoch import E1, E2, PRESENT, settings, with_lost_tail
from tests.faults.test_running_room import free_base
from tests.shell.judged_room import age, serial_of
from web.demo import world as worlds
from web.demo.world import CODES, ORIGINS, PREFECTURE, World, make_world
from web.serve import running

E3 = E1.removesuffix("e1") + "e3"


@pytest.fixture
def kept() -> list[Authority]:
    return []


@pytest.fixture
def world(tmp_path: Path, kept: list[Authority], monkeypatch: pytest.MonkeyPatch) -> World:
    make = worlds.make_authority
    monkeypatch.setattr(worlds, "make_authority", lambda *args, **kwargs: kept.append(make(*args, **kwargs)) or kept[0])
    return make_world(tmp_path / "world", free_base())


async def next_epoch(world: World, cause: str = "restore") -> None:
    await open_epoch(settings(world, "a"), PRESENT, cause)


async def stick_of_a(world: World, stick: Path, more: int = 2) -> Path:
    """What node a, no line anywhere, writes for the prefecture."""
    async with opened(world, "a") as a:
        await record(a, more)
        await export(a, stick)
    return stick


async def everything(node: Node) -> list:
    """What a stick could change of a node."""

    def rows(db) -> list:
        names = ("logs", "entries", "successions", "cosignatures", "misbehaviour", "promises")
        return [(name, sorted(map(repr, db.execute(f"SELECT * FROM {name}")))) for name in names]

    return [await node.read(rows), node.settings.peers, node.statements]


def outcome(done: Imported, origin: str) -> Outcome:
    return next(one.outcome for one in done.logs if one.origin == origin)


def written_by(keys_folder: Path, source: Path, target: Path, successions: bytes) -> Path:
    """The stick of `source` again with other successions, its list signed by this key."""
    keys = load_identity(keys_folder)
    writer = StickWriter(target, keys.origin)
    for file in (one for one in source.rglob("*") if one.is_file() and one.name not in {NOTE, FILES, SUCCESSIONS}):
        writer.add(file.relative_to(source).as_posix(), file.read_bytes())
    writer.add(SUCCESSIONS, successions)
    lines = (source / FILES).read_text().splitlines()
    for line in (one.split() for one in lines if one.startswith("log ")):
        writer.add_log(LogPart(line[1], int(line[2]), int(line[3])))
    writer.finish(1_772_000_000_000, keys.log_signer)
    return target


async def test_a_node_restored_into_a_new_epoch_brings_it_to_a_stopped_prefecture_by_stick(
    world: World, tmp_path: Path
) -> None:
    await with_lost_tail(world)
    await next_epoch(world)
    stick = await stick_of_a(world, tmp_path / "stick")
    async with opened(world, "a") as a:
        lines = {origin: await bodies(a, origin) for origin in (E1, E2)}
    async with opened(world, "prefecture") as above:
        done = await import_stick(above, stick)
        assert not done.refused
        assert [(one.node, one.new_origin, one.taken) for one in done.epochs] == [(CODES["a"], E2, True)]
        assert [one.origin for one in done.logs][-2:] == [E1, E2]
        for origin, held in lines.items():
            assert await bodies(above, origin) == held
        assert above.settings.peer(CODES["a"]).origin == E2
        again = await import_stick(above, stick)
        assert ([one.taken for one in again.epochs], again.refused) == ([False], False)
        assert outcome(again, E2) is Outcome.NOTHING_NEW
    async with opened(world, "prefecture") as above:
        assert above.settings.peer(CODES["a"]).origin == E2
        assert (await above.read(lambda db: successor_of(db, E1))).cause == "restore"


async def test_a_running_prefecture_takes_it_by_the_command_notes_it_and_mirrors_on_over_the_line(
    world: World, tmp_path: Path
) -> None:
    await with_lost_tail(world)
    await next_epoch(world)
    stick = await stick_of_a(world, tmp_path / "stick")
    async with running(settings(world, "prefecture")) as above:
        said = await asyncio.to_thread(erhai, "import", "--data", str(world.data("prefecture")), str(stick), "--json")
        assert said.returncode == 0, said.stderr
        assert [one["new_origin"] for one in json.loads(said.stdout)["epochs"]] == [E2]
        own = ORIGINS["prefecture"]
        async with asyncio.timeout(20):
            while await above.read(lambda db: size_of(db, own)) < 1:  # noqa: ASYNC110 - another task's record
                await asyncio.sleep(0.05)
            noted = await above.read(lambda db: of_origin(db, own, 9, 9))
            assert [row.events for row in noted] == [("epoch.succession-noted",)]
            async with running(settings(world, "a")) as a:
                await record(a, 1)
                end = a.recorder.log.size
                while await above.read(lambda db: size_of(db, E2)) < end:  # noqa: ASYNC110 - another node's disk
                    await asyncio.sleep(0.05)
        assert await above.read(misbehaviours) == ()


async def test_two_epochs_in_a_row_come_on_one_stick(world: World, tmp_path: Path) -> None:
    await with_lost_tail(world)
    await next_epoch(world)
    await next_epoch(world, "replace")
    stick = await stick_of_a(world, tmp_path / "stick")
    async with opened(world, "prefecture") as above:
        done = await import_stick(above, stick)
        assert ([one.new_origin for one in done.epochs], done.refused) == ([E2, E3], False)
        assert await above.read(lambda db: size_of(db, E3)) == 3


def _flipped(envelope: bytes, _world: World, _kept: Authority) -> bytes:
    statement, certificate, signature = unpack(envelope)
    return pack((statement, certificate, signature[:-1] + bytes([signature[-1] ^ 1])))


def _by_the_neighbour(envelope: bytes, world: World, _kept: Authority) -> bytes:
    return seal_envelope(unpack(envelope)[0], world.data("b") / KEYS)


def _by_another_ca(envelope: bytes, world: World, _kept: Authority) -> bytes:
    now = dt.datetime.now(dt.UTC)
    folder = world.folder / "stranger"
    make_identity(folder, origin=E1, node=CODES["a"], authority=make_authority(PREFECTURE, now), now=now)
    return seal_envelope(unpack(envelope)[0], folder)


def _with_an_expired_certificate(envelope: bytes, world: World, authority: Authority) -> bytes:
    age(load_identity(world.data("a") / KEYS), authority, 120)
    return seal_envelope(unpack(envelope)[0], world.data("a") / KEYS)


def _of_no_order(_envelope: bytes, _world: World, _kept: Authority) -> bytes:
    return b"\xc1 not an envelope"


@pytest.mark.parametrize(
    ("forge", "words"),
    [
        (_flipped, "forged-signature"),
        (_by_the_neighbour, "foreign-key"),
        (_by_another_ca, "another CA"),
        (_with_an_expired_certificate, "certificate: expired"),
        (_of_no_order, "MessagePack"),
    ],
)
async def test_a_forged_succession_is_refused_with_words_and_changes_nothing(
    world: World, tmp_path: Path, kept: list[Authority], forge, words: str
) -> None:
    await with_lost_tail(world)
    await next_epoch(world)
    stick = await stick_of_a(world, tmp_path / "stick")
    (envelope,) = unpack((stick / SUCCESSIONS).read_bytes())
    forged = pack((forge(envelope, world, kept[0]),))
    made = written_by(world.data("a") / KEYS, stick, tmp_path / "forged", forged)
    async with opened(world, "prefecture") as above:
        before = await everything(above)
        with pytest.raises(CourierFault) as refused:
            await import_stick(above, made)
        assert refused.value.why == "unknown-writer"
        assert words in refused.value.detail
        assert await everything(above) == before


async def test_a_revoked_nodes_new_epoch_is_refused_and_changes_nothing(
    world: World, tmp_path: Path, kept: list[Authority]
) -> None:
    await with_lost_tail(world)
    await next_epoch(world)
    stick = await stick_of_a(world, tmp_path / "stick")
    serial, now = serial_of(load_identity(world.data("a") / KEYS)), dt.datetime.now(dt.UTC)
    async with opened(world, "prefecture") as above:
        above.keys.judge.take_crl(issue_crl(kept[0], number=9, revoked={serial: now}, now=now))
        before = await everything(above)
        with pytest.raises(CourierFault, match="certificate: revoked"):
            await import_stick(above, stick)
        assert await everything(above) == before


async def test_a_neighbour_that_carries_the_statement_does_not_speak_for_the_log(world: World, tmp_path: Path) -> None:
    """As over the line: a genuine statement counts from its owner alone."""
    await with_lost_tail(world)
    await next_epoch(world)
    stick = await stick_of_a(world, tmp_path / "stick")
    made = written_by(world.data("b") / KEYS, stick, tmp_path / "carried", (stick / SUCCESSIONS).read_bytes())
    async with opened(world, "prefecture") as above:
        done = await import_stick(above, made)
        (epoch,) = done.epochs
        assert (epoch.taken, f"{CODES['b']} may not speak for this log" in epoch.words) == (False, True)
        assert (outcome(done, E2), done.refused) == (Outcome.UNKNOWN, True)
        assert await above.read(lambda db: successor_of(db, E1)) is None
        with pytest.raises(LogFault):
            await above.read(lambda db: head(db, E2))


async def test_successions_that_were_changed_after_the_list_was_signed_are_refused(
    world: World, tmp_path: Path
) -> None:
    await with_lost_tail(world)
    await next_epoch(world)
    stick = await stick_of_a(world, tmp_path / "stick")
    (stick / SUCCESSIONS).write_bytes(pack((*unpack((stick / SUCCESSIONS).read_bytes()), b"")))
    async with opened(world, "prefecture") as above:
        before = await everything(above)
        with pytest.raises(CourierFault, match="successions"):
            await import_stick(above, stick)
        assert await everything(above) == before


async def test_another_successor_of_the_same_log_on_a_second_stick_is_evidence_and_freezes_both(
    world: World, tmp_path: Path
) -> None:
    await with_lost_tail(world)
    twin = world.folder / "twin"
    shutil.copytree(world.data("a"), twin, ignore=shutil.ignore_patterns("*.sock"))
    await next_epoch(world)
    first = await stick_of_a(world, tmp_path / "first")
    world.data("a").rename(world.folder / "first-a")
    twin.rename(world.data("a"))
    await next_epoch(world)
    second = await stick_of_a(world, tmp_path / "second")
    (envelope,) = unpack((second / SUCCESSIONS).read_bytes())
    assert parse_statement(unpack(envelope)[0]).new_origin == E2
    async with opened(world, "prefecture") as above:
        assert not (await import_stick(above, first)).refused
        before = await bodies(above, E2)
        done = await import_stick(above, second)
        assert "another successor" in done.epochs[0].words
        assert {one.origin for one in await above.read(misbehaviours)} == {E1, E2}
        assert await above.read(lambda db: {head(db, name).frozen for name in (E1, E2)}) == {"two-branches"}
        assert await bodies(above, E2) == before


async def test_a_stick_of_a_first_epoch_carries_no_succession(world: World, tmp_path: Path) -> None:
    stick = await stick_of_a(world, tmp_path / "stick")
    assert not (stick / SUCCESSIONS).exists()
    assert (stick / "logs" / log_hash(E1)).is_dir()
    (stick / NOTE).write_bytes((stick / NOTE).read_bytes().replace(b"1772000000000", b"1772000000001"))
    async with opened(world, "prefecture") as above:
        with pytest.raises(Tampered):
            await import_stick(above, stick)
