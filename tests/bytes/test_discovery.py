"""What is made of announcements: hints for expected names, bounded, proven ones first, one alarm a cause."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.announce import read_txt
from sync.discovery import (
    ADDRESSES,
    ANNOUNCERS,
    FLOOD,
    REST_MS,
    SERVICE,
    STRANGERS,
    Announcement,
    Hints,
    node_of,
    txt_of,
)

NOW = 1_790_000_000_000
B = "532924-room-1-b"


def name(node: str = B) -> str:
    return f"{node}.{SERVICE}"


def said(
    *addresses: str, node: str = B, server: str = "b.local.", port: int = 8444, txt: dict | None = None
) -> Announcement:
    texts = {key.encode(): value.encode() for key, value in txt_of(node=node, role="county", room="r-1").items()}
    return Announcement(name(node), server, port, addresses, texts | (txt or {}))


def hints() -> Hints:
    return Hints(own="a", expected=[B])


def causes(one: Hints, now: int = NOW) -> dict[str, int]:
    return {alarm.cause: alarm.count for alarm in one.alarms(now)}


def test_an_announced_peer_can_be_dialled_and_nobody_else() -> None:
    found = hints()
    assert found.where(B, NOW) == ""
    found.take(said("192.0.2.5"), NOW)
    found.take(said("192.0.2.6", node="c"), NOW)
    assert (found.where(B, NOW), found.where("c", NOW), causes(found)) == ("https://192.0.2.5:8444", "", {})


@pytest.mark.parametrize(
    "bad",
    [
        said(),
        said("224.0.0.1"),
        said("0.0.0.0"),  # noqa: S104
        said("fe80::1"),
        said("not an address"),
        said("192.0.2.5", port=0),
        said("192.0.2.5", port=70_000),
        said("192.0.2.5", server=""),
        said("192.0.2.5", server="a b"),
        said("192.0.2.5", server="x" * 300),
        said("192.0.2.5", txt={b"v": b"2"}),
        said("192.0.2.5", txt={b"v": None}),
        said("192.0.2.5", txt={b"node": b"c"}),
        said("192.0.2.5", txt={b"role": b"root"}),
        said("192.0.2.5", txt={b"room": b"\xff<script>"}),
        said("192.0.2.5", txt={b"room": None}),
        said("192.0.2.5", txt={b"x": b"y" * 255}),
        said("192.0.2.5", txt={bytes([n]): b"" for n in range(32)}),
        Announcement(f"x.y.{SERVICE}", "b.local.", 8444, ("192.0.2.5",), said().txt),
        Announcement("b._http._tcp.local.", "b.local.", 8444, ("192.0.2.5",), said().txt),
    ],
)
def test_what_is_malformed_is_kept_out_and_counted_as_one_alarm(bad: Announcement) -> None:
    found = hints()
    found.take(bad, NOW)
    found.take(bad, NOW)
    assert (found.where(B, NOW), causes(found)) == ("", {"malformed-announcement": 2})


def test_a_second_announcer_of_the_same_name_does_not_displace_a_proven_one() -> None:
    found = hints()
    found.take(said("192.0.2.5"), NOW)
    found.proved(B, "https://192.0.2.5:8444")
    for port in range(1, 200):
        found.take(said("192.0.2.66", server="rogue.local.", port=port), NOW)
    assert found.where(B, NOW) == "https://192.0.2.5:8444"
    assert causes(found) == {"second-announcer": 199}
    found.gone(name())  # a goodbye that anybody can send
    assert found.where(B, NOW) == "https://192.0.2.5:8444"


def test_a_rogue_that_came_first_rests_once_its_certificate_was_seen_and_the_peer_gets_its_turn() -> None:
    found = hints()
    found.take(said("192.0.2.66", server="rogue.local."), NOW)
    found.take(said("192.0.2.5"), NOW)
    assert found.where(B, NOW) == "https://192.0.2.66:8444"
    found.failed(B, "https://192.0.2.66:8444", "foreign-certificate", NOW)
    assert found.where(B, NOW) == "https://192.0.2.5:8444"
    found.proved(B, "https://192.0.2.5:8444")
    assert causes(found) == {"second-announcer": 1, "impostor": 1}


def test_a_proven_peer_that_is_gone_from_its_address_is_looked_for_at_the_others() -> None:
    found = hints()
    found.take(said("192.0.2.5"), NOW)
    found.proved(B, "https://192.0.2.5:8444")
    found.take(said("192.0.2.9", server="b-2.local."), NOW)
    found.failed(B, "https://192.0.2.5:8444", "peer-certificate", NOW)
    assert found.where(B, NOW) == "https://192.0.2.5:8444"
    found.failed(B, "https://192.0.2.5:8444", "unreachable", NOW)
    assert found.where(B, NOW) == "https://192.0.2.9:8444"
    found.failed(B, "https://192.0.2.9:8444", "unreachable", NOW)
    assert found.where(B, NOW) == "https://192.0.2.5:8444"


def test_each_address_of_one_announcer_gets_its_turn() -> None:
    found = hints()
    found.take(said("192.0.2.5", "2001:db8::5"), NOW)
    found.failed(B, found.where(B, NOW), "unreachable", NOW)
    assert found.where(B, NOW) == "https://[2001:db8::5]:8444"
    assert causes(found) == {}


def test_an_alarm_stays_while_two_announcers_stand_and_clears_when_it_was_quiet() -> None:
    found = hints()
    found.take(said("192.0.2.5"), NOW)
    found.take(said("192.0.2.66", server="rogue.local."), NOW)
    found.take(said("192.0.2.66", port=0), NOW)
    late = NOW + 10 * REST_MS
    assert causes(found, NOW) == {"second-announcer": 1, "malformed-announcement": 1}
    assert causes(found, late) == {"second-announcer": 1}
    found.gone(name())
    assert causes(found, late) == {}


def test_another_machine_under_the_own_name_is_an_alarm_and_the_own_announcement_is_none() -> None:
    found = hints()
    found.announced_by_us("a.local.", 8444)
    found.take(said("192.0.2.4", node="a", server="A.local."), NOW)
    assert causes(found) == {}
    found.take(said("192.0.2.66", node="a", server="rogue.local."), NOW)
    assert causes(found) == {"second-announcer": 1}


def test_a_flood_of_5_000_names_keeps_a_few_raises_one_alarm_and_displaces_nobody() -> None:
    found = hints()
    found.take(said("192.0.2.5"), NOW)
    wanted = [node for node in (f"n{n}" for n in range(5_000)) if found.wants(name(node), NOW)]
    assert (wanted, len(found.strangers)) == ([], STRANGERS)
    assert found.strangers[-1] == f"n{FLOOD - 1}"  # what came after is not even remembered
    assert causes(found) == {"discovery-flood": 5_000 - FLOOD}
    assert found.wants(name(), NOW)
    assert found.where(B, NOW) == "https://192.0.2.5:8444"
    assert causes(found, NOW + REST_MS + 1) == {}
    assert not found.wants(name("later"), NOW + 120_000)
    assert found.strangers[-1] == "later"


SERVERS = st.sampled_from([f"s{n}.local." for n in range(12)])
IPS = st.sampled_from([f"192.0.2.{n}" for n in range(1, 30)] + ["::1", "junk"])
DOINGS = st.one_of(
    st.tuples(st.just("take"), SERVERS, st.lists(IPS, max_size=20), st.integers(0, 70_000)),
    st.tuples(st.just("failed"), st.sampled_from(["unreachable", "foreign-certificate", "not-tls", "busy"])),
    st.tuples(st.just("proved")),
    st.tuples(st.just("gone")),
    st.tuples(st.just("later"), st.integers(0, 2 * REST_MS)),
)


@given(st.lists(DOINGS, max_size=60))
def test_whatever_is_announced_hints_and_alarms_are_bounded_and_a_proven_address_stays(doings) -> None:
    found, now, proven = hints(), NOW, ""
    for kind, *rest in doings:
        url = found.where(B, now)
        if kind == "take":
            found.take(said(*rest[1], server=rest[0], port=rest[2]), now)
        elif kind == "failed" and url:
            found.failed(B, url, rest[0], now)
            proven = "" if rest[0] != "busy" else proven
        elif kind == "proved" and url:
            found.proved(B, url)
            proven = url
        elif kind == "gone":
            found.gone(name())
        elif kind == "later":
            now += rest[0]
        if proven and kind != "take":
            assert found.where(B, now) == proven
        (known,) = found._known.values()
        assert len(known.candidates) <= ANNOUNCERS
        assert all(len(one.urls) <= ADDRESSES for one in known.candidates)
        assert len(known.failed) <= ANNOUNCERS * ADDRESSES + 1
        assert len(found.alarms(now)) <= 6
    assert sys.getsizeof(found._disproved) < 20_000


@pytest.mark.parametrize(
    ("instance", "node"),
    [(name(), B), (SERVICE, None), ("b", None), (f"B.{SERVICE}", None), (f"b (2).{SERVICE}", None), (name("-"), None)],
)
def test_only_a_plain_node_code_is_a_name(instance: str, node: str | None) -> None:
    assert node_of(instance) == node


def test_nothing_secret_is_announced() -> None:
    assert set(txt_of(node=B, role="county", room="r")) == {"v", "node", "role", "room"}


@given(st.binary(max_size=400))
def test_any_text_record_is_read_without_a_fault(data: bytes) -> None:
    assert sum(len(key) + len(value or b"") for key, value in read_txt(data).items()) <= len(data)


def test_a_text_record_is_read_as_the_standard_says() -> None:
    assert read_txt(b"\x03v=1\x04V=22\x04flag\x02x=\x00\x03=no") == {b"v": b"1", b"flag": None, b"x": b""}


def test_an_enrolled_peer_with_an_address_is_neither_looked_for_nor_a_stranger() -> None:
    found = Hints(own="a", expected=[B], enrolled=[B, "prefecture", "with-url"])
    for node in ("with-url", "prefecture", "unknown"):
        assert not found.wants(name(node), NOW)
    assert found.wants(name(B), NOW)
    assert found.strangers == ("unknown",)
