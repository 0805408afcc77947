"""A wire between two interfaces that carries frames late, slowly, sometimes, or not at all (网线).

    python -m tests.faults.wire IN OUT [IN OUT ...]      in a network namespace, as root

Unlike `line` it knows no connection: the kernels at both ends do their own TCP over it, so a cut is silence, and coming back
is whatever TCP makes of it. Commands come as JSON lines, one for each pair by number, and are answered by what it carried:
`{"pair": 0, "rate": 8000, "delay_s": 0.3, "loss": 0.05, "up": true}`. `tc netem` would do, where a kernel has it.
"""

import asyncio
import ctypes
import fcntl
import json
import random
import socket
import struct
import sys
from dataclasses import dataclass, field

_ALL_FRAMES = 0x0003  # ETH_P_ALL
_OUTGOING = 4  # PACKET_OUTGOING: what we sent ourselves
_QUEUE_S = 2.0  # seconds of its rate that a direction lets wait before it drops
_SIOCETHTOOL = 0x8946
_OFFLOADS = (0x17, 0x19, 0x1F, 0x24, 0x2C)  # ETHTOOL_STXCSUM, SSG, STSO, SGSO, SGRO


def without_offloads(interface: str) -> None:
    """Let the kernel make whole frames with checksums: a wire that is no device of its kernel carries nothing else."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        for command in _OFFLOADS:
            value = ctypes.create_string_buffer(struct.pack("II", command, 0))
            request = struct.pack("16sP", interface.encode(), ctypes.addressof(value))
            fcntl.ioctl(any_socket.fileno(), _SIOCETHTOOL, request)


@dataclass
class Strand:
    """What both directions of one pair do with a frame."""

    rate: int = 0
    delay_s: float = 0.0
    loss: float = 0.0
    up: bool = True
    carried: list[int] = field(default_factory=lambda: [0, 0])


class Wire:
    """Carries frames from one interface to the other, both ways."""

    def __init__(self, ends: tuple[str, str], seed: int) -> None:
        self.strand = Strand()
        self._rng = random.Random(seed)
        self._free_s = [0.0, 0.0]
        self._sockets = []
        for interface in ends:
            made = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_FRAMES))
            made.bind((interface, 0))
            made.setblocking(False)
            self._sockets.append(made)
        loop = asyncio.get_running_loop()
        for way in (0, 1):
            loop.add_reader(self._sockets[way], self._take, way)

    def _take(self, way: int) -> None:
        while True:
            try:
                frame, address = self._sockets[way].recvfrom(65_535)
            except BlockingIOError:
                return
            if address[2] != _OUTGOING:
                self._carry(way, frame)

    def _carry(self, way: int, frame: bytes) -> None:
        loop, strand = asyncio.get_running_loop(), self.strand
        if not strand.up or self._rng.random() < strand.loss:
            return
        now_s = loop.time()
        free_s = max(now_s, self._free_s[way])
        if free_s - now_s > _QUEUE_S:
            return
        self._free_s[way] = free_s + (len(frame) / strand.rate if strand.rate else 0.0)
        loop.call_at(self._free_s[way] + strand.delay_s, self._deliver, way, frame)

    def _deliver(self, way: int, frame: bytes) -> None:
        if not self.strand.up:
            return
        try:
            self._sockets[1 - way].send(frame)
        except OSError:  # the far end is gone: so is the frame
            return
        self.strand.carried[way] += len(frame)


async def main(interfaces: list[str]) -> None:
    """Carry until the input ends."""
    for interface in interfaces:
        without_offloads(interface)
    pairs = list(zip(interfaces[::2], interfaces[1::2], strict=True))
    wires = [Wire(pair, seed) for seed, pair in enumerate(pairs)]
    print(json.dumps({"pairs": len(wires)}), flush=True)
    while line := await asyncio.to_thread(sys.stdin.readline):
        told = json.loads(line)
        strand = wires[told.pop("pair")].strand
        for name, value in told.items():
            setattr(strand, name, value)
        print(json.dumps({"carried": strand.carried}), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1:]))
