"""What pages, the control socket and the command line talk to: one node (节点), its commands, its answers.

`submit` records a command as it is. The other verbs first do what the rules cannot: seal, open, gather (node/sealing.py).
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import apsw

from node import personal, sealing
from node.around import Around
from node.attachments import Attachments, away
from node.bid_file import open_bid
from node.branches import Branch
from node.ceremony import Ceremonies
from node.clock import Clock
from node.domain import bond as bond_rules
from node.domain.bidding import BidContent
from node.domain.bond import BondFacts, RecordBond
from node.domain.incident import RelaxWitness
from node.domain.lot import LotState
from node.domain.notice import RegisterParticipation
from node.domain.objection import RaiseObjection
from node.domain.opening import OpenBid
from node.domain.panel import FormCommittee, ReplaceMember
from node.domain.profile import Profile
from node.domain.refused import Refused
from node.domain.sheet import SubmitChecklist, SubmitMarks
from node.domain.streams import lot_stream, sheet_stream
from node.domain.values import Actor
from node.evaluating import Evaluating
from node.feed import Feed
from node.identities import BidderIdentity, BondIdentity, MemberIdentity, bind_member
from node.neighbours import Awaited
from node.people import Person
from node.reach import reach_of
from node.receipts import Reach, Receipt, place_of, receipt_of, seq_of_command
from node.recorder import NodeFault, Recorder
from node.replica import ReplicaStatus
from node.room_key import RoomKey
from node.settings import Settings
from node.signatures import beside
from node.store import Store, StoreFault
from node.verdict import GateReport
from node.views import custody as custody_view
from node.witness import REQUIRED, NotWitnessed, Witness
from sync import codec
from sync.alarms import Alarm
from sync.blobs import BlobFault, BlobStore
from sync.heal import Healed
from sync.keys import NodeKeys
from sync.log import LogFault, origins, read_entry
from sync.seal import SealFault
from sync.status import LinkState, PeerStatus
from sync.succession import Statement

T = TypeVar("T")
HOLD_S = 9.0  # how long a command waits for what the neighbours wrote


class Node:
    """A started node."""

    def __init__(
        self,
        *,
        settings: Settings,
        store: Store,
        recorder: Recorder,
        keys: NodeKeys,
        room_key: RoomKey | None,
        blobs: BlobStore,
        feed: Feed,
        clock: Clock,
        people: dict[str, Person],
        profiles: tuple[Profile, ...],
    ) -> None:
        """Wire the parts; node/start.py makes them."""
        self.settings = settings
        self.store = store
        self.recorder = recorder
        self.keys = keys
        self.blobs = blobs
        self.feed = feed
        self.clock = clock
        self.people = people
        self.profiles = profiles
        self.stopped: NodeFault | None = None
        self.gate = GateReport()
        self.healed: Healed | None = None  # what this process has brought back of the own log
        self.statements: tuple[Statement, ...] = ()  # which log follows which, own and peers'
        self.branches: tuple[Branch, ...] = ()  # other histories of the own closed logs, as last looked at
        self.stale_views: tuple[str, ...] = ()  # logs whose entries are held but not yet shown
        self.replica_status: Callable[[], tuple[ReplicaStatus, ...]] = tuple
        self.succeeded: Callable[[Statement], None] | None = None  # a peer goes on in another log: told to this process
        self.show_mirrored: Callable[[str], Awaitable[None]] | None = None  # how this process brings views up to date
        self.peer_status: Callable[[], tuple[PeerStatus, ...]] = tuple
        self.trust_alarms: tuple[Alarm, ...] = ()
        self.around = Around(settings, store)
        self.strangers: tuple[str, ...] = ()  # names announced on the room's network that are no peers of this node
        self.witness = Witness(settings, store)
        self.attachments = Attachments(store, blobs)
        self.awaited = Awaited({})
        self._room_key = room_key
        self._evaluating = Evaluating(settings, recorder, keys)
        self.ceremonies = Ceremonies(blobs)

    # -- commands ----------------------------------------------------------------------------------------------------

    async def submit(self, stream: str, command: Any, *, command_id: bytes, actor: Actor) -> Receipt:
        """Record one command. Raises Refused, NodeFault or StoreFault; then nothing was recorded."""
        return await self.record_prepared(stream, lambda _db: command, command_id, actor, command)

    async def record_prepared(
        self,
        stream: str,
        prepare: Callable[[apsw.Connection], Any],
        command_id: bytes,
        actor: Actor,
        *content: Any,
    ) -> Receipt:
        """Record the command that `prepare` makes on the writer thread, where it sees what the rules will see.

        `content` is what the person gave, before sealing: a repeated command_id with other content is refused. Raises
        NotWitnessed where it is recorded and no neighbour holds it yet, when one must.
        """
        if self.stopped is not None:
            raise self.stopped
        await self._wait_for_neighbours()

        digest, carried = sealing.digest_of(self.keys, stream, *content), beside()

        def job(db: apsw.Connection) -> Receipt:
            if self.stopped is not None:  # while it waited for the writer
                raise self.stopped
            return self.recorder.record(
                db,
                stream,
                lambda: prepare(db),
                command_id=command_id,
                actor=actor,
                content=digest,
                evidence=carried.evidence,
                agreed=lambda command: carried.check(db, command, actor, self.settings.asks_certificates, self._room),
            )

        receipt = await self.store.write(job)
        if self.witness.mode == REQUIRED and not await self.witness.wait(receipt.seq, await self.relaxed_seq()):
            raise NotWitnessed(receipt, command_id)
        return receipt

    async def _wait_for_neighbours(self) -> None:
        """After a start: hold a command until the views know what the neighbours wrote meanwhile. Raises NodeFault."""
        try:
            async with asyncio.timeout(HOLD_S):
                while self.awaited.words:
                    await self.store.read(self.awaited.look)
                    if self.awaited.words:
                        await self.awaited.moved()
        except TimeoutError:
            raise NodeFault(
                f"catching up with the neighbours: {self.awaited.words}", "try again in a few seconds", "catching-up"
            ) from None

    async def relaxed_seq(self) -> int:
        """Return the place of the last switch to receipts that stand on this node alone; -1 where there was none."""
        state = await self.state(f"room/{self.settings.node}")
        return int(getattr(state, "relaxed_seq", -1))

    async def relax_witness(self, reason: str, second: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Two persons let receipts stand on this node alone while the neighbour is down."""
        up = [
            status.name
            for status in self.peer_status()
            if status.direction == "push" and status.state in {LinkState.CURRENT, LinkState.SENDING}
        ]
        rooms = [peer.name for peer in self.settings.peers if peer.kind == "room" and peer.name in up]
        if rooms or self.witness.mode != REQUIRED:
            raise Refused("witness-is-there", rule="relaxed-while-alone", value=", ".join(rooms))
        command = RelaxWitness(reason, second)
        return await self.submit(f"room/{self.settings.node}", command, command_id=command_id, actor=actor)

    async def register_participation(
        self, lot_code: str, identity: BidderIdentity, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """A bidder takes the documents; who it is is sealed to the room and kept erasable. The ref follows command_id."""
        ref = sealing.ref_of(command_id)
        bound = personal.bind("bidder", (identity.name, identity.uscc, identity.contact, identity.phone))
        sealed = self._room().seal(personal.packed(bound), f"erhai-participation-v1\n{lot_code}\n{ref}\n".encode())

        def prepare(db: apsw.Connection) -> RegisterParticipation:
            personal.keep(db, bound, self._room().seal)
            return RegisterParticipation(ref, bound.commitment, sealed)

        return await self.record_prepared(lot_stream(lot_code), prepare, command_id, actor, identity)

    async def record_bond(
        self, lot_code: str, facts: BondFacts, identity: BondIdentity, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """A bond arrived; its facts are judged now and logged only under seal. `facts.verdict` is ignored."""
        fields = (identity.payer, identity.account)
        bound = personal.bind("payer", fields)
        plain = codec.pack(
            (personal.packed(bound), facts.form, facts.amount_fen, facts.posted_at_ms, facts.valid_to_ms)
        )
        sealed = self._room().seal(plain, f"erhai-bond-v1\n{lot_code}\n{facts.ref}\n".encode())

        def prepare(db: apsw.Connection) -> RecordBond:
            personal.keep(db, bound, self._room().seal)
            return RecordBond(
                ref=facts.ref,
                form=facts.form,
                amount_fen=facts.amount_fen,
                posted_at_ms=facts.posted_at_ms,
                valid_to_ms=facts.valid_to_ms,
                commitment=bound.commitment,
                sealed=sealed,
            )

        return await self.record_prepared(lot_stream(lot_code), prepare, command_id, actor, facts, identity)

    async def open_bid(
        self, lot_code: str, ref: str, *, command_id: bytes, actor: Actor, lost: bool = False
    ) -> Receipt:
        """Open one bid's seal and record the outcome, with whose fault a failure was.

        Refused (file-away) while the receipted file is not here as it was: it is fetched from those who hold it. `lost`: two
        persons have found that nobody does; that, and no room key, is the platform's fault. Bytes as receipted that do not
        open, or hold no bid for this lot, round and participant: the bidder's. Where trustees
        hold the seals, `node.ceremony` says whose piece was wrong or missing.
        """

        def prepare(db: apsw.Connection) -> OpenBid:
            lot = self._evaluating.lot(db, lot_code)
            held = lot.bidding.of(ref)
            if held is None:
                raise Refused("unknown-bid", rule="opened-bids-were-received", value=ref)
            bond = self._bond_facts(lot, ref)
            try:
                if lot.terms.appointed is not None:
                    tried = self.ceremonies.try_seal(lot, ref, held.sha256)
                    return OpenBid(
                        ref, tried.content, bond, tried.fault, tried.reason, tried.shares, tried.half, tried.blames
                    )
                content, fault, reason = self._unsealed(lot, ref, held.sha256)
            except BlobFault as fault_of_file:
                self.attachments.missing[held.sha256] = held.size
                if not lost and ref not in lot.ceremony.given_up:
                    raise away(db, held.sha256) from fault_of_file
                content, fault, reason = None, "platform", "stored-file-damaged"
            return OpenBid(ref, content, bond, fault, reason)

        return await self.record_prepared(
            lot_stream(lot_code), prepare, command_id, actor, "open", ref, *(("lost",) if lost else ())
        )

    def _unsealed(self, lot: LotState, ref: str, sha256: bytes) -> tuple[BidContent | None, str, str]:
        if self._room_key is None:
            return None, "platform", "no-room-key"
        sealed = self.attachments.have(sha256)
        try:
            content = open_bid(sealed, self._room_key, lot_code=lot.lot_code, round_no=lot.round_no, ref=ref)
        except SealFault as error:
            return None, "bidder", error.reason
        return content, "", ""

    def _bond_facts(self, lot: LotState, ref: str) -> BondFacts:
        record = lot.bonds.of(ref)
        profile = next(profile for profile in self.profiles if profile.id == lot.profile_id)
        form, amount_fen, posted_at_ms, valid_to_ms = "", 0, 0, 0
        if record is not None:
            plain = self._room().open(record.sealed, f"erhai-bond-v1\n{lot.lot_code}\n{ref}\n".encode())
            _who, form, amount_fen, posted_at_ms, valid_to_ms = codec.unpack(plain)
        word = bond_rules.verdict(
            lot,
            profile,
            form=form,
            amount_fen=amount_fen,
            posted_at_ms=posted_at_ms,
            valid_to_ms=valid_to_ms,
        )
        return BondFacts(ref, form, amount_fen, posted_at_ms, valid_to_ms, word)

    async def raise_objection(
        self, lot_code: str, kind: str, text: str, who: BidderIdentity, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """An objection; who objects is sealed to the room and kept erasable."""
        bound = personal.bind("objector", (who.name, who.uscc, who.contact, who.phone))
        sealed = self._room().seal(personal.packed(bound), f"erhai-objection-v1\n{lot_code}\n".encode())

        def prepare(db: apsw.Connection) -> RaiseObjection:
            personal.keep(db, bound, self._room().seal)
            return RaiseObjection(kind, text, bound.commitment, sealed)

        return await self.record_prepared(lot_stream(lot_code), prepare, command_id, actor, kind, text, who)

    async def form_committee(
        self,
        lot_code: str,
        how: str,
        members: tuple[MemberIdentity, ...],
        reason: str = "",
        *,
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        """Name the committee of a special project (ZB 37); names are sealed to the room and kept erasable."""
        bound = [bind_member(self._room(), lot_code, member) for member in members]

        def prepare(db: apsw.Connection) -> FormCommittee:
            for _member, data in bound:
                personal.keep(db, data, self._room().seal)
            return FormCommittee(how, tuple(member for member, _ in bound), reason)

        return await self.record_prepared(lot_stream(lot_code), prepare, command_id, actor, how, members, reason)

    async def replace_member(
        self,
        lot_code: str,
        no: str,
        reason: str,
        text: str,
        successor: MemberIdentity,
        *,
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        """Replace a member; the successor's name is sealed like the others'."""
        member, data = bind_member(self._room(), lot_code, successor)

        def prepare(db: apsw.Connection) -> ReplaceMember:
            personal.keep(db, data, self._room().seal)
            return ReplaceMember(no, reason, text, member)

        return await self.record_prepared(lot_stream(lot_code), prepare, command_id, actor, no, reason, text, successor)

    async def start_evaluation(self, lot_code: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Begin the evaluation with a fresh session key for the venue nodes of the committee."""
        return await self.record_prepared(
            lot_stream(lot_code), lambda db: self._evaluating.start(db, lot_code), command_id, actor, "start"
        )

    async def submit_marks(
        self, lot_code: str, member: str, command: SubmitMarks, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """Record a member's marks on one bid, sealed to the session."""
        return await self._record_sealed(
            lot_code, member, command, sealing.seal_marks, command_id=command_id, actor=actor
        )

    async def submit_checklist(
        self, lot_code: str, member: str, command: SubmitChecklist, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """Record a member's preliminary review of one bid, sealed to the session."""
        return await self._record_sealed(
            lot_code, member, command, sealing.seal_checklist, command_id=command_id, actor=actor
        )

    async def _record_sealed(
        self,
        lot_code: str,
        member: str,
        command: Any,
        seal: Callable[..., Any],
        *,
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        def prepare(db: apsw.Connection) -> Any:
            round_no = self._evaluating.lot(db, lot_code).round_no
            stream = sheet_stream(lot_code, round_no, member)
            return seal(stream, command, sealing.session_key(db, lot_code, round_no, self.keys))

        lot = await self.state(lot_stream(lot_code))
        return await self.record_prepared(
            sheet_stream(lot_code, lot.round_no, member), prepare, command_id, actor, command
        )

    async def submit_sheet(
        self, lot_code: str, member: str, command: Any, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """Record any other command of a member's sheet (sign-in, recusal, signature, word on the report)."""
        lot = await self.state(lot_stream(lot_code))
        return await self.submit(
            sheet_stream(lot_code, lot.round_no, member), command, command_id=command_id, actor=actor
        )

    async def conclude_preliminary(self, lot_code: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Open every member's checklists with the session key and conclude the preliminary review."""
        return await self.record_prepared(
            lot_stream(lot_code), lambda db: self._evaluating.conclude(db, lot_code), command_id, actor, "conclude"
        )

    async def close_scoring(self, lot_code: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Open every signed sheet, release the session key, rank."""
        return await self.record_prepared(
            lot_stream(lot_code), lambda db: self._evaluating.close(db, lot_code), command_id, actor, "close"
        )

    async def close_recheck(self, lot_code: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """All corrections are in: rank with them."""
        return await self.record_prepared(
            lot_stream(lot_code), lambda db: self._evaluating.recheck(db, lot_code), command_id, actor, "recheck"
        )

    async def complete_report(
        self,
        lot_code: str,
        report_sha256: bytes,
        silent: tuple[tuple[str, str], ...] = (),
        *,
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        """Gather every member's word on this report and complete it.

        `silent` names members who neither signed nor said why, with the circumstances: they count as agreeing (ZBT 53).
        """
        return await self.record_prepared(
            lot_stream(lot_code),
            lambda db: self._evaluating.complete(db, lot_code, report_sha256, silent),
            command_id,
            actor,
            "complete",
            report_sha256,
            silent,
        )

    @property
    def room(self) -> RoomKey:
        """The room key. Raises NodeFault where this node holds none."""
        return self._room()

    def _room(self) -> RoomKey:
        if self._room_key is None:
            raise NodeFault("this node holds no room key", "copy room.key from the room's other node", "no-room-key")
        return self._room_key

    def keep_personal(self, db: apsw.Connection, bound: personal.Personal) -> None:
        """Keep one person's data sealed to the room. Raises NodeFault where this node has no room key."""
        personal.keep(db, bound, self._room().seal)

    # -- answers -----------------------------------------------------------------------------------------------------

    async def state(self, stream: str) -> Any:
        """Return the folded state of a stream, own or mirrored."""
        cached = self.recorder.peek(stream)
        if cached is not None:
            return cached
        return await self.store.write(lambda db: self.recorder.state(db, stream))

    async def read(self, fn: Callable[[apsw.Connection], T]) -> T:
        """Run a query on a read connection."""
        return await self.store.read(fn)

    async def origin_of(self, stream: str) -> str:
        """Return the log that owns a stream; the own one where nobody has written to it."""
        chain = await self.store.read(lambda db: custody_view.chain(db, stream))
        return chain.owner or self.settings.origin

    async def recorded(self, command_id: bytes) -> bool:
        """Return whether this command is in the node's own log already."""
        return await self.store.read(lambda db: seq_of_command(db, self.settings.origin, command_id) is not None)

    async def receipt(self, number: str) -> Receipt | None:
        """Return the receipt with this number, of any log held here."""

        def find(db: apsw.Connection) -> Receipt | None:
            place = place_of(number, origins(db))
            if place is None:
                return None
            try:
                body = read_entry(db, *place)
            except LogFault:
                return None
            return receipt_of(body, codec.decode(body))

        return await self.store.read(find)

    async def reach(self, origin: str, seq: int) -> Reach:
        """Return how far an entry has travelled."""
        return await self.store.read(lambda db: reach_of(db, self.settings, origin, seq))

    async def personal(self, commitment: bytes) -> personal.Personal | None:
        """Return erasable data behind a commitment, if it is kept here."""
        return await self.store.read(lambda db: personal.find(db, commitment, self._room().open))

    @property
    def fault(self) -> NodeFault | StoreFault | None:
        """Why this node records nothing now; None where it does."""
        return self.stopped or self.store.broken or self.store.failing

    async def close(self) -> None:
        """Close the feed and the store, then let go of the fence."""
        self.feed.close()
        await asyncio.sleep(0)
        await self.store.close()
        self.recorder.close()
