"""Whose certificate counts when a bid is taken, a trustee appointed, shares released: the node's anchors say, and it is recorded."""

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from stdnum.cn import ric

from node import personal
from node.ceremony_files import CeremonyFileRefused, Request, make_release
from node.cli_share import load_trustee_key
from node.domain import judged, opening
from node.domain.binding import FRESH, SignedBy
from node.domain.refused import Refused
from node.places import ANCHORS
from node.room_key import load_room_key
from node.signatures import Beside, Signature, _beside
from node.start import ROOM_KEY
from sync.note import Signer
from tests.data.sealed_bids import party, vendor_party
from tests.pages.room import AGENCY, BIDS, OPERATOR, SUPERVISOR
from tests.person_lab import DAY, FAMILIES, NOW, make_crl, take_trust, vendor
from tests.shell.test_bid_tools import ROLES, Bench

KEYS = tuple(Signer("dali.erhai/anchors", Ed25519PrivateKey.generate()) for _ in range(3))
REVOKED, REVOKED_TRUSTEE = 0x2002, 0x2003


def identity_no(at: int) -> str:
    number = f"53292419800101{at:03d}"
    return str(number + ric.calc_check_digit(f"{number}0"))


def crls_of(family: str) -> tuple[bytes, bytes]:
    own = vendor(family)
    revoked = {
        REVOKED: NOW - 40 * DAY,
        REVOKED_TRUSTEE: NOW - DAY / 8,
    }  # one long ago, one in the night before the opening
    return make_crl(own.root), make_crl(own.ca, revoked)


class TrustingBench(Bench):
    """A room whose node has anchors of four vendors, one of them SM2; the trustees' certificates are theirs."""

    def __init__(self, folder: Path, lists: dict[str, tuple[bytes, bytes]] | None = None) -> None:
        super().__init__(folder)
        node = self.room.node
        node.settings = replace(node.settings, anchor_vkeys=tuple(str(one.vkey) for one in KEYS))
        found = lists or {family: crls_of(family) for family in FAMILIES}
        take_trust(node.settings.data / ANCHORS, folder / "offered", KEYS, found)
        families = (*FAMILIES, "sm2")
        self.trustees = {
            role: vendor_party(
                family, serial=0x3000 + i, usage=("digital_signature", "non_repudiation"), person_id=identity_no(i)
            )
            for i, (role, family) in enumerate(zip(ROLES, families, strict=True))
        }

    async def noticed(self, mode: str = "and") -> Bench:
        """The desk's own acts are signed by those who do them: that is not what is tested here."""
        desk = (SignedBy(f"{one.role}:{one.person}", FRESH) for one in (AGENCY, OPERATOR, SUPERVISOR))
        _beside.set(Beside(tuple(Signature(by, personal.bind("act", ("", "", ""))) for by in desk)))
        return await super().noticed(mode)

    def people(self, *families: str) -> None:
        """Give the participants certificates of these vendors."""
        for i, (ref, family) in enumerate(zip(self.room.refs, families, strict=False)):
            self.parties[ref] = vendor_party(family, serial=0x4000 + i)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[TrustingBench]:
    made = TrustingBench(tmp_path)
    yield made
    await made.room.node.close()


async def test_two_trustees_with_cards_of_one_person_are_not_appointed(bench: TrustingBench) -> None:
    own = {"usage": ("digital_signature", "non_repudiation"), "person_id": identity_no(7)}
    for number, role in enumerate(("witness", "prefecture")):
        bench.trustees[role] = vendor_party("sm2", serial=0x3100 + number, **own)
    with pytest.raises(Refused) as caught:
        await bench.noticed()
    assert (caught.value.code, caught.value.rule) == ("same-holder", "trustees-are-persons")
    assert len({caught.value.value, *(value for _name, value in caught.value.facts)}) == 2  # both are named


async def refused(bench: Bench, ref: str) -> Refused:
    with pytest.raises(Refused) as caught:
        await bench.hand_in(ref)
    return caught.value


async def test_bids_and_releases_of_four_vendors_are_judged_and_the_judgement_is_recorded(bench: TrustingBench) -> None:
    await bench.noticed()
    bench.people("sm2", "rsa", "ecdsa")
    for number, ref in enumerate(bench.room.refs):
        done = bench.seal(ref, number)
        assert done.exit_code == 0, done.output
        await bench.hand_in(ref)
    lot = await bench.lot()
    assert [(one.act, one.subject, one.standing) for one in lot.judged.rows] == [
        *(("appointment", str(i), "fresh") for i in range(1, 6)),
        *(("bid", ref, "fresh") for ref in bench.room.refs),
    ]
    row = next(one for one in lot.judged.rows if one.subject == bench.room.refs[0])
    opened = load_room_key(bench.room.node.settings.data / ROOM_KEY).open
    kept = await bench.room.node.read(lambda db: personal.find(db, row.commitment, opened))
    act, subject, certificate, words = kept.fields
    assert (act, subject, bytes.fromhex(certificate)) == ("bid", row.subject, bench.parties[row.subject].certificate)
    assert json.loads(words)["family"] == "sm2"
    bench.room.at("2026-03-25 09:31")
    await bench.room.do(opening.StartOpening(("G-1",)), OPERATOR)
    await bench.begun()
    for role in ("prefecture", "witness", "operator"):  # SM2, SM2, Ed25519
        await bench.give_release(bench.release(role))
    for ref in bench.room.refs:
        await bench.give_half(ref)
    await bench.open()
    lot = await bench.lot()
    assert len(lot.opening.opened) == len(BIDS)
    assert {one.subject for one in lot.judged.rows if one.act == judged.RELEASE} == {"5", "4", "3"}


