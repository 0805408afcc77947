"""The identity of a node: a folder of keys that never leave it (节点身份).

    log.key       Ed25519, signs checkpoints of the node's own log; its note name is the origin
    cosigner.key  Ed25519 cosignature/v1, signs a peer's checkpoint once all its entries are stored here (mirror, C2SP
                  tlog-mirror); name <base>/m, where base is the origin without its epoch. Reach counts this key alone
    witness.key   the same algorithm, signs a checkpoint that is merely consistent (C2SP tlog-witness); name <base>/w. The
                  two statements differ, so the specification asks for two keys
    sealing.key   X25519, opens envelopes sealed to this node
    tls.key tls.crt ca.crt   the node's certificate under the prefecture's CA
    public.json   what others may know: node code, origin, verifier keys, sealing key

Private files have mode 0600 and are never overwritten: a new epoch is a new folder.
"""

import datetime as dt
import json
import os
import re
import ssl
from dataclasses import asdict, dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from sync import certs
from sync.certs import Authority
from sync.note import COSIGNATURE, Signer
from sync.trust import Trust

_PRIVATE = ("log.key", "cosigner.key", "witness.key", "tls.key", "sealing.key")
_EPOCH = re.compile(r"/e[0-9]+")


@dataclass(eq=False)
class KeyFault(Exception):
    """A key file cannot be used. `why` is missing, exists, unreadable, too-open (rights), wrong-kind or mismatch."""

    path: str
    why: str
    hint: str = ""

    def __str__(self) -> str:
        """One line for a person."""
        return f"{self.path}: {self.why}" + (f" ({self.hint})" if self.hint else "")


@dataclass(frozen=True, slots=True)
class PublicIdentity:
    """What other nodes are told about this one; the fields of a peer in their settings."""

    node: str
    prefecture: str
    origin: str
    log_vkey: str
    cosigner_vkey: str
    witness_vkey: str
    sealing_public: str  # hex
    tls_public: str  # hex Ed25519, the key of its certificate, which renewal keeps


@dataclass(frozen=True, slots=True)
class NodeKeys:
    """The loaded identity of a node."""

    folder: Path
    node: str
    prefecture: str
    log_signer: Signer
    cosigner: Signer
    witness: Signer
    sealing: X25519PrivateKey
    tls_public: bytes
    judge: Trust | None = None  # of peers' certificates; a running node has one

    @property
    def origin(self) -> str:
        """Return the name of the node's own log."""
        return self.log_signer.name

    @property
    def sealing_public(self) -> bytes:
        """Return the X25519 public key that others seal to, 32 bytes."""
        return self.sealing.public_key().public_bytes_raw()

    def server_context(self) -> ssl.SSLContext:
        """Return the TLS side of this node's sync port."""
        return certs.server_context(**self._tls(), judge=self.judge)

    def client_context(self) -> ssl.SSLContext:
        """Return the TLS side that dials peers as this node."""
        return certs.client_context(**self._tls(), judge=self.judge)

    def public(self) -> PublicIdentity:
        """Return what others may know."""
        return PublicIdentity(
            node=self.node,
            prefecture=self.prefecture,
            origin=self.origin,
            log_vkey=str(self.log_signer.vkey),
            cosigner_vkey=str(self.cosigner.vkey),
            witness_vkey=str(self.witness.vkey),
            sealing_public=self.sealing_public.hex(),
            tls_public=self.tls_public.hex(),
        )

    def _tls(self) -> dict[str, Path]:
        return {"certificate": self.folder / "tls.crt", "key": self.folder / "tls.key", "ca": self.folder / "ca.crt"}


def name_base(origin: str) -> str:
    """Return the part of an origin that stays when the epoch changes: dali.erhai/…/a of dali.erhai/…/a/e1."""
    head, slash, last = origin.rpartition("/")
    return head if slash and _EPOCH.fullmatch(f"/{last}") else origin


