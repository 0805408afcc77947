"""The invariants, checked on every disk after every commit, and on everything that leaves a machine.

shrunk            nothing that a disk held is gone, unless the disk was put back
gap               entries are contiguous
prefix            what is stored of a log was committed by its owner, in this order
frontier          the head row says what the entries say
unsigned-promise  only checkpoints that the owner signed are promised
two-branches      promises and entries of a log lie on one branch, save where a relay brought less than was promised: nothing
                  is merged
unverified        no mirrored entry beyond what a promise covers
fork-without-cause  a log forks only where a disk was cloned or put back together with its fence
false-accusation  a log is frozen only with evidence, and only where it did fork, its owner lies or was cloned
cosign-backwards  sizes and times of a cosigner's statements on a log never decrease
false-reach       an honest cosigner holds what it is recorded to have cosigned
released-unfenced no checkpoint leaves the machine, and no entry is acknowledged, beyond the fence
acknowledged-lost an acknowledged entry is on the disk that acknowledged it
memory            tables and queues stay within their bounds
unforeseen-error  no supervisor catches anything but the disk's own faults
convergence       after healing everything arrives within BOUND_S, and who can heal has healed
"""

import base64
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from node.store import StoreFault
from sync.checkpoint import read
from sync.fence import FenceState, read_fence
from sync.log import read_bodies
from sync.merkle import Frontier, leaf_hash
from sync.receiver import PEER_REQUESTS, REQUESTS, UPLOADS
from tests.sim.truth import Point, Truth, on_one_branch

_COSIGNED = "(SELECT size || ' ' || line FROM cosignatures AS c WHERE c.log_id = logs.log_id AND cosigner = ?)"
_LOGS = (
    "SELECT log_id, origin, size, frontier, frozen, checkpoint_size,"
    " (SELECT COUNT(*) FROM promises WHERE promises.log_id = logs.log_id),"
    " (SELECT MAX(size) FROM promises WHERE promises.log_id = logs.log_id), "
    f"{_COSIGNED}, {_COSIGNED} FROM logs"
)
_PROMISE = "SELECT root FROM promises WHERE log_id = ? AND size = ?"
_REACH = "SELECT cosigner, MAX(size) FROM cosignatures WHERE log_id = ? GROUP BY cosigner"
MAX_PROMISES = 18  # 16 kept, one that is being filled, one that a relay brought
MAX_EVIDENCE = 64
MAX_WAITING = 200


class Violation(AssertionError):
    """An invariant does not hold."""

    def __init__(self, invariant: str, *facts: object) -> None:
        super().__init__(f"{invariant}: {' '.join(map(str, facts))}")
        self.invariant = invariant


@dataclass(slots=True)
class Known:
    """What was on a disk of one log when it was last looked at."""

    point: Point
    promised: Point | None = None
    row: object = None
    cosigned: dict[str, tuple[int, int]] = field(default_factory=dict)


