"""A laboratory of vendors: roots, issuing CAs, persons, CRLs and OCSP answers of four families, made and broken at will."""

import datetime as dt
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from asn1crypto import algos, core, crl, ocsp, x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from node.person_trust import PersonTrust
from sync import gm_asn1  # noqa: F401 - registers SM2
from sync.anchors import Anchor, Anchors, sign_manifest
from sync.gm import generate_sm2
from sync.note import Signer
from sync.revocation_rule import DAY_MS, Purpose

FAMILIES = ("rsa", "ecdsa", "ed25519", "sm2")
NOW = dt.datetime(2026, 3, 25, 2, 0, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
DAY = dt.timedelta(days=1)
PERSON_ID = "532901199003078770"
USCC = "91530100MA6K00001X"
_ALGORITHM = {"rsa": "sha256_rsa", "ecdsa": "sha256_ecdsa", "ed25519": "ed25519", "sm2": "sm3_sm2"}


class Key:
    """A private key of one family."""

    def __init__(self, family: str) -> None:
        self.family = family
        if family == "sm2":
            self._key: Any = generate_sm2()
            self.spki, self.pkcs8 = self._key.spki, self._key.pkcs8()
            return
        make = {
            "rsa": lambda: rsa.generate_private_key(65_537, 2_048),
            "rsa-1024": lambda: rsa.generate_private_key(65_537, 1_024),
            "ecdsa": lambda: ec.generate_private_key(ec.SECP256R1()),
            "p-192": lambda: ec.generate_private_key(ec.SECP256K1()),
            "ed25519": ed25519.Ed25519PrivateKey.generate,
        }
        self._key = make[family]()
        self.spki = self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        self.pkcs8 = self._key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, data: bytes, digest: str = "sha256") -> bytes:
        """Sign as certificates are signed."""
        algorithm = {"sha256": hashes.SHA256(), "sha1": hashes.SHA1()}[digest]  # noqa: S303
        match self.family:
            case "rsa" | "rsa-1024":
                return self._key.sign(data, padding.PKCS1v15(), algorithm)
            case "ecdsa" | "p-192":
                return self._key.sign(data, ec.ECDSA(algorithm))
            case _:
                return self._key.sign(data)


@cache
def key(family: str, no: int = 0) -> Key:
    """Return one of the session's keys: RSA keys take long."""
    return Key(family)


def name_of(common: str, **more: str) -> x509.Name:
    """Return a name."""
    return x509.Name.build({"country_name": "CN", "organization_name": "试验签发机构", **more, "common_name": common})


@dataclass
class Party:
    """A certificate and its key."""

    der: bytes
    key: Key
    name: x509.Name

    @property
    def parsed(self) -> x509.Certificate:
        return x509.Certificate.load(self.der)


@dataclass
class Spec:
    """What a certificate says; a test changes one thing."""

    subject: str = "试验人员"
    serial: int = 0x1001
    start: dt.datetime = NOW - 30 * DAY
    end: dt.datetime = NOW + 300 * DAY
    ca: bool | None = None
    path_len: int | None = None
    usage: tuple[str, ...] | None = ("digital_signature", "non_repudiation")
    extended: tuple[str, ...] = ()
    person_id: str | None = PERSON_ID
    person_id_oid: str = "1.2.156.10260.4.1.1"
    extra: tuple[tuple[str, bool, bytes], ...] = ()
    twice: bool = False
    issuer_name: x509.Name | None = None
    signer: Key | None = None
    digest: str = "sha256"
    authority_key: bytes | None = None
    no_authority_key: bool = False
    no_own_key: bool = False
    version: str = "v3"
    algorithm: str = ""
    outer_algorithm: str = ""
    nocheck: bool = False
    subject_more: dict[str, str] = field(default_factory=dict)


def _key_id(spki: bytes) -> bytes:
    return hashlib.sha1(spki).digest()  # noqa: S324 - RFC 5280 names a key so


