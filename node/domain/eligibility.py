"""Who may be drawn (抽取资格): a pure function of a frozen snapshot of the expert bank, with how many are out and why."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from node.domain.calendar import local_day
from node.domain.guards import breach, require_distinct, require_one_of, require_text
from node.domain.panel_size import check_numbers
from node.domain.profile import Profile
from node.domain.refused import Refused
from node.domain.values import DAY_MS

HOUR_MS = 3_600_000
GROUPS_MOST, NEED_MOST, HOURS_MOST = 9, 99, 240

# In this order; an expert counts under the first that applies, so that the counts add up.
REASONS = (
    "specialty",  # no group asks for it
    "region",
    "disabled",
    "suspended",
    "unqualified",  # 8 years in the field and a senior title, or equal (ZB 37)
    "age",
    "leave",
    "session",  # drawn already for an overlapping session
    "frequency",
    "recused-employer",
    "relation",
)
RECUSAL_REASONS = ("1", "2", "3", "4", "9")  # 投标单位、招标单位、主管部门、招标代理机构、其他


@dataclass(frozen=True, slots=True)
class Span:
    """From an instant (included) to another (not included), in ms."""

    from_ms: int
    to_ms: int

    def overlaps(self, other: "Span") -> bool:
        """Return whether the two share an instant."""
        return self.from_ms < other.to_ms and other.from_ms < self.to_ms


@dataclass(frozen=True, slots=True, kw_only=True)
class Expert:
    """One expert (评标专家) in the snapshot: what the rules may look at. Never in the log in the clear."""

    no: str
    specialties: tuple[str, ...]
    region: str
    employer: str
    birth: str = ""  # YYYY-MM-DD
    enabled: bool = True
    suspended: bool = False
    qualified: bool = True
    leave: tuple[Span, ...] = ()
    relations: tuple[str, ...] = ()  # names or codes of enterprises that a relation on file ties to this expert
    sessions: tuple[Span, ...] = ()  # evaluations that this expert was drawn for


@dataclass(frozen=True, slots=True)
class Group:
    """One group (专业组) of a request: `region` is the beginning of an area code, empty for any; `venue` a node's code."""

    name: str
    specialty: str
    need: int
    region: str
    venue: str


@dataclass(frozen=True, slots=True)
class Recusal:
    """One enterprise to keep away from (回避单位); reason is the code of the national data set."""

    name: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class DrawRequest:
    """A request to draw (抽取申请). `tenderer_seats` are the tenderer's representatives, who are not drawn."""

    lot_code: str
    session: Span
    groups: tuple[Group, ...]
    tenderer_seats: int
    recusals: tuple[Recusal, ...]


