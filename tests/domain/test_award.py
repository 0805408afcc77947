"""E16 to E20: publicity, award, notices, contract, archive."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import award, lot, project
from node.domain.refused import Refused
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, PRICES, PUBLISH, REFS, Story, ms

AWARD = award.DecideAward(REFS[0])
NOTIFY = award.IssueAwardNotice(D32, ("县公共资源交易网",))
CONTRACT = award.RecordContract(D32, PRICES[REFS[0]], 90_000_000, ms("2026-04-20 10:00"))
SIGNING = ms("2026-04-20 17:00")
ARCHIVE = award.ArchiveLot(D32)


def _due() -> Story:
    return Story().reported().at("2026-03-30 10:00")


def _decidable() -> Story:
    return Story().published().at("2026-04-03 09:00")


REFUSED: list[tuple[str, Callable[[], Story], Any, Role, str, str]] = [
    ("nothing is published before the report", lambda: Story().evaluating(), PUBLISH, Role.AGENCY, "no-report", ""),
    ("one publicity", lambda: Story().published(), PUBLISH, Role.AGENCY, "published-already", ""),
    (
        "a publicity names where to object",
        _due,
        replace(PUBLISH, objection_channel=""),
        Role.AGENCY,
        "field-missing",
        "",
    ),
    ("a publicity is public", _due, replace(PUBLISH, media=()), Role.AGENCY, "media-missing", ""),
    ("a medium stands once", _due, replace(PUBLISH, media=("网", "网")), Role.AGENCY, "stands-twice", ""),
    (
        "t3 publicity starts within three days of the report",
        lambda: Story().reported().at("2026-03-31 00:00"),
        replace(PUBLISH, to_ms=ms("2026-04-30 00:00")),
        Role.AGENCY,
        "publicity-late",
        "publicity-start-max-days",
    ),
    (
        "t3 three days of publicity do not end before their last day does",
        _due,
        replace(PUBLISH, to_ms=ms("2026-04-02 23:59")),
        Role.AGENCY,
        "publicity-too-short",
        "publicity-min-days",
    ),
    ("no award before the publicity", lambda: Story().reported(), AWARD, Role.TENDERER, "not-published", ""),
    ("no award while the publicity runs", lambda: Story().published(), AWARD, Role.TENDERER, "publicity-runs", ""),
    ("one award", lambda: Story().awarded(), AWARD, Role.TENDERER, "awarded-already", ""),
    ("no award outside the list", _decidable, award.DecideAward("P-ZZZZ99"), Role.TENDERER, "not-a-candidate", ""),
    (
        "state money goes by rank",
        _decidable,
        award.DecideAward(REFS[1]),
        Role.TENDERER,
        "rank-order",
        "pass-over-grounds",
    ),
    (
        "every better rank is passed over by a ground",
        _decidable,
        award.DecideAward(REFS[2], ((REFS[0], "withdrew"),)),
        Role.TENDERER,
        "rank-order",
        "pass-over-grounds",
    ),
    (
        "a rank is passed over on a listed ground only",
        _decidable,
        award.DecideAward(REFS[1], ((REFS[0], "price"),)),
        Role.TENDERER,
        "ground-unknown",
        "pass-over-grounds",
    ),
    (
        "who ranks worse is not passed over",
        _decidable,
        award.DecideAward(REFS[0], ((REFS[1], "withdrew"),)),
        Role.TENDERER,
        "not-ranked-better",
        "",
    ),
    (
        "a rank is passed over once",
        _decidable,
        award.DecideAward(REFS[1], ((REFS[0], "withdrew"), (REFS[0], "unlawful"))),
        Role.TENDERER,
        "stands-twice",
        "",
    ),
    (
        "who refused the award does not get it again",
        lambda: Story().notified().do(award.RecordWinnerRefusal("放弃")),
        AWARD,
        Role.TENDERER,
        "winner-refused-before",
        "",
    ),
    ("no notice before the award", _decidable, NOTIFY, Role.AGENCY, "no-award", ""),
    ("one notice", lambda: Story().notified(), NOTIFY, Role.AGENCY, "notified-already", ""),
    (
        "a notice names its text by digest",
        lambda: Story().awarded(),
        replace(NOTIFY, text_sha256=b""),
        Role.AGENCY,
        "digest-malformed",
        "",
    ),
    ("a notice is public", lambda: Story().awarded(), replace(NOTIFY, media=()), Role.AGENCY, "media-missing", ""),
    ("no contract before the notice", lambda: Story().awarded(), CONTRACT, Role.AGENCY, "no-award-notice", ""),
    ("one contract", lambda: Story().contracted(), CONTRACT, Role.AGENCY, "contracted-already", ""),
    *(
        (says, lambda: Story().notified().at(SIGNING), replace(CONTRACT, **changes), Role.AGENCY, code, rule)
        for says, changes, code, rule in (
            ("a contract is named by digest", {"contract_sha256": b""}, "digest-malformed", ""),
            (
                "a contract is not signed before the notice",
                {"signed_at_ms": ms("2026-04-02 09:00")},
                "signing-time-wrong",
                "",
            ),
            ("a contract is not signed tomorrow", {"signed_at_ms": SIGNING + 1}, "signing-time-wrong", ""),
            ("a contract of another amount says why", {"amount_fen": 1}, "amount-differs", ""),
            (
                "a performance bond of more than a tenth is refused",
                {"performance_bond_fen": 90_000_001},
                "performance-bond-above-cap",
                "performance-bond-cap-percent",
            ),
            ("a negative performance bond is refused", {"performance_bond_fen": -1}, "performance-bond-above-cap", ""),
        )
    ),
    (
        "a contract after thirty days says why",
        lambda: Story().notified().at("2026-05-20 17:00"),
        replace(CONTRACT, signed_at_ms=ms("2026-05-20 10:00")),
        Role.AGENCY,
        "contract-late",
        "contract-days",
    ),
    (
        "nobody refuses an award that was not made",
        _decidable,
        award.RecordWinnerRefusal("放弃"),
        Role.AGENCY,
        "no-award",
        "",
    ),
    (
        "a signed contract is not refused",
        lambda: Story().contracted(),
        award.RecordWinnerRefusal("放弃"),
        Role.AGENCY,
        "contracted-already",
        "",
    ),
    (
        "a refusal has its text",
        lambda: Story().awarded(),
        award.RecordWinnerRefusal(""),
        Role.AGENCY,
        "field-missing",
        "",
    ),
    ("an unfinished lot is not archived", lambda: Story().notified(), ARCHIVE, Role.OPERATOR, "not-finished", ""),
    (
        "an archive is named by digest",
        lambda: Story().contracted(),
        award.ArchiveLot(b""),
        Role.OPERATOR,
        "digest-malformed",
        "",
    ),
    (
        "an archived lot is over",
        lambda: Story().contracted().do(ARCHIVE, Role.OPERATOR),
        ARCHIVE,
        Role.OPERATOR,
        "procedure-over",
        "",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_after_the_report(row: Any) -> None:
    _, given, command, role, code, rule = row
    story = given()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command, role)
    assert refusal.value.code == code
    if rule:
        assert (refusal.value.rule, refusal.value.cites) == (rule, s.WORKS.rule(rule).cites)
    assert story.state == before


def test_t3_publicity_started_on_the_last_day_ends_with_2_april() -> None:
    (event,) = _due().when(PUBLISH)
    assert PUBLISH.to_ms == ms("2026-04-03 00:00")  # = 2026-04-02 24:00
    assert (event.candidates, event.late_reason) == (REFS, "")


def test_a_late_publicity_is_possible_and_says_why() -> None:
    late = replace(PUBLISH, to_ms=ms("2026-04-10 00:00"), late_reason="招标人法定代表人出差")
    (event,) = Story().reported().at("2026-04-01 09:00").when(late)
    assert event.late_reason
    (event,) = _due().when(late)
    assert not event.late_reason


def test_the_first_rank_wins_at_its_price_and_every_loser_is_told() -> None:
    story = Story().notified()
    decided, notified = story.events[-2:]
    assert decided == award.AwardDecided(REFS[0], PRICES[REFS[0]], ())
    assert notified.told == REFS[1:]
    assert notified.report_due_ms == ms("2026-04-21 00:00")  # 18 April is a Saturday
    assert notified.contract_due_ms == ms("2026-05-07 00:00")  # 3 May is a Sunday, 4 to 6 May as the calendar says


def test_a_better_rank_is_passed_over_on_a_ground_of_the_law() -> None:
    (event,) = _decidable().when(award.DecideAward(REFS[1], ((REFS[0], "force-majeure"),)), Role.TENDERER)
    assert event.passed_over == ((REFS[0], "force-majeure"),)


def test_other_money_may_choose_inside_the_list() -> None:
    story = Story().do(replace(s.REGISTER, state_funds=False))
    private = story.state.project
    story = _decidable()
    story.state = replace(story.state, project=replace(story.state.project, lot=private.lot))
    assert story.when(award.DecideAward(REFS[2]), Role.TENDERER)


def test_after_a_refusal_the_next_rank_wins_and_the_refuser_needs_no_other_ground() -> None:
    story = Story().notified().do(award.RecordWinnerRefusal("放弃中标"))
    assert lot.stage(story.state) == "published"
    story.do(award.DecideAward(REFS[1]), Role.TENDERER).do(NOTIFY)
    assert story.events[-1].told == (REFS[0], REFS[2])


def test_a_contract_that_differs_or_is_late_is_recorded_with_its_note() -> None:
    note = "发包范围经双方书面确认调整"
    late = replace(CONTRACT, amount_fen=1, performance_bond_fen=0, signed_at_ms=ms("2026-05-20 10:00"), note=note)
    (event,) = Story().notified().at("2026-05-20 17:00").when(late)
    assert event.note == note


def test_the_award_may_be_decided_at_the_very_end_of_the_publicity() -> None:
    assert Story().published().at(PUBLISH.to_ms).when(AWARD, Role.TENDERER)


def test_a_contract_may_be_signed_at_the_moment_of_the_notice_and_of_its_record() -> None:
    story = Story().notified()
    assert story.when(replace(CONTRACT, signed_at_ms=story.at_ms))


def test_the_thirtieth_day_is_the_last_day_of_the_contract() -> None:
    due_ms = Story().notified().state.award.contract_due_ms
    story = Story().notified().at(due_ms)
    assert story.when(replace(CONTRACT, signed_at_ms=due_ms - 1))
    with pytest.raises(Refused, match="contract-late"):
        story.when(replace(CONTRACT, signed_at_ms=due_ms))


def test_bonds_go_back_five_days_after_the_signing() -> None:
    assert Story().contracted().events[-1].bond_refund_due_ms == ms("2026-04-28 00:00")  # 25 April is a Saturday


def test_the_archive_is_kept_for_fifteen_years() -> None:
    story = Story().contracted().do(ARCHIVE, Role.OPERATOR)
    assert story.events[-1].keep_until_ms == ms("2041-04-21 00:00")
    assert (lot.stage(story.state), lot.blocked(story.state)) == ("archived", "archived")


def test_a_failed_round_may_be_archived() -> None:
    story = Story().bid(2).at(s.DEADLINE).do(project.DeclareRoundFailed("不足三家"), Role.OPERATOR)
    assert story.when(ARCHIVE, Role.OPERATOR)


def test_every_step_of_the_chain_has_its_stage() -> None:
    chain = (
        (Story(), ""),
        (Story().registered(), "registered"),
        (Story().filed(), "filed"),
        (Story().documented(), "filed"),
        (Story().noticed(), "docs_out"),
        (Story().bid(), "docs_out"),
        (Story().bid().given(s.COMMITTEE), "committee"),
        (Story().opened(), "opened"),
        (Story().evaluating(), "evaluating"),
        (Story().evaluating().given(s.CONCLUDED), "preliminary"),
        (Story().evaluating().given(s.CONCLUDED, *s.SCORED), "detailed"),
        (Story().reported(), "reported"),
        (Story().published(), "published"),
        (Story().awarded(), "awarded"),
        (Story().notified(), "notified"),
        (Story().contracted(), "contracted"),
    )
    codes = {stage.code for stage in s.WORKS.stages}
    for story, code in chain:
        assert lot.stage(story.state) == code
        assert not code or code in codes
