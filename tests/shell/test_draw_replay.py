"""A node that signs a draw which did not go by the rules is found from the export alone; a proof is held against its log."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from erhai import cli
from node.domain import ceremony, drawn, panel, wire
from node.domain.streams import lot_stream
from node.draw_json import parse_proof, proof_json
from sync.codec import Entry, decode, encode
from sync.log import read_bodies
from tests.data import bank
from tests.data.sample_log import ORIGIN, SampleLog
from tests.pages.room import LOT, OPERATOR, Room, new_id
from tests.shell.drawn_room import DRAW, SEATS, WITNESS, Drawn


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> tuple[list[Entry], bytes]:
    """The entries of a whole draw, and its published proof."""
    return asyncio.run(_played(tmp_path_factory.mktemp("room")))


async def _played(folder: Path) -> tuple[list[Entry], bytes]:
    room = Room.in_folder(folder)
    room.node.settings = replace(room.node.settings, trustees=bank.TRUSTEES)
    await (await room.filing()).noticed()
    drawing = await Drawn(room).banked()
    await (await drawing.frozen()).commit()
    await drawing.reveal("CENTER", "SUPERVISOR")
    room.at("2026-03-24 16:03")
    await drawing.release("TENDERER", (1, 3, 5))
    await drawing.draws.open_escrow(DRAW, "TENDERER", command_id=new_id(), actor=OPERATOR)
    await drawing.answer(p0="declined", p1="no-answer")
    room.at("2026-03-25 09:40")
    await drawing.draws.seat(LOT, DRAW, SEATS, (), command_id=new_id(), actor=OPERATOR)
    first = min(one.place for one in (await drawing.draws.state(DRAW)).accepted)
    await drawing.draws.outcome(DRAW, first, "absent", command_id=new_id(), actor=WITNESS)
    await drawing.answer()
    lot = await room.node.state(lot_stream(LOT))
    room.node.recorder._states[lot_stream(LOT)] = replace(lot, evaluation=replace(lot.evaluation, reported_at_ms=1))
    await drawing.draws.publish(DRAW, command_id=new_id(), actor=OPERATOR)
    proof = proof_json(await drawing.draws.proof(DRAW))
    bodies = await room.node.read(
        lambda db: [body for _, body in read_bodies(db, room.node.settings.origin, 0, 10_000)]
    )
    await room.node.close()
    return [replace(decode(body), origin=ORIGIN, evidence=()) for body in bodies], proof


@pytest.fixture
def run(tmp_path):
    """Verify these entries, signed by the log's own key; with a proof, hold it against them."""

    def call(entries: list[Entry], proof: bytes | None = None):
        bundle = tmp_path / "evidence.zip"
        bodies = [encode(replace(entry, seq=seq)) for seq, entry in enumerate(entries)]
        bundle.write_bytes(SampleLog(bodies).bundle(proofs={}))
        words = ["log", "verify", str(bundle), "--json"]
        if proof is not None:
            file = tmp_path / "PROOF.json"
            file.write_bytes(proof)
            words = ["draw", "verify", str(file), "--log", str(bundle), "--json"]
        done = CliRunner(env={"LANG": "en_US.UTF-8"}).invoke(cli, words)
        return done.exit_code, json.loads(done.stdout)

    return call


def events(entry: Entry) -> list:
    return [wire.decode(*event) for event in entry.events]


def changed(kind: type, change: Callable) -> Callable[[list[Entry]], list[Entry]]:
    """Change the first event of a kind, wherever it stands."""

    def of(entries: list[Entry]) -> list[Entry]:
        at = next(at for at, entry in enumerate(entries) if kind in map(type, events(entry)))
        made = [change(one) if isinstance(one, kind) else one for one in events(entries[at])]
        return [*entries[:at], replace(entries[at], events=tuple(map(wire.encode, made))), *entries[at + 1 :]]

    return of


def without(kind: type) -> Callable[[list[Entry]], list[Entry]]:
    """Leave out the first entry with an event of a kind."""

    def of(entries: list[Entry]) -> list[Entry]:
        at = next(at for at, entry in enumerate(entries) if kind in map(type, events(entry)))
        return entries[:at] + entries[at + 1 :]

    return of


def doubled(kind: type) -> Callable[[list[Entry]], list[Entry]]:
    """Say the first entry with an event of a kind again at once."""

    def of(entries: list[Entry]) -> list[Entry]:
        at = next(at for at, entry in enumerate(entries) if kind in map(type, events(entry)))
        return entries[: at + 1] + entries[at:]

    return of


def swapped(values: tuple) -> tuple:
    return (values[1], values[0], *values[2:])


