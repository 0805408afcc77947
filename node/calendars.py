"""Working-day calendars on disk (工作日历): a TOML file that counts only with a signed note by a key this node trusts.

The note lies beside the file, `<file>.note`: a C2SP signed note over the calendar's id and the digest of the file's bytes.
A calendar moves legal deadlines, so an unsigned one is never used, not even the one that ships with the program.
"""

import hashlib
import tomllib
from collections.abc import Iterable
from pathlib import Path

from node.domain.calendar import Calendar, CalendarMalformed, parse_calendar
from sync.note import SignedNote, Signer, VerifierKey, verify
from sync.tampered import Malformed, Tampered

HEADING = "erhai.calendar/v1"
NOTE_SUFFIX = ".note"
MAX_BYTES = 256 * 1024


class CalendarFault(Exception):
    """This node cannot use a calendar. `path` is the file at fault, `why` the reason."""

    def __init__(self, path: Path, why: str) -> None:
        """Keep the file and the reason."""
        super().__init__(f"{path}: {why}")
        self.path = path
        self.why = why


def note_path(calendar: Path) -> Path:
    """Return where the note of a calendar lies."""
    return calendar.with_name(calendar.name + NOTE_SUFFIX)


def calendar_note_text(calendar_id: str, toml: bytes) -> str:
    """Return the text that is signed."""
    return f"{HEADING}\n{calendar_id}\n{hashlib.sha256(toml).hexdigest()}\n"


def sign_calendar(toml_bytes: bytes, signer: Signer) -> bytes:
    """Return the signed note of a calendar file. Raises CalendarMalformed: what cannot be read is not signed."""
    text = calendar_note_text(read_calendar(toml_bytes).id, toml_bytes)
    return bytes(SignedNote(text, (signer.sign(text),)))


def read_calendar(toml_bytes: bytes) -> Calendar:
    """Return the calendar of a file's bytes, whoever made them. Raises CalendarMalformed."""
    if len(toml_bytes) > MAX_BYTES:
        raise CalendarMalformed("file", f"is over {MAX_BYTES} bytes")
    try:
        data = tomllib.loads(toml_bytes.decode())
    except (ValueError, RecursionError) as error:
        raise CalendarMalformed("file", "is not TOML") from error
    return parse_calendar(data, hashlib.sha256(toml_bytes).digest())


def load_calendar(path: Path, vkeys: Iterable[str]) -> Calendar:
    """Return the calendar of a file whose note one of these keys signed. Raises CalendarFault, which names the file at fault."""
    body, note = _bytes(path), _bytes(note_path(path))
    try:
        calendar = read_calendar(body)
    except CalendarMalformed as malformed:
        raise CalendarFault(path, f"{malformed.where}: {malformed.why}") from malformed
    try:
        signed = SignedNote.parse(note)
        keys = [VerifierKey.parse(vkey) for vkey in vkeys]
    except Malformed as malformed:
        raise CalendarFault(note_path(path), str(malformed)) from malformed
    try:
        verify(signed, keys)
    except Tampered as tampered:
        raise CalendarFault(note_path(path), f"not signed by a trusted key: {tampered.problem}") from tampered
    if signed.text != calendar_note_text(calendar.id, body):
        raise CalendarFault(note_path(path), "is the note of another file, or the file was changed after signing")
    return calendar


def _bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MAX_BYTES + 1)
    except OSError as error:
        raise CalendarFault(path, f"cannot be read: {error.strerror}") from error
