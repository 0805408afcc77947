"""What a bid says, as `bid.json` (投标内容): read strictly, whole numbers only, every wrong field named."""

import json
from typing import Any

from node.domain.bidding import BidContent, PriceLine

_LIMIT = 1_048_576
_FIELDS = {
    "lot_code": str,
    "round_no": int,
    "ref": str,
    "bidder_name": str,
    "uscc": str,
    "price_fen": int,
    "price_words": str,
    "period_days": int,
    "quality": str,
}


class ContentUnfit(ValueError):
    """A field of `bid.json` cannot be used; the message names it."""

    def __init__(self, field: str, why: str) -> None:
        """Name the field and say why."""
        super().__init__(f"{field}: {why}")


def _no_float(text: str) -> Any:
    raise ContentUnfit(text, "数量须为整数（分、天）/ whole numbers only")


def content_of(text: bytes) -> BidContent:
    """Return the bid that a JSON file describes. Raises ContentUnfit naming the field."""
    if len(text) > _LIMIT:
        raise ContentUnfit("file", "超过 1 MiB / is over 1 MiB")
    try:
        data = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise ContentUnfit("file", f"不是 JSON / is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise ContentUnfit("file", "须为对象 / must be an object")
    unknown = sorted(set(data) - set(_FIELDS) - {"lines"})
    if unknown:
        raise ContentUnfit(unknown[0], "未知字段 / unknown field")
    values: dict[str, Any] = {}
    for name, kind in _FIELDS.items():
        value = data.get(name)
        if type(value) is not kind or (isinstance(value, int) and not 0 < value < 10**15):
            raise ContentUnfit(name, "缺少或类型不符 / missing or of the wrong kind")
        values[name] = value
    lines = data.get("lines", [])
    if not isinstance(lines, list):
        raise ContentUnfit("lines", "须为数组 / must be an array")
    return BidContent(**values, lines=tuple(_line(line, n) for n, line in enumerate(lines)), files=())


def _line(line: Any, n: int) -> PriceLine:
    names = ("no", "name", "quantity", "unit_price")
    if not isinstance(line, dict) or set(line) != {*names, "total_fen"}:
        raise ContentUnfit(f"lines[{n}]", "须有 no, name, quantity, unit_price, total_fen")
    for name in names:
        if not isinstance(line[name], str):
            raise ContentUnfit(f"lines[{n}].{name}", "须为文本 / must be text")
    if type(line["total_fen"]) is not int:
        raise ContentUnfit(f"lines[{n}].total_fen", "须为整数（分）/ must be a whole number of fen")
    return PriceLine(line["no"], line["name"], line["quantity"], line["unit_price"], line["total_fen"])


def content_bytes(content: BidContent) -> bytes:
    """Return `bid.json` of a bid, as `content_of` reads it."""
    fields: dict[str, Any] = {name: getattr(content, name) for name in _FIELDS}
    fields["lines"] = [
        {
            "no": line.no,
            "name": line.name,
            "quantity": line.quantity,
            "unit_price": line.unit_price,
            "total_fen": line.total_fen,
        }
        for line in content.lines
    ]
    return json.dumps(fields, ensure_ascii=False, indent=1).encode()
