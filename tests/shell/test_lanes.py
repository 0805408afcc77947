"""Who may send next on one line: by table, and by any interleaving of what the lanes ask."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.settings import SettingsFault, parse_settings
from sync.lanes import PIECE, Lane, Lanes


def test_without_a_cap_and_without_entries_everything_goes_at_once() -> None:
    lanes = Lanes()
    assert [lanes.wait_s(lane, PIECE, 0.0) for lane in Lane for _ in range(100)] == [0.0] * 300


@pytest.mark.parametrize(
    ("cap_kbit_s", "piece"), [(0, PIECE), (8, 1_024), (64, 2_000), (1_000, 31_250), (100_000, PIECE)]
)
def test_a_piece_under_a_cap_is_about_a_quarter_of_a_second(cap_kbit_s: int, piece: int) -> None:
    assert Lanes(cap_kbit_s).piece == piece


def test_a_negative_cap_is_refused() -> None:
    with pytest.raises(ValueError, match="-1"):
        Lanes(-1)


def sent_in(lanes: Lanes, lane: Lane, seconds: float, size: int) -> int:
    """Send as much as is allowed for so long; return the bytes."""
    now_s, sent = 0.0, 0
    while now_s < seconds:
        wait_s = lanes.wait_s(lane, size, now_s)
        sent += 0 if wait_s else size
        now_s += wait_s
    return sent


@pytest.mark.parametrize("cap_kbit_s", [8, 64, 1_000, 10_000])
def test_a_cap_holds_over_a_minute_and_is_used_up(cap_kbit_s: int) -> None:
    lanes = Lanes(cap_kbit_s)
    sent = sent_in(lanes, Lane.ENTRIES, 60.0, lanes.piece)
    allowed = cap_kbit_s * 125 * 60
    assert 0.99 * allowed <= sent <= allowed + 2 * lanes.piece


def test_a_checkpoint_goes_at_once_under_a_cap_and_is_paid_for_by_the_others() -> None:
    lanes = Lanes(8)
    while lanes.wait_s(Lane.ENTRIES, 1_000, 0.0) == 0.0:
        pass
    before_s = lanes.wait_s(Lane.ENTRIES, 1_000, 0.0)
    assert lanes.wait_s(Lane.CHECKPOINT, 500, 0.0) == 0.0
    assert lanes.wait_s(Lane.ENTRIES, 1_000, 0.0) == pytest.approx(before_s + 0.5)


def test_blobs_wait_for_entries_and_then_take_as_much_as_they() -> None:
    lanes = Lanes()
    with lanes.entries_wait(0.0):
        assert lanes.wait_s(Lane.BLOBS, 8_000, 0.0) > 0
        assert lanes.wait_s(Lane.ENTRIES, 8_000, 0.0) == 0.0
        assert lanes.wait_s(Lane.BLOBS, 8_000, 0.1) > 0, "handed to the kernel is not yet carried"
        lanes.acknowledged(Lane.ENTRIES, 8_000, 0.2)
        assert lanes.wait_s(Lane.BLOBS, 8_000, 0.2) == 0.0
        assert lanes.wait_s(Lane.BLOBS, 8_000, 0.3) > 0
    assert lanes.wait_s(Lane.BLOBS, 8_000, 0.3) == 0.0, "no entries, no waiting"


def test_blobs_trickle_where_entries_wait_for_something_else_than_the_line() -> None:
    lanes = Lanes()
    with lanes.entries_wait(0.0):
        sent = sent_in(lanes, Lane.BLOBS, 20.0, 8_000)
    assert 8 * 8_000 <= sent <= 10 * 8_000


steps = st.lists(
    st.tuples(st.sampled_from(["ack", "blob", "wait"]), st.integers(1, PIECE), st.floats(0.0, 0.5)), max_size=200
)


@given(steps)
def test_blobs_never_pass_half_of_the_line_while_entries_move(taken: list[tuple[str, int, float]]) -> None:
    lanes, now_s = Lanes(), 0.0
    entries = blobs = 0
    with lanes.entries_wait(now_s):
        for what, size, after_s in taken:
            now_s += after_s
            if what == "ack":
                lanes.acknowledged(Lane.ENTRIES, size, now_s)
                entries += size
            elif what == "blob" and lanes.wait_s(Lane.BLOBS, size, now_s) == 0.0:
                blobs += size
            idle_pieces = int(now_s / 2.0)
            assert blobs <= entries + idle_pieces * PIECE


@given(st.lists(st.tuples(st.sampled_from(list(Lane)), st.integers(1, 1_024), st.floats(0.0, 1.0)), max_size=200))
def test_no_interleaving_passes_the_cap_by_more_than_its_checkpoints(asked: list[tuple[Lane, int, float]]) -> None:
    lanes, now_s, sent = Lanes(16), 0.0, 0
    for lane, size, after_s in asked:
        now_s += after_s
        if lanes.wait_s(lane, size, now_s) == 0.0 and lane is not Lane.CHECKPOINT:
            sent += size
    assert sent <= 2_000 * now_s + lanes.piece + 1_024


PEER = """
role = "county"
node = "a"
origin = "o"
data = "d"
pages_port = 1
sync_port = 2
centre_name = "c"
room_name = "r"
[[peers]]
name = "p"
kind = "county"
origin = "o"
log_vkey = "k"
cosigner_vkey = "k"
"""


def test_a_cap_is_a_setting_of_a_peer_and_none_is_the_default() -> None:
    assert parse_settings(PEER, Path()).peers[0].cap_kbit_s == 0
    assert parse_settings(PEER + "cap_kbit_s = 512\n", Path()).peers[0].cap_kbit_s == 512


@pytest.mark.parametrize("cap", ["-1", "7", "true", "1.5", '"64"', "10000001"])
def test_a_cap_that_nobody_can_mean_is_refused(cap: str) -> None:
    with pytest.raises(SettingsFault, match="cap_kbit_s"):
        parse_settings(f"{PEER}cap_kbit_s = {cap}\n", Path())
