"""Breaking the seals together (解密仪式): sealed → released → bidder decrypting → opened → minutes. E11.

Every release is over the set of all bids, so nobody releases for one bid only, and a bid slipped in later changes the set.
A ceremony belongs to one key, which lives in the memory of the opening node: when it is lost the ceremony begins anew and the
trustees release again.
"""

from dataclasses import dataclass, replace
from hashlib import sha256
from typing import TYPE_CHECKING

from node.domain.calendar import moment_text
from node.domain.guards import require_digest, require_second, require_short, require_text
from node.domain.judged import RELEASE, Judged, events_of
from node.domain.profile import Profile
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState

MINUTE_MS = 60_000


@dataclass(frozen=True, slots=True)
class SetBid:
    """One bid of the set: the file as receipted, and its manifest; b"" where the stored file cannot be read any more."""

    ref: str
    file_sha256: bytes
    manifest_sha256: bytes


@dataclass(frozen=True, slots=True)
class BeginCeremony:
    """The opening node has made a key for this ceremony and read every manifest."""

    key: bytes  # X25519, 32 raw bytes
    bids: tuple[SetBid, ...]


@dataclass(frozen=True, slots=True)
class CeremonyBegun:
    """Ceremony number `no` of this opening, over exactly this set."""

    no: int
    key: bytes
    set_sha256: bytes
    bids: tuple[SetBid, ...]


@dataclass(frozen=True, slots=True)
class ReleaseShares:
    """A trustee's release has come and was judged: whose shares were wrong or complained about, by ref."""

    ceremony: int
    trustee: int  # from 1
    set_sha256: bytes
    file_sha256: bytes
    wrong: tuple[str, ...] = ()
    complaints: tuple[str, ...] = ()
    judged: tuple[Judged, ...] = ()  # the trustee's certificate, where the node has anchors


@dataclass(frozen=True, slots=True)
class SharesReleased:
    """Trustee n has released over the whole set."""

    ceremony: int
    trustee: int
    set_sha256: bytes
    file_sha256: bytes
    wrong: tuple[str, ...]
    complaints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class GiveHalf:
    """A bidder has decrypted its half."""

    ceremony: int
    ref: str
    set_sha256: bytes
    file_sha256: bytes


@dataclass(frozen=True, slots=True)
class HalfGiven:
    """The bidder of this ref has given its half."""

    ceremony: int
    ref: str
    file_sha256: bytes


@dataclass(frozen=True, slots=True)
class SealBroken:
    """What opened this bid, for anybody who replays the opening: shares by trustee number, the bidder's half (b"": none)."""

    ref: str
    shares: tuple[tuple[int, bytes], ...]
    half: bytes


@dataclass(frozen=True, slots=True)
class BidBlamed:
    """Whose piece of this bid was wrong (责任): party is bidder, trustee-<n> or platform."""

    ref: str
    party: str
    why: str


@dataclass(frozen=True, slots=True)
class GiveUpFile:
    """Two persons have looked everywhere: nobody has this receipted file any more. `second` is role:person."""

    ref: str
    second: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileGivenUp:
    """The ceremony may begin without this file (文件无法取回). Should it come back before, it is opened like the others."""

    ref: str
    second: str
    reason: str


@dataclass(frozen=True, slots=True)
class CeremonyState:
    """How far the breaking of the seals has come."""

    begun: CeremonyBegun | None = None
    begun_at_ms: int = 0
    released: tuple[SharesReleased, ...] = ()
    released_at_ms: tuple[int, ...] = ()  # beside `released`
    halves: tuple[HalfGiven, ...] = ()  # the newest of each bidder
    broken: tuple[SealBroken, ...] = ()
    blamed: tuple[BidBlamed, ...] = ()
    given_up: tuple[str, ...] = ()  # refs of receipted files that nobody has any more

    @property
    def released_by(self) -> tuple[int, ...]:
        """The trustees who have released, in order of coming."""
        return tuple(one.trustee for one in self.released)

    def half_of(self, ref: str) -> HalfGiven | None:
        """Return what the bidder of this ref has given last."""
        return next((one for one in self.halves if one.ref == ref), None)


def set_digest(lot_code: str, round_no: int, bids: tuple[SetBid, ...]) -> bytes:
    """Return the digest of a set of bids: SHA-256 of "erhai-bid-set-v1", lot, round and one line a bid, sorted by ref."""
    lines = [f"{one.ref} {one.file_sha256.hex()} {one.manifest_sha256.hex()}" for one in bids]
    return sha256("\n".join(("erhai-bid-set-v1", f"{lot_code} {round_no}", *sorted(lines), "")).encode()).digest()


