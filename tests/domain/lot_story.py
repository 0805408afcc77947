"""A works lot on the table: commands with sensible values, and a story that decides, folds and remembers."""

import tomllib
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from typing import Any

from node.domain import award, bidding, bond, evaluation, lot, notice, objection, opening, panel, project
from node.domain.calendar import Calendar, parse_calendar
from node.domain.values import Actor, Asked, ClockQuality, Recorded, Role
from node.profiles_loader import PROFILES, load_profiles

CHINA = timezone(timedelta(hours=8))
WORKS = next(profile for profile in load_profiles() if profile.id == "works")
WORKS_2 = next(profile for profile in load_profiles() if profile.id == "works-2")
YEAR_2026 = parse_calendar(tomllib.loads((PROFILES / "calendar-2026.toml").read_text()), b"")
D32 = b"\x01" * 32
PEOPLE = {role: f"p-{role}" for role in Role}


def ms(text: str) -> int:
    """Milliseconds of a local time such as 2026-03-02 09:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=CHINA).timestamp()) * 1000


REGISTER = project.RegisterLot(
    lot_code="A5329240000000001001001",
    project_code="A5329240000000001",
    tender_project_code="A5329240000000001001",
    deal_code="A01-12532924MB0T1234X4-20260302-000001-C",
    project_name="县公共资源电子交易平台建设",
    lot_name="一标段",
    tenderer_name="县公共资源交易管理局",
    tenderer_uscc="12350100MB02709751",
    agency_name="代理公司",
    agency_uscc="91350000MA347WHE48",
    region="532924",
    trade_class="A01",
    category="works",
    method="open",
    profile_id="works",
    state_funds=True,
    estimate_fen=1_000_000_000,
    approval_ref="发改〔2026〕1号",
    funds_ref="财政〔2026〕2号",
    agency_contract_ref="代理合同1",
)
SCHEME = notice.Scheme(
    name="综合评估法",
    criteria=(
        notice.Criterion("T1", "实施方案", "technical", "subjective", 4000, 50, "优良中差"),
        notice.Criterion("B1", "业绩", "business", "objective", 3000, 500, "每项5分"),
    ),
    checks=(notice.Check("F1", "form", "签字盖章", "zbt51-1"), notice.Check("Q1", "qualification", "资质", "zbt51-3")),
    price=notice.PriceMethod("lowest-ratio", "30"),
    aggregation="trimmed",
    trim_from=5,
    candidates=3,
)
DEADLINE = ms("2026-03-23 09:30")
BOND = notice.BondTerms(amount_fen=10_000_000, forms=("transfer", "guarantee-bank"), deadline_ms=DEADLINE)
DOCUMENTS = notice.IssueDocuments(D32, SCHEME, 950_000_000, BOND, validity_days=90)
TEXT = "招标公告"
NOTICE = notice.PublishNotice(
    text_sha256=sha256(TEXT.encode()).digest(),
    text=TEXT,
    media=("云南省招标投标公共服务平台", "县公共资源交易网"),
    sale_from_ms=ms("2026-03-02 09:00"),
    sale_to_ms=ms("2026-03-10 17:00"),
    deadline_ms=DEADLINE,
    consortia_allowed=False,
    opening_place="开标室1",
)
REFS = ("P-AAAA11", "P-BBBB22", "P-CCCC33")


def participation(ref: str) -> notice.RegisterParticipation:
    return notice.RegisterParticipation(ref, sha256(ref.encode()).digest(), b"sealed")


def bid(ref: str, text: str = "bid") -> bidding.SubmitBid:
    return bidding.SubmitBid(ref, sha256(f"{ref}{text}".encode()).digest(), 1000, "portal")


def bond_of(ref: str) -> bond.RecordBond:
    return bond.RecordBond(ref, "transfer", 10_000_000, ms("2026-03-05 10:00"), 0, D32, b"sealed")


def objects(kind: str) -> objection.RaiseObjection:
    return objection.RaiseObjection(kind, "第三章要求不合理", D32, b"sealed")


def member(no: str, kind: str = "expert") -> panel.Member:
    return panel.Member(no, kind, f"X-{no}", "a", f"seat-{no}", D32, b"sealed")


COMMITTEE = panel.CommitteeFormed("entered", tuple(member(f"E{n}") for n in range(1, 6)))


def content(ref: str, price_fen: int) -> bidding.BidContent:
    return bidding.BidContent(
        REGISTER.lot_code, 1, ref, f"公司{ref}", "91350200MA2YJ1XR9G", price_fen, "", 90, "合格", (), ()
    )


def facts(ref: str) -> bond.BondFacts:
    return bond.BondFacts(ref, "transfer", 10_000_000, ms("2026-03-05 10:00"), 0, "ok")


PRICES = {REFS[0]: 900_000_000, REFS[1]: 910_000_000, REFS[2]: 920_000_000}
OPENED = (
    opening.OpeningStarted(REFS, ("p-agency",)),
    *(opening.BidOpened(ref, content(ref, PRICES[ref]), facts(ref)) for ref in REFS),
    *(opening.BidAnnounced(ref) for ref in REFS),
    opening.OpeningConfirmed(3, 0, ("p-agency", "p-witness")),
)
STARTED = evaluation.EvaluationStarted(D32, (("a", b"wrap"),))
CONCLUDED = evaluation.PreliminaryConcluded((), (), REFS)


def ranking(order: tuple[str, ...] = REFS) -> evaluation.RankingComputed:
    rows = tuple(
        evaluation.RankRow(ref, PRICES[ref], str(PRICES[ref]), "30.00", "30", (), "90.00", rank, False)
        for rank, ref in enumerate(order, 1)
    )
    return evaluation.RankingComputed("", "", rows, order)


SCORED = (evaluation.ScoringClosed(b"k" * 32, (), ()), ranking())
REPORTED = evaluation.ReportCompleted(D32, (), ())
PUBLISH = award.PublishCandidates(ms("2026-04-03 00:00"), ("县公共资源交易网",), "招标人")


@dataclass
class Story:
    """Given events, when commands: the lot's state and a clock that the test sets."""

    state: lot.LotState = field(default_factory=lot.LotState)
    at_ms: int = ms("2026-03-02 08:00")
    calendar: Calendar | None = YEAR_2026
    quality: ClockQuality = ClockQuality.SYNCHRONISED
    attested_by: tuple[str, ...] = ()
    seq: int = 0
    events: list[Any] = field(default_factory=list)
    records: list[Recorded] = field(default_factory=list)  # beside events: where and when each stands
    others: dict[str, Any] = field(default_factory=dict)  # states of other streams

    def at(self, text: str | int) -> "Story":
        self.at_ms = text if isinstance(text, int) else ms(text)
        return self

    def asked(self, role: Role = Role.AGENCY, person: str = "") -> Asked:
        return Asked(
            at_ms=self.at_ms,
            clock_quality=self.quality,
            actor=Actor(person or PEOPLE[role], role),
            profiles=(WORKS, WORKS_2),
            calendar=self.calendar,
            look=self.others.get,
            node="a",
            origin="dali.erhai/532924/room-1/a/e1",
            attested_by=self.attested_by,
        )

    def given(self, *events: Any, by: Role = Role.OPERATOR) -> "Story":
        for event in events:
            self.seq += 1
            recorded = Recorded(self.at_ms, f"{by}:{PEOPLE[by]}", "a", self.seq, D32)
            self.state = lot.evolve(self.state, event, recorded)
            self.events.append(event)
            self.records.append(recorded)
        return self

    def when(self, command: Any, role: Role = Role.AGENCY, person: str = "") -> tuple[Any, ...]:
        """Decide only."""
        return lot.decide(self.state, command, self.asked(role, person))

    def do(self, command: Any, role: Role = Role.AGENCY) -> "Story":
        """Decide and fold."""
        return self.given(*self.when(command, role), by=role)

    # Stations of the procedure, each on its day.

    def registered(self) -> "Story":
        return self.at("2026-03-02 08:00").do(REGISTER)

    def filed(self) -> "Story":
        self.registered().do(project.SubmitFiling(D32, "方案"))
        return self.do(project.DecideFiling("no-problem", ""), Role.SUPERVISOR)

    def documented(self, **changes: Any) -> "Story":
        return self.filed().do(replace(DOCUMENTS, **changes))

    def noticed(self) -> "Story":
        return self.documented().at("2026-03-02 09:00").do(NOTICE)

    def taken(self) -> "Story":
        self.noticed().at("2026-03-03 09:00")
        for ref in REFS:
            self.do(participation(ref), Role.BIDDER)
        return self

    def bid(self, count: int = 3) -> "Story":
        self.taken().at("2026-03-20 09:00")
        for ref in REFS[:count]:
            self.do(bid(ref), Role.BIDDER)
        return self

    def opened(self) -> "Story":
        return self.bid().at(DEADLINE).given(COMMITTEE, *OPENED)

    def evaluating(self) -> "Story":
        return self.opened().at("2026-03-23 14:00").given(STARTED)

    def reported(self) -> "Story":
        return self.evaluating().given(CONCLUDED, *SCORED).at("2026-03-27 16:00").given(REPORTED)

    def published(self) -> "Story":
        return self.reported().at("2026-03-30 10:00").do(PUBLISH)

    def awarded(self) -> "Story":
        return self.published().at("2026-04-03 09:00").do(award.DecideAward(REFS[0]), Role.TENDERER)

    def notified(self) -> "Story":
        return self.awarded().do(award.IssueAwardNotice(D32, ("县公共资源交易网",)))

    def contracted(self) -> "Story":
        contract = award.RecordContract(D32, PRICES[REFS[0]], 90_000_000, ms("2026-04-20 10:00"))
        return self.notified().at("2026-04-20 17:00").do(contract)
