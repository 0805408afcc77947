"""A draw as a stream (抽取): frozen, committed, revealed, ranked; who was reached and what came of it; published at the end.

draw/<lot code>-<round>-<E|K|T><number>: experts (专家), a coefficient (系数), a tie (并列).
"""

from dataclasses import dataclass, replace
from typing import Any

from node.domain import ceremony, draw
from node.domain.ceremony import CommitNonce, DrawVoided, ReleaseShare
from node.domain.draw import Reached, Standing
from node.domain.draw_proof import COEFFICIENT, TIE, drawn_of
from node.domain.drawn import (
    ACCEPTED,
    DRAWS_MOST,
    EXPERTS,
    PENDING,
    POOL_MOST,
    Accepted,
    CancelDraw,
    DrawPublished,
    DrawState,
    ExpertsFrozen,
    FreezeExperts,
    FreezeOptions,
    Held,
    OpenEscrow,
    OptionDrawn,
    OptionsFrozen,
    OutcomeRecorded,
    PlaceReached,
    PlaceStanding,
    PoolRanked,
    PublishDraw,
    RecordOutcome,
    RevealNonce,
    draw_id,
)
from node.domain.drawn_terms import options_of
from node.domain.eligibility import check_request, eligible, require_enough
from node.domain.guards import breach, require_digest, require_one_of, require_second, require_short, require_text
from node.domain.profile import Profile
from node.domain.refused import NotOffered, Refused
from node.domain.values import DAY_MS, Asked, Recorded

KINDS = (EXPERTS, COEFFICIENT, TIE)


def decide(state: DrawState, stream: str, command: object, asked: Asked) -> tuple[Any, ...]:
    """Return the events of a command about a draw. Raises Refused."""
    match command:
        case FreezeExperts():
            return _freeze_experts(state, stream, command, asked)
        case FreezeOptions():
            return _freeze_options(state, stream, command, asked)
        case _:
            return _after_freeze(state, stream, command, asked)


def _after_freeze(state: DrawState, stream: str, command: object, asked: Asked) -> tuple[Any, ...]:
    if state.frozen is None:
        raise Refused("not-frozen", rule="freeze-first")
    if state.voided:
        raise Refused("draw-void", rule="void-is-over", value=state.voided)
    match command:
        case CommitNonce():
            _require_trusted(state, asked)
            return ceremony.commit(state.ceremony, command, asked)
        case RevealNonce():
            done = ceremony.reveal(state.ceremony, command.party, command.nonce, command.sealed, asked)
            return done, *_known(state, stream, command, asked)
        case ReleaseShare():
            return (ceremony.release(state.ceremony, command, asked.profile(state.frozen.profile_id), asked),)
        case OpenEscrow():
            opened = ceremony.escrow_opened(state.ceremony, command.party, command.nonce, command.sealed)
            void = any(isinstance(one, DrawVoided) for one in opened)
            return opened if void else (*opened, *_known(state, stream, command, asked))
        case RecordOutcome():
            return (_outcome(state, stream, command, asked),)
        case CancelDraw():
            require_second(asked, command.second)
            require_text(reason=command.reason)
            require_short(reason=command.reason)
            if state.complete:
                raise Refused("draw-complete", rule="cancel-before-complete")
            return (DrawVoided("cancelled", str(asked.actor.role), command.reason),)
        case PublishDraw():
            return (_publish(state, stream, command, asked),)
        case _:
            raise NotOffered("draw/", type(command).__name__)


def _require_trusted(state: DrawState, asked: Asked) -> None:
    """Refuse a person whose false escrow ended an earlier draw of this lot: it would be worth another try each time."""
    frozen = state.frozen
    if frozen is None:
        return
    for number in range(1, frozen.number):
        before = asked.look(f"draw/{draw_id(state.lot_code, frozen.round_no, state.kind, number)}")
        if asked.actor.person == before.at_fault:
            raise Refused("party-barred", rule="false-escrow-once", value=asked.actor.person, limit=str(number))


