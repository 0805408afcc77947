"""One node with its pages, and a lot of three bids and five members brought as far as a test needs it; people at browsers."""

import hashlib
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from aiohttp.test_utils import TestClient, TestServer

from node.bid_file import seal_bid
from node.clock import FixedClock
from node.domain import bidding, notice, opening, panel, project, sheet
from node.domain.bond import BondFacts
from node.domain.streams import lot_stream, sheet_stream
from node.domain.values import Actor, Role
from node.identities import BidderIdentity, BondIdentity, MemberIdentity
from node.node import Node
from node.people import Person, hash_pin
from node.room_key import load_room_key
from node.start import ROOM_KEY, open_node
from tests.domain.lot_story import YEAR_2026
from tests.faults import small_node
from web.demo import cast
from web.demo.pages import Form, _Forms
from web.main import create_app

LOT = cast.LOT_CODE
EXPERT, DESK = f"/expert/lots/{LOT}", f"/desk/lots/{LOT}"
BIDS = (cast.BIDDERS[0], cast.BIDDERS[1], cast.BIDDERS[3])
SEATS = {f"X-{n}": f"0{n}" for n in range(1, 6)}
STAFF = {"G-1": Role.AGENCY, "O-1": Role.OPERATOR, "S-1": Role.SUPERVISOR, "M-1": Role.TECHNICIAN, "W-1": Role.WITNESS}
AGENCY, OPERATOR, SUPERVISOR = (Actor(no, STAFF[no]) for no in ("G-1", "O-1", "S-1"))
FULL = {criterion.no: criterion.full_centi for criterion in cast.SCHEME.criteria}


def people() -> dict[str, Person]:
    """Everybody who may sign in; X-9 is an expert who does not sit in the lot."""
    pin = hash_pin("1234")
    staff = {no: Person(no, f"人员{no}", role, pin) for no, role in STAFF.items()}
    experts = {no: Person(no, f"专家{no}", Role.EXPERT, pin, seat) for no, seat in {**SEATS, "X-9": "09"}.items()}
    return {**staff, **experts}


def new_id() -> bytes:
    """A command id as a form makes it."""
    return secrets.token_bytes(16)


@dataclass
class Room:
    """The node, its clock, and what the story has made so far."""

    node: Node
    clock: FixedClock
    refs: list[str] = field(default_factory=list)
    scheme: notice.Scheme = cast.SCHEME

    @classmethod
    def in_folder(cls, folder: Path) -> "Room":
        """Open the node of a folder, made if it is not there."""
        if not (folder / "erhai.toml").exists():
            small_node.make(folder)
        clock = FixedClock(cast.ms(cast.START))
        node = open_node(replace(small_node.settings(folder), demo=True), clock)
        node.people = people()
        node.recorder.calendar = YEAR_2026
        return cls(node, clock)

    async def do(self, command: Any, actor: Actor) -> None:
        """Give one command to the lot."""
        await self.node.submit(lot_stream(LOT), command, command_id=new_id(), actor=actor)

    def at(self, moment: str) -> None:
        """Set the clock."""
        self.clock.at_ms = cast.ms(moment)

    async def filing(self) -> "Room":
        """The lot is registered and waits for the supervisor's opinion."""
        await self.do(cast.LOT, AGENCY)
        await self.do(project.SubmitFiling(hashlib.sha256(b"plan").digest(), "方案"), AGENCY)
        return self

    async def noticed(self) -> "Room":
        """After the filing: the notice is out."""
        await self.do(project.DecideFiling("no-problem", ""), SUPERVISOR)
        digest = hashlib.sha256(b"documents").digest()
        documents = notice.IssueDocuments(
            digest, self.scheme, cast.CONTROL_PRICE_FEN, cast.BOND, validity_days=cast.VALIDITY_DAYS
        )
        await self.do(documents, AGENCY)
        self.at("2026-03-02 10:00")
        moments = [cast.ms(text) for text in (cast.SALE_FROM, cast.SALE_TO, cast.DEADLINE)]
        text = "公告"
        published = notice.PublishNotice(
            hashlib.sha256(text.encode()).digest(), text, cast.MEDIA, *moments, False, cast.OPENING_PLACE
        )
        await self.do(published, AGENCY)
        return self

    async def bidding(self) -> "Room":
        """Three sealed bids are here; the deadline has not come."""
        await (await self.filing()).noticed()
        self.at("2026-03-05 09:00")
        room = load_room_key(self.node.settings.data / ROOM_KEY)
        for company in BIDS:
            command_id = new_id()
            who = BidderIdentity(company.name, company.uscc, company.contact, company.phone)
            await self.node.register_participation(LOT, who, command_id=command_id, actor=OPERATOR)
            lot = await self.node.state(lot_stream(LOT))
            ref = lot.notice.participants[-1].ref
            self.refs.append(ref)
            valid = cast.ms("2026-09-30 00:00") if company.form != "transfer" else 0
            facts = BondFacts(ref, company.form, cast.BOND.amount_fen, cast.ms("2026-03-05 08:00"), valid, "")
            payer = BondIdentity(company.name, "5300")
            await self.node.record_bond(LOT, facts, payer, command_id=new_id(), actor=OPERATOR)
            sealed = seal_bid(cast.bid_of(company, ref), room.public)
            self.node.blobs.put(sealed)
            received = bidding.SubmitBid(ref, hashlib.sha256(sealed).digest(), len(sealed), "desk")
            await self.do(received, OPERATOR)
        members = tuple(
            MemberIdentity(f"E{n}", "expert", no, small_node.NODE, seat, f"专家{n}", "5329", "139", "某单位")
            for n, (no, seat) in enumerate(SEATS.items(), 1)
        )
        await self.node.form_committee(LOT, "designated", members, "特殊项目", command_id=new_id(), actor=OPERATOR)
        return self

    async def opened(self) -> "Room":
        """The opening is confirmed; nobody has signed in."""
        await self.bidding()
        self.at("2026-03-25 09:31")
        await self.do(opening.StartOpening(("G-1", "S-1")), OPERATOR)
        for ref in self.refs:
            await self.node.open_bid(LOT, ref, command_id=new_id(), actor=OPERATOR)
        for ref in self.refs:
            await self.do(opening.AnnounceBid(ref), OPERATOR)
        await self.do(opening.ConfirmOpening(("G-1", "S-1")), OPERATOR)
        self.at("2026-03-25 10:10")
        return self

    async def evaluating(self) -> "Room":
        """Everybody sits without conflict; the evaluation has begun."""
        await self.opened()
        for no, seat in SEATS.items():
            await self.say(no, sheet.SignIn(seat))
            await self.say(no, sheet.DeclareRecusal(False, ""))
        await self.do(panel.ElectChair("E1"), OPERATOR)
        await self.node.start_evaluation(LOT, command_id=new_id(), actor=OPERATOR)
        return self

    async def scoring(self) -> "Room":
        """The preliminary review is concluded: three bids stand."""
        await self.evaluating()
        for no in SEATS:
            for ref in self.refs:
                results = tuple(sheet.CheckResult(check.no, True, "") for check in cast.SCHEME.checks)
                command = sheet.SubmitChecklist(ref, results)
                await self.node.submit_checklist(LOT, member(no), command, command_id=new_id(), actor=actor_of(no))
        await self.node.conclude_preliminary(LOT, command_id=new_id(), actor=OPERATOR)
        return self

    async def mark_all(self, no: str, marks: Mapping[str, int] = FULL) -> None:
        """One member marks every bid alike and signs."""
        for ref in self.refs:
            command = sheet.SubmitMarks(ref, tuple(sheet.CriterionMark(item, centi) for item, centi in marks.items()))
            await self.node.submit_marks(LOT, member(no), command, command_id=new_id(), actor=actor_of(no))
        await self.say(no, sheet.SignSheet("本人独立评审"))

    async def close_scoring(self) -> None:
        """Open the sheets: a ranking, or a recheck."""
        await self.node.close_scoring(LOT, command_id=new_id(), actor=OPERATOR)

    async def say(self, no: str, command: Any) -> None:
        """Give one command to a member's sheet."""
        await self.node.submit_sheet(LOT, member(no), command, command_id=new_id(), actor=actor_of(no))

    async def sheet_state(self, no: str) -> sheet.SheetState:
        """Return a member's sheet."""
        state = await self.node.state(sheet_stream(LOT, 1, member(no)))
        assert isinstance(state, sheet.SheetState)
        return state


