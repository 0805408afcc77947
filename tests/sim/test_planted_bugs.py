"""The simulator finds what it is there for: each bug, planted by replacing one function, breaks an invariant within 500 seeds."""

from collections.abc import Callable
from typing import Any

import pytest

from node.recorder import Recorder
from sync import gate, witness
from sync.fence import Active, Fence, Rollback
from sync.log import LogTable
from sync.merkle import leaf_hash
from sync.mirror import Checked, Held
from sync.replicate import Push
from sync.wire import MirrorInfo
from tests.sim.watch import Violation
from tests.sim.world import simulate

SEEDS = 500


def caught(likely: int) -> str:
    """Return the invariant that breaks first; the seed that is known to show it is tried before the others."""
    for seed in (likely, *range(SEEDS)):
        try:
            simulate(seed)
        except Violation as violation:
            return violation.invariant
    return ""


def no_consistency_check(*_args: Any) -> None:
    """Every new checkpoint continues the last one."""


def unverified_packages(self: Checked, package: Any) -> None:
    """Take entries without their proof."""
    self._leading = ()
    self._bodies += package.entries
    self._leaves += [leaf_hash(entry) for entry in package.entries]
    self.received += 1


def no_fence(self: Fence, to: Any) -> None:
    """Never move the fence."""


def gate_wide_open(*args: Any, **kwargs: Any) -> Any:
    """Append whatever the gate says."""
    verdict = _check_start(*args, **kwargs)
    return Active() if isinstance(verdict, Rollback) else verdict


_check_start = gate.check_start


def cosign_by_the_clock(db: Any, log_id: int, checkpoint: Any, signer: Any, now_ms: int) -> Any:
    """Cosign with the time of day, forwards or backwards."""
    db.execute("UPDATE logs SET cosigned_s = 0 WHERE log_id = ?", (log_id,))
    return _cosign(db, log_id, checkpoint, signer, now_ms)


_cosign = witness.cosign


async def trusted_cursor(self: Push, mine: Any) -> None:
    """Believe that what was once sent is still there, and ask nobody."""


def forgetful_rollback(self: Recorder) -> None:
    """Keep the frontier in memory ahead of the disk after a failed commit."""
    self._pending.clear()
    self._topics.clear()
    self._fence_to = None


def lost_frontier(self: LogTable) -> None:
    """Write the head's size without the tree over it."""
    if self._dirty:
        self._cursor.execute("UPDATE logs SET size = ? WHERE log_id = ?", (self._size, self.log_id))
        self._dirty = False


def everybody_may_freeze(*args: Any, **kwargs: Any) -> Any:
    """Take a third party's spoiled proof for the owner's fork."""
    return _take(*args, **{**kwargs, "owner": True})


_take = witness.take_checkpoint


def boastful_info(self: Held, end: int) -> MirrorInfo:
    """Tell a sender to go on behind an entry that is not held."""
    return MirrorInfo(end, self.next_entry + 1)


def blind_evidence(*_args: Any, **_kwargs: Any) -> None:
    """See two branches and keep nothing."""


PLANTED: list[tuple[str, Callable[..., Any], int, str]] = [
    ("sync.witness.verify_consistency", no_consistency_check, 16, "two-branches"),
    ("sync.mirror.Checked.take", unverified_packages, 4, "unforeseen-error"),  # the log table refuses the checkpoint
    ("sync.fence.Fence.advance", no_fence, 0, "released-unfenced"),
    ("sync.gate.check_start", gate_wide_open, 11, "fork-without-cause"),
    ("sync.mirror.cosign", cosign_by_the_clock, 3, "cosign-backwards"),
    ("sync.replicate.Push._probe", trusted_cursor, 56, "convergence"),
    ("node.recorder.Recorder.after_rollback", forgetful_rollback, 22, "gap"),
    ("sync.log.LogTable.flush", lost_frontier, 0, "frontier"),
    ("sync.receiver.take_checkpoint", everybody_may_freeze, 191, "false-accusation"),
    ("sync.witness.keep_evidence", blind_evidence, 207, "convergence"),
    ("sync.mirror.Held.info", boastful_info, 0, "convergence"),
]


@pytest.mark.parametrize(
    ("where", "bug", "likely", "invariant"), PLANTED, ids=[bug.__name__ for _, bug, _, _ in PLANTED]
)
def test_a_planted_bug_is_caught(
    where: str, bug: Callable[..., Any], likely: int, invariant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(where, bug)
    assert caught(likely) == invariant
