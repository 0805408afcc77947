"""A database that is lost never takes its good copy's place: a node that has not passed its start gate copies nothing."""

import asyncio
import subprocess
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

import node.replica
from erhai import cli
from node.copy_leave import copy_withheld
from node.litestream import environment, pid_path, program, write_config
from node.node import Node
from node.places import DATABASE, FENCE
from node.settings import Settings, load_settings
from node.start import open_node
from node.store import connect
from sync.fence import Fence, FenceFault, read_fence
from sync.log import LOG_SCHEMA
from tests.faults.small_node import make, opened
from tests.faults.test_running_room import free_base, incident, until
from web.demo.world import make_world
from web.serve import _stopped_words, running

REPLICA = '\n[[replica]]\nname = "second-disk"\nkind = "file"\npath = "../copies"\n'


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = make_world(tmp_path / "world", free_base()).data("a")
    with (folder / "erhai.toml").open("a", encoding="utf-8") as file:
        file.write(REPLICA)
    monkeypatch.setattr(node.replica, "POLL_S", 0.2)
    return folder


def alone(data: Path) -> Settings:
    return replace(load_settings(data / "erhai.toml"), witness="preferred", peers=())


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def state(node: Node) -> str:
    (one,) = node.replica_status()
    return one.state


async def copied(data: Path, count: int) -> int:
    """Record, wait until the copy holds it, stop; return how many entries were released."""
    async with running(alone(data)) as node:
        for n in range(count):
            await incident(node, f"第 {n} 件")
        await until(lambda: state(node) == "current")
        await asyncio.sleep(1.5)
        await until(lambda: state(node) == "current")
    return read_fence(data / FENCE).released.size


def lose(data: Path) -> None:
    for file in data.glob(f"{DATABASE}*"):
        file.unlink()


def held(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


async def test_a_node_that_lost_its_database_says_so_and_leaves_its_good_copy_alone_until_it_is_restored(
    data: Path,
) -> None:
    size = await copied(data, 5)
    copies = data.parent / "copies"
    before = await asyncio.to_thread(held, copies)
    lose(data)
    for _ in range(2):  # the second start finds the empty database of the first
        async with running(alone(data)) as node:
            await until(lambda: state(node) == "waiting")
            await asyncio.sleep(2)
            assert state(node) == "waiting"
            words = _stopped_words(node)
            assert f"数据库文件缺失，现有的是启动时新建的空库；本机已经发出 {size} 条记录" in words
            assert f"erhai restore --data {data} --from second-disk" in words
            assert "直接复制" not in words
    assert await asyncio.to_thread(held, copies) == before
    drilled = await asyncio.to_thread(run, "backup", "drill", "--data", data)
    assert drilled.exit_code == 0, drilled.output
    assert f"副本有 {size} 条记录" in drilled.output
    assert f"现有数据库比副本少 {size} 条" in drilled.output
    restored = await asyncio.to_thread(run, "restore", "--data", data, "--from", "second-disk")
    assert f"已由 second-disk 恢复 {size} 条记录" in restored.output


async def test_a_restored_node_that_passed_its_gate_is_copied_again(data: Path) -> None:
    size = await copied(data, 3)
    lose(data)
    async with running(alone(data)) as node:
        await until(lambda: state(node) == "waiting")
    toml = data / "erhai.toml"
    text = toml.read_text(encoding="utf-8")
    toml.write_text(text[: text.index("[[peers]]")] + REPLICA, encoding="utf-8")
    restored = await asyncio.to_thread(run, "restore", "--data", data, "--from", "second-disk")
    assert restored.exit_code == 0, restored.output
    assert await copied(data, 4) == size + 4
    drilled = await asyncio.to_thread(run, "backup", "drill", "--data", data)
    assert drilled.exit_code == 0, drilled.output
    assert f"副本有 {size + 4} 条记录" in drilled.output


async def test_a_node_that_is_stopped_while_it_runs_stops_copying(data: Path) -> None:
    async with running(alone(data)) as node:
        await incident(node, "一")
        await until(lambda: state(node) == "current")
        node.stopped = RuntimeError("stopped")  # type: ignore[assignment]  # only that it is there counts
        await until(lambda: state(node) == "waiting")
        (one,) = node.replica_status()
        assert one.behind_since_ms is None
        node.stopped = None
        await incident(node, "二")
        await until(lambda: state(node) == "current")


async def test_a_database_with_fewer_entries_than_were_released_is_not_copied_whoever_put_it_there(
    tmp_path: Path,
) -> None:
    make(tmp_path)
    node = opened(tmp_path)
    await incident(node, "一")
    await node.store.close()
    assert copy_withheld(node, DATABASE, starting=True) == ""
    (tmp_path / DATABASE).unlink()
    assert "数据库读不出" in copy_withheld(node, DATABASE, starting=True)
    empty = connect(tmp_path / DATABASE)
    empty.execute(LOG_SCHEMA)
    empty.close()
    assert copy_withheld(node, DATABASE, starting=True) == "数据库只有 0 条本机记录，栅栏文件记明已发出 1 条"
    assert copy_withheld(node, "devices.db", starting=True) == ""
    node.recorder.close()


def test_what_a_killed_node_left_running_is_ended_before_the_database_is_opened(data: Path) -> None:
    (replica,) = alone(data).replicas
    config = write_config(data, replica)
    command = [program(), "replicate", "-config", str(config), "-no-expand-env"]
    orphan = subprocess.Popen(command, cwd=data, env=environment(), stderr=subprocess.DEVNULL)
    pid_path(data, replica).write_text(f"{orphan.pid}\n", encoding="ascii")
    reaping = threading.Thread(target=orphan.wait)
    reaping.start()
    lose(data)
    asyncio.run(open_node(alone(data)).close())
    reaping.join(10)
    assert orphan.returncode is not None


def test_a_second_start_beside_a_running_node_ends_nothing_of_it(data: Path) -> None:
    (replica,) = alone(data).replicas
    config = write_config(data, replica)
    command = [program(), "replicate", "-config", str(config), "-no-expand-env"]
    running_copy = subprocess.Popen(command, cwd=data, env=environment(), stderr=subprocess.DEVNULL)
    pid_path(data, replica).write_text(f"{running_copy.pid}\n", encoding="ascii")
    held_fence = Fence.open(data / FENCE)
    try:
        with pytest.raises(FenceFault):
            open_node(alone(data))
        assert running_copy.poll() is None
    finally:
        held_fence.close()
        running_copy.terminate()
        running_copy.wait()
