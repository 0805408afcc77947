"""The closed list of problems is one list: in code, in the documentation, in the words for people."""

import re
from pathlib import Path

from node.cli_verify import WORDS as REPLAYED
from sync.cli import WORDS
from sync.proof import MAX_PROOF_FILE
from sync.tampered import Problem
from sync.tiles import MAX_BUNDLE

PAGE = (Path(__file__).parents[2] / "docs" / "verify.md").read_text(encoding="utf-8")


def test_the_page_lists_every_problem_once_in_the_order_of_the_code():
    of_the_log = PAGE.partition("## Openings, replayed")[0]
    assert re.findall(r"^\| `([a-z-]+)` \| [^|]+ \|$", of_the_log, re.MULTILINE) == [str(one) for one in Problem]


def test_every_problem_has_words_in_both_languages():
    assert set(WORDS) == set(Problem)
    assert all(re.search("[\u4e00-\u9fff]", chinese) and english.isascii() for chinese, english in WORDS.values())


def test_the_page_names_the_bounds_that_the_code_enforces():
    assert f"{MAX_BUNDLE:,}" in PAGE
    assert f"{MAX_PROOF_FILE:,}" in PAGE


def test_every_finding_of_a_replay_has_words_and_a_row_on_the_page():
    sources = "".join(path.read_text("utf-8") for path in (Path(__file__).parents[2] / "node").glob("replay*.py"))
    said = set(re.findall(r'(?:Problem|Finding|_find\(entry,) ?\(?"([a-z-]+)"', sources))
    assert said == set(REPLAYED)
    assert all(re.search("[\u4e00-\u9fff]", chinese) and english.isascii() for chinese, english in REPLAYED.values())
    page = PAGE.partition("## Openings, replayed")[2]
    assert {word for word in REPLAYED if f"`{word}`" not in page} == set()
