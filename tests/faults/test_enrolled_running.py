"""Running nodes whose keys came by enrolment: peers from the roster, certificates renewed over the link, no restart."""

import datetime as dt
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography import x509

from node import enrol
from node.node import Node
from node.settings import Settings, load_settings
from sync.keys import load_identity
from sync.office import Office
from sync.status import LinkState
from tests.faults.test_running_room import free_base, incident, mirrored, until
from tests.shell.judged_room import age
from tests.shell.test_enrolment import PINS
from web.demo.world import CODES, NODES, ORIGINS, PREFECTURE, World, make_world
from web.serve import running


class Enrolled:
    """The demonstration's world, enrolled anew by an office."""

    def __init__(self, folder: Path) -> None:
        now = dt.datetime.now(dt.UTC)
        self.now_ms = int(now.timestamp() * 1_000)
        self.world: World = make_world(folder / "world", free_base())
        self.office = Office.open_new(folder / "office", PREFECTURE, now)
        for no, pin in PINS.items():
            self.office.add_officer(no, pin)
        officers = {no: self.office.officer_key(no, pin) for no, pin in PINS.items()}
        for node in NODES:
            data = self.world.data(node)
            (data / "keys").rename(data / "keys.demo")
            above = node == "prefecture"
            asked = enrol.request(
                data,
                node=CODES[node],
                prefecture=PREFECTURE,
                origin=ORIGINS[node],
                kind="prefecture" if above else "county",
                room="" if above else "532924-room-1",
                url=f"https://127.0.0.1:{self.world.sync(node)}" if above else "",
                now_ms=self.now_ms,
            )
            enrol.accept(data, self.office.enrol(asked.paper, asked.token, officers, now), self.now_ms)
            if not above:
                shutil.copy(data / "keys.demo" / "room.key", data / "keys" / "room.key")
        for node in NODES:
            enrol.accept(self.world.data(node), self.office.bundle_for(CODES[node], now), self.now_ms)
            self._settle(node)

    def _settle(self, node: str) -> None:
        path = self.world.data(node) / "erhai.toml"
        text = re.sub(r"\[\[peers\]\].*", "", path.read_text(), flags=re.DOTALL)
        text += 'roster = "keys/peers.toml"\n'
        text += 'authority = "../../office"\n' if node == "prefecture" else "discover = true\n"
        path.write_text(text)

    def settings(self, node: str) -> Settings:
        loaded = load_settings(self.world.data(node) / "erhai.toml")
        return replace(loaded, witness="preferred" if node != "prefecture" else "")

    def leaf(self, node: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self.world.data(node) / "keys" / "tls.crt").read_bytes())


@pytest.fixture
def made(tmp_path: Path) -> Enrolled:
    return Enrolled(tmp_path)


def refused(node: Node) -> set[str]:
    return {status.why for status in node.peer_status() if status.state is LinkState.REFUSED}


async def test_enrolled_nodes_find_each_other_and_their_prefecture_by_the_roster(made: Enrolled) -> None:
    async with (
        running(made.settings("prefecture")) as above,
        running(made.settings("a")) as a,
        running(made.settings("b")) as b,
    ):
        await incident(a, "登记之后")
        await mirrored(above, "a", 1)
        await mirrored(b, "a", 1)
        assert (above.trust_alarms, a.trust_alarms, b.trust_alarms) == ((), (), ())


async def test_a_county_long_cut_off_renews_its_expired_certificate_and_then_brings_its_log_without_a_restart(
    made: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.trust_keeper.ASK_S", 1.0)
    keys = load_identity(made.world.data("a") / "keys")
    age(keys, made.office.authority, 120)
    async with running(made.settings("a")) as a:
        await incident(a, "断网期间")
        await until(lambda: "own-expired" in {alarm.cause for alarm in a.trust_alarms})
        async with running(made.settings("prefecture")) as above:
            await mirrored(above, "a", 1)
            assert made.leaf("a").not_valid_after_utc > dt.datetime.now(dt.UTC)
            assert load_identity(made.world.data("a") / "keys").tls_public == keys.tls_public
            await until(lambda: "own-expired" not in {alarm.cause for alarm in a.trust_alarms})


async def test_what_two_officers_revoke_reaches_every_live_link_of_the_room(
    made: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.trust_keeper.ASK_S", 0.5)
    async with (
        running(made.settings("prefecture")) as above,
        running(made.settings("a")) as a,
        running(made.settings("b")) as b,
    ):
        await incident(b, "吊销之前")
        await mirrored(above, "b", 1)
        await mirrored(a, "b", 1)
        officers = {no: made.office.officer_key(no, pin) for no, pin in PINS.items()}
        made.office.revoke(CODES["b"], officers, dt.datetime.now(dt.UTC))
        await until(lambda: refused(b) == {"own-certificate"})
        await until(lambda: refused(a) == {"peer-certificate"})
        assert CODES["b"] in above.keys.judge.refused


async def test_both_renew_at_two_thirds_of_their_life_while_everything_goes_on(
    made: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.trust_keeper.ASK_S", 1.0)
    for node in ("a", "prefecture"):
        age(load_identity(made.world.data(node) / "keys"), made.office.authority, 61)
    before = {node: made.leaf(node).not_valid_after_utc for node in ("a", "prefecture")}
    async with running(made.settings("prefecture")) as above, running(made.settings("a")) as a:
        await incident(a, "换发之前")
        await until(lambda: all(made.leaf(node).not_valid_after_utc > end for node, end in before.items()))
        await incident(a, "换发之后")
        await mirrored(above, "a", 2)
        assert refused(a) == set()


async def test_an_expired_county_whose_key_was_replaced_gets_nothing(
    made: Enrolled, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("node.trust_keeper.ASK_S", 1.0)
    officers = {no: made.office.officer_key(no, pin) for no, pin in PINS.items()}
    made.office.revoke(CODES["a"], officers, dt.datetime.now(dt.UTC))
    age(load_identity(made.world.data("a") / "keys"), made.office.authority, 120)
    async with running(made.settings("prefecture")) as above, running(made.settings("a")) as a:
        await incident(a, "被吊销的机器")
        await until(lambda: "renewal-refused" in {alarm.cause for alarm in a.trust_alarms})
        assert refused(a) == {"own-certificate"}
        assert above.peer_status() == ()
        assert made.leaf("a").not_valid_after_utc < dt.datetime.now(dt.UTC)
