"""Marks and outcomes as a person types them (评分录入): strings in, whole numbers or a sentence out."""

import re

from node.domain.notice import Criterion
from web.words import mark as mark_text

_MARK = re.compile(r"[0-9]{1,4}(\.[0-9]{1,2})?", re.ASCII)
_FULL_WIDTH = re.compile("[０-９．。，]")
REASON_MOST = 500


class MarkUnreadable(Exception):
    """What was typed is no mark that this criterion allows; the text is the sentence for the person."""


def read_mark(text: str, criterion: Criterion) -> int:
    """Return a typed mark in hundredths. Raises MarkUnreadable with what to do about it."""
    typed = text.strip()
    name = criterion.name
    if not typed:
        raise MarkUnreadable(f"请填写“{name}”的评分，没有得分请填 0")
    if _FULL_WIDTH.search(typed):
        raise MarkUnreadable(f"“{name}”的评分含全角字符，请改用半角数字和小数点，例如 17.5")
    if not _MARK.fullmatch(typed):
        raise MarkUnreadable(f"“{name}”的评分应为数字，最多两位小数，例如 17.5")
    whole, _, part = typed.partition(".")
    centi = int(whole) * 100 + int(part.ljust(2, "0"))
    if centi > criterion.full_centi:
        raise MarkUnreadable(f"“{name}”的评分应在 0 至 {mark_text(criterion.full_centi)} 之间，填写的是 {typed}")
    if centi % criterion.step_centi:
        raise MarkUnreadable(f"“{name}”的评分应为 {mark_text(criterion.step_centi)} 的整倍数，填写的是 {typed}")
    return centi
