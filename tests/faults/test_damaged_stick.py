"""A damaged stick is said to be damaged whoever reads it, and what is left out is said to be left out for what it is."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node.courier import Outcome, import_stick
from tests.faults.test_courier import A, export, opened
from tests.faults.test_courier_hard import many, outcome, with_file
from tests.faults.test_courier_hard import world as made  # noqa: F401 - the fixture
from web.demo.world import World


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments])


def entries_of(stick: Path) -> Path:
    (found,) = [path for path in stick.glob("logs/*/tile/entries/**/*") if path.is_file()]
    return found


def flip(path: Path) -> None:
    changed = bytearray(path.read_bytes())
    changed[len(changed) // 2] ^= 1
    path.write_bytes(bytes(changed))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize("harm", [flip, cut, Path.unlink])
@pytest.mark.parametrize("what", ["entries", "file"])
async def test_a_damaged_stick_is_named_by_a_node_that_holds_everything_on_it(
    made: World,  # noqa: F811 - the fixture
    tmp_path: Path,
    what: str,
    harm: Callable[[Path], None],
) -> None:
    stick = tmp_path / "stick"
    async with opened(made, "a") as a, opened(made, "prefecture") as above:
        await many(a, 5)
        sha = await with_file(a, b"sealed one")
        await export(a, stick)
        first = await import_stick(above, stick)
        assert (first.refused, first.damaged) == (False, ())
        damaged = entries_of(stick) if what == "entries" else stick / "blobs" / sha.hex()
        harm(damaged)
        again = await import_stick(above, stick)
        assert outcome(again, A) is Outcome.NOTHING_NEW
        assert again.refused
        (said,) = again.damaged
        assert str(damaged.relative_to(stick)) in said
    told = await asyncio.to_thread(run, "courier", "import", "--data", made.data("prefecture"), stick)
    assert told.exit_code == 1, told.output
    assert "移动存储受损：1 个文件与清单不符" in told.output
    assert str(damaged.relative_to(stick)) in told.output


async def test_a_file_left_out_because_its_log_was_refused_is_said_to_be_that(
    made: World,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    stick = tmp_path / "stick"
    async with opened(made, "a") as a:
        await many(a, 5)
        await with_file(a, b"sealed one")
        await export(a, stick)
    flip(entries_of(stick))
    told = await asyncio.to_thread(run, "courier", "import", "--data", made.data("prefecture"), stick)
    assert told.exit_code == 1, told.output
    assert "有日志被拒收，引用它的记录没有收下，附件略过" in told.output
    assert "附件未被已有记录引用" not in told.output


async def test_a_file_that_no_entry_names_is_still_said_to_be_that(
    made: World,  # noqa: F811 - the fixture
    tmp_path: Path,
) -> None:
    stick = tmp_path / "stick"
    async with opened(made, "a") as a:
        await many(a, 5)
        await with_file(a, b"sealed one")
        await export(a, stick)
    told = await asyncio.to_thread(run, "courier", "import", "--data", made.data("prefecture"), stick)
    assert told.exit_code == 0, told.output
    assert "附件未被已有记录引用" in told.output
