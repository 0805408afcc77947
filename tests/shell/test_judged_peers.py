"""Who is served and who is dialled when certificates age, are revoked, or are of another key. Real TLS on loopback."""

import asyncio
import datetime as dt
from collections.abc import AsyncIterator
from pathlib import Path
from ssl import PEM_cert_to_DER_cert

import aiohttp
import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from node.cli_trust import cli_trust
from sync.certs import node_host
from sync.crl import issue_crl
from sync.link import LinkFault, PeerLink
from sync.standing import Reach
from sync.status import LinkState
from sync.trust_port import CRL_PATH
from tests.shell.judged_room import NOW, JudgedNode, age, judged, pinned, serial_of
from tests.shell.sync_room import PREFECTURE, authority_in, bodies, cosigned, identity_in, until


class Room:
    """Two neighbours that pinned each other, before they open their ports."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ca = authority_in(folder)
        self.publics = {name: identity_in(folder, name).public() for name in ("a", "b")}
        self.nodes: list[JudgedNode] = []

    async def node(self, name: str, kind: str = "room", *, pins: bool = True) -> JudgedNode:
        other = self.publics["b" if name == "a" else "a"]
        made = JudgedNode(self.folder, name, (other,), pinned(kind, other) if pins else {})
        self.nodes.append(made)
        await made.start()
        return made


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    made = Room(tmp_path)
    yield made
    for node in made.nodes:
        await node.stop()


async def asked(link: PeerLink, path: str = "/log/x/checkpoint") -> str:
    """Return why a request is refused; "" where it reached the node's routes."""
    try:
        reply = await link.get(path, limit=10_000)
    except LinkFault as fault:
        return str(fault)
    finally:
        await link.close()
    return "" if reply.status in {200, 404} else str(reply.unexpected())


async def test_neighbours_whose_certificates_expired_long_ago_still_replicate_both_ways(room: Room) -> None:
    for name in ("a", "b"):
        age(identity_in(room.folder, name), room.ca, 400)
    a, b = await room.node("a"), await room.node("b")
    for one, other in ((a, b), (b, a)):
        await one.append(bodies(5))
        task = one.push_to(other.keys.public(), other.url)
        job = asyncio.create_task(task.run())
        await cosigned(one, other.keys.public(), 5)
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)


async def test_an_expired_certificate_of_a_node_nobody_pinned_is_refused_on_both_sides(room: Room) -> None:
    age(identity_in(room.folder, "b"), room.ca, 91)
    a, b = await room.node("a", pins=False), await room.node("b", pins=False)
    for node in (a, b):
        node.take(room.ca, 1)
    assert await asked(b.link_to(a.keys.public(), a.url)) == "own-certificate: expired"
    assert await asked(a.link_to(b.keys.public(), b.url)) == "peer-certificate: expired"


async def test_a_pinned_name_with_an_expired_certificate_of_another_key_is_refused(room: Room) -> None:
    a, b = await room.node("a"), await room.node("b")
    rogue = Ed25519PrivateKey.generate()
    pem = rogue.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (b.keys.folder / "tls.key").write_bytes(pem)
    age(b.keys, room.ca, 91)
    assert await asked(b.link_to(a.keys.public(), a.url)) == "own-certificate: expired"
    assert a.trust.refused == {"b": "expired"}


