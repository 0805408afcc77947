"""A peer's copy of a log as C2SP tlog-tiles: checkpoint, tiles, bundles, each bounded and well-formed, none believed (读取).

Whoever asks verifies: `follow` for a log that is mirrored here, `heal` for the node's own.
"""

from sync import wire
from sync.link import LinkFault, PeerLink
from sync.receiver import log_hash
from sync.tampered import Malformed
from sync.tiles import MAX_BUNDLE, WIDTH, decode_bundle, decode_tile, entries_path, tile_path

_TILE = WIDTH * 32


class LogReader:
    """Reads one log at one peer. Every method raises LinkFault where the peer does not answer as it must."""

    def __init__(self, link: PeerLink, origin: str) -> None:
        """Remember where to ask; nothing is sent."""
        self.link = link
        self.origin = origin

    async def checkpoint(self) -> bytes | None:
        """Return the newest checkpoint that the peer serves; None where it has none."""
        return await self._get("checkpoint", wire.MAX_CHECKPOINT_BODY)

    async def packages(self, first: int, complete: int) -> list[bytes]:
        """Return the claimed roots of the complete packages [first, complete)."""
        found: list[bytes] = []
        for n in range(first // WIDTH, -(-complete // WIDTH)):
            width = min(complete - n * WIDTH, WIDTH)
            tile = await self._tile(tile_path(1, n, width), width)
            found += tile[max(first - n * WIDTH, 0) :]
        return found

    async def leaves(self, n: int, width: int) -> list[bytes]:
        """Return the claimed leaf hashes of package `n`, `width` of them."""
        return await self._tile(tile_path(0, n, width), width) if width else []

    async def bundle(self, n: int, width: int) -> tuple[list[bytes], int]:
        """Return the entries of package `n`, `width` of them, and the bytes that were sent."""
        bundle = await self._must(entries_path(n, width), MAX_BUNDLE)
        try:
            return list(decode_bundle(bundle)), len(bundle)
        except Malformed as malformed:
            raise LinkFault("unexpected-answer", f"bundle {n}: {malformed}") from malformed

    async def _tile(self, path: str, width: int) -> list[bytes]:
        try:
            tile = decode_tile(await self._must(path, _TILE))
        except Malformed as malformed:
            raise LinkFault("unexpected-answer", f"{path}: {malformed}") from malformed
        if len(tile) != width:
            raise LinkFault("unexpected-answer", f"{path} is {len(tile)} wide")
        return list(tile)

    async def _must(self, path: str, limit: int) -> bytes:
        body = await self._get(path, limit)
        if body is None:
            raise LinkFault("unexpected-answer", f"{path} is not there")
        return body

    async def _get(self, path: str, limit: int) -> bytes | None:
        reply = await self.link.get(f"/log/{log_hash(self.origin)}/{path}", limit=limit)
        if reply.status == 404:
            return None
        if reply.status != 200:
            raise reply.unexpected()
        return reply.body
