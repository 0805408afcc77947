"""The bidder's and the trustee's tools, from the signed notice to an opened lot, on one node."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.bid_content import content_bytes, content_of
from node.ceremony_files import CeremonyFileRefused
from node.cli_bid import cli_bid
from node.cli_share import cli_share, load_trustee_key
from node.domain import bidding, notice, opening, project, trustees, unsealing
from node.domain.refused import Refused
from node.domain.streams import lot_stream
from node.identities import BidderIdentity
from node.opening_desk import (
    appoint_trustees,
    begin_ceremony,
    ceremony_request,
    give_half,
    release_shares,
    submit_bid,
)
from sync import jcs
from tests.data.sealed_bids import Party, party, pem
from tests.pages.room import AGENCY, BIDS, LOT, OPERATOR, SUPERVISOR, Room, new_id
from web.ceremony import notice_bytes
from web.demo import cast

ROLES = trustees.ROLES


def run(group: object, *arguments: str) -> Result:
    return CliRunner().invoke(group, arguments, catch_exceptions=False)  # type: ignore[arg-type]


class Bench:
    """A room with trustees, three participants, and files."""

    def __init__(self, folder: Path, room: Room | None = None) -> None:
        self.room = room or Room.in_folder(folder / "node")
        self.folder = folder
        self.parties: dict[str, Party] = {}
        self.trustees: dict[str, Party] = {}  # by role, where their certificates are not made by the tool
        self.profile = "intl-1"

    async def noticed(self, mode: str = "and") -> "Bench":
        room, digest = self.room, bytes(32)
        holders, certificates = [], []
        for role in ROLES:
            path = self.folder / f"{role}.key"
            options = self._files(role, self.trustees[role]) if role in self.trustees else ()
            assert run(cli_share, "new", role, "-o", str(path), *options).exit_code == 0
            key = load_trustee_key(path)
            holders.append(trustees.LotTrustee(f"p-{role}", f"body {role}", role, key.public, key.cert_sha256))
            certificates.append(key.signer.certificate)
        await room.filing()
        await room.do(project.DecideFiling("no-problem", ""), SUPERVISOR)
        documents = notice.IssueDocuments(digest, cast.SCHEME, cast.CONTROL_PRICE_FEN, cast.BOND, validity_days=90)
        await room.do(documents, AGENCY)
        rescue = "保管人可以开启" if mode == "or" else ""
        terms = trustees.AppointTrustees(self.profile, mode, 3, tuple(holders), rescue)
        await appoint_trustees(room.node, LOT, terms, certificates, command_id=new_id(), actor=AGENCY)
        room.at("2026-03-02 10:00")
        moments = [cast.ms(text) for text in (cast.SALE_FROM, cast.SALE_TO, cast.DEADLINE)]
        from hashlib import sha256

        published = notice.PublishNotice(
            sha256("公告".encode()).digest(), "公告", cast.MEDIA, *moments, False, cast.OPENING_PLACE
        )
        await room.do(published, AGENCY)
        room.at("2026-03-05 09:00")
        for company in BIDS:
            who = BidderIdentity(company.name, company.uscc, company.contact, company.phone)
            await room.node.register_participation(LOT, who, command_id=new_id(), actor=OPERATOR)
        self.room.refs = [one.ref for one in (await self.lot()).notice.participants]
        (self.folder / "notice.json").write_bytes(await notice_bytes(room.node, LOT))
        return self

    async def lot(self):
        return await self.room.node.state(lot_stream(LOT))

    def seal(
        self, ref: str, number: int, *attached: Path, notice_file: str = "notice.json", anchor: str = ""
    ) -> Result:
        who = self.parties.setdefault(ref, party(ref, "rsa" if number else "ec"))
        (self.folder / "bid.json").write_bytes(content_bytes(cast.bid_of(BIDS[number], ref)))
        (self.folder / f"{ref}.erb").unlink(missing_ok=True)
        return run(
            cli_bid,
            "seal",
            str(self.folder / "bid.json"),
            *map(str, attached),
            *("--notice", str(self.folder / notice_file), "--ref", ref),
            *self._files(ref, who),
            *("--anchor", anchor),
            *("-o", str(self.folder / f"{ref}.erb")),
        )

    def _files(self, name: str, who: Party) -> tuple[str, ...]:
        """Write certificate, key and chain; return the tool's options for them."""
        (self.folder / f"{name}.pem").write_bytes(pem("CERTIFICATE", who.certificate))
        (self.folder / f"{name}.own").write_bytes(pem("PRIVATE KEY", who.pkcs8))
        (self.folder / f"{name}.chain").write_bytes(b"".join(pem("CERTIFICATE", der) for der in who.chain))
        chain = ("--chain", str(self.folder / f"{name}.chain")) if who.chain else ()
        return ("--cert", str(self.folder / f"{name}.pem"), "--key", str(self.folder / f"{name}.own"), *chain)

    async def hand_in(self, ref: str, source: str = "") -> None:
        data = (self.folder / f"{source or ref}.erb").read_bytes()
        digest = self.room.node.blobs.put(data)
        command = bidding.SubmitBid(ref, digest, len(data), "desk")
        await submit_bid(self.room.node, LOT, command, command_id=new_id(), actor=OPERATOR)

    async def started(self, mode: str = "and") -> "Bench":
        await self.handed_in(mode)
        return await self.begun()

    async def handed_in(self, mode: str = "and") -> "Bench":
        """Every bid is here and the deadline has passed; no ceremony yet."""
        await self.noticed(mode)
        attached = self.folder / "施工组织设计.pdf"
        attached.write_bytes(b"plan" * 5000)
        for number, ref in enumerate(self.room.refs):
            assert self.seal(ref, number, attached).exit_code == 0
            await self.hand_in(ref)
        self.room.at("2026-03-25 09:31")
        await self.room.do(opening.StartOpening(("G-1",)), OPERATOR)
        return self

    async def begun(self) -> "Bench":
        node = self.room.node
        await begin_ceremony(node, LOT, command_id=new_id(), actor=OPERATOR)
        (self.folder / "request.json").write_bytes(await ceremony_request(node, LOT))
        return self

    def release(self, role: str) -> bytes:
        output = self.folder / f"{role}.json"
        done = run(
            cli_share,
            "release",
            str(self.folder / "request.json"),
            *("--key", str(self.folder / f"{role}.key"), "-o", str(output), "--yes"),
        )
        assert done.exit_code == 0, done.output
        for ref in self.room.refs:
            assert ref in done.output  # the words name every bid
        return output.read_bytes()

    async def give_release(self, data: bytes) -> None:
        await release_shares(self.room.node, LOT, data, command_id=new_id(), actor=OPERATOR)

    def half(self, ref: str, key_of: str = "") -> Result:
        key = key_of or ref
        return run(
            cli_bid,
            "open",
            str(self.folder / "request.json"),
            *("--ref", ref, "--cert", str(self.folder / f"{key}.pem"), "--key", str(self.folder / f"{key}.own")),
            *("-o", str(self.folder / f"{ref}.half")),
        )

    async def give_half(self, ref: str) -> None:
        assert self.half(ref).exit_code == 0
        data = (self.folder / f"{ref}.half").read_bytes()
        await give_half(self.room.node, LOT, data, command_id=new_id(), actor=OPERATOR)

    async def open(self) -> None:
        for ref in self.room.refs:
            await self.room.node.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR)


