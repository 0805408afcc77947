"""Nobody is blamed for what a stranger, a lying trustee or the room did (责任)."""

import base64
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

import sync.bid_file
from node.ceremony_files import CeremonyFileRefused, Request, _info
from node.cli_share import load_trustee_key
from node.domain import opening
from node.domain.refused import Refused
from node.opening_desk import give_half
from sync import jcs
from sync.acts import sign_act
from sync.bid_file import BidFile
from sync.bid_keys import Dealt, deal
from sync.wrap import unwrap_share, wrap_seeded, wrap_share
from tests.pages.room import LOT, OPERATOR
from tests.shell.test_bid_tools import Bench, new_id
from tests.threats.test_export_alone import ROLES, exported


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    yield made
    await made.room.node.close()


async def release_all(bench: Bench) -> None:
    for role in ROLES:
        data = bench.release(role)
        bench.room.node.blobs.put(data)
        await bench.give_release(data)


def strangers_half(bench: Bench, ref: str, half: bytes) -> bytes:
    """Wrap any bytes for a rival's bid: the file is unsigned, and the request is public."""
    request = Request.parse((bench.folder / "request.json").read_bytes())
    head = request.head | {"v": 1, "kind": "bidder-half", "ref": ref}
    sealed = wrap_share(request.key, _info(head), half)
    return jcs.encode(head | {"sealed": base64.b64encode(sealed).decode()})


@pytest.mark.parametrize("mode", ["and", "or"])
@pytest.mark.parametrize("length", [32, 31])
async def test_a_strangers_half_is_refused_at_the_desk_and_the_bidders_own_still_opens(
    bench: Bench, tmp_path: Path, mode: str, length: int
) -> None:
    await bench.started(mode)
    await release_all(bench)
    for ref in bench.room.refs:
        await bench.give_half(ref)
    victim = bench.room.refs[1]
    earlier = (await bench.lot()).ceremony.half_of(victim)
    junk = strangers_half(bench, victim, os.urandom(length))
    with pytest.raises(CeremonyFileRefused) as caught:
        await give_half(bench.room.node, LOT, junk, command_id=new_id(), actor=OPERATOR)
    assert (caught.value.why, caught.value.detail) == ("half-does-not-fit", victim)
    assert (await bench.lot()).ceremony.half_of(victim) == earlier
    bench.room.at("2026-03-25 10:02")
    await bench.open()
    lot = await bench.lot()
    assert (len(lot.opening.opened), lot.opening.failed, lot.ceremony.blamed) == (len(bench.room.refs), (), ())
    assert (await exported(bench.room.node)).replayed(tmp_path).findings == ()


def lying(bench: Bench, role: str, victim: str) -> bytes:
    """A trustee's release, rightly signed, with a share of one bid that is none."""
    key = load_trustee_key(bench.folder / f"{role}.key")
    request = Request.parse((bench.folder / "request.json").read_bytes())
    mine = hashlib.sha256(key.public).hexdigest()
    number = next(one.i for one in request.bids[0].manifest.terms.trustees if one.key_sha256 == mine)
    shares = {
        one.ref: unwrap_share(key.share, one.manifest.context, one.wraps[f"share-{number}"]).hex()
        for one in request.bids
    }
    shares[victim] = bytes(32).hex()
    head = request.head | {"v": 1, "kind": "share-release", "trustee": number}
    sealed = wrap_share(request.key, _info(head), jcs.encode(shares))
    unsigned = head | {"sealed": base64.b64encode(sealed).decode()}
    signature = base64.b64encode(sign_act(jcs.encode(unsigned), key.signer)).decode()
    return jcs.encode(unsigned | {"signature": signature})


async def test_a_lying_trustee_kills_no_bid_while_honest_ones_may_still_release(bench: Bench, tmp_path: Path) -> None:
    await bench.started()
    first, victim, third = bench.room.refs
    for data in (lying(bench, "witness", victim), bench.release("tenderer"), bench.release("prefecture")):
        bench.room.node.blobs.put(data)
        await bench.give_release(data)
    for ref in (first, third):
        await bench.give_half(ref)
    with pytest.raises(Refused, match="half-early"):
        await bench.give_half(victim)
    bench.room.at("2026-03-25 09:35")
    await bench.room.node.open_bid(LOT, first, command_id=new_id(), actor=OPERATOR)
    with pytest.raises(Refused, match="shares-may-come"):
        await bench.room.node.open_bid(LOT, victim, command_id=new_id(), actor=OPERATOR)
    data = bench.release("operator")
    bench.room.node.blobs.put(data)
    await bench.give_release(data)
    await bench.give_half(victim)
    for ref in (victim, third):
        await bench.room.node.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR)
    lot = await bench.lot()
    assert len(lot.opening.opened) == len(bench.room.refs)
    assert {(one.ref, one.why) for one in lot.ceremony.blamed} == {(victim, "wrong-share")}
    assert (await exported(bench.room.node)).replayed(tmp_path).findings == ()


