"""Erasable personal data (个人信息): names, numbers, phones. The log holds salted commitments only; these rows can go.

Erasing a row leaves the log whole and verifiable: the commitment stays, nobody can tell any more of whom. The rows are in
the node's database, not derived from the log: `erhai rebuild` keeps them.
"""

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass

import apsw

from sync.codec import pack, unpack
from sync.seal import SealFault, commitment

STEP = 512
_LONG = 256
SCHEMA = """
CREATE TABLE IF NOT EXISTS personal (
    commitment BLOB PRIMARY KEY,
    kind TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT, WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Personal:
    """One person's data with the salt that binds it to its commitment."""

    commitment: bytes
    kind: str  # bidder | expert | objector
    salt: bytes
    fields: tuple[str, ...]


def bind(kind: str, fields: tuple[str, ...]) -> Personal:
    """Return the data with a fresh salt and its commitment; nothing is stored."""
    salt = secrets.token_bytes(32)
    return Personal(commitment(salt, pack(fields)), kind, salt, fields)


def packed(personal: Personal) -> bytes:
    """Return salt and fields as bytes, to be sealed beside the commitment."""
    return pack_padded((personal.salt, personal.fields))


def pack_padded(values: tuple[object, ...]) -> bytes:
    """Return values packed with a last one of zeros that fills the step: the size of what is sealed names nobody."""
    spare = -len(pack((*values, b""))) % STEP
    # A byte string of 256 and more has one more byte of length.
    spare = spare if spare < _LONG else spare - 1 if spare > _LONG else spare - 1 + STEP
    return pack((*values, bytes(spare)))


def unpacked(kind: str, data: bytes) -> Personal:
    """Return what `packed` wrote, with its commitment recomputed."""
    salt, fields, *_ = unpack(data)  # records from before sizes were hidden end here
    return Personal(commitment(salt, pack(tuple(fields))), kind, salt, tuple(fields))


def keep(db: apsw.Connection, personal: Personal, seal: Callable[[bytes, bytes], bytes]) -> None:
    """Store one person's data, sealed to the room: neither the database's file nor a backup of it names anybody."""
    sealed = seal(packed(personal), _context(personal.commitment))
    db.execute("INSERT OR REPLACE INTO personal VALUES (?, ?, ?)", (personal.commitment, personal.kind, sealed))


def find(db: apsw.Connection, commitment_: bytes, open_: Callable[[bytes, bytes], bytes]) -> Personal | None:
    """Return the data behind a commitment, if it is (still) kept here. Raises SealFault where it is not what was kept."""
    row = db.execute("SELECT kind, sealed FROM personal WHERE commitment = ?", (commitment_,)).fetchone()
    if row is None:
        return None
    found = unpacked(row[0], open_(row[1], _context(commitment_)))
    if not hmac.compare_digest(found.commitment, commitment_):
        raise SealFault("wrong-context", f"{row[0]} under another commitment")
    return found


def _context(commitment_: bytes) -> bytes:
    return b"erhai-personal-v1\n" + commitment_.hex().encode() + b"\n"


def erase(db: apsw.Connection, commitment_: bytes) -> bool:
    """Erase one person's data; return whether there was any. secure_delete overwrites the bytes in the file."""
    db.execute("PRAGMA secure_delete=ON")
    db.execute("DELETE FROM personal WHERE commitment = ?", (commitment_,))
    return bool(db.changes())
