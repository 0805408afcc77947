"""Bytes that no server can read cost the node's log one line a cause, however often they come."""

import asyncio
import contextlib
import logging
import ssl
from pathlib import Path

import pytest

from sync.certs import node_host
from sync.http_log import OneLine
from tests.faults.test_running_room import free_base, settings
from web.demo.world import CODES, make_world
from web.serve import running

BAD = (
    b"POST /mirror/add-entries HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
    b"POST /sign-in HTTP/1.1\r\nHost: x\r\nContent-Encoding: gzip\r\nContent-Length: 2\r\n\r\nxx",
    b"GET /\xff\xfe[ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET http://[x/ HTTP/1.1\r\nHost: x\r\n\r\n",
    b"GET //[::1 HTTP/1.1\r\nHost: x\r\n\r\n",
    b"\x16\x03\x01\x00garbage\r\n\r\n",
    b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\nabc",
    b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
)


async def send(port: int, data: bytes, context: ssl.SSLContext | None, host: str | None) -> None:
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context, server_hostname=host)
        writer.write(data)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(reader.read(4_096), 5)
        writer.close()


async def test_unreadable_requests_leave_one_line_a_cause_on_either_port(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    world = make_world(tmp_path / "world", free_base())
    own = settings(world, "a")
    keys = world.data("b") / "keys"
    context = ssl.create_default_context(cafile=keys / "ca.crt")
    context.load_cert_chain(keys / "tls.crt", keys / "tls.key")
    host = node_host("dali.erhai", CODES["a"])
    caplog.set_level(logging.INFO)
    async with running(own):
        for _ in range(5):
            for data in BAD:
                await send(own.pages_port, data, None, None)
                await send(own.sync_port, data, context, host)
    lines = [one for one in caplog.records if one.name.startswith("erhai.http")]
    assert {one.name for one in lines} == {"erhai.http.pages-port", "erhai.http.sync-port"}
    texts = [one.getMessage() for one in lines]
    assert len(texts) == len(set(texts))
    assert len(texts) <= 2 * len(BAD)
    assert all("\n" not in text and len(text) < 200 for text in texts)
    assert all(one.exc_info is None and one.exc_text is None for one in caplog.records)
    assert not any(one.name.startswith("aiohttp") for one in caplog.records)


def test_what_was_counted_is_said_with_the_next_line_and_causes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("sync.http_log.time.monotonic", lambda: now)
    one = OneLine("sync port")

    def record(text: str) -> tuple[bool, str]:
        made = logging.LogRecord("x", logging.ERROR, "", 0, text, (), None)
        return one.filter(made), made.getMessage()

    assert record("bad") == (True, "sync port: a request that cannot be served: bad")
    assert [record("bad")[0] for _ in range(7)] == [False] * 7
    now += 61
    assert record("bad") == (True, "sync port: a request that cannot be served: bad (and 7 before)")
    written = [record(f"cause {no}")[0] for no in range(1_000)]
    assert sum(written) <= 64
