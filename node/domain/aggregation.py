"""From the members' marks to one score of a bid (汇总), and the recheck before anything is ranked (87号令 64).

Marks are whole hundredths. A mean is exact; whoever prints or adds it rounds it once, where the scheme says, with
`exact.half_up` [trading 2.5].
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from node.domain.exact import half_up, refuse

TRIM_LEAVES_ONE = 3
CENTI_PER_MARK = 100


class TrimBy(StrEnum):
    """What the highest and the lowest are taken of. The two give different scores, so the documents must say."""

    ITEM = "item"  # of the marks on each item
    MEMBER_TOTAL = "member-total"  # of the members' sums over the items


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One line of the scoring scheme (评分因素). A mark is 0 … full in whole steps; objective: all members must agree."""

    no: str
    full_centi: int
    step_centi: int
    objective: bool = False


@dataclass(frozen=True, slots=True)
class MarkFinding:
    """What must be corrected and signed again, by whom.

    kind: missing | unknown-item | out-of-range | off-step | objective-differs. Where members differ all of them are named:
    the system does not say who is right.
    """

    ref: str
    item: str
    kind: str
    members: tuple[str, ...]


def aggregate(marks_centi: Sequence[int], trim_from: int | None = None) -> Fraction:
    """Return the mean in marks. With at least `trim_from` marks one highest and one lowest leave first; None: nobody leaves.

    Raises Refused for no marks and for a `trim_from` that could leave nothing.
    """
    if not marks_centi:
        raise refuse("marks", "no-marks", value=0, limit=1)
    if trim_from is not None and trim_from < TRIM_LEAVES_ONE:
        raise refuse("trim_from", "out-of-range", value=trim_from, limit=TRIM_LEAVES_ONE)
    counted = sorted(marks_centi)
    if trim_from is not None and len(counted) >= trim_from:
        counted = counted[1:-1]
    return Fraction(sum(counted), len(counted) * CENTI_PER_MARK)


def group_score(
    marks: Mapping[str, Mapping[str, int]],
    items: Sequence[str],
    trim_from: int | None = None,
    trim_by: TrimBy = TrimBy.ITEM,
) -> Fraction:
    """Return a bid's exact score over some items in marks (技术分, 商务分 …), not rounded item by item.

    `marks`: member -> item -> hundredths, every item marked by everyone (see `recheck`).
    """
    match trim_by:
        case TrimBy.ITEM:
            columns = [[by_item[item] for by_item in marks.values()] for item in items]
            return sum((aggregate(column, trim_from) for column in columns), Fraction(0))
        case TrimBy.MEMBER_TOTAL:
            return aggregate([sum(by_item[item] for item in items) for by_item in marks.values()], trim_from)


def total_score(parts: Sequence[Fraction], places: int = 2) -> Fraction:
    """Return the sum of a bid's parts (综合得分), each rounded half up first, so that the printed parts add up to it. M4."""
    return sum((half_up(part, places) for part in parts), Fraction(0))


def mark_fault(item: Item, mark_centi: int) -> str:
    """Return why this mark may not stand: out-of-range, off-step, or "" where it may."""
    if not 0 <= mark_centi <= item.full_centi:
        return "out-of-range"
    return "off-step" if mark_centi % item.step_centi else ""


def recheck(ref: str, items: Sequence[Item], marks: Mapping[str, Mapping[str, int]]) -> tuple[MarkFinding, ...]:
    """Return everything about one bid's marks that forbids ranking; nothing found, empty (评分复核)."""
    findings = []
    known = {item.no for item in items}
    for member, by_item in marks.items():
        findings += [MarkFinding(ref, no, "unknown-item", (member,)) for no in by_item if no not in known]
    for item in items:
        kinds: dict[str, list[str]] = {}
        for member, by_item in marks.items():
            kind = mark_fault(item, by_item[item.no]) if item.no in by_item else "missing"
            kinds.setdefault(kind, []).append(member)
        findings += [MarkFinding(ref, item.no, kind, tuple(members)) for kind, members in kinds.items() if kind]
        if item.objective and len({by_item[item.no] for by_item in marks.values() if item.no in by_item}) > 1:
            findings.append(MarkFinding(ref, item.no, "objective-differs", tuple(marks)))
    return tuple(findings)
