"""Documents for download: PDFs of a lot, bundles and proofs of a log."""

import asyncio
import datetime as dt
from collections.abc import Callable
from functools import partial

import apsw
from aiohttp.web import Request, Response, RouteTableDef

from node import export
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.secrecy import Secret, Stage, may_read
from node.domain.streams import lot_stream
from node.domain.values import Role
from node.node import Node
from node.receipts import number_of
from node.trust import machine_ms
from node.views import custody as custody_view
from sync.checkpoint import read
from sync.log import origins
from sync.policy import Policy
from web.disclosure import is_secret, shown_to_holder
from web.keys import NODE, SESSION
from web.reports import evaluation_pdf, opening_pdf, score_sheet_pdf
from web.security import for_roles, not_found

routes = RouteTableDef()
_DESK = for_roles(Role.TENDERER, Role.AGENCY, Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS, Role.REVIEWER)


_LAST_EVENT = {
    "report": ("evaluation.report-completed", "evaluation.ranking-computed"),
    "opening": ("opening.opening-confirmed", "opening.opening-started"),
    "sheet": ("evaluation.ranking-computed", "evaluation.scoring-closed"),
}


async def evidence(node: Node, lot_code: str, paper: str) -> tuple[bytes, bytes]:
    """Return the own log's bundle as it was when the paper's last event was recorded, and its checkpoint: so the paper is
    the same whenever it is rendered.
    """
    policy = _policy(node, node.settings.origin)

    def make(db: apsw.Connection) -> tuple[bytes, bytes]:
        rows = custody_view.of_stream(db, lot_stream(lot_code))
        for wanted in _LAST_EVENT[paper]:
            last = max((at for at, row in enumerate(rows) if wanted in row.events), default=-1)
            # An event in the log of the node that held the lot before is covered by the entry that took the lot over.
            own = [row.seq for row in rows[last:] if row.origin == node.settings.origin] if last >= 0 else []
            if own:
                return export.bundle_at(db, own[0] + 1, node.keys.log_signer, policy)
        raise Refused("paper-not-ready", rule="paper-follows-event", value=paper)

    return await node.read(make)


def _policy(node: Node, origin: str) -> Policy:
    public = node.keys.public()
    return export.policy_of(node.settings, public.log_vkey, public.cosigner_vkey, origin, node.statements)


def _file(data: bytes, kind: str, name: str) -> Response:
    disposition = f'attachment; filename="{name}"'
    return Response(body=data, content_type=kind, headers={"Content-Disposition": disposition})


@routes.get("/desk/lots/{lot}/papers/{paper}.pdf")
@_DESK
async def paper(request: Request) -> Response:
    """Render one document of a lot from its log: report, opening, or sheet-<member number>."""
    node = request.app[NODE]
    lot = await node.state(lot_stream(request.match_info["lot"]))
    name = request.match_info["paper"]
    kind, _, member_no = name.partition("-")
    papers: dict[str, Callable[..., bytes]] = {
        "report": evaluation_pdf,
        "opening": opening_pdf,
        "sheet": partial(score_sheet_pdf, member_no),
    }
    make = papers.get(kind)
    if not isinstance(lot, LotState) or lot.project.lot is None or make is None or bool(member_no) != (kind == "sheet"):
        return not_found()
    owner = await node.origin_of(lot_stream(lot.lot_code))
    if owner != node.settings.origin:
        raise Refused("not-owner", rule="papers-of-the-owner", value=node.settings.origin, limit=owner)
    attached, note = await evidence(node, lot.lot_code, kind)
    held, _ = read(note)
    receipt = await node.receipt(number_of(held.origin, held.size - 1))
    keys = node.keys

    def made() -> bytes:
        from web.pdf_signature import signed  # noqa: PLC0415 - heavy: only whoever asks for a document waits for it

        now = dt.datetime.fromtimestamp(machine_ms() / 1_000, dt.UTC)
        return signed(make(lot, attached, note, receipt=receipt), keys.folder, keys.node, now)

    pdf = await asyncio.to_thread(made)
    return _file(pdf, "application/pdf", f"{name}-{lot.lot_code}.pdf")


@routes.get("/public/proofs/{number}.tlog-proof")
async def proof(request: Request) -> Response:
    """Return one receipt's proof: hashes only, nothing of the entry's content."""
    node = request.app[NODE]
    signed = request.get(SESSION)
    number, print_ = request.match_info["number"], request.query.get("fingerprint", "")
    found = await (node.receipt(number) if signed else shown_to_holder(node, number, print_))
    if found is None or (
        signed and not may_read(Secret.COUNTS, Stage.BIDDING, signed.person.role) and await is_secret(node, found)
    ):
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
    data = await node.read(lambda db: export.bundle_bytes(db, origin, _policy(node, origin)))
    return _file(data, "application/zip", "evidence.zip")
