"""Opening (开标): list, decryption with fault, reading out, objections on the spot, the record. E11."""

from dataclasses import dataclass

from node.domain.bidding import BidContent
from node.domain.bond import BondFacts


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

    fault: bidder (deemed 撤销, bond may be kept) | platform | other (deemed 撤回, bond refunded), 20号令 31.
    """

    ref: str
    content: BidContent | None
    bond: BondFacts
    fault: str = ""
    reason: str = ""


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
    effect: str  # revoked 视为撤销 | withdrawn 视为撤回
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