async def test_where_complaints_are_why_shares_are_missing_persons_decide_and_nobody_has_withheld(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def rubbish(profile: str, mode: str, context: bytes, *, t: int, publics: list[bytes]) -> Dealt:
        dealt = deal(profile, mode, context, t=t, publics=publics)
        wraps = tuple(wrap_seeded(one, context, os.urandom(32), os.urandom(32)) for one in publics)
        return replace(dealt, wraps=wraps)

    await bench.noticed()
    dealer = bench.room.refs[1]
    for number, ref in enumerate(bench.room.refs):
        monkeypatch.setattr(sync.bid_file, "deal", rubbish if ref == dealer else deal)
        assert bench.seal(ref, number).exit_code == 0
        await bench.hand_in(ref)
    bench.room.at("2026-03-25 09:31")
    await bench.room.do(opening.StartOpening(("G-1",)), OPERATOR)
    await bench.begun()
    await release_all(bench)
    for ref in bench.room.refs:
        if ref != dealer:
            await bench.give_half(ref)
    bench.room.at("2026-03-25 10:32")
    await bench.open()
    lot = await bench.lot()
    assert [(one.ref, one.fault, one.reason, one.effect) for one in lot.opening.failed] == [
        (dealer, "undecided", "undecided", "undecided")
    ]
    assert {one.why for one in lot.ceremony.blamed} == {"undecided"}
    assert len(lot.ceremony.blamed) == len(ROLES)
    assert (await exported(bench.room.node)).replayed(tmp_path).findings == ()


async def test_a_file_that_was_lost_after_the_begin_and_came_back_accuses_nobody(bench: Bench, tmp_path: Path) -> None:
    await bench.started()
    await release_all(bench)
    for ref in bench.room.refs:
        await bench.give_half(ref)
    victim = bench.room.refs[1]
    path = bench.room.node.blobs.path((await bench.lot()).bidding.of(victim).sha256)
    data = path.read_bytes()
    path.unlink()
    bench.room.at("2026-03-25 10:02")
    for ref in bench.room.refs:
        await bench.room.node.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR, lost=ref == victim)
    path.write_bytes(data)
    found = (await exported(bench.room.node)).replayed(tmp_path)
    assert found.findings == ()
    assert found.unchecked == (f"lot/{LOT} {victim}: said to be lost, and the file is here",)


async def copied(bench: Bench, order: str, halves: str) -> tuple[str, str]:
    """Let a thief hand in the maker's payload; `order` and `halves` are m, t and o (other)."""
    await bench.noticed()
    maker, thief, other = bench.room.refs
    for number, ref in enumerate(bench.room.refs):
        assert bench.seal(ref, number).exit_code == 0
    original = bench.folder / f"{maker}.erb"
    with original.open("rb") as file, BidFile(file) as bid:
        manifest = bid.manifest
    with zipfile.ZipFile(original) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    who = bench.parties[thief].named(thief).identity
    manifest = replace(manifest, bidder=replace(who.bidder, anchor=""))
    members["manifest.json"], members["manifest.cms"] = bytes(manifest), sign_act(bytes(manifest), who.signer)
    with zipfile.ZipFile(bench.folder / f"{thief}.erb", "w") as archive:
        for name, body in members.items():
            archive.writestr(sync.bid_file._member(name), body)
    refs = {"m": maker, "t": thief, "o": other}
    for letter in order:
        await bench.hand_in(refs[letter])
    bench.room.at("2026-03-25 09:31")
    await bench.room.do(opening.StartOpening(("G-1",)), OPERATOR)
    await bench.begun()
    await release_all(bench)
    for letter in halves:
        await bench.give_half(refs[letter])
    bench.room.at("2026-03-25 10:32")
    for letter in order:
        await bench.room.node.open_bid(LOT, refs[letter], command_id=new_id(), actor=OPERATOR)
    return maker, thief


@pytest.mark.parametrize("order", ["tmo", "mto"])
@pytest.mark.parametrize("halves", ["mo", "o"])
async def test_only_who_did_not_open_a_payload_that_its_maker_opened_is_named_its_copier(
    bench: Bench, tmp_path: Path, order: str, halves: str
) -> None:
    _, thief = await copied(bench, order, halves)
    found = (await exported(bench.room.node)).replayed(tmp_path)
    named = [one.ref for one in found.faults if one.why == "copied-payload"]
    assert named == ([thief] if "m" in halves else [])
    assert found.findings == ()
