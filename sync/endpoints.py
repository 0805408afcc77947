"""The sync port: what other nodes may ask of this one, over TLS that has named them (同步端口).

    POST /witness/add-checkpoint              C2SP tlog-witness: cosigns what is consistent, with the witness key
    GET  /witness/<origin hash>/checkpoint    the newest checkpoint it cosigned
    POST /mirror/add-checkpoint, add-entries  C2SP tlog-mirror: cosigns what is stored here, with the mirror key
    GET  /log/<origin hash>/checkpoint        own and mirrored logs as C2SP tlog-tiles; `/mirror/<origin hash>/…` is the same
    GET  /log/<origin hash>/tile/…

The origin hash is the hex SHA-256 of the origin. Every body has a bound; a request that a rule refuses changes nothing.
Content-Types are spelled exactly: clients compare them for equality, so bodies are sent as bytes.
"""

import asyncio
import hashlib
import zlib
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

import apsw
from aiohttp.web import Application, Request, Response
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_protocol import RequestPayloadError

from sync import wire
from sync.certs import CertFault, peer_node
from sync.checkpoint import open_checkpoint, read
from sync.log import LogFault, TableHashes, head, origins, read_bodies
from sync.mirror import Checked, held_of, judge_upload, leading_of, store_upload
from sync.note import NoteSignature, SignedNote, Signer, VerifierKey
from sync.supervise import log_once
from sync.tampered import Malformed, Tampered
from sync.tiles import encode_bundle, parse_tile_path, width_of
from sync.wire import AddCheckpoint, EntriesReader
from sync.witness import PLAIN, Answer, newest_promise, refuse, take_checkpoint

T = TypeVar("T")

