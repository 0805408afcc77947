"""Every address that a browser can reach, by the module that answers it: a table of contents.

account     / /sign-in /sign-out /demo/sign-in /help /receipts/<number> /healthz
desk        /desk /desk/register /desk/lots/<lot>[/bid|/<act>] /desk/incidents/…
live        /live
"""

from aiohttp.web import Application, get

from web import account, desk
from web.live import live


def add_routes(app: Application) -> None:
    """Add every role's addresses."""
    app.router.add_routes([get("/live", live)])
    app.router.add_routes(account.routes)
    app.router.add_routes(desk.routes)
