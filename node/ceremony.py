"""The opening process's half of the ceremony: its key, what the parties gave, and what comes out (解密仪式).

The key and every share live in this process's memory only and end with it; the log holds what was judged. A restart, or the
lot's move to another node, begins the ceremony anew.
"""

import hashlib
import secrets
from contextlib import closing
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node.ceremony_files import CeremonyFileRefused, Half, Release, write_request
from node.domain.bidding import BidContent, HeldBid
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.unsealing import BeginCeremony, GiveHalf, ReleaseShares, SetBid, tried
from node.seal_trial import Pieces, Tried, content_in, in_set, lot_terms, not_a_bid, trial
from sync.acts import Signature
from sync.bid_file import BidFile, BidRefused
from sync.bid_package import Package
from sync.bid_unlock import half_fits
from sync.blobs import BlobFault, BlobStore
from sync.gm import GmFault


@dataclass(slots=True, repr=False)
class _Live:
    """One ceremony's memory."""

    private: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)
    shares: dict[bytes, dict[str, bytes]] = field(default_factory=dict)  # by the release file's SHA-256
    halves: dict[bytes, bytes] = field(default_factory=dict)  # by the half file's SHA-256

    @property
    def public(self) -> bytes:
        return self.private.public_key().public_bytes_raw()


def check_bid(blobs: BlobStore, lot: LotState, ref: str, sha256: bytes) -> tuple[Signature, str]:
    """Refuse a file that is not sealed as the notice asks (ZBT 36); return its signature and the anchor that it names.

    Reads the whole file. Raises Refused, BlobFault.
    """
    terms, _ = lot_terms(lot)
    try:
        with BidFile(blobs.open(sha256)) as bid:
            bid.require(terms, ref)
            bid.check_payload()
            return bid.signed, bid.manifest.bidder.anchor
    except GmFault as fault:
        raise Refused("sm2-unusable", rule="person-certificates", value=fault.what) from fault
    except BidRefused as refused:
        raise Refused(
            "bid-not-sealed-as-noticed",
            rule="sealed-as-noticed",
            value=refused.code,
            cites=("ZBT 36",),
            facts=(("detail", refused.detail),),
        ) from refused


