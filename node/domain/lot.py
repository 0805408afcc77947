"""A lot (标段) as the rules see it: the subjects composed, one gate before all of them, one place where events find their subject.

The gate's order: may this role (duties), may this person (one person, one role in a lot), is the clock good enough,
has the procedure ended, does it stand still or wait for an answer; then the subject decides.
"""

from dataclasses import dataclass, field, replace
from types import ModuleType
from typing import Any

from node.domain import (
    award,
    bidding,
    bond,
    custody,
    evaluation,
    failures,
    judged,
    notice,
    objection,
    opening,
    panel,
    project,
    standstill,
    trustees,
    unsealing,
)
from node.domain.award import AwardState
from node.domain.bidding import BiddingState
from node.domain.bond import BondState
from node.domain.custody import CustodyState
from node.domain.duties import allow
from node.domain.evaluation import EvaluationState
from node.domain.judged import JudgedState
from node.domain.notice import NoticeState
from node.domain.objection import ObjectionState
from node.domain.opening import OpeningState
from node.domain.panel import PanelState
from node.domain.project import LotRegistered, ProjectState
from node.domain.refused import NotOffered, Refused
from node.domain.trustees import SealTerms
from node.domain.unsealing import CeremonyState
from node.domain.values import Asked, ClockQuality, Recorded, Role


@dataclass(frozen=True, slots=True)
class LotState:
    """What the rules remember of one lot in its present round."""

    project: ProjectState = field(default_factory=ProjectState)
    notice: NoticeState = field(default_factory=NoticeState)
    terms: SealTerms = field(default_factory=SealTerms)
    bonds: BondState = field(default_factory=BondState)
    bidding: BiddingState = field(default_factory=BiddingState)
    objections: ObjectionState = field(default_factory=ObjectionState)
    opening: OpeningState = field(default_factory=OpeningState)
    ceremony: CeremonyState = field(default_factory=CeremonyState)
    judged: JudgedState = field(default_factory=JudgedState)
    panel: PanelState = field(default_factory=PanelState)
    evaluation: EvaluationState = field(default_factory=EvaluationState)
    award: AwardState = field(default_factory=AwardState)
    custody: CustodyState = field(default_factory=CustodyState)
    acted: tuple[tuple[str, str], ...] = ()  # person, role: who has acted here, and as what
    stood_still_from_ms: int = 0  # when the present standstill began; 0: none
    retired_members: tuple[str, ...] = ()  # numbers of a dissolved committee of this round: their sheets stay sealed

    @property
    def registered(self) -> LotRegistered:
        """What the registration fixed. Raises Refused before it."""
        if self.project.lot is None:
            raise Refused("lot-not-registered", rule="registered-first")
        return self.project.lot

    @property
    def lot_code(self) -> str:
        """标段编号, or "" before the registration."""
        return self.project.lot.lot_code if self.project.lot else ""

    @property
    def round_no(self) -> int:
        """招标次数: 1, 2, …; 0 before the registration."""
        return self.project.round_no

    @property
    def standing_refs(self) -> tuple[str, ...]:
        """The opened bids that are not rejected."""
        return tuple(ref for ref in self.opening.opened_refs if ref not in self.evaluation.rejected_refs)

    @property
    def deadline_lost(self) -> bool:
        """Whether the deadline passed while the procedure stood still, or it stands still now and did before it."""
        spans = 0 < self.stood_still_from_ms < self.notice.deadline_ms
        return self.notice.deadline_lost or spans

    @property
    def profile_id(self) -> str:
        """Id of the procedure profile, or "" before the registration."""
        return self.project.lot.profile_id if self.project.lot else ""


_MODULES: tuple[tuple[str, ModuleType], ...] = (
    ("project", project),
    ("notice", notice),
    ("terms", trustees),
    ("bonds", bond),
    ("bidding", bidding),
    ("objections", objection),
    ("opening", opening),
    ("ceremony", unsealing),
    ("judged", judged),
    ("panel", panel),
    ("evaluation", evaluation),
    ("award", award),
    ("custody", custody),
)
_DECIDERS: dict[type, ModuleType] = {
    **{command: module for name, module in _MODULES if name != "custody" for command in module.COMMANDS},
    **dict.fromkeys(standstill.COMMANDS, standstill),
    **dict.fromkeys(failures.COMMANDS, failures),
}
_SUBJECTS: dict[type, tuple[str, ModuleType]] = {
    event: (attribute, module) for attribute, module in _MODULES for event in module.EVENTS
}
EXPERT = str(Role.EXPERT)  # the role, and the word for the kind of member
COMMANDS: tuple[type, ...] = (*_DECIDERS, *custody.COMMANDS)
EVENTS: tuple[type, ...] = tuple(_SUBJECTS)

