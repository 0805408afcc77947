"""How a node comes to life (启动): made once at enrolment, then opened through its gate on every start.

`create_data` makes database and fence for a fresh log; `open_node` opens both, lets the gate decide whether the node may
append, brings mirrored views up to date, and returns the Node. A node that may not append still answers every question.
"""

import asyncio
from dataclasses import replace
from pathlib import Path

import apsw

from node import expert_bank, personal, projection
from node.ask_peers import ask_peers, found_before, seen_in
from node.calendars import CalendarFault, load_calendar
from node.clock import Clock, DemoClock, SystemClock
from node.epoch_files import finish_epoch
from node.feed import Feed
from node.litestream import end_orphan
from node.neighbours import LISTEN_S, Awaited, sizes_of_neighbours
from node.node import Node
from node.people import load_people
from node.places import BLOBS, DATABASE, FENCE, KEYS, ROOM_KEY
from node.profiles_loader import load_profiles
from node.recorder import DIGEST_SCHEMA, NodeFault, Recorder
from node.recover import Recovery
from node.remembered import ask_cosigned, take_all_back
from node.room_key import load_room_key
from node.settings import Settings
from node.store import Store, connect
from node.successions import current, known_successions
from node.trust import load_judged
from node.verdict import RESTORE_SCHEMA, is_restored, report_of
from node.views.blobs import REACH_SCHEMA
from sync.blobs import BlobStore
from sync.fence import Behind, Fence, Gate, Rollback, Seen
from sync.gate import check_start
from sync.heal import HEAL_SCHEMA
from sync.keys import NodeKeys
from sync.log import LOG_SCHEMA, instance_id, open_log, origins

__all__ = [
    "BLOBS",
    "DATABASE",
    "FENCE",
    "KEYS",
    "ROOM_KEY",
    "clock_of",
    "create_data",
    "make_tables",
    "open_asking",
    "open_node",
]


def make_tables(db: apsw.Connection) -> None:
    """Make every table that is not there yet."""
    db.execute(LOG_SCHEMA)
    db.execute(personal.SCHEMA)
    db.execute(expert_bank.SCHEMA)
    db.execute(DIGEST_SCHEMA)
    db.execute(REACH_SCHEMA)
    db.execute(projection.VIEW_SCHEMA)
    db.execute(projection.CURSOR_SCHEMA)
    db.execute(HEAL_SCHEMA)
    db.execute(RESTORE_SCHEMA)


def create_data(data: Path, origin: str) -> None:
    """Make the database and the fence of a new log. Raises FenceFault where a fence is already there."""
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    (data / FENCE).parent.mkdir(exist_ok=True, mode=0o700)
    db = connect(data / DATABASE)
    try:
        db.execute("BEGIN IMMEDIATE")
        make_tables(db)
        open_log(db, origin)
        instance = instance_id(db)
        db.execute("COMMIT")
    finally:
        db.close()
    Fence.create(data / FENCE, instance=instance, origin=origin).close()


def clock_of(settings: Settings) -> Clock:
    """Return the machine's clock, or a demo's."""
    return DemoClock(settings.demo_clock) if settings.demo and settings.demo_clock else SystemClock()


def _gate(store: Store, fence: Fence, keys: NodeKeys, seen: tuple[Seen, ...]) -> Gate:
    """Let the gate decide, and move the fence after an ordinary crash."""
    verdict = store.setup(lambda db: check_start(db, fence, keys.log_signer.vkey, seen))
    if isinstance(verdict, Behind):
        fence.advance(verdict.to)
    return verdict


def _fault(verdict: Gate) -> NodeFault | None:
    if not isinstance(verdict, Rollback):
        return None
    return NodeFault(
        f"start-up gate: {verdict.cause} ({verdict.source}), log holds {verdict.local.size} entries",
        "this copy only answers questions; do not go on with it before it has been compared with its neighbours",
    )


async def open_asking(settings: Settings, *, healing: bool = True) -> Node:
    """Open a node after its peers were asked what they hold of its log; one that is stopped tries once to heal.

    Without `healing` the caller runs `Recovery` itself. Raises what `open_node` raises.
    """
    finish_epoch(settings.data)
    now = current(found_before(settings))
    keys = load_judged(now)
    answers, sizes, cosigned = await asyncio.gather(
        ask_peers(now, keys), sizes_of_neighbours(now, keys), ask_cosigned(now, keys)
    )
    node = open_node(settings, seen=seen_in(answers))
    node.around.asked = tuple((one.peer.name, one.reached) for one in answers)
    if cosigned:
        await node.store.write(lambda db: take_all_back(db, cosigned, node.clock.now().at_ms))
    listen_s = LISTEN_S if now.is_prefecture and any(not peer.url for peer in now.peers) else 0.0
    node.awaited = Awaited(sizes, listen_s)
    if node.stopped is not None:
        recovery = Recovery(node)
        await recovery.keep_branches(answers)
        if healing:
            await recovery.attempt()
    return node


def open_node(settings: Settings, clock: Clock | None = None, seen: tuple[Seen, ...] = ()) -> Node:
    """Open a node from its data folder; `seen` is what its peers have cosigned of its log.

    Raises SettingsFault, KeyFault, StoreFault, FenceFault, CalendarFault.
    """
    finish_epoch(settings.data)
    settings = current(settings)
    keys = load_judged(settings)
    room_key = None if settings.is_prefecture else load_room_key(settings.data / ROOM_KEY)
    profiles = load_profiles()
    people = load_people(settings.people)
    clock = clock or clock_of(settings)
    fence = Fence.open(settings.data / FENCE)
    for replica in settings.replicas:
        end_orphan(settings.data, replica)
    store = Store(settings.data / DATABASE)
    recorder = Recorder(settings, keys, fence, clock, profiles)
    if settings.calendar is not None:
        try:
            recorder.calendar = load_calendar(settings.calendar, settings.calendar_vkeys)
        except CalendarFault:
            fence.close()
            raise

    def prepare(db: apsw.Connection) -> None:
        make_tables(db)
        recorder.open(db)

    store.setup(prepare)
    statements = store.setup(known_successions)
    verdict = _gate(store, fence, keys, seen)
    for origin in store.setup(origins):
        # The own log is followed only where a heal was cut before its views were made.
        if origin != settings.origin or store.setup(lambda db: projection.lags(db, settings.origin)):
            while store.setup(lambda db, name=origin: recorder.follow(db, name)):  # type: ignore[misc]
                continue
    store.setup(lambda db: projection.caught_up(db, settings.origin))
    store.before_commit = recorder.before_commit
    store.after_commit = recorder.after_commit
    store.after_rollback = recorder.after_rollback
    node = Node(
        settings=settings,
        store=store,
        recorder=recorder,
        keys=keys,
        room_key=room_key,
        blobs=BlobStore(settings.data / BLOBS),
        feed=Feed(),
        clock=clock,
        people=people,
        profiles=profiles,
    )
    node.stopped = _fault(verdict)
    node.gate = report_of(verdict)
    if node.gate.cause in {"other-instance", "database-missing"} and store.setup(is_restored):
        node.gate = replace(node.gate, cause="restored")
    node.statements = statements
    store.start()
    return node
