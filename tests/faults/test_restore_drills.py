"""Randomised restore drills: whatever happens to a disk, the node ends active or in a new epoch, and nothing forks."""

from pathlib import Path

import pytest

from tests.faults.restore_drill import drill
from tests.faults.test_running_room import free_base
from web.demo.world import World, make_world

SEEDS = range(20)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world") / "template", free_base())


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_drill_ends_active_or_in_a_new_epoch_and_never_in_a_fork(
    tmp_path: Path, template: World, seed: int
) -> None:
    outcome = await drill(tmp_path / "drill", template, seed)
    print(outcome)
    assert outcome.end in {"active", "new-epoch"}
