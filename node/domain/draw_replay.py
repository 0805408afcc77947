"""A log's draws told again from its entries alone (抽取重演): whoever has an export finds a step that does not follow.

The signatures of a log prove that nobody changed it since; not that the node which wrote it kept the rules. This does, for
draws: order of the steps, nonces of their commits, the seed, whom it reaches, the committee that sat down.
"""

from dataclasses import dataclass, field, replace
from typing import Any

from node.domain import ceremony, draw, drawing
from node.domain.ceremony import DrawVoided, EscrowOpened, NonceCommitted, NonceRevealed, ShareReleased
from node.domain.draw import Reached, Standing
from node.domain.draw_proof import OptionProof, ProofParty, drawn_of, judge, judge_options
from node.domain.drawn import (
    ACCEPTED,
    EXPERTS,
    PENDING,
    DrawPublished,
    DrawState,
    ExpertsFrozen,
    OptionDrawn,
    OptionsFrozen,
    OutcomeRecorded,
    PoolRanked,
    draw_id,
    proof_of,
)
from node.domain.evaluation import RankingComputed, UsedDraw
from node.domain.panel import CommitteeFormed, MemberReplaced
from node.domain.refused import Refused
from node.domain.values import Recorded, Role
from node.domain.wire import Unrecognised

OUT_OF_TURN, UNFOUNDED = "out-of-turn", "void-unfounded"
CANCELLED, REUSED = "cancelled", "commit-reused"


