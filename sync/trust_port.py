"""The trust part of the sync port (信任端口): `GET /trust/crl` the list in hand. It is signed, so neighbours pass it on."""

import re

from sync.receiver import Ask, Route, SyncNode
from sync.trust import Trust
from sync.witness import Answer, refuse

CRL_PATH = "/trust/crl"
CRL_TYPE = "application/pkix-crl"


class TrustPort:
    """The handlers over one judge."""

    def __init__(self, trust: Trust) -> None:
        """Nothing is kept beside it."""
        self._trust = trust

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the addresses, for `SyncNode.more_routes`."""
        return (("GET", re.compile(CRL_PATH), self._crl),)

    async def _crl(self, _node: SyncNode, _ask: Ask, _match: re.Match[str]) -> Answer:
        crl = self._trust.crl
        return refuse(404, "no list here") if crl is None else Answer(200, crl.der, CRL_TYPE)
