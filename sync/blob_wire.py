"""A blob on its way, in chunks that prove themselves (附件分块): 1 MiB each, under an RFC 6962 root over the chunks.

Entries name a blob by SHA-256 only, so the chunk root is the sender's word: it makes each chunk checkable as it comes, and
the SHA-256 over the whole decides at the end. A sender with a wrong root wastes its own upload and nobody else's.

Body of a PUT: the lines `erhai-chunk/v1`, size in bytes, chunk number, chunk root (base64), one line a hash of the audit
path (base64, leaf to root), an empty line, then the chunk's bytes.
"""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass

from sync.merkle import Frontier, leaf_hash, node_hash
from sync.tampered import Malformed

CHUNK = 1024 * 1024
MAX_BLOB = 1024 * 1024 * 1024
CHUNK_TYPE = "application/octet-stream"
_MAGIC = b"erhai-chunk/v1"
_MOST_PATH = 16
_MOST_HEAD = 64 + _MOST_PATH * 48 + 128
MAX_CHUNK_BODY = CHUNK + _MOST_HEAD


def chunks_of(size: int) -> int:
    """Return how many chunks a blob of this size has; an empty one has one."""
    return max(1, -(-size // CHUNK))


def chunk_length(size: int, index: int) -> int:
    """Return the length of one chunk."""
    return min(CHUNK, size - index * CHUNK)


def chunk_root(leaves: Sequence[bytes]) -> bytes:
    """Return the root over the chunks' leaf hashes."""
    return Frontier().extend(leaves).root()


def audit_path(leaves: Sequence[bytes], index: int) -> tuple[bytes, ...]:
    """Return the hashes that lead from one leaf to the root, leaf to root (RFC 6962 2.1.1)."""
    if len(leaves) <= 1:
        return ()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return (*audit_path(leaves[:split], index), chunk_root(leaves[split:]))
    return (*audit_path(leaves[split:], index - split), chunk_root(leaves[:split]))


def root_of(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    """Return the root that a leaf and its audit path give. Raises Malformed for a path of another length."""
    if not 0 <= index < count:
        raise Malformed("chunk", f"number {index} of {count}")
    found, left = _climb(leaf, index, count, list(path))
    if left:
        raise Malformed("chunk", "the audit path is too long")
    return found


def _climb(leaf: bytes, index: int, count: int, path: list[bytes]) -> tuple[bytes, list[bytes]]:
    if count == 1:
        return leaf, path
    split = 1 << (count - 1).bit_length() - 1
    if index < split:
        inner, rest = _climb(leaf, index, split, path)
    else:
        inner, rest = _climb(leaf, index - split, count - split, path)
    if not rest:
        raise Malformed("chunk", "the audit path is too short")
    beside, rest = rest[0], rest[1:]
    return (node_hash(inner, beside) if index < split else node_hash(beside, inner)), rest


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk with its place and proof."""

    size: int  # of the whole blob, bytes
    index: int
    root: bytes
    path: tuple[bytes, ...]
    data: bytes

    def __bytes__(self) -> bytes:
        """Return the body of its PUT."""
        lines = [_MAGIC, b"%d" % self.size, b"%d" % self.index, base64.b64encode(self.root)]
        lines += [base64.b64encode(one) for one in self.path]
        return b"\n".join(lines) + b"\n\n" + self.data

    @classmethod
    def parse(cls, body: bytes) -> "Chunk":
        """Return the chunk, proven under its own root. Raises Malformed."""
        head, mark, data = body[:_MOST_HEAD].partition(b"\n\n")
        lines = head.split(b"\n")
        if not mark or lines[0] != _MAGIC or not 4 <= len(lines) <= 4 + _MOST_PATH:
            raise Malformed("chunk", "no head of a chunk")
        size, index = _whole(lines[1], "size"), _whole(lines[2], "number")
        hashes = [_hash(line) for line in lines[3:]]
        data = body[len(head) + 2 :]
        if size > MAX_BLOB or index >= chunks_of(size):
            raise Malformed("chunk", f"number {index} of a blob of {size} bytes")
        if len(data) != chunk_length(size, index):
            raise Malformed("chunk", f"{len(data)} bytes instead of {chunk_length(size, index)}")
        if root_of(leaf_hash(data), index, chunks_of(size), hashes[1:]) != hashes[0]:
            raise Malformed("chunk", f"number {index} is not under its root")
        return cls(size, index, hashes[0], tuple(hashes[1:]), data)


def _whole(text: bytes, what: str) -> int:
    if not text.isdigit() or len(text) > 12 or (len(text) > 1 and text[:1] == b"0"):
        raise Malformed("chunk", what)
    return int(text)


def _hash(line: bytes) -> bytes:
    try:
        found = base64.b64decode(line, validate=True)
    except (ValueError, binascii.Error) as error:
        raise Malformed("chunk", "not base64") from error
    if len(found) != 32 or base64.b64encode(found) != line:
        raise Malformed("chunk", "not a hash in base64")
    return found
