"""Release packages of OCDS 1.1: real files import as they are; hostile ones are refused whole, with the place."""

import copy
import json
from collections.abc import Callable
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.imported import Change, ImportState, LotImportAmended, LotImported, Money, Span, decide, evolve
from node.domain.refused import Refused
from node.domain.values import Actor, Asked, ClockQuality, Recorded, Role
from node.exchange.ocds import ImportPlan, plan_import
from node.exchange.strict_json import MAX_BYTES, read_json

DATA = Path(__file__).parent.parent / "data" / "ocds"
TENDER = (DATA / "ocds-213czf-000-00001-02-tender.json").read_bytes()
AMENDMENT = (DATA / "ocds-213czf-000-00001-03-tenderAmendment.json").read_bytes()
ASKED = Asked(
    at_ms=1_772_413_200_000,
    clock_quality=ClockQuality.SYNCHRONISED,
    actor=Actor("p-1", Role.OPERATOR),
    profiles=(),
    calendar=None,
    look=lambda _stream: None,
)

# -- the two real files -----------------------------------------------------------------------------------------------------


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


# -- variations --------------------------------------------------------------------------------------------------------------

Edit = Callable[[dict[str, Any]], Any]


def edited(edit: Edit) -> bytes:
    package = copy.deepcopy(json.loads(TENDER))
    edit(package)
    return json.dumps(package).encode()


def tender_of(package: dict[str, Any]) -> dict[str, Any]:
    tender: dict[str, Any] = package["releases"][0]["tender"]
    return tender


def only(plan: ImportPlan) -> Any:
    (step,) = plan.steps
    return step.command.release


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


# -- hostile files -----------------------------------------------------------------------------------------------------------

