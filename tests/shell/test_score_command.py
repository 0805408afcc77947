"""`erhai score`: the JSON contract byte by byte, and a table of nonsense that must end in one sentence."""

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from node.cli_score import SENTENCES, cli_score
from node.score_json import MOST_BYTES

W15 = {
    "method": "benchmark",
    "control": "1100",
    "full": "100",
    "k": "0.05",
    "above": "1.2",
    "below": "0.8",
    "floor": "0",
    "outliers": [{"n_min": 6, "high": 1, "low": 0}, {"n_min": 7, "high": 1, "low": 1}],
    "round": {"benchmark": 2, "deviation": None, "score": 2},
    "bids": [
        {"bidder": name, "price": price}
        for name, price in zip("甲乙丙丁戊己庚", ("980", "1010", "1005", "960", "1040", "995", "1120"), strict=True)
    ],
}
RATIO = {
    "method": "lowest-ratio",
    "full": "30",
    "round": {"score": 2},
    "bids": [{"bidder": "A", "price": "1000000.00"}, {"bidder": "B", "price": "950000.00"}],
}


def run(request: object, language: str = "zh_CN.UTF-8") -> Result:
    raw = request if isinstance(request, bytes) else json.dumps(request).encode()
    return CliRunner(env={"LANG": language}).invoke(cli_score, ["-"], input=raw)


def answered(request: object) -> dict:
    result = run(request)
    assert result.exit_code == 0, result.stderr
    return json.loads(result.stdout)


def changed(request: dict, **keys: object) -> dict:
    return {**request, **keys}


def without(request: dict, key: str) -> dict:
    return {name: value for name, value in request.items() if name != key}


def bid(**keys: object) -> dict:
    """The ratio request with its second bid changed."""
    return changed(RATIO, bids=[RATIO["bids"][0], {**RATIO["bids"][1], **keys}])


def test_a_benchmark_answer_has_every_value_where_the_contract_puts_it():
    found = answered(W15)
    assert list(found) == ["benchmark", "results"]
    assert found["benchmark"] == "940.50"  # six valid: only the highest leaves
    assert found["results"][0] == {
        "bidder": "甲",
        "status": "valid",
        "evaluated": "980.00",
        "deviation": "0.041999",
        "deviation_exact": "79/1881",
        "score": "94.96",
        "exact": "59540/627",
        "rank": 2,
    }
    assert found["results"][6] == {"bidder": "庚", "status": "rejected", "reason": "above-control"}
    assert [row["bidder"] for row in found["results"]] == list("甲乙丙丁戊己庚")


def test_an_unrounded_benchmark_prints_to_six_places_beside_its_ratio():
    found = answered(changed(without(W15, "control"), round={"deviation": 4, "score": 1}, bids=W15["bids"][:3]))
    assert found["benchmark"] == "948.416667"
    assert found["benchmark_exact"] == "11381/12"
    assert found["results"][0]["deviation"] == "0.0333"
    assert "deviation_exact" not in found["results"][0]
    assert found["results"][0]["score"] == "96.0"


def test_a_deviation_below_the_benchmark_is_negative():
    row = answered(changed(W15, k="0", round={"benchmark": 2, "deviation": 4, "score": 2}))["results"][3]
    assert row["deviation"] == "-0.0303"


def test_a_ratio_answer_has_no_benchmark_and_no_deviation():
    assert answered(RATIO) == {
        "benchmark": None,
        "results": [
            {"bidder": "A", "status": "valid", "evaluated": "1000000.00", "score": "28.50", "exact": "57/2", "rank": 2},
            {"bidder": "B", "status": "valid", "evaluated": "950000.00", "score": "30.00", "exact": "30/1", "rank": 1},
        ],
    }


