"""Two nodes of a room and the prefecture, each in a network namespace of its own (网络命名空间): needs root.

a and b share a switchless LAN; each has a wire of its own to p. In the middle a fourth namespace carries the frames of both
wires, so nothing of this touches the machine's own network.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from tests.shell.sync_room import identity_in

ROOT = Path(__file__).parents[2]
PORT = 7_443
LAN, WIRES = "10.9.0", {"a": "10.9.1", "b": "10.9.2"}  # .1 is the near end, .2 p's
_serial = itertools.count()


def ip(*words: str) -> None:
    """Run ip(8). Raises CalledProcessError with what it said."""
    subprocess.run(["ip", *words], check=True, capture_output=True, text=True, timeout=20)


def why_not() -> str:
    """Return why namespaces cannot be had here; empty where they can."""
    name = f"erhai-probe-{os.getpid()}"
    try:
        ip("netns", "add", name)
        try:
            ip("-n", name, "link", "add", "x0", "type", "veth", "peer", "name", "x1")
        finally:
            ip("netns", "del", name)
    except FileNotFoundError:
        return "ip(8) is not installed"
    except subprocess.CalledProcessError as error:
        return f"network namespaces are not permitted here: {error.stderr.strip()}"
    return ""


class Child:
    """A process of ours within a namespace that answers each JSON line by one."""

    def __init__(self, namespace: str, module: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, sys.executable, "-m", module, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        self.hello = self._read()

    def ask(self, **told: Any) -> Any:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(told) + "\n")
        self.process.stdin.flush()
        return self._read()

    def _read(self) -> Any:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the process ended"
        return json.loads(line)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()


class County:
    """The three nodes, running, and their wires. Use as a context manager."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tag = f"erhai-{os.getpid()}-{next(_serial)}"
        self._made: list[str] = []
        self.nodes: dict[str, Child] = {}
        self.origins = {name: identity_in(folder, name).origin for name in ("a", "b", "p")}

    def _space(self, name: str) -> str:
        return f"{self._tag}-{name}"

    def __enter__(self) -> Self:
        try:
            self._lay()
            self.wires = Child(self._space("w"), "tests.faults.wire", "a0", "a1", "b0", "b1")
            for name in self.origins:
                self.start(name)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for child in (*self.nodes.values(), *([self.wires] if hasattr(self, "wires") else [])):
            child.kill()
        for space in self._made:
            ip("netns", "del", space)

    def _lay(self) -> None:
        for name in ("a", "b", "p", "w"):
            ip("netns", "add", self._space(name))
            self._made.append(self._space(name))
            ip("-n", self._space(name), "link", "set", "lo", "up")
        ends = [("a", "lan", f"{LAN}.1", "b", "lan", f"{LAN}.2")]
        for name, net in WIRES.items():
            ends += [
                (name, "wan", f"{net}.1", "w", f"{name}0", ""),
                ("w", f"{name}1", "", "p", f"from-{name}", f"{net}.2"),
            ]
        for near, near_if, near_ip, far, far_if, far_ip in ends:
            here, there = self._space(near), self._space(far)
            ip("-n", here, "link", "add", near_if, "type", "veth", "peer", "name", far_if, "netns", there)
            for space, interface, address in ((here, near_if, near_ip), (there, far_if, far_ip)):
                if address:
                    ip("-n", space, "addr", "add", f"{address}/24", "dev", interface)
                ip("-n", space, "link", "set", "dev", interface, "up")
        code = "import sys; from tests.faults.wire import without_offloads; [without_offloads(one) for one in sys.argv[1:]]"
        for name, interfaces in (("a", ["wan"]), ("b", ["wan"]), ("p", ["from-a", "from-b"])):
            command = ["ip", "netns", "exec", self._space(name), sys.executable, "-c", code, *interfaces]
            subprocess.run(command, check=True, cwd=ROOT, timeout=30)

    def start(self, name: str) -> None:
        """Start a node's process."""
        everywhere = "0.0.0.0"  # noqa: S104 - of a namespace of ours
        child = Child(self._space(name), "tests.faults.line_node", str(self._folder), name, everywhere, str(PORT))
        self.nodes[name] = child

    def kill(self, name: str) -> None:
        """Kill a node as a power cut would."""
        self.nodes.pop(name).kill()

    def wire(self, name: str, **told: Any) -> list[int]:
        """Change the wire of a or b to p; return the bytes of frames that it has carried up and down."""
        return self.wires.ask(pair=list(WIRES).index(name), **told)["carried"]

    def append(self, name: str, count: int, start: int = 0) -> None:
        self.nodes[name].ask(do="append", count=count, start=start)

    def push(self, by: str, to: str, log: str | None = None) -> None:
        """Let a node push a log, its own where none is named."""
        address = f"{WIRES[by]}.2" if to == "p" else f"{LAN}.{1 if to == 'a' else 2}"
        self.nodes[by].ask(do="push", to=to, log=log or by, url=f"https://{address}:{PORT}")

    def show(self, name: str) -> Any:
        return self.nodes[name].ask(do="show")

    def size(self, at: str, of: str) -> int:
        """Return how many entries of a node's log are stored at another."""
        return self.show(at)["sizes"].get(self.origins[of], 0)

    def cosigned(self, at: str, of: str, by: str) -> int:
        """Return how many entries of a log are known, at a node, to be stored and cosigned by another."""
        return self.show(at)["cosigned"].get(self.origins[of], {}).get(by, 0)


def until(condition: Callable[[], object], seconds: float = 60.0) -> float:
    """Wait for a condition; return how long that took. Fails the test after a while."""
    began_s = time.monotonic()
    while not condition():
        assert time.monotonic() - began_s < seconds, "the condition never came true"
        time.sleep(0.05)
    return time.monotonic() - began_s
