"""Killing a node anywhere inside a command loses nothing acknowledged and shows nothing half."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from small_node import NODE, ORIGIN, make, opened  # type: ignore[import-not-found]

from node.check import check
from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.faultpoints import POINTS
from node.start import DATABASE, KEYS
from node.store import connect
from node.views.incident import incidents
from sync.keys import load_public
from sync.log import head
from sync.note import VerifierKey

CHILD = Path(__file__).parent / "busy_child.py"
ROOT = Path(__file__).parents[2]
COMMAND_POINTS = tuple(point for point in POINTS if point not in {"mirror-stored", "blob-written"})


def run_child(folder: Path, first: int, count: int, at_once: int, fault: str) -> tuple[int, dict[int, tuple[int, str]]]:
    done = subprocess.run(
        [sys.executable, str(CHILD), str(folder), str(first), str(count), str(at_once)],
        env={**os.environ, "ERHAI_FAULT": fault, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        timeout=60,
        check=False,
    )
    lines = [line.split() for line in done.stdout.decode().splitlines()]
    acknowledged = {int(n): (int(seq), leaf) for n, seq, leaf in (line for line in lines if len(line) == 3)}
    return done.returncode, acknowledged


def assert_clean(folder: Path) -> int:
    db = connect(folder / DATABASE, readonly=True)
    vkey = VerifierKey.parse(load_public(folder / KEYS / "public.json").log_vkey)
    result = check(db, ORIGIN, {ORIGIN: vkey})
    assert result.differences == ()
    size = head(db, ORIGIN).size
    assert len(incidents(db)) == size
    db.close()
    return size


@pytest.mark.parametrize("at_once", [1, 5])
@pytest.mark.parametrize("point", COMMAND_POINTS)
async def test_a_kill_at_this_point_loses_nothing_acknowledged_and_shows_nothing_half(
    tmp_path: Path, point: str, at_once: int
) -> None:
    make(tmp_path)
    # Some points are passed once a command, some once a group: the third passage exists for all of them.
    status, acknowledged = run_child(tmp_path, 100, 30, at_once, f"{point}:3")
    assert status == -signal.SIGKILL
    assert len(acknowledged) < 30

    size_before = assert_clean(tmp_path)
    node = opened(tmp_path)
    assert node.stopped is None
    actor = Actor("O-01", Role.OPERATOR)
    for n, (seq, leaf) in acknowledged.items():
        again = await node.submit(
            f"room/{NODE}",
            RecordIncident("other", f"第 {n} 次", 1_772_000_000_000, ()),
            command_id=n.to_bytes(16, "big"),
            actor=actor,
        )
        assert (again.seq, again.leaf.hex()) == (seq, leaf)
    for n in range(100, 115):
        await node.submit(
            f"room/{NODE}",
            RecordIncident("other", f"第 {n} 次", 1_772_000_000_000, ()),
            command_id=n.to_bytes(16, "big"),
            actor=actor,
        )
    await node.close()
    assert size_before >= len(acknowledged)
    assert assert_clean(tmp_path) == 15
