"""The breaking of the seals as the desk sees it (解密进度): phase, trustees, bids. Pure: the lot in, a frozen model out."""

from dataclasses import dataclass

from node.domain import unsealing
from node.domain.judged import APPOINTMENT, BID, RELEASE
from node.domain.lot import LotState
from node.domain.profile import Profile


@dataclass(frozen=True, slots=True)
class TrusteeRow:
    """One trustee: from whom, and whether the shares are here. `faults`: refs whose share was wrong or complained about."""

    no: int
    person: str
    body: str
    role: str
    released: bool
    faults: tuple[str, ...]
    standing: str  # of the certificate, newest judgement: fresh | grace | unknown; "" where nobody judged it


@dataclass(frozen=True, slots=True)
class BidRow:
    """One bid: whether its bidder has decrypted, whether it is open, and whose pieces were wrong."""

    ref: str
    half: bool
    state: str  # sealed | opened | failed
    blames: tuple[tuple[str, str], ...]
    standing: str  # of the bidder's certificate at receipt


@dataclass(frozen=True, slots=True)
class CeremonyPage:
    """The whole."""

    phase: str
    no: int
    t: int
    mode: str
    set_sha256: str
    release_until_ms: int
    half_until_ms: int
    trustees: tuple[TrusteeRow, ...]
    bids: tuple[BidRow, ...]


def ceremony_page(lot: LotState, profile: Profile) -> CeremonyPage | None:
    """Return the model, or None for a lot whose seals no trustees hold. Bids appear only once the opening has begun."""
    terms, state = lot.terms.appointed, lot.ceremony
    if terms is None:
        return None
    by = {one.trustee: one for one in state.released}
    return CeremonyPage(
        phase=unsealing.phase(lot),
        no=state.begun.no if state.begun else 0,
        t=terms.t,
        mode=terms.mode,
        set_sha256=state.begun.set_sha256.hex() if state.begun else "",
        release_until_ms=unsealing.release_until_ms(lot, profile),
        half_until_ms=unsealing.half_until_ms(lot, profile),
        trustees=tuple(
            TrusteeRow(
                no,
                one.person,
                one.body,
                one.role,
                no in by,
                (*by[no].wrong, *by[no].complaints) if no in by else (),
                lot.judged.standing(RELEASE, str(no)) or lot.judged.standing(APPOINTMENT, str(no)),
            )
            for no, one in enumerate(terms.trustees, 1)
        ),
        bids=tuple(_bid(lot, ref) for ref in lot.opening.refs) if state.begun else (),
    )


def _bid(lot: LotState, ref: str) -> BidRow:
    failed = any(one.ref == ref for one in lot.opening.failed)
    state = "opened" if ref in lot.opening.opened_refs else "failed" if failed else "sealed"
    blames = tuple((one.party, one.why) for one in lot.ceremony.blamed if one.ref == ref)
    return BidRow(ref, lot.ceremony.half_of(ref) is not None, state, blames, lot.judged.standing(BID, ref))
