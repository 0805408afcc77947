"""The JSON of a price score: strict in, exact out (design 8).

Quantities are plain decimal text, counts and places JSON integers. No number becomes a float on its way; a key that stands
twice or is not known is refused; every refusal names the path of what is wrong.
"""

import json
import unicodedata
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from node.domain.exact import SHOWN_PLACES, decimal_text, fen, money_text, quantity, ratio_text, refuse
from node.domain.notice import OutlierRow, PriceMethod
from node.domain.price_terms import METHODS, price_terms
from node.domain.scoring import Benchmark, PricedBid, PriceScores, PriceTerms, RejectedBid, ScoredBid

MOST_BYTES = 2 * 1024 * 1024
MOST_BIDS = 10_000
MOST_NAME = 200
MOST_COUNT_DIGITS = 9

COMMON = frozenset({"method", "control", "bids", "round"})
BENCHMARK_TEXTS = ("w", "k", "r", "above", "below", "floor")
KEYS = {
    "lowest-ratio": COMMON | {"full"},
    "lowest-evaluated": COMMON,
    "benchmark": COMMON | {"full", "outliers", "step", "max_loss", *BENCHMARK_TEXTS},
}
# What a word may not hold: control, invisible, half a surrogate pair, line and paragraph ends.
HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


@dataclass(frozen=True, slots=True)
class _Number:
    """A JSON number that is no small whole number: never turned into a float, only refused where it stands."""

    text: str


def _whole(text: str) -> int | _Number:
    return int(text) if len(text) <= MOST_COUNT_DIGITS else _Number(text[:MOST_NAME])


def _pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise refuse(key, "stands-twice", value=key)
        found[key] = value
    return found


def parse_input(raw: bytes) -> Any:
    """Return the parsed JSON, numbers with a point or exponent kept apart. Raises Refused, never a parser's error."""
    if len(raw) > MOST_BYTES:
        raise refuse("$", "too-large", limit=f"{MOST_BYTES} bytes")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise refuse("$", "not-utf8") from error
    try:
        return json.loads(text, parse_float=_Number, parse_int=_whole, parse_constant=_Number, object_pairs_hook=_pairs)
    except json.JSONDecodeError as error:
        raise refuse("$", "not-json", value=f"{error.lineno}:{error.colno}") from error
    except RecursionError as error:
        raise refuse("$", "too-deep") from error


def read_request(data: Any) -> tuple[PriceTerms, tuple[PricedBid, ...]]:
    """Return the terms and bids of a parsed request. Raises Refused with the path of the first thing that is wrong."""
    request = _object(data, "$")
    method = request.get("method")
    if "method" not in request:
        raise refuse("method", "missing")
    if not isinstance(method, str) or method not in KEYS:
        raise refuse("method", "word-unknown", value=_shown(method), limit=", ".join(METHODS))
    _only(request, KEYS[method], "")
    control = request.get("control")
    control_fen = None if control is None else fen(_text(control, "control"), "control")
    terms = price_terms(_method(method, request), control_fen)
    rows = _list(request, "bids")
    if len(rows) > MOST_BIDS:
        raise refuse("bids", "too-large", limit=MOST_BIDS)
    return terms, tuple(_bid(row, f"bids[{index}]") for index, row in enumerate(rows))


def _method(method: str, request: dict[str, Any]) -> PriceMethod:
    texts: dict[str, Any] = {name: _text(request[name], name) for name in (*BENCHMARK_TEXTS, "full") if name in request}
    if request.get("max_loss") is not None:
        texts["max_loss"] = _text(request["max_loss"], "max_loss")
    step = request.get("step", "linear")
    rounding = _object(request.get("round", {}), "round")
    _only(rounding, {"benchmark", "deviation", "score"}, "round.")
    rows = _list(request, "outliers") if "outliers" in request else []
    return PriceMethod(
        method=method,
        full=texts.pop("full", ""),
        outliers=tuple(_outlier(row, f"outliers[{index}]") for index, row in enumerate(rows)),
        step=step if isinstance(step, str) else _shown(step),
        round_benchmark=_places(rounding, "benchmark"),
        round_deviation=_places(rounding, "deviation"),
        round_score=_count(rounding["score"], "round.score") if "score" in rounding else -1,
        **texts,
    )


