"""What a person's certificate must look like before anybody's signature in it is checked (证书格式要求)."""

import hashlib
from dataclasses import dataclass, field

from asn1crypto import x509 as asn1
from cryptography import x509
from cryptography.x509.oid import ExtensionOID

from sync.gm_asn1 import SM2_CURVE, SM2_WITH_SM3
from sync.revocation_rule import Purpose

MAX_CERTIFICATE = 16_384
_CURVES = {"1.2.840.10045.3.1.7", "1.3.132.0.34", "1.3.132.0.35"}  # P-256, P-384, P-521
_SIGNATURES = {
    *(f"1.2.840.113549.1.1.{last}" for last in (11, 12, 13)),  # RSA with SHA-256, -384, -512
    *(f"1.2.840.10045.4.3.{last}" for last in (2, 3, 4)),  # ECDSA with SHA-256, -384, -512
    "1.3.101.112",  # Ed25519
    SM2_WITH_SM3,
}
_RSA_BITS = range(2_048, 8_193)
_KNOWN = {
    ExtensionOID.BASIC_CONSTRAINTS,
    ExtensionOID.KEY_USAGE,
    ExtensionOID.EXTENDED_KEY_USAGE,
    ExtensionOID.SUBJECT_ALTERNATIVE_NAME,
    ExtensionOID.NAME_CONSTRAINTS,
    ExtensionOID.CERTIFICATE_POLICIES,
}
_UNREADABLE = (
    ValueError,
    TypeError,
    KeyError,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)
_SEALS = ("key_encipherment", "data_encipherment", "key_agreement")


@dataclass(eq=False, slots=True, kw_only=True)
class CertRefused(Exception):
    """A person's certificate does not count. `why` is one of the words of docs/certificates.md.

    `anchor` is the name of the anchor or "", `serial` hex, `rule` what it breaks, `source` where the certificate or the
    evidence came from. Holds no personal data.
    """

    why: str
    serial: str = ""
    anchor: str = ""
    rule: str = ""
    source: str = ""

    def __str__(self) -> str:
        """Every field, in one line."""
        return (
            f"{self.why}: serial {self.serial or '-'} anchor {self.anchor or '-'} rule {self.rule or '-'}"
            f" source {self.source or '-'}"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """A certificate that was read by both parsers."""

    der: bytes = field(repr=False)
    parsed: asn1.Certificate = field(repr=False)
    fields: x509.Certificate = field(repr=False)
    family: str  # rsa | ecdsa | ed25519 | sm2

    @property
    def serial(self) -> str:
        """Return the serial number, hex."""
        return f"{self.fields.serial_number:x}"

    @property
    def sha256(self) -> str:
        """Return the digest of the certificate, hex."""
        return hashlib.sha256(self.der).hexdigest()


def read_certificate(der: bytes, source: str = "") -> Certificate:
    """Read a certificate and hold it against the form. Raises CertRefused: malformed, algorithm, critical-extension."""
    if len(der) > MAX_CERTIFICATE:
        raise CertRefused(why="malformed", rule=f"at most {MAX_CERTIFICATE} bytes", source=source)
    try:
        fields = x509.load_der_x509_certificate(der)
        parsed = asn1.Certificate.load(der, strict=True)
        serial = f"{fields.serial_number:x}"
        signature = fields.signature_algorithm_oid.dotted_string
        inner = parsed["tbs_certificate"]["signature"]["algorithm"].dotted
        critical = {row.oid for row in fields.extensions if row.critical}
        family = _family(parsed)
        dates = (fields.not_valid_before_utc, fields.not_valid_after_utc)
    except _UNREADABLE as error:
        raise CertRefused(why="malformed", rule=type(error).__name__, source=source) from error
    if fields.version is not x509.Version.v3 or dates[0] > dates[1] or fields.serial_number <= 0:
        raise CertRefused(why="malformed", serial=serial, rule="v3, dates in order, serial above 0", source=source)
    if not family or signature not in _SIGNATURES or inner != signature:
        raise CertRefused(why="algorithm", serial=serial, rule=signature, source=source)
    if critical - _KNOWN:
        strange = ",".join(sorted(oid.dotted_string for oid in critical - _KNOWN))
        raise CertRefused(why="critical-extension", serial=serial, rule=strange, source=source)
    return Certificate(der=der, parsed=parsed, fields=fields, family=family)


def _family(parsed: asn1.Certificate) -> str:
    key = parsed.public_key
    match key["algorithm"]["algorithm"].native:
        case "rsa":
            return "rsa" if key.bit_size in _RSA_BITS else ""
        case "ed25519":
            return "ed25519"
        case "ec":
            parameters = key["algorithm"]["parameters"]
            if parameters.name != "named":
                return ""
            curve = parameters.chosen.dotted
            return "sm2" if curve == SM2_CURVE else "ecdsa" if curve in _CURVES else ""
        case _:
            return ""


def require_usage(certificate: Certificate, purpose: Purpose, source: str = "") -> None:
    """Hold the key usage against a purpose. Raises CertRefused: usage."""
    usage = certificate.parsed.key_usage_value
    held = usage.native if usage is not None else set()
    if purpose is Purpose.OPEN:
        fits = any(word in held for word in _SEALS)
    elif purpose is Purpose.LOGIN:
        fits = "digital_signature" in held
    else:
        fits = {"digital_signature", "non_repudiation"} <= held
    basic = certificate.parsed.basic_constraints_value
    if not fits or (basic is not None and basic["ca"].native):
        raise CertRefused(
            why="usage", serial=certificate.serial, rule=f"{purpose}: {' '.join(sorted(held))}", source=source
        )
