"""Three invented certificate vendors of the demonstration (演示用证书机构): RSA, ECDSA and SM2 side by side, one list of anchors.

Each has a root, an issuing authority and lists of revocations; a person's card is made when the person first signs. Two of
the prefecture's three keys sign the anchors. Every key lies in the demonstration's own folder.
"""

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from asn1crypto import core, crl, x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_der_private_key,
)
from stdnum.cn import ric

from node.cli_share import write_trustee_key
from node.person_trust import PersonTrust
from node.places import ANCHORS
from sync import gm_asn1  # noqa: F401 - registers SM2
from sync.anchors import sign_manifest, take_anchors
from sync.envelope import FileHolder
from sync.gm import Sm2Key, generate_sm2
from sync.note import Signer
from sync.person_identity import Identity
from sync.signers import SoftwareSigner, sign_with
from web.demo import cast

_FROM, _UNTIL = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2028, 1, 1, tzinfo=dt.UTC)
_LISTED, _NEXT = dt.datetime(2026, 3, 1, tzinfo=dt.UTC), dt.datetime(2026, 12, 31, tzinfo=dt.UTC)
_ALGORITHM = {"rsa": "sha256_rsa", "ecdsa": "sha256_ecdsa", "sm2": "sm3_sm2"}
VENDORS = {"rsa": "云岭数字认证", "sm2": "滇西国密认证", "ecdsa": "苍洱电子认证"}
_PERSON_ID, _USCC = "1.2.156.10260.4.1.1", "1.2.156.10260.4.1.4"  # GM/T 0015
_CA, _SIGN = {"key_cert_sign", "crl_sign"}, {"digital_signature", "non_repudiation"}
_SEAL = {"key_encipherment", "data_encipherment", "key_agreement"}


@cache
def holders() -> dict[str, tuple[str, str, str]]:
    """Return everybody who signs in the room: person number -> vendor, name, invented identity number.

    In turn; of the bank, the cost engineers hold SM2 cards and no other expert does, so that whoever is drawn all three sign.
    """
    staff = [(no, name) for no, name, _role in (*cast.STAFF, *cast.REVIEWERS)]
    staff += [(one.person, one.name) for one in cast.MEMBERS if one.person]
    rows = [(*row, tuple(VENDORS)[at % 3]) for at, row in enumerate(staff)]
    rows += [(one.person, one.name, ("sm2", "rsa", "ecdsa")[at % 3]) for at, one in enumerate(cast.BANK, 1)]
    found = {}
    for at, (no, name, family) in enumerate(rows, 1):
        number = f"53292419800101{at:03d}"
        found[no] = (family, name, number + ric.calc_check_digit(f"{number}0"))
    return found


@dataclass(frozen=True, slots=True)
class _Party:
    """A certificate and its key, in two files."""

    der: bytes
    key: Any

    @property
    def name(self) -> x509.Name:
        return x509.Certificate.load(self.der).subject

    def save(self, stem: Path) -> None:
        stem.with_suffix(".cer").write_bytes(self.der)
        path = stem.with_suffix(".key")
        path.touch(mode=0o600)
        path.write_bytes(_pkcs8(self.key))

    @classmethod
    def load(cls, stem: Path, family: str) -> "_Party":
        data = stem.with_suffix(".key").read_bytes()
        key = Sm2Key.load(data) if family == "sm2" else load_der_private_key(data, None)
        return cls(stem.with_suffix(".cer").read_bytes(), key)


def _new_key(family: str) -> Any:
    match family:
        case "rsa":
            return rsa.generate_private_key(65_537, 2_048)
        case "ecdsa":
            return ec.generate_private_key(ec.SECP256R1())
        case _:
            return generate_sm2()


def _pkcs8(key: Any) -> bytes:
    if isinstance(key, Sm2Key):
        return key.pkcs8()
    data: bytes = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
    return data


def _spki(key: Any) -> bytes:
    if isinstance(key, Sm2Key):
        return key.spki
    data: bytes = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    return data


