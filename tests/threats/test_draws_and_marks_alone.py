"""A steered draw and exchanged marks, found by whoever holds the export and nothing else."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from node.domain import ceremony, drawn, evaluation
from node.domain.streams import lot_stream
from node.replay import Replayed
from tests.data import bank
from tests.pages.room import LOT, OPERATOR, Room, new_id
from tests.shell.drawn_room import DRAW, Drawn
from tests.threats.test_export_alone import Export, exported, problems


async def _drawn(folder: Path) -> Export:
    room = Room.in_folder(folder)
    room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
    await (await room.filing()).noticed()
    drawing = await Drawn(room).banked()
    await (await (await drawing.frozen()).commit()).reveal()
    await drawing.answer()
    lot = await room.node.state(lot_stream(LOT))
    room.node.recorder._states[lot_stream(LOT)] = replace(lot, evaluation=replace(lot.evaluation, reported_at_ms=1))
    await drawing.draws.publish(DRAW, command_id=new_id(), actor=OPERATOR)
    made = await exported(room.node)
    await room.node.close()
    return made


async def _marked(folder: Path) -> Export:
    room = await Room.in_folder(folder).scoring()
    for no in ("X-1", "X-2", "X-3", "X-4", "X-5"):
        await room.mark_all(no)
    await room.close_scoring()
    made = await exported(room.node)
    await room.node.close()
    return made


@pytest.fixture(scope="module")
def draw_export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return asyncio.run(_drawn(tmp_path_factory.mktemp("draw")))


@pytest.fixture(scope="module")
def marks_export(tmp_path_factory: pytest.TempPathFactory) -> Export:
    return asyncio.run(_marked(tmp_path_factory.mktemp("marks")))


def found_in(export: Export, change: Callable[[Any], Any], folder: Path) -> Replayed:
    return export.events(change).replayed(folder)


def test_an_honest_draw_and_honest_marks_are_computed_again(
    draw_export: Export, marks_export: Export, tmp_path: Path
) -> None:
    found = draw_export.replayed(tmp_path)
    assert (found.draws, found.findings) == (1, ())
    found = marks_export.replayed(tmp_path)
    assert (found.marks, found.findings) == (15, ())  # five members, three bids


def other_places(event: Any) -> Any:
    """Two groups exchange whom they reach."""
    if not isinstance(event, drawn.PoolRanked):
        return event
    return replace(event, reached=tuple(replace(one, place=one.place + 1) for one in event.reached))


def early(event: Any) -> Any:
    """A reveal where a commit should stand."""
    if not isinstance(event, ceremony.NonceCommitted) or event.party != "TENDERER":
        return event
    return ceremony.NonceRevealed(event.party, b"sealed")


DRAWS = [("others reached than the seed says", other_places), ("a reveal before all have committed", early)]


@pytest.mark.parametrize("change", [row[1] for row in DRAWS], ids=[row[0] for row in DRAWS])
def test_a_steered_draw_is_named(draw_export: Export, tmp_path: Path, change: Callable[[Any], Any]) -> None:
    assert "draw-differs" in problems(found_in(draw_export, change, tmp_path))


def raised(event: Any) -> Any:
    if not isinstance(event, evaluation.ScoringClosed):
        return event
    first, *rest = event.opened
    top, *others = first.marks
    better = replace(first, marks=(replace(top, mark_centi=top.mark_centi - 50), *others))
    return replace(event, opened=(better, *rest))


def silenced(event: Any) -> Any:
    return replace(event, opened=event.opened[1:]) if isinstance(event, evaluation.ScoringClosed) else event


def other_key(event: Any) -> Any:
    return replace(event, session_key=bytes(32)) if isinstance(event, evaluation.ScoringClosed) else event


MARKS = [
    ("a mark that its member did not give", raised, "marks-differ"),
    ("a member's marks left out", silenced, "marks-left-out"),
    ("another session key", other_key, "session-key-differs"),
]


@pytest.mark.parametrize(("change", "problem"), [row[1:] for row in MARKS], ids=[row[0] for row in MARKS])
def test_exchanged_marks_are_named(
    marks_export: Export, tmp_path: Path, change: Callable[[Any], Any], problem: str
) -> None:
    assert problems(found_in(marks_export, change, tmp_path)) == {problem}
