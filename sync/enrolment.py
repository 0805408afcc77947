"""The papers of enrolment (登记文书): what a node asks for, what the prefecture answers, and who vouches for the paper.

    request   the node's public keys and its CSR, under a MAC by a one-time token that is read aloud and never in the file
    act       what two officers did, signed by both
    bundle    leaf, CA, CRL, roster of peers and the act, signed by the CA; its answer to a request also under the token, so
              that the node knows the CA from the officers and not from whoever carried the file
    renewal   a new leaf for the same key, asked for with that key

Papers are arrays of `codec`; what is signed or under a MAC is verified as bytes before it is read. A token is 24 digits, 79
bits: the file alone does not let anybody try tokens to an end.
"""

import hashlib
import hmac
import re
import secrets
from dataclasses import astuple, dataclass, fields
from typing import Any

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.x509.oid import NameOID

from sync.certs import UNREADABLE, is_domain, is_node_code
from sync.codec import pack, unpack
from sync.keys import name_base
from sync.note import VerifierKey
from sync.tampered import Malformed

MAX_PAPER = 1024 * 1024
TOKEN_HOURS = 24
_REQUEST, _ACT, _BUNDLE, _RENEWAL = (f"erhai {word} v1" for word in ("enrol-request", "act", "bundle", "renewal"))
_DIGITS = "〇一二三四五六七八九"
_FIRST_LOG = re.compile(r"[^\s/+]+(/[^\s/+]+)*/e1")
KINDS = ("enrol", "renew", "revoke")


@dataclass(eq=False)
class EnrolRefused(Exception):
    """A paper is not accepted. `why` is a word of REASONS in the command line's table; `value` what was met."""

    why: str
    value: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.why}: {self.value}" if self.value else self.why


@dataclass(frozen=True, slots=True)
class Member:
    """A node as the prefecture has it on its roster; `kind` is county or prefecture."""

    node: str
    kind: str
    room: str
    origin: str
    log_vkey: str
    cosigner_vkey: str
    witness_vkey: str
    sealing_public: str
    tls_public: str
    url: str


@dataclass(frozen=True, slots=True)
class Request:
    """What a node asks for. Times are Unix milliseconds of its own clock."""

    prefecture: str
    made_ms: int
    expires_ms: int
    csr: bytes
    member: Member


@dataclass(frozen=True, slots=True)
class Act:
    """What was done at the prefecture; `previous` is the digest of the act before, so that none can be taken out."""

    kind: str
    node: str
    serial: str  # hex, of the leaf that was signed or revoked
    at_ms: int
    officers: tuple[str, ...]
    paper: bytes  # SHA-256 of the request or renewal
    subject: bytes  # SHA-256 of the member and the leaf that it puts on the roster
    previous: bytes


@dataclass(frozen=True, slots=True)
class Bundle:
    """What a node installs. `number` counts the prefecture's acts and never goes back; `answers` is a request's SHA-256."""

    number: int
    answers: bytes
    node: str
    prefecture: str
    leaf: bytes  # DER
    ca: bytes  # PEM
    crl: bytes  # DER
    roster: tuple[Member, ...]
    act: bytes


def digest(paper: bytes) -> bytes:
    """Return the name of a paper."""
    return hashlib.sha256(paper).digest()


def subject_of(member: Member, leaf: bytes) -> bytes:
    """Return the digest by which an act names what it puts on the roster; `leaf` is DER."""
    return digest(pack((astuple(member), leaf)))


# -- what is read aloud ---------------------------------------------------------------------------------------------


def new_token() -> str:
    """Return a one-time token: 24 digits."""
    return f"{secrets.randbelow(10**24):024d}"


def read_token(text: str) -> str:
    """Return the digits of a token as a person typed them. Raises EnrolRefused."""
    spoken = text.replace("幺", "一").replace("零", "〇")
    digits = "".join(str(_DIGITS.index(c)) if c in _DIGITS else c for c in spoken if not c.isspace() and c not in "-—")
    if len(digits) != 24 or not digits.isascii() or not digits.isdigit():
        raise EnrolRefused("token-malformed")
    return digits


def groups(digits: str) -> str:
    """Return digits in groups of four."""
    return " ".join(digits[at : at + 4] for at in range(0, len(digits), 4))


def fingerprint(paper: bytes) -> str:
    """Return a paper's fingerprint to read aloud: 24 digits."""
    return f"{int.from_bytes(digest(paper)[:16], 'big') % 10**24:024d}"


def aloud(digits: str) -> str:
    """Return digits as they are read over the telephone in Chinese."""
    return "，".join("".join(_DIGITS[int(digit)] for digit in group) for group in groups(digits).split())


# -- request --------------------------------------------------------------------------------------------------------


