"""Putting a bid's key together from what the parties gave, and saying whose piece was wrong (解密与责任).

A share that does not hash to what the bidder's signed manifest says is its trustee's fault. A trustee whose tool finds no such
share in the wrap complains instead; once the room's half is known, anybody can read the wrap from its seed and see whether
the bidder dealt badly or the trustee complained falsely. With the room's half right, a key that does not fit is the bidder's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sync.bid_file import BidFile
from sync.bid_keys import HALF, payload_key, wrap_seed
from sync.shares import ShareFault, combine
from sync.wrap import WrapFault, reopen_seeded

BIDDER = "bidder"


@dataclass(frozen=True, slots=True)
class Blame:
    """One party's fault (责任): `party` is "bidder" or "trustee-<i>".

    `why`: wrong-share (not the one promised), false-complaint, bad-wrap (the bidder wrapped something else), shares-disagree (the
    bidder dealt shares of more than one secret), wrong-half (the bidder's half does not give the committed key), two-keys (mode
    "or": the two ways give different secrets), undecided (a complaint that too few shares are there to judge).
    """

    party: str
    why: str


@dataclass(frozen=True, slots=True, repr=False)
class Unlocked:
    """What came out. `key` None: not open; `missing` names what is still wanted: shares, half, or nothing more can help."""

    key: bytes | None
    blames: tuple[Blame, ...] = ()
    missing: str = ""


def unlock(
    bid: BidFile,
    *,
    publics: Sequence[bytes],
    shares: Mapping[int, bytes],
    complaints: frozenset[int] = frozenset(),
    half: bytes | None = None,
) -> Unlocked:
    """Judge every piece and return the key where the allowed pieces are there.

    `publics` are the trustees' raw X25519 keys in order; `shares` and `complaints` are by trustee number; `half` is what the bidder
    found in its envelope.
    """
    terms = bid.manifest.terms
    blames = [Blame(f"trustee-{i}", "wrong-share") for i, one in sorted(shares.items()) if not bid.share_fits(i, one)]
    good = {i: one for i, one in shares.items() if bid.share_fits(i, one)}
    room: bytes | None = None
    if len(good) >= terms.t:
        try:
            room = combine(good, t=terms.t)
        except ShareFault:
            return Unlocked(None, (*blames, Blame(BIDDER, "shares-disagree")))
    blames += _complaints(bid, publics, complaints, room)
    if half is not None and len(half) != HALF:
        return Unlocked(None, (*blames, Blame(BIDDER, "wrong-half")))
    if terms.mode == "or":
        return _either(bid, room, half, blames)
    if room is None or half is None:
        return Unlocked(None, tuple(blames), "half" if room is not None else "shares")
    key = payload_key(terms.profile, terms.mode, bid.manifest.context, half=half, room=room)
    if not bid.key_fits(key):
        return Unlocked(None, (*blames, Blame(BIDDER, "wrong-half")))
    return Unlocked(key, tuple(blames))


def half_fits(bid: BidFile, shares: Mapping[int, bytes], half: bytes) -> bool | None:
    """Whether a half gives the key to which the payload commits; None while too few shares are there to say.

    In mode "or" the half alone says it. Of shares that disagree nothing follows for the half.
    """
    terms, context = bid.manifest.terms, bid.manifest.context
    if len(half) != HALF:
        return False
    if terms.mode == "or":
        return bid.key_fits(payload_key(terms.profile, terms.mode, context, half=half, room=half))
    good = {i: one for i, one in shares.items() if bid.share_fits(i, one)}
    if len(good) < terms.t:
        return None
    try:
        room = combine(good, t=terms.t)
    except ShareFault:
        return None
    return bid.key_fits(payload_key(terms.profile, terms.mode, context, half=half, room=room))


def _either(bid: BidFile, room: bytes | None, half: bytes | None, blames: list[Blame]) -> Unlocked:
    """Mode "or": whatever is given must lead to the one committed key, before anything is shown."""
    terms = bid.manifest.terms
    given = [one for one in (room, half) if one is not None]
    if not given:
        return Unlocked(None, tuple(blames), "shares")
    keys = [payload_key(terms.profile, terms.mode, bid.manifest.context, half=one, room=one) for one in given]
    if not all(bid.key_fits(key) for key in keys):
        return Unlocked(None, (*blames, Blame(BIDDER, "two-keys" if len(keys) > 1 else "wrong-half")))
    return Unlocked(keys[0], tuple(blames))


def _complaints(
    bid: BidFile, publics: Sequence[bytes], complaints: frozenset[int], room: bytes | None
) -> tuple[Blame, ...]:
    terms, context = bid.manifest.terms, bid.manifest.context
    found = []
    for i in sorted(i for i in complaints if 1 <= i <= len(publics)):
        if room is None:
            found.append(Blame(f"trustee-{i}", "undecided"))
            continue
        seed = wrap_seed(terms.profile, context, i, room)
        try:
            held = reopen_seeded(publics[i - 1], context, bid.wraps[f"share-{i}"], seed)
        except WrapFault:
            held = b""
        found.append(Blame(f"trustee-{i}", "false-complaint") if bid.share_fits(i, held) else Blame(BIDDER, "bad-wrap"))
    return tuple(found)
