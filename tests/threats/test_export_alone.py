"""Attacks on an opening, found by whoever holds the export and nothing else: no node, no database, no key."""

import asyncio
import io
import json
import zipfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from node import export
from node.cli_log import cli_log
from node.domain import bidding, custody, opening, trustees, unsealing, wire
from node.node import Node
from node.profiles_loader import load_profiles
from node.replay import Replayed, memory_files, replay
from sync import bid_file, codec, jcs
from sync.acts import sign_act
from sync.bid_file import BidFile
from sync.bundle import write_bundle
from sync.checkpoint import Checkpoint, sign
from sync.codec import decode
from sync.log import read_bodies, size_of
from sync.merkle import MemoryHashes, leaf_hash, tree_root
from sync.note import Signer
from tests.data.sealed_bids import Party
from tests.pages.room import BIDS, LOT, OPERATOR
from tests.shell.test_bid_tools import Bench
from web.demo import cast

D32 = bytes(range(32))
ROLES = ("witness", "tenderer", "prefecture")


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.room.node.close()


@dataclass
class Export:
    """A log's entries and its files, as an attacker with the node's key may change them."""

    bodies: list[bytes]
    blobs: dict[str, bytes]

    def replayed(self, folder: Path, cosigned_ms: int = 0) -> Replayed:
        return replay(self.bodies, memory_files(self.blobs), folder, load_profiles(), cosigned_ms)

    def change(self, change: Callable[[codec.Entry, list[Any]], codec.Entry | None]) -> "Export":
        """Rewrite entries: `change` is given each entry with its decoded events; None leaves it as it is."""
        bodies = []
        for body in self.bodies:
            entry = decode(body)
            new = change(entry, [wire.decode(name, version, fields) for name, version, fields in entry.events])
            bodies.append(body if new is None else codec.encode(new))
        return replace(self, bodies=bodies)

    def events(self, change: Callable[[Any], Any]) -> "Export":
        """Rewrite single events; `change` returns the event or another, or None to take it out."""

        def each(entry: codec.Entry, events: list[Any]) -> codec.Entry | None:
            changed = [change(event) for event in events]
            if changed == events:
                return None
            kept = tuple(wire.encode(event) for event in changed if event is not None)
            return replace(entry, events=kept)

        return self.change(each)


async def exported(node: Node) -> Export:
    """Return what a node exports of its own log, with the files of openings."""

    def read(db: Any) -> Export:
        origin = node.settings.origin
        files = export.opening_files(db, origin, node.blobs)
        bodies = [body for _, body in read_bodies(db, origin, 0, size_of(db, origin))]
        return Export(bodies, {sha256: path.read_bytes() for sha256, path in files.items()})

    return await node.read(read)


async def opened(bench: Bench) -> Export:
    """Three releases; all bidders but the first decrypt; the record closes after the window."""
    await bench.started()
    for role in ROLES:
        data = bench.release(role)
        bench.room.node.blobs.put(data)  # as the desk does
        await bench.give_release(data)
    for ref in bench.room.refs[1:]:
        await bench.give_half(ref)
    bench.room.at("2026-03-25 10:02")
    await bench.open()
    return await exported(bench.room.node)


@dataclass
class Whole:
    """One honest opening, made once: its export, and what the attacks need to know of it."""

    export: Export
    refs: list[str]
    releases: list[str]
    folder: Path
    parties: dict[str, Party]
    signer: Signer
    policy: bytes


async def _whole(folder: Path) -> Whole:
    bench = Bench(folder)
    made = await opened(bench)
    lot = await bench.lot()
    node = bench.room.node
    policy = export.policy_of(
        node.settings, str(node.keys.log_signer.vkey), node.keys.public().cosigner_vkey, node.settings.origin
    )
    found = Whole(
        made,
        bench.room.refs,
        [one.file_sha256.hex() for one in lot.ceremony.released],
        folder,
        bench.parties,
        node.keys.log_signer,
        bytes(policy),
    )
    bench.seal(found.refs[1], 1)  # another file of the same bidder
    bench.release("operator")  # a trustee who was not needed
    await node.close()
    return found


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Whole:
    return asyncio.run(_whole(tmp_path_factory.mktemp("whole")))


