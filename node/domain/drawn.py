"""What is asked and recorded of a draw (抽取记录): its commands, its events, and what the rules remember of it.

Until the end the log knows experts of a draw by their place in the ranking only. Who they are, the nonces and with them the
seed are sealed to the room: whoever holds the expert bank's file, but not the room's keys, cannot compute them either.
"""

from collections.abc import Collection
from dataclasses import dataclass, field

from node.domain import ceremony, draw
from node.domain.ceremony import CeremonyState, CommitNonce, ReleaseShare, Trustee
from node.domain.draw import Reached, Standing
from node.domain.draw_proof import COEFFICIENT, TIE, OptionProof, Proof, ProofGroup, ProofParty
from node.domain.eligibility import DrawRequest, Expert, Small
from node.domain.refused import Refused

EXPERTS = "experts"
LETTERS = {EXPERTS: "E", COEFFICIENT: "K", TIE: "T"}
POOL_MOST = 1_000  # the sealed list stands in one entry
DRAWS_MOST = 99
_AHEAD = 3
Listed = tuple[str, tuple[int, ...], int]  # an expert of the list: number, groups, employer within the list
ACCEPTED, PENDING = "accepted", "pending"


@dataclass(frozen=True, slots=True)
class FreezeExperts:
    """Freeze the pool of an expert draw. `experts` is the whole snapshot, taken from the bank at `snapshot_at_ms`.

    `sealed` is the eligible list sealed to the room; `second` is the supervisor, as role:person, who approves a small choice
    or an old snapshot for `reason`; empty where there is nothing to approve.
    """

    request: DrawRequest
    number: int
    experts: tuple[Expert, ...]
    snapshot: bytes
    snapshot_at_ms: int
    sealed: bytes
    parties: tuple[str, ...]
    trustees: tuple[Trustee, ...]
    second: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class ExpertsFrozen:
    """The pool stands: its hash and size, how many are out for which reason, the sealed list. Nobody's name or number."""

    request: DrawRequest
    number: int
    round_no: int
    profile_id: str
    pool_hash: bytes
    pool_size: int
    excluded: tuple[tuple[str, int], ...]
    eligible: tuple[int, ...]  # for each group
    small: tuple[Small, ...]
    snapshot: bytes
    snapshot_at_ms: int
    sealed: bytes
    parties: tuple[str, ...]
    trustees: tuple[Trustee, ...]
    second: str
    reason: str


@dataclass(frozen=True, slots=True)
class FreezeOptions:
    """Freeze what a coefficient or a tie is drawn from: declared values, or the references of tied bids."""

    kind: str
    lot_code: str
    number: int
    name: str
    options: tuple[str, ...]
    parties: tuple[str, ...]
    trustees: tuple[Trustee, ...]


@dataclass(frozen=True, slots=True)
class OptionsFrozen:
    """The options stand, in byte order."""

    kind: str
    lot_code: str
    number: int
    round_no: int
    profile_id: str
    name: str
    options: tuple[str, ...]
    pool_hash: bytes
    parties: tuple[str, ...]
    trustees: tuple[Trustee, ...]


