"""Who listens is told, after the commit, that a topic changed; never what changed. A lost message can only delay.

Topics: stream names ("lot/…", "sheet/…", "room/…"), "status" for the links, "log" for every entry.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable

_QUEUE = 64


class Feed:
    """Fan-out inside one event loop."""

    def __init__(self) -> None:
        """Nobody listens yet."""
        self._listeners: set[tuple[frozenset[str], asyncio.Queue[str | None]]] = set()

    def publish(self, topics: Iterable[str]) -> None:
        """Tell every listener of these topics; a listener that fell behind gets one "refresh"."""
        changed = set(topics)
        for wanted, queue in list(self._listeners):
            for topic in changed & wanted if wanted else changed:
                if queue.full():
                    while not queue.empty():
                        queue.get_nowait()
                    queue.put_nowait("refresh")
                    break
                queue.put_nowait(topic)

    async def listen(self, topics: Iterable[str], heartbeat_s: float = 5.0) -> AsyncIterator[str]:
        """Yield changed topics, and "" as a heartbeat when nothing happened. Ends when the feed closes."""
        queue: asyncio.Queue[str | None] = asyncio.Queue(_QUEUE)
        key = (frozenset(topics), queue)
        self._listeners.add(key)
        try:
            while True:
                try:
                    topic = await asyncio.wait_for(queue.get(), heartbeat_s)
                except TimeoutError:
                    yield ""
                    continue
                if topic is None:
                    return
                yield topic
        finally:
            self._listeners.discard(key)

    def close(self) -> None:
        """End every listener, before the server waits for its requests."""
        for _, queue in list(self._listeners):
            while queue.full():
                queue.get_nowait()
            queue.put_nowait(None)
