"""An evaluation on the table: the lot's story and the sheets of its members, sealed and opened as the node does it."""

from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from node.domain import evaluation, lot, opening, panel, sheet
from node.domain.sheet import CheckResult, CriterionMark, SheetState
from node.domain.values import Actor, Asked, Head, Recorded, Role
from tests.domain import lot_story as s
from tests.domain.lot_story import REFS, Story

KEY = b"k" * 32
START = evaluation.StartEvaluation(sha256(KEY).digest(), (("a", b"wrap a"), ("b", b"wrap b")))
NUMBERS = ("E1", "E2", "E3", "E4", "E5")
WRONG_WORDS = replace(s.content(REFS[1], s.PRICES[REFS[1]]), price_words="玖佰贰拾万元整")
NO_CONFLICT = sheet.DeclareRecusal(False, "")
SIGN = sheet.SignSheet("本人独立评审，对评分负责")
DIGEST = b"\x07" * 32
AGREE = sheet.SignReport(DIGEST, "agree", "")


def passes(ref: str) -> sheet.SubmitChecklist:
    return sheet.SubmitChecklist(ref, (CheckResult("F1", True, ""), CheckResult("Q1", True, "")))


def rejects(ref: str, check: str = "Q1", reason: str = "资质过期") -> sheet.SubmitChecklist:
    results = tuple(CheckResult(no, no != check, reason if no == check else "") for no in ("F1", "Q1"))
    return sheet.SubmitChecklist(ref, results)


def marks(ref: str, technical: int, business: int = 1500) -> sheet.SubmitMarks:
    return sheet.SubmitMarks(ref, (CriterionMark("T1", technical), CriterionMark("B1", business)))


def corrects(ref: str, criterion: str, mark_centi: int) -> sheet.CorrectMarks:
    return sheet.CorrectMarks(ref, (CriterionMark(criterion, mark_centi),), "核对证书后更正")


def replaces(no: str, successor: str, **changes: Any) -> panel.ReplaceMember:
    return panel.ReplaceMember(no, "recusal", "与投标人有利害关系", replace(s.member(successor), **changes))


@dataclass
class Session(Story):
    """A story whose members have sheets. `log` is everything that was ever recorded, in order: (stream, event)."""

    sheets: dict[str, SheetState] = field(default_factory=dict)
    log: list[tuple[str, Any]] = field(default_factory=list)
    open_checklists: dict[tuple[str, str], evaluation.OpenedChecklist] = field(default_factory=dict)
    open_marks: dict[tuple[str, str], evaluation.OpenedMarks] = field(default_factory=dict)
    salts: int = 0

    def look(self, stream: str) -> Any:
        if stream in self.others:
            return self.others[stream]
        if stream.startswith("lot/"):
            return self.state if stream == f"lot/{self.state.lot_code}" else lot.LotState()
        return self.sheets.get(stream, SheetState())

    def asked(self, role: Role = Role.AGENCY, person: str = "") -> Asked:
        return replace(super().asked(role, person), look=self.look)

    def given(self, *events: Any, by: Role = Role.OPERATOR) -> "Session":
        super().given(*events, by=by)
        self.log += [("lot", event) for event in events]
        return self

    # The sheets.

    def stream(self, no: str) -> str:
        return f"sheet/{self.state.lot_code}/{self.state.round_no}/{no}"

    def sheet(self, no: str) -> SheetState:
        return self.sheets.get(self.stream(no), SheetState())

    def seal(self, command: Any) -> Any:
        """Fill in what the node fills in: a fresh salt, the commitment, an envelope."""
        if not isinstance(command, sheet.SubmitMarks | sheet.SubmitChecklist) or command.salt:
            return command
        self.salts += 1
        salt = sha256(f"salt {self.salts}".encode()).digest()
        if isinstance(command, sheet.SubmitMarks):
            made = sheet.marks_commitment(salt, command.ref, command.marks)
        else:
            made = sheet.checklist_commitment(salt, command.ref, command.results)
        return replace(command, salt=salt, commitment=made, sealed=b"envelope")

    def at_sheet(self, no: str, command: Any, **changes: Any) -> tuple[Any, ...]:
        """Decide only. `changes`: fields of Asked, for somebody who is not where or who he should be."""
        member = self.state.panel.member(no)
        actor = Actor(member.person if member else f"X-{no}", Role.EXPERT)
        asked = replace(self.asked(), actor=actor, node=member.venue_node if member else "a")
        stream = changes.pop("stream", self.stream(no))
        return sheet.decide(self.sheet(no), stream, command, replace(asked, **changes))

    def act(self, no: str, *commands: Any) -> "Session":
        for plain in commands:
            command = self.seal(plain)
            events = self.at_sheet(no, command)
            for event in events:
                self.seq += 1
                leaf = sha256(f"{no} {self.seq}".encode()).digest()
                recorded = Recorded(self.at_ms, f"expert:X-{no}", "a", self.seq, leaf)
                self.sheets[self.stream(no)] = sheet.evolve(self.sheet(no), event, recorded, self.stream(no))
                self.log.append((no, event))
            if isinstance(command, sheet.SubmitMarks):
                self.open_marks[no, command.ref] = evaluation.OpenedMarks(no, command.ref, command.salt, command.marks)
            if isinstance(command, sheet.SubmitChecklist):
                opened = evaluation.OpenedChecklist(no, command.ref, command.salt, command.results)
                self.open_checklists[no, command.ref] = opened
        return self

    def everybody(self, *commands: Any) -> "Session":
        for no in self.sitting:
            self.act(no, *commands)
        return self

    @property
    def sitting(self) -> tuple[str, ...]:
        return tuple(member.no for member in self.state.panel.members)

    @property
    def heads(self) -> tuple[Head, ...]:
        return tuple(head for no in self.sitting if (head := self.sheet(no).head) is not None)

    # What the node fills in for the lot.

    def concluding(self) -> evaluation.ConcludePreliminary:
        opened = tuple(one for (no, _), one in self.open_checklists.items() if no in self.sitting)
        return evaluation.ConcludePreliminary(opened, self.heads)

    def closing(self) -> evaluation.CloseScoring:
        opened = tuple(one for (no, _), one in self.open_marks.items() if no in self.sitting)
        return evaluation.CloseScoring(KEY, opened, self.heads)

    def rechecking(self) -> evaluation.CloseRecheck:
        return evaluation.CloseRecheck(self.heads)

    def completing(self, *silent: tuple[str, str, str]) -> evaluation.CompleteReport:
        states = {no: self.sheet(no) for no in self.sitting}
        words = tuple((no, one.report_word, one.report_text) for no, one in states.items() if one.report_word)
        return evaluation.CompleteReport(DIGEST, (*words, *silent), self.heads)

    def operator(self, command: Any) -> "Session":
        self.do(command, Role.OPERATOR)
        return self