def problems(found: Replayed) -> set[str]:
    return {one.problem for one in found.findings}


def test_an_honest_opening_is_replayed_to_the_last_price_and_the_silent_bidder_is_named(
    whole: Whole, tmp_path: Path
) -> None:
    found = whole.export.replayed(tmp_path)
    assert (found.bids, found.opened, found.findings, found.unchecked) == (len(BIDS), len(BIDS) - 1, (), ())
    assert [(one.ref, one.party, one.why) for one in found.faults] == [(whole.refs[0], "bidder", "half-missing")]
    assert not list(tmp_path.iterdir())  # no plaintext is left behind


def another_price(event: Any) -> Any:
    if not isinstance(event, opening.BidOpened):
        return event
    return replace(event, content=replace(event.content, price_fen=event.content.price_fen + 1))


def _failed(event: opening.BidOpened, fault: str, reason: str, effect: str) -> opening.BidDecryptionFailed:
    return opening.BidDecryptionFailed(event.ref, fault, reason, effect, event.bond)


def suppressed(event: Any) -> Any:
    """The platform says of a bid that opened that it did not."""
    return _failed(event, "bidder", "wrong-half", "revoked") if isinstance(event, opening.BidOpened) else event


def no_half(event: Any) -> Any:
    """The platform leaves a bidder's half aside and calls it missing."""
    if isinstance(event, unsealing.SealBroken):
        return replace(event, half=b"")
    return _failed(event, "bidder", "half-missing", "revoked") if isinstance(event, opening.BidOpened) else event


def fewer_shares(event: Any) -> Any:
    return replace(event, shares=event.shares[:2]) if isinstance(event, unsealing.SealBroken) else event


def other_share(event: Any) -> Any:
    if not isinstance(event, unsealing.SealBroken):
        return event
    (i, share), *rest = event.shares
    return replace(event, shares=((i, bytes(len(share))), *rest))


def blamed(event: Any) -> Any:
    return replace(event, party="trustee-1", why="withheld") if isinstance(event, unsealing.BidBlamed) else event


def nobody(event: Any) -> Any:
    return None if isinstance(event, unsealing.BidBlamed) else event


def smaller_set(event: Any) -> Any:
    return replace(event, bids=event.bids[1:]) if isinstance(event, unsealing.CeremonyBegun) else event


def other_set(event: Any) -> Any:
    return replace(event, set_sha256=bytes(32)) if isinstance(event, unsealing.CeremonyBegun) else event


def left_out(event: Any) -> Any:
    if not isinstance(event, unsealing.CeremonyBegun):
        return event
    first, *rest = event.bids
    members = (replace(first, manifest_sha256=b""), *rest)
    return replace(event, bids=members, set_sha256=unsealing.set_digest(LOT, 1, members))


def dropped(event: Any) -> Any:
    return replace(event, refs=event.refs[:2]) if isinstance(event, opening.OpeningStarted) else event


def said_lost(event: Any) -> Any:
    if not isinstance(event, opening.BidOpened):
        return event
    return _failed(event, "platform", "stored-file-damaged", "withdrawn")


def false_half(event: Any) -> Any:
    """The platform puts a half into the bidders' mouths and says that it was wrong."""
    if isinstance(event, unsealing.SealBroken):
        return replace(event, half=bytes(range(32)))
    return _failed(event, "bidder", "wrong-half", "revoked") if isinstance(event, opening.BidOpened) else event


def no_trustees(event: Any) -> Any:
    return None if isinstance(event, trustees.TrusteesAppointed) else event


def share_of_nobody(event: Any) -> Any:
    return replace(event, shares=(*event.shares, (99, D32))) if isinstance(event, unsealing.SealBroken) else event


