"""The table of threats names tests that exist."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
_NAMED = re.compile(r"`(tests/[a-z0-9_/]+\.py)::(test_[a-z0-9_]+)`")


def functions(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_row_of_the_table_names_tests_that_exist() -> None:
    rows = [line for line in (ROOT / "docs/threats.md").read_text("utf-8").splitlines() if line.startswith("| ")][1:]
    assert len(rows) >= 9
    for row in rows:
        threat, _, tests = (cell.strip() for cell in row.strip("|").split("|"))
        named = _NAMED.findall(tests)
        assert named, threat
        assert len(named) == tests.count("::"), threat
        for path, name in named:
            assert name in functions(ROOT / path), f"{threat}: {path}::{name}"


def test_every_test_of_this_folder_stands_in_the_table() -> None:
    table = (ROOT / "docs/threats.md").read_text("utf-8")
    named = set(_NAMED.findall(table))
    for path in sorted((ROOT / "tests/threats").glob("test_*.py")):
        if path != Path(__file__):
            here = {name for name in functions(path) if name.startswith("test_")}
            assert here <= {name for where, name in named if where == str(path.relative_to(ROOT))}
