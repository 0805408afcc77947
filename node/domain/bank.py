"""The room's copy of the expert bank (专家库): which snapshot is here, how old it is, what it commits to. Who is in it is not here."""

from dataclasses import dataclass

from node.domain.guards import require_digest
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded


@dataclass(frozen=True, slots=True)
class ImportExperts:
    """A snapshot was imported: the file's SHA-256, when the bank wrote it, how many, and the SHA-256 of all commitments."""

    file_sha256: bytes
    taken_at_ms: int
    count: int
    commitments: bytes


@dataclass(frozen=True, slots=True)
class ExpertsImported:
    """The snapshot that counts from here on. `commitments` is SHA-256 over the experts' salted commitments, in byte order."""

    file_sha256: bytes
    taken_at_ms: int
    count: int
    commitments: bytes


@dataclass(frozen=True, slots=True)
class BankState:
    """The newest snapshot; count 0: none."""

    file_sha256: bytes = b""
    taken_at_ms: int = 0
    count: int = 0
    commitments: bytes = b""


def decide(state: BankState, command: object, asked: Asked) -> tuple[ExpertsImported]:
    """Return the import. Raises Refused for an empty, older or future snapshot, and for one that is here."""
    if not isinstance(command, ImportExperts):
        raise NotOffered("bank/", type(command).__name__)
    require_digest(file_sha256=command.file_sha256, commitments=command.commitments)
    if command.count < 1:
        raise Refused("pool-empty", rule="pool-not-empty", value=str(command.count), limit="1")
    if command.taken_at_ms > asked.at_ms:
        raise Refused("time-ahead", rule="moments", value=str(command.taken_at_ms))
    if command.file_sha256 == state.file_sha256:
        raise Refused("already-imported", rule="import-once", value=command.file_sha256.hex()[:16])
    if command.taken_at_ms < state.taken_at_ms:
        raise Refused(
            "older-release", rule="newest-counts", value=str(command.taken_at_ms), limit=str(state.taken_at_ms)
        )
    return (ExpertsImported(command.file_sha256, command.taken_at_ms, command.count, command.commitments),)


def evolve(state: BankState, event: object, recorded: Recorded) -> BankState:  # noqa: ARG001 - one shape for all
    """Return the bank after an import."""
    match event:
        case ExpertsImported(file_sha256=sha256, taken_at_ms=taken, count=count, commitments=commitments):
            return BankState(sha256, taken, count, commitments)
        case _:
            return state


COMMANDS: tuple[type, ...] = (ImportExperts,)
EVENTS: tuple[type, ...] = (ExpertsImported,)
