"""What the officers see before they sign, what they must type themselves, and that a failed write costs nothing."""

import datetime as dt
import os
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node import cli_enrol as command
from node import enrol
from node.cli_enrol import cli_enrol
from node.enrol_words import NO_PREFECTURE, REASONS
from sync.keys import load_identity
from sync.office import Office, key_print

P = "dali.erhai"
PAIR = ["--officer", "O-01", "--officer", "O-02"]
PINS = "111111\n222222\n"


def now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("office") / "office"
    office = Office.open_new(folder, P, now())
    office.add_officer("O-01", "111111")
    office.add_officer("O-02", "222222")
    return folder


@pytest.fixture
def folder(opened: Path, tmp_path: Path) -> Path:
    shutil.copytree(opened, tmp_path / "office")
    return tmp_path / "office"


def erhai(*args: object, typed: str = "") -> Result:
    return CliRunner().invoke(cli_enrol, [str(arg) for arg in args], input=typed)


def ask(data: Path, node: str = "a", *, kind: str = "county") -> tuple[Path, str]:
    url = "https://10.0.0.9:8444" if kind == "prefecture" else ""
    now_ms = int(now().timestamp() * 1_000)
    asked = enrol.request(
        data, node=node, prefecture=P, origin=f"{P}/{node}/e1", kind=kind, room="room-1", url=url, now_ms=now_ms
    )
    paper = data / "paper.request"
    paper.write_bytes(asked.paper)
    return paper, asked.token


def sign(folder: Path, paper: Path, token: str, out: Path, *more: str) -> Result:
    return erhai("sign", paper, "--authority", folder, *PAIR, "--out", out, *more, typed=f"{token}\n{PINS}")


def members(folder: Path) -> list[tuple[str, str]]:
    return [(one.member.node, one.member.tls_public) for one in Office(folder).roster()]


def test_the_officers_read_everything_that_they_sign_before_their_pins(folder: Path, tmp_path: Path) -> None:
    paper, token = ask(tmp_path / "p", "p", kind="prefecture")
    done = sign(folder, paper, token, tmp_path / "p.bundle")
    assert done.exit_code == 0, done.output
    shown, _, _ = done.output.partition("O-01 的口令")
    key = key_print(Office(folder).roster()[0].member)
    for fact in ("  p\n", f"{P}/p/e1", "上级节点 / prefecture", "room-1", "https://10.0.0.9:8444", key, "新登记"):
        assert fact in shown, fact


def test_an_enrolled_nodes_name_is_given_away_only_where_the_officers_type_that_name(
    folder: Path, tmp_path: Path
) -> None:
    paper, token = ask(tmp_path / "first")
    assert sign(folder, paper, token, tmp_path / "first.bundle").exit_code == 0
    held = Office(folder).roster()[0]
    paper, token = ask(tmp_path / "second")
    for more in ((), ("--replace", "b")):
        refused = sign(folder, paper, token, tmp_path / "second.bundle", *more)
        assert (refused.exit_code, (tmp_path / "second.bundle").exists()) == (1, False)
        assert REASONS["replaces-enrolled"] in refused.output
        assert key_print(held.member) in refused.output
        assert held.enrolled_at.strftime("%Y-%m-%d") in refused.output
        assert "的口令" not in refused.output
        assert members(folder) == [("a", held.member.tls_public)]
    done = sign(folder, paper, token, tmp_path / "second.bundle", "--replace", "a")
    assert done.exit_code == 0, done.output
    assert "REPLACES" in done.output
    (now_held,) = Office(folder).roster()
    assert now_held.member.tls_public != held.member.tls_public
    paper, token = ask(tmp_path / "b", "b")
    refused = sign(folder, paper, token, tmp_path / "b.bundle", "--replace", "b")
    assert REASONS["replaces-nobody"] in refused.output


@pytest.mark.parametrize("place", ["missing/a.bundle", "there.bundle"])
def test_where_the_bundle_cannot_be_written_nothing_is_signed(folder: Path, tmp_path: Path, place: str) -> None:
    paper, token = ask(tmp_path / "a")
    (tmp_path / "there.bundle").write_bytes(b"kept")
    done = sign(folder, paper, token, tmp_path / place)
    assert done.exit_code == 2
    assert "没有办理" in done.output
    assert members(folder) == []
    assert (tmp_path / "there.bundle").read_bytes() == b"kept"
    assert sign(folder, paper, token, tmp_path / "a.bundle").exit_code == 0


def test_a_bundle_that_could_not_be_written_down_is_written_by_the_same_request_again(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paper, token = ask(tmp_path / "a")

    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    out = tmp_path / "a.bundle"
    with monkeypatch.context() as patch:
        office_fsync = os.fsync
        patch.setattr(
            command.os, "fsync", lambda fd: full(fd) if out.samefile(f"/proc/self/fd/{fd}") else office_fsync(fd)
        )
        failed = sign(folder, paper, token, out)
    assert (failed.exit_code, out.exists()) == (3, False)
    assert [node for node, _ in members(folder)] == ["a"]
    other, other_token = ask(tmp_path / "b", "b")
    assert sign(folder, other, other_token, tmp_path / "b.bundle").exit_code == 0
    again = sign(folder, paper, token, out)
    assert again.exit_code == 0, again.output
    assert "signed before" in again.output
    assert sign(folder, paper, token, tmp_path / "a.copy").exit_code == 0
    assert (tmp_path / "a.copy").read_bytes() == out.read_bytes()
    assert len(members(folder)) == 2
    assert erhai("accept", out, "--data", tmp_path / "a").exit_code == 0
    assert load_identity(tmp_path / "a" / "keys").node == "a"


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("--origin", "x", "bad-origin"),
        ("--origin", f"{P}/a/e2", "bad-origin"),
        ("--origin", f"{P}/a b/e1", "bad-origin"),
        ("--origin", "/e1", "bad-origin"),
        ("--node", "a b", "bad-node"),
        ("--node", "A", "bad-node"),
        ("--prefecture", "大理", "bad-prefecture"),
    ],
)
def test_a_request_that_could_never_be_signed_is_refused_where_it_is_made(
    tmp_path: Path, name: str, value: str, word: str
) -> None:
    options = {"--node": "a", "--prefecture": P, "--origin": f"{P}/a/e1"} | {name: value}
    words = [item for pair in options.items() for item in pair]
    out = tmp_path / "a.request"
    done = erhai("request", "--data", tmp_path / "a", *words, "--out", out)
    assert (done.exit_code, out.exists(), (tmp_path / "a").exists()) == (1, False, False)
    assert REASONS[word] in done.output
    assert "token" not in done.output


def test_a_county_that_is_signed_before_its_prefecture_is_told_so(folder: Path, tmp_path: Path) -> None:
    for node, kind, told in (("a", "county", True), ("p", "prefecture", False), ("b", "county", False)):
        paper, token = ask(tmp_path / node, node, kind=kind)
        done = sign(folder, paper, token, tmp_path / f"{node}.bundle")
        assert done.exit_code == 0
        assert (NO_PREFECTURE in done.output.partition("O-01 的口令")[0]) is told


def test_a_second_office_or_officer_in_one_place_is_refused_in_words(folder: Path) -> None:
    for again in (
        erhai("authority", folder, "--prefecture", P),
        erhai("officer", "O-01", "--authority", folder, typed="333333\n333333\n"),
    ):
        assert again.exit_code == 1
        assert "没有改动" in again.output
        assert "Errno" not in again.output