def test_a_lowest_evaluated_answer_has_places_and_ties_and_no_score():
    request = {
        "method": "lowest-evaluated",
        "control": None,
        "bids": [
            {"bidder": "A", "price": "9600000.00", "adjust": "28800.00"},
            {"bidder": "B", "price": "9628800"},
            {"bidder": "C", "price": "10000000", "deduction": "0.0333", "adjust": "-200000.01"},
        ],
    }
    assert answered(request) == {
        "benchmark": None,
        "results": [
            {"bidder": "A", "status": "valid", "evaluated": "9628800.00", "rank": 2, "tie": True},
            {"bidder": "B", "status": "valid", "evaluated": "9628800.00", "rank": 2, "tie": True},
            {"bidder": "C", "status": "valid", "evaluated": "9466999.99", "rank": 1},
        ],
    }


def test_absent_optional_keys_have_no_effect():
    bare = {"method": "benchmark", "full": "60", "above": "1", "below": "0.5", "bids": RATIO["bids"]}
    spelled = changed(
        bare,
        control=None,
        outliers=[],
        w="0",
        r="1",
        step="linear",
        max_loss=None,
        round={"benchmark": None, "deviation": None},
        bids=[{**one, "deduction": "0", "adjust": "0"} for one in bare["bids"]],
    )
    assert answered(bare) == answered(spelled)


def test_a_half_goes_up_on_the_decimal_value():
    found = answered(changed(RATIO, bids=[{"bidder": "a", "price": "100000"}, {"bidder": "b", "price": "192000"}]))
    assert (found["results"][1]["score"], found["results"][1]["exact"]) == ("15.63", "125/8")


def test_a_file_and_standard_input_give_the_same_bytes(tmp_path: Path):
    path = tmp_path / "方法.json"
    path.write_bytes("\ufeff".encode() + json.dumps(W15, ensure_ascii=False).encode())
    result = CliRunner().invoke(cli_score, [str(path)])
    assert result.exit_code == 0
    assert result.stdout_bytes == run(W15).stdout_bytes


