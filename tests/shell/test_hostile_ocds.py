"""A file that is no honest release package is refused whole, with the place."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.domain.imported import ImportState, decide
from node.domain.refused import Refused
from node.exchange.ocds import ImportPlan, plan_import
from node.exchange.strict_json import MAX_BYTES, read_json
from tests.shell.ocds_files import AMENDMENT, ASKED, TENDER, Edit, edited, tender_of

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
