"""By stick on a bad day: kills, a full disk, sticks that come late, and sticks that show what nobody here remembers."""

import asyncio
import hashlib
import os
import random
import secrets
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from node import control
from node.courier import Outcome, import_stick
from node.courier_export import export_stick
from node.domain.incident import RecordIncident
from node.export import TableLog, checkpoint_note
from node.node import Node
from node.settings import Settings
from node.store import connect
from node.views.incident import incidents
from sync.checkpoint import Checkpoint, read, sign
from sync.courier import FILES, NOTE
from sync.log import head, open_log
from sync.note import Signer
from sync.stick import open_stick
from sync.stick_folder import CourierFault
from sync.succession import Statement
from sync.tampered import Tampered
from sync.witness import keep_promise, misbehaviours
from tests.faults.test_courier import (
    CODES,
    OPERATOR,
    ORIGINS,
    ROOT,
    A,
    arrived,
    bodies,
    export,
    opened,
    settings,
)
from tests.faults.test_running_room import mirrored
from web.demo.world import World, make_world
from web.serve import running

from tests.faults.test_running_room import free_base  # isort: skip


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


async def many(node: Node, count: int) -> None:
    """Record entries in one go."""
    commands = (RecordIncident("link-lost", f"第 {n} 条", 1_772_000_000_000, ()) for n in range(count))
    stream = f"room/{node.settings.node}"
    await asyncio.gather(
        *(node.submit(stream, one, command_id=secrets.token_bytes(16), actor=OPERATOR) for one in commands)
    )


async def with_file(node: Node, data: bytes) -> bytes:
    """Let an entry name a file."""
    sha = await asyncio.to_thread(node.blobs.put, data)
    await name_file(node, sha, len(data))
    return sha


async def name_file(node: Node, sha: bytes, size: int) -> None:
    await node.store.write(lambda db: db.execute("INSERT INTO blob_refs VALUES (?, ?, 0, ?)", (sha, A, size)) and None)


def outcome(done, origin: str) -> Outcome:
    return next(one.outcome for one in done.logs if one.origin == origin)


# -- sticks that come late ------------------------------------------------------------------------------------------


async def test_a_stick_older_than_a_promised_checkpoint_still_brings_its_entries(world: World, tmp_path: Path) -> None:
    """The line came up for a moment and brought the newest checkpoint; then the stick of this morning arrives."""
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await many(a, 300)
        await export(a, tmp_path / "morning")
        await many(a, 300)
        note = await a.read(lambda db: checkpoint_note(db, A))

        def promise(db) -> None:
            keep_promise(db, open_log(db, A).log_id, read(note)[0], note)

        await above.store.write(promise)
        assert arrived(await import_stick(above, tmp_path / "morning"), A) == (0, 300)
        held = await above.read(lambda db: head(db, A))
        assert (held.checkpoint_size, held.promised) == (300, 600)
        await export(a, tmp_path / "evening")
        assert arrived(await import_stick(above, tmp_path / "evening"), A) == (300, 600)
        assert await bodies(above, A) == await bodies(a, A)
        late = await import_stick(above, tmp_path / "morning")
        assert (arrived(late, A), outcome(late, A), late.refused) == ((600, 600), Outcome.NOTHING_NEW, False)


