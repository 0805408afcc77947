"""Acts that a person signs with a certificate (签名行为): their words, and how a verified signature becomes a record.

The log holds a salted commitment: words, CMS and judgement are personal data (the CMS names its holder, the words hold
marks), so they lie sealed in the erasable table.
"""

import hashlib

import apsw

from node import personal
from node.domain.lot import LotState
from node.domain.panel import Member
from node.domain.sheet import SheetState, SignSheet
from node.domain.streams import sheet_stream
from node.domain.values import Actor
from node.node import Node
from node.own_sheets import own_marks
from node.person_trust import judgement_json
from node.receipts import Receipt
from node.room_key import RoomKey
from node.views.sheet import sheet_table
from sync.acts import Signed, act_text

SIGN_SHEET = "评标专家评分表签字"


async def sheet_words(node: Node, lot: LotState, member: Member, sheet: SheetState, statement: str) -> bytes:
    """Return the words of a member's signature under its marks; their digest binds the submissions in the log."""
    table = sheet_table(lot, sheet, await own_marks(node, lot.lot_code, member.no))
    lines = {
        "标段编号": lot.lot_code,
        "招标次数": str(lot.round_no),
        "成员代号": member.no,
        "席位": member.seat,
    }
    for row in table.rows:
        mark = "不适用" if row.total_centi is None else f"{row.total_centi // 100}.{row.total_centi % 100:02d} 分"
        lines[f"投标 {row.bid.ref}"] = mark
    lines["声明"] = statement
    stated = sorted((one.ref, one.revision, one.commitment.hex()) for one in sheet.marks)
    body = "\n".join(f"{ref} {revision} {commitment}" for ref, revision, commitment in stated)
    return act_text(SIGN_SHEET, lines, hashlib.sha256(body.encode()).digest())


async def record_sheet_signature(
    node: Node,
    room: RoomKey,
    lot: LotState,
    member: Member,
    *,
    statement: str,
    text: bytes,
    cms: bytes,
    signed: Signed,
    command_id: bytes,
    actor: Actor,
) -> Receipt:
    """Record a member's signature that was verified. Raises what `Node.record_prepared` raises."""
    data = personal.bind("act", (text.decode(), cms.hex(), judgement_json(signed.state)))
    stream = sheet_stream(lot.lot_code, lot.round_no, member.no)

    def prepare(db: apsw.Connection) -> SignSheet:
        personal.keep(db, data, room.seal)
        return SignSheet(statement, data.commitment, str(signed.state.standing))

    return await node.record_prepared(stream, prepare, command_id, actor, statement, text, cms)
