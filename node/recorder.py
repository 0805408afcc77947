"""The imperative shell around the rules: one command, decided and appended on the writer thread (记录).

Everything here happens inside one transaction a group; nothing leaves before the FULL commit and the fence (design 4).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import apsw

from node import projection
from node.clock import Clock
from node.domain import custody, streams, wire
from node.domain.calendar import Calendar
from node.domain.profile import Profile
from node.domain.refused import Refused
from node.domain.values import Actor, Asked, Recorded
from node.faultpoints import passing
from node.receipts import Receipt, receipt_of, seq_of_command
from node.settings import Settings
from node.views import custody as custody_view
from sync import codec
from sync.checkpoint import Checkpoint, sign
from sync.fence import Fence
from sync.keys import NodeKeys, name_base
from sync.log import LogFault, LogTable, open_log, read_entry


@dataclass(eq=False)
class NodeFault(Exception):
    """The node cannot record now. `why` names the reason, `hint` what a person can do; `code` is stopped, catching-up or
    no-room-key, by which a page says it.
    """

    why: str
    hint: str
    code: str = "stopped"

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}; {self.hint}"


# Not derived from the log and not needed by it: a row that is missing only lets a repeat pass unlooked at.
DIGEST_SCHEMA = """
CREATE TABLE IF NOT EXISTS command_digests (
    command_id BLOB PRIMARY KEY,
    digest BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""


class Recorder:
    """Folds streams, decides, appends, projects: the writer thread's own object. No other thread touches it, except
    `peek`, which reads an immutable state.
    """

    def __init__(
        self, settings: Settings, keys: NodeKeys, fence: Fence, clock: Clock, profiles: tuple[Profile, ...]
    ) -> None:
        """Remember the parts; `open` must run before anything is submitted."""
        self._settings = settings
        self._keys = keys
        self._fence = fence
        self._clock = clock
        self._profiles = profiles
        self.calendar: Calendar | None = None
        self._log: LogTable | None = None
        self._states: dict[str, Any] = {}
        self._pending: dict[str, Any] = {}
        self._topics: set[str] = set()
        self._writable: set[str] = (
            set()
        )  # streams found to go on here; custody acts and others' entries end that knowledge
        self._fence_to: Checkpoint | None = None
        self._adopt: bytes | None = None
        self._began_at = self._size = 0
        self.released: Callable[[frozenset[str]], None] = lambda _topics: None

    @property
    def log(self) -> LogTable:
        """The node's own log table."""
        if self._log is None:
            raise NodeFault("the node has not passed its start-up gate", "restart it and read what it says")
        return self._log

    @property
    def fence(self) -> Fence:
        """Return the fence; only the writer thread moves it."""
        return self._fence

    @property
    def size(self) -> int:
        """Return how many entries the own log had after the last commit: for every thread, unlike `log`."""
        return self._size

    @property
    def appended(self) -> int:
        """Return how many entries this process has appended since it passed its gate; the writer thread's alone, as `log` is."""
        return self.log.size - self._began_at

    def open(self, db: apsw.Connection, origin: str = "") -> None:
        """Bind to the own log in this database, before anything is recorded; `origin` where a new epoch begins."""
        self._log = open_log(db, origin or self._settings.origin)
        self._writable.clear()
        try:
            self._began_at = self._size = self._log.size
        except LogFault:
            self._began_at = self._size = (
                0  # a damaged head: the gate says so, and nothing is appended before it was healed
            )

    # -- states ------------------------------------------------------------------------------------------------------

    def state(self, db: apsw.Connection, stream: str) -> Any:
        """Return the state of a stream: pending in this group, cached, or folded from the entries held here."""
        if stream in self._pending:
            return self._pending[stream]
        if stream not in self._states:
            self._states[stream] = projection.fold(db, stream)
        return self._states[stream]

    def peek(self, stream: str) -> Any:
        """Return the cached state without touching the database; None where it is not cached."""
        return self._states.get(stream)

    # -- one command -------------------------------------------------------------------------------------------------

    def record(
        self,
        db: apsw.Connection,
        stream: str,
        prepare: Callable[[], Any],
        *,
        command_id: bytes,
        actor: Actor,
        content: bytes = b"",
        evidence: tuple[bytes | str, ...] = (),
        agreed: Callable[[Any], None] = lambda _command: None,
        attested_by: tuple[str, ...] = (),
    ) -> Receipt:
        """Decide and append the command that `prepare` makes, inside the caller's transaction.

        `agreed` is called with the command that the rules have taken, before anything is written; it may raise.

        A command_id that is known answers with its first receipt and prepares nothing; `content` is the digest of what was
        given, and a known command_id with another one is refused. Raises Refused and changes nothing.
        """
        log = self.log
        known = seq_of_command(db, log.origin, command_id)
        if known is not None:
            return self._first_receipt(db, known, stream, actor, content)
        reading = self._clock.now()
        asked = Asked(
            at_ms=reading.at_ms,
            clock_quality=reading.quality,
            actor=actor,
            profiles=self._profiles,
            calendar=self.calendar,
            look=lambda name: self.state(db, name),
            node=self._settings.node,
            origin=log.origin,
            attested_by=attested_by,
        )
        command = prepare()
        if stream not in self._writable and not isinstance(command, custody.TakeCustody):
            _require_owner(custody_view.chain(db, stream), stream, log.origin)
        state = self.state(db, stream)
        events = streams.decide(stream, state, command, asked)
        agreed(command)
        passing("decided")
        entry = codec.Entry(
            version=1,
            origin=log.origin,
            seq=log.size,
            at_ms=reading.at_ms,
            clock_quality=str(reading.quality),
            stream=stream,
            command_id=command_id,
            actor=str(actor),
            events=tuple(wire.encode(event) for event in events),
            evidence=evidence,
        )
        body = codec.encode(entry)
        mark = log.mark()
        before = self._pending.get(stream)
        try:
            log.append(body)
            passing("appended")
            receipt = receipt_of(body, entry)
            recorded = Recorded(entry.at_ms, entry.actor, entry.origin, entry.seq, receipt.leaf)
            state = projection.evolved(stream, state, events, recorded)
            self._pending[stream] = state
            if content:
                db.execute("INSERT INTO command_digests VALUES (?, ?)", (command_id, content))
            projection.project(db, entry, events, state)
            passing("projected")
        except BaseException:
            log.rollback_to(mark)
            if before is None:
                self._pending.pop(stream, None)
            else:
                self._pending[stream] = before
            raise
        if any(isinstance(event, custody.EVENTS) for event in events):
            self._writable.clear()
        else:
            self._writable.add(stream)
        self._topics |= {stream, "log"}
        return receipt

    def _first_receipt(self, db: apsw.Connection, seq: int, stream: str, actor: Actor, content: bytes) -> Receipt:
        body = read_entry(db, self.log.origin, seq)
        entry = codec.decode(body)
        given = db.execute("SELECT digest FROM command_digests WHERE command_id = ?", (entry.command_id,)).fetchone()
        other = given is not None and bool(content) and given[0] != content
        if other or entry.stream != stream or entry.actor != str(actor):
            raise Refused("command-id-reused", rule="one-command-one-entry", value=stream, limit=entry.stream)
        return receipt_of(body, entry)

    # -- around the commit -------------------------------------------------------------------------------------------

    def before_commit(self, _db: apsw.Connection) -> None:
        """Sign one checkpoint over everything this group appended."""
        if self._log is None:
            return
        signed = self._log.signed_size
        if self._log.size == signed:
            return
        self._log.flush()
        passing("group-flushed")
        checkpoint = Checkpoint(self._log.origin, self._log.size, self._log.frontier.root())
        self._log.store_checkpoint(sign(checkpoint, self._keys.log_signer))
        passing("checkpoint-stored")
        self._fence_to = checkpoint

    def after_commit(self) -> None:
        """Move the fence, then keep the new states and tell who listens."""
        if self._fence_to is not None:
            if self._adopt is None:
                self._fence.advance(self._fence_to)
            else:
                self._fence.adopt(self._adopt, self._fence_to)
            self._fence_to = self._adopt = None
        self._states.update(self._pending)
        self._pending.clear()
        if self._log is not None:
            with suppress(LogFault):  # a damaged head: the gate has said so
                self._size = self._log.size
        topics, self._topics = frozenset(self._topics), set()
        if topics:
            self.released(topics)

    def after_rollback(self) -> None:
        """Nothing of the group happened."""
        self._pending.clear()
        self._topics.clear()
        self._fence_to = self._adopt = None
        self._states.clear()
        self._writable.clear()
        if self._log is not None:
            self._log.forget()

    def pass_gate(self, to: Checkpoint, adopt: bytes | None = None) -> None:
        """Move the fence to `to` after this commit; `adopt` is the instance of a restored copy that was reconciled."""
        self._fence_to, self._adopt = to, adopt
        self._began_at = to.size

    def forget(self) -> None:
        """The own log was healed inside this transaction: nothing in memory is known to be true of it any more."""
        self._states.clear()
        self._writable.clear()
        self.log.forget()

    def close(self) -> None:
        """Let go of the fence, so that this process or another may open the folder again. Nothing is recorded after it."""
        self._fence.close()

    # -- mirrored logs -----------------------------------------------------------------------------------------------

    def follow(self, db: apsw.Connection, origin: str, limit: int = 2_000) -> int:
        """Project up to `limit` mirrored entries that the views have not seen; return how many. Runs after they are stored."""
        done = projection.follow(db, origin, limit)
        for stream in done.streams:
            self._pending.pop(stream, None)
            self._states.pop(stream, None)
        if done.count:
            self._writable.clear()
        self._topics |= done.streams | ({"log"} if done.count else set())
        return done.count


def _goes_on(stream: str, owner: str, origin: str) -> bool:
    """Return whether a stream follows its node into a new epoch by itself; lots and sheets move by custody alone."""
    return not stream.startswith(("lot/", "sheet/")) and name_base(owner) == name_base(origin)


def _require_owner(chain: custody_view.Chain, stream: str, origin: str) -> None:
    """Refuse to write into a stream that goes on in another log, or of which nobody can say where it goes on."""
    if chain.contested or chain.held_back:
        why = "custody-contested" if chain.contested else "custody-held-back"
        raise Refused(why, rule="one-owner-per-stream", value=origin, facts=(("stream", stream),))
    if chain.owner not in {"", origin} and not _goes_on(stream, chain.owner, origin):
        raise Refused(
            "not-owner", rule="one-owner-per-stream", value=origin, limit=chain.owner, facts=(("stream", stream),)
        )
