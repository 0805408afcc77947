"""Judging conflict.zip, what `erhai log evidence` writes: signed words of one log that may not both be true (反证).

For each finding a folder `001/…` with `held`, `shown`, `proof` and `facts.json`. Only the notes and the log's key decide;
`facts.json` is what the node that kept them says. Two checkpoints of one size with two roots prove two histories; of two
sizes only the log's entries can tell, and each note is then held against a bundle with `--seen`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from enum import StrEnum

from sync.checkpoint import open_checkpoint, read
from sync.codec import unpack
from sync.members import Members
from sync.note import MAX_NOTE, VerifierKey
from sync.tampered import Malformed, Problem, Tampered

SUCCESSION = "erhai-succession/v1"
_NAME = re.compile(r"([0-9]{3,6})/(held|shown|proof|facts\.json)", re.ASCII)
_BOUNDS = {"held": MAX_NOTE, "shown": MAX_NOTE, "proof": 65 * 32, "facts.json": 4_096}


class Outcome(StrEnum):
    """What one finding shows. The words never change their meaning; docs/verify.md explains."""

    EXCLUDES = "excludes"  # both signed by the log's key, one size, two roots
    NEEDS_ENTRIES = "needs-entries"  # both signed by the log's key: its entries must tell
    AGREES = "agrees"  # both signed by the log's key, and the same tree
    NEEDS_KEY = "needs-key"  # no key of this log was given: nothing is verified
    NOT_SIGNED = "not-signed"  # the log's key has not signed both
    STATEMENTS = (
        "statements"  # two different successions of one log: signed by the node's certificate, whose CA must tell
    )
    UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Finding:
    """One folder of the file, judged. Sizes and roots are of the two checkpoints, -1 and empty where there are none."""

    no: str
    outcome: Outcome
    origin: str = ""
    held_size: int = -1
    shown_size: int = -1
    held_root: str = ""
    shown_root: str = ""
    detail: str = ""

    def facts(self) -> dict[str, object]:
        """Return it for JSON."""
        return asdict(self)


def check_member(name: str, size: int) -> None:
    """Refuse a member that no such file has. Raises Tampered: unknown-member, oversize-member."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise Tampered(Problem.UNKNOWN_MEMBER, got=name)
    if size > _BOUNDS[match[2]]:
        raise Tampered(Problem.OVERSIZE_MEMBER, expected=str(_BOUNDS[match[2]]), got=str(size), detail=name)


def judge_conflict(files: Members, keys: Iterable[VerifierKey]) -> tuple[Finding, ...]:
    """Return what each finding shows, by the keys that the verifier trusts. Raises Tampered for what the container hides."""
    known = tuple(keys)
    names = set(files.names())
    found = []
    for no in sorted({name.partition("/")[0] for name in names}):
        missing = sorted({f"{no}/{part}" for part in _BOUNDS} - names)
        if missing:
            found.append(Finding(no, Outcome.UNREADABLE, detail=f"{missing[0]} is missing"))
            continue
        json_text = files.read(f"{no}/facts.json")
        found.append(_judge(no, files.read(f"{no}/held"), files.read(f"{no}/shown"), json_text, known))
    if (name := files.damaged()) is not None:
        raise Tampered(Problem.DAMAGED_MEMBER, got=name)
    return tuple(found)


def _judge(no: str, held: bytes, shown: bytes, facts: bytes, keys: tuple[VerifierKey, ...]) -> Finding:
    try:
        origin = str(json.loads(facts)["origin"])
    except (ValueError, KeyError, TypeError, RecursionError):
        return Finding(no, Outcome.UNREADABLE, detail="facts.json")
    try:
        one, other = read(held)[0], read(shown)[0]
    except Malformed as malformed:
        return _statements(no, origin, held, shown, malformed)
    finding = Finding(no, Outcome.NOT_SIGNED, one.origin, one.size, other.size, one.root.hex(), other.root.hex())
    if one.origin != other.origin:
        return _with(finding, Outcome.NOT_SIGNED, f"the notes are of two logs, the other is {other.origin}")
    if one.origin not in {key.name for key in keys}:
        return _with(finding, Outcome.NEEDS_KEY)
    for name, note in (("held", held), ("shown", shown)):
        try:
            open_checkpoint(note, keys)
        except Tampered as tampered:
            if tampered.problem is not Problem.FORGED_COSIGNATURE:  # of somebody else: the log has signed all the same
                return _with(finding, Outcome.NOT_SIGNED, f"{name}: {tampered.problem}")
    if one.size != other.size:
        return _with(finding, Outcome.NEEDS_ENTRIES)
    return _with(finding, Outcome.AGREES if one.root == other.root else Outcome.EXCLUDES)


def _statements(no: str, origin: str, held: bytes, shown: bytes, malformed: Malformed) -> Finding:
    """Two successions: MessagePack `[statement, certificate, signature]`, a statement names both logs after its word."""
    try:
        one, other = _statement(held), _statement(shown)
    except Malformed:
        return Finding(no, Outcome.UNREADABLE, origin, detail=str(malformed))
    return Finding(no, Outcome.AGREES if one == other else Outcome.STATEMENTS, origin)


def _statement(envelope: bytes) -> bytes:
    raw = unpack(envelope)
    if not isinstance(raw, tuple) or len(raw) != 3 or not all(isinstance(part, bytes) for part in raw):
        raise Malformed("envelope", "is not statement, certificate and signature")
    words = unpack(raw[0])
    if not isinstance(words, tuple) or not words or words[0] != SUCCESSION:
        raise Malformed("succession", "is no statement of this version")
    statement: bytes = raw[0]
    return statement


def _with(finding: Finding, outcome: Outcome, detail: str = "") -> Finding:
    return Finding(
        finding.no,
        outcome,
        finding.origin,
        finding.held_size,
        finding.shown_size,
        finding.held_root,
        finding.shown_root,
        detail,
    )
