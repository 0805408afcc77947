"""One bid's seal broken again from what a log and its files hold (逐份重演)."""

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from node.ceremony_files import CeremonyFileRefused, Release
from node.domain.bidding import BidContent
from node.domain.lot import LotState
from node.domain.opening import BidDecryptionFailed, BidOpened
from node.domain.unsealing import SealBroken, SharesReleased
from node.seal_trial import Pieces, Tried, content_in, in_set, lot_terms, not_a_bid, trial
from sync.bid_file import BidFile, BidRefused

Opener = Callable[[str], BinaryIO | None]
LOST = "stored-file-damaged"


@dataclass(frozen=True, slots=True)
class Problem:
    """Something of one bid that does not follow from the pieces on record."""

    problem: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one entry says came of a seal, and with which pieces."""

    event: BidOpened | BidDecryptionFailed
    broken: SealBroken
    blames: tuple[tuple[str, str], ...]


def try_again(lot: LotState, outcome: Outcome, file: BinaryIO, scratch: Path) -> Tried:
    """Break a bid's seal with the pieces on record; `lot` is the state before the outcome."""
    ref = outcome.event.ref
    complaints = frozenset(one.trustee for one in lot.ceremony.released if ref in one.complaints)
    pieces = Pieces(dict(outcome.broken.shares), complaints, outcome.broken.half or None)
    try:
        bid = BidFile(file)
    except BidRefused as refused:
        return not_a_bid(refused)
    with bid:
        if not in_set(lot, ref):
            return Tried(None, "platform", LOST)
        return trial(bid, lot, pieces, lambda key: _unpack(bid, key, lot, ref, scratch))


def _unpack(bid: BidFile, key: bytes, lot: LotState, ref: str, scratch: Path) -> BidContent:
    path = scratch / secrets.token_hex(8)
    try:
        with closing(bid.open_package(key, path)) as package:
            for one in package.files:
                for _ in package.chunks(one):  # to the end: that proves its digest
                    pass
            files = tuple((one.name, bytes.fromhex(one.sha256)) for one in package.files[1:])
            return content_in(package, lot, ref, files)
    finally:
        path.unlink(missing_ok=True)


def compare(lot: LotState, outcome: Outcome, tried: Tried) -> tuple[Problem, ...]:
    """Return where the record of one bid is not what its pieces give."""
    event, found = outcome.event, list(_left_out(lot, outcome))
    if isinstance(event, BidDecryptionFailed):
        if event.fault == "platform" and event.reason == LOST:
            # A file that nobody had at the opening may be in an export of later; pieces that open it were tried on it.
            opens = tried.content is not None and event.ref not in lot.ceremony.given_up
            return (*found, Problem("opens-on-record", f"{event.fault}: {event.reason}")) if opens else tuple(found)
        if tried.content is not None:
            found.append(Problem("opens-on-record", f"{event.fault}: {event.reason}"))
        elif (tried.fault, tried.reason) != (event.fault, event.reason):
            found.append(
                Problem("fault-differs", f"{event.fault} {event.reason}, by the pieces {tried.fault} {tried.reason}")
            )
    elif tried.content is None:
        found.append(Problem("opened-without-key", tried.reason))
    elif tried.content != event.content:
        names = [name for name in BidContent.__slots__ if getattr(tried.content, name) != getattr(event.content, name)]
        found.append(Problem("content-differs", ", ".join(names)))
    if tried.blames != outcome.blames:
        found.append(Problem("blame-differs", f"{_words(outcome.blames)}, by the pieces {_words(tried.blames)}"))
    return tuple(found)


def _words(blames: tuple[tuple[str, str], ...]) -> str:
    return "; ".join(f"{party} {why}" for party, why in blames) or "nobody"


def lost_untried(outcome: Outcome) -> bool:
    """Whether no piece was tried because the file is said to have been lost after the ceremony began."""
    event = outcome.event
    lost = isinstance(event, BidDecryptionFailed) and (event.fault, event.reason) == ("platform", LOST)
    return lost and not outcome.broken.shares and not outcome.broken.half


def _left_out(lot: LotState, outcome: Outcome) -> tuple[Problem, ...]:
    """Every piece that was taken must have been tried: who leaves one out blames somebody who did his part."""
    ref, given = outcome.event.ref, dict(outcome.broken.shares)
    if not in_set(lot, ref) or lost_untried(outcome):
        return ()
    wanted = {one.trustee for one in lot.ceremony.released if ref not in one.complaints}
    found = []
    if set(given) != wanted:
        found.append(Problem("share-left-out", ", ".join(f"trustee-{i}" for i in sorted(wanted ^ set(given)))))
    if bool(outcome.broken.half) != (lot.ceremony.half_of(ref) is not None):
        found.append(Problem("half-left-out", ref))
    return tuple(found)


def wrong_shares(lot: LotState, outcome: Outcome, file: BinaryIO) -> tuple[Problem, ...]:
    """Hold every share against the manifest's promise and against what the release's entry said of it."""
    try:
        bid = BidFile(file)
    except BidRefused:
        return ()
    ref, said = outcome.event.ref, {one.trustee: ref_in(one, outcome.event.ref) for one in lot.ceremony.released}
    with bid:
        odd = [i for i, share in outcome.broken.shares if bid.share_fits(i, share) is said.get(i, False)]
    return tuple(Problem("wrong-share-list-differs", f"trustee-{i} {ref}") for i in odd)


def ref_in(release: SharesReleased, ref: str) -> bool:
    """Whether a release was found to hold a wrong share of this bid."""
    return ref in release.wrong


def judge_manifest(lot: LotState, ref: str, manifest_sha256: bytes, file: BinaryIO) -> tuple[Problem, ...]:
    """Hold a stored bid against the set's digest of its manifest and the terms of the notice."""
    terms, _ = lot_terms(lot)
    try:
        with BidFile(file) as bid:
            if not manifest_sha256:
                given_up = ref in lot.ceremony.given_up
                return () if given_up else (Problem("left-out-of-the-set", ref),)
            if bid.sha256 != manifest_sha256:
                return (Problem("other-manifest", ref),)
            bid.require(terms, ref)
            bid.check_payload()
    except BidRefused as refused:
        return (Problem("not-as-noticed", str(refused)),) if manifest_sha256 else ()
    return ()


def judge_release(lot: LotState, event: SharesReleased, data: bytes) -> tuple[Problem, ...]:
    """Judge a trustee's release: signed by the appointed certificate over exactly this set."""
    _, appointed = lot_terms(lot)
    name = f"trustee-{event.trustee}"
    try:
        release = Release.parse(data)
    except CeremonyFileRefused as refused:
        return (Problem("release-forged", f"{name} {refused}"),)
    begun = lot.ceremony.begun
    wanted = (lot.lot_code, lot.round_no, event.ceremony, begun.set_sha256.hex() if begun else "", event.trustee)
    head = release.head
    if (head["lot"], head["round"], head["ceremony"], head["set_sha256"], release.trustee) != wanted:
        return (Problem("release-over-another-set", name),)
    if release.signed.certificate_sha256 != appointed.trustees[event.trustee - 1].cert_sha256.hex():
        return (Problem("release-forged", f"{name} other-signer"),)
    return ()