def make_request(request: Request, token: str) -> bytes:
    """Return a request under its token."""
    body = pack((_REQUEST, *astuple(request)))
    return pack((body, _mac(token, _REQUEST, body)))


def open_request(paper: bytes, token: str, now_ms: int | None) -> Request:
    """Return a request whose token fits, in time, with its keys in order. Raises EnrolRefused, Malformed.

    The node itself asks without a time: an answer may come after the token's, which the prefecture has judged.
    """
    body, mac = _parts(paper, 2)
    if not hmac.compare_digest(mac, _mac(token, _REQUEST, body)):
        raise EnrolRefused("wrong-token")
    raw = _read(body, _REQUEST, 5)
    prefecture, made_ms, expires_ms, csr = _typed(Request, raw[:4])
    request = Request(prefecture, made_ms, expires_ms, csr, _member(raw[4]))
    if now_ms is not None:
        if now_ms > request.expires_ms or request.expires_ms - request.made_ms > TOKEN_HOURS * 3_600_000:
            raise EnrolRefused("token-expired", str(request.expires_ms))
        if request.made_ms > now_ms + 3_600_000:
            raise EnrolRefused("from-the-future", str(request.made_ms))
        check_names(request.prefecture, request.member.node, request.member.origin)
    check_member(request.member)
    csr_key(request)
    return request


def check_names(prefecture: str, node: str, origin: str) -> None:
    """Refuse names that no certificate or first log can have. Raises EnrolRefused."""
    if not is_node_code(node):
        raise EnrolRefused("bad-node", repr(node))
    if not is_domain(prefecture):
        raise EnrolRefused("bad-prefecture", repr(prefecture))
    if not _FIRST_LOG.fullmatch(origin):
        raise EnrolRefused("bad-origin", repr(origin))


def csr_key(request: Request) -> Ed25519PublicKey:
    """Return the key of a request's CSR, which signed itself and names the node. Raises EnrolRefused."""
    try:
        csr = x509.load_der_x509_csr(request.csr)
        key, valid = csr.public_key(), csr.is_signature_valid
        names = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    except UNREADABLE as error:
        raise EnrolRefused("bad-csr", str(error)) from error
    member = request.member
    if not isinstance(key, Ed25519PublicKey) or not valid:
        raise EnrolRefused("bad-csr", "not signed by its own Ed25519 key")
    if [name.value for name in names] != [member.node] or key.public_bytes_raw().hex() != member.tls_public:
        raise EnrolRefused("bad-csr", "names another node or key")
    return key


def make_csr(node: str, key: Ed25519PrivateKey) -> bytes:
    """Return a certificate signing request as DER."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, node)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)
    return csr.public_bytes(serialization.Encoding.DER)


def check_member(member: Member) -> None:
    """Refuse keys that do not carry the names of this node's log. Raises EnrolRefused, Malformed."""
    base = name_base(member.origin)
    keys = {member.log_vkey: member.origin, member.cosigner_vkey: f"{base}/m", member.witness_vkey: f"{base}/w"}
    if len(keys) != 3 or any(VerifierKey.parse(vkey).name != name for vkey, name in keys.items()):
        raise EnrolRefused("foreign-keys", member.node)
    if member.kind not in {"county", "prefecture"} or (member.url and not member.url.startswith("https://")):
        raise EnrolRefused("bad-member", member.node)
    for text in (member.sealing_public, member.tls_public):
        if len(text) != 64 or text.strip("0123456789abcdef"):
            raise EnrolRefused("bad-member", member.node)


# -- renewal --------------------------------------------------------------------------------------------------------


def make_renewal(node: str, serial: int, at_ms: int, key: Ed25519PrivateKey) -> bytes:
    """Return the request for a new leaf of the same key, signed with it."""
    body = pack((_RENEWAL, node, f"{serial:x}", at_ms))
    return pack((body, key.sign(body)))


def is_renewal(paper: bytes) -> bool:
    """Return whether a paper is a renewal, by its own word. Raises Malformed."""
    body = unpack(_parts(paper, 2)[0])
    return isinstance(body, tuple) and body[:1] == (_RENEWAL,)


def renewing_node(paper: bytes) -> str:
    """Return the node that a renewal names, unverified. Raises Malformed."""
    return str(_read(_parts(paper, 2)[0], _RENEWAL, 3)[0])


def check_renewal(paper: bytes, tls_public: str) -> None:
    """Refuse a renewal that the enrolled key did not sign. Raises EnrolRefused, Malformed."""
    body, signature = _parts(paper, 2)
    _signed(bytes.fromhex(tls_public), signature, body, "other-key")


# -- act and bundle -------------------------------------------------------------------------------------------------


def make_act(act: Act, keys: tuple[Ed25519PrivateKey, ...]) -> bytes:
    """Return an act signed by its officers, in their order."""
    body = pack((_ACT, *astuple(act)))
    signers = tuple((key.public_key().public_bytes_raw(), key.sign(body)) for key in keys)
    return pack((body, signers))


