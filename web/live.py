"""Server-sent events: what changed, never the data (现场更新). The page fetches its own fragment again."""

import asyncio

from aiohttp.web import Request, StreamResponse

from web.keys import NODE
from web.security import HEADERS

_TOPICS_MOST = 20


async def live(request: Request) -> StreamResponse:
    """GET /live?topics=a,b — `event: changed`, `data: <topic>`; a comment every five seconds while nothing changes."""
    topics = [topic for topic in request.query.get("topics", "").split(",") if topic][:_TOPICS_MOST]
    response = StreamResponse(
        headers={**HEADERS, "Content-Type": "text/event-stream; charset=utf-8", "Cache-Control": "no-store"}
    )
    await response.prepare(request)
    node = request.app[NODE]
    try:
        await response.write(b"retry: 3000\n\nevent: beat\ndata: open\n\n")
        async for topic in node.feed.listen([*topics, "status"]):
            if topic:
                await response.write(f"event: changed\ndata: {topic}\n\n".encode())
            else:
                await response.write(b"event: beat\ndata: -\n\n")
    except (ConnectionError, asyncio.CancelledError):
        return response
    return response
