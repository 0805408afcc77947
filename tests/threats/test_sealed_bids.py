"""Who can open a sealed bid, and who is named when it does not open."""

import hashlib
import io
import zipfile
from dataclasses import replace
from itertools import chain, combinations
from pathlib import Path

import pytest

from sync import bid_file, payload
from sync.acts import sign_act
from sync.bid_file import BidFile, BidRefused, seal_file
from sync.bid_keys import deal, payload_key, wrap_seed
from sync.bid_manifest import Manifest
from sync.bid_unlock import Blame, unlock
from sync.shares import combine
from sync.wrap import WrapFault, unwrap_share, wrap_seeded, wrap_share
from tests.data.sealed_bids import BODY, PUBLICS, TERMS, TRUSTEES, Party, Pieces, opened, party, sealed, sources

WHO = party("bidder")
SUBSETS = list(chain.from_iterable(combinations(range(1, 6), size) for size in range(6)))


@pytest.fixture(scope="module", params=["intl-1", "gm-1"])
def profile(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module", params=["and", "or"])
def pieces(request: pytest.FixtureRequest, profile: str) -> Pieces:
    who = party("gm bidder", "sm2") if profile == "gm-1" else WHO  # gm-1 throughout: envelope and signatures too
    return Pieces(sealed(who, replace(TERMS, mode=request.param, profile=profile)), who)


def test_exactly_the_allowed_sets_of_bidder_and_trustees_open(pieces: Pieces, tmp_path: Path) -> None:
    mode = pieces.bid.manifest.terms.mode
    for with_bidder in (False, True):
        for some in SUBSETS:
            half = pieces.half if with_bidder else None
            got = unlock(pieces.bid, publics=PUBLICS, shares={i: pieces.shares[i] for i in some}, half=half)
            room = len(some) >= 3
            allowed = (room and with_bidder) if mode == "and" else (room or with_bidder)
            assert (got.key is not None) is allowed, (some, with_bidder)
            assert not got.blames
            if got.key is not None:
                assert opened(pieces.bid, got.key, tmp_path) == BODY


def test_all_trustees_together_without_the_bidder_find_no_key_by_combining_what_they_have(profile: str) -> None:
    pieces = Pieces(sealed(WHO, replace(TERMS, profile=profile)), WHO)
    manifest = pieces.bid.manifest
    room = combine(pieces.shares, t=3)
    for guess in (bytes(32), room, *pieces.shares.values()):
        key = payload_key(manifest.terms.profile, "and", manifest.context, half=guess, room=room)
        assert not pieces.bid.key_fits(key)


@pytest.mark.parametrize("liar", range(1, 6))
def test_a_wrong_share_names_its_trustee_and_the_others_still_open(pieces: Pieces, liar: int) -> None:
    shares = pieces.shares | {liar: bytes(32)}
    got = unlock(pieces.bid, publics=PUBLICS, shares=shares, half=pieces.half)
    assert got.blames == (Blame(f"trustee-{liar}", "wrong-share"),)
    assert got.key is not None


@pytest.mark.parametrize("liar", range(1, 6))
def test_a_false_complaint_names_its_trustee(pieces: Pieces, liar: int) -> None:
    shares = {i: one for i, one in pieces.shares.items() if i != liar}
    got = unlock(pieces.bid, publics=PUBLICS, shares=shares, complaints=frozenset({liar}), half=pieces.half)
    assert got.blames == (Blame(f"trustee-{liar}", "false-complaint"),)
    assert got.key is not None


def test_a_complaint_that_too_few_shares_can_judge_is_undecided_not_guessed(pieces: Pieces) -> None:
    shares = {i: pieces.shares[i] for i in (1, 2)}
    got = unlock(pieces.bid, publics=PUBLICS, shares=shares, complaints=frozenset({3}))
    assert got.blames == (Blame("trustee-3", "undecided"),)


def _bad_wrap(monkeypatch: pytest.MonkeyPatch, victim: int, *, seeded: bool) -> Pieces:
    """Seal a bid whose wrap for one trustee holds something else than the promised share."""

    def dealing(profile: str, mode: str, context: bytes, *, t: int, publics: tuple[bytes, ...]):
        dealt = deal(profile, mode, context, t=t, publics=publics)
        shares = {i: unwrap_share(key, context, dealt.wraps[i - 1]) for i, key in enumerate(TRUSTEES, 1)}
        seed = wrap_seed(profile, context, victim, combine(shares, t=t))
        public = publics[victim - 1]
        bad = wrap_seeded(public, context, bytes(32), seed) if seeded else wrap_share(public, context, bytes(32))
        wraps = list(dealt.wraps)
        wraps[victim - 1] = bad
        return replace(dealt, wraps=tuple(wraps))

    monkeypatch.setattr(bid_file, "deal", dealing)
    return Pieces(sealed(WHO), WHO)


@pytest.mark.parametrize("victim", range(1, 6))
@pytest.mark.parametrize("seeded", [True, False])
def test_a_bidder_who_wraps_something_else_is_named_by_the_complaint(
    monkeypatch: pytest.MonkeyPatch, victim: int, seeded: bool
) -> None:
    pieces = _bad_wrap(monkeypatch, victim, seeded=seeded)
    assert not pieces.bid.share_fits(victim, pieces.shares[victim])
    shares = {i: one for i, one in pieces.shares.items() if i != victim}
    got = unlock(pieces.bid, publics=PUBLICS, shares=shares, complaints=frozenset({victim}), half=pieces.half)
    assert got.blames == (Blame("bidder", "bad-wrap"),)


def test_a_bidder_whose_half_is_another_is_named(pieces: Pieces) -> None:
    got = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=bytes(32))
    why = "wrong-half" if pieces.bid.manifest.terms.mode == "and" else "two-keys"
    assert (got.key, got.blames) == (None, (Blame("bidder", why),))


