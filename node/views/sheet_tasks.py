"""What a committee member still has to do (评标任务), in which state each part is, and what stands before the signature.

Pure: states in, frozen models out. A task without an address cannot be done now, and its page leads back here.
"""

from dataclasses import dataclass, replace

from node.domain.lot import LotState, blocked
from node.domain.panel import Member
from node.domain.sheet import SheetState, unmarked_of
from node.views.sheet import (
    CHANGED,
    NOT_APPLICABLE,
    NOT_STARTED,
    Bid,
    CriterionLine,
    Place,
    bids_of,
    criterion_line,
    place_of,
    scheme_of,
    word_of,
)


@dataclass(frozen=True, slots=True)
class Task:
    """One line of the task list. `url` "" while it cannot be done."""

    title: str
    word: str
    url: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """The tasks of one part of the work."""

    title: str
    tasks: tuple[Task, ...]


@dataclass(frozen=True, slots=True)
class TaskList:
    """Everything the member has to do, and what stands before the signature."""

    place: Place
    sections: tuple[Section, ...]
    blocks: tuple[str, ...]
    standstill: str
    next_url: str
    next_title: str
    recused: bool
    done: bool


@dataclass(frozen=True, slots=True)
class Recheck:
    """What the recheck asks this member to look at again on one bid."""

    bid: Bid
    lines: tuple[CriterionLine, ...]
    done: bool


def _checklist_tasks(lot: LotState, member: Member, sheet: SheetState, place: Place) -> tuple[Task, ...]:
    doable = lot.evaluation.started and not lot.evaluation.concluded
    hint = "初步评审已结束" if lot.evaluation.concluded else "" if doable else "评标开始后可以填写"
    tasks = []
    for bid in bids_of(lot):
        word = word_of(sheet.checklist(bid.ref))
        if doable and lot.evaluation.checklist_opened(member.no, bid.ref):  # the review was reopened for somebody else
            tasks.append(Task(bid.label, word, "", "已公开，不能再改"))
        else:
            tasks.append(Task(bid.label, word, f"{place.url}/checklist/{bid.ref}" if doable else "", hint))
    return tuple(tasks)


def _marks_tasks(lot: LotState, sheet: SheetState, place: Place) -> tuple[Task, ...]:
    if not lot.evaluation.concluded:
        return tuple(Task(bid.label, NOT_STARTED, "", "初步评审结束后可以评分") for bid in bids_of(lot))
    tasks = []
    for bid in bids_of(lot):
        if bid.rejected:
            tasks.append(Task(bid.label, NOT_APPLICABLE, "", f"已否决：{bid.reason}"))
            continue
        scheme = scheme_of(lot)
        if scheme is None or not scheme.criteria:
            tasks.append(Task(bid.label, NOT_APPLICABLE, "", "评标办法没有评分项"))
            continue
        doable = bid.ref not in sheet.signed_refs and not lot.evaluation.closed
        url = f"{place.url}/marks/{bid.ref}" if doable else ""
        tasks.append(Task(bid.label, word_of(sheet.marked(bid.ref)), url, "" if doable else "评分表已签字"))
    return tuple(tasks)


def blocks_of(lot: LotState, sheet: SheetState) -> tuple[str, ...]:
    """Return, in sentences, what stands before the signature of the sheet."""
    if sheet.signed:
        return ()
    if not lot.evaluation.started:
        return ("评标尚未开始。",)
    names = {bid.ref: bid.label for bid in bids_of(lot)}
    if not lot.evaluation.concluded:
        left = [label for ref, label in names.items() if sheet.checklist(ref) is None]
        if left:
            return (f"尚未提交初步评审：{'、'.join(left)}。",)
        return ("等待其他成员完成初步评审，由工作人员汇总后开始评分。",)
    left = [names[ref] for ref in unmarked_of(lot, sheet)]
    return (f"尚未提交评分：{'、'.join(left)}。",) if left else ()


