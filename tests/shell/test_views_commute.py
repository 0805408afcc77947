"""Streams of different logs commute: whatever the order in which two logs arrive, the views end the same."""

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st

from node import personal, projection
from node.domain import incident, review, wire
from sync import codec
from sync.log import LOG_SCHEMA, open_log
from sync.merkle import leaf_hash

LOGS = ("x.erhai/a/e1", "x.erhai/p/e1")


def entry(origin: str, seq: int, stream: str, *events: object) -> bytes:
    return codec.encode(
        codec.Entry(
            version=1,
            origin=origin,
            seq=seq,
            at_ms=1_772_000_000_000 + seq,
            clock_quality="synchronised",
            stream=stream,
            command_id=seq.to_bytes(16, "big"),
            actor="operator:O-01",
            events=tuple(wire.encode(event) for event in events),
            evidence=(),
        )
    )


def county() -> list[bytes]:
    origin, bodies = LOGS[0], []
    for no in range(1, 5):
        bodies.append(
            entry(origin, len(bodies), "room/a", incident.IncidentRecorded(no, "other", f"第{no}次", 1, ("L1", "L2")))
        )
        bodies.append(entry(origin, len(bodies), "answers/L1", review.FindingAnswered(no, f"答{no}")))
        if no % 2:
            bodies.append(entry(origin, len(bodies), "room/a", incident.IncidentClosed(no, "好", 2)))
    return bodies


def prefecture() -> list[bytes]:
    origin, bodies = LOGS[1], []
    for no in range(1, 5):
        bodies.append(entry(origin, len(bodies), "review/L1", review.FindingRaised(no, LOGS[0], no, "规则", f"问{no}")))
        bodies.append(entry(origin, len(bodies), "review/L1", review.Reviewed(LOGS[0], no, "查")))
        if no % 2:
            bodies.append(entry(origin, len(bodies), "review/L1", review.FindingClosed(no, "settled", "清楚")))
    return bodies


def views_after(order: list[int], steps: list[int]) -> dict[str, list[tuple[object, ...]]]:
    """Bring both logs in pieces, in this order of logs and these sizes of pieces, and return every view."""
    db = apsw.Connection(":memory:")
    for schema in (LOG_SCHEMA, personal.SCHEMA, projection.VIEW_SCHEMA, projection.CURSOR_SCHEMA):
        db.execute(schema)
    left = {LOGS[0]: county(), LOGS[1]: prefecture()}
    tables = {origin: open_log(db, origin) for origin in LOGS}
    pieces = [*zip(order, steps, strict=True), (0, 99), (1, 99)]
    for which, size in pieces:
        origin = LOGS[which]
        bodies, left[origin] = left[origin][:size], left[origin][size:]
        tables[origin].extend(bodies, [leaf_hash(body) for body in bodies])
        tables[origin].flush()
        projection.follow(db, origin, 3)
    for origin in LOGS:
        while projection.follow(db, origin, 3).count:
            continue
    return {table: sorted(projection.rows_of(db, table), key=repr) for table in projection.VIEW_TABLES}


REFERENCE = views_after([], [])


@settings(max_examples=150, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5)), max_size=12))
def test_any_interleaving_of_two_logs_projects_to_the_same_views(pieces: list[tuple[int, int]]) -> None:
    assert views_after([which for which, _ in pieces], [size for _, size in pieces]) == REFERENCE


def test_the_reference_holds_what_both_logs_say() -> None:
    assert len(REFERENCE["incidents"]) == 4
    assert [row[9] for row in sorted(REFERENCE["findings"])] == ["答1", "答2", "答3", "答4"]
