"""A stopped node goes on trying to heal whatever its own disk says in between."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

from node.recover import Recovery
from node.store import StoreFault
from node.verdict import GateReport
from sync.note import Signer


async def test_a_full_disk_while_healing_is_said_and_the_next_attempt_still_comes() -> None:
    async def full(_fn: Any) -> Any:
        raise StoreFault("commit", "erhai.db", "database or disk is full")

    node: Any = SimpleNamespace(
        settings=SimpleNamespace(peers=(), data=Path("absent")),
        keys=SimpleNamespace(log_signer=Signer.from_seed("dali.erhai/a/e1", b"\1" * 32)),
        store=SimpleNamespace(read=full, write=full),
        feed=SimpleNamespace(publish=lambda _topics: None),
        gate=GateReport("fence-ahead", phase="fetch"),
        stopped=object(),
        around=SimpleNamespace(asked=()),
    )
    assert not await Recovery(node).attempt()
    assert "disk is full" in node.gate.problem
    assert node.gate.healable
