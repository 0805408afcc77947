"""The judge of peers' certificates as this node's settings have it, and what people are told about it (信任).

Pinned keys are the peers' `tls_public`; the CRL lies in DATA/trust. Time is the machine's own, never a demonstration's.
"""

import time
from dataclasses import dataclass, replace

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from node.places import KEYS, TRUST
from node.settings import Settings
from sync.alarms import Alarm
from sync.certs import renewal_due_ms
from sync.keys import NodeKeys, load_identity
from sync.standing import Enrolled, Revocation
from sync.trust import Trust


def machine_ms() -> int:
    """Return the machine's time."""
    return time.time_ns() // 1_000_000


def load_judged(settings: Settings) -> NodeKeys:
    """Return the node's identity together with the judge of its peers. Raises KeyFault."""
    keys = load_identity(settings.data / KEYS)
    enrolled = {peer.name: Enrolled(peer.kind, peer.pins) for peer in settings.peers}
    trust = Trust(
        folder=settings.data / TRUST,
        ca_pem=(keys.folder / "ca.crt").read_bytes(),
        prefecture=keys.prefecture,
        enrolled=enrolled.get,
        now_ms=machine_ms,
    )
    return replace(keys, judge=trust)


@dataclass(frozen=True, slots=True)
class OwnCertificate:
    """The node's own certificate as others judge it. Times are Unix milliseconds."""

    serial: int
    not_after_ms: int
    renewal_due_ms: int
    revoked: bool


def own_certificate(keys: NodeKeys, trust: Trust) -> OwnCertificate:
    """Read it from disk: a renewal replaces it there. Raises OSError, ValueError."""
    leaf = x509.load_pem_x509_certificate((keys.folder / "tls.crt").read_bytes())
    ruling = trust.own_state(leaf.public_bytes(serialization.Encoding.DER))
    return OwnCertificate(
        serial=leaf.serial_number,
        not_after_ms=int(leaf.not_valid_after_utc.timestamp() * 1_000),
        renewal_due_ms=renewal_due_ms(leaf),
        revoked=ruling.revocation is Revocation.REVOKED,
    )


def trust_alarms(trust: Trust, own: OwnCertificate, now_ms: int) -> tuple[Alarm, ...]:
    """Return what somebody must see to: of the own certificate, of the list, of the peers that are refused."""
    found: list[Alarm] = []
    if own.revoked:
        found.append(Alarm("own-revoked"))
    elif now_ms > own.not_after_ms:
        found.append(Alarm("own-expired", since_ms=own.not_after_ms))
    elif now_ms > own.renewal_due_ms + (own.not_after_ms - own.renewal_due_ms) // 2:
        found.append(Alarm("own-expiring", since_ms=own.renewal_due_ms))
    if trust.damaged:
        found.append(Alarm("crl-damaged", detail=trust.damaged))
    elif trust.crl_state in {Revocation.OVERDUE, Revocation.STALE}:
        since = trust.crl.next_update_ms if trust.crl is not None else 0
        found.append(Alarm(f"crl-{trust.crl_state}", since_ms=since))
    found.extend(Alarm("peer-refused", node=name, detail=why) for name, why in sorted(trust.refused.items()))
    found.extend(Alarm("peer-new-key", node=name) for name in sorted(trust.new_keys))
    return tuple(found)
