"""The few values that every handler may ask the application for."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp.web import AppKey, Request, RequestKey, Response
from jinja2 import Environment

from node.drawing import Drawings
from node.node import Node
from web.doors import Doors
from web.sessions import Session, Sessions

if TYPE_CHECKING:
    from web.signing import Signing

NODE: AppKey[Node] = AppKey("node", Node)
DRAWINGS: AppKey[Drawings] = AppKey("drawings", Drawings)
SESSIONS: AppKey[Sessions] = AppKey("sessions", Sessions)
TEMPLATES: AppKey[Environment] = AppKey("templates", Environment)
DOORS: AppKey[Doors] = AppKey("doors", Doors)
SIGNING: "AppKey[Signing | None]" = AppKey("signing", object)  # type: ignore[arg-type]
ON_WAITING: AppKey[Callable[[Request, bytes], Response]] = AppKey("on_waiting", Callable)  # type: ignore[arg-type]
REQUEST_ID: RequestKey[str] = RequestKey("request_id", str)
SESSION: RequestKey[Session] = RequestKey("session", Session)