def release_of_nobody(event: Any) -> Any:
    if not isinstance(event, unsealing.SharesReleased):
        return event
    return replace(event, trustee=99, complaints=event.complaints or ("P-ZZZZ99",))


CHANGED: list[tuple[str, Callable[[Any], Any], str]] = [
    ("a price on record that the bid does not hold", another_price, "content-differs"),
    ("a bid that opens, said to have failed", suppressed, "opens-on-record"),
    ("a half that came, said to be missing", no_half, "half-left-out"),
    ("shares that came, left aside", fewer_shares, "share-left-out"),
    ("a share that is none, put into a trustee's mouth", other_share, "wrong-share-list-differs"),
    ("somebody else blamed", blamed, "blame-differs"),
    ("nobody blamed", nobody, "blame-differs"),
    ("a ceremony over one bid less", smaller_set, "set-differs"),
    ("a set's digest that is not of its bids", other_set, "set-differs"),
    ("a sound bid left out of the set as damaged", left_out, "left-out-of-the-set"),
    ("a bid that was received and is not opened", dropped, "bid-dropped"),
    ("a bid that opens, said to be lost", said_lost, "opens-on-record"),
    ("a half that is none, put into a bidder's mouth", false_half, "fault-differs"),
    ("a ceremony without anybody appointed", no_trustees, "entry-malformed"),
    ("a share of nobody", share_of_nobody, "wrong-share-list-differs"),
    ("a release of nobody", release_of_nobody, "release-forged"),
]


@pytest.mark.parametrize(("change", "problem"), [row[1:] for row in CHANGED], ids=[row[0] for row in CHANGED])
def test_what_the_log_says_falsely_of_an_opening_is_named(
    whole: Whole, tmp_path: Path, change: Callable[[Any], Any], problem: str
) -> None:
    assert problem in problems(whole.export.events(change).replayed(tmp_path))


def moved(kind: type, to_ms: int) -> Callable[[codec.Entry, list[Any]], codec.Entry | None]:
    def change(entry: codec.Entry, events: list[Any]) -> codec.Entry | None:
        return replace(entry, at_ms=to_ms) if any(isinstance(event, kind) for event in events) else None

    return change


HOURS: list[tuple[str, type, str, str]] = [
    ("a late bid", bidding.BidReceived, "2026-03-25 09:30", "bid-late"),
    ("an opening before the deadline", opening.OpeningStarted, "2026-03-25 09:29", "opened-early"),
    ("a window that is closed before its time", opening.BidDecryptionFailed, "2026-03-25 09:40", "closed-early"),
    ("a clock that goes back", unsealing.SharesReleased, "2026-03-20 09:00", "clock-backwards"),
]


@pytest.mark.parametrize(("kind", "moment", "problem"), [row[1:] for row in HOURS], ids=[row[0] for row in HOURS])
def test_hours_that_cannot_be_are_named(whole: Whole, tmp_path: Path, kind: type, moment: str, problem: str) -> None:
    assert problem in problems(whole.export.change(moved(kind, cast.ms(moment))).replayed(tmp_path))


def test_a_clock_ahead_of_the_witnesss_is_named(whole: Whole, tmp_path: Path) -> None:
    assert problems(whole.export.replayed(tmp_path, cast.ms("2026-03-25 10:02"))) == set()
    assert problems(whole.export.replayed(tmp_path, cast.ms("2026-03-24 10:02"))) == {"clock-ahead"}


def timed(whole: Whole, *shifts: tuple[int, str]) -> Export:
    """The honest export with entries after it, of a stream that is not judged, each so many ms after the last."""
    last = decode(whole.export.bodies[-1])
    more = [
        codec.encode(replace(last, at_ms=last.at_ms + by_ms, clock_quality=quality, stream="room/x", events=()))
        for by_ms, quality in shifts
    ]
    return replace(whole.export, bodies=[*whole.export.bodies, *more])


