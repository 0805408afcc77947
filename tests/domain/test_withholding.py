"""The last to reveal knows the draw before anybody else. With escrowed nonces silence changes nothing; without, it is a retry.

Draws of 5 out of 40 with fixed nonces: 2,000 here, 20,000 by `make withholding`. The last party has a friend in the pool and
keeps its nonce back whenever the friend would not be drawn. It is given more than the log gives: it knows the others' nonces.
"""

import hashlib
import os
from math import sqrt

import pytest

from node.domain import draw
from node.domain.draw import Standing

RUNS = int(os.environ.get("ERHAI_DRAWS", "2000"))
POOL, NEED = tuple(f"{n:04d}" for n in range(40)), 5
FRIEND = POOL[17]
FROZEN = draw.pool_hash(POOL)
STANDINGS = (Standing((0,)),) * len(POOL)
FAIR = NEED / len(POOL)
SIGMA = sqrt(FAIR * (1 - FAIR) / RUNS)


def nonces(run: int, attempt: int) -> list[bytes]:
    return [hashlib.sha256(f"{run}/{attempt}/{party}".encode()).digest() for party in range(3)]


def friend_sits(draw_id: str, given: list[bytes]) -> bool:
    order = draw.ranked(draw.seed_of(draw_id, FROZEN, given), POOL)
    return FRIEND in [order[one.place] for one in draw.first_reached([NEED], STANDINGS)]


def friends_share(*, escrow: bool, withhold: bool) -> float:
    """How often the friend sits over all runs."""
    hits = 0
    for run in range(RUNS):
        given = nonces(run, 0)
        sits = friend_sits(f"D-{run}", given)
        if withhold and not sits and not escrow:
            sits = friend_sits(f"D-{run}", nonces(run, 1))  # the draw is void, and another one is held
        hits += sits  # with escrow the trustees open the very nonce that was committed to
    return hits / RUNS


def test_silence_gains_nothing_where_nonces_are_escrowed():
    open_, silent = friends_share(escrow=True, withhold=False), friends_share(escrow=True, withhold=True)
    assert silent == open_
    assert abs(silent - FAIR) < 3.3 * SIGMA


def test_the_same_silence_gains_ten_points_where_they_are_not():
    silent = friends_share(escrow=False, withhold=True)
    assert silent - FAIR > 10 * SIGMA
    assert silent == pytest.approx(1 - (1 - FAIR) ** 2, abs=4 * SIGMA)  # 23.4 %