# Acts whose lawfulness hangs on the minute: on a doubtful clock two persons must attest another one (design 5.9).
DEADLINE_ACTS: frozenset[type] = frozenset(
    {
        notice.PublishNotice,
        notice.AmendDocuments,
        notice.WithdrawNotice,
        notice.RegisterParticipation,
        bond.RecordBond,
        bidding.SubmitBid,
        bidding.WithdrawBid,
        objection.RaiseObjection,
        opening.StartOpening,
        unsealing.GiveHalf,
        project.DeclareRoundFailed,
        project.Resume,
        award.PublishCandidates,
        award.DecideAward,
        award.IssueAwardNotice,
        award.RecordContract,
    }
)
# What may be done while nothing else may: speak about the standstill, object and be answered, stop for good.
_WHILE_SUSPENDED: frozenset[type] = frozenset(
    {
        project.Suspend,
        project.Resume,
        project.TerminateProcedure,
        objection.RaiseObjection,
        objection.AnswerObjection,
    }
)
_WHILE_PAUSED: frozenset[type] = frozenset(
    {
        *_WHILE_SUSPENDED,
        project.ScrapProcedure,
        notice.AmendDocuments,
        notice.WithdrawNotice,
        award.RecordWinnerRefusal,
    }
)
_AFTER_THE_END: dict[str, frozenset[type]] = {
    "round-failed": frozenset({project.StartRetender, project.TerminateProcedure, award.ArchiveLot}),
    "scrapped": frozenset({project.StartRetender, project.TerminateProcedure, award.ArchiveLot}),
    "terminated": frozenset({award.ArchiveLot}),
    "archived": frozenset(),
}


def decide(lot: LotState, command: object, asked: Asked) -> tuple[Any, ...]:
    """Return the events that this command makes. Raises Refused; NotOffered for a command of another stream."""
    if isinstance(command, custody.COMMANDS):
        allow(command, asked.actor)
        _one_role(lot, asked)
        return custody.decide(lot.custody, lot.registered.lot_code, command, asked)
    module = _DECIDERS.get(type(command))
    if module is None:
        raise NotOffered("lot/", type(command).__name__)
    allow(command, asked.actor)
    _one_role(lot, asked)
    custody.require_held(lot.custody, command)
    if type(command) in DEADLINE_ACTS:
        _good_clock(asked)
    if not isinstance(command, project.RegisterLot):
        lot.registered  # noqa: B018 - refuses before the registration
    _not_standing_still(lot, command)
    _fit_members(lot, command)
    events: tuple[Any, ...] = module.decide(lot, command, asked)
    return events


def evolve(lot: LotState, event: object, recorded: Recorded) -> LotState:
    """Return the lot after an event of it. An event of another stream changes nothing."""
    found = _SUBJECTS.get(type(event))
    if found is None:
        return lot
    attribute, module = found
    after = replace(lot, **{attribute: module.evolve(getattr(lot, attribute), event, recorded)})
    after = replace(after, acted=_with_actor(lot.acted, recorded.actor))
    match event:
        case project.RetenderStarted():
            return LotState(project=after.project, acted=after.acted, custody=after.custody)
        case custody.CustodyTaken(how=custody.TAKEN_OVER, from_node=dead, to_node=node):
            # Whoever sat at the dead node goes on at a seat of the other; the key was wrapped to both.
            after = replace(after, panel=panel.reseat(after.panel, dead, node))
        case notice.NoticeWithdrawn():
            after = replace(after, bonds=BondState(), bidding=BiddingState(), terms=SealTerms(), judged=JudgedState())
        case project.Resumed(new_committee=True):
            retired = (*lot.retired_members, *lot.panel.replaced, *(member.no for member in lot.panel.members))
            after = replace(after, panel=PanelState(), evaluation=EvaluationState(), retired_members=retired)
        case _:
            pass
    return _stand_still(after, recorded.at_ms)


def _stand_still(lot: LotState, at_ms: int) -> LotState:
    """Note when a standstill begins; when it ends, note a deadline that passed meanwhile: nobody could bid then."""
    if blocked(lot):
        return lot if lot.stood_still_from_ms else replace(lot, stood_still_from_ms=at_ms)
    if not lot.stood_still_from_ms:
        return lot
    lost = lot.stood_still_from_ms < lot.notice.deadline_ms <= at_ms and not lot.opening.started
    return replace(lot, stood_still_from_ms=0, notice=notice.lose_deadline(lot.notice) if lost else lot.notice)


