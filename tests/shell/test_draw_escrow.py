"""The escrow path of a draw: each false piece is refused or ends the draw, and the one who gave it is named."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from node.domain import draw
from node.domain.refused import Refused
from node.domain.streams import draw_stream
from node.domain.values import Actor
from node.drawing import Drawings
from node.escrow import escrow_info, make_commit
from sync.shares import split
from sync.wrap import unwrap_share, wrap_share
from tests.data import bank
from tests.pages.room import LOT, OPERATOR, SUPERVISOR, Room, new_id
from tests.shell.drawn_room import DRAW, PARTIES, TENDERER, Drawn


@pytest.fixture
async def drawing(tmp_path) -> Iterator[Drawn]:
    room = Room.in_folder(tmp_path)
    room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
    await (await room.filing()).noticed()
    yield await (await Drawn(room).banked()).frozen()
    await room.node.close()


async def liar_commits(drawing: Drawn, *, secret: bytes, promised: bytes, wrong_wraps: tuple[int, ...] = ()) -> None:
    """The tenderer commits to one nonce and escrows another, or wraps something else for some trustees."""
    state = await drawing.draws.state(DRAW)
    made = make_commit(DRAW, "TENDERER", secret, state.ceremony.trustees)
    wraps = tuple(
        wrap_share(trustee.public, escrow_info(DRAW, "TENDERER", at), b"another" * 4)
        if at in wrong_wraps
        else made.wraps[at - 1]
        for at, trustee in enumerate(state.ceremony.trustees, 1)
    )
    lie = replace(made, commit=draw.commit_of(promised), wraps=wraps)
    await drawing.commit("CENTER", "SUPERVISOR")
    await drawing.room.node.submit(draw_stream(DRAW), lie, command_id=new_id(), actor=TENDERER)
    await drawing.reveal("CENTER", "SUPERVISOR")
    drawing.room.at("2026-03-24 16:03")


async def opened(drawing: Drawn) -> str:
    await drawing.draws.open_escrow(DRAW, "TENDERER", command_id=new_id(), actor=SUPERVISOR)
    return (await drawing.draws.state(DRAW)).voided


async def test_an_escrow_of_another_nonce_ends_the_draw_and_names_the_party(drawing):
    await liar_commits(drawing, secret=b"\x07" * 32, promised=b"\x08" * 32)
    await drawing.release("TENDERER", (1, 2, 3))
    assert await opened(drawing) == "escrow-false"
    state = await drawing.draws.state(DRAW)
    assert (state.at_fault, state.over, state.ranked) == ("G-1", True, False)


async def test_whoever_gave_a_false_escrow_is_no_party_of_the_next_draw_and_another_of_that_side_is(drawing):
    await liar_commits(drawing, secret=b"\x07" * 32, promised=b"\x08" * 32)
    await drawing.release("TENDERER", (1, 2, 3))
    await opened(drawing)
    await drawing.draws.freeze(bank.request(), 2, parties=PARTIES, command_id=new_id(), actor=OPERATOR)
    with pytest.raises(Refused, match="party-barred"):
        await drawing.draws.commit(f"{LOT}-1-E2", "TENDERER", command_id=new_id(), actor=TENDERER)
    other = Actor("G-2", TENDERER.role)
    await drawing.draws.commit(f"{LOT}-1-E2", "TENDERER", command_id=new_id(), actor=other)


async def test_shares_of_two_secrets_end_the_draw_and_name_the_party(drawing):
    state = await drawing.draws.state(DRAW)
    first = make_commit(DRAW, "TENDERER", b"\x07" * 32, state.ceremony.trustees)
    other = make_commit(DRAW, "TENDERER", b"\x08" * 32, state.ceremony.trustees)
    mixed = replace(
        first,
        wraps=(*first.wraps[:2], *other.wraps[2:]),
        share_digests=(*first.share_digests[:2], *other.share_digests[2:]),
    )
    await drawing.commit("CENTER", "SUPERVISOR")
    await drawing.room.node.submit(draw_stream(DRAW), mixed, command_id=new_id(), actor=TENDERER)
    await drawing.reveal("CENTER", "SUPERVISOR")
    drawing.room.at("2026-03-24 16:03")
    await drawing.release("TENDERER", (1, 2, 3))
    assert await opened(drawing) == "escrow-false"


async def test_a_wrap_that_holds_something_else_is_refused_by_its_trustees_number_and_three_others_open(drawing):
    """The digest on record is the share's: what trustee 1 finds in its wrap does not fit, and nobody can say it does."""
    nonce = b"\x07" * 32
    await liar_commits(drawing, secret=nonce, promised=nonce, wrong_wraps=(1,))
    with pytest.raises(Refused, match="share-differs") as refused:
        await drawing.release("TENDERER", (1,))
    assert refused.value.value == "1"
    await drawing.release("TENDERER", (2, 3, 4))
    assert await opened(drawing) == ""
    assert (await drawing.draws.state(DRAW)).ranked


