"""The ceremony of a draw (抽取仪式): parties commit to nonces, reveal them, and trustees open what a party keeps back.

A commit comes with the nonce in escrow: split among the trustees, each share wrapped to its holder and its digest on record.
So whoever keeps a nonce back changes nothing: the trustees open the very nonce that was committed to.

What is revealed goes to the log sealed to the room, and in the clear with the result: before it, nobody outside can compute.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from node.domain.draw import fits
from node.domain.draw_proof import PARTIES
from node.domain.guards import breach, require_digest, require_distinct, require_text
from node.domain.profile import Profile
from node.domain.refused import Refused
from node.domain.values import Asked, Role

WITNESS = "WITNESS"
# Who may commit and reveal for a party, by the own sign-in.
PARTY_ROLES: dict[str, frozenset[Role]] = {
    "CENTER": frozenset({Role.OPERATOR}),
    "SUPERVISOR": frozenset({Role.SUPERVISOR}),
    "TENDERER": frozenset({Role.TENDERER, Role.AGENCY}),
    WITNESS: frozenset({Role.WITNESS}),
}
TRUSTEES, THRESHOLD = 5, 3
REVEAL, ESCROW = "reveal", "escrow"
ESCROW_FALSE = "escrow-false"
MINUTE_MS = 60_000
_WRAP_MOST = 256
_SEAL_MOST = 512


@dataclass(frozen=True, slots=True)
class Trustee:
    """One holder of escrowed shares (受托人): a name of a body, and its X25519 public key."""

    name: str
    public: bytes


@dataclass(frozen=True, slots=True)
class CommitNonce:
    """Commit for a party. `used_in` is the draw that has seen this commit before, as the node found; empty: none."""

    party: str
    commit: bytes
    share_digests: tuple[bytes, ...]
    wraps: tuple[bytes, ...]
    used_in: str = ""


@dataclass(frozen=True, slots=True)
class NonceCommitted:
    """The party is bound to its nonce; `wraps` hold share i for trustee i, `share_digests` the SHA-256 of each share."""

    party: str
    commit: bytes
    share_digests: tuple[bytes, ...]
    wraps: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class NonceRevealed:
    """The party has revealed; `sealed` is the nonce under the room's key until the result is public."""

    party: str
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ReleaseShare:
    """A trustee releases the share of a party that keeps its nonce back. `trustee` counts from 1.

    `sealed` is the share under the room's key: three of them in the clear would tell the nonce.
    """

    party: str
    trustee: int
    share: bytes = field(repr=False)
    sealed: bytes


@dataclass(frozen=True, slots=True)
class ShareReleased:
    """One share is here and is the one that was recorded; `sealed` to the room."""

    party: str
    trustee: int
    sealed: bytes


@dataclass(frozen=True, slots=True)
class EscrowOpened:
    """The nonce of a party that kept it back, put together from these trustees' shares; `sealed` to the room."""

    party: str
    sealed: bytes
    trustees: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class DrawVoided:
    """The freeze is void (抽取无效): commits-equal, commit-reused, escrow-false, or cancelled. `party` is who caused it."""

    why: str
    party: str
    reason: str


@dataclass(frozen=True, slots=True)
class Party:
    """One party's part of the ceremony. `sealed` is its nonce as the room holds it, `nonce` what was published in the end."""

    name: str
    person: str = ""
    commit: bytes = b""
    share_digests: tuple[bytes, ...] = ()
    wraps: tuple[bytes, ...] = ()
    sealed: bytes = b""
    source: str = ""
    shares: tuple[tuple[int, bytes], ...] = ()  # trustee, share sealed to the room
    nonce: bytes = b""

    @property
    def revealed(self) -> bool:
        """Whether the nonce is known to the room."""
        return bool(self.source)