NONSENSE = [
    # The text of JSON itself.
    (b"", "$", "not-json"),
    (b"{", "$", "not-json"),
    (b"{} {}", "$", "not-json"),
    (b"null", "$", "not-an-object"),
    (b"[]", "$", "not-an-object"),
    (b"NaN", "$", "not-an-object"),
    (b'"\xff"', "$", "not-utf8"),
    (b'{"method": "lowest-ratio", "method": "benchmark"}', "method", "stands-twice"),
    (b'{"bids": [{"price": "1", "price": "2"}]}', "price", "stands-twice"),
    (b"[" * 1_000_000, "$", "too-deep"),
    (b'{"a":' * 200_000, "$", "too-deep"),
    (b" " * (MOST_BYTES + 1), "$", "too-large"),
    (b'{"method": "lowest-ratio", "full": ' + b"9" * 1_000_000 + b"}", "full", "not-text"),
    (b'{"method": "lowest-ratio", "full": 1e999999999}', "full", "not-text"),
    (b'{"method": "lowest-ratio", "full": NaN}', "full", "not-text"),
    (b'{"method": "lowest-ratio", "full": -Infinity}', "full", "not-text"),
    # Keys and words.
    ({}, "method", "missing"),
    (changed(RATIO, method="cheapest"), "method", "word-unknown"),
    (changed(RATIO, method=["benchmark"]), "method", "word-unknown"),
    (changed(RATIO, fulll="30"), "fulll", "unknown-key"),
    (changed(RATIO, outliers=[]), "outliers", "unknown-key"),
    (changed(RATIO, method="lowest-evaluated"), "full", "unknown-key"),
    (changed(RATIO, round={"total": 2}), "round.total", "unknown-key"),
    (bid(name="B"), "bids[1].name", "unknown-key"),
    (changed(W15, outliers=[{"n_min": 6, "high": 1, "low": 0, "mid": 1}]), "outliers[0].mid", "unknown-key"),
    (without(RATIO, "full"), "full", "missing"),
    (without(RATIO, "bids"), "bids", "missing"),
    (without(W15, "above"), "above", "missing"),
    (without(W15, "below"), "below", "missing"),
    (changed(W15, outliers=[{"n_min": 6, "high": 1}]), "outliers[0].low", "missing"),
    (changed(RATIO, bids=[{"bidder": "A"}]), "bids[0].price", "missing"),
    (changed(RATIO, bids=[{"price": "1"}]), "bids[0].bidder", "missing"),
    (changed(W15, step="round"), "step", "word-unknown"),
    (changed(W15, step=1), "step", "word-unknown"),
    (changed(W15, step=""), "step", "word-unknown"),
    # Kinds.
    (changed(RATIO, full=30), "full", "not-text"),
    (changed(RATIO, full=None), "full", "not-text"),
    (changed(RATIO, control=True), "control", "not-text"),
    (changed(RATIO, bids={}), "bids", "not-a-list"),
    (changed(RATIO, bids=["A"]), "bids[0]", "not-an-object"),
    (changed(W15, outliers={}), "outliers", "not-a-list"),
    (changed(RATIO, round=2), "round", "not-an-object"),
    (changed(RATIO, round=None), "round", "not-an-object"),
    (changed(RATIO, round={"score": "2"}), "round.score", "not-a-count"),
    (changed(RATIO, round={"score": True}), "round.score", "not-a-count"),
    (changed(RATIO, round={"score": 2.0}), "round.score", "not-a-count"),
    (changed(RATIO, round={"score": -1}), "round.score", "not-a-count"),
    (changed(RATIO, round={"score": None}), "round.score", "not-a-count"),
    (changed(RATIO, round={"score": 999}), "round.score", "out-of-range"),
    (changed(RATIO, round={"score": 10**400}), "round.score", "not-a-count"),
    (changed(W15, outliers=[{"n_min": "6", "high": 1, "low": 0}]), "outliers[0].n_min", "not-a-count"),
    (changed(W15, outliers=[{"n_min": 6, "high": -1, "low": 0}]), "outliers[0].high", "not-a-count"),
    (bid(price=950000), "bids[1].price", "not-text"),
    (bid(deduction=0.1), "bids[1].deduction", "not-text"),
    (bid(adjust=None), "bids[1].adjust", "not-text"),
    # Quantities.
    (bid(price=""), "bids[1].price", "quantity-malformed"),
    (bid(price="1,000"), "bids[1].price", "quantity-malformed"),
    (bid(price="1e3"), "bids[1].price", "quantity-malformed"),
    (bid(price="１００"), "bids[1].price", "quantity-malformed"),
    (bid(price="NaN"), "bids[1].price", "quantity-malformed"),
    (bid(price="壹佰元"), "bids[1].price", "quantity-malformed"),
    (bid(price="9" * 100_000), "bids[1].price", "quantity-malformed"),
    (bid(price="1.005"), "bids[1].price", "finer-than-fen"),
    (bid(price="0"), "bids[1].price", "not-positive"),
    (bid(price="-5"), "bids[1].price", "not-positive"),
    (bid(adjust="0.001"), "bids[1].adjust", "finer-than-fen"),
    (bid(adjust="-950000"), "bids[1].adjust", "evaluated-not-positive"),
    (bid(deduction="1"), "bids[1].deduction", "out-of-range"),
    (bid(deduction="-0.1"), "bids[1].deduction", "out-of-range"),
    (changed(RATIO, full="0"), "full", "not-positive"),
    (changed(RATIO, full="-30"), "full", "out-of-range"),
    (changed(RATIO, control="0"), "control", "not-positive"),
    (changed(RATIO, control="-1"), "control", "not-positive"),
    (changed(W15, w="1.5"), "w", "out-of-range"),
    (changed(W15, k="1"), "k", "out-of-range"),
    (changed(W15, r="0.99"), "r", "either-k-or-r"),
    (changed(W15, floor="101"), "floor", "out-of-range"),
    (changed(W15, max_loss="-1"), "max_loss", "out-of-range"),
    (changed(W15, above="-1"), "above", "out-of-range"),
    (changed(without(W15, "control"), w="0.4"), "control", "control-missing"),
    # Bids.
    (changed(RATIO, bids=[]), "bids", "no-valid-bid"),
    (changed(RATIO, control="1"), "bids", "no-valid-bid"),
    (changed(RATIO, bids=[{"bidder": "A", "price": "1"}] * 10_001), "bids", "too-large"),
    (bid(bidder="A"), "bids[1].bidder", "stands-twice"),
    (bid(bidder=""), "bids[1].bidder", "name-malformed"),
    (bid(bidder=7), "bids[1].bidder", "name-malformed"),
    (bid(bidder=" A"), "bids[1].bidder", "name-malformed"),
    (bid(bidder="A\u200b"), "bids[1].bidder", "name-malformed"),
    (bid(bidder="A\u001b[2J"), "bids[1].bidder", "name-malformed"),
    (bid(bidder="\ud800"), "bids[1].bidder", "name-malformed"),
    (bid(bidder="A" * 201), "bids[1].bidder", "name-malformed"),
    (changed(W15, outliers=[{"n_min": 1, "high": 3, "low": 3}]), "outliers", "no-price-left"),
    (
        changed(W15, bids=[{"bidder": "A", "price": "0.01"}], round={"benchmark": 0}),
        "round.benchmark",
        "benchmark-not-positive",
    ),
]


