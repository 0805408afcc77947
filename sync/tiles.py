"""Tiles (C2SP tlog-tiles v0.1.0): the names and bytes by which a log is served, mirrored and exported (瓦片).

A tile holds up to 256 hashes of one level, an entry bundle the entries under one tile of level 0. Level L holds the
roots of the complete subtrees of 256**L leaves; only the last tile of a level is partial, and a partial tile is never
hashed upward.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sync.tampered import Malformed

WIDTH = 256
HASH = 32
MAX_BUNDLE = WIDTH * (2 + 65_535)
"""Bytes of an entry bundle."""
_PATH = re.compile(r"tile/(entries|0|[1-9]\d?)/((?:x\d{3}/)*\d{3})(?:\.p/([1-9]\d{0,2}))?", re.ASCII)
_CACHED_TILES = 128


@dataclass(frozen=True, slots=True)
class TilePath:
    """What a tile's name says. `level` is None for an entry bundle; `width` is 256 for a full tile."""

    level: int | None
    n: int
    width: int

    def __str__(self) -> str:
        """Return the name."""
        return entries_path(self.n, self.width) if self.level is None else tile_path(self.level, self.n, self.width)


def tile_path(level: int, n: int, width: int = WIDTH) -> str:
    """Return the name of a tile of hashes, e.g. tile/0/x001/x234/067.p/44."""
    return f"tile/{level}/{_index(n)}{_suffix(width)}"


def entries_path(n: int, width: int = WIDTH) -> str:
    """Return the name of an entry bundle."""
    return f"tile/entries/{_index(n)}{_suffix(width)}"


def parse_tile_path(path: str) -> TilePath:
    """Return what a tile's name says. Raises Malformed for any but the one spelling."""
    match = _PATH.fullmatch(path)
    if match is None or len(path) > 64:
        raise Malformed("tile", "has no name of a tile")
    level, index, partial = match.groups()
    parsed = TilePath(
        None if level == "entries" else int(level),
        int(index.replace("x", "").replace("/", "")),
        WIDTH if partial is None else int(partial),
    )
    if (parsed.level or 0) > 63 or (partial is not None and parsed.width >= WIDTH) or str(parsed) != path:
        raise Malformed("tile", "has no name of a tile")
    return parsed


def width_of(level: int | None, n: int, size: int) -> int:
    """Return how wide the tile is in a log of `size` entries; 0 if there is none."""
    count: int = size >> (8 * (level or 0))
    return min(max(count - n * WIDTH, 0), WIDTH)


def tiles_of(size: int) -> Iterator[TilePath]:
    """Yield the tiles of a log of `size` entries: bundles, then hashes level by level, each in order."""
    levels: list[int | None] = [None]
    levels += range((max(size, 1).bit_length() - 1) // 8 + 1)
    for level in levels:
        count = size >> (8 * (level or 0))
        for n in range(-(-count // WIDTH)):
            yield TilePath(level, n, width_of(level, n, size))


def encode_bundle(entries: Iterable[bytes]) -> bytes:
    """Return the bytes of an entry bundle. Raises OverflowError for an entry over 65,535 bytes."""
    return b"".join(part for entry in entries for part in (len(entry).to_bytes(2), entry))


def decode_bundle(data: bytes) -> list[bytes]:
    """Return the entries of a bundle, at most 256. Raises Malformed."""
    entries: list[bytes] = []
    at, end = 0, len(data)
    while at < end:
        start = at + 2
        at = start + int.from_bytes(data[at:start])
        if start > end or at > end:
            raise Malformed("bundle", "ends within an entry")
        if len(entries) == WIDTH:
            raise Malformed("bundle", f"has more than {WIDTH} entries")
        entries.append(data[start:at])
    return entries


def decode_tile(data: bytes) -> list[bytes]:
    """Return the hashes of a tile, 1 to 256. Raises Malformed."""
    if not data or len(data) % HASH or len(data) > WIDTH * HASH:
        raise Malformed("tile", f"has {len(data)} bytes, not 1 to {WIDTH} hashes")
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]


class TileHashes:
    """A HashReader over the tiles of a log of one size; it trusts what `read` gives, so verify the root it leads to."""

    def __init__(self, read: Callable[[str], bytes], size: int) -> None:
        """`read` returns the bytes of a tile by name, or raises its own error."""
        self._read = read
        self._size = size
        self._cache: dict[tuple[int, int], list[bytes]] = {}

    def hashes(self, level: int, start: int, end: int) -> Sequence[bytes]:
        """Return the hashes [start, end) of a level. Raises Malformed where a tile is not as wide as it must be."""
        found: list[bytes] = []
        while start < end:
            n, first = divmod(start, WIDTH)
            last = min(end - n * WIDTH, WIDTH)
            found += self._tile(level, n)[first:last]
            start = n * WIDTH + last
        return found

    def _tile(self, level: int, n: int) -> list[bytes]:
        tile = self._cache.get((level, n))
        if tile is None:
            width = width_of(level, n, self._size)
            tile = decode_tile(self._read(tile_path(level, n, width)))
            if len(tile) != width:
                raise Malformed("tile", f"is {len(tile)} wide, not {width}")
            if len(self._cache) >= _CACHED_TILES:
                self._cache.pop(next(iter(self._cache)))
            self._cache[level, n] = tile
        return tile


def _index(n: int) -> str:
    path = f"{n % 1000:03d}"
    while n >= 1000:
        n //= 1000
        path = f"x{n % 1000:03d}/{path}"
    return path


def _suffix(width: int) -> str:
    return "" if width == WIDTH else f".p/{width}"
