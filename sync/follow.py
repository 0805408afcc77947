"""Follow a log down: a node that may only dial reads a peer's log as tiles and keeps a verified copy (下行跟随).

Before the first entry is stored, the roots of the complete packages of 256 and the last leaves are brought to the signed
root over the part that is already here; so every bundle is checked by itself as it comes, a copy can stop anywhere and go
on, and a history that leaves the one stored here is found before anything of it is kept.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import islice

import apsw

from sync import wire
from sync.checkpoint import Checkpoint, open_checkpoint
from sync.link import LinkFault, PeerLink
from sync.log import TableHashes, has_log, head, open_log
from sync.merkle import Frontier, leaf_hash, tree_root
from sync.mirror import Verified, leading_of, store_upload
from sync.note import SignedNote, Signer
from sync.pace import Answered, Pace
from sync.reader import LogReader
from sync.receiver import Database, MirroredLog
from sync.status import LinkState
from sync.succession import closed_beyond
from sync.tampered import Malformed, Problem, Tampered
from sync.task import Task
from sync.tiles import WIDTH, entries_path
from sync.witness import Misbehaviour, keep_evidence, keep_promise, newest_promise

_BATCH = 16  # bundles stored in one transaction
_BATCH_BYTES = 4 * 1024 * 1024
_SURE = 2  # bundles that came whole before two are asked for at a time: a line that flaps carries one, not two halves


@dataclass(frozen=True, slots=True)
class Copy:
    """What is here of a followed log."""

    size: int
    frontier: Frontier
    leading: Sequence[bytes]  # leaf hashes of the package that is not complete yet
    known: Checkpoint  # newest checkpoint believed, of size 0 where there is none
    note: bytes


@dataclass(frozen=True, slots=True)
class Plan:
    """Verified against the signed root: the hash of every package that is still to come, and the last leaves."""

    target: Checkpoint
    first: int  # index of the first package
    packages: tuple[bytes, ...]
    tail: tuple[bytes, ...]


def plan(copy: Copy, target: Checkpoint, packages: Sequence[bytes], tail: Sequence[bytes]) -> Plan:
    """Return the plan to reach `target`, or raise Tampered (inconsistent-history) where it does not continue the copy. Pure.

    `packages` are the claimed roots of the complete packages from that of entry `copy.size` on; `tail` the claimed leaves of
    the last, incomplete one.
    """
    first, complete = copy.size // WIDTH, target.size // WIDTH
    if len(packages) != complete - first or len(tail) != target.size % WIDTH:
        raise ValueError(f"{len(packages)} packages and {len(tail)} leaves do not lead to {target.size}")
    whole = Frontier(first, copy.frontier.hashes[: first.bit_count()]).extend(packages)
    root = Frontier(target.size, (*whole.hashes, *Frontier().extend(tail).hashes)).root()
    if root != target.root:
        raise Tampered(
            Problem.INCONSISTENT_HISTORY, target.origin, expected=target.root.hex(), got=root.hex(), detail="tiles"
        )
    if complete == first and tuple(tail[: len(copy.leading)]) != tuple(copy.leading):
        raise Tampered(Problem.INCONSISTENT_HISTORY, target.origin, seq=copy.size, detail="entries here are not in it")
    return Plan(target, first, tuple(packages), tuple(tail))


def check_bundle(planned: Plan, copy: Copy, n: int, entries: Sequence[bytes]) -> list[bytes]:
    """Return the leaf hashes of bundle `n`, all as planned; raise Tampered with the first entry that is not. Pure."""
    leaves = [leaf_hash(entry) for entry in entries]
    start = n * WIDTH
    if n == planned.target.size // WIDTH:
        good = tuple(leaves) == planned.tail
    else:
        good = len(leaves) == WIDTH and Frontier().extend(leaves).root() == planned.packages[n - planned.first]
    if not good:
        raise Tampered(Problem.CHANGED_ENTRY, planned.target.origin, seq=start, detail=entries_path(n))
    if n == planned.first and leaves[: len(copy.leading)] != list(copy.leading):
        raise Tampered(
            Problem.INCONSISTENT_HISTORY, planned.target.origin, seq=start, detail="entries here are not in it"
        )
    return leaves


class Pull(Task):
    """Keeps a copy of a peer's log and cosigns it like a mirror; `stored(origin)` is called after each commit."""

    def __init__(
        self,
        link: PeerLink,
        db: Database,
        *,
        log: MirroredLog,
        cosigner: Signer,
        now_ms: Callable[[], int],
        stored: Callable[[str], None],
    ) -> None:
        """Made once per log that is read; `run` is the task."""
        super().__init__(link, db, log.vkey.name, "pull", now_ms)
        self._log = log
        self._cosigner = cosigner
        self._stored = stored
        self._reader = LogReader(link, log.vkey.name)
        self._pace = Pace()
        # Entries up to a checkpoint that is older than the newest promise, which has to wait: for what comes by hand.
        self.takes_older = False

    async def _round(self) -> None:
        note = await self._reader.checkpoint()
        if note is None:
            self._show(LinkState.CURRENT, "the log is empty", contact=True, behind=0)
            return
        try:
            opened = open_checkpoint(note, [self._log.vkey])
        except Malformed as malformed:
            raise LinkFault("unexpected-answer", f"no checkpoint: {malformed}") from malformed
        target = opened.checkpoint
        # Only the log's own signature is kept: other lines are whatever the peer likes to say.
        own = [line for line in opened.note.signatures if line.name == target.origin]
        kept = bytes(SignedNote(opened.note.text, tuple(own)))
        closed = await self._db.read(lambda db: closed_beyond(db, self._origin, target.size))
        if closed is not None:
            raise LinkFault("refused", closed)
        copy = await self._db.write(self._copy)
        if await self._contradicts(copy, target, kept):
            return
        if target.size > copy.size or (target.size == copy.size and copy.known.size < target.size):
            self._show(LinkState.SENDING, contact=True, behind=target.size - copy.size)
            await self._fetch(copy, target, kept)
        self._show(LinkState.CURRENT, contact=True, behind=0)

    def _copy(self, db: apsw.Connection) -> Copy:
        log = open_log(db, self._origin)
        known, note = newest_promise(db, log.log_id, self._origin)
        return Copy(log.size, log.frontier, leading_of(db, self._origin, log.size), known, note)

    async def _contradicts(self, copy: Copy, target: Checkpoint, note: bytes) -> bool:
        """Compare with what is held; keep and raise provable branches, and tell whether there is nothing to fetch."""
        frozen = await self._db.read(lambda db: head(db, self._origin).frozen if has_log(db, self._origin) else None)
        if frozen is not None:
            self._show(LinkState.TAMPERED, f"frozen: {frozen}", contact=True)
            return True
        same = copy.known if target.size == copy.known.size else None
        if target.size < copy.size:
            same = Checkpoint(self._origin, target.size, await self._db.read(lambda db: self._root_at(db, target.size)))
        elif target.size == copy.size:
            same = Checkpoint(self._origin, copy.size, copy.frontier.root())
        if same is not None and same.size and same.root != target.root:
            await self._keep(copy, Problem.TWO_BRANCHES, note, freeze=True)
            await self._tell(copy)
            raise Tampered(Problem.TWO_BRANCHES, self._origin, expected=same.root.hex(), got=target.root.hex())
        if target.size < copy.known.size and not (self.takes_older and target.size > copy.size):
            await self._tell(copy)
            if target.size > copy.size:
                await self._plan(copy, target, note)
            self._show(
                LinkState.SENDING,
                f"the peer shows {target.size} entries, it has signed {copy.known.size}",
                contact=True,
                behind=max(copy.known.size - copy.size, 0),
            )
            return True
        return False

    def _root_at(self, db: apsw.Connection, size: int) -> bytes:
        return tree_root(TableHashes(db, self._origin), size)

    async def _keep(self, copy: Copy, problem: Problem, note: bytes, *, freeze: bool) -> None:
        found = Misbehaviour(self._origin, problem, copy.note, note, b"", self._link.node, self._now_ms())
        await self._db.write(lambda db: keep_evidence(db, found, freeze=freeze))

    async def _tell(self, copy: Copy) -> None:
        """Show the log's own node what its key has signed: it may have been put back, and dial nobody who could tell it."""
        if self._link.node != self._log.node or not copy.note:
            return
        with contextlib.suppress(LinkFault):  # the next round tells it again
            await self._link.post(wire.SIGNED, copy.note, content_type="text/plain", limit=wire.MAX_CHECKPOINT_BODY)

    async def _fetch(self, copy: Copy, target: Checkpoint, note: bytes) -> None:
        first, complete, rest = copy.size // WIDTH, target.size // WIDTH, target.size % WIDTH
        planned = await self._plan(copy, target, note)
        await self._keeps_promise(copy, planned, note)
        await self._db.write(lambda db: self._promise(db, copy, target, note))
        await self._bundles(copy, planned, range(first, complete + (1 if rest else 0)))

    async def _bundles(self, copy: Copy, planned: Plan, wanted: range) -> None:
        """Bring, verify and store bundles. What was verified is stored also where the line is cut behind it."""
        target, loop = planned.target, asyncio.get_running_loop()
        bodies: list[bytes] = []
        leaves: list[bytes] = []
        size, start = 0, copy.size
        coming: deque[asyncio.Task[tuple[list[bytes], int]]] = deque()
        due, began_s = iter(wanted), loop.time()
        try:
            for n in wanted:
                # The next one is asked for before this one is here, once the line has carried some whole.
                for ahead in islice(due, 1 + (n - wanted.start >= _SURE) - len(coming)):
                    width = min(target.size - ahead * WIDTH, WIDTH)
                    coming.append(asyncio.create_task(self._reader.bundle(ahead, width)))
                entries, sent = await coming.popleft()
                new = max(copy.size - n * WIDTH, 0)
                leaves += check_bundle(planned, copy, n, entries)[new:]
                bodies += entries[new:]
                size += sent
                self._pace.answered(Answered(len(entries), sent, sent, loop.time() - began_s))
                began_s = loop.time()
                if len(bodies) >= _BATCH * WIDTH or size > _BATCH_BYTES:
                    await self._store(Verified(target, start, bodies, leaves))
                    start, size, bodies, leaves = start + len(bodies), 0, [], []
        except LinkFault:
            await self._store(Verified(target, start, bodies, leaves))
            raise
        finally:
            for task in coming:
                task.cancel()
            await asyncio.gather(*coming, return_exceptions=True)
        await self._store(Verified(target, start, bodies, leaves))

    async def _plan(self, copy: Copy, target: Checkpoint, note: bytes) -> Plan:
        complete = target.size // WIDTH
        packages = await self._reader.packages(copy.size // WIDTH, complete)
        tail = await self._reader.leaves(complete, target.size % WIDTH)
        try:
            return plan(copy, target, packages, tail)
        except Tampered:
            # The tiles may be the peer's lie about an honest checkpoint: evidence, but only the owner's freezes its log.
            if copy.known.size:
                await self._keep(copy, Problem.INCONSISTENT_HISTORY, note, freeze=self._link.node == self._log.node)
                await self._tell(copy)
            raise

    async def _keeps_promise(self, copy: Copy, planned: Plan, note: bytes) -> None:
        """See that the new checkpoint also continues one whose entries never came. The plan has the signed root: whoever
        brought it, a promise that is not in it is the owner's second history.
        """
        known, complete = copy.known, planned.target.size // WIDTH
        if not copy.size < known.size < planned.target.size:
            return
        n, rest = divmod(known.size, WIDTH)
        leaves = list(planned.tail)
        if rest and n < complete:
            leaves = await self._reader.leaves(n, WIDTH)
            if Frontier().extend(leaves).root() != planned.packages[n - planned.first]:
                raise Tampered(Problem.WRONG_PROOF, self._origin, seq=n * WIDTH, detail="tile")
        whole = Frontier(planned.first, copy.frontier.hashes[: planned.first.bit_count()])
        whole = whole.extend(planned.packages[: n - planned.first])
        root = Frontier(known.size, (*whole.hashes, *Frontier().extend(leaves[:rest]).hashes)).root()
        if root != known.root:
            await self._keep(copy, Problem.INCONSISTENT_HISTORY, note, freeze=True)
            await self._tell(copy)
            raise Tampered(
                Problem.INCONSISTENT_HISTORY, self._origin, expected=known.root.hex(), got=root.hex(), detail="promise"
            )

    async def _store(self, verified: Verified) -> None:
        if not verified.bodies and verified.start < verified.promise.size:
            return
        answer = await self._db.write(
            lambda db: store_upload(
                db, verified, cosigner=self._cosigner, shown_by=self._link.node, now_ms=self._now_ms()
            )
        )
        if answer.status == 403:
            raise Tampered(Problem.TWO_BRANCHES, self._origin, detail=answer.body.decode().strip())
        if answer.status not in {200, 202}:
            raise LinkFault("busy", "the copy was changed meanwhile")
        self._stored(self._origin)
        behind = verified.promise.size - verified.start - len(verified.bodies)
        mean = self._pace.bytes_per_s / max(self._pace.entries_per_s, 1)
        self._show(LinkState.SENDING, contact=True, behind=behind, bytes_behind=int(behind * mean), pace=self._pace)

    def _promise(self, db: apsw.Connection, copy: Copy, target: Checkpoint, note: bytes) -> None:
        log = open_log(db, self._origin)
        if newest_promise(db, log.log_id, self._origin)[0] != copy.known:  # by another way, to the same log or not
            raise LinkFault("busy", "another checkpoint was promised meanwhile")
        keep_promise(db, log.log_id, target, note)


def pull_log(
    link: PeerLink,
    db: Database,
    *,
    log: MirroredLog,
    cosigner: Signer,
    now_ms: Callable[[], int],
    stored: Callable[[str], None] = lambda _origin: None,
) -> Pull:
    """Return the task that follows a peer's log; start it with `asyncio.create_task(pull.run())`."""
    return Pull(link, db, log=log, cosigner=cosigner, now_ms=now_ms, stored=stored)
