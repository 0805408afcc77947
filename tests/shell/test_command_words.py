"""The commands answer in words: where nothing can be written, what is refused, and an end before anything began."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from erhai import VERBS, cli
from node.receipts import number_of
from sync.courier import FILES
from tests.faults.small_node import ORIGIN, make
from tests.shell.test_backup_commands import record
from tests.shell.test_epoch_command import typed, write_people

ROOT = Path(__file__).parents[2]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "node"
    make(folder)
    write_people(folder)
    settings = folder / "erhai.toml"
    settings.write_text(f'people = "people.toml"\n{settings.read_text(encoding="utf-8")}', encoding="utf-8")
    record(folder, 3)
    return folder


def run(*arguments: object, keys: str = "") -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], input=keys)


def test_a_proof_or_evidence_into_a_missing_folder_is_a_usage_error_in_words(data: Path, tmp_path: Path) -> None:
    missing = tmp_path / "missing" / "x"
    for verb in (("export",), ("prove", number_of(ORIGIN, 1)), ("evidence",)):
        done = run("log", *verb, "--data", data, "-o", missing)
        assert done.exit_code == 2
        assert "没有这个文件夹 / no such folder" in done.output


def test_a_refused_epoch_says_why_without_rule_words(data: Path) -> None:
    pair = ("--by", "O-1", "--by", "S-1")
    done = run("epoch", "new", "--data", data, *pair, "--cause", "damage", keys=typed("O-1", "S-1"))
    assert done.exit_code == 1
    assert "本机日志完好，直接启动节点即可" in done.output
    assert "allows" not in done.output


@pytest.mark.parametrize(
    "harm", [lambda text: text.replace(b" ", b"  ", 1), lambda text: text[:-10], lambda _text: b""]
)
def test_a_stick_whose_list_was_altered_ends_the_import_as_tampered(data: Path, tmp_path: Path, harm: object) -> None:
    stick = tmp_path / "stick"
    assert run("courier", "export", "--data", data, "-o", stick).exit_code == 0
    assert run("courier", "import", "--data", data, stick).exit_code == 0
    listed = (stick / FILES).read_bytes()
    (stick / FILES).write_bytes(harm(listed))  # type: ignore[operator]
    done = run("courier", "import", "--data", data, stick)
    assert done.exit_code == 4
    assert "清单被改动" in done.output


def test_an_interrupt_while_the_program_is_loaded_ends_it_without_a_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("raise KeyboardInterrupt\n")
    done = subprocess.run(
        [sys.executable, "-c", "from erhai import main; main()"],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_while_a_verb_is_loaded_ends_it_without_a_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(_name: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("erhai.importlib.import_module", stop)
    done = run("check")
    assert done.exit_code == 1
    assert "Aborted" in done.output


def test_the_readme_names_every_verb() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    named = set(re.findall(r"erhai ([a-z]+)", text))
    assert set(VERBS) - {"demo"} <= named
