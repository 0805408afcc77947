"""Who may be drawn: one table of reasons, counts that add up, and the committee's legal shape."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.domain import eligibility
from node.domain.eligibility import DrawRequest, Expert, Group, Recusal, Span, check_request, eligible, require_enough
from node.domain.refused import Refused
from node.domain.values import DAY_MS
from tests.domain.lot_story import WORKS, ms

START = ms("2026-03-25 09:00")
SESSION = Span(START, START + 8 * eligibility.HOUR_MS)
GROUPS = (Group("施工", "A08", 4, "5329", "a"), Group("造价", "A06", 2, "", "b"))
REQUEST = DrawRequest("LOT-1", SESSION, GROUPS, 1, (Recusal("洱海建设有限公司", "9153", "1"),))
GOOD = Expert(no="1", specialties=("A0801",), region="532924", employer="某设计院", birth="1970-01-01")


def span(day: str, hours: int = 8) -> Span:
    return Span(ms(f"{day} 09:00"), ms(f"{day} 09:00") + hours * eligibility.HOUR_MS)


def reason_of(expert: Expert, request: DrawRequest = REQUEST) -> str:
    found = eligible([expert], request, WORKS)
    counted = [reason for reason, count in found.excluded if count]
    assert len(counted) + len(found.pool) == 1
    return counted[0] if counted else ""


CASES = {
    "nothing speaks against it": (GOOD, ""),
    "another specialty": (replace(GOOD, specialties=("B0801", "A09")), "specialty"),
    "a specialty that only begins alike": (replace(GOOD, specialties=("A0",)), "specialty"),
    "one of several specialties": (replace(GOOD, specialties=("B01", "A0803")), ""),
    "no specialty": (replace(GOOD, specialties=()), "specialty"),
    "another region": (replace(GOOD, region="533100"), "region"),
    "the group that takes any region": (replace(GOOD, region="110000", specialties=("A06",)), ""),
    "disabled": (replace(GOOD, enabled=False), "disabled"),
    "suspended": (replace(GOOD, suspended=True), "suspended"),
    "unqualified": (replace(GOOD, qualified=False), "unqualified"),
    "seventy on the day": (replace(GOOD, birth="1956-03-25"), "age"),
    "seventy tomorrow": (replace(GOOD, birth="1956-03-26"), ""),
    "no birth on file": (replace(GOOD, birth=""), ""),
    "on leave that morning": (replace(GOOD, leave=(span("2026-03-25", 1),)), "leave"),
    "leave that ends as it begins": (replace(GOOD, leave=(Span(START - DAY_MS, START),)), ""),
    "leave that begins as it ends": (replace(GOOD, leave=(Span(SESSION.to_ms, SESSION.to_ms + 1),)), ""),
    "a session at the same time": (replace(GOOD, sessions=(span("2026-03-25"),)), "session"),
    "a session the day before": (replace(GOOD, sessions=(span("2026-03-24"),)), ""),
    "eight sessions in thirty days": (
        replace(GOOD, sessions=tuple(span(f"2026-03-{day:02d}") for day in range(1, 9))),
        "frequency",
    ),
    "seven sessions in thirty days": (
        replace(GOOD, sessions=tuple(span(f"2026-03-{day:02d}") for day in range(1, 8))),
        "",
    ),
    "eight sessions long ago": (
        replace(GOOD, sessions=tuple(span(f"2026-01-{day:02d}") for day in range(1, 9))),
        "",
    ),
    "works for a bidder": (replace(GOOD, employer="洱海建设有限公司"), "recused-employer"),
    "works for a bidder, by its code": (replace(GOOD, employer="9153"), "recused-employer"),
    "a relation on file": (replace(GOOD, relations=("别家", "9153")), "relation"),
    "two reasons count once": (replace(GOOD, suspended=True, relations=("9153",)), "suspended"),
}


@pytest.mark.parametrize(("expert", "reason"), CASES.values(), ids=CASES)
def test_an_expert_is_out_for_the_first_reason_that_applies(expert, reason):
    assert reason_of(expert) == reason


def test_every_reason_has_a_case():
    assert {reason for _, reason in CASES.values()} == {"", *eligibility.REASONS}


EXPERTS = st.builds(
    Expert,
    no=st.text("0123456789", min_size=1, max_size=4),
    specialties=st.lists(st.sampled_from(["A0801", "A0802", "A0601", "B01"]), max_size=2).map(tuple),
    region=st.sampled_from(["532924", "532901", "530100"]),
    employer=st.sampled_from(["某设计院", "洱海建设有限公司", "某校"]),
    birth=st.sampled_from(["", "1940-01-01", "1980-01-01"]),
    enabled=st.booleans(),
    suspended=st.booleans(),
    sessions=st.lists(st.just(span("2026-03-20")), max_size=9).map(tuple),
)


@given(st.lists(EXPERTS, max_size=20, unique_by=lambda one: one.no), st.randoms())
def test_counts_add_up_and_the_order_of_the_file_does_not_matter(experts, chance):
    found = eligible(experts, REQUEST, WORKS)
    assert len(found.pool) + sum(count for _, count in found.excluded) == len(experts)
    shuffled = list(experts)
    chance.shuffle(shuffled)
    assert eligible(shuffled, REQUEST, WORKS) == found


def test_a_number_that_stands_twice_is_refused():
    with pytest.raises(Refused, match="stands-twice"):
        eligible([GOOD, GOOD], REQUEST, WORKS)


def bank(builders: int, costs: int) -> list[Expert]:
    return [replace(GOOD, no=f"W{n:02d}") for n in range(builders)] + [
        replace(GOOD, no=f"C{n:02d}", specialties=("A0601",)) for n in range(costs)
    ]


def test_fewer_than_three_times_the_need_warns_and_needs_an_approval():
    found = eligible(bank(12, 5), REQUEST, WORKS)
    assert [(one.group, one.eligible, one.need, one.least) for one in found.small] == [("造价", 5, 2, 6)]
    require_enough(found, REQUEST, WORKS, "supervisor:S-1")
    with pytest.raises(Refused) as refused:
        require_enough(found, REQUEST, WORKS, "")
    assert (refused.value.code, refused.value.rule) == ("pool-small-unapproved", "draw-pool-factor")
    assert (refused.value.value, refused.value.limit) == ("5", "6")
    assert refused.value.cites
    require_enough(eligible(bank(12, 6), REQUEST, WORKS), REQUEST, WORKS, "")


def test_a_group_that_cannot_be_filled_is_refused_whoever_approves():
    with pytest.raises(Refused, match="pool-too-small"):
        require_enough(eligible(bank(12, 1), REQUEST, WORKS), REQUEST, WORKS, "supervisor:S-1")


def needs(*counts: int, tenderer: int = 0) -> DrawRequest:
    groups = tuple(Group(f"G{at}", "A08", count, "", "a") for at, count in enumerate(counts))
    return replace(REQUEST, groups=groups, tenderer_seats=tenderer)


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (needs(3), "committee-too-small"),
        (needs(6), "committee-even"),
        (needs(5, tenderer=1), "committee-even"),
        (needs(3, tenderer=2), "too-few-experts"),
        (needs(4, tenderer=3), "too-few-experts"),
        (needs(4, tenderer=1), None),
        (needs(5, tenderer=2), None),
        (needs(6, tenderer=3), None),
        (needs(3, 2), None),
        (needs(5, tenderer=-1), "need-malformed"),
        (needs(5, 0), "need-malformed"),
        (needs(), "groups-malformed"),
        (replace(needs(5), lot_code=" "), "field-missing"),
        (replace(needs(5), session=Span(2, 1)), "session-malformed"),
        (replace(needs(5), recusals=(Recusal("甲", "", "7"),)), "word-unknown"),
        (replace(needs(5), recusals=(Recusal("", "", "1"),)), "field-missing"),
        (replace(needs(5), groups=(GROUPS[0], GROUPS[0])), "stands-twice"),
        (replace(needs(5), groups=(replace(GROUPS[0], specialty=""),)), "field-missing"),
    ],
)
def test_a_request_is_refused_for_what_the_law_or_no_draw_allows(request_, code):
    if code is None:
        check_request(request_, WORKS)
        return
    with pytest.raises(Refused) as refused:
        check_request(request_, WORKS)
    assert refused.value.code == code
    if code.startswith(("committee", "too-few")):
        assert (refused.value.cites, bool(refused.value.limit)) == (("ZB 37",), True)
