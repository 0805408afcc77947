"""A neighbour in a process of its own: `python -m bench.receiver FOLDER SENDER_FOLDER PORT [WANTED]`, folders named as nodes.

A real node behind its sync port: start-up gate, fence, FULL commits, mTLS. It mirrors one sender's log and says its port when
it serves. WANTED is a JSON file of the blobs that it is to accept, as hex SHA-256 to bytes.
"""

import asyncio
import json
import sys
import time
from pathlib import Path

from aiohttp.web_runner import AppRunner, TCPSite

from bench.setup_node import AT_MS, PREFECTURE, opened
from node.start import KEYS
from sync.blob_receiver import BlobPort
from sync.endpoints import MirroredLog, SyncNode, sync_app
from sync.keys import load_identity


async def serve(folder: Path, sender_folder: Path, port: int, named: dict[str, int]) -> None:
    """Serve until killed."""
    sender = load_identity(sender_folder / KEYS)
    node = opened(folder, folder.name, sender_folder)

    async def wanted(sha256: bytes) -> int | None:
        return named.get(sha256.hex())

    receiver = SyncNode(
        db=node.store,
        cosigner=node.keys.cosigner,
        witness=node.keys.witness,
        prefecture=PREFECTURE,
        trust={sender.origin: MirroredLog(sender.log_signer.vkey, sender.node)},
        allowed=lambda _peer, _origin: True,
        now_ms=lambda: AT_MS,
        more_routes=BlobPort(node.blobs, wanted).routes,
    )
    runner = AppRunner(sync_app(receiver), access_log=None)
    await runner.setup()
    await TCPSite(runner, "127.0.0.1", port, ssl_context=node.keys.server_context()).start()
    print(json.dumps({"port": runner.addresses[0][1], "at_s": time.monotonic()}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    words = sys.argv[1:]
    blobs = json.loads(Path(words[3]).read_text()) if len(words) > 3 else {}
    asyncio.run(serve(Path(words[0]), Path(words[1]), int(words[2]), blobs))
