"""Where a peer might be dialled, from what the network says (发现). Pure: announcements in, hints out; nothing is believed.

Anybody on the network may announce any name. So an address is only ever a hint: the link that dials it believes it when
mTLS names the expected node, and says here what it found. True after any announcements: hints are kept for expected nodes
alone, at most ANNOUNCERS of each with ADDRESSES each; other names are remembered for show, at most STRANGERS, the oldest
goes first. An address that a handshake has proven is never displaced; one that answered as somebody else rests for REST_MS.
Every cause of alarm is one alarm with a count, until it has been quiet for REST_MS.
"""

import ipaddress
import re
from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from sync.alarms import Alarm

SERVICE = "_erhai._tcp.local."
PROTOCOL = "1"
ANNOUNCERS = 4
ADDRESSES = 4
STRANGERS = 64
REST_MS = 10 * 60 * 1_000
FLOOD = 300  # announcements in a minute; a room has three nodes, and each says something at its start
_MINUTE_MS = 60_000
_DISPROVED = 64
_NODE = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SERVER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}")
# what a link may find that says: this address is not the peer's
IMPOSTOR = frozenset({"foreign-certificate", "not-tls"})
_MISSED = IMPOSTOR | {"unreachable", "silent"}  # everything else was said by the peer itself


@dataclass(frozen=True, slots=True)
class Announcement:
    """One service as mDNS told it, unchecked: instance name, host, port, addresses, TXT."""

    instance: str
    server: str
    port: int
    addresses: tuple[str, ...]
    txt: Mapping[bytes, bytes | None]


@dataclass(slots=True)
class _Candidate:
    server: str
    port: int
    urls: tuple[str, ...]
    number: int  # order of arrival
    proven: str = ""  # the address at which a handshake named the node


@dataclass(slots=True)
class _Known:
    candidates: list[_Candidate] = field(default_factory=list)
    failed: dict[str, int] = field(default_factory=dict)  # tries in vain by address, since the last success


def node_of(instance: str) -> str | None:
    """Return the node code that an instance name gives; None where it gives none."""
    label = instance.removesuffix("." + SERVICE)
    return label if label != instance and _NODE.fullmatch(label) else None


def txt_of(*, node: str, role: str, room: str) -> dict[str, str]:
    """Return what a node says of itself; nothing of it is secret, and nobody believes it."""
    return {"v": PROTOCOL, "node": node, "role": role, "room": room}


