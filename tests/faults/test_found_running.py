"""Running nodes of a room that were given no address of each other, and a neighbour whose certificate was revoked."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import pytest

from node.ask_peers import found_before
from node.settings import Settings, SettingsFault, load_settings
from sync.certs import Authority
from sync.crl import issue_crl
from sync.keys import load_identity
from sync.status import LinkState
from tests.faults.test_running_room import free_base, incident, until
from tests.shell.judged_room import age, serial_of
from web.alarms import alarm_rows
from web.demo import world as worlds
from web.demo.world import CODES, World, make_world
from web.render import bar_of
from web.serve import running


@pytest.fixture
def made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[World, Authority]:
    kept: list[Authority] = []
    make = worlds.make_authority
    monkeypatch.setattr(worlds, "make_authority", lambda *args, **kwargs: kept.append(make(*args, **kwargs)) or kept[0])
    return make_world(tmp_path / "world", free_base()), kept[0]


def addressless(world: World, node: str) -> Settings:
    settings = load_settings(world.data(node) / "erhai.toml")
    peers = tuple(replace(peer, url="") if peer.kind == "room" else peer for peer in settings.peers)
    return replace(settings, peers=peers, discover=True, witness="preferred")


async def test_two_nodes_without_addresses_find_each_other_and_remember_where(made) -> None:
    world, _ = made
    async with running(addressless(world, "a")) as a, running(addressless(world, "b")):
        await incident(a, "发现邻机")
        await until(lambda: a.witness.held == a.recorder.log.size == 1)
        assert [alarm.cause for alarm in a.trust_alarms] == []
    # at its next start the gate asks where the neighbour was last
    asked = found_before(addressless(world, "a"))
    assert {peer.name: peer.url for peer in asked.peers}[CODES["b"]] == f"https://127.0.0.1:{world.sync('b')}"


async def test_a_revoked_neighbour_is_refused_and_both_bars_say_so_in_their_own_words(made) -> None:
    world, authority = made
    settings = [replace(load_settings(world.data(node) / "erhai.toml"), witness="preferred") for node in ("a", "b")]
    async with running(settings[0]) as a, running(settings[1]) as b:
        await incident(a, "之前")
        await until(lambda: a.witness.held == 1)
        now = dt.datetime.now(dt.UTC)
        a.keys.judge.take_crl(issue_crl(authority, number=2, revoked={serial_of(b.keys): now}, now=now))
        b.keys.judge.take_crl(a.keys.judge.crl.der)
        await until(lambda: {status.why for status in a.peer_status()} >= {"peer-certificate"})
        await until(lambda: {status.why for status in b.peer_status()} >= {"own-certificate"})
        await until(lambda: a.trust_alarms and b.trust_alarms)
        await until(lambda: "本机不接受邻机：邻机证书已吊销" in bar_of(a, None, live=False).neighbours)
        await until(lambda: "邻机不接受本机：本机证书已吊销" in bar_of(b, None, live=False).neighbours)
        assert [row.line for row in alarm_rows(a.trust_alarms)] == [f"已拒绝 {CODES['b']}：证书已吊销"]
        assert "本机证书已被吊销" in [row.line for row in alarm_rows(b.trust_alarms)]


async def test_a_room_cut_off_for_a_year_goes_on_with_expired_certificates_and_an_old_list(made) -> None:
    world, authority = made
    year = dt.timedelta(days=400)
    for node in ("a", "b"):
        settings = load_settings(world.data(node) / "erhai.toml")
        age(load_identity(settings.data / "keys"), authority, 400)
        old = issue_crl(authority, number=1, revoked={}, now=dt.datetime.now(dt.UTC) - year)
        (settings.data / "trust" / "nodes.crl").write_bytes(old)
    pair = [replace(load_settings(world.data(node) / "erhai.toml"), witness="required") for node in ("a", "b")]
    async with running(pair[0]) as a, running(pair[1]):
        await until(lambda: any(status.state is LinkState.CURRENT for status in a.peer_status()))
        await incident(a, "一年以后")  # raises NotWitnessed where the neighbour does not cosign
        await until(lambda: a.trust_alarms != ())
        assert {alarm.cause for alarm in a.trust_alarms} == {"own-expired", "crl-overdue"}


def test_a_peer_without_an_address_needs_discovery(made) -> None:
    world, _ = made
    path = world.data("a") / "erhai.toml"
    text = "\n".join(line for line in path.read_text().splitlines() if not line.startswith("url"))
    path.write_text(text)
    with pytest.raises(SettingsFault, match="url"):
        load_settings(path)
    path.write_text("discover = true\n" + text)
    with pytest.raises(SettingsFault, match="url"):  # the prefecture's is never found
        load_settings(path)