def other_places(one: drawn.PoolRanked) -> drawn.PoolRanked:
    free = min({*range(20)} - {reached.place for reached in one.reached})
    return replace(one, reached=(*one.reached[:-1], replace(one.reached[-1], place=free)))


def first_declined(one: drawn.OutcomeRecorded) -> drawn.OutcomeRecorded:
    return replace(one, next_place=one.next_place + 1)


LIES = {
    "another freeze": (doubled(drawn.ExpertsFrozen), "out-of-turn"),
    "another number": (changed(drawn.ExpertsFrozen, lambda e: replace(e, number=2)), "draw-id-differs"),
    "another pool": (changed(drawn.ExpertsFrozen, lambda e: replace(e, pool_hash=bytes(32))), "seed-differs"),
    "fewer trustees": (changed(drawn.ExpertsFrozen, lambda e: replace(e, trustees=e.trustees[:4])), "trustees-missing"),
    "a commit left out": (without(ceremony.NonceCommitted), "out-of-turn"),
    "a commit twice": (doubled(ceremony.NonceCommitted), "out-of-turn"),
    "another commit": (changed(ceremony.NonceCommitted, lambda e: replace(e, commit=bytes(32))), "commit-differs"),
    "a reveal left out": (without(ceremony.NonceRevealed), "out-of-turn"),
    "a reveal twice": (doubled(ceremony.NonceRevealed), "out-of-turn"),
    "a stranger's reveal": (changed(ceremony.NonceRevealed, lambda e: replace(e, party="WITNESS")), "parties-differ"),
    "a share left out": (without(ceremony.ShareReleased), "shares-too-few"),
    "others reached": (changed(drawn.PoolRanked, other_places), "out-of-turn|reached-differs|reached-twice"),
    "the groups exchanged": (
        changed(
            drawn.PoolRanked, lambda e: replace(e, reached=tuple(replace(r, group=1 - r.group) for r in e.reached))
        ),
        "reached-differs|committee-not-drawn",
    ),
    "another next": (changed(drawn.OutcomeRecorded, first_declined), "reached-differs|out-of-turn|reached-twice"),
    "an answer left out": (without(drawn.OutcomeRecorded), "out-of-turn|reached-differs"),
    "an answer twice": (doubled(drawn.OutcomeRecorded), "out-of-turn"),
    "another seed": (changed(drawn.DrawPublished, lambda e: replace(e, seed=bytes(32))), "seed-differs"),
    "another nonce": (changed(drawn.DrawPublished, lambda e: replace(e, nonces=swapped(e.nonces))), "commit-differs"),
    "another order": (changed(drawn.DrawPublished, lambda e: replace(e, order=swapped(e.order))), "order-differs"),
    "another list": (changed(drawn.DrawPublished, lambda e: replace(e, order=e.order[:-1])), "pool-hash-differs"),
    "a friend in the committee": (
        changed(
            panel.CommitteeFormed,
            lambda e: replace(e, members=(replace(e.members[0], commitment=bytes(32)), *e.members[1:])),
        ),
        "committee-not-drawn",
    ),
}


def test_the_honest_log_and_its_proof_hold(run, told):
    entries, proof = told
    assert run(entries)[0] == 0
    assert run(entries, proof)[0] == 0


@pytest.mark.parametrize("lie", LIES)
def test_what_the_logs_own_key_signed_against_the_rules_is_found_and_named(run, told, lie):
    tell, codes = LIES[lie]
    status, answer = run(tell(told[0]))
    first = answer["openings"]["findings"][0]
    assert (status, first["problem"]) == (4, "draw-differs")
    assert first["detail"] in codes.split("|")


def test_a_new_proof_with_a_right_digest_that_the_log_does_not_know_is_found(run, told):
    """Whoever may write the digest again is found by the log."""
    entries, proof = told
    true = parse_proof(proof)
    group = true.groups[0]
    parties = tuple(replace(p, source={"reveal": "escrow", "escrow": "reveal"}[p.source]) for p in true.parties)
    lies = {
        "groups": replace(true, groups=(replace(group, name="别的组"), *true.groups[1:])),
        "parties": replace(true, parties=parties),
    }
    for where, lie in lies.items():
        status, answer = run(entries, proof_json(lie))
        assert (status, answer["problem"], answer["where"]) == (4, "log-differs", where)


def test_a_log_without_the_publication_or_with_a_lie_proves_nothing(run, told):
    entries, proof = told
    assert run(without(drawn.DrawPublished)(entries), proof)[1]["problem"] == "not-in-log"
    answer = run(LIES["another order"][0](entries), proof)[1]
    assert (answer["problem"], answer["where"]) == ("log-tampered", "order-differs")
