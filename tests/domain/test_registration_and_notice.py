"""E01 to E06: registration, filing, documents, notice, amendments, participation."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from node.domain import lot, notice, project, streams
from node.domain.profile import Rule, Unit
from node.domain.refused import Refused
from node.domain.values import Role
from tests.domain import lot_story as s
from tests.domain.lot_story import BOND, D32, DOCUMENTS, NOTICE, REGISTER, SCHEME, Story, ms

Given = Callable[[], Story]
BAD_USCC = "91350203M0001QAY9B"  # seen in the wild with a wrong check character

REFUSED: list[tuple[str, Given, Any, Role, str, str]] = [
    # what it says, given, command, role, code, rule
    ("a lot is registered once", lambda: Story().registered(), REGISTER, Role.AGENCY, "lot-registered-already", ""),
    ("nothing happens before the registration", Story, DOCUMENTS, Role.AGENCY, "lot-not-registered", ""),
    *(
        (f"a registration with {says} is refused", Story, replace(REGISTER, **changes), Role.AGENCY, code, "")
        for says, changes, code in (
            ("an unknown profile", {"profile_id": "land"}, "word-unknown"),
            ("an unknown category", {"category": "art"}, "word-unknown"),
            ("an unknown method", {"method": "secret"}, "word-unknown"),
            ("a blank name", {"lot_name": " "}, "field-missing"),
            ("no approval", {"approval_ref": ""}, "approval-or-funds-missing"),
            ("no funds", {"funds_ref": ""}, "approval-or-funds-missing"),
            ("an agency without a contract", {"agency_contract_ref": ""}, "agency-contract-missing"),
            ("the tenderer as its own agency", {"agency_uscc": REGISTER.tenderer_uscc}, "agency-is-tenderer"),
            ("no estimate", {"estimate_fen": 0}, "estimate-missing"),
            ("a short lot code", {"lot_code": "A532924000000000100100"}, "code-malformed"),
            ("a lot code of another tender project", {"lot_code": "A5329240000000001002001"}, "codes-do-not-nest"),
            ("a short project code", {"project_code": "A532924"}, "code-malformed"),
            ("a short tender project code", {"tender_project_code": "A532924"}, "code-malformed"),
            ("a region in words", {"region": "宾川"}, "code-malformed"),
            ("a deal code without shape", {"deal_code": "A01"}, "code-malformed"),
            ("a trade class without shape", {"trade_class": "工程"}, "code-malformed"),
            ("a credit code that is too short", {"tenderer_uscc": "9135"}, "code-malformed"),
            ("a wrong check digit nobody confirmed", {"agency_uscc": BAD_USCC}, "code-needs-second-person"),
            (
                "a wrong check digit confirmed by the asker alone",
                {"agency_uscc": BAD_USCC, "warnings_confirmed_by": s.PEOPLE[Role.AGENCY]},
                "code-needs-second-person",
            ),
        )
    ),
    (
        "a filing names its plan by digest",
        Story().registered,
        project.SubmitFiling(b"", ""),
        Role.AGENCY,
        "digest-malformed",
        "",
    ),
    (
        "one filing at a time",
        lambda: Story().registered().do(project.SubmitFiling(D32, "")),
        project.SubmitFiling(D32, ""),
        Role.AGENCY,
        "filing-pending",
        "",
    ),
    (
        "a settled filing is not filed again",
        lambda: Story().filed(),
        project.SubmitFiling(D32, ""),
        Role.AGENCY,
        "filing-settled",
        "",
    ),
    (
        "nobody decides a filing that was not made",
        lambda: Story().registered(),
        project.DecideFiling("no-problem", ""),
        Role.SUPERVISOR,
        "no-filing-to-decide",
        "",
    ),
    (
        "an unknown outcome of a filing is refused",
        lambda: Story().registered().do(project.SubmitFiling(D32, "")),
        project.DecideFiling("fine", ""),
        Role.SUPERVISOR,
        "word-unknown",
        "",
    ),
    (
        "sending a filing back needs an opinion",
        lambda: Story().registered().do(project.SubmitFiling(D32, "")),
        project.DecideFiling("rectify", ""),
        Role.SUPERVISOR,
        "field-missing",
        "",
    ),
    *(
        (
            f"documents with {says} are refused",
            lambda: Story().filed(),
            replace(DOCUMENTS, **changes),
            Role.AGENCY,
            code,
            rule,
        )
        for says, changes, code, rule in (
            ("no digest", {"documents_sha256": b""}, "digest-malformed", ""),
            ("a negative control price", {"control_price_fen": -1}, "number-out-of-range", ""),
            ("no validity", {"validity_days": 0}, "number-out-of-range", ""),
            ("prequalification", {"prequalification": True}, "prequalification-not-offered", ""),
            ("a bond above 2 %", {"bond": replace(BOND, amount_fen=20_000_001)}, "bond-above-cap", "bond-cap-percent"),
            ("a negative bond", {"bond": replace(BOND, amount_fen=-1)}, "number-out-of-range", ""),
            ("a bond in no form", {"bond": replace(BOND, forms=())}, "bond-form-missing", "bond-forms"),
            (
                "a bond in a form of its own",
                {"bond": replace(BOND, forms=("cash",))},
                "bond-form-not-allowed",
                "bond-forms",
            ),
            ("a bond form twice", {"bond": replace(BOND, forms=("cheque", "cheque"))}, "stands-twice", ""),
        )
    ),
    *(
        (
            f"a scheme with {says} is refused",
            lambda: Story().filed(),
            replace(DOCUMENTS, scheme=replace(SCHEME, **changes)),
            Role.AGENCY,
            code,
            rule,
        )
        for says, changes, code, rule in (
            ("no name", {"name": ""}, "field-missing", ""),
            ("one criterion twice", {"criteria": (SCHEME.criteria[0],) * 2}, "stands-twice", ""),
            (
                "an empty criterion",
                {"criteria": (replace(SCHEME.criteria[0], full_centi=0),)},
                "criterion-without-marks",
                "",
            ),
            ("no step", {"criteria": (replace(SCHEME.criteria[0], step_centi=0),)}, "step-does-not-divide", ""),
            (
                "a step that does not divide",
                {"criteria": (replace(SCHEME.criteria[0], step_centi=300),)},
                "step-does-not-divide",
                "",
            ),
            ("an unknown group", {"criteria": (replace(SCHEME.criteria[0], group="price"),)}, "word-unknown", ""),
            ("an unknown kind", {"criteria": (replace(SCHEME.criteria[0], kind="drawn"),)}, "word-unknown", ""),
            (
                "no words of the standard",
                {"criteria": (replace(SCHEME.criteria[0], standard=""),)},
                "field-missing",
                "",
            ),
            ("no preliminary review", {"checks": ()}, "checks-missing", ""),
            ("one check twice", {"checks": (SCHEME.checks[0],) * 2}, "stands-twice", ""),
            ("an unknown kind of check", {"checks": (replace(SCHEME.checks[0], kind="price"),)}, "word-unknown", ""),
            (
                "an unlisted ground",
                {"checks": (replace(SCHEME.checks[0], ground="taste"),)},
                "ground-unknown",
                "rejection-grounds",
            ),
            ("an unknown aggregation", {"aggregation": "median"}, "word-unknown", ""),
            ("trimming that leaves nobody", {"trim_from": 2}, "trim-too-few", ""),
            ("no candidates", {"candidates": 0}, "candidates-out-of-range", "candidates-max"),
            ("four candidates", {"candidates": 4}, "candidates-out-of-range", "candidates-max"),
            ("an unknown price method", {"price": notice.PriceMethod("guess", "30")}, "word-unknown", ""),
        )
    ),
    (
        "documents are amended, not issued, once the notice is out",
        lambda: Story().noticed(),
        DOCUMENTS,
        Role.AGENCY,
        "notice-is-out",
        "",
    ),
    ("one notice a round", lambda: Story().noticed(), NOTICE, Role.AGENCY, "notice-is-out", ""),
    ("no notice before the filing", lambda: Story().registered(), NOTICE, Role.AGENCY, "not-filed", ""),
    ("no notice without documents", lambda: Story().filed(), NOTICE, Role.AGENCY, "no-documents", ""),
    *(
        (
            f"a notice with {says} is refused",
            lambda: Story().documented(),
            replace(NOTICE, **changes),
            Role.AGENCY,
            code,
            rule,
        )
        for says, changes, code, rule in (
            ("no medium", {"media": ()}, "media-missing", ""),
            ("one medium twice", {"media": ("甲", "甲")}, "stands-twice", ""),
            ("another text than its digest", {"text": "别的公告"}, "text-differs", ""),
            ("no place", {"opening_place": ""}, "field-missing", ""),
            ("four days of sale", {"sale_to_ms": ms("2026-03-06 17:00")}, "sale-too-short", "documents-sale-min-days"),
            ("a sale beyond the deadline", {"sale_to_ms": ms("2026-04-10 17:00")}, "sale-after-deadline", ""),
            (
                "nineteen days to bid",
                {"deadline_ms": ms("2026-03-21 09:30")},
                "deadline-too-early",
                "issue-to-deadline-min-days",
            ),
            ("a deadline before the bond's", {"deadline_ms": ms("2026-03-23 09:00")}, "bond-deadline-wrong", ""),
        )
    ),
    (
        "no notice, no withdrawal of it",
        lambda: Story().filed(),
        notice.WithdrawNotice("错误"),
        Role.AGENCY,
        "no-notice",
        "",
    ),
    (
        "a withdrawal has a reason",
        lambda: Story().noticed(),
        notice.WithdrawNotice(""),
        Role.AGENCY,
        "field-missing",
        "",
    ),
    (
        "a notice is not withdrawn after the deadline",
        lambda: Story().noticed().at(s.DEADLINE),
        notice.WithdrawNotice("错误"),
        Role.AGENCY,
        "deadline-passed",
        "",
    ),
    (
        "no notice, no amendment",
        lambda: Story().documented(),
        notice.AmendDocuments(D32, "改", False),
        Role.AGENCY,
        "no-notice",
        "",
    ),
    (
        "documents are not amended at the deadline",
        lambda: Story().noticed().at(s.DEADLINE),
        notice.AmendDocuments(D32, "改", False),
        Role.AGENCY,
        "deadline-passed",
        "",
    ),
    (
        "an amendment names its documents by digest",
        lambda: Story().noticed(),
        notice.AmendDocuments(b"", "改", False),
        Role.AGENCY,
        "digest-malformed",
        "",
    ),
    (
        "an amendment has a text",
        lambda: Story().noticed(),
        notice.AmendDocuments(D32, "", False),
        Role.AGENCY,
        "field-missing",
        "",
    ),
    (
        "a deadline never moves back",
        lambda: Story().noticed(),
        notice.AmendDocuments(D32, "改", False, ms("2026-03-22 09:30")),
        Role.AGENCY,
        "deadline-moved-back",
        "",
    ),
    (
        "thirteen days after an amendment that matters are too few",
        lambda: Story().noticed().at("2026-03-10 09:00"),
        notice.AmendDocuments(D32, "改", affects_bids=True),
        Role.AGENCY,
        "amendment-needs-extension",
        "amendment-before-deadline-min-days",
    ),
    (
        "documents are taken after the notice",
        lambda: Story().filed(),
        s.participation("P-AAAA11"),
        Role.BIDDER,
        "no-notice",
        "",
    ),
    (
        "documents are not sold after the sale",
        lambda: Story().noticed().at("2026-03-10 17:01"),
        s.participation("P-AAAA11"),
        Role.BIDDER,
        "documents-not-on-sale",
        "",
    ),
    ("a ref is not a name", lambda: Story().noticed(), s.participation("某某公司"), Role.BIDDER, "ref-malformed", ""),
    ("a ref is taken once", lambda: Story().taken(), s.participation("P-AAAA11"), Role.BIDDER, "ref-taken", ""),
    (
        "who takes the documents is committed",
        lambda: Story().noticed(),
        replace(s.participation("P-AAAA11"), commitment=b""),
        Role.BIDDER,
        "digest-malformed",
        "",
    ),
    (
        "who takes the documents is sealed",
        lambda: Story().noticed(),
        replace(s.participation("P-AAAA11"), sealed=b""),
        Role.BIDDER,
        "identity-not-sealed",
        "",
    ),
]


@pytest.mark.parametrize("row", REFUSED, ids=[row[0] for row in REFUSED])
def test_refusals_from_registration_to_participation(row: Any) -> None:
    _, given, command, role, code, rule = row
    story = given()
    before = story.state
    with pytest.raises(Refused) as refusal:
        story.when(command, role)
    assert refusal.value.code == code
    if rule:
        assert refusal.value.rule == rule
        assert refusal.value.cites == s.WORKS.rule(rule).cites
    assert story.state == before


def test_a_wrong_check_digit_is_accepted_when_a_second_person_confirms() -> None:
    (event,) = Story().when(replace(REGISTER, agency_uscc=BAD_USCC, warnings_confirmed_by="p-second"))
    assert event.warnings
    assert event.warnings_confirmed_by == "p-second"


def test_a_refusal_of_wrong_check_characters_names_field_and_character() -> None:
    with pytest.raises(Refused) as refusal:
        Story().when(replace(REGISTER, agency_uscc=BAD_USCC, deal_code=REGISTER.deal_code[:-1] + "D"))
    assert "agency_uscc: check-character-wrong B, expected 9" in refusal.value.value
    assert "deal_code: check-character-wrong D, expected C" in refusal.value.value


def test_a_clean_registration_names_the_text_it_is_judged_by() -> None:
    (event,) = Story().when(replace(REGISTER, warnings_confirmed_by="p-second"))
    assert (event.profile_version, event.profile_sha256) == (s.WORKS.version, s.WORKS.sha256)
    assert (event.warnings, event.warnings_confirmed_by, event.owner_node) == ((), "", "a")


def test_a_lot_registers_on_its_own_stream_only() -> None:
    asked = Story().asked()
    assert streams.decide(f"lot/{REGISTER.lot_code}", lot.LotState(), REGISTER, asked)
    with pytest.raises(Refused, match="lot-code-differs"):
        streams.decide("lot/A5329240000000001001002", lot.LotState(), REGISTER, asked)


def test_a_lot_without_agency_registers() -> None:
    (event,) = Story().when(replace(REGISTER, agency_uscc="", agency_name="", agency_contract_ref=""), Role.TENDERER)
    assert event.agency_uscc == ""


def test_a_filing_that_must_be_rectified_is_filed_again_and_then_lets_the_notice_out() -> None:
    story = Story().registered().do(project.SubmitFiling(D32, ""))
    story.do(project.DecideFiling("rectify", "补充材料"), Role.SUPERVISOR)
    assert lot.stage(story.state) == "registered"
    story.do(project.SubmitFiling(D32, "")).do(project.DecideFiling("no-problem", ""), Role.SUPERVISOR)
    assert lot.stage(story.state) == "filed"
    assert lot.stage(story.do(DOCUMENTS).at("2026-03-02 09:00").do(NOTICE).state) == "docs_out"


def test_a_bond_above_800000_yuan_is_refused_even_within_2_percent() -> None:
    story = Story().do(replace(REGISTER, estimate_fen=100_000_000_000))
    with pytest.raises(Refused) as refusal:
        story.when(replace(DOCUMENTS, bond=replace(BOND, amount_fen=80_000_001)))
    assert (refusal.value.rule, refusal.value.limit) == ("bond-cap-works", "80000000")
    assert ("confirmed", "no") in refusal.value.facts
    assert story.when(replace(DOCUMENTS, bond=replace(BOND, amount_fen=80_000_000)))


def test_the_share_of_the_estimate_is_rounded_down() -> None:
    story = Story().do(replace(REGISTER, estimate_fen=149))
    assert story.when(replace(DOCUMENTS, bond=replace(BOND, amount_fen=2)))
    with pytest.raises(Refused, match="bond-cap-percent allows 2"):
        story.when(replace(DOCUMENTS, bond=replace(BOND, amount_fen=3)))


def test_documents_without_a_bond_need_no_form_and_no_bond_deadline() -> None:
    story = Story().documented(bond=notice.BondTerms(0, (), 0)).at("2026-03-02 09:00").do(NOTICE)
    assert story.state.notice.deadline_ms == s.DEADLINE


def test_t1_twenty_days_that_end_on_a_sunday_roll_to_monday() -> None:
    story = Story().documented().at("2026-03-02 09:00")
    with pytest.raises(Refused) as refusal:
        story.when(replace(NOTICE, deadline_ms=ms("2026-03-22 09:00"), sale_to_ms=ms("2026-03-09 17:00")))
    assert refusal.value.limit.startswith("2026-03-23")
    assert story.when(NOTICE)


def test_t2_an_amendment_on_10_march_names_25_march_as_the_earliest_deadline() -> None:
    story = Story().noticed().at("2026-03-10 09:00")
    with pytest.raises(Refused) as refusal:
        story.when(notice.AmendDocuments(D32, "改", affects_bids=True))
    assert refusal.value.limit.startswith("2026-03-25")
    (event,) = story.when(notice.AmendDocuments(D32, "改", True, ms("2026-03-25 09:30")))
    assert (event.no, event.deadline_ms) == (1, ms("2026-03-25 09:30"))


def test_an_amendment_that_changes_nothing_for_bids_needs_no_days() -> None:
    story = Story().noticed().at("2026-03-20 09:00").do(notice.AmendDocuments(b"\x02" * 32, "改错字", False))
    assert story.state.notice.deadline_ms == s.DEADLINE
    assert story.state.notice.documents_sha256 == b"\x02" * 32
    assert lot.stage(story.state) == "clarified"


def test_a_bond_due_with_the_bids_stays_due_with_the_bids_when_the_deadline_moves() -> None:
    later = ms("2026-03-30 09:30")
    story = Story().noticed().do(notice.AmendDocuments(D32, "延期", False, later))
    assert story.state.notice.bond_deadline_ms == later
    earlier = replace(BOND, deadline_ms=ms("2026-03-20 17:00"))
    story = Story().documented(bond=earlier).at("2026-03-02 09:00").do(NOTICE)
    story.do(notice.AmendDocuments(D32, "延期", False, later))
    assert story.state.notice.bond_deadline_ms == earlier.deadline_ms


def test_the_edges_of_what_is_allowed_are_allowed() -> None:
    edges = replace(SCHEME, trim_from=3, candidates=1)
    story = Story().filed().do(replace(DOCUMENTS, scheme=edges, control_price_fen=0)).at("2026-03-02 09:00")
    story.do(replace(NOTICE, sale_to_ms=s.DEADLINE)).at(s.DEADLINE)
    assert story.when(s.participation("P-AAAA11"), Role.BIDDER)


def test_a_share_of_the_control_price_needs_one() -> None:
    mixed = notice.PriceMethod("benchmark", "30", w="0.4", k="0.05", above="1", below="0.5")
    command = replace(DOCUMENTS, scheme=replace(SCHEME, price=mixed))
    assert Story().filed().when(command)
    with pytest.raises(Refused, match="control-missing"):
        Story().filed().when(replace(command, control_price_fen=0))


def test_a_bond_is_due_after_the_notice() -> None:
    story = Story().documented(bond=replace(BOND, deadline_ms=ms("2026-03-02 09:00"))).at("2026-03-02 09:00")
    with pytest.raises(Refused, match="bond-deadline-wrong"):
        story.when(NOTICE)


def test_a_period_runs_from_the_notice_even_if_the_sale_is_said_to_have_begun_before() -> None:
    story = Story().documented().at("2026-03-05 09:00")
    with pytest.raises(Refused) as refusal:
        story.when(NOTICE)
    assert refusal.value.limit.startswith("2026-03-25")


@pytest.mark.parametrize(("count", "accepted"), [(0, False), (2, False), (3, True)])
def test_an_invited_tender_invites_three_and_the_count_stays_out_of_the_log(count: int, accepted: bool) -> None:
    story = Story().do(replace(REGISTER, method="invited")).do(project.SubmitFiling(D32, ""))
    story.do(project.DecideFiling("no-problem", ""), Role.SUPERVISOR).do(DOCUMENTS).at("2026-03-02 09:00")
    command = replace(NOTICE, invited_count=count)
    if accepted:
        (event,) = story.when(command)
        assert not hasattr(event, "invited_count")
        return
    with pytest.raises(Refused) as refusal:
        story.when(command)
    assert refusal.value.rule == "invitation-min"


def test_a_withdrawn_notice_goes_back_to_documents_with_exception_type_3_and_voids_what_came_in() -> None:
    story = Story().bid().do(notice.WithdrawNotice("公告内容有误"))
    assert story.events[-1].exception_type == 3
    assert lot.stage(story.state) == "filed"
    assert not story.state.bidding.bids
    assert not story.state.notice.participants
    assert story.state.notice.documents is None
    story.do(DOCUMENTS).at("2026-03-20 09:00")
    with pytest.raises(Refused, match="documents-sale-min-days allows 2026-03-25"):
        story.when(NOTICE)


def test_a_retender_files_again_where_the_profile_asks_for_it() -> None:
    strict = replace(
        s.WORKS,
        rules={**s.WORKS.rules, "retender-refiling": Rule("retender-refiling", True, Unit.FLAG, ("ZBT 7",), False)},
    )
    story = (
        Story().bid(2).at(s.DEADLINE).do(project.DeclareRoundFailed("不足三家")).do(project.StartRetender("二次招标"))
    )
    asked = story.asked()
    assert project.filed(story.state.project, asked)
    strictly = replace(asked, profiles=(strict,))
    assert not project.filed(story.state.project, strictly)
    refile = lot.decide(story.state, project.SubmitFiling(D32, "第二次"), strictly)
    story.given(*refile).do(project.DecideFiling("rectify", "补充"), Role.SUPERVISOR)
    assert not project.filed(story.state.project, strictly)
    story.do(project.SubmitFiling(D32, "")).do(project.DecideFiling("no-problem", ""), Role.SUPERVISOR)
    assert project.filed(story.state.project, strictly)