def test_a_clock_that_calls_itself_doubtful_accuses_nobody_and_neither_does_its_correction(
    whole: Whole, tmp_path: Path
) -> None:
    witnessed_ms = decode(whole.export.bodies[-1]).at_ms + 1000
    doubtful = timed(whole, (300_000, "doubtful"), (0, "synchronised"))
    assert doubtful.replayed(tmp_path, witnessed_ms).findings == ()
    sure = timed(whole, (300_000, "synchronised"), (0, "synchronised"))
    assert problems(sure.replayed(tmp_path, witnessed_ms)) == {"clock-ahead", "clock-backwards"}


def test_a_lot_that_came_back_from_another_log_is_partly_elsewhere_and_nobody_is_accused_of_it(
    whole: Whole, tmp_path: Path
) -> None:
    """One bid was received while the lot was in the neighbour's log."""
    bodies, taken = [], False
    for body in whole.export.bodies:
        entry = decode(body)
        events = [wire.decode(*event) for event in entry.events]
        if not taken and any(isinstance(event, bidding.BidReceived) for event in events):
            taken = True
            moved = (custody.Moved(entry.stream, 2, "neighbour", 4, D32),)
            event = custody.CustodyTaken("handed-over", "b", "a", moved, 5, 5, "", "修好", "operator:O-2")
            bodies.append(codec.encode(replace(entry, events=(wire.encode(event),))))
        else:
            bodies.append(body)
    found = replace(whole.export, bodies=bodies).replayed(tmp_path)
    assert (found.findings, found.bids) == ((), 0)
    assert found.unchecked == (f"lot/{LOT}: partly in another log",)


def test_a_bid_that_is_slipped_in_after_the_opening_is_named(whole: Whole, tmp_path: Path) -> None:
    late = next(body for body in whole.export.bodies if b"bidding.bid-received" in body)
    found = replace(whole.export, bodies=[*whole.export.bodies, late]).replayed(tmp_path)
    assert "bid-after-opening" in problems(found)


def test_another_file_under_the_receipted_digest_is_named(whole: Whole, tmp_path: Path) -> None:
    """A second sealed file of the same bidder, with another price: it is not the one of the set that the trustees signed."""
    other = (whole.folder / f"{whole.refs[1]}.erb").read_bytes()
    (mine,) = [
        sha256
        for sha256, data in whole.export.blobs.items()
        if data[:2] == b"PK" and BidFile(io.BytesIO(data)).manifest.bidder.ref == whole.refs[1]
    ]
    found = replace(whole.export, blobs={**whole.export.blobs, mine: other}).replayed(tmp_path)
    assert {"other-manifest", "opened-without-key"} <= problems(found)


def test_releases_are_judged_by_the_appointed_certificates_over_this_set(whole: Whole, tmp_path: Path) -> None:
    mine = whole.releases[0]
    fields = json.loads(whole.export.blobs[mine])
    other = json.loads((whole.folder / "operator.json").read_bytes())
    for forged, problem in (
        ({**fields, "signature": other["signature"]}, "release-forged"),
        (other, "release-over-another-set"),
    ):
        blobs = {**whole.export.blobs, mine: jcs.encode(forged)}
        assert problems(replace(whole.export, blobs=blobs).replayed(tmp_path)) == {problem}


async def test_a_bidder_who_hands_in_anothers_payload_is_named(bench: Bench, tmp_path: Path) -> None:
    await bench.noticed()
    first, thief, third = bench.room.refs
    for number, ref in enumerate((first, thief, third)):
        assert bench.seal(ref, number).exit_code == 0
    original = BidFile((bench.folder / f"{first}.erb").open("rb"))
    with zipfile.ZipFile(bench.folder / f"{first}.erb") as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    who = bench.parties[thief].named(thief).identity
    manifest = replace(original.manifest, bidder=replace(who.bidder, anchor=""))
    members["manifest.json"], members["manifest.cms"] = bytes(manifest), sign_act(bytes(manifest), who.signer)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in members.items():
            archive.writestr(bid_file._member(name), body)
    (bench.folder / f"{thief}.erb").write_bytes(target.getvalue())
    for ref in (first, thief, third):
        await bench.hand_in(ref)
    bench.room.at("2026-03-25 09:31")
    await bench.room.do(opening.StartOpening(("G-1",)), OPERATOR)
    await bench.begun()
    for role in ROLES:
        await bench.give_release(bench.release(role))
    for ref in (first, third):
        await bench.give_half(ref)
    bench.room.at("2026-03-25 10:02")
    await bench.open()
    found = (await exported(bench.room.node)).replayed(tmp_path)
    assert found.findings == ()
    assert (thief, "bidder", "copied-payload") in {(one.ref, one.party, one.why) for one in found.faults}


