"""Enrolment from the first request to the renewal: what each paper must prove, by the commands and by hostile papers."""

import datetime as dt
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from cryptography import x509
from hypothesis import given
from hypothesis import strategies as st

from node import enrol
from node.cli_enrol import cli_enrol
from node.enrol_words import REASONS
from node.settings import SettingsFault, parse_settings
from sync import enrolment
from sync.codec import pack, unpack
from sync.crl import open_crl
from sync.enrolment import EnrolRefused, aloud, fingerprint, groups, read_token
from sync.keys import KeyFault, load_identity
from sync.office import Office
from sync.tampered import Malformed

NOW = dt.datetime.now(dt.UTC)
NOW_MS = int(NOW.timestamp() * 1_000)
PINS = {"O-01": "111111", "O-02": "222222"}
P = "dali.erhai"


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("office") / "office"
    office = Office.open_new(folder, P, NOW)
    for no, pin in PINS.items():
        office.add_officer(no, pin)
    return folder


@pytest.fixture
def office(opened: Path, tmp_path: Path) -> Office:
    """An office of its own for each test; scrypt is slow."""
    shutil.copytree(opened, tmp_path / "office")
    return Office(tmp_path / "office")


def officers(office: Office) -> dict:
    return {no: office.officer_key(no, pin) for no, pin in PINS.items()}


def ask(data: Path, node: str = "a", *, kind: str = "county", now_ms: int = NOW_MS) -> enrol.Asked:
    url = "https://10.0.0.1:8444" if kind == "prefecture" else ""
    return enrol.request(
        data, node=node, prefecture=P, origin=f"{P}/{node}/e1", kind=kind, room="room-1", url=url, now_ms=now_ms
    )


def enrolled(office: Office, data: Path, node: str = "a", *, replacing: str = "") -> bytes:
    asked = ask(data, node)
    bundle = office.enrol(asked.paper, asked.token, officers(office), NOW, replacing=replacing)
    enrol.accept(data, bundle, NOW_MS)
    return bundle


def why(call: Callable[[], object]) -> str:
    with pytest.raises(EnrolRefused) as refused:
        call()
    assert refused.value.why in REASONS
    return refused.value.why


def leaf_of(data: Path) -> x509.Certificate:
    return x509.load_pem_x509_certificate((data / "keys" / "tls.crt").read_bytes())


# -- the commands ---------------------------------------------------------------------------------------------------


def erhai(*args: str, typed: str = "") -> Result:
    return CliRunner().invoke(cli_enrol, list(args), input=typed)


def test_a_node_is_enrolled_by_the_commands_and_its_settings_find_its_peers(office: Office, tmp_path: Path) -> None:
    folder = str(tmp_path / "office")
    for node, kind in (("p", "prefecture"), ("a", "county"), ("b", "county")):
        data, paper, bundle = tmp_path / node, tmp_path / f"{node}.request", tmp_path / f"{node}.bundle"
        words = ["request", "--data", str(data), "--node", node, "--prefecture", P, "--role", kind, "--room", "r-1"]
        words += ["--origin", f"{P}/{node}/e1", "--url", "https://10.0.0.9:8444" if node == "p" else ""]
        asked = erhai(*words, "--out", str(paper))
        assert asked.exit_code == 0, asked.output
        token = (data / "keys.enrolling" / "token").read_text()
        assert groups(token) in asked.output
        assert aloud(token) in asked.output
        assert groups(fingerprint(paper.read_bytes())) in asked.output
        assert token.encode() not in paper.read_bytes()
        pair = ["--officer", "O-01", "--officer", "O-02"]
        typed = f"{aloud(token)[:0]}{groups(token)}\n111111\n222222\n"
        signed = erhai("sign", str(paper), "--authority", folder, *pair, "--out", str(bundle), typed=typed)
        assert signed.exit_code == 0, signed.output
        assert groups(fingerprint(paper.read_bytes())) in signed.output
        assert erhai("accept", str(bundle), "--data", str(data)).exit_code == 0
        assert load_identity(data / "keys").node == node
        assert not (data / "keys.enrolling").exists()
        modes = {stat.S_IMODE(path.stat().st_mode) for path in (data / "keys").iterdir()}
        assert modes == {0o600}
    # a was enrolled before b: it learns of b by today's bundle
    assert erhai("bundle", "a", "--authority", folder, "--out", str(tmp_path / "a.new")).exit_code == 0
    assert erhai("accept", str(tmp_path / "a.new"), "--data", str(tmp_path / "a")).exit_code == 0
    text = (
        f'role = "county"\nnode = "a"\norigin = "{P}/a/e1"\ndata = "."\npages_port = 1\nsync_port = 2\n'
        'centre_name = "x"\nroom_name = "x"\nroster = "keys/peers.toml"\n'
    )
    found = {peer.name: peer for peer in parse_settings("discover = true\n" + text, tmp_path / "a").peers}
    assert {name: (peer.kind, peer.url) for name, peer in found.items()} == {
        "b": ("room", ""),
        "p": ("prefecture", "https://10.0.0.9:8444"),
    }
    assert found["b"].pins == {load_identity(tmp_path / "b" / "keys").tls_public}
    with pytest.raises(SettingsFault, match="url"):
        parse_settings(text, tmp_path / "a")
    listed = erhai("roster", "--authority", folder)
    assert all(f"{node}  r-1" in listed.output for node in "abp")


