"""One thing the desk can do with a lot (办理事项): who, which fields, when it is offered, what is submitted.

A row makes one form at /desk/lots/<lot>/<slug> and one command. Duties are the rules' own table: an act is offered to the
roles whose command it is. The rows are in the `acts_…` modules, one a phase.
"""

import hashlib
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from node.domain.duties import DUTIES
from node.domain.lot import LotState
from node.domain.streams import lot_stream
from node.domain.values import Actor, Role
from node.node import Node
from node.receipts import Receipt
from web.forms import Field, rows_of

Submit = Callable[[Node, LotState, dict[str, Any], bytes, Actor], Awaitable[Receipt]]


@dataclass(frozen=True, slots=True)
class Act:
    """One thing to do. `fields` may depend on the lot; `shared` acts are not refused for a page opened earlier."""

    slug: str
    title: str
    command: type
    button: str
    fields: Callable[[LotState], Sequence[Field]]
    offered: Callable[[LotState], bool]
    submit: Submit
    shared: bool = False
    note: str = ""

    def may(self, role: Role) -> bool:
        """Whether this role has the duty."""
        return role in DUTIES[self.command]


TEXT = Field("text", "说明", "area", longest=2_000)
REASON = Field("reason", "理由", "area", longest=2_000)


def plain(make: Callable[[LotState, dict[str, Any], Actor], Any]) -> Submit:
    """Return the submission of a command that the fields alone make."""

    async def submit(node: Node, lot: LotState, values: dict[str, Any], command_id: bytes, actor: Actor) -> Receipt:
        return await node.submit(lot_stream(lot.lot_code), make(lot, values, actor), command_id=command_id, actor=actor)

    return submit


def no_fields(_lot: LotState) -> tuple[Field, ...]:
    """Return no fields: the act is one button."""
    return ()


def fixed(*fields: Field) -> Callable[[LotState], Sequence[Field]]:
    """Return fields that are the same for every lot."""
    return lambda _lot: fields


def choices_of(table: dict[str, str]) -> tuple[tuple[str, str], ...]:
    """Return the choices that a table of words offers."""
    return tuple((code, label) for code, label in table.items() if code)


def digest(text: str) -> bytes:
    """Return the SHA-256 of a text."""
    return hashlib.sha256(text.encode()).digest()


def bidders(lot: LotState, refs: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the choices of bidders, by name once opened."""
    found = []
    for ref in refs:
        content = lot.opening.content(ref)
        found.append((ref, content.bidder_name if content else ref))
    return tuple(found)


def before_opening(lot: LotState) -> bool:
    """Return whether the notice is out and the opening has not begun."""
    return lot.notice.published is not None and not lot.opening.started


def pairs_of(text: str) -> tuple[tuple[str, str], ...]:
    """Return what lines of "number, words" say."""
    pairs = []
    for line in rows_of(text):
        # Only the first comma parts: the words that follow go into the record as they were typed.
        ref, *ground = re.split(r"[,，]", line, maxsplit=1)
        pairs.append((ref.strip(), "".join(ground).strip()))
    return tuple(pairs)