class Hints:
    """What the network has said of the peers of one node."""

    def __init__(self, *, own: str, expected: Iterable[str], enrolled: Iterable[str] = ()) -> None:
        """`own` is this node's code; `expected` are the peers that are to be found; `enrolled` may be heard too, and need not be."""
        self._own = own
        self._enrolled = frozenset(enrolled)
        self._own_servers: set[tuple[str, int]] = set()
        self._known = {node: _Known() for node in expected}
        self._strangers: OrderedDict[str, None] = OrderedDict()
        self._disproved: OrderedDict[str, int] = OrderedDict()
        self._alarms: dict[tuple[str, str], tuple[Alarm, int]] = {}  # and when it was last met
        self._minute = (0, 0)
        self._number = 0

    # -- what mDNS says ----------------------------------------------------------------------------------------------

    def announced_by_us(self, server: str, port: int) -> None:
        """Remember how the node announces itself: another server under its name is somebody else."""
        self._own_servers.add((server.lower(), port))

    def wants(self, instance: str, now_ms: int) -> bool:
        """Count a name that was heard, and return whether its records are worth asking for."""
        minute, count = self._minute
        count = count + 1 if now_ms - minute < _MINUTE_MS else 1
        self._minute = (minute if count > 1 else now_ms, count)
        if count > FLOOD:
            self.flooded(now_ms)
        node = node_of(instance)
        if node is None:
            self._raise("malformed-announcement", "", now_ms)
            return False
        if node in self._known or node == self._own:
            return True
        if node in self._enrolled:
            return False
        if count <= FLOOD:
            self._strangers[node] = None
            self._strangers.move_to_end(node)
            if len(self._strangers) > STRANGERS:
                self._strangers.popitem(last=False)
        return False

    def take(self, one: Announcement, now_ms: int) -> None:
        """Keep an announcement of an expected node as a hint, or count why not."""
        node = node_of(one.instance)
        urls = _urls(one)
        if node is None or not urls or not _says(one, node):
            self._raise("malformed-announcement", node if node in self._known and node else "", now_ms)
            return
        if node == self._own:
            if (one.server.lower(), one.port) not in self._own_servers:
                self._raise("second-announcer", node, now_ms)
            return
        known = self._known.get(node)
        if known is None:
            return
        server = one.server.lower()
        for candidate in known.candidates:
            if (candidate.server, candidate.port) == (server, one.port):
                candidate.urls = urls
                return
        if known.candidates:
            self._raise("second-announcer", node, now_ms)
        if len(known.candidates) >= ANNOUNCERS:
            oldest = min((c for c in known.candidates if not c.proven), key=lambda c: c.number, default=None)
            if oldest is None:
                return
            known.candidates.remove(oldest)
        self._number += 1
        known.candidates.append(_Candidate(server, one.port, urls, self._number))

    def gone(self, instance: str) -> None:
        """Forget what nobody has proven: anybody can say goodbye in another's name."""
        node = node_of(instance)
        if node is None:
            return
        self._strangers.pop(node, None)
        known = self._known.get(node)
        if known is not None:
            known.candidates = [one for one in known.candidates if one.proven]

    def flooded(self, now_ms: int) -> None:
        """There was more than can be taken; what could not is forgotten."""
        self._raise("discovery-flood", "", now_ms)

    # -- what links find ---------------------------------------------------------------------------------------------

    def where(self, node: str, now_ms: int) -> str:
        """Return the address to dial next for a node; "" where none is known. Proven first, then the least tried."""
        known = self._known.get(node)
        if known is None:
            return ""
        proven = next((one.proven for one in known.candidates if one.proven), "")
        if proven:
            return proven
        urls = [
            (known.failed.get(url, 0), one.number, order, url)
            for one in known.candidates
            for order, url in enumerate(one.urls)
            if self._disproved.get(url, now_ms) <= now_ms
        ]
        return min(urls)[3] if urls else ""

    def proved(self, node: str, url: str) -> None:
        """A handshake at this address named the node."""
        known = self._known.get(node)
        if known is None:
            return
        known.failed.clear()
        for one in known.candidates:
            one.proven = url if url in one.urls else ""

    def failed(self, node: str, url: str, why: str, now_ms: int) -> None:
        """A link ended at this address; `why` as in LinkFault."""
        known = self._known.get(node)
        if known is None or why not in _MISSED:
            return
        if why in IMPOSTOR:
            self._raise("impostor", node, now_ms)
            self._disproved[url] = now_ms + REST_MS
            self._disproved.move_to_end(url)
            if len(self._disproved) > _DISPROVED:
                self._disproved.popitem(last=False)
        addresses = {item for one in known.candidates for item in one.urls}
        known.failed = {item: tries for item, tries in known.failed.items() if item in addresses}
        if url in addresses:
            known.failed[url] = known.failed.get(url, 0) + 1
        for one in known.candidates:
            if one.proven == url:
                one.proven = ""

    # -- what people are told ----------------------------------------------------------------------------------------

    @property
    def strangers(self) -> tuple[str, ...]:
        """Return names that were announced and are not expected, the last ones heard."""
        return tuple(self._strangers)

    def alarms(self, now_ms: int) -> tuple[Alarm, ...]:
        """Return one alarm for each cause that was met within REST_MS, or still stands."""
        for key, (alarm, met_ms) in list(self._alarms.items()):
            known = self._known.get(alarm.node)
            stands = alarm.cause == "second-announcer" and known is not None and len(known.candidates) > 1
            if not stands and now_ms - met_ms > REST_MS:
                del self._alarms[key]
        return tuple(alarm for alarm, _ in self._alarms.values())

    def _raise(self, cause: str, node: str, now_ms: int) -> None:
        """Causes and expected nodes are few, so alarms are."""
        alarm, _ = self._alarms.get((cause, node), (Alarm(cause, node, 0, now_ms), 0))
        self._alarms[cause, node] = (replace(alarm, count=alarm.count + 1), now_ms)


def _urls(one: Announcement) -> tuple[str, ...]:
    if not 1 <= one.port <= 65_535 or not _SERVER.fullmatch(one.server):
        return ()
    urls: list[str] = []
    for text in one.addresses[: 4 * ADDRESSES]:
        try:
            address = ipaddress.ip_address(text)
        except ValueError:
            continue
        zoned = isinstance(address, ipaddress.IPv6Address) and (address.is_link_local or address.scope_id is not None)
        if address.is_multicast or address.is_unspecified or zoned:
            continue
        host = f"[{address}]" if address.version == 6 else str(address)
        urls.append(f"https://{host}:{one.port}")
    return tuple(dict.fromkeys(urls))[:ADDRESSES]


def _says(one: Announcement, node: str) -> bool:
    """Return whether the TXT record is that of a node of this protocol, under its own name."""
    if len(one.txt) > 16 or any(len(key) + len(value or b"") > 255 for key, value in one.txt.items()):
        return False
    role, room = one.txt.get(b"role"), one.txt.get(b"room")
    if room is None or (room and not _NODE.fullmatch(room.decode("utf-8", "replace"))):
        return False
    return (one.txt.get(b"v"), one.txt.get(b"node")) == (PROTOCOL.encode(), node.encode()) and role in {
        b"county",
        b"prefecture",
    }
