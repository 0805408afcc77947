"""The other history of an own closed log (另一段历史): what this key has signed and the log does not contain.

Its entries are set aside here, or known of by a signed checkpoint alone. Each was a record with a receipt; people do it again
where it still matters, until two persons say that all of them have been seen to.
"""

import hashlib
from dataclasses import dataclass

import apsw

from node.receipts import Receipt, place_of, receipt_of
from sync.codec import decode
from sync.heal import signed_here
from sync.keys import name_base
from sync.log import head, origins
from sync.merkle import Frontier, leaf_hash
from sync.note import VerifierKey
from sync.succession import Statement
from sync.tampered import Malformed
from sync.witness import misbehaviours

NOTED = "epoch.branch-noted"


@dataclass(frozen=True, slots=True)
class Branch:
    """What is known of the other history of one closed log. `records` are the entries that are here; `away` is the size of a
    signed checkpoint whose entries are not, 0 where there is none. `digest` names exactly this: should more of it turn up, it
    is to be seen to again.
    """

    origin: str
    records: tuple[Receipt, ...]
    away: int
    digest: bytes
    noted: bool


@dataclass(frozen=True, slots=True)
class Doubles:
    """Whether a receipt number may name two records: the log's key signed two histories, and those others that are here."""

    conflicted: bool
    others: tuple[Receipt, ...]


def doubles(db: apsw.Connection, number: str) -> Doubles:
    """Return what else a receipt number names."""
    place = place_of(number, origins(db))
    if place is None:
        return Doubles(False, ())
    origin, seq = place
    row = db.execute("SELECT 1 FROM misbehaviour WHERE origin = ?", (origin,)).fetchone()
    others = tuple(one for one in _aside(db, origin) if one.seq == seq)
    return Doubles(row is not None or bool(others), others)


def branch_of(db: apsw.Connection, closed: Statement) -> Branch | None:
    """Return what is known of the other history of an own closed log; None where there is none."""
    origin, vkey = closed.old_origin, VerifierKey.parse(closed.old_vkey)
    records = _aside(db, origin)
    away = _away(db, vkey, records)
    if not records and not away:
        return None
    digest = hashlib.sha256(b"".join((f"{origin}\n{away}\n".encode(), *(one.leaf for one in records)))).digest()
    row = db.execute(
        "SELECT origin FROM entry_index WHERE command_id = ? AND events = ?", (digest[:16], NOTED)
    ).fetchone()
    noted = row is not None and name_base(row[0]) == name_base(origin)
    return Branch(origin, records, away, digest, noted)


def _aside(db: apsw.Connection, origin: str) -> tuple[Receipt, ...]:
    """Return whole records only: a row that was replaced because it was damaged is no other record."""
    rows = db.execute(
        "SELECT s.leaf, s.body FROM set_aside s WHERE s.origin = ?1 AND NOT EXISTS (SELECT 1 FROM entries e JOIN logs l"
        " USING (log_id) WHERE l.origin = ?1 AND e.seq = s.seq AND e.leaf = s.leaf)"
        " GROUP BY s.seq, s.leaf ORDER BY s.seq, s.leaf",
        (origin,),
    )
    found = []
    for leaf, body in rows:
        if leaf_hash(body) != leaf:
            continue
        try:
            found.append(receipt_of(body, decode(body)))
        except Malformed:
            continue
    return tuple(found)


def _away(db: apsw.Connection, vkey: VerifierKey, records: tuple[Receipt, ...]) -> int:
    """Return the largest size that this key has signed and neither the log nor the records beside it lead to."""
    notes = [note for one in misbehaviours(db) if one.origin == vkey.name for note in (one.held, one.shown)]
    signed = {one for note in notes if (one := signed_here(note, vkey)) is not None}
    if not signed:
        return 0
    log_id = head(db, vkey.name).log_id
    own = [row[0] for row in db.execute("SELECT leaf FROM entries WHERE log_id = ? ORDER BY seq", (log_id,))]
    beside = list(own)
    for record in records:
        beside[record.seq : record.seq + 1] = [record.leaf]
    roots = [(leaves, one) for leaves in (own, beside) for one in signed if one.size <= len(leaves)]
    reached = {one for leaves, one in roots if Frontier().extend(leaves[: one.size]).root() == one.root}
    return max([one.size for one in signed - reached], default=0)
