"""`erhai log verify` as people and scripts call it: words, JSON, exit status, and no node beside it."""

import io
import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner

from sync.cli import verify_command
from tests.data.sample_log import GOLDEN, ORIGIN, SampleLog, members, policy_of, zipped

BUNDLE = GOLDEN / "bundle.zip"
FIELDS = ["ok", "problem", "origin", "seq", "expected", "got", "trust"]


@pytest.fixture
def run():
    def call(*arguments, lang="zh_CN.UTF-8"):
        environment = {"LANG": lang, "LC_ALL": "", "LC_MESSAGES": ""}
        return CliRunner().invoke(verify_command, [*map(str, arguments)], env=environment, prog_name="log verify")

    return call


def tampered_bundle(folder: Path) -> Path:
    files = members(BUNDLE.read_bytes())
    data = bytearray(files["tile/entries/000"])
    data[40] ^= 1
    path = folder / "tampered.zip"
    path.write_bytes(zipped(files | {"tile/entries/000": bytes(data)}))
    return path


def test_a_good_bundle_exits_0_and_says_whose_trust_it_rests_on(run, tmp_path):
    policy = tmp_path / "policy"
    policy.write_bytes(bytes(policy_of(quorum=2)))
    bundled, given = run(BUNDLE, "--json"), run(BUNDLE, "--json", "--policy", policy)
    assert (bundled.exit_code, given.exit_code) == (0, 0)
    assert list(json.loads(bundled.output)) == FIELDS
    assert json.loads(bundled.output) == dict.fromkeys(FIELDS) | {"ok": True, "origin": ORIGIN, "trust": "bundled"}
    assert json.loads(given.output)["trust"] == "policy"


def test_people_read_chinese_unless_they_ask_for_english(run):
    assert "验证通过" in run(BUNDLE).output
    assert "未经您核对" in run(BUNDLE).output
    assert "verified: dali.example" in run(BUNDLE, lang="en_GB.UTF-8").output
    assert "trust: bundled" in run(BUNDLE, lang="en_GB.UTF-8").output


def test_tampering_exits_4_and_is_named(run, tmp_path):
    path = tampered_bundle(tmp_path)
    found = run(path, "--json")
    assert found.exit_code == 4
    facts = json.loads(found.output)
    assert (facts["ok"], facts["problem"], facts["seq"]) == (False, "changed-entry", 0)
    assert "[changed-entry]" in run(path).output
    assert "记录被改动" in run(path).output


def test_a_checkpoint_seen_before_is_held_against_the_bundle(run, tmp_path):
    seen = tmp_path / "seen"
    for size, status in ((200, 0), (300, 0), (301, 4)):
        seen.write_bytes(SampleLog.of(size).note())
        assert run(BUNDLE, "--seen", seen).exit_code == status


def test_input_that_cannot_be_read_exits_1(run, tmp_path):
    broken = tmp_path / "broken"
    broken.write_bytes(BUNDLE.read_bytes()[:5_000])
    for arguments in ((broken,), (BUNDLE, "--policy", broken), (BUNDLE, "--seen", broken)):
        found = run(*arguments, "--json")
        assert found.exit_code == 1, found.output
        assert json.loads(found.output)["ok"] is False
        assert run(*arguments).exit_code == 1


@pytest.mark.parametrize(
    "arguments",
    [[], ["missing.zip"], [BUNDLE, "--policy", "missing"], [BUNDLE, "--seen", "missing"], ["."], [BUNDLE, "--what"]],
)
def test_wrong_usage_and_missing_files_exit_2(run, arguments):
    assert run(*arguments).exit_code == 2


def test_a_bomb_is_refused_without_being_inflated(tmp_path):
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("checkpoint", "w") as member:
        for _ in range(64):
            member.write(bytes(2**22))
    path = tmp_path / "bomb.zip"
    path.write_bytes(bomb.getvalue())
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_AS, (2**28, 2**28))\nimport sys; sys.argv[1:] = ['verify', {str(path)!r}, '--json']\nimport runpy; runpy.run_module('sync', run_name='__main__')"
    done = subprocess.run(
        [sys.executable, "-c", limited], capture_output=True, check=False, cwd=Path(__file__).parents[2]
    )
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["problem"] == "compressed-member"


def test_the_verifier_runs_with_nothing_of_the_node_imported():
    """As on the desk of somebody who has only the folder `sync`: other folders must not even be looked for."""
    script = (
        "import sys, runpy\n"
        "for name in ('node', 'web', 'devices', 'image', 'apsw', 'aiohttp'): sys.modules[name] = None\n"
        f"sys.argv[1:] = ['verify', {str(BUNDLE)!r}]\n"
        "runpy.run_module('sync', run_name='__main__')\n"
    )
    environment = os.environ | {"LANG": "en_GB.UTF-8", "LC_ALL": "", "LC_MESSAGES": ""}
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        env=environment,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1].startswith("verified: ")
