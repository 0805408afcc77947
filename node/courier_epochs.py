"""The epochs that a stick brings (摆渡纪元): its writer may have gone on in another log since it was last met.

The rule is that of the line: the owner of a log speaks, shows a certificate that counts now, and names a log that is known
here. On a stick the owner speaks by the list, which the new log's key signs, and the certificate is the statement's own.
"""

from dataclasses import dataclass

import apsw

from node.custody import node_of
from node.node import Node
from node.settings import Settings
from node.successions import follow, known_successions, log_keys, own_former
from sync.certs import CertFault
from sync.codec import pack, unpack
from sync.keys import NodeKeys
from sync.note import VerifierKey
from sync.receiver import MirroredLog, SyncNode, believe
from sync.standing import Reach
from sync.succession import MAX_ENVELOPE, Statement, certificate_of, open_envelope, seal_envelope
from sync.tampered import Malformed, Tampered

MOST = 64
MAX_SUCCESSIONS = MOST * MAX_ENVELOPE


@dataclass(frozen=True, slots=True)
class EpochArrived:
    """One succession of a stick: whether it is new here and believed, and in words why it is refused where it is."""

    node: str
    old_origin: str
    new_origin: str
    taken: bool
    words: str = ""

    @property
    def refused(self) -> bool:
        """Whether it was not believed."""
        return bool(self.words)


@dataclass(frozen=True, slots=True)
class Offered:
    """The statements of a stick that may be believed if their owner wrote it, oldest first, and what is refused already."""

    statements: tuple[tuple[Statement, bytes], ...]
    refused: tuple[EpochArrived, ...]

    def keys(self, known: dict[str, VerifierKey]) -> dict[str, VerifierKey]:
        """Return the keys by which the stick's list is read: of the known logs, and of those that it says follow them."""
        return known | {one.new_origin: VerifierKey.parse(one.log_vkey) for one, _ in self.statements}

    @property
    def words(self) -> str:
        """Return why something is refused, as one line."""
        return "; ".join(one.words for one in self.refused)


def own_successions(db: apsw.Connection, settings: Settings, keys: NodeKeys) -> bytes:
    """Return what a stick says of the own epochs, signed with today's certificate; b"" for a first epoch."""
    own = own_former(settings, known_successions(db))
    return pack(tuple(seal_envelope(one.pack(), keys.folder) for one in own)) if own else b""


def offered(node: Node, data: bytes | None, known: dict[str, VerifierKey]) -> Offered:
    """Return what a stick's successions are before its list is read; nothing is stored."""
    if data is None:
        return Offered((), ())
    try:
        envelopes = unpack(data)
    except Malformed as bad:
        return Offered((), (_nobody(str(bad)),))
    if not isinstance(envelopes, tuple) or len(envelopes) > MOST or not all(isinstance(e, bytes) for e in envelopes):
        return Offered((), (_nobody("the successions are no list of envelopes"),))
    keys = {origin: str(key) for origin, key in known.items()}
    statements: list[tuple[Statement, bytes]] = []
    refused: list[EpochArrived] = []
    for envelope in envelopes:
        try:
            statement = _proven(node, envelope)
        except (Malformed, Tampered, CertFault) as bad:
            refused.append(_nobody(str(bad)))
            continue
        if statement.node == node.settings.node:
            continue  # the own epochs are known here or the start would have refused
        why = _why_not(node, statement, envelope, keys)
        if why:
            refused.append(_arrived(statement, words=why))
            continue
        keys[statement.new_origin] = statement.log_vkey
        statements.append((statement, envelope))
    return Offered(tuple(statements), tuple(refused))


def _proven(node: Node, envelope: bytes) -> Statement:
    ca = (node.keys.folder / "ca.crt").read_bytes()
    return open_envelope(envelope, ca_pem=ca, prefecture=node.keys.prefecture)


def _why_not(node: Node, statement: Statement, envelope: bytes, keys: dict[str, str]) -> str:
    if node.settings.peer(statement.node) is None or node_of(node.settings, statement.old_origin) != statement.node:
        return f"{statement.old_origin}: this log is not mirrored here"
    if keys.get(statement.old_origin) != statement.old_vkey:
        return f"{statement.old_origin}: the statement names another key than the one known here"
    if node.keys.judge is not None:
        ruling = node.keys.judge.judge(certificate_of(envelope))
        if ruling.reach is not Reach.ALL:
            return f"certificate: {ruling.why}"
    return ""


async def take(node: Node, stick_writer: str, offer: Offered) -> tuple[EpochArrived, ...]:
    """Store what the writer of a verified list says of its own logs, by the rule of `/log/succession`."""
    speaker = node_of(node.settings, stick_writer)
    sync = _receiving(node)
    arrived = list(offer.refused)
    for statement, envelope in offer.statements:
        answer = await believe(sync, statement, envelope, speaker)
        words = "" if answer.status in {200, 201} else answer.body.decode("utf-8", "replace").strip()
        arrived.append(_arrived(statement, taken=answer.status == 201, words=words))
    return tuple(arrived)


def _receiving(node: Node) -> SyncNode:
    """Return what answers a succession in this process: no port belongs to it."""
    keys = log_keys(node.settings, str(node.keys.log_signer.vkey), node.statements)
    peers = {peer.name for peer in node.settings.peers}
    trust = {
        origin: MirroredLog(key, owner)
        for origin, key in keys.items()
        if (owner := node_of(node.settings, origin)) in peers
    }

    def succeeded(statement: Statement) -> None:
        trust[statement.new_origin] = MirroredLog(VerifierKey.parse(statement.log_vkey), statement.node)
        if node.succeeded is not None:
            node.succeeded(statement)
        else:
            node.statements = (*node.statements, statement)
            node.settings = follow(node.settings, (statement,))

    return SyncNode(
        db=node.store,
        cosigner=node.keys.cosigner,
        witness=node.keys.witness,
        prefecture=node.keys.prefecture,
        trust=trust,
        allowed=lambda _peer, _origin: False,
        now_ms=lambda: node.clock.now().at_ms,
        succeeded=succeeded,
    )


def _arrived(statement: Statement, *, taken: bool = False, words: str = "") -> EpochArrived:
    return EpochArrived(statement.node, statement.old_origin, statement.new_origin, taken, words)


def _nobody(words: str) -> EpochArrived:
    return EpochArrived("", "", "", taken=False, words=words)