@pytest.mark.parametrize(
    ("pair", "typed", "word"),
    [
        (["O-01", "O-01"], "", "two-officers"),
        (["O-01"], "", "two-officers"),
        (["O-01", "O-03"], "111111\n333333\n", "no-such-officer"),
        (["O-01", "O-02"], "111111\n111111\n", "wrong-pin"),
        (["O-01", "../O-02"], "111111\n222222\n", "bad-officer"),
    ],
)
def test_signing_needs_two_different_officers_each_with_a_pin(
    office: Office, tmp_path: Path, pair: list[str], typed: str, word: str
) -> None:
    asked = ask(tmp_path / "a")
    (tmp_path / "r").write_bytes(asked.paper)
    words = [item for no in pair for item in ("--officer", no)]
    folder, out = str(tmp_path / "office"), tmp_path / "out"
    answer = erhai(
        "sign", str(tmp_path / "r"), "--authority", folder, *words, "--out", str(out), typed=f"{asked.token}\n{typed}"
    )
    assert (answer.exit_code, out.exists()) == (1, False)
    assert REASONS[word] in answer.output
    assert office.roster() == ()


def test_the_tools_say_missing_files_and_existing_keys(office: Office, tmp_path: Path) -> None:
    assert erhai("roster", "--authority", str(tmp_path / "none")).exit_code == 2
    enrolled(office, tmp_path / "a")
    with pytest.raises(KeyFault, match="exists"):
        ask(tmp_path / "a")
    (tmp_path / "junk").write_bytes(b"\x93junk")
    assert erhai("accept", str(tmp_path / "junk"), "--data", str(tmp_path / "a")).exit_code == 1


# -- the token ------------------------------------------------------------------------------------------------------


def test_a_token_is_good_once_for_its_own_request_and_in_time(office: Office, tmp_path: Path) -> None:
    asked, other = ask(tmp_path / "a"), ask(tmp_path / "b", "b")
    two = officers(office)
    assert why(lambda: office.enrol(asked.paper, other.token, two, NOW)) == "wrong-token"
    late, early = NOW + dt.timedelta(hours=25), NOW - dt.timedelta(hours=2)
    assert why(lambda: office.enrol(asked.paper, asked.token, two, late)) == "token-expired"
    assert why(lambda: office.enrol(asked.paper, asked.token, two, early)) == "from-the-future"
    bundle = office.enrol(asked.paper, asked.token, two, NOW)
    assert office.enrol(asked.paper, asked.token, two, NOW) == bundle  # once signed, never signed again
    office.revoke("a", two, NOW)
    assert why(lambda: office.enrol(asked.paper, asked.token, two, NOW)) == "token-spent"


def test_a_token_is_read_as_people_type_and_say_it() -> None:
    token = "012345678901234567890123"
    for text in (
        token,
        groups(token),
        aloud(token).replace("，", " "),
        aloud(token).replace("，", "").replace("一", "幺"),
    ):
        assert read_token(text) == token
    for text in ("", token[:-1], token + "1", "x" * 24):
        assert why(lambda text=text: read_token(text)) == "token-malformed"


