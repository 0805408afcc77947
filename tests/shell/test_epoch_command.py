"""`erhai epoch new` as two persons at a terminal meet it: each proves the own PIN, or nothing is changed."""

import asyncio
import json
import os
import secrets
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from erhai import cli
from node.domain.incident import RecordIncident
from node.domain.values import Actor, Role
from node.people import TRIES, TRY_WINDOW_S, hash_pin
from node.places import DATABASE, KEYS, NEXT_KEYS, PIN_FAILURES
from node.presence import PinFailures
from node.settings import load_settings
from node.start import open_node
from node.store import connect
from sync.checkpoint import Checkpoint, sign
from sync.keys import load_identity, load_public
from sync.tampered import Problem
from sync.witness import Misbehaviour, keep_evidence
from tests.faults.small_node import NODE, ORIGIN, make

PINS = {"O-1": "271828", "O-2": "141421", "S-1": "314159", "M-1": "161803", "T-1": "173205"}
ROLES = {"O-1": "operator", "O-2": "operator", "S-1": "supervisor", "M-1": "technician", "T-1": "tenderer"}


def write_people(data: Path) -> None:
    rows = [
        f'[[person]]\nno = "{no}"\nname = "人员"\nrole = "{ROLES[no]}"\npin_hash = "{hash_pin(PINS[no])}"'
        for no in PINS
    ]
    (data / "people.toml").write_text("\n".join(rows), encoding="utf-8")


