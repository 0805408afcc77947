"""`erhai import ocds`: through the live node or its folder, whole or not at all, one entry a release."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from node import cli_exchange, control
from node.cli_exchange import SENTENCES, cli_import, sentence
from node.domain.refused import Refused
from node.start import DATABASE
from node.store import connect
from sync import codec
from sync.log import head, read_bodies
from tests.faults import small_node

DATA = Path(__file__).parent.parent / "data" / "ocds"
TENDER = DATA / "ocds-213czf-000-00001-02-tender.json"
AMENDMENT = DATA / "ocds-213czf-000-00001-03-tenderAmendment.json"
TENDER_ID, AMENDMENT_ID = TENDER.stem, AMENDMENT.stem


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    small_node.make(tmp_path / "a")
    return tmp_path / "a"


def run(*words: str | Path, lang: str = "zh_CN.UTF-8") -> Result:
    return CliRunner().invoke(cli_import, ["ocds", *map(str, words)], env={"LANG": lang})


def entries(folder: Path) -> list[codec.Entry]:
    db = connect(folder / DATABASE, readonly=True)
    try:
        size = head(db, small_node.ORIGIN).size
        return [codec.decode(body) for _seq, body in read_bodies(db, small_node.ORIGIN, 0, size)]
    finally:
        db.close()


def names(folder: Path) -> list[str]:
    return [name for entry in entries(folder) for name, _version, _fields in entry.events]


def people(folder: Path, *rows: tuple[str, str]) -> None:
    """Give the node accounts: number and role."""
    text = "".join(f'[[person]]\nno = "{no}"\nname = "某"\nrole = "{role}"\npin_hash = ""\n' for no, role in rows)
    (folder / "people.toml").write_text(text, encoding="utf-8")
    with (folder / "erhai.toml").open("a", encoding="utf-8") as settings:
        settings.write('people = "people.toml"\n')


def test_the_real_tender_and_then_its_amendment_make_two_entries(folder: Path) -> None:
    first, second = run(TENDER, "--data", folder), run(AMENDMENT, "--data", folder)
    assert (first.exit_code, second.exit_code) == (0, 0), (first.output, second.output)
    assert names(folder) == ["imported.lot-imported", "imported.lot-import-amended"]
    assert {entry.stream for entry in entries(folder)} == {"import/ocds-213czf-000-00001"}
    assert {entry.actor for entry in entries(folder)} == {"system:command-line"}
    assert "/releases/0/tender/items" in first.output


def test_the_same_file_twice_makes_no_second_entry_and_names_the_release(folder: Path) -> None:
    run(TENDER, "--data", folder)
    again = run(TENDER, "--data", folder)
    assert again.exit_code == 1
    assert again.stderr == f"拒绝：该发布已经导入：{TENDER_ID}\n"
    assert len(entries(folder)) == 1


def test_an_older_file_after_a_newer_one_is_refused(folder: Path) -> None:
    run(AMENDMENT, "--data", folder)
    late = run(TENDER, "--data", folder, "--json")
    assert late.exit_code == 1
    refused = json.loads(late.stdout)["refused"]
    assert (refused["code"], refused["release_id"], refused["newer"]) == ("older-release", TENDER_ID, AMENDMENT_ID)
    assert names(folder) == ["imported.lot-imported"]


def test_a_file_that_grew_adds_only_its_new_release(folder: Path, tmp_path: Path) -> None:
    run(TENDER, "--data", folder)
    package = json.loads(AMENDMENT.read_bytes())
    package["releases"] += json.loads(TENDER.read_bytes())["releases"]
    (tmp_path / "both.json").write_text(json.dumps(package), encoding="utf-8")
    grown = run(tmp_path / "both.json", "--data", folder, "--json")
    assert grown.exit_code == 0
    found = json.loads(grown.stdout)
    assert found["ok"]
    assert [(one["release_id"], one["status"]) for one in found["releases"]] == [
        (TENDER_ID, "already-imported"),
        (AMENDMENT_ID, "recorded"),
    ]
    assert len(entries(folder)) == 2


async def test_a_live_node_records_it_through_its_socket(folder: Path) -> None:
    node = small_node.opened(folder)
    server = await control.serve(node)
    try:
        done = await asyncio.to_thread(run, TENDER, "--data", folder, "--json")
        again = await asyncio.to_thread(run, TENDER, "--data", folder, "--json")
    finally:
        server.close()
        await server.wait_closed()
        await node.close()
    assert done.exit_code == 0, done.output
    (release,) = json.loads(done.stdout)["releases"]
    assert (release["origin"], release["seq"]) == (small_node.ORIGIN, 0)
    assert json.loads(again.stdout)["refused"]["code"] == "already-imported"
    assert names(folder) == ["imported.lot-imported"]


@pytest.mark.parametrize(
    ("body", "code", "pointer"),
    [
        (b"<html></html>", "not-json", "/"),
        (TENDER.read_bytes()[:1000], "not-json", "/"),
        (
            TENDER.read_bytes().replace(b"1100000", b"1e999999"),
            "number-out-of-range",
            "/releases/0/tender/value/amount",
        ),
        (TENDER.read_bytes().replace(b'"ocid"', b'"ocxd"'), "text-expected", "/releases/0/ocid"),
        (b'{"version": "1.1", "records": []}', "record-package", "/records"),
        (b" " * 6_000_000, "file-too-large", "/"),
    ],
    ids=["HTML", "truncated", "1e999999", "no ocid", "record package", "6 MB"],
)
def test_a_hostile_file_is_refused_with_its_place_and_changes_nothing(
    folder: Path, tmp_path: Path, body: bytes, code: str, pointer: str
) -> None:
    file = tmp_path / "hostile.json"
    file.write_bytes(body)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    refused = run(file, "--data", folder, "--json")
    assert refused.exit_code == 1
    found = json.loads(refused.stdout)
    assert (found["ok"], found["refused"]["code"], found["refused"]["pointer"]) == (False, code, pointer)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before
    for lang in ("zh_CN.UTF-8", "en_US.UTF-8"):
        said = run(file, "--data", folder, lang=lang)
        assert said.exit_code == 1
        assert pointer in said.stderr


def test_terminal_sequences_of_a_stranger_are_not_passed_on(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "bell.json"
    file.write_bytes(
        TENDER.read_bytes().replace(b'"ocid": "ocds-213czf-000-00001"', '"ocid": "\\u009b31m\u202e"'.encode())
    )
    said = run(file, "--data", folder)
    assert said.exit_code == 1
    assert said.stderr.rstrip("\n").isprintable()


def test_the_person_named_stands_in_the_entry(folder: Path) -> None:
    people(folder, ("p-7", "operator"))
    assert run(TENDER, "--data", folder, "--as", "p-7").exit_code == 0
    assert [entry.actor for entry in entries(folder)] == ["operator:p-7"]


@pytest.mark.parametrize(("person", "code"), [("p-9", "person-unknown"), ("p-8", "role-may-not")])
def test_a_person_who_is_unknown_or_may_not_import_is_refused(folder: Path, person: str, code: str) -> None:
    people(folder, ("p-7", "operator"), ("p-8", "technician"))
    refused = run(TENDER, "--data", folder, "--as", person, "--json")
    assert refused.exit_code == 1
    assert json.loads(refused.stdout)["refused"]["code"] == code
    assert entries(folder) == []


@pytest.mark.parametrize("words", [["nowhere.json"], [str(DATA)], [str(TENDER), "--data", str(TENDER)], []])
def test_a_missing_file_or_a_wrong_use_ends_with_2(words: list[str]) -> None:
    assert run(*words).exit_code == 2


def test_a_folder_without_a_node_ends_with_2_and_a_damaged_one_with_3(folder: Path, tmp_path: Path) -> None:
    assert run(TENDER, "--data", tmp_path / "nothing").exit_code == 2
    (folder / "erhai.toml").write_text("surprise = 1\n", encoding="utf-8")
    damaged = run(TENDER, "--data", folder)
    assert damaged.exit_code == 3
    assert "surprise" in damaged.stderr


def test_a_node_that_cannot_record_ends_with_3(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def full(*_: Any) -> dict[str, Any]:
        raise cli_exchange.NodeFault("disk full", "make room")

    monkeypatch.setattr(control, "submit", full)
    failed = run(TENDER, "--data", folder)
    assert failed.exit_code == 3
    assert "disk full" in failed.stderr


def test_a_refusal_that_has_no_sentence_is_named_by_its_code() -> None:
    assert "brand-new" in sentence(Refused("brand-new", facts=(("pointer", "/x"),)))
    assert all("{" not in sentence(Refused(code, value="v", limit="l")) for code in SENTENCES)


def test_help_shows_an_example_and_the_exit_codes() -> None:
    said = run("--help").output
    assert "erhai import ocds release.json --data demo-data/a" in said
    assert "3 故障 fault" in said