def _extensions(spec: Spec, spki: bytes, issuer_spki: bytes) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    if not spec.no_own_key:
        rows.append({"extn_id": "key_identifier", "critical": False, "extn_value": core.OctetString(_key_id(spki))})
    if not spec.no_authority_key:
        value = x509.AuthorityKeyIdentifier({"key_identifier": spec.authority_key or _key_id(issuer_spki)})
        rows.append({"extn_id": "authority_key_identifier", "critical": False, "extn_value": value})
    if spec.ca is not None:
        basic = x509.BasicConstraints({"ca": spec.ca, "path_len_constraint": spec.path_len})
        rows.append({"extn_id": "basic_constraints", "critical": True, "extn_value": basic})
    if spec.usage is not None:
        rows.append({"extn_id": "key_usage", "critical": True, "extn_value": x509.KeyUsage(set(spec.usage))})
    if spec.extended:
        usage = x509.ExtKeyUsageSyntax(list(spec.extended))
        rows.append({"extn_id": "extended_key_usage", "critical": False, "extn_value": usage})
    if spec.nocheck:
        rows.append({"extn_id": "ocsp_no_check", "critical": False, "extn_value": core.Null()})
    own = [] if spec.person_id is None else [(spec.person_id_oid, False, core.PrintableString(spec.person_id).dump())]
    for oid, critical, der in (*own, *spec.extra):
        raw = core.ParsableOctetString(der)
        rows.append({"extn_id": oid, "critical": critical, "extn_value": raw})
    return rows + rows[:1] if spec.twice else rows


def issue(spec: Spec, own: Key, issuer: Party | None = None) -> Party:
    """Issue a certificate; without an issuer it signs itself."""
    subject = name_of(spec.subject, **spec.subject_more)
    signer = spec.signer or (issuer.key if issuer else own)
    algorithm = {"algorithm": spec.algorithm or _algorithm(signer.family, spec.digest)}
    tbs = x509.TbsCertificate(
        {
            "version": spec.version,
            "serial_number": spec.serial,
            "signature": algorithm,
            "issuer": spec.issuer_name or (issuer.name if issuer else subject),
            "validity": {"not_before": x509.UTCTime(spec.start), "not_after": x509.UTCTime(spec.end)},
            "subject": subject,
            "subject_public_key_info": x509.PublicKeyInfo.load(own.spki),
            **(
                {"extensions": _extensions(spec, own.spki, issuer.key.spki if issuer else own.spki)}
                if spec.version == "v3"
                else {}
            ),
        }
    )
    body = tbs.dump()
    outer = {"algorithm": spec.outer_algorithm} if spec.outer_algorithm else algorithm
    der = x509.Certificate(
        {
            "tbs_certificate": tbs,
            "signature_algorithm": outer,
            "signature_value": signer.sign(body, spec.digest) if spec.digest != "sha256" else signer.sign(body),
        }
    ).dump()
    return Party(der, own, subject)


def _algorithm(family: str, digest: str) -> str:
    family = {"rsa-1024": "rsa", "p-192": "ecdsa"}.get(family, family)
    return _ALGORITHM[family].replace("sha256", digest)


CA_USAGE = ("key_cert_sign", "crl_sign")


@dataclass
class Vendor:
    """A root, an issuing CA and one person."""

    family: str
    root: Party
    ca: Party
    person: Party

    @classmethod
    def of(cls, family: str) -> "Vendor":
        root = issue(
            Spec(
                subject=f"{family} 根",
                serial=1,
                ca=True,
                usage=CA_USAGE,
                person_id=None,
                start=NOW - 900 * DAY,
                end=NOW + 3_000 * DAY,
            ),
            key(family, 1),
        )
        ca = issue(
            Spec(
                subject=f"{family} 签发机构",
                serial=2,
                ca=True,
                path_len=0,
                usage=CA_USAGE,
                person_id=None,
                start=NOW - 800 * DAY,
                end=NOW + 2_000 * DAY,
            ),
            key(family, 2),
            root,
        )
        return cls(family, root, ca, issue(Spec(), key(family, 3), ca))

    def crls(self, **more: Any) -> tuple[bytes, bytes]:
        """Return fresh CRLs of root and issuing CA; `more` for the latter."""
        return make_crl(self.root), make_crl(self.ca, **more)


@cache
def vendor(family: str) -> Vendor:
    """Return the session's vendor of a family."""
    return Vendor.of(family)


def make_crl(
    issuer: Party,
    revoked: dict[int, dt.datetime] | None = None,
    *,
    this: dt.datetime = NOW - DAY,
    until: dt.datetime = NOW + 6 * DAY,
    number: int = 5,
    signer: Key | None = None,
) -> bytes:
    """Issue a CRL."""
    algorithm = {"algorithm": _ALGORITHM[(signer or issuer.key).family]}
    rows = [{"user_certificate": serial, "revocation_date": x509.UTCTime(at)} for serial, at in (revoked or {}).items()]
    tbs: dict[str, Any] = {
        "version": "v2",
        "signature": algorithm,
        "issuer": issuer.name,
        "this_update": x509.UTCTime(this),
        "next_update": x509.UTCTime(until),
        "crl_extensions": [
            {
                "extn_id": "authority_key_identifier",
                "critical": False,
                "extn_value": x509.AuthorityKeyIdentifier({"key_identifier": _key_id(issuer.key.spki)}),
            },
            {"extn_id": "crl_number", "critical": False, "extn_value": core.Integer(number)},
        ],
    }
    if rows:
        tbs["revoked_certificates"] = rows
    body = crl.TbsCertList(tbs)
    return crl.CertificateList(
        {
            "tbs_cert_list": body,
            "signature_algorithm": algorithm,
            "signature": (signer or issuer.key).sign(body.dump()),
        }
    ).dump()