@pytest.fixture
async def bench(tmp_path: Path):
    made = Bench(tmp_path)
    yield made
    await made.room.node.close()


async def test_bids_go_from_the_tool_through_the_ceremony_to_their_prices(bench: Bench) -> None:
    await bench.started()
    for role in ("witness", "tenderer", "prefecture"):
        await bench.give_release(bench.release(role))
    for ref in bench.room.refs:
        await bench.give_half(ref)
    await bench.open()
    lot = await bench.lot()
    assert [one.content.price_fen for one in lot.opening.opened] == [company.price_fen for company in BIDS]
    assert lot.ceremony.blamed == ()
    (name, digest) = lot.opening.opened[0].content.files[0]
    assert name == "施工组织设计.pdf"
    assert bench.room.node.blobs.get(digest) == b"plan" * 5000
    assert not list((bench.room.node.blobs.folder / "incoming").iterdir())


async def test_who_does_not_decrypt_in_time_and_which_trustee_lies_stand_in_the_record(bench: Bench) -> None:
    await bench.started()
    for role in ("witness", "tenderer", "prefecture"):
        await bench.give_release(bench.release(role))
    await bench.give_half(bench.room.refs[0])
    with pytest.raises(Refused) as caught:
        await bench.room.node.open_bid(LOT, bench.room.refs[1], command_id=new_id(), actor=OPERATOR)
    assert caught.value.code in {"half-may-come", "not-in-order"}
    bench.room.at("2026-03-25 10:01")
    await bench.open()
    lot = await bench.lot()
    assert lot.opening.opened_refs == (bench.room.refs[0],)
    assert {(one.fault, one.reason, one.effect) for one in lot.opening.failed} == {
        ("bidder", "half-missing", "revoked")
    }


