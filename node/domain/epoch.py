"""Epochs of a node's log (纪元): two persons open a new one where the old cannot be healed, and neighbours put it on record.

The old log is closed for ever and kept. Nothing is renumbered: origin and position stay unique. Stream: room/<node code>.
"""

from dataclasses import dataclass

from node.domain.guards import require_one_of, require_second, require_short, require_text
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Role

CAUSES = ("restore", "damage", "replace")
# Who may open an epoch or stand beside it; the system administrator signs nothing.
ROLES = (Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS, Role.REVIEWER)


@dataclass(frozen=True, slots=True)
class OpenEpoch:
    """Go on in another log. cause: restore (an old copy came back) | damage | replace (machine, disk or key is another).

    `size` entries with `root` are proven of the old log; its fence had released `fence_size` (-1: the fence is lost); at most
    `lost` entries may be missing (-1: unknown). `restored_from` names the backup, or is empty. `second` is the other person,
    as role:person.
    """

    old_origin: str
    size: int
    root: bytes
    fence_size: int
    lost: int
    cause: str
    restored_from: str
    second: str


@dataclass(frozen=True, slots=True)
class EpochOpened:
    """The succession record: the first entry of the new log (纪元继承记录)."""

    old_origin: str
    size: int
    root: bytes
    fence_size: int
    lost: int
    cause: str
    restored_from: str
    second: str


@dataclass(frozen=True, slots=True)
class NoteSuccession:
    """A neighbour's log goes on in another: on record here, with the digest of its signed statement."""

    node: str
    old_origin: str
    new_origin: str
    size: int
    lost: int
    cause: str
    statement_sha256: bytes


@dataclass(frozen=True, slots=True)
class SuccessionNoted:
    """A neighbour's new epoch, as it was stated to this node (邻机纪元更替)."""

    node: str
    old_origin: str
    new_origin: str
    size: int
    lost: int
    cause: str
    statement_sha256: bytes


@dataclass(frozen=True, slots=True)
class NoteBranch:
    """Two persons have seen to every record of the other history of a closed log: `entries` of them, named by `digest`."""

    old_origin: str
    entries: int
    digest: bytes
    text: str
    second: str


@dataclass(frozen=True, slots=True)
class BranchNoted:
    """The other history of a closed log was dealt with, as `text` says (另一段历史已处理)."""

    old_origin: str
    entries: int
    digest: bytes
    text: str
    second: str


def decide(command: object, asked: Asked) -> tuple[object, ...]:
    """Return the record of a new epoch, own or a neighbour's. Raises Refused."""
    match command:
        case OpenEpoch():
            return (_open(command, asked),)
        case NoteBranch():
            require_second(asked, command.second)
            require_text(old_origin=command.old_origin, text=command.text)
            require_short(text=command.text)
            return (BranchNoted(command.old_origin, command.entries, command.digest, command.text, command.second),)
        case NoteSuccession():
            require_one_of(command.cause, CAUSES, "cause")
            require_text(node=command.node, old_origin=command.old_origin, new_origin=command.new_origin)
            return (
                SuccessionNoted(
                    command.node,
                    command.old_origin,
                    command.new_origin,
                    command.size,
                    command.lost,
                    command.cause,
                    command.statement_sha256,
                ),
            )
        case _:
            raise NotOffered("room/", type(command).__name__)


def _open(command: OpenEpoch, asked: Asked) -> EpochOpened:
    require_one_of(command.cause, CAUSES, "cause")
    require_short(restored_from=command.restored_from)
    role, _, person = command.second.partition(":")
    if not person or role not in ROLES or person == asked.actor.person:
        raise Refused("second-person-missing", rule="two-persons-open-an-epoch", value=command.second or "-")
    if command.old_origin == asked.origin:
        raise Refused("epoch-not-new", rule="a-new-epoch-is-a-new-log", value=asked.origin, limit=command.old_origin)
    if command.size < 0 or command.fence_size < -1 or command.lost < -1:
        raise Refused("number-out-of-range", rule="succession-record", value=str(command.size), limit="0")
    return EpochOpened(
        command.old_origin,
        command.size,
        command.root,
        command.fence_size,
        command.lost,
        command.cause,
        command.restored_from,
        command.second,
    )


COMMANDS: tuple[type, ...] = (OpenEpoch, NoteSuccession, NoteBranch)
EVENTS: tuple[type, ...] = (EpochOpened, SuccessionNoted, BranchNoted)
