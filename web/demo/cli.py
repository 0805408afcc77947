"""`erhai demo`: sets a world up, plays the day, verifies what is left, and keeps the pages open until Ctrl-C."""

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import click
from rich.console import Console

from sync.fence import FenceFault
from web.demo import cast
from web.demo.day import Day
from web.demo.link import Link
from web.demo.outage import outage
from web.demo.pages import PageFault
from web.demo.processes import Processes, ProcessFault
from web.demo.world import NODES, ORIGINS, World, make_world

_STEPS = (
    "tender",
    "bidders",
    "committee",
    "bids",
    "opening",
    "seat",
    "sit_down",
    "preliminary",
    "outage",
    "result",
    "award",
    "catch_up",
    "prove",
    "review",
)


@click.command("demo", epilog="例 / example: erhai demo --once --port 8600")
@click.option("--once", is_flag=True, help="演完即退出 / end by itself")
@click.option("--port", type=click.IntRange(1024, 65_000), default=8600, help="起始端口 / first port")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path("demo-data"), help="数据目录")
def cli_demo(port: int, data: Path, *, once: bool) -> None:
    """演示一天：上级一台、开评标室两台，断网、停电、死机、补传、审查。 Play one day, with the line cut and a node killed."""
    console = Console(highlight=False)
    began = time.monotonic()

    def say(step: str, text: str) -> None:
        console.print(f"[{time.monotonic() - began:5.1f} s] [bold]{step}[/bold]  {text}", soft_wrap=True)

    try:
        world = make_world(data.resolve(), port)
    except FenceFault as fault:
        click.echo(f"数据目录正被使用，请先结束上一次演示 / the data folder is in use: {fault}", err=True)
        sys.exit(3)
    except FileExistsError as error:
        click.echo(f"不能使用这个目录，其中有不属于演示的文件 / not an earlier demonstration: {error}", err=True)
        sys.exit(3)
    # A demonstration that is told to end takes its nodes with it, however it is told.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.default_int_handler)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    processes, link = Processes(world), Link(world.line, world.sync("prefecture"))
    try:
        link.heal()
        processes.start_all()
        for node in NODES:
            console.print(f"ready http://127.0.0.1:{world.pages(node)}/", soft_wrap=True)
        day = Day(world, processes, link, say)
        for step in _STEPS:
            outage(day) if step == "outage" else getattr(day, step)()
        verify(world, day)
        console.print("verified")
        if not once:
            click.echo("页面保持打开，按 Ctrl-C 结束 / pages stay up until Ctrl-C", err=True)
            while True:
                time.sleep(1)
    except KeyboardInterrupt:
        sys.exit(0)
    except (PageFault, ProcessFault, OSError) as fault:
        click.echo(f"演示中断 / the demonstration stopped: {fault}", err=True)
        sys.exit(3)
    finally:
        link.cut()
        processes.stop()


def _erhai(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "erhai", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(__file__).parents[2],
        timeout=120,
    )


def verify(world: World, day: Day) -> None:
    """Check everything that is left: views against logs on every node, and the prefecture's copies as bundles, offline."""
    for node in NODES:
        done = _erhai("check", "--data", str(world.data(node)), "--json")
        result = json.loads(done.stdout) if done.stdout else {}
        if done.returncode != 0 or not result.get("ok"):
            raise PageFault(node, f"check ended with {done.returncode}", done.stdout + done.stderr)
        day.say("自检", f"{node}：{result['logs']} 个日志 {result['entries']} 条记录，视图由日志重算一致")
    for node in ("a", "b"):
        bundle = world.folder / f"{node}.zip"
        asked = ("--data", str(world.data("prefecture")), "--origin", ORIGINS[node], "--files")
        exported = _erhai("log", "export", *asked, "-o", str(bundle))
        done = _erhai("log", "verify", str(bundle), "--json")
        if exported.returncode != 0 or done.returncode != 0:
            raise PageFault(node, "the prefecture's copy does not verify", exported.stderr + done.stdout + done.stderr)
        day.say("核验", f"上级所存 {node} 机日志导出为证据包，离线核验通过：{bundle.name}")
        replayed = json.loads(done.stdout).get("openings", {})
        if node == "a" and (replayed.get("bids"), replayed.get("opened")) != (len(day.refs), len(day.refs) - 1):
            raise PageFault(node, "the opening is not what its bids say when they are opened again", done.stdout)
        for fault in replayed.get("faults", ()):
            day.say("重演", f"仅凭证据包重新开启 {replayed['bids']} 份：{fault['ref']} 未开，责任 {fault['party']}")
    missing = [
        number
        for node in ("a", "b")
        for number in day.receipts.get(node, [])
        if day.person("R-01", "prefecture").open(f"/receipts/{number}").status != 200
    ]
    if missing:
        raise PageFault("prefecture", f"receipts are missing above: {', '.join(missing)}")
    total = sum(len(day.receipts.get(node, [])) for node in ("a", "b"))
    day.say("核对", f"当天出具的 {total} 份回执（标段 {cast.LOT_CODE}）在上级全部找到")