class Ceremonies:
    """The ceremonies of this process, by their public key."""

    def __init__(self, blobs: BlobStore) -> None:
        """Start with none."""
        self._blobs = blobs
        self._live: dict[bytes, _Live] = {}

    def away(self, lot: LotState) -> tuple[HeldBid, ...]:
        """Return the bids whose seal is to be tried, whose file is not here as it was, and which nobody has given up.

        Reads every file whole; one that is damaged is set aside, so that a whole one can take its place. Raises BlobFault (io).
        """
        done = {*tried(lot), *lot.ceremony.given_up}
        return tuple(bid for bid in lot.bidding.live if bid.ref not in done and not self._whole(bid.sha256))

    def _whole(self, sha256: bytes) -> bool:
        try:
            self._check(sha256)
        except BlobFault as fault:
            if fault.why == "io":
                raise
            return False
        return True

    def _check(self, sha256: bytes) -> None:
        try:
            self._blobs.check(sha256)
        except BlobFault as fault:
            if fault.why == "damaged":
                self._blobs.set_aside(sha256)
            raise

    def begin(self, lot: LotState) -> BeginCeremony:
        """Make a ceremony's key and read every manifest. The key counts once the command is recorded.

        Call it when nothing is `away`: a file that cannot be read now stands in the set as such until the next ceremony.
        """
        live = _Live()
        self._live[live.public] = live
        return BeginCeremony(live.public, tuple(self._member(bid.ref, bid.sha256) for bid in lot.bidding.live))

    def _member(self, ref: str, sha256: bytes) -> SetBid:
        try:
            with self._bid(sha256) as bid:
                return SetBid(ref, sha256, bid.sha256)
        except (BlobFault, BidRefused):
            return SetBid(ref, sha256, b"")

    def _bid(self, sha256: bytes) -> BidFile:
        """Open a stored bid whose bytes are the receipted ones."""
        self._check(sha256)
        return BidFile(self._blobs.open(sha256))

    def _of(self, lot: LotState) -> _Live:
        begun = lot.ceremony.begun
        if begun is None:
            raise Refused("no-ceremony", rule="ceremony-first", cites=("20号令 31",))
        live = self._live.get(begun.key)
        if live is None:
            raise Refused("ceremony-key-lost", rule="key-in-memory-only", value=str(begun.no))
        return live

    def request(self, lot: LotState) -> bytes:
        """Return the request file. Raises Refused."""
        self._of(lot)
        begun = lot.ceremony.begun
        if begun is None:
            raise Refused("no-ceremony", rule="ceremony-first")
        found = {}
        for one in begun.bids:
            if one.manifest_sha256:
                with BidFile(self._blobs.open(one.file_sha256)) as bid:
                    found[one.ref] = (bid.manifest, bid.signature, bid.wraps)
        registered = lot.registered
        name = f"{registered.project_name} {registered.lot_name}"
        return write_request(begun, lot=lot.lot_code, lot_name=name, round_no=lot.round_no, bids=found)

    def release(self, lot: LotState, data: bytes) -> ReleaseShares:
        """Judge a trustee's release and keep its shares. Raises Refused, CeremonyFileRefused."""
        release = Release.parse(data)
        self._for_this(lot, release.head["lot"], release.head["round"])
        _, appointed = lot_terms(lot)
        number = release.trustee
        set_sha256 = bytes.fromhex(release.head["set_sha256"])
        command = ReleaseShares(release.head["ceremony"], number, set_sha256, hashlib.sha256(data).digest())
        if not 1 <= number <= len(appointed.trustees) or not self._same(lot, command.ceremony, set_sha256):
            return command  # the rules refuse it by name
        if release.signed.certificate_sha256 != appointed.trustees[number - 1].cert_sha256.hex():
            raise CeremonyFileRefused(why="other-signer", detail=f"trustee {number}")
        live = self._of(lot)
        shares = release.shares(live.private)
        wrong, complaints = [], []
        begun = lot.ceremony.begun
        for one in begun.bids if begun else ():
            if not one.manifest_sha256:
                continue
            share = shares.get(one.ref, b"")
            with BidFile(self._blobs.open(one.file_sha256)) as bid:
                if not share:
                    complaints.append(one.ref)
                elif not bid.share_fits(number, share):
                    wrong.append(one.ref)
        live.shares[command.file_sha256] = shares
        return ReleaseShares(command.ceremony, number, set_sha256, command.file_sha256, tuple(wrong), tuple(complaints))

    def half(self, lot: LotState, data: bytes) -> GiveHalf:
        """Take a bidder's half that opens its bid. Raises Refused, CeremonyFileRefused, BlobFault.

        The rules judge whether its time has come.
        """
        given = Half.parse(data)
        self._for_this(lot, given.head["lot"], given.head["round"])
        set_sha256 = bytes.fromhex(given.head["set_sha256"])
        command = GiveHalf(given.head["ceremony"], given.ref, set_sha256, hashlib.sha256(data).digest())
        if self._same(lot, command.ceremony, set_sha256):
            live = self._of(lot)
            half = given.half(live.private)
            self._require_fit(lot, live, given.ref, half)
            live.halves[command.file_sha256] = half
        return command

    def _require_fit(self, lot: LotState, live: _Live, ref: str, half: bytes) -> None:
        """Refuse a half that does not open its bid: the file is unsigned, so anybody may have made it."""
        begun = lot.ceremony.begun
        member = next((one for one in begun.bids if one.ref == ref), None) if begun else None
        if member is None or not member.manifest_sha256:
            return  # the rules refuse it by name, or the platform has lost the file
        shares = {one.trustee: live.shares[one.file_sha256].get(ref, b"") for one in lot.ceremony.released}
        with BidFile(self._blobs.open(member.file_sha256)) as bid:
            if half_fits(bid, shares, half) is False:
                raise CeremonyFileRefused(why="half-does-not-fit", detail=ref)

    def _for_this(self, lot: LotState, lot_code: str, round_no: int) -> None:
        if (lot_code, round_no) != (lot.lot_code, lot.round_no):
            raise CeremonyFileRefused(why="another-lot", detail=lot_code)

    def _same(self, lot: LotState, number: int, set_sha256: bytes) -> bool:
        begun = lot.ceremony.begun
        return begun is not None and (begun.no, begun.set_sha256) == (number, set_sha256)

    def try_seal(self, lot: LotState, ref: str, sha256: bytes) -> Tried:
        """Try one seal with what is here, and say whose piece was wrong or missing. Raises Refused, BlobFault (the file)."""
        live = self._of(lot)
        try:
            bid = self._bid(sha256)
            if not in_set(lot, ref):  # given up before the ceremony, and back since: nobody could release for it
                with bid:
                    return Tried(None, "platform", "stored-file-damaged")
        except BidRefused as refused:  # judged when it came, or taken before it could be
            return not_a_bid(refused)
        counted = {one.trustee: live.shares[one.file_sha256] for one in lot.ceremony.released}
        given = lot.ceremony.half_of(ref)
        with bid:
            pieces = Pieces(
                {i: found[ref] for i, found in counted.items() if found.get(ref)},
                frozenset(i for i, found in counted.items() if not found.get(ref)),
                live.halves[given.file_sha256] if given is not None else None,
            )
            return trial(bid, lot, pieces, lambda key: self._unpack(bid, key, lot, ref))

    def _unpack(self, bid: BidFile, key: bytes, lot: LotState, ref: str) -> BidContent:
        path = self._blobs.scratch(secrets.token_hex(8))
        try:
            with closing(bid.open_package(key, path)) as package:
                return content_in(package, lot, ref, self._keep(package))
        finally:
            path.unlink(missing_ok=True)

    def _keep(self, package: Package) -> tuple[tuple[str, bytes], ...]:
        kept = []
        for one in package.files[1:]:
            with self._blobs.incoming() as arriving:
                for piece in package.chunks(one):
                    arriving.write(piece)
                kept.append((one.name, arriving.keep(bytes.fromhex(one.sha256))))
        return tuple(kept)
