"""A room with its bank and a draw in it, as far as a test drives it."""

from node.domain.draw_proof import PARTIES
from node.domain.values import Actor, Role
from node.drawing import Drawings, Seat
from node.escrow import escrow_info
from sync.wrap import unwrap_share
from tests.data import bank
from tests.pages.room import LOT, OPERATOR, SUPERVISOR, Room, new_id
from web.demo import cast

TENDERER, WITNESS = Actor("G-1", Role.AGENCY), Actor("W-1", Role.WITNESS)
WHO = {"CENTER": OPERATOR, "SUPERVISOR": SUPERVISOR, "TENDERER": TENDERER}
DRAW = f"{LOT}-1-E1"
SEATS = tuple(Seat(f"E{n}", "532924-room-1-a", f"0{n}") for n in range(1, 6))


class Drawn:
    """A room with its bank, and the draw as far as it is."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.draws = Drawings(room.node)

    async def banked(self) -> "Drawn":
        self.room.at("2026-03-20 09:00")
        taken = cast.ms("2026-03-10 00:00")
        await self.draws.import_bank(bank.csv(), taken, command_id=new_id(), actor=OPERATOR)
        self.room.at("2026-03-24 16:00")
        return self

    async def frozen(self, **changes: object) -> "Drawn":
        await self.draws.freeze(bank.request(**changes), 1, parties=PARTIES, command_id=new_id(), actor=OPERATOR)
        return self

    async def commit(self, *parties: str) -> "Drawn":
        for party in parties or PARTIES:
            await self.draws.commit(DRAW, party, command_id=new_id(), actor=WHO[party])
        return self

    async def reveal(self, *parties: str) -> "Drawn":
        for party in parties or PARTIES:
            await self.draws.reveal(DRAW, party, command_id=new_id(), actor=WHO[party])
        return self

    async def release(self, party: str, trustees: tuple[int, ...]) -> None:
        held = (await self.draws.state(DRAW)).ceremony.party(party)
        for at in trustees:
            key = bank.KEYS[bank.BODIES[at - 1]]
            share = unwrap_share(key, escrow_info(DRAW, party, at), held.wraps[at - 1])
            await self.draws.release(DRAW, party, at, share, command_id=new_id(), actor=SUPERVISOR)

    async def answer(self, **outcomes: str) -> "Drawn":
        """Everybody answers until nobody is pending: accepted, but for the places named p<place>."""
        while True:
            state = await self.draws.state(DRAW)
            waiting = [one for one in state.reached if one.state == "pending"]
            if not waiting:
                return self
            word = outcomes.get(f"p{waiting[0].place}", "accepted")
            await self.draws.outcome(DRAW, waiting[0].place, word, command_id=new_id(), actor=WITNESS)
