"""Custody of a lot (主持权) as a node sees it: what would move, what is known to be missing, the tail; and the acts themselves.

Gathering runs on the writer thread, so that what is recorded is what the rules saw (node/domain/custody.py).
"""

from dataclasses import dataclass

import apsw

from node import projection
from node.domain.calendar import moment_text
from node.domain.custody import EVENTS as CUSTODY_EVENTS
from node.domain.custody import (
    HANDED_OVER,
    TAKEN_OVER,
    AdoptEntry,
    DeclineEntry,
    Moved,
    RecallCustody,
    ReleaseCustody,
    TakeCustody,
)
from node.domain.drawn import draws_ahead
from node.domain.lot import LotState
from node.domain.refused import Refused
from node.domain.streams import draw_stream, lot_stream, sheet_stream
from node.domain.values import Actor
from node.domain.wire import Unrecognised
from node.node import Node
from node.receipts import Receipt
from node.settings import Settings
from node.successions import known_successions
from node.views import custody as custody_view
from node.views import log as log_view
from sync.codec import decode
from sync.keys import name_base
from sync.log import LogFault, head, origins, read_entry
from sync.merkle import leaf_hash


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a lot's custody stands, for a page: whose it is, what the owner's log is here, what would be missing."""

    lot_code: str
    owner_node: str
    owner_origin: str
    term: int
    own: bool
    released_to: str
    contested: bool
    held_back: bool
    held_size: int
    signed_size: int
    last_at_ms: int
    statement: str
    movable: tuple[tuple[str, int], ...]  # node code, how many streams of the lot are its
    tail: tuple[custody_view.TailRow, ...]


def node_of(settings: Settings, origin: str) -> str:
    """Return the code of the node whose log this is, of whatever epoch; "" for a log of no known node."""
    known = {name_base(settings.origin): settings.node} | {name_base(peer.origin): peer.name for peer in settings.peers}
    return known.get(name_base(origin), "") if origin else ""


def closed_short(db: apsw.Connection, origin: str) -> str:
    """Return what may be missing of the closed logs of the node whose log this is, in words; "" where nothing is."""
    return "；".join(
        f"日志 {one.old_origin} 封存时" + (f"至多缺失 {one.lost} 条" if one.lost > 0 else "缺失多少不明")
        for one in known_successions(db)
        if name_base(one.old_origin) == name_base(origin) and one.lost
    )


def statement_of(held_size: int, signed_size: int, last_at_ms: int, closed: str = "") -> str:
    """Return the plain statement of what is known to be missing of a log; `closed` is `closed_short` of it."""
    if held_size == 0:
        return "本机没有收到对方的任何记录；对方是否写过记录，无从得知。" + (f"已知{closed}。" if closed else "")
    last = moment_text(last_at_ms)
    missing = signed_size - held_size
    found = ([f"已知其签署过 {signed_size} 条，缺 {missing} 条"] if missing > 0 else []) + ([closed] if closed else [])
    known = "；".join(found) or "没有已知的缺失"
    return f"已收到对方记录 {held_size} 条，最后一条记于 {last}；{known}。此后对方是否另有未送达的记录，无从得知。"


def standing(db: apsw.Connection, settings: Settings, lot_code: str, state: LotState) -> Standing:
    """Return where a lot's custody stands."""
    chain = custody_view.chain(db, lot_stream(lot_code))
    node = node_of(settings, chain.owner)
    moved: dict[str, int] = {}
    for peer in settings.peers:
        if peer.kind == "room":
            found = _moved(db, settings, lot_code, state, peer.name)
            if found:
                moved[peer.name] = len(found)
    other = chain.owner if node != settings.node else ""
    held, signed, last = _known_of(db, other) if other else (0, 0, 0)
    closed = closed_short(db, chain.owner) if chain.owner else ""
    return Standing(
        lot_code=lot_code,
        owner_node=node or chain.owner,
        owner_origin=chain.owner,
        term=chain.term,
        own=chain.owner == settings.origin,
        released_to=state.custody.released_to,
        contested=chain.contested,
        held_back=chain.held_back,
        held_size=held,
        signed_size=signed,
        last_at_ms=last,
        statement=statement_of(held, signed, last, closed) if other else f"本机{closed}。" if closed else "",
        movable=tuple(sorted(moved.items())),
        tail=tuple(custody_view.tails_of_lot(db, lot_code)),
    )


