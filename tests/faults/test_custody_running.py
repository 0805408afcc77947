"""A node dies, its neighbour goes on with the lot; the dead one returns fenced, and its unsent entries are decided one by one."""

import asyncio
import hashlib
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from node import custody
from node.check import check_views
from node.domain import project
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.node import Node
from node.views import custody as custody_view
from tests.faults.test_running_room import cosigned, free_base, settings, until
from web.demo import cast
from web.demo.world import CODES, ORIGINS, World, make_world
from web.serve import running

AGENCY, OPERATOR, SECOND = Actor("G-01", Role.AGENCY), Actor("O-01", Role.OPERATOR), "supervisor:S-01"
STREAM = lot_stream(cast.LOT_CODE)
FILING = project.SubmitFiling(hashlib.sha256(b"plan").digest(), "方案")


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world", free_base())


def new_id() -> bytes:
    return secrets.token_bytes(16)


async def do(node: Node, command: object, actor: Actor) -> None:
    await node.submit(STREAM, command, command_id=new_id(), actor=actor)


async def take(node: Node, from_node: str, reason: str = "断电，不能启动") -> None:
    await custody.take(node, cast.LOT_CODE, CODES[from_node], reason, SECOND, command_id=new_id(), actor=OPERATOR)


async def comes(seen: Callable[[], Awaitable[bool]]) -> None:
    """Wait until something shows: bytes come first, views follow."""
    async with asyncio.timeout(15):
        while not await seen():  # noqa: ASYNC110 - looks into another node, which sets no event
            await asyncio.sleep(0.05)


async def tail(node: Node) -> list[str]:
    """What was decided about each tail entry of the lot, as this node sees it."""
    return [one.outcome for one in await node.read(lambda db: custody_view.tails_of_lot(db, cast.LOT_CODE))]


async def filing(node: Node) -> str:
    return str((await node.state(STREAM)).project.filing)


async def released_to(node: Node) -> str:
    return str((await node.state(STREAM)).custody.released_to)


async def is_(found: Awaitable[object], expected: object) -> bool:
    return await found == expected


async def owner(node: Node) -> str:
    return (await node.read(lambda db: custody_view.chain(db, STREAM))).owner


@asynccontextmanager
async def room(world: World, *nodes: str) -> AsyncIterator[list[Node]]:
    async with AsyncExitStack() as stack:
        yield [await stack.enter_async_context(running(settings(world, node))) for node in nodes]


async def a_lot_whose_owner_died_with_an_unsent_entry(world: World) -> None:
    """The lot is registered at `a` and mirrored at `b`; `a` then records the filing alone and dies."""
    async with room(world, "a", "b") as (a, _b):
        await do(a, cast.LOT, AGENCY)
        await until(lambda: cosigned(a, "b"))
    async with room(world, "a") as (a,):
        await do(a, FILING, AGENCY)


async def test_the_neighbour_goes_on_and_the_returning_node_is_fenced(world: World) -> None:
    await a_lot_whose_owner_died_with_an_unsent_entry(world)
    async with room(world, "b") as (b,):
        with pytest.raises(Refused) as before:
            await do(b, FILING, AGENCY)
        assert before.value.code == "not-owner"
        await take(b, "a")
        lot = await b.state(STREAM)
        assert (lot.custody.term, lot.custody.node) == (1, CODES["b"])
        assert not lot.project.filing
        with pytest.raises(Refused) as again:
            await take(b, "a")
        assert again.value.code == "nothing-to-take"
        async with room(world, "a") as (a,):
            await comes(lambda: is_(owner(a), ORIGINS["b"]))
            with pytest.raises(Refused) as fenced:
                await do(a, project.DecideFiling("no-problem", ""), Actor("S-01", Role.SUPERVISOR))
            assert (fenced.value.code, fenced.value.limit) == ("not-owner", ORIGINS["b"])
            assert not (await a.state(STREAM)).project.filing
            await comes(lambda: is_(tail(b), [""]))
            for node in (a, b):
                standing = await node.read(
                    lambda db, node=node, lot=lot: custody.standing(db, node.settings, cast.LOT_CODE, lot)
                )
                assert [(one.row.origin, one.row.seq, one.outcome) for one in standing.tail] == [(ORIGINS["a"], 1, "")]


