"""What a bundle may hold, by name and size, whatever container it comes in."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Protocol

from sync.note import MAX_NOTE
from sync.policy import MAX_POLICY
from sync.proof import MAX_PROOF_FILE
from sync.tampered import Malformed, Problem, Tampered
from sync.tiles import HASH, MAX_BUNDLE, WIDTH, parse_tile_path

MAX_BLOB = 2**32 - 2
_BLOB = re.compile(r"blobs/[0-9a-f]{64}", re.ASCII)
_PROOF = re.compile(r"proofs/[0-9A-Za-z][0-9A-Za-z._-]{0,99}\.tlog-proof", re.ASCII)


class Members(Protocol):
    """What a bundle holds, by name. Whoever reads a container has judged it before."""

    def names(self) -> Iterable[str]:
        """Return the names of all members."""

    def read(self, name: str) -> bytes:
        """Return a member of bounded size. Raises KeyError if there is none."""

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member of any size in pieces. Raises KeyError if there is none."""

    def damaged(self) -> str | None:
        """Return a member whose bytes do not fit a checksum of the container, if one was read."""


class MemoryMembers:
    """Members that are all in memory."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        """`files` maps names to bytes. Raises Tampered: unknown-member, oversize-member."""
        for name, data in files.items():
            check_member(name, len(data))
        self._files = files

    def names(self) -> Iterable[str]:
        """Return the names of all members."""
        return self._files.keys()

    def read(self, name: str) -> bytes:
        """Return a member. Raises KeyError if there is none."""
        return self._files[name]

    def chunks(self, name: str) -> Iterator[bytes]:
        """Yield a member in one piece."""
        yield self._files[name]

    def damaged(self) -> str | None:
        """Memory has no checksums."""
        return None


def bound_of(name: str) -> int | None:
    """Return how many bytes a member of this name may have, or None if a bundle has no such member."""
    if name == "checkpoint":
        return MAX_NOTE
    if name == "policy":
        return MAX_POLICY
    if _BLOB.fullmatch(name):
        return MAX_BLOB
    if _PROOF.fullmatch(name):
        return MAX_PROOF_FILE
    try:
        path = parse_tile_path(name)
    except Malformed:
        return None
    return MAX_BUNDLE if path.level is None else WIDTH * HASH


def check_member(name: str, size: int) -> None:
    """Refuse a member that no bundle has, or one that is too large. Raises Tampered: unknown-member, oversize-member."""
    bound = bound_of(name)
    if bound is None:
        raise Tampered(Problem.UNKNOWN_MEMBER, got=name)
    if size > bound:
        raise Tampered(Problem.OVERSIZE_MEMBER, expected=str(bound), got=str(size), detail=name)
