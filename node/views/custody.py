"""In which order a stream's entries count (流的次序): the owner of each term, up to where the next one took it over.

Order within a stream is (term, seq). What a former owner wrote beyond the taken head does not count: it is the tail. A term
whose base entry has not arrived here is held back; two takings of one term contest the stream, and neither counts until a
third, of a higher term, names the branch that goes on (design 5.3, 5.4).
"""

from collections.abc import Iterator
from dataclasses import dataclass

import apsw

from node.domain.custody import CustodyTaken, EntryAdopted, EntryDeclined, parts_of
from node.views.log import COLUMNS, IndexRow, origins_of, rows_of
from sync.codec import Entry
from sync.keys import name_base
from sync.succession import epoch_of

TABLES = """
CREATE TABLE IF NOT EXISTS custody_terms (
    stream TEXT NOT NULL,
    term INTEGER NOT NULL,
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    base_origin TEXT NOT NULL,
    base_seq INTEGER NOT NULL,
    PRIMARY KEY (stream, term, origin, seq)
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS custody_decisions (
    stream TEXT NOT NULL,
    origin TEXT NOT NULL,
    seq INTEGER NOT NULL,
    by_origin TEXT NOT NULL,
    by_seq INTEGER NOT NULL,
    adopted INTEGER NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (stream, origin, seq, by_origin, by_seq)
) STRICT, WITHOUT ROWID;
"""
NAMES = ("custody_terms", "custody_decisions")
_NO_END = 2**62


@dataclass(frozen=True, slots=True)
class Segment:
    """Entries `start` to `end` (both counted) of one log that count in one term."""

    origin: str
    term: int
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Chain:
    """A stream's terms as far as they are known here. `owner` is whose log it goes on in; "" where nobody has written or
    the term is contested; `held_back` tells that a base entry has not arrived.
    """

    segments: tuple[Segment, ...]
    owner: str
    term: int
    contested: bool = False
    held_back: bool = False


@dataclass(frozen=True, slots=True)
class TailRow:
    """One entry that does not count, and what was decided about it: "" | adopted | declined."""

    row: IndexRow
    outcome: str
    reason: str


def project(db: apsw.Connection, entry: Entry, events: tuple[object, ...]) -> frozenset[str]:
    """Note the terms that an entry's events begin; return the streams whose order they change."""
    moved: set[str] = set()
    for event in events:
        match event:
            case CustodyTaken(moved=streams) if entry.stream.startswith("lot/"):
                lot_code = entry.stream.removeprefix("lot/")
                for one in streams:
                    if one.stream != entry.stream and not one.stream.startswith(parts_of(lot_code)):
                        continue
                    db.execute(
                        "INSERT INTO custody_terms VALUES (?, ?, ?, ?, ?, ?)",
                        (one.stream, one.term, entry.origin, entry.seq, one.from_origin, one.base_seq),
                    )
                    moved.add(one.stream)
            case EntryAdopted() | EntryDeclined():
                db.execute(
                    "INSERT INTO custody_decisions VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (
                        entry.stream,
                        event.origin,
                        event.seq,
                        entry.origin,
                        entry.seq,
                        isinstance(event, EntryAdopted),
                        event.reason,
                    ),
                )
            case _:
                pass
    return frozenset(moved)


def chain(db: apsw.Connection, stream: str) -> Chain:
    """Return the terms of a stream."""
    rows = db.execute(
        "SELECT term, origin, seq, base_origin, base_seq FROM custody_terms WHERE stream = ? ORDER BY term, origin, seq",
        (stream,),
    ).fetchall()
    if not rows:
        # Epochs of one node follow each other; without a custody act a lot's stream is in none but the first.
        origins = sorted(origins_of(db, stream), key=lambda origin: (name_base(origin), epoch_of(origin)))
        segments = tuple(Segment(origin, 0, 0, _NO_END) for origin in origins)
        contested = len({name_base(origin) for origin in origins}) > 1
        return Chain(
            segments[:1] if contested else segments,
            origins[0 if contested else -1] if origins else "",
            0,
            contested=contested,
        )
    return _terms(db, stream, [_Term(*row) for row in rows])  # type: ignore[arg-type]


@dataclass(frozen=True, slots=True)
class _Term:
    term: int
    origin: str
    seq: int
    base_origin: str
    base_seq: int


