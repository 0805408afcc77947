"""Identifiers and code tables: shapes are refused, check characters warn, unknown codes stand for themselves."""

import copy
import itertools
import tomllib
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from stdnum.cn import uscc
from stdnum.iso7064 import mod_37_2

from node.code_tables import CODES, load_code_tables
from node.domain.codes import (
    CodesMalformed,
    DealCode,
    check_nested,
    check_shape,
    citizen_id_warnings,
    city_of,
    issue_deal_code,
    organisation_check,
    parse_code_tables,
    read_deal_code,
    region_of,
    uscc_warnings,
)
from node.domain.refused import Refused

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
PLATFORM = "12532924MB0T1234X4"


def outer_check(code: str) -> str:
    """The outer check written out as the standard writes it, apart from the library that the rules use."""
    total = sum(ALPHABET.index(char) * pow(3, index, 31) for index, char in enumerate(code))
    return ALPHABET[(31 - total % 31) % 31]


# -- 统一社会信用代码 --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "code",
    [
        "91350000MA347WHE48",
        "12350100MB02709751",
        "91350200MA2YJ1XR9G",
        "91350200776049653A",
        "123502001549897397",
        PLATFORM,
    ],
)
def test_a_good_credit_code_warns_of_nothing(code: str) -> None:
    assert uscc_warnings(code, "uscc") == ()
    assert organisation_check(code[8:16]) == code[16]
    assert outer_check(code[:17]) == code[17]
    assert uscc.is_valid(code)


@pytest.mark.parametrize(
    ("code", "got", "expected"), [("91350203M0001QAY9B", "B", "9"), ("91359128593462349A", "A", "R")]
)
def test_a_wrong_check_character_warns_and_is_not_refused(code: str, got: str, expected: str) -> None:
    (warning,) = uscc_warnings(code, "tenderer_uscc")
    assert (warning.field, warning.code) == ("tenderer_uscc", "check-character-wrong")
    assert (warning.got, warning.expected) == (got, expected)


def test_a_wrong_organisation_code_inside_warns_by_its_own_name() -> None:
    inner_wrong = "91350000MA347WHE5"
    (warning,) = uscc_warnings(inner_wrong + outer_check(inner_wrong), "uscc")
    assert (warning.code, warning.got, warning.expected) == ("inner-check-character-wrong", "5", "4")


def test_two_wrong_characters_warn_twice() -> None:
    assert [warning.code for warning in uscc_warnings("91350000MA347WHE50", "uscc")] == [
        "check-character-wrong",
        "inner-check-character-wrong",
    ]


@pytest.mark.parametrize(
    "code",
    [
        "",
        "91350000MA347WHE4",
        "91350000MA347WHE488",
        "91350000ma347WHE48",
        "9135000OMA347WHE48",
        "91350000MI347WHE48",
        "91350000MA347WHE4Z",
        "9135A000MA347WHE48",
        " 91350000MA347WHE48",
        "91350000MA347WHE48\n",
        "９1350000MA347WHE48",
    ],
)
def test_a_credit_code_of_wrong_shape_is_refused_with_its_field(code: str) -> None:
    with pytest.raises(Refused) as refusal:
        uscc_warnings(code, "agency_uscc")
    assert refusal.value.code == "code-malformed"
    assert ("field", "agency_uscc") in refusal.value.facts
    assert refusal.value.cites == ("GB 32100-2015",)


@settings(deadline=None)
@given(
    st.text("ANY19", min_size=2, max_size=2),
    st.from_regex("[0-9]{6}", fullmatch=True),
    st.text(ALPHABET, min_size=8, max_size=8),
)
def test_a_made_code_is_good_and_every_single_change_of_a_character_is_noticed(
    head: str, region: str, organisation: str
) -> None:
    inner = organisation_check(organisation)
    code = head + region + organisation + inner
    code += outer_check(code)
    assert uscc_warnings(code, "uscc") == ()
    for index in range(18):
        other = "8" if code[index] != "8" else "7"
        changed = code[:index] + other + code[index + 1 :]
        assert uscc_warnings(changed, "uscc")


# -- nested codes and regions -----------------------------------------------------------------------------------------------


def test_codes_of_project_tender_project_and_lot_nest() -> None:
    project = "A5329240001000017"
    check_nested(project_code=project, tender_project_code=f"{project}001", lot_code=f"{project}001a0z")
    assert check_shape("document-code", f"{project}001a0z002", "document")
    assert region_of(project) == "532924"
    assert city_of("532924") == "532900"


def test_a_tender_project_code_in_use_elsewhere_has_the_shape() -> None:
    assert check_shape("tender-project-code", "E3500000717002688002", "code")
    assert region_of("E3500000717002688002") == "350000"


