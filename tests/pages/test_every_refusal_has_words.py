"""Whatever a rule refuses, a person reads a sentence made for it."""

import re
from pathlib import Path

from node.enrol_words import REASONS
from web.messages import SENTENCES

NODE = Path(__file__).parents[2] / "node"
RAISED = re.compile(r'(?:Refused\(\s*|breach\([^"]*?,\s*)"([a-z0-9-]+)"')
# Raised only by the score and enrol commands and the importer, which make their own sentences.
OWN_WORDS = {
    "score_json.py",
    "exact.py",
    "price_terms.py",
    "benchmark.py",
    "benchmark_regional.py",
    "ocds.py",
    "enrol.py",
    "cli_enrol.py",
}
ENROLMENT = ("node/enrol.py", "node/cli_enrol.py", "sync/enrolment.py", "sync/office.py")


def test_every_code_that_the_rules_raise_has_a_sentence() -> None:
    codes = {
        code
        for path in NODE.rglob("*.py")
        if path.name not in OWN_WORDS
        for code in RAISED.findall(path.read_text(encoding="utf-8"))
    }
    assert len(codes) > 100
    assert sorted(codes - set(SENTENCES)) == []


def test_every_reason_that_enrolment_refuses_for_has_words_and_none_is_left_over() -> None:
    refused = re.compile(r'EnrolRefused\(\s*"([a-z-]+)"|_signed\([^\n]*"([a-z-]+)"\)')
    found = {
        one or other for name in ENROLMENT for one, other in refused.findall((NODE.parent / name).read_text("utf-8"))
    }
    assert found == set(REASONS)