@dataclass(frozen=True, slots=True)
class CeremonyState:
    """All parties in their fixed order. `committed_at_ms`: when the last of them had committed."""

    parties: tuple[Party, ...] = ()
    trustees: tuple[Trustee, ...] = ()
    committed_at_ms: int = 0

    def party(self, name: str) -> Party:
        """Return one party. Raises Refused for a name that takes no part."""
        for party in self.parties:
            if party.name == name:
                return party
        raise Refused("party-unknown", rule="parties", value=name, limit=", ".join(one.name for one in self.parties))

    @property
    def committed(self) -> bool:
        """Whether every party has committed."""
        return bool(self.parties) and all(party.commit for party in self.parties)

    def last_to_reveal(self, name: str) -> bool:
        """Return whether every other party's nonce is known."""
        return all(party.revealed for party in self.parties if party.name != name)

    def require_nonces(self, nonces: Sequence[bytes]) -> None:
        """Raise Refused for nonces, in the parties' order, that are not all those committed to."""
        if len(nonces) != len(self.parties):
            raise Refused("nonce-differs", rule="nonce-as-committed", value=str(len(nonces)))
        for party, nonce in zip(self.parties, nonces, strict=True):
            if not fits(nonce, party.commit):
                raise Refused("nonce-differs", rule="nonce-as-committed", value=party.name)


def begin(parties: Sequence[str], trustees: Sequence[Trustee]) -> CeremonyState:
    """Return a ceremony in which nobody has committed. Raises Refused for parties or trustees that no draw may have."""
    if tuple(parties[: len(PARTIES)]) != PARTIES or not set(parties) <= set(PARTY_ROLES):
        raise Refused("parties-differ", rule="parties", value=", ".join(parties), limit=", ".join(PARTIES))
    require_distinct(parties, "party")
    if len(trustees) != TRUSTEES:
        raise Refused("trustees-missing", rule="escrow", value=str(len(trustees)), limit=str(TRUSTEES))
    require_distinct((trustee.name for trustee in trustees), "trustee")
    require_distinct((trustee.public.hex() for trustee in trustees), "trustee")
    for trustee in trustees:
        require_text(trustee=trustee.name)
        require_digest(trustee=trustee.public)
    return CeremonyState(tuple(Party(name) for name in parties), tuple(trustees))


def commit(state: CeremonyState, command: CommitNonce, asked: Asked) -> tuple[object, ...]:
    """Return the commit; and with it the end of a draw in which two are equal, or one was seen before."""
    party = _own_party(state, command.party, asked)
    if party.commit:
        raise Refused("committed-already", rule="commit-once", value=party.name)
    if asked.actor.person in {one.person for one in state.parties}:
        raise Refused("party-of-another", rule="one-person-one-party", value=asked.actor.person)
    require_digest(commit=command.commit)
    holders = len(state.trustees)
    if len(command.wraps) != holders or len(command.share_digests) != holders:
        raise Refused("escrow-missing", rule="escrow", value=str(len(command.wraps)), limit=str(holders))
    for digest in command.share_digests:
        require_digest(share=digest)
    if any(not 0 < len(wrap) <= _WRAP_MOST for wrap in command.wraps):
        raise Refused("escrow-malformed", rule="escrow", limit=str(_WRAP_MOST))
    done = NonceCommitted(party.name, command.commit, command.share_digests, command.wraps)
    same = [one.name for one in state.parties if one.commit == command.commit]
    if same:
        return done, DrawVoided("commits-equal", party.name, same[0])
    if command.used_in:
        return done, DrawVoided("commit-reused", party.name, command.used_in)
    return (done,)


def reveal(state: CeremonyState, name: str, nonce: bytes, sealed: bytes, asked: Asked) -> NonceRevealed:
    """Return the reveal of a party by the person who committed. Raises Refused."""
    party = _own_party(state, name, asked)
    _open_to_nonces(state, party)
    if party.person != asked.actor.person:
        raise Refused("party-of-another", rule="who-commits-reveals", value=asked.actor.person)
    if not fits(nonce, party.commit):
        raise Refused("nonce-differs", rule="nonce-as-committed", value=name)
    _require_sealed(sealed)
    return NonceRevealed(name, sealed)