@dataclass(slots=True)
class Replay:
    """What the entries have told so far: each draw, the answers in their order, and which draw a lot's committee came from."""

    draws: dict[str, DrawState] = field(default_factory=dict)
    answers: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    first: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    panels: dict[str, str] = field(default_factory=dict)
    unseen: dict[str, str] = field(default_factory=dict)  # draws of which something is not shown: what
    unknown: set[str] = field(default_factory=set)  # streams with a step that this version does not know: not judged on

    def tell(self, stream: str, event: object, recorded: Recorded) -> str:
        """Take the next event of the log. Return a code where it does not follow from what was told before, else ""."""
        kind, _, rest = stream.partition("/")
        if isinstance(event, Unrecognised):
            self.unknown.add(stream)
            self.draws.pop(stream, None)
        if kind == "draw" and stream not in self.draws and not isinstance(event, ExpertsFrozen | OptionsFrozen):
            self.unknown.add(stream)  # it begins in another log
        if stream in self.unknown or kind not in {"lot", "draw"}:
            return ""
        if kind == "lot":
            return self._tell_lot(rest, event)
        before = self.draws.get(stream, DrawState())
        found = self._fault(stream, before, event, recorded)
        if found:
            return found
        after = drawing.evolve(before, event, recorded)
        self.draws[stream] = after
        match event:
            case PoolRanked(reached=reached):
                self.first[stream] = tuple((one.group, one.place) for one in reached)
            case OutcomeRecorded(place=place, outcome=outcome):
                self.answers[stream] = (*self.answers.get(stream, ()), (place, outcome))
            case OptionDrawn() | DrawPublished():
                proof = proof_of(after, stream)
                problem = judge_options(proof) if isinstance(proof, OptionProof) else judge(proof)
                return problem.code if problem else ""
            case DrawVoided() if not self._shown(event):
                self.unknown.add(stream)
                self.unseen[stream] = f"why it is void ({event.why}) is not in these entries"
            case _:
                pass
        return ""

    def _shown(self, event: DrawVoided) -> bool:
        """Whether the entries show why the draw ended: shares are sealed to the room, another log's commits are not here."""
        return event.why != ceremony.ESCROW_FALSE and (event.why != REUSED or f"draw/{event.reason}" in self.draws)

    def _tell_lot(self, lot_code: str, event: object) -> str:
        match event:
            case CommitteeFormed(how="drawn", draw_id=name, members=members):
                self.panels[lot_code] = f"draw/{name}"
                sitting = {one.commitment for one in members if one.kind == "expert"}
                state = self.draws.get(f"draw/{name}")
                if state is not None and (not state.complete or sitting != {one.who for one in state.accepted}):
                    return "committee-not-drawn"
            case MemberReplaced(successor=successor) if successor.kind == "expert":
                state = self.draws.get(self.panels.get(lot_code, ""))
                if state is not None and successor.commitment not in {one.who for one in state.accepted}:
                    return "committee-not-drawn"
            case RankingComputed(draws=draws):
                return next(filter(None, map(self._used_fault, draws)), "")
            case _:
                pass
        return ""

    def _used_fault(self, used: UsedDraw) -> str:
        """What the ranking says that it took from a draw follows from that draw's own nonces, and is what the draw says."""
        told = OptionProof(
            draw_id=used.draw_id,
            kind=used.kind,
            name=used.name,
            options=used.options,
            pool_hash=draw.pool_hash(used.options).hex() if used.options else "",
            parties=tuple(
                ProofParty(name=one.name, commit=one.commit.hex(), nonce=one.nonce.hex(), source=one.source)
                for one in used.parties
            ),
            seed=used.seed.hex(),
            drawn=used.result,
        )
        problem = judge_options(told)
        if problem is not None:
            return problem.code
        stream = f"draw/{used.draw_id}"
        state = self.draws.get(stream)
        return "" if state is None or (state.drawn and proof_of(state, stream) == told) else "drawn-differs"

    def _fault(self, stream: str, state: DrawState, event: object, recorded: Recorded) -> str:
        match event:
            case ExpertsFrozen() | OptionsFrozen():
                return _freeze_fault(stream, state, event) or self._early_fault(stream, event)
            case _ if state.frozen is None or state.voided:
                return OUT_OF_TURN
            case DrawVoided():
                return self._void_fault(state, event, recorded)
            case NonceCommitted() | NonceRevealed() | ShareReleased() | EscrowOpened():
                return _ceremony_fault(state, event)
            case OptionDrawn(seed=seed, nonces=nonces, drawn=drawn):
                frozen = state.frozen
                if not isinstance(frozen, OptionsFrozen) or state.ranked or not _all_revealed(state):
                    return OUT_OF_TURN
                return _seed_fault(stream, state, seed, nonces) or (
                    "" if drawn == drawn_of(frozen.kind, seed, frozen.name, frozen.options) else "drawn-differs"
                )
            case PoolRanked(reached=reached):
                if state.kind != EXPERTS or state.ranked or not _all_revealed(state):
                    return OUT_OF_TURN
                return "" if len({one.place for one in reached}) == len(reached) else "reached-differs"
            case OutcomeRecorded():
                return _outcome_fault(state, event)
            case DrawPublished():
                return self._published_fault(stream, state, event)
            case _:
                return ""

    def _early_fault(self, stream: str, event: ExpertsFrozen | OptionsFrozen) -> str:
        """A next draw needs the end of each before it; one that this log does not tell of leaves this one unchecked."""
        experts = isinstance(event, ExpertsFrozen)
        lot_code = event.request.lot_code if isinstance(event, ExpertsFrozen) else event.lot_code
        kind = EXPERTS if isinstance(event, ExpertsFrozen) else event.kind
        for number in range(1, event.number):
            name = f"draw/{draw_id(lot_code, event.round_no, kind, number)}"
            before = self.draws.get(name)
            if before is None or name in self.unknown:
                self.unseen.setdefault(stream, f"the end of {name} is not in these entries")
            elif (experts or getattr(before.frozen, "name", "") == getattr(event, "name", "")) and not before.over:
                return "draw-not-over"
        return ""

    def _void_fault(self, state: DrawState, event: DrawVoided, recorded: Recorded) -> str:
        """A draw ends for what the entries show, by whom it may be ended, and never between its last nonce and its result."""
        if state.complete or (_all_revealed(state) and not state.ranked):
            return OUT_OF_TURN
        if event.why == CANCELLED:
            by = recorded.actor.partition(":")[0]
            return "" if by == event.party == Role.SUPERVISOR and event.reason else UNFOUNDED
        party = next((one for one in state.ceremony.parties if one.name == event.party), None)
        if party is None:
            return "parties-differ"
        match event.why:
            case "commits-equal":
                other = next((one for one in state.ceremony.parties if one.name == event.reason), None)
                same = other is not None and other != party and bool(party.commit) and other.commit == party.commit
                return "" if same else UNFOUNDED
            case _ if event.why == REUSED:
                before = self.draws.get(f"draw/{event.reason}")
                held = before is None or party.commit in {one.commit for one in before.ceremony.parties}
                return "" if party.commit and held and before is not state else UNFOUNDED
            case ceremony.ESCROW_FALSE:
                if not state.ceremony.committed or party.revealed:
                    return UNFOUNDED
                return "" if len(dict(party.shares)) >= ceremony.THRESHOLD else "shares-too-few"
            case _:
                return UNFOUNDED

    def _published_fault(self, stream: str, state: DrawState, event: DrawPublished) -> str:
        """The list is public: whom did the seed reach, and who was next at each answer?"""
        if not state.ranked or state.order:
            return OUT_OF_TURN
        found = _seed_fault(stream, state, event.seed, event.nonces)
        if found:
            return found
        try:
            if state.frozen is None or draw.pool_hash(event.order) != state.frozen.pool_hash:
                return "pool-hash-differs"
        except Refused as refused:
            return refused.code
        if event.order != draw.ranked(event.seed, event.order) or len(event.standings) != len(event.order):
            return "order-differs"
        standings = tuple(Standing(one.groups, one.employer) for one in event.standings)
        reached = draw.first_reached(state.needs, standings)
        if tuple((one.group, one.place) for one in reached) != self.first[stream]:
            return "reached-differs"
        for place, outcome in self.answers.get(stream, ()):
            reached = tuple(replace(one, state=outcome) if one.place == place else one for one in reached)
            group = next((one.group for one in reached if one.place == place), None)
            following = None if group is None or outcome == ACCEPTED else draw.next_place(group, standings, reached)
            if group is not None and following is not None:
                reached = (*reached, Reached(group, following))
        return "" if reached == state.reached else "reached-differs"