def make_identity(folder: Path, *, origin: str, node: str, authority: Authority, now: dt.datetime) -> NodeKeys:
    """Make the keys of a node and its certificate under `authority`. Raises KeyFault where any file exists already."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name in (*_PRIVATE, "tls.crt", "ca.crt", "public.json"):
        if (folder / name).exists():
            raise KeyFault(str(folder / name), "exists", "keys are never overwritten; choose another folder")
    tls = make_private(folder)
    leaf = certs.issue_leaf(authority, node=node, public=tls.public_key(), now=now)
    return certify(
        folder, origin=origin, node=node, prefecture=authority.prefecture, leaf=leaf, ca=authority.certificate_pem
    )


def make_private(folder: Path) -> Ed25519PrivateKey:
    """Make the private keys of a node, which never leave the folder; return that of its certificate. Raises KeyFault."""
    tls = Ed25519PrivateKey.generate()
    made: dict[str, Ed25519PrivateKey | X25519PrivateKey] = {
        "log.key": Ed25519PrivateKey.generate(),
        "cosigner.key": Ed25519PrivateKey.generate(),
        "witness.key": Ed25519PrivateKey.generate(),
        "tls.key": tls,
        "sealing.key": X25519PrivateKey.generate(),
    }
    for name, key in made.items():
        write_private(folder / name, _pem(key))
    return tls


def public_of(folder: Path, *, origin: str, node: str, prefecture: str) -> PublicIdentity:
    """Return what others may know of keys that have no certificate yet. Raises KeyFault."""
    return _assemble(folder, node=node, prefecture=prefecture, origin=origin).public()


def certify(folder: Path, *, origin: str, node: str, prefecture: str, leaf: bytes, ca: bytes) -> NodeKeys:
    """Complete an identity with its certificate and its CA, both PEM. Raises KeyFault."""
    write_private(folder / "tls.crt", leaf)
    write_private(folder / "ca.crt", ca)
    keys = _assemble(folder, node=node, prefecture=prefecture, origin=origin)
    write_private(folder / "public.json", json.dumps(asdict(keys.public()), indent=2, sort_keys=True).encode() + b"\n")
    return keys


def tls_key(folder: Path) -> Ed25519PrivateKey:
    """Return the key of the node's certificate. Raises KeyFault."""
    return _ed25519(folder / "tls.key")


def renew_log_key(folder: Path, origin: str) -> NodeKeys:
    """Put a fresh log key of a new epoch into a copy of an identity, and name it there; every other key stays.

    Cosigner and witness keep theirs: their names carry no epoch, and what they have signed of others stays true.
    """
    public = load_public(folder / "public.json")
    if name_base(origin) != name_base(public.origin) or origin == public.origin:
        raise KeyFault(str(folder), "mismatch", f"{origin} is no other epoch of {public.origin}")
    for name in ("log.key", "public.json"):
        (folder / name).unlink()
    write_private(folder / "log.key", _pem(Ed25519PrivateKey.generate()))
    keys = _assemble(folder, node=public.node, prefecture=public.prefecture, origin=origin)
    write_private(folder / "public.json", json.dumps(asdict(keys.public()), indent=2, sort_keys=True).encode() + b"\n")
    return keys


def load_identity(folder: Path) -> NodeKeys:
    """Read the identity of a node. Raises KeyFault and names the file."""
    public = load_public(folder / "public.json")
    for name in ("tls.crt", "ca.crt"):
        _read(folder / name)
    keys = _assemble(folder, node=public.node, prefecture=public.prefecture, origin=public.origin)
    if keys.public() != public:
        raise KeyFault(str(folder), "mismatch", "public.json is of other keys")
    return keys


def load_public(path: Path) -> PublicIdentity:
    """Read the public part of a node's identity. Raises KeyFault."""
    try:
        table = json.loads(_read(path))
        public = PublicIdentity(**table)
    except (ValueError, TypeError, RecursionError) as error:
        raise KeyFault(str(path), "unreadable", str(error)) from error
    if not all(isinstance(value, str) for value in asdict(public).values()):
        raise KeyFault(str(path), "unreadable", "every field must be text")
    return public


def _assemble(folder: Path, *, node: str, prefecture: str, origin: str) -> NodeKeys:
    base = name_base(origin)
    tls = _ed25519(folder / "tls.key")
    return NodeKeys(
        folder=folder,
        node=node,
        prefecture=prefecture,
        log_signer=Signer(origin, _ed25519(folder / "log.key")),
        cosigner=Signer(f"{base}/m", _ed25519(folder / "cosigner.key"), COSIGNATURE),
        witness=Signer(f"{base}/w", _ed25519(folder / "witness.key"), COSIGNATURE),
        sealing=_x25519(folder / "sealing.key"),
        tls_public=tls.public_key().public_bytes_raw(),
    )


def _pem(key: Ed25519PrivateKey | X25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _private(path: Path) -> object:
    text = _read(path)
    if path.stat().st_mode & 0o077:
        raise KeyFault(str(path), "too-open", "others can read it: chmod 600")
    try:
        return serialization.load_pem_private_key(text, None)
    except (ValueError, TypeError) as error:
        raise KeyFault(str(path), "unreadable", str(error)) from error


def _ed25519(path: Path) -> Ed25519PrivateKey:
    key = _private(path)
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyFault(str(path), "wrong-kind", "need Ed25519")
    return key


def _x25519(path: Path) -> X25519PrivateKey:
    key = _private(path)
    if not isinstance(key, X25519PrivateKey):
        raise KeyFault(str(path), "wrong-kind", "need X25519")
    return key


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError as error:
        raise KeyFault(str(path), "missing") from error
    except OSError as error:
        raise KeyFault(str(path), "unreadable", str(error)) from error


def write_private(path: Path, data: bytes) -> None:
    """Write a file of mode 0600 that must be new. Raises KeyFault."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError as error:
        raise KeyFault(str(path), "exists") from error
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
