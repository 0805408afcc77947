"""Lists of revocations of persons' certificates between nodes (吊销名单互传): `GET /trust/persons` names those that lie here,
`GET /trust/persons/<sha256>` gives one. Lists are signed by their issuers, so it does not matter who passes them on.
"""

import asyncio
import hashlib
import re

from sync.crl_shelf import CrlShelf
from sync.receiver import Ask, Route, SyncNode
from sync.witness import Answer, refuse

LISTS_PATH = "/trust/persons"
LISTS_TYPE = "text/plain"
LIST_TYPE = "application/pkix-crl"
MOST_BYTES = 16 * 1024 * 1024
_NAME = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_NAMES = 1_000


def names_in(body: bytes) -> frozenset[str]:
    """Return the names of an answer; what is none is left out."""
    lines = body.decode("ascii", errors="replace").split("\n")[:_MOST_NAMES]
    return frozenset(line for line in lines if _NAME.fullmatch(line))


class PersonLists:
    """What lies on a shelf, by SHA-256; and the handlers over it."""

    def __init__(self, shelf: CrlShelf) -> None:
        """The shelf is read at each use."""
        self._shelf = shelf

    def names(self) -> frozenset[str]:
        """Return the digests of the lists. Raises OSError."""
        return frozenset(hashlib.sha256(der).hexdigest() for der in self._shelf.all())

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the addresses, for `SyncNode.more_routes`."""
        one = re.compile(rf"{LISTS_PATH}/([0-9a-f]{{64}})", re.ASCII)
        return (("GET", re.compile(LISTS_PATH), self._all), ("GET", one, self._one))

    async def _all(self, _node: SyncNode, _ask: Ask, _match: re.Match[str]) -> Answer:
        names = await asyncio.to_thread(self.names)
        return Answer(200, "".join(f"{name}\n" for name in sorted(names)).encode(), LISTS_TYPE)

    async def _one(self, _node: SyncNode, _ask: Ask, match: re.Match[str]) -> Answer:
        lists = await asyncio.to_thread(self._shelf.all)
        found = next((der for der in lists if hashlib.sha256(der).hexdigest() == match[1]), None)
        return refuse(404, "no such list here") if found is None else Answer(200, found, LIST_TYPE)
