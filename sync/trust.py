"""Whom a running node believes: the CA, the CRL in hand, the pinned keys, judged at every handshake and request (信任).

The CRL lies at `<folder>/nodes.crl`. A certificate that was checked against the CA is remembered by its digest, so that a
judgement costs microseconds and can be made for every request of a kept connection.
"""

import datetime as dt
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sync.certs import UNREADABLE, CertFault, node_of_uris
from sync.crl import MAX_CRL, CrlRefused, newer, open_crl
from sync.standing import Crl, Enrolled, Leaf, Reach, Revocation, Ruling, judge, revocation_of

CRL_FILE = "nodes.crl"
_REMEMBERED = 256


class Trust:
    """The judge of one node. `version` grows whenever a judgement may have changed, so that kept connections are dropped."""

    def __init__(
        self,
        *,
        folder: Path,
        ca_pem: bytes,
        prefecture: str,
        enrolled: Callable[[str], Enrolled | None],
        now_ms: Callable[[], int],
    ) -> None:
        """Read the CRL in `folder`, if there is one. Where that file is damaged nobody is believed until it is replaced."""
        self.version = 0
        self._file = folder / CRL_FILE
        self._ca_pem = ca_pem
        self._prefecture = prefecture
        self._enrolled = enrolled
        self._now_ms = now_ms
        self._leaves: OrderedDict[bytes, Leaf] = OrderedDict()
        self._stamp: tuple[int, int] | None = None
        self.crl: Crl | None = None
        self.damaged = ""  # what is wrong with the file on disk
        self.refused: dict[str, str] = {}  # enrolled peers that were refused at their last try, and why
        self.new_keys: set[str] = set()  # enrolled peers that came with a valid certificate of a key that is not pinned
        self.reload()

    def judge(self, der: bytes | None) -> Ruling:
        """Return what the owner of a certificate, proven in the handshake, may ask now. Raises CertFault: names nobody."""
        if not der:
            raise CertFault("peer", "shows no certificate")
        leaf = self._leaf(der)
        ruling = judge(leaf, self._enrolled(leaf.node), self.crl, self._now_ms())
        if self.crl is None and self.damaged:
            ruling = replace(ruling, reach=Reach.NOTHING, why="crl-damaged")
        self._note(leaf, ruling)
        return ruling

    def _note(self, leaf: Leaf, ruling: Ruling) -> None:
        """Keep what people are told of enrolled peers, and of nobody else: a stranger cannot fill anything."""
        enrolled = self._enrolled(leaf.node)
        if enrolled is None:
            return
        self.refused.pop(leaf.node, None)
        self.new_keys.discard(leaf.node)
        if ruling.reach is Reach.NOTHING:
            self.refused[leaf.node] = ruling.why
        elif enrolled.pins and leaf.key not in enrolled.pins:
            self.new_keys.add(leaf.node)

    def own_state(self, der: bytes) -> Ruling:
        """Return how a neighbour would judge the node's own certificate by the CRL in hand."""
        leaf = self._leaf(der)
        return judge(leaf, Enrolled("room", frozenset({leaf.key})), self.crl, self._now_ms())

    @property
    def crl_state(self) -> Revocation:
        """Return how old the list in hand is."""
        return revocation_of(self.crl, -1, self._now_ms())

    def take_crl(self, data: bytes) -> bool:
        """Keep a newer CRL, on disk before it counts; False where it is the one in hand. Raises CrlRefused, OSError."""
        offered = open_crl(data, self._ca_pem)
        self.reload()
        if not newer(self.crl, offered, self._now_ms()) and not self.damaged:
            return False
        self._file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        fresh = self._file.with_suffix(".new")
        with fresh.open("wb") as file:
            file.write(offered.der)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._file)
        self.reload()
        return True

    def renewed(self) -> None:
        """The own certificate is another: connections are made anew with it."""
        self.version += 1

    def reload(self) -> bool:
        """Take up what another process has put on disk; True where it did. What is damaged or older changes nothing."""
        try:
            found = self._file.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp == self._stamp:
                return False
            with self._file.open("rb") as file:
                offered = open_crl(file.read(MAX_CRL + 1), self._ca_pem)
            taken = newer(self.crl, offered, self._now_ms())
        except FileNotFoundError:
            return False
        except (CrlRefused, OSError) as bad:
            self.damaged = str(bad)
            return False
        self._stamp, self.damaged = stamp, ""
        if taken:
            self.crl = offered
            self.version += 1
        return taken

    def _leaf(self, der: bytes) -> Leaf:
        digest = hashlib.sha256(der).digest()
        leaf = self._leaves.get(digest)
        if leaf is None:
            leaf = read_leaf(der, self._ca_pem, self._prefecture)
            self._leaves[digest] = leaf
            if len(self._leaves) > _REMEMBERED:
                self._leaves.popitem(last=False)
        return leaf


def read_leaf(der: bytes, ca_pem: bytes, prefecture: str) -> Leaf:
    """Return what is judged of a node's certificate, after its issuer was checked. Raises CertFault."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        key = certificate.public_key()
    except UNREADABLE as error:
        raise CertFault("peer", f"certificate cannot be read: {error}") from error
    node = node_of_uris(names.get_values_for_type(x509.UniformResourceIdentifier), prefecture)
    if not isinstance(key, Ed25519PublicKey):
        raise CertFault("peer", "certificate is not of an Ed25519 key")
    for issuer in x509.load_pem_x509_certificates(ca_pem):
        try:
            certificate.verify_directly_issued_by(issuer)
        except (*UNREADABLE, TypeError, InvalidSignature):
            continue
        return Leaf(
            node=node,
            serial=certificate.serial_number,
            key=key.public_bytes_raw(),
            not_before_ms=_ms(max(certificate.not_valid_before_utc, issuer.not_valid_before_utc)),
            not_after_ms=_ms(min(certificate.not_valid_after_utc, issuer.not_valid_after_utc)),
        )
    raise CertFault("peer", "certificate is of another CA")


def _ms(at: dt.datetime) -> int:
    return int(at.timestamp() * 1_000)
