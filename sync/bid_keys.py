"""The keys of one sealed bid: bidder's half, room's half in shares, and what each party's piece must hash to (两把钥匙).

    mode and:  K = HKDF(K_bidder || K_room, info = "erhai-seal-v1|AND|" ctx);  K_room is shared out among the trustees
    mode or:   K = HKDF(S,                  info = "erhai-seal-v1|OR|"  ctx);  S goes to the bidder and, shared out, to the trustees
    share_hash[i] = H(ctx "|share|" i "|" share_i)
    share i is wrapped to its trustee: HPKE with info = ctx, ephemeral key from HKDF(room secret, info = "erhai-wrap-v1|" i "|" ctx)

HKDF and H are SHA-256 in intl-1, SM3 in gm-1. The room's half is made by the bidder's tool: no key of a room exists.
"""

import hmac
import os
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sync.shares import split
from sync.wrap import wrap_seeded

HALF = 32


def _hash(profile: str) -> hashes.HashAlgorithm:
    return hashes.SM3() if profile == "gm-1" else hashes.SHA256()


def _derive(profile: str, secret: bytes, info: bytes) -> bytes:
    return HKDF(algorithm=_hash(profile), length=32, salt=None, info=info).derive(secret)


def payload_key(profile: str, mode: str, context: bytes, *, half: bytes, room: bytes) -> bytes:
    """Return K. In mode "or" `half` and `room` are the same secret, and either is given for both."""
    if mode == "or":
        if not hmac.compare_digest(half, room):
            raise ValueError("the two ways do not lead to one secret")
        return _derive(profile, half, b"erhai-seal-v1|OR|" + context)
    return _derive(profile, half + room, b"erhai-seal-v1|AND|" + context)


def share_hash(profile: str, context: bytes, number: int, share: bytes) -> str:
    """Return what the manifest says of a share."""
    digest = hashes.Hash(_hash(profile))
    digest.update(context + f"|share|{number}|".encode() + share)
    return digest.finalize().hex()


def wrap_seed(profile: str, context: bytes, number: int, room: bytes) -> bytes:
    """Return the seed of the ephemeral key that wraps share `number`."""
    return _derive(profile, room, f"erhai-wrap-v1|{number}|".encode() + context)


@dataclass(frozen=True, slots=True, repr=False)
class Dealt:
    """What the bidder's tool deals for one bid. Never leaves that process."""

    key: bytes
    half: bytes
    share_hash: tuple[str, ...]
    wraps: tuple[bytes, ...]


def deal(profile: str, mode: str, context: bytes, *, t: int, publics: Sequence[bytes]) -> Dealt:
    """Deal fresh secrets to the bidder and the trustees (raw X25519 public keys in order). Raises ShareFault, WrapFault."""
    room = os.urandom(HALF)
    half = room if mode == "or" else os.urandom(HALF)
    shares = split(room, t=t, n=len(publics))
    return Dealt(
        key=payload_key(profile, mode, context, half=half, room=room),
        half=half,
        share_hash=tuple(share_hash(profile, context, i, share) for i, share in enumerate(shares, 1)),
        wraps=tuple(
            wrap_seeded(public, context, share, wrap_seed(profile, context, i, room))
            for i, (public, share) in enumerate(zip(publics, shares, strict=True), 1)
        ),
    )
