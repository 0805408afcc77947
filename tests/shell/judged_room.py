"""Nodes whose certificates are judged: a CA, leaves of any age, lists, and sync ports on loopback, for tests."""

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from sync.certs import Authority, issue_leaf
from sync.crl import issue_crl
from sync.keys import NodeKeys, PublicIdentity
from sync.standing import Enrolled
from sync.trust import Trust
from sync.trust_port import TrustPort
from tests.shell.sync_room import PREFECTURE, RoomNode

NOW = dt.datetime.now(dt.UTC)


def age(keys: NodeKeys, authority: Authority, days: int, node: str = "") -> int:
    """Replace a node's leaf by one that was issued so many days ago, of the same key; return its serial."""
    key = load_pem_private_key((keys.folder / "tls.key").read_bytes(), None)
    issued = NOW - dt.timedelta(days=days)
    pem = issue_leaf(authority, node=node or keys.node, public=key.public_key(), now=issued)
    (keys.folder / "tls.crt").write_bytes(pem)
    return x509.load_pem_x509_certificate(pem).serial_number


def serial_of(keys: NodeKeys) -> int:
    return x509.load_pem_x509_certificate((keys.folder / "tls.crt").read_bytes()).serial_number


def judged(keys: NodeKeys, peers: Mapping[str, Enrolled]) -> NodeKeys:
    """Return the identity with a judge that knows these peers."""
    trust = Trust(
        folder=keys.folder / "trust",
        ca_pem=(keys.folder / "ca.crt").read_bytes(),
        prefecture=PREFECTURE,
        enrolled=peers.get,
        now_ms=lambda: int(dt.datetime.now(dt.UTC).timestamp() * 1_000),
    )
    return replace(keys, judge=trust)


def pinned(kind: str, *publics: PublicIdentity) -> dict[str, Enrolled]:
    return {one.node: Enrolled(kind, frozenset({bytes.fromhex(one.tls_public)})) for one in publics}


class JudgedNode(RoomNode):
    """A node that judges whoever asks it and whomever it dials."""

    def __init__(
        self, folder: Path, node: str, mirrors: tuple[PublicIdentity, ...], peers: Mapping[str, Enrolled]
    ) -> None:
        super().__init__(folder, node, mirrors)
        self.keys = judged(self.keys, peers)
        self.sync.judge = self.keys.judge
        self.sync.more_routes = TrustPort(self.trust).routes

    @property
    def trust(self) -> Trust:
        return self.keys.judge

    def take(self, authority: Authority, number: int, *serials: int, days: int = 0) -> bool:
        """Take a list that was issued so many days ago."""
        now = NOW - dt.timedelta(days=days)
        return self.trust.take_crl(issue_crl(authority, number=number, revoked=dict.fromkeys(serials, now), now=now))
