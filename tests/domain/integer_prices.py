"""A second way to the same scores: whole numbers over common denominators, places by counting, its own greatest divisor.

It shares no line with the rules under test and knows neither fractions nor decimals. It reads and writes the JSON contract
for the cases that `test_price_reference.py` makes: quantities with at most four places.
"""

TENTHOUSAND = 10_000
UNIT = 1_000_000  # money in millionths of a yuan: a fen times a deduction with four places


def scaled(text: str, places: int) -> int:
    sign = -1 if text.startswith("-") else 1
    whole, _, rest = text.lstrip("-").partition(".")
    assert len(rest) <= places
    return sign * int(whole + rest.ljust(places, "0"))


def divisor(a: int, b: int) -> int:
    while b:
        a, b = b, a % b
    return abs(a)


def nearest(top: int, bottom: int, places: int) -> int:
    """top/bottom in units of 10**-places, the half away from zero; bottom > 0."""
    whole, rest = divmod(abs(top) * 10**places, bottom)
    if rest * 2 >= bottom:
        whole += 1
    return whole if top >= 0 else -whole


def written(units: int, places: int) -> str:
    text = ""
    left = abs(units)
    for _ in range(places):
        left, digit = divmod(left, 10)
        text = str(digit) + text
    return ("-" if units < 0 else "") + str(left) + ("." + text if places else "")


def lowest_terms(top: int, bottom: int) -> str:
    common = divisor(top, bottom)
    return f"{top // common}/{bottom // common}"


def money(units: int) -> str:
    text = written(units, 6)
    while text.endswith("0") and len(text) - text.index(".") > 3:
        text = text[:-1]
    return text


def benchmark_of(request: dict, valid: list[int], control: int | None) -> tuple[int, int] | None:
    """The benchmark as top/bottom in yuan; None: cannot be."""
    ordered = sorted(valid)
    high = low = 0
    for row in request.get("outliers", []):
        if row["n_min"] <= len(ordered):
            high, low = row["high"], row["low"]
    for _ in range(high):
        if not ordered:
            return None
        ordered.pop()
    for _ in range(low):
        if not ordered:
            return None
        ordered.pop(0)
    if not ordered:
        return None
    n, total = len(ordered), 0
    for price in ordered:
        total += price
    w = scaled(request.get("w", "0"), 4)
    if w and control is None:
        return None
    mixed = w * (control or 0) * n + (TENTHOUSAND - w) * total  # over n * 10^4 units
    factor = scaled(request["r"], 4) if "r" in request else TENTHOUSAND - scaled(request.get("k", "0"), 4)
    top, bottom = mixed * factor, n * TENTHOUSAND * TENTHOUSAND * UNIT
    places = request["round"].get("benchmark")
    if places is not None:
        top, bottom = nearest(top, bottom, places), 10**places
    return (top, bottom) if top > 0 else None


def score_at(request: dict, top: int, bottom: int) -> tuple[int, int]:
    """The exact score at a deviation top/bottom, as top/bottom."""
    percent_top, percent_bottom = abs(top) * 100, bottom
    step = request.get("step", "linear")
    if step != "linear":
        whole, rest = divmod(percent_top, percent_bottom)
        percent_top, percent_bottom = whole + (1 if step == "ceil" and rest else 0), 1
    points = scaled(request["above" if top > 0 else "below"], 4)
    loss_top, loss_bottom = points * percent_top, TENTHOUSAND * percent_bottom
    if request.get("max_loss") is not None:
        most = scaled(request["max_loss"], 4)
        if loss_top * TENTHOUSAND > most * loss_bottom:
            loss_top, loss_bottom = most, TENTHOUSAND
    full = scaled(request["full"], 4)
    score_top, score_bottom = full * loss_bottom - loss_top * TENTHOUSAND, TENTHOUSAND * loss_bottom
    if "floor" in request:
        floor = scaled(request["floor"], 4)
        if score_top * TENTHOUSAND < floor * score_bottom:
            score_top, score_bottom = floor, TENTHOUSAND
    return score_top, score_bottom


def reference(request: dict) -> dict | None:
    """The whole answer; None where the request must be refused."""
    control = scaled(request["control"], 6) if request.get("control") is not None else None
    evaluated: dict[str, int] = {}
    for bid in request["bids"]:
        keep = TENTHOUSAND - scaled(bid.get("deduction", "0"), 4)
        units = scaled(bid["price"], 2) * keep + scaled(bid.get("adjust", "0"), 2) * TENTHOUSAND
        if units <= 0:
            return None
        if control is None or scaled(bid["price"], 6) <= control:
            evaluated[bid["bidder"]] = units
    if not evaluated:
        return None
    answer: dict = {"benchmark": None}
    rounding = request["round"]
    deviations: dict[str, tuple[int, int]] = {}
    scores: dict[str, tuple[int, int]] = {}
    if request["method"] == "benchmark":
        found = benchmark_of(request, list(evaluated.values()), control)
        if found is None:
            return None
        b_top, b_bottom = found
        places = rounding.get("benchmark")
        answer["benchmark"] = written(
            nearest(b_top, b_bottom, 6 if places is None else places), 6 if places is None else places
        )
        if places is None:
            answer["benchmark_exact"] = lowest_terms(b_top, b_bottom)
        for bidder, units in evaluated.items():
            top, bottom = units * b_bottom - b_top * UNIT, b_top * UNIT
            places = rounding.get("deviation")
            if places is not None:
                top, bottom = nearest(top, bottom, places), 10**places
            deviations[bidder] = (top, bottom)
            scores[bidder] = score_at(request, top, bottom)
    elif request["method"] == "lowest-ratio":
        least = min(evaluated.values())
        for bidder, units in evaluated.items():
            scores[bidder] = (least * scaled(request["full"], 4), units * TENTHOUSAND)
    places = rounding.get("score")
    counted: dict[str, tuple[int, int]] = dict.fromkeys(evaluated, (0, 1))
    for bidder, (top, bottom) in scores.items():
        counted[bidder] = (top, bottom) if places is None else (nearest(top, bottom, places), 10**places)

    def better(one: str, other: str) -> bool:
        left = counted[one][0] * counted[other][1]
        right = counted[other][0] * counted[one][1]
        return left > right or (left == right and evaluated[one] < evaluated[other])

    answer["results"] = []
    for bid in request["bids"]:
        bidder = bid["bidder"]
        if bidder not in evaluated:
            answer["results"].append({"bidder": bidder, "status": "rejected", "reason": "above-control"})
            continue
        row = {"bidder": bidder, "status": "valid", "evaluated": money(evaluated[bidder])}
        if bidder in deviations:
            top, bottom = deviations[bidder]
            shown = rounding.get("deviation")
            row["deviation"] = written(
                nearest(top, bottom, 6 if shown is None else shown), 6 if shown is None else shown
            )
            if shown is None:
                row["deviation_exact"] = lowest_terms(top, bottom)
        if bidder in scores:
            shown = 6 if places is None else places
            row["score"] = written(nearest(*counted[bidder], shown), shown)
            row["exact"] = lowest_terms(*scores[bidder])
        row["rank"] = 1 + sum(better(other, bidder) for other in evaluated)
        if any(not better(other, bidder) and not better(bidder, other) for other in evaluated if other != bidder):
            row["tie"] = True
        answer["results"].append(row)
    return answer
