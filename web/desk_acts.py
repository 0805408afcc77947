"""What the desk can do with a lot, all phases, and what is left to do while a lot stands still (办理事项)."""

from node.domain.lot import LotState, blocked
from node.domain.values import Role
from web.acts_award import AWARD_ACTS
from web.acts_course import COURSE_ACTS
from web.acts_evaluation import EVALUATION_ACTS
from web.acts_notice import NOTICE_ACTS
from web.acts_opening import OPENING_ACTS
from web.desk_act import Act

ACTS: tuple[Act, ...] = (*NOTICE_ACTS, *OPENING_ACTS, *EVALUATION_ACTS, *AWARD_ACTS, *COURSE_ACTS)

BY_SLUG = {act.slug: act for act in ACTS}

# What can still be done while the lot stands still or has ended; everything, where it does neither.
_LEFT: dict[str, frozenset[str]] = {
    "archived": frozenset(),
    "terminated": frozenset({"archive"}),
    "round-failed": frozenset({"retender", "termination", "archive"}),
    "scrapped": frozenset({"retender", "termination", "archive"}),
    "suspended": frozenset({"resume", "termination", "objection", "objection-answer"}),
    "objection": frozenset(
        {
            "objection",
            "objection-answer",
            "suspend",
            "amendment",
            "notice-withdrawal",
            "termination",
            "scrap",
            "winner-refusal",
        }
    ),
}


def acts_for(lot: LotState, role: Role) -> list[Act]:
    """Return the acts that a role can do with a lot now."""
    why = blocked(lot)
    return [act for act in ACTS if act.may(role) and act.offered(lot) and (not why or act.slug in _LEFT[why])]
