"""Bids before the opening (投标): receipt, replacement, withdrawal. E09. The file stays sealed; the log holds its digest."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.calendar import moment_text
from node.domain.guards import require_digest, require_one_of, require_text
from node.domain.judged import BID, Judged, events_of
from node.domain.periods import end_ms
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class SubmitBid:
    """Hand in a sealed bid file, or replace the one handed in. The file itself lies in the blob store under its digest."""

    ref: str
    sha256: bytes
    size: int
    received_by: str  # portal | desk
    judged: tuple[Judged, ...] = ()  # the bidder's certificate, where the node has anchors


@dataclass(frozen=True, slots=True)
class BidReceived:
    """The room holds this sealed file as version n of this participant's bid."""

    ref: str
    version: int
    sha256: bytes
    size: int
    received_by: str


@dataclass(frozen=True, slots=True)
class WithdrawBid:
    """撤回 before the deadline."""

    ref: str
    reason: str


@dataclass(frozen=True, slots=True)
class BidWithdrawn:
    """A tombstone: the file will not be opened. A bond goes back by `bond_refund_due_ms` (ZBT 35)."""

    ref: str
    version: int
    reason: str
    bond_refund_due_ms: int


@dataclass(frozen=True, slots=True)
class PriceLine:
    """One line of the priced bill (已标价工程量清单), quantities and unit prices as plain decimal text."""

    no: str
    name: str
    quantity: str
    unit_price: str
    total_fen: int


@dataclass(frozen=True, slots=True)
class BidContent:
    """What a bid says, once it is opened (投标函)."""

    lot_code: str
    round_no: int
    ref: str
    bidder_name: str
    uscc: str
    price_fen: int
    price_words: str  # 大写
    period_days: int
    quality: str
    lines: tuple[PriceLine, ...]
    files: tuple[tuple[str, bytes], ...]  # name, sha256 of attached documents


@dataclass(frozen=True, slots=True)
class HeldBid:
    """The newest sealed file of one participant. A withdrawn one stays as a tombstone."""

    ref: str
    version: int
    sha256: bytes
    size: int
    withdrawn: bool = False


@dataclass(frozen=True, slots=True)
class BiddingState:
    """The sealed files in the room, in the order in which their first version came."""

    bids: tuple[HeldBid, ...] = ()

    @property
    def live(self) -> tuple[HeldBid, ...]:
        """The files that will be opened."""
        return tuple(bid for bid in self.bids if not bid.withdrawn)

    def of(self, ref: str) -> HeldBid | None:
        """Return the newest file of this ref, withdrawn or not."""
        return next((bid for bid in self.bids if bid.ref == ref), None)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the receipt or the withdrawal of a sealed bid. Raises Refused."""
    match command:
        case SubmitBid():
            return _submit(lot, command, asked)
        case WithdrawBid():
            return _withdraw(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: BiddingState, event: object, recorded: Recorded) -> BiddingState:  # noqa: ARG001 - one shape for all
    """Return the state after one of this subject's events."""
    match event:
        case BidReceived(ref=ref, version=version, sha256=digest, size=size):
            held = HeldBid(ref, version, digest, size)
            if state.of(ref) is None:
                return replace(state, bids=(*state.bids, held))
            return replace(state, bids=tuple(held if bid.ref == ref else bid for bid in state.bids))
        case BidWithdrawn(ref=ref):
            return replace(
                state, bids=tuple(replace(bid, withdrawn=True) if bid.ref == ref else bid for bid in state.bids)
            )
        case _:
            return state


def _submit(lot: "LotState", command: SubmitBid, asked: Asked) -> tuple[object, ...]:
    _known(lot, command.ref)
    # At exactly the deadline it is too late: the deadline is the moment of opening (ZB 34, ZBT 36). What has begun is not
    # undone by a clock that is set back.
    if lot.opening.started or asked.at_ms >= lot.notice.deadline_ms:
        raise Refused(
            "bid-late",
            rule="before-deadline",
            value=moment_text(asked.at_ms),
            limit=moment_text(lot.notice.deadline_ms),
            cites=("ZBT 36", "ZB 28"),
        )
    require_digest(sha256=command.sha256)
    require_one_of(command.received_by, ("portal", "desk"), "received_by")
    if command.size <= 0:
        raise Refused("bid-empty", rule="sealed-file", value=str(command.size), cites=("ZBT 36",))
    held = lot.bidding.of(command.ref)
    if held is not None and not held.withdrawn and held.sha256 == command.sha256:
        raise Refused("bid-held-already", rule="replacement-differs", value=command.sha256.hex())
    version = held.version + 1 if held else 1
    received = BidReceived(command.ref, version, command.sha256, command.size, command.received_by)
    return (received, *events_of(BID, command.judged, (command.ref,)))


def _withdraw(lot: "LotState", command: WithdrawBid, asked: Asked) -> tuple[BidWithdrawn]:
    _known(lot, command.ref)
    if lot.opening.started or asked.at_ms >= lot.notice.deadline_ms:
        raise Refused(
            "withdrawal-late",
            rule="before-deadline",
            value=moment_text(asked.at_ms),
            limit=moment_text(lot.notice.deadline_ms),
            cites=("ZB 29", "ZBT 35"),
        )
    require_text(reason=command.reason)
    held = lot.bidding.of(command.ref)
    if held is None or held.withdrawn:
        raise Refused("no-bid-held", rule="bid-first", value=command.ref)
    due_ms = end_ms(asked.profile(lot.profile_id), "bond-refund-withdrawn-days", asked.at_ms, asked.calendar)
    return (BidWithdrawn(command.ref, held.version, command.reason, due_ms),)


def _known(lot: "LotState", ref: str) -> None:
    if not lot.notice.knows(ref):
        raise Refused("ref-unknown", rule="registered-participant", value=ref, cites=("ZBT 36",))


COMMANDS: tuple[type, ...] = (SubmitBid, WithdrawBid)
EVENTS: tuple[type, ...] = (BidReceived, BidWithdrawn)
