"""Calendars on disk: only the bytes that a trusted key signed are used."""

from pathlib import Path

import pytest

from node.calendars import CalendarFault, load_calendar, note_path, read_calendar, sign_calendar
from node.domain.calendar import CalendarMalformed
from node.profiles_loader import PROFILES, load_profiles
from sync.note import COSIGNATURE, SignedNote, Signer

SHIPPED = PROFILES / "calendar-2026.toml"
BODY = SHIPPED.read_bytes()
SIGNER = Signer.from_seed("dali.erhai/calendar", b"\x07" * 32)
STRANGER = Signer.from_seed("dali.erhai/calendar", b"\x08" * 32)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "calendar-2026.toml"
    path.write_bytes(BODY)
    note_path(path).write_bytes(sign_calendar(BODY, SIGNER))
    return path


def test_a_calendar_signed_by_a_trusted_key_is_loaded_with_its_digest(path: Path) -> None:
    calendar = load_calendar(path, [str(STRANGER.vkey), str(SIGNER.vkey)])
    assert (calendar.id, calendar.version) == ("china-2026", 1)
    assert calendar == read_calendar(BODY)
    assert calendar.sha256.hex() in note_path(path).read_text(encoding="utf-8")


def test_the_note_is_a_signed_note_over_heading_id_and_digest(path: Path) -> None:
    note = SignedNote.parse(note_path(path).read_bytes())
    assert note.text == f"erhai.calendar/v1\nchina-2026\n{read_calendar(BODY).sha256.hex()}\n"


def test_an_unsigned_calendar_is_a_fault_that_names_the_missing_note(path: Path) -> None:
    note_path(path).unlink()
    with pytest.raises(CalendarFault) as fault:
        load_calendar(path, [str(SIGNER.vkey)])
    assert fault.value.path == note_path(path)


def test_the_calendar_that_ships_is_unsigned_and_so_never_used_by_itself() -> None:
    with pytest.raises(CalendarFault) as fault:
        load_calendar(SHIPPED, [str(SIGNER.vkey)])
    assert fault.value.path == note_path(SHIPPED)


@pytest.mark.parametrize(
    "vkeys",
    [
        [],
        [str(STRANGER.vkey)],
        [str(Signer.from_seed("other", b"\x07" * 32).vkey)],
        [str(Signer.from_seed("dali.erhai/calendar", b"\x07" * 32, COSIGNATURE).vkey)],
    ],
    ids=["no key", "another key of that name", "that key under another name", "that key as a cosigner"],
)
def test_a_signature_by_no_trusted_key_is_a_fault(path: Path, vkeys: list[str]) -> None:
    with pytest.raises(CalendarFault, match="foreign-key") as fault:
        load_calendar(path, vkeys)
    assert fault.value.path == note_path(path)


def test_a_day_changed_after_signing_is_a_fault(path: Path) -> None:
    path.write_bytes(BODY.replace(b"last = 2026-01-03", b"last = 2026-01-02"))
    with pytest.raises(CalendarFault, match="changed after signing"):
        load_calendar(path, [str(SIGNER.vkey)])


def test_a_note_of_another_text_is_a_fault_though_its_signature_is_good(path: Path) -> None:
    text = "erhai.calendar/v1\nchina-2027\n" + read_calendar(BODY).sha256.hex() + "\n"
    note_path(path).write_bytes(bytes(SignedNote(text, (SIGNER.sign(text),))))
    with pytest.raises(CalendarFault, match="another file"):
        load_calendar(path, [str(SIGNER.vkey)])


def test_a_forged_signature_line_is_a_fault(path: Path) -> None:
    note = SignedNote.parse(note_path(path).read_bytes())
    other = SIGNER.sign("other\n")
    note_path(path).write_bytes(bytes(SignedNote(note.text, (other,))))
    with pytest.raises(CalendarFault, match="forged-signature"):
        load_calendar(path, [str(SIGNER.vkey)])


@pytest.mark.parametrize("note", [b"", b"\xff\xfe", b"text without signature\n", b"a\n\n\xe2\x80\x94 x notbase64\n"])
def test_a_note_that_is_none_is_a_fault_that_names_it(path: Path, note: bytes) -> None:
    note_path(path).write_bytes(note)
    with pytest.raises(CalendarFault) as fault:
        load_calendar(path, [str(SIGNER.vkey)])
    assert fault.value.path == note_path(path)


def test_a_trusted_key_that_is_no_key_is_a_fault(path: Path) -> None:
    with pytest.raises(CalendarFault):
        load_calendar(path, ["nonsense"])


@pytest.mark.parametrize("body", [b"\xff", b"= 1", b"x = 1\n", b"# " + b"x" * 300_000, b"a = " + b"[" * 5000])
def test_a_file_that_is_no_calendar_is_neither_loaded_nor_signed(path: Path, body: bytes) -> None:
    with pytest.raises(CalendarMalformed):
        sign_calendar(body, SIGNER)
    path.write_bytes(body)
    with pytest.raises(CalendarFault) as fault:
        load_calendar(path, [str(SIGNER.vkey)])
    assert fault.value.path == path


def test_a_missing_calendar_is_a_fault_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(CalendarFault) as fault:
        load_calendar(tmp_path / "none.toml", [str(SIGNER.vkey)])
    assert fault.value.path.name == "none.toml"


def test_a_calendar_is_no_procedure_though_it_lies_beside_the_profiles() -> None:
    assert "china-2026" not in {profile.id for profile in load_profiles()}
