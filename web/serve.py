"""A running node: its tasks in one event loop, started in order and stopped in order (运行)."""

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial

from aiohttp.web_runner import AppRunner, TCPSite

from node import control
from node.around import EVERY_S
from node.copy_leave import copy_withheld
from node.folder_words import missing_words
from node.node import Node
from node.person_trust import PersonTrust
from node.places import ADDRESSES, DATABASE
from node.readers import may_read
from node.recover import Recovery, stop_on_proof
from node.rejudging import Rejudging
from node.replica import Replicator
from node.settings import Peer, Settings
from node.start import open_asking
from node.store import StoreFault
from node.successions import own_former
from node.trust import machine_ms
from node.trust_keeper import TrustKeeper
from node.verdict import words_of
from sync.announce import Discovery
from sync.checkpoint import Opened
from sync.endpoints import MirroredLog, SyncNode, sync_app
from sync.follow import pull_log
from sync.http_log import http_logger
from sync.lanes import Lane, Lanes
from sync.link import PeerLink
from sync.merkle import MAX_SIZE
from sync.note import VerifierKey
from sync.office import Office
from sync.person_lists import PersonLists
from sync.receiver import Route
from sync.replicate import Push, RemoteNode, push_log
from sync.status import LinkState
from sync.succession import Statement
from sync.supervise import log_once
from sync.task import Task
from sync.told import Told
from sync.trust_port import TrustPort
from web.epochs import Epochs
from web.file_keeping import FileKeeping
from web.main import create_app

PROJECT_AGAIN_S = 5.0


