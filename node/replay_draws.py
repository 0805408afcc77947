"""A draw computed again from its entries (抽取重演): nonces as committed, seed, drawn option, and the published order."""

from node.domain import draw
from node.domain.ceremony import EscrowOpened, NonceRevealed
from node.domain.drawn import COEFFICIENT, DrawPublished, DrawState, OptionDrawn, OptionsFrozen, PoolRanked
from node.escrow import combined
from node.replay_seals import Problem


def judge_draw(stream: str, state: DrawState, events: tuple[object, ...]) -> tuple[Problem, ...]:
    """Return what does not follow in one entry of a draw; `state` is the draw after it."""
    found: list[Problem] = []
    for event in events:
        match event:
            case OptionsFrozen(options=options, pool_hash=frozen):
                if draw.pool_hash(options) != frozen:
                    found.append(Problem("pool-differs"))
            case NonceRevealed(party=name, nonce=nonce) | EscrowOpened(party=name, nonce=nonce):
                party = state.ceremony.party(name)
                if not draw.fits(nonce, party.commit):
                    found.append(Problem("nonce-differs", name))
                if isinstance(event, EscrowOpened) and combined(party) != nonce:
                    found.append(Problem("escrow-differs", name))
            case PoolRanked(seed=seed) | OptionDrawn(seed=seed):
                found += _outcome(stream, state, seed, event)
            case DrawPublished(order=order):
                if state.frozen is None or draw.pool_hash(order) != state.frozen.pool_hash:
                    found.append(Problem("pool-differs"))
                elif order != draw.ranked(state.seed, order):
                    found.append(Problem("order-differs"))
            case _:
                pass
    return tuple(found)


def _outcome(stream: str, state: DrawState, seed: bytes, event: PoolRanked | OptionDrawn) -> list[Problem]:
    frozen, nonces = state.frozen, tuple(party.nonce for party in state.ceremony.parties)
    if frozen is None or not all(nonces) or seed != draw.seed_of(stream.partition("/")[2], frozen.pool_hash, nonces):
        return [Problem("seed-differs")]
    if not isinstance(event, OptionDrawn) or not isinstance(frozen, OptionsFrozen):
        return []
    if frozen.kind == COEFFICIENT:
        wanted: tuple[str, ...] = (draw.drawn_option(seed, frozen.name, frozen.options),)
    else:
        wanted = draw.tie_order(seed, frozen.name, frozen.options)
    return [] if event.drawn == wanted else [Problem("drawn-differs", ", ".join(event.drawn))]
