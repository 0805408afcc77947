"""`erhai draw verify`: 0 for a draw that holds, 4 for any change, 2 for what is no proof."""

import copy
import hashlib
import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from erhai import cli
from node import cli_draw, draw_json, replay_draws
from node.domain import draw, draw_proof
from node.domain.ceremony import Trustee
from node.domain.refused import Refused
from node.draw_json import KEYS, ProofMalformed, parse_proof, proof_json
from node.escrow import make_commit
from tests.data import bank, draws

D2 = json.loads(proof_json(draws.vector()))
D1 = {key: value for key, value in D2.items() if key != "digest"} | {"v": 1}


@pytest.fixture
def verify(tmp_path):
    """Run the command over these bytes."""

    def run(body, *options, language="zh_CN.UTF-8"):
        file = tmp_path / "PROOF.json"
        file.write_bytes(body if isinstance(body, bytes) else json.dumps(body).encode())
        return CliRunner(env={"LANG": language}).invoke(cli, ["draw", "verify", str(file), *options])

    return run


def test_the_vector_holds_in_both_languages_and_as_json(verify):
    chinese, english, told = verify(D1), verify(D1, language="en_US.UTF-8"), verify(D1, "--json")
    assert (chinese.exit_code, english.exit_code, told.exit_code) == (0, 0, 0)
    assert "抽取 DRAW-20260320-0001：相符" in chinese.stdout
    assert "draw DRAW-20260320-0001: holds" in english.stdout
    answer = json.loads(told.stdout)
    assert answer == {
        "ok": True,
        "draw_id": draws.DRAW_ID,
        "seed": draws.SEED,
        "taken": {"工程": list(draws.COMMITTEE)},
        "escrow": [],
    }


def test_a_nonce_from_escrow_is_told(verify):
    proof = copy.deepcopy(D1)
    proof["parties"][1]["source"] = "escrow"
    result = verify(proof)
    assert result.exit_code == 0
    assert "由托管开启：SUPERVISOR" in result.stdout


def test_the_published_form_has_the_agreed_keys_and_reads_back():
    assert tuple(D2) == (*KEYS, "digest")
    assert tuple(D1) == KEYS
    assert list(D1["parties"][0]) == ["name", "commit", "nonce", "source"]
    assert list(D1["groups"][0]) == ["name", "need", "taken", "passed"]
    assert D1["groups"][0]["passed"][0] == {"no": "5329240008", "outcome": "declined"}
    assert parse_proof(proof_json(draws.vector())) == draws.vector()
    assert parse_proof(proof_json(draws.coefficient())) == draws.coefficient()


PROOFS = {
    "experts": json.loads(proof_json(draws.random_proof(11))),
    "two groups, one from escrow": json.loads(proof_json(draws.random_proof(23))),
    "the vector": D2,
    "a coefficient": json.loads(proof_json(draws.coefficient())),
    "a tie": json.loads(proof_json(draws.tie())),
}


def places_of(tree, path=()):
    """Every place of a tree: values, and whole objects and lists."""
    below = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, list) else ()
    return [path, *(found for key, value in below for found in places_of(value, (*path, key)))]


def with_change(tree, path, change):
    """A copy of a tree in which one place is `change(value)`; None takes it out."""
    copied = copy.deepcopy(tree)
    place = copied
    for step in path[:-1]:
        place = place[step]
    value = change(place[path[-1]])
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copied


@pytest.mark.parametrize("name", PROOFS)
@given(data=st.data())
@settings(max_examples=60)
def test_whatever_single_thing_of_a_published_proof_is_changed_it_does_not_hold(name, data):
    tree = PROOFS[name]
    path = data.draw(st.sampled_from([path for path in places_of(tree) if path]))
    other = data.draw(
        st.sampled_from(
            [
                lambda _value: None,
                lambda value: (
                    value + 1 if isinstance(value, int) else value[1:] or "x" if isinstance(value, str) else 7
                ),
                lambda value: value[::-1] if isinstance(value, list | str) else [value],
                lambda value: [*value, "x"] if isinstance(value, list) else {"x": 1},
                lambda value: value.swapcase() if isinstance(value, str) else {},
                lambda value: {"reveal": "escrow", "declined": "no-answer", "same-employer": "not-eligible"}.get(
                    str(value), "escrow"
                ),
                lambda _value: data.draw(st.text(max_size=5) | st.integers() | st.booleans()),
            ]
        )
    )
    changed_tree = with_change(tree, path, other)
    assume(json.dumps(changed_tree) != json.dumps(tree))
    with pytest.raises((ProofMalformed, Refused)):
        parse_proof(json.dumps(changed_tree).encode())


@pytest.mark.parametrize("name", PROOFS)
def test_every_field_of_a_published_proof_is_covered(verify, name):
    """Each leaf once through the command itself, with the exit status."""
    tree = PROOFS[name]
    assert verify(tree).exit_code == 0
    for path in [path for path in leaves(tree) if len(path) < 3 or path[1] == 0]:
        other = with_change(tree, path, lambda value: value + 1 if isinstance(value, int) else value + "x")
        assert verify(other).exit_code == 4, path


