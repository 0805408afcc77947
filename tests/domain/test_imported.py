"""Lots of other systems: recorded as received, amended by later releases, never run."""

from dataclasses import fields, is_dataclass, replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain import wire
from node.domain.calendar import DAY_MS
from node.domain.imported import (
    Change,
    ForeignAmendment,
    ForeignDocument,
    ForeignLot,
    ForeignTender,
    ImportedLots,
    ImportLot,
    ImportState,
    LotImportAmended,
    LotImported,
    Money,
    Organisation,
    Span,
    decide,
    evolve,
    implicit_lot,
    merge,
)
from node.domain.project import Suspend
from node.domain.refused import NotOffered, Refused
from node.domain.values import Actor, Asked, ClockQuality, Recorded, Role

NOW_MS = 1_772_413_200_000
ASKED = Asked(
    at_ms=NOW_MS,
    clock_quality=ClockQuality.SYNCHRONISED,
    actor=Actor("p-1", Role.OPERATOR),
    profiles=(),
    calendar=None,
    look=lambda _stream: None,
)
NOTHING = Span()
TENDER = ForeignTender(
    id="T-1",
    title="Cycle lanes",
    description="Eight miles",
    status="active",
    category="works",
    method="open",
    method_details="",
    award_criteria="",
    award_criteria_details="",
    value=Money("1100000", "GBP"),
    min_value=None,
    tender_period=Span("2010-03-01T09:00:00Z", "2010-04-01T18:00:00Z"),
    enquiry_period=NOTHING,
    award_period=NOTHING,
    contract_period=NOTHING,
)
FIRST = ImportedLots(
    ocid="ocds-1",
    release_id="r-1",
    released="2010-03-15T09:30:00Z",
    released_at_ms=1_268_645_400_000,
    tags=("tender",),
    language="en",
    publisher="Somebody",
    package_uri="",
    license="",
    source_sha256=b"\x01" * 32,
    source_size=10,
    tender=TENDER,
    lots=(implicit_lot(TENDER),),
    organisations=(Organisation("o-1", "Borough", "GB-LAC", "E1", ("buyer",)),),
    documents=(ForeignDocument("d-1", "tenderNotice", "Notice", "http://example.com/1", ""),),
    amendments=(),
    unmapped=("/uri",),
    unmapped_more=0,
)


def later(no: int = 2, *, status: str = "", tender_period: Span = NOTHING, **changes: Any) -> ImportedLots:
    """A release that mentions only its tender's id, and what the test adds."""
    tender = replace(
        TENDER,
        title="",
        description="",
        status=status,
        category="",
        method="",
        value=None,
        tender_period=tender_period,
    )
    release = replace(
        FIRST,
        release_id=f"r-{no}",
        released="2010-03-20T09:45:00Z",
        released_at_ms=FIRST.released_at_ms + no * DAY_MS,
        tender=tender,
        lots=(implicit_lot(tender),),
        organisations=(),
        documents=(),
    )
    return replace(release, **changes)


def fold(*releases: ImportedLots) -> ImportState:
    state = ImportState()
    for seq, release in enumerate(releases):
        for event in decide(state, ImportLot(release), ASKED):
            state = evolve(state, event, Recorded(NOW_MS, "operator:p-1", "a", seq, b""))
    return state


def test_the_first_release_opens_the_process_and_is_kept_as_received() -> None:
    assert decide(ImportState(), ImportLot(FIRST), ASKED) == (LotImported(FIRST),)
    state = fold(FIRST)
    assert state.current == FIRST
    assert [seen.release_id for seen in state.seen] == ["r-1"]


def test_a_later_release_is_an_amendment_that_says_what_it_changed() -> None:
    release = later(
        tender_period=Span("", "2010-04-08T18:00:00Z"),
        amendments=(ForeignAmendment("1", "", "extended", "one week more", "r-1"),),
        documents=(ForeignDocument("d-2", "clarifications", "Answers", "", ""),),
    )
    (event,) = decide(fold(FIRST), ImportLot(release), ASKED)
    assert isinstance(event, LotImportAmended)
    assert (event.release, event.amends) == (release, "r-1")
    assert event.changes == (
        Change(
            "tender.tender_period",
            "2010-03-01T09:00:00Z – 2010-04-01T18:00:00Z",
            "2010-03-01T09:00:00Z – 2010-04-08T18:00:00Z",
        ),
        Change("documents[d-2]", "", "Answers"),
        Change("amendments[1]", "", "one week more"),
    )


def test_a_later_release_that_repeats_what_is_known_changes_nothing() -> None:
    (event,) = decide(fold(FIRST), ImportLot(later(status="active")), ASKED)
    assert event == LotImportAmended(later(status="active"), "r-1", ())


def test_what_a_later_release_leaves_out_stays() -> None:
    current = fold(FIRST, later(status="cancelled")).current
    assert current is not None
    assert (current.tender.title, current.tender.status) == ("Cycle lanes", "cancelled")
    assert current.tender.value == Money("1100000", "GBP")
    assert current.organisations == FIRST.organisations
    assert current.documents == FIRST.documents
    assert current.release_id == "r-2"


def test_the_implicit_lot_follows_its_tender() -> None:
    release = later(status="cancelled")
    release = replace(release, tender=replace(release.tender, value=Money("2", "GBP")))
    current = fold(FIRST, release).current
    assert current is not None
    assert current.lots == (
        ForeignLot("T-1", "Cycle lanes", "Eight miles", "cancelled", Money("2", "GBP"), None, implicit=True),
    )