def test_a_request_that_was_swapped_on_its_way_does_not_fit_the_token(office: Office, tmp_path: Path) -> None:
    asked, swapped = ask(tmp_path / "a"), ask(tmp_path / "rogue")
    body = unpack(swapped.paper)[0]
    mixed = pack((body, unpack(asked.paper)[1]))
    assert why(lambda: office.enrol(mixed, asked.token, officers(office), NOW)) == "wrong-token"
    assert fingerprint(mixed) != fingerprint(asked.paper)


def test_any_changed_byte_of_any_paper_is_refused_and_nothing_is_installed(office: Office, tmp_path: Path) -> None:
    asked = ask(tmp_path / "a")
    bundle = office.enrol(asked.paper, asked.token, officers(office), NOW)
    readers = (
        (asked.paper, lambda paper: enrolment.open_request(paper, asked.token, NOW_MS)),
        (bundle, lambda paper: enrol.accept(tmp_path / "a", paper, NOW_MS)),
    )
    for paper, read in readers:
        for at in range(len(paper)):
            changed = paper[:at] + bytes([paper[at] ^ (1 << at % 8)]) + paper[at + 1 :]
            with pytest.raises((EnrolRefused, Malformed)):
                read(changed)
            with pytest.raises((EnrolRefused, Malformed)):
                read(paper[:at])
    assert not (tmp_path / "a" / "keys").exists()


@given(st.binary(max_size=300))
def test_any_bytes_are_read_as_a_paper_or_refused(data: bytes) -> None:
    for read in (
        lambda: enrolment.open_request(data, "0" * 24, NOW_MS),
        lambda: enrolment.open_bundle(data, token="0" * 24),
        lambda: enrolment.open_act(data),
        lambda: enrolment.renewing_node(data),
        lambda: enrolment.check_renewal(data, "00" * 32),
    ):
        with pytest.raises((EnrolRefused, Malformed)):
            read()


# -- the bundle -----------------------------------------------------------------------------------------------------


def test_a_bundle_answers_its_own_request_alone(office: Office, tmp_path: Path) -> None:
    first = ask(tmp_path / "a")
    answer = office.enrol(first.paper, first.token, officers(office), NOW)
    assert why(lambda: enrol.accept(tmp_path / "b", answer, NOW_MS)) == "no-request"
    again = ask(tmp_path / "a")  # the technician asked anew; the answer to the first request comes late
    assert why(lambda: enrol.accept(tmp_path / "a", answer, NOW_MS)) == "wrong-token"
    second = office.enrol(again.paper, again.token, officers(office), NOW, replacing="a")
    assert why(lambda: office.enrol(first.paper, first.token, officers(office), NOW)) == "token-spent"
    enrol.accept(tmp_path / "a", second, NOW_MS)


def test_threat_rogue_authority_a_bundle_of_somebody_who_never_heard_the_token_is_refused(
    office: Office, tmp_path: Path
) -> None:
    asked = ask(tmp_path / "a")
    rogue = Office.open_new(tmp_path / "rogue", P, NOW)
    for no, pin in PINS.items():
        rogue.add_officer(no, pin)
    guessed = "0" * 24
    body = unpack(asked.paper)[0]
    forged = pack((body, enrolment._mac(guessed, enrolment._REQUEST, body)))
    answer = rogue.enrol(forged, guessed, officers(rogue), NOW)
    assert why(lambda: enrol.accept(tmp_path / "a", answer, NOW_MS)) == "wrong-token"
    real = office.enrol(asked.paper, asked.token, officers(office), NOW)
    enrol.accept(tmp_path / "a", real, NOW_MS)
    # enrolled: only the own authority counts from now on
    assert why(lambda: enrol.accept(tmp_path / "a", answer, NOW_MS)) == "foreign-ca"


