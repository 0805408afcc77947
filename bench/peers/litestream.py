"""Litestream 0.5 with a file replica: what is missing after the node was killed and its disk is gone, beside a neighbour's mirror.

What it does not do: tell the node what has arrived before the node acknowledges, prove what it holds, name who wrote it.
`defaults` is its own configuration (1 s and 1 s), `200 ms` the one that our nodes run it with.
"""

import asyncio
import json
import random
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass
from pathlib import Path

from bench import outage
from bench.child import Child
from bench.peers import PeerMissing
from bench.setup_node import origin_of
from node.litestream import LitestreamFault, environment, program, restore, write_config
from node.places import DATABASE
from node.settings import Replica
from node.store import connect
from sync.log import has_log, size_of

NAME = "Litestream"
_FIRST_S, _MORE_S = 8.0, 4.0  # it runs for so long, and up to so much longer, before the kill


@dataclass(frozen=True, slots=True)
class Loss:
    """Entries that were shown as acknowledged, and as witnessed; how many of them each copy lacks."""

    acknowledged: int
    witnessed: int
    replica: int  # entries in what Litestream restores
    mirror: int  # entries at the neighbour
    per_s: float

    @property
    def replica_lost(self) -> int:
        """Acknowledged entries that the replica lacks."""
        return max(self.acknowledged - self.replica, 0)

    @property
    def replica_lost_witnessed(self) -> int:
        """Entries shown as witnessed that the replica lacks."""
        return max(self.witnessed - self.replica, 0)

    @property
    def mirror_lost(self) -> int:
        """Acknowledged entries, witnessed or not, that the neighbour lacks."""
        return max(self.acknowledged - self.mirror, 0)

    @property
    def mirror_lost_witnessed(self) -> int:
        """Entries shown as witnessed that the neighbour lacks: what must be 0."""
        return max(self.witnessed - self.mirror, 0)


def version() -> str:
    """Return what it calls itself. Raises PeerMissing."""
    try:
        done = subprocess.run([program(), "version"], capture_output=True, text=True, check=True)
    except (LitestreamFault, OSError, subprocess.CalledProcessError) as error:
        raise PeerMissing(NAME, str(error)) from error
    return f"{NAME} {done.stdout.strip()}"


def _configured(data: Path, replica: Replica, *, defaults: bool) -> Path:
    """Write the configuration that our nodes use, or the same with Litestream's own intervals."""
    path = write_config(data, replica)
    if defaults:
        config = json.loads(path.read_text(encoding="utf-8"))
        for database in config["dbs"]:
            del database["monitor-interval"], database["replica"]["sync-interval"]
        path.write_text(json.dumps(config), encoding="utf-8")
    return path


def one_loss(folder: Path, *, defaults: bool) -> Loss:
    """Run a node, its neighbour and Litestream; kill node and Litestream, lose their disk, and look at what is left."""
    outage.make_pair(folder)
    data = folder / "from"
    replica = Replica(name="bench", kind="file", path=str(folder / "replica"))
    config = _configured(data, replica, defaults=defaults)
    said: list[dict[str, int]] = []
    with outage.neighbour(folder) as neighbour:
        copying = subprocess.Popen(
            [program(), "replicate", "-config", str(config), "-no-expand-env"],
            env=environment(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=data,
        )
        try:
            with Child("bench.writer", str(folder), str(neighbour.hello["port"])) as writer:
                began = time.monotonic()
                listening = threading.Thread(target=_listen, args=(writer, said), daemon=True)
                listening.start()
                time.sleep(_FIRST_S + random.uniform(0, _MORE_S))  # noqa: S311 - when, not what
                writer.process.kill()
                copying.kill()
                seconds = time.monotonic() - began
                listening.join()
        finally:
            copying.kill()
            copying.wait()
        shutil.rmtree(data)
        mirror = _entries(folder / "to" / DATABASE)
    try:
        restored = folder / "restored.db"
        asyncio.run(restore(folder, f"file://{replica.path}", restored))
        held = _entries(restored)
    except LitestreamFault:
        held = 0
    last = said[-1]
    return Loss(last["acknowledged"], last["witnessed"], held, mirror, last["acknowledged"] / seconds)


def _listen(writer: Child, said: list[dict[str, int]]) -> None:
    said.append(writer.hello)
    lines = writer.process.stdout or ()
    said.extend(json.loads(line) for line in lines if line.endswith("\n"))


def _entries(database: Path) -> int:
    db = connect(database, readonly=True)
    try:
        return size_of(db, origin_of("from")) if has_log(db, origin_of("from")) else 0
    finally:
        db.close()