@dataclass(frozen=True, slots=True)
class Held:
    """What the room's keys open: every nonce in the parties' order, and the list (empty for a coefficient or a tie).

    The node gives it with the last nonce and with each outcome; the rules hold it against commits and pool hash every time.
    """

    nonces: tuple[bytes, ...] = field(repr=False)
    listed: tuple[Listed, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class RevealNonce:
    """Reveal; `sealed` is the nonce for the log. With the last nonce the node opens what it holds."""

    party: str
    nonce: bytes = field(repr=False)
    sealed: bytes
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class OpenEscrow:
    """Open the nonce of a party that kept it back, from the shares on record; `nonce` is what they give, also `sealed`."""

    party: str
    nonce: bytes = field(repr=False)
    sealed: bytes
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class PlaceStanding:
    """One place of the ranking: for which groups, and a number for the employer, by first place (-1: nobody asks)."""

    groups: tuple[int, ...]
    employer: int


@dataclass(frozen=True, slots=True)
class PlaceReached:
    """A group reached this place of the ranking."""

    group: int
    place: int


@dataclass(frozen=True, slots=True)
class PoolRanked:
    """The room knows the order; the groups have reached their first. Seed and order stay sealed until the end."""

    reached: tuple[PlaceReached, ...]


@dataclass(frozen=True, slots=True)
class OptionDrawn:
    """The seed is known, and with it the options in drawn order: one for a coefficient, all of them for a tie."""

    seed: bytes
    nonces: tuple[bytes, ...]
    drawn: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class RecordOutcome:
    """What came of reaching one expert: accepted, or why not. `who` commits to the expert's data, `sealed` holds it.

    `held` is there where somebody does not come: it tells who is next.
    """

    place: int
    outcome: str
    who: bytes = b""
    sealed: bytes = b""
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class OutcomeRecorded:
    """One expert has answered; whoever does not come makes `next_place` of the ranking the replacement, -1: nobody is left."""

    place: int
    outcome: str
    who: bytes
    sealed: bytes
    next_place: int


@dataclass(frozen=True, slots=True)
class CancelDraw:
    """The supervisor, with a second person, ends a draw before anybody was seated. It stays on record for good."""

    reason: str
    second: str


@dataclass(frozen=True, slots=True)
class PublishDraw:
    """Publish nonces and numbers, so that anybody can re-run the draw."""

    held: Held


@dataclass(frozen=True, slots=True)
class DrawPublished:
    """Everything that was sealed but names: seed, nonces, the ranking by number, and what every place stands for."""

    seed: bytes
    nonces: tuple[bytes, ...]
    order: tuple[str, ...]
    standings: tuple[PlaceStanding, ...]


@dataclass(frozen=True, slots=True)
class Accepted:
    """An expert who will come: the place, the commitment to the data, and the data sealed to the room."""

    place: int
    who: bytes
    sealed: bytes


@dataclass(frozen=True, slots=True)
class DrawState:
    """What the rules remember of one draw."""

    frozen: ExpertsFrozen | OptionsFrozen | None = None
    ceremony: CeremonyState = field(default_factory=CeremonyState)
    voided: str = ""
    at_fault: str = ""  # the person whose false escrow ended the draw
    ranked: bool = False
    seed: bytes = b""  # known with the result of a coefficient or a tie; of an expert draw, when it is published
    standings: tuple[Standing, ...] = ()
    reached: tuple[Reached, ...] = ()
    accepted: tuple[Accepted, ...] = ()
    gone: tuple[tuple[bytes, str], ...] = ()  # who had accepted and does not come after all, and why
    drawn: tuple[str, ...] = ()
    order: tuple[str, ...] = ()

    @property
    def kind(self) -> str:
        """Return what is drawn; empty before the freeze."""
        return EXPERTS if isinstance(self.frozen, ExpertsFrozen) else self.frozen.kind if self.frozen else ""

    @property
    def lot_code(self) -> str:
        """Return the lot that this draw is for; empty before the freeze."""
        if isinstance(self.frozen, ExpertsFrozen):
            return self.frozen.request.lot_code
        return self.frozen.lot_code if self.frozen else ""

    @property
    def needs(self) -> tuple[int, ...]:
        """Return how many each group needs."""
        return tuple(one.need for one in self.frozen.request.groups) if isinstance(self.frozen, ExpertsFrozen) else ()

    @property
    def tenderer_seats(self) -> int:
        """Return how many of the committee the tenderer sends."""
        return self.frozen.request.tenderer_seats if isinstance(self.frozen, ExpertsFrozen) else 0

    @property
    def session_from_ms(self) -> int:
        """Return when the evaluation is to begin."""
        return self.frozen.request.session.from_ms if isinstance(self.frozen, ExpertsFrozen) else 0

    def standing_in(self, group: int, state: str) -> int:
        """Return how many of a group are pending or accepted."""
        return sum(one.group == group and one.state == state for one in self.reached)

    @property
    def short(self) -> tuple[int, ...]:
        """Return the groups that the ranking cannot fill any more."""
        return tuple(
            group
            for group, need in enumerate(self.needs)
            if self.ranked and sum(one.stands for one in self.reached if one.group == group) < need
        )

    @property
    def complete(self) -> bool:
        """Whether everybody who is needed has accepted; for a coefficient or a tie, whether it is drawn."""
        if self.kind != EXPERTS:
            return bool(self.drawn)
        return self.ranked and all(self.standing_in(group, ACCEPTED) == need for group, need in enumerate(self.needs))

    @property
    def over(self) -> bool:
        """Whether another draw may follow: this one is void, or its ranking is used up."""
        return bool(self.voided or self.short)


def draw_id(lot_code: str, round_no: int, kind: str, number: int) -> str:
    """Return the id of a draw, which is the end of its stream's name."""
    return f"{lot_code}-{round_no}-{LETTERS[kind]}{number}"


def draws_ahead(lot_code: str, round_no: int, known: Collection[str]) -> tuple[str, ...]:
    """Return the ids of the next draws of every kind, beside those whose streams are known."""
    found = []
    for kind in LETTERS:
        ids = [draw_id(lot_code, round_no, kind, number) for number in range(1, DRAWS_MOST + 1)]
        found += [one for one in ids if f"draw/{one}" not in known][:_AHEAD]
    return tuple(found)


def proof_of(state: DrawState, stream: str) -> Proof | OptionProof:
    """Return the published proof. Raises Refused while the numbers are sealed, or a coefficient is not drawn."""
    if isinstance(state.frozen, OptionsFrozen) and state.drawn:
        return _option_proof(state, state.frozen, stream)
    if not state.order or not isinstance(state.frozen, ExpertsFrozen):
        raise Refused("draw-not-published", rule="published-after-evaluation", cites=("ZB 37",))
    groups = []
    for index, group in enumerate(state.frozen.request.groups):
        own = {one.place: one.state for one in state.reached if one.group == index}
        passed = draw.skipped(index, group.need, state.standings, state.reached)
        passed |= {place: outcome for place, outcome in own.items() if outcome in draw.OUTCOMES}
        groups.append(
            ProofGroup(
                name=group.name,
                need=group.need,
                taken=tuple(state.order[place] for place in sorted(own) if own[place] == ACCEPTED),
                passed=tuple((state.order[place], passed[place]) for place in sorted(passed)),
            )
        )
    return Proof(
        draw_id=stream.partition("/")[2],
        pool=draw.sorted_pool(state.order),
        pool_hash=state.frozen.pool_hash.hex(),
        parties=_proof_parties(state),
        seed=state.seed.hex(),
        order=state.order,
        groups=tuple(groups),
    )


def _option_proof(state: DrawState, frozen: OptionsFrozen, stream: str) -> OptionProof:
    return OptionProof(
        draw_id=stream.partition("/")[2],
        kind=frozen.kind,
        name=frozen.name,
        options=frozen.options,
        pool_hash=frozen.pool_hash.hex(),
        parties=_proof_parties(state),
        seed=state.seed.hex(),
        drawn=state.drawn,
    )


def _proof_parties(state: DrawState) -> tuple[ProofParty, ...]:
    return tuple(
        ProofParty(name=one.name, commit=one.commit.hex(), nonce=one.nonce.hex(), source=one.source)
        for one in state.ceremony.parties
    )


COMMANDS: tuple[type, ...] = (
    FreezeExperts,
    FreezeOptions,
    CommitNonce,
    RevealNonce,
    ReleaseShare,
    OpenEscrow,
    RecordOutcome,
    CancelDraw,
    PublishDraw,
)
EVENTS: tuple[type, ...] = (
    ExpertsFrozen,
    OptionsFrozen,
    PoolRanked,
    OptionDrawn,
    OutcomeRecorded,
    DrawPublished,
    *ceremony.EVENTS,
)
