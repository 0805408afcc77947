"""Revocations that a newer list no longer names (被遗漏的吊销): what an issuer once signed of a certificate stays evidence.

A list may drop a certificate that has run out (RFC 5280 3.3), or be made by somebody who wants it dropped; both are kept.
One that was only on hold is not: its return is what the hold is for (RFC 5280 5.3.1).
"""

import datetime as dt
import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from asn1crypto import crl
from asn1crypto import x509 as asn1

from sync.revocation_rule import Evidence

_ROW = re.compile(r"([0-9a-f]{64}) ([0-9a-f]+) ([0-9]+) ([0-9a-f]{64}) ([0-9]+) ([0-9]+)", re.ASCII)
_NOT_KEPT = {"certificate_hold", "remove_from_crl"}


@dataclass(frozen=True, slots=True)
class Forgotten:
    """What an issuer's earlier list said of one certificate. `issuer` is `issuer_id` of the signing certificate."""

    issuer: str
    evidence: Evidence


def issuer_id(certificate: asn1.Certificate) -> str:
    """Return the digest of an issuer's name and key, hex: the same under a renewed or cross-signed certificate."""
    return hashlib.sha256(certificate.subject.dump() + certificate.public_key.dump()).hexdigest()


def revoked_in(listed: crl.CertificateList) -> set[tuple[int, int]]:
    """Return serial and time of revocation, ms, of every certificate that a list names for good. Raises ValueError."""
    found = set()
    for row in listed["tbs_cert_list"]["revoked_certificates"]:
        if row.crl_reason_value is None or row.crl_reason_value.native not in _NOT_KEPT:
            found.add((int(row["user_certificate"].native), int(row["revocation_date"].native.timestamp() * 1_000)))
    return found


def keep(path: Path, issuer: str, held: crl.CertificateList, offered: crl.CertificateList) -> None:
    """Append what the offered list does not say of the one held. Raises OSError, ValueError."""
    gone = revoked_in(held) - revoked_in(offered)
    if not gone:
        return
    tbs = held["tbs_cert_list"]
    this, until = tbs["this_update"].native, tbs["next_update"].native
    times = f"{_ms(this)} {_ms(until) if until is not None else _ms(this)}"
    sha256 = hashlib.sha256(held.dump()).hexdigest()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with path.open("a", encoding="ascii") as file:
        file.writelines(f"{issuer} {serial:x} {at_ms} {sha256} {times}\n" for serial, at_ms in sorted(gone))
        file.flush()
        os.fsync(file.fileno())


def kept(path: Path) -> tuple[Forgotten, ...]:
    """Return every revocation that was kept; a last line that was cut off is none. Raises OSError."""
    if not path.exists():
        return ()
    rows = map(_ROW.fullmatch, path.read_text(encoding="ascii", errors="replace").split("\n"))
    return tuple(
        Forgotten(
            row[1],
            Evidence(
                serial=int(row[2], 16),
                kind="crl",
                sha256=row[4],
                this_update_ms=int(row[5]),
                next_update_ms=int(row[6]),
                revoked_ms=int(row[3]),
            ),
        )
        for row in rows
        if row is not None
    )


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1_000)
