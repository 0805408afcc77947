"""A person's certificate, judged at a moment by what lies here (证书判定): RSA, ECDSA, Ed25519 and SM2 alike, no line used."""

import datetime as dt
import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from asn1crypto import crl as asn1_crl
from asn1crypto import ocsp as asn1_ocsp
from asn1crypto import x509 as asn1_x509

from sync.anchors import Anchor, Anchors, AnchorsRefused
from sync.certificate_form import Certificate, CertRefused, read_certificate, require_usage
from sync.forgotten import Forgotten, issuer_id
from sync.person_identity import Identity, IdentityRefused, identity_of
from sync.revocation_rule import (
    RULE,
    Evidence,
    Outcome,
    Purpose,
    Standing,
    Verdict,
    newest,
    rejudged,
    standing_of,
    worst,
)
from sync.validators import Offered, first, says, second

MAX_CHAIN = 6
MAX_CRL = 16 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """What is recorded beside an act (判定结果). `evidence` has one row for each certificate below the anchor, leaf last."""

    anchor: Anchor
    certificate_sha256: str
    serial: str
    family: str
    holder: Identity = field(repr=False)
    purpose: Purpose
    at_ms: int
    standing: Standing
    verdict: Verdict
    evidence: tuple[Evidence | None, ...]

    @property
    def age_ms(self) -> int:
        """Return the age of the oldest evidence at the moment; -1 where one certificate has none."""
        ages = [row.age_ms(self.at_ms) if row is not None else -1 for row in self.evidence]
        return -1 if -1 in ages else max(ages, default=-1)


@dataclass(frozen=True, slots=True)
class _Path:
    anchor: Anchor
    rows: tuple[Evidence | None, ...]
    leaf: Certificate


def judge(
    certificate: bytes,
    *,
    chain: Iterable[bytes] = (),
    anchors: Anchors,
    at_ms: int,
    purpose: Purpose,
    crls: Iterable[bytes] = (),
    ocsp: Iterable[bytes] = (),
    forgotten: Iterable[Forgotten] = (),
    source: str = "",
) -> Judgement:
    """Judge a certificate for a purpose at a moment. Raises CertRefused for what never counts.

    A `standing` of revoked or unknown is no exception but a verdict: what follows differs by purpose, and it is recorded.
    """
    path = _path(
        certificate,
        chain,
        anchors,
        at_ms=at_ms,
        purpose=purpose,
        offered=(*_crls(crls), *_ocsps(ocsp)),
        forgotten=tuple(forgotten),
        source=source,
    )
    anchor, leaf = path.anchor, path.leaf
    try:
        holder = identity_of(leaf.fields, anchor=anchor.sha256, profile=anchor.profile, vouches=anchor.vouches)
    except IdentityRefused as refused:
        raise CertRefused(
            why="identity", serial=leaf.serial, anchor=anchor.name, rule=str(refused), source=source
        ) from refused
    standing = worst(standing_of(row, at_ms, anchor.grace_days) for row in path.rows)
    return Judgement(
        anchor=anchor,
        certificate_sha256=leaf.sha256,
        serial=leaf.serial,
        family=leaf.family,
        holder=holder,
        purpose=purpose,
        at_ms=at_ms,
        standing=standing,
        verdict=RULE[standing, purpose],
        evidence=path.rows,
    )


def judge_again(
    certificate: bytes,
    *,
    chain: Iterable[bytes] = (),
    anchors: Anchors,
    at_ms: int,
    purpose: Purpose,
    crls: Iterable[bytes] = (),
    ocsp: Iterable[bytes] = (),
    forgotten: Iterable[Forgotten] = (),
) -> tuple[Outcome, tuple[Evidence | None, ...]]:
    """Return what data that is here now says of an act at `at_ms`, to be appended. Raises CertRefused."""
    path = _path(
        certificate,
        chain,
        anchors,
        at_ms=at_ms,
        purpose=purpose,
        offered=(*_crls(crls), *_ocsps(ocsp)),
        forgotten=tuple(forgotten),
    )
    return rejudged(path.rows, at_ms), path.rows