def _outlier(row: Any, where: str) -> OutlierRow:
    table = _object(row, where)
    _only(table, {"n_min", "high", "low"}, f"{where}.")
    n_min, high, low = (_count(_needed(table, name, where), f"{where}.{name}") for name in ("n_min", "high", "low"))
    return OutlierRow(n_min, high, low)


def _bid(row: Any, where: str) -> PricedBid:
    table = _object(row, where)
    _only(table, {"bidder", "price", "deduction", "adjust"}, f"{where}.")
    bidder = _needed(table, "bidder", where)
    if not isinstance(bidder, str) or not _is_name(bidder):
        raise refuse(f"{where}.bidder", "name-malformed", limit=MOST_NAME)
    price = _text(_needed(table, "price", where), f"{where}.price")
    deduction = _text(table.get("deduction", "0"), f"{where}.deduction")
    adjust = _text(table.get("adjust", "0"), f"{where}.adjust")
    return PricedBid(
        bidder,
        fen(price, f"{where}.price"),
        quantity(deduction, f"{where}.deduction"),
        fen(adjust, f"{where}.adjust"),
    )


def _is_name(text: str) -> bool:
    seen = {unicodedata.category(character) for character in text[: MOST_NAME + 1]}
    return 0 < len(text) <= MOST_NAME and text == text.strip() and not HIDDEN & seen


def _object(value: Any, where: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise refuse(where, "not-an-object")
    return value


def _list(table: dict[str, Any], name: str) -> list[Any]:
    if name not in table:
        raise refuse(name, "missing")
    if not isinstance(table[name], list):
        raise refuse(name, "not-a-list")
    return list(table[name])


def _needed(table: dict[str, Any], name: str, where: str) -> Any:
    if name not in table:
        raise refuse(f"{where}.{name}", "missing")
    return table[name]


def _only(table: dict[str, Any], known: frozenset[str] | set[str], prefix: str) -> None:
    for key in table:
        if key not in known:
            raise refuse(f"{prefix}{key}", "unknown-key")


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str):
        raise refuse(where, "not-text")
    if not value:
        raise refuse(where, "quantity-malformed", value='""')
    return value


def _count(value: Any, where: str) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise refuse(where, "not-a-count")
    return value


def _places(rounding: dict[str, Any], name: str) -> int:
    value = rounding.get(name)
    return -1 if value is None else _count(value, f"round.{name}")


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else type(value).__name__


def answer(terms: PriceTerms, scores: PriceScores) -> dict[str, Any]:
    """Return the JSON answer: rows in the order of the bids; unrounded values to six places beside their p/q."""
    found: dict[str, Any] = {"benchmark": None}
    if scores.benchmark is not None:
        places = terms.rule.base.places if isinstance(terms.rule, Benchmark) else None
        found.update(_number("benchmark", scores.benchmark.value, places))
    found["results"] = [_row(terms, result) for result in scores.results]
    return found


def _row(terms: PriceTerms, result: ScoredBid | RejectedBid) -> dict[str, Any]:
    if isinstance(result, RejectedBid):
        return {"bidder": result.ref, "status": "rejected", "reason": result.reason}
    row: dict[str, Any] = {"bidder": result.ref, "status": "valid", "evaluated": money_text(result.evaluated)}
    if result.deviation is not None:
        row.update(_number("deviation", result.deviation, terms.rounding.deviation))
    if result.score is not None and result.exact is not None:
        places = SHOWN_PLACES if terms.rounding.score is None else terms.rounding.score
        row.update(score=decimal_text(result.score, places), exact=ratio_text(result.exact))
    row["rank"] = result.rank
    if result.tie:
        row["tie"] = True
    return row


def _number(name: str, value: Fraction, places: int | None) -> dict[str, str]:
    if places is not None:
        return {name: decimal_text(value, places)}
    return {name: decimal_text(value, SHOWN_PLACES), f"{name}_exact": ratio_text(value)}