def open_act(paper: bytes) -> tuple[Act, tuple[bytes, ...]]:
    """Return an act and the keys that signed it; an enrolment or revocation has two different officers. Raises EnrolRefused."""
    raw = unpack(paper)
    if not isinstance(raw, tuple) or len(raw) != 2 or not isinstance(raw[0], bytes) or not isinstance(raw[1], tuple):
        raise Malformed("act", "is not body and signatures")
    act = Act(*_typed(Act, _read(raw[0], _ACT, len(fields(Act)))))
    keys = []
    for signer in raw[1]:
        if not isinstance(signer, tuple) or len(signer) != 2:
            raise Malformed("act", "has a signature that is none")
        _signed(signer[0], signer[1], raw[0], "officer-signature")
        keys.append(signer[0])
    wanted = 0 if act.kind == "renew" else 2
    if len(set(act.officers)) != wanted or len(set(keys)) != wanted or len(keys) != len(act.officers):
        raise EnrolRefused("two-officers", ", ".join(act.officers))
    return act, tuple(keys)


def make_bundle(bundle: Bundle, ca_key: Ed25519PrivateKey, token: str = "") -> bytes:
    """Return a bundle signed by the CA, and under the token where it answers a request."""
    body = pack((_BUNDLE, *astuple(bundle)))
    return pack((body, ca_key.sign(body), _mac(token, _BUNDLE, body) if token else b""))


def open_bundle(paper: bytes, *, ca: bytes = b"", token: str = "") -> Bundle:
    """Return a bundle: by the CA that is trusted already, or at first by the token. Raises EnrolRefused, Malformed."""
    body, signature, mac = _parts(paper, 3)
    if not ca and not hmac.compare_digest(mac, _mac(token, _BUNDLE, body)):
        raise EnrolRefused("wrong-token")
    raw = _read(body, _BUNDLE, len(fields(Bundle)))
    if not isinstance(raw[7], tuple):
        raise Malformed("roster", "is no list")
    members = tuple(_member(one) for one in raw[7])
    bundle = Bundle(*_typed(Bundle, (*raw[:7], members, raw[8])))
    try:
        authorities = x509.load_pem_x509_certificates(ca or bundle.ca)
    except UNREADABLE as error:
        raise EnrolRefused("bad-ca", str(error)) from error
    for authority in authorities:
        key = authority.public_key()
        if isinstance(key, Ed25519PublicKey) and _fits(key, signature, body):
            break
    else:
        raise EnrolRefused("foreign-ca")
    for member in members:
        check_member(member)
    return bundle


# -- reading --------------------------------------------------------------------------------------------------------


def _mac(token: str, word: str, body: bytes) -> bytes:
    return hmac.digest(token.encode(), f"{word}\n".encode() + body, "sha256")


def _fits(key: Ed25519PublicKey, signature: bytes, body: bytes) -> bool:
    try:
        key.verify(signature, body)
    except InvalidSignature:
        return False
    return True


def _signed(raw_key: Any, signature: Any, body: bytes, why: str) -> None:
    if not isinstance(raw_key, bytes) or not isinstance(signature, bytes) or len(raw_key) != 32:
        raise Malformed("signature", "is no Ed25519 key and signature")
    if not _fits(Ed25519PublicKey.from_public_bytes(raw_key), signature, body):
        raise EnrolRefused(why)


def _parts(paper: bytes, count: int) -> tuple[bytes, ...]:
    if len(paper) > MAX_PAPER:
        raise Malformed("paper", f"has {len(paper)} bytes")
    raw = unpack(paper)
    if not isinstance(raw, tuple) or len(raw) != count or not all(isinstance(part, bytes) for part in raw):
        raise Malformed("paper", "is not body and proof")
    return raw


def _read(body: bytes, word: str, count: int) -> tuple[Any, ...]:
    raw = unpack(body)
    if not isinstance(raw, tuple) or len(raw) != count + 1 or raw[0] != word:
        raise Malformed("paper", f"is no {word}")
    return raw[1:]


def _typed(kind: type, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Return values that have the types of a dataclass's first fields."""
    for field, value in zip(fields(kind), values, strict=False):
        wanted: Any = tuple if str(field.type).startswith("tuple") else field.type
        if type(value) is not wanted or (wanted is int and value < 0):
            raise Malformed(field.name, "has the wrong type")
        if wanted is tuple and not all(isinstance(item, str | Member) for item in value):
            raise Malformed(field.name, "has an item of the wrong type")
    return values


def _member(raw: Any) -> Member:
    if not isinstance(raw, tuple) or len(raw) != len(fields(Member)):
        raise Malformed("member", "is no node of a roster")
    return Member(*_typed(Member, raw))
