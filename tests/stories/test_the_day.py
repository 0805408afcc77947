"""The whole product in one line: what `make run ONCE=1` plays, as a test."""

import subprocess
import sys
from pathlib import Path

from web.demo import cast

ROOT = Path(__file__).parents[2]


def test_the_day_runs_from_notice_to_verified_through_outage_kill_and_catch_up(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "erhai", "demo", "--once", "--port", "18600", "--data", str(tmp_path / "demo")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert lines[-1] == "verified"
    told = [line.partition("] ")[2].split()[0] for line in lines if line.startswith("[")]
    story = [
        "登记",
        "抽取",
        "开标",
        "组建",
        "断网",
        "停电",
        "故障",
        "恢复",
        "报告",
        "签名",
        "补传",
        "审查",
        "答复",
        "已审查",
        "自检",
        "核验",
    ]
    assert [step for step in dict.fromkeys(told) if step in story] == story
    _nobody_is_named_above(tmp_path / "demo")
    (signed,) = [line for line in lines if "人用证书签名" in line]
    assert all(f"（{family}）" in signed for family in ("RSA", "ECDSA", "SM2")), signed
    assert sum(line.startswith("ready http://127.0.0.1:") for line in lines) == 3


def _nobody_is_named_above(world: Path) -> None:
    """Names, numbers and phones of persons stay in the room: the prefecture's disk and every node's messages hold none."""
    needles = [text for one in (*cast.BANK, cast.MEMBERS[-1]) for text in (one.name, one.id_no, one.phone)]
    needles += [text for one in cast.BIDDERS for text in (one.contact, one.phone)]
    files = [path for path in (world / "prefecture").rglob("*") if path.is_file() and path.name != "people.toml"]
    files += list(world.glob("*.log")) + list(world.glob("*.zip"))
    assert len(files) > 8
    for path in files:
        data = path.read_bytes()
        assert [needle for needle in needles if needle.encode() in data] == [], path
