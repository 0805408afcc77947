"""Numbers of the evaluation: fractions inside, decimal text outside, and the named places where a number is rounded.

Nothing here is binary floating point. 四舍五入 is half up on the decimal value, away from zero, never half to even:
15.625 becomes 15.63. A cap is rounded down, so that a bond is never above it [trading 2.0 A2, A4].
"""

import re
from fractions import Fraction

from node.domain.refused import Refused

SHOWN_PLACES = 6  # an unrounded value is shown to so many places, beside its p/q
FEN_PER_YUAN = 100
_QUANTITY = re.compile(r"-?(?:0|[1-9][0-9]{0,14})(?:\.[0-9]{1,15})?", re.ASCII)


def refuse(field: str, code: str, *, value: object = "", limit: object = "") -> Refused:
    """Return the refusal of one input of a computation; fact `field` is its path, such as bids[2].price."""
    return Refused(code, rule="score-input", value=str(value), limit=str(limit), facts=(("field", field),))


def quantity(text: str, field: str) -> Fraction:
    """Return plain decimal text as an exact number: no exponent, no plus, no separators, at most 15 digits either side."""
    if _QUANTITY.fullmatch(text) is None:
        raise refuse(field, "quantity-malformed", value=text[:40])
    return Fraction(text)


def fen(text: str, field: str) -> int:
    """Return an amount in yuan as fen. Raises Refused for anything finer than a fen."""
    amount_fen = quantity(text, field) * FEN_PER_YUAN
    if amount_fen.denominator != 1:
        raise refuse(field, "finer-than-fen", value=text, limit="0.01")
    return amount_fen.numerator


def yuan(amount_fen: int) -> Fraction:
    """Return fen as yuan."""
    return Fraction(amount_fen, FEN_PER_YUAN)


def half_up(value: Fraction, places: int) -> Fraction:
    """Return the value rounded to so many decimal places, a half away from zero (四舍五入)."""
    return Fraction(_half_up_units(value, places), 10**places)


def _half_up_units(value: Fraction, places: int) -> int:
    scale: int = 10**places
    doubled = 2 * abs(value.numerator) * scale + value.denominator
    units = doubled // (2 * value.denominator)
    return -units if value < 0 else units


def share_down_fen(amount_fen: int, share: Fraction) -> int:
    """Return a share of an amount as a cap: rounded down to the fen."""
    return amount_fen * share.numerator // share.denominator


def decimal_text(value: Fraction, places: int) -> str:
    """Return the value with exactly so many places, rounded half up; a zero has no sign."""
    units = _half_up_units(value, places)
    digits = str(abs(units)).rjust(places + 1, "0")
    whole, rest = (digits[:-places], digits[-places:]) if places else (digits, "")
    return ("-" if units < 0 else "") + whole + ("." + rest if rest else "")


def money_text(value: Fraction) -> str:
    """Return an amount in yuan with all its places, at least two. ValueError where it has no last place."""
    twos, fives, rest = 0, 0, value.denominator
    while rest % 2 == 0:
        twos, rest = twos + 1, rest // 2
    while rest % 5 == 0:
        fives, rest = fives + 1, rest // 5
    if rest != 1:
        raise ValueError(f"{ratio_text(value)} is no finite decimal")
    return decimal_text(value, max(2, twos, fives))


def ratio_text(value: Fraction) -> str:
    """Return p/q in lowest terms; whole numbers as p/1."""
    return f"{value.numerator}/{value.denominator}"
