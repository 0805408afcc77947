"""The certificate behind a bid, an appointment or a release, judged by the node's anchors (签名人证书判定). Blocks: use a thread.

A trustee releases what was accepted long before, often while the line is cut: like the decryption at an opening, a revocation
list that ran out marks a release and does not stop it; a revocation does.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from node import personal
from node.domain.judged import APPOINTMENT, BID, RELEASE, Judged
from node.domain.refused import Refused
from node.node import Node
from node.person_trust import PersonTrust
from node.personal import Personal
from node.signatures import judgement_json
from sync.anchors import AnchorsRefused
from sync.certificate_form import CertRefused
from sync.revocation_rule import RULE, Purpose, Verdict

# Which usage and anchor an act asks for, and which column of the rule says what follows from the standing.
_ASKS = {
    BID: (Purpose.SUBMIT, Purpose.SUBMIT),
    APPOINTMENT: (Purpose.SIGN, Purpose.SUBMIT),
    RELEASE: (Purpose.SIGN, Purpose.OPEN),
}
_CITES = {BID: ("ZBT 36",), APPOINTMENT: (), RELEASE: ("20号令 31",)}


@dataclass(frozen=True, slots=True, repr=False)
class JudgedSigner:
    """A judgement, and what is kept of it beside the log."""

    fact: Judged
    data: Personal
    anchor: tuple[str, str]  # digest and name


def judge_signer(
    node: Node, act: str, subject: str, certificate: bytes, chain: Sequence[bytes] = ()
) -> tuple[JudgedSigner, ...]:
    """Return the judgement; nothing where the node has no anchors. Raises Refused: the certificate does not count here."""
    trust = PersonTrust.of(node.settings)
    if trust is None:
        return ()
    asks, column = _ASKS[act]
    source = f"{act} {subject}"
    try:
        found = trust.judge(certificate, chain, at_ms=node.clock.now().at_ms, purpose=asks, source=source)
    except CertRefused as refused:
        raise _refused(act, subject, refused.why, refused.rule) from refused
    except (AnchorsRefused, OSError) as refused:
        raise Refused("anchors-unusable", rule="person-certificates", value=type(refused).__name__) from refused
    if RULE[found.standing, column] is Verdict.NO:
        raise _refused(act, subject, str(found.standing), str(column))
    data = personal.bind("signer", (act, subject, certificate.hex(), judgement_json(found)))
    fact = Judged(subject, data.commitment, str(found.standing), found.holder.account_key)
    return (JudgedSigner(fact, data, (found.anchor.sha256, found.anchor.name)),)


def _refused(act: str, subject: str, why: str, rule: str) -> Refused:
    facts = (("act", act), ("subject", subject), ("detail", rule))
    return Refused("certificate-not-accepted", rule="person-certificates", value=why, cites=_CITES[act], facts=facts)