async def test_the_command_says_it_all_from_the_file_alone_and_what_it_could_not_check(
    bench: Bench, tmp_path: Path
) -> None:
    await opened(bench)
    node, bundle = bench.room.node, tmp_path / "export.zip"
    data = str(node.settings.data)
    assert CliRunner().invoke(cli_log, ["export", "--data", data, "--files", "-o", str(bundle)]).exit_code == 0
    alone = tmp_path / "elsewhere"
    alone.mkdir()
    bundle = bundle.rename(alone / "export.zip")
    done = CliRunner().invoke(cli_log, ["verify", str(bundle), "--json"])
    facts = json.loads(done.output)
    assert (done.exit_code, facts["ok"], facts["openings"]["opened"]) == (0, True, len(BIDS) - 1)
    words = CliRunner().invoke(cli_log, ["verify", str(bundle)]).output
    assert "开标重演" in words
    assert "half-missing" in words
    bare = alone / "bare.zip"
    assert CliRunner().invoke(cli_log, ["export", "--data", data, "-o", str(bare)]).exit_code == 0
    done = CliRunner().invoke(cli_log, ["verify", str(bare), "--json"])
    facts = json.loads(done.output)["openings"]
    assert (done.exit_code, facts["bids"]) == (0, 0)
    assert len([one for one in facts["unchecked"] if "bid file" in one]) == len(BIDS)


@dataclass
class Rewritten:
    """A log that somebody with the node's key wrote anew: a bundle's source."""

    bodies: list[bytes]

    def __post_init__(self) -> None:
        self.reader = MemoryHashes(map(leaf_hash, self.bodies))

    def hashes(self, level: int, start: int, end: int) -> Any:
        return self.reader.hashes(level, start, end)

    def entries(self, start: int, end: int) -> list[bytes]:
        return self.bodies[start:end]

    def note(self, whole: Whole, size: int = -1) -> bytes:
        """The checkpoint as the node signed it at a size."""
        size = len(self.bodies) if size < 0 else size
        return sign(Checkpoint(whole.signer.name, size, tree_root(self.reader, size)), whole.signer)

    def bundle(self, whole: Whole, path: Path) -> Path:
        blobs = {sha256: (lambda data=data: io.BytesIO(data)) for sha256, data in whole.export.blobs.items()}
        with path.open("wb") as target:
            write_bundle(target, checkpoint=self.note(whole), policy=whole.policy, source=self, blobs=blobs)
        return path


def verify(folder: Path, bundle: Path, whole: Whole, seen: bytes = b"") -> dict[str, Any]:
    """Run the command as a stranger does who holds the export, a policy, and perhaps the checkpoint on a bidder's receipt."""
    (folder / "policy").write_bytes(whole.policy)
    (folder / "seen").write_bytes(seen)
    more = ("--seen", str(folder / "seen")) if seen else ()
    arguments = ["verify", str(bundle), "--policy", str(folder / "policy"), *more, "--json"]
    done = CliRunner().invoke(cli_log, arguments)
    facts: dict[str, Any] = json.loads(done.output)
    assert done.exit_code == (0 if facts["ok"] else 4), done.output
    return facts


def renumbered(bodies: list[bytes], without: int) -> list[bytes]:
    """The log without one entry, every later one moved up."""
    kept = [decode(body) for at, body in enumerate(bodies) if at != without]
    return [codec.encode(replace(entry, seq=at)) for at, entry in enumerate(kept)]