def leaves(tree, path=()):
    """Every place of a tree that holds a value, with the way to it."""
    if isinstance(tree, dict):
        return [found for key, value in tree.items() for found in leaves(value, (*path, key))]
    if isinstance(tree, list):
        return [found for at, value in enumerate(tree) for found in leaves(value, (*path, at))]
    return [path]


# A name of a group and a word for who did not come are bound to nothing in the proof: the log has them.
UNBOUND = {("groups", 0, "name"), *((("groups", 0, "passed", at, "outcome")) for at in (0, 1))}


@pytest.mark.parametrize("path", [path for path in leaves(D1) if path not in UNBOUND], ids=str)
def test_any_changed_value_is_found(verify, path):
    for value in changed(path):
        tree = copy.deepcopy(D1)
        place = tree
        for step in path[:-1]:
            place = place[step]
        place[path[-1]] = value
        result = verify(tree, "--json")
        told = json.loads(result.stdout)
        if path[-1] == "source" and value == "escrow":
            continue
        assert (result.exit_code, told["ok"]) == (4, False), (path, value)
        assert told["problem"] in cli_draw.PROBLEMS


def changed(path):
    place = D1
    for step in path:
        place = place[step]
    if isinstance(place, int):
        return [place + 1, place - 1, str(place), True, None]
    flipped = ("1" if place[0] != "1" else "2") + place[1:]
    return [flipped, place + " ", place[:-1], "", 7, None, [place]]


@pytest.mark.parametrize("path", [(), ("parties", 0), ("groups", 0), ("groups", 0, "passed", 0)], ids=str)
def test_a_key_less_or_more_is_found(verify, path):
    for change in ("less", "more"):
        tree = copy.deepcopy(D1)
        place = tree
        for step in path:
            place = place[step]
        if change == "less":
            place.pop(next(iter(place)))
        else:
            place["note"] = ""
        assert verify(tree).exit_code == 4


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"7", b'{"a": 1}', b"\xff\xfe", b'{"v": 1, "v": 1}', b"<html>", b"[" * 100],
)
def test_what_is_no_proof_is_unusable(verify, body):
    result, told = verify(body), verify(body, "--json")
    assert (result.exit_code, told.exit_code) == (2, 2)
    assert "不能作为抽取证明读取" in result.stderr
    assert json.loads(told.stdout)["problem"] == "unusable"


def test_a_missing_file_is_a_usage_error(tmp_path):
    assert CliRunner().invoke(cli, ["draw", "verify", str(tmp_path / "none.json")]).exit_code == 2


def test_every_problem_has_words():
    """A code that the rules can answer with has a sentence, and a sentence belongs to a code."""
    modules = (draw_proof, draw, draw_json, replay_draws, cli_draw)
    text = "".join(Path(str(module.__file__)).read_text(encoding="utf-8") for module in modules)
    missing = [code for code in cli_draw.PROBLEMS if text.count(f'"{code}"') < 2 and code != "stands-twice"]
    assert missing == []
    words = {line.split('Problem("')[1].split('"')[0] for line in text.splitlines() if 'Problem("' in line}
    words |= {line.split('return "')[1].split('"')[0] for line in text.splitlines() if 'return "' in line}
    assert words - {"draw-differs"} <= {*cli_draw.PROBLEMS}  # that one is of the log's verification


def test_a_trustee_makes_a_key_and_opens_its_own_share_and_no_other(tmp_path):
    runner, file = CliRunner(env={"LANG": "en_US.UTF-8"}), tmp_path / "trustee.key"
    made = runner.invoke(cli, ["draw", "trustee-key", str(file)])
    assert made.exit_code == 0
    assert file.stat().st_mode & 0o077 == 0
    assert runner.invoke(cli, ["draw", "trustee-key", str(file)]).exit_code == 2  # never over another key
    own = Trustee("own", bytes.fromhex(made.stdout.strip()))
    others = [Trustee(one.name, bytes.fromhex(one.public)) for one in bank.TRUSTEES[:4]]
    escrow = make_commit("D-1", "TENDERER", bytes(32), [others[0], own, *others[1:]])

    def share(**changes: str):
        given = {"key": str(file), "draw": "D-1", "party": "TENDERER", "trustee": "2", **changes}
        blob = given.pop("blob", escrow.wraps[1].hex())
        options = [word for name, value in given.items() for word in (f"--{name}", value)]
        return runner.invoke(cli, ["draw", "share", *options, blob])

    opened = share()
    assert opened.exit_code == 0
    assert hashlib.sha256(bytes.fromhex(opened.stdout.strip())).digest() == escrow.share_digests[1]
    assert share(draw="D-2").exit_code == 4
    assert share(party="CENTER").exit_code == 4
    assert share(blob=escrow.wraps[0].hex()).exit_code == 4
    assert share(blob="xyz").exit_code == 2
    assert share(key=str(tmp_path / "none")).exit_code == 2
