"""A data folder on a read-only medium (a copy handed over, a disk that was mounted so): what can be read is, the rest says why."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from erhai import cli
from node import read_only
from node.places import DATABASE
from node.store import StoreFault, connect
from tests.faults.small_node import make
from tests.shell.test_backup_commands import record

ROOT = Path(__file__).parents[2]
MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'
EN, ZH = "the file system is read-only", "文件系统只读"


def why_not() -> str:
    """Return why nothing can be mounted here; "" where it can."""
    if shutil.which("unshare") is None:
        return "unshare(1) is not installed"
    tried = subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNT, str(ROOT / "tests"), "true"], capture_output=True, text=True, check=False
    )
    return "" if tried.returncode == 0 else f"mounts are not permitted here: {tried.stderr.strip()}"


NEEDS_MOUNT = pytest.mark.skipif(bool(why_not()), reason=why_not() or "mounts work")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    make(folder)
    record(folder, 3)
    return folder


def run(data: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
    """Run a command where the data folder is mounted read-only, and nowhere else."""
    command = [sys.executable, str(ROOT / "erhai.py"), *(str(one) for one in arguments)]
    return subprocess.run(
        ["unshare", "-m", "sh", "-c", MOUNT, str(data), *command],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )


@NEEDS_MOUNT
def test_what_only_reads_works_from_a_read_only_medium(data: Path) -> None:
    bundle = data.parent / "evidence.zip"
    for arguments, words in (
        (("log", "export", "--data", data, "-o", bundle), "3 条记录"),
        (("log", "evidence", "--data", data, "-o", data.parent / "conflict.zip"), "没有留存的反证"),
        (("courier", "export", "--data", data, "-o", data.parent / "stick"), "1 个日志"),
        (("check", "--data", data), "一致 / clean"),
    ):
        done = run(data, *arguments)
        assert done.returncode == 0, done.stderr
        assert words in done.stdout
    assert CliRunner().invoke(cli, ["log", "verify", str(bundle)]).exit_code == 0


@NEEDS_MOUNT
@pytest.mark.parametrize("verb", ["run", "rebuild", "restore", "drill"])
def test_what_must_write_says_in_both_languages_that_the_medium_is_read_only(data: Path, verb: str) -> None:
    with (data / "erhai.toml").open("a", encoding="utf-8") as file:
        file.write('\n[[replica]]\nname = "disk"\nkind = "file"\npath = "../copies"\n')
    arguments = {
        "run": ("run", "--config", data / "erhai.toml"),
        "rebuild": ("rebuild", "--data", data),
        "restore": ("restore", "--data", data, "--from", "peers"),
        "drill": ("backup", "drill", "--data", data),
    }
    done = run(data, *arguments[verb])
    assert done.returncode == 3
    assert EN in done.stderr
    assert ZH in done.stderr
    assert "unable to open database file" not in done.stderr


@NEEDS_MOUNT
def test_commits_that_were_not_merged_are_not_passed_over_in_silence(data: Path) -> None:
    db = connect(data / DATABASE)
    db.execute("CREATE TABLE more (x)")
    kept = (data / f"{DATABASE}-wal").read_bytes()
    db.close()
    (data / f"{DATABASE}-wal").write_bytes(kept)
    (data / f"{DATABASE}-shm").unlink(missing_ok=True)
    done = run(data, "log", "export", "--data", data, "-o", data.parent / "evidence.zip")
    assert done.returncode == 3
    assert "还没有并入的提交" in done.stderr
    assert "are not merged" in done.stderr


@pytest.mark.parametrize("readonly", [True, False])
def test_the_fault_names_the_medium_or_the_rights_as_they_are(
    data: Path, monkeypatch: pytest.MonkeyPatch, readonly: bool
) -> None:
    missing = data / "nowhere" / DATABASE
    with pytest.raises(StoreFault) as plain:
        connect(missing, readonly=readonly)
    assert "check the disk" in str(plain.value)
    monkeypatch.setattr("node.store.no_rights", lambda _folder: True)
    with pytest.raises(StoreFault) as rights:
        connect(missing, readonly=readonly)
    assert read_only.NO_RIGHTS in str(rights.value)
    assert rights.value.cause == "read-only"
    monkeypatch.setattr("node.store.is_read_only", lambda _path: True)
    with pytest.raises(StoreFault) as medium:
        connect(missing, readonly=readonly)
    assert (medium.value.why, medium.value.cause) == (read_only.READ_ONLY, "read-only")
    assert not read_only.is_read_only(data)
