"""Accounts of one node (人员): opaque numbers, roles, seats, PINs. Names live here, in an erasable file, never in the log.

The file is TOML, 0600: [[person]] no, name, role, seats, pin_hash (scrypt), lots. The demo writes one with everybody in it.
"""

import hashlib
import hmac
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from node.domain.values import Actor, Role

TRIES = 5  # wrong PINs of one number at one place within TRY_WINDOW_S, after which none is tried there
TRY_WINDOW_S = 300
_PIN = re.compile(r"((?:[0-9a-f]{2})+\$[0-9a-f]{64})?", re.ASCII)


@dataclass(eq=False)
class PeopleFault(Exception):
    """The accounts file cannot be used."""

    where: str
    why: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody who may sign in here."""

    no: str
    name: str
    role: Role
    pin_hash: str
    seat: str = ""
    ref: str = ""  # a bidder's participation reference
    member: str = ""  # an expert's member number in the lot
    lot: str = ""
    holder: str = ""  # account key of the certificate that this person signs with, hex

    @property
    def actor(self) -> Actor:
        """Return who this person is to the rules and the log."""
        return Actor(self.no, self.role, self.seat)


def hash_pin(pin: str, salt: bytes | None = None) -> str:
    """Return salt and scrypt digest of a PIN, as text."""
    salt = salt or secrets.token_bytes(16)
    digest = hashlib.scrypt(pin.encode(), salt=salt, n=2**13, r=8, p=1, dklen=32)
    return f"{salt.hex()}${digest.hex()}"


def pin_fits(person: Person, pin: str) -> bool:
    """Compare in constant time."""
    salt, _, digest = person.pin_hash.partition("$")
    if not digest:
        return False
    return hmac.compare_digest(hash_pin(pin, bytes.fromhex(salt)).partition("$")[2], digest)


def load_people(path: Path | None) -> dict[str, Person]:
    """Read the accounts file; an absent setting means nobody. Raises PeopleFault."""
    if path is None:
        return {}
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise PeopleFault(str(path), str(error)) from error
    rows = table.get("person", [])
    if not isinstance(rows, list):
        raise PeopleFault(str(path), "person is no list of tables")
    people: dict[str, Person] = {}
    for index, row in enumerate(rows):
        where = f"{path}: person[{index}]"
        if not isinstance(row, dict) or not all(isinstance(value, str) for value in row.values()):
            raise PeopleFault(where, "is not a table of texts")
        if not _PIN.fullmatch(row.get("pin_hash", "")):
            raise PeopleFault(where, "pin_hash is not salt and digest in hex")
        try:
            person = Person(**{**row, "role": Role(row["role"])})
        except (TypeError, ValueError, KeyError) as error:
            raise PeopleFault(where, str(error)) from error
        if person.no in people:
            raise PeopleFault(f"{path}: person[{index}]", f"number {person.no} appears twice")
        same = next((one.no for one in people.values() if person.holder and one.holder == person.holder), "")
        if same:  # else one card would sign as both persons of an act for two
            raise PeopleFault(where, f"accounts {same} and {person.no} have the same holder")
        people[person.no] = person
    return people
