"""Documents for download: PDFs of a lot, bundles and proofs of a log."""

import asyncio

from aiohttp.web import Request, Response, RouteTableDef

from node import export
from node.domain.lot import LotState
from node.domain.streams import lot_stream
from node.domain.values import Role
from node.node import Node
from sync.log import origins
from web.keys import NODE
from web.reports import evaluation_pdf, opening_pdf
from web.security import for_roles, not_found

routes = RouteTableDef()
_DESK = for_roles(Role.TENDERER, Role.AGENCY, Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS, Role.REVIEWER)


async def evidence(node: Node, origin: str) -> tuple[bytes, bytes]:
    """Return a log's bundle and its newest checkpoint, from one snapshot."""
    public = node.keys.public()
    policy = export.policy_of(node.settings, public.log_vkey, public.cosigner_vkey, origin)
    return await node.read(lambda db: (export.bundle_bytes(db, origin, policy), export.checkpoint_note(db, origin)))


def _file(data: bytes, kind: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(body=data, content_type=kind, headers={"Content-Disposition": disposition})


@routes.get("/desk/lots/{lot}/papers/{paper}.pdf")
@_DESK
async def paper(request: Request) -> Response:
    """Render one document of a lot from its log."""
    node = request.app[NODE]
    lot = await node.state(lot_stream(request.match_info["lot"]))
    make = {"report": evaluation_pdf, "opening": opening_pdf}.get(request.match_info["paper"])
    if not isinstance(lot, LotState) or lot.project.lot is None or make is None:
        return not_found()
    origin = await node.origin_of(lot_stream(lot.lot_code))
    bundle, note = await evidence(node, origin)
    pdf = await asyncio.to_thread(make, lot, bundle, note)
    return _file(pdf, "application/pdf", f"{request.match_info['paper']}-{lot.lot_code}.pdf")


@routes.get("/public/proofs/{number}.tlog-proof")
async def proof(request: Request) -> Response:
    """Return one receipt's proof: hashes only, nothing of the entry's content."""
    node = request.app[NODE]
    found = await node.receipt(request.match_info["number"])
    if found is None:
        return not_found()
    data = await node.read(lambda db: export.proof_of(db, found.origin, found.seq))
    return _file(data, "text/plain", f"{found.number}.tlog-proof")


@routes.get("/prefecture/logs/{origin}/bundle.zip")
@for_roles(Role.REVIEWER)
async def bundle(request: Request) -> Response:
    """Return the bundle of one log held here."""
    node = request.app[NODE]
    origin = bytes.fromhex(request.match_info["origin"]).decode("utf-8", "replace")
    if origin not in await node.read(origins):
        return not_found()
    data, _ = await evidence(node, origin)
    return _file(data, "application/zip", "evidence.zip")