def test_a_bidder_who_dealt_shares_of_two_secrets_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def dealing(profile: str, mode: str, context: bytes, *, t: int, publics: tuple[bytes, ...]):
        one, other = (deal(profile, mode, context, t=t, publics=publics) for _ in range(2))
        return replace(
            one,
            share_hash=(*one.share_hash[:4], other.share_hash[4]),
            wraps=(*one.wraps[:4], other.wraps[4]),
        )

    monkeypatch.setattr(bid_file, "deal", dealing)
    pieces = Pieces(sealed(WHO), WHO)
    got = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half)
    assert got.blames == (Blame("bidder", "shares-disagree"),)


def test_a_half_may_not_choose_between_two_prices(monkeypatch: pytest.MonkeyPatch, profile: str) -> None:
    """Two halves, two keys, one payload: the payload commits to one, so the second price never appears."""
    pieces = Pieces(sealed(WHO, replace(TERMS, profile=profile)), WHO)
    other = Pieces(sealed(WHO, replace(TERMS, profile=profile), (b'{"price":"other"}',)), WHO)
    for half, shares in ((other.half, pieces.shares), (pieces.half, other.shares), (other.half, other.shares)):
        got = unlock(pieces.bid, publics=PUBLICS, shares=shares, half=half)
        assert got.key is None
        assert got.blames


def test_in_mode_or_two_ways_to_two_keys_void_the_bid_before_anything_is_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def dealing(profile: str, mode: str, context: bytes, *, t: int, publics: tuple[bytes, ...]):
        one, other = (deal(profile, mode, context, t=t, publics=publics) for _ in range(2))
        return replace(one, half=other.half)

    monkeypatch.setattr(bid_file, "deal", dealing)
    pieces = Pieces(sealed(WHO, replace(TERMS, mode="or")), WHO)
    got = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half)
    assert (got.key, got.blames) == (None, (Blame("bidder", "two-keys"),))


