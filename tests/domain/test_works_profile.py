"""The works profile and the code know the same rules, and every number has its source."""

import re
from decimal import Decimal
from pathlib import Path

import pytest

from node.domain.profile import ProfileMalformed
from node.profiles_loader import load_profile, load_profiles
from tests.domain.lot_story import WORKS

DOMAIN = Path(__file__).parents[2] / "node" / "domain"
# A rule id is used as a whole string literal: "min-bidders".
LITERAL = re.compile(r'"([a-z0-9]+(?:-[a-z0-9]+)+)"')
PREFIX = re.compile(r'rule\(f"([a-z-]+-)\{')
ASKED = re.compile(r'\.(?:rule|number|decimal|flag|words)\(\s*"([^"]+)"')
STAGES = [
    "registered",
    "filed",
    "noticed",
    "docs_out",
    "prequalified",
    "clarified",
    "objected_docs",
    "bonded",
    "bidding",
    "committee",
    "opened",
    "evaluating",
    "preliminary",
    "detailed",
    "reported",
    "published",
    "awarded",
    "notified",
    "contracted",
    "archived",
]


def _sources() -> str:
    return "\n".join(path.read_text() for path in sorted(DOMAIN.glob("*.py")))


def test_every_rule_that_the_code_asks_for_is_in_the_profile() -> None:
    asked = set(ASKED.findall(_sources()))
    assert asked
    assert asked <= set(WORKS.rules)


def test_every_rule_of_the_profile_is_used_by_the_code() -> None:
    sources = _sources()
    prefixes = tuple(PREFIX.findall(sources))
    assert {rule for rule in set(WORKS.rules) - set(LITERAL.findall(sources)) if not rule.startswith(prefixes)} == set()


def test_the_twenty_stages_stand_in_their_order() -> None:
    assert [stage.code for stage in WORKS.stages] == STAGES
    assert [stage.number for stage in WORKS.stages] == [f"E{n:02d}" for n in range(1, 21)]


def test_every_rule_says_in_words_what_it_means_and_where_it_stands() -> None:
    for rule in WORKS.rules.values():
        assert rule.text
        assert rule.cites


@pytest.mark.parametrize(
    ("rule_id", "value", "cites", "confirmed"),
    [
        ("documents-sale-min-days", 5, "ZBT 16", True),
        ("issue-to-deadline-min-days", 20, "ZB 24", True),
        ("amendment-before-deadline-min-days", 15, "ZBT 21", True),
        ("document-objection-before-deadline-days", 10, "ZBT 22", True),
        ("objection-answer-days", 3, "ZBT 22", True),
        ("publicity-start-max-days", 3, "ZBT 54", True),
        ("publicity-min-days", 3, "ZBT 54", True),
        ("supervisor-report-days", 15, "ZB 47", True),
        ("contract-days", 30, "ZB 46", True),
        ("bond-refund-days", 5, "ZBT 57", True),
        ("bond-refund-withdrawn-days", 5, "ZBT 35", True),
        ("complaint-days", 10, "ZBT 60", True),
        ("complaint-acceptance-working-days", 3, "ZBT 61", True),
        ("complaint-decision-working-days", 30, "ZBT 61", True),
        ("invitation-min", 3, "ZB 17", True),
        ("min-bidders", 3, "ZBT 44", True),
        ("committee-min", 5, "ZB 37", True),
        ("committee-expert-share", "2/3", "ZB 37", True),
        ("candidates-max", 3, "ZBT 53", True),
        ("bond-cap-percent", 2, "ZBT 26", True),
        ("performance-bond-cap-percent", 10, "ZBT 58", True),
        ("bond-cap-works", 80_000_000, "30号令 37", False),
        ("bond-cap-services", 10_000_000, "2号令 24", False),
        ("roll-rest-day", True, "民法典 203", False),
        ("mid-fault-h", 4, "丽江市远程异地评标规则 21", False),
        ("pre-start-fault-h", 2, "丽江市远程异地评标规则 20", False),
        ("retention-years", 15, "CG 42", False),
    ],
)
def test_the_numbers_of_the_law(rule_id: str, value: object, cites: str, confirmed: bool) -> None:
    rule = WORKS.rule(rule_id)
    assert (rule.value, rule.confirmed) == (value, confirmed)
    assert cites in rule.cites


MINIMAL = 'id = "x"\nversion = 1\nname = "y"\n'


def test_a_fraction_of_a_percent_stays_exact(tmp_path: Path) -> None:
    path = tmp_path / "x.toml"
    path.write_text(MINIMAL + '[rule.r]\nvalue = 0.1\nunit = "percent"\ncites = ["z"]\nconfirmed = true\n')
    assert load_profile(path).decimal("r") == Decimal("0.1")


@pytest.mark.parametrize(
    "text", ["id = ", MINIMAL + "extra = 1\n", MINIMAL + '[rule.r]\nvalue = 1\nunit = "d"\nconfirmed = true\n']
)
def test_a_profile_that_is_not_whole_is_refused_with_its_file_name(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.toml"
    path.write_text(text)
    with pytest.raises(ProfileMalformed) as malformed:
        load_profile(path)
    assert malformed.value.where.startswith("broken.toml")


def test_two_files_do_not_claim_one_id(tmp_path: Path) -> None:
    for name in ("a.toml", "b.toml"):
        (tmp_path / name).write_text(MINIMAL)
    with pytest.raises(ProfileMalformed, match=r"b\.toml"):
        load_profiles(tmp_path)


def test_a_file_in_another_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gbk.toml").write_bytes('name = "工程"'.encode("gbk"))
    with pytest.raises(ProfileMalformed, match=r"gbk\.toml"):
        load_profiles(tmp_path)


def test_a_profile_on_a_base_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "below.toml").write_text('base = "x.toml"\n' + MINIMAL, encoding="utf-8")
    for base in ("missing.toml", "mine.toml", "../mine.toml", "below.toml"):
        path = tmp_path / "mine.toml"
        path.write_text(f'base = "{base}"\n' + MINIMAL, encoding="utf-8")
        with pytest.raises(ProfileMalformed, match=r"mine\.toml: base"):
            load_profile(path)
