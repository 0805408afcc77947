"""A stream's order across logs: terms decide, a tail does not count, nothing depends on which log arrives first."""

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st

from node import personal, projection
from node.domain import custody, wire
from node.domain.custody import CustodyTaken, Moved
from node.views import custody as custody_view
from sync import codec
from sync.log import LOG_SCHEMA, open_log
from sync.merkle import leaf_hash
from tests.domain import lot_story as s

A, B, C = "x.erhai/a/e1", "x.erhai/b/e1", "x.erhai/c/e1"
LOT = s.REGISTER.lot_code
STREAM = f"lot/{LOT}"
REGISTERED = s.Story().when(s.REGISTER)[0]


def entry(origin: str, seq: int, *events: object, stream: str = STREAM) -> bytes:
    return codec.encode(
        codec.Entry(
            version=1,
            origin=origin,
            seq=seq,
            at_ms=1_772_000_000_000 + 1_000 * seq,
            clock_quality="synchronised",
            stream=stream,
            command_id=origin.encode().ljust(14, b"-") + seq.to_bytes(2, "big"),
            actor="operator:O-01",
            events=tuple(wire.encode(event) for event in events),
            evidence=(),
        )
    )


def taken(origin: str, base: int, term: int, to: str, stream: str = STREAM) -> CustodyTaken:
    moved = (Moved(stream, term, origin, base, b"\x01" * 32 if base >= 0 else b""),)
    return CustodyTaken(
        "taken-over", origin.split("/")[1], to, moved, base + 1, base + 1, "缺", "断电", "operator:O-02"
    )


def note(text: str) -> custody.CustodyReleased:
    """An event that tells its author apart; the order of streams looks at no other content."""
    return custody.CustodyReleased(text, "标记", "operator:O-02")


def database() -> apsw.Connection:
    db = apsw.Connection(":memory:")
    for schema in (LOG_SCHEMA, personal.SCHEMA, projection.VIEW_SCHEMA, projection.CURSOR_SCHEMA):
        db.execute(schema)
    return db


def arrive(db: apsw.Connection, origin: str, bodies: list[bytes]) -> None:
    table = open_log(db, origin)
    table.extend(bodies, [leaf_hash(body) for body in bodies])
    table.flush()
    while projection.follow(db, origin, 2).count:
        continue


def places(db: apsw.Connection) -> list[tuple[str, int]]:
    return [(row.origin, row.seq) for row in custody_view.of_stream(db, STREAM)]


# a registers and writes; b takes over after a's entry 1 and writes; a had two more, and later takes back after b's entry 1.
LOG_A = [
    entry(A, 0, REGISTERED),
    entry(A, 1, note("a1")),
    entry(A, 2, note("a2")),
    entry(A, 3, note("a3")),
    entry(A, 4, taken(B, 1, 2, "a")),
    entry(A, 5, note("a5")),
]
LOG_B = [entry(B, 0, taken(A, 1, 1, "b")), entry(B, 1, note("b1")), entry(B, 2, note("b2"))]


def test_terms_decide_the_order_and_what_lies_beyond_a_taken_head_is_the_tail() -> None:
    db = database()
    arrive(db, A, LOG_A)
    arrive(db, B, LOG_B)
    assert places(db) == [(A, 0), (A, 1), (B, 0), (B, 1), (A, 4), (A, 5)]
    assert [(one.row.origin, one.row.seq) for one in custody_view.tail(db, STREAM)] == [(A, 2), (A, 3), (B, 2)]
    chain = custody_view.chain(db, STREAM)
    assert (chain.owner, chain.term, chain.contested, chain.held_back) == (A, 2, False, False)


def test_a_term_whose_base_has_not_arrived_is_held_back() -> None:
    db = database()
    arrive(db, B, LOG_B)
    assert custody_view.chain(db, STREAM).held_back
    assert places(db) == []
    arrive(db, A, LOG_A[:1])
    assert custody_view.chain(db, STREAM).held_back
    assert places(db) == [(A, 0)]
    arrive(db, A, LOG_A[1:2])
    assert not custody_view.chain(db, STREAM).held_back
    assert places(db) == [(A, 0), (A, 1), (B, 0), (B, 1), (B, 2)]


