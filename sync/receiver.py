"""What other nodes may ask of this one, as plain values: a request in, an answer out, however it came here (应答).

    POST /witness/add-checkpoint              C2SP tlog-witness: cosigns what is consistent, with the witness key
    GET  /witness/<origin hash>/checkpoint    the newest checkpoint it cosigned
    POST /mirror/add-checkpoint, add-entries  C2SP tlog-mirror: cosigns what is stored here, with the mirror key
    GET  /log/<origin hash>/checkpoint        own and mirrored logs as C2SP tlog-tiles; `/mirror/<origin hash>/…` is the same
    GET  /log/<origin hash>/tile/…
    GET  /log/<origin hash>/evidence          signed notes that are kept against a log, for its own node to see
    POST /log/succession                      a node says which of its logs follows which (sync/succession.py)
    GET  /log/successions                     what this node has said so of its own logs

The origin hash is the hex SHA-256 of the origin. Every body has a bound; a request that a rule refuses changes nothing.
Nothing here knows a socket: `sync.endpoints` serves it over TLS, the simulation without any.
"""

import asyncio
import hashlib
import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import apsw

from sync import wire
from sync.certs import Judge
from sync.checkpoint import open_checkpoint, read
from sync.codec import pack
from sync.log import LogFault, TableHashes, head, origins, read_bodies
from sync.merkle import MAX_SIZE
from sync.mirror import AnotherBranch, Checked, before, freeze_forked, held_of, judge_upload, store_upload
from sync.note import NoteSignature, SignedNote, Signer, VerifierKey
from sync.succession import MAX_ENVELOPE, Statement, closed_beyond, open_envelope, take_succession
from sync.supervise import log_once
from sync.tampered import Malformed, Tampered
from sync.tiles import encode_bundle, parse_tile_path, width_of
from sync.wire import AddCheckpoint, EntriesReader
from sync.witness import PLAIN, Answer, evidence_of, newest_promise, refuse, take_checkpoint

T = TypeVar("T")

MAX_HELD = 8 * 1024 * 1024  # bytes of verified entries after which a request is stored and answered 202
UPLOADS = 4  # add-entries at a time; each holds at most MAX_HELD and two packages
REQUESTS = 16  # requests at a time, and of one peer
PEER_REQUESTS = 6
EVIDENCE_TYPE = "application/msgpack"
RENEWAL = "/trust/renewal"  # the one address that a node with an expired certificate may ask at its prefecture
CHUNK_TIMEOUT_S = 15  # a sender that is silent so long within a body is gone
STALL_S = (
    3  # the same where another upload of the log waits: after a cut the sender is back before its old request is dead
)
WAITING = 2  # uploads of one log that wait for the one under way
WAIT_S = 20  # and how long


