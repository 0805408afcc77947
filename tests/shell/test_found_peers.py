"""Peers found by real zeroconf on loopback, and believed only after mTLS. Each test has its own multicast listeners."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from zeroconf import DNSOutgoing, IPVersion, current_time_millis
from zeroconf._dns import DNSPointer
from zeroconf.asyncio import AsyncServiceInfo, AsyncZeroconf
from zeroconf.const import _CLASS_IN, _FLAGS_QR_RESPONSE, _TYPE_PTR

from sync.announce import CACHE, Discovery, remembered_addresses
from sync.certs import make_authority
from sync.discovery import SERVICE, STRANGERS, txt_of
from sync.keys import make_identity
from sync.link import PeerLink
from sync.note import VerifierKey
from sync.replicate import Push, RemoteNode, push_log
from sync.status import LinkState
from tests.shell.judged_room import NOW, JudgedNode, pinned
from tests.shell.sync_room import PREFECTURE, bodies, cosigned, identity_in, until

HOST = "127.0.0.1"


def discovery(folder: Path, node: str, port: int, *expected: str) -> Discovery:
    return Discovery(
        node=node,
        role="county",
        room="room-1",
        port=port,
        expected=frozenset(expected),
        now_ms=lambda: time.time_ns() // 1_000_000,
        remembered=folder / f"{node}-addresses.json",
        interfaces=(HOST,),
    )


@asynccontextmanager
async def running(*tasks) -> AsyncIterator[None]:
    jobs = [asyncio.create_task(task.run()) for task in tasks]
    try:
        yield
    finally:
        for job in jobs:
            job.cancel()
        await asyncio.gather(*jobs, return_exceptions=True)


@asynccontextmanager
async def announcer(node: str, port: int, server: str) -> AsyncIterator[AsyncZeroconf]:
    """Somebody who announces a name, whoever else does."""
    voice = AsyncZeroconf(interfaces=[HOST], ip_version=IPVersion.V4Only)
    info = AsyncServiceInfo(
        SERVICE,
        f"{node}.{SERVICE}",
        addresses=[socket.inet_aton(HOST)],
        port=port,
        properties=txt_of(node=node, role="county", room="room-1"),
        server=server,
    )
    await (await voice.async_register_service(info, cooperating_responders=True))
    try:
        yield voice
    finally:
        await voice.async_close()


class Pair:
    """a dials b without an address; b listens."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        publics = {name: identity_in(folder, name).public() for name in ("a", "b")}
        self.a = JudgedNode(folder, "a", (publics["b"],), pinned("room", publics["b"]))
        self.b = JudgedNode(folder, "b", (publics["a"],), pinned("room", publics["a"]))

    def push(self, found: Discovery) -> Push:
        public = self.b.keys.public()
        link = PeerLink(
            url="", node="b", prefecture=PREFECTURE, context=self.a.keys.client_context(), whereabouts=found
        )
        remote = RemoteNode("b", VerifierKey.parse(public.cosigner_vkey))
        return push_log(link, self.a.store, origin=self.a.origin, peer=remote, now_ms=lambda: 0)


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    made = Pair(tmp_path)
    await made.b.start()
    yield made
    for node in (made.a, made.b):
        await node.stop()