class Replication:
    """Pushing the own log to every peer, following the prefecture's, projecting what arrives."""

    def __init__(self, node: Node) -> None:
        """Make the tasks; `start` runs them."""
        self._node = node
        self._arrived = asyncio.Event()
        self._stopped = asyncio.Event()
        self._origins: set[str] = set()
        self._unprojected: set[str] = set()
        self._looking: set[asyncio.Task[None]] = set()
        self._tasks: list[Task] = []
        self._links: list[PeerLink] = []
        self._lanes: dict[str, Lanes] = {}  # all links to one peer share its line
        self._running: list[asyncio.Task[None]] = []
        self._files = FileKeeping(node)
        self._persons = PersonTrust.of(node.settings)
        settings, keys = node.settings, node.keys
        trust: dict[str, MirroredLog] = {}
        ca = (keys.folder / "ca.crt").read_bytes()
        self._epochs = Epochs(node, trust, ca)
        self._trust = trust
        self.server_context, self._client_context = keys.server_context(), keys.client_context()
        self._office = None if settings.authority is None else Office(settings.authority)
        self.sync = SyncNode(
            db=node.store,
            cosigner=keys.cosigner,
            witness=keys.witness,
            prefecture=keys.prefecture,
            trust=trust,
            allowed=lambda peer, origin: origin in trust and settings.peer(peer) is not None,
            ca=ca,
            succeeded=self._succeeded,
            introduce=self._epochs.introduce,
            now_ms=self._now_ms,
            stored=self._stored,
            heard=self._asked_by,
            judge=keys.judge,
            more_routes=self._files.port().routes
            + Told(keys.log_signer.vkey, self._disproved).routes
            + self._trust_routes()
            + self._person_lists(),
            readable=lambda peer, origin: may_read(node.settings, peer, origin),
            released=self._released,
            has_room=node.around.has_room,
        )
        cosigners = {peer.name: VerifierKey.parse(peer.cosigner_vkey) for peer in settings.peers}
        self._discovery = self._discover()
        dialled = [peer for peer in settings.peers if self._dials(peer)]
        for peer in dialled:
            push = self._push(peer, settings.origin)
            push.others = tuple(key for name, key in cosigners.items() if name != peer.name)
            push.released = partial(self._released, settings.origin)
            push.own, push.disproved, push.introduce = keys.log_signer.vkey, self._disproved, self._epochs.introduce
            self._former(peer)
            self._tasks += self._files.tasks(peer.name, partial(self._link, peer, Lane.BLOBS), self._now_ms)
        # A neighbour carries what it mirrors up, and the prefecture's log down, when its line works first (design 5.8).
        for above in (peer for peer in dialled if peer.kind == "prefecture"):
            self._pull(above, above, "pull")
            for beside in (peer for peer in settings.peers if peer.kind == "room"):
                relay = self._push(above, beside.origin)
                relay.status = replace(relay.status, direction="relay")
                if self._dials(beside):
                    self._pull(beside, above, "relay")
        node.peer_status = lambda: tuple(task.status for task in self._tasks)
        node.show_mirrored, node.succeeded = self._follow, self._succeeded

    def _dials(self, peer: Peer) -> bool:
        return bool(peer.url) or (peer.kind == "room" and self._discovery is not None)

    def _discover(self) -> Discovery | None:
        settings = self._node.settings
        if not settings.discover:
            return None
        found = Discovery(
            node=settings.node,
            role=settings.role,
            room=settings.room,
            port=settings.sync_port,
            expected=frozenset(peer.name for peer in settings.peers if peer.kind == "room" and not peer.url),
            enrolled=frozenset(peer.name for peer in settings.peers),
            now_ms=machine_ms,
            remembered=settings.data / ADDRESSES,
            interfaces=() if settings.sync_host in {"0.0.0.0", "::"} else (settings.sync_host,),  # noqa: S104
        )
        found.found = self._heard
        return found

    def _trust_routes(self) -> tuple[Route, ...]:
        trust = self._node.keys.judge
        return () if trust is None else TrustPort(trust, self._office).routes

    def _person_lists(self) -> tuple[Route, ...]:
        return () if self._persons is None else PersonLists(self._persons.shelf).routes

    def _renewed(self) -> None:
        """Handshakes from now on show the new certificate; contexts are the same."""
        folder = self._node.keys.folder
        for context in (self.server_context, self._client_context):
            context.load_cert_chain(folder / "tls.crt", folder / "tls.key")

    def _link(self, peer: Peer, lane: Lane = Lane.ENTRIES) -> PeerLink:
        keys = self._node.keys
        link = PeerLink(
            url=peer.url,
            node=peer.name,
            prefecture=keys.prefecture,
            context=self._client_context,
            lanes=self._lanes.setdefault(peer.name, Lanes(peer.cap_kbit_s)),
            lane=lane,
            whereabouts=self._discovery,
        )
        self._links.append(link)
        return link

    def _push(self, peer: Peer, origin: str) -> Push:
        remote = RemoteNode(peer.name, VerifierKey.parse(peer.cosigner_vkey))
        push = push_log(self._link(peer), self._node.store, origin=origin, peer=remote, now_ms=self._now_ms)
        push.reached = self._reached
        self._tasks.append(push)
        return push

    def _former(self, peer: Peer) -> None:
        """Bring a peer what it lacks of our closed logs."""
        for one in own_former(self._node.settings, self._node.statements):
            push = self._push(peer, one.old_origin)
            push.closed, push.more_there, push.introduce = True, self._epochs.holds_more, self._epochs.introduce

    def _pull(self, peer: Peer, owner: Peer, direction: str) -> Task:
        """Follow the owner's log at a peer."""
        task = pull_log(
            self._link(peer),
            self._node.store,
            log=self._trust[owner.origin],
            cosigner=self._node.keys.cosigner,
            now_ms=self._now_ms,
            stored=self._stored,
        )
        task.status = replace(task.status, direction=direction)
        self._tasks.append(task)
        return task

    def _succeeded(self, statement: Statement) -> None:
        """A peer goes on in another log: it is mirrored from now on, and read where this node reads its peer's logs."""
        self._epochs.succeeded(statement)
        peer = self._node.settings.peer(statement.node)
        if peer is not None and peer.kind == "prefecture" and peer.url:
            task = self._pull(peer, peer, "pull")
            self._running.append(asyncio.create_task(task.run()))

    def _now_ms(self) -> int:
        return self._node.clock.now().at_ms

    def _released(self, origin: str) -> int:
        """Return the size beyond which nothing is shown of a log: of the own one, what the fence has passed."""
        released = self._node.recorder.fence.state.released
        return released.size if origin == released.origin else MAX_SIZE

    def _asked_by(self, peer: str) -> None:
        self._node.around.heard(peer, self._now_ms())
        self._heard(peer)

    def _heard(self, peer: str) -> None:
        """A peer that asks us something is there: do not wait out the delay."""
        for task in self._tasks:
            if task.status.name == peer and task.status.state is LinkState.OFFLINE:
                task.retry_now()

    def _reached(self, origin: str) -> None:
        """A peer has cosigned more of a log: somebody may be waiting for it."""
        self._files.notify()  # a peer that holds the entries takes their files now
        looking = asyncio.create_task(self._node.witness.look(origin))
        self._looking.add(looking)
        looking.add_done_callback(self._looking.discard)

    def _stored(self, origin: str) -> None:
        follower = [one.new_origin for one in self._node.statements if one.old_origin == origin]
        self._origins.update((origin, *follower))  # what goes on from a log may have waited for it
        self._arrived.set()

    def appended(self) -> None:
        """The own log has grown. Relays look by themselves, every few seconds: the owner's own push mostly was there first."""
        for task in self._tasks:
            if task.status.direction != "relay":
                task.notify()

    async def _project(self) -> None:
        """Views follow mirrored bytes by cursor; a failing view never stops replication, nor the views of other logs.

        A log whose view failed is tried again after a while: its bytes are stored, only pages are behind.
        """
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._arrived.wait(), PROJECT_AGAIN_S if self._unprojected else None)
            self._arrived.clear()
            due = self._origins | self._unprojected
            self._origins = set()
            for origin in sorted(due):
                await self._follow(origin)

    async def _follow(self, origin: str) -> None:
        try:
            while await self._node.store.write(lambda db: self._node.recorder.follow(db, origin)):
                continue
        except Exception as error:  # noqa: BLE001 - the supervisor: said on every page, logged once a minute, tried again
            self._unprojected.add(origin)
            log_once(error, f"views of {origin}")
        else:
            self._unprojected.discard(origin)
            self._node.awaited.shown()
        self._node.stale_views = tuple(sorted(self._unprojected))

    async def _recover(self) -> None:
        """A stopped node goes on trying to heal, whenever it was stopped; then its neighbours are told at once."""
        while True:
            await Recovery(self._node).run()
            if self._node.stopped is None:
                self._node.feed.publish({"status", "log"})
                for task in self._tasks:
                    task.retry_now()
            await self._stopped.wait()
            self._stopped.clear()

    async def _disproved(self, proof: Opened, by: str) -> None:
        if self._node.stopped is None:
            try:
                await stop_on_proof(self._node, proof, by)
            finally:  # also where the disk refused to keep the proof: the node is stopped, and must come to itself
                self._stopped.set()

    async def _look_around(self) -> None:
        while True:
            try:
                if await self._node.around.look():
                    self._node.feed.publish({"status"})
            except (StoreFault, OSError) as error:
                log_once(error, "looking around")
            await asyncio.sleep(EVERY_S)

    async def _watch(self) -> None:
        """Tell the pages when a link's word or a record's reach changes."""
        before: object = None
        while True:
            await asyncio.sleep(0.5)
            now = tuple((task.status.state, task.status.entries_behind, task.status.why) for task in self._tasks)
            if now != before:
                before = now
                self._node.feed.publish({"status", "log"})

    def start(self) -> None:
        """Run every task."""
        for task in self._tasks:
            self._running.append(asyncio.create_task(task.run()))
        self._running.append(asyncio.create_task(self._project()))
        self._running.append(asyncio.create_task(self._watch()))
        self._running.append(asyncio.create_task(self._look_around()))
        self._running.append(asyncio.create_task(self._files.run()))
        self._running.append(asyncio.create_task(self._recover()))
        self._running.append(asyncio.create_task(self._epochs.run()))
        trust = self._node.keys.judge
        if trust is not None:
            links = tuple((peer, self._link(peer)) for peer in self._node.settings.peers if self._dials(peer))
            keeper = TrustKeeper(self._node, trust, links, office=self._office, renewed=self._renewed)
            keeper.discovery = self._discovery
            self._running.append(asyncio.create_task(keeper.run()))
        if self._persons is not None:
            links = tuple((peer, self._link(peer)) for peer in self._node.settings.peers if self._dials(peer))
            self._running.append(asyncio.create_task(Rejudging(self._node, self._persons, links).run()))
        if self._discovery is not None:
            self._running.append(asyncio.create_task(self._discovery.run()))
        for peer in self._node.settings.peers:
            if peer.kind == "prefecture" and peer.url:
                asking = self._epochs.ask(self.sync, peer, self._link(peer))
                self._running.append(asyncio.create_task(asking))

    async def stop(self) -> None:
        """Cancel every task and drop the links."""
        for running in self._running:
            running.cancel()
        for running in self._running:
            with contextlib.suppress(asyncio.CancelledError):
                await running
        for link in self._links:
            await link.close()


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Node]:
    """Open a node and everything around it; close it in the opposite order."""
    node = await open_asking(settings, healing=False)
    loop = asyncio.get_running_loop()
    replication = Replication(node)

    def released(topics: frozenset[str]) -> None:
        loop.call_soon_threadsafe(_tell, node, replication, topics)

    node.recorder.released = released
    sync_runner = AppRunner(
        sync_app(replication.sync), access_log=None, logger=http_logger("sync port"), shutdown_timeout=0.5
    )
    pages_runner = AppRunner(create_app(node), access_log=None, logger=http_logger("pages port"), shutdown_timeout=0.5)
    server = None
    copying = _replicate_database(node)
    try:
        await sync_runner.setup()
        await TCPSite(
            sync_runner, settings.sync_host, settings.sync_port, ssl_context=replication.server_context
        ).start()
        await pages_runner.setup()
        await TCPSite(pages_runner, settings.pages_host, settings.pages_port).start()
        server = await control.serve(node)
        await node.witness.look()
        replication.start()
        yield node
    finally:
        node.feed.close()
        for task in copying:
            task.cancel()
        await asyncio.gather(*copying, return_exceptions=True)
        await replication.stop()
        if server is not None:
            server.close()
        await pages_runner.cleanup()
        await sync_runner.cleanup()
        await node.close()


