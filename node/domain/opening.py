"""Opening (开标): list, decryption with fault, reading out, objections on the spot, the record. E11."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.bidding import BidContent
from node.domain.bond import BondFacts
from node.domain.calendar import moment_text
from node.domain.failures import round_failed
from node.domain.guards import require_distinct, require_one_of, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.unsealing import BidBlamed, SealBroken, require_ready
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class StartOpening:
    """The deadline has passed: open, or find that too few bids are here."""

    attendees: tuple[str, ...]  # roles present, opaque person numbers


@dataclass(frozen=True, slots=True)
class OpeningStarted:
    """How many sealed files are here, and which."""

    refs: tuple[str, ...]
    attendees: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpenBid:
    """The outcome of opening one bid's seal. `content` None: it could not be opened, then fault and reason say why.

    fault: bidder (deemed 撤销, bond may be kept) | platform | other (deemed 撤回, bond refunded), 20号令 31 | undecided (trustees
    complain of their shares and too few are left to say who is right: persons decide).
    """

    ref: str
    content: BidContent | None
    bond: BondFacts
    fault: str = ""
    reason: str = ""
    shares: tuple[tuple[int, bytes], ...] = ()  # what broke the seal, where trustees hold it
    half: bytes = b""
    blames: tuple[tuple[str, str], ...] = ()  # party, why


@dataclass(frozen=True, slots=True)
class BidOpened:
    """The seal is open: from here on the content is public."""

    ref: str
    content: BidContent
    bond: BondFacts


@dataclass(frozen=True, slots=True)
class BidDecryptionFailed:
    """This bid could not be opened; the others go on (20号令 31)."""

    ref: str
    fault: str
    reason: str
    effect: str  # revoked 视为撤销 | withdrawn 视为撤回 | undecided: persons decide which
    bond: BondFacts


@dataclass(frozen=True, slots=True)
class AnnounceBid:
    """Read this bid's price out (唱标)."""

    ref: str


@dataclass(frozen=True, slots=True)
class BidAnnounced:
    """It was read out."""

    ref: str


@dataclass(frozen=True, slots=True)
class ConfirmOpening:
    """Close the opening: everybody has heard everything (开标记录确认)."""

    confirmed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpeningConfirmed:
    """The opening record is final."""

    opened: int
    failed: int
    confirmed_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OpeningState:
    """How far the opening has come: which seals are open, which did not open, which prices were read out."""

    refs: tuple[str, ...] = ()
    started_at_ms: int = 0
    attendees: tuple[str, ...] = ()
    opened: tuple[BidOpened, ...] = ()
    failed: tuple[BidDecryptionFailed, ...] = ()
    announced: tuple[str, ...] = ()
    confirmed: bool = False
    confirmed_by: tuple[str, ...] = ()
    confirmed_at_ms: int = 0

    @property
    def started(self) -> bool:
        """Whether the opening has begun."""
        return bool(self.started_at_ms)

    @property
    def opened_refs(self) -> tuple[str, ...]:
        """The bids whose seal opened, in the order in which they were handed in."""
        return tuple(bid.ref for bid in self.opened)

    @property
    def next_to_open(self) -> str:
        """The next sealed bid in order; "" when every seal has been tried."""
        done = {bid.ref for bid in self.opened} | {bid.ref for bid in self.failed}
        return next((ref for ref in self.refs if ref not in done), "")

    @property
    def next_to_announce(self) -> str:
        """The next opened bid whose price has not been read out; "" when all have."""
        return next((ref for ref in self.opened_refs if ref not in self.announced), "")

    def content(self, ref: str) -> BidContent | None:
        """Return what an opened bid says."""
        return next((bid.content for bid in self.opened if bid.ref == ref), None)

    def bond(self, ref: str) -> BondFacts | None:
        """Return the bond behind an opened or failed bid."""
        tried: tuple[BidOpened | BidDecryptionFailed, ...] = (*self.opened, *self.failed)
        return next((bid.bond for bid in tried if bid.ref == ref), None)


FAULTS = {"bidder": "revoked", "platform": "withdrawn", "other": "withdrawn", "undecided": "undecided"}
_AT_DEADLINE = "opening-at-deadline"
_MOST_ATTENDEES = 200


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of one step of the opening. Raises Refused."""
    match command:
        case StartOpening():
            return _start(lot, command, asked)
        case OpenBid():
            return _open(lot, command, asked)
        case AnnounceBid():
            return _announce(lot.opening, command)
        case ConfirmOpening():
            return _confirm(lot, command)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: OpeningState, event: object, recorded: Recorded) -> OpeningState:
    """Return the state after one of the opening's events."""
    match event:
        case OpeningStarted(refs=refs, attendees=attendees):
            return replace(state, refs=refs, attendees=attendees, started_at_ms=recorded.at_ms)
        case BidOpened():
            return replace(state, opened=(*state.opened, event))
        case BidDecryptionFailed():
            return replace(state, failed=(*state.failed, event))
        case BidAnnounced(ref=ref):
            return replace(state, announced=(*state.announced, ref))
        case OpeningConfirmed(confirmed_by=by):
            return replace(state, confirmed=True, confirmed_by=by, confirmed_at_ms=recorded.at_ms)
        case _:
            return state