def test_an_installation_that_was_cut_off_is_done_again_whole(
    office: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ask(tmp_path / "a")
    answer = office.enrol(asked.paper, asked.token, officers(office), NOW)

    def cut(*_what: object, **_more: object) -> None:
        raise OSError(28, "No space left on device")

    for name in ("certify", "write_private", "_replace", "create_data"):
        with monkeypatch.context() as patch:
            patch.setattr(enrol, name, cut)
            with pytest.raises(OSError, match="No space"):
                enrol.accept(tmp_path / "a", answer, NOW_MS)
        assert not (tmp_path / "a" / "keys").exists()
    enrol.accept(tmp_path / "a", answer, NOW_MS)
    assert load_identity(tmp_path / "a" / "keys").node == "a"


def test_a_bundle_for_another_node_and_an_older_one_are_refused(office: Office, tmp_path: Path) -> None:
    enrolled(office, tmp_path / "a")
    before = office.bundle_for("a", NOW)
    enrolled(office, tmp_path / "b", "b")
    assert why(lambda: enrol.accept(tmp_path / "a", office.bundle_for("b", NOW), NOW_MS)) == "for-another"
    enrol.accept(tmp_path / "a", office.bundle_for("a", NOW), NOW_MS)
    assert why(lambda: enrol.accept(tmp_path / "a", before, NOW_MS)) == "goes-back"


# -- renewal and revocation -----------------------------------------------------------------------------------------


def later(days: int) -> dt.datetime:
    return NOW + dt.timedelta(days=days)


def test_a_renewal_keeps_the_key_and_needs_nobody(office: Office, tmp_path: Path) -> None:
    enrolled(office, tmp_path / "a")
    old = leaf_of(tmp_path / "a")
    keys = load_identity(tmp_path / "a" / "keys")
    paper = enrol.renewal(keys, NOW_MS)
    assert office.renew(paper, NOW) == office.bundle_for("a", NOW)  # too early: the leaf in hand again, and no act
    for days in (61, 1_000):
        enrol.accept(tmp_path / "a", office.renew(paper, later(days)), NOW_MS + days * 86_400_000)
        new = leaf_of(tmp_path / "a")
        assert new.not_valid_after_utc > old.not_valid_after_utc
        assert new.public_key() == old.public_key()
        old = new
    assert load_identity(tmp_path / "a" / "keys").tls_public == keys.tls_public


def test_threat_compromised_node_key_renewal_of_the_old_key_is_refused_once_a_new_one_is_enrolled(
    office: Office, tmp_path: Path
) -> None:
    enrolled(office, tmp_path / "a")
    old = leaf_of(tmp_path / "a")
    paper = enrol.renewal(load_identity(tmp_path / "a" / "keys"), NOW_MS)
    (tmp_path / "a" / "keys").rename(tmp_path / "stolen")
    enrolled(office, tmp_path / "a", replacing="a")  # by two officers: the key has changed
    assert why(lambda: office.renew(paper, later(61))) == "other-key"
    crl = open_crl(office.crl(NOW), office.authority.certificate_pem)
    assert crl.serials == {old.serial_number}
    assert leaf_of(tmp_path / "a").serial_number not in crl.serials


def test_a_revoked_node_is_on_the_list_on_no_roster_and_is_not_renewed(office: Office, tmp_path: Path) -> None:
    enrolled(office, tmp_path / "a")
    enrolled(office, tmp_path / "b", "b")
    renewal = enrol.renewal(load_identity(tmp_path / "b" / "keys"), NOW_MS)
    enrol.accept(tmp_path / "b", office.renew(renewal, later(61)), NOW_MS + 61 * 86_400_000)
    first = open_crl(office.crl(NOW), office.authority.certificate_pem)
    (tmp_path / "typed").write_text("")
    out = tmp_path / "nodes.crl"
    pair = ["--officer", "O-01", "--officer", "O-02"]
    done = erhai(
        "revoke", "b", "--authority", str(tmp_path / "office"), *pair, "--out", str(out), typed="111111\n222222\n"
    )
    assert done.exit_code == 0, done.output
    crl = open_crl(out.read_bytes(), office.authority.certificate_pem)
    assert crl.number > first.number
    assert len(crl.serials) == 2  # the leaf of the enrolment and the renewed one
    assert leaf_of(tmp_path / "b").serial_number in crl.serials
    assert why(lambda: office.renew(renewal, later(122))) == "revoked"
    assert why(lambda: office.bundle_for("b", NOW)) == "revoked"
    enrol.accept(tmp_path / "a", office.bundle_for("a", NOW), NOW_MS)
    assert '"b"' not in (tmp_path / "a" / "keys" / "peers.toml").read_text()


def test_an_act_that_was_taken_out_or_changed_stops_the_office(office: Office, tmp_path: Path) -> None:
    for node in "abc":
        enrolled(office, tmp_path / node, node)
    acts = tmp_path / "office" / "acts"
    for path in sorted(acts.iterdir())[:2]:
        kept = path.read_bytes()
        path.unlink()
        assert why(office.roster) == "acts-changed"
        path.write_bytes(kept[:-1] + bytes([kept[-1] ^ 1]))
        assert why(office.roster) == "officer-signature"
        path.write_bytes(kept)
    assert {one.member.node for one in office.roster()} == {"a", "b", "c"}
    member = tmp_path / "office" / "members" / "000001"
    member.write_bytes(member.read_bytes().replace(b"/a/e1", b"/z/e1", 1))
    assert why(office.roster) == "acts-changed"


def test_an_origin_belongs_to_one_node_and_an_office_to_one_prefecture(office: Office, tmp_path: Path) -> None:
    enrolled(office, tmp_path / "a")
    asked = enrol.request(
        tmp_path / "z",
        node="z",
        prefecture=P,
        origin=f"{P}/a/e1",
        kind="county",
        room="room-1",
        url="",
        now_ms=NOW_MS,
    )
    assert why(lambda: office.enrol(asked.paper, asked.token, officers(office), NOW)) == "origin-taken"
    other = Office.open_new(tmp_path / "other", "baoshan.erhai", NOW)
    for no, pin in PINS.items():
        other.add_officer(no, pin)
    mine = ask(tmp_path / "y", "y")
    assert why(lambda: other.enrol(mine.paper, mine.token, officers(other), NOW)) == "other-prefecture"


def test_an_officers_pin_is_six_characters_at_least_and_a_number_is_used_once(office: Office) -> None:
    assert why(lambda: office.add_officer("O-09", "12345")) == "short-pin"
    assert why(lambda: office.add_officer("O-01", "999999")) == "officer-exists"
    assert office.officer_key("O-01", "111111")


def test_a_prefecture_that_installs_its_bundle_is_not_told_to_enrol_the_prefecture_nor_to_bring_a_room_key(
    office: Office, tmp_path: Path
) -> None:
    asked = ask(tmp_path / "p", "centre-1", kind="prefecture")
    (tmp_path / "p.bundle").write_bytes(office.enrol(asked.paper, asked.token, officers(office), NOW))
    done = erhai("accept", str(tmp_path / "p.bundle"), "--data", str(tmp_path / "p"))
    assert done.exit_code == 0
    assert "请先登记上级节点" not in done.output
    assert "开标室密钥" not in done.output
    asked = ask(tmp_path / "a", "a")
    (tmp_path / "a.bundle").write_bytes(office.enrol(asked.paper, asked.token, officers(office), NOW))
    done = erhai("accept", str(tmp_path / "a.bundle"), "--data", str(tmp_path / "a"))
    assert "erhai enrol room-key --first" in done.output


@pytest.mark.parametrize(("kind", "remedy"), [("room", "discover = true"), ("prefecture", "[[peers]]")])
def test_a_roster_entry_without_an_address_is_named_with_its_file_and_what_to_write(
    tmp_path: Path, kind: str, remedy: str
) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/peers.toml").write_text(
        f'number = 1\n[[peers]]\nname = "532924-room-1-b"\nkind = "{kind}"\norigin = "x/b/e1"\n'
        'log_vkey = "k"\ncosigner_vkey = "k"\n'
    )
    text = (
        'role = "county"\nnode = "a"\norigin = "x/a/e1"\ndata = "."\npages_port = 8080\nsync_port = 8443\n'
        'centre_name = "c"\nroom_name = "r"\nroster = "keys/peers.toml"\n'
    )
    with pytest.raises(SettingsFault) as fault:
        parse_settings(text, tmp_path)
    for said in ("532924-room-1-b", "keys/peers.toml", remedy, "url"):
        assert said in str(fault.value)
    assert "peers[" not in str(fault.value)
    assert ("discover" in str(fault.value)) == (kind == "room")
    if kind == "room":
        assert parse_settings(f"{text}discover = true\n", tmp_path).peers[0].url == ""
