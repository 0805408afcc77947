"""The fence moves forward only, survives a torn write, and the gate tells a crash from a rollback."""

import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sync.checkpoint import Checkpoint
from sync.fence import Active, Behind, Fence, FenceFault, FenceState, Rollback, Seen, read_fence, start_gate
from sync.merkle import EMPTY_ROOT

ORIGIN = "dali.erhai/532924/room-1/a/e1"
ID = b"i" * 16


def at(size: int, root: bytes = b"") -> Checkpoint:
    return Checkpoint(ORIGIN, size, root or (EMPTY_ROOT if size == 0 else bytes([size % 251]) * 32))


def test_the_fence_says_after_a_restart_what_it_was_moved_to(tmp_path: Path) -> None:
    fence = Fence.create(tmp_path / "fence", instance=ID, origin=ORIGIN)
    for size in (1, 7, 300):
        fence.advance(at(size))
    fence.close()
    again = Fence.open(tmp_path / "fence")
    assert again.state == FenceState(3, ID, at(300))
    again.close()


def test_a_missing_fence_is_never_made_at_a_start(tmp_path: Path) -> None:
    with pytest.raises(FenceFault) as fault:
        Fence.open(tmp_path / "fence")
    assert fault.value.why == "missing"
    assert not list(tmp_path.iterdir())


def test_an_enrolled_fence_is_never_replaced(tmp_path: Path) -> None:
    Fence.create(tmp_path / "fence", instance=ID, origin=ORIGIN).close()
    with pytest.raises(FenceFault) as fault:
        Fence.create(tmp_path / "fence", instance=b"j" * 16, origin=ORIGIN)
    assert fault.value.why == "exists"
    assert read_fence(tmp_path / "fence").instance == ID


@pytest.mark.parametrize("to", [at(4), at(5, b"x" * 32), Checkpoint("dali.erhai/532924/room-1/a/e2", 6, b"y" * 32)])
def test_the_fence_never_goes_back_or_aside(tmp_path: Path, to: Checkpoint) -> None:
    fence = Fence.create(tmp_path / "fence", instance=ID, origin=ORIGIN)
    fence.advance(at(5))
    with pytest.raises(FenceFault) as fault:
        fence.advance(to)
    assert fault.value.why == "backwards"
    assert read_fence(tmp_path / "fence").released == at(5)
    fence.close()


def test_two_processes_cannot_hold_one_fence(tmp_path: Path) -> None:
    fence = Fence.create(tmp_path / "fence", instance=ID, origin=ORIGIN)
    with pytest.raises(FenceFault) as fault:
        Fence.open(tmp_path / "fence")
    assert fault.value.why == "in-use"
    fence.close()


def test_a_fence_moved_by_another_hand_is_not_moved_again(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    fence = Fence.create(path, instance=ID, origin=ORIGIN)
    foreign = FenceState(1, ID, at(9)).pack()
    with path.open("r+b") as file:
        file.seek(4_096)
        file.write(foreign)
    with pytest.raises(FenceFault) as fault:
        fence.advance(at(1))
    assert fault.value.why == "moved"
    fence.close()


@given(torn=st.integers(0, 1_023), sizes=st.integers(1, 4))
@settings(max_examples=60, deadline=None)
def test_a_torn_write_leaves_the_position_before_it(tmp_path_factory, torn: int, sizes: int) -> None:
    path = tmp_path_factory.mktemp("fence") / "fence"
    fence = Fence.create(path, instance=ID, origin=ORIGIN)
    for size in range(1, sizes + 1):
        fence.advance(at(size))
    fence.close()
    new = FenceState(sizes + 1, ID, at(sizes + 1)).pack()
    with path.open("r+b") as file:
        file.seek(4_096 * ((sizes + 1) & 1))
        file.write(new[:torn])
    found = read_fence(path).released
    assert found in {at(sizes), at(sizes + 1)}
    if torn < len(new.rstrip(b"\0")) - 1:
        assert found == at(sizes)


def test_a_fence_with_two_broken_slots_is_damaged(tmp_path: Path) -> None:
    path = tmp_path / "fence"
    Fence.create(path, instance=ID, origin=ORIGIN).close()
    path.write_bytes(os.urandom(8_192))
    with pytest.raises(FenceFault) as fault:
        Fence.open(path)
    assert fault.value.why == "damaged"


ROOTS = {size: at(size).root for size in range(20)}


def gate(*, fence=None, local=None, signed="same", seen=(), instance=ID):
    local = local or at(10)
    return start_gate(
        instance=instance,
        fence=FenceState(1, ID, fence or at(10)),
        local=local,
        signed=local if signed == "same" else signed,
        root_at=ROOTS.__getitem__,
        seen=seen,
    )


@pytest.mark.parametrize(
    ("case", "verdict"),
    [
        ({}, Active()),
        ({"seen": (Seen("b", at(10)), Seen("p", at(3)))}, Active()),
        ({"fence": at(8)}, Behind(at(10))),
        ({"fence": at(0)}, Behind(at(10))),
        ({"local": at(0), "fence": at(0), "signed": None}, Active()),
        ({"fence": at(11)}, "fence-ahead"),
        ({"fence": at(10, b"z" * 32)}, "fence-differs"),
        ({"fence": at(8, b"z" * 32)}, "fence-differs"),
        ({"seen": (Seen("b", at(12)),)}, "peer-ahead"),
        ({"seen": (Seen("b", at(9, b"z" * 32)),)}, "peer-differs"),
        ({"seen": (Seen("b", at(10, b"z" * 32)),)}, "peer-differs"),
        ({"signed": None}, "unsigned-tail"),
        ({"signed": at(9)}, "unsigned-tail"),
        ({"instance": b"j" * 16}, "other-instance"),
        ({"fence": Checkpoint("elsewhere/e1", 3, b"q" * 32)}, "other-origin"),
        ({"local": at(0), "fence": at(4), "signed": None}, "fence-ahead"),
    ],
)
def test_the_gate_tells_a_crash_from_a_rollback(case, verdict) -> None:
    found = gate(**case)
    if isinstance(verdict, str):
        assert isinstance(found, Rollback)
        assert found.cause == verdict
    else:
        assert found == verdict