def _replicate_database(node: Node) -> list[asyncio.Task[None]]:
    """Start a Litestream for every configured replica; none of them is ever a reason to stop."""
    keepers = [
        Replicator(
            node.settings.data,
            replica,
            changed_s=(lambda: node.store.changed_s) if replica.database == DATABASE else (lambda: 0.0),
            changed=lambda: node.feed.publish({"status"}),
            withheld=partial(_withheld, node, replica.database),
        )
        for replica in node.settings.replicas
    ]
    node.replica_status = lambda: tuple(keeper.status for keeper in keepers)
    return [asyncio.create_task(keeper.run()) for keeper in keepers]


def _withheld(node: Node, database: str, starting: bool) -> str:
    return copy_withheld(node, database, starting=starting)


def _tell(node: Node, replication: Replication, topics: frozenset[str]) -> None:
    node.feed.publish(topics)
    replication.appended()


def _stopped_words(node: Node) -> str:
    if node.gate.cause == "database-missing":
        replicas = tuple(one.name for one in node.settings.replicas if one.database == DATABASE)
        return missing_words(node.settings.data, node.gate, replicas)
    return words_of(node.gate) or str(node.stopped)


async def run(settings: Settings) -> None:
    """Run a node until SIGINT or SIGTERM."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(name, stop.set)
    async with running(settings) as node:
        print(f"ready http://{settings.pages_host}:{settings.pages_port}", flush=True)
        if node.stopped is not None:
            print(f"只读 / read-only: {_stopped_words(node)}", flush=True)
        await stop.wait()
