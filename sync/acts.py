"""A person's signed act (签名行为): words that a person can read, and a detached CAdES-BES signature over them.

The words are plain text: the first line names the kind, the last one the digest of what the act is about. Domain separation
is by that first line, so that no signature is taken for another kind. A bid's manifest, its inner list and a trustee's release
are signed alike, over canonical JSON that names its own kind.
"""

import datetime as dt
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from asn1crypto import cms, tsp
from asn1crypto.algos import SignedDigestAlgorithm
from cryptography.exceptions import InvalidSignature

from sync.anchors import Anchors
from sync.certificate_form import CertRefused, read_certificate
from sync.gm import sm3
from sync.gm_asn1 import FamilyValidator
from sync.plain_text import unseen
from sync.revocation_rule import Purpose, Verdict
from sync.signers import ActSigner

if TYPE_CHECKING:
    from sync.forgotten import Forgotten
    from sync.person_certs import Judgement

HEAD = "洱海签名 erhai-act-v1"
LOGIN_HEAD = "洱海登录 erhai-login-v1"  # so that no answer to a challenge is ever an act
MAX_CMS = 65_536
MAX_TEXT = 65_536
_ACCEPTED = {
    "rsa": ({"sha256_rsa", "sha384_rsa", "sha512_rsa", "rsassa_pkcs1v15"}, {"sha256", "sha384", "sha512"}),
    "ecdsa": ({"sha256_ecdsa", "sha384_ecdsa", "sha512_ecdsa"}, {"sha256", "sha384", "sha512"}),
    "ed25519": ({"ed25519"}, {"sha512"}),
    "sm2": ({"sm3_sm2"}, {"sm3"}),
}


@dataclass(eq=False, slots=True)
class ActRefused(Exception):
    """A signature does not count. `why`: malformed, one-signer, not-detached, other-words, attributes, algorithm, signature,
    certificate, not-now; `detail` says which rule; for a certificate the refusal is the cause.
    """

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Signature:
    """A signature that holds; whose certificate it is has not been asked. `chain` came along."""

    certificate: bytes
    chain: tuple[bytes, ...]
    claimed_ms: int  # what the signer's clock said; 0 where it said nothing

    @property
    def certificate_sha256(self) -> str:
        """Return the digest by which manifests and appointments name the certificate, hex."""
        return hashlib.sha256(self.certificate).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Signed:
    """A signature that counts, and how (有效签名). `person` is the account key of the holder."""

    person: str
    anchor: str
    certificate: str  # SHA-256, hex
    state: "Judgement"
    claimed_ms: int  # what the signer's clock said; 0 where it said nothing


def act_text(kind: str, lines: Mapping[str, str], digest: bytes, head: str = HEAD) -> bytes:
    """Return the words of an act: kind, named lines in their order, the digest of its object. Raises ValueError."""
    rows = [head, kind, *(f"{name}：{value}" for name, value in lines.items()), f"摘要 SHA-256：{digest.hex()}"]
    if not all(row and not unseen(row) for row in rows) or len(digest) != 32:
        raise ValueError(kind)
    text = ("\n".join(rows) + "\n").encode()
    if len(text) > MAX_TEXT:
        raise ValueError(len(text))
    return text


def readable(text: bytes) -> bool:
    """Whether these are words in the form of `act_text`, so that what is shown is what is signed."""
    try:
        lines = text.decode("utf-8").split("\n")
    except UnicodeDecodeError:
        return False
    whole = len(text) <= MAX_TEXT and lines[0] in {HEAD, LOGIN_HEAD} and lines[-1] == "" and len(lines) >= 4
    return whole and all(line and not unseen(line) for line in lines[:-1])


def sign_act(text: bytes, signer: ActSigner, at: dt.datetime | None = None) -> bytes:
    """Return a detached CMS over the words, DER; `at` is the signer's clock, aware. Raises TokenFault, CertRefused, GmFault."""
    # Loaded with the first signature: a node verifies at each start and signs no act itself.
    made: bytes = import_module("sync.act_making").cms_of(text, signer, at)
    return made


def _digest(algorithm: str, data: bytes) -> bytes:
    return sm3(data) if algorithm == "sm3" else hashlib.new(algorithm, data).digest()


def _attributes(info: cms.SignerInfo) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for row in info["signed_attrs"]:
        name = row["type"].native
        if name in found or len(row["values"]) != 1:
            raise ActRefused("attributes", f"{name} more than once")
        found[name] = row["values"][0]
    return found


def _parts(der: bytes) -> tuple[cms.SignedData, cms.SignerInfo]:
    if len(der) > MAX_CMS:
        raise ActRefused("malformed", "too long")
    try:
        outer = cms.ContentInfo.load(der, strict=True)
        if outer["content_type"].native != "signed_data":
            raise ActRefused("malformed", "no signed data")
        signed: cms.SignedData = outer["content"]
        infos = signed["signer_infos"]
        if len(infos) != 1:
            raise ActRefused("one-signer", str(len(infos)))
        if signed["encap_content_info"]["content_type"].native != "data":
            raise ActRefused("malformed", "content type")
        if signed["encap_content_info"]["content"].native is not None:
            raise ActRefused("not-detached")
        return signed, infos[0]
    except (ValueError, TypeError, KeyError) as error:
        raise ActRefused("malformed", type(error).__name__) from error


