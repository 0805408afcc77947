"""Replication over a line that is thin, long, cut, flapping, half open, or ends at somebody else."""

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from aiohttp.web import Application, Request, Response
from aiohttp.web_runner import AppRunner, TCPSite

from sync.follow import pull_log
from sync.lanes import Lane, Lanes
from sync.link import PeerLink
from sync.status import LinkState
from tests.faults.line import THIN, Cut, Shape, captive_portal
from tests.faults.line_pair import BROAD, ENTRY, Pair, goodput, pair_in, unpackable
from tests.shell.sync_room import NOW_MS, PREFECTURE, identity_in, until


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncIterator[Pair]:
    async with pair_in(tmp_path) as made:
        yield made


async def test_a_thin_long_line_is_used_to_nine_tenths_without_a_reset(pair: Pair) -> None:
    """64 kbit/s, 600 ms there and back: the short form of `make line-drill`."""
    pair.line.shape = THIN
    count = 256 * 4
    await pair.a.append(unpackable(count))
    async with pair.running() as sight:
        seen = await pair.arrivals(count)
        await pair.cosigned(count)
    assert goodput(seen) >= 0.9 * THIN.rate
    assert pair.line.broken == 0
    assert pair.line.accepted <= 3
    assert sight.faults() == set()
    for status in sight.statuses:
        assert status.bytes_behind == status.entries_behind * ENTRY
    told = [one.entries_behind for one in sight.statuses if one.last_contact_ms is not None]
    assert told == sorted(told, reverse=True)
    assert 0.7 * THIN.rate < pair.push.status.bytes_per_s < THIN.rate


async def test_the_other_side_knows_at_once_how_much_it_lacks_on_the_thinnest_line(pair: Pair) -> None:
    """9,600 bit/s: the entries would take half a minute, the checkpoint is there as soon as the handshake is."""
    pair.line.shape = Shape(rate=1_200, delay_s=0.3)
    await pair.a.append(unpackable(256))
    async with pair.running() as sight:
        assert await pair.promised(256) == 0
    assert sight.faults() == set()


async def test_a_newer_checkpoint_overtakes_the_entries_that_are_still_moving(pair: Pair) -> None:
    pair.line.shape = Shape(rate=24_000, delay_s=0.05)
    count = 256 * 6
    await pair.a.append(unpackable(count))
    async with pair.running() as sight:
        await until(lambda: 0 < pair.push.status.entries_behind < count)
        await pair.a.append(unpackable(7, count))
        pair.push.notify()
        assert await pair.promised(count + 7) < count
        await pair.cosigned(count + 7)
    assert sight.faults() == set()
    assert await pair.bodies() == unpackable(count + 7)


async def test_a_line_that_flaps_makes_progress_each_time_and_carries_little_twice(pair: Pair) -> None:
    pair.line.shape = Shape(rate=48_000, delay_s=0.05)
    count = 256 * 8
    await pair.a.append(unpackable(count))
    sizes = [0]
    async with pair.running():
        while sizes[-1] < count:
            await asyncio.sleep(2.5)
            pair.line.cut(Cut.RST)
            await asyncio.sleep(0.3)
            sizes.append(await pair.size())
            pair.line.heal()
        await pair.cosigned(count)
    assert await pair.bodies() == unpackable(count)
    assert all(later > earlier for earlier, later in pairwise(sizes)), sizes
    package = 256 * (ENTRY + 2) + 1_000
    beyond = pair.line.up.carried - count * (ENTRY + 2)
    assert beyond < len(sizes) * package, f"{beyond} bytes beyond the entries for {len(sizes) - 1} cuts"


