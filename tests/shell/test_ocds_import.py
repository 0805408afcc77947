"""Release packages of OCDS 1.1: real files import as they are; hostile ones are refused whole, with the place."""

import json
from hashlib import sha256
from typing import Any

import pytest

from node.domain.imported import Change, ImportState, LotImportAmended, LotImported, Money, Span, decide, evolve
from node.domain.refused import Refused
from node.domain.values import Recorded
from node.exchange.ocds import plan_import
from tests.shell.ocds_files import AMENDMENT, ASKED, TENDER, edited, only, tender_of


def test_the_real_tender_imports_with_its_own_status_its_own_currency_and_an_implicit_lot() -> None:
    plan = plan_import(TENDER)
    (step,) = plan.steps
    release = step.command.release
    assert step.stream == "import/ocds-213czf-000-00001"
    assert (release.ocid, release.release_id) == ("ocds-213czf-000-00001", "ocds-213czf-000-00001-02-tender")
    assert (release.released, release.released_at_ms) == ("2010-03-15T09:30:00Z", 1_268_645_400_000)
    assert (release.source_sha256, release.source_size) == (sha256(TENDER).digest(), len(TENDER))
    (lot,) = release.lots
    assert lot.implicit
    assert (lot.id, lot.status) == ("ocds-213czf-000-00001-01-tender", "active")
    assert (lot.value, lot.min_value) == (Money("1100000", "GBP"), Money("600000", "GBP"))
    assert release.tender.tender_period == Span("2010-03-01T09:00:00Z", "2010-04-01T18:00:00Z")
    assert [(one.name, one.roles) for one in release.organisations] == [
        ("London Borough of Barnet", ("buyer", "procuringEntity"))
    ]


def test_what_the_real_tender_says_and_a_lot_cannot_hold_is_listed_by_pointer() -> None:
    plan = plan_import(TENDER)
    assert set(plan.unmapped) == set(plan.steps[0].command.release.unmapped)
    assert {
        "/publisher/uid",
        "/releases/0/parties/0/contactPoint",
        "/releases/0/tender/items",
        "/releases/0/tender/submissionMethod",
        "/releases/0/tender/tenderPeriod/durationInDays",
        "/releases/0/tender/documents/0/format",
    } <= set(plan.unmapped)


def test_every_value_of_the_real_files_is_either_carried_or_listed() -> None:
    for body in (TENDER, AMENDMENT):
        plan = plan_import(body)
        carried = repr(plan.steps[0].command)

        def leaves(value: Any, pointer: str) -> list[tuple[str, Any]]:
            if isinstance(value, dict):
                return [leaf for key, member in value.items() for leaf in leaves(member, f"{pointer}/{key}")]
            if isinstance(value, list):
                return [leaf for index, member in enumerate(value) for leaf in leaves(member, f"{pointer}/{index}")]
            return [(pointer, value)]

        for pointer, value in leaves(json.loads(body), ""):
            listed = any(pointer == one or pointer.startswith(f"{one}/") for one in plan.unmapped)
            assert listed or str(value) in carried or pointer in {"/version", "/publishedDate"}, pointer


def test_no_contact_person_of_the_real_file_reaches_the_command() -> None:
    carried = repr(plan_import(TENDER).steps)
    assert "01234 345 346" not in carried
    assert "procurement-team@example.com" not in carried


def test_the_second_real_file_is_an_amendment_of_the_first() -> None:
    state = ImportState()
    events = []
    for body in (TENDER, AMENDMENT):
        for step in plan_import(body).steps:
            (event,) = decide(state, step.command, ASKED)
            state = evolve(state, event, Recorded(ASKED.at_ms, str(ASKED.actor), "a", len(events), b""))
            events.append(event)
    first, second = events
    assert isinstance(first, LotImported)
    assert isinstance(second, LotImportAmended)
    assert second.amends == "ocds-213czf-000-00001-02-tender"
    assert second.changes == (
        Change(
            "tender.tender_period",
            "2010-03-01T09:00:00Z – 2010-04-01T18:00:00Z",
            "2010-03-01T09:00:00Z – 2010-04-08T18:00:00Z",
        ),
        Change("documents[6.0]", "", "Enquiry Responses"),
        Change("amendments[1.0]", "", "The closing date for tender submissions has been extended to 2017-04-08"),
    )


@pytest.mark.parametrize(("first", "second", "code"), [(0, 0, "already-imported"), (1, 0, "older-release")])
def test_a_real_file_is_not_taken_twice_nor_after_the_one_that_amends_it(first: int, second: int, code: str) -> None:
    one, two = (plan_import((TENDER, AMENDMENT)[index]).steps[0].command for index in (first, second))
    (event,) = decide(ImportState(), one, ASKED)
    state = evolve(ImportState(), event, Recorded(0, "", "a", 0, b""))
    with pytest.raises(Refused) as refusal:
        decide(state, two, ASKED)
    assert refusal.value.code == code
    assert "ocds-213czf-000-00001-02-tender" in {refusal.value.value, *dict(refusal.value.facts).values()}


