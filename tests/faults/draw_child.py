"""Node a of a demonstration world draws experts as far as a stage, and is killed there by itself: draw_child.py FOLDER PORT STAGE.

What a party would note on paper goes to standard output: `nonce PARTY HEX`. Every stage but the last ends when the neighbour
holds it. Stages: frozen, committed, two-revealed, in-the-last-reveal (inside its transaction), ranked, one-answered.
"""

import asyncio
import hashlib
import os
import secrets
import signal
import sys
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from node import faultpoints
from node.domain import notice, project
from node.domain.draw_proof import PARTIES
from node.domain.eligibility import HOUR_MS, DrawRequest, Group, Span
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.drawing import Drawings
from node.node import Node
from node.settings import load_settings
from web.demo import cast
from web.demo.world import CODES, World
from web.serve import running

WHO = {
    "CENTER": Actor("O-01", Role.OPERATOR),
    "SUPERVISOR": Actor("S-01", Role.SUPERVISOR),
    "TENDERER": Actor("G-01", Role.AGENCY),
}
WITNESS = Actor("W-01", Role.WITNESS)
DRAW = f"{cast.LOT_CODE}-1-E1"


def new_id() -> bytes:
    return secrets.token_bytes(16)


def request() -> DrawRequest:
    start = cast.ms("2026-03-25 10:00")
    groups = (Group("工程", "A08", 4, "5329", CODES["a"]), Group("造价", "A06", 1, "5329", CODES["b"]))
    return DrawRequest(cast.LOT_CODE, Span(start, start + 8 * HOUR_MS), groups, 0, ())


async def import_bank(node: Node, world: World) -> None:
    body = (world.folder / "experts.csv").read_bytes()
    await Drawings(node).import_bank(body, cast.ms("2026-03-01 00:00"), command_id=new_id(), actor=WHO["CENTER"])


async def noticed(node: Node, world: World) -> None:
    async def do(command: object, actor: Actor) -> None:
        await node.submit(lot_stream(cast.LOT_CODE), command, command_id=new_id(), actor=actor)

    await do(cast.LOT, WHO["TENDERER"])
    await do(project.SubmitFiling(hashlib.sha256(b"plan").digest(), "方案"), WHO["TENDERER"])
    await do(project.DecideFiling("no-problem", ""), WHO["SUPERVISOR"])
    digest = hashlib.sha256(b"documents").digest()
    documents = notice.IssueDocuments(digest, cast.SCHEME, cast.CONTROL_PRICE_FEN, cast.BOND, cast.VALIDITY_DAYS)
    await do(documents, WHO["TENDERER"])
    world.set_clock(cast.ms("2026-03-02 10:00"))
    moments = [cast.ms(text) for text in (cast.SALE_FROM, cast.SALE_TO, cast.DEADLINE)]
    text = "公告"
    digest = hashlib.sha256(text.encode()).digest()
    await do(notice.PublishNotice(digest, text, cast.MEDIA, *moments, False, cast.OPENING_PLACE), WHO["TENDERER"])
    world.set_clock(cast.ms("2026-03-24 16:00"))


async def main(folder: Path, port: int, last: str) -> None:
    world = World(folder, port)
    async with running(
        replace(load_settings(world.data("a") / "erhai.toml"), witness="preferred", anchor_vkeys=())
    ) as node:
        draws = Drawings(node)

        async def reached(stage: str) -> None:
            while node.witness.held != node.recorder.log.size:  # noqa: ASYNC110 - the neighbour sets no event here
                await asyncio.sleep(0.02)
            if stage == last:
                os.kill(os.getpid(), signal.SIGKILL)

        await noticed(node, world)
        await import_bank(node, world)
        await draws.freeze(request(), 1, parties=PARTIES, command_id=new_id(), actor=WHO["CENTER"])
        await reached("frozen")
        for party, actor in WHO.items():
            await draws.commit(DRAW, party, command_id=new_id(), actor=actor)
            noted = draws.noted(DRAW, party, actor.person)
            print("nonce", party, noted.hex() if noted else "", flush=True)
        await reached("committed")
        for party in PARTIES[:2]:
            await draws.reveal(DRAW, party, command_id=new_id(), actor=WHO[party])
        await reached("two-revealed")
        if last == "in-the-last-reveal":
            faultpoints._left["before-commit"] = 1
        await draws.reveal(DRAW, "TENDERER", command_id=new_id(), actor=WHO["TENDERER"])
        await reached("ranked")
        state = await draws.state(DRAW)
        await draws.outcome(DRAW, state.reached[0].place, "declined", command_id=new_id(), actor=WITNESS)
        await reached("one-answered")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