def make_ocsp(
    issuer: Party,
    serial: int,
    *,
    revoked: dt.datetime | None = None,
    responder: Party | None = None,
    this: dt.datetime = NOW - DAY,
    until: dt.datetime = NOW + DAY,
) -> bytes:
    """Answer for one certificate; a responder is a delegated one."""
    who = responder or issuer
    status = (
        ocsp.CertStatus("good", core.Null())
        if revoked is None
        else ocsp.CertStatus("revoked", ocsp.RevokedInfo({"revocation_time": revoked}))
    )
    digest = algos.DigestAlgorithm({"algorithm": "sha1"})
    data = ocsp.ResponseData(
        {
            "responder_id": ocsp.ResponderId("by_name", who.name),
            "produced_at": this,
            "responses": [
                {
                    "cert_id": {
                        "hash_algorithm": digest,
                        "issuer_name_hash": hashlib.sha1(issuer.name.dump()).digest(),  # noqa: S324
                        "issuer_key_hash": issuer.parsed.public_key.sha1,
                        "serial_number": serial,
                    },
                    "cert_status": status,
                    "this_update": this,
                    "next_update": until,
                }
            ],
        }
    )
    basic = ocsp.BasicOCSPResponse(
        {
            "tbs_response_data": data,
            "signature_algorithm": {"algorithm": _ALGORITHM[who.key.family]},
            "signature": who.key.sign(data.dump()),
            "certs": [x509.Certificate.load(who.der)] if responder else None,
        }
    )
    return ocsp.OCSPResponse(
        {
            "response_status": "successful",
            "response_bytes": {"response_type": "basic_ocsp_response", "response": basic},
        }
    ).dump()


def anchor_of(root: Party, **changes: Any) -> Anchor:
    """Return an anchor of a root."""
    fields: dict[str, Any] = {
        "sha256": hashlib.sha256(root.der).hexdigest(),
        "der": root.der,
        "name": str(root.name.native["common_name"]),
        "vendor": "试验厂商",
        "purposes": frozenset(Purpose),
        "profile": "gmt-0015",
        "vouches": frozenset({"person-id"}),
        "from_ms": NOW_MS - 400 * DAY_MS,
        "until_ms": NOW_MS + 400 * DAY_MS,
    }
    return Anchor(**{**fields, **changes})


def anchors_of(*anchors: Anchor, **changes: Any) -> Anchors:
    """Return a set in force; with no anchors, the four roots side by side."""
    rows = anchors or tuple(anchor_of(vendor(family).root) for family in FAMILIES)
    fields: dict[str, Any] = {
        "version": 1,
        "issued_ms": NOW_MS - 90 * DAY_MS,
        "expires_ms": NOW_MS + 90 * DAY_MS,
        "anchors": rows,
        "text": "",
    }
    return Anchors(**{**fields, **changes})


def take_trust(held: Path, offered: Path, keys: Sequence[Signer], crls: Mapping[str, Sequence[bytes] | None]) -> None:
    """Put the vendors of these families in force at a node's folder, with these CRLs; None: fresh ones."""
    for family in crls:
        root = vendor(family).root.der
        place = offered / hashlib.sha256(root).hexdigest()
        place.mkdir(parents=True)
        (place / "anchor.der").write_bytes(root)
        table = {
            "name": f"{family} 试验根",
            "vendor": "试验厂商",
            "purposes": ["login", "submit", "open", "sign"],
            "profile": "gmt-0015",
            "vouches": ["person-id"],
            "from_ms": NOW_MS - 100 * DAY_MS,
            "until_ms": NOW_MS + 100 * DAY_MS,
        }
        rows = (f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in table.items())
        (place / "anchor.toml").write_text("".join(rows), encoding="utf-8")
    sign_manifest(
        offered, version=1, issued_ms=NOW_MS - 30 * DAY_MS, expires_ms=NOW_MS + 90 * DAY_MS, keys=tuple(keys)[:2]
    )
    trust = PersonTrust(held, tuple(one.vkey for one in keys))
    assert trust.take(offered, NOW_MS)
    (held / "issuers").mkdir()
    for family, lists in crls.items():
        (held / "issuers" / f"{family}.der").write_bytes(vendor(family).ca.der)
        for der in vendor(family).crls() if lists is None else lists:
            assert trust.take_crl(der, NOW_MS)