def release(state: CeremonyState, command: ReleaseShare, profile: Profile, asked: Asked) -> ShareReleased:
    """Return one share made public, when the time to reveal has run out. Raises Refused."""
    party = state.party(command.party)
    _open_to_nonces(state, party)
    rule = profile.rule("draw-reveal-minutes")
    due_ms = reveals_due_ms(state, profile)
    if asked.at_ms < due_ms:
        raise breach(rule, "reveal-time-runs", value=asked.at_ms, facts=(("until", str(due_ms)),))
    if not 1 <= command.trustee <= len(state.trustees):
        raise Refused("trustee-unknown", rule="escrow", value=str(command.trustee), limit=f"1–{len(state.trustees)}")
    if command.trustee in dict(party.shares):
        raise Refused("share-released-already", rule="release-once", value=str(command.trustee))
    expected = party.share_digests[command.trustee - 1]
    if hashlib.sha256(command.share).digest() != expected:
        raise Refused("share-differs", rule="share-as-recorded", value=str(command.trustee), limit=expected.hex()[:16])
    _require_sealed(command.sealed)
    return ShareReleased(party.name, command.trustee, command.sealed)


def escrow_opened(state: CeremonyState, name: str, nonce: bytes, sealed: bytes) -> tuple[object, ...]:
    """Return what shares that are on record give: the nonce, or, where they do not give it, the party's fault."""
    party = state.party(name)
    _open_to_nonces(state, party)
    if len(party.shares) < THRESHOLD:
        raise Refused("shares-too-few", rule="escrow", value=str(len(party.shares)), limit=str(THRESHOLD))
    if not fits(nonce, party.commit):
        return (DrawVoided(ESCROW_FALSE, name, ""),)
    _require_sealed(sealed)
    return (EscrowOpened(name, sealed, tuple(number for number, _ in party.shares)),)


def published(state: CeremonyState, nonces: Sequence[bytes]) -> CeremonyState:
    """Return the ceremony with every nonce in the clear."""
    given = zip(state.parties, nonces, strict=True)
    return replace(state, parties=tuple(replace(party, nonce=nonce) for party, nonce in given))


def _require_sealed(sealed: bytes) -> None:
    if not 0 < len(sealed) <= _SEAL_MOST:
        raise Refused("nonce-not-sealed", rule="nonces-secret-until-result", cites=("ZB 37",))


def reveals_due_ms(state: CeremonyState, profile: Profile) -> int:
    """Return until when the parties have time to reveal, in ms."""
    return state.committed_at_ms + profile.number("draw-reveal-minutes") * MINUTE_MS


def evolve(state: CeremonyState, event: object, person: str, at_ms: int) -> CeremonyState:
    """Return the ceremony after one of its events."""
    match event:
        case NonceCommitted(party=name, commit=made, share_digests=digests, wraps=wraps):
            after = _with(state, name, person=person, commit=made, share_digests=digests, wraps=wraps)
            return replace(after, committed_at_ms=at_ms) if after.committed else after
        case NonceRevealed(party=name, sealed=sealed):
            return _with(state, name, sealed=sealed, source=REVEAL)
        case ShareReleased(party=name, trustee=trustee, sealed=sealed):
            return _with(state, name, shares=(*state.party(name).shares, (trustee, sealed)))
        case EscrowOpened(party=name, sealed=sealed):
            return _with(state, name, sealed=sealed, source=ESCROW)
        case _:
            return state


def _with(state: CeremonyState, name: str, **changes: object) -> CeremonyState:
    parties = tuple(replace(one, **changes) if one.name == name else one for one in state.parties)  # type: ignore[arg-type]
    return replace(state, parties=parties)


def _own_party(state: CeremonyState, name: str, asked: Asked) -> Party:
    party = state.party(name)
    if asked.actor.role not in PARTY_ROLES[name]:
        limit = ", ".join(sorted(PARTY_ROLES[name]))
        raise Refused("party-of-another", rule="parties", value=str(asked.actor.role), limit=limit)
    return party


def _open_to_nonces(state: CeremonyState, party: Party) -> None:
    if not state.committed:
        missing = ", ".join(one.name for one in state.parties if not one.commit)
        raise Refused("commits-missing", rule="all-commit-first", value=missing)
    if party.revealed:
        raise Refused("revealed-already", rule="reveal-once", value=party.name)


EVENTS: tuple[type, ...] = (NonceCommitted, NonceRevealed, ShareReleased, EscrowOpened, DrawVoided)
