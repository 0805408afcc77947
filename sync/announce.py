"""The node's voice and ear on the room's network (广播): zeroconf around `discovery.Hints`.

Only the records of expected names are asked for. Each of them, and the own name, is asked for again every SCAN_S: whoever
else answers to it is heard, however quiet it was before. When the library's cache grows past what any room needs,
the whole of it is dropped and the ear rests: a flood costs discovery, never memory, and never a link that already stands.
"""

import asyncio
import ipaddress
import json
from collections.abc import Callable
from pathlib import Path

from zeroconf import Error as ZeroconfError
from zeroconf import InterfaceChoice, IPVersion, ServiceStateChange, Zeroconf
from zeroconf._dns import DNSAddress, DNSQuestion, DNSService, DNSText
from zeroconf._protocol.outgoing import DNSOutgoing
from zeroconf._utils.net import get_all_addresses
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf
from zeroconf.const import _CLASS_IN, _FLAGS_QR_QUERY, _TYPE_SRV, _TYPE_TXT

from sync.alarms import Alarm
from sync.discovery import SERVICE, Announcement, Hints, node_of, txt_of
from sync.supervise import log_once

CACHE = 2_000  # names in the library's cache
_QUEUE = 64
_RESOLVE_MS = 1_500
_LOOK_S = 0.25
SCAN_S = 20.0
_ANSWERS_S = 0.6  # within a second: then later records displace earlier ones of the same name in the cache
_AGAIN_S = 5.0
_RESTS_S = (5.0, 15.0, 60.0)


class Discovery:
    """Announces one node and listens for its peers until cancelled; answers where a peer may be dialled."""

    def __init__(
        self,
        *,
        node: str,
        role: str,
        room: str,
        port: int,
        expected: frozenset[str],
        now_ms: Callable[[], int],
        remembered: Path,
        interfaces: tuple[str, ...] = (),
        enrolled: frozenset[str] = frozenset(),
    ) -> None:
        """`interfaces` are the own addresses to use; none: all. `remembered` is where proven addresses outlive a restart.
        `enrolled` are all peers: those with an address are not looked for, and are no strangers.
        """
        self.hints = Hints(own=node, expected=expected, enrolled=enrolled)
        self.state = "starting"  # starting | listening | resting | down
        self.found: Callable[[str], None] = lambda _node: None  # called when a peer may be dialled
        self._node, self._port, self._expected = node, port, expected
        self._txt = txt_of(node=node, role=role, room=room)
        self._interfaces = interfaces
        self._now_ms = now_ms
        self._remembered = remembered
        self._proven: dict[str, str] = {}
        self._queue: asyncio.Queue[str] = asyncio.Queue(_QUEUE)

    # -- what links ask ----------------------------------------------------------------------------------------------

    def where(self, node: str) -> str:
        """Return the address to dial for a node; "" where none is known."""
        return self.hints.where(node, self._now_ms())

    def proved(self, node: str, url: str) -> None:
        """A handshake at this address named the node."""
        self.hints.proved(node, url)
        if self._proven.get(node) != url:
            self._proven[node] = url
            self._remember()

    def failed(self, node: str, url: str, why: str) -> None:
        """A link ended at this address."""
        self.hints.failed(node, url, why, self._now_ms())

    def alarms(self) -> tuple[Alarm, ...]:
        """Return what somebody must see to on this network."""
        down = (Alarm("discovery-down"),) if self.state == "down" else ()
        return down + self.hints.alarms(self._now_ms())

    def _remember(self) -> None:
        fresh = self._remembered.with_suffix(".new")
        try:
            fresh.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            fresh.write_text(json.dumps(self._proven), encoding="utf-8")
            fresh.replace(self._remembered)
        except OSError as error:
            log_once(error, "remembering an address")  # it is found again by itself

    # -- the shell ---------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Announce and listen. A network without multicast changes the state and is tried again."""
        floods = 0
        while True:
            try:
                await self._listen()
            except (OSError, ZeroconfError) as error:
                log_once(error, "discovery")
                self.state = "down"
                await asyncio.sleep(_AGAIN_S)
            else:
                self.state = "resting"
                await asyncio.sleep(_RESTS_S[min(floods, len(_RESTS_S) - 1)])
                floods += 1

    async def _listen(self) -> None:
        """Return when the cache has grown past its bound. Raises OSError, ZeroconfError."""
        ear = AsyncZeroconf(list(self._interfaces) or InterfaceChoice.All, ip_version=IPVersion.V4Only)
        browser = None
        workers = [asyncio.create_task(work(ear.zeroconf)) for work in (self._resolve, self._scan)]
        try:
            await self._announce(ear)
            browser = AsyncServiceBrowser(ear.zeroconf, [SERVICE], handlers=[self._heard])
            self.state = "listening"
            while len(ear.zeroconf.cache.cache) <= CACHE:
                await asyncio.sleep(_LOOK_S)
                for worker in workers:
                    if worker.done():
                        worker.result()
            self.hints.flooded(self._now_ms())
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
            if browser is not None:
                await browser.async_cancel()
            await ear.async_close()

    async def _announce(self, ear: AsyncZeroconf) -> None:
        server = f"{self._node}.local."
        info = AsyncServiceInfo(
            SERVICE,
            f"{self._node}.{SERVICE}",
            parsed_addresses=list(self._interfaces) or _own_addresses(),
            port=self._port,
            properties=self._txt,
            server=server,
        )
        self.hints.announced_by_us(server, self._port)
        # Without the question whether the name is free: whoever holds it already must not silence the node.
        await (await ear.async_register_service(info, cooperating_responders=True))

    def _heard(self, zeroconf: Zeroconf, service_type: str, name: str, state_change: ServiceStateChange) -> None:
        del zeroconf, service_type
        if state_change is ServiceStateChange.Removed:
            self.hints.gone(name)
        elif self.hints.wants(name, self._now_ms()):
            try:
                self._queue.put_nowait(name)
            except asyncio.QueueFull:
                self.hints.flooded(self._now_ms())

    async def _resolve(self, zeroconf: Zeroconf) -> None:
        """Read the records of one name after the other: all that are there, so that a second announcer is seen."""
        while True:
            name = await self._queue.get()
            info = AsyncServiceInfo(SERVICE, name)
            if not info.load_from_cache(zeroconf):
                await info.async_request(zeroconf, _RESOLVE_MS)
            self._take(zeroconf, name)
            node = node_of(name)
            if node is not None:
                self.found(node)

    async def _scan(self, zeroconf: Zeroconf) -> None:
        """Ask who answers to the expected names and to the own one."""
        names = [f"{node}.{SERVICE}" for node in (self._node, *sorted(self._expected))]
        while True:
            await asyncio.sleep(_ANSWERS_S)
            for name in names:
                out = DNSOutgoing(_FLAGS_QR_QUERY)
                for kind in (_TYPE_SRV, _TYPE_TXT):
                    out.add_question(DNSQuestion(name, kind, _CLASS_IN))
                zeroconf.async_send(out)
                await asyncio.sleep(_ANSWERS_S)
                self._take(zeroconf, name)
            await asyncio.sleep(SCAN_S)

    def _take(self, zeroconf: Zeroconf, name: str) -> None:
        for one in announcements(zeroconf, name):
            self.hints.take(one, self._now_ms())


