"""Root at the room's own machine changes its log: `erhai check`, the start and a stranger's verifier each name the place.

What root does with the node's signing key is named by whoever kept anything of before: a checkpoint on the minutes, a
bidder's receipt, the neighbour.
"""

import json
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import apsw
import pytest
from click.testing import CliRunner, Result

from node.cli import cli_check, cli_rebuild
from node.cli_log import cli_log
from node.domain import bidding, opening
from node.domain.refused import Refused
from node.domain.values import ClockQuality
from node.recorder import NodeFault
from node.start import open_node
from node.store import connect
from sync.checkpoint import Checkpoint, sign
from sync.codec import decode, encode
from sync.keys import load_identity
from sync.log import open_log, read_bodies, size_of
from sync.merkle import leaf_hash
from tests.faults.small_node import NODE, ORIGIN, settings
from tests.pages.room import OPERATOR, Room
from web.demo import cast


def run(command: str, *arguments: object, data: Path) -> Result:
    group = {"check": cli_check, "rebuild": cli_rebuild}.get(command, cli_log)
    words = [*map(str, arguments), *([] if command == "verify" else ["--data", str(data)])]
    return CliRunner().invoke(group, [command, *words] if group is cli_log else words)


def bid_seqs(db: apsw.Connection) -> list[int]:
    """Where the bids lie in the log."""
    entries = (decode(body) for _, body in read_bodies(db, ORIGIN, 0, size_of(db, ORIGIN)))
    return [entry.seq for entry in entries if any(name == "bidding.bid-received" for name, _, _ in entry.events)]


@pytest.fixture
async def data(tmp_path: Path) -> Path:
    """The folder of a node that is down: three bids were received and opened."""
    room = await Room.in_folder(tmp_path / "a").opened()
    await room.node.close()
    kept = run("export", "-o", tmp_path / "before.zip", data=tmp_path / "a")
    assert kept.exit_code == 0, kept.output
    with zipfile.ZipFile(tmp_path / "before.zip") as bundle:
        (tmp_path / "minutes").write_bytes(bundle.read("checkpoint"))  # printed on the minutes of the opening
    assert run("check", data=tmp_path / "a").exit_code == 0
    return tmp_path / "a"


# -- without the key ------------------------------------------------------------------------------------------------


def drop_row(db: apsw.Connection, seq: int) -> int:
    db.execute("DELETE FROM entries WHERE seq = ?", (seq,))
    return seq


def edit_row(db: apsw.Connection, seq: int) -> int:
    entry = decode(db.execute("SELECT body FROM entries WHERE seq = ?", (seq,)).fetchone()[0])
    db.execute("UPDATE entries SET body = ? WHERE seq = ?", (encode(replace(entry, actor="operator/O-9")), seq))
    return seq


def insert_row(db: apsw.Connection, seq: int) -> int:
    """A copy of a bid after everything, said to be of the same moment."""
    end = db.execute("SELECT MAX(seq) + 1 FROM entries").fetchone()[0]
    body = db.execute("SELECT body FROM entries WHERE seq = ?", (seq,)).fetchone()[0]
    late = encode(replace(decode(body), seq=end, command_id=bytes(16)))
    db.execute(
        "INSERT INTO entries (log_id, seq, leaf, body) SELECT log_id, ?, ?, ? FROM entries LIMIT 1",
        (end, leaf_hash(late), late),
    )
    return int(end)


@pytest.mark.parametrize("deed", [drop_row, edit_row, insert_row])
async def test_a_bid_row_dropped_edited_or_inserted_late_is_named_by_its_place_and_nothing_is_written_any_more(
    data: Path, deed: Callable[[apsw.Connection, int], int]
) -> None:
    db = connect(data / "erhai.db")
    place = deed(db, bid_seqs(db)[1])
    db.close()
    found = run("check", data=data)
    assert found.exit_code == 4
    assert f"{ORIGIN} entry {place}: " in found.output
    node = open_node(settings(data))
    try:
        assert node.gate.cause == "entry-changed"
        with pytest.raises(NodeFault):
            await node.submit(f"room/{NODE}", cast.LOT, command_id=bytes(16), actor=None)  # type: ignore[arg-type]
    finally:
        await node.close()


# -- with the key ---------------------------------------------------------------------------------------------------


def written_anew(data: Path, change: Callable[[list[bytes]], list[bytes]]) -> None:
    """The whole log again over other entries, each saying its new place, every hash and signature in order."""
    keys = load_identity(data / "keys")
    db = connect(data / "erhai.db")
    bodies = change([body for _, body in read_bodies(db, ORIGIN, 0, size_of(db, ORIGIN))])
    db.execute("BEGIN IMMEDIATE")
    for table in ("entries", "hash256", "cosignatures", "logs"):
        db.execute(f"DELETE FROM {table}")
    log = open_log(db, ORIGIN)
    for seq, body in enumerate(bodies):
        log.append(encode(replace(decode(body), seq=seq)))
    log.store_checkpoint(sign(Checkpoint(ORIGIN, log.size, log.frontier.root()), keys.log_signer))
    db.execute("COMMIT")
    db.close()


