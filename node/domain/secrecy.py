"""Who may read what is sealed, and from when (密级): one table, beside the duties of `node.domain.duties`.

S2 is sealed until the opening (ZB 22), S3 until the result (ZB 37, 44), S4 is never shown but to who needs it for the act. What is
a person's own, an expert's marks or a party's nonce, that person reads at every stage. The system administrator reads none of it.
"""

from enum import StrEnum
from typing import TYPE_CHECKING

from node.domain.values import Role

if TYPE_CHECKING:
    from node.domain.lot import LotState


class Stage(StrEnum):
    """How far a lot is, as far as secrecy goes (保密阶段)."""

    BIDDING = "bidding"  # until the opening begins
    OPENED = "opened"  # until the ranking
    RANKED = "ranked"  # until the candidates are published
    PUBLISHED = "published"


class Secret(StrEnum):
    """What is sealed (保密事项)."""

    COUNTS = "counts"  # S2: how many take the documents, pay, bid; and who
    BIDS = "bids"  # S2: what a bid says
    MARKS = "marks"  # S3: marks, ranking, reasons
    NAMES = "names"  # S3: who sits on the committee
    PHONES = "phones"  # S4: numbers of drawn experts, for the call
    NONCES = "nonces"  # S3: a party's nonce before it is revealed


_ROOM = frozenset({Role.TENDERER, Role.AGENCY, Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS})
_ALL = frozenset(Role) - {Role.SYSTEM}
_NOBODY: frozenset[Role] = frozenset()
_DESK_AND_ABOVE = frozenset({Role.OPERATOR, Role.REVIEWER})  # who takes the papers, who holds the log
_SEATS = frozenset({Role.OPERATOR, Role.WITNESS})  # who leads members to their seats

READS: dict[Secret, dict[Stage, frozenset[Role]]] = {
    Secret.COUNTS: {
        Stage.BIDDING: _DESK_AND_ABOVE,
        Stage.OPENED: _ALL,  # the opening is public (ZB 35)
        Stage.RANKED: _ALL,
        Stage.PUBLISHED: _ALL,
    },
    Secret.BIDS: {Stage.BIDDING: _NOBODY, Stage.OPENED: _ALL, Stage.RANKED: _ALL, Stage.PUBLISHED: _ALL},
    Secret.MARKS: {
        Stage.BIDDING: _NOBODY,
        Stage.OPENED: _NOBODY,
        Stage.RANKED: _ROOM | {Role.EXPERT, Role.REVIEWER},
        Stage.PUBLISHED: _ROOM | {Role.EXPERT, Role.REVIEWER},
    },
    Secret.NAMES: dict.fromkeys(Stage, _SEATS),
    Secret.PHONES: dict.fromkeys(Stage, frozenset({Role.WITNESS})),
    Secret.NONCES: dict.fromkeys(Stage, _NOBODY),
}
OWN: dict[Secret, frozenset[Role]] = {
    Secret.MARKS: frozenset({Role.EXPERT}),
    Secret.NONCES: frozenset({Role.TENDERER, Role.AGENCY, Role.OPERATOR, Role.SUPERVISOR, Role.WITNESS}),
}


def stage_of(lot: "LotState") -> Stage:
    """Return the stage of a lot."""
    if lot.award.published is not None:
        return Stage.PUBLISHED
    if lot.evaluation.ranked:
        return Stage.RANKED
    return Stage.OPENED if lot.opening.started else Stage.BIDDING


def may_read(secret: Secret, stage: Stage, role: Role) -> bool:
    """Whether a role reads what is not its own."""
    return role in READS[secret][stage]
