"""The line to the prefecture decides nothing: cut before every stage and healed after it, the result is the uncut run's."""

import re
from pathlib import Path

from web.demo.day import LOT, Day
from web.demo.link import Link
from web.demo.processes import Processes
from web.demo.world import make_world

STEPS = ("tender", "bidders", "committee", "bids", "opening", "seat", "sit_down", "preliminary", "score", "result")


def _played(folder: Path, port: int, *, cut: bool) -> str:
    """Play to the report; return the result tables as text, participants' random references and seconds aside."""
    world = make_world(folder, port)
    processes, link = Processes(world), Link(world.line, world.sync("prefecture"))
    link.heal()
    try:
        processes.start_all()
        day = Day(world, processes, link, lambda _step, _text: None)
        for number, step in enumerate(STEPS):
            # The bids step waits for the neighbour only; every stage runs once without the line where `cut` says so.
            if cut:
                link.cut()
            getattr(day, step)()
            if cut and number % 2:
                link.heal()
        link.heal()
        day.wait_for_reach(day.receipts["a"][-1], "上级已接收", "a", 40.0)
        words = day.person("O-01").open(LOT).words
        told = words[words.index("开标一览表") :].partition("日志 dali")[0]
        return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "时间", re.sub(r"P-[A-Z2-7]{6}", "P", told))
    finally:
        link.cut()
        processes.stop()


def test_the_result_is_the_same_with_the_line_cut_at_every_stage(tmp_path: Path) -> None:
    whole = _played(tmp_path / "whole", 18_800, cut=False)
    cut = _played(tmp_path / "cut", 18_830, cut=True)
    assert "评标基准价" in whole
    assert cut == whole
