"""Whatever a rule refuses, a person reads a sentence made for it."""

import re
from pathlib import Path

from web.messages import SENTENCES

NODE = Path(__file__).parents[2] / "node"
RAISED = re.compile(r'(?:Refused\(\s*|breach\([^"]*?,\s*)"([a-z0-9-]+)"')
# Raised only by the score command and the importer, which make their own sentences.
OWN_WORDS = {"score_json.py", "exact.py", "price_terms.py", "benchmark.py", "benchmark_regional.py", "ocds.py"}


def test_every_code_that_the_rules_raise_has_a_sentence() -> None:
    codes = {
        code
        for path in NODE.rglob("*.py")
        if path.name not in OWN_WORDS
        for code in RAISED.findall(path.read_text(encoding="utf-8"))
    }
    assert len(codes) > 100
    assert sorted(codes - set(SENTENCES)) == []
