"""The `eventsourcing` library 9.5 with its SQLite recorder (WAL, synchronous=FULL): aggregates, and the recorder alone.

What it does not do: hash or sign anything, prove anything to anybody, replicate. Its aggregate path is what our full path is
to an application; its recorder is what our bare log is.
"""

import importlib.metadata
import time
import uuid
from pathlib import Path
from typing import Any

from bench.peers import PeerMissing

BODY = "市电中断" * 30  # about as many bytes of state as one of our incidents carries
STATE = b"x" * 430


def version() -> str:
    """Return the library's name and version. Raises PeerMissing."""
    try:
        return f"eventsourcing {importlib.metadata.version('eventsourcing')}"
    except importlib.metadata.PackageNotFoundError as error:
        raise PeerMissing("eventsourcing", "not installed: make setup-bench") from error


def _application(path: Path) -> Any:
    from eventsourcing.application import Application  # noqa: PLC0415 - it may not be there

    return Application[uuid.UUID](
        env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path), "SQLITE_LOCK_TIMEOUT": "10"}
    )


def aggregates(path: Path, seconds: float, events_a_save: int) -> float:
    """Return events a second through aggregates, so many a save (one save is one transaction); 40 events a room."""
    version()
    from bench.peers.rooms import Room  # noqa: PLC0415 - it may not be there

    app = _application(path)
    room, in_room, done = Room(), 0, 0
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        for _ in range(events_a_save):
            room.record(BODY, done)
            done += 1
        app.save(room)
        in_room += events_a_save
        if in_room >= 40:
            room, in_room = Room(), 0
    rate = done / (time.perf_counter() - began)
    app.close()
    return rate


def recorder(path: Path, seconds: float, events_a_transaction: int) -> float:
    """Return events a second that its recorder alone stores, already encoded, so many a transaction."""
    version()
    from eventsourcing.persistence import StoredEvent  # noqa: PLC0415 - it may not be there

    app = _application(path)
    done, stream = 0, uuid.uuid4()
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        app.recorder.insert_events(
            [
                StoredEvent(originator_id=stream, originator_version=done + n, topic="room:Incident", state=STATE)
                for n in range(events_a_transaction)
            ]
        )
        done += events_a_transaction
    rate = done / (time.perf_counter() - began)
    app.close()
    return rate