@dataclass(frozen=True, slots=True)
class Small:
    """A group whose choice is too small to keep names secret: `least` is the profile's multiple of `need`."""

    group: str
    eligible: int
    need: int
    least: int


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Who may be drawn, for which groups, and how many are out for which reason."""

    pool: tuple[tuple[str, tuple[int, ...]], ...]  # numbers in byte order, each with the indexes of its groups
    excluded: tuple[tuple[str, int], ...]  # every reason with its count, zero included
    small: tuple[Small, ...]

    def eligible_for(self, group: int) -> int:
        """Return how many may be drawn for one group."""
        return sum(group in groups for _, groups in self.pool)


def check_request(request: DrawRequest, profile: Profile) -> None:
    """Raise Refused for a request that no draw can serve: incomplete, or for a committee that the law does not allow."""
    require_text(lot_code=request.lot_code)
    length = request.session.to_ms - request.session.from_ms
    if not 0 < length <= HOURS_MOST * HOUR_MS:
        raise Refused("session-malformed", rule="session-length", value=str(length), limit=str(HOURS_MOST * HOUR_MS))
    if not 0 < len(request.groups) <= GROUPS_MOST:
        raise Refused("groups-malformed", rule="groups", value=str(len(request.groups)), limit=f"1–{GROUPS_MOST}")
    require_distinct((group.name for group in request.groups), "group")
    for group in request.groups:
        require_text(group=group.name, specialty=group.specialty, venue=group.venue)
        if not 0 < group.need <= NEED_MOST:
            raise Refused("need-malformed", rule="need", value=str(group.need), limit=f"1–{NEED_MOST}")
    for recusal in request.recusals:
        require_text(recusal=recusal.name or recusal.code)
        require_one_of(recusal.reason, RECUSAL_REASONS, "recusal")
    if request.tenderer_seats < 0:
        raise Refused("need-malformed", rule="need", value=str(request.tenderer_seats), limit="0")
    drawn = sum(group.need for group in request.groups)
    check_numbers(drawn + request.tenderer_seats, drawn, profile)


def eligible(experts: Sequence[Expert], request: DrawRequest, profile: Profile) -> Eligibility:
    """Return who of a snapshot may be drawn for a request. Raises Refused for numbers that stand twice."""
    require_distinct((expert.no for expert in experts), "expert")
    counts = dict.fromkeys(REASONS, 0)
    pool = []
    for expert in sorted(experts, key=lambda one: one.no.encode()):
        groups = _groups_of(expert, request.groups)
        reason = _excluded(expert, groups, request, profile)
        if reason:
            counts[reason] += 1
        else:
            pool.append((expert.no, groups))
    factor = profile.number("draw-pool-factor")
    found = Eligibility(tuple(pool), tuple(counts.items()), ())
    small = tuple(
        Small(group.name, found.eligible_for(index), group.need, factor * group.need)
        for index, group in enumerate(request.groups)
        if found.eligible_for(index) < factor * group.need
    )
    return Eligibility(found.pool, found.excluded, small)


def require_enough(found: Eligibility, request: DrawRequest, profile: Profile, approved_by: str) -> None:
    """Raise Refused where a group cannot be filled, or where a small choice has nobody's approval on record."""
    for index, group in enumerate(request.groups):
        count = found.eligible_for(index)
        if count < group.need:
            facts = (("group", group.name),)
            raise Refused("pool-too-small", rule="group-filled", value=str(count), limit=str(group.need), facts=facts)
    if found.small and not approved_by:
        one = found.small[0]
        told = (("group", one.group), ("need", str(one.need)))
        raise breach(
            profile.rule("draw-pool-factor"), "pool-small-unapproved", value=one.eligible, limit=one.least, facts=told
        )


def _groups_of(expert: Expert, groups: Sequence[Group]) -> tuple[int, ...]:
    return tuple(
        index
        for index, group in enumerate(groups)
        if _specialty(expert, group) and expert.region.startswith(group.region)
    )


def _specialty(expert: Expert, group: Group) -> bool:
    return any(one.startswith(group.specialty) for one in expert.specialties)


def _excluded(expert: Expert, groups: tuple[int, ...], request: DrawRequest, profile: Profile) -> str:
    """Return why an expert may not be drawn; empty where nothing speaks against it."""
    avoided = {word for recusal in request.recusals for word in (recusal.name, recusal.code) if word}
    tests: Iterable[tuple[str, bool]] = (
        ("specialty", not any(_specialty(expert, group) for group in request.groups)),
        ("region", not groups),
        ("disabled", not expert.enabled),
        ("suspended", expert.suspended),
        ("unqualified", not expert.qualified),
        ("age", _too_old(expert, request, profile)),
        ("leave", any(span.overlaps(request.session) for span in expert.leave)),
        ("session", any(span.overlaps(request.session) for span in expert.sessions)),
        ("frequency", _too_often(expert, request, profile)),
        ("recused-employer", expert.employer in avoided),
        ("relation", not avoided.isdisjoint(expert.relations)),
    )
    return next((reason for reason, applies in tests if applies), "")


def _too_old(expert: Expert, request: DrawRequest, profile: Profile) -> bool:
    """Return whether the expert has reached the age at which one leaves the bank, on the day of the session."""
    if not expert.birth:
        return False
    year, rest = int(expert.birth[:4]), expert.birth[4:]
    day = local_day(request.session.from_ms).isoformat()
    return int(day[:4]) - year - (day[4:] < rest) >= profile.number("draw-age-max")


def _too_often(expert: Expert, request: DrawRequest, profile: Profile) -> bool:
    """Return whether the sessions of the days before this one have used up what one expert may be drawn for."""
    days, most = profile.number("draw-frequency-days"), profile.number("draw-frequency-most")
    since, until = request.session.from_ms - days * DAY_MS, request.session.from_ms
    return sum(since <= span.from_ms < until for span in expert.sessions) >= most