class Database(Protocol):
    """The node's store: `write` returns after the FULL commit, `read` sees one consistent state."""

    async def write(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` inside a transaction on the writer thread."""

    async def read(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run `fn` on a read connection."""


@dataclass(frozen=True, slots=True)
class MirroredLog:
    """A log that this node accepts from others: its verifier key, and the node whose own log it is."""

    vkey: VerifierKey
    node: str


@dataclass
class SyncNode:
    """What the sync port needs of its node.

    `trust` says which logs are mirrored; `allowed(peer, origin)` which peer may push which of them, `readable` who is shown
    which; `has_room` is false at
    the disk's watermark; `stored(origin)` is called after entries or a checkpoint of a log were committed, `heard(peer)`
    whenever an authenticated peer asks anything. `ca` (PEM) is who certifies nodes; `succeeded` is called after a peer's next
    epoch was believed, and must bring it into `trust`; `introduce` returns the own successions, signed now. `released(origin)`
    is the size beyond which a log is not shown: of the own one, what the fence has not passed yet.
    """

    db: Database
    cosigner: Signer
    witness: Signer
    prefecture: str
    trust: Mapping[str, MirroredLog]
    allowed: Callable[[str, str], bool]
    now_ms: Callable[[], int]
    stored: Callable[[str], None] = lambda _origin: None
    readable: Callable[[str, str], bool] = lambda _peer, _origin: True
    has_room: Callable[[], bool] = lambda: True
    heard: Callable[[str], None] = lambda _peer: None
    ca: bytes = b""
    released: Callable[[str], int] = lambda _origin: MAX_SIZE
    succeeded: Callable[[Statement], None] = lambda _statement: None
    introduce: Callable[[], Awaitable[list[bytes]]] | None = None
    judge: Judge | None = None  # of the certificates of those who ask, at every request
    more_routes: tuple["Route", ...] = ()  # addresses of parts that stand beside the logs, such as blobs
    uploading: dict[str, "Reading"] = field(default_factory=dict)
    waiting: Counter[str] = field(default_factory=Counter)
    busy: Counter[str] = field(default_factory=Counter)
    hashes: dict[str, str] = field(default_factory=dict)


def log_hash(origin: str) -> str:
    """Return the name of a log in addresses."""
    return hashlib.sha256(origin.encode()).hexdigest()


@dataclass(eq=False)
class BrokenBodyFault(Exception):
    """A request's body cannot be read to its end."""

    why: str


@dataclass(frozen=True, slots=True)
class Ask:
    """One request of a peer that the transport has named. `path` has no query; `body` yields unpacked pieces, none empty,
    and raises BrokenBodyFault where it is cut.
    """

    peer: str
    method: str
    path: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


Handler = Callable[[SyncNode, Ask, re.Match[str]], Awaitable[Answer]]
Route = tuple[str, re.Pattern[str], Handler]


def retry_after_s(answer: Answer) -> int | None:
    """Return when a peer that got this answer is to come again; None where it says nothing of time."""
    return 1 if answer.status in {429, 500, 503, 507} else None


async def receive(node: SyncNode, ask: Ask) -> Answer:
    """Answer a request. Whatever fails is one request's failure: this is the supervisor of the sync port."""
    node.heard(ask.peer)
    if node.busy[ask.peer] >= PEER_REQUESTS:
        return refuse(429, "too many requests at a time")
    if node.busy.total() >= REQUESTS:
        return refuse(503, "busy")
    node.busy[ask.peer] += 1
    try:
        return await _route(node, ask)
    except Malformed as malformed:
        return refuse(400, str(malformed))
    except Exception as error:  # noqa: BLE001 - one request fails, the port goes on
        log_once(error, f"{ask.method} {ask.path} of {ask.peer}")
        return refuse(500, "this node cannot do it now")
    finally:
        node.busy[ask.peer] -= 1
        if not node.busy[ask.peer]:
            del node.busy[ask.peer]


async def _route(node: SyncNode, ask: Ask) -> Answer:
    for method, pattern, handler in (*ROUTES, *node.more_routes):
        match = pattern.fullmatch(ask.path) if method == ask.method else None
        if match is not None:
            return await handler(node, ask, match)
    return refuse(404, "no such address")


def content_type_of(ask: Ask) -> str:
    """Return the type of a body without its parameters."""
    return ask.headers.get("Content-Type", wire.ENTRIES_TYPE).partition(";")[0].strip().lower()


# -- push -----------------------------------------------------------------------------------------------------------


async def _witness(node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
    return await _add_checkpoint(node, ask, node.witness)


async def _pending(node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
    return await _add_checkpoint(node, ask, None)


async def _add_checkpoint(node: SyncNode, ask: Ask, witness: Signer | None) -> Answer:
    body = await small_body(ask)
    if isinstance(body, Answer):
        return body
    asked = AddCheckpoint.parse(body)
    checkpoint, _ = read(asked.checkpoint)
    trusted = node.trust.get(checkpoint.origin)
    if trusted is None:
        return refuse(404, "this log is not mirrored here")
    if not node.allowed(ask.peer, checkpoint.origin):
        return refuse(403, f"{ask.peer} may not push this log")
    try:
        opened = open_checkpoint(asked.checkpoint, [trusted.vkey])
    except Tampered as tampered:
        return refuse(403, str(tampered))

    def take(db: apsw.Connection) -> Answer:
        if (closed := closed_beyond(db, checkpoint.origin, checkpoint.size)) is not None:
            return refuse(403, closed)
        return take_checkpoint(
            db,
            asked,
            opened,
            shown_by=ask.peer,
            owner=ask.peer == trusted.node,
            witness=witness,
            now_ms=node.now_ms(),
        )

    answer = await node.db.write(take)
    if answer.status != 409:
        node.stored(checkpoint.origin)
    return answer


async def _succession(node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
    body = await small_body(ask, MAX_ENVELOPE)
    if isinstance(body, Answer):
        return body
    try:
        statement = open_envelope(body, ca_pem=node.ca, prefecture=node.prefecture)
    except Tampered as tampered:
        return refuse(403, str(tampered))
    return await believe(node, statement, body, ask.peer)


async def believe(node: SyncNode, statement: Statement, envelope: bytes, peer: str) -> Answer:
    """Take a verified statement of a peer, and tell the node where it is new."""
    trusted = node.trust.get(statement.old_origin)
    known = trusted is not None and str(trusted.vkey) == statement.old_vkey
    owner = trusted.node if trusted is not None and known else None
    answer = await node.db.write(
        lambda db: take_succession(db, statement, envelope, shown_by=peer, owner=owner, now_ms=node.now_ms())
    )
    if answer.status == 201:
        node.succeeded(statement)
    if answer.status == 422:
        node.stored(statement.old_origin)
    return answer


async def _successions(node: SyncNode, _ask: Ask, _match: re.Match[str]) -> Answer:
    envelopes = [] if node.introduce is None else await node.introduce()
    return Answer(200, pack(tuple(envelopes)), EVIDENCE_TYPE)


async def small_body(ask: Ask, limit: int = wire.MAX_CHECKPOINT_BODY) -> bytes | Answer:
    """Return a body of at most `limit` bytes, or the answer that refuses it."""
    body = bytearray()
    try:
        async for chunk in Reading().pieces(ask.body):
            body += chunk
            if len(body) > limit:
                return refuse(413, "the body is too large")
    except BrokenBodyFault as broken:
        return refuse(400, broken.why)
    return bytes(body)


class Reading:
    """A body while it is read: how long it may be silent, and its end, for those who wait for it."""

    def __init__(self) -> None:
        """Start with the patience of a body that nobody waits for."""
        self.over = asyncio.Event()
        self._patience_s: float = CHUNK_TIMEOUT_S
        self._heard_s = 0.0
        self._quiet: asyncio.Timeout | None = None

    def hurry(self) -> None:
        """Somebody waits: silence ends this body sooner."""
        self._patience_s = min(STALL_S, CHUNK_TIMEOUT_S)
        if self._quiet is not None and not self._quiet.expired():
            self._quiet.reschedule(self._heard_s + self._patience_s)

    async def pieces(self, body: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the pieces of a body. Raises BrokenBodyFault."""
        while True:
            self._heard_s = asyncio.get_running_loop().time()
            try:
                async with asyncio.timeout(self._patience_s) as self._quiet:
                    chunk = await anext(body, b"")
            except TimeoutError:
                raise BrokenBodyFault("the body stopped coming") from None
            finally:
                self._quiet = None
            if not chunk:
                return
            yield chunk


async def _add_entries(node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
    if content_type_of(ask) != wire.ENTRIES_TYPE:
        return refuse(415, f"Content-Type must be {wire.ENTRIES_TYPE}")
    if not node.has_room():
        return refuse(507, "the disk is nearly full")
    if len(node.uploading) >= UPLOADS:
        return refuse(503, "busy")
    reader = EntriesReader()
    reading = Reading()
    chunks = reading.pieces(ask.body)
    try:
        async for chunk in chunks:
            reader.feed(chunk)
            upload = reader.head()
            if upload is not None:
                break
        else:
            return refuse(400, "the body ends within its head")
    except BrokenBodyFault as broken:
        return refuse(400, broken.why)
    trusted = node.trust.get(upload.origin)
    if trusted is None:
        return refuse(404, "this log is not mirrored here")
    if not node.allowed(ask.peer, upload.origin):
        return refuse(403, f"{ask.peer} may not push this log")
    if not await _turn(node, upload.origin, reading):
        return refuse(429, "another upload of this log is under way")
    try:
        answer = await _upload(node, reader, upload, chunks, ask.peer)
    finally:
        del node.uploading[upload.origin]
        reading.over.set()
    return answer


async def _turn(node: SyncNode, origin: str, reading: Reading) -> bool:
    """Wait until no other upload of this log is under way; return whether it is this one's turn.

    A sender has its next request on the way while the last one is stored, and a sender that was cut is back before its old
    request is known to be dead: both wait here, unread, and the body that they wait for may not be silent for long.
    """
    try:
        async with asyncio.timeout(WAIT_S):
            while (under_way := node.uploading.get(origin)) is not None:
                if node.waiting[origin] >= WAITING:
                    return False
                node.waiting[origin] += 1
                under_way.hurry()
                try:
                    await under_way.over.wait()
                finally:
                    node.waiting[origin] -= 1
                    if not node.waiting[origin]:
                        del node.waiting[origin]
    except TimeoutError:
        return False
    if len(node.uploading) >= UPLOADS:  # others came while this one waited
        return False
    node.uploading[origin] = reading
    return True


async def _upload(
    node: SyncNode, reader: EntriesReader, upload: wire.EntriesHead, chunks: AsyncIterator[bytes], peer: str
) -> Answer:
    held = await node.db.read(lambda db: held_of(db, upload.origin))
    verdict = judge_upload(upload, held)
    if isinstance(verdict, Answer):
        return verdict
    checked = Checked(verdict, upload.start, await node.db.read(lambda db: before(db, upload.origin, upload.start)))
    try:
        problem = await _receive(reader, checked, chunks)
    except AnotherBranch as forked:
        promise = forked.promise
        answer = await node.db.write(lambda db: freeze_forked(db, promise, shown_by=peer, now_ms=node.now_ms()))
        node.stored(upload.origin)
        return answer
    if problem is not None and not checked.received:
        return problem
    answer = await node.db.write(
        lambda db: store_upload(db, checked.verified(), cosigner=node.cosigner, shown_by=peer, now_ms=node.now_ms())
    )
    node.stored(upload.origin)
    return problem if problem is not None and problem.status == 422 else answer


async def _receive(reader: EntriesReader, checked: Checked, chunks: AsyncIterator[bytes]) -> Answer | None:
    """Take packages until the body ends, a bound is reached or something is wrong; return what was."""
    try:
        while True:
            while (package := reader.package()) is not None:
                checked.take(package)
            if reader.satisfied or checked.size_bytes > MAX_HELD:
                return None
            chunk = await anext(chunks, b"")
            if not chunk:
                break
            reader.feed(chunk)
    except BrokenBodyFault as broken:
        return refuse(400, broken.why)
    except Malformed as malformed:
        return refuse(400, str(malformed))
    except Tampered as tampered:
        return refuse(422, str(tampered))
    return None


# -- read -----------------------------------------------------------------------------------------------------------


async def _origin(node: SyncNode, ask: Ask, match: re.Match[str]) -> str | None:
    """Return the log that is asked for; None where it is not here, or not for this peer: there is no telling which."""
    wanted = match["log"]
    if wanted not in node.hashes:
        node.hashes.update({log_hash(origin): origin for origin in await node.db.read(origins)})
    origin = node.hashes.get(wanted)
    return origin if origin is not None and node.readable(ask.peer, origin) else None


async def _checkpoint(node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
    origin = await _origin(node, ask, match)
    return refuse(404, "no such log") if origin is None else await node.db.read(lambda db: _served(node, db, origin))


def _served(node: SyncNode, db: apsw.Connection, origin: str) -> Answer:
    held = head(db, origin)
    if held.checkpoint_size > node.released(origin):
        return refuse(503, "not released yet")
    if held.checkpoint is None:
        return refuse(404, "no checkpoint yet")
    lines = [NoteSignature.parse(one.line) for one in held.cosignatures if one.size == held.checkpoint_size]
    return Answer(200, bytes(SignedNote.parse(held.checkpoint).with_signatures(lines)), PLAIN)


async def _witnessed(node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
    origin = await _origin(node, ask, match)
    if origin is None:
        return refuse(404, "no such log")

    def find(db: apsw.Connection) -> Answer:
        held = head(db, origin)
        mine = next((one for one in held.cosignatures if one.cosigner == node.witness.name), None)
        if mine is None:
            return refuse(404, "nothing was cosigned yet")
        row = db.execute("SELECT note FROM promises WHERE log_id = ? AND size = ?", (held.log_id, mine.size)).fetchone()
        if row is None:
            _, note = newest_promise(db, held.log_id, origin)
            return Answer(200, note, PLAIN)
        return Answer(200, bytes(SignedNote.parse(row[0]).with_signatures([NoteSignature.parse(mine.line)])), PLAIN)

    return await node.db.read(find)


async def _kept_evidence(node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
    origin = await _origin(node, ask, match)
    if origin is None:
        return refuse(404, "no such log")
    return Answer(200, await node.db.read(lambda db: evidence_of(db, origin)), EVIDENCE_TYPE)


async def _tile(node: SyncNode, ask: Ask, match: re.Match[str]) -> Answer:
    origin = await _origin(node, ask, match)
    if origin is None:
        return refuse(404, "no such log")
    tile = parse_tile_path(match["tile"])

    def find(db: apsw.Connection) -> Answer:
        shown = min(head(db, origin).checkpoint_size, node.released(origin))
        if tile.width > width_of(tile.level, tile.n, shown):
            return refuse(404, "not signed yet")
        start = tile.n * 256
        end = start + tile.width
        if tile.level is None:
            entries = [body for _, body in read_bodies(db, origin, start, end)]
            if len(entries) != tile.width:
                raise LogFault("missing-entries", origin, start, end)
            return Answer(200, encode_bundle(entries), wire.ENTRIES_TYPE)
        return Answer(200, b"".join(TableHashes(db, origin).hashes(tile.level, start, end)), wire.ENTRIES_TYPE)

    return await node.db.read(find)


_LOG = r"(?P<log>[0-9a-f]{64})"
ROUTES: tuple[Route, ...] = (
    ("POST", re.compile("/witness/add-checkpoint"), _witness),
    ("POST", re.compile("/mirror/add-checkpoint"), _pending),
    ("POST", re.compile("/mirror/add-entries"), _add_entries),
    ("POST", re.compile("/log/succession"), _succession),
    ("GET", re.compile("/log/successions"), _successions),
    ("GET", re.compile(f"/witness/{_LOG}/checkpoint"), _witnessed),
    ("GET", re.compile(f"/(?:log|mirror)/{_LOG}/checkpoint"), _checkpoint),
    ("GET", re.compile(f"/log/{_LOG}/evidence"), _kept_evidence),
    ("GET", re.compile(f"/(?:log|mirror)/{_LOG}/(?P<tile>tile/.+)"), _tile),
)
