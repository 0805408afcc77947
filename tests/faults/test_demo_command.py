"""`erhai demo` as a process: it takes its nodes with it however it ends, and never a folder that is in use."""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from click.testing import CliRunner

from node.places import FENCE
from sync.fence import Fence
from tests.faults.test_running_room import free_base
from web.demo.cli import cli_demo
from web.demo.world import NODES, make_world

ROOT = Path(__file__).parents[2]


def test_a_demonstration_whose_terminal_is_closed_takes_its_nodes_with_it(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "erhai", "demo", "--port", str(free_base()), "--data", str(tmp_path / "demo")]
    with subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, start_new_session=True
    ) as child:
        nodes: list[int] = []
        try:
            assert child.stdout is not None
            ready = 0
            while ready < len(NODES) and (line := child.stdout.readline()):
                ready += line.startswith("ready ")
            assert ready == len(NODES)
            nodes = [int(pid) for pid in Path(f"/proc/{child.pid}/task/{child.pid}/children").read_text().split()]
            assert len(nodes) == len(NODES)
            os.kill(child.pid, signal.SIGHUP)
            assert child.wait(60) == 0
            for node in NODES:  # a node that still ran would hold it
                Fence.open(tmp_path / "demo" / node / FENCE).close()
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            for pid in nodes:  # none is left, unless the test has failed
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def test_a_folder_on_which_a_node_runs_is_not_made_anew(tmp_path: Path) -> None:
    make_world(tmp_path / "demo", 11_000)
    (tmp_path / "demo" / "a" / "kept").write_text("x")
    held = Fence.open(tmp_path / "demo" / "b" / FENCE)
    try:
        refused = CliRunner().invoke(cli_demo, ["--once", "--data", str(tmp_path / "demo")])
    finally:
        held.close()
    assert refused.exit_code == 3
    assert "数据目录正被使用" in refused.output
    assert (tmp_path / "demo" / "a" / "kept").exists()
