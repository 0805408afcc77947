"""Arithmetic correction of a bid price before anything is scored (算术修正): 12号令 19 for works, 87号令 59 for procurement.

In the order of the clause, each step on the result of the one before: opening sheet, words, unit prices. A unit price
whose decimal point (or percent) is clearly in the wrong place does not win: then the total stands and the unit price is
amended. Clearly means: moving the point of exactly one unit price makes the amounts agree to the fen.

The bidder must confirm the result, refusal means rejection; that is decided elsewhere [trading 2.1].
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

from node.domain.capital_amount import capital_fen
from node.domain.exact import half_up, quantity, yuan

if TYPE_CHECKING:
    from node.domain.bidding import BidContent

SHIFTS = tuple(Fraction(10) ** places for places in (-4, -3, -2, -1, 1, 2, 3, 4))


class CorrectionRule(StrEnum):
    """Which rule changed a value."""

    OPENING_SHEET = "opening-sheet-wins"  # 开标一览表为准
    WORDS = "words-win"  # 大写为准
    UNIT_PRICE = "unit-price-wins"  # 单价为准: total of one line
    POINT = "point-misplaced"  # 小数点明显错位: the unit price is amended, the total stands
    SUM = "sum-of-lines-wins"  # 按单价汇总为准


@dataclass(frozen=True, slots=True)
class BillLine:
    """One priced line; the unit price in yuan may be finer than a fen, the total is not."""

    no: str
    quantity: Fraction
    unit_price: Fraction
    total_fen: int

    @property
    def product_fen(self) -> int:
        """Quantity times unit price, rounded half up to the fen."""
        return half_up(self.quantity * self.unit_price * 100, 0).numerator


@dataclass(frozen=True, slots=True)
class StatedPrice:
    """What the bid says, in all the places where it says it. `words_fen`, `opening_fen` None: it does not say it there."""

    figures_fen: int
    words_fen: int | None = None
    lines: tuple[BillLine, ...] = ()
    opening_fen: int | None = None


@dataclass(frozen=True, slots=True)
class Correction:
    """One step in yuan. `where`: "total", or the line's number; a POINT step changes the line's unit price."""

    rule: CorrectionRule
    where: str
    before: Fraction
    after: Fraction


@dataclass(frozen=True, slots=True)
class CorrectedPrice:
    """The price to evaluate and to contract at, how it came about, and the lines that add up to it."""

    price_fen: int
    steps: tuple[Correction, ...]
    lines: tuple[BillLine, ...]


def stated_price(content: "BidContent") -> StatedPrice:
    """Return what an opened bid says. Raises Refused with the field for words or lines that cannot be read."""
    lines = tuple(
        BillLine(
            line.no,
            quantity(line.quantity, f"lines[{index}].quantity"),
            quantity(line.unit_price, f"lines[{index}].unit_price"),
            line.total_fen,
        )
        for index, line in enumerate(content.lines)
    )
    words_fen = capital_fen(content.price_words, "price_words") if content.price_words else None
    return StatedPrice(content.price_fen, words_fen, lines)


def correct_price(stated: StatedPrice, *, opening_sheet_wins: bool) -> CorrectedPrice:
    """Return the corrected price; no steps, nothing was wrong.

    `opening_sheet_wins`: True in procurement; in construction as the documents decide.
    """
    price_fen, steps = stated.figures_fen, list[Correction]()
    winners = [(CorrectionRule.WORDS, stated.words_fen)]
    if opening_sheet_wins:
        winners.insert(0, (CorrectionRule.OPENING_SHEET, stated.opening_fen))
    for rule, winner_fen in winners:
        if winner_fen is not None and winner_fen != price_fen:
            steps.append(Correction(rule, "total", yuan(price_fen), yuan(winner_fen)))
            price_fen = winner_fen
    lines = []
    for line in stated.lines:
        corrected, step = _correct_line(line)
        lines.append(corrected)
        steps += [step] if step else []
    total_fen = sum(line.total_fen for line in lines)
    if not lines or total_fen == price_fen:
        return CorrectedPrice(price_fen, tuple(steps), tuple(lines))
    moved = list(_points_that_explain(lines, price_fen - total_fen))
    if len(moved) == 1:
        index, line = moved[0]
        steps.append(Correction(CorrectionRule.POINT, line.no, lines[index].unit_price, line.unit_price))
        lines[index] = line
    else:
        steps.append(Correction(CorrectionRule.SUM, "total", yuan(price_fen), yuan(total_fen)))
        price_fen = total_fen
    return CorrectedPrice(price_fen, tuple(steps), tuple(lines))


def _correct_line(line: BillLine) -> tuple[BillLine, Correction | None]:
    if line.product_fen == line.total_fen:
        return line, None
    fitting = [moved for moved in _moved(line) if moved.product_fen == line.total_fen]
    if len(fitting) == 1:
        return fitting[0], Correction(CorrectionRule.POINT, line.no, line.unit_price, fitting[0].unit_price)
    step = Correction(CorrectionRule.UNIT_PRICE, line.no, yuan(line.total_fen), yuan(line.product_fen))
    return replace(line, total_fen=line.product_fen), step


def _points_that_explain(lines: list[BillLine], missing_fen: int) -> Iterator[tuple[int, BillLine]]:
    for index, line in enumerate(lines):
        for moved in _moved(line):
            if moved.product_fen - line.total_fen == missing_fen:
                yield index, replace(moved, total_fen=moved.product_fen)


def _moved(line: BillLine) -> Iterator[BillLine]:
    return (replace(line, unit_price=line.unit_price * shift) for shift in SHIFTS)
