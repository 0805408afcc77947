"""The words for evidence that does not fit, and for bytes that cannot be read.

`Tampered` carries one problem of a closed list; docs/verify.md lists the same words for people who write their own
verifier. `Malformed` is raised by the readers of single formats; whoever knows where the bytes came from turns it into a
problem or into an answer to the sender.
"""

from dataclasses import dataclass
from enum import StrEnum


class Problem(StrEnum):
    """Everything that `erhai log verify` can find wrong. The words never change their meaning; docs/verify.md explains."""

    # the container
    UNREADABLE = "unreadable"
    HIDDEN_BYTES = "hidden-bytes"
    HEADER_MISMATCH = "header-mismatch"
    DUPLICATE_MEMBER = "duplicate-member"
    UNSAFE_NAME = "unsafe-name"
    UNKNOWN_MEMBER = "unknown-member"
    COMPRESSED_MEMBER = "compressed-member"
    OVERSIZE_MEMBER = "oversize-member"
    DAMAGED_MEMBER = "damaged-member"
    # the trust
    MISSING_POLICY = "missing-policy"
    MALFORMED_POLICY = "malformed-policy"
    WRONG_LOG = "wrong-log"
    # the checkpoint
    MISSING_CHECKPOINT = "missing-checkpoint"
    MALFORMED_CHECKPOINT = "malformed-checkpoint"
    FOREIGN_KEY = "foreign-key"
    FORGED_SIGNATURE = "forged-signature"
    FORGED_COSIGNATURE = "forged-cosignature"
    QUORUM_NOT_MET = "quorum-not-met"
    # the tree
    MISSING_ENTRIES = "missing-entries"
    MISSING_TILE = "missing-tile"
    WRONG_WIDTH = "wrong-width"
    MALFORMED_TILE = "malformed-tile"
    CHANGED_TILE = "changed-tile"
    ROOT_MISMATCH = "root-mismatch"
    # history
    ROLLED_BACK = "rolled-back"
    TWO_BRANCHES = "two-branches"
    INCONSISTENT_HISTORY = "inconsistent-history"
    # the entries
    DROPPED_ENTRY = "dropped-entry"
    EXTRA_ENTRY = "extra-entry"
    SWAPPED_ENTRIES = "swapped-entries"
    CHANGED_ENTRY = "changed-entry"
    MALFORMED_ENTRY = "malformed-entry"
    MISPLACED_ENTRY = "misplaced-entry"
    # what travels beside the entries
    CHANGED_BLOB = "changed-blob"
    MISSING_BLOB = "missing-blob"
    MALFORMED_PROOF = "malformed-proof"
    FOREIGN_PROOF = "foreign-proof"
    WRONG_PROOF = "wrong-proof"


@dataclass(eq=False)
class Tampered(Exception):
    """Evidence does not fit (证据不符).

    `origin` and `seq` say where, `expected` and `got` say what differs (hashes in hex, names of members, counts),
    `detail` is a short English remark for whoever repairs or prosecutes.
    """

    problem: Problem
    origin: str | None = None
    seq: int | None = None
    expected: str | None = None
    got: str | None = None
    detail: str = ""

    def __str__(self) -> str:
        """One line for logs: every field that is set."""
        facts = {"origin": self.origin, "seq": self.seq, "expected": self.expected, "got": self.got}
        known = "".join(f" {name}={value}" for name, value in facts.items() if value is not None)
        return f"{self.problem}{known}{f' ({self.detail})' if self.detail else ''}"


@dataclass(eq=False)
class Malformed(Exception):
    """Bytes are not what their format allows. `field` names the part, `why` the rule that it breaks."""

    field: str
    why: str

    def __str__(self) -> str:
        """One line for logs and answers to senders."""
        return f"{self.field}: {self.why}"
