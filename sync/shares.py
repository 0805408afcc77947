"""Shares of a secret (秘密分享): any t of n holders together have it, fewer have nothing (Shamir 1979).

A secret of 32 bytes is split as two halves of 16 bytes over GF(2^128), in the form of Debian's `ssss` (with -x -D -s 128):
share i is the value of both polynomials at i, first half then second. A share says nothing of who lied: whoever splits also
publishes a digest of each share (`sync.bid_file`, `node.domain.draw`).
"""

from collections.abc import Mapping
from dataclasses import dataclass

from Cryptodome.Protocol.SecretSharing import Shamir

SECRET = 32
MAX_SHARES = 16
_HALF = 16


@dataclass(eq=False)
class ShareFault(Exception):
    """Shares cannot be made or put together.

    `reason` is one of: bad-input (size, threshold or number), too-few, inconsistent (they are not of one secret).
    """

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a person; never holds a share."""
        return f"{self.reason}: {self.detail}" if self.detail else self.reason


def split(secret: bytes, *, t: int, n: int) -> tuple[bytes, ...]:
    """Return shares 1..n (32 bytes each, in order) of a 32-byte secret; any `t` of them give it. Raises ShareFault."""
    _fit(t, n)
    if len(secret) != SECRET:
        raise ShareFault("bad-input", f"secret of {len(secret)} bytes, need {SECRET}")
    first = dict(Shamir.split(t, n, secret[:_HALF], ssss=True))
    second = dict(Shamir.split(t, n, secret[_HALF:], ssss=True))
    return tuple(first[i] + second[i] for i in range(1, n + 1))


def combine(shares: Mapping[int, bytes], *, t: int) -> bytes:
    """Return the secret behind at least `t` shares by number. Shares beyond t must agree with the rest. Raises ShareFault."""
    _fit(t, MAX_SHARES)
    for number, share in shares.items():
        if not 1 <= number <= MAX_SHARES or len(share) != SECRET:
            raise ShareFault("bad-input", f"share {number} of {len(share)} bytes")
    if len(shares) < t:
        raise ShareFault("too-few", f"{len(shares)} of {t}")
    base = sorted(shares)[:t]
    secret = _exactly({i: shares[i] for i in base})
    for extra in sorted(shares)[t:]:
        if _exactly({i: shares[i] for i in (*base[1:], extra)}) != secret:
            raise ShareFault("inconsistent", "the shares are not of one secret")
    return secret


def _fit(t: int, n: int) -> None:
    if not 2 <= t <= n <= MAX_SHARES:
        raise ShareFault("bad-input", f"{t} of {n}, need 2 <= t <= n <= {MAX_SHARES}")


def _exactly(shares: Mapping[int, bytes]) -> bytes:
    """Interpolate; the `ssss` form needs exactly as many shares as the threshold."""
    first = Shamir.combine([(i, share[:_HALF]) for i, share in shares.items()], ssss=True)
    return first + Shamir.combine([(i, share[_HALF:]) for i, share in shares.items()], ssss=True)