@pytest.mark.parametrize("adopt", [True, False])
async def test_an_unsent_entry_is_adopted_or_declined_by_two_persons_and_both_nodes_agree(
    world: World, adopt: bool
) -> None:
    await a_lot_whose_owner_died_with_an_unsent_entry(world)
    async with room(world, "b", "a") as (b, a):
        await until(lambda: cosigned(a, "b"))
        # The neighbour holds everything by now; the tail begins only where custody was taken without it.
    async with room(world, "b") as (b,):
        await take(b, "a")
        assert (await b.state(STREAM)).project.filing == "submitted"
    async with room(world, "a") as (a,):
        await do(a, project.DecideFiling("no-problem", ""), Actor("S-01", Role.SUPERVISOR))
    async with room(world, "b", "a") as (b, a):
        await until(lambda: cosigned(a, "b") and cosigned(b, "a"))
        await comes(lambda: is_(tail(b), [""]))
        await custody.decide_tail(
            b, ORIGINS["a"], 2, adopt=adopt, reason="核对无误", second=SECOND, command_id=new_id(), actor=OPERATOR
        )
        expected = "no-problem" if adopt else "submitted"
        assert (await b.state(STREAM)).project.filing == expected
        await comes(lambda: is_(filing(a), expected))
        await comes(lambda: is_(tail(a), ["adopted" if adopt else "declined"]))
        for node in (a, b):
            (left,) = await node.read(lambda db: custody_view.tails_of_lot(db, cast.LOT_CODE))
            assert left.outcome == ("adopted" if adopt else "declined")
            assert await node.read(lambda db, node=node: check_views(db, node.settings.origin)) == []
        with pytest.raises(Refused) as twice:
            await custody.decide_tail(
                b, ORIGINS["a"], 2, adopt=adopt, reason="再来", second=SECOND, command_id=new_id(), actor=OPERATOR
            )
        assert twice.value.code == "not-in-the-tail"


async def test_a_live_owner_hands_over_and_everything_goes_on_at_the_other_node(world: World) -> None:
    async with room(world, "b", "a") as (b, a):
        await do(a, cast.LOT, AGENCY)
        await custody.release(a, cast.LOT_CODE, CODES["b"], "本机检修", SECOND, command_id=new_id(), actor=OPERATOR)
        with pytest.raises(Refused) as released:
            await do(a, FILING, AGENCY)
        assert released.value.code == "custody-released"
        await comes(lambda: is_(released_to(b), CODES["b"]))
        await take(b, "a", "接收移交")
        assert (await b.state(STREAM)).custody.how == "handed-over"
        await do(b, FILING, AGENCY)
        await comes(lambda: is_(filing(a), "submitted"))
        assert await a.read(lambda db: custody_view.tails_of_lot(db, cast.LOT_CODE)) == []


async def test_a_lot_registered_at_both_nodes_while_they_were_apart_goes_on_once_two_persons_chose_a_branch(
    world: World,
) -> None:
    async with room(world, "a") as (a,):
        await do(a, cast.LOT, AGENCY)
        await do(a, FILING, AGENCY)
    async with room(world, "b") as (b,):
        await do(b, replace(cast.LOT, project_name="另一名称"), AGENCY)
    async with room(world, "b", "a") as (b, a):
        for node in (a, b):
            await comes(lambda node=node: contested(node))
            with pytest.raises(Refused) as refused:
                await do(node, project.DecideFiling("no-problem", ""), Actor("S-01", Role.SUPERVISOR))
            assert refused.value.code == "custody-contested"
        await take(b, "a", "以 a 机登记的为准")
        await do(b, project.DecideFiling("no-problem", ""), Actor("S-01", Role.SUPERVISOR))
        for node in (a, b):
            await comes(lambda node=node: is_(filing(node), "no-problem"))
            assert (await node.state(STREAM)).project.lot.project_name == cast.LOT.project_name
            await comes(lambda node=node: is_(tail(node), [""]))
            assert await node.read(lambda db, node=node: check_views(db, node.settings.origin)) == []


async def contested(node: Node) -> bool:
    return (await node.read(lambda db: custody_view.chain(db, STREAM))).contested


async def test_a_returning_node_accepts_nothing_before_it_knows_what_its_neighbour_did_meanwhile(world: World) -> None:
    """Its first command after the start is decided with the take-over known: no tail grows while it catches up."""
    async with room(world, "a", "b") as (a, _b):
        await do(a, cast.LOT, AGENCY)
        await until(lambda: cosigned(a, "b"))
    async with room(world, "b") as (b,):
        await take(b, "a")
        async with room(world, "a") as (a,):
            with pytest.raises(Refused) as fenced:
                await do(a, FILING, AGENCY)
            assert fenced.value.code == "not-owner"
            assert a.recorder.log.size == 1
