"""The few values that every handler may ask the application for."""

from aiohttp.web import AppKey
from jinja2 import Environment

from node.node import Node
from web.sessions import Sessions

NODE: AppKey[Node] = AppKey("node", Node)
SESSIONS: AppKey[Sessions] = AppKey("sessions", Sessions)
TEMPLATES: AppKey[Environment] = AppKey("templates", Environment)
