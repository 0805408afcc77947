"""Somebody sits on the line, or keeps what once crossed it: nothing is sent to him, and nothing said twice counts twice."""

import asyncio
import datetime as dt
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node.courier import Outcome, import_stick
from node.settings import load_settings
from sync.certs import make_authority
from sync.crl import issue_crl
from sync.keys import make_identity
from sync.link import PeerLink
from sync.status import LinkState
from tests.faults.test_courier import arrived, export, opened, record
from tests.faults.test_found_running import made  # noqa: F401 - a fixture
from tests.faults.test_running_room import free_base, until
from tests.shell.judged_room import JudgedNode, pinned
from tests.shell.sync_room import PREFECTURE, bodies, cosigned, identity_in
from tests.shell.sync_room import until as soon
from web.alarms import alarm_rows
from web.demo.world import ORIGINS, make_world
from web.serve import running

HOST = "127.0.0.1"
NOW = dt.datetime.now(dt.UTC)


class Line:
    """a dials b."""

    def __init__(self, folder: Path) -> None:
        publics = {name: identity_in(folder, name).public() for name in ("a", "b")}
        self.a = JudgedNode(folder, "a", (publics["b"],), pinned("room", publics["b"]))
        self.b = JudgedNode(folder, "b", (publics["a"],), pinned("room", publics["a"]))
        self.heard: list[str] = []
        self.b.sync.heard = self.heard.append

    @asynccontextmanager
    async def pushing(self, url: str) -> AsyncIterator:
        task = self.a.push_to(self.b.keys.public(), url)
        job = asyncio.create_task(task.run())
        try:
            yield task
        finally:
            job.cancel()
            await asyncio.gather(job, return_exceptions=True)

    async def held(self) -> list:
        """Everything of b's database."""

        def dump(db) -> list:
            names = [row[0] for row in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]
            return [(name, sorted(map(repr, db.execute(f"SELECT * FROM {name}")))) for name in names]

        return await self.b.store.read(dump)


@pytest.fixture
async def line(tmp_path: Path) -> AsyncIterator[Line]:
    made_line = Line(tmp_path)
    await made_line.b.start()
    yield made_line
    for node in (made_line.a, made_line.b):
        await node.stop()


@pytest.mark.parametrize("name", [PREFECTURE, "public.example"])
async def test_a_proxy_with_a_certificate_of_a_ca_that_the_whole_machine_trusts_is_refused_and_sent_nothing(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    public_ca = make_authority(name, NOW)
    shown = make_identity(tmp_path / "proxy", origin=f"{name}/b/e1", node="b", authority=public_ca, now=NOW)
    (tmp_path / "public.pem").write_bytes(public_ca.certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "public.pem"))
    heard: list[bytes] = []

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(100))
        writer.close()

    await line.a.append(bodies(3))
    proxy = await asyncio.start_server(between, HOST, 0, ssl=shown.server_context())
    async with proxy, line.pushing(f"https://{HOST}:{proxy.sockets[0].getsockname()[1]}") as push:
        await soon(lambda: push.status.state is LinkState.REFUSED)
        assert push.status.why == "foreign-certificate"
    assert (heard, line.heard) == ([], [])