async def test_a_bid_whose_certificate_does_not_count_is_refused_and_says_why(bench: TrustingBench) -> None:
    await bench.noticed()
    ref = bench.room.refs[0]
    for who, why in (
        (party("nobody's"), "usage"),
        (vendor_party("sm2", serial=REVOKED), "revoked"),
        (vendor_party("rsa", usage=("key_encipherment",)), "usage"),
        (vendor_party("ecdsa", end=NOW - 25 * DAY), "expired"),
    ):
        bench.parties[ref] = who
        assert bench.seal(ref, 0).exit_code == 0
        said = await refused(bench, ref)
        assert (said.code, said.value, said.cites) == ("certificate-not-accepted", why, ("ZBT 36",))
    assert (await bench.lot()).bidding.bids == ()


async def test_a_bid_that_names_another_anchor_than_its_certificates_is_refused(bench: TrustingBench) -> None:
    await bench.noticed()
    bench.people("ecdsa")
    ref = bench.room.refs[0]
    assert bench.seal(ref, 0, anchor="sm2 试验根").exit_code == 0
    assert (await refused(bench, ref)).value == "anchor-differs"
    assert bench.seal(ref, 0, anchor="ecdsa 试验根").exit_code == 0
    await bench.hand_in(ref)


async def test_a_trustee_whose_certificate_does_not_count_is_not_appointed(bench: TrustingBench) -> None:
    bench.trustees["witness"] = vendor_party("sm2", serial=REVOKED)
    with pytest.raises(Refused) as caught:
        await bench.noticed()
    assert (caught.value.code, caught.value.value) == ("certificate-not-accepted", "revoked")
    assert dict(caught.value.facts)["subject"] == "4"


async def opening_of(bench: TrustingBench) -> None:
    await bench.noticed()
    bench.people("sm2", "rsa", "ecdsa")
    for number, ref in enumerate(bench.room.refs):
        assert bench.seal(ref, number).exit_code == 0
        await bench.hand_in(ref)
    bench.room.at("2026-03-25 09:31")
    await bench.room.do(opening.StartOpening(("G-1",)), OPERATOR)
    await bench.begun()


async def test_a_trustee_revoked_since_the_notice_releases_nothing_and_the_others_suffice(tmp_path: Path) -> None:
    bench = TrustingBench(tmp_path)
    bench.trustees["witness"] = vendor_party("ecdsa", serial=REVOKED_TRUSTEE)
    await opening_of(bench)
    with pytest.raises(Refused) as caught:
        await bench.give_release(bench.release("witness"))
    assert (caught.value.code, caught.value.value) == ("certificate-not-accepted", "revoked")
    for role in ("tenderer", "supervisor", "operator"):
        await bench.give_release(bench.release(role))
    assert len((await bench.lot()).ceremony.released) == 3
    await bench.room.node.close()


async def test_a_list_that_ran_out_marks_a_release_and_stops_a_bid(tmp_path: Path) -> None:
    old = {
        family: (
            make_crl(vendor(family).root, this=NOW - 25 * DAY, until=NOW - 18 * DAY),
            make_crl(vendor(family).ca, this=NOW - 25 * DAY, until=NOW - 18 * DAY),
        )
        for family in FAMILIES
    }
    bench = TrustingBench(tmp_path, old)
    await opening_of(bench)  # bids in early March: fresh then
    await bench.give_release(bench.release("witness"))
    lot = await bench.lot()
    assert lot.judged.standing(judged.RELEASE, "4") == "unknown"
    assert lot.judged.standing(judged.BID, bench.room.refs[0]) in {"fresh", "grace"}
    await bench.room.node.close()
    late = TrustingBench(tmp_path / "late", old)
    await late.noticed()
    late.people("sm2")
    late.room.at("2026-03-20 09:00")
    assert late.seal(late.room.refs[0], 0).exit_code == 0
    assert (await refused(late, late.room.refs[0])).value == "unknown"
    await late.room.node.close()


async def test_another_trustees_certificate_is_refused_by_name_before_anybody_judges_it(bench: TrustingBench) -> None:
    await opening_of(bench)
    key, other = (load_trustee_key(bench.folder / f"{role}.key") for role in ("witness", "tenderer"))
    asked = Request.parse((bench.folder / "request.json").read_bytes())
    with pytest.raises(CeremonyFileRefused) as caught:
        await bench.give_release(make_release(asked, key.share, other.signer))
    assert caught.value.why == "other-signer"