def _freeze_fault(stream: str, state: DrawState, event: ExpertsFrozen | OptionsFrozen) -> str:
    if state.frozen is not None:
        return OUT_OF_TURN
    experts = isinstance(event, ExpertsFrozen)
    lot_code = event.request.lot_code if isinstance(event, ExpertsFrozen) else event.lot_code
    kind = EXPERTS if isinstance(event, ExpertsFrozen) else event.kind
    if kind not in drawing.KINDS or stream != f"draw/{draw_id(lot_code, event.round_no, kind, event.number)}":
        return "draw-id-differs"
    try:
        ceremony.begin(event.parties, event.trustees)
        if not experts and draw.pool_hash(event.options) != event.pool_hash:  # type: ignore[union-attr]
            return "pool-hash-differs"
    except Refused as refused:
        return refused.code
    return ""


def _ceremony_fault(state: DrawState, event: Any) -> str:
    """Commits first, all of them, all different; then each nonce once; from escrow only with enough shares."""
    parties = {one.name: one for one in state.ceremony.parties}
    party = parties.get(event.party)
    if party is None:
        return "parties-differ"
    if isinstance(event, NonceCommitted):
        return OUT_OF_TURN if party.commit or len(event.wraps) != len(state.ceremony.trustees) else ""
    if not state.ceremony.committed or party.revealed:
        return OUT_OF_TURN
    if len({one.commit for one in parties.values()}) != len(parties):
        return "commits-equal"
    if isinstance(event, EscrowOpened) and len(dict(party.shares)) < ceremony.THRESHOLD:
        return "shares-too-few"
    return ""


def _seed_fault(stream: str, state: DrawState, seed: bytes, nonces: tuple[bytes, ...]) -> str:
    try:
        state.ceremony.require_nonces(nonces)
    except Refused:
        return "commit-differs"
    frozen = state.frozen.pool_hash if state.frozen else b""
    return "" if seed == draw.seed_of(stream.partition("/")[2], frozen, nonces) else "seed-differs"


def _outcome_fault(state: DrawState, event: OutcomeRecorded) -> str:
    places = {one.place: one for one in state.reached}
    found = places.get(event.place)
    if not state.ranked or found is None or not found.stands:
        return OUT_OF_TURN
    if event.outcome not in {ACCEPTED, *draw.OUTCOMES} or (event.outcome == ACCEPTED and found.state != PENDING):
        return "reached-differs"
    if event.next_place in places or (event.outcome == ACCEPTED and event.next_place != -1):
        return "reached-twice"
    return ""


def _all_revealed(state: DrawState) -> bool:
    return all(party.revealed for party in state.ceremony.parties)
