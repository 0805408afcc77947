"""By stick: the same bytes as over the line, whole or not at all, believed by nobody's word."""

import asyncio
import hashlib
import json
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node.courier import Imported, Outcome, import_stick
from node.courier_export import export_stick
from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.node import Node
from node.start import open_node
from node.store import connect
from node.views import blobs as blobs_view
from sync.courier import FILES, NOTE, LogPart
from sync.log import LogFault, head, read_bodies, size_of
from sync.receiver import log_hash
from sync.stick import StickWriter
from sync.stick_folder import CourierFault
from sync.tampered import Tampered
from tests.faults.test_running_room import free_base, settings
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running

ROOT = Path(__file__).parents[2]
OPERATOR = Actor("O-01", Role.OPERATOR)
A = ORIGINS["a"]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


@asynccontextmanager
async def opened(world: World, name: str) -> AsyncIterator[Node]:
    """A node without any line."""
    node = open_node(settings(world, name))
    try:
        yield node
    finally:
        await node.close()


async def record(node: Node, count: int) -> None:
    for number in range(count):
        command = RecordIncident("link-lost", f"第 {number} 条", 1_772_000_000_000, ())
        await node.submit(f"room/{node.settings.node}", command, command_id=secrets.token_bytes(16), actor=OPERATOR)


async def export(node: Node, stick: Path, for_node: str = "") -> None:
    await node.read(
        lambda db: export_stick(
            db, node.settings, node.keys, node.blobs, stick, at_ms=1_772_000_000_000, for_node=for_node
        )
    )


async def bodies(node: Node, origin: str) -> list[bytes]:
    def held(db) -> list[bytes]:
        try:
            return [body for _, body in read_bodies(db, origin, 0, size_of(db, origin))]
        except LogFault:
            return []

    return await node.read(held)


def arrived(done: Imported, origin: str) -> tuple[int, int]:
    found = next(one for one in done.logs if one.origin == origin)
    return found.before, found.after


async def test_a_stick_brings_the_same_bytes_and_twice_brings_nothing_new(world: World, tmp_path: Path) -> None:
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await record(a, 300)
        await export(a, tmp_path / "stick")
        done = await import_stick(above, tmp_path / "stick")
        assert arrived(done, A) == (0, 300)
        assert not done.refused
        assert await bodies(above, A) == await bodies(a, A)
        again = await import_stick(above, tmp_path / "stick")
        assert arrived(again, A) == (300, 300)
        assert not again.refused


async def test_a_stick_for_one_node_holds_only_what_it_lacks_and_its_word_comes_back(
    world: World, tmp_path: Path
) -> None:
    first, second, back = tmp_path / "first", tmp_path / "second", tmp_path / "back"
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await record(a, 600)
        await export(a, first)
        await import_stick(above, first)
        await export(above, back)
        returned = await import_stick(a, back)
        own = next(one for one in returned.logs if one.origin == A)
        assert (own.outcome, own.words) == (Outcome.OWN, "cosigned at 600 by 1")
        assert (await a.reach(A, 599)).received
        await record(a, 10)
        await export(a, second, CODES["prefecture"])
        assert not list(second.glob("logs/*/tile/entries/000"))
        assert list(second.glob("logs/*/tile/entries/002.p/*"))
        assert arrived(await import_stick(above, second), A) == (600, 610)
        assert await bodies(above, A) == await bodies(a, A)