def evolve(state: DrawState, event: object, recorded: Recorded) -> DrawState:
    """Return the state after an event."""
    match event:
        case ExpertsFrozen() | OptionsFrozen():
            return replace(state, frozen=event, ceremony=ceremony.begin(event.parties, event.trustees))
        case DrawVoided(why=why, party=party):
            false = why == ceremony.ESCROW_FALSE
            return replace(state, voided=why, at_fault=state.ceremony.party(party).person if false else "")
        case PoolRanked(reached=reached):
            return replace(state, ranked=True, reached=tuple(Reached(one.group, one.place) for one in reached))
        case OptionDrawn(seed=seed, nonces=nonces, drawn=drawn):
            opened = ceremony.published(state.ceremony, nonces)
            return replace(state, ranked=True, seed=seed, ceremony=opened, drawn=drawn)
        case OutcomeRecorded():
            return _after_outcome(state, event)
        case DrawPublished(seed=seed, nonces=nonces, order=order, standings=places):
            standings = tuple(Standing(one.groups, one.employer) for one in places)
            opened = ceremony.published(state.ceremony, nonces)
            return replace(state, seed=seed, ceremony=opened, order=order, standings=standings)
        case _:
            person = recorded.actor.partition(":")[2].partition("@")[0]
            return replace(state, ceremony=ceremony.evolve(state.ceremony, event, person, recorded.at_ms))


# -- the freeze ----------------------------------------------------------------------------------------------------------


def _freeze_experts(state: DrawState, stream: str, command: FreezeExperts, asked: Asked) -> tuple[ExpertsFrozen]:
    request = command.request
    lot = _lot_of(state, stream, command, asked)
    if lot.notice.published is None:
        raise Refused("no-notice", rule="notice-first", cites=("ZB 37",))
    if lot.panel.members:
        raise Refused("committee-formed", rule="formed-once", value=str(len(lot.panel.members)), cites=("ZB 37",))
    profile = asked.profile(lot.profile_id)
    check_request(request, profile)
    if request.session.from_ms <= asked.at_ms:
        raise Refused("session-past", rule="draw-before-session", value=str(request.session.from_ms))
    if command.second:
        require_second(asked, command.second)
        require_text(reason=command.reason)
        require_short(reason=command.reason)
        require_one_of(command.second.partition(":")[0], ("supervisor",), "second")
    _fresh(command, profile, asked)
    found = eligible(command.experts, request, profile)
    require_enough(found, request, profile, command.second)
    if len(found.pool) > POOL_MOST:
        raise Refused("pool-too-large", rule="pool-size", value=str(len(found.pool)), limit=str(POOL_MOST))
    if not command.sealed:
        raise Refused("identity-not-sealed", rule="names-secret-until-result", cites=("ZB 37",))
    require_digest(snapshot=command.snapshot)
    ceremony.begin(command.parties, command.trustees)
    return (
        ExpertsFrozen(
            request=request,
            number=command.number,
            round_no=lot.round_no,
            profile_id=lot.profile_id,
            pool_hash=draw.pool_hash(number for number, _ in found.pool),
            pool_size=len(found.pool),
            excluded=found.excluded,
            eligible=tuple(found.eligible_for(index) for index in range(len(request.groups))),
            small=found.small,
            snapshot=command.snapshot,
            snapshot_at_ms=command.snapshot_at_ms,
            sealed=command.sealed,
            parties=command.parties,
            trustees=command.trustees,
            second=command.second,
            reason=command.reason,
        ),
    )


def _freeze_options(state: DrawState, stream: str, command: FreezeOptions, asked: Asked) -> tuple[OptionsFrozen]:
    require_one_of(command.kind, (COEFFICIENT, TIE), "kind")
    lot = _lot_of(state, stream, command, asked)
    require_text(name=command.name)
    options = draw.sorted_pool(command.options)
    if len(options) < 2:
        raise Refused("options-malformed", rule="options", value=str(len(options)), limit="2")
    if command.kind == COEFFICIENT and not lot.opening.started:
        raise Refused("not-opened", rule="coefficient-after-deadline", value=command.name)
    if command.kind == TIE and not lot.evaluation.closed:
        raise Refused("scoring-open", rule="tie-after-scoring", value=command.name)
    name, declared = options_of(lot, command.kind)
    if command.name != name or set(options) != set(declared):
        raise Refused("options-differ", rule="drawn-as-declared", value=command.name, limit=name)
    ceremony.begin(command.parties, command.trustees)
    return (
        OptionsFrozen(
            kind=command.kind,
            lot_code=command.lot_code,
            number=command.number,
            round_no=lot.round_no,
            profile_id=lot.profile_id,
            name=command.name,
            options=options,
            pool_hash=draw.pool_hash(options),
            parties=command.parties,
            trustees=command.trustees,
        ),
    )


