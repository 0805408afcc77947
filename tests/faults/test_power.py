"""Power failures, full and failing disks, flipped bits under the real store, log and fence: nothing acknowledged is lost,
nobody waits for ever, and damage is named before anything is signed over it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import apsw
import pytest

import node.store
from node.store import StoreFault, connect
from sync.fence import Active
from sync.log import head, read_entry
from tests.faults.flipped import Flipped
from tests.faults.power_drill import Lost, drill
from tests.faults.power_node import ORIGIN, PowerNode, accepted, create, stopped
from tests.faults.power_vfs import Disk, powered


@contextmanager
def running(folder: Path, *, checkpoint_pages: int = 25) -> Iterator[tuple[Disk, PowerNode]]:
    disk = Disk(folder, Random(1))
    with powered(disk):
        create(disk)
        power = PowerNode(disk, checkpoint_pages=checkpoint_pages)
        assert power.gate() == Active()
        try:
            yield disk, power
        finally:
            disk.trouble = lambda _what, _name: None
            power.close()


def refused(power: PowerNode, count: int) -> StoreFault:
    answers = power.group([f"no{i} " for i in range(count)])
    faults = {id(answer.error): answer.error for answer in answers}
    assert len(faults) == 1
    (fault,) = faults.values()
    assert isinstance(fault, StoreFault), fault
    return fault


# -- power -----------------------------------------------------------------------------------------------------------


def test_power_failures_anywhere_lose_nothing_acknowledged_and_leave_nothing_half() -> None:
    found = drill(250)
    assert found["failures"] == 250
    assert found["Active"] + found["Behind"] == 250
    assert min(found["Behind"], found["kept though nobody was told"], found["clean ends"], found["acknowledged"]) > 0


@contextmanager
def planted(monkeypatch: pytest.MonkeyPatch, bug: str) -> Iterator[None]:
    if bug == "not synced":
        real = connect

        def unsynced(path: Path, *, readonly: bool = False) -> apsw.Connection:
            db = real(path, readonly=readonly)
            db.execute("PRAGMA synchronous=NORMAL")
            return db

        monkeypatch.setattr(node.store, "connect", unsynced)
    elif bug == "fence before commit":

        def early(recorder: object, db: apsw.Connection) -> None:
            before(recorder, db)
            if recorder._fence_to is not None:  # type: ignore[attr-defined]
                recorder._fence.advance(recorder._fence_to)  # type: ignore[attr-defined]

        before = node.recorder.Recorder.before_commit
        monkeypatch.setattr(node.recorder.Recorder, "before_commit", early)
    yield


@pytest.mark.parametrize(
    ("bug", "said"), [("not synced", "the gate says fence-ahead"), ("fence before commit", "the gate says fence-ahead")]
)
def test_the_drill_finds_a_node_that_does_not_sync_or_fences_too_early(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, bug: str, said: str
) -> None:
    with planted(monkeypatch, bug), pytest.raises(Lost, match=said):
        drill(200)


# -- a disk that is full or fails ------------------------------------------------------------------------------------


def test_a_full_disk_refuses_appends_answers_reads_and_goes_on_by_itself(tmp_path: Path) -> None:
    with running(tmp_path) as (disk, power):
        accepted(power, 40)
        reader = node.store.connect(disk.folder / "erhai.db", readonly=True)
        disk.trouble = lambda what, _name: "ENOSPC" if what == "extend" else None
        # What fits into the write-ahead log's old space is still recorded; then every group is refused, and says why.
        for _ in range(60):
            answers = power.group(["fits?"])
            if answers[0].error is not None:
                break
        size = power.size()
        fault = refused(power, 5)
        assert (fault.what, fault.why) == ("commit", "the disk is full")
        assert "free space" in fault.hint
        assert power.size() == size == power.recorder.log.size
        assert head(reader, ORIGIN).size == size
        assert read_entry(reader, ORIGIN, size - 1) == power.bodies()[size - 1]
        disk.trouble = lambda _what, _name: None
        assert accepted(power, 5) == list(range(size, size + 5))
        assert power.differences() == []
        reader.close()


@pytest.mark.parametrize(("word", "in_a_row"), [("EIO", 1), ("EIO", 2), ("EIO", 12), ("ENOSPC", 3)])
def test_whichever_call_fails_nobody_waits_and_memory_is_never_ahead_of_the_disk(
    tmp_path: Path, word: str, in_a_row: int
) -> None:
    """A failed write, then a failed reload, then a failed rollback: at every call of a group, and so many after it."""
    failed_groups = 0
    for first in range(1, 400):
        folder = tmp_path / str(first)
        folder.mkdir()
        with running(folder, checkpoint_pages=8) as (disk, power):
            accepted(power, 60)
            before = power.bodies()
            start = disk.calls + first
            disk.trouble = lambda _what, _name, s=start: word if s <= disk.calls < s + in_a_row else None
            answers = power.group([f"w{i} " for i in range(20)])
            untouched = disk.calls < start
            failed = [answer for answer in answers if answer.error is not None]
            assert all(answer.told for answer in answers)
            assert len(failed) in {0, 20}
            failed_groups += bool(failed)
            for _ in range(2):
                if failed and power.store.broken is None:
                    failed = [one for one in power.group(["again"]) if one.error is not None]
            disk.trouble = lambda _what, _name: None
            if power.store.broken is None:
                places = accepted(power, 3, "after ")
                assert places[0] == len(power.bodies()) - 3
                assert power.recorder.log.size == power.size() == places[-1] + 1
            else:
                assert "fence" in str(power.store.broken)
            held = power.bodies()
            assert {seq: held[seq] for seq in before} == before
            assert sorted(held) == list(range(len(held)))
            assert power.differences() == []
        with powered(disk):
            again = PowerNode(disk)
            assert not stopped(again.gate())
            again.close()
        if untouched:
            break
    assert failed_groups > 5
    assert untouched


def test_a_fence_that_cannot_be_written_stops_the_node_and_a_restart_mends_it(tmp_path: Path) -> None:
    with running(tmp_path) as (disk, power):
        accepted(power, 3)
        disk.trouble = lambda what, name: "EIO" if (what, name) == ("sync", "fence") else None
        fault = refused(power, 2)
        assert (fault.what, fault.hint) == ("fence", "check the disk, then restart the node")
        disk.trouble = lambda _what, _name: None
        assert refused(power, 1) is power.store.broken
    with powered(disk):
        again = PowerNode(disk)
        assert not stopped(again.gate())
        assert accepted(again, 1) == [again.size() - 1]
        again.close()


# -- flipped bits ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("checkpointed", [False, True])
def test_a_flipped_bit_anywhere_changes_nothing_or_is_named_and_never_signed_over(
    tmp_path: Path, *, checkpointed: bool
) -> None:
    flipped = Flipped(tmp_path, checkpointed=checkpointed)
    said = flipped.said_of(120, Random(17))
    assert sum(map(bool, said)) > 40


def test_a_flipped_bit_in_the_fence_costs_at_most_one_slot(tmp_path: Path) -> None:
    flipped = Flipped(tmp_path, checkpointed=True, size=60)
    for bit in range(0, 8 * len(flipped.image["fence"]), 397):
        assert flipped.said("fence", bit) == ""
