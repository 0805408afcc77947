"""Nodes that only replicate: a store, an identity and a sync port on loopback, for tests and drills."""

import asyncio
import datetime as dt
import sys
from collections.abc import Callable
from pathlib import Path

from aiohttp.web_runner import AppRunner, TCPSite

from node.store import Store
from sync.certs import Authority, load_authority, make_authority
from sync.checkpoint import Checkpoint, sign
from sync.endpoints import MirroredLog, SyncNode, sync_app
from sync.keys import NodeKeys, PublicIdentity, load_identity, make_identity
from sync.link import PeerLink
from sync.log import LOG_SCHEMA, head, open_log
from sync.note import VerifierKey
from sync.replicate import Push, RemoteNode, push_log

PREFECTURE = "dali.erhai"
NOW_MS = 1_790_000_000_000


def authority_in(folder: Path) -> Authority:
    """Return the CA of this folder, made once."""
    if not (folder / "ca.pem").exists():
        made = make_authority(PREFECTURE, dt.datetime.now(dt.UTC))
        (folder / "ca.pem").write_bytes(made.certificate_pem)
        (folder / "ca.key").write_bytes(made.key_pem())
    return load_authority((folder / "ca.pem").read_bytes(), (folder / "ca.key").read_bytes())


def identity_in(folder: Path, node: str) -> NodeKeys:
    """Return the identity of a node under the folder's CA, made once."""
    keys = folder / node / "keys"
    if keys.exists():
        return load_identity(keys)
    origin = f"{PREFECTURE}/{node}/e1"
    now = dt.datetime.now(dt.UTC)
    return make_identity(keys, origin=origin, node=node, authority=authority_in(folder), now=now)


class RoomNode:
    """One node: `start` opens its port, `append` grows its own log, `push_to` is the task that replicates it."""

    def __init__(self, folder: Path, node: str, mirrors: tuple[PublicIdentity, ...] = ()) -> None:
        self.keys = identity_in(folder, node)
        self.store = Store(folder / node / "erhai.db")
        self.store.setup(lambda db: (db.execute(LOG_SCHEMA), open_log(db, self.keys.origin)))
        self.store.start()
        self.stored: list[str] = []
        self.allowed: Callable[[str, str], bool] = lambda _peer, _origin: True
        self.sync = SyncNode(
            db=self.store,
            cosigner=self.keys.cosigner,
            witness=self.keys.witness,
            prefecture=PREFECTURE,
            trust={one.origin: MirroredLog(VerifierKey.parse(one.log_vkey), one.node) for one in mirrors},
            allowed=self._may_push,
            now_ms=lambda: NOW_MS,
            stored=self.stored.append,
        )
        self.port = 0
        self._runner: AppRunner | None = None

    def _may_push(self, peer: str, origin: str) -> bool:
        return self.allowed(peer, origin)  # tests replace `allowed` while the node runs

    @property
    def origin(self) -> str:
        return self.keys.origin

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        self._runner = AppRunner(sync_app(self.sync), access_log=None, shutdown_timeout=0.2)
        await self._runner.setup()
        site = TCPSite(self._runner, host, port, ssl_context=self.keys.server_context())
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop_port(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def stop(self) -> None:
        await self.stop_port()
        await self.store.close()

    async def append(self, bodies: list[bytes]) -> None:
        """Append entries to the own log under one signed checkpoint."""

        def job(db) -> None:
            log = open_log(db, self.origin)
            for body in bodies:
                log.append(body)
            log.store_checkpoint(sign(Checkpoint(self.origin, log.size, log.frontier.root()), self.keys.log_signer))

        await self.store.write(job)

    async def head(self, origin: str):
        return await self.store.read(lambda db: head(db, origin))

    def link_to(self, peer: PublicIdentity, url: str) -> PeerLink:
        return PeerLink(url=url, node=peer.node, prefecture=PREFECTURE, context=self.keys.client_context())

    def push_to(self, peer: PublicIdentity, url: str, origin: str | None = None) -> Push:
        remote = RemoteNode(peer.node, VerifierKey.parse(peer.cosigner_vkey))
        return push_log(
            self.link_to(peer, url),
            self.store,
            origin=origin or self.origin,
            peer=remote,
            now_ms=lambda: NOW_MS,
        )


def bodies(count: int, start: int = 0, size: int = 40) -> list[bytes]:
    """Return distinct entries of `size` bytes."""
    return [(b"entry %d " % seq).ljust(size, b"x") for seq in range(start, start + count)]


async def until(condition: Callable[[], object], tries: int = 4_000) -> None:
    """Wait for a condition, polled; fails the test after about twenty seconds."""
    for _ in range(tries):
        if condition():
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the condition never came true")


async def cosigned(node: RoomNode, by: PublicIdentity, size: int, origin: str | None = None) -> None:
    """Wait until a node knows that a peer has stored and cosigned this many entries of a log."""
    name = VerifierKey.parse(by.cosigner_vkey).name
    for _ in range(4_000):
        held = await node.head(origin or node.origin)
        if any(one.cosigner == name and one.size >= size for one in held.cosignatures):
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{by.node} never cosigned {size}")


async def serve(folder: Path, node: str, port: int, mirrored: str) -> None:
    """Serve a node until killed; prints its port."""
    mine = RoomNode(folder, node, (identity_in(folder, mirrored).public(),))
    await mine.start(port)
    print(mine.port, flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), sys.argv[4]))
