"""One randomised disaster and its end: `drill(folder, world, seed)` plays it and checks that nothing forked.

A seed decides how much was recorded, when the backup was taken, what of it the neighbour holds, what happens to the disk,
and whether the neighbour answers afterwards. `python -m tests.faults.restore_drill COUNT [FIRST]` plays many.
"""

import asyncio
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import apsw

from node.backup import restore_node
from node.check import check
from node.domain.incident import RecordIncident
from node.domain.refused import Refused
from node.domain.values import Actor, Role
from node.epoch import open_epoch
from node.litestream import environment, program, write_config
from node.node import Node
from node.presence import Shown
from node.settings import Replica, Settings, load_settings
from node.start import DATABASE, FENCE, KEYS
from node.store import connect
from node.successions import known_successions, log_keys
from sync.keys import load_public
from sync.log import TableHashes, head, origins, size_of
from sync.merkle import tree_root
from sync.witness import misbehaviours
from tests.faults.test_running_room import free_base, until
from web.demo import cast
from web.demo.world import World, make_world
from web.serve import running

ACTOR = Actor("O-01", Role.OPERATOR)
PERSONS = tuple(no for no, _, role in cast.STAFF if role in {"operator", "supervisor"})[:2]
PRESENT = (Shown(PERSONS[0], "1234"), Shown(PERSONS[1], "1234"))
SIDES = ("", "-wal", "-shm")
KINDS = (
    "old-copy",
    "old-disk",
    "restore",
    "swapped-disk",
    "swapped-disk-no-backup",
    "clone",
    "flipped-bit",
    "torn-wal",
)
LIMIT_S = 60


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a drill ended: active (nothing was lost, or healed) or new-epoch; how long the node took."""

    seed: int
    kind: str
    neighbour: bool
    end: str
    lost: int
    seconds: float


@dataclass
class Room:
    """Two neighbours in a folder; `a` suffers."""

    world: World
    rng: random.Random
    acknowledged: int = 0

    @property
    def data(self) -> Path:
        """Return node a's data folder."""
        return self.world.data("a")

    def settings(self, node: str) -> Settings:
        """Return settings with the room's neighbours only: the prefecture is far away today."""
        found = load_settings(self.world.data(node) / "erhai.toml")
        peers = tuple(peer for peer in found.peers if peer.kind == "room")
        replicas = (Replica("disk", "file", str(self.world.folder / "copies")),)
        return (
            replace(found, peers=peers, replicas=(), witness="preferred")
            if node == "b"
            else replace(found, peers=peers, witness="preferred", replicas=replicas)
        )

    @contextlib.asynccontextmanager
    async def up(self, settings: Settings) -> AsyncIterator[Node]:
        """Run a node without its Litestream; backups are taken at moments of the drill's choosing."""
        async with running(replace(settings, replicas=())) as node:
            yield node

    async def record(self, node: Node, count: int) -> None:
        """Record incidents one after the other, in groups of chance."""
        left = count
        while left:
            group = min(left, self.rng.choice((1, 1, 3, 10)))
            await asyncio.gather(*(_incident(node, self.rng) for _ in range(group)))
            left -= group

    def remove(self, *, fence: bool = False) -> None:
        """Lose the database, and the fence."""
        for side in SIDES:
            (self.data / f"{DATABASE}{side}").unlink(missing_ok=True)
        shutil.rmtree(self.data / f".{DATABASE}-litestream", ignore_errors=True)
        if fence:
            (self.data / FENCE).unlink()


async def _incident(node: Node, rng: random.Random) -> None:
    command = RecordIncident("other", f"第 {rng.randrange(10**9)} 号", node.clock.now().at_ms, ())
    await node.submit(f"room/{node.settings.node}", command, command_id=rng.randbytes(16), actor=ACTOR)


async def _mirrored(node: Node, origin: str, size: int) -> None:
    while await node.read(lambda db: size_of(db, origin)) < size:  # noqa: ASYNC110 - another node's state
        await asyncio.sleep(0.02)


