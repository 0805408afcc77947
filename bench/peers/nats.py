"""NATS JetStream 2.15: a leaf node's stream, mirrored by its hub; the same line, cut and outage as ours.

What it does not do: sign, prove or cosign anything; with its defaults it acknowledges before it has written to disk (fsync
every two minutes). `always` is `sync_interval: always` at the hub, which receives, as our neighbour fsyncs what it takes; the leaf
keeps its default, because with it 100,000 messages take minutes to publish.
"""

import asyncio
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from types import ModuleType
from typing import Any, Self

from bench.child import Child
from bench.outage import WARM, Back, Outage
from bench.peers import PeerMissing

BODY = os.urandom(430)  # as long as one of our entries
IN_FLIGHT = 1_000
_BACK_S = 120.0


def program() -> str:
    """Return the server's path: of this installation, else the system's. Raises PeerMissing."""
    beside = Path(sys.executable).parent / "nats-server"
    found = str(beside) if beside.exists() else shutil.which("nats-server")
    if found is None:
        raise PeerMissing("NATS JetStream", "nats-server is not installed (make setup-bench, or Debian's nats-server)")
    return found


def client() -> ModuleType:
    """Return nats-py. Raises PeerMissing."""
    try:
        import nats  # noqa: PLC0415 - it may not be there
    except ImportError as error:
        raise PeerMissing("NATS JetStream", "nats-py is not installed: make setup-bench") from error
    module: ModuleType = nats
    return module


def version() -> str:
    """Return what the server calls itself."""
    done = subprocess.run([program(), "--version"], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def free_port() -> int:
    """Return a port of loopback that nobody listens on now."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


class Server:
    """One nats-server process."""

    def __init__(self, folder: Path, name: str, *, always: bool, leafnodes: str) -> None:
        """Write its configuration; `leafnodes` is that block."""
        self.port = free_port()
        folder.mkdir(parents=True)
        sync = "sync_interval: always" if always else ""
        self._config = folder / f"{name}.conf"
        self._log = folder / f"{name}.log"
        self._config.write_text(
            f"server_name: {name}\nlisten: 127.0.0.1:{self.port}\n"
            f'jetstream {{ store_dir: "{folder}/store", domain: {name}, max_file_store: 4GB, {sync} }}\n'
            f"leafnodes {{ {leafnodes} }}\n"
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it; nothing is waited for."""
        self._process = subprocess.Popen([program(), "-c", str(self._config), "-l", str(self._log)])
        return self

    def kill(self) -> None:
        """End it as a power cut would, except that the machine keeps what it has in memory."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    async def connected(self) -> Any:
        """Return a client, as soon as the server takes one."""
        until = time.monotonic() + _BACK_S
        while True:
            try:
                return await client().connect(
                    f"nats://127.0.0.1:{self.port}", allow_reconnect=False, connect_timeout=2, error_cb=_quiet
                )
            except Exception:
                if time.monotonic() > until:
                    raise
                await asyncio.sleep(0.02)


async def _quiet(_error: Exception) -> None:
    return


@asynccontextmanager
async def connection(server: Server) -> AsyncIterator[Any]:
    """A JetStream context on one server."""
    nc = await server.connected()
    try:
        yield nc.jetstream(timeout=30)
    finally:
        with suppress(Exception):
            await nc.close()


async def publish(leaf: Server, count: int, in_flight: int = IN_FLIGHT) -> float:
    """Publish and have everything acknowledged, `in_flight` at a time; return messages a second."""
    began = time.monotonic()
    left = count
    async with connection(leaf) as js:

        async def one() -> None:
            nonlocal left
            while left > 0:
                left -= 1
                await js.publish("log.entry", BODY)

        await asyncio.gather(*(one() for _ in range(min(in_flight, count))))
    return count / (time.monotonic() - began)


async def held(hub: Server, more_than: int, timeout_s: float = _BACK_S) -> float:
    """Wait until the hub's mirror holds more messages than this; return when, on the monotonic clock."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        async with connection(hub) as js:
            while time.monotonic() < until:
                try:
                    info = await js.stream_info("MIRROR")
                except Exception:  # noqa: BLE001 - while it starts it knows no stream, or no JetStream
                    await asyncio.sleep(0.02)
                    if js._nc.is_closed:  # noqa: SLF001 - a new connection is needed then
                        break
                    continue
                if info.state.messages > more_than:
                    return time.monotonic()
                await asyncio.sleep(0.01)
    raise TimeoutError(f"the mirror never held more than {more_than} messages within {timeout_s} s")


async def _streams(hub: Server, leaf: Server) -> None:
    from nats.js.api import ExternalStream, StreamConfig, StreamSource  # noqa: PLC0415 - see client()

    async with connection(leaf) as js:
        await js.add_stream(StreamConfig(name="LOG", subjects=["log.>"]))
    async with connection(hub) as js:
        source = StreamSource(name="LOG", external=ExternalStream(api="$JS.leaf.API"))
        await js.add_stream(StreamConfig(name="MIRROR", mirror=source))


async def measure(folder: Path, outage: Outage, *, always: bool) -> Back:
    """Measure one outage as `bench.outage.ours` does: the same steps in the same order."""
    port = free_port()
    hub = Server(
        folder / "hub", "hub", always=always, leafnodes=f"listen: 127.0.0.1:{port}, no_advertise: true"
    ).start()
    leaf: Server | None = None
    try:
        with Child("bench.carrier", str(port)) as line:
            remote = f"remotes: [ {{ url: nats-leaf://127.0.0.1:{line.hello['port']} }} ]"
            leaf = Server(folder / "leaf", "leaf", always=False, leafnodes=remote).start()
            await _streams(hub, leaf)
            await publish(leaf, WARM)
            await held(hub, WARM - 1)
            began = time.monotonic()
            if outage.how == "cut":
                line.tell(cut="RST")
            else:
                hub.kill()
            await publish(leaf, outage.count)
            await asyncio.sleep(max(0.0, outage.seconds - (time.monotonic() - began)))
            began = time.monotonic()
            if outage.how == "cut":
                line.tell(heal=True)
            else:
                hub.start()
            first_s = await held(hub, WARM) - began
            all_s = await held(hub, WARM + outage.count - 1) - began
            return Back(first_s, all_s)
    finally:
        hub.kill()
        if leaf is not None:
            leaf.kill()
