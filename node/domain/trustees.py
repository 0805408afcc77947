"""Who keeps the shares of the bids' seals, and how the bids are sealed (份额保管人, 加密条件): fixed before the notice. E03.

No room key stands behind a lot that has trustees: each bidder's tool deals its own shares to them. The terms go out with the
notice, so that a bidder takes the trustees from signed text, not from a page.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from node.domain.guards import breach, require_digest, require_distinct, require_one_of, require_text
from node.domain.judged import APPOINTMENT, Judged, events_of
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked, Recorded

if TYPE_CHECKING:
    from node.domain.lot import LotState


@dataclass(frozen=True, slots=True)
class LotTrustee:
    """One holder of a share (份额保管人): an opaque person number, the body that sends the person, and two public keys."""

    person: str
    body: str
    role: str  # tenderer | supervisor | operator | witness | prefecture
    key: bytes  # X25519, 32 raw bytes
    cert_sha256: bytes  # of the certificate that signs the release


@dataclass(frozen=True, slots=True)
class AppointTrustees:
    """Fix who holds the shares, how many of them open, and the seal's profile and mode."""

    seal: str  # intl-1 | gm-1
    mode: str  # and: bidder and t trustees | or: bidder or t trustees, a rescue that the notice must state
    t: int
    trustees: tuple[LotTrustee, ...]
    rescue: str = ""  # the words of the notice about bids that do not open (补救方案, 20号令 31)
    judged: tuple[Judged, ...] = ()  # the trustees' certificates, where the node has anchors


@dataclass(frozen=True, slots=True)
class TrusteesAppointed:
    """The terms under which every bid of this round is sealed."""

    seal: str
    mode: str
    t: int
    trustees: tuple[LotTrustee, ...]
    rescue: str


@dataclass(frozen=True, slots=True)
class SealTerms:
    """The terms in force; `appointed` None: bids are sealed to the room key, the older form."""

    appointed: TrusteesAppointed | None = None


ROLES = ("tenderer", "supervisor", "operator", "witness", "prefecture")
SEALS = ("intl-1", "gm-1")
_MOST = 16


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the terms, or refuse them. Raises Refused."""
    match command:
        case AppointTrustees():
            return _appoint(lot, command, asked)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def evolve(state: SealTerms, event: object, recorded: Recorded) -> SealTerms:  # noqa: ARG001 - one shape for all
    """Return the terms after one of this subject's events."""
    return SealTerms(event) if isinstance(event, TrusteesAppointed) else state


def _appoint(lot: "LotState", command: AppointTrustees, asked: Asked) -> tuple[object, ...]:
    if lot.notice.published is not None:
        raise Refused("notice-is-out", rule="trustees-before-notice", cites=("ZBT 15",))
    require_one_of(command.seal, SEALS, "seal")
    require_one_of(command.mode, ("and", "or"), "mode")
    count = len(command.trustees)
    fewest = asked.profile(lot.profile_id).rule("trustees-min")
    if count < asked.profile(lot.profile_id).number("trustees-min") or count > _MOST:
        raise breach(fewest, "trustees-out-of-range", value=count)
    if not count < 2 * command.t <= 2 * count:  # more than half: two disjoint groups can never both open
        raise Refused(
            "threshold-out-of-range", rule="majority-opens", value=str(command.t), limit=f"{count // 2 + 1}-{count}"
        )
    for one in command.trustees:
        require_text(person=one.person, body=one.body)
        require_one_of(one.role, ROLES, "role")
        require_digest(key=one.key, cert_sha256=one.cert_sha256)
    require_distinct(tuple(one.person for one in command.trustees), "person")
    require_distinct(tuple(one.body for one in command.trustees), "body")
    require_distinct(tuple(one.key.hex() for one in command.trustees), "key")
    require_distinct(tuple(one.cert_sha256.hex() for one in command.trustees), "cert_sha256")
    _require_persons(command.judged)
    if command.mode == "or":
        require_text(rescue=command.rescue)
    appointed = TrusteesAppointed(command.seal, command.mode, command.t, command.trustees, command.rescue)
    return (appointed, *events_of(APPOINTMENT, command.judged, map(str, range(1, count + 1))))


def _require_persons(judged: tuple[Judged, ...]) -> None:
    """Raise Refused where one person holds two shares under two certificates; without anchors nobody can tell."""
    first: dict[str, str] = {}
    for one in judged:
        if one.holder and first.setdefault(one.holder, one.subject) != one.subject:
            facts = (("first", first[one.holder]),)
            raise Refused("same-holder", rule="trustees-are-persons", value=one.subject, facts=facts)


COMMANDS: tuple[type, ...] = (AppointTrustees,)
EVENTS: tuple[type, ...] = (TrusteesAppointed,)
