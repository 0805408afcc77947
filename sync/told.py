"""What others can show of this node's own log: it may have been put back, and dial nobody who could tell it (被告知).

    POST /log/signed    a checkpoint with the signature of this node's log key, as a note

A node asks its peers at every start; whoever can only be dialled, as the prefecture is, is told by those who read its log.
"""

import re
from collections.abc import Awaitable, Callable

from sync.checkpoint import Opened, open_checkpoint
from sync.note import VerifierKey
from sync.overtaken import contains
from sync.receiver import Ask, Route, SyncNode, small_body
from sync.tampered import Tampered
from sync.wire import SIGNED
from sync.witness import Answer, refuse


class Told:
    """The port's part for it. `disproved(opened, peer)` hears of what the own key has signed and the log does not contain."""

    def __init__(self, own: VerifierKey, disproved: Callable[[Opened, str], Awaitable[None]]) -> None:
        """Nothing is asked of anybody."""
        self._own = own
        self._disproved = disproved

    @property
    def routes(self) -> tuple[Route, ...]:
        """Return what the sync port serves of this."""
        return (("POST", re.compile(SIGNED), self._signed),)

    async def _signed(self, node: SyncNode, ask: Ask, _match: re.Match[str]) -> Answer:
        body = await small_body(ask)
        if isinstance(body, Answer):
            return body
        try:
            opened = open_checkpoint(body, [self._own])
        except Tampered as tampered:
            return refuse(403, str(tampered))
        if not await node.db.read(lambda db: contains(db, opened.checkpoint)):
            await self._disproved(opened, ask.peer)
        return Answer(200)
