"""Amounts in capital characters (大写金额): the form that wins when words and figures of a bid differ.

Written as banks ask for it (支付结算办法, 附件: 正确填写票据和结算凭证的基本规定). Reading allows what those rules allow: with or
without 人民币 and 整, 元 or 圆, 零 left out after 万 or 元 where a unit still says the place. What could mean two amounts
(壹万伍元) is refused, never guessed.
"""

from node.domain.exact import refuse

DIGITS = "零壹贰叁肆伍陆柒捌玖"
PLACES = {"拾": 10, "佰": 100, "仟": 1000}
SECTION = 10_000
MOST_FEN = 10**14 - 1  # below 万亿元
_SAME = str.maketrans("圆圓正貳參陸萬億〇", "元元整贰叁陆万亿零")
_WON = "人民币"


def capital_text(amount_fen: int) -> str:
    """Return the amount in capitals, such as 壹拾万柒仟元伍角叁分. ValueError outside 0 … 9,999 亿元."""
    if not 0 <= amount_fen <= MOST_FEN:
        raise ValueError(f"{amount_fen} fen cannot be written in capitals")
    whole, cents = divmod(amount_fen, 100)
    jiao, fen = divmod(cents, 10)
    text = _whole_text(whole) + "元" if whole or not cents else ""
    if jiao:
        text += DIGITS[jiao] + "角"
    if fen:
        text += ("零" if text and not jiao else "") + DIGITS[fen] + "分"
    return text if fen else text + "整"


def _whole_text(whole: int) -> str:
    text, gap = "", False
    for unit, name in ((SECTION**2, "亿"), (SECTION, "万"), (1, "")):
        section = whole // unit % SECTION
        if section:
            text += ("零" if text and (gap or section < 1000) else "") + _section_text(section) + name
        gap = not section
    return text or "零"


def _section_text(section: int) -> str:
    text, gap = "", False
    for place, name in ((1000, "仟"), (100, "佰"), (10, "拾"), (1, "")):
        digit = section // place % 10
        if digit:
            text += ("零" if text and gap else "") + DIGITS[digit] + name
        gap = not digit
    return text


def capital_fen(text: str, field: str) -> int:
    """Return the fen of an amount in capitals. Raises Refused (`capital-malformed`) with the field for anything doubtful."""
    wrong = refuse(field, "capital-malformed", value=text[:60])
    plain = "".join(text.split()).removeprefix(_WON).lstrip(":\uff1a").translate(_SAME)
    body = plain.removesuffix("整")
    if "元" in body:
        whole, _, cents = body.partition("元")
        if not whole:
            raise wrong
    else:
        whole, cents = "", body
    if not body or (cents.endswith("分") and plain.endswith("整")):
        raise wrong
    try:
        return _whole(whole) * 100 + _cents(cents, after_yuan=bool(whole))
    except _Doubtful:
        raise wrong from None


class _Doubtful(Exception):
    """The characters do not say one amount."""


def _cents(text: str, *, after_yuan: bool) -> int:
    rest, jiao, fen = text.removeprefix("零") if after_yuan else text, 0, 0
    if len(rest) >= 2 and rest[1] == "角":
        jiao, rest = _digit(rest[0]), rest[2:].removeprefix("零")
    if len(rest) == 2 and rest[1] == "分":
        fen, rest = _digit(rest[0]), ""
    if rest or (text and not jiao and not fen):
        raise _Doubtful
    return jiao * 10 + fen


def _digit(character: str) -> int:
    found = DIGITS.find(character)
    if found < 1:
        raise _Doubtful
    return found


def _whole(text: str) -> int:
    if text in ("", "零"):
        return 0
    total, rest, above = 0, text, False
    for name, unit in (("亿", SECTION**2), ("万", SECTION)):
        if name in rest:
            part, _, rest = rest.partition(name)
            total, above = total + _section(part, above=above) * unit, True
    return total + (_section(rest, above=above) if rest or not above else 0)


def _section(text: str, *, above: bool) -> int:
    """Return the value below 10,000. `above`: a larger section stands before it, so a lone digit needs its 零."""
    value, digit, zero, last = 0, 0, False, SECTION if above else 0
    for position, character in enumerate(text):
        if character == "零":
            if digit or zero or not (above or value):
                raise _Doubtful
            zero = True
        elif character in PLACES:
            place = PLACES[character]
            if not digit and (place, position) == (10, 0) and not above:
                digit = 1  # 拾万元: the leading 壹 is often left out
            if not digit or (last and place >= last):
                raise _Doubtful
            value, digit, zero, last = value + digit * place, 0, False, place
        else:
            if digit:
                raise _Doubtful
            digit = _digit(character)
    # 壹佰伍 may be heard as 150; only 零 or the place just above makes a bare last digit clear.
    if (digit and last > 10 and not zero) or (zero and not digit) or not (value or digit):
        raise _Doubtful
    return value + digit