@pytest.mark.parametrize("seed", range(2))
async def test_sticks_in_any_order_leave_a_prefix_and_the_newest_one_makes_it_whole(
    world: World, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    async with opened(world, "a") as a, opened(world, "b") as b, opened(world, "prefecture") as above:
        sticks: list[Path] = []
        for step in range(8):
            await many(a, chance.choice([1, 2, 100, 255, 256, 257]))
            stick = tmp_path / f"{step}"
            await export(a, stick, chance.choice(["", "", CODES["prefecture"], CODES["b"]]))
            sticks.append(stick)
            for node in chance.sample([b, above], chance.randint(0, 2)):
                done = await import_stick(node, chance.choice(sticks))
                assert not done.refused
                held, whole = await bodies(node, A), await bodies(a, A)
                assert held == whole[: len(held)]
                if chance.random() < 0.5:
                    await export(node, tmp_path / f"back-{step}-{node.settings.node}")
                    await import_stick(a, tmp_path / f"back-{step}-{node.settings.node}")
        await export(a, tmp_path / "last")
        for node in (b, above):
            assert not (await import_stick(node, tmp_path / "last")).refused
            assert await bodies(node, A) == await bodies(a, A)
            ours, theirs = await a.read(lambda db: head(db, A)), await node.read(lambda db: head(db, A))
            assert (theirs.checkpoint, theirs.root) == (ours.checkpoint, ours.root)


# -- the same by every way ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [3, 257])
async def test_direct_relay_and_courier_deliver_the_same_bytes(world: World, tmp_path: Path, size: int) -> None:
    def alone(name: str, *peers: str) -> Settings:
        mine, up = settings(world, name), f"https://127.0.0.1:{world.sync('prefecture')}"
        known = (one for one in mine.peers if one.name in {CODES[peer] for peer in peers})
        return replace(mine, peers=tuple(replace(one, url=up) if one.kind == "prefecture" else one for one in known))

    async def result(node: Node):
        held = await node.read(lambda db: head(db, A))
        shown = await node.read(incidents)
        return held.checkpoint, held.root, await bodies(node, A), shown

    fresh = tmp_path / "fresh"
    shutil.copytree(world.data("prefecture"), fresh)
    stick = tmp_path / "stick"
    async with opened(world, "a") as a:
        await many(a, size)
        await export(a, stick)
        checkpoint, root = (
            (await a.read(lambda db: head(db, A))).checkpoint,
            (await a.read(lambda db: head(db, A))).root,
        )
        sent = await bodies(a, A)
    found = []
    async with running(alone("prefecture", "a", "b")) as above, running(alone("a", "prefecture")):
        await mirrored(above, "a", size)
        await above.store.write(lambda db: above.recorder.follow(db, A) and None)
        found.append(await result(above))
    shutil.rmtree(world.data("prefecture"))
    shutil.copytree(fresh, world.data("prefecture"))
    async with running(alone("b", "a", "prefecture")) as b, running(alone("a", "b")):
        await mirrored(b, "a", size)
    async with running(alone("prefecture", "a", "b")) as above, running(alone("b", "a", "prefecture")):
        await mirrored(above, "a", size)
        await above.store.write(lambda db: above.recorder.follow(db, A) and None)
        found.append(await result(above))
    shutil.rmtree(world.data("prefecture"))
    shutil.copytree(fresh, world.data("prefecture"))
    async with opened(world, "prefecture") as above:
        await import_stick(above, stick)
        found.append(await result(above))
    assert found[0] == found[1] == found[2]
    assert found[2][:3] == (checkpoint, root, sent)


# -- what the stick remembers and the node does not -----------------------------------------------------------------


async def test_a_closed_log_is_not_taken_beyond_the_size_at_which_another_follows(world: World, tmp_path: Path) -> None:
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await many(a, 9)
        await export(a, tmp_path / "stick")
        root = (await a.read(lambda db: head(db, A))).root
        public, e2 = a.keys.public(), A.replace("/e1", "/e2")
        follows = Statement(
            node=CODES["a"],
            old_origin=A,
            old_vkey=public.log_vkey,
            new_origin=e2,
            log_vkey=str(Signer.from_seed(e2, bytes(32)).vkey),
            cosigner_vkey=public.cosigner_vkey,
            witness_vkey=public.witness_vkey,
            sealing_public="",
            size=5,
            root=root,
            fence_size=5,
            lost=0,
            cause="restore",
            first_leaf=bytes(32),
            at_ms=1,
        )
        row = (A, follows.new_origin, follows.pack(), b"", 1)
        await above.store.write(
            lambda db: (
                db.execute(
                    "INSERT INTO successions (old_origin, new_origin, statement, envelope, at_ms) VALUES (?, ?, ?, ?, ?)",
                    row,
                )
                and None
            )
        )
        done = await import_stick(above, tmp_path / "stick")
        found = next(one for one in done.logs if one.origin == A)
        assert (found.outcome, found.after) == (Outcome.REFUSED, 0)
        assert "closed at 5 entries" in found.words


async def test_two_histories_on_two_sticks_are_evidence_and_freeze_the_log(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TableLog, "covered", lambda _log, _checkpoint: None)  # as a hostile writer does
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await many(a, 5)
        await export(a, tmp_path / "one")
        await import_stick(above, tmp_path / "one")
        before = await bodies(above, A)

        def other(db) -> None:
            log = open_log(db, A)
            note = sign(Checkpoint(A, 5, bytes(32)), a.keys.log_signer)
            db.execute("UPDATE logs SET checkpoint = ? WHERE log_id = ?", (note, log.log_id))

        await a.store.write(other)
        await export(a, tmp_path / "two")
        done = await import_stick(above, tmp_path / "two")
        assert (outcome(done, A), await bodies(above, A)) == (Outcome.REFUSED, before)
        assert (await above.read(lambda db: head(db, A))).frozen is not None


async def test_a_changed_file_is_named_with_what_was_listed_and_what_is_there(world: World, tmp_path: Path) -> None:
    async with opened(world, "a") as a, opened(world, "b") as b:
        await many(a, 5)
        await export(a, tmp_path / "stick")
        bundle = next((tmp_path / "stick").glob("logs/*/tile/entries/000.p/5"))
        listed = hashlib.sha256(bundle.read_bytes()).hexdigest()
        bundle.write_bytes(bundle.read_bytes()[:-1] + b"?")
        found = next(one for one in (await import_stick(b, tmp_path / "stick")).logs if one.origin == A)
        assert (found.outcome, found.after) == (Outcome.REFUSED, 0)
        there = hashlib.sha256(bundle.read_bytes()).hexdigest()
        assert found.words.endswith(f"tile/entries/000.p/5 (expected {listed}, got {there})")


async def test_a_stick_damaged_anywhere_brings_a_prefix_or_nothing_and_a_whole_one_the_rest(
    world: World, tmp_path: Path
) -> None:
    chance = random.Random(7)
    async with opened(world, "a") as a, opened(world, "b") as b:
        for _ in range(2):
            await many(a, 300)
            await export(a, tmp_path / "whole")
            files = sorted(one for one in (tmp_path / "whole").rglob("*") if one.is_file())
            for file in (*files, *files):
                bad = tmp_path / "bad"
                shutil.rmtree(bad, ignore_errors=True)
                shutil.copytree(tmp_path / "whole", bad)
                target, data = bad / file.relative_to(tmp_path / "whole"), bytearray(file.read_bytes())
                at = chance.randrange(len(data))
                data[at] ^= 1 << chance.randrange(8)
                target.write_bytes(data if chance.random() < 0.5 else data[:at])
                if chance.random() < 0.2:
                    target.unlink()
                try:
                    done = await import_stick(b, bad)
                except (CourierFault, Tampered):
                    done = None
                held, whole = await bodies(b, A), await bodies(a, A)
                assert held == whole[: len(held)]
                assert done is None or not done.overtaken
            assert not (await import_stick(b, tmp_path / "whole")).refused
            assert await bodies(b, A) == await bodies(a, A)
        assert (await b.read(lambda db: head(db, A))).frozen is None
        assert await b.read(misbehaviours) == ()


# -- kills, and no room ---------------------------------------------------------------------------------------------

SMALL_STEPS = "import sync.follow, sys; sync.follow._BATCH = 1; from erhai import main; main()"
DIES = (
    "import os, sync.stick_folder as f, signal; left = {left}; real = os.rename\n"
    "def rename(*a, **k):\n"
    "    global left; left -= 1\n"
    "    if left < 0: os.kill(os.getpid(), signal.SIGKILL)\n"
    "    real(*a, **k)\n"
    "os.rename = rename\n"
    "from erhai import main; main()"
)


def erhai(world: World, node: str, verb: str, *arguments: str, code: str = SMALL_STEPS, fault: str = ""):
    return subprocess.run(
        [sys.executable, "-c", code, "courier", verb, "--data", str(world.data(node)), *arguments],
        cwd=ROOT,
        env={**os.environ, "ERHAI_FAULT": fault},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


async def test_an_import_killed_at_any_step_goes_on_and_shows_nothing_half(world: World, tmp_path: Path) -> None:
    stick = str(tmp_path / "stick")
    async with opened(world, "a") as a:
        await many(a, 700)
        await with_file(a, secrets.token_bytes(100_000))
        await export(a, tmp_path / "stick")
        whole = await bodies(a, A)
    sizes = []
    for point in ("before-commit:4", "after-commit:4", "group-flushed:1", "before-commit:3", "after-commit:3"):
        killed = await asyncio.to_thread(erhai, world, "b", "import", stick, fault=point)
        if killed.returncode == 0:
            continue
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        db = connect(world.data("b") / "erhai.db", readonly=True)
        if A in [row[0] for row in db.execute("SELECT origin FROM logs")]:
            held = head(db, A)
            count = db.execute("SELECT count(*) FROM entries WHERE log_id = ?", (held.log_id,)).fetchone()[0]
            assert count == held.size
            sizes.append(held.size)
        db.close()
    assert sizes == sorted(sizes)
    assert any(0 < size < 700 for size in sizes)
    done = await asyncio.to_thread(erhai, world, "b", "import", stick)
    assert done.returncode == 0, done.stderr
    async with opened(world, "b") as b:
        assert await bodies(b, A) == whole


async def test_an_export_killed_at_any_file_is_no_stick_and_goes_on_without_writing_again(
    world: World, tmp_path: Path
) -> None:
    stick = tmp_path / "stick"
    async with opened(world, "a") as a:
        await many(a, 300)
    written: dict[Path, int] = {}
    for left in (0, 1, 3, 4):
        killed = await asyncio.to_thread(erhai, world, "a", "export", "-o", str(stick), code=DIES.format(left=left))
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        with pytest.raises(CourierFault) as refused:
            open_stick(stick, {})
        assert (refused.value.why, refused.value.what) == ("incomplete", NOTE)
        now = {one: one.stat().st_mtime_ns for one in stick.rglob("*") if one.is_file() and one.suffix != ".part"}
        assert written.items() <= now.items()
        written = now
    done = await asyncio.to_thread(erhai, world, "a", "export", "-o", str(stick))
    assert done.returncode == 0, done.stderr
    kept = {one: one.stat().st_mtime_ns for one in written if one.name not in {NOTE, FILES}}
    assert kept == {one: time for one, time in written.items() if one in kept}
    assert not list(stick.rglob("*.part"))
    async with opened(world, "b") as b:
        assert arrived(await import_stick(b, stick), A) == (0, 300)


async def test_without_room_nothing_is_taken_and_the_next_time_everything_is(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(world, "a") as a, opened(world, "b") as b:
        await many(a, 5)
        sha = await with_file(a, b"sealed")
        await export(a, tmp_path / "stick")
        await name_file(b, sha, 6)
        monkeypatch.setattr("node.courier._room", lambda _node: 0)
        done = await import_stick(b, tmp_path / "stick")
        assert (outcome(done, A), done.refused, done.whole) == (Outcome.LATER, False, False)
        assert (await bodies(b, A), b.blobs.has(sha)) == ([], False)
        monkeypatch.undo()
        done = await import_stick(b, tmp_path / "stick")
        assert (arrived(done, A), done.blobs, done.whole) == ((0, 5), 1, True)


async def test_a_damaged_file_or_log_here_is_said_and_keeps_nothing_else_back(world: World, tmp_path: Path) -> None:
    async with opened(world, "a") as a, opened(world, "b") as b:
        await many(a, 5)
        await many(b, 5)
        bad, good = await with_file(a, b"sealed one"), await with_file(a, b"sealed two")
        await export(b, tmp_path / "b")
        await import_stick(a, tmp_path / "b")
        a.blobs.path(bad).write_bytes(b"sealed 0ne")

        def damage(db) -> None:
            db.execute("DELETE FROM entries WHERE seq = 3 AND log_id = ?", (open_log(db, ORIGINS["b"]).log_id,))

        await a.store.write(damage)
        stick = tmp_path / "stick"
        done = await a.read(lambda db: export_stick(db, a.settings, a.keys, a.blobs, stick, at_ms=1))
        assert done.missing_blobs == (bad.hex(),)
        assert [(one.origin, one.what) for one in done.missing_logs] == [(ORIGINS["b"], "missing-entries")]
        assert [one.name for one in (stick / "blobs").iterdir()] == [good.hex()]
        async with opened(world, "prefecture") as above:
            assert arrived(await import_stick(above, stick), A) == (0, 5)


async def test_a_file_longer_than_its_entry_says_is_refused_and_leaves_nothing(world: World, tmp_path: Path) -> None:
    async with opened(world, "a") as a, opened(world, "b") as b:
        await many(a, 1)
        sha = await with_file(a, b"sealed")
        await export(a, tmp_path / "stick")
        await name_file(b, sha, 6)
        (tmp_path / "stick" / "blobs" / sha.hex()).write_bytes(b"sealed" + bytes(5_000_000))
        done = await import_stick(b, tmp_path / "stick")
        assert (done.refused, b.blobs.has(sha), list((b.blobs.folder / "incoming").iterdir())) == (True, False, [])


async def test_a_running_node_tells_its_progress_before_its_answer(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.follow._BATCH", 1)
    async with opened(world, "a") as a:
        await many(a, 700)
        await export(a, tmp_path / "stick")
    heard: list[dict] = []
    async with running(settings(world, "prefecture")) as above:
        answer = await control.ask(world.data("prefecture"), {"courier": str(tmp_path / "stick")}, heard.append)
        assert await bodies(above, A) != []
        shown = len(await above.read(incidents))
    assert answer is not None
    assert answer["logs"][0]["after"] == 700
    done = [one["progress"][1] for one in heard if one["progress"][0] == A]
    assert (done, len(done) >= 3, done[-1]) == (sorted(done), True, 700)
    assert shown == 700