def test_lots_that_come_later_take_the_place_of_the_implicit_one_and_stay() -> None:
    lots = tuple(ForeignLot(f"L{no}", f"Part {no}", "", "active", None, None, implicit=False) for no in (1, 2))
    changed = (replace(lots[1], title="", status="complete"),)
    current = fold(FIRST, later(2, lots=lots), later(3, lots=changed), later(4)).current
    assert current is not None
    assert current.lots == (lots[0], replace(lots[1], status="complete"))


@pytest.mark.parametrize(
    ("given", "release", "code", "value"),
    [
        ((FIRST,), FIRST, "already-imported", "r-1"),
        ((FIRST, later(3)), FIRST, "already-imported", "r-1"),
        ((FIRST, later(3)), later(2), "older-release", later(2).released),
        ((FIRST,), later(2, ocid="ocds-2"), "ocid-differs", "ocds-2"),
        ((), replace(FIRST, ocid=" "), "field-missing", ""),
        ((), replace(FIRST, release_id=""), "field-missing", ""),
        ((), replace(FIRST, source_sha256=b"\x01"), "digest-malformed", "1"),
        ((), replace(FIRST, lots=()), "lots-missing", "r-1"),
        ((), replace(FIRST, released_at_ms=NOW_MS + DAY_MS + 1), "release-in-the-future", FIRST.released),
    ],
)
def test_a_release_that_does_not_fit_is_refused(
    given: tuple[ImportedLots, ...], release: ImportedLots, code: str, value: str
) -> None:
    with pytest.raises(Refused) as refusal:
        decide(fold(*given), ImportLot(release), ASKED)
    assert (refusal.value.code, refusal.value.value) == (code, value)


def test_a_release_of_the_same_moment_under_another_id_is_an_amendment() -> None:
    twin = later(2, released_at_ms=FIRST.released_at_ms)
    assert len(fold(FIRST, twin).seen) == 2


def test_a_release_larger_than_an_entry_is_refused_before_it_reaches_the_log() -> None:
    lots = tuple(ForeignLot(f"L{no}", "桥" * 300, "", "", None, None, implicit=False) for no in range(70))
    with pytest.raises(Refused, match="release-too-large"):
        decide(ImportState(), ImportLot(replace(FIRST, lots=lots)), ASKED)
    assert decide(ImportState(), ImportLot(replace(FIRST, lots=lots[:60])), ASKED)


def test_no_command_of_a_procedure_is_offered_to_an_imported_lot() -> None:
    with pytest.raises(NotOffered):
        decide(fold(FIRST), Suspend("outage", "mains", ""), ASKED)


def test_an_event_of_another_subject_changes_nothing() -> None:
    state = fold(FIRST)
    assert evolve(state, object(), Recorded(0, "", "", 0, b"")) is state


def test_merging_a_release_with_itself_changes_nothing() -> None:
    assert merge(FIRST, FIRST) == FIRST


# -- any releases in any order, against a reference that merges plain dictionaries -----------------------------------------

WORDS = st.sampled_from(["", "a", "b"])
RELEASES = st.builds(
    lambda no, day, title, status, ids: later(
        no,
        released_at_ms=FIRST.released_at_ms + day * DAY_MS,
        tender=replace(later().tender, title=title, status=status),
        lots=tuple(ForeignLot(one, title, "", status, None, None, implicit=False) for one in ids)
        or (implicit_lot(later().tender),),
    ),
    st.integers(1, 5),
    st.integers(0, 4),
    WORDS,
    WORDS,
    st.lists(st.sampled_from(["L1", "L2", "L3"]), unique=True, max_size=3),
)


@settings(deadline=None)
@given(st.lists(RELEASES, max_size=8))
def test_any_releases_in_any_order_leave_what_a_plain_merge_of_the_accepted_ones_leaves(
    releases: list[ImportedLots],
) -> None:
    state = ImportState()
    seen: list[tuple[str, int]] = []
    tender: dict[str, str] = {}
    lots: dict[str, dict[str, str]] = {}
    for release in releases:
        fresh = release.release_id not in {one for one, _ in seen}
        in_order = not seen or release.released_at_ms >= seen[-1][1]
        if not (fresh and in_order):
            with pytest.raises(Refused):
                decide(state, ImportLot(release), ASKED)
            continue
        (event,) = decide(state, ImportLot(release), ASKED)
        assert isinstance(event, LotImportAmended if seen else LotImported)
        state = evolve(state, event, Recorded(NOW_MS, "", "a", 0, b""))
        seen.append((release.release_id, release.released_at_ms))
        said = {"title": release.tender.title, "status": release.tender.status}
        tender |= {name: word for name, word in said.items() if word}
        for lot in release.lots:
            if not lot.implicit:
                known = lots.setdefault(lot.id, {})
                known |= {name: word for name, word in (("title", lot.title), ("status", lot.status)) if word}
    assert [one.release_id for one in state.seen] == [one for one, _ in seen]
    if state.current is None:
        assert not seen
        return
    assert (state.current.tender.title, state.current.tender.status) == (
        tender.get("title", ""),
        tender.get("status", ""),
    )
    held = {lot.id: (lot.title, lot.status) for lot in state.current.lots if not lot.implicit}
    assert held == {one: (known.get("title", ""), known.get("status", "")) for one, known in lots.items()}
    assert any(lot.implicit for lot in state.current.lots) is (not lots)


def test_events_hold_only_what_entries_can_hold_and_come_back_from_the_wire() -> None:
    def plain(value: Any) -> bool:
        if is_dataclass(value):
            return all(plain(getattr(value, each.name)) for each in fields(value))
        if isinstance(value, tuple):
            return all(map(plain, value))
        return value is None or type(value) in {str, int, bool, bytes}

    amended = LotImportAmended(later(), "r-1", (Change("a", "b", "c"),))
    for event in (LotImported(FIRST), amended):
        assert plain(event)
        assert wire.decode(*wire.encode(event)) == event