MAX_HELD = 8 * 1024 * 1024  # bytes of verified entries after which a request is stored and answered 202
UPLOADS = 4  # add-entries at a time; each holds at most MAX_HELD and two packages
REQUESTS = 16  # requests at a time, and of one peer
PEER_REQUESTS = 6
CHUNK_TIMEOUT_S = 15  # a sender that is silent so long within a body is gone


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

    `trust` says which logs are mirrored; `allowed(peer, origin)` which peer may push which of them; `has_room` is false at
    the disk's watermark; `stored(origin)` is called after entries or a checkpoint of a log were committed.
    """

    db: Database
    cosigner: Signer
    witness: Signer
    prefecture: str
    trust: Mapping[str, MirroredLog]
    allowed: Callable[[str, str], bool]
    now_ms: Callable[[], int]
    stored: Callable[[str], None] = lambda _origin: None
    has_room: Callable[[], bool] = lambda: True
    uploading: set[str] = field(default_factory=set)
    busy: Counter[str] = field(default_factory=Counter)
    hashes: dict[str, str] = field(default_factory=dict)


def sync_app(node: SyncNode) -> Application:
    """Return the aiohttp application of the sync port; serve it with `NodeKeys.server_context()`."""
    app = Application(client_max_size=wire.MAX_CHECKPOINT_BODY)

    def route(
        handler: Callable[[SyncNode, Request, str], Awaitable[Answer]],
    ) -> Callable[[Request], Awaitable[Response]]:
        async def handle(request: Request) -> Response:
            return await _handle(node, request, handler)

        return handle

    app.router.add_post("/witness/add-checkpoint", route(_witness))
    app.router.add_post("/mirror/add-checkpoint", route(_pending))
    app.router.add_post("/mirror/add-entries", route(_add_entries))
    app.router.add_get("/witness/{log:[0-9a-f]{64}}/checkpoint", route(_witnessed))
    app.router.add_get("/{prefix:log|mirror}/{log:[0-9a-f]{64}}/checkpoint", route(_checkpoint))
    app.router.add_get("/{prefix:log|mirror}/{log:[0-9a-f]{64}}/{tile:tile/.+}", route(_tile))
    return app


def log_hash(origin: str) -> str:
    """Return the name of a log in addresses."""
    return hashlib.sha256(origin.encode()).hexdigest()


async def _handle(
    node: SyncNode, request: Request, handler: Callable[[SyncNode, Request, str], Awaitable[Answer]]
) -> Response:
    transport = request.transport
    try:
        peer = peer_node(None if transport is None else transport.get_extra_info("ssl_object"), node.prefecture)
    except CertFault as fault:
        return _response(refuse(403, str(fault)))
    if node.busy[peer] >= PEER_REQUESTS:
        return _response(refuse(429, "too many requests at a time"), retry_after_s=1)
    if node.busy.total() >= REQUESTS:
        return _response(refuse(503, "busy"), retry_after_s=1)
    node.busy[peer] += 1
    try:
        answer = await handler(node, request, peer)
    except Malformed as malformed:
        answer = refuse(400, str(malformed))
    except Exception as error:  # noqa: BLE001 - the supervisor of the sync port: one request fails, the port goes on
        log_once(error, f"{request.method} {request.path} of {peer}")
        answer = refuse(500, "this node cannot do it now")
    finally:
        node.busy[peer] -= 1
    return _response(answer, retry_after_s=1 if answer.status in {429, 500, 503, 507} else None)


def _response(answer: Answer, retry_after_s: int | None = None) -> Response:
    headers = {"Content-Type": answer.content_type, "Accept-Encoding": "gzip"}
    if retry_after_s is not None:
        headers["Retry-After"] = str(retry_after_s)
    if answer.content_type == wire.ENTRIES_TYPE:
        headers["Cache-Control"] = "max-age=31536000, immutable"
    elif answer.status == 200:
        headers["Cache-Control"] = "no-store"
    return Response(status=answer.status, body=answer.body, headers=headers)


# -- push -----------------------------------------------------------------------------------------------------------


async def _witness(node: SyncNode, request: Request, peer: str) -> Answer:
    return await _add_checkpoint(node, request, peer, node.witness)


async def _pending(node: SyncNode, request: Request, peer: str) -> Answer:
    return await _add_checkpoint(node, request, peer, None)


async def _add_checkpoint(node: SyncNode, request: Request, peer: str, witness: Signer | None) -> Answer:
    body = await _small_body(request)
    if isinstance(body, Answer):
        return body
    asked = AddCheckpoint.parse(body)
    checkpoint, _ = read(asked.checkpoint)
    trusted = node.trust.get(checkpoint.origin)
    if trusted is None:
        return refuse(404, "this log is not mirrored here")
    if not node.allowed(peer, checkpoint.origin):
        return refuse(403, f"{peer} may not push this log")
    try:
        opened = open_checkpoint(asked.checkpoint, [trusted.vkey])
    except Tampered as tampered:
        return refuse(403, str(tampered))
    answer = await node.db.write(
        lambda db: take_checkpoint(
            db,
            asked,
            opened,
            shown_by=peer,
            owner=peer == trusted.node,
            witness=witness,
            now_ms=node.now_ms(),
        )
    )
    if answer.status != 409:
        node.stored(checkpoint.origin)
    return answer


async def _small_body(request: Request) -> bytes | Answer:
    body = bytearray()
    try:
        async for chunk in _chunks(request):
            body += chunk
            if len(body) > wire.MAX_CHECKPOINT_BODY:
                return refuse(413, "the body is too large")
    except _BrokenBodyFault as broken:
        return refuse(400, broken.why)
    return bytes(body)


@dataclass(eq=False)
class _BrokenBodyFault(Exception):
    """A request's body cannot be read to its end."""

    why: str


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    """Yield the pieces of a body, unpacked, each within CHUNK_TIMEOUT_S of the last. Raises _BrokenBodyFault."""
    try:
        while True:
            async with asyncio.timeout(CHUNK_TIMEOUT_S):
                chunk = await request.content.readany()
            if not chunk:
                return
            yield chunk
    except TimeoutError:
        raise _BrokenBodyFault("the body stopped coming") from None
    except (HTTPException, RequestPayloadError, ConnectionError, ValueError, zlib.error) as error:
        raise _BrokenBodyFault(f"the body cannot be read: {type(error).__name__}") from error


