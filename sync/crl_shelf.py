"""The CRLs that lie here (吊销名单缓存): by link or by stick, one for each issuer and distribution point, and never an older
one than is held. What a newer list forgets is kept beside them.
"""

import hashlib
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import crl
from asn1crypto import x509 as asn1

from sync import forgotten
from sync.gm_asn1 import signed_by

MOST_BYTES = 16 * 1024 * 1024
_FORGOTTEN = "forgotten"


@dataclass(eq=False)
class ShelfRefused(Exception):
    """A CRL is not taken. `why`: malformed, unknown-issuer, signature, delta, goes-back, two-of-one-number, from-the-future."""

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True)
class _Listed:
    der: bytes
    issuer: str  # SHA-256 of its name, key id and distribution point (RFC 5280 5.2.5)
    number: int
    this_ms: int


class CrlShelf:
    """A folder of CRLs, `<issuer>.crl` each."""

    def __init__(self, folder: Path) -> None:
        """Nothing is read yet."""
        self._folder = folder

    def all(self) -> tuple[bytes, ...]:
        """Return every list. Raises OSError."""
        return tuple(path.read_bytes() for path in sorted(self._folder.glob("*.crl")))

    def forgotten(self) -> tuple[forgotten.Forgotten, ...]:
        """Return the revocations that lists held here before told of, and those of today do not. Raises OSError."""
        return forgotten.kept(self._folder / _FORGOTTEN)

    def take(self, der: bytes, issuers: Iterable[bytes], now_ms: int) -> bool:
        """Keep a newer list, checked against the issuers' certificates; False where it is the one held. Raises ShelfRefused."""
        offered, parsed = _read(der)
        issued = [one for one in map(asn1.Certificate.load, issuers) if one.subject == parsed.issuer]
        if not issued:
            raise ShelfRefused("unknown-issuer")
        body, algorithm = parsed["tbs_cert_list"].dump(), parsed["signature_algorithm"]
        signature = parsed["signature"].native
        signer = next((one for one in issued if signed_by(body, signature, algorithm, one.public_key)), None)
        if signer is None:
            raise ShelfRefused("signature")
        if offered.this_ms > now_ms + 24 * 3_600_000:
            raise ShelfRefused("from-the-future", str(offered.this_ms))
        path = self._folder / f"{offered.issuer}.crl"
        if path.exists():
            held, before = _read(path.read_bytes())
            if held.der == offered.der:
                return False
            older = (offered.number, offered.this_ms) < (held.number, held.this_ms) or offered.this_ms < held.this_ms
            if older:
                raise ShelfRefused("goes-back", f"number {offered.number} after {held.number}")
            if offered.number == held.number and offered.number:
                raise ShelfRefused("two-of-one-number", str(offered.number))
            forgotten.keep(self._folder / _FORGOTTEN, forgotten.issuer_id(signer), before, parsed)
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = path.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(der)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        return True


def _read(der: bytes) -> tuple[_Listed, crl.CertificateList]:
    if len(der) > MOST_BYTES:
        raise ShelfRefused("malformed", "too long")
    try:
        parsed = crl.CertificateList.load(der, strict=True)
        tbs = parsed["tbs_cert_list"]
        this = tbs["this_update"].native
        number = int(parsed.crl_number_value.native) if parsed.crl_number_value is not None else 0
        key_id = parsed.authority_key_identifier_value
        point = parsed.issuing_distribution_point_value
        named = parsed.issuer.dump() + b"".join(one.dump() for one in (key_id, point) if one is not None)
        _ = tbs["next_update"].native, forgotten.revoked_in(parsed)
        if parsed.delta_crl_indicator_value is not None:
            raise ShelfRefused("delta")  # it names only what is new, and would stand for the whole
    except (ValueError, TypeError, KeyError) as error:
        raise ShelfRefused("malformed", type(error).__name__) from error
    return _Listed(der, hashlib.sha256(named).hexdigest(), number, int(this.timestamp() * 1_000)), parsed