@pytest.mark.parametrize(
    ("codes", "code", "field"),
    [
        (("A53292400010000170", "A5329240001000017001", "A5329240001000017001001"), "code-malformed", "project_code"),
        (("a5329240001000017", "A5329240001000017001", "A5329240001000017001001"), "code-malformed", "project_code"),
        (
            ("A5329240001000017", "A5329240001000017000", "A5329240001000017001001"),
            "code-malformed",
            "tender_project_code",
        ),
        (("A5329240001000017", "A5329240001000017001", "A532924000100001700100"), "code-malformed", "lot_code"),
        (("A5329240001000017", "A5329240001000017001", "A5329240001000017001A01"), "code-malformed", "lot_code"),
        (
            ("A5329240001000017", "A5329240001000018001", "A5329240001000018001001"),
            "codes-do-not-nest",
            "tender_project_code",
        ),
        (("A5329240001000017", "A5329240001000017001", "A5329240001000017002001"), "codes-do-not-nest", "lot_code"),
    ],
)
def test_codes_that_do_not_nest_are_refused_with_their_field(
    codes: tuple[str, str, str], code: str, field: str
) -> None:
    with pytest.raises(Refused) as refusal:
        check_nested(project_code=codes[0], tender_project_code=codes[1], lot_code=codes[2])
    assert (refusal.value.code, dict(refusal.value.facts)["field"]) == (code, field)


@pytest.mark.parametrize(
    ("kind", "code", "good"),
    [
        ("region", "532924", True),
        ("region", "宾川", False),
        ("region", "032924", False),
        ("region", "５３２９２４", False),
        ("trade-class", "A01", True),
        ("trade-class", "G01", True),
        ("trade-class", "工程", False),
        ("investment-code", "2026-532924-48-03-001234", True),
        ("investment-code", "2026532924480300123401234", False),
    ],
)
def test_shapes_of_single_codes(kind: str, code: str, good: bool) -> None:
    if good:
        assert check_shape(kind, code, "field") == code
    else:
        with pytest.raises(Refused, match="code-malformed"):
            check_shape(kind, code, "field")


# -- 统一交易标识码 ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("trade_class", "serial", "check"),
    [("A01", 1, "C"), ("B01", 2, "S"), ("C01", 3, "7"), ("D01", 4, "N"), ("A01", 98, "*")],
)
def test_a_deal_code_is_issued_with_the_check_character_of_mod_37_2(trade_class: str, serial: int, check: str) -> None:
    code = issue_deal_code(trade_class=trade_class, platform=PLATFORM, issued=date(2026, 3, 2), serial=serial)
    assert str(code) == f"{trade_class}-{PLATFORM}-20260302-{serial:06d}-{check}"
    assert len(str(code)) == 40
    assert read_deal_code(str(code), "deal") == (code, ())
    assert read_deal_code(str(code).replace("-", ""), "deal") == (code, ())


def test_mod_37_2_of_the_standards_example_is_y() -> None:
    assert mod_37_2.calc_check_digit("G123489654321") == "Y"


@settings(deadline=None)
@given(
    st.from_regex("[A-Z][0-9]{2}", fullmatch=True),
    st.dates(date(1990, 1, 1), date(2199, 12, 31)),
    st.integers(0, 999_999),
)
def test_check_characters_agree_with_the_recurrence_written_out(trade_class: str, day: date, serial: int) -> None:
    code = issue_deal_code(trade_class=trade_class, platform=PLATFORM, issued=day, serial=serial)
    p = 0
    for char in str(code).replace("-", "")[:-1]:
        p = (p + (int(char, 36))) * 2 % 37
    assert code.check == "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*"[(1 - p) % 37]


@pytest.mark.parametrize(
    "code",
    [
        "A99-91359128593462349A-20170601-002267-T",
        "B01-12350100MB02709751-20161231-211018-2",
        "D01-12350100MB02709751-20190627-527731-5",
        "D03-12350100MB02709751-20200319-102642-5",
    ],
)
def test_deal_codes_in_use_with_other_check_characters_are_read_and_warned_about(code: str) -> None:
    deal, (warning,) = read_deal_code(code, "deal_code")
    assert str(deal) == code
    assert (warning.field, warning.code, warning.got) == ("deal_code", "check-character-wrong", code[-1])


