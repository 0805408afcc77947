"""The prefecture's list of revoked node certificates: read, made, and never put back to an older one (吊销名单).

A list is taken only where a CA of this node signed it, and only if its number is higher than that of the list in hand. It
is public and signed, so it may come by the link, from a neighbour, or on a stick.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.certs import UNREADABLE, Authority
from sync.standing import Crl

MAX_CRL = 1024 * 1024
CRL_DAYS = 30
_AHEAD_MS = 24 * 3_600 * 1_000  # a list from further ahead was made by a wrong clock, here or there


@dataclass(eq=False)
class CrlRefused(Exception):
    """A list is not taken. `why` is malformed, foreign, no-number, goes-back, two-of-one-number or from-the-future."""

    why: str
    value: str = ""
    limit: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.value}" + (f" (holds {self.limit})" if self.limit else "")


def open_crl(data: bytes, ca_pem: bytes) -> Crl:
    """Return a list, DER or PEM, whose signature one of these CAs made. Raises CrlRefused."""
    if len(data) > MAX_CRL:
        raise CrlRefused("malformed", f"{len(data)} bytes", str(MAX_CRL))
    try:
        pem = data.lstrip().startswith(b"-----BEGIN")
        crl = x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
        if not any(_signed_by(crl, issuer) for issuer in x509.load_pem_x509_certificates(ca_pem)):
            raise CrlRefused("foreign", crl.issuer.rfc4514_string())
        number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        serials = frozenset(one.serial_number for one in crl)
        after = crl.next_update_utc
    except x509.ExtensionNotFound as error:
        raise CrlRefused("no-number", str(error)) from error
    except UNREADABLE as error:
        raise CrlRefused("malformed", str(error)) from error
    if after is None:
        raise CrlRefused("malformed", "no nextUpdate")
    der = crl.public_bytes(serialization.Encoding.DER)
    return Crl(number, _ms(crl.last_update_utc), _ms(after), serials, der)


def newer(held: Crl | None, offered: Crl, now_ms: int) -> bool:
    """Return whether an offered list replaces the one in hand; the very same one does not. Raises CrlRefused."""
    if offered.this_update_ms > now_ms + _AHEAD_MS:
        raise CrlRefused("from-the-future", str(offered.this_update_ms), str(now_ms))
    if held is None or offered.number > held.number:
        return True
    if offered.number < held.number:
        raise CrlRefused("goes-back", str(offered.number), str(held.number))
    if offered.der != held.der:
        raise CrlRefused("two-of-one-number", str(offered.number), str(held.number))
    return False


def issue_crl(authority: Authority, *, number: int, revoked: Mapping[int, dt.datetime], now: dt.datetime) -> bytes:
    """Return a list as DER; `revoked` maps serials to the time of their revocation. Times must be aware."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(authority.certificate.subject)
        .last_update(now - dt.timedelta(minutes=5))
        .next_update(now + dt.timedelta(days=CRL_DAYS))
        .add_extension(x509.CRLNumber(number), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    for serial, at in sorted(revoked.items()):
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at)
        builder = builder.add_revoked_certificate(entry.build())
    return builder.sign(authority.key, None).public_bytes(serialization.Encoding.DER)


def _signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    key = issuer.public_key()
    return isinstance(key, Ed25519PublicKey) and crl.issuer == issuer.subject and crl.is_signature_valid(key)


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1_000)