def _lot_of(state: DrawState, stream: str, command: FreezeExperts | FreezeOptions, asked: Asked) -> Any:
    """Return the lot's state, for the next draw of its kind and no other: a second try needs an end of the first."""
    if state.frozen is not None:
        raise Refused("frozen-already", rule="freeze-once", value=stream)
    experts = isinstance(command, FreezeExperts)
    lot_code = command.request.lot_code if isinstance(command, FreezeExperts) else command.lot_code
    kind, name = (EXPERTS, "") if isinstance(command, FreezeExperts) else (command.kind, command.name)
    lot = asked.look(f"lot/{lot_code}")
    if not getattr(lot, "lot_code", ""):
        raise Refused("lot-not-registered", rule="registered-first", value=lot_code)
    expected = f"draw/{draw_id(lot_code, lot.round_no, kind, command.number)}"
    if stream != expected or not 1 <= command.number <= DRAWS_MOST:
        raise Refused("draw-id-differs", rule="draw-ids", value=stream, limit=expected)
    for number in range(1, command.number):
        before = asked.look(f"draw/{draw_id(lot_code, lot.round_no, kind, number)}")
        same = experts or before.frozen is None or before.frozen.name == name
        if same and not before.over:
            raise Refused("draw-not-over", rule="no-second-draw", value=str(number), cites=("ZBT 46",))
    return lot


def _fresh(command: FreezeExperts, profile: Profile, asked: Asked) -> None:
    """Refuse a snapshot of the bank older than the profile allows, unless the supervisor has approved it."""
    bank = asked.look(f"bank/{asked.node}")
    if (bank.commitments, bank.taken_at_ms) != (command.snapshot, command.snapshot_at_ms):
        raise Refused("snapshot-differs", rule="bank-as-imported", value=command.snapshot.hex()[:16])
    rule = profile.rule("draw-snapshot-days")
    age = (asked.at_ms - command.snapshot_at_ms) // DAY_MS
    if command.snapshot_at_ms > asked.at_ms:
        raise Refused("time-ahead", rule="moments", value=str(command.snapshot_at_ms))
    if age >= profile.number(rule.id) and not command.second:
        raise breach(rule, "snapshot-old", value=age)


# -- seed, ranking, calls ------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Ranking:
    """What the seed makes of the list: who stands at which place."""

    seed: bytes
    order: tuple[str, ...]
    standings: tuple[Standing, ...]


def _known(
    state: DrawState, stream: str, command: RevealNonce | OpenEscrow, asked: Asked
) -> tuple[PoolRanked | OptionDrawn, ...]:
    """Return the outcome when this nonce is the last one; nothing before."""
    frozen = state.frozen
    if not state.ceremony.last_to_reveal(command.party) or frozen is None:
        return ()
    if isinstance(frozen, ExpertsFrozen):
        ranking = _ranking(state, stream, command.held, asked)
        first = draw.first_reached(state.needs, ranking.standings)
        return (PoolRanked(tuple(PlaceReached(one.group, one.place) for one in first)),)
    nonces = command.held.nonces if command.held else ()
    state.ceremony.require_nonces(nonces)
    seed = draw.seed_of(stream.partition("/")[2], frozen.pool_hash, nonces)
    return (OptionDrawn(seed, nonces, drawn_of(frozen.kind, seed, frozen.name, frozen.options)),)