async def _record(data: Path) -> None:
    node = open_node(load_settings(data / "erhai.toml"))
    command = RecordIncident("other", "一件", 1_772_000_000_000, ())
    actor = Actor("O-1", Role.OPERATOR)
    await node.submit(f"room/{NODE}", command, command_id=secrets.token_bytes(16), actor=actor)
    await node.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A node without neighbours that has lost its last entry."""
    folder = tmp_path / "node"
    make(folder)
    settings = folder / "erhai.toml"
    settings.write_text('people = "people.toml"\n' + settings.read_text(encoding="utf-8"), encoding="utf-8")
    write_people(folder)
    asyncio.run(_record(folder))
    shutil.copy(folder / DATABASE, tmp_path / "old.db")
    asyncio.run(_record(folder))
    shutil.copy(tmp_path / "old.db", folder / DATABASE)
    return folder


def new(data: Path, first: str, second: str, *more: str, typed: str = "") -> Result:
    words = ["epoch", "new", "--data", str(data), "--by", first, "--by", second, "--cause", "restore", *more]
    return CliRunner().invoke(cli, words, input=typed)


def typed(*persons: str) -> str:
    return "".join(f"{PINS[no]}\n" for no in persons)


def assert_nothing_changed(data: Path) -> None:
    assert load_public(data / KEYS / "public.json").origin == ORIGIN
    assert not (data / NEXT_KEYS).exists()


def test_two_persons_who_each_type_the_own_pin_open_it_and_no_pin_is_shown(data: Path) -> None:
    done = new(data, "O-1", "S-1", "--json", typed=typed("O-1", "S-1"))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout.splitlines()[-1])["lost_at_most"] == 1
    assert load_public(data / KEYS / "public.json").origin == ORIGIN.removesuffix("e1") + "e2"
    assert not any(pin in done.output for pin in PINS.values())


def test_a_script_hands_both_pins_over_a_descriptor(data: Path) -> None:
    read, write = os.pipe()
    os.write(write, typed("O-1", "O-2").encode())
    os.close(write)
    done = new(data, "O-1", "O-2", "--pins-fd", str(read))
    os.close(read)
    assert done.exit_code == 0, done.output


@pytest.mark.parametrize("lines", [b"", b"271828\n", b"1\n2\n3\n", b"\xff\n\xff\n"])
def test_a_descriptor_with_anything_but_two_lines_is_a_wrong_use(data: Path, lines: bytes) -> None:
    read, write = os.pipe()
    os.write(write, lines)
    os.close(write)
    assert new(data, "O-1", "O-2", "--pins-fd", str(read)).exit_code == 2
    os.close(read)
    assert_nothing_changed(data)


@pytest.mark.parametrize(
    ("persons", "keys", "words"),
    [
        (("O-1", "S-1"), ("S-1", "S-1"), "人员号或口令不对"),
        (("O-1", "S-1"), ("O-1", "O-1"), "人员号或口令不对"),
        (("O-1", "X-1"), ("O-1", "S-1"), "人员号或口令不对"),
        (("M-1", "S-1"), ("M-1", "S-1"), "角色不能办理此项"),
        (("O-1", "M-1"), ("O-1", "M-1"), "角色不能办理此项"),
        (("S-1", "O-1"), ("S-1", "O-1"), "角色不能办理此项"),
        (("O-1", "T-1"), ("O-1", "T-1"), "角色不能办理此项"),
    ],
)
def test_a_wrong_pin_or_a_role_that_may_not_is_refused_with_words_and_changes_nothing(
    data: Path, persons: tuple[str, str], keys: tuple[str, str], words: str
) -> None:
    done = new(data, *persons, typed=typed(*keys))
    assert done.exit_code == 1
    assert words in done.output
    assert_nothing_changed(data)


def test_the_same_person_twice_is_a_wrong_use(data: Path) -> None:
    assert new(data, "O-1", "O-1", typed=typed("O-1", "O-1")).exit_code == 2
    assert_nothing_changed(data)


def test_after_five_wrong_pins_of_a_number_the_right_one_waits_too_and_others_do_not(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now_ms = 1_790_000_000_000
    monkeypatch.setattr("node.epoch.machine_ms", lambda: now_ms)
    for _ in range(TRIES):
        assert "口令不对" in new(data, "O-1", "S-1", typed="000000\n000000\n").output
    locked = new(data, "O-1", "S-1", typed=typed("O-1", "S-1"))
    assert (locked.exit_code, "五分钟后再试" in locked.output) == (1, True)
    beside = new(data, "O-2", "O-1", typed=typed("O-2", "O-1"))
    assert (beside.exit_code, "五分钟后再试" in beside.output) == (1, True)
    assert_nothing_changed(data)
    now_ms -= 86_400_000  # a clock that is set back unlocks nothing
    assert "五分钟后再试" in new(data, "O-1", "S-1", typed=typed("O-1", "S-1")).output
    kept = (data / PIN_FAILURES).read_text(encoding="utf-8")
    assert (data / PIN_FAILURES).stat().st_mode & 0o777 == 0o600
    assert json.loads(kept) == {"O-1": [now_ms + 86_400_000] * TRIES}
    now_ms += 86_400_000 + TRY_WINDOW_S * 1_000
    assert new(data, "O-1", "S-1", typed=typed("O-1", "S-1")).exit_code == 0


def test_another_number_is_not_locked_by_it(data: Path) -> None:
    for _ in range(TRIES):
        new(data, "O-1", "S-1", typed="000000\n000000\n")
    assert new(data, "O-2", "S-1", typed=typed("O-2", "S-1")).exit_code == 0


def test_made_up_numbers_do_not_fill_the_disk_and_a_damaged_count_is_none(tmp_path: Path) -> None:
    failures = PinFailures(tmp_path / "failures.json")
    (tmp_path / "failures.json").write_text(json.dumps({f"X-{n}": [5] for n in range(5_000)}))
    failures.failed("O-1", 6)
    assert len(json.loads((tmp_path / "failures.json").read_text())) == 1_000
    for damage in ("", "[", "[1]", '{"O-1": 5}', '{"O-1": ["x", true, 1.5]}', "[" * 100_000):
        (tmp_path / "failures.json").write_text(damage)
        assert failures.may_try("O-1", 7)


def _know_of_another_history(data: Path) -> None:
    """A note is kept here that this key has signed 141 entries which nobody who answers can show."""
    signer = load_identity(data / KEYS).log_signer
    shown = sign(Checkpoint(ORIGIN, 141, b"\x07" * 32), signer)
    db = connect(data / DATABASE)
    keep_evidence(db, Misbehaviour(ORIGIN, Problem.TWO_BRANCHES, b"", shown, b"", "b", 1), freeze=True)
    db.close()


def test_a_known_other_history_is_not_gone_past_before_two_persons_decide_and_what_is_missing_is_unknown(
    data: Path,
) -> None:
    _know_of_another_history(data)
    done = new(data, "O-1", "S-1", typed=typed("O-1", "S-1"))
    assert done.exit_code == 1
    assert "另一段历史（141 条），持有它的节点没有答复" in done.output
    assert "--alone" in done.output
    assert_nothing_changed(data)
    done = new(data, "O-1", "S-1", "--alone", typed=typed("O-1", "S-1"))
    assert done.exit_code == 0, done.output
    assert "可能缺失：不明（本机密钥签过的另一段历史有 141 条" in done.output
    assert "至多" not in done.output


def _unset(data: Path) -> None:
    settings = data / "erhai.toml"
    settings.write_text(settings.read_text("utf-8").replace('people = "people.toml"\n', ""), encoding="utf-8")


def _gone(data: Path) -> None:
    (data / "people.toml").unlink()


def _damaged(data: Path) -> None:
    (data / "people.toml").write_bytes(b"\xff\xfe[[person")


def _empty(data: Path) -> None:
    (data / "people.toml").write_text("")


@pytest.mark.parametrize("lost", [_unset, _gone, _damaged, _empty])
def test_where_the_accounts_cannot_be_read_it_says_what_to_do_asks_nobody_and_changes_nothing(data: Path, lost) -> None:
    lost(data)
    done = new(data, "O-1", "S-1", typed=typed("O-1", "S-1"))
    assert done.exit_code == 3
    assert "人员账户读不出" in done.output
    assert "放回设置 people 所指的位置" in done.output
    assert "PIN:" not in done.output
    assert_nothing_changed(data)