async def test_a_valid_certificate_of_a_key_that_is_not_pinned_is_served_and_told(room: Room) -> None:
    a, b = await room.node("a"), await room.node("b")
    a.take(room.ca, 1)
    fresh = Ed25519PrivateKey.generate()
    (b.keys.folder / "tls.key").write_bytes(fresh.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    age(b.keys, room.ca, 0)
    assert await asked(b.link_to(a.keys.public(), a.url)) == ""
    assert (a.trust.new_keys, a.trust.refused) == ({"b"}, {})


async def test_nothing_is_sent_to_a_peer_whose_certificate_does_not_count(room: Room) -> None:
    a, b = await room.node("a", pins=False), await room.node("b")
    serial = serial_of(b.keys)
    heard: list[str] = []
    b.sync.heard = heard.append
    a.take(room.ca, 1, serial)
    assert await asked(a.link_to(b.keys.public(), b.url)) == "peer-certificate: revoked"
    assert heard == []


async def test_threat_compromised_node_key_the_next_request_of_a_live_connection_is_refused_and_closed(
    room: Room,
) -> None:
    a, b = await room.node("a"), await room.node("b")
    dialled: list[int] = []
    trace = aiohttp.TraceConfig()

    async def dials(*_what: object) -> None:
        dialled.append(1)

    trace.on_connection_create_start.append(dials)
    connector = aiohttp.TCPConnector(ssl=b.keys.client_context(), limit=1)
    async with aiohttp.ClientSession(connector=connector, trace_configs=[trace]) as session:

        async def ask() -> tuple[int, str, int]:
            url, host = f"{a.url}/log/x/checkpoint", node_host(PREFECTURE, "a")
            async with session.get(url, server_hostname=host) as reply:
                return reply.status, await reply.text(), len(dialled)

        assert (await ask())[::2] == (404, 1)
        assert (await ask())[::2] == (404, 1)
        assert a.take(room.ca, 1, serial_of(b.keys))
        assert await ask() == (403, "certificate: revoked\n", 1)
        assert await ask() == (403, "certificate: revoked\n", 2)  # the first connection was closed


async def test_threat_compromised_node_key_a_revoked_peer_is_no_longer_dialled_over_a_kept_connection(
    room: Room,
) -> None:
    a, b = await room.node("a"), await room.node("b")
    link = a.link_to(b.keys.public(), b.url)
    assert (await link.get(CRL_PATH, limit=100)).status == 404
    a.take(room.ca, 1, serial_of(b.keys))
    with pytest.raises(LinkFault, match="peer-certificate: revoked"):
        await link.get(CRL_PATH, limit=100)
    await link.close()


async def test_both_sides_say_in_their_own_words_that_a_certificate_was_revoked(room: Room) -> None:
    a, b = await room.node("a"), await room.node("b")
    for node in (a, b):
        node.take(room.ca, 1, serial_of(b.keys))
    towards, back = a.push_to(b.keys.public(), b.url), b.push_to(a.keys.public(), a.url)
    jobs = [asyncio.create_task(task.run()) for task in (towards, back)]
    await until(lambda: all(task.status.state is LinkState.REFUSED for task in (towards, back)))
    assert (towards.status.why, towards.status.detail) == ("peer-certificate", "peer-certificate: revoked")
    assert (back.status.why, back.status.detail) == ("own-certificate", "own-certificate: revoked")
    for job in jobs:
        job.cancel()
    await asyncio.gather(*jobs, return_exceptions=True)


async def test_a_pin_is_no_way_round_a_revocation(room: Room) -> None:
    serial = age(identity_in(room.folder, "b"), room.ca, 91)
    a, b = await room.node("a"), await room.node("b")
    a.take(room.ca, 1, serial)
    assert await asked(b.link_to(a.keys.public(), a.url)) == "own-certificate: revoked"


@pytest.mark.parametrize(
    ("days", "pins", "why"),
    [
        (0, False, ""),
        (36, False, ""),
        (38, False, "own-certificate: crl-overdue"),
        (38, True, ""),
        (None, False, "own-certificate: crl-overdue"),
        (None, True, ""),
    ],
)
async def test_an_overdue_list_ends_no_link_of_those_who_pinned_each_other(
    room: Room, days: int | None, pins: bool, why: str
) -> None:
    a, b = await room.node("a", pins=pins), await room.node("b")
    if days is not None:
        a.take(room.ca, 1, days=days)
    assert await asked(b.link_to(a.keys.public(), a.url)) == why


async def test_a_county_with_an_expired_certificate_may_do_nothing_at_the_prefecture_but_renew(room: Room) -> None:
    age(identity_in(room.folder, "b"), room.ca, 91)
    prefecture, county = await room.node("a", "county"), await room.node("b", "prefecture")
    to_prefecture = county.link_to(prefecture.keys.public(), prefecture.url)
    for path in ("/log/x/checkpoint", "/trust/crl", "/trust/renewal/x", "/TRUST/renewal"):
        assert await asked(to_prefecture, path) == "own-certificate: expired"
    assert await asked(to_prefecture, "/trust/renewal") == ""
    assert prefecture.trust.judge(der_of(county)).reach is Reach.RENEWAL


async def test_a_county_does_not_believe_a_prefecture_of_another_key_or_an_expired_one(room: Room) -> None:
    prefecture, county = await room.node("a", "county"), await room.node("b", "prefecture")
    link = county.link_to(prefecture.keys.public(), prefecture.url)
    assert await asked(link) == ""
    age(prefecture.keys, room.ca, 91)
    await prefecture.stop_port()
    await prefecture.start(prefecture.port)
    assert await asked(link) == "peer-certificate: expired"
    rogue = Ed25519PrivateKey.generate()
    (prefecture.keys.folder / "tls.key").write_bytes(
        rogue.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    )
    age(prefecture.keys, room.ca, 0)
    await prefecture.stop_port()
    await prefecture.start(prefecture.port)
    assert await asked(link) == "peer-certificate: other-key"


async def test_a_node_passes_its_list_on_and_the_list_is_taken_by_its_signature_alone(room: Room) -> None:
    a, b = await room.node("a"), await room.node("b")
    a.take(room.ca, 7, 1, 2)
    link = b.link_to(a.keys.public(), a.url)
    reply = await link.get(CRL_PATH, limit=10_000)
    await link.close()
    assert b.trust.take_crl(reply.body)
    assert (b.trust.crl.number, b.trust.crl.serials) == (7, frozenset({1, 2}))


def der_of(node: JudgedNode) -> bytes:
    return PEM_cert_to_DER_cert((node.keys.folder / "tls.crt").read_text())


# -- the command ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's data folder under a CA whose key is beside it."""
    from web.demo import world

    folder = tmp_path_factory.mktemp("world")
    kept = []
    make = world.make_authority
    patch = pytest.MonkeyPatch()
    patch.setattr(world, "make_authority", lambda *args, **kwargs: kept.append(make(*args, **kwargs)) or kept[0])
    made = world.make_world(folder / "w", 11_000)
    patch.undo()
    (folder / "ca.pem").write_bytes(kept[0].certificate_pem)
    (folder / "ca.key").write_bytes(kept[0].key_pem())
    return made.data("a")


def imported(data: Path, crl: bytes) -> tuple[int, str]:
    file = data / "new.crl"
    file.write_bytes(crl)
    result = CliRunner().invoke(cli_trust, ["crl", str(file), "--data", str(data)])
    return result.exit_code, result.output


def test_a_stick_brings_a_newer_list_and_never_an_older_one(data: Path) -> None:
    ca = authority_in(data.parent.parent)
    assert imported(data, issue_crl(ca, number=5, revoked={9: NOW}, now=NOW))[0] == 0
    again = imported(data, issue_crl(ca, number=4, revoked={}, now=NOW))
    assert again[0] == 1
    assert "goes-back" in again[1]
    assert imported(data, b"\x30\x00")[0] == 1
    assert imported(data, issue_crl(authority_in(data), number=6, revoked={}, now=NOW))[0] == 1
    shown = CliRunner().invoke(cli_trust, ["show", "--data", str(data), "--json"])
    assert '"crl": 5, "crl_state": "fresh"' in shown.output


async def test_a_list_that_another_process_puts_on_disk_counts_at_once(room: Room) -> None:
    a, b = await room.node("a"), await room.node("b")
    other = judged(a.keys, {})
    now = NOW + dt.timedelta(seconds=1)
    assert other.judge.take_crl(issue_crl(room.ca, number=1, revoked={serial_of(b.keys): now}, now=now))
    assert a.trust.reload()
    assert await asked(b.link_to(a.keys.public(), a.url)) == "own-certificate: revoked"
