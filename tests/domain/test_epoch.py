"""Two persons open an epoch, and its record says everything; neighbours put it on record by themselves."""

from dataclasses import replace

import pytest

from node.domain import epoch, incident, streams, wire
from node.domain.refused import Refused
from node.domain.values import Actor, Asked, ClockQuality, Recorded, Role

E1, E2 = "dali.erhai/532924/room-1/a/e1", "dali.erhai/532924/room-1/a/e2"
ROOM = "room/532924-room-1-a"
OPEN = epoch.OpenEpoch(E1, 7, b"\x01" * 32, 9, 2, "restore", "second-disk 0000000000000011", "supervisor:S-1")
NOTE = epoch.NoteSuccession("532924-room-1-b", "x/e1", "x/e2", 7, -1, "damage", b"\x02" * 32)


def asked(role: Role = Role.OPERATOR, person: str = "O-1") -> Asked:
    return Asked(
        at_ms=1_772_000_000_000,
        clock_quality=ClockQuality.SYNCHRONISED,
        actor=Actor(person, role),
        profiles=(),
        calendar=None,
        look=lambda _name: None,
        node="532924-room-1-a",
        origin=E2,
    )


def test_the_succession_record_says_what_was_said_and_reads_back_alike() -> None:
    (event,) = streams.decide(ROOM, incident.IncidentState(), OPEN, asked())
    assert (event.old_origin, event.size, event.fence_size, event.lost, event.second) == (E1, 7, 9, 2, "supervisor:S-1")
    name, version, fields = wire.encode(event)
    assert (name, version) == ("epoch.epoch-opened", 1)
    assert wire.decode(name, version, fields) == event


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"second": ""}, "second-person-missing"),
        ({"second": "operator:O-1"}, "second-person-missing"),
        ({"second": "technician:M-1"}, "second-person-missing"),
        ({"cause": "whim"}, "word-unknown"),
        ({"old_origin": E2}, "epoch-not-new"),
        ({"size": -1}, "number-out-of-range"),
        ({"restored_from": "x" * 2_001}, "text-too-long"),
    ],
)
def test_a_record_that_is_not_whole_is_refused(changes: dict[str, object], code: str) -> None:
    with pytest.raises(Refused) as refusal:
        streams.decide(ROOM, incident.IncidentState(), replace(OPEN, **changes), asked())
    assert refusal.value.code == code


@pytest.mark.parametrize("role", [Role.TECHNICIAN, Role.EXPERT, Role.BIDDER, Role.SYSTEM])
def test_nobody_else_opens_an_epoch(role: Role) -> None:
    with pytest.raises(Refused, match="role-may-not"):
        streams.decide(ROOM, incident.IncidentState(), OPEN, asked(role))


def test_a_neighbours_succession_is_noted_by_the_node_itself_and_by_no_person() -> None:
    (event,) = streams.decide(ROOM, incident.IncidentState(), NOTE, asked(Role.SYSTEM, "532924-room-1-a"))
    assert (event.node, event.new_origin, event.statement_sha256) == (NOTE.node, NOTE.new_origin, NOTE.statement_sha256)
    with pytest.raises(Refused, match="role-may-not"):
        streams.decide(ROOM, incident.IncidentState(), NOTE, asked())


def test_incidents_go_on_through_an_epoch_and_a_switch_to_one_machine_does_not() -> None:
    state = incident.IncidentState(relaxed_seq=40)
    state = streams.evolve(ROOM, state, incident.IncidentRecorded(1, "other", "停电", 1, ()), _at(E1, 41))
    (event,) = streams.decide(ROOM, state, OPEN, asked())
    state = streams.evolve(ROOM, state, event, _at(E2, 0))
    assert [one.no for one in state.open] == [1]
    assert state.relaxed_seq == -1


def _at(origin: str, seq: int) -> Recorded:
    return Recorded(1_772_000_000_000, "operator:O-1", origin, seq, b"\x03" * 32)


BRANCH = epoch.NoteBranch(E1, 56, b"\x03" * 32, "逐条补办", "supervisor:S-1")


def test_two_persons_note_that_another_history_was_seen_to_and_nobody_does_it_alone() -> None:
    (event,) = streams.decide(ROOM, incident.IncidentState(), BRANCH, asked())
    assert (event.old_origin, event.entries, event.second) == (E1, 56, "supervisor:S-1")
    name, version, fields = wire.encode(event)
    assert wire.decode(name, version, fields) == event
    for second, code in (("operator:O-1", "second-person-missing"), ("", "second-person-missing")):
        with pytest.raises(Refused, match=code):
            streams.decide(ROOM, incident.IncidentState(), replace(BRANCH, second=second), asked())
    with pytest.raises(Refused, match="role-may-not"):
        streams.decide(ROOM, incident.IncidentState(), BRANCH, asked(Role.TECHNICIAN))
