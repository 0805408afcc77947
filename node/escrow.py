"""Escrow of a draw's nonce (随机数托管): split three of five, each share wrapped to its trustee, its digest on record."""

import hashlib
from collections.abc import Mapping, Sequence

from node.domain import draw
from node.domain.ceremony import THRESHOLD, CommitNonce, Trustee
from sync.shares import ShareFault, combine, split
from sync.wrap import wrap_share


def escrow_info(draw_id: str, party: str, trustee: int) -> bytes:
    """Return what a wrapped share is bound to."""
    return f"erhai-escrow-v1\n{draw_id}\n{party}\n{trustee}\n".encode()


def make_commit(draw_id: str, party: str, nonce: bytes, trustees: Sequence[Trustee]) -> CommitNonce:
    """Return the commit to a nonce, with its escrow: three of the five trustees open it. Raises WrapFault, ShareFault."""
    shares = split(nonce, t=THRESHOLD, n=len(trustees))
    wraps = tuple(
        wrap_share(trustee.public, escrow_info(draw_id, party, at), share)
        for at, (trustee, share) in enumerate(zip(trustees, shares, strict=True), 1)
    )
    digests = tuple(hashlib.sha256(share).digest() for share in shares)
    return CommitNonce(party, draw.commit_of(nonce), digests, wraps)


def combined(shares: Mapping[int, bytes]) -> bytes:
    """Return what the trustees' shares give; nothing where they are too few or not of one secret."""
    try:
        return combine(dict(shares), t=THRESHOLD)
    except ShareFault:
        return b""
