"""The ways a round fails, four different things (流标, 否决全部投标, 终止招标; one bid's rejection is the committee's), and what follows.

Each carries the code of the exception report (招标异常情况): 1 流标, 2 终止开标, 3 公告撤销 (the notice's own), 9 其他.
"""

from typing import TYPE_CHECKING

from node.domain.guards import breach, require_one_of, require_text
from node.domain.profile import Profile, Rule
from node.domain.project import (
    DeclareRoundFailed,
    ProcedureScrapped,
    ProcedureTerminated,
    RetenderStarted,
    RoundFailed,
    ScrapProcedure,
    StartRetender,
    TerminateProcedure,
)
from node.domain.refused import NotOffered, Refused
from node.domain.values import Asked

if TYPE_CHECKING:
    from node.domain.lot import LotState

SCRAP_REASONS = ("all-rejected", "no-competition", "unlawful")
ROUND_FAILED, OPENING_TERMINATED, NOTICE_WITHDRAWN, OTHER_EXCEPTION = 1, 2, 3, 9

COMMANDS: tuple[type, ...] = (DeclareRoundFailed, ScrapProcedure, TerminateProcedure, StartRetender)


def decide(lot: "LotState", command: object, asked: Asked) -> tuple[object, ...]:
    """Return the event that ends this round, ends the procedure, or begins the next round. Raises Refused."""
    match command:
        case DeclareRoundFailed():
            return _declare_failed(lot, command, asked)
        case ScrapProcedure():
            return _scrap(lot, command, asked)
        case TerminateProcedure():
            return _terminate(lot, command)
        case StartRetender():
            return _retender(lot, command)
        case _:
            raise NotOffered("lot/", type(command).__name__)


def min_bidders(lot: "LotState", profile: Profile) -> Rule:
    """Return the rule that says how many bidders this round needs (ZB 28; a later round may need fewer, CQ 20)."""
    return profile.rule("min-bidders" if lot.project.round_no <= 1 else "second-round-min-bidders")


def round_failed(lot: "LotState", profile: Profile, *, text: str) -> RoundFailed | None:
    """Return 流标 when fewer sealed bids are here than the round needs, else None. Only after the deadline."""
    bidders = len(lot.bidding.live)
    needed = min_bidders(lot, profile)
    if bidders >= profile.number(needed.id):
        return None
    return RoundFailed("too-few-bidders", bidders, ROUND_FAILED, text)


def _declare_failed(lot: "LotState", command: DeclareRoundFailed, asked: Asked) -> tuple[RoundFailed]:
    require_text(reason=command.reason)
    profile = asked.profile(lot.profile_id)
    needed = min_bidders(lot, profile)
    deadline_ms = lot.notice.deadline_ms
    if not deadline_ms or asked.at_ms < deadline_ms:
        raise Refused("deadline-not-reached", rule="opening-at-deadline", value=str(asked.at_ms), cites=("ZB 34",))
    if lot.opening.started:
        raise Refused("opened-already", rule="before-opening", cites=needed.cites)
    event = round_failed(lot, profile, text=command.reason)
    if event is None:
        raise breach(needed, "enough-bidders", value=len(lot.bidding.live))
    return (event,)


def _scrap(lot: "LotState", command: ScrapProcedure, asked: Asked) -> tuple[ProcedureScrapped]:
    require_one_of(command.reason, SCRAP_REASONS, "reason")
    require_text(text=command.text)
    if not lot.opening.confirmed:
        raise Refused("not-opened", rule="after-opening", cites=("ZB 42",))
    if lot.award.notified_at_ms:
        raise Refused("award-notice-binds", rule="before-award-notice", cites=("ZB 45",))
    left = len(lot.standing_refs)
    if command.reason == "all-rejected" and left:
        raise Refused("bids-still-standing", rule="all-bids-rejected", value=str(left), limit="0", cites=("ZB 42",))
    competition = asked.profile(lot.profile_id).rule("competition-min")
    if command.reason == "no-competition" and left >= asked.profile(lot.profile_id).number("competition-min"):
        raise breach(competition, "enough-competition", value=left)
    return (ProcedureScrapped(command.reason, command.text, OTHER_EXCEPTION),)


def _terminate(lot: "LotState", command: TerminateProcedure) -> tuple[ProcedureTerminated]:
    require_text(reason=command.reason, text=command.text)
    if lot.award.notified_at_ms:
        raise Refused("award-notice-binds", rule="before-award-notice", cites=("ZB 45",))
    return (ProcedureTerminated(command.reason, command.text, OPENING_TERMINATED),)


def _retender(lot: "LotState", command: StartRetender) -> tuple[RetenderStarted]:
    state = lot.project
    if state.ended not in {"round-failed", "scrapped"} and not lot.award.refused:
        raise Refused("round-not-over", rule="retender-after-failure", cites=("ZB 28", "ZB 42", "ZB 64", "ZBT 55"))
    if lot.award.notified_at_ms:
        raise Refused("award-notice-binds", rule="before-award-notice", cites=("ZB 45",))
    return (RetenderStarted(state.round_no + 1, command.text),)
