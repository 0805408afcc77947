"""A draw at a node from the bank to the published proof: who is reached follows from the nonces, and nothing leaks before."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from erhai import cli
from node.domain import drawn
from node.domain.draw_proof import PARTIES, judge
from node.domain.panel import ReplaceMember
from node.domain.refused import Refused
from node.domain.streams import draw_stream, lot_stream
from node.draw_json import proof_json
from node.drawing import Drawings, Seat
from node.escrow import make_commit
from node.projection import fold
from tests.data import bank
from tests.pages.room import LOT, OPERATOR, SUPERVISOR, Room, new_id
from tests.shell.drawn_room import DRAW, SEATS, TENDERER, WHO, WITNESS, Drawn


@pytest.fixture
async def drawing(tmp_path: Path) -> Iterator[Drawn]:
    room = Room.in_folder(tmp_path)
    room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
    await room.filing()
    await room.noticed()
    yield await Drawn(room).banked()
    await room.node.close()


async def test_three_parties_draw_and_the_proof_holds_for_anybody(drawing, tmp_path):
    await (await (await drawing.frozen()).commit()).reveal()
    state = await drawing.draws.state(DRAW)
    assert state.frozen.pool_size == 23
    assert dict(state.frozen.excluded) | {"recused-employer": 1} == dict(state.frozen.excluded)
    await drawing.answer(p0="declined", p1="no-answer")
    state = await drawing.draws.state(DRAW)
    assert state.complete
    with pytest.raises(Refused, match="draw-sealed"):
        await drawing.draws.publish(DRAW, command_id=new_id(), actor=OPERATOR)
    drawing.room.at("2026-03-25 09:40")
    await drawing.draws.seat(LOT, DRAW, SEATS, (), command_id=new_id(), actor=OPERATOR)
    lot = await drawing.room.node.state(lot_stream(LOT))
    assert (lot.panel.how, lot.panel.draw_id, len(lot.panel.members)) == ("drawn", DRAW, 5)
    assert [member.person for member in lot.panel.members] != [f"X-{n}" for n in range(1, 6)]
    who = await drawing.room.node.personal(lot.panel.members[0].commitment)
    assert who.fields[0] in bank.NAMES

    drawing.room.node.recorder._states[lot_stream(LOT)] = replace(
        lot, evaluation=replace(lot.evaluation, reported_at_ms=1)
    )
    await drawing.draws.publish(DRAW, command_id=new_id(), actor=OPERATOR)
    proof = await drawing.draws.proof(DRAW)
    assert judge(proof) is None
    assert [outcome for _, outcome in proof.groups[0].passed if outcome != "not-eligible"] == [
        "declined",
        "no-answer",
    ] or (
        len([1 for group in proof.groups for _, outcome in group.passed if outcome in {"declined", "no-answer"}]) == 2
    )
    file = tmp_path / "PROOF.json"
    file.write_bytes(proof_json(proof))
    assert CliRunner().invoke(cli, ["draw", "verify", str(file)]).exit_code == 0
    tree = json.loads(file.read_bytes())
    tree["groups"][0]["taken"][0] = tree["order"][-1]
    file.write_text(json.dumps(tree))
    assert CliRunner().invoke(cli, ["draw", "verify", str(file)]).exit_code == 4


async def test_a_withheld_nonce_is_opened_from_three_of_five_and_is_the_committed_one(drawing):
    await (await drawing.frozen()).commit()
    kept_back = drawing.draws.noted(DRAW, "TENDERER", "G-1")
    await drawing.reveal("CENTER", "SUPERVISOR")
    with pytest.raises(Refused, match="reveal-time-runs"):
        await drawing.release("TENDERER", (1,))
    drawing.room.at("2026-03-24 16:03")
    await drawing.release("TENDERER", (5, 2))
    with pytest.raises(Refused, match="shares-too-few"):
        await drawing.draws.open_escrow(DRAW, "TENDERER", command_id=new_id(), actor=SUPERVISOR)
    await drawing.release("TENDERER", (3,))
    await drawing.draws.open_escrow(DRAW, "TENDERER", command_id=new_id(), actor=SUPERVISOR)
    state = await drawing.draws.state(DRAW)
    room, held = drawing.room.node.room, state.ceremony.party("TENDERER").sealed
    assert room.open(held, f"erhai-draw-nonce-v1\n{DRAW}\nTENDERER\n".encode()) == kept_back
    assert [party.source for party in state.ceremony.parties] == ["reveal", "reveal", "escrow"]
    assert len(state.reached) == 5


async def test_after_a_restart_the_same_people_are_reached_and_a_noted_nonce_still_reveals(drawing):
    await (await drawing.frozen()).commit()
    noted = {party: drawing.draws.noted(DRAW, party, WHO[party].person) for party in PARTIES}
    await drawing.reveal("CENTER", "SUPERVISOR")
    fresh = Drawings(drawing.room.node)  # a process that holds no nonce
    with pytest.raises(Refused, match="nonce-not-here"):
        await fresh.reveal(DRAW, "TENDERER", command_id=new_id(), actor=TENDERER)
    with pytest.raises(Refused, match="nonce-differs"):
        await fresh.reveal(DRAW, "TENDERER", noted["CENTER"], command_id=new_id(), actor=TENDERER)
    await fresh.reveal(DRAW, "TENDERER", noted["TENDERER"], command_id=new_id(), actor=TENDERER)
    state = await fresh.state(DRAW)
    assert await drawing.room.node.read(lambda db: fold(db, draw_stream(DRAW))) == state


async def test_nobody_is_named_before_the_end_in_database_log_or_files(drawing, tmp_path):
    await (await (await drawing.frozen()).commit()).reveal()
    await drawing.answer(p0="declined")
    calls = await drawing.draws.calls(DRAW)
    assert calls == ()
    planted = [*bank.NAMES, *(line.split(",")[0] for line in bank.lines()), "13900000003", "第7设计院"]
    for file in tmp_path.rglob("*"):
        if file.is_file():
            body = file.read_bytes()
            assert [word for word in planted if word.encode() in body] == [], file


async def test_whoever_calls_sees_a_number_and_a_group_and_no_name(drawing):
    await (await (await drawing.frozen()).commit()).reveal()
    calls = await drawing.draws.calls(DRAW)
    assert len(calls) == 5
    assert all(re.fullmatch("139000000[0-9]{2}", call.phone) for call in calls)
    assert {call.group for call in calls} == {"施工", "造价"}


async def test_a_committee_that_is_not_the_drawn_one_or_comes_too_early_is_refused(drawing):
    await (await (await drawing.frozen()).commit()).reveal()
    drawing.room.at("2026-03-25 09:40")
    with pytest.raises(Refused, match="seats-differ"):
        await drawing.draws.seat(LOT, DRAW, SEATS, (), command_id=new_id(), actor=OPERATOR)
    drawing.room.at("2026-03-24 17:00")
    await drawing.answer()
    with pytest.raises(Refused, match="names-sealed"):
        await drawing.draws.seat(LOT, DRAW, SEATS, (), command_id=new_id(), actor=OPERATOR)


async def test_a_member_who_leaves_is_replaced_by_the_next_and_nobody_else(drawing):
    await (await (await drawing.frozen()).commit()).reveal()
    await drawing.answer()
    drawing.room.at("2026-03-25 09:40")
    await drawing.draws.seat(LOT, DRAW, SEATS, (), command_id=new_id(), actor=OPERATOR)
    seat = Seat("E6", "532924-room-1-a", "06")
    with pytest.raises(Refused, match="no-replacement"):
        await drawing.draws.replace(LOT, "absent", "未到", seat, command_id=new_id(), actor=OPERATOR)
    state = await drawing.draws.state(DRAW)
    leaving = next(one for one in state.accepted if one.place == max(found.place for found in state.accepted))
    before = await drawing.room.node.state(lot_stream(LOT))
    (no,) = [member.no for member in before.panel.members if member.commitment == leaving.who]
    await drawing.draws.outcome(DRAW, leaving.place, "absent", command_id=new_id(), actor=WITNESS)
    with pytest.raises(Refused, match="no-replacement"):  # the next has not answered
        await drawing.draws.replace(LOT, "absent", "未到", seat, command_id=new_id(), actor=OPERATOR)
    await drawing.answer()
    with pytest.raises(Refused, match="member-not-gone"):
        await drawing.draws.replace(LOT, "misconduct", "未到", seat, command_id=new_id(), actor=OPERATOR)
    await drawing.draws.replace(LOT, "absent", "未到", seat, command_id=new_id(), actor=OPERATOR)
    lot = await drawing.room.node.state(lot_stream(LOT))
    assert lot.panel.member("E6") is not None
    assert lot.panel.member(no) is None
    assert {member.commitment for member in lot.panel.members} == {
        one.who for one in (await drawing.draws.state(DRAW)).accepted
    }


async def test_a_member_who_came_is_not_replaced_in_the_name_of_one_who_did_not(drawing):
    await (await (await drawing.frozen()).commit()).reveal()
    await drawing.answer()
    drawing.room.at("2026-03-25 09:40")
    await drawing.draws.seat(LOT, DRAW, SEATS, (), command_id=new_id(), actor=OPERATOR)
    state = await drawing.draws.state(DRAW)
    gone = state.accepted[0]
    await drawing.draws.outcome(DRAW, gone.place, "recused", command_id=new_id(), actor=WITNESS)
    await drawing.answer()
    lot = await drawing.room.node.state(lot_stream(LOT))
    present = next(member for member in lot.panel.members if member.commitment != gone.who)
    after = await drawing.draws.state(DRAW)
    fresh = next(one for one in after.accepted if one.who not in {member.commitment for member in lot.panel.members})
    successor = replace(present, no="E9", person="X-99", seat="09", commitment=fresh.who)
    command = ReplaceMember(present.no, "recusal", "回避", successor)
    with pytest.raises(Refused, match="member-not-gone"):
        await drawing.room.node.submit(lot_stream(LOT), command, command_id=new_id(), actor=OPERATOR)


async def test_an_expert_who_accepted_is_not_drawn_again_for_the_same_hours(drawing):
    await (await (await drawing.frozen()).commit()).reveal()
    await drawing.answer()
    from node import expert_bank

    everybody = await drawing.room.node.read(lambda db: expert_bank.everybody(db, drawing.room.node.room))
    assert sum(bool(one.expert.sessions) for one in everybody) == 5


async def test_a_commit_that_came_before_voids_the_draw_and_another_may_follow(drawing):
    await (await drawing.frozen()).commit("CENTER")
    nonce = drawing.draws.noted(DRAW, "CENTER", "O-1")
    state = await drawing.draws.state(DRAW)
    copied = make_commit(DRAW, "SUPERVISOR", nonce, state.ceremony.trustees)
    await drawing.room.node.submit(draw_stream(DRAW), copied, command_id=new_id(), actor=SUPERVISOR)
    assert (await drawing.draws.state(DRAW)).voided == "commits-equal"
    with pytest.raises(Refused, match="draw-void"):
        await drawing.commit("TENDERER")
    await drawing.draws.freeze(bank.request(), 2, parties=PARTIES, command_id=new_id(), actor=OPERATOR)
    again = replace(make_commit(f"{LOT}-1-E2", "CENTER", nonce, state.ceremony.trustees), used_in=DRAW)
    await drawing.room.node.submit(draw_stream(f"{LOT}-1-E2"), again, command_id=new_id(), actor=OPERATOR)
    assert (await drawing.draws.state(f"{LOT}-1-E2")).voided == "commit-reused"


async def test_there_is_no_second_draw_while_the_first_stands(drawing):
    await drawing.frozen()
    with pytest.raises(Refused, match="draw-not-over"):
        await drawing.draws.freeze(bank.request(), 2, parties=PARTIES, command_id=new_id(), actor=OPERATOR)
    with pytest.raises(Refused, match="frozen-already"):
        await drawing.frozen()


async def test_a_coefficient_is_drawn_after_the_deadline_only(drawing):
    with pytest.raises(Refused, match="not-opened"):
        await drawing.draws.freeze_options(
            drawn.COEFFICIENT,
            LOT,
            1,
            "K",
            ("0.95", "0.96"),
            parties=PARTIES,
            command_id=new_id(),
            actor=OPERATOR,
        )
