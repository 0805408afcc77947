"""Who the holder of a person's certificate is (身份): read by the anchor's profile, and only fields that it vouches for.

The account key is the anchor together with the number, never the subject alone, so that no other vendor can mint somebody's
account. Numbers themselves are personal data and leave this module only as `Identity`.
"""

import hashlib
import re
import tomllib
import unicodedata
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from asn1crypto import core, parser
from cryptography import x509
from stdnum.cn import ric, uscc
from stdnum.exceptions import ValidationError

PROFILES = Path(__file__).with_name("identity_profiles.toml")
_OCTETS = 4  # the tag of OCTET STRING
_CHECKS = {"person-id": ric, "social-credit": uscc}
KINDS = ("person-id", "social-credit", "registration", "organisation", "tax", "insurance")


@dataclass(frozen=True, slots=True)
class Source:
    """One place where a vendor puts a number."""

    kind: str
    where: str
    oid: str
    pattern: str = ""


@dataclass(frozen=True, slots=True)
class Identity:
    """A holder (证书持有人): kind and number as read, and the name that the certificate shows. Repr hides the number."""

    kind: str
    value: str = field(repr=False)
    name: str = field(repr=False)
    anchor: str

    @property
    def account_key(self) -> str:
        """Return what an account is bound to, as hex."""
        return hashlib.sha256(f"erhai-holder-v1|{self.anchor}|{self.kind}|{self.value}".encode()).hexdigest()


class IdentityRefused(Exception):
    """No identity that counts. `why` is profile-unknown, none-found, ambiguous, check-digit or unreadable."""

    def __init__(self, why: str, kind: str = "") -> None:
        """Keep the word and the kind of number; never the number."""
        super().__init__(f"{why}: {kind}" if kind else why)
        self.why, self.kind = why, kind


@cache
def profiles(path: Path = PROFILES) -> dict[str, tuple[Source, ...]]:
    """Read the profiles. Raises OSError, ValueError, KeyError for a file of another form."""
    table = tomllib.loads(path.read_text(encoding="utf-8"))
    found = {}
    for name, rows in table.items():
        sources = tuple(Source(**row) for row in rows["fields"])
        for source in sources:
            if source.kind not in KINDS or source.where not in {"extension", "subject"}:
                raise ValueError(name)
            re.compile(source.pattern)
        found[name] = sources
    return found


def identity_of(
    certificate: x509.Certificate, *, anchor: str, profile: str, vouches: frozenset[str], path: Path = PROFILES
) -> Identity:
    """Return the holder by the first vouched kind of the profile that is present. Raises IdentityRefused."""
    sources = profiles(path).get(profile)
    if sources is None:
        raise IdentityRefused("profile-unknown", profile)
    for source in sources:
        if source.kind not in vouches:
            continue
        values = {_number(source, text) for text in _texts(certificate, source)} - {""}
        if len(values) > 1:
            raise IdentityRefused("ambiguous", source.kind)
        if values:
            (value,) = values
            return Identity(source.kind, _checked(source.kind, value), _name(certificate), anchor)
    raise IdentityRefused("none-found", ",".join(sorted(vouches)))


def _texts(certificate: x509.Certificate, source: Source) -> list[str]:
    oid = x509.ObjectIdentifier(source.oid)
    if source.where == "subject":
        return [str(part.value) for part in certificate.subject.get_attributes_for_oid(oid)]
    try:
        raw = certificate.extensions.get_extension_for_oid(oid).value
    except x509.ExtensionNotFound:
        return []
    return [_text(raw.value)] if isinstance(raw, x509.UnrecognizedExtension) else []


def _text(data: bytes) -> str:
    """Read a number that vendors write as a string type, tagged, in an OCTET STRING, or bare."""
    value: Any = data
    for _ in range(4):
        if not isinstance(value, bytes):
            break
        try:
            tag_class, _, tag, _, content, _ = parser.parse(value, strict=True)
            value = content if tag_class != 0 or tag == _OCTETS else core.load(value).native
        except (ValueError, TypeError):
            break
    if isinstance(value, str):
        return value
    try:
        return value.decode("utf-8") if isinstance(value, bytes) else ""
    except UnicodeDecodeError:
        raise IdentityRefused("unreadable") from None


def _number(source: Source, text: str) -> str:
    plain = unicodedata.normalize("NFKC", text).strip()
    if not source.pattern:
        return plain.upper()
    found = re.fullmatch(source.pattern, plain)
    return found["value"].upper() if found else ""


def _checked(kind: str, value: str) -> str:
    check = _CHECKS.get(kind)
    if check is None:
        return value
    try:
        return str(check.validate(value))
    except ValidationError:
        raise IdentityRefused("check-digit", kind) from None


def _name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    parts = str(names[0].value).split("@") if names else [""]
    return parts[2] if len(parts) == 4 else "@".join(parts)
