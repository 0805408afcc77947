"""Bids before the opening (投标): receipt, replacement, withdrawal. E09. The file stays sealed; the log holds its digest."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class SubmitBid:
    """Hand in a sealed bid file, or replace the one handed in. The file itself lies in the blob store under its digest."""

    ref: str
    sha256: bytes
    size: int
    received_by: str  # portal | desk


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
    """A tombstone: the file will not be opened."""

    ref: str
    version: int
    reason: str


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
