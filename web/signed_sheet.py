"""The member's signature under its marks, by the certificate in its token (评分表证书签字)."""

from collections.abc import Mapping
from typing import Any

from aiohttp.web import Request, Response

from node.signed_acts import record_sheet_signature, sheet_words
from sync.acts import Signed
from web.desk import stale
from web.expert_seat import Seat, made_here
from web.keys import SIGNING
from web.render import page
from web.signing import NotSigned, ask_at_seat


async def sign_by_token(request: Request, seat: Seat, data: Mapping[str, Any], statement: str) -> Response:
    """Put the sheet's words before the seat's agent; what it signs is recorded if the sheet still says the same."""
    signing, command_id = request.app[SIGNING], made_here(data)
    if signing is None:
        raise TypeError(seat.stream)
    if await stale(seat.node, seat.stream, data):
        return page(request, "frame/stale.html", status=409)
    text = await sheet_words(seat.node, seat.lot, seat.member, seat.sheet, statement)

    async def record(cms: bytes, signed: Signed) -> str:
        if await stale(seat.node, seat.stream, data):
            raise NotSigned("other-words")
        receipt = await record_sheet_signature(
            seat.node,
            signing.room,
            seat.lot,
            seat.member,
            statement=statement,
            text=text,
            cms=cms,
            signed=signed,
            command_id=command_id,
            actor=seat.actor,
        )
        return receipt.number

    return ask_at_seat(request, text, record, back=seat.place.url)
