"""Bid bonds (投标保证金) as far as the room records them by hand: amount, form, time. Facts stay sealed until opening. E08.

The bank line will fill the same commands later. `sealed` holds payer and account; `commitment` binds them.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RecordBond:
    """A bond arrived. amount, form and posting time are judged now, and logged only inside `sealed`."""

    ref: str
    form: str
    amount_fen: int
    posted_at_ms: int  # the bank's posting time, or when the guarantee began
    valid_to_ms: int  # guarantees: must cover the bid validity; 0 for money
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class BondRecorded:
    """One bond on record. `verdict` ok | late | too-low | wrong-form | too-short, itself sealed from pages until opening."""

    ref: str
    commitment: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class BondFacts:
    """What a bond turned out to be, once the bids are opened."""

    ref: str
    form: str
    amount_fen: int
    posted_at_ms: int
    valid_to_ms: int
    verdict: str  # ok | missing | late | too-low | wrong-form | too-short
