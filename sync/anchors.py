"""The anchors of persons' certificates (信任锚): a set that two of three prefecture keys sign and whose version only grows.

A folder: `manifest.note` is a signed note (C2SP signed-note) whose text lists every anchor by the digests of its two files,
`<sha256>/anchor.der` and `<sha256>/anchor.toml`. A node never adds an anchor by itself; a county may only remove, by a line
in `removed` beside it.
"""

import hashlib
import os
import re
import shutil
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sync.note import SignedNote, Signer, VerifierKey, verify
from sync.person_identity import KINDS, profiles
from sync.revocation_rule import GRACE_DAYS, Purpose
from sync.tampered import Malformed, Tampered

MANIFEST, REMOVED = "manifest.note", "removed"
HEAD = "erhai-anchors-v1"
NEEDED = 2
_LINE = re.compile(r"anchor ([0-9a-f]{64}) ([0-9a-f]{64})", re.ASCII)
_MOST_FILE = 65_536


@dataclass(eq=False)
class AnchorsRefused(Exception):
    """A set of anchors does not count. `why`: missing, malformed, too-few-signatures, forged, goes-back, two-of-one-version,
    expired, not-yet, changed-file, bad-anchor.
    """

    why: str
    detail: str = ""

    def __str__(self) -> str:
        """One line for a technician."""
        return f"{self.why}: {self.detail}" if self.detail else self.why


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchor:
    """One trusted root of one vendor. Times are Unix milliseconds; `vouches` the kinds of number it may say of a holder."""

    sha256: str
    der: bytes = field(repr=False)
    name: str
    vendor: str
    purposes: frozenset[Purpose]
    profile: str
    vouches: frozenset[str]
    from_ms: int
    until_ms: int
    grace_days: int = GRACE_DAYS
    sources: tuple[str, ...] = ()  # where its CRLs are fetched from


@dataclass(frozen=True, slots=True, kw_only=True)
class Anchors:
    """A set in force."""

    version: int
    issued_ms: int
    expires_ms: int
    anchors: tuple[Anchor, ...]
    text: str = field(repr=False)

    def find(self, sha256: str) -> Anchor | None:
        """Return one anchor."""
        return next((one for one in self.anchors if one.sha256 == sha256), None)

    def require(self, at_ms: int) -> None:
        """Raises AnchorsRefused where the set is not in force at a moment: nobody is believed by an old list."""
        if at_ms > self.expires_ms:
            raise AnchorsRefused(
                "expired", f"version {self.version} ended at {self.expires_ms}; bring a newer manifest"
            )
        if at_ms < self.issued_ms - 24 * 3_600_000:
            raise AnchorsRefused("not-yet", f"version {self.version} was issued at {self.issued_ms}; check the clock")


def sign_manifest(folder: Path, *, version: int, issued_ms: int, expires_ms: int, keys: Sequence[Signer]) -> None:
    """Write the manifest of the anchors that lie in a folder. Raises OSError, AnchorsRefused for a bad anchor."""
    lines = [HEAD, f"version {version}", f"issued {issued_ms}", f"expires {expires_ms}"]
    for place in sorted(path.parent for path in folder.glob("*/anchor.der")):
        der, toml = (place / "anchor.der").read_bytes(), (place / "anchor.toml").read_bytes()
        if hashlib.sha256(der).hexdigest() != place.name:
            raise AnchorsRefused("changed-file", place.name)
        read_anchor(place.name, der, toml)
        lines.append(f"anchor {place.name} {hashlib.sha256(toml).hexdigest()}")
    text = "\n".join(lines) + "\n"
    note = SignedNote(text, tuple(key.sign(text) for key in keys))
    (folder / MANIFEST).write_bytes(bytes(note))


def open_anchors(folder: Path, keys: Iterable[VerifierKey]) -> Anchors:
    """Read a folder: two of the prefecture's keys, every file as the manifest says. Raises AnchorsRefused, OSError."""
    try:
        note = SignedNote.parse((folder / MANIFEST).read_bytes())
        signed = verify(note, keys)
    except FileNotFoundError as error:
        raise AnchorsRefused("missing", str(folder / MANIFEST)) from error
    except Malformed as error:
        raise AnchorsRefused("malformed", str(error)) from error
    except Tampered as error:
        raise AnchorsRefused("forged", str(error)) from error
    if len({key.public for key in signed}) < NEEDED:
        raise AnchorsRefused("too-few-signatures", f"{len(signed)} of {NEEDED}")
    version, issued_ms, expires_ms, listed = _lines(note.text)
    removed = _removed(folder)
    found = []
    for sha256, toml_sha256 in listed:
        der = _file(folder / sha256 / "anchor.der", sha256)
        toml = _file(folder / sha256 / "anchor.toml", toml_sha256)
        if sha256 not in removed:
            found.append(read_anchor(sha256, der, toml))
    return Anchors(version=version, issued_ms=issued_ms, expires_ms=expires_ms, anchors=tuple(found), text=note.text)


