"""The room's incidents, and the questions from above with their answers: each numbered, each closed once, none in the future."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain import award, incident, review, streams, wire
from node.domain.refused import NotOffered, Refused
from node.domain.values import Actor, Asked, Recorded, Role
from tests.domain.lot_story import D32, Story, ms

NOW = ms("2026-03-23 15:00")
MINUTE_MS = 60_000
LONG = "长" * 2_001
MAINS = incident.RecordIncident("mains-lost", "市电中断", NOW - 5 * MINUTE_MS, ("A5329240000000001001001",))
OVER = incident.CloseIncident(1, "市电恢复", NOW - MINUTE_MS)
FINDING = review.RaiseFinding("dali.erhai/532924/room-1/a/e1", 41, "K05", "请说明开标时间")
SETTLED = review.CloseFinding(1, "settled", "说明充分")
SEEN = review.MarkReviewed("dali.erhai/532924/room-1/a/e1", 40, "")
ANSWER = review.AnswerFinding(1, "时钟校准记录附后")


def asked(role: Role = Role.OPERATOR) -> Asked:
    return replace(Story().at(NOW).asked(role), actor=Actor("p", role))


def folded(stream: str, *commands: Any, role: Role = Role.OPERATOR, look: Any = None) -> Any:
    """Decide and fold, through the streams as the node does it."""
    state = streams.initial(stream)
    asking = replace(asked(role), look=lambda _stream: look)
    for seq, command in enumerate(commands):
        for event in streams.decide(stream, state, command, asking):
            name, version, fields = wire.encode(event)
            assert wire.decode(name, version, fields) == event
            state = streams.evolve(stream, state, event, Recorded(NOW, "operator:p", "a", seq, D32))
    return state


def room(*commands: Any) -> incident.IncidentState:
    state: incident.IncidentState = folded("room/a", *commands)
    return state


def reviewed(*commands: Any) -> review.ReviewState:
    state: review.ReviewState = folded("review/A", *commands, role=Role.REVIEWER)
    return state


def answered(*commands: Any, above: Any = None) -> review.AnswersState:
    known = reviewed(FINDING) if above is None else above
    state: review.AnswersState = folded("answers/A", *commands, look=known)
    return state


REFUSED: list[tuple[str, Callable[..., Any], tuple[Any, ...], str]] = [
    ("an unknown kind of incident is refused", room, (replace(MAINS, kind="ghost"),), "word-unknown"),
    ("an incident is described", room, (replace(MAINS, text=" "),), "field-missing"),
    ("a description is short", room, (replace(MAINS, text=LONG),), "text-too-long"),
    (
        "an incident of tomorrow is a typing mistake",
        room,
        (replace(MAINS, began_at_ms=NOW + MINUTE_MS + 1),),
        "time-ahead",
    ),
    ("an incident began at some time", room, (replace(MAINS, began_at_ms=0),), "time-ahead"),
    ("a lot touched has a code", room, (replace(MAINS, lots=("A", "")),), "field-missing"),
    ("no lot is touched twice", room, (replace(MAINS, lots=("A", "A")),), "stands-twice"),
    ("what was not recorded is not over", room, (OVER,), "incident-unknown"),
    ("an incident is over once", room, (MAINS, OVER, OVER), "incident-closed"),
    ("how it ended is told", room, (MAINS, replace(OVER, text="")), "field-missing"),
    ("how it ended is told shortly", room, (MAINS, replace(OVER, text=LONG)), "text-too-long"),
    (
        "nothing ends before it began",
        room,
        (MAINS, replace(OVER, ended_at_ms=MAINS.began_at_ms - 1)),
        "time-ahead",
    ),
    ("nothing has ended tomorrow", room, (MAINS, replace(OVER, ended_at_ms=NOW + MINUTE_MS + 1)), "time-ahead"),
    ("a finding asks something", reviewed, (replace(FINDING, text=" "),), "field-missing"),
    ("a finding is short", reviewed, (replace(FINDING, text=LONG),), "text-too-long"),
    ("a finding names its rule", reviewed, (replace(FINDING, rule=""),), "field-missing"),
    ("a finding names the log", reviewed, (replace(FINDING, origin=""),), "field-missing"),
    ("a finding names an entry", reviewed, (replace(FINDING, seq=-1),), "number-out-of-range"),
    ("what was not raised is not closed", reviewed, (SETTLED,), "finding-unknown"),
    ("a finding is closed once", reviewed, (FINDING, SETTLED, SETTLED), "finding-closed"),
    ("a closing has an outcome", reviewed, (FINDING, replace(SETTLED, outcome="forgotten")), "word-unknown"),
    ("a closing is explained", reviewed, (FINDING, replace(SETTLED, text="")), "field-missing"),
    ("a closing is short", reviewed, (FINDING, replace(SETTLED, text=LONG)), "text-too-long"),
    ("a review mark names the log", reviewed, (replace(SEEN, origin=" "),), "field-missing"),
    ("a review mark's remark is short", reviewed, (replace(SEEN, text=LONG),), "text-too-long"),
    ("nothing looked at is no review", reviewed, (replace(SEEN, size=0),), "reviewed-already"),
    ("a review goes on, never back", reviewed, (SEEN, replace(SEEN, size=39)), "reviewed-already"),
    ("a review mark says something new", reviewed, (SEEN, SEEN), "reviewed-already"),
    ("what has not come down is not answered", answered, (replace(ANSWER, no=2),), "finding-unknown"),
    ("a finding is answered once", answered, (ANSWER, ANSWER), "finding-answered"),
    ("an answer says something", answered, (replace(ANSWER, text=" "),), "field-missing"),
    ("an answer is short", answered, (replace(ANSWER, text=LONG),), "text-too-long"),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_about_incidents_and_findings(row: Any) -> None:
    _, fold, commands, code = row
    fold(*commands[:-1])
    with pytest.raises(Refused) as refusal:
        fold(*commands)
    assert refusal.value.code == code
    assert refusal.value.rule


def test_incidents_are_numbered_and_stay_open_until_they_are_closed() -> None:
    state = room(MAINS, replace(MAINS, kind="link-lost", lots=()), OVER)
    assert [one.no for one in state.recorded] == [1, 2]
    assert [(one.no, one.kind) for one in state.open] == [(2, "link-lost")]
    assert state.closed == (1,)


@pytest.mark.parametrize("began_at_ms", [NOW, NOW + MINUTE_MS, 1])
def test_a_clock_a_minute_ahead_is_no_lie(began_at_ms: int) -> None:
    assert room(replace(MAINS, began_at_ms=began_at_ms)).open[0].began_at_ms == began_at_ms


@pytest.mark.parametrize("ended_at_ms", [MAINS.began_at_ms, NOW, NOW + MINUTE_MS])
def test_an_incident_may_end_at_once_or_just_now(ended_at_ms: int) -> None:
    assert room(MAINS, replace(OVER, ended_at_ms=ended_at_ms)).open == ()


def test_a_refusal_about_time_says_both_times_as_people_read_them() -> None:
    with pytest.raises(Refused) as refusal:
        room(MAINS, replace(OVER, ended_at_ms=ms("2026-03-23 14:00")))
    assert (refusal.value.value, refusal.value.limit) == ("2026-03-23 14:00", "2026-03-23 14:55 … 2026-03-23 15:00")


def test_findings_are_numbered_and_review_marks_are_kept_for_each_log() -> None:
    other = replace(SEEN, origin="dali.erhai/532924/room-1/b/e1", size=3)
    state = reviewed(FINDING, FINDING, SETTLED, SEEN, other, replace(SEEN, size=41))
    assert [one.no for one in state.findings] == [1, 2]
    assert state.closed == (1,)
    assert state.reviewed == ((SEEN.origin, 40), (other.origin, 3), (SEEN.origin, 41))


def test_an_answer_that_crosses_the_closing_on_its_way_still_goes_on_record() -> None:
    assert answered(ANSWER, above=reviewed(FINDING, SETTLED)).answered == (1,)


def test_findings_with_an_event_of_a_later_version_among_them_are_not_answered() -> None:
    with pytest.raises(Refused) as refusal:
        answered(ANSWER, above=streams.Clouded(reviewed(FINDING), "review.tomorrow"))
    assert refusal.value.code == "unknown-event"


@pytest.mark.parametrize("stream", ["room/a", "review/A", "answers/A"])
def test_no_stream_knows_another_s_commands_and_events(stream: str) -> None:
    state, command = streams.initial(stream), award.ArchiveLot(D32)
    with pytest.raises(NotOffered):
        streams.decide(stream, state, command, replace(asked(Role.TENDERER), look=lambda _stream: reviewed(FINDING)))
    event = award.LotArchived(D32, 0)
    assert streams.evolve(stream, state, event, Recorded(NOW, "tenderer:p", "a", 1, D32)) == state


@given(
    commands=st.lists(
        st.one_of(
            st.builds(
                lambda kind, lots: replace(MAINS, kind=kind, lots=lots),
                st.sampled_from((*incident.KINDS, "x")),
                st.sampled_from(((), ("A",), ("A", "A"))),
            ),
            st.builds(
                lambda no, at: incident.CloseIncident(no, "完", at), st.integers(0, 4), st.sampled_from((0, NOW))
            ),
        ),
        max_size=12,
    )
)
def test_whatever_is_asked_incidents_are_numbered_without_gaps_and_closed_at_most_once(commands: list[Any]) -> None:
    state = incident.IncidentState()
    for command in commands:
        try:
            events = incident.decide(state, command, asked())
        except Refused:
            continue
        for event in events:
            state = incident.evolve(state, event, Recorded(NOW, "operator:p", "a", 1, D32))
    assert [one.no for one in state.recorded] == list(range(1, len(state.recorded) + 1))
    assert len(set(state.closed)) == len(state.closed)
    assert len(state.open) + len(state.closed) == len(state.recorded)