def _path(
    certificate: bytes,
    chain: Iterable[bytes],
    anchors: Anchors,
    *,
    at_ms: int,
    purpose: Purpose,
    offered: Sequence[Offered],
    forgotten: Sequence[Forgotten],
    source: str = "",
) -> _Path:
    leaf = read_certificate(certificate, source)
    more = list(chain)
    if len(more) > MAX_CHAIN:
        raise CertRefused(why="chain", serial=leaf.serial, rule=f"at most {MAX_CHAIN} certificates", source=source)
    known = {one.sha256 for one in anchors.anchors}
    between = [one for one in (read_certificate(der, source) for der in more) if one.sha256 not in known]
    between = [one for one in between if one.sha256 != leaf.sha256]
    require_usage(leaf, purpose, source)
    roots = [one.der for one in anchors.anchors]
    at = dt.datetime.fromtimestamp(at_ms / 1_000, dt.UTC).replace(microsecond=0)
    found, other = first(leaf, between, roots, at), second(leaf, between, roots, at)
    said = found if isinstance(found, str) else ""
    if bool(said) != bool(other):
        rule = f"first {said or 'accepts'}, second {other or 'accepts'}"
        raise CertRefused(why="validators-disagree", serial=leaf.serial, rule=rule, source=source)
    if isinstance(found, str):
        raise CertRefused(why=found, serial=leaf.serial, rule="RFC 5280 6.1", source=source)
    path = list(found.iter_certs(include_root=True))
    anchor = anchors.find(hashlib.sha256(path[0].dump()).hexdigest())
    if anchor is None:
        raise CertRefused(why="unknown-issuer", serial=leaf.serial, rule="path ends at no anchor", source=source)
    _require_anchor(anchor, anchors, leaf, at_ms=at_ms, purpose=purpose, source=source)
    rows = tuple(
        newest(
            (
                *(row for one in offered if (row := says(found, index, roots, one, between)) is not None),
                *_forgotten(forgotten, path[index - 1], path[index].serial_number),
            )
        )
        for index in range(1, len(path))
    )
    return _Path(anchor, rows, leaf)


def _forgotten(kept: Sequence[Forgotten], issuer: asn1_x509.Certificate, serial: int) -> list[Evidence]:
    if not kept:
        return []
    own = issuer_id(issuer)
    return [one.evidence for one in kept if (one.issuer, one.evidence.serial) == (own, serial)]


def _require_anchor(
    anchor: Anchor, anchors: Anchors, leaf: Certificate, *, at_ms: int, purpose: Purpose, source: str
) -> None:
    try:
        anchors.require(at_ms)
    except AnchorsRefused as refused:
        raise CertRefused(
            why="anchors-expired", serial=leaf.serial, anchor=anchor.name, rule=str(refused), source=source
        ) from refused
    if not anchor.from_ms <= at_ms <= anchor.until_ms:
        raise CertRefused(
            why="anchor-out-of-time", serial=leaf.serial, anchor=anchor.name, rule="from, until", source=source
        )
    if purpose not in anchor.purposes:
        raise CertRefused(why="anchor-purpose", serial=leaf.serial, anchor=anchor.name, rule=purpose, source=source)


def _crls(crls: Iterable[bytes]) -> list[Offered]:
    found = []
    for der in crls:
        try:
            listed = asn1_crl.CertificateList.load(der, strict=True)["tbs_cert_list"]
            this, until = listed["this_update"].native, listed["next_update"].native
        except (ValueError, TypeError, KeyError):
            continue  # says nothing of anybody
        if until is not None:
            found.append(Offered("crl", der, hashlib.sha256(der).hexdigest(), this, until))
    return found


def _ocsps(answers: Iterable[bytes]) -> list[Offered]:
    found = []
    for der in answers:
        try:
            answer = asn1_ocsp.OCSPResponse.load(der, strict=True)
            single = answer.response_data["responses"][0]
            this, until = single["this_update"].native, single["next_update"].native
        except (ValueError, TypeError, KeyError, IndexError, AttributeError):
            continue
        if until is not None:
            found.append(Offered("ocsp", der, hashlib.sha256(der).hexdigest(), this, until))
    return found
