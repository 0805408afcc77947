"""Two nodes that mirror each other over loopback TLS, and what tests do with their links."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp

from sync.certs import node_host
from sync.checkpoint import Checkpoint, sign
from sync.link import PeerLink
from sync.log import open_log, read_bodies
from sync.wire import EntriesHead
from sync.witness import keep_promise
from tests.shell.sync_room import PREFECTURE, RoomNode, identity_in

ENTRIES = "application/octet-stream"


@asynccontextmanager
async def two_nodes(folder: Path) -> AsyncIterator[tuple[RoomNode, RoomNode]]:
    """a and b, each mirroring the other, with open ports."""
    a, b = (identity_in(folder, name).public() for name in ("a", "b"))
    nodes = RoomNode(folder, "a", (b,)), RoomNode(folder, "b", (a,))
    for node in nodes:
        await node.start()
    try:
        yield nodes
    finally:
        for node in nodes:
            await node.stop()


@asynccontextmanager
async def running(task) -> AsyncIterator[None]:
    job = asyncio.create_task(task.run())
    try:
        yield
    finally:
        job.cancel()
        await asyncio.gather(job, return_exceptions=True)


async def held_bodies(node: RoomNode, origin: str) -> list[bytes]:
    return await node.store.read(lambda db: [body for _, body in read_bodies(db, origin, 0, 1 << 40)])


@asynccontextmanager
async def link(a: RoomNode, b: RoomNode) -> AsyncIterator[PeerLink]:
    made = a.link_to(b.keys.public(), b.url)
    try:
        yield made
    finally:
        await made.close()


async def raw(a: RoomNode, b: RoomNode, path: str, body: bytes, **headers: str) -> tuple[int, bytes]:
    """Send bytes as they are."""
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=a.keys.client_context())) as session,
        session.post(
            f"{b.url}{path}", data=body, headers=headers, server_hostname=node_host(PREFECTURE, "b")
        ) as response,
    ):
        return response.status, await response.read()


def head_of(origin: str, start: int, end: int) -> bytes:
    return bytes(EntriesHead(origin, start, end))


async def replace_log(b: RoomNode, a: RoomNode, entries: list[bytes]) -> None:
    """Let b hold another history of a's log, signed by a's key."""

    def job(db) -> None:
        for table in ("cosignatures", "entries", "hash256", "promises"):
            db.execute(f"DELETE FROM {table} WHERE log_id = (SELECT log_id FROM logs WHERE origin = ?)", (a.origin,))
        db.execute("DELETE FROM logs WHERE origin = ?", (a.origin,))
        log = open_log(db, a.origin)
        for body in entries:
            log.append(body)
        checkpoint = Checkpoint(a.origin, log.size, log.frontier.root())
        note = sign(checkpoint, a.keys.log_signer)
        log.store_checkpoint(note)
        keep_promise(db, log.log_id, checkpoint, note)

    await b.store.write(job)
