"""`erhai bid seal`: the bidder's tool (投标人工具). It is the only thing that seals; pages take the finished file."""

import json
import sys
from pathlib import Path
from typing import Any

import click

from node.bid_file import seal_bid
from node.domain.bidding import BidContent, PriceLine
from sync.seal import SealFault

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


class _UnfitError(ValueError):
    def __init__(self, field: str, why: str) -> None:
        super().__init__(f"{field}: {why}")


def _no_float(text: str) -> Any:
    raise _UnfitError(text, "数量须为整数（分、天）/ whole numbers only")


def content_of(text: bytes) -> BidContent:
    """Return the bid that a JSON file describes. Raises ValueError naming the field."""
    if len(text) > _LIMIT:
        raise _UnfitError("file", "超过 1 MiB / is over 1 MiB")
    try:
        data = json.loads(text, parse_float=_no_float, parse_constant=_no_float)
    except (UnicodeDecodeError, RecursionError, json.JSONDecodeError) as error:
        raise _UnfitError("file", f"不是 JSON / is not JSON: {error}") from error
    if not isinstance(data, dict):
        raise _UnfitError("file", "须为对象 / must be an object")
    unknown = sorted(set(data) - set(_FIELDS) - {"lines"})
    if unknown:
        raise _UnfitError(unknown[0], "未知字段 / unknown field")
    values: dict[str, Any] = {}
    for name, kind in _FIELDS.items():
        value = data.get(name)
        if type(value) is not kind or (isinstance(value, int) and not 0 < value < 10**15):
            raise _UnfitError(name, "缺少或类型不符 / missing or of the wrong kind")
        values[name] = value
    lines = data.get("lines", [])
    if not isinstance(lines, list):
        raise _UnfitError("lines", "须为数组 / must be an array")
    return BidContent(**values, lines=tuple(_line(line, n) for n, line in enumerate(lines)), files=())


def _line(line: Any, n: int) -> PriceLine:
    names = ("no", "name", "quantity", "unit_price")
    if not isinstance(line, dict) or set(line) != {*names, "total_fen"}:
        raise _UnfitError(f"lines[{n}]", "须有 no, name, quantity, unit_price, total_fen")
    for name in names:
        if not isinstance(line[name], str):
            raise _UnfitError(f"lines[{n}].{name}", "须为文本 / must be text")
    if type(line["total_fen"]) is not int:
        raise _UnfitError(f"lines[{n}].total_fen", "须为整数（分）/ must be a whole number of fen")
    return PriceLine(line["no"], line["name"], line["quantity"], line["unit_price"], line["total_fen"])


@click.group("bid")
def cli_bid() -> None:
    """投标人工具。 The bidder's tool."""


@cli_bid.command("seal", epilog="例 / example: erhai bid seal bid.json --room room.pub -o bid.erhai")
@click.argument("content", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--room", type=click.Path(exists=True, dir_okay=False, path_type=Path), required=True, help="开标室公钥")
@click.option("-o", "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="加密投标文件")
def seal(content: Path, room: Path, output: Path) -> None:
    """把投标内容（JSON）加密给开标室，开标前任何人不能打开。 Seal a bid to the room."""
    try:
        bid = content_of(content.read_bytes())
        public = bytes.fromhex(room.read_text(encoding="ascii").strip())
        sealed = seal_bid(bid, public)
    except (ValueError, SealFault) as error:
        click.echo(f"未加密 / not sealed: {error}", err=True)
        sys.exit(1)
    output.write_bytes(sealed)
    click.echo(f"{output}: {len(sealed)} 字节 / bytes")
