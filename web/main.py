"""The pages' application, and the composition of a running node: log, replication, pages, control socket (组装)."""

from aiohttp.web import Application
from jinja2 import Environment

from node.drawing import Drawings
from node.node import Node
from web.doors import Doors
from web.keys import DOORS, DRAWINGS, NODE, ON_WAITING, SESSIONS, SIGNING, TEMPLATES
from web.render import STATIC, environment
from web.routes import add_routes
from web.security import MIDDLEWARES
from web.sessions import Sessions
from web.signing import Signing
from web.witness import waiting

FORM_MOST = 2 * 1024 * 1024


def create_app(node: Node) -> Application:
    """Return the application that serves a node's pages."""
    app = Application(middlewares=MIDDLEWARES, client_max_size=FORM_MOST)
    app[NODE] = node
    app[DRAWINGS] = Drawings(node)
    app[SESSIONS] = Sessions()
    app[ON_WAITING] = waiting
    app[SIGNING] = Signing.of(node)
    app[DOORS] = Doors()
    made: Environment = environment()
    app[TEMPLATES] = made
    add_routes(app)
    app.router.add_static("/static/", STATIC)
    return app
