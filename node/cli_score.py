"""`erhai score FILE`: the price part of an evaluation at the command line, by the same rules as the room.

What is refused is named by its path on standard error, exit 1; no such file, exit 2.
"""

import json
import os
import sys
from pathlib import Path

import click

from node.domain.refused import Refused
from node.domain.scoring import score_prices
from node.score_json import MOST_BYTES, answer, parse_input, read_request

MOST_SHOWN = 60
EXIT_REFUSED = 1
EXIT_USAGE = 2

# code -> zh-CN, English. {value} is what was found, {limit} what is allowed.
SENTENCES = {
    "not-utf8": ("文件不是 UTF-8 编码", "the file is not UTF-8"),
    "not-json": ("不是有效的 JSON（{value}）", "not valid JSON ({value})"),
    "too-deep": ("嵌套过深", "nested too deeply"),
    "too-large": ("过大，上限 {limit}", "too large, the limit is {limit}"),
    "stands-twice": ("重复出现：{value}", "stands twice: {value}"),
    "unknown-key": ("没有这个字段", "there is no such key"),
    "missing": ("缺少", "is missing"),
    "not-text": ('应为文本形式的十进制数，如 "30.00"', 'must be decimal text such as "30.00"'),
    "not-a-count": ("应为非负整数", "must be a whole number, not negative"),
    "not-an-object": ("应为对象", "must be an object"),
    "not-a-list": ("应为列表", "must be a list"),
    "name-malformed": (
        "名称应为 1 至 {limit} 个字符，首尾无空格，不含控制字符",
        "a name has 1 to {limit} characters, no space at either end, no control characters",
    ),
    "word-unknown": ("不认识 {value}，应为：{limit}", "does not know {value}, must be one of: {limit}"),
    "quantity-malformed": ("不是普通十进制数：{value}", "is no plain decimal number: {value}"),
    "finer-than-fen": ("金额 {value} 精确到分以下", "the amount {value} is finer than a fen"),
    "not-positive": ("必须大于 0，现为 {value}", "must be above 0, is {value}"),
    "out-of-range": ("超出范围：{value}，允许 {limit}", "out of range: {value}, allowed is {limit}"),
    "evaluated-not-positive": ("调整额 {value} 使评标价不大于 0", "{value} makes the evaluated price 0 or less"),
    "either-k-or-r": ("k 与 r 只能有一个", "either k or r, not both"),
    "control-missing": ("使用控制价权重时必须给出控制价（{limit}）", "is needed where it has a share ({limit})"),
    "benchmark-not-positive": ("取整后的基准价不大于 0", "the rounded benchmark is 0 or less"),
    "no-valid-bid": ("没有有效报价，至少需要 {limit} 个", "no valid bid, at least {limit} is needed"),
    "no-price-left": (
        "去掉最高、最低后没有剩余报价：现有 {value} 个，至少需要 {limit} 个",
        "no price is left after the outliers: {value} given, at least {limit} needed",
    ),
}


def _english() -> bool:
    return os.environ.get("LANG", "").startswith("en")


def sentence(refused: Refused, *, english: bool) -> str:
    """Return what a person reads: the field, what is wrong with it, what would be right. Input is shown, never obeyed."""
    field = dict(refused.facts)["field"]
    words = SENTENCES[refused.code][english].format(value=_safe(refused.value), limit=_safe(refused.limit))
    return f"refused: {_safe(field)}: {words}" if english else f"拒绝：{_safe(field)}：{words}"


def _safe(text: str) -> str:
    shown = text if len(text) <= MOST_SHOWN else text[:MOST_SHOWN] + "…"
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in shown)


def _read(file: str) -> bytes:
    """Return the input, or one byte more than is allowed. Ends the program with 2 when there is no such file."""
    if file == "-":
        return sys.stdin.buffer.read(MOST_BYTES + 1)
    try:
        stream = Path(file).open("rb")  # noqa: SIM115 - only the opening may end as "no such file"
    except OSError as error:
        reason = error.strerror or type(error).__name__
        message = f"cannot open {_safe(file)}: {reason}" if _english() else f"无法打开 {_safe(file)}：{reason}"
        click.echo(message, err=True)
        raise SystemExit(EXIT_USAGE) from error
    with stream:
        return stream.read(MOST_BYTES + 1)


HELP = """计算价格分：读取 FILE（JSON，- 为标准输入），输出 JSON。

Compute price scores: read FILE (JSON, - for standard input), print JSON.

\b
例 Example:
  erhai score method.json
  echo '{"method": "lowest-ratio", "full": "30", "round": {"score": 2},
         "bids": [{"bidder": "A", "price": "1000000.00"},
                  {"bidder": "B", "price": "950000.00"}]}' | erhai score -

\b
字段 Keys: 数量为十进制文本 quantities are decimal text; 金额为元 money in yuan
  method   lowest-ratio | lowest-evaluated | benchmark
  full     满分（lowest-evaluated 无此项 not for lowest-evaluated）
  control  最高限价，可为 null; bids [{bidder, price, deduction?, adjust?}]
  round    {benchmark?, deviation?, score?} 小数位数 decimal places
  benchmark: outliers [{n_min, high, low}], w, k | r, above, below,
             step linear | ceil | floor, max_loss, floor

\b
退出码 Exit: 0 成功 done; 1 拒绝 refused; 2 用法或无此文件 usage, no file
"""


@click.command("score", help=HELP)
@click.argument("file", type=str)
def cli_score(file: str) -> None:
    """Score the request in a file; see HELP."""
    raw = _read(file)
    try:
        terms, bids = read_request(parse_input(raw))
        found = answer(terms, score_prices(terms, bids))
    except Refused as refused:
        click.echo(sentence(refused, english=_english()), err=True)
        raise SystemExit(EXIT_REFUSED) from refused
    # Bytes: names are UTF-8 whatever the terminal's locale says.
    click.echo(json.dumps(found, ensure_ascii=False, indent=2).encode())
