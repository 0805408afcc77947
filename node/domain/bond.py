"""Bid bonds (投标保证金) as far as the room records them by hand: amount, form, time. Facts stay sealed until opening. E08.

The bank line will fill the same commands later. `sealed` holds payer and account; `commitment` binds them.
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from node.domain.calendar import moment_text
from node.domain.guards import breach, require_digest, require_distinct, require_one_of
from node.domain.profile import Profile
from node.domain.refused import NotOffered, Refused
from node.domain.values import DAY_MS, Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState
    from node.domain.notice import BondTerms


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
    """One bond on record; what it is comes out at the opening, and with it the verdict (see BondFacts)."""

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


MONEY = ("transfer", "cheque")  # forms that need no validity of their own
CAPS = {"works": "bond-cap-works", "goods": "bond-cap-goods", "services": "bond-cap-services"}


@dataclass(frozen=True, slots=True)
class BondState:
    """The newest record of each participant's bond, sealed."""

    records: tuple[BondRecorded, ...] = ()

    def of(self, ref: str) -> BondRecorded | None:
        """Return the bond on record for this ref."""
        return next((record for record in self.records if record.ref == ref), None)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return BondRecorded. Raises Refused."""
    match command:
        case RecordBond():
            return _record(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: BondState, event: object, recorded: Recorded) -> BondState:  # noqa: ARG001 - one shape for all
    """Return the state after one of this subject's events: a second record for a ref stands instead of the first."""
    match event:
        case BondRecorded(ref=ref):
            return replace(state, records=(*(record for record in state.records if record.ref != ref), event))
        case _:
            return state


def check_bond_terms(terms: "BondTerms", *, category: str, estimate_fen: int, profile: Profile) -> None:
    """Raise Refused for a bond above the caps or in a form that may not be asked (ZBT 26)."""
    if terms.amount_fen < 0:
        raise Refused("number-out-of-range", rule="bond-amount", value=str(terms.amount_fen), limit="0")
    if terms.amount_fen == 0:
        return
    share = profile.rule("bond-cap-percent")
    share_fen = int(estimate_fen * profile.decimal(share.id) / 100)
    if terms.amount_fen > share_fen:
        raise breach(
            share, "bond-above-cap", value=terms.amount_fen, limit=share_fen, facts=(("percent", str(share.value)),)
        )
    cap = profile.rule(CAPS[category])
    if terms.amount_fen > profile.number(cap.id):
        raise breach(cap, "bond-above-cap", value=terms.amount_fen)
    forms = profile.rule("bond-forms")
    allowed = profile.words(forms.id)
    if not terms.forms:
        raise breach(forms, "bond-form-missing", value="")
    require_distinct(terms.forms, "forms")
    for form in terms.forms:
        if form not in allowed:
            raise breach(forms, "bond-form-not-allowed", value=form)


def validity_until_ms(lot: "LotState") -> int:
    """Return until when bids bind (投标有效期): the deadline in force and the days that the documents ask for."""
    days = lot.notice.documents.validity_days if lot.notice.documents else 0
    return lot.notice.deadline_ms + days * DAY_MS


def verdict(  # the facts come out of the seal one by one; a record of them exists only after the verdict
    lot: "LotState", profile: Profile, *, form: str, amount_fen: int, posted_at_ms: int, valid_to_ms: int
) -> str:
    """Return ok | missing | wrong-form | too-low | late | too-short for one bond. form "": there is none.

    Where the documents ask for no bond, everything is ok. Money posted at exactly the bond deadline is in time.
    """
    documents = lot.notice.documents
    if documents is None or documents.bond.amount_fen == 0:
        return "ok"
    if not form:
        return "missing"
    if form not in documents.bond.forms:
        return "wrong-form"
    if amount_fen < documents.bond.amount_fen:
        return "too-low"
    if posted_at_ms > lot.notice.bond_deadline_ms:
        return "late"
    if form not in MONEY and profile.flag("bond-covers-validity") and valid_to_ms < validity_until_ms(lot):
        return "too-short"
    return "ok"


def _record(lot: "LotState", command: RecordBond, asked: Asked) -> tuple[BondRecorded]:
    documents = lot.notice.documents
    if documents is None or documents.bond.amount_fen == 0:
        raise Refused("no-bond-asked", rule="documents-decide", cites=("ZBT 26",))
    if lot.opening.started:
        raise Refused("opened-already", rule="before-opening")
    if not lot.notice.knows(command.ref):
        raise Refused("ref-unknown", rule="registered-participant", value=command.ref)
    require_one_of(command.form, asked.profile(lot.profile_id).words("bond-forms"), "form")
    if command.amount_fen <= 0:
        raise Refused("number-out-of-range", rule="bond-amount", value=str(command.amount_fen))
    if command.posted_at_ms > asked.at_ms:
        raise Refused(
            "posted-in-the-future",
            rule="bank-posting-time",
            value=moment_text(command.posted_at_ms),
            limit=moment_text(asked.at_ms),
        )
    require_digest(commitment=command.commitment)
    if not command.sealed:
        raise Refused("payer-not-sealed", rule="secret-until-opening", cites=("CQ 16",))
    return (BondRecorded(command.ref, command.commitment, command.sealed),)


COMMANDS: tuple[type, ...] = (RecordBond,)
EVENTS: tuple[type, ...] = (BondRecorded,)
