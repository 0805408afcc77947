"""What the pieces that were given make of one sealed bid, and whose piece was wrong or missing (解密结果).

The opening node and whoever replays its log from an export ask the same function: the pieces are in the log afterwards.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from node.bid_content import ContentUnfit, content_of
from node.domain.bidding import BidContent
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.trustees import TrusteesAppointed
from node.seal_terms import terms_of
from sync.bid_file import BidFile, BidRefused
from sync.bid_manifest import Terms
from sync.bid_package import Package
from sync.bid_unlock import BIDDER, Unlocked, half_fits, unlock
from sync.tampered import Malformed


@dataclass(frozen=True, slots=True, repr=False)
class Tried:
    """The outcome of trying one seal, as `OpenBid` takes it."""

    content: BidContent | None
    fault: str = ""
    reason: str = ""
    shares: tuple[tuple[int, bytes], ...] = ()
    half: bytes = b""
    blames: tuple[tuple[str, str], ...] = ()


def lot_terms(lot: LotState) -> tuple[Terms, TrusteesAppointed]:
    """Return the terms of a lot's seals. Raises Refused where it has no trustees."""
    appointed = lot.terms.appointed
    if appointed is None:
        raise Refused("no-trustees", rule="ceremony-needs-trustees")
    terms = terms_of(lot.registered, appointed, round_no=lot.round_no, deadline_ms=lot.notice.deadline_ms)
    return terms, appointed


def in_set(lot: LotState, ref: str) -> bool:
    """Whether the ceremony's set holds this bid with a manifest that trustees could release for."""
    begun = lot.ceremony.begun
    return begun is not None and any(one.ref == ref and one.manifest_sha256 for one in begun.bids)


def not_a_bid(refused: BidRefused) -> Tried:
    """Return the outcome for a file that is as receipted and no bid."""
    return Tried(None, BIDDER, refused.code, blames=((BIDDER, "content-wrong"),))


@dataclass(frozen=True, slots=True, repr=False)
class Pieces:
    """What trustees and bidder gave for one bid: shares and complaints by trustee number, the bidder's half."""

    shares: Mapping[int, bytes]
    complaints: frozenset[int]
    half: bytes | None


def trial(bid: BidFile, lot: LotState, pieces: Pieces, unpack: Callable[[bytes], BidContent]) -> Tried:
    """Try one seal. `unpack` opens the payload under a key; it may raise BidRefused, Malformed, ContentUnfit."""
    _, appointed = lot_terms(lot)
    publics = tuple(one.key for one in appointed.trustees)
    half = pieces.half
    misfit = half is not None and half_fits(bid, pieces.shares, half) is False
    if misfit:  # the desk takes none such: whoever made it, it says nothing of the bidder
        half = None
    got = unlock(bid, publics=publics, shares=pieces.shares, complaints=pieces.complaints, half=half)
    told, blames = _told(pieces), _blames(got)
    if got.key is None:
        if misfit and got.missing:
            return Tried(None, "platform", "half-misfit", *told, blames)
        return _locked(bid, lot, got, pieces)
    try:
        content = unpack(got.key)
    except (BidRefused, Malformed, ContentUnfit):
        return Tried(None, BIDDER, "content-wrong", *told, (*blames, (BIDDER, "content-wrong")))
    return Tried(content, "", "", *told, blames)


def content_in(package: Package, lot: LotState, ref: str, files: tuple[tuple[str, bytes], ...]) -> BidContent:
    """Return what an opened package says, with its attached files' digests. Raises Malformed, ContentUnfit."""
    content = content_of(package.content())
    if (content.lot_code, content.round_no, content.ref) != (lot.lot_code, lot.round_no, ref):
        raise Malformed("bid.json", "names another lot, round or participant")
    return replace(content, files=files)


def _told(pieces: Pieces) -> tuple[tuple[tuple[int, bytes], ...], bytes]:
    return tuple(sorted(pieces.shares.items())), pieces.half or b""


def _blames(got: Unlocked) -> tuple[tuple[str, str], ...]:
    return tuple((one.party, one.why) for one in got.blames)


def _locked(
    bid: BidFile,
    lot: LotState,
    got: Unlocked,
    pieces: Pieces,
) -> Tried:
    """Say why a seal did not break. The bidder answers for its own pieces only (20号令 31)."""
    told, blames = _told(pieces), _blames(got)
    bidders = [why for party, why in blames if party == BIDDER]
    if bidders:
        return Tried(None, BIDDER, bidders[0], *told, blames)
    _, appointed = lot_terms(lot)
    if got.missing == "half":
        return Tried(None, BIDDER, "half-missing", *told, (*blames, (BIDDER, "half-missing")))
    good = sum(bid.share_fits(i, one) for i, one in pieces.shares.items())
    if pieces.complaints and good + len(pieces.complaints) >= appointed.t:
        # Dealt rubbish or false complaints: no piece tells which, so persons decide. Who was silent changed nothing.
        return Tried(None, "undecided", "undecided", *told, blames)
    silent = sorted({*range(1, len(appointed.trustees) + 1)} - {*lot.ceremony.released_by})
    withheld = tuple((f"trustee-{i}", "withheld") for i in silent)
    return Tried(None, "other", "shares-missing", *told, (*blames, *withheld))