def stage(lot: LotState) -> str:
    """Return the stage code of the last step that this lot has reached in its round; "" before the registration.

    Secret and momentary steps (bonds, bids, the notice that puts the documents out) never are the last one.
    """
    reached = (
        ("archived", lot.award.archived),
        ("contracted", lot.award.contracted),
        ("notified", bool(lot.award.notified_at_ms)),
        ("awarded", lot.award.decided is not None),
        ("published", lot.award.published is not None),
        ("reported", bool(lot.evaluation.reported_at_ms)),
        ("detailed", lot.evaluation.closed),
        ("preliminary", lot.evaluation.concluded),
        ("evaluating", lot.evaluation.started),
        ("opened", lot.opening.started),
        ("committee", bool(lot.panel.members)),
        ("objected_docs", bool(lot.objections.unanswered("documents"))),
        ("clarified", lot.notice.amendments > 0),
        ("docs_out", lot.notice.published is not None),
        ("filed", lot.project.filing == "no-problem"),
        ("registered", lot.project.lot is not None),
    )
    return next((code for code, yes in reached if yes), "")


def blocked(lot: LotState) -> str:
    """Return why the procedure does not go on: archived, terminated, scrapped, round-failed, suspended, objection; or ""."""
    if lot.award.archived:
        return "archived"
    if lot.project.ended:
        return lot.project.ended
    if lot.project.suspended is not None:
        return "suspended"
    return "objection" if lot.objections.pausing else ""


def _one_role(lot: LotState, asked: Asked) -> None:
    sitting = tuple((member.person, EXPERT) for member in lot.panel.members if member.kind == EXPERT)
    for person, role in (*lot.acted, *sitting):
        if person == asked.actor.person and role != asked.actor.role and Role.SYSTEM not in {role, asked.actor.role}:
            raise Refused(
                "acts-in-another-role",
                rule="one-person-one-role",
                value=str(asked.actor.role),
                limit=role,
                facts=(("person", person),),
            )


def _with_actor(acted: tuple[tuple[str, str], ...], actor: str) -> tuple[tuple[str, str], ...]:
    role, _, rest = actor.partition(":")
    pair = (rest.partition("@")[0], role)
    return acted if pair in acted else (*acted, pair)


def _good_clock(asked: Asked) -> None:
    if asked.clock_quality is ClockQuality.DOUBTFUL and len(set(asked.attested_by)) < 2:
        raise Refused(
            "clock-doubtful",
            rule="two-attest-the-clock",
            value=str(len(set(asked.attested_by))),
            limit="2",
        )


def _not_standing_still(lot: LotState, command: object) -> None:
    why = blocked(lot)
    kind = type(command)
    if why in _AFTER_THE_END and kind not in _AFTER_THE_END[why]:
        raise Refused("procedure-over", rule="over", value=kind.__name__, limit=why)
    if why == "suspended" and kind not in _WHILE_SUSPENDED:
        raise Refused("suspended", rule="stands-still", value=kind.__name__, cites=("ZBT 62",))
    if why == "objection" and kind not in _WHILE_PAUSED:
        open_no = lot.objections.pausing[0].no
        raise Refused(
            "paused-by-objection",
            rule="answer-first",
            value=kind.__name__,
            cites=("ZBT 22", "ZBT 54"),
            facts=(("objection", str(open_no)),),
        )
    if isinstance(command, opening.StartOpening | project.DeclareRoundFailed) and lot.notice.deadline_lost:
        raise Refused("deadline-fell-in-standstill", rule="deadline-moved-first", cites=("ZB 23", "ZB 34"))


def _fit_members(lot: LotState, command: object) -> None:
    match command:
        case panel.FormCommittee(members=members):
            seated = members
        case panel.ReplaceMember(successor=successor):
            seated = (successor,)
        case _:
            return
    acted = dict(lot.acted)
    for member in seated:
        if member.no in lot.retired_members:
            raise Refused("member-number-used", rule="new-committee-new-numbers", value=member.no)
        if member.kind == EXPERT and acted.get(member.person, EXPERT) != EXPERT:
            raise Refused(
                "acts-in-another-role",
                rule="one-person-one-role",
                value=EXPERT,
                limit=acted[member.person],
                cites=("ZBT 46",),
                facts=(("member", member.no),),
            )