def _known_of(db: apsw.Connection, origin: str) -> tuple[int, int, int]:
    """Return how much of a log is here, how much it is known to have signed, and the time of its last entry here."""
    try:
        held = head(db, origin)
    except LogFault:
        return 0, 0, 0
    last = decode(read_entry(db, origin, held.size - 1)).at_ms if held.size else 0
    return held.size, max(held.size, held.promised, held.checkpoint_size), last


def _moved(
    db: apsw.Connection, settings: Settings, lot_code: str, state: LotState, from_node: str, *, sheets: bool = True
) -> tuple[Moved, ...]:
    """Return every stream of a lot that a node owns, or whose seat it was, with the place after which it would go on."""
    names = [lot_stream(lot_code), *log_view.streams_like(db, f"draw/{lot_code}-")]
    if sheets:
        if node_of(settings, custody_view.chain(db, names[0]).owner) == from_node:
            # A dead owner may have begun a draw that nobody has seen: the next of each kind is begun here with its number.
            names += [draw_stream(one) for one in draws_ahead(lot_code, state.round_no, set(names))]
        names += log_view.streams_like(db, f"sheet/{lot_code}/")
        names += [
            sheet_stream(lot_code, state.round_no, one.no) for one in state.panel.members if one.venue_node == from_node
        ]
    peer = settings.peer(from_node)
    moved = []
    for stream in dict.fromkeys(names):
        chain = custody_view.chain(db, stream)
        owner = chain.owner or (peer.origin if peer is not None and stream != names[0] else "")
        if chain.contested:  # either branch can be taken up: the one whose node is named
            writers = (one for one in log_view.origins_of(db, stream) if node_of(settings, one) == from_node)
            owner = next((one for one in writers if one != settings.origin), "")
        if not owner or owner == settings.origin or node_of(settings, owner) != from_node:
            continue
        rows = [row for row in custody_view.branch(db, stream, owner) if row.origin == owner]
        seq, leaf = (rows[-1].seq, leaf_hash(read_entry(db, owner, rows[-1].seq))) if rows else (-1, b"")
        moved.append(Moved(stream, chain.term + 1, owner, seq, leaf))
    return tuple(moved)


def _lot(db: apsw.Connection, node: Node, lot_code: str) -> LotState:
    state = node.recorder.state(db, lot_stream(lot_code))
    if not isinstance(state, LotState):
        raise Refused("unknown-event", rule="known-events-only", value=state.name)
    return state


async def take(
    node: Node, lot_code: str, from_node: str, reason: str, second: str, *, command_id: bytes, actor: Actor
) -> Receipt:
    """Take over every stream of the lot that a dead node owned, or take what a live one has released."""

    def prepare(db: apsw.Connection) -> TakeCustody:
        state = _lot(db, node, lot_code)
        handed = state.custody.released_to == node.settings.node
        moved = _moved(db, node.settings, lot_code, state, from_node, sheets=not handed)
        source = moved[0].from_origin if moved else ""
        held, signed, last = _known_of(db, source)
        return TakeCustody(
            how=HANDED_OVER if handed else TAKEN_OVER,
            from_node=from_node,
            to_node=node.settings.node,
            moved=moved,
            held_size=held,
            signed_size=signed,
            statement=statement_of(held, signed, last, closed_short(db, source) if source else ""),
            reason=reason,
            second=second,
        )

    return await node.record_prepared(
        lot_stream(lot_code), prepare, command_id, actor, "take", from_node, reason, second
    )


