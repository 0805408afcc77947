"""Who may do what (职责分离): one table, command -> roles. A command that is not in the table is nobody's.

The technician (系统管理员) and the reviewer sign nothing in a procedure; a supervisor only supervises.
"""

from node.domain import (
    award,
    bank,
    bidding,
    bond,
    ceremony,
    custody,
    drawn,
    epoch,
    evaluation,
    imported,
    incident,
    notice,
    objection,
    opening,
    panel,
    project,
    review,
    sheet,
    signatures,
    trustees,
    unsealing,
)
from node.domain.refused import Refused
from node.domain.values import Actor, Role

TENDERER, AGENCY, OPERATOR = Role.TENDERER, Role.AGENCY, Role.OPERATOR
BIDDER, EXPERT, SUPERVISOR = Role.BIDDER, Role.EXPERT, Role.SUPERVISOR

DRAW_PARTIES = (TENDERER, AGENCY, OPERATOR, SUPERVISOR, Role.WITNESS)

# The tenderer acts by itself or through its agency (ZB 12, 13); the room's operator keeps the desk and the record.
DUTIES: dict[type, frozenset[Role]] = {
    project.RegisterLot: frozenset({TENDERER, AGENCY, OPERATOR}),
    project.SubmitFiling: frozenset({TENDERER, AGENCY}),
    project.DecideFiling: frozenset({SUPERVISOR}),
    project.Suspend: frozenset({TENDERER, OPERATOR, SUPERVISOR}),
    project.Resume: frozenset({TENDERER, OPERATOR, SUPERVISOR}),
    project.DeclareRoundFailed: frozenset({TENDERER, AGENCY, OPERATOR}),
    project.ScrapProcedure: frozenset({TENDERER, AGENCY, EXPERT}),
    project.TerminateProcedure: frozenset({TENDERER, AGENCY}),
    project.StartRetender: frozenset({TENDERER, AGENCY}),
    notice.IssueDocuments: frozenset({TENDERER, AGENCY}),
    trustees.AppointTrustees: frozenset({TENDERER, AGENCY}),
    notice.PublishNotice: frozenset({TENDERER, AGENCY, OPERATOR}),
    notice.WithdrawNotice: frozenset({TENDERER, AGENCY}),
    notice.AmendDocuments: frozenset({TENDERER, AGENCY}),
    notice.RegisterParticipation: frozenset({BIDDER, OPERATOR}),
    bond.RecordBond: frozenset({OPERATOR}),
    bidding.SubmitBid: frozenset({BIDDER, OPERATOR}),
    bidding.WithdrawBid: frozenset({BIDDER, OPERATOR}),
    objection.RaiseObjection: frozenset({BIDDER, OPERATOR}),
    objection.AnswerObjection: frozenset({TENDERER, AGENCY}),
    opening.StartOpening: frozenset({AGENCY, OPERATOR}),
    # The act is the trustee's or the bidder's, signed by them in the file; the desk takes the file.
    **dict.fromkeys(unsealing.COMMANDS, frozenset({AGENCY, OPERATOR})),
    opening.OpenBid: frozenset({AGENCY, OPERATOR}),
    opening.AnnounceBid: frozenset({AGENCY, OPERATOR}),
    opening.ConfirmOpening: frozenset({AGENCY, OPERATOR}),
    panel.FormCommittee: frozenset({TENDERER, AGENCY, OPERATOR}),
    panel.ElectChair: frozenset({EXPERT, OPERATOR}),
    panel.ReplaceMember: frozenset({TENDERER, AGENCY, OPERATOR}),
    evaluation.StartEvaluation: frozenset({OPERATOR}),
    evaluation.ConcludePreliminary: frozenset({EXPERT, OPERATOR}),
    evaluation.RequestClarification: frozenset({EXPERT}),
    evaluation.AnswerClarification: frozenset({BIDDER, OPERATOR}),
    evaluation.CorrectPrice: frozenset({EXPERT, OPERATOR}),
    evaluation.CloseScoring: frozenset({EXPERT, OPERATOR}),
    evaluation.CloseRecheck: frozenset({EXPERT, OPERATOR}),
    evaluation.ResolveTie: frozenset({EXPERT, OPERATOR}),
    evaluation.CompleteReport: frozenset({EXPERT, OPERATOR}),
    sheet.SignIn: frozenset({EXPERT}),
    sheet.DeclareRecusal: frozenset({EXPERT}),
    sheet.SubmitChecklist: frozenset({EXPERT}),
    sheet.SubmitMarks: frozenset({EXPERT}),
    sheet.SignSheet: frozenset({EXPERT}),
    sheet.CorrectMarks: frozenset({EXPERT}),
    sheet.SignReport: frozenset({EXPERT}),
    award.PublishCandidates: frozenset({TENDERER, AGENCY}),
    award.DecideAward: frozenset({TENDERER}),
    award.IssueAwardNotice: frozenset({TENDERER, AGENCY}),
    award.RecordContract: frozenset({TENDERER, AGENCY}),
    award.RecordWinnerRefusal: frozenset({TENDERER, AGENCY}),
    award.ArchiveLot: frozenset({TENDERER, OPERATOR}),
    **dict.fromkeys((*custody.COMMANDS, *custody.TAIL_COMMANDS), frozenset({OPERATOR})),
    epoch.OpenEpoch: frozenset({OPERATOR, Role.REVIEWER}),
    epoch.NoteBranch: frozenset({OPERATOR, Role.REVIEWER}),
    epoch.NoteSuccession: frozenset({Role.SYSTEM}),
    incident.RecordIncident: frozenset({OPERATOR, Role.WITNESS, SUPERVISOR, Role.SYSTEM}),
    incident.RelaxWitness: frozenset({OPERATOR}),
    incident.CloseIncident: frozenset({OPERATOR, Role.SYSTEM}),
    review.RaiseFinding: frozenset({Role.REVIEWER}),
    review.MarkReviewed: frozenset({Role.REVIEWER}),
    review.CloseFinding: frozenset({Role.REVIEWER}),
    review.AnswerFinding: frozenset({TENDERER, AGENCY, OPERATOR}),
    bank.ImportExperts: frozenset({OPERATOR, Role.SYSTEM}),
    drawn.FreezeExperts: frozenset({OPERATOR}),
    drawn.FreezeOptions: frozenset({OPERATOR}),
    **dict.fromkeys((ceremony.CommitNonce, drawn.RevealNonce), frozenset({*DRAW_PARTIES})),
    **dict.fromkeys((ceremony.ReleaseShare, drawn.OpenEscrow), frozenset({*DRAW_PARTIES, Role.SYSTEM})),
    # Whoever calls sees telephone numbers; the operator sees counts (ZB 37).
    drawn.RecordOutcome: frozenset({Role.WITNESS, Role.SYSTEM}),
    drawn.CancelDraw: frozenset({SUPERVISOR}),
    drawn.PublishDraw: frozenset({OPERATOR, SUPERVISOR}),
    signatures.JudgeAgain: frozenset({Role.SYSTEM}),
    **dict.fromkeys(imported.COMMANDS, frozenset({OPERATOR, Role.SYSTEM})),
}


def allow(command: object, actor: Actor) -> None:
    """Raise Refused when this actor's role may not give this command."""
    roles = DUTIES.get(type(command), frozenset())
    if actor.role not in roles:
        raise Refused(
            "role-may-not",
            rule="separation-of-duties",
            value=str(actor.role),
            limit=", ".join(sorted(roles)),
            facts=(("command", type(command).__name__),),
        )
