"""What is damaged here never leaves as if it were whole: every export checks what it reads, and names the entry."""

from collections.abc import Callable
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node.places import DATABASE
from node.store import connect
from tests.faults.small_node import ORIGIN, make
from tests.shell.test_backup_commands import record

COUNT = 6


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    make(folder)
    record(folder, COUNT)
    return folder


def damage(data: Path, harm: Callable[[apsw.Connection], object]) -> None:
    db = connect(data / DATABASE)
    with db:
        harm(db)
    db.close()


def flip_body(db: apsw.Connection) -> None:
    """One bit in the middle of one entry."""
    (body,) = db.execute("SELECT body FROM entries WHERE seq = 3").fetchone()
    changed = bytearray(body)
    changed[len(changed) // 2] ^= 1
    db.execute("UPDATE entries SET body = ? WHERE seq = 3", (bytes(changed),))


def flip_leaf(db: apsw.Connection) -> None:
    """The stored hash instead of the bytes."""
    (leaf,) = db.execute("SELECT leaf FROM entries WHERE seq = 3").fetchone()
    db.execute("UPDATE entries SET leaf = ? WHERE seq = 3", (bytes([leaf[0] ^ 1]) + leaf[1:],))


def lose(db: apsw.Connection) -> None:
    """An entry that is gone."""
    db.execute("DELETE FROM entries WHERE seq = 3")


@pytest.mark.parametrize(
    ("harm", "words"),
    [
        (flip_body, "第 3 条记录的字节与其散列不符 / entry 3"),
        (flip_leaf, "存储的散列与检查点不符"),
        (lose, "记录起有缺失"),
    ],
)
def test_a_damaged_log_is_not_exported_and_the_next_step_is_named(
    data: Path, harm: Callable[[apsw.Connection], object], words: str
) -> None:
    output = data.parent / "evidence.zip"
    assert run("log", "export", "--data", data, "-o", output).exit_code == 0
    whole = output.read_bytes()
    damage(data, harm)
    for more in ((), ("--files",)):
        done = run("log", "export", "--data", data, "-o", output, *more)
        assert done.exit_code == 4, done.output
        assert "日志受损，没有导出" in done.output
        assert ORIGIN in done.output
        assert f"erhai check --data {data}" in done.output
        assert f"erhai restore --data {data} --from peers" in done.output
        if not more:
            assert words in done.output
    assert output.read_bytes() == whole
    assert sorted(path.name for path in data.parent.iterdir()) == ["evidence.zip", "node"]


@pytest.mark.parametrize("harm", [flip_body, flip_leaf, lose])
def test_a_damaged_log_is_left_off_a_stick_and_named(data: Path, harm: Callable[[apsw.Connection], object]) -> None:
    stick = data.parent / "stick"
    assert run("courier", "export", "--data", data, "-o", stick).exit_code == 0
    damage(data, harm)
    done = run("courier", "export", "--data", data, "-o", stick)
    assert done.exit_code == 3, done.output
    assert f"日志残缺，未写入 / log damaged, left out: {ORIGIN}" in done.output
    assert f"erhai check --data {data}" in done.output
    assert "0 个日志" in done.output
    assert [one for one in (stick / "logs").rglob("*") if one.is_file()] == []


def test_a_changed_entry_is_named_by_show_and_proofs_of_what_is_not_there_stay_a_plain_no(data: Path) -> None:
    damage(data, flip_body)
    shown = run("log", "show", "--data", data)
    assert shown.exit_code == 4
    assert "第 3 条记录的字节与其散列不符" in shown.output
    unknown = run("log", "show", "--data", data, "--origin", "nobody/e1")
    assert unknown.exit_code == 1
    assert "没有这个日志" in unknown.output


@pytest.mark.parametrize("level", [0, 1])
def test_a_changed_hash_of_a_subtree_is_found_though_every_entry_is_sound(tmp_path: Path, level: int) -> None:
    folder = tmp_path / "node"
    make(folder)
    record(folder, 260)

    def harm(db: apsw.Connection) -> None:
        if level:
            db.execute("UPDATE hash256 SET hash = zeroblob(32) WHERE level = 1 AND n = 0")
        else:
            flip_body(db)

    damage(folder, harm)
    done = run("log", "export", "--data", folder, "-o", tmp_path / "evidence.zip")
    assert done.exit_code == 4
    assert ("第 0 条记录起的子树散列不符" if level else "第 3 条记录的字节") in done.output