def recheck_of(lot: LotState, member: Member, sheet: SheetState) -> tuple[Recheck, ...]:
    """Return what the recheck asks of this member, by bid; `done` once every named criterion was corrected or confirmed."""
    scheme = scheme_of(lot)
    if scheme is None or lot.evaluation.ranked:
        return ()
    asked_for: dict[str, set[str]] = {}
    for one in lot.evaluation.inconsistencies:
        if member.no in one.members:
            asked_for.setdefault(one.ref, set()).add(one.criterion)
    found = []
    for bid in bids_of(lot):
        named = asked_for.get(bid.ref, set())
        if not named:
            continue
        corrected = {mark.criterion for one in sheet.corrections if one.ref == bid.ref for mark in one.marks}
        lines = tuple(criterion_line(one) for one in scheme.criteria if one.no in named)
        found.append(Recheck(bid, lines, done=named <= corrected))
    return tuple(found)


def standstill_of(lot: LotState) -> str:
    """Return why nothing can be filled in now; "" where it can. A pause by an objection does not stop the committee."""
    why = blocked(lot)
    if why == "suspended":
        return "程序已中止，暂时不能填写。已提交的内容不受影响，恢复后继续。"
    return "" if why in {"", "objection"} else "本次招标程序已经结束，不再需要填写。"


def task_list(lot: LotState, member: Member, sheet: SheetState) -> TaskList:
    """Return everything this member has to do in this lot."""
    place = place_of(lot, member)
    sections = [
        Section("初步评审", _checklist_tasks(lot, member, sheet, place)),
        Section("详细评审（评分）", _marks_tasks(lot, sheet, place)),
    ]
    blocks = blocks_of(lot, sheet)
    rechecks = recheck_of(lot, member, sheet)
    if rechecks:
        tasks = tuple(
            Task(one.bid.label, CHANGED if one.done else NOT_STARTED, f"{place.url}/recheck/{one.bid.ref}")
            for one in rechecks
        )
        sections.append(Section("评分复核", tasks))
        left = [one.bid.label for one in rechecks if not one.done]
        if left and not sheet.signed:
            blocks = (*blocks, f"尚未复核：{'、'.join(left)}。")
    signing = _signing_task(lot, sheet, place, blocks)
    sections.append(Section("签字", (signing, _report_task(lot, sheet, place))))
    if standstill_of(lot):
        sections = [Section(one.title, tuple(replace(task, url="") for task in one.tasks)) for one in sections]
    doable = [
        (section, task) for section in sections for task in section.tasks if task.url and task.word == NOT_STARTED
    ]
    upcoming = doable[0] if doable else None
    standstill = standstill_of(lot)
    return TaskList(
        place=place,
        sections=tuple(sections),
        blocks=blocks,
        standstill=standstill,
        next_url=upcoming[1].url if upcoming else "",
        next_title=f"{upcoming[0].title}：{upcoming[1].title}" if upcoming else "",
        recused=bool(sheet.conflict),
        done=bool(sheet.report_word),
    )


def _signing_task(lot: LotState, sheet: SheetState, place: Place, blocks: tuple[str, ...]) -> Task:
    if sheet.signed:
        return Task("评分表签字", "已签字", "")
    ready = lot.evaluation.concluded and not blocks
    return Task(
        "评分表签字", NOT_STARTED, f"{place.url}/sign" if ready else "", "" if ready else "完成以上任务后可以签字"
    )


def _report_task(lot: LotState, sheet: SheetState, place: Place) -> Task:
    if sheet.report_word:
        return Task("评标报告", {"agree": "同意", "dissent": "有不同意见", "silent": "不签署"}[sheet.report_word], "")
    ready = lot.evaluation.ranked and not lot.evaluation.reported_at_ms
    return Task("评标报告", NOT_STARTED, f"{place.url}/report" if ready else "", "" if ready else "排序完成后可以签署")