async def release(
    node: Node, lot_code: str, to_node: str, reason: str, second: str, *, command_id: bytes, actor: Actor
) -> Receipt:
    """Let go of a lot's stream for another node of the room."""
    peer = node.settings.peer(to_node)
    if peer is None or peer.kind != "room":
        raise Refused("unknown-venue", rule="venues-are-enrolled", value=to_node)
    command = ReleaseCustody(to_node, reason, second)
    return await node.submit(lot_stream(lot_code), command, command_id=command_id, actor=actor)


async def recall(node: Node, lot_code: str, reason: str, *, command_id: bytes, actor: Actor) -> Receipt:
    """Go on with a released lot that nobody has taken."""
    return await node.submit(lot_stream(lot_code), RecallCustody(reason), command_id=command_id, actor=actor)


async def decide_tail(
    node: Node, origin: str, seq: int, *, adopt: bool, reason: str, second: str, command_id: bytes, actor: Actor
) -> Receipt:
    """Adopt or decline one entry of a former owner's tail."""
    stream = await node.read(lambda db: _stream_of(db, origin, seq))

    def prepare(db: apsw.Connection) -> AdoptEntry | DeclineEntry:
        rows = custody_view.tail(db, stream)
        found = next((one for one in rows if (one.row.origin, one.row.seq) == (origin, seq)), None)
        if found is None or found.outcome:
            value = f"{origin} #{seq}"
            raise Refused(
                "not-in-the-tail", rule="undecided-tail-entries", value=value, limit=found.outcome if found else ""
            )
        earlier = sum(1 for one in rows if one.row.origin == origin and one.row.seq < seq and not one.outcome)
        body = read_entry(db, origin, seq)
        leaf = leaf_hash(body)
        if not adopt:
            return DeclineEntry(origin, seq, leaf, reason, second, earlier)
        entry = decode(body)
        events = projection.events_of(entry)
        if any(isinstance(event, (Unrecognised, *CUSTODY_EVENTS)) for event in events):
            raise Refused("stream-moved-on", rule="adopt-what-is-known", value=entry.events[0][0])
        return AdoptEntry(
            origin=origin,
            seq=seq,
            leaf=leaf,
            at_ms=entry.at_ms,
            actor=entry.actor,
            reason=reason,
            second=second,
            events=events,
            since=_since(db, stream),
            earlier_undecided=earlier,
        )

    return await node.record_prepared(stream, prepare, command_id, actor, origin, seq, adopt, reason, second)


def _stream_of(db: apsw.Connection, origin: str, seq: int) -> str:
    if origin not in origins(db):
        raise Refused("not-in-the-tail", rule="undecided-tail-entries", value=f"{origin} #{seq}")
    try:
        return decode(read_entry(db, origin, seq)).stream
    except LogFault as fault:
        raise Refused("not-in-the-tail", rule="undecided-tail-entries", value=f"{origin} #{seq}") from fault


def _since(db: apsw.Connection, stream: str) -> tuple[object, ...]:
    """Return the events of the stream's present term, except changes of custody and adopted entries.

    A declined entry of the lot's own stream is among them: what came after it was decided in another state.
    """
    parts = custody_view.chain(db, stream).segments
    if not parts:
        return ()
    found: list[object] = []
    for row in custody_view.of_stream(db, stream):
        if row.origin != parts[-1].origin or row.seq < parts[-1].start:
            continue
        events = projection.events_of(decode(read_entry(db, row.origin, row.seq)))
        names = {type(event).__name__ for event in events}
        if "EntryAdopted" in names or names <= _MOVES:
            continue
        found.extend(event for event in events if not (isinstance(event, CUSTODY_EVENTS) and stream[0] == "s"))
    return tuple(found)


_MOVES = {"CustodyTaken", "CustodyReleased", "CustodyRecalled"}