def _usable_at_ms(lot: "LotState", ref: str) -> tuple[int, ...]:
    """Return when the releases came whose share of this bid is neither wrong nor complained of; one a trustee."""
    came: dict[int, int] = {}
    for one, at_ms in zip(lot.ceremony.released, lot.ceremony.released_at_ms, strict=True):
        if ref not in one.wrong and ref not in one.complaints:
            came.setdefault(one.trustee, at_ms)
    return tuple(came.values())


def released(lot: "LotState", ref: str = "") -> bool:
    """Whether enough usable shares of this bid are here; without a ref: of any bid whose seal is not tried yet."""
    terms = lot.terms.appointed
    if terms is None:
        return False
    refs = (ref,) if ref else (one for one in lot.opening.refs if one not in tried(lot))
    return any(len(_usable_at_ms(lot, one)) >= terms.t for one in refs)


def half_until_ms(lot: "LotState", profile: Profile, ref: str = "") -> int:
    """Return when a bidder's time to decrypt ends: counted from the release that made its shares enough; 0 before it.

    Without a ref: the time of the next bid to open.
    """
    terms = lot.terms.appointed
    came = _usable_at_ms(lot, ref or lot.opening.next_to_open)
    if terms is None or len(came) < terms.t:
        return 0
    return came[terms.t - 1] + profile.number("bidder-decryption-minutes") * MINUTE_MS


def release_until_ms(lot: "LotState", profile: Profile) -> int:
    """Return when trustees who have not released are taken to withhold; 0 before a ceremony."""
    if lot.ceremony.begun is None:
        return 0
    return lot.ceremony.begun_at_ms + profile.number("trustee-release-minutes") * MINUTE_MS


def phase(lot: "LotState") -> str:
    """Return sealed, releasing, decrypting, opened or minutes; "" for a lot whose bids are sealed to the room key."""
    if lot.terms.appointed is None:
        return ""
    if lot.opening.confirmed:
        return "minutes"
    if lot.ceremony.begun is None:
        return "sealed"
    if not lot.opening.next_to_open:
        return "opened"
    return "decrypting" if released(lot) else "releasing"


def tried(lot: "LotState") -> tuple[str, ...]:
    """Return the bids whose seal was tried, whatever came of it."""
    return (*lot.opening.opened_refs, *(one.ref for one in lot.opening.failed))


def require_ready(lot: "LotState", ref: str, asked: Asked) -> None:
    """Refuse to try a seal while its pieces may still come. Raises Refused."""
    terms = lot.terms.appointed
    if terms is None:
        return
    profile = asked.profile(lot.profile_id)
    if lot.ceremony.begun is None:
        raise Refused("no-ceremony", rule="ceremony-first", cites=("20号令 31",))
    has_half = lot.ceremony.half_of(ref) is not None
    if terms.mode == "or" and (has_half or released(lot, ref)):
        return
    if not released(lot, ref):
        _passed("shares-may-come", release_until_ms(lot, profile), profile, "trustee-release-minutes", asked)
    elif not has_half:
        _passed("half-may-come", half_until_ms(lot, profile, ref), profile, "bidder-decryption-minutes", asked)


def _passed(code: str, until_ms: int, profile: Profile, rule_id: str, asked: Asked) -> None:
    if asked.at_ms < until_ms:
        rule = profile.rule(rule_id)
        raise Refused(code, rule=rule.id, value=moment_text(asked.at_ms), limit=moment_text(until_ms), cites=rule.cites)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the events of one step of the ceremony. Raises Refused."""
    match command:
        case BeginCeremony():
            return _begin(lot, command)
        case ReleaseShares():
            return _release(lot, command)
        case GiveHalf():
            return _half(lot, command, asked)
        case GiveUpFile():
            return _give_up(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: CeremonyState, event: object, recorded: Recorded) -> CeremonyState:
    """Return the state after one of the ceremony's events."""
    match event:
        case CeremonyBegun():
            return CeremonyState(
                event, recorded.at_ms, broken=state.broken, blamed=state.blamed, given_up=state.given_up
            )
        case SharesReleased():
            return replace(
                state, released=(*state.released, event), released_at_ms=(*state.released_at_ms, recorded.at_ms)
            )
        case HalfGiven(ref=ref):
            others = tuple(one for one in state.halves if one.ref != ref)
            return replace(state, halves=(*others, event))
        case SealBroken():
            return replace(state, broken=(*state.broken, event))
        case BidBlamed():
            return replace(state, blamed=(*state.blamed, event))
        case FileGivenUp(ref=ref):
            return replace(state, given_up=(*state.given_up, ref))
        case _:
            return state


