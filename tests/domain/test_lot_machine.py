"""Whatever is asked, in whatever order: the lot never opens early, takes a late bid, awards outside the list or changes its name."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from node.domain import (
    award,
    bidding,
    bond,
    evaluation,
    failures,
    lot,
    notice,
    objection,
    opening,
    panel,
    project,
    standstill,
    wire,
)
from node.domain.refused import NotOffered, Refused
from node.domain.values import DAY_MS, ClockQuality, Recorded, Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, REFS, Story

HOUR_MS = 3_600_000
refs = st.sampled_from((*REFS, "P-ZZZZ99"))
roles = st.sampled_from(tuple(Role))
COMMANDS: tuple[Any, ...] = (
    project.SubmitFiling(D32, "方案"),
    project.DecideFiling("no-problem", ""),
    project.DecideFiling("rectify", "补充"),
    s.DOCUMENTS,
    notice.WithdrawNotice("有误"),
    notice.AmendDocuments(D32, "改", affects_bids=False),
    project.Suspend("outage", "停电"),
    project.Suspend("supervisor-order", "核查"),
    project.Resume("恢复"),
    project.DeclareRoundFailed("不足三家"),
    project.ScrapProcedure("unlawful", "串通"),
    project.ScrapProcedure("all-rejected", "全部否决"),
    project.TerminateProcedure("资金", "取消"),
    project.StartRetender("再次招标"),
    s.objects("documents"),
    s.objects("opening"),
    s.objects("result"),
    opening.StartOpening(("p-agency",)),
    award.IssueAwardNotice(D32, ("网",)),
    award.RecordWinnerRefusal("放弃"),
    award.ArchiveLot(D32),
)
STATIONS: tuple[Callable[[Story], Story], ...] = (
    Story.registered,
    Story.noticed,
    Story.bid,
    Story.opened,
    Story.evaluating,
    Story.reported,
    Story.published,
    Story.awarded,
    Story.notified,
)


class LotMachine(RuleBasedStateMachine):
    """Commands by those who may and those who may not, time that passes and jumps back, and the committee's events given."""

    def __init__(self) -> None:
        super().__init__()
        self.story = Story().registered()
        self.identity = self.story.state.project.lot

    @initialize(station=st.sampled_from(STATIONS))
    def begin(self, station: Callable[[Story], Story]) -> None:
        """From anywhere in the procedure: a walk from the start would hardly ever get far."""
        self.story = station(Story())
        self.identity = self.story.state.project.lot

    def ask(self, command: Any, role: Role) -> None:
        story, before = self.story, self.story.state
        try:
            events = story.when(command, role)
        except Refused:
            assert story.state == before
            return
        for event in events:
            self.watch(event)
            name, version, fields = wire.encode(event)
            assert wire.decode(name, version, fields) == event
        story.given(*events, by=role)

    def watch(self, event: Any) -> None:
        """What may never happen, whoever asked."""
        now, state = self.story.at_ms, self.story.state
        match event:
            case bidding.BidReceived() | bidding.BidWithdrawn():
                assert now < state.notice.deadline_ms
            case opening.OpeningStarted(refs=opened):
                assert now >= state.notice.deadline_ms > 0
                assert len(opened) >= 3
                assert not lot.blocked(state)
            case award.AwardDecided(ref=ref):
                assert ref in state.evaluation.candidates
                assert ref not in state.award.refused
            case award.AwardNoticeIssued():
                assert now >= state.award.published.to_ms
                assert not state.objections.pausing
            case project.LotRegistered():
                raise AssertionError("registered twice")
            case _:
                pass

    @rule(command=st.sampled_from(COMMANDS), role=roles)
    def somebody_asks(self, command: Any, role: Role) -> None:
        self.ask(command, role)

    @rule(command=st.sampled_from(COMMANDS))
    def who_may_asks(self, command: Any) -> None:
        role = min(lot_roles(command))
        self.ask(command, role)

    @rule(days=st.integers(19, 40), sale=st.integers(4, 8))
    def publish(self, days: int, sale: int) -> None:
        now = self.story.at_ms
        bond = replace(s.BOND, deadline_ms=now + days * DAY_MS)
        self.ask(replace(s.DOCUMENTS, bond=bond), Role.AGENCY)
        terms = {"sale_from_ms": now, "sale_to_ms": now + sale * DAY_MS, "deadline_ms": now + days * DAY_MS}
        self.ask(replace(s.NOTICE, **terms), Role.AGENCY)

    @rule(days=st.integers(0, 30), affects=st.booleans())
    def amend(self, days: int, affects: bool) -> None:
        deadline_ms = self.story.at_ms + days * DAY_MS
        self.ask(notice.AmendDocuments(D32, "改", affects, deadline_ms), Role.AGENCY)

    @rule(ref=refs)
    def take_documents(self, ref: str) -> None:
        self.ask(s.participation(ref), Role.BIDDER)

    @rule(ref=refs)
    def record_bond(self, ref: str) -> None:
        self.ask(replace(s.bond_of(ref), posted_at_ms=self.story.at_ms), Role.OPERATOR)

    @rule(ref=refs, text=st.sampled_from(("one", "two")))
    def hand_in(self, ref: str, text: str) -> None:
        self.ask(s.bid(ref, text), Role.BIDDER)

    @rule()
    def next_step(self) -> None:
        """What would come next if all went well."""
        if self.story.state.project.suspended is not None:
            self.ask(project.Resume("恢复"), Role(self.story.state.project.suspended_by))
        for one in self.story.state.objections.pausing:
            self.ask(objection.AnswerObjection(one.no, "答复", "replied"), Role.TENDERER)
        ended = self.story.state.project.ended
        match "ended" if ended else lot.stage(self.story.state):
            case "ended":
                self.ask(project.StartRetender("再次招标"), Role.AGENCY)
            case "registered":
                self.ask(project.SubmitFiling(D32, "方案"), Role.AGENCY)
                self.ask(project.DecideFiling("no-problem", ""), Role.SUPERVISOR)
            case "filed":
                self.publish(21, 6)
            case "docs_out" | "clarified" | "objected_docs" | "committee":
                self.all_hand_in()
                self.to_the_deadline()
                self.ask(opening.StartOpening(("p-agency",)), Role.OPERATOR)
            case "opened" | "evaluating" | "preliminary" | "detailed":
                self.the_committee_works(long=True)
            case "reported":
                self.publish_candidates(5)
            case "published":
                self.story.at_ms += 6 * DAY_MS
                self.decide_award(REFS[0], "withdrew")
            case "awarded":
                self.ask(award.IssueAwardNotice(D32, ("网",)), Role.AGENCY)
            case "notified":
                self.sign_contract()
            case _:
                self.ask(award.ArchiveLot(D32), Role.OPERATOR)

    @rule()
    def all_hand_in(self) -> None:
        for ref in REFS:
            self.ask(s.participation(ref), Role.BIDDER)
            self.ask(s.bid(ref), Role.BIDDER)

    @rule(ref=refs)
    def withdraw(self, ref: str) -> None:
        self.ask(bidding.WithdrawBid(ref, "放弃"), Role.BIDDER)

    @rule(no=st.integers(1, 4))
    def answer(self, no: int) -> None:
        self.ask(objection.AnswerObjection(no, "答复", "replied"), Role.TENDERER)

    @rule()
    def to_the_deadline(self) -> None:
        """Stand at the deadline exactly, one millisecond before it, or after it by turns."""
        if self.story.state.notice.deadline_ms:
            self.story.at_ms = self.story.state.notice.deadline_ms

    @rule(ms=st.sampled_from((-HOUR_MS, -1, 1, HOUR_MS, 5 * HOUR_MS, DAY_MS, 4 * DAY_MS, 20 * DAY_MS)))
    def time_passes(self, ms: int) -> None:
        self.story.at_ms += ms

    @rule(quality=st.sampled_from(ClockQuality), attested=st.booleans())
    def clock(self, quality: ClockQuality, attested: bool) -> None:
        self.story.quality, self.story.attested_by = quality, ("p-1", "p-2") if attested else ()

    @rule(long=st.booleans())
    def the_committee_works(self, long: bool) -> None:
        """The opening and the evaluation up to the report, as far as the lot is open for them."""
        state = self.story.state
        if lot.blocked(state) or not state.opening.started or state.evaluation.reported_at_ms:
            return
        numbers = ("E", "F", "G", "H", "K")
        letter = numbers[len(state.retired_members) // 5 % 5]
        if not state.panel.members:
            members = tuple(s.member(f"{letter}{n}") for n in range(1, 6))
            self.ask(panel.FormCommittee("designated", members, "特殊项目"), Role.OPERATOR)
        if not state.opening.confirmed:
            self.story.given(*s.OPENED[1:])
        if not state.evaluation.started:
            self.story.given(s.STARTED)
        if long:
            self.story.given(s.CONCLUDED, *s.SCORED, s.REPORTED)

    @rule(ref=st.sampled_from(REFS))
    def the_committee_rejects(self, ref: str) -> None:
        state = self.story.state
        if not lot.blocked(state) and state.evaluation.started and not state.evaluation.reported_at_ms:
            self.story.given(evaluation.BidRejected(ref, "zbt51-3", "资质不足", ("E1", "E2", "E3")))

    @rule(days=st.integers(2, 6))
    def publish_candidates(self, days: int) -> None:
        to_ms = self.story.at_ms + days * DAY_MS
        self.ask(replace(s.PUBLISH, to_ms=to_ms, late_reason="延误"), Role.AGENCY)

    @rule(ref=refs, ground=st.sampled_from(("withdrew", "price")))
    def decide_award(self, ref: str, ground: str) -> None:
        order = self.story.state.evaluation.candidates
        better = order[: order.index(ref)] if ref in order else ()
        self.ask(award.DecideAward(ref, tuple((one, ground) for one in better)), Role.TENDERER)

    @rule()
    def sign_contract(self) -> None:
        decided = self.story.state.award.decided
        amount = decided.price_fen if decided else 1
        self.ask(award.RecordContract(D32, amount, amount // 10, self.story.at_ms, "说明"), Role.AGENCY)

    @invariant()
    def the_identifiers_never_change(self) -> None:
        assert self.story.state.project.lot == self.identity
        assert self.story.state.lot_code == s.REGISTER.lot_code

    @invariant()
    def one_person_has_one_role(self) -> None:
        persons = [person for person, _ in self.story.state.acted]
        assert len(persons) == len(set(persons))

    @invariant()
    def the_stage_is_one_of_the_profile(self) -> None:
        assert s.WORKS.stage(lot.stage(self.story.state))

    @invariant()
    def an_award_stands_inside_the_list(self) -> None:
        decided = self.story.state.award.decided
        assert decided is None or decided.ref in self.story.state.award.published.candidates

    def teardown(self) -> None:
        """The events alone give the state again."""
        state = lot.LotState()
        for event, recorded in zip(self.story.events, self.story.records, strict=True):
            state = lot.evolve(state, event, recorded)
        assert state == self.story.state


def lot_roles(command: Any) -> frozenset[Role]:
    from node.domain.duties import DUTIES

    return DUTIES[type(command)]


SUBJECTS = (project, notice, bond, bidding, objection, award, standstill, failures)


@pytest.mark.parametrize("subject", SUBJECTS, ids=lambda subject: subject.__name__)
def test_a_subject_does_not_offer_what_is_not_its_own(subject: Any) -> None:
    story = Story().registered()
    with pytest.raises(NotOffered):
        subject.decide(story.state, object(), story.asked())


def test_an_event_of_another_stream_changes_nothing() -> None:
    story = Story().bid()
    recorded = Recorded(story.at_ms, "operator:p-operator", "a", 1, D32)
    assert lot.evolve(story.state, object(), recorded) is story.state
    for subject, state in (
        (project, story.state.project),
        (notice, story.state.notice),
        (bond, story.state.bonds),
        (bidding, story.state.bidding),
        (objection, story.state.objections),
        (award, story.state.award),
    ):
        assert subject.evolve(state, object(), recorded) is state


def test_every_event_of_the_lot_has_one_subject_and_every_command_one_decider() -> None:
    assert len(set(lot.EVENTS)) == len(lot.EVENTS)
    assert len(set(lot.COMMANDS)) == len(lot.COMMANDS)


TestLotMachine = LotMachine.TestCase
TestLotMachine.settings = settings(
    max_examples=60, stateful_step_count=50, deadline=None, suppress_health_check=list(HealthCheck)
)
