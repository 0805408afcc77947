r"""One log follows another: the statement by which peers come to trust a node's next epoch (纪元继承).

A node that cannot go on with its log opens `…/e2` with another log key. It says so in a statement signed with the key of its
enrolled certificate, which names the node; whoever mirrored `…/e1` of that node then mirrors `…/e2`, without anybody editing
files. An origin has one successor: a second, different one is evidence, both are kept, and neither goes on.

Statement: a packed array in the order of the fields below, after the word `erhai-succession/v1`. Envelope: packed
`[statement, certificate (DER), Ed25519 signature over "erhai-succession/v1\n" || statement]`; the statement of one succession
never changes, its envelope may be made anew when the certificate was.
"""

import re
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import apsw
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from sync.certs import UNREADABLE, node_uri
from sync.codec import pack, unpack
from sync.keys import name_base
from sync.log import has_log
from sync.note import VerifierKey
from sync.tampered import Malformed, Problem, Tampered
from sync.witness import Answer, Misbehaviour, keep_evidence, refuse

MAX_ENVELOPE = 16_384
CAUSES = ("restore", "damage", "replace")
_WORD = "erhai-succession/v1"
_EPOCH = re.compile(r"/e([1-9][0-9]{0,5})")


@dataclass(frozen=True, slots=True)
class Statement:
    """`new_origin` follows `old_origin` at `size` proven entries with `root`. `fence_size` is what the old fence had released
    (-1: it is lost), `lost` the most entries that may be missing (-1: unknown); `first_leaf` is entry 0 of the new log.
    """

    node: str
    old_origin: str
    old_vkey: str
    new_origin: str
    log_vkey: str
    cosigner_vkey: str
    witness_vkey: str
    sealing_public: str
    size: int
    root: bytes
    fence_size: int
    lost: int
    cause: str
    first_leaf: bytes
    at_ms: int

    def pack(self) -> bytes:
        """Return the statement's bytes."""
        return pack((_WORD, *astuple(self)))

    @property
    def bound(self) -> int | None:
        """Return the largest size that the old log may still be shown at; None where nobody knows."""
        return None if self.fence_size < 0 else max(self.size, self.fence_size)


def epoch_of(origin: str) -> int:
    """Return the number of an origin's epoch; 0 for a name without one."""
    match = _EPOCH.fullmatch(origin[len(name_base(origin)) :])
    return int(match[1]) if match else 0


def next_origin(origin: str) -> str:
    """Return the name of the epoch after this one. Raises Malformed for a name without an epoch."""
    if epoch_of(origin) == 0:
        raise Malformed("origin", f"{origin} names no epoch")
    return f"{name_base(origin)}/e{epoch_of(origin) + 1}"


def parse_statement(data: bytes) -> Statement:
    """Return the statement of these bytes; its names must belong together. Raises Malformed."""
    raw = unpack(data)
    names = fields(Statement)
    if not isinstance(raw, tuple) or len(raw) != len(names) + 1 or raw[0] != _WORD:
        raise Malformed("succession", "is no statement of this version")
    for field, value in zip(names, raw[1:], strict=True):
        if type(value) is not field.type:
            raise Malformed(field.name, "has the wrong type")
    statement = Statement(*raw[1:])
    base = name_base(statement.old_origin)
    keys = {
        statement.old_vkey: statement.old_origin,
        statement.log_vkey: statement.new_origin,
        statement.cosigner_vkey: f"{base}/m",
        statement.witness_vkey: f"{base}/w",
    }
    if any(VerifierKey.parse(vkey).name != name for vkey, name in keys.items()):
        raise Malformed("succession", "names keys of others")
    if name_base(statement.new_origin) != base or not 0 < epoch_of(statement.old_origin) < epoch_of(
        statement.new_origin
    ):
        raise Malformed("new_origin", "is not a later epoch of the same log")
    if statement.log_vkey.rpartition("+")[2] == statement.old_vkey.rpartition("+")[2]:
        raise Malformed("log_vkey", "is the old key")
    if statement.cause not in CAUSES or len(statement.root) != 32 or len(statement.first_leaf) != 32:
        raise Malformed("succession", "is not complete")
    if statement.size < 0 or statement.fence_size < -1 or statement.lost < -1:
        raise Malformed("size", "is negative")
    return statement


def seal_envelope(statement: bytes, keys_folder: Path) -> bytes:
    """Return a statement signed with the key of the node's certificate."""
    key = serialization.load_pem_private_key((keys_folder / "tls.key").read_bytes(), None)
    certificate = x509.load_pem_x509_certificate((keys_folder / "tls.crt").read_bytes())
    if not isinstance(key, Ed25519PrivateKey):
        raise Malformed("tls.key", "is not Ed25519")
    der = certificate.public_bytes(serialization.Encoding.DER)
    return pack((statement, der, key.sign(_signed(statement))))