@pytest.mark.parametrize("how", [Cut.SILENT, Cut.FREEZE])
async def test_a_half_open_line_is_found_within_seconds_and_the_push_goes_on(
    pair: Pair, how: Cut, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.link.PROGRESS_TIMEOUT_S", 2)
    pair.line.shape = BROAD
    count = 256 * 12
    await pair.a.append(unpackable(count))
    async with pair.running() as sight:
        await until(lambda: 0 < pair.push.status.entries_behind < count - 512)
        pair.line.cut(how)
        await until(lambda: pair.push.status.state is LinkState.OFFLINE)
        assert sight.faults() <= {"silent", "unreachable"}
        assert pair.push.status.entries_behind > 0
        pair.line.heal()
        await pair.cosigned(count)
    assert await pair.bodies() == unpackable(count)


async def test_an_idle_line_that_went_silent_is_found_without_anything_to_send(
    pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sync.link.PROGRESS_TIMEOUT_S", 1)
    monkeypatch.setattr("sync.task.IDLE_S", 0.3)
    await pair.a.append(unpackable(3))
    async with pair.running():
        await pair.cosigned(3)
        await until(lambda: pair.push.status.state is LinkState.CURRENT)
        pair.line.cut(Cut.SILENT)
        await until(lambda: pair.push.status.state is LinkState.OFFLINE)
        pair.line.heal()
        await until(lambda: pair.push.status.state is LinkState.CURRENT)


@pytest.mark.parametrize("kind", ["plain", "foreign certificate"])
async def test_a_captive_portal_is_believed_in_nothing_and_named(pair: Pair, kind: str, tmp_path: Path) -> None:
    await pair.a.append(unpackable(40))
    (tmp_path / "foreign").mkdir()
    stranger = identity_in(tmp_path / "foreign", "b").server_context() if kind != "plain" else None
    if stranger is not None:
        stranger.verify_mode = ssl.CERT_NONE  # a portal asks nobody for a certificate
    async with captive_portal(stranger) as port:
        target, pair.line.target = pair.line.target, port
        async with pair.running():
            await until(lambda: pair.push.status.state in {LinkState.OFFLINE, LinkState.REFUSED})
            assert pair.push.status.why == ("not-tls" if kind == "plain" else "foreign-certificate")
            assert pair.push.status.entries_behind == 40
            assert pair.push.status.last_contact_ms is None
            assert (await pair.a.head(pair.a.origin)).cosignatures == ()
            pair.line.target = target
            await pair.cosigned(40)
            await until(lambda: pair.push.status.state is LinkState.CURRENT)
            assert pair.push.status.why == ""


async def test_a_receiver_that_answers_slowly_is_waited_for(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each commit takes longer than silence may: the answers come late, the entries are stored once, nothing is refused."""
    monkeypatch.setattr("sync.link.PROGRESS_TIMEOUT_S", 0.5)
    write, slow = pair.b.store.write, 0

    async def slowly(fn):
        nonlocal slow
        slow += 1
        await asyncio.sleep(1.2)
        return await write(fn)

    pair.b.store.write = slowly  # type: ignore[method-assign]
    await pair.a.append(unpackable(1_000))
    async with pair.running():
        await pair.cosigned(1_000)
    assert await pair.bodies() == unpackable(1_000)
    assert slow < 20


async def test_a_receiver_that_dies_within_a_body_keeps_its_whole_packages_and_is_found_again(pair: Pair) -> None:
    pair.line.shape = BROAD
    count = 256 * 24
    await pair.a.append(unpackable(count))
    async with pair.running():
        await until(lambda: 0 < pair.push.status.entries_behind < count - 256)
        await pair.b.stop_port()
        await until(lambda: pair.push.status.state is LinkState.OFFLINE)
        kept = await pair.size()
        assert 0 < kept < count
        await pair.b.start(pair.line.target)
        await pair.cosigned(count)
    assert await pair.bodies() == unpackable(count)


# -- lanes -----------------------------------------------------------------------------------------------------------


@asynccontextmanager
async def sink(pair: Pair) -> AsyncIterator[Counter[str]]:
    """Let the line end at a server that swallows every body and counts it by its path."""
    taken: Counter[str] = Counter()

    async def swallow(request: Request) -> Response:
        while chunk := await request.content.readany():
            taken[request.path] += len(chunk)
        return Response()

    app = Application()
    app.router.add_post("/{lane}", swallow)
    runner = AppRunner(app, access_log=None)
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0, ssl_context=pair.b.keys.server_context()).start()
    pair.line.target = runner.addresses[0][1]
    try:
        yield taken
    finally:
        await runner.cleanup()


def links(pair: Pair, lanes: Lanes) -> tuple[PeerLink, PeerLink]:
    """The links of two lanes to one peer."""
    first = PeerLink(url=pair.url, node="b", prefecture=PREFECTURE, context=pair.a.keys.client_context(), lanes=lanes)
    return first, first.twin(Lane.BLOBS)


async def post_on(link: PeerLink, path: str, size: int) -> None:
    while True:
        await link.post(path, bytes(size), content_type="application/octet-stream", limit=9)


async def test_blobs_take_at_most_half_of_a_thin_line_while_entries_wait_and_all_of_it_after(pair: Pair) -> None:
    pair.line.shape = Shape(rate=64_000, delay_s=0.02)
    lanes = Lanes()
    entries, blobs = links(pair, lanes)
    async with sink(pair) as taken:
        jobs = [asyncio.create_task(post_on(blobs, "/blobs", 40_000))]
        with lanes.entries_wait(asyncio.get_running_loop().time()):
            jobs.append(asyncio.create_task(post_on(entries, "/entries", 40_000)))
            await until(lambda: taken["/entries"] > 60_000)
            before = taken.copy()
            await until(lambda: taken["/entries"] > 200_000)
        shared = taken - before
        jobs.pop().cancel()
        after = taken["/blobs"]
        await until(lambda: taken["/blobs"] > after + 100_000)
        for job in jobs:
            job.cancel()
        await entries.close()
        await blobs.close()
    assert 0.25 < shared["/blobs"] / shared["/entries"] < 1.3, shared


async def test_a_cap_is_honoured_on_a_line_that_could_carry_more(pair: Pair) -> None:
    lanes = Lanes(cap_kbit_s=400)
    link, other = links(pair, lanes)
    async with sink(pair):
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        await asyncio.gather(
            link.post("/one", bytes(80_000), content_type="application/octet-stream", limit=9),
            other.post("/other", bytes(40_000), content_type="application/octet-stream", limit=9),
        )
        took_s = loop.time() - began_s
        await link.close()
        await other.close()
    assert 120_000 / took_s <= 400 * 125 * 1.15  # a slow machine can only make it less


async def test_a_followed_log_keeps_every_bundle_that_came_before_a_cut(pair: Pair) -> None:
    pair.line.shape = BROAD
    count = 256 * 12
    await pair.b.append(unpackable(count))
    origin = pair.b.origin
    pull = pull_log(
        pair.a.link_to(pair.b.keys.public(), pair.url),
        pair.a.store,
        log=pair.a.sync.trust[origin],
        cosigner=pair.a.keys.cosigner,
        now_ms=lambda: NOW_MS,
    )
    task = asyncio.create_task(pull.run())
    await until(lambda: pair.line.down.carried > 150_000)
    pair.line.cut(Cut.RST)
    await until(lambda: pull.status.state is LinkState.OFFLINE)
    kept = (await pair.a.head(origin)).size
    pair.line.heal()
    await until(lambda: pull.status.state is LinkState.CURRENT)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert 256 * 2 <= kept < count
    assert (await pair.a.head(origin)).root == (await pair.b.head(origin)).root
    beyond = pair.line.down.carried - count * (ENTRY + 2)
    assert beyond < 3 * 256 * (ENTRY + 2) + 30_000