def _key_id(spki: bytes) -> bytes:
    return hashlib.sha1(spki).digest()  # noqa: S324 - RFC 5280 4.2.1.2 names a key so


def _issue(
    family: str,
    subject: x509.Name,
    usage: set[str],
    issuer: _Party | None,
    *,
    key: Any,
    number: tuple[str, str] = ("", ""),
) -> _Party:
    """Issue a certificate; without an issuer it signs itself."""
    own, above = _spki(key), _spki(issuer.key if issuer else key)
    rows: list[dict[str, Any]] = [
        {"extn_id": "key_identifier", "extn_value": core.OctetString(_key_id(own))},
        {
            "extn_id": "authority_key_identifier",
            "extn_value": x509.AuthorityKeyIdentifier({"key_identifier": _key_id(above)}),
        },
        {"extn_id": "key_usage", "critical": True, "extn_value": x509.KeyUsage(usage)},
    ]
    if usage is _CA:
        basic = x509.BasicConstraints({"ca": True, "path_len_constraint": 0 if issuer else None})
        rows.append({"extn_id": "basic_constraints", "critical": True, "extn_value": basic})
    oid, value = number
    if oid:
        rows.append({"extn_id": oid, "extn_value": core.ParsableOctetString(core.PrintableString(value).dump())})
    algorithm = {"algorithm": _ALGORITHM[family]}
    tbs = x509.TbsCertificate(
        {
            "version": "v3",
            "serial_number": secrets.randbits(64) | 1,
            "signature": algorithm,
            "issuer": issuer.name if issuer else subject,
            "validity": {"not_before": x509.UTCTime(_FROM), "not_after": x509.UTCTime(_UNTIL)},
            "subject": subject,
            "subject_public_key_info": x509.PublicKeyInfo.load(own),
            "extensions": rows,
        }
    )
    signature = sign_with(issuer.key if issuer else key, tbs.dump())
    made = {"tbs_certificate": tbs, "signature_algorithm": algorithm, "signature_value": signature}
    return _Party(x509.Certificate(made).dump(), key)


def _empty_list(family: str, issuer: _Party) -> bytes:
    algorithm, key_id = {"algorithm": _ALGORITHM[family]}, _key_id(_spki(issuer.key))
    body = crl.TbsCertList(
        {
            "version": "v2",
            "signature": algorithm,
            "issuer": issuer.name,
            "this_update": x509.UTCTime(_LISTED),
            "next_update": x509.UTCTime(_NEXT),
            "crl_extensions": [
                {
                    "extn_id": "authority_key_identifier",
                    "extn_value": x509.AuthorityKeyIdentifier({"key_identifier": key_id}),
                },
                {"extn_id": "crl_number", "extn_value": core.Integer(1)},
            ],
        }
    )
    signature = sign_with(issuer.key, body.dump())
    made = {"tbs_cert_list": body, "signature_algorithm": algorithm, "signature": signature}
    der: bytes = crl.CertificateList(made).dump()
    return der


def _name(common: str, vendor: str) -> x509.Name:
    return x509.Name.build({"country_name": "CN", "organization_name": vendor, "common_name": common})


def _ms(moment: dt.datetime) -> int:
    return int(moment.timestamp()) * 1_000


