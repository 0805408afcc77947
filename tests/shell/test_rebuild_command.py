"""`erhai rebuild` makes views out of a sound log alone."""

import asyncio
import secrets
from pathlib import Path

import pytest
from click.testing import CliRunner

from node.cli import cli_rebuild
from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.places import DATABASE
from node.projection import VIEW_TABLES, rows_of
from node.store import connect
from tests.faults.small_node import NODE, make, opened


def views(data: Path) -> dict[str, list[tuple]]:
    db = connect(data / DATABASE, readonly=True)
    found = {name: list(rows_of(db, name)) for name in VIEW_TABLES}
    db.close()
    return found


def run_sql(data: Path, statement: str, *values: object) -> None:
    db = connect(data / DATABASE)
    db.execute(statement, values)
    db.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    async def record() -> None:
        node = opened(tmp_path / "node")
        for n in range(5):
            command = RecordIncident("other", f"第 {n} 件", 1_772_000_000_000, ())
            actor = Actor("O-1", Role.OPERATOR)
            await node.submit(f"room/{NODE}", command, command_id=secrets.token_bytes(16), actor=actor)
        await node.close()

    make(tmp_path / "node")
    asyncio.run(record())
    return tmp_path / "node"


def test_a_damaged_log_is_not_rebuilt_and_its_views_stay_as_they_are(data: Path) -> None:
    db = connect(data / DATABASE, readonly=True)
    whole = db.execute("SELECT body FROM entries WHERE seq = 3").fetchone()[0]
    db.close()
    before = views(data)
    assert any(before.values())
    run_sql(data, "UPDATE entries SET body = ? WHERE seq = 3", whole[:-1] + bytes([whole[-1] ^ 1]))
    refused = CliRunner().invoke(cli_rebuild, ["--data", str(data)])
    assert refused.exit_code == 4
    assert "日志受损，没有重建" in refused.output
    assert "entry 3: the bytes do not have the stored hash" in refused.output
    assert views(data) == before
    run_sql(data, "UPDATE entries SET body = ? WHERE seq = 3", whole)
    run_sql(data, "DELETE FROM incidents")
    assert views(data) != before
    done = CliRunner().invoke(cli_rebuild, ["--data", str(data)])
    assert done.exit_code == 0, done.output
    assert views(data) == before
