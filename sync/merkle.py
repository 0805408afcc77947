"""The RFC 6962 tree with SHA-256: growing it, its root, and proofs made and checked.

Every proof here is one kind: the subtree consistency proof of draft-ietf-plants-merkle-tree-certs 4.4, as C2SP
tlog-mirror uses it. The range [i, i+1) gives the inclusion proof of RFC 6962 2.1.1 and [0, old) the consistency proof of
2.1.2, hash for hash. Making a proof reads at most 255 stored hashes a level of 256, however long the log is.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, Self

from sync.tampered import Malformed, Problem, Tampered

EMPTY_ROOT = hashlib.sha256(b"").digest()
MAX_SIZE = 2**63 - 1
"""No tree here is larger; a size beyond it is refused before anything is computed."""
MAX_PROOF = 63
"""No proof has more hashes (C2SP tlog-witness, tlog-mirror)."""

_sha256 = hashlib.sha256


def leaf_hash(entry: bytes) -> bytes:
    """Return the leaf hash of an entry (RFC 6962 2.1)."""
    return _sha256(b"\0" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Return the hash of an inner node (RFC 6962 2.1)."""
    return _sha256(b"\1" + left + right).digest()


@dataclass(frozen=True, slots=True)
class Frontier:
    """All that is needed to go on growing a tree: the roots of its perfect subtrees, one per set bit, largest first."""

    size: int = 0
    hashes: tuple[bytes, ...] = ()

    def append(self, leaf: bytes) -> Self:
        """Return the frontier with one more leaf hash."""
        size = self.size
        if not size & 1:
            return type(self)(size + 1, (*self.hashes, leaf))
        stack, left, node = list(self.hashes), size, leaf
        while left & 1:
            node = _sha256(b"\1" + stack.pop() + node).digest()
            left >>= 1
        stack.append(node)
        return type(self)(size + 1, tuple(stack))

    def extend(self, leaves: Iterable[bytes]) -> Self:
        """Return the frontier with more leaf hashes, in order."""
        size, stack = self.size, list(self.hashes)
        for leaf in leaves:
            node, left = leaf, size
            while left & 1:
                node = _sha256(b"\1" + stack.pop() + node).digest()
                left >>= 1
            stack.append(node)
            size += 1
        return type(self)(size, tuple(stack))

    def root(self) -> bytes:
        """Return the root of the tree; EMPTY_ROOT for no leaves."""
        if not self.hashes:
            return EMPTY_ROOT
        root = self.hashes[-1]
        for left in self.hashes[-2::-1]:
            root = node_hash(left, root)
        return root

    def pack(self) -> bytes:
        """Return the hashes as one string, 32 bytes each."""
        return b"".join(self.hashes)

    @classmethod
    def unpack(cls, size: int, data: bytes) -> Self:
        """Return the frontier that `pack` gave for this size. Raises Malformed."""
        if not 0 <= size <= MAX_SIZE:
            raise Malformed("size", "is outside 0 … 2**63-1")
        if len(data) != 32 * size.bit_count():
            raise Malformed("frontier", f"holds {len(data)} bytes, a tree of {size} needs {32 * size.bit_count()}")
        return cls(size, tuple(data[i : i + 32] for i in range(0, len(data), 32)))


class HashReader(Protocol):
    """Reads the hashes of perfect subtrees of 256**level leaves: exactly what tiles and log tables store."""

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Return the hashes [start, end) of a level, all of them, or raise the reader's own error."""