@pytest.mark.parametrize(
    ("request_", "field", "code"),
    NONSENSE,
    ids=[f"{index}-{field}-{code}" for index, (_, field, code) in enumerate(NONSENSE)],  # some inputs are a megabyte
)
def test_nonsense_is_refused_in_one_sentence_that_names_the_field(request_, field, code):
    for language, opening, column in (
        ("zh_CN.UTF-8", f"拒绝：{field}：", 0),
        ("en_US.UTF-8", f"refused: {field}: ", 1),
    ):
        result = run(request_, language)
        assert (result.exit_code, result.stdout) == (1, "")
        assert type(result.exception) is SystemExit
        assert result.stderr.startswith(opening)
        assert result.stderr.removeprefix(opening).startswith(SENTENCES[code][column].partition("{")[0])
        assert len(result.stderr.splitlines()) == 1
        assert len(result.stderr) < 400


def test_every_sentence_is_reached_by_the_table():
    assert {code for _, _, code in NONSENSE} == set(SENTENCES)


def test_hostile_text_is_shown_and_not_obeyed():
    result = run(changed(RATIO, **{"\u001b[2J\ud800": 1}))
    assert "\\x1b[2J\\ud800" in result.stderr
    assert "\x1b" not in result.stderr


def test_braces_in_a_name_are_only_text():
    result = run(changed(RATIO, bids=[{"bidder": "{limit.__class__}", "price": "1"}] * 2))
    assert "{limit.__class__}" in result.stderr


@pytest.mark.parametrize(("language", "word"), [("zh_CN.UTF-8", "无法打开"), ("en_US.UTF-8", "cannot open")])
def test_a_missing_file_or_a_folder_is_a_usage_error(tmp_path: Path, language, word):
    for path in (tmp_path / "nothing.json", tmp_path):
        result = CliRunner(env={"LANG": language}).invoke(cli_score, [str(path)])
        assert result.exit_code == 2
        assert result.stderr.startswith(word)


def test_help_shows_an_example_that_works():
    text = CliRunner().invoke(cli_score, ["--help"]).stdout
    assert "  erhai score method.json\n" in text  # its own line: the layout is kept
    start, end = text.index("'{"), text.index("}' |")
    assert answered(text[start + 1 : end + 1].encode())["results"][1]["score"] == "30.00"
