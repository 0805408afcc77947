"""Every alarm that any part raises has words for people, and every word has an alarm."""

import ast
from pathlib import Path

import pytest

from sync.alarms import Alarm
from sync.standing import WHY
from web.alarms import REASONS, WORDS, alarm_rows

ROOT = Path(__file__).parents[2]
SOURCES = ("node/trust.py", "node/trust_keeper.py", "sync/announce.py", "sync/discovery.py")


def causes() -> set[str]:
    """Every text that is the first argument of Alarm(…) or _raise(…)."""
    calls = (
        node
        for source in SOURCES
        for node in ast.walk(ast.parse((ROOT / source).read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in {"Alarm", "self._raise"}
    )
    return {call.args[0].value for call in calls if isinstance(call.args[0], ast.Constant)}


def test_every_cause_has_words_and_no_words_are_left_over() -> None:
    assert causes() | {"crl-stale", "crl-overdue"} == set(WORDS)
    assert set(REASONS) == set(WHY)


@pytest.mark.parametrize("cause", WORDS)
def test_an_alarm_says_what_it_is_and_what_to_do(cause: str) -> None:
    (row,) = alarm_rows((Alarm(cause, node="b", detail="revoked"),))
    assert "{" not in row.line + row.action
    assert row.action.endswith("。")
    documented = (ROOT / "docs" / "peers.md").read_text()
    assert cause in documented