class MemoryHashes:
    """A HashReader over leaf hashes in memory, for small logs, packages in flight and checks."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Hash every complete subtree of 256**level leaves once."""
        level = list(leaves)
        self.size = len(level)
        self._levels = [level]
        while len(level) >= 256:
            complete = range(0, len(level) - len(level) % 256, 256)
            level = [Frontier().extend(level[i : i + 256]).root() for i in complete]
            self._levels.append(level)

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Return the hashes [start, end) of a level. Raises IndexError where the log does not hold them."""
        if level >= len(self._levels) or end > len(self._levels[level]):
            raise IndexError(level, start, end)
        return self._levels[level][start:end]


def subtree_hash(reader: HashReader, start: int, end: int) -> bytes:
    """Return MTH(D[start:end]). The range must be a subtree (see `is_subtree`); an empty range has EMPTY_ROOT."""
    if start == end == 0:
        return EMPTY_ROOT
    if not is_subtree(start, end):
        raise ValueError(f"[{start}, {end}) is not a subtree")
    roots = []
    while start < end:  # the perfect subtrees of the range, largest first
        exponent = (end - start).bit_length() - 1
        level, rest = divmod(exponent, 8)
        first = start >> (8 * level)
        row = list(reader.hashes(level, first, first + (1 << rest)))
        while len(row) > 1:
            row = [node_hash(row[i], row[i + 1]) for i in range(0, len(row), 2)]
        roots.append(row[0])
        start += 1 << exponent
    root = roots.pop()
    while roots:
        root = node_hash(roots.pop(), root)
    return root


def tree_root(reader: HashReader, size: int) -> bytes:
    """Return the root of the first `size` leaves."""
    return subtree_hash(reader, 0, size)


def frontier_of(reader: HashReader, size: int) -> Frontier:
    """Return the frontier of the tree of `size` leaves."""
    roots: list[bytes] = []
    start = 0
    while start < size:
        width = 1 << ((size - start).bit_length() - 1)
        roots.append(subtree_hash(reader, start, start + width))
        start += width
    return Frontier(size, tuple(roots))


def is_subtree(start: int, end: int) -> bool:
    """Tell whether [start, end) is a subtree: `start` divides by the smallest power of two that holds the range."""
    return 0 <= start < end and start % (1 << (end - start - 1).bit_length()) == 0


def subtree_proof(reader: HashReader, start: int, end: int, size: int) -> list[bytes]:
    """Return the proof that the subtree [start, end) belongs to the tree of `size` leaves."""
    if not is_subtree(start, end) or not end <= size <= MAX_SIZE:
        raise ValueError(f"[{start}, {end}) is not a subtree of {size} leaves")
    proof: list[bytes] = []
    low, high, known = 0, size, True
    while (start, end) != (low, high):
        split = low + _split(high - low)
        if end <= split:
            proof.append(subtree_hash(reader, split, high))
            high = split
        else:
            proof.append(subtree_hash(reader, low, split))
            if start < split:
                start, known = split, False
            low = split
    if not known:
        proof.append(subtree_hash(reader, low, high))
    return proof[::-1]


def inclusion_proof(reader: HashReader, index: int, size: int) -> list[bytes]:
    """Return the audit path of one leaf in the tree of `size` leaves (RFC 6962 2.1.1)."""
    return subtree_proof(reader, index, index + 1, size)


def consistency_proof(reader: HashReader, old: int, new: int) -> list[bytes]:
    """Return the proof that the tree of `new` leaves continues the tree of `old` (RFC 6962 2.1.2); empty for old 0."""
    if not 0 <= old <= new <= MAX_SIZE:
        raise ValueError(f"{old} … {new} are not sizes of one tree")
    return subtree_proof(reader, 0, old, new) if old else []


def verify_subtree(  # noqa: PLR0917 - the order of the specification: range, its hash, the tree, the proof
    start: int, end: int, subtree: bytes, size: int, root: bytes, proof: Sequence[bytes]
) -> None:
    """Check that the subtree [start, end) with this hash belongs to the tree. Raises Tampered (wrong-proof)."""
    if not is_subtree(start, end) or not end <= size <= MAX_SIZE or len(proof) > MAX_PROOF:
        raise Tampered(Problem.WRONG_PROOF, detail=f"[{start}, {end}) cannot be a subtree of {size} leaves")
    rest = list(proof)
    try:
        part, whole = _rebuild(rest, subtree, start, end, size, known=True)
    except IndexError:
        raise Tampered(Problem.WRONG_PROOF, seq=start, detail="the proof is too short") from None
    if rest:
        raise Tampered(Problem.WRONG_PROOF, seq=start, detail="the proof is too long")
    if part != subtree or whole != root:
        expected, got = (root, whole) if part == subtree else (subtree, part)
        raise Tampered(Problem.WRONG_PROOF, seq=start, expected=expected.hex(), got=got.hex())


def left_of(start: int, size: int, proof: Sequence[bytes]) -> tuple[bytes, ...]:
    """Return those hashes of a proof, verified before, that make up [0, start): the frontier of that tree, largest first."""
    found: list[bytes] = []
    low, high, at = 0, size, len(proof)
    while low < start:
        at -= 1
        split = low + _split(high - low)
        if start >= split:
            found.append(proof[at])
            low = split
        else:
            high = split
    return tuple(found)


def verify_inclusion(leaf: bytes, index: int, size: int, proof: Sequence[bytes], root: bytes) -> None:
    """Check that a leaf hash stands at `index` in the tree. Raises Tampered (wrong-proof)."""
    verify_subtree(index, index + 1, leaf, size, root, proof)


def verify_consistency(old: int, old_root: bytes, new: int, new_root: bytes, proof: Sequence[bytes]) -> None:
    """Check that the new tree continues the old one.

    Raises Tampered: rolled-back (new < old), two-branches (same size, other root), inconsistent-history (an empty tree
    with a root), wrong-proof (everything else).
    """
    if new < old:
        raise Tampered(Problem.ROLLED_BACK, expected=str(old), got=str(new))
    for size, root in ((old, old_root), (new, new_root)):
        if size == 0 and root != EMPTY_ROOT:
            raise Tampered(Problem.INCONSISTENT_HISTORY, expected=EMPTY_ROOT.hex(), got=root.hex())
    if old == new and old_root != new_root:
        raise Tampered(Problem.TWO_BRANCHES, expected=old_root.hex(), got=new_root.hex(), detail=f"size {old}")
    if old in {0, new}:
        if proof:
            raise Tampered(Problem.WRONG_PROOF, detail="nothing is to be proved, yet there is a proof")
        return
    verify_subtree(0, old, old_root, new, new_root, proof)


def _split(size: int) -> int:
    """Return the largest power of two below `size`."""
    return 1 << ((size - 1).bit_length() - 1)


def _rebuild(
    proof: list[bytes], subtree: bytes, start: int, end: int, size: int, *, known: bool
) -> tuple[bytes, bytes]:
    """Return (hash of [start, end), root of `size` leaves), consuming the proof from its end."""
    if (start, end) == (0, size):
        found = subtree if known else proof.pop()
        return found, found
    split = _split(size)
    sibling = proof.pop()
    if end <= split:
        part, whole = _rebuild(proof, subtree, start, end, split, known=known)
        return part, node_hash(whole, sibling)
    if start >= split:
        part, whole = _rebuild(proof, subtree, start - split, end - split, size - split, known=known)
        return part, node_hash(sibling, whole)
    part, whole = _rebuild(proof, subtree, 0, end - split, size - split, known=False)
    return node_hash(sibling, part), node_hash(sibling, whole)