def test_a_copied_payload_under_another_name_opens_for_nobody() -> None:
    """The thief takes the payload and the wraps, signs a manifest of his own: another context, other keys."""
    original, thief = Pieces(sealed(WHO), WHO), party("thief").named("P-BBBB22")
    copied = _resigned(original, thief)
    bid = BidFile(io.BytesIO(copied))
    with pytest.raises(WrapFault):
        unwrap_share(TRUSTEES[0], bid.manifest.context, bid.wraps["share-1"])
    key = unlock(original.bid, publics=PUBLICS, shares=original.shares, half=original.half).key
    assert key is not None
    assert not bid.key_fits(key)


def _resigned(original: Pieces, thief: Party) -> bytes:
    manifest = replace(original.bid.manifest, bidder=thief.identity.bidder)
    with zipfile.ZipFile(io.BytesIO(original.data)) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}
    members["manifest.json"] = bytes(manifest)
    members["manifest.cms"] = sign_act(bytes(manifest), thief.identity.signer)
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as archive:
        for name, body in members.items():
            archive.writestr(bid_file._member(name), body)
    return target.getvalue()


def test_a_thief_who_knows_the_keys_still_lacks_the_inner_signature(tmp_path: Path) -> None:
    """Even with the opened package in hand, handing it in again as one's own is found by the signer inside."""
    thief = party("thief")
    original = Pieces(sealed(WHO), WHO)
    key = unlock(original.bid, publics=PUBLICS, shares=original.shares, half=original.half).key
    assert key is not None
    original.bid.open_package(key, tmp_path / "package").close()
    target = io.BytesIO()
    stolen = (tmp_path / "package").read_bytes()

    def write(take, context, files, signer) -> None:
        take(stolen)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bid_file, "write_package", write)
        seal_file(target, TERMS, PUBLICS, thief.identity, sources(*BODY))
    pieces = Pieces(target.getvalue(), thief)
    key = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half).key
    assert key is not None
    with pytest.raises(BidRefused) as caught:
        pieces.bid.open_package(key, tmp_path / "other")
    assert caught.value.code == "package-wrong"
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"tender": "other"}, "tender"),
        ({"lot": "other"}, "lot"),
        ({"round_no": 2}, "round_no"),
        ({"t": 2}, "t"),
        ({"mode": "or"}, "mode"),
        ({"profile": "gm-1"}, "profile"),
        ({"trustees": TERMS.trustees[:4]}, "trustees"),
    ],
)
def test_a_bid_under_other_terms_than_the_notice_is_refused_and_the_member_named(changes: dict, name: str) -> None:
    pieces = Pieces(sealed(WHO), WHO)
    pieces.bid.require(TERMS, WHO.ref)
    with pytest.raises(BidRefused) as caught:
        pieces.bid.require(replace(TERMS, **changes), WHO.ref)
    assert (caught.value.code, caught.value.detail) == ("terms-differ", name)
    with pytest.raises(BidRefused) as caught:
        pieces.bid.require(TERMS, "P-BBBB22")
    assert caught.value.code == "for-another-participant"


def test_a_share_of_one_tender_is_none_for_another() -> None:
    one = Pieces(sealed(WHO), WHO)
    other = Pieces(sealed(WHO, replace(TERMS, lot="A5329240000000001001002")), WHO)
    with pytest.raises(WrapFault):
        unwrap_share(TRUSTEES[0], other.bid.manifest.context, one.bid.wraps["share-1"])
    assert not other.bid.share_fits(1, one.shares[1])