def opened(*contents: Any, scheme: Any = s.SCHEME, control_price_fen: int = 950_000_000, bonds: Any = ()) -> Session:
    """An opened lot with its committee; `contents` and `bonds` replace what the three bids say."""
    session = Session()
    session.documented(scheme=scheme, control_price_fen=control_price_fen).at("2026-03-02 09:00").do(s.NOTICE)
    session.at("2026-03-03 09:00")
    said = {ref: s.content(ref, s.PRICES[ref]) for ref in REFS} | {one.ref: one for one in contents}
    bond = {ref: s.facts(ref) for ref in REFS} | {one.ref: one for one in bonds}
    for ref in REFS:
        session.do(s.participation(ref), Role.BIDDER).do(s.bid(ref), Role.BIDDER)
    session.at(s.DEADLINE).given(s.COMMITTEE, opening.OpeningStarted(REFS, ("p-agency",)))
    session.given(*(opening.BidOpened(ref, said[ref], bond[ref]) for ref in REFS))
    session.given(*(opening.BidAnnounced(ref) for ref in REFS))
    session.given(opening.OpeningConfirmed(3, 0, ("p-agency", "p-witness")))
    return session


def present(session: Session | None = None) -> Session:
    """Everybody has signed in and declared no conflict, E1 leads."""
    session = session or opened()
    session.at("2026-03-23 14:00")
    for no in session.sitting:
        session.act(no, sheet.SignIn(f"seat-{no}"), NO_CONFLICT)
    return session.operator(panel.ElectChair("E1"))


def seated(session: Session, no: str) -> Session:
    """A successor arrives."""
    return session.act(no, sheet.SignIn(f"seat-{no}"), NO_CONFLICT)


def started(session: Session | None = None) -> Session:
    return present(session).operator(START)


def checked(session: Session | None = None) -> Session:
    return started(session).everybody(*(passes(ref) for ref in REFS))


def unchecked(no: str, ref: str) -> Session:
    """One checklist is not there yet."""
    session = started()
    for member in session.sitting:
        session.act(member, *(passes(one) for one in REFS if (member, one) != (no, ref)))
    return session


def asking(session: Session) -> Session:
    command = evaluation.RequestClarification(REFS[0], "请说明工期安排")
    return session.given(*session.when(command, Role.EXPERT, "X-E2"), by=Role.EXPERT)


def without_c() -> Session:
    """Three of five find bid C not qualified."""
    session = checked()
    for no in ("E1", "E2", "E3"):
        session.act(no, rejects(REFS[2]))
    return session.operator(session.concluding())


def concluded(session: Session | None = None) -> Session:
    session = checked(session)
    return session.operator(session.concluding())


TECHNICAL = {"E1": 3850, "E2": 3600, "E3": 3950, "E4": 3550, "E5": 3700}


def marked(session: Session | None = None) -> Session:
    """Everybody has marked every bid that stands: the same for each bid, so that prices decide."""
    session = concluded(session)
    for no in session.sitting:
        session.act(no, *(marks(ref, TECHNICAL[no]) for ref in session.state.standing_refs))
    return session


def signed(session: Session | None = None) -> Session:
    return marked(session).everybody(SIGN)


def ranked() -> Session:
    session = signed()
    return session.operator(session.closing())


def rechecked() -> Session:
    """E5 differs from the others on the objective item of one bid: a recheck is ordered."""
    session = marked().act("E5", marks(REFS[1], 3700, 2000)).everybody(SIGN)
    return session.operator(session.closing())


def rejected(session: Session) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {one.ref: (one.ground, one.members) for one in session.state.evaluation.rejections}


def events_of(session: Session, kind: type) -> list[Any]:
    return [event for _, event in session.log if isinstance(event, kind)]