async def test_a_stick_that_begins_after_what_is_held_says_so_and_changes_nothing(world: World, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await record(a, 300)
        await export(a, tmp_path / "full")
        await import_stick(above, tmp_path / "full")
        await export(above, tmp_path / "back")
        await import_stick(a, tmp_path / "back")
        await record(a, 300)
        await export(a, stick, CODES["prefecture"])
    async with opened(world, "b") as b:
        done = await import_stick(b, stick)
        found = next(one for one in done.logs if one.origin == A)
        assert (found.after, found.outcome, found.words) == (0, Outcome.GAP, "begins at 256")


async def test_what_travels_by_a_third_node_is_unchanged(world: World, tmp_path: Path) -> None:
    async with opened(world, "a") as a, opened(world, "b") as b, opened(world, "prefecture") as above:
        await record(a, 40)
        await export(a, tmp_path / "one")
        await import_stick(b, tmp_path / "one")
        await export(b, tmp_path / "two")
        done = await import_stick(above, tmp_path / "two")
        assert done.writer == ORIGINS["b"]
        assert await bodies(above, A) == await bodies(a, A)
        assert (await above.read(lambda db: head(db, A))).checkpoint_size == 40


async def test_files_that_entries_name_come_along_and_others_do_not(world: World, tmp_path: Path) -> None:
    data, stick = b"sealed bid", tmp_path / "stick"
    async with opened(world, "a") as a, opened(world, "b") as b:
        sha = a.blobs.put(data)
        row = (sha, A, 0, len(data))
        await a.store.write(lambda db: db.execute("INSERT INTO blob_refs VALUES (?, ?, ?, ?)", row) and None)
        await export(a, stick)
        passed = await import_stick(b, stick)
        assert (passed.blobs, passed.blobs_passed) == (0, (sha.hex(),))
        await b.store.write(lambda db: db.execute("INSERT INTO blob_refs VALUES (?, ?, ?, ?)", row) and None)
        assert await b.read(lambda db: blobs_view.wanted_size(db, sha)) == len(data)
        (stick / "blobs" / sha.hex()).write_bytes(b"sealed lie")
        refused = await import_stick(b, stick)
        assert (refused.refused, b.blobs.has(sha)) == (True, False)
        (stick / "blobs" / sha.hex()).write_bytes(data)
        assert (await import_stick(b, stick)).blobs == 1
        assert b.blobs.get(sha) == data


def _cut_list(stick: Path) -> None:
    (stick / NOTE).unlink()


def _other_list(stick: Path) -> None:
    (stick / FILES).write_bytes((stick / FILES).read_bytes().replace(b" ", b"  ", 1))


def _path_trick(stick: Path) -> None:
    line = f"{hashlib.sha256(b'x').hexdigest()} 1 ../../etc/passwd\n".encode()
    (stick / FILES).write_bytes((stick / FILES).read_bytes() + line)


def _huge_note(stick: Path) -> None:
    (stick / NOTE).write_bytes(b"x" * 100_000)


def _no_note(stick: Path) -> None:
    (stick / NOTE).write_bytes(b"\xff\xfe not a note")


@pytest.mark.parametrize("harm", [_cut_list, _other_list, _path_trick, _huge_note, _no_note])
async def test_a_stick_whose_list_is_not_whole_is_refused_as_a_whole(
    world: World, tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    async with opened(world, "a") as a, opened(world, "b") as b:
        await record(a, 3)
        await export(a, tmp_path / "stick")
        harm(tmp_path / "stick")
        with pytest.raises(CourierFault):
            await import_stick(b, tmp_path / "stick")
        assert await bodies(b, A) == []


async def test_a_list_signed_by_another_hand_or_of_a_stranger_is_refused(world: World, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    async with opened(world, "a") as a, opened(world, "b") as b:
        await record(a, 3)
        await export(a, stick)
        note = (stick / NOTE).read_bytes()
        (stick / NOTE).write_bytes(note.replace(b"1772000000000", b"1772000000001"))
        with pytest.raises(Tampered):
            await import_stick(b, stick)
        (stick / NOTE).write_bytes(note.replace(A.encode(), b"evil.example/x/e1"))
        with pytest.raises(CourierFault) as stranger:
            await import_stick(b, stick)
        assert stranger.value.why == "unknown-writer"
        assert await bodies(b, A) == []


async def test_a_neighbour_that_changes_a_mirrored_log_on_its_stick_is_found_and_no_entry_of_it_is_kept(
    world: World, tmp_path: Path
) -> None:
    """The list is signed by a known node and fits; the log's own key decides."""
    stick = tmp_path / "stick"
    async with opened(world, "a") as a, opened(world, "b") as b, opened(world, "prefecture") as above:
        await record(a, 5)
        await export(a, stick)
        bundle = next(stick.glob("logs/*/tile/entries/000.p/5"))
        changed = bundle.read_bytes().replace("第 3 条".encode(), "第 9 条".encode())
        assert changed != bundle.read_bytes()
        forged = tmp_path / "forged"
        writer = StickWriter(forged, ORIGINS["b"])
        for file in (one for one in stick.rglob("*") if one.is_file() and one.name not in {NOTE, FILES}):
            data = changed if file == bundle else file.read_bytes()
            writer.add(file.relative_to(stick).as_posix(), data)
        writer.add_log(LogPart(log_hash(A), 0, 5))
        writer.finish(1, b.keys.log_signer)
        done = await import_stick(above, forged)
        found = next(one for one in done.logs if one.origin == A)
        assert (found.after, found.refused) == (0, True)
        assert "changed-entry" in found.words


async def test_an_export_that_was_cut_is_gone_on_with_and_a_full_stick_says_so(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stick = tmp_path / "stick"
    async with opened(world, "a") as a, opened(world, "b") as b:
        await record(a, 5)
        add = StickWriter.add

        def full(self: StickWriter, name: str, data: bytes) -> None:
            if "entries" in name:
                raise CourierFault("unwritable", name, "No space left on device")
            add(self, name, data)

        monkeypatch.setattr(StickWriter, "add", full)
        with pytest.raises(CourierFault, match="No space left"):
            await export(a, stick)
        monkeypatch.setattr(StickWriter, "add", add)
        with pytest.raises(CourierFault) as unfinished:
            await import_stick(b, stick)
        assert unfinished.value.why == "incomplete"
        await export(a, stick)
        assert arrived(await import_stick(b, stick), A) == (0, 5)
        (stick / "holiday.jpg").write_bytes(b"x")
        with pytest.raises(CourierFault) as strange:
            await export(a, stick)
        assert (strange.value.why, strange.value.detail) == ("not-empty", "holiday.jpg")


def erhai(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "erhai", "courier", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_the_command_line_exports_and_imports_beside_a_running_node_and_a_stopped_one(
    world: World, tmp_path: Path
) -> None:
    stick = str(tmp_path / "stick")
    async with running(replace(settings(world, "a"), peers=())) as a:
        await record(a, 4)
        out = await asyncio.to_thread(erhai, "export", "--data", str(world.data("a")), "-o", stick)
        assert (out.returncode, out.stderr) == (0, "")
    stopped = await asyncio.to_thread(erhai, "import", "--data", str(world.data("b")), stick, "--json")
    assert stopped.returncode == 0, stopped.stderr
    assert json.loads(stopped.stdout)["logs"][0]["after"] == 4
    async with running(settings(world, "prefecture")) as above:
        live = await asyncio.to_thread(erhai, "import", "--data", str(world.data("prefecture")), stick)
        assert live.returncode == 0, live.stderr
        assert len(await bodies(above, A)) == 4
        assert "拒收" not in live.stdout
        unknown = erhai("export", "--data", str(world.data("a")), "-o", stick, "--for", "nobody")
        assert unknown.returncode == 2
        assert CODES["prefecture"] in unknown.stderr
    db = connect(world.data("b") / "erhai.db", readonly=True)
    assert size_of(db, A) == 4
    db.close()