def _start(lot: "LotState", command: StartOpening, asked: Asked) -> tuple[object, ...]:
    profile = asked.profile(lot.profile_id)
    if lot.opening.started:
        raise Refused("opened-already", rule="opened-once", cites=("ZB 34",))
    deadline_ms = lot.notice.deadline_ms
    if not deadline_ms:
        raise Refused("no-notice", rule="notice-first", cites=("ZB 34",))
    if asked.at_ms < deadline_ms:
        raise Refused(
            "deadline-not-reached",
            rule=_AT_DEADLINE,
            value=moment_text(asked.at_ms),
            limit=moment_text(deadline_ms),
            cites=("ZB 34",),
        )
    if not command.attendees or len(command.attendees) > _MOST_ATTENDEES:
        raise Refused(
            "attendees-out-of-range",
            rule="opened-in-public",
            value=str(len(command.attendees)),
            limit=f"1-{_MOST_ATTENDEES}",
            cites=("ZB 35",),
        )
    require_distinct(command.attendees, "attendees")
    failed = round_failed(lot, profile, text="投标截止时递交投标文件的投标人数不足")
    if failed is not None:
        return (failed,)
    return (OpeningStarted(tuple(bid.ref for bid in lot.bidding.live), command.attendees),)


def _in_progress(state: OpeningState) -> None:
    if not state.started:
        raise Refused("not-opened", rule="started-first", cites=("ZB 34",))
    if state.confirmed:
        raise Refused("opening-confirmed", rule="record-is-final")


def _open(lot: "LotState", command: OpenBid, asked: Asked) -> tuple[object, ...]:
    state = lot.opening
    _in_progress(state)
    if command.ref not in state.refs:
        raise Refused("unknown-bid", rule="opened-bids-were-received", value=command.ref)
    if command.ref != state.next_to_open:
        raise Refused(
            "not-in-order", rule="opened-in-order", value=command.ref, limit=state.next_to_open, cites=("ZB 36",)
        )
    if command.bond.ref != command.ref:
        raise Refused("bond-of-another", rule="bond-belongs-to-bid", value=command.bond.ref, limit=command.ref)
    require_ready(lot, command.ref, asked)
    told: tuple[object, ...] = tuple(BidBlamed(command.ref, party, why) for party, why in command.blames)
    if command.shares or command.half:
        told = (SealBroken(command.ref, command.shares, command.half), *told)
    content = command.content
    if content is None:
        require_one_of(command.fault, FAULTS, "fault")
        require_text(reason=command.reason)
        effect = FAULTS[command.fault]
        return (*told, BidDecryptionFailed(command.ref, command.fault, command.reason, effect, command.bond))
    if (content.lot_code, content.round_no, content.ref) != (lot.lot_code, lot.round_no, command.ref):
        raise Refused("content-of-another", rule="bid-is-bound", value=content.ref, limit=command.ref)
    return (*told, BidOpened(command.ref, content, command.bond))


def _announce(state: OpeningState, command: AnnounceBid) -> tuple[BidAnnounced]:
    _in_progress(state)
    if state.next_to_open:
        raise Refused("seals-left", rule="all-bids-opened", value=state.next_to_open, cites=("ZB 36",))
    if command.ref != state.next_to_announce:
        raise Refused(
            "not-in-order", rule="announced-in-order", value=command.ref, limit=state.next_to_announce, cites=("ZB 36",)
        )
    return (BidAnnounced(command.ref),)


def _confirm(lot: "LotState", command: ConfirmOpening) -> tuple[OpeningConfirmed]:
    state = lot.opening
    _in_progress(state)
    left = state.next_to_open or state.next_to_announce
    if left:
        raise Refused("bids-not-read-out", rule="all-bids-read-out", value=left, cites=("ZB 36",))
    if lot.objections.unanswered("opening"):
        raise Refused("objection-unanswered", rule="answered-on-the-spot", cites=("ZBT 44",))
    if not command.confirmed_by:
        raise Refused("field-missing", rule="fields-complete", facts=(("field", "confirmed_by"),))
    require_distinct(command.confirmed_by, "confirmed_by")
    return (OpeningConfirmed(len(state.opened), len(state.failed), command.confirmed_by),)


COMMANDS: tuple[type, ...] = (StartOpening, OpenBid, AnnounceBid, ConfirmOpening)
EVENTS: tuple[type, ...] = (OpeningStarted, BidOpened, BidDecryptionFailed, BidAnnounced, OpeningConfirmed)
