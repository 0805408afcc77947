"""A data folder that something happened to: each command names what is wrong, ends with the right code and says what to do."""

import asyncio
import secrets
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node.places import DATABASE, FENCE, KEYS
from node.settings import load_settings
from node.start import open_node
from node.store import connect
from node.verdict import words_of
from tests.faults.small_node import make
from tests.shell.test_backup_commands import record
from tests.shell.test_epoch_command import typed, write_people
from web.demo.world import make_world

RESTORE = "erhai restore --data {} --from peers"
RELEASED = 6


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    make(folder)
    write_people(folder)
    settings = folder / "erhai.toml"
    settings.write_text(f'people = "people.toml"\n{settings.read_text(encoding="utf-8")}', encoding="utf-8")
    record(folder, RELEASED)
    db = connect(folder / DATABASE)
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return folder


def run(*arguments: object, keys: str = "") -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], input=keys)


def damage_page(data: Path) -> None:
    """Change the whole root page of a table that only the check reads."""
    db = connect(data / DATABASE, readonly=True)
    (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'incidents'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    content = bytearray((data / DATABASE).read_bytes())
    start = (page - 1) * size
    content[start : start + size] = bytes(octet ^ 0x55 for octet in content[start : start + size])
    (data / DATABASE).write_bytes(content)


def damage_successions(data: Path) -> None:
    """Change the page that every command reads first."""
    db = connect(data / DATABASE, readonly=True)
    (page,) = db.execute("SELECT rootpage FROM sqlite_schema WHERE name = 'successions'").fetchone()
    (size,) = db.execute("PRAGMA page_size").fetchone()
    db.close()
    content = bytearray((data / DATABASE).read_bytes())
    content[(page - 1) * size : page * size] = b"\x55" * size
    (data / DATABASE).write_bytes(content)


def cut(data: Path) -> None:
    """Keep the first page and a bit."""
    (data / DATABASE).write_bytes((data / DATABASE).read_bytes()[:5_000])


def not_a_database(data: Path) -> None:
    """Put something else in its place."""
    (data / DATABASE).write_bytes(b"a disk that died" * 1_000)


@pytest.mark.parametrize("damage", [damage_page, damage_successions, cut, not_a_database])
def test_a_damaged_page_is_named_as_damage_by_check_rebuild_and_epoch_new_and_leads_to_restore(
    data: Path, damage: object
) -> None:
    damage(data)  # type: ignore[operator]
    pair = ("--by", "O-1", "--by", "S-1")
    for done in (
        run("check", "--data", data),
        run("rebuild", "--data", data),
        run("epoch", "new", "--data", data, *pair, "--cause", "damage", keys=typed("O-1", "S-1")),
    ):
        assert done.exit_code == 4, done.output
        assert RESTORE.format(data) in done.output
        assert "cursor.c" not in done.output
        assert "epoch-not-needed" not in done.output


def test_an_empty_database_is_not_rebuilt_where_the_fence_says_that_entries_were_released(data: Path) -> None:
    (data / DATABASE).write_bytes(b"")
    done = run("rebuild", "--data", data)
    assert done.exit_code == 4
    assert "只有 0 条" in done.output
    assert f"已发出 {RELEASED} 条" in done.output
    assert RESTORE.format(data) in done.output
    assert run("check", "--data", data).exit_code == 4


def test_a_database_that_lacks_released_entries_is_not_clean(data: Path) -> None:
    old = data.parent / "old.db"
    shutil.copyfile(data / DATABASE, old)
    record(data, 2)
    for name in (data / DATABASE, data / f"{DATABASE}-wal", data / f"{DATABASE}-shm"):
        name.unlink(missing_ok=True)
    old.rename(data / DATABASE)
    checked = run("check", "--data", data)
    assert checked.exit_code == 4
    assert f"{RELEASED + 2} entries were released, the log holds {RELEASED}" in checked.output
    assert run("rebuild", "--data", data).exit_code == 4


@pytest.mark.parametrize(
    ("content", "word"), [(None, "缺失"), (secrets.token_bytes(100), "受损")], ids=["missing", "damaged"]
)
def test_a_missing_or_damaged_fence_is_what_check_rebuild_and_run_speak_of(
    data: Path, content: bytes | None, word: str
) -> None:
    (data / FENCE).unlink()
    if content is not None:
        (data / FENCE).write_bytes(content)
    checked = run("check", "--data", data)
    assert checked.exit_code == 4
    assert f"fence: {data / FENCE}" in checked.output
    assert "一致 / clean" not in checked.output
    for done, status in ((run("rebuild", "--data", data), 4), (run("run", "--config", data / "erhai.toml"), 3)):
        assert done.exit_code == status
        assert f"栅栏文件{word}" in done.output
        assert "请先停止节点" not in done.output
        assert RESTORE.format(data) in done.output


def test_a_whole_folder_is_clean_and_its_views_are_rebuilt(data: Path) -> None:
    assert run("check", "--data", data).output.endswith("一致 / clean\n")
    assert f"已由 {RELEASED} 条记录重建" in run("rebuild", "--data", data).output


def swap(world: Path, name: str) -> None:
    (world / "a" / name).rename(world / "kept")
    (world / "b" / name).rename(world / "a" / name)
    (world / "kept").rename(world / "b" / name)


@pytest.mark.parametrize(("name", "thing"), [(KEYS, "密钥文件夹"), (DATABASE, "数据库")])
def test_swapped_keys_and_databases_are_explained_by_whose_they_are(tmp_path: Path, name: str, thing: str) -> None:
    world = tmp_path / "world"
    make_world(world, 8600)
    swap(world, name)
    for node, other in (("a", "b"), ("b", "a")):
        data = world / node
        for done in (
            run("run", "--config", data / "erhai.toml"),
            run("check", "--data", data),
            run("rebuild", "--data", data),
            run("log", "show", "--data", data),
            run("courier", "export", "--data", data, "-o", tmp_path / "stick"),
        ):
            assert done.exit_code == 3, done.output
            assert f"这个{thing}是" in done.output
            assert f"room-1/{other}/e1" in done.output
            assert "设置写的是" in done.output
            assert "put this node's" in done.output
    swap(world, name)
    assert run("check", "--data", world / "a").exit_code == 0


def test_keys_of_another_node_stop_a_restore_before_anything_is_moved(tmp_path: Path) -> None:
    world = tmp_path / "world"
    make_world(world, 8600)
    swap(world, KEYS)
    before = (world / "a" / DATABASE).read_bytes()
    done = run("restore", "--data", world / "a", "--from", "peers")
    assert done.exit_code == 3
    assert "这个密钥文件夹是" in done.output
    assert (world / "a" / DATABASE).read_bytes() == before
    assert not (world / "a" / "set-aside").exists()


def test_a_restore_that_nobody_could_complete_says_so_and_names_the_next_steps(data: Path) -> None:
    done = run("restore", "--data", data, "--from", "peers")
    assert done.exit_code == 1
    assert f"数据库有 0 条，本机已经发出 {RELEASED} 条" in done.output
    assert "正在" not in done.output
    assert f"erhai epoch new --data {data}" in done.output
    assert f"erhai run --config {data / 'erhai.toml'}" in done.output

    async def stands() -> tuple[str, bool, str]:
        node = open_node(load_settings(data / "erhai.toml"))
        try:
            return node.gate.cause, node.gate.healable, words_of(node.gate)
        finally:
            await node.close()

    cause, healable, words = asyncio.run(stands())
    assert (cause, healable) == ("restored", True)
    assert "由 erhai restore 恢复" in words


def test_a_restored_copy_that_waits_for_peers_names_the_next_steps(data: Path) -> None:
    (data / FENCE).unlink()
    done = run("restore", "--data", data, "--from", "peers")
    assert done.exit_code == 1
    assert "没有可询问的邻机" in done.output
    assert f"erhai epoch new --data {data}" in done.output


def test_a_database_of_an_older_program_lacks_views_and_is_told_to_be_rebuilt(data: Path) -> None:
    db = connect(data / DATABASE)
    db.execute("DROP TABLE incidents")
    db.close()
    done = run("check", "--data", data)
    assert done.exit_code == 3
    assert "view: incidents: is not there" in done.output
    assert run("rebuild", "--data", data).exit_code == 0
    assert run("check", "--data", data).exit_code == 0