def test_whatever_byte_is_changed_the_file_is_refused_or_the_payload_is(tmp_path: Path) -> None:
    data = sealed(WHO, bodies=(b"{}",))
    key = unlock((pieces := Pieces(data, WHO)).bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half).key
    assert key is not None
    for at in (*range(0, len(data), 1499), *range(len(data) - 3500, len(data), 97)):
        changed = bytearray(data)
        changed[at] ^= 0x20
        with pytest.raises(BidRefused):  # noqa: PT012 - one of three steps refuses
            bid = BidFile(io.BytesIO(bytes(changed)))
            bid.check_payload()
            bid.open_package(key, tmp_path / "package")
        assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("cut", [0, 1, 40, 60_000, -1, -22, -400])
def test_a_cut_or_longer_file_is_no_bid_file(cut: int) -> None:
    data = sealed(WHO, bodies=(b"{}",))
    for changed in (data[:cut], data + b"\0", b"\0" + data):
        with pytest.raises(BidRefused) as caught:
            BidFile(io.BytesIO(changed))
        assert caught.value.code in {"not-a-bid-file", "manifest-malformed"}


def test_a_cut_payload_never_becomes_visible_under_its_name(profile: str, tmp_path: Path) -> None:
    pieces = Pieces(sealed(WHO, replace(TERMS, profile=profile), (b"{}", bytes(200_000))), WHO)
    key = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half).key
    assert key is not None
    start, size = pieces.bid._members["payload.cob"]
    for short in (size - 1, size - 16, size - 16_400, 56, 0):
        pieces.bid._members["payload.cob"] = (start, short)
        with pytest.raises(BidRefused) as caught:
            pieces.bid.open_package(key, tmp_path / "package")
        assert caught.value.code == "key-does-not-fit"
        assert not any(tmp_path.iterdir())


def test_the_sealed_size_tells_the_size_only_to_a_step() -> None:
    sizes = {len(sealed(WHO, bodies=(b"{}", bytes(n)))) // 1024 for n in (1, 500, 20_000, 50_000)}
    assert len(sizes) == 1


def test_another_signers_manifest_and_a_changed_wrap_are_refused_by_name() -> None:
    pieces = Pieces(sealed(WHO), WHO)
    with zipfile.ZipFile(io.BytesIO(pieces.data)) as archive:
        members = {one.filename: archive.read(one) for one in archive.infolist()}

    def refused(changes: dict[str, bytes]) -> str:
        target = io.BytesIO()
        with zipfile.ZipFile(target, "w") as archive:
            for name, body in (members | changes).items():
                archive.writestr(bid_file._member(name), body)
        with pytest.raises(BidRefused) as caught:
            BidFile(target).check_payload()
        return caught.value.code

    manifest = members["manifest.json"]
    assert refused({"manifest.cms": sign_act(manifest, party("thief").identity.signer)}) == "other-signer"
    assert refused({"manifest.cms": sign_act(manifest + b" ", WHO.identity.signer)}) == "signature-wrong"
    assert refused({"wrap/share-2.hpke": members["wrap/share-3.hpke"]}) == "wrap-changed"
    assert refused({"manifest.json": manifest + b" "}) == "manifest-malformed"
    assert refused({"payload.cob": members["payload.cob"][:-1] + b"\0"}) == "payload-changed"
    assert refused({"extra": b""}) == "not-a-bid-file"
    assert bytes(Manifest.parse(manifest)) == manifest


def test_a_key_is_judged_by_the_first_56_bytes(profile: str) -> None:
    pieces = Pieces(sealed(WHO, replace(TERMS, profile=profile)), WHO)
    manifest = pieces.bid.manifest
    start, _size = pieces.bid._members["payload.cob"]
    head = pieces.data[start : start + payload.HEAD]
    key = unlock(pieces.bid, publics=PUBLICS, shares=pieces.shares, half=pieces.half).key
    assert key is not None
    assert payload.key_fits(profile, key, manifest.context, head)
    assert not payload.key_fits(profile, hashlib.sha256(key).digest(), manifest.context, head)
    assert not payload.key_fits(profile, key, manifest.context + b"x", head)
    assert not payload.key_fits(profile, key, manifest.context, head[:-1])
