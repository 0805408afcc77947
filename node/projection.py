"""From entries to tables: which view takes what, the cursor behind mirrored logs, dropping and rebuilding everything.

A view row never depends on the order in which two logs arrived: streams of different logs commute (a property test).
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import apsw

from node.domain import custody as custody_rules
from node.domain import streams, wire
from node.domain.lot import LotState
from node.domain.streams import Clouded
from node.domain.values import Recorded
from node.successions import known_successions
from node.views import blobs as blobs_view
from node.views import custody as custody_view
from node.views import drawing as drawing_view
from node.views import incident as incident_view
from node.views import log as log_view
from node.views import project as project_view
from node.views import review as review_view
from node.views import signed as signed_view
from node.views.log import IndexRow
from sync.codec import Entry, decode
from sync.keys import name_base
from sync.log import origins, read_entry, read_sound, size_of
from sync.merkle import leaf_hash
from sync.succession import epoch_of, predecessor_of

_VIEWS = (log_view, blobs_view, custody_view, project_view, incident_view, review_view, drawing_view, signed_view)
VIEW_TABLES: tuple[str, ...] = tuple(name for view in _VIEWS for name in view.NAMES)
VIEW_SCHEMA = "\n".join(view.TABLES for view in _VIEWS)
CURSOR_SCHEMA = """
CREATE TABLE IF NOT EXISTS view_cursors (
    origin TEXT PRIMARY KEY,
    next_seq INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Followed:
    """What one step of following a mirrored log did."""

    count: int
    streams: frozenset[str]


def events_of(entry: Entry) -> tuple[Any, ...]:
    """Return the decoded events of an entry; unknown ones as Unrecognised."""
    return tuple(wire.decode(name, version, fields) for name, version, fields in entry.events)


def project(db: apsw.Connection, entry: Entry, events: Sequence[Any], state: Any) -> None:
    """Bring every view up to this entry of the own log; `state` is its stream's state after it."""
    take(db, entry, tuple(events))
    _settle(db, entry, state)


def take(db: apsw.Connection, entry: Entry, events: tuple[Any, ...]) -> frozenset[str]:
    """Bring the views that need no state up to this entry; return the streams whose state it may change."""
    log_view.project(db, entry)
    blobs_view.project(db, entry, events)
    moved = custody_view.project(db, entry, events)
    incident_view.project(db, entry, events)
    review_view.project(db, entry, events)
    drawing_view.project(db, entry, events)
    signed_view.project(db, entry, events)
    return moved | {entry.stream}


def _settle(db: apsw.Connection, last: Entry | IndexRow, state: Any) -> None:
    known = state.known if isinstance(state, Clouded) else state
    if isinstance(known, LotState):
        project_view.project(db, last, known)


def _settle_lots(db: apsw.Connection, changed: Iterable[str], bodies: apsw.Connection) -> None:
    """Write the rows of lots anew whose streams have changed or have changed their order."""
    for stream in sorted(changed):
        if stream.startswith("lot/"):
            rows = custody_view.of_stream(db, stream)
            if rows:
                _settle(db, rows[-1], _folded(stream, rows, bodies))


def fold(db: apsw.Connection, stream: str) -> Any:
    """Return the state of a stream from the entries held here that count, in stream order."""
    return _folded(stream, custody_view.of_stream(db, stream), db)


def _folded(stream: str, rows: Sequence[IndexRow], bodies: apsw.Connection) -> Any:
    state = streams.initial(stream)
    for row in rows:
        body = read_entry(bodies, row.origin, row.seq)
        state = after(state, decode(body), body)
    return state


def after(state: Any, entry: Entry, body: bytes) -> Any:
    """Return a stream's state after one entry of it."""
    recorded = Recorded(entry.at_ms, entry.actor, entry.origin, entry.seq, leaf_hash(body))
    return evolved(entry.stream, state, events_of(entry), recorded)


def evolved(stream: str, state: Any, events: Sequence[Any], recorded: Recorded) -> Any:
    """Return a stream's state after the events of one entry."""
    for at, event in enumerate(events):
        then = custody_rules.adopted_at(events, recorded) if at else recorded
        state = streams.evolve(stream, state, event, then)
    return state


def next_seq(db: apsw.Connection, origin: str) -> int:
    """Return up to where the views have followed a mirrored log."""
    row = db.execute("SELECT next_seq FROM view_cursors WHERE origin = ?", (origin,)).fetchone()
    return 0 if row is None else int(row[0])


def follow(db: apsw.Connection, origin: str, limit: int) -> Followed:
    """Project up to `limit` entries of a mirrored log that the views have not seen."""
    start = next_seq(db, origin)
    before = predecessor_of(db, origin)
    if before is not None and next_seq(db, before.old_origin) < before.size:
        return Followed(0, frozenset())  # held back: what it goes on from is not here yet (design 5.4)
    end = min(size_of(db, origin), start + limit)
    changed: set[str] = set()
    for _seq, body in read_sound(db, origin, start, end):
        entry = decode(body)
        changed |= take(db, entry, events_of(entry))
    _settle_lots(db, changed, db)
    db.execute(
        "INSERT INTO view_cursors VALUES (?, ?) ON CONFLICT (origin) DO UPDATE SET next_seq = excluded.next_seq",
        (origin, end),
    )
    return Followed(end - start, frozenset(changed))


def begin_again(db: apsw.Connection, origin: str, start: int) -> None:
    """The entries of the own log from `start` on are to be followed like a mirrored one's, until `caught_up`."""
    db.execute(
        "INSERT INTO view_cursors VALUES (?, ?) ON CONFLICT (origin) DO UPDATE SET next_seq = excluded.next_seq",
        (origin, start),
    )


def is_foreign_now(db: apsw.Connection, origin: str) -> None:
    """The own log ends here: from now on it is followed like a mirrored one, from where its views stand."""
    db.execute("INSERT OR IGNORE INTO view_cursors VALUES (?, ?)", (origin, size_of(db, origin)))


def lags(db: apsw.Connection, origin: str) -> bool:
    """Return whether a log, the own one after a heal included, has a cursor that is not at its end."""
    row = db.execute("SELECT next_seq FROM view_cursors WHERE origin = ?", (origin,)).fetchone()
    return row is not None and int(row[0]) < size_of(db, origin)


def caught_up(db: apsw.Connection, origin: str) -> None:
    """The own log's views are complete again: from here on every entry is projected as it is recorded."""
    db.execute("DELETE FROM view_cursors WHERE origin = ?", (origin,))


def drop_views(db: apsw.Connection) -> None:
    """Empty every view and cursor; the log is untouched."""
    for name in (*VIEW_TABLES, "view_cursors"):
        db.execute(f"DELETE FROM {name}")


def rebuild(
    source: apsw.Connection,
    target: apsw.Connection,
    own_origin: str,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> int:
    """Project every entry of every log in `source` into the empty views of `target`; return how many entries.

    `progress` is called with entries done and entries in all, every thousand entries.
    """
    in_order = sorted(origins(source), key=lambda origin: (name_base(origin), epoch_of(origin)))
    sizes = {origin: size_of(source, origin) for origin in in_order}
    for before in known_successions(source):
        if sizes.get(before.old_origin, 0) < before.size and before.new_origin in sizes:
            sizes[before.new_origin] = 0  # held back, as `follow` does
    done, total = 0, sum(sizes.values())
    changed: set[str] = set()
    for origin, size in sizes.items():
        for _seq, body in read_sound(source, origin, 0, size):
            entry = decode(body)
            changed |= take(target, entry, events_of(entry))
            done += 1
            if done % 1_000 == 0:
                progress(done, total)
        if origin != own_origin:
            target.execute("INSERT INTO view_cursors VALUES (?, ?)", (origin, size))
    _settle_lots(target, changed, source)
    progress(done, total)
    return done


def rows_of(db: apsw.Connection, table: str) -> Iterable[tuple[Any, ...]]:
    """Return every row of a view table in key order (all view tables are WITHOUT ROWID)."""
    return db.execute(f"SELECT * FROM {table}")
