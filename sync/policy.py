"""Whom to trust (C2SP tlog-policy): logs, witnesses, groups of them, and the quorum that makes a checkpoint good (信任策略).

The file is octets: names compare byte by byte, only space and tab separate, no Unicode table is needed to read it. Not
in the specification and refused here: a name that is taken twice, `none` as a name, more than 256 lines of a kind.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from sync.checkpoint import Opened, open_checkpoint
from sync.note import COSIGNATURE, ED25519, VerifierKey
from sync.tampered import Malformed, Problem, Tampered

MAX_POLICY = 65_536
MAX_LINES = 256
_BLANK = re.compile(r"[ \t]+")
_COUNT = re.compile(r"[1-9][0-9]{0,3}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Party:
    """A log or a witness: its key, and its URL or an empty text."""

    key: VerifierKey
    url: str = ""


@dataclass(frozen=True, slots=True)
class Group:
    """Witnesses and groups of which `threshold` must have cosigned."""

    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Policy:
    """A trust file. `quorum` is the name of a witness or a group, or None where no cosignature is asked for."""

    logs: tuple[Party, ...]
    witnesses: Mapping[str, Party]
    groups: Mapping[str, Group]
    quorum: str | None

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """Return the policy of a file. Raises Malformed with the line's number."""
        if len(data) > MAX_POLICY:
            raise Malformed("policy", f"is over {MAX_POLICY} bytes")
        if any(octet < 0x20 and octet not in b"\t\n" for octet in data) or b"\x7f" in data:
            raise Malformed("policy", "holds a control character")
        if data and not data.endswith(b"\n"):
            raise Malformed("policy", "does not end with a newline")
        reader = _Lines()
        for number, line in enumerate(data.decode("utf-8", "surrogateescape").split("\n"), start=1):
            words = _BLANK.split(line.strip(" \t"))
            if words[0] and not words[0].startswith("#"):
                try:
                    reader.take(words)
                except Malformed as malformed:
                    raise Malformed(f"policy line {number}", f"{malformed.field} {malformed.why}") from None
        if not reader.quorums:
            raise Malformed("policy", "has no quorum line")
        quorum = reader.quorums[0]
        return cls(tuple(reader.logs), reader.witnesses, reader.groups, None if quorum == "none" else quorum)

    def __bytes__(self) -> bytes:
        """Return the file's bytes: logs, witnesses, groups in their order, quorum."""
        lines = [f"log {log.key} {log.url}".rstrip(" ") for log in self.logs]
        lines += [f"witness {name} {one.key} {one.url}".rstrip(" ") for name, one in self.witnesses.items()]
        lines += [f"group {name} {one.threshold} {' '.join(one.members)}" for name, one in self.groups.items()]
        lines.append(f"quorum {self.quorum or 'none'}")
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")

    @property
    def keys(self) -> tuple[VerifierKey, ...]:
        """Return every key of a log or a witness."""
        return tuple(party.key for party in (*self.logs, *self.witnesses.values()))

    def satisfied(self, cosigners: Iterable[VerifierKey]) -> bool:
        """Tell whether these keys, whose cosignatures were verified, make the quorum."""
        if self.quorum is None:
            return True
        present = set(cosigners)
        good = {name for name, witness in self.witnesses.items() if witness.key in present}
        for name, group in self.groups.items():  # in the order of definition: members come first
            if sum(member in good for member in group.members) >= group.threshold:
                good.add(name)
        return self.quorum in good

    def open(self, note: bytes) -> Opened:
        """Verify a checkpoint by this policy: the log's signature, every known cosignature, the quorum.

        Raises Malformed, and Tampered as `open_checkpoint` does, and quorum-not-met.
        """
        opened = open_checkpoint(note, self.keys)
        found = [cosignature.key for cosignature in opened.cosignatures]
        if not self.satisfied(found):
            names = ", ".join(key.name for key in found)
            raise Tampered(Problem.QUORUM_NOT_MET, opened.checkpoint.origin, expected=self.quorum, got=names)
        return opened


class _Lines:
    """The lines of a policy read so far."""

    def __init__(self) -> None:
        self.logs: list[Party] = []
        self.witnesses: dict[str, Party] = {}
        self.groups: dict[str, Group] = {}
        self.quorums: list[str] = []

    def take(self, words: list[str]) -> None:
        match words:
            case ["log", key, *url] if len(url) < 2:
                self._log(Party(VerifierKey.parse(key), "".join(url)))
            case ["witness", name, key, *url] if len(url) < 2:
                self._witness(name, Party(VerifierKey.parse(key), "".join(url)))
            case ["group", name, count, *members] if members:
                self._group(name, count, members)
            case ["quorum", name]:
                if self.quorums:
                    raise Malformed("quorum", "is given twice")
                if name != "none" and name not in self.witnesses and name not in self.groups:
                    raise Malformed("quorum", "names nobody that is defined before it")
                self.quorums.append(name)
            case _:
                raise Malformed("line", "is neither log, witness, group nor quorum with its words")

    def _log(self, log: Party) -> None:
        if log.key.algorithm != ED25519:
            raise Malformed("log", "has a key that is not of a log")
        if log.key.public in {one.key.public for one in self.logs} or len(self.logs) >= MAX_LINES:
            raise Malformed("log", "is there twice or one too many")
        self.logs.append(log)

    def _witness(self, name: str, witness: Party) -> None:
        self._name(name)
        if witness.key.algorithm != COSIGNATURE:
            raise Malformed("witness", "has a key that is not of a cosigner")
        known = {one.key.public for one in self.witnesses.values()}
        if witness.key.public in known or len(known) >= MAX_LINES:
            raise Malformed("witness", "is there twice or one too many")
        self.witnesses[name] = witness

    def _group(self, name: str, count: str, members: list[str]) -> None:
        self._name(name)
        if any(member not in self.witnesses and member not in self.groups for member in members):
            raise Malformed("group", "has a member that is not defined before it")
        taken = {member for group in self.groups.values() for member in group.members}
        if len(set(members)) < len(members) or taken & set(members) or len(self.groups) >= MAX_LINES:
            raise Malformed("group", "has a member that is in a group already, or is one group too many")
        if count not in {"any", "all"} and not _COUNT.fullmatch(count):
            raise Malformed("group", "has no threshold")
        threshold = {"any": 1, "all": len(members)}.get(count) or int(count)
        if threshold > len(members):
            raise Malformed("group", "asks for more than its members")
        self.groups[name] = Group(threshold, tuple(members))

    def _name(self, name: str) -> None:
        if name == "none" or name in self.witnesses or name in self.groups:
            raise Malformed("name", "is taken")
