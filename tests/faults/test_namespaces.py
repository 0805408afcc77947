"""Three namespaces, real TCP over a wire that is thin, loses frames, is cut, flaps and heals: nothing is lost, nobody is stuck."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.line_pair import ENTRY
from tests.faults.namespaces import County, until, why_not

WHY_NOT = why_not()
if WHY_NOT:
    print(f"test_namespaces: skipped: {WHY_NOT}")
pytestmark = pytest.mark.skipif(bool(WHY_NOT), reason=WHY_NOT)


@pytest.fixture
def county(tmp_path: Path) -> Iterator[County]:
    with County(tmp_path) as made:
        yield made


def same_bytes(county: County, at: str, of: str) -> bool:
    origin = county.origins[of]
    return county.show(at)["roots"].get(origin) == county.show(of)["roots"][origin]


def test_a_thin_long_wire_is_used_to_nine_tenths_of_what_its_frames_leave(county: County) -> None:
    rate = 8_000
    county.wire("a", rate=rate, delay_s=0.3)
    count = 256 * 4
    county.append("a", count)
    county.push("a", "p")
    seen: list[tuple[float, int]] = []
    while not seen or seen[-1][1] < count:
        shown = county.show("p")
        size = shown["sizes"].get(county.origins["a"], 0)
        if size > (seen[-1][1] if seen else 0):
            seen.append((shown["now_s"], size))
        time.sleep(0.05)
    (began_s, first), (ended_s, end) = seen[1], seen[-1]  # before, the line was being learnt
    goodput = (end - first) * ENTRY / (ended_s - began_s)
    payload = rate * 1_448 / 1_514  # what Ethernet, IP and TCP leave of a full frame
    print(f"goodput {goodput / rate:.1%} of the frames' rate, {goodput / payload:.1%} of their payload")
    assert goodput >= 0.9 * payload
    until(lambda: county.cosigned("a", "a", "p") == count)


def test_a_mark_that_the_neighbour_cosigned_survives_its_node_and_reaches_the_prefecture(county: County) -> None:
    """a's wire is cut, a records, b cosigns, a is lost for good: the prefecture gets all of it by b."""
    county.push("a", "b")
    county.push("a", "p")
    county.push("b", "p", log="a")
    county.append("a", 300)
    until(lambda: county.cosigned("a", "a", "p") == 300)
    county.wire("a", up=False)
    county.append("a", 40, 300)
    until(lambda: county.cosigned("a", "a", "b") == 340)
    root = county.show("a")["roots"][county.origins["a"]]
    county.kill("a")
    until(lambda: county.size("p", "a") == 340)
    assert county.show("p")["roots"][county.origins["a"]] == root
    until(lambda: county.cosigned("b", "a", "p") == 340)


def test_a_cut_wire_is_found_silent_its_neighbour_relays_and_both_end_current(county: County) -> None:
    for name in "ab":
        county.wire(name, rate=100_000, delay_s=0.03)
    count = 256 * 16
    county.append("a", count)
    county.push("a", "b")
    until(lambda: county.cosigned("a", "a", "b") == count)
    county.push("a", "p")
    until(lambda: county.size("p", "a") >= 512)
    county.wire("a", up=False)
    found_s = until(lambda: county.show("a")["pushes"]["a-p"]["state"] == "offline")
    county.push("b", "p", log="a")
    until(lambda: county.cosigned("b", "a", "p") == count)
    county.wire("a", up=True)
    back_s = until(lambda: county.show("a")["pushes"]["a-p"]["state"] == "current")
    print(f"silence found after {found_s:.1f} s; current {back_s:.1f} s after the wire was back")
    assert same_bytes(county, "p", "a")
    assert county.cosigned("a", "a", "p") == count


def test_a_wire_that_flaps_each_three_seconds_gets_everything_through(county: County) -> None:
    county.wire("a", rate=64_000, delay_s=0.05)
    count = 256 * 8
    county.append("a", count)
    county.push("a", "p")
    sizes = [0]
    while sizes[-1] < count and len(sizes) < 12:
        time.sleep(3)
        county.wire("a", up=False)
        time.sleep(3)
        sizes.append(county.size("p", "a"))
        county.wire("a", up=True)
    until(lambda: county.cosigned("a", "a", "p") == count)
    up, _ = county.wire("a")
    print(f"stored {sizes}; carried {up / (count * ENTRY):.2f} times the entries")
    assert sizes[-1] == count
    assert same_bytes(county, "p", "a")


def test_a_wire_that_loses_one_frame_in_twenty_carries_on(county: County) -> None:
    county.wire("a", rate=64_000, delay_s=0.05, loss=0.05)
    county.append("a", 600)
    county.push("a", "p")
    until(lambda: county.cosigned("a", "a", "p") == 600)
    assert same_bytes(county, "p", "a")
