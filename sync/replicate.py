"""Replication tasks: push one log to one peer, follow one log of a peer (复制).

The receiver's word is the only state: a pusher keeps hints in memory and believes a 409 over them, so it resumes after any
cut, restart or kill on either side. It returns from a fault by full jitter between 0.25 s and 3 s. What comes back is
verified before it is stored: a cosignature by the peer's key, a checkpoint by the log's key, entries by the root.
"""

import asyncio
import gzip
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from itertools import islice

import apsw

from sync import wire
from sync.checkpoint import Checkpoint, Opened, cosignatures, read
from sync.link import LinkFault, PeerLink
from sync.log import Cosigned, LogFault, TableHashes, add_cosignature, has_log, head, read_bodies
from sync.merkle import HashReader, consistency_proof, subtree_proof, tree_root
from sync.note import SignedNote, VerifierKey
from sync.overtaken import disproof
from sync.receiver import Database, log_hash
from sync.status import LinkState, PeerStatus
from sync.supervise import log_once
from sync.tampered import Malformed, Problem, Tampered
from sync.wire import AddCheckpoint, EntriesHead, MirrorInfo, Package, spans

IDLE_S = 5.0  # a quiet link is probed so often
FIRST_DELAY_S = 0.25
LAST_DELAY_S = 3.0
_BODY = 8 * 1024 * 1024  # bytes after which a request takes no further package
_QUICK_S, _SLOW_S = 1.5, 4.0  # a request that takes less grows, one that takes more shrinks
_DETOURS = 8  # uploads that may end at another checkpoint than the offered one, when others push the same log
_THIN = 1_000_000  # bytes/s below which packing pays


@dataclass(frozen=True, slots=True)
class RemoteNode:
    """A peer: its node code, and the key with which it cosigns what it stores."""

    node: str
    cosigner: VerifierKey