def test_the_honest_log_verifies_with_every_checkpoint_that_was_given_out(whole: Whole, tmp_path: Path) -> None:
    log = Rewritten(whole.export.bodies)
    bundle = log.bundle(whole, tmp_path / "export.zip")
    for size in (1, 7, len(log.bodies)):
        facts = verify(tmp_path, bundle, whole, log.note(whole, size))
        assert (facts["ok"], facts["openings"]["findings"]) == (True, [])


def test_two_prices_a_signed_price_that_the_bid_does_not_hold_is_found(whole: Whole, tmp_path: Path) -> None:
    lie = Rewritten(whole.export.events(another_price).bodies)
    facts = verify(tmp_path, lie.bundle(whole, tmp_path / "export.zip"), whole)
    assert (facts["ok"], facts["problem"]) == (False, None)  # the tree is in order: only the bids tell
    assert {(one["problem"], one["detail"]) for one in facts["openings"]["findings"]} == {
        ("content-differs", "price_fen")
    }


def test_a_bid_that_root_dropped_is_found_by_the_checkpoint_on_its_receipt(whole: Whole, tmp_path: Path) -> None:
    log = whole.export.bodies
    at = next(i for i, body in enumerate(log) if b"bidding.bid-received" in body)
    receipt = Rewritten(log).note(whole, at + 1)
    dropped_log = Rewritten(renumbered(log, at))
    facts = verify(tmp_path, dropped_log.bundle(whole, tmp_path / "export.zip"), whole, receipt)
    assert facts["problem"] == "inconsistent-history"
    assert verify(tmp_path, tmp_path / "export.zip", whole)["openings"]["findings"]  # and the set no longer fits


def test_an_edited_log_is_found_with_and_without_the_nodes_key(whole: Whole, tmp_path: Path) -> None:
    log = Rewritten(whole.export.bodies)
    edited = whole.export.events(another_price).bodies
    at = next(i for i, (one, other) in enumerate(zip(log.bodies, edited, strict=True)) if one != other)
    facts = verify(tmp_path, Rewritten(edited).bundle(whole, tmp_path / "a.zip"), whole, log.note(whole, at + 1))
    assert facts["problem"] == "inconsistent-history"
    bundle = bytearray(log.bundle(whole, tmp_path / "b.zip").read_bytes())
    bundle[bundle.index(log.bodies[at]) + len(log.bodies[at]) - 1] ^= 1
    (tmp_path / "b.zip").write_bytes(bundle)
    assert verify(tmp_path, tmp_path / "b.zip", whole)["problem"] == "changed-entry"


def test_a_rollback_is_found_by_a_checkpoint_that_was_given_out(whole: Whole, tmp_path: Path) -> None:
    log = Rewritten(whole.export.bodies)
    older = Rewritten(log.bodies[:-3])
    facts = verify(tmp_path, older.bundle(whole, tmp_path / "export.zip"), whole, log.note(whole))
    assert facts["problem"] == "rolled-back"


def test_a_split_view_is_found_by_two_checkpoints_of_one_size(whole: Whole, tmp_path: Path) -> None:
    other = Rewritten(whole.export.events(another_price).bodies)
    bundle = Rewritten(whole.export.bodies).bundle(whole, tmp_path / "export.zip")
    assert verify(tmp_path, bundle, whole, other.note(whole))["problem"] == "two-branches"


def test_a_late_bid_and_a_shifted_clock_are_found_in_a_log_that_root_signed(whole: Whole, tmp_path: Path) -> None:
    for kind, moment, problem in (
        (bidding.BidReceived, "2026-03-25 09:30", "bid-late"),
        (opening.OpeningStarted, "2026-03-25 09:29", "opened-early"),
    ):
        lie = Rewritten(whole.export.change(moved(kind, cast.ms(moment))).bodies)
        facts = verify(tmp_path, lie.bundle(whole, tmp_path / f"{problem}.zip"), whole)
        assert problem in {one["problem"] for one in facts["openings"]["findings"]}