async def _add_entries(node: SyncNode, request: Request, peer: str) -> Answer:
    if request.content_type != wire.ENTRIES_TYPE:
        return refuse(415, f"Content-Type must be {wire.ENTRIES_TYPE}")
    if not node.has_room():
        return refuse(507, "the disk is nearly full")
    if len(node.uploading) >= UPLOADS:
        return refuse(503, "busy")
    reader = EntriesReader()
    chunks = _chunks(request)
    try:
        async for chunk in chunks:
            reader.feed(chunk)
            upload = reader.head()
            if upload is not None:
                break
        else:
            return refuse(400, "the body ends within its head")
    except _BrokenBodyFault as broken:
        return refuse(400, broken.why)
    trusted = node.trust.get(upload.origin)
    if trusted is None:
        return refuse(404, "this log is not mirrored here")
    if not node.allowed(peer, upload.origin):
        return refuse(403, f"{peer} may not push this log")
    if upload.origin in node.uploading:
        return refuse(429, "another upload of this log is under way")
    node.uploading.add(upload.origin)
    try:
        answer = await _upload(node, reader, upload, chunks)
    finally:
        node.uploading.discard(upload.origin)
    return answer


async def _upload(
    node: SyncNode, reader: EntriesReader, upload: wire.EntriesHead, chunks: AsyncIterator[bytes]
) -> Answer:
    held = await node.db.read(lambda db: held_of(db, upload.origin))
    verdict = judge_upload(upload, held)
    if isinstance(verdict, Answer):
        return verdict
    leading = await node.db.read(lambda db: leading_of(db, upload.origin, upload.start))
    checked = Checked(verdict, upload.start, leading)
    problem = await _receive(reader, checked, chunks)
    if problem is not None and not checked.received:
        return problem
    answer = await node.db.write(
        lambda db: store_upload(db, checked.verified(), cosigner=node.cosigner, now_ms=node.now_ms())
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
    except _BrokenBodyFault as broken:
        return refuse(400, broken.why)
    except Malformed as malformed:
        return refuse(400, str(malformed))
    except Tampered as tampered:
        return refuse(422, str(tampered))
    return None


# -- read -----------------------------------------------------------------------------------------------------------


async def _origin(node: SyncNode, request: Request) -> str | None:
    wanted = request.match_info["log"]
    if wanted not in node.hashes:
        node.hashes.update({log_hash(origin): origin for origin in await node.db.read(origins)})
    return node.hashes.get(wanted)


async def _checkpoint(node: SyncNode, request: Request, _peer: str) -> Answer:
    origin = await _origin(node, request)
    return refuse(404, "no such log") if origin is None else await node.db.read(lambda db: _served(db, origin))


def _served(db: apsw.Connection, origin: str) -> Answer:
    held = head(db, origin)
    if held.checkpoint is None:
        return refuse(404, "no checkpoint yet")
    lines = [NoteSignature.parse(one.line) for one in held.cosignatures if one.size == held.checkpoint_size]
    return Answer(200, bytes(SignedNote.parse(held.checkpoint).with_signatures(lines)), PLAIN)


async def _witnessed(node: SyncNode, request: Request, _peer: str) -> Answer:
    origin = await _origin(node, request)
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


async def _tile(node: SyncNode, request: Request, _peer: str) -> Answer:
    origin = await _origin(node, request)
    if origin is None:
        return refuse(404, "no such log")
    tile = parse_tile_path(request.match_info["tile"])

    def find(db: apsw.Connection) -> Answer:
        if tile.width > width_of(tile.level, tile.n, head(db, origin).checkpoint_size):
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