def _terms(db: apsw.Connection, stream: str, rows: list[_Term]) -> Chain:
    newest = rows[-1].term
    top = [row for row in rows if row.term == newest]
    contested = len(top) > 1
    # From the newest term down: each names the log that it goes on from, which settles an older contest.
    line: list[_Term] = [] if contested else [top[0]]
    base = min(top, key=lambda row: row.base_seq) if contested else top[0]
    for term in range(newest - 1, 0, -1):
        found = [row for row in rows if row.term == term and row.origin == base.base_origin]
        if not found:
            return Chain((), "", newest, contested=contested, held_back=True)
        line.insert(0, found[-1])
        base = found[-1]
    first = Segment(base.base_origin, 0, 0, base.base_seq)
    segments = [first]
    for at, row in enumerate(line):
        if not _holds(db, stream, row.base_origin, row.base_seq):
            return Chain(tuple(segments), line[-1].origin, newest, contested=contested, held_back=True)
        end = line[at + 1].base_seq if at + 1 < len(line) else _NO_END
        segments.append(Segment(row.origin, row.term, row.seq, end))
    if contested:
        return Chain(_cut(segments, top), "", newest, contested=True)
    return Chain(tuple(segments), line[-1].origin, newest)


def _cut(segments: list[Segment], top: list[_Term]) -> tuple[Segment, ...]:
    last = segments[-1]
    end = min(row.base_seq for row in top if row.base_origin == last.origin)
    return (*segments[:-1], Segment(last.origin, last.term, last.start, end))


def _holds(db: apsw.Connection, stream: str, origin: str, seq: int) -> bool:
    if seq < 0:
        return True
    sql = "SELECT 1 FROM entry_index WHERE origin = ? AND seq = ? AND stream = ?"
    return db.execute(sql, (origin, seq, stream)).fetchone() is not None


def of_stream(db: apsw.Connection, stream: str) -> list[IndexRow]:
    """Return every entry of a stream that counts, in stream order."""
    sql = f"SELECT {COLUMNS} FROM entry_index WHERE stream = ? AND origin = ? AND seq >= ? AND seq <= ? ORDER BY seq"
    found: list[IndexRow] = []
    for part in chain(db, stream).segments:
        found.extend(rows_of(db.execute(sql, (stream, part.origin, part.start, part.end))))
    return found


def branch(db: apsw.Connection, stream: str, origin: str) -> list[IndexRow]:
    """Return what one log says of a stream that goes on in it or is contested; otherwise what counts."""
    found = chain(db, stream)
    if not found.contested:
        return of_stream(db, stream)
    begun = max((part.start for part in found.segments if part.origin == origin), default=0)
    return [row for row in _all(db, stream) if row.origin == origin and row.seq >= begun]


def tail(db: apsw.Connection, stream: str) -> list[TailRow]:
    """Return every entry of a stream that does not count, in log order, with what was decided about it."""
    parts = chain(db, stream).segments
    decided = {
        (origin, seq): ("adopted" if adopted else "declined", reason)
        for origin, seq, adopted, reason in db.execute(
            "SELECT origin, seq, adopted, reason FROM custody_decisions WHERE stream = ? ORDER BY by_origin, by_seq",
            (stream,),
        )
    }
    return [
        TailRow(row, *decided.get((row.origin, row.seq), ("", "")))
        for row in _all(db, stream)
        if not any(part.origin == row.origin and part.start <= row.seq <= part.end for part in parts)
    ]


def tails_of_lot(db: apsw.Connection, lot_code: str) -> list[TailRow]:
    """Return the tails of every stream of a lot."""
    bounds = [bound for start in parts_of(lot_code) for bound in (start, start + "\x7f")]
    spans = " OR (stream >= ? AND stream < ?)" * (len(bounds) // 2)
    sql = f"SELECT DISTINCT stream FROM custody_terms WHERE stream = ?{spans} ORDER BY 1"
    moved = [row[0] for row in db.execute(sql, (f"lot/{lot_code}", *bounds))]
    return [one for stream in moved for one in tail(db, stream)]


def _all(db: apsw.Connection, stream: str) -> Iterator[IndexRow]:
    sql = f"SELECT {COLUMNS} FROM entry_index WHERE stream = ? ORDER BY origin, seq"
    return rows_of(db.execute(sql, (stream,)))
