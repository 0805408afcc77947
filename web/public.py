"""What anybody may see, from the moment it is public: lots, candidates, results; and checking a receipt (公众页)."""

from dataclasses import dataclass

from aiohttp.web import Request, Response, RouteTableDef

from node.branches import doubles
from node.domain.lot import LotState
from node.domain.streams import lot_stream
from node.views import lot_page
from node.views import project as project_view
from web.disclosure import same_print, shown_to_holder
from web.keys import NODE
from web.render import page
from web.security import not_found

routes = RouteTableDef()


@dataclass(frozen=True, slots=True)
class PublicLot:
    """A lot as the public may see it at this moment."""

    lot_code: str
    project_name: str
    lot_name: str
    tenderer: str
    notice: str
    notice_file: bool
    deadline_ms: int
    opening_place: str
    opening: tuple[lot_page.OpeningRow, ...]
    published_to_ms: int
    channel: str
    results: tuple[lot_page.ResultRow, ...]
    rejected: tuple[lot_page.RejectedRow, ...]
    winner: str
    winner_fen: int
    ended: str


def public_lot(lot: LotState) -> PublicLot | None:
    """Return what is public of a lot: nothing before the notice, prices when read out, results when published."""
    registered, notice = lot.project.lot, lot.notice.published
    if registered is None or notice is None:
        return None
    published = lot.award.published
    decided = lot.award.decided if lot.award.notified_at_ms else None
    return PublicLot(
        lot_code=registered.lot_code,
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        tenderer=registered.tenderer_name,
        notice=notice.text,
        notice_file=lot.terms.appointed is not None,
        deadline_ms=lot.notice.deadline_ms,
        opening_place=notice.opening_place,
        opening=lot_page.opening_rows(lot),
        published_to_ms=published.to_ms if published else 0,
        channel=published.objection_channel if published else "",
        results=tuple(row for row in lot_page.results(lot) if row.candidate) if published else (),
        rejected=lot_page.rejected(lot) if published else (),
        winner=lot_page.name_of(lot, decided.ref) if decided else "",
        winner_fen=decided.price_fen if decided else 0,
        ended=lot.project.ended,
    )


@routes.get("/public")
async def board(request: Request) -> Response:
    """List what is public."""
    node = request.app[NODE]
    shown = []
    for row in await node.read(project_view.lots):
        lot = await node.state(lot_stream(row.lot_code))
        if isinstance(lot, LotState) and (model := public_lot(lot)) is not None:
            shown.append(model)
    return page(request, "public/board.html", live="log", lots=tuple(shown))


@routes.get("/public/lots/{lot}")
async def lot(request: Request) -> Response:
    """Show one lot as the public may see it."""
    state = await request.app[NODE].state(lot_stream(request.match_info["lot"]))
    model = public_lot(state) if isinstance(state, LotState) else None
    if model is None:
        return not_found()
    return page(request, "public/lot.html", live=f"lot/{model.lot_code}", model=model)


@routes.get("/public/verify")
async def verify(request: Request) -> Response:
    """Say whether a receipt is in the log, how far it has travelled, and how to check it without us."""
    node, number = request.app[NODE], request.query.get("number", "").strip()[:40]
    print_ = request.query.get("fingerprint", "").strip()[:80]
    found = await shown_to_holder(node, number, print_)
    twice = await node.read(lambda db: doubles(db, number))
    # Whoever gives the fingerprint holds that receipt: it is told which of the two records is meant.
    other = next((one for one in twice.others if print_ and same_print(print_, one.leaf)), None)
    reach = await node.reach(found.origin, found.seq) if found else None
    return page(
        request,
        "public/verify.html",
        status=200 if found or other or not number else 404,
        number=number,
        print_=print_,
        receipt=found,
        reach=reach,
        doubles=twice,
        other=other,
        differs=bool(found and print_ and not same_print(print_, found.leaf)),
    )
