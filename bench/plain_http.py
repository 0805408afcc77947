"""What attachments are measured against: `python -m bench.plain_http FOLDER`, a plain aiohttp server that keeps what is PUT.

It writes the body to a file as it comes, fsyncs once at the end, and answers. No TLS, no hash, no resuming.
"""

import asyncio
import json
import os
import sys
from pathlib import Path

from aiohttp.web import Application, Request, Response
from aiohttp.web_runner import AppRunner, TCPSite


async def serve(folder: Path) -> None:
    """Serve until killed."""

    async def put(request: Request) -> Response:
        with (folder / request.match_info["name"]).open("wb") as file:
            while piece := await request.content.readany():
                file.write(piece)
            file.flush()
            await asyncio.to_thread(os.fsync, file.fileno())
        return Response(status=201)

    app = Application(client_max_size=1 << 40)
    app.router.add_put("/{name}", put)
    runner = AppRunner(app, access_log=None)
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", 0).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve(Path(sys.argv[1])))