async def drill(folder: Path, template: World, seed: int) -> Outcome:
    """Play one disaster. Raises AssertionError where something forked, was lost that a neighbour held, or never ended."""
    rng = random.Random(seed)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(template.folder, folder)
    room = Room(World(folder, template.port), rng)
    kind = rng.choice(KINDS)
    # Nobody can know that a whole disk, fence included, went back unless somebody else remembers; a clone needs a witness.
    answers = kind in {"old-disk", "clone"} or rng.random() < 0.7
    async with asyncio.timeout(LIMIT_S * 3):  # the drill itself must end too
        await _before(room, witnessed=kind in {"old-disk", "clone"} or rng.random() < 0.7)
        began = time.monotonic()
        async with asyncio.timeout(LIMIT_S):
            end, lost = await _after(room, kind, answers=answers)
    seconds = time.monotonic() - began
    async with room.up(room.settings("b")):
        pass  # entries that arrived in the last moment are projected at the next start
    _nothing_forked(room, clone=kind == "clone")
    return Outcome(seed, kind, answers, end, lost, round(seconds, 2))


async def _before(room: Room, *, witnessed: bool) -> None:
    """Record, take every kind of backup, record more; the neighbour holds the last entries or does not."""
    origin = room.settings("a").origin
    async with room.up(room.settings("b")) as b:
        async with room.up(room.settings("a")) as a:
            first = room.rng.randrange(1, 30)
            await room.record(a, first)
            await _mirrored(b, origin, first)
        backup = room.world.folder / "backup"
        shutil.copytree(room.data, backup, ignore=shutil.ignore_patterns("*.sock"))
        config = write_config(room.data, room.settings("a").replicas[0])
        await asyncio.to_thread(
            subprocess.run,
            [program(), "replicate", "-config", str(config), "-no-expand-env", "-once"],
            check=True,
            capture_output=True,
            env=environment(),
            timeout=30,
        )
        more = room.rng.randrange(0, 25)
        room.acknowledged = first + more
        if witnessed:
            async with room.up(room.settings("a")) as a:
                await room.record(a, more)
                await _mirrored(b, origin, first + more)
    if not witnessed:
        async with room.up(room.settings("a")) as a:
            await room.record(a, more)


async def _after(room: Room, kind: str, *, answers: bool) -> tuple[str, int]:
    async with contextlib.AsyncExitStack() as stack:
        if answers:
            await stack.enter_async_context(room.up(room.settings("b")))
        if kind == "clone":
            await _run_clones(room)
        else:
            await _disaster(room, kind)
        if await _goes_on(room):
            return "active", 0
        cause = "restore" if kind in {"old-copy", "old-disk", "restore"} else "damage"
        try:
            opened = await open_epoch(room.settings("a"), PRESENT, cause)
        except Refused as refused:
            if refused.code == "epoch-not-needed" and await _goes_on(room):
                return "active", 0  # a slow machine: the last attempt before the act has healed it
            if refused.code != "epoch-branch-away":
                raise
            opened = await open_epoch(room.settings("a"), PRESENT, cause, alone=True)  # two persons say: nobody has it
        assert await _goes_on(room), "a new epoch must go on"
        return "new-epoch", opened.proven.lost


async def _disaster(room: Room, kind: str) -> None:
    backup = room.world.folder / "backup"
    match kind:
        case "old-copy":
            room.remove()
            shutil.copy(backup / DATABASE, room.data / DATABASE)
        case "old-disk":
            shutil.rmtree(room.data)
            shutil.copytree(backup, room.data)
        case "restore":
            await restore_node(room.settings("a"), "disk")
        case "swapped-disk":
            room.remove(fence=True)
            await restore_node(room.settings("a"), "disk")
        case "swapped-disk-no-backup":
            room.remove(fence=room.rng.random() < 0.5)
            await restore_node(room.settings("a"), "peers")
        case "flipped-bit":
            _flip_entry(room)
        case "torn-wal":
            room.remove()
            shutil.copy(backup / DATABASE, room.data / DATABASE)
            (room.data / f"{DATABASE}-wal").write_bytes(room.rng.randbytes(room.rng.randrange(4_000)))
        case _:
            raise AssertionError(kind)


