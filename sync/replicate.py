"""Replication tasks: push one log to one peer, follow one log of a peer (复制).

The receiver's word is the only state: a pusher keeps hints in memory and believes a 409 over them, so it resumes after any
cut, restart or kill on either side. It returns from a fault by full jitter within 1.5 s. What comes back is verified before
it is stored: a cosignature by the peer's key, a checkpoint by the log's key, entries by the root.

The newest checkpoint goes first and on a connection of its own, also while entries are moving: the other side knows at once
how much it lacks.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import apsw

from sync import wire
from sync.checkpoint import Checkpoint, Opened, cosignatures, read
from sync.lanes import Lane
from sync.link import LinkFault, PeerLink, Reply
from sync.log import Cosigned, TableHashes, add_cosignature, has_log, head
from sync.merkle import MAX_SIZE, consistency_proof, tree_root
from sync.note import SignedNote, VerifierKey
from sync.overtaken import disproof
from sync.pace import Pace
from sync.receiver import Database, log_hash
from sync.status import LinkState
from sync.tampered import Malformed, Problem, Tampered
from sync.task import Task
from sync.upload import Upload
from sync.wire import AddCheckpoint, EntriesHead, MirrorInfo

UNRELEASED_S = 0.005
HERALD_S = 1.0  # between newer checkpoints while entries move; on a thin line four times what the last one took
_DETOURS = (
    8  # uploads without progress that may end at another checkpoint than the offered one, when others push the log
)
_WEIGHED = 20_000  # entries whose bytes are counted one by one


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """A peer: its node code, and the key with which it cosigns what it stores."""

    node: str
    cosigner: VerifierKey


async def _unheard(_proof: Opened, _by: str) -> None:
    return


@dataclass(frozen=True, slots=True)
class _Mine:
    """The log to push as it stands here: newest signed note, and the size that the peer has cosigned."""

    note: bytes
    checkpoint: Checkpoint
    cosigned: int


@dataclass(eq=False)
class _HoldsMore(Exception):
    """A peer holds more of a closed log than its own node."""

    size: int


class Push(Task):
    """Pushes one log, own or mirrored, to one peer; stores the peer's cosignatures, which are the log's reach."""

    def __init__(
        self,
        link: PeerLink,
        db: Database,
        *,
        origin: str,
        peer: RemoteNode,
        now_ms: Callable[[], int],
    ) -> None:
        """Made once per peer and log; `run` is the task."""
        super().__init__(link, db, origin, "push", now_ms)
        self._control = link.twin(Lane.CHECKPOINT)
        self._peer = peer
        self._known: int | None = None  # size that the peer recorded, as far as we know
        self._next: int | None = None  # next entry of the peer, as far as we know
        self._heard = 0  # the last next entry of the peer, for people: it is not relied upon
        self._newest = 0  # size of the log here as far as the peer has been told
        self._pace = Pace()
        self._grown = asyncio.Event()
        self.others: tuple[VerifierKey, ...] = ()  # cosigners whose word this peer may pass on
        self.reached: Callable[[str], None] = lambda _origin: None
        self.own: VerifierKey | None = None  # the key of this log where it is the node's own
        self.disproved: Callable[[Opened, str], Awaitable[None]] = _unheard
        self.introduce: Callable[[], Awaitable[list[bytes]]] | None = None  # successions that lead to this log
        self.released: Callable[[], int] = lambda: MAX_SIZE  # of the own log, how far the fence is
        self.closed = False  # an earlier epoch of the node: a peer that holds more of it proves nothing bad
        self.more_there: Callable[[str], None] = lambda _peer: None

    def notify(self) -> None:
        """The log has grown."""
        super().notify()
        self._grown.set()

    async def _close(self) -> None:
        await self._link.close()
        await self._control.close()

    async def _round(self) -> None:
        try:
            await self._push_all()
        except _HoldsMore as more:
            self._known = self._next = None
            self._show(
                LinkState.CURRENT, f"the peer holds {more.size} entries of this closed log", contact=True, behind=0
            )
        except LinkFault as fault:
            self._next = None
            if fault.why not in {"unreachable", "silent"}:  # it has said something: it may not be as it was
                self._known = None
            await self._close()
            if fault.why == "refused" and self.own is not None:
                await self._look_for_proof(self.own)
            raise
        except BaseException:
            self._known = self._next = None
            raise

    async def _push_all(self) -> None:
        mine = await self._mine()
        if mine is None or mine.cosigned >= mine.checkpoint.size:
            await self._probe(mine)
            self._show(LinkState.CURRENT, contact=True, behind=0)
            return
        detours = 0
        while mine is not None and mine.cosigned < mine.checkpoint.size:
            await self._weigh(mine)
            if not await self._offer(mine, self._link):
                break
            self._show(LinkState.SENDING, contact=True)
            at = self._next
            await self._upload(mine)
            before, mine = mine, await self._mine()
            moved = mine is None or mine.cosigned > before.cosigned or (self._next or 0) > (at or 0)
            detours = 0 if moved else detours + 1
            if detours > _DETOURS:
                if self.own is None and mine is not None and (self._next or 0) >= mine.checkpoint.size:
                    break  # it has all that is here, and has cosigned more before it lost a part: that comes from elsewhere
                raise LinkFault("unexpected-answer", "the peer never completes a checkpoint")
        self._show(LinkState.CURRENT, contact=True, behind=0)

    async def _weigh(self, mine: _Mine) -> None:
        """Show what is behind. Nothing is said of the link before the peer has answered."""
        self._newest = mine.checkpoint.size
        start = max(mine.cosigned, self._heard if self._next is None else self._next, 0)
        weight = await self._db.read(lambda db: _weight(db, self._origin, start, self._newest))
        status = self.status
        state = LinkState.SENDING if status.state is LinkState.CURRENT else status.state
        self._show(state, status.detail, why=status.why, behind=max(self._newest - start, 0), bytes_behind=weight)

    async def _mine(self) -> _Mine | None:
        """Return the log as it stands, once it may be shown: the fence is a moment behind the commit."""
        while True:
            mine = await self._db.read(self._stands)
            if mine is None or mine.checkpoint.size <= self.released():
                return mine
            await asyncio.sleep(UNRELEASED_S)

    def _stands(self, db: apsw.Connection) -> _Mine | None:
        held = head(db, self._origin) if has_log(db, self._origin) else None
        if held is None or held.checkpoint is None:
            return None
        best = [one.size for one in held.cosignatures if one.cosigner == self._peer.cosigner.name]
        checkpoint, _ = read(held.checkpoint)
        return _Mine(held.checkpoint, checkpoint, max(best, default=-1))

    async def _probe(self, mine: _Mine | None) -> None:
        """Ask what the peer mirrors: a quiet link is known to be alive, and a peer that lost entries is found out, and one
        that holds another history than we do.
        """
        cosigned = 0 if mine is None else mine.cosigned
        reply = await self._link.get(f"/mirror/{log_hash(self._origin)}/checkpoint", limit=wire.MAX_CHECKPOINT_BODY)
        if reply.status == 404 and cosigned <= 0:
            return
        if reply.status not in {200, 404}:
            raise reply.unexpected()
        shown = None
        if reply.status == 200:
            try:
                shown, _ = read(reply.body)
            except Malformed as malformed:
                raise LinkFault("unexpected-answer", f"no checkpoint: {malformed}") from malformed
            if self.others:
                await self._harvest(shown, reply.body)
        size = 0 if shown is None else shown.size
        if mine is not None and size < cosigned:
            await self._resend(mine, size)
        elif shown is not None and not await self._db.read(lambda db: self._fits(db, mine, shown)):
            if mine is not None:
                await self._offer(
                    mine, self._link
                )  # the peer knows the log's key: it keeps both checkpoints as evidence
            if self.own is not None:
                await self._look_for_proof(self.own)
        elif self.own is not None:  # the peer holds our branch, and may have been shown another since
            await self._look_for_proof(self.own)

    async def _harvest(self, checkpoint: Checkpoint, note: bytes) -> None:
        """Keep what others have cosigned of this log and this peer knows of: so reach comes back by the way of a relay."""
        try:
            found = cosignatures(SignedNote.parse(note), self.others)
        except (Malformed, Tampered) as bad:
            raise LinkFault("unexpected-answer", f"a cosignature that does not verify: {bad}") from bad

        def keep(db: apsw.Connection) -> bool:
            held = head(db, self._origin)
            best = {one.cosigner: one.size for one in held.cosignatures}
            fresh = [one for one in found if best.get(one.key.name, -1) < checkpoint.size]
            ours = checkpoint.size <= held.size and checkpoint.root == tree_root(
                TableHashes(db, self._origin), checkpoint.size
            )
            for one in fresh if ours else ():
                line = Cosigned(one.key.name, checkpoint.size, str(one.signature), self._now_ms())
                add_cosignature(db, self._origin, line)
            return bool(ours and fresh)

        if found:
            kept = await self._db.write(keep)
            if kept:
                self.reached(self._origin)

    def _fits(self, db: apsw.Connection, mine: _Mine | None, shown: Checkpoint) -> bool:
        """Return whether what a peer shows can be the same log: of somebody else's, it may have more than we do."""
        size = 0 if mine is None else mine.checkpoint.size
        if shown.size > size:
            return self.own is None
        return shown.size == 0 or tree_root(TableHashes(db, self._origin), shown.size) == shown.root

    async def _resend(self, mine: _Mine, size: int) -> None:
        """The peer no longer holds what it has cosigned: report it, and bring it the entries again."""
        self._show(
            LinkState.SENDING,
            f"the peer cosigned {mine.cosigned} entries and now holds {size}",
            behind=mine.checkpoint.size - size,
        )
        await self._offer(mine, self._link)
        await self._upload(mine)

    # -- add-checkpoint ----------------------------------------------------------------------------------------------

    async def _offer(self, mine: _Mine, link: PeerLink) -> bool:
        """Bring the peer our newest checkpoint; return False where, of somebody else's log, it lacks nothing that is here."""
        size = mine.checkpoint.size
        if self._known is not None and self._known > size:
            self._known = None
        old = self._known or 0
        told = False
        for _ in range(4):
            if self._known == size:
                return True
            reply = await self._add_checkpoint(mine, old, link)
            if reply.status in {403, 404} and not told and await self._introduced():
                told = True  # it does not know this log, or knows another key for it
                continue
            if reply.status == 200:
                self._known = size
                return True
            if reply.status != 409 or reply.content_type != wire.SIZE_TYPE:
                raise reply.unexpected()
            try:
                old = self._known = wire.decode_size(reply.body)
            except Malformed as malformed:
                raise LinkFault("unexpected-answer", str(malformed)) from malformed
            if self._known > size:
                if self.closed or self.own is not None:
                    await self._overtaken(self._known, size)
                # The log's node told the peer of entries that never came here; what is here may still continue what it has.
                old = await self._ask(link)
                if old >= size:
                    self._known = None
                    return False
        raise LinkFault("unexpected-answer", "the recorded size keeps changing")

    async def _introduced(self) -> bool:
        """The peer does not know this log: tell it which one it follows. Returns whether there was anything to tell."""
        envelopes = [] if self.introduce is None else await self.introduce()
        for envelope in envelopes:
            reply = await self._link.post(
                "/log/succession", envelope, content_type="application/msgpack", limit=wire.MAX_CHECKPOINT_BODY
            )
            if reply.status == 422:
                raise Tampered(Problem.TWO_BRANCHES, self._origin, detail=reply.text())
            if reply.status not in {200, 201}:
                raise reply.unexpected()
        return bool(envelopes)

    async def _add_checkpoint(self, mine: _Mine, old: int, link: PeerLink) -> Reply:
        size = mine.checkpoint.size
        proof = await self._db.read(lambda db: consistency_proof(TableHashes(db, self._origin), old, size))
        body = bytes(AddCheckpoint(old, tuple(proof), mine.note))
        return await link.post(
            "/mirror/add-checkpoint", body, content_type="text/plain", limit=wire.MAX_CHECKPOINT_BODY
        )

    async def _ask(self, link: PeerLink) -> int:
        """Return the next entry that the peer lacks."""
        body = bytes(EntriesHead(self._origin, 0, 0))
        reply = await link.post("/mirror/add-entries", body, content_type=wire.ENTRIES_TYPE, limit=2 * wire.MAX_TICKET)
        if reply.status != 409 or reply.content_type != wire.INFO_TYPE:
            raise reply.unexpected()
        try:
            return MirrorInfo.parse(reply.body).next_entry
        except Malformed as malformed:
            raise LinkFault("unexpected-answer", str(malformed)) from malformed

    async def _overtaken(self, recorded: int, size: int) -> None:
        """The peer has recorded more of this node's log than is here: raise what that is."""
        if self.closed:
            self.more_there(self._peer.node)
            raise _HoldsMore(recorded)
        if self.own is not None:
            await self._look_for_proof(self.own)
        claim = f"{self._peer.node} says {recorded} entries of this log, has {size}, and shows no proof"
        raise LinkFault("unproven", claim)

    async def _herald(self) -> None:
        """While entries move, bring newer checkpoints on the other connection, at most a fifth of the time."""
        loop = asyncio.get_running_loop()
        pause_s = HERALD_S
        while True:
            await asyncio.sleep(pause_s)
            await self._grown.wait()
            self._grown.clear()
            mine = await self._mine()
            if mine is None or mine.checkpoint.size <= (self._known or 0):
                continue
            began_s = loop.time()
            try:
                await self._offer(mine, self._control)
            except LinkFault:  # the entries are on the same line: they find it out, or arrive
                self._grown.set()
            else:
                await self._weigh(mine)
            pause_s = max(HERALD_S, 4 * (loop.time() - began_s))

    async def _look_for_proof(self, own: VerifierKey) -> None:
        """Raise Tampered, after telling the node, where the peer shows a checkpoint of ours that is not in our log."""
        proof = await disproof(self._link, self._db, own=own, cosigner=self._peer.cosigner)
        if proof is None:
            return
        await self.disproved(proof, self._peer.node)
        mine = await self._mine()
        got = 0 if mine is None else mine.checkpoint.size
        problem = Problem.ROLLED_BACK if proof.checkpoint.size > got else Problem.TWO_BRANCHES
        raise Tampered(
            problem,
            self._origin,
            expected=str(proof.checkpoint.size),
            got=str(got),
            detail=f"{self._peer.node} shows a checkpoint that our key has signed and our log does not contain",
        )

    # -- add-entries -------------------------------------------------------------------------------------------------

    async def _upload(self, mine: _Mine) -> None:
        """Bring entries until the peer has cosigned this checkpoint, or waits for another."""
        upload = Upload(
            self._link,
            self._db,
            origin=self._origin,
            end=mine.checkpoint.size,
            pace=self._pace,
            keep=lambda lines: self._keep(mine, lines),
            moved=self._moved,
        )
        herald = asyncio.create_task(self._herald())
        try:
            complete = await upload.run(self._next)
        finally:
            herald.cancel()
            (ended,) = await asyncio.gather(herald, return_exceptions=True)
        if isinstance(ended, Exception):
            raise ended
        if not complete:
            self._known = None

    async def _moved(self, next_entry: int, entry_bytes: int) -> None:
        """The peer says which entry it lacks next; `entry_bytes` of ours brought it there."""
        self._next = self._heard = next_entry
        behind = max(self._newest - next_entry, 0)
        weight = self.status.bytes_behind - entry_bytes
        if not entry_bytes:
            weight = await self._db.read(lambda db: _weight(db, self._origin, next_entry, self._newest))
        self._show(LinkState.SENDING, contact=True, behind=behind, bytes_behind=max(weight, 0), pace=self._pace)

    async def _keep(self, mine: _Mine, body: bytes) -> None:
        """Verify and store the peer's cosignature. Raises LinkFault where there is none, Tampered where it is forged."""
        try:
            lines = wire.decode_lines(body)
            found = cosignatures(SignedNote(mine.checkpoint.text(), lines), [self._peer.cosigner])
        except Malformed as malformed:
            raise LinkFault("unexpected-answer", f"no cosignature: {malformed}") from malformed
        if not found:
            raise LinkFault("unexpected-answer", f"no cosignature by {self._peer.cosigner.name}")
        line = str(found[0].signature)
        cosigned = Cosigned(self._peer.cosigner.name, mine.checkpoint.size, line, self._now_ms())
        await self._db.write(lambda db: add_cosignature(db, self._origin, cosigned))
        self.reached(self._origin)


def _weight(db: apsw.Connection, origin: str, start: int, end: int) -> int:
    """Return the bytes of the entries [start, end): counted, or beyond many of them by the mean of those."""
    query = (
        "SELECT COALESCE(SUM(LENGTH(body)), 0) FROM entries WHERE log_id = (SELECT log_id FROM logs WHERE origin = ?)"
        " AND seq >= ? AND seq < ?"
    )
    counted = min(end, start + _WEIGHED)
    row = db.execute(query, (origin, start, counted)).fetchone()
    total = 0 if row is None else int(row[0])
    return total * (end - start) // (counted - start) if counted < end else total


def push_log(
    link: PeerLink,
    db: Database,
    *,
    origin: str,
    peer: RemoteNode,
    now_ms: Callable[[], int],
) -> Push:
    """Return the task that pushes a log to a peer; start it with `asyncio.create_task(push.run())`."""
    return Push(link, db, origin=origin, peer=peer, now_ms=now_ms)
