"""The drawing node is killed in mid-draw: its neighbour takes the lot over, and the draw comes to the same people."""

import asyncio
import signal
import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from node import custody
from node.domain import draw
from node.domain.draw_proof import PARTIES
from node.domain.refused import Refused
from node.domain.streams import draw_stream
from node.drawing import Drawings
from node.escrow import escrow_info
from node.node import Node
from node.views import custody as custody_view
from sync import codec
from sync.wrap import unwrap_share
from tests.faults.draw_child import DRAW, WHO, WITNESS, import_bank, new_id, request
from tests.faults.test_custody_running import SECOND, comes, is_, settings
from tests.faults.test_running_room import free_base
from web.demo import cast
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running

CHILD = Path(__file__).parent / "draw_child.py"
RETURNS = ("in-the-last-reveal", "one-answered")  # at these the dead node also comes back, and is fenced
STAGES = ("frozen", "committed", "two-revealed", "in-the-last-reveal", "ranked", "one-answered")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


async def killed(world: World, stage: str) -> dict[str, bytes]:
    """Run node a as far as the stage, where it is killed. Return what the parties have noted."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, str(CHILD), str(world.folder), str(world.port), stage, stdout=asyncio.subprocess.PIPE
    )
    async with asyncio.timeout(60):
        out, _ = await child.communicate()
    assert child.returncode == -signal.SIGKILL
    lines = [line.split() for line in out.decode().splitlines()]
    return {words[1]: bytes.fromhex(words[2]) for words in lines if words[0] == "nonce"}


def expected_first(node: Node, state, nonces: dict[str, bytes]) -> list[int]:
    """Compute from list and nonces, without the node's rules for a draw, which places the two groups reach first."""
    rows = codec.unpack(node.room.open(state.frozen.sealed, f"erhai-draw-list-v1\n{DRAW}\n".encode()))
    groups = {no: groups for no, groups, _employer, _who in rows}
    seed = draw.seed_of(DRAW, state.frozen.pool_hash, [nonces[party] for party in PARTIES])
    order = draw.ranked(seed, groups)
    standings = {no: employer for no, _groups, employer, _who in rows}
    reached: list[int] = []
    for group in (0, 0, 0, 0, 1):
        used = {standings[order[one]] for one in reached}
        fits = (at for at, no in enumerate(order) if group in groups[no] and standings[no] not in used)
        reached.append(next(at for at in fits if at not in reached))
    return reached


@pytest.mark.parametrize("stage", STAGES)
async def test_the_neighbour_goes_on_with_the_draw_to_the_same_ranking(world: World, stage: str) -> None:
    async with running(settings(world, "b")) as b:
        await import_bank(b, world)
        noted = await killed(world, stage)
        await comes(lambda: is_(owner_of(b, draw_stream(DRAW)), ORIGINS["a"]))
        draws = Drawings(b)
        with pytest.raises(Refused, match="not-owner"):
            await draws.commit(DRAW, "CENTER", command_id=new_id(), actor=WHO["CENTER"])
        await custody.take(b, cast.LOT_CODE, CODES["a"], "a 机断电", SECOND, command_id=new_id(), actor=WHO["CENTER"])
        assert await owner_of(b, draw_stream(DRAW)) == ORIGINS["b"]
        for party in PARTIES:
            if party not in noted:
                await draws.commit(DRAW, party, command_id=new_id(), actor=WHO[party])
                noted[party] = draws.noted(DRAW, party, WHO[party].person)
            state = await draws.state(DRAW)
        for party in [one.name for one in state.ceremony.parties if not one.revealed]:
            await draws.reveal(DRAW, party, noted[party], command_id=new_id(), actor=WHO[party])
        state = await draws.state(DRAW)
        first = [one.place for one in state.reached][:5]
        assert first == expected_first(b, state, noted)
        await answer_all(draws)
        assert (await draws.state(DRAW)).complete
    if stage not in RETURNS:
        return
    async with running(settings(world, "b")) as b, running(settings(world, "a")) as a:
        await comes(lambda: is_(owner_of(a, draw_stream(DRAW)), ORIGINS["b"]))
        with pytest.raises(Refused, match="not-owner"):
            await Drawings(a).outcome(DRAW, first[0], "absent", command_id=new_id(), actor=WITNESS)
        await comes(lambda: same(a, b))


async def test_whoever_says_the_noted_nonce_is_lost_gains_nothing_the_escrow_opens_at_the_neighbour(
    world: World,
) -> None:
    async with running(settings(world, "b")) as b:
        await import_bank(b, world)
        noted = await killed(world, "two-revealed")
        await comes(lambda: is_(owner_of(b, draw_stream(DRAW)), ORIGINS["a"]))
        draws = Drawings(b)
        await custody.take(b, cast.LOT_CODE, CODES["a"], "a 机断电", SECOND, command_id=new_id(), actor=WHO["CENTER"])
        world.set_clock(cast.ms("2026-03-24 16:10"))
        wraps = (await draws.state(DRAW)).ceremony.party("TENDERER").wraps
        for at in (1, 2, 5):
            key = bytes.fromhex((world.folder / "trustees" / f"{at}.key").read_text().strip())
            share = unwrap_share(private_of(key), escrow_info(DRAW, "TENDERER", at), wraps[at - 1])
            await draws.release(DRAW, "TENDERER", at, share, command_id=new_id(), actor=WHO["SUPERVISOR"])
        await draws.open_escrow(DRAW, "TENDERER", command_id=new_id(), actor=WHO["SUPERVISOR"])
        state = await draws.state(DRAW)
        assert [one.place for one in state.reached] == expected_first(b, state, noted)


async def test_a_draw_is_not_begun_a_second_time_at_the_neighbour(world: World) -> None:
    """What is frozen goes on; there is no second freeze to choose between."""
    async with running(settings(world, "b")) as b:
        await import_bank(b, world)
        await killed(world, "committed")
        await comes(lambda: is_(owner_of(b, draw_stream(DRAW)), ORIGINS["a"]))
        await custody.take(b, cast.LOT_CODE, CODES["a"], "a 机断电", SECOND, command_id=new_id(), actor=WHO["CENTER"])
        for number, code in ((1, "frozen-already"), (2, "draw-not-over")):
            with pytest.raises(Refused, match=code):
                await Drawings(b).freeze(request(), number, parties=PARTIES, command_id=new_id(), actor=WHO["CENTER"])


def private_of(raw: bytes):
    return X25519PrivateKey.from_private_bytes(raw)


async def answer_all(draws: Drawings) -> None:
    """Everybody who is called accepts; the calls are made at this node."""
    while True:
        state = await draws.state(DRAW)
        waiting = [one.place for one in state.reached if one.state == "pending"]
        if not waiting:
            return
        assert {call.place for call in await draws.calls(DRAW)} == {*waiting}
        await draws.outcome(DRAW, waiting[0], "accepted", command_id=new_id(), actor=WITNESS)


async def owner_of(node: Node, stream: str) -> str:
    return (await node.read(lambda db: custody_view.chain(db, stream))).owner


async def same(a: Node, b: Node) -> bool:
    return (await a.state(draw_stream(DRAW))).reached == (await b.state(draw_stream(DRAW))).reached