class Task(ABC):
    """What pushing and following have in common: rounds, waiting, coming back, and a status for people."""

    def __init__(self, link: PeerLink, db: Database, origin: str, direction: str, now_ms: Callable[[], int]) -> None:
        """Nothing is sent before `run`."""
        self._link = link
        self._db = db
        self._origin = origin
        self._now_ms = now_ms
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self.status = PeerStatus(link.node, link.url, origin, direction, LinkState.CONNECTING)
        self.changed: Callable[[PeerStatus], None] = lambda _status: None

    def notify(self) -> None:
        """There may be something to move."""
        self._wake.set()

    def retry_now(self) -> None:
        """The link may be back: do not wait out the delay."""
        self._hurry.set()
        self._wake.set()

    async def once(self) -> None:
        """Do one round, for a reader of something that does not change. Raises what `run` would show."""
        await self._round()

    async def run(self) -> None:
        """Work until cancelled. Whatever fails changes the status and never ends the task: this is its supervisor."""
        failures = 0
        try:
            while True:
                self._wake.clear()
                self._hurry.clear()
                try:
                    await self._round()
                except LinkFault as fault:
                    failures += 1
                    refused = fault.why in {"refused", "foreign-certificate"}
                    self._show(LinkState.REFUSED if refused else LinkState.OFFLINE, str(fault))
                    await self._pause(failures, fault.retry_after_s)
                except (Tampered, LogFault, Malformed) as evidence:
                    failures += 1
                    self._show(LinkState.TAMPERED, str(evidence))
                    await self._pause(failures, None)
                except Exception as error:  # noqa: BLE001 - see above
                    failures += 1
                    log_once(error, f"{self.status.direction} of {self._origin} with {self.status.name}")
                    self._show(LinkState.FAULT, str(error))
                    await self._pause(failures, None)
                else:
                    failures = 0
                    await _wait(self._wake, IDLE_S)
        finally:
            await self._link.close()

    @abstractmethod
    async def _round(self) -> None:
        """Move what there is to move."""

    async def _pause(self, failures: int, retry_after_s: int | None) -> None:
        ceiling = min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures, 8))
        delay_s = random.uniform(FIRST_DELAY_S / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        await _wait(self._hurry, max(delay_s, min(retry_after_s or 0, LAST_DELAY_S)))

    def _show(self, state: LinkState, detail: str = "", *, contact: bool = False, behind: int | None = None) -> None:
        status = self.status
        behind = status.entries_behind if behind is None else behind
        unsent = (status.oldest_unsent_ms or self._now_ms()) if behind else None
        new = replace(
            status,
            state=state,
            detail=detail,
            last_contact_ms=self._now_ms() if contact else status.last_contact_ms,
            entries_behind=behind,
            oldest_unsent_ms=unsent,
        )
        if new != status:
            self.status = new
            self.changed(new)


async def _unheard(_proof: Opened, _by: str) -> None:
    return


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
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
        self, link: PeerLink, db: Database, *, origin: str, peer: RemoteNode, now_ms: Callable[[], int]
    ) -> None:
        """Made once per peer and log; `run` is the task."""
        super().__init__(link, db, origin, "push", now_ms)
        self._peer = peer
        self._known: int | None = None  # size that the peer recorded, as far as we know
        self._next: int | None = None  # next entry of the peer, as far as we know
        self._packages = 1
        self._pack = False
        self.others: tuple[VerifierKey, ...] = ()  # cosigners whose word this peer may pass on
        self.reached: Callable[[str], None] = lambda _origin: None
        self.own: VerifierKey | None = None  # the key of this log where it is the node's own
        self.disproved: Callable[[Opened, str], Awaitable[None]] = _unheard
        self.introduce: Callable[[], Awaitable[list[bytes]]] | None = None  # successions that lead to this log
        self.closed = False  # an earlier epoch of the node: a peer that holds more of it proves nothing bad
        self.more_there: Callable[[str], None] = lambda _peer: None

    async def _round(self) -> None:
        try:
            await self._push_all()
        except _HoldsMore as more:
            self._known = self._next = None
            self._show(
                LinkState.CURRENT, f"the peer holds {more.size} entries of this closed log", contact=True, behind=0
            )
        except LinkFault as fault:
            self._known = self._next = None
            if fault.why == "refused" and self.own is not None:
                await self._look_for_proof(self.own)
            raise
        except BaseException:
            self._known = self._next = None
            raise

    async def _push_all(self) -> None:
        mine = await self._db.read(self._mine)
        if mine is None or mine.cosigned >= mine.checkpoint.size:
            await self._probe(mine)
            self._show(LinkState.CURRENT, contact=True, behind=0)
            return
        detours = 0
        while mine is not None and mine.cosigned < mine.checkpoint.size:
            behind = mine.checkpoint.size - max(mine.cosigned, self._next or 0)
            self._show(LinkState.SENDING, behind=behind)
            others_lead = await self._offer(mine)
            await self._upload(mine)
            if others_lead:
                break
            before, mine = mine, await self._db.read(self._mine)
            detours = detours + 1 if mine is not None and mine.cosigned == before.cosigned else 0
            if detours > _DETOURS:
                raise LinkFault("unexpected-answer", "the peer never completes a checkpoint")
        self._show(LinkState.CURRENT, contact=True, behind=0)

    def _mine(self, db: apsw.Connection) -> _Mine | None:
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
                await self._offer(mine)  # the peer knows the log's key: it keeps both checkpoints as evidence
            if self.own is not None:
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
        await self._offer(mine)
        await self._upload(mine)

    # -- add-checkpoint ----------------------------------------------------------------------------------------------

    async def _offer(self, mine: _Mine) -> bool:
        """Bring the peer our newest checkpoint; return whether it has recorded more of somebody else's log than is here."""
        size = mine.checkpoint.size
        told = False
        for _ in range(3):
            old = self._known or 0
            if self._known == size:
                return False
            proof = await self._db.read(lambda db, old=old: self._consistency(db, old, size))  # type: ignore[misc]
            body = bytes(AddCheckpoint(old, tuple(proof), mine.note))
            reply = await self._link.post(
                "/mirror/add-checkpoint", body, content_type="text/plain", limit=wire.MAX_CHECKPOINT_BODY
            )
            if reply.status in {403, 404} and not told and await self._introduced():
                told = True  # it does not know this log, or knows another key for it
                continue
            if reply.status == 200:
                self._known = size
                self._show(self.status.state, self.status.detail, contact=True)
                return False
            if reply.status != 409 or reply.content_type != wire.SIZE_TYPE:
                raise reply.unexpected()
            try:
                self._known = wire.decode_size(reply.body)
            except Malformed as malformed:
                raise LinkFault("unexpected-answer", str(malformed)) from malformed
            if self._known > size and self.closed:
                self.more_there(self._peer.node)
                raise _HoldsMore(self._known)
            if self._known > size and self.own is not None:
                await self._look_for_proof(self.own)
                claim = f"{self._peer.node} says {self._known} entries of this log, has {size}, and shows no proof"
                raise LinkFault("unproven", claim)
            if self._known > size:
                return True
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

    async def _look_for_proof(self, own: VerifierKey) -> None:
        """Raise Tampered, after telling the node, where the peer shows a checkpoint of ours that is not in our log."""
        proof = await disproof(self._link, self._db, own=own, cosigner=self._peer.cosigner)
        if proof is None:
            return
        await self.disproved(proof, self._peer.node)
        mine = await self._db.read(self._mine)
        got = 0 if mine is None else mine.checkpoint.size
        problem = Problem.ROLLED_BACK if proof.checkpoint.size > got else Problem.TWO_BRANCHES
        raise Tampered(
            problem,
            self._origin,
            expected=str(proof.checkpoint.size),
            got=str(got),
            detail=f"{self._peer.node} shows a checkpoint that our key has signed and our log does not contain",
        )

    def _consistency(self, db: apsw.Connection, old: int, size: int) -> list[bytes]:
        return consistency_proof(TableHashes(db, self._origin), old, size)

    # -- add-entries -------------------------------------------------------------------------------------------------

    async def _upload(self, mine: _Mine) -> None:
        """Bring entries until the peer has cosigned this checkpoint, or waits for another."""
        end = mine.checkpoint.size
        hashes = _Remembered()
        stuck = 0
        while True:
            start = end if self._next is None else min(self._next, end)
            count = self._packages if self._next is not None else 0
            body = await self._db.read(lambda db, start=start, count=count: self._body(db, hashes, start, end, count))  # type: ignore[misc]
            packed = await asyncio.to_thread(gzip.compress, body, 1) if self._pack and count else b""
            began = asyncio.get_running_loop().time()
            reply = await self._link.post(
                "/mirror/add-entries",
                packed or body,
                content_type=wire.ENTRIES_TYPE,
                limit=2 * wire.MAX_TICKET,
                encoding="gzip" if packed else "",
            )
            if reply.status == 200:
                self._adapt(len(packed or body), end - start, asyncio.get_running_loop().time() - began)
                await self._keep(mine, reply.body)
                self._next = end
                return
            if reply.status not in {202, 409} or reply.content_type != wire.INFO_TYPE:
                raise reply.unexpected()
            try:
                info = MirrorInfo.parse(reply.body)
            except Malformed as malformed:
                raise LinkFault("unexpected-answer", str(malformed)) from malformed
            if info.pending != end:
                self._known = None
                return
            moved = info.next_entry - start
            stuck = 0 if moved > 0 or self._next is None else stuck + 1
            if stuck > 2:
                raise LinkFault("unexpected-answer", f"no progress at entry {start}")
            if reply.status == 202:
                self._adapt(len(packed or body), moved, asyncio.get_running_loop().time() - began)
            self._next = info.next_entry
            self._show(LinkState.SENDING, self.status.detail, contact=True, behind=max(end - self._next, 0))

    def _body(self, db: apsw.Connection, cache: "_Remembered", start: int, end: int, count: int) -> bytes:
        """Return a request with up to `count` packages from `start` on; without any it only asks."""
        parts = [bytes(EntriesHead(self._origin, start, end))]
        hashes = cache.over(TableHashes(db, self._origin))
        size = 0
        for span in islice(spans(start, end), count):
            entries = tuple(body for _, body in read_bodies(db, self._origin, span.first, span.end))
            proof = subtree_proof(hashes, span.aligned, span.end, end)
            parts.append(bytes(Package(span, entries, tuple(proof))))
            size += len(parts[-1])
            if size > _BODY:
                break
        return b"".join(parts)

    def _adapt(self, size: int, entries: int, seconds: float) -> None:
        if seconds < _QUICK_S:
            self._packages = min(wire.MAX_PACKAGES, self._packages * 2)
        elif seconds > _SLOW_S:
            self._packages = max(1, self._packages // 2)
        rate = size / max(seconds, 0.001)
        self._pack = rate < (2 * _THIN if self._pack else _THIN) and size > 4_096
        if entries > 0:
            self.status = replace(self.status, entries_per_s=int(entries / max(seconds, 0.001)))

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


class _Remembered:
    """Keeps the rows that the proofs of one upload have in common: the right edge of the tree is in all of them."""

    def __init__(self) -> None:
        self._rows: dict[tuple[int, int, int], Sequence[bytes]] = {}
        self._reader: HashReader | None = None

    def over(self, reader: HashReader) -> "_Remembered":
        self._reader = reader
        return self

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        key = (level, start, end)
        rows = self._rows.get(key)
        if rows is None:
            if self._reader is None:
                raise LookupError(key)
            rows = self._reader.hashes(level, start, end)
            if len(self._rows) < 512:
                self._rows[key] = rows
        return rows


def push_log(link: PeerLink, db: Database, *, origin: str, peer: RemoteNode, now_ms: Callable[[], int]) -> Push:
    """Return the task that pushes a log to a peer; start it with `asyncio.create_task(push.run())`."""
    return Push(link, db, origin=origin, peer=peer, now_ms=now_ms)
