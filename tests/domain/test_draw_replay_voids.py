"""A draw's void in a log names one of its own parties and its ground, or does not follow (抽取作废)."""

import pytest

from node.domain import draw
from node.domain.ceremony import DrawVoided, Trustee
from node.domain.draw_proof import COEFFICIENT
from node.domain.draw_replay import Replay
from node.domain.drawn import OptionsFrozen, draw_id
from node.domain.values import Recorded

STREAM = f"draw/{draw_id('L', 1, COEFFICIENT, 1)}"
RECORDED = Recorded(1, "operator:x@", "o", 1, b"")
FROZEN = OptionsFrozen(
    kind=COEFFICIENT,
    lot_code="L",
    number=1,
    round_no=1,
    profile_id="p",
    name="c",
    options=("1", "2"),
    pool_hash=draw.pool_hash(("1", "2")),
    parties=("CENTER", "SUPERVISOR", "TENDERER"),
    trustees=tuple(Trustee(f"t{i}", bytes([i]) * 32) for i in range(5)),
)


@pytest.mark.parametrize(
    ("void", "code"),
    [
        (DrawVoided("escrow-false", "NOBODY", ""), "parties-differ"),
        (DrawVoided("commits-equal", "NOBODY", ""), "parties-differ"),
        (DrawVoided("escrow-false", "TENDERER", ""), "void-unfounded"),
        (DrawVoided("cancelled", "operator", "x"), "void-unfounded"),
    ],
)
def test_a_void_by_a_stranger_or_without_its_ground_is_named(void: DrawVoided, code: str) -> None:
    told = Replay()
    assert told.tell(STREAM, FROZEN, RECORDED) == ""
    assert told.tell(STREAM, void, RECORDED) == code