class Watch:
    """Looks at disks, remembers, compares with the truth."""

    def __init__(self, world: Any) -> None:
        self._world = world
        self.truth = Truth()
        self.known: dict[tuple[str, int], dict[str, Known]] = defaultdict(dict)
        self.excused: set[str] = set()
        self.checks = 0

    def fail(self, invariant: str, *facts: object) -> None:
        violation = Violation(invariant, *facts)
        self._world.failed(violation)
        raise violation

    def held(self, machine: Any) -> dict[str, Known]:
        return self.known[machine.name, machine.disk.generation]

    def point(self, machine: Any, origin: str) -> Point:
        held = self.held(machine).get(origin)
        return self.truth.start(origin) if held is None else held.point

    def check(self, machine: Any) -> None:
        """Look at everything on a disk that may have changed."""
        self.checks += 1
        db, held, who = machine.disk.db, self.held(machine), machine.who
        for row in db.execute(_LOGS, (who.cosigner.name, who.witness.name)).fetchall():
            log_id, origin, size, frontier, frozen, checkpoint_size, promises, promised, cosigned, witnessed = row
            known = held.get(origin)
            if known is None:
                known = held[origin] = Known(self.truth.start(origin))
            if origin == machine.origin:
                self._reach(machine, db.execute(_REACH, (log_id,)).fetchall())
            if row == known.row:
                continue
            known.row = row
            if size != known.point.size:
                self._grown(machine, origin, known, size)
            if frontier != known.point.frontier.pack():
                self.fail("frontier", machine.name, origin, size)
            if origin != machine.origin:
                root = db.execute(_PROMISE, (log_id, promised)).fetchone()
                self._promised(machine, origin, known, root and (promised, root[0]), checkpoint_size)
            if frozen is not None:
                self._frozen(machine, origin)
            if promises > MAX_PROMISES:
                self.fail("memory", machine.name, f"{promises} promises of", origin)
            self._cosigned(origin, known, who.cosigner.name, cosigned)
            self._cosigned(origin, known, who.witness.name, witnessed)
        self._bounded(machine)

    def _grown(self, machine: Any, origin: str, known: Known, size: int) -> None:
        old = known.point
        if size < old.size:
            self.fail("shrunk", machine.name, origin, old.size, size)
        bodies = [body for _, body in read_bodies(machine.disk.db, origin, old.size, size)]
        if len(bodies) != size - old.size:
            self.fail("gap", machine.name, origin, old.size, size)
        if origin == machine.origin:
            known.point = self.truth.grow(origin, old, bodies)
            if self.truth.forked(origin) and origin not in self.excused:
                self.fail("fork-without-cause", machine.name, origin, size)
            return
        grown = old.frontier.extend(map(leaf_hash, bodies))
        point = self.truth.find(origin, size, grown.root())
        if point is None:
            self.fail("prefix", machine.name, origin, size)
        elif not on_one_branch(point, old):
            self.fail("two-branches", machine.name, origin, size)
        else:
            known.point = point

    def _promised(self, machine: Any, origin: str, known: Known, row: Any, checkpoint_size: int) -> None:
        covered = checkpoint_size
        if row is not None:
            promise = self.truth.find(origin, row[0], row[1])
            if promise is None:
                self.fail("unsigned-promise", machine.name, origin, row[0])
            elif not on_one_branch(promise, known.point) and not self._relayed(origin, promise, known):
                self.fail("two-branches", machine.name, origin, known.point.size, row[0])
            elif known.promised is not None and not on_one_branch(promise, known.promised):
                self.fail("two-branches", machine.name, origin, "promised", known.promised.size, row[0])
            known.promised = promise
            covered = max(covered, row[0])
        if known.point.size > covered:
            self.fail("unverified", machine.name, origin, known.point.size, covered)

    def _relayed(self, origin: str, promise: Point, known: Known) -> bool:
        """A relay may bring entries of a branch that is shorter than what was promised of another: no proof can tell before
        the entries of the other come. Convergence asks that the log is frozen then.
        """
        return self.truth.forked(origin) and promise.size > known.point.size

    def _frozen(self, machine: Any, origin: str) -> None:
        rows = machine.disk.db.execute("SELECT held, shown FROM misbehaviour WHERE origin = ?", (origin,)).fetchall()
        owner = self._world.net.machines[machine.plan.trust.get(origin, machine.node)]
        # Its own node closes a log already when a second hand goes on with its key, before there are two branches.
        guilty = self.truth.forked(origin) or (origin == machine.origin and origin in self.excused)
        if not rows or not (guilty or owner.liar is not None):
            self.fail("false-accusation", machine.name, origin, len(rows))
        if len(rows) > MAX_EVIDENCE:
            self.fail("memory", machine.name, f"{len(rows)} pieces of evidence")

    def _cosigned(self, origin: str, known: Known, name: str, said: str | None) -> None:
        if said is None:
            return
        size_text, _, line = said.partition(" ")
        now = int(size_text), int.from_bytes(base64.b64decode(line.rpartition(" ")[2])[4:12])
        before = known.cosigned.get(name, (0, 0))
        if now[0] < before[0] or now[1] < before[1]:
            self.fail("cosign-backwards", name, origin, before, now)
        known.cosigned[name] = now

    def _reach(self, machine: Any, rows: list[tuple[str, int]]) -> None:
        for name, size in rows:
            peer = self._world.net.machines[name.split("/")[1]]
            honest = peer.liar is None and not peer.disk.generation
            if honest and self.point(peer, machine.origin).size < size:
                self.fail("false-reach", machine.name, name, size)

    def _bounded(self, machine: Any) -> None:
        running = machine.running
        if running is None:
            return
        sync = running.sync
        if (
            len(sync.uploading) > UPLOADS
            or sync.busy.total() > REQUESTS
            or max(sync.busy.values(), default=0) > PEER_REQUESTS
        ):
            self.fail("memory", machine.name, "requests", sync.busy)
        if len(sync.hashes) > len(machine.plan.trust) + 1 or running.store.waiting > MAX_WAITING:
            self.fail("memory", machine.name, "queues", running.store.waiting)

    # -- what leaves a machine ---------------------------------------------------------------------------------------

    def leaves(self, machine: Any, note: bytes) -> None:
        """A checkpoint is shown to somebody."""
        checkpoint, _ = read(note)
        if checkpoint.origin == machine.origin:
            self._fenced(machine, checkpoint.size, None if machine.running is None else machine.running.fence.state)

    def acknowledged(self, machine: Any, seq: int) -> None:
        """An entry's write has returned."""
        if seq >= self.point(machine, machine.origin).size:
            self.fail("acknowledged-lost", machine.name, seq)
        self._fenced(machine, seq + 1, read_fence(machine.disk.fence_path))

    def _fenced(self, machine: Any, size: int, fence: FenceState | None) -> None:
        running = machine.running
        if running is None or running.stopped or fence is None:
            return
        if fence.released.size < size:
            self.fail("released-unfenced", machine.name, size)

    def unforeseen(self, error: Exception, what: str) -> None:
        """A supervisor caught something that no module names: only the disk's own faults are foreseen."""
        if not isinstance(error, StoreFault) and "simulated" not in str(error):
            self.fail("unforeseen-error", repr(error), what)

    # -- at the end --------------------------------------------------------------------------------------------------

    def audit(self, machine: Any) -> None:
        """Read a whole disk again: what it held it still holds, byte for byte."""
        for origin, known in self.held(machine).items():
            leaves = [leaf_hash(body) for _, body in read_bodies(machine.disk.db, origin, 0, 1 << 40)]
            if Frontier().extend(leaves) != known.point.frontier:
                self.fail("acknowledged-lost", machine.name, origin, len(leaves), known.point.size)
