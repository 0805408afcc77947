"""A backup is tried beside the running node; a restore is a command that reconciles, and never a fork."""

import asyncio
import json
import secrets
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node import backup
from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.litestream import environment, program, write_config
from node.settings import load_settings
from node.start import DATABASE, FENCE, open_node
from node.store import connect
from sync.fence import Fence
from sync.log import size_of
from tests.faults.small_node import NODE, ORIGIN, make
from tests.shell.test_epoch_command import typed, write_people


@pytest.fixture
def data(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "node"
    make(folder)
    settings = folder / "erhai.toml"
    text = settings.read_text(encoding="utf-8")
    write_people(folder)
    settings.write_text(
        f'people = "people.toml"\n{text}[[replica]]\nname = "disk"\nkind = "file"\npath = "../copies"\n',
        encoding="utf-8",
    )
    yield folder
    shutil.rmtree(folder)


def record(data: Path, count: int) -> None:
    async def work() -> None:
        node = open_node(load_settings(data / "erhai.toml"))
        for n in range(count):
            command = RecordIncident("other", f"第 {n} 件", 1_772_000_000_000, ())
            actor = Actor("O-01", Role.OPERATOR)
            await node.submit(f"room/{NODE}", command, command_id=secrets.token_bytes(16), actor=actor)
        await node.close()

    asyncio.run(work())


def back_up(data: Path) -> None:
    config = write_config(data, load_settings(data / "erhai.toml").replicas[0])
    arguments = [program(), "replicate", "-config", str(config), "-no-expand-env", "-once"]
    subprocess.run(arguments, check=True, capture_output=True, env=environment(), timeout=60)


def run(*arguments: str, keys: str = "") -> Result:
    return CliRunner().invoke(cli, list(arguments), input=keys)


def facts(*arguments: str, keys: str = "") -> tuple[int, dict]:
    result = run(*arguments, "--json", keys=keys)
    return result.exit_code, json.loads(result.stdout.splitlines()[-1])


def test_a_drill_says_what_would_be_lost_and_leaves_nothing_behind(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backup, "LATE_S", 0.0)
    record(data, 4)
    back_up(data)
    record(data, 3)
    status, found = facts("backup", "drill", "--data", str(data))
    assert status == 3
    assert (found["ok"], found["restored_size"], found["live_size"], found["lost"]) == (False, 4, 7, 3)
    assert (found["behind"], found["prefix"]) == (True, True)
    assert list(data.glob("erhai-drill-*")) == []
    words = run("backup", "drill", "--data", str(data)).output
    assert "副本有 4 条记录" in words
    assert "将缺 3 条" in words
    assert "副本落后于栅栏：栅栏文件记明已发出 7 条，副本只有 4 条" in words
    assert "\n完好 / good" not in words


def test_a_drill_of_a_copy_that_holds_all_that_was_released_is_good(data: Path) -> None:
    record(data, 4)
    back_up(data)
    result = run("backup", "drill", "--data", str(data))
    assert result.exit_code == 0, result.output
    assert result.output.endswith("\n完好 / good\n")


def test_an_empty_copy_beside_an_empty_database_is_behind_the_fence(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backup, "LATE_S", 0.0)
    record(data, 4)
    for file in data.glob(f"{DATABASE}*"):
        file.unlink()
    asyncio.run(_opened_and_closed(data))
    back_up(data)
    status, found = facts("backup", "drill", "--data", str(data))
    assert status == 3
    assert (found["restored_size"], found["live_size"], found["released_size"], found["lost"]) == (0, 0, 4, 4)


async def _opened_and_closed(data: Path) -> None:
    await open_node(load_settings(data / "erhai.toml")).close()


async def test_a_copy_that_is_a_moment_late_is_looked_at_again_and_good(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await asyncio.to_thread(record, data, 4)
    await asyncio.to_thread(back_up, data)
    await asyncio.to_thread(record, data, 1)
    slept = asyncio.sleep

    async def meanwhile(seconds: float) -> None:
        if seconds == backup.LATE_S:
            await asyncio.to_thread(back_up, data)
        await slept(0)

    monkeypatch.setattr(backup.asyncio, "sleep", meanwhile)
    found = await backup.drill(load_settings(data / "erhai.toml"))
    assert found.good
    assert found.restored_size == 5


def test_a_drill_of_a_damaged_copy_fails_and_says_why(data: Path) -> None:
    record(data, 4)
    back_up(data)
    for file in (data.parent / "copies").rglob("*.ltx"):
        broken = bytearray(file.read_bytes())
        broken[len(broken) // 2] ^= 1
        file.write_bytes(broken)
    result = run("backup", "drill", "--data", str(data))
    assert result.exit_code == 3
    assert "litestream restore" in result.output


def test_a_drill_of_a_copy_of_another_history_is_tampering(data: Path) -> None:
    shutil.copytree(data, data.parent / "other")
    record(data, 4)
    record(data.parent / "other", 2)
    back_up(data.parent / "other")
    status, found = facts("backup", "drill", "--data", str(data))
    assert status == 4
    assert not found["prefix"]


def test_a_restored_copy_that_lacks_nothing_the_fence_knows_goes_on(data: Path) -> None:
    record(data, 4)
    back_up(data)
    (data / DATABASE).write_bytes(b"a disk that died")
    status, found = facts("restore", "--data", str(data), "--from", "disk")
    assert status == 0
    assert (found["active"], found["restored_size"]) == (True, 4)
    assert (Path(found["set_aside"]) / DATABASE).read_bytes() == b"a disk that died"
    record(data, 1)
    db = connect(data / DATABASE, readonly=True)
    assert size_of(db, ORIGIN) == 5
    db.close()


def test_a_restored_copy_that_lacks_released_entries_does_not_append(data: Path) -> None:
    record(data, 4)
    back_up(data)
    record(data, 3)
    status, found = facts("restore", "--data", str(data), "--from", "disk")
    assert status == 1
    assert (found["gate"]["cause"], found["gate"]["local_size"], found["gate"]["proven_size"]) == ("fence-ahead", 4, 7)


def test_without_its_fence_a_restored_copy_waits_for_peers_that_it_does_not_have(data: Path) -> None:
    record(data, 4)
    back_up(data)
    (data / FENCE).unlink()
    status, found = facts("restore", "--data", str(data), "--from", "disk")
    assert status == 1
    assert found["gate"]["cause"] == "waiting"
    pair = ("--by", "O-1", "--by", "S-1")
    status, found = facts("epoch", "new", "--data", str(data), *pair, "--cause", "restore", keys=typed("O-1", "S-1"))
    assert status == 0
    assert (found["proven_size"], found["lost_at_most"]) == (4, -1)
    assert found["restored_from"].startswith("disk ")
    record(data, 1)


def test_a_running_node_is_not_restored(data: Path) -> None:
    record(data, 1)
    back_up(data)
    fence = Fence.open(data / FENCE)
    result = run("restore", "--data", str(data), "--from", "disk")
    fence.close()
    assert result.exit_code == 3
    assert "请先停止节点" in result.output


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("restore", "--from", "nowhere"), 3),
        (("backup", "drill", "--from", "nowhere"), 3),
        (("epoch", "new", "--by", "O-1", "--cause", "restore"), 2),
        (("epoch", "new", "--by", "O-1", "--by", "O-1", "--cause", "restore"), 2),
        (("epoch", "new", "--by", "O-1", "--by", "S-1", "--cause", "restore"), 1),
    ],
)
def test_what_cannot_be_done_ends_with_its_status_and_changes_nothing(
    data: Path, arguments: tuple[str, ...], status: int
) -> None:
    record(data, 1)
    assert run(*arguments, "--data", str(data), keys=typed("O-1", "S-1")).exit_code == status
    record(data, 1)