async def test_the_bytes_of_yesterdays_connection_open_nothing_when_they_are_sent_again(line: Line) -> None:
    recorded: list[bytes] = []

    async def between(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        up, down = await asyncio.open_connection(HOST, line.b.port)

        async def pipe(source: asyncio.StreamReader, sink: asyncio.StreamWriter, kept: list[bytes]) -> None:
            while data := await source.read(65_536):
                kept.append(data)
                sink.write(data)
                await sink.drain()
            sink.close()

        await asyncio.gather(pipe(reader, down, recorded), pipe(up, writer, []), return_exceptions=True)

    await line.a.append(bodies(3))
    proxy = await asyncio.start_server(between, HOST, 0)
    async with proxy, line.pushing(f"https://{HOST}:{proxy.sockets[0].getsockname()[1]}"):
        await cosigned(line.a, line.b.keys.public(), 3)
    before, asked = await line.held(), len(line.heard)
    assert len(b"".join(recorded)) > 1_000
    up, down = await asyncio.open_connection(HOST, line.b.port)
    down.write(b"".join(recorded))
    down.write_eof()
    await up.read()  # b ends it
    down.close()
    assert (await line.held(), len(line.heard)) == (before, asked)


async def test_yesterdays_push_requests_word_for_word_change_nothing_though_their_sender_is_admitted(
    line: Line, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[tuple[str, bytes, dict]] = []
    post = PeerLink.post

    async def kept(self: PeerLink, path: str, body: bytes, **how):
        said.append((path, body, how))
        return await post(self, path, body, **how)

    monkeypatch.setattr(PeerLink, "post", kept)
    for start in (0, 300):
        await line.a.append(bodies(300, start))
        async with line.pushing(line.b.url):
            await cosigned(line.a, line.b.keys.public(), start + 300)
    monkeypatch.undo()
    before = await line.held()
    assert {path for path, _, _ in said} == {"/mirror/add-checkpoint", "/mirror/add-entries"}
    link = line.a.link_to(line.b.keys.public(), line.b.url)
    for path, body, how in said:
        reply = await link.post(path, body, **how)
        assert reply.status in {200, 202, 409}, (path, reply)  # seen, or: ask from where I am
    await link.close()
    assert await line.held() == before


async def test_yesterdays_stick_after_todays_is_seen_and_changes_nothing(tmp_path: Path) -> None:
    world = make_world(tmp_path / "world", free_base())
    async with opened(world, "a") as a, opened(world, "prefecture") as above:
        await record(a, 300)
        await export(a, tmp_path / "yesterday")
        shutil.copytree(tmp_path / "yesterday", tmp_path / "kept")
        await record(a, 10)
        await export(a, tmp_path / "today")
        for stick in ("yesterday", "today"):
            await import_stick(above, tmp_path / stick)

        def rows(db) -> list:
            return [sorted(map(repr, db.execute(f"SELECT * FROM {name}"))) for name in ("entries", "cosignatures")]

        before = await above.read(rows)
        again = await import_stick(above, tmp_path / "kept")
        (log,) = [one for one in again.logs if one.origin == ORIGINS["a"]]
        assert (arrived(again, ORIGINS["a"]), log.outcome) == ((310, 310), Outcome.NOTHING_NEW)
        assert not again.refused
        assert await above.read(rows) == before


async def test_a_list_of_revocations_that_is_held_back_is_an_alarm_from_its_expiry_on(made) -> None:  # noqa: F811
    world, authority = made
    settings = replace(load_settings(world.data("a") / "erhai.toml"), witness="preferred")
    async with running(settings) as a:
        trust = a.keys.judge
        assert {alarm.cause for alarm in a.trust_alarms} == set()
        frozen = trust.crl
        end_ms = frozen.next_update_ms
        for now_ms, cause in ((end_ms, None), (end_ms + 1, "crl-stale"), (end_ms + 8 * 86_400_000, "crl-overdue")):
            trust._now_ms = lambda now_ms=now_ms: now_ms
            wanted = set() if cause is None else {cause}
            await until(lambda wanted=wanted: {alarm.cause for alarm in a.trust_alarms} == wanted)
        (row,) = alarm_rows(a.trust_alarms)
        assert (row.line, row.alarm.since_ms) == ("没有有效的吊销名单", end_ms)
        fresh = dt.datetime.fromtimestamp((end_ms + 8 * 86_400_000) / 1_000, dt.UTC)
        trust.take_crl(issue_crl(authority, number=frozen.number + 1, revoked={}, now=fresh))
        await until(lambda: a.trust_alarms == ())


async def test_a_proxy_that_lets_nothing_through_is_offline_and_never_current(line: Line) -> None:
    await line.a.append(bodies(3))

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1_000)
        writer.close()

    proxy = await asyncio.start_server(swallow, HOST, 0)
    async with proxy, line.pushing(f"https://{HOST}:{proxy.sockets[0].getsockname()[1]}") as push:
        await soon(lambda: push.status.state is LinkState.OFFLINE)
        assert push.status.entries_behind == 3
