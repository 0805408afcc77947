"""A node that replicates, as a process of its own: told by JSON lines what to append and where to push (节点进程).

python -m tests.faults.line_node FOLDER NAME HOST PORT
"""

import asyncio
import json
import sys
import time
from pathlib import Path
from typing import Any

from sync.log import head, origins
from sync.replicate import Push
from tests.faults.line_pair import unpackable
from tests.shell.sync_room import RoomNode, identity_in

NAMES = ("a", "b", "p")


class LineNode:
    """The node and the pushes it was told to make."""

    def __init__(self, folder: Path, name: str) -> None:
        self.identities = {one: identity_in(folder, one).public() for one in NAMES}
        self.node = RoomNode(folder, name, tuple(self.identities.values()))
        self.pushes: dict[str, Push] = {}
        self.tasks: list[asyncio.Task[None]] = []
        self.arrived: list[tuple[float, str, int]] = []

    async def do(self, told: dict[str, Any]) -> dict[str, Any]:
        """Do one thing and say how it is now."""
        if told["do"] == "append":
            await self.node.append(unpackable(told["count"], told["start"]))
            for push in self.pushes.values():
                push.notify()
        elif told["do"] == "push":
            origin = self.identities[told["log"]].origin
            push = self.node.push_to(self.identities[told["to"]], told["url"], origin)
            self.pushes[f"{told['log']}-{told['to']}"] = push
            self.tasks.append(asyncio.create_task(push.run()))
        return await self.node.store.read(self._show)

    def _show(self, db: Any) -> dict[str, Any]:
        logs = {origin: head(db, origin) for origin in origins(db)}
        return {
            "now_s": time.monotonic(),
            "sizes": {origin: log.size for origin, log in logs.items()},
            "roots": {origin: log.root.hex() for origin, log in logs.items()},
            "cosigned": {
                origin: {one.cosigner.split("/")[1]: one.size for one in log.cosignatures}
                for origin, log in logs.items()
            },
            "pushes": {
                name: {"state": push.status.state, "why": push.status.why, "behind": push.status.entries_behind}
                for name, push in self.pushes.items()
            },
        }


async def main(folder: Path, name: str, host: str, port: int) -> None:
    """Serve and obey until the input ends."""
    mine = LineNode(folder, name)
    await mine.node.start(port, host)
    print(json.dumps({"port": mine.node.port}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        print(json.dumps(await mine.do(json.loads(line))), flush=True)


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
