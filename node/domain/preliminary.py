"""Start of the evaluation and preliminary review (评标准备, 初步评审): who may begin, which bids go on, on which ground one is out.

A majority of the sitting members decides each check of each bid. What the price or the bond decides by itself the system
decides, with no member's name under it. Checklists arrive opened; every one is checked against its commitment.

The conclusion waits for the arithmetic: a bid that goes on, or that its price puts out, has a price that agrees with its
own words and lines, or its bidder has accepted the corrected one (12号令 19).
"""

from typing import TYPE_CHECKING

from node.domain.correction import CorrectedPrice, correct_price, stated_price
from node.domain.evaluation import (
    AnswerClarification,
    BidRejected,
    ClarificationAnswered,
    ClarificationRequested,
    ConcludePreliminary,
    CorrectPrice,
    EvaluationStarted,
    OpenedChecklist,
    PreliminaryConcluded,
    PriceCorrected,
    RequestClarification,
    StartEvaluation,
)
from node.domain.failures import OTHER_EXCEPTION
from node.domain.guards import require_digest, require_distinct, require_short, require_text
from node.domain.panel import require_chair, require_own_member, sheet_of
from node.domain.project import ProcedureScrapped
from node.domain.refused import Refused
from node.domain.report_words import BOND_VERDICTS, correction
from node.domain.sheet import checklist_commitment
from node.domain.values import Asked, Head

if TYPE_CHECKING:
    from node.domain.lot import LotState

ABOVE_CONTROL = "zbt51-5"
NOT_RESPONSIVE = "zbt51-6"


def start(lot: "LotState", command: StartEvaluation, asked: Asked) -> tuple[EvaluationStarted]:
    """Begin: the opening is confirmed, all members sit without conflict, a chair leads, every venue can unwrap the key."""
    if lot.evaluation.started:
        raise Refused("evaluation-started", rule="started-once")
    if not lot.opening.confirmed:
        raise Refused("opening-not-confirmed", rule="opening-first", cites=("ZB 35",))
    if not lot.standing_refs:
        raise Refused("no-bid-stands", rule="bids-to-evaluate", value="0", limit="1", cites=("ZB 42",))
    if not lot.panel.members:
        raise Refused("no-committee", rule="committee-first", cites=("ZB 37",))
    for member in lot.panel.members:
        sheet = sheet_of(lot, member.no, asked)
        if not sheet.signed_in:
            raise Refused("member-absent", rule="all-members-present", value=member.no, cites=("ZB 37",))
        if sheet.conflict is not False:
            code = "member-must-leave" if sheet.conflict else "recusal-open"
            raise Refused(code, rule="no-conflict-declared", value=member.no, cites=("ZBT 46",))
    require_chair(lot)
    require_digest(session_commitment=command.session_commitment)
    require_distinct((node for node, _ in command.wraps), "wraps")
    wrapped = {node for node, _ in command.wraps}
    for member in lot.panel.members:
        if member.venue_node not in wrapped:
            raise Refused("session-key-not-wrapped", rule="venues-hold-the-key", value=member.venue_node)
    return (EvaluationStarted(command.session_commitment, command.wraps),)


def check_heads(lot: "LotState", heads: tuple[Head, ...], asked: Asked) -> None:
    """Raise Refused where a member's sheet has moved on, or is not named: the lot relies on exactly what it read."""
    named = {head.stream: head for head in heads}
    for member in lot.panel.members:
        held = sheet_of(lot, member.no, asked).head
        if held is None:
            raise Refused("sheet-not-here", rule="sheets-have-arrived", value=member.no)
        if named.get(held.stream) != held:
            raise Refused("sheet-moved", rule="heads-as-read", value=member.no)
    if len(heads) != len(lot.panel.members):
        raise Refused("sheet-unknown", rule="heads-as-read", value=str(len(heads)), limit=str(len(lot.panel.members)))


def conclude(lot: "LotState", command: ConcludePreliminary, asked: Asked) -> tuple[object, ...]:
    """Conclude: every member has a checklist on every opened bid, each one is the one that was committed to."""
    state = lot.evaluation
    require_own_member(lot, asked)
    if not state.started:
        raise Refused("evaluation-not-started", rule="started-first")
    if state.concluded:
        raise Refused("preliminary-concluded", rule="concluded-once")
    require_chair(lot)
    check_heads(lot, command.heads, asked)
    opened = {(one.member, one.ref): one for one in command.opened}
    for member in lot.panel.members:
        sheet = sheet_of(lot, member.no, asked)
        for ref in lot.opening.opened_refs:
            submitted, one = sheet.checklist(ref), opened.get((member.no, ref))
            if submitted is None or one is None:
                raise Refused("checklist-missing", rule="every-member-every-bid", value=f"{member.no} {ref}")
            if checklist_commitment(one.salt, ref, one.results) != submitted.commitment:
                raise Refused("commitment-differs", rule="opened-as-committed", value=f"{member.no} {ref}")
    kept = tuple(opened[member.no, ref] for member in lot.panel.members for ref in lot.opening.opened_refs)
    rejected = [out for ref in lot.opening.opened_refs if (out := _rejection(lot, ref, kept)) is not None]
    gone = {bid.ref for bid in rejected} | set(state.rejected_refs)
    accepted = tuple(ref for ref in lot.opening.opened_refs if ref not in gone)
    events: list[object] = [PreliminaryConcluded(kept, command.heads, accepted), *rejected]
    if not accepted:
        events.append(_all_rejected())
    return tuple(events)


