"""How far a certificate counts: every state of time, revocation and pin, by table; and the list that never goes back."""

import datetime as dt
from itertools import product

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.x509 import load_der_x509_crl, load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st

from sync.certs import issue_leaf, make_authority
from sync.crl import CrlRefused, issue_crl, newer, open_crl
from sync.standing import GRACE_MS, Crl, Enrolled, Leaf, Reach, Revocation, judge, revocation_of
from sync.trust import CRL_FILE, Trust

DAY = 24 * 3_600 * 1_000
NOW = dt.datetime(2026, 9, 1, tzinfo=dt.UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
KEY, OTHER = b"k" * 32, b"o" * 32
LEAF = Leaf("b", 7, KEY, NOW_MS - DAY, NOW_MS + DAY)
AUTHORITY = make_authority("dali.erhai", NOW)
FOREIGN = make_authority("dali.erhai", NOW)


def crl_of(age: Revocation) -> Crl | None:
    after = {"fresh": NOW_MS + 1, "stale": NOW_MS - GRACE_MS, "overdue": NOW_MS - GRACE_MS - 1}
    if age is Revocation.REVOKED:
        return Crl(1, 0, NOW_MS - 99 * DAY, frozenset({7}), b"")
    return Crl(1, 0, after[str(age)], frozenset({8}), b"")


@pytest.mark.parametrize("state", list(Revocation))
def test_the_list_in_hand_has_four_states(state: Revocation) -> None:
    assert revocation_of(crl_of(state), 7, NOW_MS) is state
    assert revocation_of(None, 7, NOW_MS) is Revocation.OVERDUE


def test_a_listed_certificate_is_revoked_however_old_the_list_is() -> None:
    assert revocation_of(Crl(1, 0, 0, frozenset({7}), b""), 7, NOW_MS) is Revocation.REVOKED


# kind, pinned, time: what is reached with a list that is fresh or stale, and with one that is overdue
TABLE = {
    ("room", True, "valid"): ("all", "all"),
    ("room", True, "expired"): ("all", "all"),
    ("room", True, "not-yet-valid"): ("all", "all"),
    ("room", False, "valid"): ("all", "nothing"),
    ("room", False, "expired"): ("nothing", "nothing"),
    ("room", False, "not-yet-valid"): ("nothing", "nothing"),
    ("county", True, "valid"): ("all", "all"),
    ("county", True, "expired"): ("renewal", "renewal"),
    ("county", True, "not-yet-valid"): ("renewal", "renewal"),
    ("county", False, "valid"): ("all", "nothing"),
    ("county", False, "expired"): ("nothing", "nothing"),
    ("county", False, "not-yet-valid"): ("nothing", "nothing"),
    ("prefecture", True, "valid"): ("all", "all"),
    ("prefecture", True, "expired"): ("nothing", "nothing"),
    ("prefecture", True, "not-yet-valid"): ("nothing", "nothing"),
    ("prefecture", False, "valid"): ("nothing", "nothing"),
    ("prefecture", False, "expired"): ("nothing", "nothing"),
    ("prefecture", False, "not-yet-valid"): ("nothing", "nothing"),
}


@pytest.mark.parametrize(("kind", "pinned", "time"), TABLE)
@pytest.mark.parametrize("state", list(Revocation))
def test_what_a_peer_reaches_is_the_table(kind: str, pinned: bool, time: str, state: Revocation) -> None:
    now_ms = {"valid": NOW_MS, "expired": LEAF.not_after_ms + 1, "not-yet-valid": LEAF.not_before_ms - 1}[time]
    moved = now_ms - NOW_MS
    crl = crl_of(state)
    moved_crl = Crl(1, 0, crl.next_update_ms + moved, crl.serials, b"")
    enrolled = Enrolled(kind, frozenset({KEY, b"backup" + b"x" * 26}) if pinned else frozenset({OTHER}))
    ruling = judge(LEAF, enrolled, moved_crl, now_ms)
    fresh, overdue = TABLE[kind, pinned, time]
    wanted = {Revocation.REVOKED: "nothing", Revocation.OVERDUE: overdue}.get(state, fresh)
    assert ruling.reach == wanted
    assert (ruling.why == "") == (ruling.reach is Reach.ALL and time == "valid")
    assert ruling.revocation is state


@pytest.mark.parametrize(("time", "state"), list(product((NOW_MS, LEAF.not_after_ms + 1), Revocation)))
def test_a_node_that_was_never_enrolled_is_believed_only_by_a_valid_leaf_and_a_list_in_time(time: int, state) -> None:
    crl = crl_of(state)
    now_and_list = time == NOW_MS and state in {Revocation.FRESH, Revocation.STALE}
    assert (judge(LEAF, None, crl, time).reach is Reach.ALL) == now_and_list


def test_a_prefecture_whose_key_was_never_pinned_is_believed_like_any_node() -> None:
    assert judge(LEAF, Enrolled("prefecture", frozenset()), crl_of(Revocation.FRESH), NOW_MS).reach is Reach.ALL


@given(
    st.booleans(),
    st.sampled_from(["room", "county", "prefecture"]),
    st.integers(NOW_MS - 400 * DAY, NOW_MS + 400 * DAY),
    st.one_of(st.none(), st.integers(NOW_MS - 400 * DAY, NOW_MS + 400 * DAY)),
)
def test_whatever_the_clock_says_a_revoked_certificate_reaches_nothing(pinned, kind, now_ms, next_ms) -> None:
    crl = Crl(1, 0, NOW_MS if next_ms is None else next_ms, frozenset({7}), b"")
    enrolled = Enrolled(kind, frozenset({KEY}) if pinned else frozenset())
    assert judge(LEAF, enrolled, crl, now_ms).reach is Reach.NOTHING


# -- the list -------------------------------------------------------------------------------------------------------


def made(number: int, *serials: int, authority=AUTHORITY, now=NOW) -> bytes:
    return issue_crl(authority, number=number, revoked=dict.fromkeys(serials, now), now=now)


def test_a_list_is_read_as_it_was_made_from_der_and_pem() -> None:
    der = made(3, 5, 9)
    pem = load_der_x509_crl(der).public_bytes(serialization.Encoding.PEM)
    for data in (der, pem):
        crl = open_crl(data, AUTHORITY.certificate_pem)
        assert (crl.number, crl.serials, crl.der) == (3, frozenset({5, 9}), der)


def why(call) -> str:
    with pytest.raises(CrlRefused) as refused:
        call()
    return refused.value.why


def test_only_a_list_of_the_own_authority_is_taken() -> None:
    assert why(lambda: open_crl(made(1, authority=FOREIGN), AUTHORITY.certificate_pem)) == "foreign"
    assert why(lambda: open_crl(b"", AUTHORITY.certificate_pem)) == "malformed"
    assert why(lambda: open_crl(b"x" * 2_000_000, AUTHORITY.certificate_pem)) == "malformed"


@given(st.integers(0, 8 * len(made(1, 5)) - 1))
def test_a_list_with_one_flipped_bit_is_refused_or_says_the_same(bit: int) -> None:
    data = bytearray(made(1, 5))
    data[bit // 8] ^= 1 << bit % 8
    try:
        crl = open_crl(bytes(data), AUTHORITY.certificate_pem)
    except CrlRefused:
        return
    assert (crl.number, crl.serials) == (1, frozenset({5}))


def test_a_list_never_goes_back() -> None:
    def opened(number: int, *serials: int, now=NOW) -> Crl:
        return open_crl(made(number, *serials, now=now), AUTHORITY.certificate_pem)

    held = opened(4, 5)
    assert newer(None, held, NOW_MS)
    assert newer(held, opened(5), NOW_MS)
    assert not newer(held, held, NOW_MS)
    assert why(lambda: newer(held, opened(3, 5), NOW_MS)) == "goes-back"
    assert why(lambda: newer(held, opened(4), NOW_MS)) == "two-of-one-number"
    assert why(lambda: newer(held, opened(9, now=NOW + dt.timedelta(days=3)), NOW_MS)) == "from-the-future"


def test_a_damaged_list_on_disk_lets_nobody_in_until_a_good_one_replaces_it(tmp_path) -> None:
    key = Ed25519PrivateKey.generate().public_key()
    leaf = issue_leaf(AUTHORITY, node="b", public=key, now=NOW)
    der = load_pem_x509_certificate(leaf).public_bytes(serialization.Encoding.DER)
    (tmp_path / CRL_FILE).write_bytes(made(2)[:-1])
    enrolled = Enrolled("room", frozenset({key.public_bytes_raw()}))
    trust = Trust(
        folder=tmp_path,
        ca_pem=AUTHORITY.certificate_pem,
        prefecture="dali.erhai",
        enrolled=lambda _node: enrolled,
        now_ms=lambda: NOW_MS,
    )
    assert (trust.judge(der).why, trust.refused) == ("crl-damaged", {"b": "crl-damaged"})
    assert trust.take_crl(made(2))
    assert (trust.judge(der).reach, trust.damaged, trust.refused) == (Reach.ALL, "", {})
    # a file that is damaged later leaves the list in hand
    (tmp_path / CRL_FILE).write_bytes(b"")
    assert not trust.reload()
    assert (trust.judge(der).reach, bool(trust.damaged), trust.crl.number) == (Reach.ALL, True, 2)
    assert trust.take_crl(made(2))
    assert (tmp_path / CRL_FILE).read_bytes() == trust.crl.der