@pytest.mark.parametrize("trustee", [1, 3, 5])
async def test_a_false_share_of_a_trustee_is_refused_by_its_number(drawing, trustee):
    await drawing.commit()
    await drawing.reveal("CENTER", "SUPERVISOR")
    drawing.room.at("2026-03-24 16:03")
    false = split(b"\x09" * 32, t=3, n=5)[trustee - 1]
    with pytest.raises(Refused, match="share-differs") as refused:
        await drawing.draws.release(DRAW, "TENDERER", trustee, false, command_id=new_id(), actor=SUPERVISOR)
    assert refused.value.value == str(trustee)
    held = (await drawing.draws.state(DRAW)).ceremony.party("TENDERER")
    assert held.shares == ()


async def test_the_share_of_another_party_or_another_trustee_is_none(drawing):
    await drawing.commit()
    await drawing.reveal("CENTER")
    drawing.room.at("2026-03-24 16:03")
    state = await drawing.draws.state(DRAW)
    key = bank.KEYS[bank.BODIES[1]]
    own = unwrap_share(key, escrow_info(DRAW, "TENDERER", 2), state.ceremony.party("TENDERER").wraps[1])
    for party, trustee in (("SUPERVISOR", 2), ("TENDERER", 1)):
        with pytest.raises(Refused, match="share-differs"):
            await drawing.draws.release(DRAW, party, trustee, own, command_id=new_id(), actor=SUPERVISOR)


@pytest.mark.parametrize("nonce", [bytes(32), b"\xff" * 32])
async def test_a_reveal_that_is_not_the_committed_nonce_is_refused_by_its_partys_name(drawing, nonce):
    await drawing.commit()
    with pytest.raises(Refused, match="nonce-differs") as refused:
        await drawing.draws.reveal(DRAW, "SUPERVISOR", nonce, command_id=new_id(), actor=SUPERVISOR)
    assert refused.value.value == "SUPERVISOR"


async def test_nobody_reveals_for_another_or_before_all_have_committed(drawing):
    await drawing.commit("CENTER", "SUPERVISOR")
    with pytest.raises(Refused, match="commits-missing") as refused:
        await drawing.reveal("CENTER")
    assert refused.value.value == "TENDERER"
    await drawing.commit("TENDERER")
    with pytest.raises(Refused, match="party-of-another"):
        await drawing.draws.reveal(DRAW, "TENDERER", bytes(32), command_id=new_id(), actor=SUPERVISOR)


async def test_silence_gives_the_same_ranking_as_speech(tmp_path):
    """The very same nonces: once the tenderer reveals, once the trustees open: the same places are reached."""
    reached = []
    for folder, silent in ((tmp_path / "spoken", False), (tmp_path / "silent", True)):
        room = Room.in_folder(folder)
        room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
        await (await room.filing()).noticed()
        drawing = await (await Drawn(room).banked()).frozen()
        nonces = {party: bytes([at]) * 32 for at, party in enumerate(PARTIES, 1)}
        drawing.draws = Drawings(room.node)
        trustees = (await drawing.draws.state(DRAW)).ceremony.trustees
        who = {"CENTER": OPERATOR, "SUPERVISOR": SUPERVISOR, "TENDERER": TENDERER}
        for party, nonce in nonces.items():
            made = make_commit(DRAW, party, nonce, trustees)
            await room.node.submit(draw_stream(DRAW), made, command_id=new_id(), actor=who[party])
        for party in PARTIES[:2] if silent else PARTIES:
            await drawing.draws.reveal(DRAW, party, nonces[party], command_id=new_id(), actor=who[party])
        if silent:
            room.at("2026-03-24 16:03")
            await drawing.release("TENDERER", (5, 4, 2))
            await opened(drawing)
        reached.append((await drawing.draws.state(DRAW)).reached)
        await room.node.close()
    assert reached[0] == reached[1] != ()
