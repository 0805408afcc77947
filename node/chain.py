"""Whether the files of a copy lead from a full snapshot to its newest transaction (副本链条): without one nothing is restored.

Only names and sizes are looked at, never what is in the files: that is what a drill is for.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

SMALLEST = 116  # bytes of an LTX file's header and trailer: less is a file that was cut off


@dataclass(frozen=True, slots=True, order=True)
class Piece:
    """One LTX file: the transactions `first` to `last`, both counted. A piece from 1 on is a snapshot."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class Chain:
    """`newest` transaction in any file, and how far an unbroken chain from a snapshot `reach`es; 0 for none."""

    newest: int
    reach: int

    @property
    def whole(self) -> bool:
        """Return whether the newest transaction can be restored."""
        return 0 < self.newest == self.reach


def chain_of(pieces: Iterable[Piece]) -> Chain:
    """Return how far these pieces reach. Pure."""
    reach = newest = 0
    for piece in sorted(pieces):
        newest = max(newest, piece.last)
        if piece.first <= reach + 1:
            reach = max(reach, piece.last)
    return Chain(newest, reach)


def chain_in(folder: Path) -> Chain:
    """Return the chain of a file replica; an emptied or missing folder holds none. Raises OSError where it cannot be read."""
    pieces = []
    for level in _entries(folder / "ltx"):
        if level.is_dir():
            for entry in _entries(Path(level.path)):
                piece = _piece(entry.name)
                if piece is not None and _size(entry) >= SMALLEST:
                    pieces.append(piece)
    return chain_of(pieces)


def chain_listed(listing: str) -> Chain:
    """Return the chain of Litestream's own listing of a replica (`litestream ltx -json`). Raises ValueError, KeyError."""
    return chain_of(Piece(int(one["min_txid"], 16), int(one["max_txid"], 16)) for one in json.loads(listing) or ())


def _entries(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as found:
            return list(found)
    except FileNotFoundError:
        return []


def _size(entry: "os.DirEntry[str]") -> int:
    try:
        return entry.stat().st_size
    except FileNotFoundError:  # replaced by a larger piece while we looked
        return 0


def _piece(name: str) -> Piece | None:
    first, _, last = name.removesuffix(".ltx").partition("-")
    try:
        return Piece(int(first, 16), int(last, 16)) if name.endswith(".ltx") else None
    except ValueError:
        return None