def _signer_certificate(signed: cms.SignedData, info: cms.SignerInfo) -> tuple[bytes, list[bytes]]:
    certificates = [row.chosen for row in signed["certificates"] if row.name == "certificate"]
    wanted = info["sid"]
    if wanted.name != "issuer_and_serial_number":
        raise ActRefused("malformed", "signer is named by key")
    ders = [one.dump() for one in certificates]
    for one, der in zip(certificates, ders, strict=True):
        same = one.issuer == wanted.chosen["issuer"] and one.serial_number == wanted.chosen["serial_number"].native
        if same:
            return der, [other for other in ders if other != der]
    raise ActRefused("malformed", "the signer's certificate is not in it")


def certificates_of(cms_der: bytes) -> tuple[bytes, list[bytes]]:
    """Return the signer's certificate and the others that a signature carries, DER. Raises ActRefused."""
    return _signer_certificate(*_parts(cms_der))


def _check(text: bytes, info: cms.SignerInfo, certificate: bytes) -> int:
    """Hold words, attributes and signature together; return the signer's time. Raises ActRefused, CertRefused."""
    read = read_certificate(certificate, "cms")
    signatures, digests = _ACCEPTED[read.family]
    algorithm, digest = info["signature_algorithm"], info["digest_algorithm"]["algorithm"].native
    if algorithm["algorithm"].native not in signatures or digest not in digests:
        raise ActRefused("algorithm", f"{algorithm['algorithm'].native} with {digest}")
    named = algorithm["algorithm"].native.partition("_")[0]
    if read.family in {"rsa", "ecdsa"} and named in {"sha256", "sha384", "sha512"} and named != digest:
        raise ActRefused("algorithm", "two digests")
    attributes = _attributes(info)
    content_type, found = attributes.get("content_type"), attributes.get("message_digest")
    if content_type is None or content_type.native != "data" or found is None:
        raise ActRefused("attributes", "content type, message digest")
    if found.native != _digest(digest, text):
        raise ActRefused("other-words")
    _check_own(attributes.get("signing_certificate_v2"), certificate)
    body = info["signed_attrs"].untag().dump()
    if algorithm["algorithm"].native == "rsassa_pkcs1v15":
        algorithm = SignedDigestAlgorithm({"algorithm": f"{digest}_rsa"})
    try:
        FamilyValidator().validate_signature(info["signature"].native, body, read.parsed.public_key, algorithm)
    except InvalidSignature as error:
        raise ActRefused("signature") from error
    at = attributes.get("signing_time")
    return int(at.native.timestamp() * 1_000) if at is not None else 0


def _check_own(value: tsp.SigningCertificateV2 | None, certificate: bytes) -> None:
    """CAdES-BES: the signed attributes name the certificate, so that it cannot be exchanged (ETSI EN 319 122-1 5.2.2)."""
    if value is None:
        raise ActRefused("attributes", "no signing certificate")
    first = value["certs"][0]
    algorithm = first["hash_algorithm"]["algorithm"].native
    if algorithm not in {"sha256", "sha384", "sha512", "sm3"}:
        raise ActRefused("algorithm", algorithm)
    if first["cert_hash"].native != _digest(algorithm, certificate):
        raise ActRefused("attributes", "another signing certificate")


def read_signature(text: bytes, cms_der: bytes) -> Signature:
    """Check that a signature is one over exactly these bytes by the certificate in it. Raises ActRefused, GmFault."""
    signed, info = _parts(cms_der)
    try:
        certificate, chain = _signer_certificate(signed, info)
        claimed_ms = _check(text, info, certificate)
    except CertRefused as refused:
        raise ActRefused("certificate", str(refused)) from refused
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ActRefused("malformed", type(error).__name__) from error
    return Signature(certificate=certificate, chain=tuple(chain), claimed_ms=claimed_ms)


_GOES = {Verdict.YES, Verdict.BANNER, Verdict.PENDING, Verdict.SECOND_PERSON, Verdict.READ_ONLY}


def verify_act(
    text: bytes,
    cms_der: bytes,
    trust: Anchors,
    *,
    at_ms: int,
    purpose: Purpose = Purpose.SIGN,
    crls: Iterable[bytes] = (),
    ocsp: Iterable[bytes] = (),
    forgotten: Iterable["Forgotten"] = (),
    source: str = "",
) -> Signed:
    """Check a signature over these words at a moment. Raises ActRefused; GmFault where this machine has no SM2.

    What the verdict asks besides (a second person, a mark) is the caller's affair: see `state.verdict`.
    """
    found = read_signature(text, cms_der)
    judge = import_module("sync.person_certs").judge  # two validators, which a bidder's tool does not load
    try:
        state: Judgement = judge(
            found.certificate,
            chain=found.chain,
            anchors=trust,
            at_ms=at_ms,
            purpose=purpose,
            crls=crls,
            ocsp=ocsp,
            forgotten=forgotten,
            source=source,
        )
    except CertRefused as refused:
        raise ActRefused("certificate", str(refused)) from refused
    except (ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        raise ActRefused("malformed", type(error).__name__) from error
    if state.verdict not in _GOES:
        raise ActRefused("not-now", f"{state.standing} for {purpose}: serial {state.serial} anchor {state.anchor.name}")
    return Signed(
        person=state.holder.account_key,
        anchor=state.anchor.sha256,
        certificate=state.certificate_sha256,
        state=state,
        claimed_ms=found.claimed_ms,
    )
