"""Habits of the house that no linter keeps."""

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]


def _tracked(*patterns: str) -> list[Path]:
    done = subprocess.run(["git", "ls-files", *patterns], cwd=ROOT, capture_output=True, text=True, check=True)
    return [ROOT / line for line in done.stdout.splitlines() if (ROOT / line).is_file()]


def test_nobody_rebinds_our_web_to_a_library() -> None:
    wrong = re.compile(r"^\s*(from aiohttp import .*\bweb\b|import web\b)", re.MULTILINE)
    assert [path for path in _tracked("*.py") if wrong.search(path.read_text(encoding="utf-8"))] == []


def test_test_folders_are_no_packages() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_locks_carry_hashes_and_name_no_host() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text(encoding="utf-8")
        assert "://" not in text
        pinned = re.findall(r"^[a-z0-9_.-]+==", text, re.MULTILINE | re.IGNORECASE)
        assert len(pinned) > 10
        assert text.count("--hash=sha256:") >= len(pinned)


def test_front_end_files_are_fetched_never_committed() -> None:
    assert _tracked("web/static/vendor", "tests/vendor") == []