def _flip_entry(room: Room) -> None:
    db = connect(room.data / DATABASE)
    seq = room.rng.randrange(room.acknowledged)
    (body,) = db.execute("SELECT body FROM entries WHERE log_id = 1 AND seq = ?", (seq,)).fetchone()
    broken = bytearray(body)
    broken[room.rng.randrange(len(broken))] ^= 1 << room.rng.randrange(8)
    db.execute("UPDATE entries SET body = ? WHERE log_id = 1 AND seq = ?", (bytes(broken), seq))
    db.close()


async def _run_clones(room: Room) -> None:
    """The copy of the disk comes up beside the original; both record."""
    twin = room.world.folder / "twin"
    shutil.copytree(room.data, twin, ignore=shutil.ignore_patterns("*.sock"))
    port = room.world.port
    other = replace(room.settings("a"), data=twin, pages_port=port + 30, sync_port=port + 31)
    async with room.up(room.settings("a")) as a, room.up(other) as a2:
        async with asyncio.timeout(30):
            while "closed" not in {a.gate.cause, a2.gate.cause}:
                # One that has appended nothing yet may heal from the other and follow it for a while: no fork so far.
                await asyncio.gather(_incident(a, room.rng), _incident(a2, room.rng), return_exceptions=True)
                await asyncio.sleep(0.1)
            # A node stops in memory at once; its proof is on the disk a commit later.
            while not (await a.read(misbehaviours) or await a2.read(misbehaviours)):  # noqa: ASYNC110 - another process's
                await asyncio.sleep(0.02)


async def _goes_on(room: Room) -> bool:
    """Start node a; once nothing more heals by itself, try to record."""
    async with room.up(room.settings("a")) as a:
        with contextlib.suppress(TimeoutError):
            await until(lambda: a.stopped is None or not a.gate.healable, 1.5)
        if a.stopped is not None:
            return False
        await room.record(a, room.rng.randrange(1, 4))
        return True


def _nothing_forked(room: Room, *, clone: bool) -> None:
    """Whatever both neighbours hold of one log is one history, nothing that b holds is missing at a, every view follows."""
    a, b = (connect(room.world.data(node) / DATABASE, readonly=True) for node in ("a", "b"))
    try:
        for origin in set(origins(a)) & set(origins(b)):
            if clone and origin.endswith("/a/e1"):
                continue  # two branches: both kept, both proven; the next lines say so
            size = min(size_of(a, origin), size_of(b, origin))
            assert tree_root(TableHashes(a, origin), size) == tree_root(TableHashes(b, origin), size), origin
        assert clone or misbehaviours(b) == ()
        for node, db in (("a", a), ("b", b)):
            public = load_public(room.world.data(node) / KEYS / "public.json")
            keys = log_keys(room.settings(node), public.log_vkey, known_successions(db))
            found = check(db, public.origin, keys).differences
            closed = {one.old_origin for one in known_successions(db)}
            open_damage = [one for one in found if not any(name in one.where for name in closed)]
            assert open_damage == [], open_damage
        assert head(a, load_public(room.data / KEYS / "public.json").origin).frozen is None
    finally:
        a.close()
        b.close()


async def main(count: int, first: int) -> int:
    """Play many drills, print each and the sum."""
    folder = Path(tempfile.mkdtemp(prefix="erhai-drills-"))
    template = make_world(folder / "template", free_base())
    outcomes: list[Outcome] = []
    failed: list[int] = []
    for seed in range(first, first + count):
        try:
            outcome = await drill(folder / "drill", template, seed)
        except Exception:  # noqa: BLE001 - whatever it is, it is this seed's find
            failed.append(seed)
            print(f"seed {seed}:\n{traceback.format_exc()}", flush=True)
            continue
        outcomes.append(outcome)
        print(outcome, flush=True)
    ends = Counter((one.kind, one.end) for one in outcomes)
    for (kind, end), number in sorted(ends.items()):
        print(f"{kind:24} {end:10} {number}")
    slowest = max(one.seconds for one in outcomes)
    print(
        f"{len(outcomes)} drills ended active or in a new epoch, none forked, slowest {slowest} s; failed: {failed or 'none'}"
    )
    shutil.rmtree(folder)
    return 1 if failed else 0


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    os.nice(10)
    assert apsw.sqlite_lib_version()
    sys.exit(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 0)))