def member(no: str) -> str:
    """The lot-bound number of a person."""
    return no.replace("X-", "E")


def actor_of(no: str) -> Actor:
    """An expert at the own seat."""
    return Actor(no, Role.EXPERT, SEATS[no])


@dataclass(frozen=True)
class Answer:
    """What a browser was given."""

    status: int
    path: str
    html: str
    words: str
    forms: tuple[Form, ...]

    def form(self, action: str) -> Form:
        """The form with this action."""
        return next(form for form in self.forms if form.action == action)


class Browser:
    """One person's browser, as it is without JavaScript."""

    def __init__(self, client: TestClient[Any, Any]) -> None:
        self.client = client

    @classmethod
    async def of(cls, room: Room, person: str) -> "Browser":
        """Open a browser and sign in."""
        client = TestClient(TestServer(create_app(room.node)))
        await client.start_server()
        browser = cls(client)
        await browser.post("/demo/sign-in", {"person": person})
        return browser

    @classmethod
    async def at(cls, other: "Browser", person: str) -> "Browser":
        """Open another person's browser at the same application, and sign in."""
        browser = cls(TestClient(other.client.server))
        await browser.post("/demo/sign-in", {"person": person})
        return browser

    async def get(self, path: str) -> Answer:
        """Open a page."""
        return await self._read(await self.client.get(path))

    async def post(self, path: str, fields: Mapping[str, Any]) -> Answer:
        """Send fields from a page of this node."""
        return await self._read(await self.client.post(path, data=fields, headers={"Sec-Fetch-Site": "same-origin"}))

    async def send(self, page: Answer, action: str, values: Mapping[str, str]) -> Answer:
        """Fill a form of a page that is open and press its button."""
        form = page.form(action)
        assert set(values) <= form.names, sorted(set(values) - form.names)
        kept = {name: given[0] for name, given in form.fields.items()}
        return await self.post(action, {**kept, **values})

    async def fill(self, path: str, values: Mapping[str, str], action: str = "") -> Answer:
        """Open a page, fill its form, press its button."""
        return await self.send(await self.get(path), action or path, values)

    async def _read(self, response: Any) -> Answer:
        html = await response.text()
        reader = _Forms()
        reader.feed(html)
        return Answer(response.status, response.url.path, html, " ".join(reader.words), tuple(reader.forms))

    async def close(self) -> None:
        """Close it."""
        await self.client.close()
