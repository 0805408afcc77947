"""Ten thousand random evaluations: the rules and a second, whole-number way must print the same bytes."""

import json
from collections import Counter
from random import Random

from node.domain.refused import Refused
from node.domain.scoring import score_prices
from node.score_json import answer, parse_input, read_request
from tests.domain.integer_prices import reference, written

CASES = 10_000


def some_quantity(rng: Random, most: int, places: int) -> str:
    return written(rng.randint(0, most * 10**places), places)


def some_request(rng: Random) -> dict:
    method = rng.choice(("lowest-ratio", "lowest-evaluated", "benchmark", "benchmark"))
    # A few near prices make ties and rejected bids common; wide ones make awkward fractions.
    around = rng.choice((100, 100_000, 10**9, 10**12))
    spread = rng.choice((3, around // 20 + 1, around // 2 + 1))
    bids = []
    for index in range(rng.randint(1, 9)):
        bid = {"bidder": f"投标人{index}", "price": written(around + rng.randint(-spread, spread) + 3, 2)}
        if rng.random() < 0.2:
            bid["deduction"] = rng.choice(("0.10", "0.2", "0.0333", "0"))
        if rng.random() < 0.2:
            bid["adjust"] = written(rng.randint(-around // 10, around // 10), 2)
        bids.append(bid)
    request: dict = {"method": method, "bids": bids, "round": {}}
    if rng.random() < 0.5:
        request["control"] = rng.choice((None, written(around + rng.randint(-spread, spread) + 3, 2)))
    for name, most in (("benchmark", 4), ("deviation", 6)):
        if rng.random() < 0.6:
            request["round"][name] = rng.choice((None, rng.randint(0, most)))
    if rng.random() < 0.8:
        request["round"]["score"] = rng.randint(0, 4)
    if method != "lowest-evaluated":
        request["full"] = rng.choice(("30", "60.00", "100", "12.3456"))
    if method == "benchmark":
        add_benchmark(rng, request)
    return request


def add_benchmark(rng: Random, request: dict) -> None:
    request["above"], request["below"] = some_quantity(rng, 3, 2), some_quantity(rng, 3, 2)
    if rng.random() < 0.6:
        starts = sorted(rng.randint(0, 9) for _ in range(rng.randint(0, 3)))
        request["outliers"] = [{"n_min": n, "high": rng.randint(0, 2), "low": rng.randint(0, 2)} for n in starts]
    if rng.random() < 0.4:
        request["w"] = some_quantity(rng, 1, rng.randint(0, 4))
    match rng.randint(0, 2):
        case 0:
            request["k"] = "0." + str(rng.randint(0, 9999)).rjust(4, "0")
        case 1:
            request["r"] = "0." + str(rng.randint(1, 9999)).rjust(4, "0")
    if rng.random() < 0.7:
        request["step"] = rng.choice(("linear", "ceil", "floor"))
    if rng.random() < 0.6:
        request["floor"] = rng.choice(("0", "5", "12.3"))
    if rng.random() < 0.5:
        request["max_loss"] = rng.choice((None, "5", "0", "20.25"))


def ours(request: dict) -> dict | None:
    try:
        terms, bids = read_request(parse_input(json.dumps(request).encode()))
        return answer(terms, score_prices(terms, bids))
    except Refused:
        return None


def test_random_evaluations_agree_with_the_whole_number_reference():
    rng, seen = Random(20170118), Counter()
    for _ in range(CASES):
        request = some_request(rng)
        found, expected = ours(request), reference(request)
        assert json.dumps(found) == json.dumps(expected), json.dumps(request, ensure_ascii=False)
        seen[request["method"] if found else "refused"] += 1
        rows = found["results"] if found else []
        seen["rejected"] += any(row["status"] == "rejected" for row in rows)
        seen["tie"] += any("tie" in row for row in rows)
        seen["negative"] += any(row.get("score", "0").startswith("-") for row in rows)
    # The comparison means something only if every kind of case was there.
    wanted = ("lowest-ratio", "lowest-evaluated", "benchmark", "refused", "rejected", "tie", "negative")
    assert all(seen[kind] >= 100 for kind in wanted), seen