def announcements(zeroconf: Zeroconf, name: str) -> list[Announcement]:
    """Return everything that the cache holds of one instance, one announcement for each server and port."""
    records = zeroconf.cache.entries_with_name(name)
    texts = [record.text for record in records if isinstance(record, DNSText)]
    found = []
    for record in records:
        if isinstance(record, DNSService):
            hosts = [one for one in zeroconf.cache.entries_with_name(record.server) if isinstance(one, DNSAddress)]
            addresses = tuple(str(ipaddress.ip_address(one.address)) for one in hosts if len(one.address) in {4, 16})
            if addresses and texts:  # else the rest is still on its way
                found.append(Announcement(name, record.server, record.port, addresses, read_txt(texts[0])))
    return found


def read_txt(data: bytes) -> dict[bytes, bytes | None]:
    """Return a TXT record's pairs (RFC 6763 6.4); the first of a key counts."""
    pairs: dict[bytes, bytes | None] = {}
    at = 0
    while at < len(data):
        item = data[at + 1 : at + 1 + data[at]]
        at += 1 + data[at]
        key, equals, value = item.partition(b"=")
        if key:
            pairs.setdefault(key.lower(), value if equals else None)
    return pairs


def remembered_addresses(path: Path) -> dict[str, str]:
    """Return the addresses that were proven last, by node; a hint like any other, so a damaged file is none."""
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(table, dict):
        return {}
    return {str(node): url for node, url in table.items() if isinstance(url, str) and url.startswith("https://")}


def _own_addresses() -> list[str]:
    return [address for address in get_all_addresses() if not ipaddress.ip_address(address).is_loopback][:8]