def test_both_real_releases_in_one_package_are_planned_oldest_first() -> None:
    package = json.loads(AMENDMENT)
    package["releases"].extend(json.loads(TENDER)["releases"])
    plan = plan_import(json.dumps(package).encode())
    assert [step.command.release.release_id[-6:] for step in plan.steps] == ["tender", "ndment"]


def test_lots_of_the_source_are_taken_instead_of_an_implicit_one() -> None:
    lots = [
        {"id": "LOT-1", "title": "North", "status": "active", "value": {"amount": 10.5, "currency": "EUR"}},
        {"id": 2, "title": "South", "status": "cancelled", "hasOptions": True},
    ]
    release = only(plan_import(edited(lambda package: tender_of(package).update(lots=lots))))
    assert [(lot.id, lot.status, lot.value, lot.implicit) for lot in release.lots] == [
        ("LOT-1", "active", Money("10.5", "EUR"), False),
        ("2", "cancelled", None, False),
    ]
    assert "/releases/0/tender/lots/1/hasOptions" in release.unmapped


@pytest.mark.parametrize(
    ("spelled", "amount"),
    [
        ("600000", "600000"),
        ("1100000.10", "1100000.10"),
        ("0.1", "0.1"),
        ("0.30000000000000004", "0.30000000000000004"),
        ("12E+3", "12000"),
        ("1.5e-3", "0.0015"),
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0.0"),
        ("999999999999999999.99", "999999999999999999.99"),
    ],
)
def test_an_amount_is_kept_exactly_as_a_plain_decimal(spelled: str, amount: str) -> None:
    body = TENDER.replace(b'"amount": 1100000', f'"amount": {spelled}'.encode())
    assert only(plan_import(body)).tender.value == Money(amount, "GBP")


@pytest.mark.parametrize("money", [{"amount": 5}, {"currency": "GBP"}, {}, {"amount": None, "currency": "GBP"}])
def test_an_amount_without_currency_or_the_reverse_is_listed_and_not_guessed(money: dict[str, Any]) -> None:
    release = only(plan_import(edited(lambda package: tender_of(package).update(value=money))))
    assert release.tender.value is None
    assert "/releases/0/tender/value" in release.unmapped


def test_a_member_that_is_null_is_left_out_and_listed() -> None:
    release = only(plan_import(edited(lambda package: tender_of(package).update(title=None, lots=None))))
    assert release.tender.title == ""
    assert {"/releases/0/tender/title", "/releases/0/tender/lots"} <= set(release.unmapped)


def test_a_text_too_long_to_carry_is_listed_and_not_cut() -> None:
    release = only(plan_import(edited(lambda package: tender_of(package).update(description="x" * 5001))))
    assert release.tender.description == ""
    assert "/releases/0/tender/description" in release.unmapped


def test_bidders_are_listed_and_not_carried_because_they_may_be_persons() -> None:
    bidder = {"id": "P-1", "name": "张三", "roles": ["tenderer"]}
    release = only(plan_import(edited(lambda package: package["releases"][0]["parties"].append(bidder))))
    assert "/releases/0/parties/1" in release.unmapped
    assert "张三" not in repr(release)


def test_a_buyer_that_is_no_party_is_still_carried() -> None:
    release = only(plan_import(edited(lambda package: package["releases"][0].pop("parties"))))
    assert [(one.name, one.roles) for one in release.organisations] == [("London Borough of Barnet", ("buyer",))]


def test_a_release_without_tender_is_listed_while_the_others_import() -> None:
    planning = {"ocid": "ocds-1", "id": "p", "date": "2010-01-01T00:00:00Z", "planning": {}}
    plan = plan_import(edited(lambda package: package["releases"].append(planning)))
    assert len(plan.steps) == 1
    assert "/releases/1" in plan.unmapped


def test_a_member_name_with_slash_and_tilde_is_escaped_in_its_pointer() -> None:
    release = only(plan_import(edited(lambda package: tender_of(package).update({"a/b~c": 1}))))
    assert "/releases/0/tender/a~1b~0c" in release.unmapped


def test_more_pointers_than_an_entry_should_hold_are_counted() -> None:
    extra = {f"x{index}": 1 for index in range(500)} | {"y" * 300: 1}
    plan = plan_import(edited(lambda package: tender_of(package).update(extra)))
    release = only(plan)
    assert len(release.unmapped) == 200
    assert len(release.unmapped) + release.unmapped_more == len(plan.unmapped)


def test_a_byte_order_mark_is_no_fault() -> None:
    assert only(plan_import(b"\xef\xbb\xbf" + TENDER)).ocid == "ocds-213czf-000-00001"
