"""Breaking the seals: nobody early, nobody for one bid only, nobody twice, and time runs from when it can (20号令 31)."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest

from node.domain import bidding, notice, opening, project, trustees, unsealing
from node.domain.refused import Refused
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.lot_story import D32, DEADLINE, NOTICE, PRICES, REFS, Story

A, B, C = REFS
HOLDERS = tuple(
    trustees.LotTrustee(f"p-{role}", f"body of the {role}", role, bytes([n]) * 32, bytes([n + 100]) * 32)
    for n, role in enumerate(trustees.ROLES)
)
TERMS = trustees.AppointTrustees("intl-1", "and", 3, HOLDERS)
OR = replace(TERMS, mode="or", rescue="三名以上保管人可以开启")
MINUTE = unsealing.MINUTE_MS


def noticed(terms: trustees.AppointTrustees = TERMS) -> Story:
    return Story().documented().do(terms).at("2026-03-02 09:00").do(NOTICE)


def started(terms: trustees.AppointTrustees = TERMS) -> Story:
    story = noticed(terms).at("2026-03-03 09:00")
    for ref in REFS:
        story.do(s.participation(ref), Role.BIDDER).do(s.bid(ref), Role.BIDDER)
    return story.at(DEADLINE).do(opening.StartOpening(("p-agency",)))


def bids(story: Story) -> tuple[unsealing.SetBid, ...]:
    return tuple(unsealing.SetBid(one.ref, one.sha256, sha256(one.sha256).digest()) for one in story.state.bidding.live)


def begun(terms: trustees.AppointTrustees = TERMS) -> Story:
    story = started(terms)
    return story.do(unsealing.BeginCeremony(D32, bids(story)))


def release(story: Story, number: int) -> unsealing.ReleaseShares:
    now = story.state.ceremony.begun
    return unsealing.ReleaseShares(now.no if now else 1, number, now.set_sha256 if now else D32, D32)


def half(story: Story, ref: str) -> unsealing.GiveHalf:
    now = story.state.ceremony.begun
    return unsealing.GiveHalf(now.no if now else 1, ref, now.set_sha256 if now else D32, D32)


def released(terms: trustees.AppointTrustees = TERMS, count: int = 3) -> Story:
    story = begun(terms)
    for number in range(1, count + 1):
        story.do(release(story, number))
    return story


def opens(ref: str) -> opening.OpenBid:
    return opening.OpenBid(ref, s.content(ref, PRICES[ref]), s.facts(ref), shares=((1, D32),), half=D32)


def fails(ref: str, fault: str = "bidder") -> opening.OpenBid:
    return opening.OpenBid(ref, None, s.facts(ref), fault, "half-missing", blames=(("bidder", "half-missing"),))


def code_of(story: Story, command: Any, role: Role = Role.AGENCY) -> str:
    with pytest.raises(Refused) as caught:
        story.when(command, role)
    return caught.value.code


TERMS_REFUSED: list[tuple[str, trustees.AppointTrustees, str]] = [
    ("two trustees are too few", replace(TERMS, trustees=HOLDERS[:2], t=2), "trustees-out-of-range"),
    ("two of five could be two groups of their own", replace(TERMS, t=2), "threshold-out-of-range"),
    ("six of five is no threshold", replace(TERMS, t=6), "threshold-out-of-range"),
    (
        "no person holds two shares",
        replace(TERMS, trustees=(*HOLDERS[:4], replace(HOLDERS[4], person=HOLDERS[0].person))),
        "stands-twice",
    ),
    (
        "no body holds two shares",
        replace(TERMS, trustees=(*HOLDERS[:4], replace(HOLDERS[4], body=HOLDERS[0].body))),
        "stands-twice",
    ),
    (
        "no key stands for two",
        replace(TERMS, trustees=(*HOLDERS[:4], replace(HOLDERS[4], key=HOLDERS[0].key))),
        "stands-twice",
    ),
    ("a seal of no profile", replace(TERMS, seal="plain"), "word-unknown"),
    ("mode or without the notice's words about it", replace(TERMS, mode="or"), "field-missing"),
]


@pytest.mark.parametrize(("what", "command", "code"), TERMS_REFUSED, ids=[row[0] for row in TERMS_REFUSED])
def test_trustees_are_refused_by_name(what: str, command: trustees.AppointTrustees, code: str) -> None:
    assert code_of(Story().documented(), command) == code


def test_trustees_are_fixed_before_the_notice_and_end_with_it() -> None:
    assert code_of(Story().noticed(), TERMS) == "notice-is-out"
    story = noticed().do(notice.WithdrawNotice("更正"))
    assert story.state.terms.appointed is None


def test_the_course_of_a_ceremony() -> None:
    story = started()
    assert unsealing.phase(story.state) == "sealed"
    assert code_of(story, opens(A)) == "no-ceremony"
    story.do(unsealing.BeginCeremony(D32, bids(story)))
    assert unsealing.phase(story.state) == "releasing"
    for number in (5, 1, 2):
        story.do(release(story, number))
    assert unsealing.phase(story.state) == "decrypting"
    for ref in (C, A, B):
        story.do(half(story, ref))
    for ref in REFS:
        story.do(opens(ref))
    assert unsealing.phase(story.state) == "opened"
    assert [one.ref for one in story.state.ceremony.broken] == list(REFS)
    for ref in REFS:
        story.do(opening.AnnounceBid(ref))
    story.do(opening.ConfirmOpening(("p-agency",)))
    assert unsealing.phase(story.state) == "minutes"


REFUSED: list[tuple[str, Callable[[], Story], Callable[[Story], Any], str]] = [
    ("a release before the ceremony", started, lambda st: release(st, 1), "release-early"),
    (
        "a release for the ceremony before this one",
        lambda: (st := begun()).do(unsealing.BeginCeremony(bytes(32), bids(st))),
        lambda st: replace(release(st, 1), ceremony=1),
        "another-ceremony",
    ),
    (
        "a release over another set",
        begun,
        lambda st: replace(release(st, 1), set_sha256=D32),
        "release-over-another-set",
    ),
    ("a release by nobody appointed", begun, lambda st: release(st, 6), "holder-unknown"),
    ("a second release", released, lambda st: release(st, 1), "released-already"),
    ("a half before the shares", begun, lambda st: half(st, A), "half-early"),
    ("a half for no bid", released, lambda st: half(st, "P-ZZZZ99"), "unknown-bid"),
    (
        "a half for another set",
        released,
        lambda st: replace(half(st, A), set_sha256=D32),
        "release-over-another-set",
    ),
    (
        "a ceremony over a set with one bid less",
        started,
        lambda st: unsealing.BeginCeremony(D32, bids(st)[:2]),
        "set-differs",
    ),
    (
        "a ceremony over a set with a file that was not received",
        started,
        lambda st: unsealing.BeginCeremony(D32, (*bids(st)[:2], replace(bids(st)[2], file_sha256=D32))),
        "set-differs",
    ),
    ("a seal before its bidder's time is over", released, lambda _st: fails(A), "half-may-come"),
    (
        "a file given up by one person",
        started,
        lambda _st: unsealing.GiveUpFile(A, "", "没有"),
        "second-person-missing",
    ),
    (
        "a file given up without a reason",
        started,
        lambda _st: unsealing.GiveUpFile(A, "supervisor:S-1", " "),
        "field-missing",
    ),
    (
        "a file given up that nobody handed in",
        started,
        lambda _st: unsealing.GiveUpFile("P-ZZZZ99", "supervisor:S-1", "没有"),
        "unknown-bid",
    ),
    (
        "a file given up twice",
        lambda: started().do(unsealing.GiveUpFile(A, "supervisor:S-1", "没有")),
        lambda _st: unsealing.GiveUpFile(A, "supervisor:S-1", "没有"),
        "file-given-up-already",
    ),
    (
        "a file given up before the opening",
        noticed,
        lambda _st: unsealing.GiveUpFile(A, "supervisor:S-1", "没有"),
        "not-opened",
    ),
    ("a seal before the trustees' time is over", begun, lambda _st: fails(A, "platform"), "shares-may-come"),
]


@pytest.mark.parametrize(("what", "given", "make", "code"), REFUSED, ids=[row[0] for row in REFUSED])
def test_what_a_ceremony_refuses_it_names(
    what: str, given: Callable[[], Story], make: Callable[[Story], Any], code: str
) -> None:
    story = given()
    assert code_of(story, make(story)) == code


def test_without_trustees_there_is_no_ceremony_and_seals_break_as_before() -> None:
    story = Story().bid(3).at(DEADLINE).do(opening.StartOpening(("p-agency",)))
    assert code_of(story, unsealing.BeginCeremony(D32, bids(story))) == "no-trustees"
    assert unsealing.phase(story.state) == ""
    story.do(opening.OpenBid(A, s.content(A, PRICES[A]), s.facts(A)))


def test_the_bidders_time_runs_from_the_release_that_made_them_enough_and_no_later_one_moves_it() -> None:
    story = released()
    until = unsealing.half_until_ms(story.state, s.WORKS)
    story.at(DEADLINE + 20 * MINUTE).do(release(story, 4))
    assert unsealing.half_until_ms(story.state, s.WORKS) == until == DEADLINE + 30 * MINUTE
    story.at(until - 1).do(half(story, A))
    assert code_of(story.at(until), half(story, B)) == "half-late"
    story.do(opens(A)).do(fails(B))
    assert [(one.ref, one.party, one.why) for one in story.state.ceremony.blamed] == [(B, "bidder", "half-missing")]
    assert story.state.opening.failed[0].effect == "revoked"
    assert code_of(story, half(story, A)) == "half-late"


def test_trustees_who_withhold_do_not_stop_the_record() -> None:
    story = begun()
    story.do(release(story, 1)).at(DEADLINE + 30 * MINUTE)
    story.do(replace(fails(A, "platform"), blames=(("trustee-2", "withheld"),)))
    assert story.state.opening.failed[0].effect == "withdrawn"


def test_in_mode_or_three_trustees_or_the_bidder_alone_suffice() -> None:
    released(OR).do(opens(A))
    story = begun(OR)
    story.do(half(story, A)).do(opens(A))
    assert code_of(story, opens(B)) == "shares-may-come"


def test_a_lost_key_begins_the_ceremony_anew_with_everybody_releasing_again() -> None:
    story = released()
    story.do(half(story, A))
    story.do(unsealing.BeginCeremony(bytes(32), bids(story)))
    state = story.state.ceremony
    assert (state.begun.no if state.begun else 0, state.released, state.halves) == (2, (), ())


def test_a_release_after_everything_is_open_is_late() -> None:
    story = released()
    for ref in REFS:
        story.do(half(story, ref))
    for ref in REFS:
        story.do(opens(ref))
    assert code_of(story, release(story, 4)) == "release-late"
    assert code_of(story, unsealing.BeginCeremony(D32, bids(story))) == "seals-all-tried"


def test_a_withdrawn_bid_is_a_tombstone_outside_the_set() -> None:
    story = noticed().at("2026-03-03 09:00")
    refs = (*REFS, "P-DDDD44")
    for ref in refs:
        story.do(s.participation(ref), Role.BIDDER).do(s.bid(ref), Role.BIDDER)
    story.do(bidding.WithdrawBid("P-DDDD44", "不再参加"), Role.BIDDER).at(DEADLINE)
    story.do(opening.StartOpening(("p-agency",))).do(unsealing.BeginCeremony(D32, bids(story)))
    begun_now = story.state.ceremony.begun
    assert begun_now is not None
    assert [one.ref for one in begun_now.bids] == list(REFS)
    held = story.state.bidding.of("P-DDDD44")
    assert held is not None
    assert held.withdrawn


def test_the_sets_digest_follows_every_part_and_not_the_order() -> None:
    one = (unsealing.SetBid(A, D32, D32), unsealing.SetBid(B, bytes(32), D32))
    digest = unsealing.set_digest("LOT", 1, one)
    assert unsealing.set_digest("LOT", 1, one[::-1]) == digest
    others = [
        unsealing.set_digest("LOT", 2, one),
        unsealing.set_digest("LOT2", 1, one),
        unsealing.set_digest("LOT", 1, one[:1]),
        unsealing.set_digest("LOT", 1, (one[0], replace(one[1], manifest_sha256=bytes(32)))),
    ]
    assert len({digest, *others}) == 5


def _under(profile_id: str) -> Story:
    story = Story().at("2026-03-02 08:00").do(replace(s.REGISTER, profile_id=profile_id))
    story.do(project.SubmitFiling(D32, "方案")).do(project.DecideFiling("no-problem", ""), Role.SUPERVISOR)
    return story.do(s.DOCUMENTS)


def test_the_newer_version_of_the_procedure_asks_for_trustees_before_the_notice_and_the_older_one_does_not() -> None:
    story = _under("works-2").at("2026-03-02 09:00")
    with pytest.raises(Refused) as caught:
        story.do(NOTICE)
    refused = caught.value
    assert (refused.code, refused.rule, refused.limit) == ("trustees-not-appointed", "trustees-required", "3")
    assert "20号令 30" in refused.cites
    assert dict(refused.facts)["confirmed"] == "no"  # a local reviewer confirms it before use
    story.do(TERMS).do(NOTICE)
    assert story.state.notice.published is not None
    assert _under("works").at("2026-03-02 09:00").do(NOTICE).state.notice.published is not None


def test_the_newer_version_is_the_older_one_and_one_rule_more() -> None:
    assert {*s.WORKS_2.rules} - {*s.WORKS.rules} == {"trustees-required"}
    assert all(s.WORKS_2.rule(rule_id) == rule for rule_id, rule in s.WORKS.rules.items())
    assert (s.WORKS_2.stages, s.WORKS_2.version) == (s.WORKS.stages, 2)
    assert s.WORKS_2.sha256 != s.WORKS.sha256