def open_envelope(data: bytes, *, ca_pem: bytes, prefecture: str) -> Statement:
    """Return the statement of an envelope, signed by the node that it names under this CA. Raises Malformed, Tampered.

    When the certificate was valid is not judged here: the connection that brings it is.
    """
    raw = unpack(data)
    if not isinstance(raw, tuple) or len(raw) != 3 or not all(isinstance(part, bytes) for part in raw):
        raise Malformed("envelope", "is not statement, certificate and signature")
    statement = parse_statement(raw[0])
    try:
        certificate = x509.load_der_x509_certificate(raw[1])
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except UNREADABLE as error:
        raise Malformed("certificate", "cannot be read") from error
    _issued(certificate, ca_pem, statement)
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    wanted = node_uri(prefecture, statement.node)
    key = certificate.public_key()
    if uris != [wanted] or not isinstance(key, Ed25519PublicKey):
        raise Tampered(Problem.FOREIGN_KEY, statement.old_origin, expected=wanted, got=", ".join(uris))
    try:
        key.verify(raw[2], _signed(raw[0]))
    except InvalidSignature:
        raise Tampered(Problem.FORGED_SIGNATURE, statement.old_origin, detail="succession") from None
    return statement


def certificate_of(envelope: bytes) -> bytes:
    """Return the certificate of an envelope that `open_envelope` has opened, DER."""
    certificate: bytes = unpack(envelope)[1]
    return certificate


def _issued(certificate: x509.Certificate, ca_pem: bytes, statement: Statement) -> None:
    for authority in x509.load_pem_x509_certificates(ca_pem):
        try:
            certificate.verify_directly_issued_by(authority)
        except (*UNREADABLE, TypeError, InvalidSignature):
            continue
        return
    raise Tampered(Problem.FOREIGN_KEY, statement.old_origin, detail="the certificate is of another CA")


def _signed(statement: bytes) -> bytes:
    return f"{_WORD}\n".encode() + statement


# -- the table ------------------------------------------------------------------------------------------------------


def successions(db: apsw.Connection) -> tuple[Statement, ...]:
    """Return every succession known here, oldest epoch first."""
    rows = db.execute("SELECT statement FROM successions")
    return tuple(
        sorted((parse_statement(row[0]) for row in rows), key=lambda one: (one.node, epoch_of(one.new_origin)))
    )


def successor_of(db: apsw.Connection, origin: str) -> Statement | None:
    """Return what follows a log; None where nothing is known to."""
    row = db.execute("SELECT statement FROM successions WHERE old_origin = ?", (origin,)).fetchone()
    return None if row is None else parse_statement(row[0])


def predecessor_of(db: apsw.Connection, origin: str) -> Statement | None:
    """Return the statement by which a log began; None for a first epoch."""
    row = db.execute("SELECT statement FROM successions WHERE new_origin = ?", (origin,)).fetchone()
    return None if row is None else parse_statement(row[0])


def keep_succession(db: apsw.Connection, statement: Statement, envelope: bytes, at_ms: int) -> None:
    """Store a succession that is believed."""
    db.execute(
        "INSERT INTO successions (old_origin, new_origin, statement, envelope, at_ms) VALUES (?, ?, ?, ?, ?)",
        (statement.old_origin, statement.new_origin, statement.pack(), envelope, at_ms),
    )


def take_succession(
    db: apsw.Connection, statement: Statement, envelope: bytes, *, shown_by: str, owner: str | None, now_ms: int
) -> Answer:
    """Judge and record a verified statement inside the caller's transaction; 201 where it is new, 200 where it is known.

    `owner` is the node whose log the old origin is here (None: it is not mirrored here). A different successor of the same
    origin is kept as evidence and closes both logs: 422.
    """
    if owner is None:
        return refuse(404, "this log is not mirrored here")
    if not shown_by == owner == statement.node:
        return refuse(403, f"{shown_by} may not speak for this log")
    query = "SELECT statement, envelope, new_origin FROM successions WHERE old_origin = ? OR new_origin = ?"
    known = db.execute(query, (statement.old_origin, statement.new_origin)).fetchone()
    if known is None:
        keep_succession(db, statement, envelope, now_ms)
        return Answer(201)
    if known[0] == statement.pack():
        return Answer(200)
    for origin in {statement.old_origin, known[2]}:
        found = Misbehaviour(origin, Problem.TWO_BRANCHES, known[1], envelope, b"", shown_by, now_ms)
        keep_evidence(db, found, freeze=has_log(db, origin))
    return refuse(422, "another successor of this log is known here; both statements are kept as evidence")


def closed_beyond(db: apsw.Connection, origin: str, size: int) -> str | None:
    """Return why a checkpoint of this size is no longer taken of a log that another follows; None where it is."""
    follower = successor_of(db, origin)
    if follower is None or follower.bound is None or size <= follower.bound:
        return None
    return f"closed at {follower.bound} entries: {follower.new_origin} follows"