def _begin(lot: "LotState", command: BeginCeremony) -> tuple[CeremonyBegun]:
    if lot.terms.appointed is None:
        raise Refused("no-trustees", rule="ceremony-needs-trustees")
    if not lot.opening.started:
        raise Refused("not-opened", rule="started-first", cites=("ZB 34",))
    if not lot.opening.next_to_open:
        raise Refused("seals-all-tried", rule="ceremony-while-sealed")
    require_digest(key=command.key)
    held = tuple((bid.ref, bid.sha256) for bid in lot.bidding.live)
    if tuple((one.ref, one.file_sha256) for one in command.bids) != held:
        raise Refused(
            "set-differs", rule="set-is-what-was-received", value=str(len(command.bids)), limit=str(len(held))
        )
    number = lot.ceremony.begun.no + 1 if lot.ceremony.begun else 1
    return (CeremonyBegun(number, command.key, set_digest(lot.lot_code, lot.round_no, command.bids), command.bids),)


def _of_this_ceremony(lot: "LotState", number: int, set_sha256: bytes) -> None:
    begun = lot.ceremony.begun
    if begun is None:
        raise Refused("release-early", rule="ceremony-first", cites=("20号令 31",))
    if not lot.opening.next_to_open:
        raise Refused("release-late", rule="ceremony-while-sealed")
    if number != begun.no:
        raise Refused("another-ceremony", rule="this-ceremony", value=str(number), limit=str(begun.no))
    if set_sha256 != begun.set_sha256:
        raise Refused(
            "release-over-another-set", rule="set-is-signed", value=set_sha256.hex(), limit=begun.set_sha256.hex()
        )


def _release(lot: "LotState", command: ReleaseShares) -> tuple[object, ...]:
    _of_this_ceremony(lot, command.ceremony, command.set_sha256)
    terms = lot.terms.appointed
    count = len(terms.trustees) if terms is not None else 0
    if not 1 <= command.trustee <= count:
        raise Refused("holder-unknown", rule="appointed-trustee", value=str(command.trustee), limit=str(count))
    if command.trustee in lot.ceremony.released_by:
        raise Refused("released-already", rule="released-once", value=str(command.trustee))
    require_digest(file_sha256=command.file_sha256)
    return (
        SharesReleased(
            command.ceremony,
            command.trustee,
            command.set_sha256,
            command.file_sha256,
            command.wrong,
            command.complaints,
        ),
        *events_of(RELEASE, command.judged, (str(command.trustee),)),
    )


def _half(lot: "LotState", command: GiveHalf, asked: Asked) -> tuple[HalfGiven]:
    _of_this_ceremony(lot, command.ceremony, command.set_sha256)
    if command.ref not in lot.opening.refs:
        raise Refused("unknown-bid", rule="opened-bids-were-received", value=command.ref)
    terms = lot.terms.appointed
    if terms is not None and terms.mode == "and" and not released(lot, command.ref):
        usable = len(_usable_at_ms(lot, command.ref))
        raise Refused("half-early", rule="released-first", value=str(usable), limit=str(terms.t))
    profile = asked.profile(lot.profile_id)
    until_ms = half_until_ms(lot, profile, command.ref)
    rule = profile.rule("bidder-decryption-minutes")
    if until_ms and asked.at_ms >= until_ms:
        raise Refused(
            "half-late", rule=rule.id, value=moment_text(asked.at_ms), limit=moment_text(until_ms), cites=rule.cites
        )
    if command.ref in tried(lot):
        raise Refused("seal-tried-already", rule="opened-once", value=command.ref)
    require_digest(file_sha256=command.file_sha256)
    return (HalfGiven(command.ceremony, command.ref, command.file_sha256),)


def _give_up(lot: "LotState", command: GiveUpFile, asked: Asked) -> tuple[FileGivenUp]:
    if lot.terms.appointed is None:
        raise Refused("no-trustees", rule="ceremony-needs-trustees")
    if not lot.opening.started:
        raise Refused("not-opened", rule="started-first", cites=("ZB 34",))
    if command.ref not in lot.opening.refs:
        raise Refused("unknown-bid", rule="opened-bids-were-received", value=command.ref)
    if command.ref in tried(lot):
        raise Refused("seal-tried-already", rule="opened-once", value=command.ref)
    if command.ref in lot.ceremony.given_up:
        raise Refused("file-given-up-already", rule="given-up-once", value=command.ref)
    require_text(reason=command.reason)
    require_short(reason=command.reason)
    require_second(asked, command.second)
    return (FileGivenUp(command.ref, command.second, command.reason),)


COMMANDS: tuple[type, ...] = (BeginCeremony, ReleaseShares, GiveHalf, GiveUpFile)
EVENTS: tuple[type, ...] = (CeremonyBegun, SharesReleased, HalfGiven, SealBroken, BidBlamed, FileGivenUp)
