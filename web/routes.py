"""Every address that a browser can reach, by the module that answers it: a table of contents.

account     / /sign-in /sign-out /demo/sign-in /help /receipts/<number> /healthz
ceremony    /desk/lots/<lot>/ceremony-request.json|ceremony/release|ceremony/half /public/lots/<lot>/notice.json
custody     /desk/lots/<lot>/custody[/release|recall|take|tail]
desk        /desk /desk/register /desk/lots/<lot>[/bid|/<act>] /desk/incidents/…
files_lost  /desk/lots/<lot>/files/lost
duties      /help/duties
draws       /desk/lots/<lot>/draws[/freeze|/options] /desk/draws/<draw>[/<step>|/proof.json]
expert      /expert /expert/lots/<lot>[/sign-in|recusal|sheet|sign|report|done]
expert_bids /expert/lots/<lot>/checklist/<ref>|marks/<ref>|recheck/<ref>|clarification
papers      /desk/lots/<lot>/papers/<paper>.pdf /public/proofs/<number>.tlog-proof /prefecture/logs/<hex origin>/bundle.zip
prefecture  /prefecture[/logs/<hex origin>[/<seq>]|/lots/<lot>[/reviewed]|/findings/<lot>/<no>] /desk/findings/<lot>/<no>
node_state  /node[/conflict.zip|/branches/<digest>]
public      /public[/lots/<lot>|/verify]
token_door  /sign-in/token[/again]
witness     /recorded/<command> /desk/witness[/relax]
live        /live
signing     /signing[/pair|/second]
agent_port  /agent/pair|pending|acts/<id>[/declined]
"""

from aiohttp.web import Application, get

from web import (
    account,
    agent_port,
    ceremony,
    custody,
    desk,
    draws,
    duties,
    expert,
    expert_bids,
    files_lost,
    node_state,
    papers,
    prefecture,
    public,
    signing,
    token_door,
    witness,
)
from web.live import live


def add_routes(app: Application) -> None:
    """Add every role's addresses."""
    app.router.add_routes([get("/live", live)])
    app.router.add_routes(account.routes)
    app.router.add_routes(papers.routes)
    app.router.add_routes(prefecture.routes)
    app.router.add_routes(public.routes)
    app.router.add_routes(witness.routes)
    app.router.add_routes(signing.routes)
    app.router.add_routes(agent_port.routes)
    app.router.add_routes(token_door.routes)
    app.router.add_routes(node_state.routes)
    app.router.add_routes(custody.routes)
    app.router.add_routes(ceremony.routes)
    app.router.add_routes(draws.routes)
    app.router.add_routes(duties.routes)
    app.router.add_routes(desk.routes)
    app.router.add_routes(files_lost.routes)
    app.router.add_routes(expert.routes)
    app.router.add_routes(expert_bids.routes)
