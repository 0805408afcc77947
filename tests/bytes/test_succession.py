"""A statement that one log follows another is believed only of the node that its certificate names, in one spelling."""

import datetime as dt
from dataclasses import replace
from pathlib import Path

import apsw
import pytest

from sync.certs import Authority, make_authority
from sync.codec import pack, unpack
from sync.keys import NodeKeys, make_identity, renew_log_key
from sync.log import LOG_SCHEMA, open_log
from sync.succession import (
    Statement,
    closed_beyond,
    epoch_of,
    next_origin,
    open_envelope,
    parse_statement,
    seal_envelope,
    successions,
    take_succession,
)
from sync.tampered import Malformed, Tampered
from sync.witness import misbehaviours

PREFECTURE, NODE = "dali.erhai", "532924-room-1-a"
E1 = f"{PREFECTURE}/532924/room-1/a/e1"
NOW = dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return make_authority(PREFECTURE, NOW)


def identity(folder: Path, authority: Authority, node: str = NODE, origin: str = E1) -> NodeKeys:
    return make_identity(folder, origin=origin, node=node, authority=authority, now=NOW)


def statement(keys: NodeKeys, **changes: object) -> Statement:
    old, following = str(keys.log_signer.vkey), next_origin(keys.origin)
    new = renew_log_key(keys.folder, following)
    made = Statement(
        node=keys.node,
        old_origin=keys.origin,
        old_vkey=old,
        new_origin=following,
        log_vkey=str(new.log_signer.vkey),
        cosigner_vkey=str(new.cosigner.vkey),
        witness_vkey=str(new.witness.vkey),
        sealing_public=new.sealing_public.hex(),
        size=7,
        root=b"\x01" * 32,
        fence_size=9,
        lost=2,
        cause="restore",
        first_leaf=b"\x02" * 32,
        at_ms=1_772_000_000_000,
    )
    return replace(made, **changes)


def opened(envelope: bytes, authority: Authority) -> Statement:
    return open_envelope(envelope, ca_pem=authority.certificate_pem, prefecture=PREFECTURE)


def test_an_envelope_opens_to_the_statement_that_was_sealed(tmp_path: Path, authority: Authority) -> None:
    keys = identity(tmp_path / "keys", authority)
    made = statement(keys)
    assert opened(seal_envelope(made.pack(), keys.folder), authority) == made
    assert parse_statement(made.pack()) == made


def test_an_envelope_of_another_node_or_another_ca_or_with_a_changed_bit_is_refused(
    tmp_path: Path, authority: Authority
) -> None:
    keys, other = identity(tmp_path / "a", authority), identity(tmp_path / "b", authority, "532924-room-1-b")
    stranger = identity(tmp_path / "c", make_authority(PREFECTURE, NOW))
    made = statement(keys).pack()
    with pytest.raises(Tampered, match="foreign-key"):
        opened(seal_envelope(made, other.folder), authority)
    with pytest.raises(Tampered, match="another CA"):
        opened(seal_envelope(made, stranger.folder), authority)
    body, certificate, signature = unpack(seal_envelope(made, keys.folder))
    with pytest.raises(Tampered, match="forged-signature"):
        opened(pack((body, certificate, signature[:-1] + bytes([signature[-1] ^ 1]))), authority)


@pytest.mark.parametrize(
    "changes",
    [
        {"new_origin": E1},
        {"new_origin": f"{PREFECTURE}/532924/room-1/b/e2"},
        {"old_origin": f"{PREFECTURE}/532924/room-1/a/e3"},
        {"cause": "whim"},
        {"root": b"short"},
        {"size": -1},
        {"lost": -2},
        {"cosigner_vkey": "dali.erhai/other/m+00000000+AAAA"},
    ],
)
def test_a_statement_whose_names_do_not_belong_together_cannot_be_read(
    tmp_path: Path, authority: Authority, changes: dict[str, object]
) -> None:
    made = statement(identity(tmp_path / "keys", authority), **changes)
    with pytest.raises(Malformed):
        parse_statement(made.pack())


