"""docs/runbook.md says what is so: its sentences are the program's, and its commands bring a node back."""

import asyncio
import re
import shlex
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node import folder_words, verdict
from node.places import DATABASE, FENCE
from node.store import connect
from sync.log import size_of
from tests.faults.test_new_epoch import E1, PERSONS, incident, settings, until
from tests.faults.test_running_room import free_base
from tests.shell.test_folder_words import cut
from web.demo.world import World, make_world
from web.serve import running
from web.status import WORDS

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
BLOCKS = {name: text.strip().splitlines() for name, text in re.findall(r"```sh ([a-z-]+)\n(.*?)```", PAGE, re.DOTALL)}
KEPT = ("keys", "trust", "erhai.toml", "people.toml", "calendar-2026.toml", "calendar-2026.toml.note")


def test_every_sentence_that_the_page_quotes_is_one_of_the_programs() -> None:
    said = "\n".join([line for _, line, _ in WORDS.values()] + list(verdict._CAUSES.values()))
    said += Path(folder_words.__file__).read_text(encoding="utf-8").replace("{zh}", "缺失")
    quoted = [one for one in re.findall(r"`([^`\n]+)`", PAGE) if re.search("[，：]|密钥|受损|历史", one)]
    assert len(quoted) > 10
    for sentence in quoted:
        assert sentence in said, sentence


@pytest.mark.parametrize("line", [line for lines in BLOCKS.values() for line in lines])
def test_every_command_of_the_page_is_one_that_the_program_takes(line: str) -> None:
    words = shlex.split(line)[1:]
    command: click.Command = cli
    context = click.Context(cli)
    while isinstance(command, click.Group):
        found = command.get_command(context, words[0])
        assert found is not None
        command, words = found, words[1:]
    command.make_context("x", words)


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Node a has recorded three entries that its neighbour and its prefecture hold; they run, it is stopped."""
    made = make_world(tmp_path / "world", free_base())
    text = (made.data("a") / "erhai.toml").read_text(encoding="utf-8")
    # Nobody plays the line of the demonstration; records do not wait for a witness while a is alone.
    text = text.replace(f":{made.line}", f":{made.sync('prefecture')}")
    (made.data("a") / "erhai.toml").write_text(f'witness = "preferred"\n{text}', encoding="utf-8")
    async with AsyncExitStack() as stack:
        b = await stack.enter_async_context(running(settings(made, "b")))
        above = await stack.enter_async_context(running(settings(made, "prefecture")))
        async with running(settings(made, "a")) as a:
            for n in range(3):
                await incident(a, f"第 {n} 件")
            for peer in (b, above):
                await until(peer, lambda db: size_of(db, E1) == 3)
        shutil.copytree(made.data("a"), made.folder / "kept", ignore=shutil.ignore_patterns("*.sock"))
        yield made


async def do(world: World, line: str) -> Result:
    """Type a line of the page; `erhai run` is done by the test itself."""
    words = shlex.split(line.replace("/var/lib/erhai", str(world.data("a"))))
    words = [{"O-01": PERSONS[0], "S-01": PERSONS[1]}.get(word, word) for word in words]
    words = [str(world.folder / word) if word == "conflict.zip" else word for word in words]
    return await asyncio.to_thread(CliRunner().invoke, cli, words[1:], input="1234\n1234\n")


def lose_the_disk(world: World) -> None:
    data = world.data("a")
    shutil.rmtree(data)
    data.mkdir(mode=0o700)
    for name in KEPT:
        kept = world.folder / "kept" / name
        (shutil.copytree if kept.is_dir() else shutil.copy2)(kept, data / name)


def damage_the_database(world: World) -> None:
    cut(world.data("a"))


def lose_the_fence(world: World) -> None:
    (world.data("a") / FENCE).unlink()


@pytest.mark.parametrize(
    ("section", "harm", "codes"),
    [
        ("lost-disk", lose_the_disk, [0, 0]),
        ("damaged", damage_the_database, [4, 0]),
        ("fence", lose_the_fence, [0]),
    ],
)
async def test_the_commands_of_a_section_bring_the_node_back(
    world: World, section: str, harm, codes: list[int]
) -> None:
    harm(world)
    *lines, last = BLOCKS[section]
    assert last.startswith("erhai run ")
    for line, code in zip(lines, codes, strict=True):
        done = await do(world, line)
        assert done.exit_code == code, (line, done.output)
    async with running(settings(world, "a")) as a:
        assert a.stopped is None
        await incident(a, "回来以后")
        assert a.recorder.log.size == 4


async def test_the_commands_about_a_fork_lead_to_a_new_epoch_on_the_witnessed_branch(world: World) -> None:
    async with running(settings(world, "a")) as a:
        await incident(a, "邻机已存证")
        db = connect(world.data("b") / DATABASE, readonly=True)
        async with asyncio.timeout(20):
            while size_of(db, E1) < 4:  # noqa: ASYNC110 - another node's state
                await asyncio.sleep(0.05)
        db.close()
    shutil.rmtree(world.data("a"))
    (world.folder / "kept").rename(world.data("a"))
    text = (world.data("a") / "erhai.toml").read_text(encoding="utf-8")
    (world.data("a") / "erhai.toml").write_text(text.partition("[[peers]]")[0], encoding="utf-8")
    async with running(settings(world, "a")) as a:
        await incident(a, "只在本机甲")
        await incident(a, "只在本机乙")
    (world.data("a") / "erhai.toml").write_text(text, encoding="utf-8")
    async with running(settings(world, "a")) as a:
        assert a.stopped is not None
    *lines, last = BLOCKS["fork"]
    assert last.startswith("erhai run ")
    for line in lines:
        done = await do(world, line)
        assert done.exit_code == 0, (line, done.output)
    assert (world.folder / "conflict.zip").stat().st_size > 0
    assert "另一分支的 2 条" in done.output
    async with running(settings(world, "a")) as a:
        assert a.stopped is None
        async with asyncio.timeout(20):
            while [len(one.records) for one in a.branches] != [2]:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        await incident(a, "新纪元")