def _rejection(lot: "LotState", ref: str, kept: tuple[OpenedChecklist, ...]) -> BidRejected | None:
    if ref in lot.evaluation.rejected_refs:
        return None
    documents, content, bond = lot.notice.documents, lot.opening.content(ref), lot.opening.bond(ref)
    if documents is None or content is None:
        raise Refused("unknown-bid", rule="bid-was-opened", value=ref)
    unsettled = _correction_open(lot, ref)
    by_price = None if unsettled else _by_price(lot, ref, lot.evaluation.corrected_fen(ref, content.price_fen))
    if by_price is not None:
        return by_price
    if bond is not None and bond.verdict != "ok":
        return BidRejected(ref, NOT_RESPONSIVE, f"投标保证金不符合招标文件：{BOND_VERDICTS[bond.verdict]}", ())
    for check in documents.scheme.checks:
        against = [
            (one.member, result.reason)
            for one in kept
            if one.ref == ref
            for result in one.results
            if result.check == check.no and not result.passed
        ]
        if 2 * len(against) > len(lot.panel.members):
            reasons = "；".join(dict.fromkeys(reason for _, reason in against))
            return BidRejected(ref, check.ground, f"{check.name}：{reasons}", tuple(member for member, _ in against))
    if unsettled:
        raise Refused("correction-open", rule="arithmetic-settled-first", value=ref, cites=("12号令 19",))
    return None


def _by_price(lot: "LotState", ref: str, price_fen: int) -> BidRejected | None:
    """Return the rejection that a price makes by itself: none at all, or above the control price (ZBT 51(5), (6))."""
    control_fen = lot.notice.documents.control_price_fen if lot.notice.documents else 0
    if price_fen <= 0:
        return BidRejected(ref, NOT_RESPONSIVE, "没有有效的投标报价", ())
    if 0 < control_fen < price_fen:
        return BidRejected(ref, ABOVE_CONTROL, "投标报价高于最高投标限价", ())
    return None


def _correction_open(lot: "LotState", ref: str) -> bool:
    if ref in {one.ref for one in lot.evaluation.corrections}:
        return False
    try:
        corrected = corrected_price(lot, ref)
    except Refused:
        return False  # words or lines that nobody can read are no arithmetic: the figures stand, the checklist judges
    return corrected is not None and bool(corrected.steps)


def request(lot: "LotState", command: RequestClarification, asked: Asked) -> tuple[ClarificationRequested]:
    """Ask a bidder in writing (ZBT 52)."""
    require_own_member(lot, asked)
    if not lot.evaluation.started or lot.evaluation.closed:
        raise Refused("not-evaluating", rule="clarified-during-evaluation", cites=("ZBT 52",))
    if command.ref not in lot.standing_refs:
        raise Refused("bid-not-evaluated", rule="accepted-bids-only", value=command.ref)
    require_text(text=command.text)
    require_short(text=command.text)
    return (ClarificationRequested(len(lot.evaluation.questions) + 1, command.ref, command.text),)


def answer(lot: "LotState", command: AnswerClarification) -> tuple[ClarificationAnswered]:
    """Record the bidder's answer, once."""
    if command.no not in {one.no for one in lot.evaluation.questions}:
        raise Refused("question-unknown", rule="asked-first", value=str(command.no), cites=("ZBT 52",))
    if command.no in {one.no for one in lot.evaluation.answers}:
        raise Refused("question-answered", rule="one-answer", value=str(command.no))
    if lot.evaluation.closed:
        raise Refused("scoring-closed", rule="clarified-during-evaluation", cites=("ZBT 52",))
    require_text(text=command.text)
    require_short(text=command.text)
    return (ClarificationAnswered(command.no, command.text),)


def corrected_price(lot: "LotState", ref: str) -> CorrectedPrice | None:
    """Return what arithmetic makes of an opened bid's own words and lines; None for a bid that is not open."""
    content = lot.opening.content(ref)
    return None if content is None else correct_price(stated_price(content), opening_sheet_wins=False)


def correct(lot: "LotState", command: CorrectPrice, asked: Asked) -> tuple[object, ...]:
    """Record an arithmetic correction that the bidder accepts, or the rejection where it does not (12号令 19)."""
    require_own_member(lot, asked)
    if not lot.evaluation.started or lot.evaluation.closed:
        raise Refused("not-evaluating", rule="corrected-during-evaluation", cites=("12号令 19",))
    content = lot.opening.content(command.ref)
    corrected = corrected_price(lot, command.ref)
    if command.ref not in lot.standing_refs or content is None or corrected is None:
        raise Refused("bid-not-evaluated", rule="accepted-bids-only", value=command.ref)
    if command.ref in {one.ref for one in lot.evaluation.corrections}:
        raise Refused("corrected-already", rule="corrected-once", value=command.ref)
    if not corrected.steps:
        raise Refused("nothing-to-correct", rule="arithmetic-errors-only", value=command.ref, cites=("12号令 19",))
    words = "、".join(dict.fromkeys(str(step.rule) for step in corrected.steps))
    if not command.accepted:
        return _out(lot, BidRejected(command.ref, NOT_RESPONSIVE, f"投标人不接受算术修正：{correction(words)}", ()))
    made = PriceCorrected(command.ref, content.price_fen, corrected.price_fen, words)
    rejected = _by_price(lot, command.ref, corrected.price_fen)
    return (made,) if rejected is None else (made, *_out(lot, rejected))


def _out(lot: "LotState", rejected: BidRejected) -> tuple[object, ...]:
    """Return a rejection; with the last bid that stood the whole procedure falls (ZB 42)."""
    last = lot.standing_refs == (rejected.ref,)
    return (rejected, _all_rejected()) if last else (rejected,)


def _all_rejected() -> ProcedureScrapped:
    return ProcedureScrapped("all-rejected", "评标委员会否决所有投标", OTHER_EXCEPTION)
