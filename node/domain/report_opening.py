"""The opening record as data (开标记录): what was opened, read out, objected to and confirmed. A pure function of the lot."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.domain import report_words as words
from node.domain.refused import Refused
from node.domain.report_digest import record_sha256

if TYPE_CHECKING:
    from node.domain.lot import LotState

_TAG = "erhai-opening-record-v1"


@dataclass(frozen=True, slots=True)
class OpeningLine:
    """One bid in the order of the opening. One that did not open has no price, and `outcome` says whose fault it was."""

    no: int
    ref: str
    bidder: str  # its reference where the seal did not open: the name is inside
    uscc: str
    price: str
    price_words: str  # the bidder's own capitals, as they stand in the bid
    period_days: str
    quality: str
    bond: str
    outcome: str


@dataclass(frozen=True, slots=True)
class OpeningObjection:
    """An objection on the spot and what was answered (ZBT 44)."""

    no: int
    text: str
    status: str
    answer: str


@dataclass(frozen=True, slots=True)
class OpeningRecord:
    """开标记录. Times are civil time in China, amounts yuan."""

    lot_code: str
    project_name: str
    lot_name: str
    tenderer: str
    agency: str
    round_no: int
    deadline: str
    opened_at: str
    confirmed_at: str
    place: str
    control_price: str
    control_price_words: str
    attendees: tuple[str, ...]
    confirmed_by: tuple[str, ...]
    lines: tuple[OpeningLine, ...]
    objections: tuple[OpeningObjection, ...]


def bidder_name(lot: "LotState", ref: str) -> str:
    """Return a bidder's name once its bid is open; its reference before."""
    content = lot.opening.content(ref)
    return content.bidder_name if content else ref


def opening_record(lot: "LotState") -> OpeningRecord:
    """Return the opening record. Raises Refused before the opening."""
    registered, notice, opening = lot.project.lot, lot.notice.published, lot.opening
    if registered is None or notice is None or not opening.started:
        raise Refused("not-opened", rule="started-first", cites=("ZB 34",))
    control_fen = lot.notice.documents.control_price_fen if lot.notice.documents else 0
    answers = {one.no: one for one in lot.objections.answers}
    return OpeningRecord(
        lot_code=registered.lot_code,
        project_name=registered.project_name,
        lot_name=registered.lot_name,
        tenderer=registered.tenderer_name,
        agency=registered.agency_name or words.NONE,
        round_no=lot.round_no,
        deadline=words.civil(lot.notice.deadline_ms),
        opened_at=words.civil(opening.started_at_ms),
        confirmed_at=words.civil(opening.confirmed_at_ms),
        place=notice.opening_place,
        control_price=words.amount(control_fen) if control_fen else words.NONE,
        control_price_words=words.capitals(control_fen) if control_fen else words.NONE,
        attendees=opening.attendees,
        confirmed_by=opening.confirmed_by,
        lines=tuple(_line(lot, no, ref) for no, ref in enumerate(opening.refs, start=1)),
        objections=tuple(
            OpeningObjection(
                no=one.no,
                text=one.text,
                status=words.OBJECTION_STATUSES[answers[one.no].status] if one.no in answers else "未答复",
                answer=answers[one.no].text if one.no in answers else words.NONE,
            )
            for one in lot.objections.raised
            if one.kind == "opening"
        ),
    )


def opening_sha256(record: OpeningRecord) -> bytes:
    """Return the digest of an opening record."""
    return record_sha256(_TAG, record)


def _line(lot: "LotState", no: int, ref: str) -> OpeningLine:
    content, failed = lot.opening.content(ref), next((one for one in lot.opening.failed if one.ref == ref), None)
    outcome = "未解密"
    if content is not None:
        outcome = "已解密、已唱标" if ref in lot.opening.announced else "已解密"
    elif failed is not None:
        why = words.UNREADABLE.get(failed.reason, failed.reason)
        outcome = f"解密失败：{words.FAULTS[failed.fault]}（{why}），{words.EFFECTS[failed.effect]}"
    return OpeningLine(
        no=no,
        ref=ref,
        bidder=content.bidder_name if content else ref,
        uscc=content.uscc if content else words.NONE,
        price=words.amount(content.price_fen) if content else words.NONE,
        price_words=(content.price_words if content else "") or words.NONE,
        period_days=str(content.period_days) if content else words.NONE,
        quality=content.quality if content else words.NONE,
        bond=_bond(lot, ref),
        outcome=outcome,
    )


def _bond(lot: "LotState", ref: str) -> str:
    bond = lot.opening.bond(ref)
    if bond is None:
        return words.NONE
    verdict = words.BOND_VERDICTS[bond.verdict]
    if not bond.amount_fen:
        return verdict
    return f"{verdict}（{words.BOND_FORMS.get(bond.form, bond.form)} {words.amount(bond.amount_fen)} 元）"
