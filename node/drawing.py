"""What the rules of a draw cannot do themselves: read the bank, make nonces and their escrow, seal and open lists, seat members.

A nonce that this node makes for a party lives in memory only: from disk, log and backups nobody reads it before its reveal.
After a restart the party types the nonce it has noted, or the trustees open the escrow.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, replace

import apsw

from node import expert_bank, personal
from node.domain import draw, drawn
from node.domain.ceremony import CommitNonce, ReleaseShare, Trustee
from node.domain.draw_proof import OptionProof, Proof
from node.domain.drawn import DrawState, ExpertsFrozen, FreezeExperts, FreezeOptions
from node.domain.eligibility import DrawRequest, eligible
from node.domain.panel import FormCommittee, Member, ReplaceMember
from node.domain.refused import Refused
from node.domain.streams import draw_stream, lot_stream
from node.domain.values import Actor
from node.escrow import combined, make_commit
from node.exchange.experts import BankRecord
from node.identities import MemberIdentity, bind_member
from node.node import Node
from node.receipts import Receipt
from node.views import drawing as drawing_view
from sync import codec
from sync.shares import ShareFault
from sync.wrap import WrapFault


@dataclass(frozen=True, slots=True)
class Seat:
    """Where one drawn expert will sit: the lot-bound number, the node, the seat."""

    no: str
    venue_node: str
    seat: str


@dataclass(frozen=True, slots=True)
class Call:
    """One expert to call: a telephone number and the group, never a name, a tenderer or a project."""

    place: int
    group: str
    phone: str


class Drawings:
    """The draws of one node."""

    def __init__(self, node: Node) -> None:
        """Nonces of this process are kept here."""
        self._node = node
        self._nonces: dict[tuple[str, str], tuple[str, bytes]] = {}

    # -- the bank ----------------------------------------------------------------------------------------------------

    async def import_bank(self, body: bytes, taken_at_ms: int, *, command_id: bytes, actor: Actor) -> Receipt:
        """Import a snapshot of the expert bank, whole or not at all. Raises Refused with line and column."""
        stream = expert_bank.bank_stream(self._node.settings.node)
        room = self._node.room

        def prepare(db: apsw.Connection) -> object:
            return expert_bank.replace_with(db, body, taken_at_ms, room)

        return await self._node.record_prepared(stream, prepare, command_id, actor, hashlib.sha256(body).hexdigest())

    # -- freeze ------------------------------------------------------------------------------------------------------

    async def freeze(
        self,
        request: DrawRequest,
        number: int,
        *,
        parties: tuple[str, ...],
        second: str = "",
        reason: str = "",
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        """Freeze the pool of an expert draw from the bank that is here."""
        draw_id = await self._id(request.lot_code, drawn.EXPERTS, number)
        room = self._node.room

        def prepare(db: apsw.Connection) -> FreezeExperts:
            bank = self._node.recorder.state(db, expert_bank.bank_stream(self._node.settings.node))
            if not bank.count:
                raise Refused("no-bank", rule="bank-first")
            lot = self._node.recorder.state(db, lot_stream(request.lot_code))
            everybody = expert_bank.everybody(db, room)
            profile = next(one for one in self._node.profiles if one.id == lot.profile_id)
            found = eligible([one.expert for one in everybody], request, profile)
            by_number = {one.record.of("no"): one for one in everybody}
            employers = sorted({by_number[no].expert.employer for no, _ in found.pool})
            listed = tuple(
                (no, groups, employers.index(by_number[no].expert.employer), by_number[no].commitment)
                for no, groups in found.pool
            )
            return FreezeExperts(
                request=request,
                number=number,
                experts=tuple(one.expert for one in everybody),
                snapshot=bank.commitments,
                snapshot_at_ms=bank.taken_at_ms,
                sealed=room.seal(codec.pack(listed), _list_context(draw_id)),
                parties=parties,
                trustees=self._trustees(),
                second=second,
                reason=reason,
            )

        return await self._node.record_prepared(
            draw_stream(draw_id), prepare, command_id, actor, repr(request), second, reason
        )

    async def freeze_options(
        self,
        kind: str,
        lot_code: str,
        number: int,
        name: str,
        options: tuple[str, ...],
        *,
        parties: tuple[str, ...],
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        """Freeze the options of a coefficient or a tie."""
        stream = draw_stream(await self._id(lot_code, kind, number))
        command = FreezeOptions(kind, lot_code, number, name, options, parties, self._trustees())
        return await self._node.submit(stream, command, command_id=command_id, actor=actor)

    # -- the ceremony ------------------------------------------------------------------------------------------------

    async def commit(self, draw_id: str, party: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Make a nonce for a party and commit to it."""
        key = (draw_id, party)
        state = await self.state(draw_id)
        fresh = secrets.token_bytes(draw.NONCE_BYTES)
        try:
            made = make_commit(draw_id, party, fresh, state.ceremony.trustees)
        except (WrapFault, ShareFault) as fault:
            raise Refused("escrow-malformed", rule="escrow", value=str(fault)) from None

        def prepare(db: apsw.Connection) -> CommitNonce:
            return replace(made, used_in=drawing_view.draw_of_commit(db, made.commit))

        stream = draw_stream(draw_id)
        receipt = await self._node.record_prepared(stream, prepare, command_id, actor, "commit", party)
        after = await self.state(draw_id)
        if after.ceremony.party(party).commit == made.commit:  # a repeated form has changed nothing
            self._nonces[key] = (actor.person, fresh)
        return receipt

    def noted(self, draw_id: str, party: str, person: str) -> bytes | None:
        """Return a party's own nonce, to the person who committed, while this process holds it."""
        owner, nonce = self._nonces.get((draw_id, party), ("", b""))
        return nonce if nonce and owner == person else None

    async def reveal(
        self, draw_id: str, party: str, nonce: bytes | None = None, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """Reveal a party's nonce: the one this process holds, or the one that the person has noted."""
        given = nonce or self.noted(draw_id, party, actor.person)
        if given is None:
            raise Refused("nonce-not-here", rule="nonce-as-committed", value=party)
        sealed = self._node.room.seal(given, _nonce_context(draw_id, party))

        def prepare(db: apsw.Connection) -> drawn.RevealNonce:
            return drawn.RevealNonce(party, given, sealed, self._held_if_last(db, draw_id, party, given))

        stream = draw_stream(draw_id)
        return await self._node.record_prepared(stream, prepare, command_id, actor, "reveal", party)

    async def release(
        self, draw_id: str, party: str, trustee: int, share: bytes, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """Put a trustee's share on record."""
        sealed = self._node.room.seal(share, _share_context(draw_id, party, trustee))
        command = ReleaseShare(party, trustee, share, sealed)
        return await self._node.submit(draw_stream(draw_id), command, command_id=command_id, actor=actor)

    async def open_escrow(self, draw_id: str, party: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Open a nonce that was kept back from the shares on record. A false escrow ends the draw and names its party."""

        def prepare(db: apsw.Connection) -> drawn.OpenEscrow:
            shown = self._state(db, draw_id).ceremony.party(party)
            shares = {
                trustee: self._node.room.open(sealed, _share_context(draw_id, party, trustee))
                for trustee, sealed in shown.shares
            }
            nonce = combined(shares)
            sealed = self._node.room.seal(nonce, _nonce_context(draw_id, party))
            held = self._held_if_last(db, draw_id, party, nonce) if draw.fits(nonce, shown.commit) else None
            return drawn.OpenEscrow(party, nonce, sealed, held)

        stream = draw_stream(draw_id)
        return await self._node.record_prepared(stream, prepare, command_id, actor, "escrow", party)

    # -- calls -------------------------------------------------------------------------------------------------------

    async def calls(self, draw_id: str) -> tuple[Call, ...]:
        """Return whom to call now. For the person who calls: the caller has checked who asks."""
        state = await self.state(draw_id)
        if not isinstance(state.frozen, ExpertsFrozen) or not state.ranked:
            return ()
        groups = state.frozen.request.groups

        def find(db: apsw.Connection) -> tuple[Call, ...]:
            waiting = [one for one in state.reached if one.state == drawn.PENDING]
            records = self._records(db, draw_id, state, [one.place for one in waiting])
            return tuple(
                Call(one.place, groups[one.group].name, records[one.place].of("phone"))
                for one in waiting
                if one.place in records
            )

        return await self._node.read(find)

    async def outcome(self, draw_id: str, place: int, word: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Record what came of reaching one expert; of one who accepts, who it is, committed to and sealed."""
        room = self._node.room

        def prepare(db: apsw.Connection) -> drawn.RecordOutcome:
            state = self._state(db, draw_id)
            if word != drawn.ACCEPTED or not isinstance(state.frozen, ExpertsFrozen):
                expert_bank.drop_session(db, draw_id, place)
                return drawn.RecordOutcome(place, word, held=self._held(draw_id, state))
            record = self._records(db, draw_id, state, [place]).get(place)
            if record is None:
                raise Refused("expert-erased", rule="bank-first", value=str(place))
            bound = personal.bind("expert", tuple(record.of(key) for key in ("name", "id_no", "phone", "employer")))
            personal.keep(db, bound, room.seal)
            when = (record.of("no"), state.frozen.request.session)
            expert_bank.keep_session(db, draw_id, place, when, room.seal)
            sealed = room.seal(
                personal.pack_padded((record.account, personal.packed(bound))), _who_context(draw_id, place)
            )
            return drawn.RecordOutcome(place, word, bound.commitment, sealed)

        return await self._node.record_prepared(
            draw_stream(draw_id), prepare, command_id, actor, "outcome", str(place), word
        )

    # -- what follows ------------------------------------------------------------------------------------------------

    async def seat(
        self,
        lot_code: str,
        draw_id: str,
        seats: tuple[Seat, ...],
        tenderer: tuple[MemberIdentity, ...],
        *,
        command_id: bytes,
        actor: Actor,
    ) -> Receipt:
        """Form the committee from a draw: seats by group, then by ranking; then the tenderer's representatives."""
        room = self._node.room

        def prepare(db: apsw.Connection) -> FormCommittee:
            state = self._state(db, draw_id)
            group_of = {one.place: one.group for one in state.reached}
            accepted = sorted(state.accepted, key=lambda one: (group_of[one.place], one.place))
            if len(accepted) != len(seats):
                raise Refused("seats-differ", rule="seat-each", value=str(len(seats)), limit=str(len(accepted)))
            members = [self._member(draw_id, lot_code, one, seat) for one, seat in zip(accepted, seats, strict=True)]
            for who in tenderer:
                member, data = bind_member(room, lot_code, who)
                personal.keep(db, data, room.seal)
                members.append(member)
            return FormCommittee("drawn", tuple(members), draw_id=draw_id)

        return await self._node.record_prepared(
            lot_stream(lot_code), prepare, command_id, actor, "drawn", draw_id, repr(seats), repr(tenderer)
        )

    async def replace(
        self, lot_code: str, reason: str, text: str, seat: Seat, *, command_id: bytes, actor: Actor
    ) -> Receipt:
        """Seat the next who accepted in the place of the drawn member who does not come, the one who left first."""

        def prepare(db: apsw.Connection) -> ReplaceMember:
            panel = self._node.recorder.state(db, lot_stream(lot_code)).panel
            state = self._state(db, panel.draw_id)
            sitting = {member.commitment: member.no for member in panel.members}
            accepted = sorted(state.accepted, key=lambda one: one.place)
            free = next((one for one in accepted if one.who not in sitting), None)
            no = next((sitting[who] for who, _ in state.gone if who in sitting), "")
            if free is None or not no:
                raise Refused("no-replacement", rule="same-method", value=no, cites=("ZBT 48",))
            return ReplaceMember(no, reason, text, self._member(panel.draw_id, lot_code, free, seat))

        return await self._node.record_prepared(
            lot_stream(lot_code), prepare, command_id, actor, "replace", reason, text, repr(seat)
        )

    async def publish(self, draw_id: str, *, command_id: bytes, actor: Actor) -> Receipt:
        """Publish the numbers, so that anybody can re-run the draw."""

        def prepare(db: apsw.Connection) -> drawn.PublishDraw:
            return drawn.PublishDraw(self._held(draw_id, self._state(db, draw_id)))

        return await self._node.record_prepared(draw_stream(draw_id), prepare, command_id, actor, "publish")

    async def proof(self, draw_id: str) -> Proof | OptionProof:
        """Return the published proof. Raises Refused while the numbers are sealed."""
        return drawn.proof_of(await self.state(draw_id), draw_stream(draw_id))

    async def state(self, draw_id: str) -> DrawState:
        """Return a draw's state. Raises Refused where its stream holds what this version does not know."""
        return _known(await self._node.state(draw_stream(draw_id)))

    # -- inside ------------------------------------------------------------------------------------------------------

    async def _id(self, lot_code: str, kind: str, number: int) -> str:
        lot = await self._node.state(lot_stream(lot_code))
        return drawn.draw_id(lot_code, lot.round_no, kind, number)

    def _trustees(self) -> tuple[Trustee, ...]:
        return tuple(Trustee(one.name, bytes.fromhex(one.public)) for one in self._node.settings.trustees)

    def _state(self, db: apsw.Connection, draw_id: str) -> DrawState:
        return _known(self._node.recorder.state(db, draw_stream(draw_id)))

    def _listed(self, draw_id: str, state: DrawState) -> tuple[tuple[str, tuple[int, ...], int, bytes], ...]:
        if not isinstance(state.frozen, ExpertsFrozen):
            return ()
        rows = codec.unpack(self._node.room.open(state.frozen.sealed, _list_context(draw_id)))
        return tuple((no, tuple(groups), employer, commitment) for no, groups, employer, commitment in rows)

    def _held(self, draw_id: str, state: DrawState, party: str = "", nonce: bytes = b"") -> drawn.Held:
        """Open every nonce that is sealed to the room, and the list; `nonce` is that of `party`, which is not sealed yet."""
        nonces = tuple(
            nonce if one.name == party else self._node.room.open(one.sealed, _nonce_context(draw_id, one.name))
            for one in state.ceremony.parties
            if one.revealed or one.name == party
        )
        return drawn.Held(nonces, tuple((no, groups, at) for no, groups, at, _ in self._listed(draw_id, state)))

    def _held_if_last(self, db: apsw.Connection, draw_id: str, party: str, nonce: bytes) -> drawn.Held | None:
        state = self._state(db, draw_id)
        return self._held(draw_id, state, party, nonce) if state.ceremony.last_to_reveal(party) else None

    def _records(
        self, db: apsw.Connection, draw_id: str, state: DrawState, places: Sequence[int]
    ) -> dict[int, BankRecord]:
        commitments = {no: commitment for no, _, _, commitment in self._listed(draw_id, state)}
        seed = draw.seed_of(draw_id, draw.pool_hash(commitments), self._held(draw_id, state).nonces)
        order = draw.ranked(seed, commitments)
        found = {}
        for place in places:
            if 0 <= place < len(order):
                kept = personal.find(db, commitments[order[place]], self._node.room.open)
                if kept is not None:
                    found[place] = BankRecord(kept.fields)
        missing = {order[place]: place for place in places if 0 <= place < len(order) and place not in found}
        if missing:  # drawn at the other node, which died: the same bank was imported here under own commitments
            for one in expert_bank.everybody(db, self._node.room):
                if one.record.of("no") in missing:
                    found[missing[one.record.of("no")]] = one.record
        return found

    def _member(self, draw_id: str, lot_code: str, one: drawn.Accepted, seat: Seat) -> Member:
        account, packed, *_ = codec.unpack(self._node.room.open(one.sealed, _who_context(draw_id, one.place)))
        return Member(
            no=seat.no,
            kind="expert",
            person=account,
            venue_node=seat.venue_node,
            seat=seat.seat,
            commitment=one.who,
            sealed=self._node.room.seal(packed, f"erhai-member-v1\n{lot_code}\n{seat.no}\n".encode()),
        )


def _known(state: object) -> DrawState:
    if not isinstance(state, DrawState):
        raise Refused("unknown-event", rule="known-events-only")
    return state


def _list_context(draw_id: str) -> bytes:
    return f"erhai-draw-list-v1\n{draw_id}\n".encode()


def _nonce_context(draw_id: str, party: str) -> bytes:
    return f"erhai-draw-nonce-v1\n{draw_id}\n{party}\n".encode()


def _share_context(draw_id: str, party: str, trustee: int) -> bytes:
    return f"erhai-draw-share-v1\n{draw_id}\n{party}\n{trustee}\n".encode()


def _who_context(draw_id: str, place: int) -> bytes:
    return f"erhai-draw-who-v1\n{draw_id}\n{place}\n".encode()
