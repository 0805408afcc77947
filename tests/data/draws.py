"""Draws to test with: the published vector D-1, and whole random draws played by the product's own rules."""

import random
from collections.abc import Sequence

from node.domain import draw
from node.domain.draw import Reached, Standing
from node.domain.draw_proof import PARTIES, OptionProof, Proof, ProofGroup, ProofParty, drawn_of

POOL = tuple(f"532924{n:04d}" for n in range(1, 13))
DRAW_ID = "DRAW-20260320-0001"
NONCES = (bytes(32), b"\x11" * 32, b"\x22" * 32)
POOL_HASH = "8fa5ec18abda50a667e8c4cdaf333708615f6cfb12fe6c77113ddf8006d3108e"
COMMITS = (
    "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925",
    "02d449a31fbb267c8f352e9968a79e3e5fc95c1bbeaa502fd6454ebde5a4bedc",
    "9f72ea0cf49536e3c66c787f705186df9a4378083753ae9536d65b3ad7fcddc4",
)
SEED = "20ae868162ea4afe8073ff0777364aac3fb7cce639d48f4ca89f58d6b1d91b00"
ORDER = tuple(
    f"532924{n}"
    for n in ["0005", "0004", "0008", "0009", "0003", "0012", "0002", "0007", "0011", "0001", "0006", "0010"]
)
COMMITTEE = tuple(f"532924{n}" for n in ["0005", "0004", "0009", "0012", "0002"])


def parties(nonces: Sequence[bytes], sources: Sequence[str] = ()) -> tuple[ProofParty, ...]:
    return tuple(
        ProofParty(
            name=(*PARTIES, "BIDDER-1", "BIDDER-2")[at],
            commit=draw.commit_of(nonce).hex(),
            nonce=nonce.hex(),
            source=sources[at] if sources else "reveal",
        )
        for at, nonce in enumerate(nonces)
    )


def vector() -> Proof:
    """D-1: five are needed, 0008 declines, 0003 does not answer."""
    passed = (("5329240008", "declined"), ("5329240003", "no-answer"))
    group = ProofGroup(name="工程", need=5, taken=COMMITTEE, passed=passed)
    return Proof(
        draw_id=DRAW_ID,
        pool=POOL,
        pool_hash=POOL_HASH,
        parties=parties(NONCES),
        seed=SEED,
        order=ORDER,
        groups=(group,),
    )


def coefficient() -> OptionProof:
    """K of D-1's seed is index 4 of five; here the pool is the options, so the seed is another."""
    return option_proof("coefficient", "K", ("0.95", "0.96", "0.97", "0.98", "0.99"))


def tie() -> OptionProof:
    """Three tied bids in drawn order."""
    return option_proof("tie", "tie", ("P-1", "P-2", "P-3"))


def option_proof(kind: str, name: str, options: tuple[str, ...]) -> OptionProof:
    frozen = draw.pool_hash(options)
    seed = draw.seed_of(DRAW_ID, frozen, NONCES)
    return OptionProof(
        draw_id=DRAW_ID,
        kind=kind,
        name=name,
        options=options,
        pool_hash=frozen.hex(),
        parties=parties(NONCES, ["reveal", "escrow", "reveal"]),
        seed=seed.hex(),
        drawn=drawn_of(kind, seed, name, options),
    )


def groups_of(
    order: Sequence[str], needs: Sequence[int], standings: Sequence[Standing], reached: Sequence[Reached]
) -> tuple[ProofGroup, ...]:
    """What a proof says of groups that reached these."""
    found = []
    for group, need in enumerate(needs):
        own = {one.place: one.state for one in reached if one.group == group}
        passed = draw.skipped(group, need, standings, reached)
        passed |= {place: state for place, state in own.items() if state in draw.OUTCOMES}
        taken = tuple(order[place] for place in sorted(own) if own[place] == "accepted")
        listed = tuple((order[place], passed[place]) for place in sorted(passed))
        found.append(ProofGroup(name=f"G{group + 1}", need=need, taken=taken, passed=listed))
    return tuple(found)


def played(needs: Sequence[int], standings: Sequence[Standing], chance: random.Random, decline: float) -> list[Reached]:
    """Everybody who is reached answers, in any order; some do not come, also after they had accepted."""
    reached = list(draw.first_reached(needs, standings))
    for _ in range(500):
        waiting = [at for at, one in enumerate(reached) if one.state == "pending"]
        late = [at for at, one in enumerate(reached) if one.state == "accepted"]
        if not waiting:
            return reached
        at = chance.choice(waiting)
        fails = chance.random() < decline
        if late and chance.random() < decline / 4:
            at, fails = chance.choice(late), True
        one = reached[at]
        reached[at] = Reached(one.group, one.place, chance.choice(draw.OUTCOMES) if fails else "accepted")
        place = draw.next_place(one.group, standings, reached) if fails else None
        if place is not None:
            reached.append(Reached(one.group, place))
    raise AssertionError("a draw that does not end")


def random_proof(seed: int) -> Proof:
    """One whole draw: pool, groups, employers and answers by this seed."""
    chance = random.Random(seed)
    pool = draw.sorted_pool({f"53{chance.randrange(10**8):08d}" for _ in range(chance.randrange(6, 60))})
    nonces = [chance.randbytes(32) for _ in range(chance.choice([3, 3, 4, 5]))]
    sources = [chance.choice(["reveal", "reveal", "escrow"]) for _ in nonces]
    draw_id = f"DRAW-{chance.randrange(10**6)}"
    frozen = draw.pool_hash(pool)
    drawn = draw.seed_of(draw_id, frozen, nonces)
    order = draw.ranked(drawn, pool)
    needs = [chance.randrange(1, 5) for _ in range(chance.randrange(1, 4))]
    everything = tuple(range(len(needs)))
    standings = []
    for _ in order:
        groups = tuple(group for group in everything if chance.random() < 0.7) or everything[:1]
        standings.append(Standing(groups, chance.randrange(len(pool)) if seed % 2 else -1))
    reached = played(needs, standings, chance, chance.choice([0.0, 0.2, 0.6]))
    return Proof(
        draw_id=draw_id,
        pool=pool,
        pool_hash=frozen.hex(),
        parties=parties(nonces, sources),
        seed=drawn.hex(),
        order=order,
        groups=groups_of(order, needs, standings, reached),
    )