def second_bid(bodies: list[bytes]) -> int:
    return [at for at, body in enumerate(bodies) if any(e[0] == "bidding.bid-received" for e in decode(body).events)][1]


def dropped(bodies: list[bytes]) -> list[bytes]:
    at = second_bid(bodies)
    return [*bodies[:at], *bodies[at + 1 :]]


def edited(bodies: list[bytes]) -> list[bytes]:
    at = second_bid(bodies)
    return [*bodies[:at], encode(replace(decode(bodies[at]), actor="operator/O-9")), *bodies[at + 1 :]]


def inserted(bodies: list[bytes]) -> list[bytes]:
    at = second_bid(bodies)
    late = encode(replace(decode(bodies[at]), command_id=bytes(16)))
    return [*bodies[: at + 1], late, *bodies[at + 1 :]]


def appended(bodies: list[bytes]) -> list[bytes]:
    """Of the same hour as the honest one."""
    return [*bodies, encode(replace(decode(bodies[second_bid(bodies)]), command_id=bytes(16)))]


@pytest.mark.parametrize(
    ("deed", "problem"),
    [(dropped, "rolled-back"), (edited, "two-branches"), (inserted, "inconsistent-history")],
)
async def test_a_log_that_root_signed_anew_is_named_by_the_checkpoint_on_the_minutes_and_by_the_fence(
    data: Path, deed: Callable[[list[bytes]], list[bytes]], problem: str
) -> None:
    written_anew(data, deed)
    bundle = data.parent / "after.zip"
    assert run("export", "-o", bundle, data=data).exit_code == 0
    alone = run("verify", bundle, "--json", data=data)
    assert json.loads(alone.output)["ok"], "nothing in the bundle itself betrays the key's owner"
    against = run("verify", bundle, "--seen", data.parent / "minutes", "--json", data=data)
    assert (against.exit_code, json.loads(against.output)["problem"]) == (4, problem)
    node = open_node(settings(data))
    try:
        assert node.gate.cause in {"fence-ahead", "fence-differs"}
    finally:
        await node.close()


async def test_a_bidders_receipt_names_a_log_from_which_his_bid_was_taken(data: Path) -> None:
    db = connect(data / "erhai.db", readonly=True)
    seq = bid_seqs(db)[1]
    db.close()
    shown = run("show", "--from", seq, "--count", 1, "--json", data=data)
    receipt = json.loads(shown.output)["receipt"]
    proof = data.parent / "receipt.tlog-proof"
    assert run("prove", receipt, "-o", proof, data=data).exit_code == 0
    written_anew(data, lambda bodies: [*dropped(bodies), bodies[0]])  # as many entries as before
    bundle = data.parent / "after.zip"
    assert run("export", "-o", bundle, data=data).exit_code == 0
    with zipfile.ZipFile(bundle, "a") as archive:
        archive.write(proof, f"proofs/{seq}.tlog-proof")
    found = json.loads(run("verify", bundle, "--json", data=data).output)
    assert (found["ok"], found["problem"]) == (False, "two-branches")


async def test_a_bid_that_root_appends_after_the_opening_under_an_earlier_hour_is_named_by_its_place(
    data: Path,
) -> None:
    written_anew(data, appended)
    db = connect(data / "erhai.db")
    end = size_of(db, ORIGIN) - 1
    db.close()
    assert run("rebuild", data=data).exit_code == 0  # the views too, as root would
    found = run("check", data=data)
    assert found.exit_code == 4
    assert f"rule: {ORIGIN} entry {end}: receives or withdraws a bid after the opening" in found.output


async def test_a_clock_that_root_sets_back_after_the_opening_lets_no_bid_in_and_none_out(tmp_path: Path) -> None:
    room = await Room.in_folder(tmp_path / "a").opened()
    room.at("2026-03-05 09:00")
    late = bidding.SubmitBid(room.refs[0], bytes(32), 9, "desk")
    for command in (late, bidding.WithdrawBid(room.refs[0], "撤回")):
        with pytest.raises(Refused, match="late"):
            await room.do(command, OPERATOR)
    await room.node.close()


async def test_a_clock_that_root_sets_a_day_ahead_opens_no_bid_before_its_deadline(tmp_path: Path) -> None:
    room = await Room.in_folder(tmp_path / "a").bidding()
    room.at("2026-03-26 09:30")
    room.clock.quality = ClockQuality.DOUBTFUL  # it was stepped (tests/shell/test_clock.py)
    with pytest.raises(Refused, match="clock-doubtful"):
        await room.do(opening.StartOpening(("G-1", "S-1")), OPERATOR)
    await room.node.close()
