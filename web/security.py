"""Who may ask for what: request ids, errors as pages, headers, session, same origin, role; in that order, around every page."""

import logging
import secrets
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

from aiohttp import ClientPayloadError
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.web import (
    HTTPBadRequest,
    HTTPException,
    HTTPNotFound,
    HTTPSeeOther,
    Request,
    RequestPayloadError,
    Response,
    StreamResponse,
    middleware,
)

from node.clock import ClockFault
from node.domain.refused import NotOffered, Refused
from node.domain.values import Role
from node.recorder import NodeFault
from node.store import StoreFault
from node.witness import NotWitnessed
from sync.log import LogFault
from web.fault_words import why_not
from web.keys import ON_WAITING, REQUEST_ID, SESSION, SESSIONS
from web.messages import sentence
from web.render import page
from web.sessions import COOKIE, LIMITED, Session

Handler = Callable[[Request], Awaitable[StreamResponse]]
logger = logging.getLogger("erhai.web")

CSP = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"
HEADERS = {
    "Content-Security-Policy": CSP,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
_last_logged: dict[str, float] = {}


@middleware
async def request_id(request: Request, handler: Handler) -> StreamResponse:
    """Name the request, so that a page of error and the log line can be put together."""
    request[REQUEST_ID] = secrets.token_hex(4)
    return await handler(request)


@middleware
async def errors(request: Request, handler: Handler) -> StreamResponse:
    """Turn every failure into a page that says what happened and what to do. The supervisor of pages: the one broad catch."""
    try:
        return await handler(request)
    except Refused as refused:
        return page(request, "frame/refused.html", status=409, refusal=sentence(refused))
    except NotWitnessed as alone:
        return request.app[ON_WAITING](request, alone.command_id)
    except (NodeFault, StoreFault) as fault:
        return page(request, "frame/fault.html", status=503, why=why_not(fault))
    except ClockFault as fault:  # no page can be drawn: each of them says the time
        return Response(status=503, text=f"{fault}\n")
    except (NotOffered, LogFault):
        return page(request, "frame/missing.html", status=404)
    except HTTPSeeOther:
        raise
    except HTTPException as error:
        if error.status < 400:
            raise
        name = {404: "missing", 403: "forbidden", 413: "too-large"}.get(error.status, "bad-request")
        return page(request, f"frame/{name}.html", status=error.status)
    except Exception as error:  # noqa: BLE001 - see above
        _log_once(request, error)
        return page(request, "frame/broken.html", status=500)


def _log_once(request: Request, error: Exception) -> None:
    """Log kind and place of an error, once a minute each; never its text, which may hold what is sealed."""
    frame = error.__traceback__
    while frame is not None and frame.tb_next is not None:
        frame = frame.tb_next
    where = f"{frame.tb_frame.f_code.co_filename.rpartition('/')[2]}:{frame.tb_lineno}" if frame else "?"
    key = f"{type(error).__name__} {where}"
    if time.monotonic() - _last_logged.get(key, -60.0) >= 60:
        _last_logged[key] = time.monotonic()
        logger.error("%s at %s, request %s %s", key, request.path, request.get(REQUEST_ID, ""), request.method)


@middleware
async def headers(request: Request, handler: Handler) -> StreamResponse:
    """Put the security headers on every answer; pages are never cached, static files for ever."""
    try:
        response = await handler(request)
    except HTTPException as answer:
        _dress(request, answer)
        raise
    if not response.prepared:
        _dress(request, response)
    return response


def _dress(request: Request, response: StreamResponse) -> None:
    for name, value in HEADERS.items():
        response.headers[name] = value
    kept = "public, max-age=31536000, immutable" if request.path.startswith("/static/") else "no-store"
    response.headers["Cache-Control"] = kept


@middleware
async def session(request: Request, handler: Handler) -> StreamResponse:
    """Find who sits at this browser."""
    found = request.app[SESSIONS].find(request.cookies.get(COOKIE, ""))
    if found is not None:
        request[SESSION] = found
    return await handler(request)


@middleware
async def same_origin(request: Request, handler: Handler) -> StreamResponse:
    """Refuse a form that another site sent: Sec-Fetch-Site decides, Origin where a browser does not send it."""
    if request.method not in {"GET", "HEAD"}:
        site = request.headers.get("Sec-Fetch-Site")
        origin = request.headers.get("Origin", "")
        same = site == "same-origin" if site else urlsplit(origin).netloc == request.host
        if not same:
            return page(request, "frame/forbidden.html", status=403)
        held = request.get(SESSION)
        if held is not None and held.note == LIMITED and request.path not in {"/sign-out", "/demo/sign-in"}:
            return page(request, "frame/limited.html", status=403)
    return await handler(request)


MIDDLEWARES = (request_id, headers, session, errors, same_origin)


def signed_in(request: Request) -> Session:
    """Return the session, or lead to the sign-in page."""
    found = request.get(SESSION)
    if not isinstance(found, Session):
        raise HTTPSeeOther(f"/sign-in?next={request.rel_url.path}" if request.method == "GET" else "/sign-in")
    return found


def for_roles(*roles: Role) -> Callable[[Handler], Handler]:
    """Let only these roles through; others get a page that says so."""

    def around(handler: Handler) -> Handler:
        async def gate(request: Request) -> StreamResponse:
            if signed_in(request).person.role not in roles:
                return page(request, "frame/forbidden.html", status=403)
            return await handler(request)

        return gate

    return around


def see_other(location: str) -> Response:
    """Return the answer to an accepted form."""
    raise HTTPSeeOther(location)


def not_found() -> Response:
    """Return the page for what is not here."""
    raise HTTPNotFound


async def read_form(request: Request) -> Mapping[str, Any]:
    """Return a form's fields. Raises HTTPBadRequest for a body that is no form, HTTPRequestEntityTooLarge as aiohttp does."""
    try:
        return await request.post()
    except (
        ValueError,
        LookupError,
        AssertionError,
        HttpProcessingError,
        ClientPayloadError,
        RequestPayloadError,
    ) as error:
        raise HTTPBadRequest(text=type(error).__name__) from error
