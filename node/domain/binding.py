"""Acts that bind (有法律效力的行为): where a node takes certificates, each of these is signed by its person, or is not recorded.

The signature goes beside the events, in the entry's evidence, so no event knows of it. An act for two needs the
certificates of both; an act under a list of revocations that has run out needs a second person (four states, offline).
"""

from dataclasses import dataclass, field

from node.domain import (
    award,
    ceremony,
    custody,
    drawn,
    epoch,
    incident,
    notice,
    objection,
    opening,
    panel,
    project,
    sheet,
    trustees,
    unsealing,
)
from node.domain.refused import Refused
from node.domain.values import Actor, Role

BINDING: frozenset[type] = frozenset(
    {
        project.RegisterLot,
        project.SubmitFiling,
        project.DecideFiling,
        project.Suspend,
        project.Resume,
        project.DeclareRoundFailed,
        project.ScrapProcedure,
        project.TerminateProcedure,
        project.StartRetender,
        notice.IssueDocuments,
        notice.PublishNotice,
        notice.WithdrawNotice,
        notice.AmendDocuments,
        trustees.AppointTrustees,
        objection.AnswerObjection,
        opening.ConfirmOpening,
        panel.FormCommittee,
        panel.ReplaceMember,
        sheet.SignSheet,
        sheet.SignReport,
        award.PublishCandidates,
        award.DecideAward,
        award.IssueAwardNotice,
        award.RecordContract,
        award.RecordWinnerRefusal,
        award.ArchiveLot,
        ceremony.CommitNonce,
        drawn.FreezeExperts,
        drawn.CancelDraw,
        drawn.RecordOutcome,
        incident.RelaxWitness,
        epoch.NoteBranch,
        unsealing.GiveUpFile,
        *custody.COMMANDS,
        *custody.TAIL_COMMANDS,
    }
)
FRESH, GRACE = "fresh", "grace"


@dataclass(frozen=True, slots=True)
class SignedBy:
    """Whose certificate signed, as role:person, and what was known of its revocation (签名人)."""

    who: str
    standing: str
    holder: str = field(
        default="", repr=False, compare=False
    )  # account key; known while it is signed, never in the log


def second_of(command: object) -> str:
    """Return who else an act for two names, as role:person; "" where it is one person's."""
    return str(getattr(command, "second", ""))


def require_signed(command: object, actor: Actor, signers: tuple[SignedBy, ...]) -> None:
    """Raise Refused for a binding act without every signature that it needs. What the node does by itself needs none."""
    if type(command) not in BINDING or actor.role is Role.SYSTEM:
        return
    own, second = f"{actor.role}:{actor.person}", second_of(command)
    by = {one.who: one.standing for one in signers}
    for who in (own, second):
        if who and who not in by:
            raise Refused("signature-missing", rule="binding-acts-are-signed", value=who, cites=("DQ 5", "DQ 8"))
    for who, standing in by.items():
        if standing not in {FRESH, GRACE}:
            raise Refused("standing-open", rule="four-states-offline", value=standing, facts=(("who", who),))
    holders = {one.holder: one.who for one in signers if one.holder}
    shared = next((one.who for one in signers if one.holder and holders[one.holder] != one.who), "")
    if shared:
        raise Refused("one-card-for-two", rule="two-persons-sign", value=shared, cites=("DQ 5", "DQ 8"))
    if GRACE in by.values() and len(by) < 2:
        raise Refused("grace-needs-second", rule="four-states-offline", value=own, limit="2")