def take_anchors(held: Path, offered: Path, keys: Sequence[VerifierKey], now_ms: int) -> bool:
    """Put a newer set in force; False where it is the one in hand. The county's removals stay. Raises AnchorsRefused, OSError."""
    new = open_anchors(offered, keys)
    new.require(now_ms)
    if (held / MANIFEST).exists():
        old = open_anchors(held, keys)
        if new.version < old.version:
            raise AnchorsRefused("goes-back", f"version {new.version} after {old.version}")
        if new.version == old.version:
            if new.text != old.text:
                raise AnchorsRefused("two-of-one-version", f"version {new.version}")
            return False
    held.mkdir(parents=True, exist_ok=True, mode=0o700)
    for anchor in new.anchors:
        place = held / anchor.sha256
        place.mkdir(exist_ok=True)
        for name in ("anchor.der", "anchor.toml"):
            _put(place / name, (offered / anchor.sha256 / name).read_bytes())
    _put(held / MANIFEST, (offered / MANIFEST).read_bytes())  # last: what it names is there
    listed = {anchor.sha256 for anchor in new.anchors}
    for place in [path.parent for path in held.glob("*/anchor.der")]:
        if place.name not in listed:
            shutil.rmtree(place)
    return True


def remove_anchor(held: Path, sha256: str) -> None:
    """Believe an anchor no more on this node; the prefecture's next set does not bring it back. Raises OSError."""
    _put(held / REMOVED, "".join(f"{one}\n" for one in sorted({*_removed(held), sha256})).encode())


def _removed(folder: Path) -> frozenset[str]:
    try:
        return frozenset((folder / REMOVED).read_text("ascii").split())
    except FileNotFoundError:
        return frozenset()


def _put(path: Path, data: bytes) -> None:
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _lines(text: str) -> tuple[int, int, int, list[tuple[str, str]]]:
    lines = text.splitlines()
    numbers = []
    for line, word in zip(lines[1:4], ("version", "issued", "expires"), strict=False):
        found = re.fullmatch(rf"{word} ([0-9]{{1,15}})", line, re.ASCII)
        if found is None:
            raise AnchorsRefused("malformed", word)
        numbers.append(int(found[1]))
    rows = [_LINE.fullmatch(line) for line in lines[4:]]
    listed = [(row[1], row[2]) for row in rows if row]
    if lines[:1] != [HEAD] or len(numbers) != 3 or len(listed) != len(rows) or listed != sorted(set(listed)):
        raise AnchorsRefused("malformed", HEAD)
    return numbers[0], numbers[1], numbers[2], listed


def _file(path: Path, sha256: str) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_MOST_FILE)
    except FileNotFoundError as error:
        raise AnchorsRefused("changed-file", f"{path.parent.name}/{path.name} is missing") from error
    if hashlib.sha256(data).hexdigest() != sha256:
        raise AnchorsRefused("changed-file", f"{path.parent.name}/{path.name}")
    return data


def read_anchor(sha256: str, der: bytes, toml: bytes) -> Anchor:
    """Return the anchor that a root and its description make. Raises AnchorsRefused: bad-anchor."""
    try:
        table = tomllib.loads(toml.decode("utf-8"))
        anchor = Anchor(
            sha256=sha256,
            der=der,
            name=str(table["name"]),
            vendor=str(table["vendor"]),
            purposes=frozenset(Purpose(word) for word in table["purposes"]),
            profile=str(table["profile"]),
            vouches=frozenset(table["vouches"]),
            from_ms=int(table["from_ms"]),
            until_ms=int(table["until_ms"]),
            grace_days=int(table.get("grace_days", GRACE_DAYS)),
            sources=tuple(map(str, table.get("sources", ()))),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise AnchorsRefused("bad-anchor", f"{sha256}: {error}") from error
    if not anchor.vouches <= set(KINDS) or anchor.profile not in profiles() or not 0 <= anchor.grace_days <= 90:
        raise AnchorsRefused("bad-anchor", f"{sha256}: profile, vouches or grace_days")
    return anchor