async def test_withheld_shares_name_the_trustees_and_the_bids_count_as_taken_back(bench: Bench) -> None:
    await bench.started()
    await bench.give_release(bench.release("witness"))
    bench.room.at("2026-03-25 10:01")
    await bench.open()
    lot = await bench.lot()
    assert {(one.fault, one.effect) for one in lot.opening.failed} == {("other", "withdrawn")}
    assert {one.party for one in lot.ceremony.blamed} == {"trustee-1", "trustee-2", "trustee-3", "trustee-5"}


async def test_in_mode_or_the_trustees_open_what_its_bidder_does_not(bench: Bench) -> None:
    await bench.started("or")
    for role in ("witness", "tenderer", "prefecture"):
        await bench.give_release(bench.release(role))
    await bench.open()
    assert len((await bench.lot()).opening.opened) == len(BIDS)


def away_file(bench: Bench, lot, ref: str) -> Path:
    """Take one bid's file out of the store."""
    path = bench.room.node.blobs.path(lot.bidding.of(ref).sha256)
    return path.replace(bench.folder / f"{ref}.away")


async def test_a_ceremony_does_not_begin_while_a_receipted_file_is_away(bench: Bench) -> None:
    await bench.handed_in()
    lot, ref, node = await bench.lot(), bench.room.refs[1], bench.room.node
    kept = away_file(bench, lot, ref)
    with pytest.raises(Refused) as caught:
        await bench.begun()
    assert caught.value.code == "file-away"
    assert (await bench.lot()).ceremony.begun is None
    assert node.attachments.missing == {lot.bidding.of(ref).sha256: lot.bidding.of(ref).size}  # and so it is fetched
    kept.replace(node.blobs.path(lot.bidding.of(ref).sha256))
    await bench.begun()
    assert all(one.manifest_sha256 for one in (await bench.lot()).ceremony.begun.bids)


async def test_a_damaged_file_is_set_aside_and_the_ceremony_waits_for_a_whole_one(bench: Bench) -> None:
    await bench.handed_in()
    sha256 = (await bench.lot()).bidding.of(bench.room.refs[0]).sha256
    path = bench.room.node.blobs.path(sha256)
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(Refused, match="file-away"):
        await bench.begun()
    assert not path.exists()
    bench.room.node.blobs.put(whole)
    await bench.begun()


async def test_a_file_that_two_persons_gave_up_is_the_platforms_fault_and_nobody_is_asked_for_its_shares(
    bench: Bench,
) -> None:
    await bench.handed_in()
    ref = bench.room.refs[1]
    away_file(bench, await bench.lot(), ref)
    give_up = unsealing.GiveUpFile(ref, "supervisor:S-1", "两台机器和上级都没有")
    await bench.room.do(give_up, OPERATOR)
    await bench.begun()
    for role in ("witness", "tenderer", "prefecture"):
        await bench.give_release(bench.release(role))
    for other in bench.room.refs:
        if other != ref:
            await bench.give_half(other)
    bench.room.at("2026-03-25 10:02")
    await bench.open()
    lot = await bench.lot()
    assert [(one.ref, one.fault, one.reason, one.effect) for one in lot.opening.failed] == [
        (ref, "platform", "stored-file-damaged", "withdrawn")
    ]
    assert lot.ceremony.blamed == ()
    assert len(lot.opening.opened) == len(BIDS) - 1


async def test_a_given_up_file_that_comes_back_before_the_ceremony_opens_and_one_after_its_begin_does_not(
    bench: Bench,
) -> None:
    await bench.handed_in()
    early, late, _ = bench.room.refs
    lot = await bench.lot()
    kept = {ref: away_file(bench, lot, ref) for ref in (early, late)}
    for ref in (early, late):
        await bench.room.do(unsealing.GiveUpFile(ref, "supervisor:S-1", "没有"), OPERATOR)
    blobs = bench.room.node.blobs
    kept[early].replace(blobs.path(lot.bidding.of(early).sha256))
    await bench.begun()
    kept[late].replace(blobs.path(lot.bidding.of(late).sha256))
    for role in ("witness", "tenderer", "prefecture"):
        await bench.give_release(bench.release(role))
    for ref in (early, bench.room.refs[2]):
        await bench.give_half(ref)
    bench.room.at("2026-03-25 10:02")
    await bench.open()
    lot = await bench.lot()
    assert [(one.ref, one.fault) for one in lot.opening.failed] == [(late, "platform")]
    assert lot.ceremony.blamed == ()


