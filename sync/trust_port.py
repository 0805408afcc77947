"""The trust part of the sync port (信任端口): `GET /trust/crl` the list in hand, `POST /trust/renewal` a new leaf.

The list is signed, so neighbours pass it on. A renewal is asked for with the enrolled key and answered where the office is.
"""

import asyncio
import datetime as dt
import re

from sync.enrolment import EnrolRefused, renewing_node
from sync.office import Office
from sync.receiver import RENEWAL, Ask, Route, SyncNode, small_body
from sync.trust import Trust
from sync.witness import Answer, refuse

CRL_PATH = "/trust/crl"
RENEWAL_TYPE = "application/vnd.erhai.renewal"
BUNDLE_TYPE = "application/vnd.erhai.bundle"
_MAX_RENEWAL = 4_096
CRL_TYPE = "application/pkix-crl"


class TrustPort:
    """The handlers over one judge."""

    def __init__(self, trust: Trust, office: Office | None = None) -> None:
        """`office` is the prefecture's, if its certificates are renewed here."""
        self._trust = trust
        self._office = office

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return the addresses, for `SyncNode.more_routes`."""
        return (("GET", re.compile(CRL_PATH), self._crl), ("POST", re.compile(RENEWAL), self._renew))

    async def _renew(self, _node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
        if self._office is None:
            return refuse(404, "certificates are not renewed here")
        paper = await small_body(ask, _MAX_RENEWAL)
        if isinstance(paper, Answer):
            return paper
        if renewing_node(paper) != ask.peer:
            return refuse(403, "a node renews its own certificate alone")
        try:
            bundle = await asyncio.to_thread(self._office.renew, paper, dt.datetime.now(dt.UTC))
        except EnrolRefused as refused:
            return refuse(403, str(refused))
        return Answer(200, bundle, BUNDLE_TYPE)

    async def _crl(self, _node: SyncNode, _ask: Ask, _match: re.Match[str]) -> Answer:
        crl = self._trust.crl
        return refuse(404, "no list here") if crl is None else Answer(200, crl.der, CRL_TYPE)
