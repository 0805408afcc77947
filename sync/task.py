"""What pushing and following have in common: rounds that fail and come back, and a status for people (任务)."""

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import replace

from sync.link import LinkFault, PeerLink
from sync.log import LogFault
from sync.pace import Pace
from sync.receiver import Database
from sync.status import LinkState, PeerStatus
from sync.supervise import log_once
from sync.tampered import Malformed, Tampered

IDLE_S = 5.0  # a quiet link is probed so often
FIRST_DELAY_S = 0.25
LAST_DELAY_S = 1.5


class Task(ABC):
    """What pushing and following have in common: rounds, waiting, coming back, and a status for people."""

    def __init__(self, link: PeerLink, db: Database, origin: str, direction: str, now_ms: Callable[[], int]) -> None:
        """Nothing is sent before `run`."""
        self._link = link
        self._db = db
        self._origin = origin
        self._now_ms = now_ms
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self.status = PeerStatus(link.node, link.url, origin, direction, LinkState.CONNECTING)
        self.changed: Callable[[PeerStatus], None] = lambda _status: None

    def notify(self) -> None:
        """There may be something to move."""
        self._wake.set()

    def retry_now(self) -> None:
        """The link may be back: do not wait out the delay."""
        self._hurry.set()
        self._wake.set()

    async def once(self) -> None:
        """Do one round, for a reader of something that does not change. Raises what `run` would show."""
        await self._round()

    async def run(self) -> None:
        """Work until cancelled. Whatever fails changes the status and never ends the task: this is its supervisor."""
        failures = 0
        try:
            while True:
                self._wake.clear()
                self._hurry.clear()
                try:
                    await self._round()
                except LinkFault as fault:
                    failures += 1
                    self._show(_STATES.get(fault.why, LinkState.OFFLINE), str(fault), why=fault.why)
                    await self._pause(failures, fault.retry_after_s)
                except (Tampered, LogFault, Malformed) as evidence:
                    failures += 1
                    self._show(LinkState.TAMPERED, str(evidence))
                    await self._pause(failures, None)
                except Exception as error:  # noqa: BLE001 - see above
                    failures += 1
                    log_once(error, f"{self.status.direction} of {self._origin} with {self.status.name}")
                    self._show(LinkState.FAULT, str(error))
                    await self._pause(failures, None)
                else:
                    failures = 0
                    await _wait(self._wake, IDLE_S)
        finally:
            await self._close()

    async def _close(self) -> None:
        await self._link.close()

    @abstractmethod
    async def _round(self) -> None:
        """Move what there is to move."""

    async def _pause(self, failures: int, retry_after_s: int | None) -> None:
        ceiling = min(LAST_DELAY_S, FIRST_DELAY_S * 2 ** min(failures, 8))
        delay_s = random.uniform(FIRST_DELAY_S / 2, ceiling)  # noqa: S311 - spreads load, guards nothing
        await _wait(self._hurry, max(delay_s, min(retry_after_s or 0, LAST_DELAY_S)))

    def _show(
        self,
        state: LinkState,
        detail: str = "",
        *,
        why: str = "",
        contact: bool = False,
        behind: int | None = None,
        bytes_behind: int | None = None,
        pace: Pace | None = None,
    ) -> None:
        status = self.status
        behind = status.entries_behind if behind is None else behind
        weight = status.bytes_behind if bytes_behind is None else bytes_behind
        new = replace(
            status,
            state=state,
            detail=detail,
            why=why,
            last_contact_ms=self._now_ms() if contact else status.last_contact_ms,
            entries_behind=behind,
            bytes_behind=weight if behind else 0,
            oldest_unsent_ms=(status.oldest_unsent_ms or self._now_ms()) if behind else None,
            entries_per_s=status.entries_per_s if pace is None else pace.entries_per_s,
            bytes_per_s=status.bytes_per_s if pace is None else pace.bytes_per_s,
        )
        if new != status:
            self.status = new
            self.changed(new)


_REFUSALS = ("refused", "foreign-certificate", "peer-certificate", "own-certificate")
_STATES = {"busy": LinkState.SENDING, **dict.fromkeys(_REFUSALS, LinkState.REFUSED)}


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return
