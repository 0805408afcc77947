"""A second implementation in another language agrees with the product on the vector, on random draws and on coefficients."""

import json
import random
from dataclasses import replace

import pytest

from node.domain.draw_proof import judge, judge_options
from node.draw_json import ProofMalformed, parse_proof, proof_digest, proof_json
from tests.data import draws
from tests.judges import draw_judge

pytestmark = pytest.mark.skipif(draw_judge.NODE is None, reason="needs Node.js (Debian: nodejs)")


def test_both_find_the_vector_right_and_draw_the_same_coefficient():
    lines = [
        draw_judge.one_line(proof_json(draws.vector())),
        json.dumps({"seed": draws.SEED, "coef": "K", "options": 5}).encode(),
    ]
    assert draw_judge.asked(lines) == ["ok", "4"]


def test_both_agree_on_a_thousand_whole_draws():
    assert draw_judge.proofs(1_000) == ["ok"] * 1_000


def test_both_agree_on_a_thousand_coefficients():
    assert [pair for pair in draw_judge.coefficients(1_000) if str(pair[0]) != pair[1]] == []


def test_what_one_finds_changed_the_other_finds_changed():
    chance = random.Random(5)
    lines = []
    for seed in range(300):
        proof = draw_judge.changed(json.loads(proof_json(draws.random_proof(seed))), chance)
        proof["digest"] = proof_digest(proof).hex()
        lines.append(json.dumps(proof).encode())
    ours = [judge(parse_proof(line)) is None for line in lines]
    theirs = [said == "ok" for said in draw_judge.asked(lines)]
    assert ours == theirs
    assert sum(ours) < 15  # a swap in an order of one, or an empty group: nothing was changed


def test_both_agree_on_published_coefficients_and_ties():
    good = [draw_judge.one_line(proof_json(one)) for one in (draws.coefficient(), draws.tie())]
    wrong = [
        draw_judge.one_line(proof_json(replace(one, drawn=one.options[-1:])))
        for one in (draws.coefficient(), draws.tie())
    ]
    said = draw_judge.asked([*good, *wrong])
    ours = [judge_options(parse_proof(line)) is None for line in (*good, *wrong)]
    assert [one == "ok" for one in said] == ours
    assert ours[:2] == [True, True]


def test_a_thing_that_only_the_digest_binds_is_found_by_both():
    tree = json.loads(proof_json(draws.vector()))
    changes = [("groups", 0, "name"), ("groups", 0, "passed", 0, "outcome"), ("parties", 1, "source"), ("v",)]
    values = ["别的组", "recused", "escrow", 1]
    lines = []
    for path, value in zip(changes, values, strict=True):
        other = json.loads(json.dumps(tree))
        place = other
        for step in path[:-1]:
            place = place[step]
        assert place[path[-1]] != value
        place[path[-1]] = value
        lines.append(json.dumps(other).encode())
    assert "ok" not in draw_judge.asked(lines)
    for line in lines:
        with pytest.raises(ProofMalformed):
            parse_proof(line)