NUMBER = b'"amount": 1100000'
TITLE = b'"title": "Planned cycle lane improvements"'
BYTES: list[tuple[str, bytes, str, str]] = [
    ("nothing", b"", "not-json", "/"),
    ("HTML", b"\n<!DOCTYPE html><html></html>", "not-json", "/"),
    ("a truncated file", TENDER[: len(TENDER) // 2], "not-json", "/"),
    ("a file cut in a string", TENDER[: TENDER.index(b"London") + 3], "not-json", "/"),
    ("a file cut after a backslash", b'{"a": "\\', "not-json", "/"),
    ("two documents", TENDER + b"{}", "not-json", "/"),
    ("bytes that are not UTF-8", TENDER.replace(b"London", b"L\xf6ndon", 1), "not-utf8", "/"),
    ("UTF-16", TENDER.decode().encode("utf-16"), "not-utf8", "/"),
    ("GBK", json.dumps({"标题": "县"}, ensure_ascii=False).encode("gbk"), "not-utf8", "/"),
    ("too many bytes", b" " * (MAX_BYTES + 1), "file-too-large", "/"),
    ("lists in lists", b"[" * 100_000, "nested-too-deep", "/"),
    ("objects in objects", b'{"a":' * 100_000, "nested-too-deep", "/"),
    ("a million empty lists", b"[" + b"[]," * 1_000_000 + b"[]]", "too-many-values", "/"),
    ("a million numbers", b'{"a": [' + b"0," * 1_000_000 + b"0]}", "too-many-values", "/"),
    (
        "deep nesting inside a release",
        TENDER.replace(NUMBER, b'"amount": ' + b"[" * 40 + b"]" * 40),
        "nested-too-deep",
        "/",
    ),
    (
        "a key twice",
        TENDER.replace(NUMBER, b'"amount": 1, ' + NUMBER),
        "key-repeated",
        "/releases/0/tender/value/amount",
    ),
    (
        "an ocid twice",
        TENDER.replace(b'"ocid":', b'"ocid": "ocds-other", "ocid":', 1),
        "key-repeated",
        "/releases/0/ocid",
    ),
    (
        "1e999999",
        TENDER.replace(NUMBER, b'"amount": 1e999999'),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    (
        "an exponent that is a bomb itself",
        TENDER.replace(NUMBER, b'"amount": 1e' + b"9" * 30),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    (
        "a number of ten thousand digits",
        TENDER.replace(NUMBER, b'"amount": ' + b"9" * 10_000),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    ("NaN", TENDER.replace(NUMBER, b'"amount": NaN'), "number-out-of-range", "/releases/0/tender/value/amount"),
    (
        "Infinity",
        TENDER.replace(NUMBER, b'"amount": -Infinity'),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    (
        "an amount of 19 digits",
        TENDER.replace(NUMBER, b'"amount": 1000000000000000000'),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    (
        "a negative amount",
        TENDER.replace(NUMBER, b'"amount": -1'),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    (
        "21 places",
        TENDER.replace(NUMBER, b'"amount": 0.' + b"1" * 21),
        "number-out-of-range",
        "/releases/0/tender/value/amount",
    ),
    ("a raw control character", TENDER.replace(TITLE, b'"title": "a\x01b"'), "not-json", "/"),
    (
        "an escaped control character",
        TENDER.replace(TITLE, b'"title": "a\\u0000b"'),
        "control-character",
        "/releases/0/tender/title",
    ),
    (
        "half a surrogate pair",
        TENDER.replace(TITLE, b'"title": "\\ud800"'),
        "control-character",
        "/releases/0/tender/title",
    ),
    ("a control character in a key", TENDER.replace(b'"title"', b'"ti\\u001btle"', 1), "control-character", ""),
]


@pytest.mark.parametrize(("body", "code", "pointer"), [row[1:] for row in BYTES], ids=[row[0] for row in BYTES])
def test_bytes_that_are_no_honest_json_are_refused_with_their_place(body: bytes, code: str, pointer: str) -> None:
    with pytest.raises(Refused) as refusal:
        plan_import(body)
    assert refusal.value.code == code
    assert dict(refusal.value.facts)["pointer"].startswith(pointer)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 600


R0 = "/releases/0"
EDITS: list[tuple[str, Edit, str, str]] = [
    ("no version", lambda p: p.pop("version"), "version-unsupported", "/version"),
    ("version 1.0", lambda p: p.update(version="1.0"), "version-unsupported", "/version"),
    ("a version that is a number", lambda p: p.update(version=1.1), "text-expected", "/version"),
    ("a record package", lambda p: p.update(records=[]), "record-package", "/records"),
    ("a bare release", lambda p: p.update(p.pop("releases")[0]), "not-a-release-package", "/releases"),
    ("something else", lambda p: (p.clear(), p.update(a=1)), "not-a-release-package", "/releases"),
    ("no release", lambda p: p.update(releases=[]), "tender-missing", "/releases"),
    ("releases in an object", lambda p: p.update(releases={}), "list-expected", "/releases"),
    ("a release that is a text", lambda p: p.update(releases=["x"]), "object-expected", R0),
    ("201 releases", lambda p: p.update(releases=[{}] * 201), "list-too-long", "/releases"),
    ("no tender anywhere", lambda p: p["releases"][0].pop("tender"), "tender-missing", "/releases"),
    ("no ocid", lambda p: p["releases"][0].pop("ocid"), "text-expected", f"{R0}/ocid"),
    ("a null ocid", lambda p: p["releases"][0].update(ocid=None), "text-expected", f"{R0}/ocid"),
    ("a blank ocid", lambda p: p["releases"][0].update(ocid=" "), "text-expected", f"{R0}/ocid"),
    ("an ocid with a space", lambda p: p["releases"][0].update(ocid="a b"), "ocid-malformed", f"{R0}/ocid"),
    ("an ocid of Han characters", lambda p: p["releases"][0].update(ocid="县"), "ocid-malformed", f"{R0}/ocid"),
    ("an endless ocid", lambda p: p["releases"][0].update(ocid="x" * 101), "ocid-malformed", f"{R0}/ocid"),
    ("a numeric ocid", lambda p: p["releases"][0].update(ocid=7), "text-expected", f"{R0}/ocid"),
    ("no release id", lambda p: p["releases"][0].pop("id"), "text-expected", f"{R0}/id"),
    ("no date", lambda p: p["releases"][0].pop("date"), "text-expected", f"{R0}/date"),
    ("a date without time", lambda p: p["releases"][0].update(date="2010-03-15"), "date-time-expected", f"{R0}/date"),
    (
        "a date without offset",
        lambda p: p["releases"][0].update(date="2010-03-15T09:30:00"),
        "date-time-expected",
        f"{R0}/date",
    ),
    (
        "30 February",
        lambda p: p["releases"][0].update(date="2010-02-30T09:30:00Z"),
        "date-time-expected",
        f"{R0}/date",
    ),
    (
        "a wide digit in a date",
        lambda p: p["releases"][0].update(date="２010-02-20T09:30:00Z"),
        "date-time-expected",
        f"{R0}/date",
    ),
    ("a date that is a number", lambda p: p["releases"][0].update(date=20100315), "text-expected", f"{R0}/date"),
    ("a tender that is a list", lambda p: p["releases"][0].update(tender=[1]), "object-expected", f"{R0}/tender"),
    ("no tender id", lambda p: tender_of(p).pop("id"), "text-expected", f"{R0}/tender/id"),
    ("a tender id that is true", lambda p: tender_of(p).update(id=True), "text-expected", f"{R0}/tender/id"),
    ("an endless tender id", lambda p: tender_of(p).update(id="x" * 201), "text-too-long", f"{R0}/tender/id"),
    ("a title that is a list", lambda p: tender_of(p).update(title=["x"]), "text-expected", f"{R0}/tender/title"),
    ("a value that is a number", lambda p: tender_of(p).update(value=5), "object-expected", f"{R0}/tender/value"),
    (
        "an amount that is a text",
        lambda p: tender_of(p)["value"].update(amount="5"),
        "number-expected",
        f"{R0}/tender/value/amount",
    ),
    (
        "an amount that is true",
        lambda p: tender_of(p)["value"].update(amount=True),
        "number-expected",
        f"{R0}/tender/value/amount",
    ),
    (
        "a currency that is none",
        lambda p: tender_of(p)["value"].update(currency="£"),
        "currency-malformed",
        f"{R0}/tender/value/currency",
    ),
    (
        "a period that is a text",
        lambda p: tender_of(p).update(tenderPeriod="March"),
        "object-expected",
        f"{R0}/tender/tenderPeriod",
    ),
    (
        "a period that ends at noon",
        lambda p: tender_of(p)["tenderPeriod"].update(endDate="noon"),
        "date-time-expected",
        f"{R0}/tender/tenderPeriod/endDate",
    ),
    ("lots in an object", lambda p: tender_of(p).update(lots={"id": "1"}), "list-expected", f"{R0}/tender/lots"),
    ("a lot that is null", lambda p: tender_of(p).update(lots=[None]), "object-expected", f"{R0}/tender/lots/0"),
    ("a lot without id", lambda p: tender_of(p).update(lots=[{}]), "text-expected", f"{R0}/tender/lots/0/id"),
    (
        "two lots of one id",
        lambda p: tender_of(p).update(lots=[{"id": "1"}, {"id": 1}]),
        "id-repeated",
        f"{R0}/tender/lots/1/id",
    ),
    (
        "201 lots",
        lambda p: tender_of(p).update(lots=[{"id": index} for index in range(201)]),
        "list-too-long",
        f"{R0}/tender/lots",
    ),
    ("roles in a text", lambda p: p["releases"][0]["parties"][0].update(roles="buyer"), "list-expected", f"{R0}/par"),
    (
        "a role that is a number",
        lambda p: p["releases"][0]["parties"][0].update(roles=[1]),
        "text-expected",
        f"{R0}/parties/0/roles/0",
    ),
    ("tags in a text", lambda p: p["releases"][0].update(tag="tender"), "list-expected", f"{R0}/tag"),
    ("one release twice", lambda p: p["releases"].append(p["releases"][0]), "id-repeated", "/releases/1/id"),
    ("a publisher that is a text", lambda p: p.update(publisher="me"), "object-expected", "/publisher"),
]


@pytest.mark.parametrize(("edit", "code", "pointer"), [row[1:] for row in EDITS], ids=[row[0] for row in EDITS])
def test_a_package_of_wrong_shape_is_refused_with_its_pointer(edit: Edit, code: str, pointer: str) -> None:
    with pytest.raises(Refused) as refusal:
        plan_import(edited(edit))
    assert refusal.value.code == code
    assert dict(refusal.value.facts)["pointer"].startswith(pointer)


@pytest.mark.parametrize("body", [b"null", b"1", b'"text"', b"[]", b"true"])
def test_json_that_is_no_object_is_no_package(body: bytes) -> None:
    with pytest.raises(Refused, match="not-a-release-package"):
        plan_import(body)


def test_a_file_of_escaped_quotes_is_read_once_through() -> None:
    """An unclosed string of 2.4 million escaped quotes: a reader that starts again at each of them would never end."""
    with pytest.raises(Refused, match="not-json"):
        plan_import(b'{"a": "' + b'\\"' * 2_400_000)


def test_brackets_inside_strings_do_not_nest() -> None:
    assert read_json(json.dumps({"a": "[" * 100, 'b"\\': "{" * 100}).encode()) == {"a": "[" * 100, 'b"\\': "{" * 100}


def test_commas_inside_strings_are_no_values() -> None:
    assert read_json(json.dumps(["," * 1_000_000]).encode()) == ["," * 1_000_000]


def test_numbers_stay_exact() -> None:
    assert read_json(b"[1, 0.10, 12345678901234567890]") == [1, Decimal("0.10"), 12345678901234567890]


ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=5),
    st.just([]),
    st.just({}),
    st.just([{}]),
    st.just("x" * 6000),
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, member in members for place in places(member, (*path, key)))]


def attempted(body: bytes) -> ImportPlan | Refused:
    try:
        return plan_import(body)
    except Refused as refusal:
        return refusal


PLACES = [place for place in places(json.loads(AMENDMENT)) if place]


@settings(deadline=None)
@given(st.sampled_from(PLACES), ODD)
def test_whatever_stands_anywhere_the_file_is_planned_or_refused_with_a_pointer(
    place: tuple[Any, ...], odd: Any
) -> None:
    package = json.loads(AMENDMENT)
    inner = package
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = odd
    outcome = attempted(json.dumps(package).encode())
    if isinstance(outcome, Refused):
        assert dict(outcome.facts)["pointer"].startswith("/")
    else:
        for step in outcome.steps:
            assert decide(ImportState(), step.command, ASKED)


@settings(deadline=None)
@given(st.integers(0, len(AMENDMENT) - 1), st.integers(0, 255))
def test_a_byte_changed_anywhere_never_breaks_the_reader(position: int, byte: int) -> None:
    body = AMENDMENT[:position] + bytes([byte]) + AMENDMENT[position + 1 :]
    outcome = attempted(body)
    assert isinstance(outcome, ImportPlan) or dict(outcome.facts)["pointer"]


@settings(deadline=None)
@given(st.integers(0, len(AMENDMENT) - 2))
def test_a_file_cut_anywhere_is_refused(length: int) -> None:
    with pytest.raises(Refused, match="not-json"):
        plan_import(AMENDMENT[:length])