@asynccontextmanager
async def impostor(folder: Path, node: str) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A machine that answers TLS 1.3 under this node code, of its own CA; it tells what it was sent after a handshake."""
    authority = make_authority(PREFECTURE, NOW)
    keys = make_identity(folder / "rogue", origin=f"{PREFECTURE}/{node}/e1", node=node, authority=authority, now=NOW)
    heard: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0, ssl=keys.server_context())
    async with server:
        yield server.sockets[0].getsockname()[1], heard


async def test_two_nodes_find_each_other_and_replicate_without_an_address(pair: Pair, tmp_path: Path) -> None:
    at_a, at_b = discovery(tmp_path, "a", 1, "b"), discovery(tmp_path, "b", pair.b.port, "a")
    push = pair.push(at_a)
    await pair.a.append(bodies(3))
    at_a.found = lambda _node: push.retry_now()
    async with running(at_b, at_a, push):
        await cosigned(pair.a, pair.b.keys.public(), 3)
        await until(lambda: at_b.where("a") == f"https://{HOST}:1")
        assert (at_a.alarms(), at_b.alarms()) == ((), ())
        assert remembered_addresses(tmp_path / "a-addresses.json") == {"b": pair.b.url}


async def test_a_peer_that_was_not_found_is_unreachable_and_nothing_else(pair: Pair, tmp_path: Path) -> None:
    push = pair.push(discovery(tmp_path, "a", 1, "b"))
    async with running(push):
        await until(lambda: push.status.state is LinkState.OFFLINE)
        assert push.status.detail == "unreachable: not found on this network yet"


async def test_threat_rogue_peer_a_second_announcer_of_another_ca_is_never_connected_and_is_one_alarm(
    pair: Pair, tmp_path: Path
) -> None:
    at_a = discovery(tmp_path, "a", 1, "b")
    push = pair.push(at_a)
    await pair.a.append(bodies(3))
    async with impostor(tmp_path, "b") as (port, heard), running(at_a, push), announcer("b", port, "rogue.local."):
        await until(lambda: push.status.why == "foreign-certificate" or at_a.alarms())
        async with running(discovery(tmp_path, "b", pair.b.port, "a")):
            at_a.found = lambda _node: push.retry_now()
            await cosigned(pair.a, pair.b.keys.public(), 3)
            alarms = {(alarm.cause, alarm.node) for alarm in at_a.alarms()}
            assert alarms == {("impostor", "b"), ("second-announcer", "b")}
            assert at_a.where("b") == pair.b.url
            assert heard == []


async def test_threat_rogue_peer_the_own_name_is_announced_however_loudly_somebody_else_does(
    pair: Pair, tmp_path: Path
) -> None:
    at_b = discovery(tmp_path, "b", pair.b.port, "a")
    at_a = discovery(tmp_path, "a", 1, "b")
    async with announcer("b", 7, "rogue.local."), running(at_b, at_a):
        await until(lambda: len({one.port for one in at_a.hints._known["b"].candidates}) == 2)
        await until(lambda: [alarm.cause for alarm in at_b.alarms()] == ["second-announcer"])


async def test_threat_mdns_flood_of_5_000_records_costs_bounded_memory_one_alarm_and_no_standing_link(
    pair: Pair, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.announce._RESTS_S", (0.3,))
    at_a, at_b = discovery(tmp_path, "a", 1, "b"), discovery(tmp_path, "b", pair.b.port, "a")
    push = pair.push(at_a)
    at_a.found = lambda _node: push.retry_now()
    await pair.a.append(bodies(3))
    async with running(at_a, at_b, push):
        await cosigned(pair.a, pair.b.keys.public(), 3)
        rogue = AsyncZeroconf(interfaces=[HOST], ip_version=IPVersion.V4Only)
        rested = False
        for start in range(0, 5_000, 25):
            out = DNSOutgoing(_FLAGS_QR_RESPONSE)
            for n in range(start, start + 25):
                record = DNSPointer(SERVICE, _TYPE_PTR, _CLASS_IN, 86_400, f"flood-{n}.{SERVICE}")
                record.created = current_time_millis()
                out.add_answer_at_time(record, 0)
            rogue.zeroconf.async_send(out)
            await asyncio.sleep(0.002)
            rested = rested or at_a.state == "resting"
        await until(lambda: any(alarm.cause == "discovery-flood" for alarm in at_a.alarms()))
        assert [alarm.cause for alarm in at_a.alarms()] == ["discovery-flood"]
        assert len(at_a.hints.strangers) <= STRANGERS
        await pair.a.append(bodies(3, 3))
        push.notify()
        await cosigned(pair.a, pair.b.keys.public(), 6)
        await rogue.async_close()


async def test_the_ear_drops_everything_once_its_cache_is_past_the_bound_and_listens_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.announce._RESTS_S", (0.2,))
    monkeypatch.setattr("sync.announce.CACHE", 50)
    at_a = discovery(tmp_path, "a", 1, "b")
    async with running(at_a):
        await until(lambda: at_a.state == "listening")
        rogue = AsyncZeroconf(interfaces=[HOST], ip_version=IPVersion.V4Only)
        for n in range(100):
            out = DNSOutgoing(_FLAGS_QR_RESPONSE)
            owner = f"x{n}.{SERVICE}"
            out.add_answer_at_time(DNSPointer(owner, _TYPE_PTR, _CLASS_IN, 86_400, f"flood-{n}.{SERVICE}"), 0)
            rogue.zeroconf.async_send(out)
            await asyncio.sleep(0.002)
        await until(lambda: at_a.state == "resting")
        assert [alarm.cause for alarm in at_a.alarms()] == ["discovery-flood"]
        await until(lambda: at_a.state == "listening")
        await rogue.async_close()
    assert CACHE >= 1_000


def test_a_damaged_file_of_addresses_is_no_address(tmp_path: Path) -> None:
    for text in ("", "[1]", '{"b": 1, "c": "http://x"}', "\x00"):
        (tmp_path / "x.json").write_text(text)
        assert remembered_addresses(tmp_path / "x.json") == {}
    assert remembered_addresses(tmp_path / "none.json") == {}