def test_a_successor_with_the_old_key_is_none(tmp_path: Path, authority: Authority) -> None:
    keys = identity(tmp_path / "keys", authority)
    made = statement(keys)
    same = made.log_vkey.replace(made.log_vkey.rpartition("+")[2], made.old_vkey.rpartition("+")[2])
    with pytest.raises(Malformed):
        parse_statement(replace(made, log_vkey=same).pack())


def test_epochs_are_numbers_and_names_without_one_have_no_next() -> None:
    assert (epoch_of(E1), epoch_of("dali.erhai/x"), next_origin(E1)) == (1, 0, E1[:-1] + "2")
    assert next_origin(f"{E1[:-2]}e9") == f"{E1[:-2]}e10"
    with pytest.raises(Malformed):
        next_origin("dali.erhai/x")


@pytest.fixture
def db() -> apsw.Connection:
    made = apsw.Connection(":memory:")
    made.execute(LOG_SCHEMA)
    open_log(made, E1)
    return made


def test_the_first_successor_is_kept_and_a_different_one_is_evidence(
    tmp_path: Path, authority: Authority, db: apsw.Connection
) -> None:
    keys = identity(tmp_path / "keys", authority)
    first = statement(keys)
    second = replace(first, size=6, lost=3)
    take = {"shown_by": NODE, "owner": NODE, "now_ms": 5}
    assert take_succession(db, first, b"1", **take).status == 201
    assert take_succession(db, first, b"1 again", **take).status == 200
    assert misbehaviours(db) == ()
    assert take_succession(db, second, b"2", **take).status == 422
    assert successions(db) == (first,)
    assert {(one.origin, one.held, one.shown) for one in misbehaviours(db)} == {
        (E1, b"1", b"2"),
        (first.new_origin, b"1", b"2"),
    }


@pytest.mark.parametrize(
    ("shown_by", "owner", "status"), [("another", NODE, 403), (NODE, "another", 403), (NODE, None, 404)]
)
def test_only_the_owner_speaks_for_its_log(
    tmp_path: Path, db: apsw.Connection, shown_by: str, owner: str | None, status: int
) -> None:
    made = statement(identity(tmp_path / "keys", make_authority(PREFECTURE, NOW)))
    assert take_succession(db, made, b"1", shown_by=shown_by, owner=owner, now_ms=5).status == status
    assert successions(db) == ()


def test_a_closed_log_is_taken_up_to_what_its_fence_had_released_and_no_further(
    tmp_path: Path, authority: Authority, db: apsw.Connection
) -> None:
    made = statement(identity(tmp_path / "keys", authority))
    assert closed_beyond(db, E1, 10**6) is None
    take_succession(db, made, b"1", shown_by=NODE, owner=NODE, now_ms=5)
    assert closed_beyond(db, E1, 9) is None
    assert "closed at 9 entries" in (closed_beyond(db, E1, 10) or "")


def test_a_closed_log_whose_fence_was_lost_has_no_known_end(
    tmp_path: Path, authority: Authority, db: apsw.Connection
) -> None:
    made = statement(identity(tmp_path / "keys", authority), fence_size=-1, lost=-1)
    take_succession(db, made, b"1", shown_by=NODE, owner=NODE, now_ms=5)
    assert closed_beyond(db, E1, 10**6) is None


@pytest.mark.filterwarnings("ignore::cryptography.utils.CryptographyDeprecationWarning")
def test_a_certificate_with_any_one_byte_changed_is_refused_in_words_or_says_the_same(
    tmp_path: Path, authority: Authority
) -> None:
    """What a library raises for a wrong version, a doubled extension or an unknown name is no ValueError. The byte that counts
    the unused bits of a signature is outside what is signed.
    """
    keys = identity(tmp_path / "keys", authority)
    paper, der, signature = unpack(seal_envelope(statement(keys).pack(), keys.folder))
    for at in range(len(der)):
        for flip in (1, 0x6E, 0xFF):
            changed = der[:at] + bytes([der[at] ^ flip]) + der[at + 1 :]
            try:
                found = opened(pack((paper, changed, signature)), authority)
            except (Malformed, Tampered):
                continue
            assert der[at - 3 : at] == b"\x70\x03\x41", at  # Ed25519, then a bit string of 65 bytes
            assert found.pack() == paper
