"""The sync port: `sync.receiver` over TLS that has named the peer (同步端口).

Content-Types are spelled exactly: clients compare them for equality, so bodies are sent as bytes.
"""

import zlib
from collections.abc import AsyncGenerator
from contextlib import aclosing

from aiohttp.web import Application, Request, Response
from aiohttp.web_exceptions import HTTPException
from aiohttp.web_protocol import RequestPayloadError

from sync import wire
from sync.certs import CertFault, Judge, TlsObject, peer_node
from sync.receiver import (
    RENEWAL,
    Ask,
    BrokenBodyFault,
    Database,
    MirroredLog,
    SyncNode,
    log_hash,
    receive,
    retry_after_s,
)
from sync.standing import Reach
from sync.witness import Answer, refuse

__all__ = ["Database", "MirroredLog", "SyncNode", "log_hash", "sync_app"]


def sync_app(node: SyncNode) -> Application:
    """Return the aiohttp application of the sync port; serve it with `NodeKeys.server_context()`."""

    async def handle(request: Request) -> Response:
        return await _handle(node, request)

    app = Application(client_max_size=wire.MAX_CHECKPOINT_BODY)
    app.router.add_route("*", "/{path:.*}", handle)
    return app


async def _handle(node: SyncNode, request: Request) -> Response:
    transport = request.transport
    tls = None if transport is None else transport.get_extra_info("ssl_object")
    try:
        peer = peer_node(tls, node.prefecture)
        why = "" if node.judge is None or tls is None else _refusal(node.judge, tls, request.path)
    except CertFault as fault:
        return _response(refuse(403, str(fault)))
    if why:
        response = _response(refuse(403, f"certificate: {why}"))
        response.force_close()  # the next handshake judges anew; a kept connection would hold a place
        return response
    method = "GET" if request.method == "HEAD" else request.method
    async with aclosing(_pieces(request)) as body:
        return _response(await receive(node, Ask(peer, method, request.path, request.headers, body)))


def _refusal(judge: Judge, tls: TlsObject, path: str) -> str:
    """Return why a request is refused, judged for each anew; "" where it is not. Raises CertFault."""
    ruling = judge.judge(tls.getpeercert(binary_form=True))
    renewing = ruling.reach is Reach.RENEWAL and path == RENEWAL
    return "" if ruling.reach is Reach.ALL or renewing else ruling.why


def _response(answer: Answer) -> Response:
    headers = {"Content-Type": answer.content_type, "Accept-Encoding": "gzip"}
    after_s = retry_after_s(answer)
    if after_s is not None:
        headers["Retry-After"] = str(after_s)
    if answer.content_type == wire.ENTRIES_TYPE:
        headers["Cache-Control"] = "max-age=31536000, immutable"
    elif answer.status == 200:
        headers["Cache-Control"] = "no-store"
    return Response(status=answer.status, body=answer.body, headers=headers)


async def _pieces(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield a body's pieces, unpacked. Raises BrokenBodyFault."""
    try:
        while chunk := await request.content.readany():
            yield chunk
    except (HTTPException, RequestPayloadError, ConnectionError, ValueError, zlib.error) as error:
        raise BrokenBodyFault(f"the body cannot be read: {type(error).__name__}") from error
