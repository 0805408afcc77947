"""Processes that a measurement starts and kills: each says one JSON line when it is ready, and takes commands as lines."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Self

import psutil

ROOT = Path(__file__).parents[1]


class Child:
    """A module of ours in a process of its own. Use as a context manager: it is killed at the end."""

    def __init__(self, module: str, *arguments: str, wait: bool = True) -> None:
        """Start it; with `wait` until it says that it is ready, and keep what it says in `hello`."""
        self._module = module
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
        )
        self.hello: Any = self.read() if wait else None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def read(self) -> Any:
        """Wait for its next line."""
        line = "" if self.process.stdout is None else self.process.stdout.readline()
        if not line:
            raise ChildFault(f"{self._module} ended before it said anything")
        return json.loads(line)

    def tell(self, **command: Any) -> None:
        """Give it a command; nothing is waited for."""
        if self.process.stdin is None:
            raise ChildFault("no pipe to it")
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()

    def rss_mib(self) -> float:
        """Return its memory."""
        return float(psutil.Process(self.process.pid).memory_info().rss) / 2**20

    def kill(self) -> None:
        """End it as a power cut would (SIGKILL)."""
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()


class ChildFault(Exception):
    """A process of the measurement ended before it was ready."""
