"""Whatever the members do, in whatever order: no mark in the clear before the close, no mark of who left, the right ranking."""

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from fractions import Fraction
from math import floor
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from node.domain import evaluation, panel, sheet, wire
from node.domain.refused import Refused
from node.domain.sheet import CriterionMark
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.evaluation_story import (
    AGREE,
    SIGN,
    Session,
    checked,
    concluded,
    marks,
    opened,
    passes,
    rejects,
    replaces,
    seated,
    started,
)
from tests.domain.lot_story import REFS

positions = st.integers(0, 4)
refs = st.sampled_from(REFS)
technical = st.integers(0, 80).map(lambda steps: steps * 50)
# Members seldom differ on an objective item; when they do there is a recheck.
business = st.sampled_from((1500, 1500, 1500, 1500, 1500, 1500, 2000))
MARKED = (CriterionMark, evaluation.OpenedMarks, sheet.MarksCorrected)


def holds_marks(value: Any) -> bool:
    """Whether a mark stands in the clear anywhere inside."""
    if isinstance(value, MARKED):
        return True
    if isinstance(value, tuple):
        return any(holds_marks(item) for item in value)
    return is_dataclass(value) and any(holds_marks(getattr(value, one.name)) for one in fields(value))


def half_up(value: Fraction) -> Fraction:
    return Fraction(floor(value * 100 + Fraction(1, 2)), 100)


def expected(
    prices: dict[str, int], given: dict[tuple[str, str], tuple[int, int]], sitting: tuple[str, ...]
) -> list[Any]:
    """The ranking by another hand: whole hundredths in, (ref, total, rank) out, best first.

    Five members: the technical item without its highest and lowest, the business item equal for all, 30 points for the
    lowest price and the others in proportion; total, then price, then technical score.
    """
    lowest, rows = min(prices.values()), []
    for ref, price in prices.items():
        kept = sorted(given[no, ref][0] for no in sitting)[1:-1]
        skill, works = half_up(Fraction(sum(kept), 300)), half_up(Fraction(given[sitting[0], ref][1], 100))
        total = half_up(Fraction(30 * lowest, price)) + skill + works
        rows.append((-total, price, -skill, ref))
    keys = [row[:3] for row in rows]
    return sorted(
        ((ref, -total, 1 + sum(key < (total, price, skill) for key in keys)) for total, price, skill, ref in rows),
        key=lambda row: row[2],
    )


def with_three_against(session: Session) -> Session:
    checked(session)
    for no in ("E1", "E2", "E3"):
        session.act(no, rejects(REFS[2]))
    return session