def _ranking(state: DrawState, stream: str, held: Held | None, asked: Asked) -> _Ranking:
    """Return the one ranking from what the room holds. Raises Refused where that is not what was frozen and committed to."""
    frozen = state.frozen
    if not isinstance(frozen, ExpertsFrozen) or held is None:
        raise Refused("pool-differs", rule="pool-as-frozen")
    state.ceremony.require_nonces(held.nonces)
    listed = {number: (groups, employer) for number, groups, employer in held.listed}
    if not listed or len(listed) != len(held.listed) or draw.pool_hash(listed) != frozen.pool_hash:
        raise Refused("pool-differs", rule="pool-as-frozen", value=str(len(listed)), limit=str(frozen.pool_size))
    seed = draw.seed_of(stream.partition("/")[2], frozen.pool_hash, held.nonces)
    order = draw.ranked(seed, listed)
    if asked.profile(frozen.profile_id).flag("draw-same-employer"):
        return _Ranking(seed, order, tuple(Standing(listed[number][0]) for number in order))
    # Numbered as they come up: a number in the list's own order would tell whoever knows the bank which employer it is.
    numbers: dict[int, int] = {}
    for number in order:
        numbers.setdefault(listed[number][1], len(numbers))
    return _Ranking(seed, order, tuple(Standing(listed[no][0], numbers[listed[no][1]]) for no in order))


def _outcome(state: DrawState, stream: str, command: RecordOutcome, asked: Asked) -> OutcomeRecorded:
    found = next((one for one in state.reached if one.place == command.place), None)
    if found is None:
        raise Refused("not-reached", rule="in-order", value=str(command.place))
    require_one_of(command.outcome, (ACCEPTED, *draw.OUTCOMES), "outcome")
    calls = {"declined", "no-answer", ACCEPTED}
    if (found.state == PENDING) != (command.outcome in calls) or not found.stands:
        raise Refused("outcome-differs", rule="outcomes-follow", value=command.outcome, limit=found.state)
    if command.outcome == ACCEPTED:
        require_digest(who=command.who)
        if not command.sealed:
            raise Refused("identity-not-sealed", rule="names-secret-until-result", cites=("ZB 37",))
        return OutcomeRecorded(command.place, command.outcome, command.who, command.sealed, -1)
    ranking = _ranking(state, stream, command.held, asked)
    reached = _marked(state.reached, command.place, command.outcome)
    place = draw.next_place(found.group, ranking.standings, reached)
    return OutcomeRecorded(command.place, command.outcome, b"", b"", -1 if place is None else place)


def _marked(reached: tuple[Reached, ...], place: int, outcome: str) -> tuple[Reached, ...]:
    return tuple(Reached(one.group, one.place, outcome) if one.place == place else one for one in reached)


def _after_outcome(state: DrawState, event: OutcomeRecorded) -> DrawState:
    reached = _marked(state.reached, event.place, event.outcome)
    accepted = tuple(one for one in state.accepted if one.place != event.place)
    if event.outcome == ACCEPTED:
        return replace(state, reached=reached, accepted=(*accepted, Accepted(event.place, event.who, event.sealed)))
    gone = tuple((one.who, event.outcome) for one in state.accepted if one.place == event.place)
    state = replace(state, gone=(*state.gone, *gone))
    group = next(one.group for one in reached if one.place == event.place)
    if event.next_place >= 0:
        reached = (*reached, Reached(group, event.next_place))
    return replace(state, reached=reached, accepted=accepted)


def names_sealed(lot: Any) -> bool:
    """Return whether the names of a lot's committee are still secret: until its evaluation is over (ZB 37)."""
    return not lot.evaluation.reported_at_ms and not lot.project.ended


def _publish(state: DrawState, stream: str, command: PublishDraw, asked: Asked) -> DrawPublished:
    if state.kind != EXPERTS or state.frozen is None:
        raise Refused("draw-published", rule="published-once", value=state.kind)
    if state.order:
        raise Refused("draw-published", rule="published-once")
    lot = asked.look(f"lot/{state.lot_code}")
    if names_sealed(lot):
        raise Refused("draw-sealed", rule="published-after-evaluation", cites=("ZB 37",))
    if not state.ranked:
        raise Refused("draw-incomplete", rule="drawn-in-order")
    ranking = _ranking(state, stream, command.held, asked)
    standings = tuple(PlaceStanding(one.groups, one.employer) for one in ranking.standings)
    return DrawPublished(ranking.seed, command.held.nonces, ranking.order, standings)
