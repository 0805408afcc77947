"""What a member signs (成员签名): the marks and the word on the report, by the certificate in its token where the node asks for it."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp.web import Request, Response

from node.domain.lot import LotState
from node.domain.panel import Member
from node.domain.sheet import SheetState, SignReport, SignSheet
from node.node import Node
from node.own_sheets import own_marks
from node.views.sheet import sheet_table
from web.binding import Binding, conclude
from web.desk import stale
from web.expert_seat import Seat, made_here
from web.forms import rows_of
from web.render import page

SIGN_SHEET, SIGN_REPORT = "评标专家评分表签字", "评标报告签署"


@dataclass(frozen=True, slots=True)
class _Words:
    title: str
    lines: Mapping[str, str]
    digest: bytes
    back: str


async def _sheet_lines(node: Node, lot: LotState, member: Member, sheet: SheetState) -> dict[str, str]:
    table = sheet_table(lot, sheet, await own_marks(node, lot.lot_code, member.no))
    lines = {}
    for row in table.rows:
        mark = "不适用" if row.total_centi is None else f"{row.total_centi // 100}.{row.total_centi % 100:02d} 分"
        lines[f"投标 {row.bid.ref}"] = mark
    return lines


def _sheet_digest(sheet: SheetState) -> bytes:
    """Return what a signature under marks is about: the commitments of the submissions, which the log has."""
    stated = sorted((one.ref, one.revision, one.commitment.hex()) for one in sheet.marks)
    body = "\n".join(f"{ref} {revision} {commitment}" for ref, revision, commitment in stated)
    return hashlib.sha256(body.encode()).digest()


async def sign_sheet(request: Request, seat: Seat, data: Mapping[str, Any], statement: str) -> Response:
    """评分表签字: recorded if the sheet still says the same once it is signed."""
    lines = {**await _sheet_lines(seat.node, seat.lot, seat.member, seat.sheet), "声明": statement}
    digest = _sheet_digest(seat.sheet)
    return await _conclude(request, seat, data, SignSheet(statement), _Words(SIGN_SHEET, lines, digest, seat.place.url))


async def sign_report_word(
    request: Request, seat: Seat, data: Mapping[str, Any], command: SignReport, word: str
) -> Response:
    """评标报告签署: the member's word on the report of this digest; a dissent goes along as it was written."""
    lines = {"意见": word}
    for number, row in enumerate(map(str.strip, rows_of(command.text)), 1):
        lines[f"不同意见 {number}"] = row
    back = f"{seat.place.url}/done"
    return await _conclude(request, seat, data, command, _Words(SIGN_REPORT, lines, command.report_sha256, back))


async def _conclude(
    request: Request,
    seat: Seat,
    data: Mapping[str, Any],
    command: SignSheet | SignReport,
    words: _Words,
) -> Response:
    command_id = made_here(data)

    async def fresh() -> bool:
        return not await stale(seat.node, seat.stream, data)

    if not await fresh():
        return page(request, "frame/stale.html", status=409)
    lot_code, no = seat.lot.lot_code, seat.member.no
    head = {"招标次数": str(seat.lot.round_no), "成员代号": no, "席位": seat.member.seat}
    return await conclude(
        request,
        Binding(
            command=type(command),
            title=words.title,
            stream=seat.stream,
            command_id=command_id,
            back=words.back,
            do=lambda: seat.node.submit_sheet(lot_code, no, command, command_id=command_id, actor=seat.actor),
            lines={**head, **words.lines},
            digest=words.digest,
            fresh=fresh,
        ),
    )