@settings(max_examples=40, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
class EvaluationMachine(RuleBasedStateMachine):
    """Five seats, whoever sits there; `given` is what each has marked last, kept beside the rules."""

    def __init__(self) -> None:
        super().__init__()
        self.session = Session()
        self.given: dict[tuple[str, str], tuple[int, int]] = {}
        self.gone: list[str] = []
        self.signed: dict[tuple[str, str], tuple[int, int]] = {}

    @initialize(
        begin=st.sampled_from((started, checked, concluded, with_three_against)),
        prices=st.lists(st.integers(94_000, 95_000), min_size=3, max_size=3),
    )
    def begin(self, begin: Callable[[Any], Session], prices: list[int]) -> None:
        contents = [s.content(ref, price * 10_000) for ref, price in zip(REFS, prices, strict=True)]
        self.session = begin(opened(*contents))

    def no(self, position: int) -> str:
        return self.session.sitting[position]

    def member_does(self, no: str, command: Any) -> bool:
        session, before = self.session, (self.session.state, dict(self.session.sheets))
        sealed = session.seal(command)
        try:
            session.at_sheet(no, sealed)
        except Refused:
            assert (session.state, session.sheets) == before
            return False
        session.act(no, sealed)
        return True

    def lot_does(self, command: Any) -> bool:
        session, before = self.session, (self.session.state, dict(self.session.sheets))
        try:
            events = session.when(command, Role.OPERATOR)
        except Refused:
            assert (session.state, session.sheets) == before
            return False
        for event in events:
            name, version, plain = wire.encode(event)
            assert wire.decode(name, version, plain) == event
        session.given(*events)
        return True

    @rule(position=positions, ref=refs, good=st.booleans())
    def somebody_checks(self, position: int, ref: str, good: bool) -> None:
        self.member_does(self.no(position), passes(ref) if good else rejects(ref))

    @rule(position=positions, ref=refs, skill=technical, works=business)
    def somebody_marks(self, position: int, ref: str, skill: int, works: int) -> None:
        self.marks(self.no(position), ref, skill, works)

    def marks(self, no: str, ref: str, skill: int, works: int) -> None:
        signed_before = (no, ref) in self.signed
        if self.member_does(no, marks(ref, skill, works)):
            assert not signed_before
            self.given[no, ref] = (skill, works)

    @rule(position=positions)
    def somebody_signs(self, position: int) -> None:
        self.signs(self.no(position))

    def everybody_signs(self) -> None:
        for no in self.session.sitting:
            self.signs(no)

    def signs(self, no: str) -> None:
        if self.member_does(no, SIGN):
            self.signed |= {key: value for key, value in self.given.items() if key[0] == no}

    @rule(position=positions, ref=refs, works=business)
    def somebody_corrects(self, position: int, ref: str, works: int) -> None:
        no = self.no(position)
        if self.member_does(no, sheet.CorrectMarks(ref, (CriterionMark("B1", works),), "更正")):
            assert self.session.state.evaluation.closed
            self.given[no, ref] = (self.given[no, ref][0], works)
            self.signed.pop((no, ref), None)

    @precondition(lambda self: len(self.gone) < 3)
    @rule(position=positions, arrives=st.booleans())
    def somebody_is_replaced(self, position: int, arrives: bool) -> None:
        no, successor = self.no(position), f"F{len(self.gone) + 1}"
        concluded = self.session.state.evaluation.concluded
        if not self.lot_does(replaces(no, successor)):
            return
        self.gone.append(no)
        assert not self.session.state.evaluation.concluded
        assert isinstance(self.session.log[-1][1], evaluation.PreliminaryReopened) == concluded
        if arrives:
            seated(self.session, successor)
            self.lot_does(panel.ElectChair(successor))

    @rule(position=positions)
    def somebody_arrives(self, position: int) -> None:
        no = self.no(position)
        self.member_does(no, sheet.SignIn(f"seat-{no}"))
        self.member_does(no, sheet.DeclareRecusal(False, ""))
        if not self.session.state.panel.chair:
            self.lot_does(panel.ElectChair(no))

    @rule()
    def it_is_concluded(self) -> None:
        self.lot_does(self.session.concluding())

    @rule()
    def it_is_closed(self) -> None:
        if self.lot_does(self.session.closing()):
            assert all(self.session.sheet(no).signed for no in self.session.sitting)

    @rule()
    def the_recheck_is_closed(self) -> None:
        self.lot_does(self.session.rechecking())

    @rule(skills=st.lists(technical, min_size=15, max_size=15), odd=business)
    def it_goes_on(self, skills: list[int], odd: int) -> None:
        """Everybody does what is left to do, so that a walk gets somewhere between the disturbances."""
        state = self.session.state.evaluation
        if state.ranked:
            for no in self.session.sitting:
                self.member_does(no, AGREE)
            self.lot_does(self.session.completing())
        elif state.inconsistencies:
            for one in state.inconsistencies:
                for no in one.members:
                    self.somebody_corrects(self.session.sitting.index(no), one.ref, 1500)
            self.everybody_signs()
            self.lot_does(self.session.rechecking())
        elif state.concluded:
            for no in self.session.sitting:
                for ref in self.session.state.standing_refs:
                    if self.session.sheet(no).marked(ref) is None:
                        self.marks(no, ref, skills[0], odd)
                        skills, odd = [*skills[1:], skills[0]], 1500
            self.everybody_signs()
            self.it_is_closed()
        else:
            for position, no in enumerate(self.session.sitting):
                self.somebody_arrives(position)
                for ref in REFS:
                    if self.session.sheet(no).checklist(ref) is None:
                        self.member_does(no, passes(ref))
            self.it_is_concluded()

    @invariant()
    def no_mark_is_in_the_clear_before_the_close(self) -> None:
        for _, event in self.session.log:
            if isinstance(event, evaluation.ScoringClosed):
                return
            assert not holds_marks(event)

    @invariant()
    def who_left_never_counts(self) -> None:
        state = self.session.state.evaluation
        assert not set(self.gone) & {one.member for one in state.opened}
        if state.concluded:
            assert not set(self.gone) & {one.member for one in state.checklists}
            assert not set(self.gone) & {no for one in state.rejections for no in one.members}

    @invariant()
    def what_is_signed_is_what_is_counted(self) -> None:
        for (no, ref), value in self.signed.items():
            assert self.given[no, ref] == value

    @invariant()
    def rejections_are_the_majority_s(self) -> None:
        state = self.session.state.evaluation
        if state.concluded:
            against = dict.fromkeys(REFS, 0)
            for one in state.checklists:
                against[one.ref] += any(result.check == "Q1" and not result.passed for result in one.results)
            assert set(state.rejected_refs) == {ref for ref, count in against.items() if count >= 3}

    @invariant()
    def the_ranking_is_the_one_of_another_hand(self) -> None:
        session = self.session
        ranking = session.state.evaluation.ranking
        if ranking is None:
            return
        prices = {one.ref: one.content.price_fen for one in session.state.opening.opened}
        standing = {ref: prices[ref] for ref in session.state.standing_refs}
        found = [(row.ref, Fraction(row.total), row.rank) for row in ranking.rows]
        assert found == expected(standing, self.given, session.sitting)
        for ref in standing:
            assert len({self.given[no, ref][1] for no in session.sitting}) == 1
        assert ranking.candidates == tuple(row.ref for row in ranking.rows[:3])


TestEvaluationMachine = EvaluationMachine.TestCase