async def test_a_restarted_ceremony_takes_no_file_of_the_one_before(bench: Bench) -> None:
    await bench.started()
    old = bench.release("witness")
    await bench.begun()
    with pytest.raises(Refused) as caught:
        await bench.give_release(old)
    assert caught.value.code == "another-ceremony"


async def test_the_key_lives_in_one_process_only(bench: Bench) -> None:
    await bench.started()
    bench.room.node.ceremonies._live.clear()
    with pytest.raises(Refused) as caught:
        await ceremony_request(bench.room.node, LOT)
    assert caught.value.code == "ceremony-key-lost"
    await bench.begun()
    await bench.give_release(bench.release("witness"))


async def test_a_changed_release_is_refused_by_name(bench: Bench) -> None:
    await bench.started()
    fields = json.loads(bench.release("witness"))
    other = json.loads(bench.release("tenderer"))
    for changes, why in (
        ({"trustee": 1}, "signature-wrong"),
        ({"set_sha256": "00" * 32}, "signature-wrong"),
        ({"signature": other["signature"]}, "signature-wrong"),
        ({"kind": "bidder-half"}, "wrong-kind"),
        ({"more": 1}, "malformed"),
    ):
        with pytest.raises(CeremonyFileRefused) as caught:
            await bench.give_release(jcs.encode(fields | changes))
        assert caught.value.why == why


async def test_a_trustee_who_signs_with_another_certificate_is_refused(bench: Bench) -> None:
    await bench.started()
    from node.ceremony_files import Request, make_release

    key, other = (load_trustee_key(bench.folder / f"{role}.key") for role in ("witness", "tenderer"))
    asked = Request.parse((bench.folder / "request.json").read_bytes())
    with pytest.raises(CeremonyFileRefused) as caught:
        await bench.give_release(make_release(asked, key.share, other.signer))
    assert caught.value.why == "other-signer"


async def test_a_request_whose_set_is_not_its_bids_releases_nothing(bench: Bench) -> None:
    """A node that shows a trustee one bid only, under the digest of all, is found by the trustee's tool."""
    await bench.started()
    fields = json.loads((bench.folder / "request.json").read_bytes())
    fields["bids"] = fields["bids"][:1]
    (bench.folder / "request.json").write_bytes(jcs.encode(fields))
    done = run(
        cli_share,
        "release",
        str(bench.folder / "request.json"),
        *("--key", str(bench.folder / "witness.key"), "-o", str(bench.folder / "out"), "--yes"),
    )
    assert done.exit_code == 1
    assert "set-differs" in done.output


async def test_a_bidder_cannot_decrypt_for_another(bench: Bench) -> None:
    await bench.started()
    one, other, *_ = bench.room.refs
    done = bench.half(one, key_of=other)
    assert done.exit_code == 1
    assert "not-a-recipient" in done.output


async def test_a_file_that_is_not_sealed_as_noticed_is_refused_at_the_desk(bench: Bench) -> None:
    await bench.noticed()
    one, other, *_ = bench.room.refs
    assert bench.seal(one, 0).exit_code == 0
    with pytest.raises(Refused) as caught:
        await bench.hand_in(other, source=one)
    assert (caught.value.code, caught.value.value) == ("bid-not-sealed-as-noticed", "for-another-participant")
    (bench.folder / f"{one}.erb").write_bytes(b"no bid")
    with pytest.raises(Refused) as caught:
        await bench.hand_in(one)
    assert caught.value.value == "not-a-bid-file"


async def test_a_notice_that_was_changed_seals_nothing(bench: Bench) -> None:
    await bench.noticed()
    fields = json.loads((bench.folder / "notice.json").read_bytes())
    for entry in fields["entries"]:
        entry["entry"] = entry["entry"].replace("A", "B", 1)
    (bench.folder / "changed.json").write_bytes(jcs.encode(fields))
    done = bench.seal(bench.room.refs[0], 0, notice_file="changed.json")
    assert done.exit_code == 1
    assert not (bench.folder / f"{bench.room.refs[0]}.erb").exists()


def test_what_a_bid_says_is_read_back_as_it_was_written() -> None:
    content = cast.bid_of(BIDS[0], "P-AAAA11")
    assert content_of(content_bytes(content)) == replace(content, files=())


def test_the_phases_have_words() -> None:
    from web import words

    assert {"sealed", "releasing", "decrypting", "opened", "minutes"} == set(words.PHASES)
    assert unsealing.MINUTE_MS == 60_000