def test_two_takings_of_one_term_contest_the_stream_until_a_higher_term_names_the_branch() -> None:
    db = database()
    arrive(db, A, LOG_A[:3])
    arrive(db, B, [entry(B, 0, taken(A, 1, 1, "b")), entry(B, 1, note("b1"))])
    arrive(db, C, [entry(C, 0, taken(A, 2, 1, "c"))])
    chain = custody_view.chain(db, STREAM)
    assert (chain.owner, chain.contested) == ("", True)
    assert places(db) == [(A, 0), (A, 1)]
    arrive(db, C, [entry(C, 1, taken(B, 1, 2, "c"))])
    chain = custody_view.chain(db, STREAM)
    assert (chain.owner, chain.term, chain.contested) == (C, 2, False)
    assert places(db) == [(A, 0), (A, 1), (B, 0), (B, 1), (C, 1)]
    assert [(one.row.origin, one.row.seq) for one in custody_view.tail(db, STREAM)] == [(A, 2), (C, 0)]


def test_a_sheet_nobody_had_written_to_is_taken_before_its_first_entry() -> None:
    db, sheet = database(), f"sheet/{LOT}/1/E1"
    arrive(db, A, [entry(A, 0, REGISTERED), entry(A, 1, note("late"), stream=sheet)])
    arrive(db, B, [entry(B, 0, taken(A, -1, 1, "b", sheet)), entry(B, 1, note("b1"), stream=sheet)])
    assert [(row.origin, row.seq) for row in custody_view.of_stream(db, sheet)] == [(B, 1)]
    assert [(one.row.origin, one.row.seq) for one in custody_view.tail(db, sheet)] == [(A, 1)]


def test_an_event_cannot_move_streams_of_another_lot_or_of_a_room() -> None:
    db = database()
    arrive(db, A, [entry(A, 0, REGISTERED), entry(A, 1, note("x"), stream="room/a")])
    arrive(db, B, [entry(B, 0, taken(A, 1, 1, "b", "room/a"), taken(A, 0, 1, "b", "lot/OTHER"))])
    assert custody_view.chain(db, "room/a").owner == A
    assert custody_view.chain(db, "lot/OTHER").owner == ""


def views_after(pieces: list[tuple[int, int]]) -> dict[str, list[tuple[object, ...]]]:
    db = database()
    left = [list(LOG_A), list(LOG_B)]
    for which, size in [*pieces, (0, 99), (1, 99)]:
        bodies, left[which] = left[which][:size], left[which][size:]
        arrive(db, (A, B)[which], bodies)
    return {table: sorted(projection.rows_of(db, table), key=repr) for table in projection.VIEW_TABLES}


REFERENCE = views_after([])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3)), max_size=8))
def test_any_interleaving_of_the_logs_of_two_owners_projects_to_the_same_views(pieces: list[tuple[int, int]]) -> None:
    assert views_after(pieces) == REFERENCE


def test_dropping_every_view_and_projecting_again_gives_the_same() -> None:
    db, fresh = database(), database()
    arrive(db, A, LOG_A)
    arrive(db, B, LOG_B)
    projection.rebuild(db, fresh, A)
    for table in projection.VIEW_TABLES:
        assert sorted(projection.rows_of(fresh, table)) == sorted(projection.rows_of(db, table))
    assert [row[2] for row in db.execute("SELECT * FROM lots")] == ["a"]


def test_a_lot_registered_on_two_nodes_that_were_apart_is_contested_until_two_persons_take_up_one_branch() -> None:
    both = {A: [entry(A, 0, REGISTERED), entry(A, 1, note("a1"))], B: [entry(B, 0, REGISTERED)]}
    rows = []
    for order in ((A, B), (B, A)):
        db = database()
        for origin in order:
            arrive(db, origin, both[origin])
        chain = custody_view.chain(db, STREAM)
        assert (chain.contested, places(db)) == (True, [(A, 0), (A, 1)])
        rows.append(sorted(projection.rows_of(db, "lots")))
    assert rows[0] == rows[1]
    arrive(db, B, [entry(B, 1, taken(A, 1, 1, "b"))])
    chain = custody_view.chain(db, STREAM)
    assert (chain.owner, chain.contested) == (B, False)
    assert places(db) == [(A, 0), (A, 1), (B, 1)]
    assert [(one.row.origin, one.row.seq) for one in custody_view.tail(db, STREAM)] == [(B, 0)]