@dataclass(frozen=True, slots=True)
class Vendors:
    """The three vendors of one demonstration, in a folder."""

    folder: Path

    def make(self, nodes: Sequence[Path]) -> tuple[str, ...]:
        """Make vendors and anchors, put both into the nodes' data folders; return the prefecture's keys for the settings."""
        (self.folder / "cards").mkdir(mode=0o700, parents=True)
        offered, issuers = self.folder / "anchors", {}
        lists: list[bytes] = []
        for family, vendor in VENDORS.items():
            root = _issue(family, _name(_root_name(family), vendor), _CA, None, key=_new_key(family))
            ca = _issue(family, _name(f"{vendor}签发机构", vendor), _CA, root, key=_new_key(family))
            ca.save(self.folder / family)
            issuers[family] = ca.der
            lists += [_empty_list(family, root), _empty_list(family, ca)]
            place = offered / hashlib.sha256(root.der).hexdigest()
            place.mkdir(parents=True)
            (place / "anchor.der").write_bytes(root.der)
            (place / "anchor.toml").write_text(_toml(family), encoding="utf-8")
            (self.folder / f"{family}.anchor").write_text(place.name, encoding="ascii")
        keys = [Signer.from_seed("dali.erhai/anchors", secrets.token_bytes(32)) for _ in range(3)]
        sign_manifest(offered, version=1, issued_ms=_ms(_FROM), expires_ms=_ms(_UNTIL), keys=keys[:2])
        vkeys = tuple(key.vkey for key in keys)
        for data in nodes:
            held = data / ANCHORS
            held.parent.mkdir(mode=0o700, exist_ok=True)
            take_anchors(held, offered, vkeys, _ms(_LISTED))
            (held / "issuers").mkdir(mode=0o700)
            for stem, der in issuers.items():
                (held / "issuers" / f"{stem}.der").write_bytes(der)
            trust = PersonTrust(held, vkeys)
            for der in lists:
                trust.take_crl(der, _ms(_LISTED))
        return tuple(str(key) for key in vkeys)

    def holder(self, no: str) -> str:
        """Return the account key of a person's certificate; "" for somebody who has none."""
        if no not in holders():
            return ""
        family, _, number = holders()[no]
        anchor = (self.folder / f"{family}.anchor").read_text(encoding="ascii")
        return Identity("person-id", number, "", anchor).account_key

    def card(self, no: str) -> SoftwareSigner:
        """Return a person's card: key and certificate, made when it is first asked for."""
        family, name, number = holders()[no]
        held = self._card(no, family, _name(name, VENDORS[family]), _SIGN, (_PERSON_ID, number))
        return SoftwareSigner(held.der, _pkcs8(held.key), self._chain(family))

    def trustee(self, no: str, path: Path) -> None:
        """Write a trustee's key file around the card of the person."""
        family, *_ = holders()[no]
        self.card(no)
        held = _Party.load(self.folder / "cards" / no, family)
        write_trustee_key(path, _pkcs8(held.key), (held.der, *self._chain(family)))

    def company(self, company: cast.Company, ref: str) -> tuple[str, SoftwareSigner, FileHolder]:
        """Return of a bidder: its vendor's anchor, what it signs with, and what its bid is sealed to: two certificates."""
        family = tuple(VENDORS)[cast.BIDDERS.index(company) % 3]
        subject, number = _name(company.name, VENDORS[family]), (_USCC, company.uscc)
        sign = self._card(f"{ref}-sign", family, subject, _SIGN, number)
        seal = self._card(f"{ref}-seal", family, subject, _SEAL, number)
        signer = SoftwareSigner(sign.der, _pkcs8(sign.key), self._chain(family))
        return _root_name(family), signer, FileHolder.of(seal.der, _pkcs8(seal.key))

    def _card(self, stem: str, family: str, subject: x509.Name, usage: set[str], number: tuple[str, str]) -> _Party:
        path = self.folder / "cards" / stem
        if not path.with_suffix(".key").exists():
            ca = _Party.load(self.folder / family, family)
            _issue(family, subject, usage, ca, key=_new_key(family), number=number).save(path)
        return _Party.load(path, family)

    def _chain(self, family: str) -> tuple[bytes, ...]:
        return ((self.folder / f"{family}.cer").read_bytes(),)


def _root_name(family: str) -> str:
    return f"{VENDORS[family]}根证书"


def _toml(family: str) -> str:
    table = {
        "name": _root_name(family),
        "vendor": VENDORS[family],
        "purposes": ["login", "submit", "open", "sign"],
        "profile": "gmt-0015",
        "vouches": ["person-id", "social-credit"],
        "from_ms": _ms(_FROM),
        "until_ms": _ms(_UNTIL),
    }
    return "".join(f"{name} = {json.dumps(value, ensure_ascii=False)}\n" for name, value in table.items())