@pytest.mark.parametrize(
    "code",
    [
        "",
        "A01",
        "A01-12532924MB0T1234X4-20260302-000001",
        "A01-12532924MB0T1234X4-20260230-000001-C",
        "A01-12532924MB0T1234X4-00010101-000001-C",
        "A01-12532924MB0T1234X4-20260302-00001-C",
        "A01-12532924MB0T1234X4-20260302-000001-c",
        "A0112532924MB0T1234X4-20260302-000001-C",
        "AA1-12532924MB0T1234X4-20260302-000001-C",
        "A01-12532924MB0T1234I4-20260302-000001-C",
        "A01-12532924MB0T1234X4-20260302-000001-C ",
    ],
)
def test_a_deal_code_without_its_shape_is_refused(code: str) -> None:
    with pytest.raises(Refused) as refusal:
        read_deal_code(code, "deal_code")
    assert (refusal.value.code, refusal.value.rule) == ("code-malformed", "deal-code")


@pytest.mark.parametrize(
    "change", [{"trade_class": "工程"}, {"platform": "9135"}, {"serial": -1}, {"serial": 1_000_000}]
)
def test_a_deal_code_of_wrong_parts_is_not_issued(change: dict[str, Any]) -> None:
    parts = {"trade_class": "A01", "platform": PLATFORM, "issued": date(2026, 3, 2), "serial": 1, **change}
    with pytest.raises(Refused, match="code-malformed"):
        issue_deal_code(**parts)


def test_deal_codes_are_values() -> None:
    assert DealCode("A01", PLATFORM, date(2026, 3, 2), 1, "C") == issue_deal_code(
        trade_class="A01", platform=PLATFORM, issued=date(2026, 3, 2), serial=1
    )


# -- 公民身份号码 ------------------------------------------------------------------------------------------------------------

WEIGHTS = (7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2)


@settings(deadline=None)
@given(
    st.from_regex("[1-9][0-9]{5}", fullmatch=True), st.dates(date(1900, 1, 1), date(2099, 12, 31)), st.integers(0, 999)
)
def test_citizen_numbers_agree_with_the_standards_weights(region: str, born: date, order: int) -> None:
    body = f"{region}{born:%Y%m%d}{order:03d}"
    check = "10X98765432"[sum(int(char) * weight for char, weight in zip(body, WEIGHTS, strict=True)) % 11]
    assert citizen_id_warnings(body + check, "id") == ()
    for other in set("0123456789X") - {check}:
        (warning,) = citizen_id_warnings(body + other, "id")
        assert (warning.got, warning.expected) == (other, check)


@pytest.mark.parametrize(
    "number", ["", "53292419900230001X", "53292419901301001", "0" * 18, "53292418990101001X", "53292419900101001x"]
)
def test_a_citizen_number_of_wrong_shape_is_refused_and_never_repeated(number: str) -> None:
    with pytest.raises(Refused) as refusal:
        citizen_id_warnings(number, "id")
    assert not number or number not in str(refusal.value)


# -- tables -------------------------------------------------------------------------------------------------------------------


def test_the_shipped_tables_name_their_codes_and_their_sources() -> None:
    tables = load_code_tables()
    assert tables.name_of("exception-type", "1") == "流标"
    assert tables.name_of("region", "532924") == "宾川县"
    assert tables.name_of("currency", "156") == "人民币"
    assert all(table.cites and table.names for table in tables.tables.values())
    assert not tables.tables["region"].confirmed


def test_a_code_outside_its_table_stands_for_itself() -> None:
    assert load_code_tables().name_of("bond-form", "3") == "3"


def test_every_county_in_the_region_table_lies_in_its_city() -> None:
    regions = load_code_tables().tables["region"].names
    assert all(city_of(code) in regions for code in regions if code.startswith("5329"))


RAW = tomllib.loads(CODES.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("path", "value", "where"),
    [
        (("id",), "", "codes.id"),
        (("version",), 0, "version"),
        (("version",), True, "version"),
        (("table",), [], "table"),
        (("more",), 1, "codes"),
        (("table", "region"), 1, "table.region"),
        (("table", "region", "name"), " ", "table.region.name"),
        (("table", "region", "cites"), [], "table.region.cites"),
        (("table", "region", "confirmed"), 1, "table.region.confirmed"),
        (("table", "region", "codes"), {}, "table.region.codes"),
        (("table", "region", "codes", "532924"), 1, "table.region.codes.532924"),
        (("table", "region", "more"), 1, "table.region"),
    ],
)
def test_tables_without_their_shape_are_refused_with_the_place(path: tuple[str, ...], value: Any, where: str) -> None:
    data = copy.deepcopy(RAW)
    inner = data
    for key in itertools.islice(path, len(path) - 1):
        inner = inner[key]
    inner[path[-1]] = value
    with pytest.raises(CodesMalformed) as malformed:
        parse_code_tables(data, b"")
    assert malformed.value.where == where
