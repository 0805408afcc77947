"""The demonstration's nodes as real processes: started, killed, started again, always by their own pid."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path

from web.demo.world import NODES, World


@dataclass(eq=False)
class ProcessFault(Exception):
    """A node's process did not do what was asked of it."""

    node: str
    why: str
    log: str = ""

    def __str__(self) -> str:
        """One line and what the node last said."""
        return f"{self.node}: {self.why}\n{self.log}"


@dataclass(slots=True)
class Processes:
    """The running nodes of one world."""

    world: World
    running: dict[str, "subprocess.Popen[bytes]"] = field(default_factory=dict)

    def _log(self, node: str) -> Path:
        return self.world.folder / f"{node}.log"

    def start(self, node: str, timeout_s: float = 40.0) -> float:
        """Start a node and wait until its pages answer; return how long that took."""
        began = time.monotonic()
        for port in (self.world.pages(node), self.world.sync(node)):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", port)) == 0:
                    raise ProcessFault(node, f"port {port} is taken by another program; choose another --port")
        config = self.world.data(node) / "erhai.toml"
        with self._log(node).open("ab") as log:
            self.running[node] = subprocess.Popen(
                [sys.executable, "-m", "erhai", "run", "--config", str(config)],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
                cwd=Path(__file__).parents[2],
                env={**os.environ, "PYTHONUNBUFFERED": "1"},
            )
        url = f"http://127.0.0.1:{self.world.pages(node)}/healthz"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        while True:
            if self.running[node].poll() is not None:
                raise ProcessFault(node, "ended at its start", self._log(node).read_text(errors="replace")[-2_000:])
            try:
                with opener.open(url, timeout=2) as answer:
                    if answer.status == 200:
                        return time.monotonic() - began
            except (urllib.error.URLError, OSError):
                pass
            if time.monotonic() - began > timeout_s:
                raise ProcessFault(node, "did not answer", self._log(node).read_text(errors="replace")[-2_000:])
            time.sleep(0.05)

    def start_all(self) -> None:
        """Start every node."""
        for node in NODES:
            self.start(node)

    def kill(self, node: str) -> None:
        """Kill a node as a power cut would: SIGKILL, no last word."""
        process = self.running.pop(node)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

    def stop(self) -> None:
        """End every node in good order; kill one that does not end."""
        for process in self.running.values():
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self.running.values():
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self.running.clear()
